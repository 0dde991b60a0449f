//! The runtime directory: sockets, the tmux configuration, and the addresses that were really taken.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use berth_daemon::state::{StateError, private_dir};
use nix::unistd::Uid;

/// Where everything in the runtime directory is.
#[derive(Debug, Clone)]
pub struct RuntimeDir(PathBuf);

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
    /// Names the files of a runtime directory without touching it.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes the directory, or makes sure that it is this user's own: whoever reaches the sockets has a shell.
    ///
    /// # Errors
    /// [`RuntimeError`].
    pub fn open(path: &Path) -> Result<Self, RuntimeError> {
        private_dir(path)?;
        let meta = fs::symlink_metadata(path)
            .map_err(|source| RuntimeError::Unreadable { path: path.to_owned(), source })?;
        let problem = if !meta.is_dir() {
            Some("is not a directory")
        } else if meta.uid() != Uid::effective().as_raw() {
            Some("belongs to another user")
        } else if meta.permissions().mode() & 0o077 != 0 {
            Some("can be entered by other users (its mode should be 0700)")
        } else {
            None
        };
        match problem {
            Some(problem) => Err(RuntimeError::NotPrivate { path: path.to_owned(), problem }),
            None => Ok(Self(path.to_owned())),
        }
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The agent's control socket.
    #[must_use]
    pub fn agent_socket(&self) -> PathBuf {
        self.0.join("agent.sock")
    }

    /// ttyd's socket.
    #[must_use]
    pub fn ttyd_socket(&self) -> PathBuf {
        self.0.join("ttyd.sock")
    }

    /// The tmux server's socket.
    #[must_use]
    pub fn tmux_socket(&self) -> PathBuf {
        self.0.join("tmux.sock")
    }

    /// Which process the tmux server is.
    #[must_use]
    pub fn tmux_server(&self) -> PathBuf {
        self.0.join("tmux-server.json")
    }

    /// The tmux server's configuration.
    #[must_use]
    pub fn tmux_config(&self) -> PathBuf {
        self.0.join("tmux.conf")
    }

    /// The addresses that the agent really listens on.
    #[must_use]
    pub fn addresses(&self) -> PathBuf {
        self.0.join("addresses.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_private_directory_of_this_user_will_do() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("run");
        RuntimeDir::open(&made).unwrap();
        RuntimeDir::open(&made).unwrap();
        fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(RuntimeDir::open(&made), Err(RuntimeError::NotPrivate { .. })));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&made, &link).unwrap();
        fs::set_permissions(&made, fs::Permissions::from_mode(0o700)).unwrap();
        let error = RuntimeDir::open(&link).unwrap_err().to_string();
        assert!(error.contains("is not a directory"), "{error}");
    }
}
