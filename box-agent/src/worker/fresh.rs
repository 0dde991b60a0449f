//! A file that is not there until it is whole, and that never takes another's place.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

/// What others may do with new files, less the user's umask.
const MODE: Mode = Mode::from_bits_truncate(0o644);

/// What a new file is written as.
const WRITE: OFlag = OFlag::O_WRONLY.union(OFlag::O_CLOEXEC);

/// How often a name of its own is drawn where files need one from the start.
const DRAWS: usize = 8;

/// A directory that stays the same one, whatever becomes of its path.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// A new file in a directory, as yet without the name that it is to have. Dropped, it is gone.
#[derive(Debug)]
pub struct Fresh<'a> {
    directory: &'a Directory,
    /// Its content.
    pub file: File,
    /// A name that it has meanwhile, where the file system knows no file without one.
    temporary: Option<String>,
}

impl Directory {
    /// Opens a directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> nix::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        open(path, flags, Mode::empty()).map(Self)
    }

    /// The directory's handle.
    #[must_use]
    pub fn handle(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Begins a file.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(&self) -> nix::Result<Fresh<'_>> {
        match openat(&self.0, ".", WRITE | OFlag::O_TMPFILE, MODE) {
            Ok(file) => Ok(Fresh { directory: self, file: file.into(), temporary: None }),
            // What kernels say whose file system has none without a name.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => self.begin_named(),
            Err(error) => Err(error),
        }
    }

    fn begin_named(&self) -> nix::Result<Fresh<'_>> {
        let mut last = Errno::EEXIST;
        for _ in 0..DRAWS {
            let name = hidden();
            let flags = WRITE | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
            match openat(&self.0, name.as_str(), flags, MODE) {
                Ok(file) => return Ok(Fresh { directory: self, file: file.into(), temporary: Some(name) }),
                Err(Errno::EEXIST) => {}
                Err(error) => {
                    last = error;
                    break;
                }
            }
        }
        Err(last)
    }

    /// Makes sure that names are on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> nix::Result<()> {
        nix::unistd::fsync(&self.0)
    }
}

impl From<OwnedFd> for Directory {
    /// A directory that was opened before.
    fn from(handle: OwnedFd) -> Self {
        Self(handle)
    }
}

impl Fresh<'_> {
    /// Puts the file in the place of what has the name, in one step.
    ///
    /// # Errors
    /// What the system says; what has the name stays then.
    pub fn replace(&self, name: &str) -> nix::Result<()> {
        let directory = self.directory.handle();
        if let Some(temporary) = &self.temporary {
            return renameat(directory, temporary.as_str(), directory, name);
        }
        let between = hidden();
        self.link(&between)?;
        renameat(directory, between.as_str(), directory, name).inspect_err(|_| {
            // What is left of the attempt; there is nothing to be done if even that fails.
            let _ = unlinkat(directory, between.as_str(), UnlinkatFlags::NoRemoveDir);
        })
    }

    /// Gives the file a name. What has that name already, a link that leads nowhere too, stays what it is.
    ///
    /// # Errors
    /// `EEXIST` when the name is taken, or what else the system says.
    pub fn link(&self, name: &str) -> nix::Result<()> {
        let to = self.directory.0.as_fd();
        match &self.temporary {
            Some(temporary) => linkat(to, temporary.as_str(), to, name, AtFlags::empty()),
            None => {
                // The one way to name an open file that needs no privilege.
                let open = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(AT_FDCWD, open.as_str(), to, name, AtFlags::AT_SYMLINK_FOLLOW)
            }
        }
    }
}

/// A name that nobody else will choose.
fn hidden() -> String {
    format!(".berth-upload-{:016x}", fastrand::u64(..))
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // A directory that is gone has taken it along.
            let _ = unlinkat(&self.directory.0, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Both kinds of new file, whatever the file system of the test.
    fn both(directory: &Directory) -> [Fresh<'_>; 2] {
        [directory.begin().unwrap(), directory.begin_named().unwrap()]
    }

    #[test]
    fn a_file_is_there_once_it_has_a_name_and_leaves_nothing_without() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        for (index, mut fresh) in both(&directory).into_iter().enumerate() {
            fresh.file.write_all(b"whole").unwrap();
            fresh.link(&format!("named-{index}")).unwrap();
        }
        drop(both(&directory));
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["named-0", "named-1"]);
        assert_eq!(std::fs::read(dir.path().join("named-1")).unwrap(), b"whole");
        directory.sync().unwrap();
    }

    #[test]
    fn a_name_that_is_taken_stays_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        std::fs::write(dir.path().join("file"), "old").unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("link")).unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        for fresh in both(&directory) {
            for name in ["file", "link", "dir"] {
                assert_eq!(fresh.link(name), Err(Errno::EEXIST), "{name}");
            }
        }
        assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"old");
        assert!(!dir.path().join("elsewhere").exists());
    }
}
