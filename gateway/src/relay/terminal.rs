//! What a terminal is opened with, and what became of it.

use std::io;

use berth_protocol::door::Role;

use super::closing::Closing;
use super::handshake::Mode;
use super::input::Violation;
use super::meters::Meters;
use super::output::BoxViolation;
use super::room::Seat;
use super::size::Size;

/// What a terminal is opened with.
#[derive(Debug)]
pub struct Options {
    /// What the client speaks.
    pub mode: Mode,
    /// What the client may do.
    pub role: Role,
    /// The size from the first message, if [`read_first`](super::read_first) has taken it.
    pub started: Option<Size>,
    /// What a stock client shows as its window's title.
    pub title: String,
    /// Its place among the others of its session.
    pub seat: Seat,
    /// Where it is counted.
    pub meters: Meters,
}

impl Options {
    /// The usual terminal, alone at its session, whose client has not sent its first message yet.
    #[must_use]
    pub fn new(mode: Mode, role: Role) -> Self {
        let seat = Seat::alone(role);
        Self { mode, role, started: None, title: String::new(), seat, meters: Meters::default() }
    }
}

/// Why a terminal ended.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The browser closed.
    #[error("closed by the browser with code {}", .0.unwrap_or(1005))]
    BrowserClosed(Option<u16>),
    /// The browser's connection broke.
    #[error("the browser's connection broke")]
    BrowserLost(#[source] io::Error),
    /// The browser did not answer, or never began.
    #[error("the browser fell silent")]
    BrowserSilent,
    /// The browser broke the rules.
    #[error("the browser broke the rules")]
    BrowserViolation(#[source] Violation),
    /// ttyd closed: its command has ended.
    #[error("closed by the box")]
    BoxClosed,
    /// The connection to the box broke, or ended without a close frame.
    #[error("the connection to the box broke")]
    BoxLost(#[source] io::Error),
    /// The box broke the rules.
    #[error("the box broke the rules")]
    BoxViolation(#[source] BoxViolation),
    /// The gateway ended it.
    #[error("ended by the gateway: {}", .0.kind)]
    Told(Closing),
}

impl Reason {
    /// A stable word for it, by which ends are counted.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::BrowserClosed(_) => "browser_closed",
            Self::BrowserLost(_) => "browser_lost",
            Self::BrowserSilent => "browser_silent",
            Self::BrowserViolation(_) => "browser_violation",
            Self::BoxClosed => "box_closed",
            Self::BoxLost(_) => "box_lost",
            Self::BoxViolation(_) => "box_violation",
            Self::Told(closing) => closing.kind,
        }
    }
}

/// What became of a terminal.
#[derive(Debug)]
pub struct Outcome {
    /// Bytes that were typed.
    pub bytes_in: u64,
    /// Bytes of output that were forwarded.
    pub bytes_out: u64,
    /// Why it ended.
    pub reason: Reason,
}
