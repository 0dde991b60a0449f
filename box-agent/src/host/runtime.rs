//! The runtime directory: sockets, the tmux configuration, and the addresses that were really taken.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use berth_daemon::state::{StateError, private_dir};
use nix::unistd::Uid;

use super::account::Account;

/// Where everything in the runtime directory is.
#[derive(Debug, Clone)]
pub struct RuntimeDir {
    path: PathBuf,
    /// Of a tmux server that somebody else starts.
    tmux: Option<PathBuf>,
}

/// Why a runtime directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// It can't be made.
    #[error(transparent)]
    State(#[from] StateError),
    /// It can't be looked at.
    #[error("failed to look at {path}")]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// It can't be given to the user of terminals.
    #[error("failed to give {path} to the user of terminals")]
    NotGiven {
        /// The file or directory.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// Somebody else could reach the sockets in it.
    #[error("{path} {problem}: remove it, or choose another runtime_dir")]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl RuntimeDir {
    /// Names the files of a runtime directory without touching it; `tmux` is where a tmux server that somebody
    /// else starts has its socket.
    #[must_use]
    pub fn at(path: &Path, tmux: Option<&Path>) -> Self {
        Self { path: path.to_owned(), tmux: tmux.map(Path::to_owned) }
    }

    /// Makes the directory and what terminals need in it, or makes sure that it is this process's own: whoever
    /// reaches the sockets has a shell.
    ///
    /// An agent that runs terminals as another user lets that user's group in, to the agent's socket and to a
    /// directory of its own.
    ///
    /// # Errors
    /// [`RuntimeError`].
    pub fn open(path: &Path, tmux: Option<&Path>, account: &Account) -> Result<Self, RuntimeError> {
        private_dir(path)?;
        let meta = fs::symlink_metadata(path)
            .map_err(|source| RuntimeError::Unreadable { path: path.to_owned(), source })?;
        let mode = meta.permissions().mode();
        let shared = account.is_another();
        // What systemd makes is open to look at; here it gets its real rights.
        let entered_by_others = mode & 0o022 != 0 || (!shared && mode & 0o077 != 0);
        let problem = if !meta.is_dir() {
            Some("is not a directory")
        } else if meta.uid() != Uid::effective().as_raw() {
            Some("belongs to another user")
        } else if entered_by_others {
            Some("can be entered by other users (its mode should be 0700)")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(RuntimeError::NotPrivate { path: path.to_owned(), problem });
        }
        let runtime = Self::at(path, tmux);
        if shared {
            share(path, account, 0o750)?;
        }
        runtime.give(&runtime.terminal(), account)?;
        runtime.give(&runtime.secrets(), account)?;
        runtime.give(&runtime.spool(), account)?;
        Ok(runtime)
    }

    /// Makes a directory in this one that belongs to the user of terminals alone.
    ///
    /// # Errors
    /// [`RuntimeError`].
    pub fn give(&self, directory: &Path, account: &Account) -> Result<(), RuntimeError> {
        private_dir(directory)?;
        let not_given = |source| RuntimeError::NotGiven { path: directory.to_owned(), source };
        // Its parent is this process's own, so nobody can have put a link in its place.
        lchown(directory, Some(account.uid.as_raw()), Some(account.gid.as_raw())).map_err(not_given)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The agent's control socket.
    #[must_use]
    pub fn agent_socket(&self) -> PathBuf {
        self.path.join("agent.sock")
    }

    /// What belongs to the user of terminals: the sockets of the programs behind them.
    #[must_use]
    pub fn terminal(&self) -> PathBuf {
        self.path.join("terminal")
    }

    /// What belongs to the user of terminals: variables and secret files of the environment. In memory, where the
    /// runtime directory is.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.path.join("secrets")
    }

    /// What belongs to the user of terminals: what hooks said while the agent was away.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.path.join("spool")
    }

    /// ttyd's socket.
    #[must_use]
    pub fn ttyd_socket(&self) -> PathBuf {
        self.terminal().join("ttyd.sock")
    }

    /// The tmux server's socket.
    #[must_use]
    pub fn tmux_socket(&self) -> PathBuf {
        self.tmux.clone().unwrap_or_else(|| self.terminal()).join("tmux.sock")
    }

    /// Whether somebody else starts the tmux server.
    #[must_use]
    pub fn tmux_is_foreign(&self) -> bool {
        self.tmux.is_some()
    }

    /// Which process the tmux server is.
    #[must_use]
    pub fn tmux_server(&self) -> PathBuf {
        self.path.join("tmux-server.json")
    }

    /// The tmux server's configuration. Not in the directory of terminals: root writes nothing where another user
    /// could have put a link.
    #[must_use]
    pub fn tmux_config(&self) -> PathBuf {
        self.path.join("tmux.conf")
    }

    /// The script that is the first process of each pane.
    #[must_use]
    pub fn pane_script(&self) -> PathBuf {
        self.path.join("pane.sh")
    }

    /// What restic is handed in files while it runs. In memory, where the runtime directory is.
    #[must_use]
    pub fn backup(&self) -> PathBuf {
        self.path.join("backup")
    }

    /// What panes are handed that shows where their user was.
    #[must_use]
    pub fn screens(&self) -> PathBuf {
        self.path.join("screens")
    }

    /// The workspace's variables, in the form that a shell reads.
    #[must_use]
    pub fn environment(&self) -> PathBuf {
        self.path.join("secrets/environment.sh")
    }

    /// The addresses that the agent really listens on.
    #[must_use]
    pub fn addresses(&self) -> PathBuf {
        self.path.join("addresses.json")
    }
}

