//! Events: what happened on a box, delivered at least once on the wire and stored exactly once.
//!
//! Each start of an agent draws a random stream and numbers its events from 1, so that a restored or cloned
//! volume never reuses an identifier. The gateway stores an event and its stream's high-water mark in one
//! transaction and acknowledges after commit; numbers are skipped only by an explicit [`Dropped`].

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, SessionId, StreamId};

/// An event's identifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// The start of an agent that it came from.
    pub stream: StreamId,
    /// Its number in the stream, from 1.
    pub seq: u64,
}

/// The one envelope of all events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its identifier.
    pub id: EventId,
    /// The instance on which it happened.
    pub instance: InstanceId,
    /// What kind of payload it has, such as [`Telemetry::KIND`].
    pub kind: String,
    /// When the box says it happened, in milliseconds since 1970. For people; nothing is ordered by it.
    pub at_ms: i64,
    /// The payload.
    pub payload: serde_json::Value,
}

/// Events that will never come, because the outbox was full or an older copy of it was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The stream they belonged to.
    pub stream: StreamId,
    /// The first number that will not come.
    pub from: u64,
    /// The last number that will not come.
    pub to: u64,
}

/// How a box is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Telemetry {
    /// Processor time in use by all, 0 to 100.
    pub cpu_percent: f32,
    /// Memory in use, bytes.
    pub memory_used_bytes: u64,
    /// Memory there is, bytes.
    pub memory_total_bytes: u64,
    /// Space in use on the workspace volume, bytes.
    pub disk_used_bytes: u64,
    /// Space on the workspace volume, bytes.
    pub disk_total_bytes: u64,
    /// How long each step of the agent's start took, and before them the phases of the machine's own:
    /// `kernel`, `cloud-init`, `enrolment`, and `ready` for all together.
    #[serde(default)]
    pub start_phases: Vec<StartPhase>,
    /// How often each supervised program was started again.
    #[serde(default)]
    pub restarts: Vec<Restarts>,
}

impl Telemetry {
    /// The event kind of this payload.
    pub const KIND: &'static str = "telemetry";
}

/// One step of the agent's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartPhase {
    /// The step, such as `volume`.
    pub name: String,
    /// How long it took, milliseconds.
    pub millis: u64,
}

/// How often a supervised program was started again since the agent started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarts {
    /// The program, such as `ttyd`.
    pub program: String,
    /// Starts after the first.
    pub count: u64,
}

/// The kernel ended a process of a box because memory ran out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutOfMemory {
    /// The session that it belonged to, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// What the process called itself.
    pub process: String,
    /// Its id.
    pub pid: u32,
}

impl OutOfMemory {
    /// The event kind of this payload.
    pub const KIND: &'static str = "out_of_memory";
}
