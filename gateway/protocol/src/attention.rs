//! Attention: what a box knows of its panes' need for the user, and how an answer comes back.
//!
//! | what | how it travels |
//! |---|---|
//! | [`ObservedAttention`] | over the link whenever it changes, whole: the status board |
//! | [`Notification`], [`Withdrawn`] | as events, so none is lost and none is stored twice |
//! | [`Answer`] | `POST /v1/sessions/{session}/answer` at the door |
//!
//! Everything in it comes from programs of the box's user: claims, bounded, to be shown as text.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::control::SESSIONS_PATH;
use crate::ids::{NotificationId, SessionId};
use crate::keys::Key;

/// Characters of a notification's text, at most.
pub const MAX_TEXT_CHARS: usize = 200;

/// Characters of a choice's label, at most.
pub const MAX_LABEL_CHARS: usize = 40;

/// Choices of a question, at most.
pub const MAX_CHOICES: usize = 9;

/// Sessions of one [`ObservedAttention`], at most; panes of one session, at most.
pub const MAX_OBSERVED: usize = 64;

/// Text that an answer may type, at most, bytes.
pub const MAX_ANSWER_TEXT: usize = 4 * 1024;

/// Error: the screen no longer shows the question, so nothing was typed.
pub const KIND_QUESTION_GONE: &str = "question_gone";

/// Error: the question offers no such choice.
pub const KIND_CHOICE_UNKNOWN: &str = "choice_unknown";

/// What a pane is doing, as far as the evidence goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// A program works.
    Working,
    /// A program waits for words.
    WaitingForInput,
    /// A program waits for a yes or a no.
    WaitingForApproval,
    /// What was asked for is finished.
    Done,
    /// What was asked for has failed.
    Failed,
    /// Nothing happens: a shell at its prompt.
    Idle,
    /// The pane is closed.
    Gone,
    /// An activity of a newer version.
    #[serde(other)]
    Unknown,
}

/// Where a belief comes from, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The coding agent said it through its hook.
    Hook,
    /// A desktop notification in the output (OSC 9, 99, 777).
    Notice,
    /// A progress report in the output (OSC 9;4).
    Progress,
    /// The output looks like a prompt that is known.
    Prompt,
    /// The terminal bell.
    Bell,
    /// The title.
    Title,
    /// What the screen shows now.
    Screen,
    /// The state of the pane's foreground processes.
    Process,
    /// Silence after work.
    Silence,
    /// Evidence of a newer version.
    #[serde(other)]
    Unknown,
}

/// Why the user is told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A program waits for words.
    WaitingForInput,
    /// A program waits for a yes or a no.
    WaitingForApproval,
    /// What was asked for is finished.
    Done,
    /// What was asked for has failed.
    Failed,
    /// A program rang or sent a message of its own.
    Message,
    /// Berth itself has something to say, such as that a backup failed.
    Berth,
    /// A reason of a newer version.
    #[serde(other)]
    Unknown,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody waits.
    Warning,
    /// Work is stopped, or at risk.
    Urgent,
    /// A severity of a newer version.
    #[serde(other)]
    Unknown,
}

/// A pane of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PaneRef {
    /// tmux's own number of the pane, which it keeps for the server's life.
    pub id: u32,
    /// Its window's index when it was looked at.
    pub window: u32,
    /// Its index in the window when it was looked at.
    pub index: u32,
}

/// What a box believes of its sessions at one moment, reported whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedAttention {
    /// Sessions that run.
    pub sessions: Vec<SessionAttention>,
}

/// One session: the state of the pane that needs the user most, and of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAttention {
    /// The session.
    pub session: SessionId,
    /// The belief about the session.
    #[serde(flatten)]
    pub belief: Belief,
    /// Its panes.
    #[serde(default)]
    pub panes: Vec<PaneAttention>,
}

/// One pane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaneAttention {
    /// The pane.
    pub pane: PaneRef,
    /// The belief about it.
    #[serde(flatten)]
    pub belief: Belief,
}

/// What is believed, why, and how firmly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belief {
    /// The activity.
    pub activity: Activity,
    /// Where it comes from.
    pub evidence: Evidence,
    /// 0 to 100.
    pub confidence: u8,
    /// Since when, in milliseconds since 1970, by the box's clock. For people.
    pub since_ms: i64,
}

/// The user should know something: the payload of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Its identifier, drawn by the box.
    pub id: NotificationId,
    /// The session, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The pane, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pane: Option<PaneRef>,
    /// Why.
    pub reason: Reason,
    /// How much it matters.
    pub severity: Severity,
    /// Where it comes from.
    pub evidence: Evidence,
    /// 0 to 100.
    pub confidence: u8,
    /// What to show, without control characters, at most [`MAX_TEXT_CHARS`].
    pub text: String,
    /// What can be answered at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// When the evidence arrived, in milliseconds since 1970, by the box's clock: for measuring.
    pub signal_ms: i64,
}

impl Notification {
    /// The event kind of this payload.
    pub const KIND: &'static str = "notification";
}

/// A question that a pane shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What the box recognises it by when the answer comes.
    pub fingerprint: String,
    /// What can be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// Whether words can be typed as the answer.
    #[serde(default)]
    pub free_text: bool,
}

/// One choice of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What it is called in an answer, such as `approve`, `deny` or `2`.
    pub id: String,
    /// What people read, at most [`MAX_LABEL_CHARS`].
    pub label: String,
    /// Keys that choose it.
    pub keys: Vec<Key>,
    /// Text that is typed before the keys.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// A notification is no longer true: the payload of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The notification.
    pub id: NotificationId,
    /// Why.
    pub why: WithdrawnBecause,
}

impl Withdrawn {
    /// The event kind of this payload.
    pub const KIND: &'static str = "notification_withdrawn";
}

/// Why a notification is no longer true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawnBecause {
    /// It was answered, in the terminal or by an [`Answer`].
    Answered,
    /// The user has looked at the session since.
    Seen,
    /// The program went on by itself.
    WentOn,
    /// Another notification says it better.
    Superseded,
    /// Its session or pane is gone.
    Gone,
    /// A cause of a newer version.
    #[serde(other)]
    Unknown,
}

/// An answer to a question: typed only while the pane still shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The notification that asked.
    pub notification: NotificationId,
    /// The pane that asked.
    pub pane: PaneRef,
    /// The question as it was when the user read it.
    pub fingerprint: String,
    /// A choice's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// Words to type, followed by Enter, where the question takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The path of an answer.
#[must_use]
pub fn answer_path(session: &SessionId) -> String {
    format!("{SESSIONS_PATH}{session}/answer")
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Working => "working",
            Self::WaitingForInput => "waiting for input",
            Self::WaitingForApproval => "waiting for approval",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Idle => "idle",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        })
    }
}
