//! What this box remembers of its volume, on the root disk: that it has one. What the settings call new was new then.
//!
//! Without it, a blank disk in the place of the right one would be formatted at the next start, and look like a loss.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use berth_daemon::state::{StateError, write_private};
use berth_protocol::ids::WorkspaceId;
use serde::{Deserialize, Serialize};

const NAME: &str = "volume.json";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    workspace: WorkspaceId,
    device: Option<String>,
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(NAME)
}

/// Whether this box has used a volume of the workspace. What can't be read counts as yes: the doubt is the disk's.
#[must_use]
pub fn used_before(state_dir: &Path, workspace: &WorkspaceId) -> bool {
    match fs::read(path(state_dir)) {
        Ok(text) => {
            serde_json::from_slice::<Memory>(&text).map_or(true, |memory| memory.workspace == *workspace)
        }
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// Remembers that it has.
///
/// # Errors
/// [`StateError`].
pub fn remember(state_dir: &Path, workspace: &WorkspaceId, device: Option<&str>) -> Result<(), StateError> {
    let memory = Memory { workspace: workspace.clone(), device: device.map(str::to_owned) };
    let text = serde_json::to_vec(&memory).unwrap_or_default();
    // Each start says the same, and the root disk need not be written for that.
    if fs::read(path(state_dir)).is_ok_and(|old| old == text) {
        return Ok(());
    }
    write_private(&path(state_dir), &text)
}

/// Forgets it. Says whether there was something to forget.
///
/// # Errors
/// [`StateError`].
pub fn forget(state_dir: &Path) -> Result<bool, StateError> {
    let path = path(state_dir);
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(StateError::Unwritable { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_remembered_for_its_workspace_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = WorkspaceId::random();
        assert!(!used_before(dir.path(), &workspace));
        remember(dir.path(), &workspace, Some("hcloud:1")).unwrap();
        assert!(used_before(dir.path(), &workspace));
        assert!(!used_before(dir.path(), &WorkspaceId::random()), "another workspace's first volume is new");
        assert!(forget(dir.path()).unwrap());
        assert!(!used_before(dir.path(), &workspace) && !forget(dir.path()).unwrap());
        fs::write(path(dir.path()), "{").unwrap();
        assert!(used_before(dir.path(), &workspace), "in doubt nothing is new");
    }
}
