//! Rows as the rest of the gateway sees them.

use std::net::IpAddr;

use berth_protocol::attention::SessionAttention;
use berth_protocol::event::Telemetry;
use berth_protocol::ids::{InstallationId, InstanceId, SessionId, StoreIncarnation, UserId, WorkspaceId};

/// The installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Its identifier.
    pub id: InstallationId,
    /// The store's present life.
    pub incarnation: StoreIncarnation,
}

/// A stored CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// SHA-256 of its certificate.
    pub fingerprint: String,
    /// Its certificate.
    pub certificate_pem: String,
    /// Its private key, sealed.
    pub key_sealed: Vec<u8>,
    /// The trust generation that brought it: its number.
    pub generation: u64,
    /// Whether it signs.
    pub signing: bool,
    /// When it was made.
    pub created_at_ms: i64,
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentUser {
    /// The user.
    pub id: UserId,
    /// The user's name.
    pub name: String,
}

/// A signed-in browser, by the hash of its cookie.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BrowserSession(pub(super) String);

impl BrowserSession {
    /// The session of the browser whose cookie holds `token`.
    #[must_use]
    pub fn of_token(token: &str) -> Self {
        Self(super::hash(token))
    }
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its identifier.
    pub id: WorkspaceId,
    /// Who owns it.
    pub owner: UserId,
    /// Its name.
    pub name: String,
    /// Counts its changes.
    pub change_seq: u64,
}

/// A workspace with what its owner wants to see of its box.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkspaceView {
    /// The workspace.
    pub workspace: Workspace,
    /// The instance that owns it, if any has enrolled.
    pub instance: Option<Instance>,
}

/// An instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its identifier.
    pub id: InstanceId,
    /// The workspace it has, or had.
    pub workspace: WorkspaceId,
    /// Its place among the workspace's instances.
    pub epoch: u64,
    /// Where its door is dialled first.
    pub public_ip: Option<IpAddr>,
    /// Where its door is dialled second.
    pub tailscale_ip: Option<IpAddr>,
    /// The door's port, once it has said hello.
    pub door_port: Option<u16>,
    /// Version of its agent, once it has said hello.
    pub agent_version: Option<String>,
    /// Its last telemetry.
    pub telemetry: Option<Telemetry>,
    /// The CA of its certificate by fingerprint, once it has said hello.
    pub certificate_ca: Option<String>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its identifier.
    pub id: SessionId,
    /// The workspace it belongs to.
    pub workspace: WorkspaceId,
    /// Its name.
    pub name: String,
    /// The template its panes were made from.
    pub template: String,
    /// How the box last reported it, or `starting`.
    pub state: String,
    /// Why it is not as desired.
    pub message: Option<String>,
    /// Terminals attached to it.
    pub attachments: u64,
    /// What its box believes of it, if it said so.
    pub attention: Option<Box<SessionAttention>>,
    /// When it was created.
    pub created_at_ms: i64,
    /// The workspace's `change_seq` when it last changed.
    pub change_seq: u64,
}

/// What became of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionChange {
    /// It is new or different.
    Changed(Session),
    /// It was deleted.
    Deleted {
        /// The session.
        id: SessionId,
        /// Its workspace.
        workspace: WorkspaceId,
        /// The workspace's `change_seq` after that.
        change_seq: u64,
    },
}
