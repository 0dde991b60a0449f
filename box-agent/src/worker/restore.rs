//! Puts what was restored where it belongs: done as the user, by handle, so that nothing that lies in the user's tree
//! leads anybody astray. What was restored lies in a directory that the user did not make and that is given as an open
//! handle; renaming it keeps owners, rights, hard links, attributes and holes as they are.
//!
//! What is in the way is replaced where both are files, entered where both are directories, and else moved aside; what
//! only the tree has stays. Doing it again does the same again.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use super::tree::{Lost, Tree};

/// Things that went wrong and are named, at most.
const MAX_NAMED: usize = 20;

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// What is to be placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceJob {
    /// Its name in the directory of what was restored.
    pub name: String,
    /// Where it belongs, below the user's tree; empty for the tree itself.
    pub to: String,
    /// Whether that is a directory of its own that nothing may be in.
    pub aside: bool,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Files and directories that were not there.
    pub added: u64,
    /// Files that were, and were replaced.
    pub replaced: u64,
    /// What was in the way and is now called otherwise.
    pub moved: Vec<String>,
    /// What could not be placed.
    pub failed: Vec<String>,
    /// Why nothing was done.
    pub problem: Option<String>,
}

/// Places what is in `staged` in the tree at `root`.
#[must_use]
pub fn place(root: &Path, staged: &OwnedFd, job: &PlaceJob) -> Placed {
    let mut placed = Placed::default();
    if let Err(problem) = try_place(root, staged, job, &mut placed) {
        placed.problem = Some(problem);
    }
    placed
}

fn try_place(root: &Path, staged: &OwnedFd, job: &PlaceJob, placed: &mut Placed) -> Result<(), String> {
    let name = OsString::from(&job.name);
    let refused = |error: Errno| format!("failed to place {}: {error}", job.name);
    if job.to.is_empty() {
        let from = openat(staged, name.as_os_str(), DIRECTORY, Mode::empty()).map_err(refused)?;
        let to = nix::fcntl::open(root, DIRECTORY, Mode::empty()).map_err(refused)?;
        merge(&from, &to, "", placed);
        return Ok(());
    }
    let lost = |error: Lost| format!("failed to reach {}: {error}", job.to);
    let tree = Tree::open(root).map_err(refused)?;
    let place = tree.place(&job.to, Some(Mode::from_bits_truncate(0o755))).map_err(lost)?;
    let directory = place.directory.handle();
    if job.aside {
        mkdirat(directory, place.name.as_str(), Mode::from_bits_truncate(0o755)).map_err(refused)?;
        let own = openat(directory, place.name.as_str(), DIRECTORY, Mode::empty()).map_err(refused)?;
        renameat(staged, name.as_os_str(), &own, name.as_os_str()).map_err(refused)?;
        placed.added = 1;
        return Ok(());
    }
    put(staged, &name, &directory, &OsString::from(&place.name), "", placed);
    Ok(())
}

/// Puts one entry into a directory.
fn put(
    from: &impl AsFd,
    name: &OsString,
    to: &impl AsFd,
    as_name: &OsString,
    way: &str,
    placed: &mut Placed,
) {
    let shown = format!("{way}{}", as_name.to_string_lossy());
    if let Err(error) = try_put(from, name, to, as_name, &shown, placed)
        && placed.failed.len() < MAX_NAMED
    {
        placed.failed.push(format!("{shown}: {error}"));
    }
}

fn try_put(
    from: &impl AsFd,
    name: &OsString,
    to: &impl AsFd,
    as_name: &OsString,
    shown: &str,
    placed: &mut Placed,
) -> nix::Result<()> {
    let new = fstatat(from, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let old = match fstatat(to, as_name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(old) => Some(old),
        Err(Errno::ENOENT) => None,
        Err(error) => return Err(error),
    };
    match old.as_ref().map(|old| (is_directory(old), is_directory(&new))) {
        None => placed.added += 1,
        Some((true, true)) => {
            let source = openat(from, name.as_os_str(), DIRECTORY, Mode::empty())?;
            let target = openat(to, as_name.as_os_str(), DIRECTORY, Mode::empty())?;
            merge(&source, &target, &format!("{shown}/"), placed);
            // What could not be placed is still in it; that was told.
            let _ = unlinkat(from, name.as_os_str(), UnlinkatFlags::RemoveDir);
            return Ok(());
        }
        Some((false, false)) => placed.replaced += 1,
        Some(_) => {
            let aside = aside(to, as_name)?;
            renameat(to, as_name.as_os_str(), to, aside.as_os_str())?;
            placed.added += 1;
            if placed.moved.len() < MAX_NAMED {
                placed.moved.push(format!("{shown} is now {}", aside.to_string_lossy()));
            }
        }
    }
    renameat(from, name.as_os_str(), to, as_name.as_os_str())
}

/// Puts all entries of a directory into another, which then gets the first one's rights and times.
fn merge(from: &OwnedFd, to: &OwnedFd, way: &str, placed: &mut Placed) {
    // Before anything is taken out of it, which changes its time.
    let known = fstat(from);
    let listed = std::fs::read_dir(format!("/proc/self/fd/{}", from.as_raw_fd()));
    let names: Vec<OsString> =
        listed.into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    for name in names {
        put(from, &name, to, &name, way, placed);
    }
    let rights = || {
        let stat = known?;
        fchmod(to, Mode::from_bits_truncate(stat.st_mode & 0o7777))?;
        let (accessed, changed) = (
            TimeSpec::new(stat.st_atime, stat.st_atime_nsec),
            TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec),
        );
        futimens(to, &accessed, &changed)
    };
    if let Err(error) = rights()
        && placed.failed.len() < MAX_NAMED
    {
        placed.failed.push(format!("rights of {way}: {error}"));
    }
}

