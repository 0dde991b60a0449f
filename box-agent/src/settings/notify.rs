//! Settings of what users are told of their sessions.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::notify::patterns::{Patterns, PatternsError};

/// What users are told of sessions, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifySettings {
    /// Whether hooks are entered into the settings of coding agents.
    pub hooks: bool,
    /// Whether what panes say is listened to.
    pub taps: bool,
    /// A file with more patterns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patterns_file: Option<PathBuf>,
}

/// The file with patterns can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternsFileError {
    /// It can't be read.
    #[error("failed to read {path}: make it readable, or take notify.patterns_file out of the settings")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// What it says is wrong.
    #[error("{path} is not understood")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PatternsError,
    },
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self { hooks: true, taps: true, patterns_file: None }
    }
}

impl NotifySettings {
    /// All patterns, the operator's among them.
    ///
    /// # Errors
    /// [`PatternsFileError`].
    pub fn patterns(&self) -> Result<Patterns, PatternsFileError> {
        let Some(path) = &self.patterns_file else { return Ok(Patterns::built_in()) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| PatternsFileError::Unreadable { path: path.clone(), source })?;
        Patterns::with(&text).map_err(|source| PatternsFileError::Wrong { path: path.clone(), source })
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match &self.patterns_file {
            Some(path) if !path.is_absolute() => {
                Err(format!("notify.patterns_file = \"{}\" is not an absolute path", path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_patterns_is_read_or_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("patterns.toml");
        let settings = NotifySettings { patterns_file: Some(path.clone()), ..NotifySettings::default() };
        assert!(settings.patterns().unwrap_err().to_string().contains("failed to read"));
        std::fs::write(&path, "shells = [\"mysh\"]\n").unwrap();
        assert!(settings.patterns().unwrap().foreground("mysh", false).shell);
        std::fs::write(&path, "shell = []\n").unwrap();
        assert!(settings.patterns().unwrap_err().to_string().ends_with("patterns.toml is not understood"));
        let relative = NotifySettings { patterns_file: Some("p.toml".into()), ..NotifySettings::default() };
        assert!(relative.check().unwrap_err().contains("notify.patterns_file"));
    }
}
