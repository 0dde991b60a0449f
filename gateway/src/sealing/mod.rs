//! Seals secrets before they are stored: XChaCha20-Poly1305 with a key that is not in the store.
//!
//! A sealed value is a version byte, the key's id, a random nonce and the ciphertext. Its purpose is authenticated with
//! it, so that one row's secret can't be moved into another's place. Values of the first version name no key.
//!
//! Keys are followed as their file changes, so a gateway that runs takes part in their rotation (`rotation`).

mod ring;
mod rotation;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use berth_daemon::state::StateError;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};

use crate::settings::SealingSettings;
pub use ring::new_key;
use ring::{KeyId, Place, Ring, SealingKey};
pub use rotation::{RotationError, rotate};

/// The version that names no key, ...
const UNNAMED: u8 = 1;

/// ... and the one that does.
const NAMED: u8 = 2;

const NONCE_BYTES: usize = 24;
const ID_BYTES: usize = size_of::<KeyId>();

/// Why a secret can't be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The key is not 32 bytes in base64.
    #[error("{0} is not a sealing key: expected 32 bytes in base64")]
    InvalidKey(String),
    /// The key file can't be read.
    #[error("failed to read the sealing key {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// There is none, and the store was made with one.
    #[error(
        "the sealing key {0} is missing, and the store was made with one: put it back, or name it by sealing.key_file"
    )]
    Missing(PathBuf),
    /// Others may read the key file.
    #[error("others may read the sealing key {0}: make it the gateway's own (chmod 600)")]
    Exposed(PathBuf),
    /// The keys are not in a file that the gateway may write.
    #[error(
        "the sealing key is a setting or a credential of the unit, which this program can't change: write a new key above \
         the old one there (`gateway keys generate` makes one), restart the gateway, and rotate then"
    )]
    NotOurs,
    /// The key file can't be made.
    #[error(transparent)]
    State(#[from] StateError),
    /// The value was sealed with another key or for another purpose, or it is damaged.
    #[error("failed to open the sealed {0}: use the sealing key that this store was made with")]
    WrongKey(String),
}

/// The installation's sealing keys, ready for use.
#[derive(Clone)]
pub struct Sealer(Arc<RwLock<Ring>>);

impl Sealer {
    /// Uses the key of the settings, else the credential `sealing.key` of the unit, else the one in
    /// `<state_dir>/sealing.key`, which is made when absent and `may_make`.
    ///
    /// # Errors
    /// [`SealingError`].
    pub fn open(settings: &SealingSettings, state_dir: &Path, may_make: bool) -> Result<Self, SealingError> {
        Ok(Self(Arc::new(RwLock::new(Ring::open(settings, state_dir, may_make)?))))
    }

    /// The keys as they are now.
    fn keys(&self) -> Vec<SealingKey> {
        let newer = self.0.read().unwrap_or_else(PoisonError::into_inner).newer();
        match newer {
            Ok(None) => {}
            Ok(Some(ring)) => *self.0.write().unwrap_or_else(PoisonError::into_inner) = ring,
            Err(error) => {
                let error = berth_daemon::exit::chain(&error);
                tracing::error!(%error, "the sealing keys were changed and can't be used; those before are");
            }
        }
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    fn place(&self) -> Place {
        self.0.read().unwrap_or_else(PoisonError::into_inner).place.clone()
    }

    /// Uses other keys, and writes them to where these are from.
    fn replace(&self, keys: Vec<SealingKey>) -> Result<(), SealingError> {
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *ring = ring.replace(keys)?;
        Ok(())
    }

    /// Seals `plain` for `purpose`, such as `ca-key/<id>`.
    ///
    /// # Panics
    /// Never: there is a key, and encryption of a short buffer does not fail.
    #[must_use]
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let keys = self.keys();
        let SealingKey { id, cipher, .. } = keys.first().expect("there is a key");
        let nonce = random::<NONCE_BYTES>();
        let payload = Payload { msg: plain, aad: purpose.as_bytes() };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).expect("a short buffer is encrypted");
        [&[NAMED], id.as_slice(), nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`Sealer::seal`] made for the same purpose.
    ///
    /// # Errors
    /// [`SealingError::WrongKey`].
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, SealingError> {
        let keys = self.keys();
        let (id, rest) = parts(sealed).ok_or_else(|| SealingError::WrongKey(purpose.to_owned()))?;
        // Ids are short: they save the trouble of trying, and prove nothing.
        keys.iter()
            .filter(|key| id.is_none_or(|id| id == key.id))
            .find_map(|key| {
                let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
                let payload = Payload { msg: ciphertext, aad: purpose.as_bytes() };
                key.cipher.decrypt(&XNonce::from(*nonce), payload).ok()
            })
            .ok_or_else(|| SealingError::WrongKey(purpose.to_owned()))
    }

