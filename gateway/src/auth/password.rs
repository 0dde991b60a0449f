//! Passwords: what is a good one, and how one is known again without being stored.
//!
//! Hashing takes a while and much memory on purpose, so it happens beside the threads that serve, a few at a time.
//! Whether there is such a user is not told: for a name that nobody has, a password is checked all the same.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{
    Output, ParamsString, PasswordHash, PasswordHasher, PasswordVerifier, SaltString,
};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Hashes that are made at the same time.
const AT_ONCE: usize = 2;

/// How long one may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// The shortest and the longest password, bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=256;

/// As much of a password as is looked at for whether it is good: guessing its strength takes long for a long one.
const JUDGED_CHARS: usize = 72;

/// Memory, KiB, and passes: what OWASP recommends for argon2id.
const PARAMETERS: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Why there is no hash, or no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too easy to guess.
    #[error("{0}")]
    Weak(String),
    /// Too many are at it.
    #[error("many people sign in at this moment: try again in a few seconds")]
    Busy,
    /// Hashing failed.
    #[error("the password could not be hashed")]
    Failed,
}

/// Makes and checks hashes, a few at a time.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// The hash of a password that nobody knows.
    nobodys: Arc<str>,
}

impl Passwords {
    /// # Errors
    /// [`PasswordError::Failed`].
    pub fn new() -> Result<Self, PasswordError> {
        Ok(Self { turns: Arc::new(Semaphore::new(AT_ONCE)), nobodys: nobodys()?.into() })
    }

    /// The hash of a good password, in the PHC string format.
    ///
    /// # Errors
    /// When it is none, or it is nobody's turn.
    pub async fn hash(&self, password: String, user: String) -> Result<String, PasswordError> {
        self.in_turn(move || {
            judge(&password, &user)?;
            hash(&password)
        })
        .await
    }

    /// Whether a password is the one that a hash was made of. Without a hash it is not, and that takes as long.
    ///
    /// # Errors
    /// When it is nobody's turn.
    pub async fn verify(&self, password: String, known: Option<String>) -> Result<bool, PasswordError> {
        let nobodys = self.nobodys.clone();
        self.in_turn(move || {
            let (known, exists) = known.as_deref().map_or((&*nobodys, false), |known| (known, true));
            let parsed = PasswordHash::new(known).map_err(|_| PasswordError::Failed)?;
            // Compared in constant time. What is longer than any password is nobody's.
            let fits = password.len() <= *LENGTHS.end();
            let password = if fits { password.as_bytes() } else { b"" };
            Ok(hasher()?.verify_password(password, &parsed).is_ok() && exists && fits)
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            // Held by the work itself, which goes on when whoever asked has gone.
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| PasswordError::Failed)?
    }
}

fn hasher() -> Result<Argon2<'static>, PasswordError> {
    let (memory, passes, lanes) = PARAMETERS;
    let parameters = Params::new(memory, passes, lanes, None).map_err(|_| PasswordError::Failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

fn hash(password: &str) -> Result<String, PasswordError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| PasswordError::Failed)?;
    let salt = SaltString::encode_b64(&salt).map_err(|_| PasswordError::Failed)?;
    let hash = hasher()?.hash_password(password.as_bytes(), &salt).map_err(|_| PasswordError::Failed)?;
    Ok(hash.to_string())
}

/// A hash that checking takes as long as any, made up and not computed: a gateway's start need not wait for it.
fn nobodys() -> Result<String, PasswordError> {
    let (mut salt, mut output) = ([0; 16], [0; 32]);
    for bytes in [&mut salt[..], &mut output[..]] {
        getrandom::fill(bytes).map_err(|_| PasswordError::Failed)?;
    }
    let salt = SaltString::encode_b64(&salt).map_err(|_| PasswordError::Failed)?;
    let made_up = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(hasher()?.params()).map_err(|_| PasswordError::Failed)?,
        salt: Some(salt.as_salt()),
        hash: Some(Output::new(&output).map_err(|_| PasswordError::Failed)?),
    };
    Ok(made_up.to_string())
}

/// Refuses what is easy to guess.
fn judge(password: &str, user: &str) -> Result<(), PasswordError> {
    if !LENGTHS.contains(&password.len()) {
        let message = format!("a password has {} to {} bytes", LENGTHS.start(), LENGTHS.end());
        return Err(PasswordError::Weak(message));
    }
    let judged: String = password.chars().take(JUDGED_CHARS).collect();
    let verdict = zxcvbn::zxcvbn(&judged, &[user, "berth", "workspace"]);
    if verdict.score() >= zxcvbn::Score::Three {
        return Ok(());
    }
    let advice = verdict.feedback().map(|feedback| {
        let mut said: Vec<String> = feedback.warning().iter().map(ToString::to_string).collect();
        said.extend(feedback.suggestions().iter().map(ToString::to_string));
        said.join(" ")
    });
    let message = format!("this password is too easy to guess. {}", advice.unwrap_or_default());
    Err(PasswordError::Weak(message.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_hash_is_like_any() {
        let (made_up, real) = (nobodys().unwrap(), hash("tricky-otter-lamp-31").unwrap());
        let [made_up, real] = [&made_up, &real].map(|hash| PasswordHash::new(hash).unwrap());
        assert_eq!((made_up.algorithm, made_up.version), (real.algorithm, real.version));
        assert_eq!(made_up.params, real.params);
        assert_eq!(made_up.salt.unwrap().as_str().len(), real.salt.unwrap().as_str().len());
        assert_eq!(made_up.hash.unwrap().len(), real.hash.unwrap().len());
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other_is() {
        let passwords = Passwords::new().unwrap();
        let good = "tricky-otter-lamp-31";
        let hash = passwords.hash(good.into(), "ana".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !hash.contains(good), "{hash}");
        assert_ne!(hash, passwords.hash(good.into(), "ana".into()).await.unwrap(), "each has its own salt");
        let verify = |password: &str, known: Option<&str>| {
            passwords.verify(password.to_owned(), known.map(str::to_owned))
        };
        assert!(verify(good, Some(&hash)).await.unwrap());
        for wrong in ["", "tricky-otter-lamp-32", &good.to_uppercase(), &"x".repeat(100_000)] {
            assert!(!verify(wrong, Some(&hash)).await.unwrap(), "{wrong:.30}");
        }
        assert!(!verify(good, None).await.unwrap(), "nobody has no password");
        assert!(verify(good, Some("damaged")).await.is_err());
    }

    #[test]
    fn what_is_easy_to_guess_is_refused_with_advice() {
        for weak in ["", "short", "password123", "qwertyuiop", "ana-ana-ana", "workspace", &"a".repeat(300)] {
            assert!(matches!(judge(weak, "ana"), Err(PasswordError::Weak(_))), "{weak:.30}");
        }
        assert!(judge("tricky-otter-lamp-31", "ana").is_ok());
        assert!(judge(&"tricky otter lamp ".repeat(14), "ana").is_ok(), "a long one is judged in time");
    }

    #[tokio::test]
    async fn those_who_wait_too_long_are_told() {
        let passwords = Passwords::new().unwrap();
        let _all = passwords.turns.clone().acquire_many_owned(2).await.unwrap();
        tokio::time::pause();
        assert_eq!(passwords.verify("x".into(), None).await, Err(PasswordError::Busy));
    }
}
