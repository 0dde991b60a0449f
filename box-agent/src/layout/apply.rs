//! Looks at and mends entries of the tree, by handle from the volume's root and without following a link.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, fchown, fchownat, symlinkat};

use super::plan::{Found, Ids, Mend};
use super::rules::{Kind, Rule};

/// The file system refuses.
#[derive(Debug, thiserror::Error)]
#[error("failed to make or look at {path}")]
pub struct TreeError {
    path: PathBuf,
    source: io::Error,
}

impl TreeError {
    /// Whether something above the entry, a link or a file in the place of a directory, keeps it from being looked at.
    /// That is a finding of its own.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.is(&[Errno::ENOTDIR, Errno::ELOOP])
    }

    fn is(&self, errnos: &[Errno]) -> bool {
        errnos.iter().any(|errno| self.source.raw_os_error() == Some(*errno as i32))
    }
}

/// The tree of one volume, held open.
pub struct Tree {
    root: PathBuf,
    handle: OwnedFd,
}

const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

impl Tree {
    /// Opens a volume's root.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn open(root: &Path) -> Result<Self, TreeError> {
        let handle = open(root, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| TreeError { path: root.to_owned(), source: errno.into() })?;
        Ok(Self { root: root.to_owned(), handle })
    }

    /// What is at `path`, itself and not what it may point at.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn look(&self, path: &str) -> Result<Found, TreeError> {
        let found = self.at(path, |parent, name| {
            let stat = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            Ok(match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
                SFlag::S_IFDIR => Found::Directory(stat.st_mode & 0o7777, (stat.st_uid, stat.st_gid)),
                SFlag::S_IFLNK => Found::Link(readlinkat(parent, name)?.to_string_lossy().into_owned()),
                _ => Found::Other,
            })
        });
        match found {
            Err(error) if error.is(&[Errno::ENOENT]) => Ok(Found::Nothing),
            found => found,
        }
    }

    /// Mends an entry that `owner` should have.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn mend(&self, rule: &Rule, mend: Mend, owner: Ids) -> Result<(), TreeError> {
        self.at(rule.path, |parent, name| match (mend, rule.kind) {
            (Mend::Make, Kind::Link(target)) => {
                symlinkat(target, parent, name)?;
                give_link(parent, name, owner)
            }
            (Mend::Make, kind) => {
                let mode = if let Kind::Directory(mode) = kind { mode } else { 0o700 };
                mkdirat(parent, name, Mode::from_bits_truncate(mode))?;
                give(parent, name, owner)
            }
            (Mend::Mode(mode), _) => {
                let handle = openat(parent, name, DIRECTORY, Mode::empty())?;
                fchmod(handle, Mode::from_bits_truncate(mode))
            }
            (Mend::Give(ids), _) => give(parent, name, ids),
        })
    }

    /// Opens a directory of the tree.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn directory(&self, path: &str) -> Result<OwnedFd, TreeError> {
        self.at(path, |parent, name| openat(parent, name, DIRECTORY | OFlag::O_PATH, Mode::empty()))
    }

    /// Calls `act` with the open parent of `path` and its last component.
    fn at<T>(&self, path: &str, act: impl Fn(&OwnedFd, &str) -> nix::Result<T>) -> Result<T, TreeError> {
        let walk = || -> nix::Result<T> {
            let mut parent = None;
            let mut rest = path;
            while let Some((component, below)) = rest.split_once('/') {
                let from = parent.as_ref().unwrap_or(&self.handle);
                parent = Some(openat(from, component, DIRECTORY, Mode::empty())?);
                rest = below;
            }
            act(parent.as_ref().unwrap_or(&self.handle), rest)
        };
        walk().map_err(|errno| TreeError { path: self.root.join(path), source: errno.into() })
    }
}