/// Lets the group of the user of terminals have `path` with this mode.
///
/// # Errors
/// [`RuntimeError::NotGiven`].
pub fn share(path: &Path, account: &Account, mode: u32) -> Result<(), RuntimeError> {
    let share = || {
        lchown(path, None, Some(account.gid.as_raw()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    share().map_err(|source| RuntimeError::NotGiven { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: Option<&str>) -> Account {
        Account::find(name, "/h".into(), None).unwrap()
    }

    #[test]
    fn only_a_private_directory_of_this_user_will_do() {
        let own = account(None);
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("run");
        RuntimeDir::open(&made, None, &own).unwrap();
        RuntimeDir::open(&made, None, &own).unwrap();
        fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(RuntimeDir::open(&made, None, &own), Err(RuntimeError::NotPrivate { .. })));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&made, &link).unwrap();
        fs::set_permissions(&made, fs::Permissions::from_mode(0o700)).unwrap();
        let error = RuntimeDir::open(&link, None, &own).unwrap_err().to_string();
        assert!(error.contains("is not a directory"), "{error}");
    }

    #[test]
    fn another_user_of_terminals_gets_in_and_nobody_else() {
        if !Uid::effective().is_root() {
            eprintln!("skipped: only root runs terminals as another user");
            return;
        }
        let nobody = account(Some("nobody"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let runtime = RuntimeDir::open(&path, None, &nobody).unwrap();
        let rights = |path: &Path| {
            let meta = fs::metadata(path).unwrap();
            (meta.uid(), meta.gid(), meta.permissions().mode() & 0o777)
        };
        assert_eq!(rights(&path), (0, nobody.gid.as_raw(), 0o750));
        assert_eq!(rights(&runtime.terminal()), (nobody.uid.as_raw(), nobody.gid.as_raw(), 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(RuntimeDir::open(&path, None, &nobody), Err(RuntimeError::NotPrivate { .. })));
    }

    #[test]
    fn a_foreign_tmux_server_has_its_socket_elsewhere() {
        let socket = |tmux| RuntimeDir::at(Path::new("/run/box"), tmux).tmux_socket();
        assert_eq!(socket(None), Path::new("/run/box/terminal/tmux.sock"));
        assert_eq!(socket(Some(Path::new("/run/box-tmux"))), Path::new("/run/box-tmux/tmux.sock"));
    }
}
