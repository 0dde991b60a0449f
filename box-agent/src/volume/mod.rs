//! The workspace volume: found, checked, mounted, and whose it is.
//!
//! ```text
//!   source ─▶ find ─▶ device ─▶ look (nothing is touched) ─▶ plan ─▶ apply: format or check, mount, grow, mark
//! ```
//!
//! A marker on the volume names the workspace and the device. A volume of another workspace is refused, so is a copy,
//! and so is everything else that is not exactly as expected: what the agent does not know, it does not touch.
//!
//! | module | what |
//! |---|---|
//! | [`source`], [`find`], [`device`] | from the settings to a block device |
//! | [`probe`], [`blank`], [`superblock`], [`place`] | what is on a device, and where it is mounted: parsers and rules |
//! | [`marker`], [`memory`] | what the volume and the box remember of each other |
//! | [`plan`] | what is to be done, or why nothing is |
//! | [`open`], [`tools`] | does it |
//! | `adopt`, `describe` | for operators |
//! | [`health`] | how it is while it is used |
//! | [`error`] | what can be wrong, and what to do about it |

mod adopt;
pub mod blank;
mod describe;
pub mod device;
pub mod error;
mod find;
pub mod health;
pub mod marker;
pub mod memory;
pub mod open;
pub mod place;
pub mod plan;
pub mod probe;
pub mod source;
pub mod superblock;
pub mod tools;

use std::path::{Path, PathBuf};

use berth_daemon::state::{StateError, StateLock, private_dir};
use berth_protocol::ids::WorkspaceId;

use self::device::Device;
use self::error::VolumeError;
use self::marker::{Marker, STATE_DIR, Seen};
use crate::host::mounts::Mounts;
use crate::settings::VolumeSettings;

/// Held on the volume by the agent that uses it: two with directories of their own could share a volume.
const LOCK: &str = "agent.lock";

/// A volume that is this workspace's, and no other agent's until this is dropped.
#[derive(Debug)]
pub struct Volume {
    path: PathBuf,
    device: Option<Device>,
    _lock: StateLock,
}

impl Volume {
    /// Opens the directory at `path` as the volume of `workspace`, and marks a new one.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn open_directory(path: &Path, workspace: &WorkspaceId) -> Result<Self, VolumeError> {
        let mounts = crate::host::mount::mounts()
            .map_err(|source| VolumeError::Device { path: path.to_owned(), source })?;
        // By its name first: whoever touches what is behind a server that does not answer hangs.
        refuse_remote(&mounts, path)?;
        private_dir(path)?;
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        refuse_remote(&mounts, &real)?;
        match marker::look(path)? {
            Seen::Marked(marker) if marker.workspace != *workspace => {
                return Err(VolumeError::OtherWorkspace {
                    path: path.to_owned(),
                    found: marker.workspace,
                    wanted: workspace.clone(),
                });
            }
            Seen::Marked(_) => {}
            Seen::Files(entry) => return Err(VolumeError::NotEmpty { path: path.to_owned(), entry }),
            Seen::Empty => {
                Marker::new(workspace.clone(), None).write(path)?;
                tracing::info!(path = %path.display(), %workspace, "made a new volume");
            }
        }
        Self::hold(path, None)
    }

    /// Takes the lock of a volume that is there.
    fn hold(path: &Path, device: Option<Device>) -> Result<Self, VolumeError> {
        let lock = StateLock::acquire(&path.join(STATE_DIR), LOCK).map_err(|error| match error {
            StateError::InUse(_) => VolumeError::InUse(path.to_owned()),
            other => other.into(),
        })?;
        Ok(Self { path: path.to_owned(), device, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its device, unless it is a directory.
    #[must_use]
    pub fn device(&self) -> Option<&Device> {
        self.device.as_ref()
    }

    /// The home directory of terminals.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        home(&self.path)
    }

    /// What the agent keeps on it.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        state_dir(&self.path)
    }
}

/// What the agent keeps on the volume at `path`.
#[must_use]
pub fn state_dir(path: &Path) -> PathBuf {
    path.join(STATE_DIR)
}

/// The home directory of terminals on the volume at `path`.
#[must_use]
pub fn home(path: &Path) -> PathBuf {
    path.join("user/home")
}

/// Whether something is where the settings have the volume: the device is mounted, or the directory is there.
#[must_use]
pub fn is_mounted(settings: &VolumeSettings) -> bool {
    if !settings.source.is_device() {
        return settings.path.join(STATE_DIR).is_dir();
    }
    crate::host::mount::mounts().is_ok_and(|mounts| mounts.at(&settings.path).is_some())
}

fn refuse_remote(mounts: &Mounts, path: &Path) -> Result<(), VolumeError> {
    match mounts.holding(path).filter(|mount| mount.is_remote()) {
        Some(mount) => Err(VolumeError::Remote { path: path.to_owned(), fs_type: mount.fs_type.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
            ["", "{", &format!("{{\"version\":3,\"workspace\":\"{workspace}\",\"incarnation\":\"x\"}}")]
        {
            fs::write(&marker, text).unwrap();
            assert!(matches!(Volume::open_directory(dir.path(), &workspace), Err(VolumeError::Marker(_))));
            assert_eq!(fs::read_to_string(&marker).unwrap(), text);
        }
    }

    #[test]
    fn a_file_system_behind_a_network_or_a_process_is_no_volume() {
        let mounts = Mounts::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:9 / /mnt/s3 rw - fuse.s3fs s3fs rw\n\
              3 1 0:10 / /mnt/nfs rw - nfs4 host:/x rw\n4 3 0:11 / /mnt/nfs/local rw - tmpfs tmpfs rw\n",
        );
        for (path, fine) in [
            ("/mnt/s3/volume", false),
            ("/mnt/nfs/volume", false),
            ("/mnt/nfs/local/volume", true),
            ("/v", true),
        ] {
            assert_eq!(refuse_remote(&mounts, Path::new(path)).is_ok(), fine, "{path}");
        }
    }
}
