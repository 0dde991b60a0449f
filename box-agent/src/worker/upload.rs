//! Writes one uploaded file: whole or not at all, and never in the place of another.

use std::io::{self, Read};
use std::path::Path;

use berth_protocol::control::files::FileName;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::fresh::{Directory, Fresh};

/// Numbers that are tried when a name is taken.
const NUMBERS: u32 = 999;

/// What became of a file, as the worker tells the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is there, under this name.
    Stored(String),
    /// It is not.
    Failed(Failure),
}

/// Why a file is not there. Nothing of it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The directory is not there, or is none.
    #[error("the directory is not there")]
    DirectoryGone,
    /// This user may not write to it, or nobody may.
    #[error("the directory can't be written to")]
    DirectoryNotWritable,
    /// Disk or quota are full.
    #[error("there is no room for the file")]
    NoSpace,
    /// The name is taken with every number.
    #[error("the name is taken, with every number up to {NUMBERS}")]
    NamesTaken,
    /// Fewer bytes came than the file has.
    #[error("the file did not come whole")]
    Incomplete,
    /// Something else.
    #[error("the file can't be written: {0}")]
    Other(String),
}

/// Writes a file of exactly `length` bytes from `source` into a directory, as `name` or, where that is taken,
/// with a number: the name that it got.
///
/// # Errors
/// [`Failure`].
pub fn store(directory: &Path, name: &FileName, length: u64, source: impl Read) -> Result<String, Failure> {
    let directory = Directory::open(directory)?;
    let mut fresh = directory.begin()?;
    let copied = io::copy(&mut source.take(length), &mut fresh.file)?;
    if copied != length {
        return Err(Failure::Incomplete);
    }
    fresh.file.sync_all()?;
    let stored = link(&fresh, name)?;
    // The file is there and whole. Where directories can't be synced, their names are soon on the disk too.
    let _ = directory.sync();
    Ok(stored)
}

fn link(fresh: &Fresh<'_>, name: &FileName) -> Result<String, Failure> {
    let numbered = (1..=NUMBERS).map(|number| name.numbered(number));
    for candidate in std::iter::once(name.clone()).chain(numbered) {
        match fresh.link(candidate.as_str()) {
            Ok(()) => return Ok(candidate.to_string()),
            Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::NamesTaken)
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        match error {
            Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => Self::DirectoryGone,
            Errno::EACCES | Errno::EPERM | Errno::EROFS => Self::DirectoryNotWritable,
            Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG => Self::NoSpace,
            other => Self::Other(other.desc().to_owned()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        error.raw_os_error().map_or_else(|| Self::Other(error.to_string()), |raw| Errno::from_raw(raw).into())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn put(directory: &Path, name: &str, content: &[u8]) -> Result<String, Failure> {
        store(directory, &FileName::parse(name).unwrap(), content.len() as u64, content)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_arrives_byte_by_byte_for_all_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        assert_eq!(put(dir.path(), "a $(x) b.bin", &bytes).unwrap(), "a $(x) b.bin");
        assert_eq!(put(dir.path(), "empty", b"").unwrap(), "empty");
        let path = dir.path().join("a $(x) b.bin");
        assert!(std::fs::read(&path).unwrap() == bytes);
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & !0o644, 0, "{mode:o}");
        assert_eq!(mode & 0o600, 0o600, "{mode:o}");
        assert_eq!(names(dir.path()), ["a $(x) b.bin", "empty"]);
    }

    #[test]
    fn nothing_that_is_there_is_replaced_or_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().join("target");
        std::fs::write(dir.path().join("a.txt"), "old").unwrap();
        symlink(&target, dir.path().join("a-1.txt")).unwrap();
        std::fs::create_dir(dir.path().join("a-2.txt")).unwrap();
        assert_eq!(put(dir.path(), "a.txt", b"new").unwrap(), "a-3.txt");
        assert_eq!(put(dir.path(), "a.txt", b"newer").unwrap(), "a-4.txt");
        assert_eq!(std::fs::read(dir.path().join("a.txt")).unwrap(), b"old");
        assert_eq!(std::fs::read(dir.path().join("a-3.txt")).unwrap(), b"new");
        assert!(!target.exists() && dir.path().join("a-1.txt").is_symlink());

        let full = tempfile::tempdir().unwrap();
        std::fs::write(full.path().join("b"), "old").unwrap();
        for number in 1..=NUMBERS {
            std::fs::write(full.path().join(format!("b-{number}")), "old").unwrap();
        }
        assert_eq!(put(full.path(), "b", b"new"), Err(Failure::NamesTaken));
        assert_eq!(names(full.path()).len(), 1000);
    }

    #[test]
    fn what_does_not_come_whole_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let name = FileName::parse("a").unwrap();
        assert_eq!(store(dir.path(), &name, 10, &b"123456789"[..]), Err(Failure::Incomplete));
        assert_eq!(store(dir.path(), &name, 1, io::empty()), Err(Failure::Incomplete));
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn a_directory_that_is_gone_or_closed_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(put(&dir.path().join("gone"), "a", b"x"), Err(Failure::DirectoryGone));
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(put(&dir.path().join("file"), "a", b"x"), Err(Failure::DirectoryGone));
        symlink("self", dir.path().join("self")).unwrap();
        assert_eq!(put(&dir.path().join("self"), "a", b"x"), Err(Failure::DirectoryGone));
        assert_eq!(Failure::from(Errno::EROFS), Failure::DirectoryNotWritable);
        assert_eq!(Failure::from(io::Error::from_raw_os_error(28)), Failure::NoSpace);
    }

    #[test]
    fn a_directory_that_goes_meanwhile_takes_the_file_along() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        struct Remover<'a>(&'a Path);
        impl Read for Remover<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                std::fs::remove_dir_all(self.0)?;
                buffer[0] = b'x';
                Ok(1)
            }
        }
        let name = FileName::parse("a").unwrap();
        assert_eq!(store(&inner, &name, 1, Remover(&inner)), Err(Failure::DirectoryGone));
    }
}
