//! The door: what a gateway asks of a box over a TLS connection of its own.
//!
//! `CONNECT ttyd` opens a terminal stream: the request names session, role and client in headers, the answer
//! carries the attachment id, and the bytes after it are ttyd's own HTTP. `CONNECT localhost:<port>` opens a
//! stream to a loopback port. `GET /v1/status` answers [`Status`]; [`crate::control`] has the other commands.
//! Everything else is refused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, WorkspaceId};
use crate::observed::ObservedState;

/// `CONNECT` target of terminal streams.
pub const TARGET_TTYD: &str = "ttyd";

/// Host of `CONNECT` targets that are loopback ports. A name and not an address, so that nobody expects another
/// address to work.
pub const LOOPBACK_HOST: &str = "localhost";

/// `CONNECT` target of streams to a loopback port.
#[must_use]
pub fn loopback_target(port: u16) -> String {
    format!("{LOOPBACK_HOST}:{port}")
}

/// Request header: the session to attach to.
pub const HEADER_SESSION: &str = "berth-session";

/// Request header: the [`Role`] of the attachment.
pub const HEADER_ROLE: &str = "berth-role";

/// Request header, where it is needed: [`SIZE_IGNORED`].
pub const HEADER_SIZE: &str = "berth-size";

/// Value of [`HEADER_SIZE`]: the attachment's size does not count for the session, although it may type.
pub const SIZE_IGNORED: &str = "ignored";

/// Request header: the client that attaches.
pub const HEADER_CLIENT: &str = "berth-client";

/// Request header: the request as the gateway's log names it.
pub const HEADER_REQUEST_ID: &str = "berth-request-id";

/// Answer header: the attachment id, to be passed to ttyd as its one argument.
pub const HEADER_ATTACHMENT: &str = "berth-attachment";

/// Path of the status call.
pub const STATUS_PATH: &str = "/v1/status";

/// Error: the box does not run that session.
pub const KIND_SESSION_UNKNOWN: &str = "session_unknown";

/// Error: ttyd is not up (yet).
pub const KIND_TERMINAL_UNAVAILABLE: &str = "terminal_unavailable";

/// Error: the port is one that no stream leads to.
pub const KIND_PORT_FORBIDDEN: &str = "port_forbidden";

/// Error: nothing listens on that loopback port.
pub const KIND_PORT_CLOSED: &str = "port_closed";

/// What an attachment may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees and types.
    Editor,
    /// Sees only, and does not count for the size.
    Viewer,
}

/// A text that is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a role: expected editor or viewer")]
pub struct InvalidRole;

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Editor => "editor",
            Self::Viewer => "viewer",
        })
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        match text {
            "editor" => Ok(Self::Editor),
            "viewer" => Ok(Self::Viewer),
            _ => Err(InvalidRole),
        }
    }
}

/// How a box is, asked through its door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The instance that answers.
    pub instance: InstanceId,
    /// The workspace it holds.
    pub workspace: WorkspaceId,
    /// The instance's epoch.
    pub instance_epoch: u64,
    /// Version of the agent.
    pub agent_version: String,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Whether every start step is done.
    pub ready: bool,
    /// The line that `systemctl status` shows.
    pub status: String,
    /// What the box has.
    pub observed: ObservedState,
}
