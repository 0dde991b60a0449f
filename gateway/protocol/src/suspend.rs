//! Suspension: a box ends its sessions and lets its volume go, so that the machine can be switched off or deleted.
//!
//! | request at the door | answer |
//! |---|---|
//! | `POST /v1/suspend` | 202 with [`Suspension`]; it goes on by itself |
//! | `POST /v1/resume` | 202 with [`Suspension`] |
//! | `GET /v1/suspend` | [`Suspension`] |
//!
//! Both `POST`s must carry `berth-request-id` and act once for each. A suspension takes as long as the backup in it, so
//! its outcome is asked for, and a broken connection changes nothing.

use serde::{Deserialize, Serialize};

/// Path of a suspension.
pub const SUSPEND_PATH: &str = "/v1/suspend";

/// Path of the way back.
pub const RESUME_PATH: &str = "/v1/resume";

/// Error: the box is suspended, or about to be.
pub const KIND_SUSPENDED: &str = "suspended";

/// Where a box is between serving and suspended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspendState {
    /// It serves its sessions.
    #[default]
    Serving,
    /// It is letting its volume go.
    Suspending,
    /// Its sessions have ended, and its volume is not mounted.
    Suspended,
    /// It is taking its volume back.
    Resuming,
    /// One that a newer version knows.
    #[serde(other)]
    Unknown,
}

/// How a box's suspension is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Where it is.
    pub state: SuspendState,
    /// What it does just now, what came of the backup, or why the last attempt was taken back. For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who held the volume, when that is why it was taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<Holder>,
}

/// A process that holds the volume. Its name is its own word, to be shown as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its id.
    pub pid: i32,
    /// Its name.
    pub name: String,
    /// What it has there: `directory`, `root`, `program`, `file`, `memory` or `mount`.
    pub what: String,
}
