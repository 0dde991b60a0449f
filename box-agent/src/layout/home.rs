//! Lets the home directory on the volume be seen where programs expect it, such as `/home/claude`: by a bind mount when
//! the agent is root, by a link else.
//!
//! Nothing there is ever deleted. A bind mount hides what a directory holds, and that is told.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use berth_daemon::state::write_private;

use super::apply::{Tree, TreeError};
use crate::host::mount;

/// The home directory's path below the volume.
const HOME: &str = "user/home";

/// Where the box remembers what the bind mount hides: it can't be seen any more.
const NOTE: &str = "hidden-home.json";

/// What is at the place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum There {
    Nothing,
    /// The home directory on the volume itself.
    Home,
    /// A directory with so many entries.
    Directory(usize),
    /// A directory on which something else is mounted.
    Mount,
    Link(PathBuf),
    Other,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Nothing,
    Bind,
    Link,
    Leave(Obstacle),
}

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A link to this.
    Link(PathBuf),
    /// A file or the like.
    File,
    /// A directory, and only root can mount over it.
    Directory,
    /// Something else is mounted there.
    Mount,
}

/// Why the home directory is not seen at its place, or can't be made to.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Something is in the way.
    #[error(
        "{path} is {obstacle}, not the home directory on the volume: move it away, or set layout.home to another path"
    )]
    Obstructed {
        /// The place.
        path: PathBuf,
        /// What is there.
        obstacle: Obstacle,
    },
    /// The home directory can't be reached.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The system refuses.
    #[error("failed to let the home directory be seen at {path}")]
    Io {
        /// The place.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(to) => write!(f, "a link to {}", to.display()),
            Self::File => f.write_str("a file"),
            Self::Directory => f.write_str("a directory"),
            Self::Mount => f.write_str("a place where something else is mounted"),
        }
    }
}

/// One home directory and its place.
#[derive(Debug, Clone)]
pub struct Home {
    /// The volume.
    pub root: PathBuf,
    /// Where it is to be seen.
    pub place: PathBuf,
    /// Where the box remembers what is hidden there.
    pub state_dir: PathBuf,
    /// Whether a bind mount can be made.
    pub privileged: bool,
}

impl Home {
    /// Lets it be seen. Returns how many files that hides, now or since an earlier start.
    ///
    /// # Errors
    /// [`HomeError`].
    pub fn ensure(&self) -> Result<usize, HomeError> {
        let there = self.look()?;
        match plan(&there, self.privileged) {
            Step::Nothing => {}
            Step::Leave(obstacle) => {
                return Err(HomeError::Obstructed { path: self.place.clone(), obstacle });
            }
            Step::Link => symlink(self.root.join(HOME), &self.place).map_err(self.failed())?,
            Step::Bind => {
                let hidden = if let There::Directory(entries) = there { entries } else { 0 };
                // Noted first: once it is hidden it can't be counted.
                let note = serde_json::to_vec(&hidden).unwrap_or_default();
                write_private(&self.note(), &note).map_err(|error| self.failed()(io::Error::other(error)))?;
                DirBuilder::new().recursive(true).mode(0o755).create(&self.place).map_err(self.failed())?;
                let home = Tree::open(&self.root)?.directory(HOME)?;
                mount::bind(home, &self.place).map_err(self.failed())?;
                tracing::info!(path = %self.place.display(), "mounted the home directory");
            }
        }
        Ok(self.hidden())
    }

    /// Whether it is seen, without changing anything. Returns how many files that hides.
    ///
    /// # Errors
    /// [`HomeError`], with nothing in the way when it just was not made yet.
    pub fn check(&self) -> Result<Option<usize>, HomeError> {
        match plan(&self.look()?, self.privileged) {
            Step::Nothing => Ok(Some(self.hidden())),
            Step::Bind | Step::Link => Ok(None),
            Step::Leave(obstacle) => Err(HomeError::Obstructed { path: self.place.clone(), obstacle }),
        }
    }

