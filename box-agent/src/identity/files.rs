//! The identity directory: read as it is, written whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use berth_daemon::state::{StateError, private_dir, write_private};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::{Documents, Identity, IdentityError};

pub(super) const KEY: &str = "key.pem";
pub(super) const CERTIFICATE: &str = "certificate.pem";
pub(super) const CA: &str = "ca.pem";
const FACTS: &str = "identity.json";

fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("identity")
}

/// Reads the identity of a state directory.
///
/// # Errors
/// [`IdentityError`].
pub fn load(state_dir: &Path) -> Result<Identity, IdentityError> {
    let dir = directory(state_dir);
    match dir.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(IdentityError::NotEnrolled),
        Err(source) => return Err(IdentityError::Unreadable { path: dir, source }),
    }
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(|source| IdentityError::Unreadable { path, source })
    };
    let facts = serde_json::from_str(&read(FACTS)?).map_err(|error| IdentityError::Damaged {
        place: dir.display().to_string(),
        problem: format!("{FACTS}: {error}"),
    })?;
    let documents =
        Documents { facts, key_pem: read(KEY)?, certificate_pem: read(CERTIFICATE)?, ca_pem: read(CA)? };
    documents.verify(&dir)
}

/// Refuses a state directory that has an identity which is not to be replaced.
///
/// # Errors
/// [`IdentityError::AlreadyEnrolled`].
pub(super) fn check_vacant(state_dir: &Path, replace: bool) -> Result<(), IdentityError> {
    let dir = directory(state_dir);
    // What can't be looked at is not vacant either; writing then tells why.
    if !replace && dir.try_exists().unwrap_or(true) {
        return Err(IdentityError::AlreadyEnrolled(dir));
    }
    Ok(())
}

/// Writes an identity: the whole of it is there afterwards, or what was there before.
///
/// # Errors
/// [`IdentityError`], [`IdentityError::AlreadyEnrolled`] among them unless `replace`.
pub fn store(state_dir: &Path, documents: &Documents, replace: bool) -> Result<Identity, IdentityError> {
    check_vacant(state_dir, replace)?;
    let dir = directory(state_dir);
    let identity = documents.verify(&dir)?;
    let staging = state_dir.join(format!("identity.new-{}", std::process::id()));
    let write = |name: &str, text: &str| write_private(&staging.join(name), text.as_bytes());
    let written = (|| -> Result<(), IdentityError> {
        private_dir(&staging)?;
        let facts =
            serde_json::to_string_pretty(&documents.facts).map_err(|error| unwritable(&dir, error.into()))?;
        write(FACTS, &facts)?;
        write(KEY, &documents.key_pem)?;
        write(CERTIFICATE, &documents.certificate_pem)?;
        write(CA, &documents.ca_pem)?;
        publish(&staging, &dir).map_err(|source| unwritable(&dir, source))
    })();
    // What stays there is an attempt that failed, or the identity that was replaced.
    let _ = fs::remove_dir_all(&staging);
    written?;
    Ok(identity)
}

fn unwritable(path: &Path, source: io::Error) -> IdentityError {
    StateError::Unwritable { path: path.to_owned(), source }.into()
}

/// Gives the new directory its name: by exchange when there is an old one, so that the name is never vacant.
fn publish(staging: &Path, dir: &Path) -> io::Result<()> {
    let rename = |flags| renameat2(AT_FDCWD, staging, AT_FDCWD, dir, flags).map_err(io::Error::from);
    match rename(RenameFlags::RENAME_NOREPLACE) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => rename(RenameFlags::RENAME_EXCHANGE)?,
        outcome => outcome?,
    }
    File::open(dir.parent().unwrap_or(Path::new("/")))?.sync_all()
}
