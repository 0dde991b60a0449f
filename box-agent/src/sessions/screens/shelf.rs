//! Where last screens wait for the panes that show them: files in memory that the user of terminals reads and
//! removes. Root writes them while the directory is still its own, and then gives it away and never goes back.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};

use berth_daemon::state::{StateError, private_dir};
use berth_protocol::ids::SessionId;

use crate::host::account::Account;
use crate::host::runtime::{RuntimeError, share};

/// The directory.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
    account: Account,
}

/// Why nothing could be put there.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShelfError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Rights(#[from] RuntimeError),
    #[error("failed to write below {path}")]
    Unwritable { path: PathBuf, source: io::Error },
}

impl Shelf {
    /// A shelf in the runtime directory, for this user.
    #[must_use]
    pub fn new(dir: PathBuf, account: Account) -> Self {
        Self { dir, account }
    }

    /// Puts a session's texts there, by their panes' addresses, and takes away what is left of earlier ones.
    pub(super) fn put(
        &self,
        session: &SessionId,
        texts: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, PathBuf>, ShelfError> {
        self.clear(session);
        if texts.is_empty() {
            return Ok(BTreeMap::new());
        }
        private_dir(&self.dir)?;
        if self.account.is_another() {
            share(&self.dir, &self.account, 0o750)?;
        }
        let dir = self.dir.join(session.as_str());
        let unwritable = |source| ShelfError::Unwritable { path: dir.clone(), source };
        fs::create_dir(&dir).map_err(unwritable)?;
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(unwritable)?;
        let mut files = BTreeMap::new();
        for (index, (pane, text)) in texts.iter().enumerate() {
            let path = dir.join(index.to_string());
            self.write(&path, text).map_err(unwritable)?;
            files.insert(pane.clone(), path);
        }
        self.give(&dir).map_err(unwritable)?;
        Ok(files)
    }

    /// Takes away what a session's panes have left.
    pub fn clear(&self, session: &SessionId) {
        let dir = self.dir.join(session.as_str());
        // By handle: a link that the user puts in there leads nowhere else.
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %dir.display(), %error, "failed to clear the last screens away");
            }
            _ => {}
        }
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        self.give(path)
    }

    fn give(&self, path: &Path) -> io::Result<()> {
        if self.account.is_another() {
            lchown(path, Some(self.account.uid.as_raw()), Some(self.account.gid.as_raw()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use nix::unistd::Uid;

    use super::*;

    fn texts(text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("%3".to_owned(), text.to_owned())])
    }

    #[test]
    fn a_text_waits_until_it_is_replaced_or_cleared() {
        let (dir, id) = (tempfile::tempdir().unwrap(), SessionId::random());
        let account = Account::find(None, "/h".into(), None).unwrap();
        let shelf = Shelf::new(dir.path().join("screens"), account);
        let file = shelf.put(&id, &texts("one")).unwrap().remove("%3").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let file = shelf.put(&id, &texts("two")).unwrap().remove("%3").unwrap_or(file);
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        shelf.clear(&id);
        assert!(!file.exists());
        assert!(shelf.put(&id, &BTreeMap::new()).unwrap().is_empty());
    }

    #[test]
    fn another_user_gets_the_files_and_root_follows_no_link_of_theirs() {
        if !Uid::effective().is_root() {
            eprintln!("skipped: only root runs terminals as another user");
            return;
        }
        let (dir, id) = (tempfile::tempdir().unwrap(), SessionId::random());
        let nobody = Account::find(Some("nobody"), "/h".into(), None).unwrap();
        let shelf = Shelf::new(dir.path().join("screens"), nobody.clone());
        let file = shelf.put(&id, &texts("one")).unwrap().remove("%3").unwrap();
        for path in [file.as_path(), file.parent().unwrap()] {
            assert_eq!(fs::metadata(path).unwrap().uid(), nobody.uid.as_raw());
        }
        assert_eq!(fs::metadata(shelf.dir.clone()).unwrap().uid(), 0);
        // What the user could do in a directory of its own.
        let precious = dir.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("file"), "kept").unwrap();
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&precious, &file).unwrap();
        std::os::unix::fs::symlink(&precious, file.parent().unwrap().join("more")).unwrap();
        let again = shelf.put(&id, &texts("two")).unwrap().remove("%3").unwrap();
        assert!(fs::symlink_metadata(&again).unwrap().is_file());
        assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "kept");
    }
}
