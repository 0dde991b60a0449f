//! Observed state: what a box really has, reported whole.

use serde::{Deserialize, Serialize};

use crate::desired::DesiredVersion;
use crate::ids::SessionId;

/// Everything the agent sees of its sessions at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedState {
    /// The desired state that the agent has acted on, if it knows any.
    #[serde(default)]
    pub desired: Option<DesiredVersion>,
    /// One entry for each session that is desired or runs.
    pub sessions: Vec<ObservedSession>,
}

/// One session as the box has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedSession {
    /// The session.
    pub id: SessionId,
    /// How it is.
    pub state: SessionState,
    /// Terminals attached to it through the door.
    #[serde(default)]
    pub attachments: u32,
    /// Why it is not as desired, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a session is on its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Its tmux session exists.
    Running,
    /// It could not be made; the message says why. The agent goes on trying.
    Failed,
    /// It runs, but the desired state does not mention it.
    Unexpected,
    /// A state of a newer version.
    #[serde(other)]
    Unknown,
}
