//! Desired state: what the gateway wants a box to have.
//!
//! It is versioned by ([`StoreIncarnation`], generation). A new incarnation is accepted at any generation,
//! because a restored gateway may be behind; within one, older generations change nothing. Only a tombstone
//! ends a session: one that is merely absent is reported and left alone.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::backup::DesiredBackup;
use crate::environment::DesiredEnvironment;
use crate::ids::{SessionId, StoreIncarnation};

/// A point in the history of a workspace's desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredVersion {
    /// The life of the store that allotted the generation.
    pub incarnation: StoreIncarnation,
    /// The workspace's `change_seq` at that point.
    pub generation: u64,
}

/// One session that should run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredSession {
    /// Its identifier, and its name in tmux.
    pub id: SessionId,
    /// What its owner calls it.
    pub name: String,
    /// The template that its panes are made from, once.
    pub template: String,
}

/// All that a workspace's box should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredSnapshot {
    /// What this is a picture of.
    pub version: DesiredVersion,
    /// Sessions that should run.
    pub sessions: Vec<DesiredSession>,
    /// Sessions that must not run any more.
    pub tombstones: Vec<SessionId>,
    /// What terminals find on the box. Absent: nothing was ever said of it, and nothing is done.
    #[serde(default, deserialize_with = "understood", skip_serializing_if = "Option::is_none")]
    pub environment: Option<DesiredEnvironment>,
    /// Where backups go. Absent: nothing was ever said of it.
    #[serde(default, deserialize_with = "understood", skip_serializing_if = "Option::is_none")]
    pub backup: Option<DesiredBackup>,
}

/// What changed between two generations of one incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredDelta {
    /// The generation that the change starts from. An agent that is not there asks for a snapshot.
    pub from: u64,
    /// Where the change leads.
    pub to: DesiredVersion,
    /// Sessions that are new or changed.
    pub sessions: Vec<DesiredSession>,
    /// Sessions that must not run any more.
    pub tombstones: Vec<SessionId>,
    /// The environment as a whole, if it changed.
    #[serde(default, deserialize_with = "understood", skip_serializing_if = "Option::is_none")]
    pub environment: Option<DesiredEnvironment>,
    /// Where backups go, if that changed.
    #[serde(default, deserialize_with = "understood", skip_serializing_if = "Option::is_none")]
    pub backup: Option<DesiredBackup>,
}

/// What keeps to other rules than these is as good as none: sessions must not suffer from it.
fn understood<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}
