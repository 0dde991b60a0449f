//! The agent's Unix socket: `box-agent attach` redeems an attachment there, and `box-agent status` asks how
//! things are, `box-agent sessions` what runs. `box-agent tap` and `box-agent notify` tell what panes need.
//!
//! One JSON line from the client, one from the agent; a tap goes on with more. Who may ask is decided by the kernel's word on the
//! peer's user, not by what it says: root, the agent's own user and the user of terminals. The connection of an attachment stays open as long as its terminal.

pub mod client;
pub mod roster;
pub mod server;

use std::collections::BTreeMap;
use std::net::IpAddr;

use berth_protocol::backup::{BackupState, Change, Entry, RestoreOrder, Snapshot, SnapshotRef, VolumePath};
use berth_protocol::event::StartPhase;
use berth_protocol::ids::{AttachmentId, InstanceId, WorkspaceId};
use berth_protocol::suspend::Suspension;
use serde::{Deserialize, Serialize};

use crate::notify::hooks::HookMessage;
use crate::notify::tap::report::Size;
use crate::sessions::report::SessionReport;

/// The longest line that the agent reads.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// The longest that it answers: a directory of a snapshot may be large.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Which command attaches this attachment's terminal?
    Attach(AttachmentId),
    /// How is the agent?
    Status,
    /// Which sessions are there?
    Sessions,
    /// Let the volume go. Only for those who may change the machine.
    Suspend,
    /// Take it back. Only for those who may change the machine.
    Resume,
    /// How is the suspension?
    Suspension,
    /// Something about backups.
    Backup(BackupRequest),
    /// A pane's tap reports: lines of [`Report`](crate::notify::tap::report::Report) follow.
    Tap {
        /// tmux's number of the pane.
        pane: u32,
    },
    /// A coding agent's hook says something.
    Notify(HookMessage),
}

/// What can be asked about backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupRequest {
    /// How are they?
    State,
    /// Make one.
    Run,
    /// Read them back.
    Drill,
    /// Put an archive of all beside the repository.
    Export,
    /// Bring files back.
    Restore(RestoreOrder),
    /// End what goes on.
    Cancel,
    /// Which snapshots are there?
    Snapshots,
    /// What is in a directory of one?
    Entries(SnapshotRef, VolumePath),
    /// What is different between two?
    Changes(SnapshotRef, SnapshotRef),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// This command line.
    Attach(Vec<String>),
    /// This is how it is.
    Status(Box<StatusReport>),
    /// These are there.
    Sessions(Vec<SessionReport>),
    /// This is how the suspension is.
    Suspension(Suspension),
    /// This is how backups are.
    Backup(Box<BackupState>),
    /// These snapshots are there.
    Snapshots(Vec<Snapshot>),
    /// This is in that directory.
    Entries(Vec<Entry>),
    /// This is different.
    Changes(Vec<Change>),
    /// The pane has this size. Said whenever it changes.
    Tap(Size),
    /// It is kept.
    Noted,
    /// That can't be done, and why.
    Refused(String),
}

/// How the box proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateReport {
    /// SHA-256 of the CA that signed the certificate.
    pub ca_sha256: String,
    /// Its last second, since 1970.
    pub until: u64,
    /// The generation of trust that the box holds.
    pub trust_generation: u64,
}

/// How the agent is, for people at its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Whether every step of the start is done.
    pub ready: bool,
    /// What it does.
    pub status: String,
    /// How the link to the gateway is.
    pub link: String,
    /// The instance.
    pub instance: InstanceId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The certificate, if one of the CAs that are believed vouches for it.
    #[serde(default)]
    pub certificate: Option<CertificateReport>,
    /// The door's address, when it is open.
    pub door: Option<String>,
    /// What goes wrong although the agent goes on, by part.
    #[serde(default)]
    pub troubles: BTreeMap<String, String>,
    /// The address in the tailnet, if it is in one.
    #[serde(default)]
    pub tailnet: Option<IpAddr>,
    /// What each step of the start took.
    #[serde(default)]
    pub phases: Vec<StartPhase>,
    /// Sessions that run.
    pub sessions: usize,
    /// Terminals attached to them.
    pub attachments: u32,
    /// How often ttyd was started again.
    pub ttyd_restarts: u64,
    /// Version of the agent.
    pub agent_version: String,
}
