//! A user's tree, walked by handle: a path in it leads down from its root, and a link on the way is followed only
//! as far as it stays below that root. What is exchanged meanwhile changes nothing: a directory that was reached
//! is held open.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use sha2::{Digest, Sha256};

use super::fresh::Directory;
use crate::environment::plan::{Found, Hash};

/// How a directory on the way is held: to go on from it, whatever its own rights are.
const PASS: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// How a file is read. Non-blocking: a pipe would wait for somebody who writes.
const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);

/// Links on the way of one path, at most.
const MAX_LINKS: usize = 16;

/// A file that is longer is nobody's that Berth has written.
const MAX_READ: u64 = 1024 * 1024;

/// Why a path can't be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// A link leads out of the tree.
    #[error("a link on the way leads out of the user's own tree: remove it")]
    Outside,
    /// A component is no directory.
    #[error("something on the way is not a directory: move it away")]
    NotADirectory,
    /// There are too many links on the way.
    #[error("there are too many links on the way: remove some")]
    TooManyLinks,
    /// The system refuses.
    #[error("{0}")]
    System(Errno),
}

impl From<Errno> for Lost {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

/// The tree below a directory that stays the same one.
#[derive(Debug)]
pub struct Tree(OwnedFd);

/// The directory of an entry, held open, and the entry's name in it.
#[derive(Debug)]
pub struct Place {
    /// The directory.
    pub directory: Directory,
    /// The name.
    pub name: String,
}

impl Tree {
    /// Opens a tree. Its root is not the user's to exchange.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(root: &Path) -> nix::Result<Self> {
        open(root, PASS.difference(OFlag::O_NOFOLLOW), Mode::empty()).map(Self)
    }

    /// The place of an entry; with `make`, directories that are missing on the way are made with that mode. The
    /// entry itself is neither looked at nor followed.
    ///
    /// # Errors
    /// [`Lost`]; [`Errno::ENOENT`] in it says that a directory on the way is missing.
    pub fn place(&self, path: &str, make: Option<Mode>) -> Result<Place, Lost> {
        let (way, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut todo: VecDeque<String> = words(way).collect();
        // Handles from the root down: what ".." in a link means is said by the way that was taken.
        let mut held: Vec<OwnedFd> = Vec::new();
        let mut links = 0;
        while let Some(word) = todo.pop_front() {
            if word == ".." {
                held.pop().ok_or(Lost::Outside)?;
                continue;
            }
            let here = held.last().unwrap_or(&self.0);
            match enter(here, &word, make) {
                Ok(next) => held.push(next),
                Err(Errno::ENOTDIR | Errno::ELOOP) => {
                    let target = readlinkat(here, word.as_str()).map_err(|_| Lost::NotADirectory)?;
                    let target = target.into_string().map_err(|_| Lost::Outside)?;
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Lost::TooManyLinks);
                    }
                    if target.starts_with('/') {
                        return Err(Lost::Outside);
                    }
                    words(&target).rev().for_each(|word| todo.push_front(word));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let directory = match held.pop() {
            Some(directory) => directory,
            None => self.0.try_clone().map_err(|_| Errno::EMFILE)?,
        };
        Ok(Place { directory: directory.into(), name: name.to_owned() })
    }
}

fn words(path: &str) -> impl DoubleEndedIterator<Item = String> {
    path.split('/').filter(|word| !matches!(*word, "" | ".")).map(str::to_owned)
}

fn enter(from: &OwnedFd, name: &str, make: Option<Mode>) -> nix::Result<OwnedFd> {
    match (openat(from, name, PASS, Mode::empty()), make) {
        (Err(Errno::ENOENT), Some(mode)) => {
            match mkdirat(from, name, mode) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(error) => return Err(error),
            }
            openat(from, name, PASS, Mode::empty())
        }
        (outcome, _) => outcome,
    }
}

/// What is to be read in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing is there.
    Nothing,
    /// A file: what it holds, and its permissions.
    File(Vec<u8>, Mode),
    /// Something that is not read: a link, a directory, a file that is too long.
    Other,
}

