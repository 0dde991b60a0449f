//! The `berth.v1` terminal subprotocol, between a browser and the gateway.
//!
//! Binary messages are ttyd's: one type byte, then bytes. Text messages are the JSON types below. A client
//! that negotiates ttyd's own subprotocol (`tty`) gets binary messages only.

use serde::{Deserialize, Serialize};

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
