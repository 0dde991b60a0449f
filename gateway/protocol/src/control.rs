//! Commands at the door that want an answer: what is on the screen, input to a pane, a command to run, a file
//! to write.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/sessions/{session}/screen?window=&pane=` | [`Screen`] |
//! | `POST /v1/sessions/{session}/input` with [`Input`] | 204 |
//! | `POST /v1/exec` with [`Exec`] | a stream of [`ExecLine`]s, one JSON object per line; the last has the end |
//! | `POST /v1/sessions/{session}/files` with a file | [`files::Uploaded`] |
//!
//! Input, exec and files must carry `berth-request-id`, and act once for each: within a minute a repeated input
//! or file gets the outcome of the first, and a repeated exec is refused ([`KIND_REQUEST_REPEATED`]). So a
//! gateway may ask again when a connection broke before the answer. An exec lives as long as its connection.

pub mod files;
mod rules;

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::SessionId;
use crate::keys::Key;

pub use rules::Broken;

/// What paths of a session begin with.
pub const SESSIONS_PATH: &str = "/v1/sessions/";

/// Path of the exec call.
pub const EXEC_PATH: &str = "/v1/exec";

/// Content type of an exec's answer.
pub const NDJSON: &str = "application/x-ndjson";

/// Text of one input, at most, bytes.
pub const MAX_INPUT_TEXT: usize = 64 * 1024;

/// Keys of one input, at most.
pub const MAX_INPUT_KEYS: usize = 256;

/// The body of an input, at most: each byte of the text may be written as six.
pub const MAX_INPUT_BODY: usize = 6 * MAX_INPUT_TEXT + 16 * 1024;

/// A screen's answer, at most, bytes of JSON.
pub const MAX_SCREEN_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of an exec's output that are passed on; with one more, the command is ended.
pub const MAX_EXEC_OUTPUT: usize = 8 * 1024 * 1024;

/// Bytes of output in one line, at most.
pub const MAX_EXEC_CHUNK: usize = 16 * 1024;

/// The body of an exec, at most.
pub const MAX_EXEC_BODY: usize = 8 * 1024 * 1024;

/// How long a command may run when nothing is said, seconds.
pub const DEFAULT_EXEC_TIMEOUT: u32 = 60;

/// How long a command may run at most, seconds.
pub const MAX_EXEC_TIMEOUT: u32 = 3600;

/// Error: the session has no such pane.
pub const KIND_PANE_UNKNOWN: &str = "pane_unknown";

/// Error: the panes hold more than one answer may.
pub const KIND_SCREEN_TOO_LARGE: &str = "screen_too_large";

/// Error: the call's body breaks a rule.
pub const KIND_INVALID: &str = "invalid";

/// Error: the working directory is not there.
pub const KIND_CWD_UNKNOWN: &str = "cwd_unknown";

/// Error: the program is not there.
pub const KIND_COMMAND_NOT_FOUND: &str = "command_not_found";

/// Error: the program is there and can't be started.
pub const KIND_COMMAND_NOT_STARTED: &str = "command_not_started";

/// Error: as many commands as may run do.
pub const KIND_EXEC_BUSY: &str = "exec_busy";

/// Error: an exec with this request id was asked for before.
pub const KIND_REQUEST_REPEATED: &str = "request_repeated";

/// Which panes of a session are meant. Nothing said: all of them for a screen, the active one for input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaneAddress {
    /// The window's index; by default the current window, if a pane is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// The pane's index in its window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pane: Option<u32>,
}

/// The path of a session's screen.
#[must_use]
pub fn screen_path(session: &SessionId, address: PaneAddress) -> String {
    let window = address.window.map(|index| format!("window={index}"));
    let pane = address.pane.map(|index| format!("pane={index}"));
    let query: Vec<String> = window.into_iter().chain(pane).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{SESSIONS_PATH}{session}/screen{mark}{}", query.join("&"))
}

/// The path of a session's input.
#[must_use]
pub fn input_path(session: &SessionId) -> String {
    format!("{SESSIONS_PATH}{session}/input")
}

/// What the panes of a session show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screen {
    /// The panes asked for, by window and index.
    pub panes: Vec<Pane>,
}

/// What a pane shows. Everything in it comes from programs of the box's user: a claim, to be shown as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pane {
    /// Its window's index.
    pub window: u32,
    /// Its index in the window.
    pub index: u32,
    /// Whether input goes there when no pane is named: the active pane of the current window.
    pub active: bool,
    /// Its title.
    pub title: String,
    /// The program that runs in it.
    pub command: String,
    /// Its width.
    pub columns: u32,
    /// Its height.
    pub rows: u32,
    /// The cursor.
    pub cursor: Cursor,
    /// The rows as plain text, without what is blank at their ends.
    pub text: String,
    /// The same with the escape sequences (SGR) of colours and attributes.
    pub ansi: String,
}