impl Place {
    /// What the file there holds.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&self) -> nix::Result<Content> {
        let file: File = match openat(self.directory.handle(), self.name.as_str(), READ, Mode::empty()) {
            Ok(file) => file.into(),
            Err(Errno::ENOENT) => return Ok(Content::Nothing),
            Err(Errno::ELOOP | Errno::EACCES | Errno::ENXIO | Errno::ENODEV) => return Ok(Content::Other),
            Err(error) => return Err(error),
        };
        let stat = fstat(&file)?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if kind != SFlag::S_IFREG || u64::try_from(stat.st_size).unwrap_or(u64::MAX) > MAX_READ {
            return Ok(Content::Other);
        }
        let mut content = Vec::new();
        match file.take(MAX_READ + 1).read_to_end(&mut content) {
            Ok(_) => Ok(Content::File(content, Mode::from_bits_truncate(stat.st_mode & 0o777))),
            Err(error) => Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
        }
    }

    /// What is there, itself and not what it may point at.
    ///
    /// # Errors
    /// What the system says.
    pub fn look(&self) -> nix::Result<Found> {
        // Only a link can be read as one.
        match readlinkat(self.directory.handle(), self.name.as_str()) {
            Ok(target) => return Ok(Found::Link(target.to_string_lossy().into_owned())),
            Err(Errno::ENOENT) => return Ok(Found::Nothing),
            Err(Errno::EINVAL) => {}
            Err(error) => return Err(error),
        }
        Ok(match self.read()? {
            Content::Nothing => Found::Nothing,
            Content::File(content, _) => Found::File(Hash::of(&content)),
            // A file that its owner can't read, a socket, a device.
            Content::Other => Found::Other,
        })
    }
}

impl Hash {
    /// The hash of a content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(data_encoding::HEXLOWER.encode(&Sha256::digest(content)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("user/home")).unwrap();
        fs::create_dir(dir.path().join("user/.ssh")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        symlink("../.ssh", dir.path().join("user/home/.ssh")).unwrap();
        let tree = Tree::open(&dir.path().join("user")).unwrap();
        (dir, tree)
    }

    #[test]
    fn a_link_within_the_tree_is_followed_and_what_is_missing_is_made() {
        let (dir, tree) = tree();
        let place = tree.place("home/.ssh/keys/id", Some(Mode::S_IRWXU)).unwrap();
        assert_eq!(place.look().unwrap(), Found::Nothing);
        assert!(dir.path().join("user/.ssh/keys").is_dir());
        assert_eq!(tree.place("home/no/file", None).unwrap_err(), Lost::System(Errno::ENOENT));
    }

    #[test]
    fn no_link_leads_out() {
        let (dir, tree) = tree();
        let outside = dir.path().join("outside");
        for (name, target) in [
            ("absolute", outside.to_str().unwrap()),
            ("up", "../../outside"),
            ("etc", "/etc"),
            ("root", ".."),
            ("long", "../../../../../../../etc"),
        ] {
            symlink(target, dir.path().join("user/home").join(name)).unwrap();
            let lost = |path: &str| tree.place(path, Some(Mode::S_IRWXU)).map(|place| place.name);
            let path =
                if name == "root" { "home/root/../file".to_owned() } else { format!("home/{name}/file") };
            assert_eq!(lost(&path), Err(Lost::Outside), "{name}");
        }
        symlink("a", dir.path().join("user/home/a")).unwrap();
        assert_eq!(tree.place("home/a/x", None).unwrap_err(), Lost::TooManyLinks);
        fs::write(dir.path().join("user/home/file"), "").unwrap();
        assert_eq!(tree.place("home/file/x", None).unwrap_err(), Lost::NotADirectory);
        assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
    }

    #[test]
    fn everything_that_can_be_there_is_told_apart_without_waiting() {
        let (dir, tree) = tree();
        let home = dir.path().join("user/home");
        fs::write(home.join("file"), "x").unwrap();
        fs::create_dir(home.join("dir")).unwrap();
        symlink("/etc/passwd", home.join("link")).unwrap();
        nix::unistd::mkfifo(&home.join("pipe"), Mode::S_IRWXU).unwrap();
        fs::File::create(home.join("long")).unwrap().set_len(MAX_READ + 1).unwrap();
        let look = |name: &str| tree.place(&format!("home/{name}"), None).unwrap().look().unwrap();
        assert_eq!(look("file"), Found::File(Hash::of(b"x")));
        assert_eq!(look("link"), Found::Link("/etc/passwd".into()));
        for other in ["dir", "pipe", "long"] {
            assert_eq!(look(other), Found::Other, "{other}");
        }
        assert_eq!(look("none"), Found::Nothing);
    }
}
