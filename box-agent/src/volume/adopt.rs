//! Makes a volume this box's that it would refuse: a copy, a moved one, another workspace's, one without a marker.
//!
//! Only the marker is written, and what the agent of another workspace kept is put aside. Nothing is ever formatted.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use berth_daemon::state::StateError;

use super::error::VolumeError;
use super::marker::{Marker, Seen, look};
use super::open::{Looked, Opening};
use super::place::Place;
use super::plan::{Refusal, Wanted, plan};
use super::{Volume, find, memory, state_dir};
use crate::host::mount;

/// The agent's database and what SQLite keeps beside it.
const DATABASE: [&str; 3] = ["agent.db", "agent.db-wal", "agent.db-shm"];

impl Opening<'_> {
    /// Makes the volume that the settings name this box's. `tell` hears each step; the volume is mounted again, or not,
    /// as it was.
    ///
    /// # Errors
    /// [`VolumeError`]; what is no ext4 can't be adopted.
    pub async fn adopt(&self) -> Result<(), VolumeError> {
        let path = &self.settings.path;
        if !self.settings.source.is_device() {
            return self.take(path, None);
        }
        let tools = self.tools()?;
        let missing = || VolumeError::Missing {
            wanted: self.settings.source.clone(),
            deadline: std::time::Duration::ZERO,
        };
        let device = find::find(&self.settings.source, &tools).await?.ok_or_else(missing)?;
        let looked = self.look(device, &tools).await?;
        self.refuse_place(&looked)?;
        if looked.place == (Place::Ours { read_only: true }) {
            return Err(VolumeError::StuckReadOnly(path.clone()));
        }
        self.refuse_content(&looked)?;
        let node = &looked.device.node;
        if !looked.found.mounted {
            (self.tell)(format!("checking the file system on {}", node.display()));
            tools.check(node).await?;
            (self.tell)(format!("mounting {} at {} for as long as it takes", node.display(), path.display()));
            self.guard_point(&tools).await?;
            self.mount(node)?;
        }
        let taken = self.take(path, looked.device.identity.clone());
        if !looked.found.mounted {
            mount::unmount(path).map_err(|source| VolumeError::Mount {
                device: node.clone(),
                point: path.clone(),
                source,
            })?;
        }
        taken
    }

    /// Refuses what has no file system to be adopted; whose it is does not matter here.
    fn refuse_content(&self, looked: &Looked) -> Result<(), VolumeError> {
        let wanted = Wanted { workspace: self.workspace.clone(), new: false, used_before: false };
        match plan(&wanted, &looked.found) {
            Err(
                refusal @ (Refusal::ReadOnly
                | Refusal::Blank
                | Refusal::Replaced
                | Refusal::Unknown
                | Refusal::Other(_)
                | Refusal::Ambiguous),
            ) => Err(VolumeError::Refused { device: looked.device.node.clone(), refusal }),
            _ => Ok(()),
        }
    }

    /// Writes the marker, while nobody else has the volume.
    fn take(&self, root: &Path, identity: Option<String>) -> Result<(), VolumeError> {
        let before = look(root)?;
        let held = Volume::hold(root, None)?;
        match &before {
            Seen::Marked(marker) => {
                let device = marker.device.as_deref().unwrap_or("a device that it does not name");
                (self.tell)(format!(
                    "it was the workspace {}'s, on {device}, incarnation {}",
                    marker.workspace, marker.incarnation
                ));
                if marker.workspace != *self.workspace {
                    self.put_aside(root, &marker.incarnation)?;
                }
            }
            Seen::Empty => (self.tell)("it had no marker and no files".into()),
            Seen::Files(entry) => (self.tell)(format!("it had no marker, but files (\"{entry}\")")),
        }
        let marker = Marker::new(self.workspace.clone(), identity);
        marker.write(root)?;
        memory::remember(self.state_dir, self.workspace, marker.device.as_deref())?;
        let device = marker.device.as_deref().unwrap_or("a directory, or a device without a name");
        (self.tell)(format!(
            "now it is the workspace {}'s, on {device}, incarnation {}",
            marker.workspace, marker.incarnation
        ));
        drop(held);
        Ok(())
    }

    /// What was desired of another workspace's box, and reports that it did not deliver, are not this one's.
    fn put_aside(&self, root: &Path, incarnation: &str) -> Result<(), StateError> {
        for name in DATABASE {
            let from = state_dir(root).join(name);
            // An incarnation comes from the volume, and is no path.
            let plain: String = incarnation.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
            let to: PathBuf = state_dir(root).join(format!("{name}.of-{plain}"));
            match fs::rename(&from, &to) {
                Ok(()) => (self.tell)(format!("put {} aside as {}", from.display(), to.display())),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(StateError::Unwritable { path: from, source }),
            }
        }
        Ok(())
    }
}
