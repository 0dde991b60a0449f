//! Looks at and makes entries of the tree, by handle from the volume's root and without following a link.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat, mkdirat};
use nix::unistd::symlinkat;

use super::plan::Found;
use super::rules::{Kind, Rule};

/// Why the tree can't be made.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The file system refuses.
    #[error("failed to make or look at {path}")]
    Io {
        /// The entry.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// Something else is where the agent needs an entry.
    #[error("{path} is not {wanted}: move it away, and start again")]
    Obstructed {
        /// The entry.
        path: PathBuf,
        /// What it should be.
        wanted: Kind,
    },
}

/// The tree of one volume, held open.
pub struct Tree {
    root: PathBuf,
    handle: OwnedFd,
}

impl Tree {
    /// Opens a volume's root.
    ///
    /// # Errors
    /// [`LayoutError::Io`].
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        let handle = open(root, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| LayoutError::Io { path: root.to_owned(), source: errno.into() })?;
        Ok(Self { root: root.to_owned(), handle })
    }

    /// What is at `path`, itself and not what it may point at.
    ///
    /// # Errors
    /// [`LayoutError::Io`].
    pub fn look(&self, path: &str) -> Result<Found, LayoutError> {
        self.at(path, |parent, name| {
            let stat = match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(Errno::ENOENT) => return Ok(Found::Nothing),
                other => other?,
            };
            Ok(match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
                SFlag::S_IFDIR => Found::Directory(stat.st_mode & 0o7777),
                SFlag::S_IFLNK => Found::Link(readlinkat(parent, name)?.to_string_lossy().into_owned()),
                _ => Found::Other,
            })
        })
    }

    /// Makes what a rule says, where nothing is.
    ///
    /// # Errors
    /// [`LayoutError::Io`].
    pub fn make(&self, rule: &Rule) -> Result<(), LayoutError> {
        self.at(rule.path, |parent, name| match rule.kind {
            Kind::Link(target) => symlinkat(target, parent, name),
            Kind::Directory(_) | Kind::Private => {
                let mode = if let Kind::Directory(mode) = rule.kind { mode } else { 0o700 };
                mkdirat(parent, name, Mode::from_bits_truncate(mode))
            }
        })
    }

    /// Takes away what others may do with the directory at `path`.
    ///
    /// # Errors
    /// [`LayoutError::Io`].
    pub fn close(&self, path: &str) -> Result<(), LayoutError> {
        self.at(path, |parent, name| {
            let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let handle = openat(parent, name, flags, Mode::empty())?;
            fchmod(handle, Mode::S_IRWXU)
        })
    }

    /// Calls `act` with the open parent of `path` and its last component.
    fn at<T>(&self, path: &str, act: impl Fn(&OwnedFd, &str) -> nix::Result<T>) -> Result<T, LayoutError> {
        let walk = || -> nix::Result<T> {
            let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let mut parent = None;
            let mut rest = path;
            while let Some((component, below)) = rest.split_once('/') {
                let from = parent.as_ref().unwrap_or(&self.handle);
                parent = Some(openat(from, component, flags, Mode::empty())?);
                rest = below;
            }
            act(parent.as_ref().unwrap_or(&self.handle), rest)
        };
        walk().map_err(|errno| LayoutError::Io { path: self.root.join(path), source: errno.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use crate::layout::ensure;
    use crate::layout::rules::RULES;

    use super::*;

    #[test]
    fn a_fresh_volume_gets_the_tree_and_a_second_look_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        ensure(dir.path()).unwrap();
        ensure(dir.path()).unwrap();
        assert!(dir.path().join("user/home/projects").is_dir(), "the link leads to the projects");
        for rule in RULES {
            assert_ne!(Tree::open(dir.path()).unwrap().look(rule.path).unwrap(), Found::Nothing);
        }
        let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("system"), mode("user/.ssh")), (0o700, 0o700));
    }

    #[test]
    fn what_a_user_put_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        ensure(dir.path()).unwrap();
        let ssh = dir.path().join("user/home/.ssh");
        fs::remove_file(&ssh).unwrap();
        fs::create_dir(&ssh).unwrap();
        fs::write(ssh.join("config"), "Host *").unwrap();
        fs::set_permissions(dir.path().join("system"), fs::Permissions::from_mode(0o777)).unwrap();
        ensure(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(ssh.join("config")).unwrap(), "Host *");
        let system = fs::metadata(dir.path().join("system")).unwrap();
        assert_eq!(system.permissions().mode() & 0o777, 0o700, "what is the agent's is closed again");
    }

    #[test]
    fn no_link_is_followed_out_of_the_volume() {
        let outside = tempfile::tempdir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("user")).unwrap();
        let error = ensure(dir.path()).unwrap_err().to_string();
        assert!(error.contains("user is not a directory: move it away"), "{error}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
