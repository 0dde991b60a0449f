//! The `berth.v1` terminal subprotocol, between a browser and the gateway.
//!
//! Binary messages are ttyd's: one type byte, then bytes. Text messages are the JSON types below. A client
//! that negotiates ttyd's own subprotocol (`tty`) gets binary messages only. It is told a title (the session's name)
//! and empty preferences at the beginning, as by ttyd; a `berth.v1` client is not, since a page that asks for a
//! session's terminal knows what to call it.
//!
//! Both are asked for a sign of life by WebSocket pings after 10 s of silence, and closed after 25.

use serde::{Deserialize, Serialize};

use crate::door::Role;
use crate::ids::ClientId;

/// The subprotocol that the gateway's own page speaks.
pub const SUBPROTOCOL_BERTH: &str = "berth.v1";

/// ttyd's subprotocol; the ticket travels as `AuthToken` of the first message.
pub const SUBPROTOCOL_TTY: &str = "tty";

/// A subprotocol entry with this prefix carries the ticket beside [`SUBPROTOCOL_BERTH`].
pub const TICKET_PREFIX: &str = "ticket.";

/// Close code: the right to this terminal was taken away.
pub const CLOSE_REVOKED: u16 = 4001;

/// Close code: the session has ended.
pub const CLOSE_GONE: u16 = 4004;

/// Close code: the connection to the box was lost; connect again.
pub const CLOSE_BOX_LOST: u16 = 4503;

/// Close code: the gateway is stopping; connect again.
pub const CLOSE_DRAIN: u16 = 1012;

/// Close code: the client broke the rules of this protocol.
pub const CLOSE_POLICY: u16 = 1008;

/// How often a page says that it is there, seconds.
pub const PRESENCE_SECONDS: u64 = 30;

/// The most clients that a page is told of.
pub const MAX_PRESENT: usize = 64;

/// What a client at a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// It typed a moment ago.
    Typing,
    /// It is open.
    Watching,
    /// Its page is hidden, or has said nothing for two minutes.
    Away,
    /// Something of a newer version.
    #[serde(other)]
    Unknown,
}

/// A client at a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// Which one.
    pub client: ClientId,
    /// Whose it is.
    pub name: String,
    /// What it runs on, such as `Chrome on Android`.
    pub device: String,
    /// What it may do.
    pub role: Role,
    /// What it does.
    pub activity: Activity,
    /// Whether it is the one that is told this.
    pub me: bool,
    /// Whether the session has its size.
    pub leads: bool,
}

/// Text messages from the browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromBrowser {
    /// Asks for an answer with the same number.
    Ping {
        /// Chosen by the page.
        n: u64,
    },
    /// How many bytes of OUTPUT (without type bytes) the page has drawn.
    Ack {
        /// Bytes since the connection began.
        out: u64,
    },
    /// Whether anybody looks at the page: said when that changes, and every [`PRESENCE_SECONDS`].
    Presence {
        /// Whether the page is hidden.
        hidden: bool,
    },
    /// Asks that the session has this page's size, or gives that back.
    Lease {
        /// Whether it is asked for.
        take: bool,
    },
    /// A message of a newer version, to be ignored.
    #[serde(other)]
    Unknown,
}

/// Text messages from the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromRelay {
    /// Answer to a ping.
    Pong {
        /// The ping's number.
        n: u64,
    },
    /// How input and output lie to each other: when OUTPUT byte `out` was forwarded, the box had been given
    /// INPUT up to byte `in`. So output after `out` may hold the echo of that input, and none before it does.
    /// Both counts are without type bytes.
    Echo {
        /// Bytes of INPUT since the connection began.
        #[serde(rename = "in")]
        input: u64,
        /// Bytes of OUTPUT since the connection began.
        #[serde(rename = "out")]
        output: u64,
    },
    /// The size of the session's screen, and whether it is this page's own. A page to which it does not belong
    /// shows the whole of it all the same.
    Lease {
        /// Its width.
        columns: u16,
        /// Its height.
        rows: u16,
        /// Whether this page decides it.
        mine: bool,
    },
    /// Who is at the session, the longest there first.
    Presence {
        /// At most [`MAX_PRESENT`].
        clients: Vec<Present>,
    },
    /// Why the connection is about to be closed.
    Closing {
        /// A stable word.
        kind: String,
        /// For people.
        message: String,
    },
    /// A message of a newer version, to be ignored.
    #[serde(other)]
    Unknown,
}
