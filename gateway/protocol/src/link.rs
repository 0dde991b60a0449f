//! The link: messages of the agent's WebSocket to the gateway, each one JSON text message.
//!
//! The agent says [`Hello`] first. The gateway answers [`FromGateway::Welcome`] and a desired snapshot, or
//! [`FromGateway::Refused`] and closes.

use serde::{Deserialize, Serialize};

use crate::attention::ObservedAttention;
use crate::desired::{DesiredDelta, DesiredSnapshot, DesiredVersion};
use crate::environment::report::EnvironmentReport;
use crate::event::{Dropped, Event};
use crate::ids::{StoreIncarnation, StreamId};
use crate::observed::ObservedState;
use crate::ports::ObservedPorts;

/// Path of the WebSocket on the link listener.
pub const LINK_PATH: &str = "/v1/link";

/// The versions of these messages that this build speaks.
pub const VERSIONS: VersionRange = VersionRange { min: 1, max: 1 };

/// The largest message either side accepts, bytes.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// The most connections that one [`DialBack`] asks for.
pub const MAX_DIAL_BACKS: u32 = 16;

/// Refusal: no version in common.
pub const REFUSED_VERSION: &str = "version_unsupported";

/// Refusal: a newer instance owns the workspace.
pub const REFUSED_RETIRED: &str = "instance_retired";

/// Refusal: no box of this identity was ever enrolled here, or the gateway's store is older than the box.
pub const REFUSED_UNKNOWN: &str = "instance_unknown";

/// Refusal: the box's certificate has expired. It may still be renewed, see [`crate::renew`].
pub const REFUSED_EXPIRED: &str = "certificate_expired";

/// Versions from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRange {
    /// The oldest version spoken.
    pub min: u32,
    /// The newest version spoken.
    pub max: u32,
}

impl VersionRange {
    /// The newest version that both speak.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u32> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

/// Where a box's door can be dialled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorAddresses {
    /// The public address, tried first.
    #[serde(default)]
    pub public_ip: Option<std::net::IpAddr>,
    /// The address in the tailnet, tried second.
    #[serde(default)]
    pub tailscale_ip: Option<std::net::IpAddr>,
    /// The door's TCP port.
    pub port: u16,
}

/// The first message of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Versions of these messages that the agent speaks.
    pub versions: VersionRange,
    /// The kernel's boot id: another one means that the VM was restarted.
    pub boot_id: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Where its door can be dialled.
    pub addresses: DoorAddresses,
    /// The desired state that it holds, if any.
    #[serde(default)]
    pub desired: Option<DesiredVersion>,
    /// The generation of trust that it holds; agents of before don't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<u64>,
}

/// The gateway's answer to a hello that it accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that both will speak.
    pub version: u32,
    /// This link's number among the instance's links; writes of an older one are refused.
    pub link_epoch: u64,
    /// The store's life, as in desired versions.
    pub incarnation: StoreIncarnation,
    /// How often the agent should send a heartbeat, milliseconds.
    pub heartbeat_ms: u64,
}

/// The gateway can't dial the box's door, and asks the agent to dial the gateway and serve the door there.
///
/// The agent dials a link listener with [`ALPN_DOOR`](crate::tls::ALPN_DOOR): in TLS it is the client, and in
/// HTTP the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialBack {
    /// How many connections are wanted, at most [`MAX_DIAL_BACKS`].
    pub count: u32,
    /// `host:port` of the asking gateway's link listener; where this link leads to when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// Whom a box is to believe, and whether its certificate is to be renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// Counts changes of the CAs. Any other generation than the one held takes its place: a restored gateway may be behind.
    pub generation: u64,
    /// Every CA to believe, PEM, one after the other.
    pub ca_pem: String,
    /// Whether the box should renew its certificate now, by the gateway's clock.
    #[serde(default)]
    pub renew: bool,
}

/// Messages from the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromAgent {
    /// The first message.
    Hello(Hello),
    /// The agent is alive. The gateway echoes the number.
    Heartbeat {
        /// Counts the heartbeats of this link.
        n: u64,
    },
    /// What the box has now.
    Observed(ObservedState),
    /// What listens on the box, for previews.
    Ports(ObservedPorts),
    /// What its sessions are doing.
    Attention(ObservedAttention),
    /// What has become of the environment.
    Environment(EnvironmentReport),
    /// Something happened.
    Event(Event),
    /// Events that will never come.
    Dropped(Dropped),
    /// The agent can't apply a delta and asks for everything.
    WantSnapshot,
    /// The agent has stored whom to believe, and does.
    Trusts {
        /// The generation that it was told.
        generation: u64,
    },
    /// A message of a newer version, to be ignored.
    #[serde(other)]
    Unknown,
}

/// Messages from the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromGateway {
    /// The hello is accepted.
    Welcome(Welcome),
    /// The hello is not accepted, or this box must go; the gateway closes the link.
    Refused {
        /// A stable word, such as [`REFUSED_RETIRED`].
        kind: String,
        /// Why, for people.
        message: String,
    },
    /// Answer to a heartbeat.
    HeartbeatEcho {
        /// The heartbeat's number.
        n: u64,
    },
    /// All that the box should have.
    Snapshot(DesiredSnapshot),
    /// What changed since.
    Delta(DesiredDelta),
    /// Every event of the stream up to and including `seq` is stored.
    Ack {
        /// The stream.
        stream: StreamId,
        /// The high-water mark.
        seq: u64,
    },
    /// An event came whose predecessors are missing. The agent sends them, or says that they are dropped.
    Gap {
        /// The stream.
        stream: StreamId,
        /// The high-water mark: the next number expected is one more.
        stored: u64,
    },
    /// The gateway wants connections of the door that it can't make itself.
    DialBack(DialBack),
    /// Whom to believe.
    Trust(Trust),
    /// A message of a newer version, to be ignored.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_chosen() {
        let range = |min, max| VersionRange { min, max };
        assert_eq!(range(1, 3).common(range(2, 9)), Some(3));
        assert_eq!(range(1, 1).common(range(1, 1)), Some(1));
        assert_eq!(range(1, 2).common(range(3, 4)), None);
        assert_eq!(range(5, 6).common(range(3, 4)), None);
    }
}
