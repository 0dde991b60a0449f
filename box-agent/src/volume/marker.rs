//! The marker of a volume, `system/state/volume.json`: whose it is, and on which device it was when that was said.
//!
//! A copy of a volume has the same marker on another device. That is how it is told from the original.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use berth_daemon::state::{StateError, private_dir, write_private};
use berth_protocol::ids::{WorkspaceId, random_base32};
use serde::{Deserialize, Serialize};

/// The version that this build writes. Version 1 did not know the device.
const VERSION: u32 = 2;

/// What the agent keeps on a volume, below its root.
pub const STATE_DIR: &str = "system/state";

/// The marker's name in there.
const NAME: &str = "volume.json";

/// What may be on a volume that is to be marked: what file systems put there, and the beginning of an attempt that was
/// cut short before the marker was written.
const HARMLESS: [&str; 2] = ["lost+found", "system"];

/// Whose a volume is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    version: u32,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// This life of the volume: an adoption begins a new one.
    pub incarnation: String,
    /// The device that it was on, if that can be told from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// What is known of a volume before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is marked.
    Marked(Marker),
    /// It has no marker and nothing else either.
    Empty,
    /// It has no marker, but this entry.
    Files(String),
}

/// Why a marker can't be read.
#[derive(Debug, thiserror::Error)]
pub enum MarkerError {
    /// It is not understood.
    #[error(
        "failed to understand {path}: it was written by a newer agent, or is damaged; restore it from a backup"
    )]
    Unintelligible {
        /// The marker.
        path: PathBuf,
        /// What is wrong, when it does not parse.
        source: Option<serde_json::Error>,
    },
    /// The file system refuses.
    #[error("failed to read {path}")]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
}

impl Marker {
    /// The marker of a volume that begins its life.
    #[must_use]
    pub fn new(workspace: WorkspaceId, device: Option<String>) -> Self {
        Self { version: VERSION, workspace, incarnation: random_base32(), device }
    }

    /// The same volume, now known to be on this device.
    #[must_use]
    pub fn on(self, device: Option<String>) -> Self {
        Self { version: VERSION, device, ..self }
    }

    /// Writes it onto the volume at `root`, whole or not at all.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn write(&self, root: &Path) -> Result<(), StateError> {
        let directory = root.join(STATE_DIR);
        private_dir(&directory)?;
        // Plain data: it always serialises.
        write_private(&directory.join(NAME), &serde_json::to_vec_pretty(self).unwrap_or_default())
    }
}

/// Looks at the volume whose root is at `root`, and changes nothing.
///
/// # Errors
/// [`MarkerError`].
pub fn look(root: &Path) -> Result<Seen, MarkerError> {
    let path = root.join(STATE_DIR).join(NAME);
    match fs::read(&path) {
        Ok(text) => parse(&text)
            .map(Seen::Marked)
            .map_err(|source| MarkerError::Unintelligible { path: path.clone(), source }),
        Err(error) if error.kind() == ErrorKind::NotFound => files(root),
        Err(source) => Err(MarkerError::Unreadable { path, source }),
    }
}

fn parse(text: &[u8]) -> Result<Marker, Option<serde_json::Error>> {
    let marker: Marker = serde_json::from_slice(text).map_err(Some)?;
    if marker.version > VERSION { Err(None) } else { Ok(marker) }
}

fn files(root: &Path) -> Result<Seen, MarkerError> {
    let unreadable = |source| MarkerError::Unreadable { path: root.to_owned(), source };
    for entry in fs::read_dir(root).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if !HARMLESS.contains(&entry.as_str()) {
            return Ok(Seen::Files(entry));
        }
    }
    Ok(Seen::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_of_every_version_are_read() {
        let first = parse(include_bytes!("data/marker_v1.json")).unwrap();
        assert_eq!((first.version, first.device.as_deref()), (1, None));
        let second = parse(include_bytes!("data/marker_v2.json")).unwrap();
        assert_eq!((second.version, second.device.as_deref()), (2, Some("hcloud:10000001")));
        assert_eq!(first.on(Some("hcloud:10000001".into())), second);
        let text = serde_json::to_string_pretty(&second).unwrap();
        assert_eq!(text, include_str!("data/marker_v2.json").trim_end());
    }

    #[test]
    fn a_marker_that_is_not_understood_is_an_error_and_no_empty_volume() {
        let dir = tempfile::tempdir().unwrap();
        let marker = Marker::new(WorkspaceId::random(), None);
        marker.write(dir.path()).unwrap();
        assert_eq!(look(dir.path()).unwrap(), Seen::Marked(marker.clone()));
        let path = dir.path().join(STATE_DIR).join(NAME);
        let newer = serde_json::to_string(&Marker { version: VERSION + 1, ..marker }).unwrap();
        for text in ["", "{", &newer] {
            fs::write(&path, text).unwrap();
            assert!(matches!(look(dir.path()), Err(MarkerError::Unintelligible { .. })), "{text}");
        }
    }

    #[test]
    fn what_a_file_system_puts_there_does_not_count_as_files() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lost+found")).unwrap();
        fs::create_dir_all(dir.path().join(STATE_DIR)).unwrap();
        assert_eq!(look(dir.path()).unwrap(), Seen::Empty);
        fs::write(dir.path().join("thesis.txt"), "years of work").unwrap();
        assert_eq!(look(dir.path()).unwrap(), Seen::Files("thesis.txt".into()));
    }
}