    /// Takes the bind mount away, if it is there.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn release(&self) -> io::Result<()> {
        // Each agent that was cut short at the wrong moment may have left one.
        while self.privileged && self.is_mounted()? {
            mount::unmount(&self.place)?;
        }
        Ok(())
    }

    fn is_mounted(&self) -> io::Result<bool> {
        Ok(mount::mounts()?.at(&self.place).is_some() && self.is_home()?)
    }

    fn is_home(&self) -> io::Result<bool> {
        let id = |path: &Path| fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()));
        Ok(id(&self.root.join(HOME))? == id(&self.place)?)
    }

    fn look(&self) -> Result<There, HomeError> {
        let meta = match fs::symlink_metadata(&self.place) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
            Err(error) => return Err(self.failed()(error)),
        };
        if meta.is_symlink() {
            let to = fs::read_link(&self.place).map_err(self.failed())?;
            return Ok(if to == self.root.join(HOME) { There::Home } else { There::Link(to) });
        }
        if !meta.is_dir() {
            return Ok(There::Other);
        }
        if self.is_home().map_err(self.failed())? {
            return Ok(There::Home);
        }
        if mount::mounts().map_err(self.failed())?.at(&self.place).is_some() {
            return Ok(There::Mount);
        }
        let entries = fs::read_dir(&self.place).map_err(self.failed())?;
        Ok(There::Directory(entries.count()))
    }

    fn hidden(&self) -> usize {
        let note = fs::read(self.note()).ok().filter(|_| self.privileged);
        note.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or(0)
    }

    fn note(&self) -> PathBuf {
        self.state_dir.join(NOTE)
    }

    fn failed(&self) -> impl Fn(io::Error) -> HomeError + '_ {
        |source| HomeError::Io { path: self.place.clone(), source }
    }
}

fn plan(there: &There, privileged: bool) -> Step {
    match there {
        There::Home => Step::Nothing,
        There::Nothing if privileged => Step::Bind,
        There::Nothing => Step::Link,
        There::Directory(_) if privileged => Step::Bind,
        There::Directory(_) => Step::Leave(Obstacle::Directory),
        There::Mount => Step::Leave(Obstacle::Mount),
        There::Link(to) => Step::Leave(Obstacle::Link(to.clone())),
        There::Other => Step::Leave(Obstacle::File),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_stays_and_only_root_mounts_over_a_directory() {
        let link = There::Link("/etc".into());
        for (there, privileged, step) in [
            (There::Home, true, Step::Nothing),
            (There::Home, false, Step::Nothing),
            (There::Nothing, true, Step::Bind),
            (There::Nothing, false, Step::Link),
            (There::Directory(3), true, Step::Bind),
            (There::Directory(0), false, Step::Leave(Obstacle::Directory)),
            (There::Mount, true, Step::Leave(Obstacle::Mount)),
            (link.clone(), true, Step::Leave(Obstacle::Link("/etc".into()))),
            (link, false, Step::Leave(Obstacle::Link("/etc".into()))),
            (There::Other, true, Step::Leave(Obstacle::File)),
        ] {
            assert_eq!(plan(&there, privileged), step, "{there:?} {privileged}");
        }
    }

    #[test]
    fn without_root_a_link_leads_to_the_home_directory() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("volume");
        fs::create_dir_all(root.join(HOME)).unwrap();
        let home = |name: &str| Home {
            root: root.clone(),
            place: dir.path().join(name),
            state_dir: dir.path().to_owned(),
            privileged: false,
        };
        let home_of = home("claude");
        assert_eq!(home_of.check().unwrap(), None);
        for _ in 0..2 {
            assert_eq!(home_of.ensure().unwrap(), 0);
        }
        assert_eq!(home_of.check().unwrap(), Some(0));
        assert_eq!(fs::read_link(&home_of.place).unwrap(), root.join(HOME));
        home_of.release().unwrap();
        assert!(home_of.place.exists(), "a link stays");

        fs::write(dir.path().join("file"), "mine").unwrap();
        let error = home("file").ensure().unwrap_err().to_string();
        assert!(
            error.contains("file is a file, not the home directory") && error.contains("layout.home"),
            "{error}"
        );
        symlink("/etc", dir.path().join("link")).unwrap();
        let error = home("link").ensure().unwrap_err().to_string();
        assert!(error.contains("a link to /etc"), "{error}");
    }
}
