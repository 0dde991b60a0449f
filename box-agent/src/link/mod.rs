//! The link: the agent's connection to the gateway, dialled by the agent and always on.
//!
//! ```text
//!            ┌──────────────── pause, 0.5 s doubling to 10 s ◀───────────────┐
//!            ▼                                                              │
//!        connecting ──▶ hello ──▶ welcome ──▶ connected ── lost, silent ────┤
//!                          │                                                │
//!                          └──▶ refused (version, retired): pause of 60 s ──┘
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`client`] | dials, and dials again |
//! | [`conversation`] | one connection: hello, heartbeats, reports, desired state, events |
//! | [`desired`] | what a message makes of the desired state |
//! | [`window`] | which events are on their way |
//! | [`wire`] | messages instead of bytes |

pub mod client;
pub mod conversation;
pub mod desired;
pub mod window;
mod wire;

use std::fmt;
use std::net::IpAddr;

use berth_protocol::attention::ObservedAttention;
use berth_protocol::desired::DesiredSnapshot;
use berth_protocol::environment::report::EnvironmentReport;
use berth_protocol::link::DoorAddresses;
use berth_protocol::observed::ObservedState;
use berth_protocol::ports::ObservedPorts;
use tokio::sync::watch;

use crate::door::dial_back::DialBackRequests;
use crate::identity::papers::PapersInUse;
use crate::identity::plan::Asked;
use crate::metrics::Metrics;
use crate::store::Store;

/// How the link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Not connected yet.
    Connecting,
    /// Connected.
    Connected,
    /// Not connected, and why.
    Lost(String),
    /// The gateway does not want this agent, and why.
    Refused(String),
    /// A newer instance owns the workspace.
    Retired(String),
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting to the gateway"),
            Self::Connected => f.write_str("connected to the gateway"),
            Self::Lost(why) => write!(f, "no connection to the gateway ({why})"),
            Self::Refused(why) => write!(f, "refused by the gateway ({why})"),
            Self::Retired(why) => write!(f, "retired: a newer instance owns the workspace ({why})"),
        }
    }
}

/// What the link carries, and where from and to.
pub struct Link {
    /// `host:port` of the gateway's link listener.
    pub address: String,
    /// Where the door can be dialled, as far as the settings say it.
    pub addresses: DoorAddresses,
    /// The box's address in its tailnet, for when the settings don't say one.
    pub tailnet: watch::Receiver<Option<IpAddr>>,
    /// The database, once the volume is there.
    pub store: watch::Receiver<Option<Store>>,
    /// The desired state that is held.
    pub desired: watch::Sender<Option<DesiredSnapshot>>,
    /// What runs, once it is known.
    pub observed: watch::Receiver<Option<ObservedState>>,
    /// What listens, once it was looked for.
    pub listeners: watch::Receiver<Option<ObservedPorts>>,
    /// What sessions do, once it is known.
    pub attention: watch::Receiver<Option<ObservedAttention>>,
    /// What has become of the environment, once one is known.
    pub environment: watch::Receiver<Option<EnvironmentReport>>,
    /// Changes whenever there is a new event.
    pub outbox: watch::Receiver<u64>,
    /// Where requests to dial the gateway go.
    pub dial_back: DialBackRequests,
    /// What the box shows and whom it believes.
    pub papers: PapersInUse,
    /// What the gateway wants of them.
    pub asked: watch::Sender<Asked>,
    /// How the link is.
    pub state: watch::Sender<LinkState>,
    /// Whether a newer instance owns the workspace.
    pub retired: watch::Sender<bool>,
    /// Counters.
    pub metrics: Metrics,
}
