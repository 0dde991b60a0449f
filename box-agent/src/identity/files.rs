//! The identity directory: read as it is, written whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use berth_daemon::state::{StateError, private_dir, write_private};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::{Documents, Identity, IdentityError};
use crate::fault;

pub(super) const KEY: &str = "key.pem";
pub(super) const CERTIFICATE: &str = "certificate.pem";
pub(super) const CA: &str = "ca.pem";
const FACTS: &str = "identity.json";

/// What the directory is called until it is published; a process id follows.
const STAGING: &str = "identity.new-";

fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("identity")
}

/// Reads the identity of a state directory.
///
/// # Errors
/// [`IdentityError`].
pub fn load(state_dir: &Path) -> Result<Identity, IdentityError> {
    read(state_dir)?.verify(&directory(state_dir))
}

/// The texts of a state directory's identity.
pub(super) fn read(state_dir: &Path) -> Result<Documents, IdentityError> {
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
    Ok(Documents { facts, key_pem: read(KEY)?, certificate_pem: read(CERTIFICATE)?, ca_pem: read(CA)? })
}

/// Removes what attempts have left that were cut short: nothing else may be at work on the directory.
pub fn tidy(state_dir: &Path) {
    let Ok(entries) = fs::read_dir(state_dir) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(STAGING)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            let path = entry.path();
            tracing::warn!(path = %path.display(), %error, "what is left of an attempt stays");
        }
    }
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
    Staged::write(state_dir, documents)?.publish()
}

/// An identity that is written and not in force yet. Dropping it removes it.
pub(super) struct Staged {
    identity: Identity,
    staging: PathBuf,
    dir: PathBuf,
}

impl Staged {
    /// Writes an identity beside the one that is there.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(super) fn write(state_dir: &Path, documents: &Documents) -> Result<Self, IdentityError> {
        let dir = directory(state_dir);
        let identity = documents.verify(&dir)?;
        let staging = state_dir.join(format!("{STAGING}{}", std::process::id()));
        let this = Self { identity, staging, dir };
        let write = |name: &str, text: &str| write_private(&this.staging.join(name), text.as_bytes());
        private_dir(&this.staging)?;
        let facts = serde_json::to_string_pretty(&documents.facts)
            .map_err(|error| unwritable(&this.dir, error.into()))?;
        write(FACTS, &facts)?;
        write(KEY, &documents.key_pem)?;
        fault::after("identity-half-written");
        write(CERTIFICATE, &documents.certificate_pem)?;
        write(CA, &documents.ca_pem)?;
        Ok(this)
    }

    /// The identity.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Puts it in force, in place of what was there.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(super) fn publish(self) -> Result<Identity, IdentityError> {
        publish(&self.staging, &self.dir).map_err(|source| unwritable(&self.dir, source))?;
        fault::after("identity-published");
        Ok(self.identity.clone())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What stays there is an attempt that failed, or the identity that was replaced.
        let _ = fs::remove_dir_all(&self.staging);
    }
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
