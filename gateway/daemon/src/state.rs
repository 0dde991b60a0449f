//! Private files, written whole or not at all, and the lock that keeps a state directory to one process.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a lock is waited for. A process that was killed while it started another one has left a copy of itself, which
/// holds its locks until it has become that other program: a moment, or more where the processors are busy.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pause between looks at a lock that somebody holds.
const PAUSE: Duration = Duration::from_millis(10);

/// Why a state directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process has it.
    #[error("{0} is in use by another process: stop that one, or choose another state directory")]
    InUse(PathBuf),
    /// The file system refuses.
    #[error(
        "failed to write {path}: make the directory writable for this user, or choose another state directory"
    )]
    Unwritable {
        /// What was to be written.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
}

impl StateError {
    fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Unwritable { path: path.to_owned(), source }
    }
}

/// Makes a directory, with its parents, that only this user may enter. One that exists stays as it is.
///
/// # Errors
/// [`StateError::Unwritable`].
pub fn private_dir(path: &Path) -> Result<(), StateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StateError::unwritable(path))
}

/// Replaces a file that only this user may read: its old content or its new one is there, never half of it.
///
/// # Errors
/// [`StateError::Unwritable`].
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let write = || {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.new", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(StateError::unwritable(path))
}

/// Holds a directory for this process until dropped, or until the process is gone, however it ends.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl StateLock {
    /// Takes the lock file `name` in `dir`. Blocks for up to two seconds while it is held.
    ///
    /// # Errors
    /// [`StateError::InUse`] when another process holds it, [`StateError::Unwritable`].
    pub fn acquire(dir: &Path, name: &str) -> Result<Self, StateError> {
        let (path, file) = Self::open(dir, name)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Err(StateError::InUse(dir.to_owned())),
                Err(TryLockError::Error(source)) => return Err(StateError::Unwritable { path, source }),
            }
        }
    }

    /// Like [`StateLock::acquire`], but waits for the other process: for work that is soon done.
    ///
    /// # Errors
    /// [`StateError::Unwritable`].
    pub fn wait(dir: &Path, name: &str) -> Result<Self, StateError> {
        let (path, file) = Self::open(dir, name)?;
        file.lock().map_err(StateError::unwritable(&path))?;
        Ok(Self(file))
    }

    fn open(dir: &Path, name: &str) -> Result<(PathBuf, File), StateError> {
        private_dir(dir)?;
        let path = dir.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(StateError::unwritable(&path))?;
        Ok((path, file))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_private_file_is_replaced_whole_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, b"old").unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn one_directory_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let lock = StateLock::acquire(dir.path(), "lock").unwrap();
        assert!(matches!(StateLock::acquire(dir.path(), "lock"), Err(StateError::InUse(_))));
        drop(lock);
        StateLock::acquire(dir.path(), "lock").unwrap();
    }

    #[test]
    fn a_lock_that_a_killed_process_left_to_its_child_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let left = File::create(dir.path().join("lock")).unwrap();
        left.lock().unwrap();
        let child = thread::spawn(move || {
            // It becomes another program, sooner than anybody gives up.
            thread::sleep(PATIENCE / 10);
            drop(left);
        });
        StateLock::acquire(dir.path(), "lock").unwrap();
        child.join().unwrap();
    }
}
