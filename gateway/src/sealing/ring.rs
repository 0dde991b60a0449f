//! The sealing keys: the one in use, and those that may have sealed what is stored, until all of it is sealed anew.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use berth_daemon::state::write_private;
use chacha20poly1305::aead::KeyInit;
use chacha20poly1305::{Key, XChaCha20Poly1305};
use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use super::SealingError;
use crate::settings::SealingSettings;

/// File name of the key in the state directory, and of the credential that takes its place.
const FILE: &str = "sealing.key";

/// Where systemd puts what the unit was given by `LoadCredential=`.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

const KEY_BYTES: usize = 32;

/// How a key is named in what it has sealed.
pub(super) type KeyId = [u8; 4];

/// A key.
#[derive(Clone)]
pub(super) struct SealingKey {
    pub(super) id: KeyId,
    pub(super) cipher: XChaCha20Poly1305,
    text: String,
}

impl SealingKey {
    /// Another key.
    pub(super) fn random() -> Self {
        Self::from_bytes(super::random())
    }

    fn from_bytes(key: [u8; KEY_BYTES]) -> Self {
        let digest = Sha256::digest([b"berth sealing key id".as_slice(), &key].concat());
        let [a, b, c, d, ..] = <[u8; 32]>::from(digest);
        Self { id: [a, b, c, d], cipher: XChaCha20Poly1305::new(&Key::from(key)), text: BASE64.encode(&key) }
    }

    fn from_base64(text: &str, origin: &str) -> Result<Self, SealingError> {
        let invalid = || SealingError::InvalidKey(origin.to_owned());
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| invalid())?;
        Ok(Self::from_bytes(bytes.try_into().map_err(|_| invalid())?))
    }
}

/// A new key, as its file has it.
#[must_use]
pub fn new_key() -> String {
    SealingKey::random().text
}

/// From where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A setting, which is there as long as the process.
    Setting,
    /// A file that systemd gives to the unit; another of the same name is there after the next start.
    Credential(PathBuf),
    /// A file of the gateway's own.
    File(PathBuf),
}

/// What tells that a file was replaced.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Stamp(u64, i64, i64, u64);

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        Ok(Self(file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
    }
}

/// The keys. Never empty: the first is the one in use.
#[derive(Clone)]
pub(super) struct Ring {
    pub(super) keys: Vec<SealingKey>,
    pub(super) place: Place,
    stamp: Option<Stamp>,
}

impl Ring {
    /// The keys of the settings, of the unit's credential, or of the state directory, where one is made if `may_make`.
    pub(super) fn open(
        settings: &SealingSettings,
        state_dir: &Path,
        may_make: bool,
    ) -> Result<Self, SealingError> {
        if let Some(key) = &settings.key {
            let keys = vec![SealingKey::from_base64(key.expose(), "sealing.key")?];
            return Ok(Self { keys, place: Place::Setting, stamp: None });
        }
        let credential = std::env::var_os(CREDENTIALS).map(|directory| PathBuf::from(directory).join(FILE));
        match (&settings.key_file, credential.filter(|path| path.exists())) {
            (Some(path), _) => Self::read(Place::File(path.clone())),
            (None, Some(path)) => Self::read(Place::Credential(path)),
            (None, None) => {
                let path = state_dir.join(FILE);
                if may_make && !path.exists() {
                    write_private(&path, format!("{}\n", new_key()).as_bytes())?;
                }
                Self::read(Place::File(path))
            }
        }
    }

    fn read(place: Place) -> Result<Self, SealingError> {
        let (Place::Credential(path) | Place::File(path)) = &place else {
            unreachable!("a setting is no file");
        };
        let unreadable = |source| match &place {
            Place::File(path) if io::Error::kind(&source) == io::ErrorKind::NotFound => {
                SealingError::Missing(path.clone())
            }
            _ => SealingError::Unreadable { path: path.clone(), source },
        };
        let stamp = Stamp::of(path).map_err(unreadable)?;
        // systemd guards what is its own by the directory.
        if matches!(place, Place::File(_)) {
            let mode = fs::metadata(path).map_err(unreadable)?.mode();
            if mode & 0o077 != 0 {
                return Err(SealingError::Exposed(path.clone()));
            }
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let origin = path.display().to_string();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys = lines.map(|line| SealingKey::from_base64(line, &origin)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(SealingError::InvalidKey(origin));
        }
        Ok(Self { keys, place, stamp: Some(stamp) })
    }

    /// The keys anew, if their file was replaced.
    pub(super) fn newer(&self) -> Result<Option<Self>, SealingError> {
        let (Place::Credential(path) | Place::File(path)) = &self.place else { return Ok(None) };
        // A file that can't be looked at has nothing new to say.
        match Stamp::of(path) {
            Ok(stamp) if Some(&stamp) != self.stamp.as_ref() => Self::read(self.place.clone()).map(Some),
            _ => Ok(None),
        }
    }

    /// The same with other keys, written to its file.
    pub(super) fn replace(&self, keys: Vec<SealingKey>) -> Result<Self, SealingError> {
        let Place::File(path) = &self.place else { return Err(SealingError::NotOurs) };
        let text: String = keys.iter().map(|key| format!("{}\n", key.text)).collect();
        write_private(path, text.as_bytes())?;
        Self::read(self.place.clone())
    }
}
