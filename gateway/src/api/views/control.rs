//! Screen, input, exec and files, as the API shows them.

use std::collections::BTreeMap;

use berth_protocol::control::{self, DEFAULT_EXEC_TIMEOUT};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which panes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ScreenQuery {
    /// A window's index: its panes alone. By default every window's, or the current one's if a pane is named.
    pub window: Option<u32>,
    /// A pane's index in its window: that pane alone.
    pub pane: Option<u32>,
}

/// What panes show.
#[derive(Debug, Serialize, ToSchema)]
pub struct Screen {
    /// The panes, by window and index.
    pub panes: Vec<Pane>,
}

/// What a pane shows. Programs on the box decide it: show it as text, and believe nothing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pane {
    /// Its window's index.
    pub window: u32,
    /// Its index in the window.
    pub index: u32,
    /// Whether input goes there when no pane is named.
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
    /// The rows as plain text.
    pub text: String,
    /// The same with the escape sequences (SGR) of colours and attributes.
    pub ansi: String,
}

/// Where a cursor is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cursor {
    /// From the left, beginning with 0.
    pub column: u32,
    /// From the top, beginning with 0.
    pub row: u32,
    /// Whether the program shows it.
    pub visible: bool,
}

/// Input to a pane: the text first, then the keys.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInput {
    /// A window's index; by default the current one.
    pub window: Option<u32>,
    /// A pane's index in the window; by default the active one.
    pub pane: Option<u32>,
    /// Typed as it is: at most 64 KiB, no NUL character.
    #[serde(default)]
    pub text: String,
    /// `Enter`, `Escape`, `Tab`, `BTab`, `Space`, `BSpace`, `Delete`, `Insert`, `Up`, `Down`, `Left`, `Right`,
    /// `Home`, `End`, `PageUp`, `PageDown`, `F1` to `F12`, `C-c` and its like, `M-f` and its like; at most 256.
    #[serde(default)]
    pub keys: Vec<String>,
}

/// A command to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExec {
    /// The program, a path or a name on the terminals' `PATH`, and its arguments. No shell is involved unless
    /// the program is one.
    pub argv: Vec<String>,
    /// A path below the home directory to run it in; by default the home directory itself.
    pub cwd: Option<String>,
    /// Variables beside those of terminals.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What it reads, at most 1 MiB; by default nothing.
    pub stdin: Option<String>,
    /// How long it may run, at most 3600.
    #[serde(default = "default_timeout")]
    #[schema(default = 60)]
    pub timeout_seconds: u32,
}

const fn default_timeout() -> u32 {
    DEFAULT_EXEC_TIMEOUT
}

/// One line of an exec's answer: a piece of output, or the end.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes lines that the protocol's own type writes")]
pub enum ExecLine {
    /// A piece of output.
    Output {
        /// `stdout` or `stderr`.
        stream: String,
        /// The bytes in base64.
        data: String,
    },
    /// The last line.
    Exit {
        /// How it ended.
        exit: ExecExit,
    },
}

/// How a command ended: one of these is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExecExit {
    /// By itself, with this code.
    pub code: Option<i32>,
    /// By this signal.
    pub signal: Option<i32>,
    /// It ran for too long; its process group was killed.
    pub timed_out: Option<bool>,
    /// It wrote more than 8 MiB; its process group was killed.
    pub truncated: Option<bool>,
    /// The connection to the box broke, the gateway stopped, or the client was signed out.
    pub lost: Option<bool>,
}

/// What an uploaded file is called.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// The name: at most 200 bytes, without slashes and characters that can't be shown, and not beginning with
    /// a dot, a dash or a blank.
    pub name: String,
}

/// A file that was uploaded.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadedFile {
    /// Where it is on the box.
    pub path: String,
    /// The name that it got: the one asked for, or one with a number when that was taken.
    pub name: String,
    /// How long it is.
    pub bytes: u64,
}

impl From<control::Screen> for Screen {
    fn from(screen: control::Screen) -> Self {
        Self { panes: screen.panes.into_iter().map(Pane::from).collect() }
    }
}

impl From<control::Pane> for Pane {
    fn from(pane: control::Pane) -> Self {
        let control::Cursor { column, row, visible } = pane.cursor;
        Self {
            window: pane.window,
            index: pane.index,
            active: pane.active,
            title: pane.title,
            command: pane.command,
            columns: pane.columns,
            rows: pane.rows,
            cursor: Cursor { column, row, visible },
            text: pane.text,
            ansi: pane.ansi,
        }
    }
}

impl From<NewExec> for control::Exec {
    fn from(exec: NewExec) -> Self {
        let NewExec { argv, cwd, env, stdin, timeout_seconds } = exec;
        Self { argv, cwd, env, stdin, timeout_seconds }
    }
}

impl From<control::files::Uploaded> for UploadedFile {
    fn from(file: control::files::Uploaded) -> Self {
        let control::files::Uploaded { path, name, bytes } = file;
        Self { path, name, bytes }
    }
}