    /// What was sealed with another key than the one in use, sealed anew. `None`: it was sealed with that one.
    ///
    /// # Errors
    /// [`SealingError::WrongKey`].
    pub fn reseal(&self, purpose: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, SealingError> {
        let current = self.keys().first().map(|key| key.id);
        if parts(sealed).is_some_and(|(id, _)| id.is_some() && id == current) {
            return Ok(None);
        }
        Ok(Some(self.seal(purpose, &self.unseal(purpose, sealed)?)))
    }
}

/// The key's id, if the value names one, and what follows it.
fn parts(sealed: &[u8]) -> Option<(Option<KeyId>, &[u8])> {
    match sealed.split_first()? {
        (&UNNAMED, rest) => Some((None, rest)),
        (&NAMED, rest) => rest.split_first_chunk::<ID_BYTES>().map(|(id, rest)| (Some(*id), rest)),
        _ => None,
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use berth_daemon::state::write_private;

    use super::*;

    #[test]
    fn a_secret_opens_with_its_key_and_purpose_only() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&SealingSettings::default(), dir.path(), true).unwrap();
        let sealed = sealer.seal("ca-key/1", b"hush");
        assert!(!sealed.windows(4).any(|window| window == b"hush"));

        let again = Sealer::open(&SealingSettings::default(), dir.path(), true).unwrap();
        assert_eq!(again.unseal("ca-key/1", &sealed).unwrap(), b"hush");
        assert!(again.unseal("ca-key/2", &sealed).is_err());

        let elsewhere = tempfile::tempdir().unwrap();
        let other = Sealer::open(&SealingSettings::default(), elsewhere.path(), true).unwrap();
        assert!(other.unseal("ca-key/1", &sealed).is_err());

        let mut damaged = sealed;
        *damaged.last_mut().unwrap() ^= 1;
        assert!(again.unseal("ca-key/1", &damaged).is_err());
    }

    #[test]
    fn values_of_the_first_version_open_and_are_sealed_anew() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&SealingSettings::default(), dir.path(), true).unwrap();
        let named = sealer.seal("a", b"hush");
        assert_eq!(sealer.reseal("a", &named).unwrap(), None);
        let unnamed = [&[UNNAMED], &named[1 + ID_BYTES..]].concat();
        assert_eq!(sealer.unseal("a", &unnamed).unwrap(), b"hush");
        let anew = sealer.reseal("a", &unnamed).unwrap().unwrap();
        assert_eq!((anew[0], sealer.unseal("a", &anew).unwrap().as_slice()), (NAMED, b"hush".as_slice()));
        for cut in [&named[..0], &named[..3], &named[..10], &[9][..]] {
            sealer.unseal("a", cut).unwrap_err();
        }
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_gone_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealing.key");
        let open = |may_make| Sealer::open(&SealingSettings::default(), dir.path(), may_make);
        assert!(matches!(open(false).err().unwrap(), SealingError::Missing(_)));
        open(true).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(open(false).err().unwrap(), SealingError::Exposed(_)));
        let elsewhere = dir.path().join("elsewhere");
        std::fs::rename(&path, &elsewhere).unwrap();
        std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o600)).unwrap();
        let settings = SealingSettings { key_file: Some(elsewhere), ..SealingSettings::default() };
        Sealer::open(&settings, dir.path(), false).unwrap();
    }

    #[test]
    fn a_short_key_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        write_private(&dir.path().join("sealing.key"), b"c2hvcnQ=").unwrap();
        let error = Sealer::open(&SealingSettings::default(), dir.path(), true).err().unwrap();
        assert!(error.to_string().contains("sealing.key is not a sealing key"), "{error}");
    }
}
