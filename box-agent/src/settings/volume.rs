//! Settings of the volume, of its tree, and of its suspension.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::volume::source::Source;

/// The workspace volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VolumeSettings {
    /// What it is.
    pub source: Source,
    /// Where it is, or is to be mounted or made.
    pub path: PathBuf,
    /// Whether a blank device may be formatted.
    pub new: bool,
    /// How long the device is waited for.
    pub deadline_secs: u64,
    /// How often it is looked at while it is used.
    pub check_secs: u64,
}

/// The tree on the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayoutSettings {
    /// Where the home directory is seen, too; only on the volume when absent.
    pub home: Option<PathBuf>,
    /// How often the tree is looked at.
    pub check_secs: u64,
}

/// What is done before the volume is let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuspendSettings {
    /// A program and its arguments, run by the agent's own user; nothing when empty.
    pub hook: Vec<String>,
    /// How long it may take.
    pub hook_deadline_secs: u64,
}

impl Default for VolumeSettings {
    fn default() -> Self {
        let path = "/mnt/workspace".into();
        Self { source: Source::Directory, path, new: false, deadline_secs: 90, check_secs: 30 }
    }
}

impl Default for LayoutSettings {
    fn default() -> Self {
        Self { home: None, check_secs: 300 }
    }
}

impl Default for SuspendSettings {
    fn default() -> Self {
        Self { hook: Vec::new(), hook_deadline_secs: 600 }
    }
}

/// What is wrong with them, if something is.
pub(super) fn check(
    volume: &VolumeSettings,
    layout: &LayoutSettings,
    suspend: &SuspendSettings,
) -> Result<(), String> {
    let absolute = [("volume.path", Some(&volume.path)), ("layout.home", layout.home.as_ref())];
    for (key, path) in absolute {
        if let Some(path) = path.filter(|path| !path.is_absolute()) {
            return Err(format!("{key} = \"{}\" is not an absolute path", path.display()));
        }
    }
    if volume.source.is_device() && volume.path.parent().is_none() {
        return Err(
            "volume.path = \"/\" is no place for a volume: choose another, such as /mnt/workspace".into()
        );
    }
    // Either would be seen inside the other, and neither could be unmounted.
    if let Some(home) = layout.home.as_ref()
        && (home.starts_with(&volume.path) || volume.path.starts_with(home))
    {
        return Err(format!(
            "layout.home = \"{}\" and volume.path are inside each other: choose a place beside the volume",
            home.display()
        ));
    }
    for (key, seconds) in [
        ("volume.deadline_secs", volume.deadline_secs),
        ("volume.check_secs", volume.check_secs),
        ("layout.check_secs", layout.check_secs),
        ("suspend.hook_deadline_secs", suspend.hook_deadline_secs),
    ] {
        if !(1..=86_400).contains(&seconds) {
            return Err(format!("{key} = {seconds} is not between 1 and 86400"));
        }
    }
    match suspend.hook.first() {
        Some(program) if !program.starts_with('/') => {
            Err(format!("suspend.hook begins with \"{program}\", which is not an absolute path"))
        }
        _ if suspend.hook.iter().any(|word| word.contains('\0')) => {
            Err("suspend.hook has a NUL character".into())
        }
        _ => Ok(()),
    }
}
