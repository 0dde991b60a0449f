//! Seals secrets before they are stored: XChaCha20-Poly1305 with a key that is not in the store.
//!
//! A sealed value is one version byte, a random nonce and the ciphertext. Its purpose is authenticated with
//! it, so that one row's secret can't be moved into another's place.

use std::io;
use std::path::{Path, PathBuf};

use berth_daemon::state::{StateError, write_private};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use data_encoding::BASE64;

use crate::settings::SealingSettings;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

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
    /// The key file can't be made.
    #[error(transparent)]
    State(#[from] StateError),
    /// The value was sealed with another key or for another purpose, or it is damaged.
    #[error("failed to open the sealed {0}: use the sealing key that this store was made with")]
    WrongKey(String),
}

/// The installation's sealing key, ready for use.
#[derive(Clone)]
pub struct Sealer(XChaCha20Poly1305);

impl Sealer {
    /// Uses the key of the settings, else the one in `<state_dir>/sealing.key`, which is made when absent.
    ///
    /// # Errors
    /// [`SealingError`].
    pub fn open(settings: &SealingSettings, state_dir: &Path) -> Result<Self, SealingError> {
        if let Some(key) = &settings.key {
            return Self::from_base64(key.expose(), "sealing.key");
        }
        let path = state_dir.join("sealing.key");
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::from_base64(text.trim(), &path.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = random::<KEY_BYTES>();
                write_private(&path, BASE64.encode(&key).as_bytes())?;
                Ok(Self::from_bytes(key))
            }
            Err(source) => Err(SealingError::Unreadable { path, source }),
        }
    }

    fn from_base64(text: &str, origin: &str) -> Result<Self, SealingError> {
        let invalid = || SealingError::InvalidKey(origin.to_owned());
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| invalid())?;
        Ok(Self::from_bytes(bytes.try_into().map_err(|_| invalid())?))
    }

    fn from_bytes(key: [u8; KEY_BYTES]) -> Self {
        Self(XChaCha20Poly1305::new(&Key::from(key)))
    }

    /// Seals `plain` for `purpose`, such as `ca-key/<id>`.
    ///
    /// # Panics
    /// Never: encryption of a short buffer does not fail.
    #[must_use]
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let nonce = random::<NONCE_BYTES>();
        let payload = Payload { msg: plain, aad: purpose.as_bytes() };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).expect("a short buffer is encrypted");
        [&[VERSION], nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`Sealer::seal`] made for the same purpose.
    ///
    /// # Errors
    /// [`SealingError::WrongKey`].
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, SealingError> {
        let wrong = || SealingError::WrongKey(purpose.to_owned());
        let rest = sealed.strip_prefix(&[VERSION]).ok_or_else(wrong)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(wrong)?;
        let payload = Payload { msg: ciphertext, aad: purpose.as_bytes() };
        self.0.decrypt(&XNonce::from(*nonce), payload).map_err(|_| wrong())
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_with_its_key_and_purpose_only() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&SealingSettings::default(), dir.path()).unwrap();
        let sealed = sealer.seal("ca-key/1", b"hush");
        assert!(!sealed.windows(4).any(|window| window == b"hush"));

        let again = Sealer::open(&SealingSettings::default(), dir.path()).unwrap();
        assert_eq!(again.unseal("ca-key/1", &sealed).unwrap(), b"hush");
        assert!(again.unseal("ca-key/2", &sealed).is_err());

        let elsewhere = tempfile::tempdir().unwrap();
        let other = Sealer::open(&SealingSettings::default(), elsewhere.path()).unwrap();
        assert!(other.unseal("ca-key/1", &sealed).is_err());

        let mut damaged = sealed;
        *damaged.last_mut().unwrap() ^= 1;
        assert!(again.unseal("ca-key/1", &damaged).is_err());
    }

    #[test]
    fn a_short_key_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sealing.key"), "c2hvcnQ=").unwrap();
        let error = Sealer::open(&SealingSettings::default(), dir.path()).err().unwrap();
        assert!(error.to_string().contains("sealing.key is not a sealing key"), "{error}");
    }
}