/// A name beside this one that nothing has.
fn aside(directory: &impl AsFd, name: &OsString) -> nix::Result<OsString> {
    for number in 1..1000 {
        let mut other = OsString::from(name);
        other.push(format!(".before-restore-{number}"));
        if other.as_bytes().len() > 255 {
            return Err(Errno::ENAMETOOLONG);
        }
        match fstatat(directory, other.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok(other),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Err(Errno::EEXIST)
}

fn is_directory(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    /// A tree with something in it, something restored beside, and something outside.
    fn prepared() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        for path in ["user/home/src", "user/projects", "staged/src/deep", "outside"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        fs::write(dir.path().join("user/home/src/old"), "mine").unwrap();
        fs::write(dir.path().join("user/home/src/both"), "now").unwrap();
        fs::write(dir.path().join("staged/src/both"), "then").unwrap();
        fs::write(dir.path().join("staged/src/deep/new"), "new").unwrap();
        fs::hard_link(dir.path().join("staged/src/both"), dir.path().join("staged/src/deep/twin")).unwrap();
        fs::set_permissions(dir.path().join("staged/src"), fs::Permissions::from_mode(0o750)).unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::open(dir.path().join("staged/src")).unwrap().set_modified(old).unwrap();
        let staged = File::open(dir.path().join("staged")).unwrap().into();
        (dir, staged)
    }

    use std::fs::File;

    fn job(to: &str, aside: bool) -> PlaceJob {
        PlaceJob { name: "src".into(), to: to.into(), aside }
    }

    #[test]
    fn in_place_replaces_adds_and_keeps_and_doing_it_again_changes_nothing() {
        let (dir, staged) = prepared();
        let root = dir.path().join("user");
        let placed = place(&root, &staged, &job("home/src", false));
        assert_eq!((placed.added, placed.replaced, placed.problem.as_deref()), (1, 1, None), "{placed:?}");
        let home = root.join("home/src");
        let text = |name: &str| fs::read_to_string(home.join(name)).unwrap();
        assert_eq!([text("old"), text("both"), text("deep/new")], ["mine", "then", "new"]);
        let inode = |name: &str| fs::metadata(home.join(name)).unwrap().ino();
        assert_eq!(inode("both"), inode("deep/twin"), "hard links stay what they are");
        let directory = fs::metadata(&home).unwrap();
        assert_eq!((directory.mode() & 0o7777, directory.mtime()), (0o750, 1_000_000_000));
        // As after an interruption: the same once more.
        fs::create_dir_all(dir.path().join("staged/src/deep")).unwrap();
        fs::write(dir.path().join("staged/src/both"), "then").unwrap();
        let again = place(&root, &staged, &job("home/src", false));
        assert_eq!((again.replaced, again.failed.len()), (1, 0), "{again:?}");
        assert_eq!(text("both"), "then");
    }

    #[test]
    fn no_link_in_the_tree_leads_out_of_it() {
        let (dir, staged) = prepared();
        let root = dir.path().join("user");
        let outside = dir.path().join("outside");
        // On the way: refused.
        symlink(&outside, root.join("home/way")).unwrap();
        let placed = place(&root, &staged, &job("home/way/src", false));
        assert!(placed.problem.unwrap().contains("leads out"));
        // In the place of a directory: moved aside, and never entered.
        fs::rename(root.join("home/src"), root.join("home/was")).unwrap();
        symlink(&outside, root.join("home/src")).unwrap();
        let placed = place(&root, &staged, &job("home/src", false));
        assert_eq!(placed.problem, None);
        assert_eq!(placed.moved, ["src is now src.before-restore-1"]);
        assert_eq!(fs::read_to_string(root.join("home/src/both")).unwrap(), "then");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn aside_is_a_new_place_and_the_whole_tree_is_merged_at_its_root() {
        let (dir, staged) = prepared();
        let root = dir.path().join("user");
        let placed = place(&root, &staged, &job("restored/1", true));
        assert_eq!(placed.problem, None);
        assert_eq!(fs::read_to_string(root.join("restored/1/src/both")).unwrap(), "then");
        fs::create_dir_all(dir.path().join("staged/src/projects/p")).unwrap();
        let taken = place(&root, &staged, &job("restored/1", true));
        assert!(taken.problem.is_some(), "nothing is mixed with what is there");
        let placed = place(&root, &staged, &job("", false));
        assert_eq!((placed.problem, placed.failed.len()), (None, 0));
        assert!(root.join("projects/p").is_dir());
    }
}
