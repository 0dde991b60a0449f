//! The workspace volume: whose it is, and that it is this box's to use.
//!
//! A marker on the volume names the workspace. A volume of another workspace is refused, and so is a
//! directory with somebody's files in it: what the agent does not know, it does not touch.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use berth_daemon::state::{StateError, StateLock, private_dir, write_private};
use berth_protocol::ids::{WorkspaceId, random_base32};
use serde::{Deserialize, Serialize};

/// The version of the marker that this build writes.
const MARKER_VERSION: u32 = 1;

/// What the agent keeps on a volume, below its root.
const STATE_DIR: &str = "system/state";

/// What may be in a directory that is to become a volume: what file systems put there, and the beginning of an
/// attempt that was cut short before the marker was written.
const HARMLESS: [&str; 2] = ["lost+found", "system"];

/// Held on the volume by the agent that uses it: two with directories of their own could share a volume.
const LOCK: &str = "agent.lock";

/// A volume that is this workspace's, and no other agent's until this is dropped.
#[derive(Debug)]
pub struct Volume {
    path: PathBuf,
    _lock: StateLock,
}

/// The marker, `system/state/volume.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    version: u32,
    workspace: WorkspaceId,
    incarnation: String,
}

/// Why a volume can't be used.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// It is another workspace's.
    #[error(
        "the volume {path} belongs to the workspace {found}, but this box is enrolled for {wanted}: set \
         volume.path to the right volume, or enrol this box for that workspace"
    )]
    OtherWorkspace {
        /// The volume.
        path: PathBuf,
        /// Whose it is.
        found: WorkspaceId,
        /// Whose it should be.
        wanted: WorkspaceId,
    },
    /// Another agent uses it.
    #[error(
        "the volume {0} is in use by another agent: stop that one, or set volume.path to a volume of this agent's own"
    )]
    InUse(PathBuf),
    /// It is a directory with something else in it.
    #[error(
        "{path} is not empty (it has \"{entry}\") and is no Berth volume: set volume.path to an empty or a new \
         directory"
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// One of its entries.
        entry: String,
    },
    /// The marker is not understood.
    #[error(
        "failed to understand {path}: it was written by a newer agent, or is damaged; restore it from a backup"
    )]
    Marker {
        /// The marker.
        path: PathBuf,
        /// What is wrong, when it does not parse.
        source: Option<serde_json::Error>,
    },
    /// It can't be read.
    #[error("failed to read {path}")]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// It can't be written.
    #[error(transparent)]
    Unwritable(#[from] StateError),
}

impl Volume {
    /// Opens the directory at `path` as the volume of `workspace`, and marks a new one.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn open_directory(path: &Path, workspace: &WorkspaceId) -> Result<Self, VolumeError> {
        private_dir(path)?;
        let state_dir = path.join(STATE_DIR);
        let marker = state_dir.join("volume.json");
        match fs::read(&marker) {
            Ok(text) => check_marker(&text, &marker, path, workspace)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                refuse_foreign(path)?;
                private_dir(&state_dir)?;
                let content = Marker {
                    version: MARKER_VERSION,
                    workspace: workspace.clone(),
                    incarnation: random_base32(),
                };
                let text = serde_json::to_vec_pretty(&content)
                    .map_err(|source| VolumeError::Marker { path: marker.clone(), source: Some(source) })?;
                write_private(&marker, &text)?;
                tracing::info!(path = %path.display(), %workspace, "made a new volume");
            }
            Err(source) => return Err(VolumeError::Unreadable { path: marker, source }),
        }
        let lock = StateLock::acquire(&state_dir, LOCK).map_err(|error| match error {
            StateError::InUse(_) => VolumeError::InUse(path.to_owned()),
            other => other.into(),
        })?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The home directory of terminals.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        home(&self.path)
    }

    /// What the agent keeps on it.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.path.join(STATE_DIR)
    }
}

/// The home directory of terminals on the volume at `path`.
#[must_use]
pub fn home(path: &Path) -> PathBuf {
    path.join("user/home")
}

fn check_marker(text: &[u8], marker: &Path, path: &Path, workspace: &WorkspaceId) -> Result<(), VolumeError> {
    let found: Marker = serde_json::from_slice(text)
        .map_err(|source| VolumeError::Marker { path: marker.to_owned(), source: Some(source) })?;
    if found.version > MARKER_VERSION {
        return Err(VolumeError::Marker { path: marker.to_owned(), source: None });
    }
    if found.workspace != *workspace {
        return Err(VolumeError::OtherWorkspace {
            path: path.to_owned(),
            found: found.workspace,
            wanted: workspace.clone(),
        });
    }
    Ok(())
}

fn refuse_foreign(path: &Path) -> Result<(), VolumeError> {
    let unreadable = |source| VolumeError::Unreadable { path: path.to_owned(), source };
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if !HARMLESS.contains(&entry.as_str()) {
            return Err(VolumeError::NotEmpty { path: path.to_owned(), entry });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_volume_is_marked_once_and_known_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("volume");
        let workspace = WorkspaceId::random();
        let volume = Volume::open_directory(&path, &workspace).unwrap();
        let marker = volume.state_dir().join("volume.json");
        let before = fs::read(&marker).unwrap();
        drop(volume);
        Volume::open_directory(&path, &workspace).unwrap();
        assert_eq!(fs::read(&marker).unwrap(), before, "the incarnation stays");
    }

    #[test]
    fn a_volume_has_one_agent() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = WorkspaceId::random();
        let held = Volume::open_directory(dir.path(), &workspace).unwrap();
        let error = Volume::open_directory(dir.path(), &workspace).unwrap_err();
        assert!(matches!(error, VolumeError::InUse(_)), "{error}");
        drop(held);
        Volume::open_directory(dir.path(), &workspace).unwrap();
    }

    #[test]
    fn another_workspaces_volume_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        Volume::open_directory(dir.path(), &WorkspaceId::random()).unwrap();
        let error = Volume::open_directory(dir.path(), &WorkspaceId::random()).unwrap_err();
        assert!(matches!(error, VolumeError::OtherWorkspace { .. }), "{error}");
    }

    #[test]
    fn a_directory_with_files_is_left_alone_and_a_half_made_volume_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("system/state")).unwrap();
        fs::create_dir(dir.path().join("lost+found")).unwrap();
        let workspace = WorkspaceId::random();
        Volume::open_directory(dir.path(), &workspace).unwrap();

        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
        let error = Volume::open_directory(dir.path(), &workspace).unwrap_err().to_string();
        assert!(error.contains("thesis.txt"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_marker_that_is_not_understood_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = WorkspaceId::random();
        let marker = Volume::open_directory(dir.path(), &workspace).unwrap().state_dir().join("volume.json");
        for text in
            ["", "{", &format!("{{\"version\":2,\"workspace\":\"{workspace}\",\"incarnation\":\"x\"}}")]
        {
            fs::write(&marker, text).unwrap();
            assert!(matches!(
                Volume::open_directory(dir.path(), &workspace),
                Err(VolumeError::Marker { .. })
            ));
            assert_eq!(fs::read_to_string(&marker).unwrap(), text);
        }
    }
}