/// Where a cursor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// From the left, beginning with 0.
    pub column: u32,
    /// From the top, beginning with 0.
    pub row: u32,
    /// Whether the program shows it.
    pub visible: bool,
}

/// Input to a pane: the text first, as it is, then the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The pane.
    #[serde(flatten)]
    pub address: PaneAddress,
    /// Text, typed literally.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Keys by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
}

/// A command to run as the box's user. No shell is involved unless the command is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The program, a path or a name on the terminals' `PATH`, and its arguments.
    pub argv: Vec<String>,
    /// The working directory below the home directory; by default the home directory itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Variables beside those of terminals.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What the command reads; by default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// How long it may run.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u32,
}

const fn default_timeout() -> u32 {
    DEFAULT_EXEC_TIMEOUT
}

/// One line of an exec's answer: `{"stream":"stdout","data":"<base64>"}`, or the last, `{"exit":{...}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExecLine {
    /// The end; nothing follows.
    Exit {
        /// How it ended.
        exit: ExecExit,
    },
    /// A piece of output.
    Output {
        /// Where the command wrote it.
        stream: ExecStream,
        /// The bytes, which need not be text.
        #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
        data: Vec<u8>,
    },
}

/// One of a command's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a command ended: one of these is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecExit {
    /// By itself, with this code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// By this signal, which it did not get from the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// It ran for too long, and its process group was killed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub timed_out: bool,
    /// It said more than [`MAX_EXEC_OUTPUT`], and its process group was killed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub truncated: bool,
    /// The connection to the box broke; the box kills the process group when it notices.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lost: bool,
}

impl ExecExit {
    /// It ran for too long.
    pub const TIMED_OUT: Self =
        Self { code: None, signal: None, timed_out: true, truncated: false, lost: false };

    /// It said too much.
    pub const TRUNCATED: Self =
        Self { code: None, signal: None, timed_out: false, truncated: true, lost: false };

    /// Nobody knows.
    pub const LOST: Self = Self { code: None, signal: None, timed_out: false, truncated: false, lost: true };

    /// By itself, or by a signal.
    #[must_use]
    pub const fn ended(code: Option<i32>, signal: Option<i32>) -> Self {
        Self { code, signal, timed_out: false, truncated: false, lost: false }
    }
}

impl fmt::Display for ExecExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { timed_out: true, .. } => f.write_str("timed out"),
            Self { truncated: true, .. } => f.write_str("truncated"),
            Self { code: Some(code), .. } => write!(f, "code {code}"),
            Self { signal: Some(signal), .. } => write!(f, "signal {signal}"),
            _ => f.write_str("lost"),
        }
    }
}

impl ExecLine {
    /// The line, with its end.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        // Plain data: it always serialises, and JSON has no line break outside of strings.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

const fn is_false(value: &bool) -> bool {
    !*value
}

fn to_base64<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(data))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text.as_bytes()).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_a_line() {
        let data: Vec<u8> = (0..=255).collect();
        let line = ExecLine::Output { stream: ExecStream::Stderr, data }.to_line();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let read: ExecLine = serde_json::from_slice(&line).unwrap();
        assert_eq!(read.to_line(), line);
    }

    #[test]
    fn an_end_says_one_thing() {
        let line = |exit| String::from_utf8(ExecLine::Exit { exit }.to_line()).unwrap();
        assert_eq!(line(ExecExit::ended(Some(0), None)), "{\"exit\":{\"code\":0}}\n");
        assert_eq!(line(ExecExit::ended(None, Some(9))), "{\"exit\":{\"signal\":9}}\n");
        assert_eq!(line(ExecExit::TIMED_OUT), "{\"exit\":{\"timed_out\":true}}\n");
        assert_eq!(line(ExecExit::TRUNCATED), "{\"exit\":{\"truncated\":true}}\n");
        assert_eq!(line(ExecExit::LOST), "{\"exit\":{\"lost\":true}}\n");
    }

    #[test]
    fn paths_say_what_is_named_and_nothing_else() {
        let session = SessionId::random();
        let path = |window, pane| screen_path(&session, PaneAddress { window, pane });
        assert_eq!(path(None, None), format!("/v1/sessions/{session}/screen"));
        assert_eq!(path(None, Some(2)), format!("/v1/sessions/{session}/screen?pane=2"));
        assert_eq!(path(Some(1), Some(2)), format!("/v1/sessions/{session}/screen?window=1&pane=2"));
    }
}