/// Gives a directory away, by handle: what its user puts in its place meanwhile stays whose it was. Without root
/// everything is one's own already.
fn give(parent: &OwnedFd, name: &str, (uid, gid): Ids) -> nix::Result<()> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let handle = openat(parent, name, DIRECTORY, Mode::empty())?;
    fchown(handle, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

/// Gives a link away, itself and not what it points at.
fn give_link(parent: &OwnedFd, name: &str, (uid, gid): Ids) -> nix::Result<()> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    fchownat(parent, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use crate::layout::plan::{Owners, Problem};
    use crate::layout::rules::{Owner, RULES};
    use crate::layout::{check, ensure, mend_all};

    use super::*;

    fn own() -> Owners {
        let own = (Uid::effective().as_raw(), Gid::effective().as_raw());
        Owners { agent: own, user: own }
    }

    #[test]
    fn a_fresh_volume_gets_the_tree_and_a_second_look_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check(dir.path(), &own()).unwrap().len(), RULES.len() - 1, "all but the root is missing");
        assert_eq!(ensure(dir.path(), &own()).unwrap(), []);
        assert_eq!(check(dir.path(), &own()).unwrap(), []);
        assert!(dir.path().join("user/home/projects").is_dir(), "the link leads to the projects");
        for rule in RULES {
            assert_ne!(Tree::open(dir.path()).unwrap().look(rule.path).unwrap(), Found::Nothing);
        }
        let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("system"), mode("user/.ssh")), (0o700, 0o700));
    }

    #[test]
    fn root_gives_the_users_half_to_the_user_and_keeps_the_other() {
        if !Uid::effective().is_root() {
            eprintln!("skipped: only root gives files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let owners = Owners { user: (4321, 4322), ..own() };
        assert_eq!(ensure(dir.path(), &owners).unwrap(), []);
        for rule in RULES.iter().filter(|rule| rule.path != ".") {
            let meta = fs::symlink_metadata(dir.path().join(rule.path)).unwrap();
            let expected = if rule.owner == Owner::User { owners.user } else { owners.agent };
            assert_eq!((meta.uid(), meta.gid()), expected, "{}", rule.path);
        }
        let mode = fs::metadata(dir.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o011, 0o011, "the user gets through");

        // A volume that comes from where the user had another number: told, and mended when that is asked for.
        fs::write(dir.path().join("user/projects/x"), "x").unwrap();
        std::os::unix::fs::chown(dir.path().join("user/projects"), Some(99), Some(99)).unwrap();
        std::os::unix::fs::chown(dir.path().join("system"), Some(99), Some(99)).unwrap();
        let found = ensure(dir.path(), &owners).unwrap();
        assert_eq!(found.len(), 1, "the agent's own is taken back: {found:?}");
        assert_eq!((found[0].path, found[0].fatal), ("user/projects", false));
        assert_eq!(mend_all(dir.path(), &owners).unwrap(), []);
        assert_eq!(fs::metadata(dir.path().join("user/projects")).unwrap().uid(), 4321);
        assert_eq!(
            fs::metadata(dir.path().join("user/projects/x")).unwrap().uid(),
            0,
            "what is in it is not touched"
        );
    }

    #[test]
    fn what_a_user_put_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        ensure(dir.path(), &own()).unwrap();
        let ssh = dir.path().join("user/home/.ssh");
        fs::remove_file(&ssh).unwrap();
        fs::create_dir(&ssh).unwrap();
        fs::write(ssh.join("config"), "Host *").unwrap();
        fs::set_permissions(dir.path().join("system"), fs::Permissions::from_mode(0o777)).unwrap();
        let found = ensure(dir.path(), &own()).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].is_harmless() && found[0].problem == Problem::Directory);
        assert_eq!(fs::read_to_string(ssh.join("config")).unwrap(), "Host *");
        let system = fs::metadata(dir.path().join("system")).unwrap();
        assert_eq!(system.permissions().mode() & 0o777, 0o700, "what is the agent's is closed again");
    }

    #[test]
    fn no_link_is_followed_out_of_the_volume_and_no_file_is_removed() {
        let outside = tempfile::tempdir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("user")).unwrap();
        fs::write(dir.path().join("system"), "mine").unwrap();
        for look in [check, ensure, mend_all] {
            let found = look(dir.path(), &own()).unwrap();
            let fatal: Vec<String> = found.iter().filter(|f| f.fatal).map(ToString::to_string).collect();
            assert_eq!(fatal.len(), 2, "{found:?}");
            assert!(
                fatal[0].contains("user is a link to") && fatal[0].contains("out of the volume"),
                "{fatal:?}"
            );
            assert!(fatal[1].contains("system is a file, not a directory"), "{fatal:?}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(dir.path().join("system")).unwrap(), "mine");
    }
}
