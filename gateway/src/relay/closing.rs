//! How a terminal ends towards the browser: a reason for the page, a code for the protocol.
//!
//! A page acts on the code (connect again, or not) and shows the message. Browsers hide close codes that a
//! network loss makes up, so every deliberate end has one of its own.

use std::borrow::Cow;

use berth_protocol::terminal::{CLOSE_BOX_LOST, CLOSE_DRAIN, CLOSE_GONE, CLOSE_REVOKED, FromRelay};

use super::frame::{self, Opcode};
use super::handshake::Mode;
use super::input::Violation;

/// Why a terminal is closed by the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The WebSocket close code.
    pub code: u16,
    /// A stable word for the page.
    pub kind: &'static str,
    /// For people.
    pub message: Cow<'static, str>,
}

impl Closing {
    /// The right to the terminal was taken away.
    #[must_use]
    pub fn revoked() -> Self {
        Self::new(CLOSE_REVOKED, "revoked", "Your access to this terminal was withdrawn.")
    }

    /// The session has ended.
    #[must_use]
    pub fn gone() -> Self {
        Self::new(CLOSE_GONE, "session_gone", "This session has ended.")
    }

    /// The gateway stops; another, or the next one, takes the terminal up again.
    #[must_use]
    pub fn draining() -> Self {
        Self::new(CLOSE_DRAIN, "draining", "The gateway is restarting.")
    }

    /// The box can't be reached any more.
    #[must_use]
    pub fn box_lost() -> Self {
        Self::new(CLOSE_BOX_LOST, "box_lost", "The connection to the box was lost.")
    }

    /// A closing with any code, word and message.
    #[must_use]
    pub fn new(code: u16, kind: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, kind, message: message.into() }
    }

    /// The frames that say it to a client: our text, where text is spoken, and the close frame.
    pub(super) fn frames(&self, mode: Mode) -> Vec<u8> {
        let mut out = Vec::new();
        if mode == Mode::Berth {
            let message = self.message.clone().into_owned();
            append_text(&mut out, &FromRelay::Closing { kind: self.kind.to_owned(), message });
        }
        frame::append_close(&mut out, Some(self.code), self.kind, None);
        out
    }
}

impl From<Violation> for Closing {
    fn from(violation: Violation) -> Self {
        Self::new(violation.close_code(), "protocol_violation", violation.to_string())
    }
}

/// Appends a text message of ours.
pub(super) fn append_text(out: &mut Vec<u8>, message: &FromRelay) {
    let json = serde_json::to_vec(message).expect("strings and numbers are always JSON");
    frame::append(out, Opcode::Text, &json, None);
}
