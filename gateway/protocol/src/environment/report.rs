//! What a box says has become of its environment. Words in it come from programs of the box's user, and are
//! claims, to be shown as text.

use serde::{Deserialize, Serialize};

use super::Destination;
use crate::desired::DesiredVersion;

/// Characters of a message, at most.
pub const MAX_MESSAGE_CHARS: usize = 500;

/// How an environment is, as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentReport {
    /// The desired state that this is about.
    #[serde(default)]
    pub desired: Option<DesiredVersion>,
    /// Whether secret values are missing, because the box has started anew and has not heard from a gateway.
    #[serde(default)]
    pub waits_for_secrets: bool,
    /// Why variables could not be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Files that are not as desired.
    #[serde(default)]
    pub files: Vec<FileReport>,
    /// The repository, if one is desired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<WorkReport>,
    /// The script, if one is desired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_start: Option<WorkReport>,
}

/// A file that is not as desired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// The file.
    pub destination: Destination,
    /// What became of it.
    pub state: FileState,
    /// Why, for people.
    pub message: String,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Something of the user's is there, and was left alone.
    Kept,
    /// It could not be written.
    Failed,
    /// A state of a newer version.
    #[serde(other)]
    Unknown,
}

/// How a piece of work is that takes its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkReport {
    /// How far it is.
    pub state: WorkState,
    /// How much of the present phase is done, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// The phase, or what went wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How far a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkState {
    /// It has not begun.
    Waiting,
    /// It goes on.
    Running,
    /// It is done.
    Done,
    /// It failed, and the message says why.
    Failed,
    /// A state of a newer version.
    #[serde(other)]
    Unknown,
}

impl WorkReport {
    /// A state without more to say.
    #[must_use]
    pub fn of(state: WorkState) -> Self {
        Self { state, percent: None, message: None }
    }

    /// A failure.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self { state: WorkState::Failed, percent: None, message: Some(message.into()) }
    }
}

impl EnvironmentReport {
    /// The same with every message cut to [`MAX_MESSAGE_CHARS`] and as many files as there may be.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.files.truncate(super::MAX_FILES);
        let works = self.repository.iter_mut().chain(self.post_start.iter_mut());
        let messages = works.filter_map(|work| work.message.as_mut());
        let messages = messages.chain(self.message.as_mut());
        messages.chain(self.files.iter_mut().map(|file| &mut file.message)).for_each(shorten);
        self
    }
}

fn shorten(message: &mut String) {
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
        message.truncate(end);
    }
}
