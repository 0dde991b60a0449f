//! What is known of a pane, piece by piece: what the fusion takes in.

use berth_protocol::attention::{Activity, Question};
use serde::{Deserialize, Serialize};

pub use super::tap::report::Progress;

/// A time in milliseconds, of a clock that only goes on.
pub type Moment = u64;

/// One piece of evidence about one pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// A coding agent said it through its hook.
    Hook(HookSignal),
    /// A desktop notification in the output, and what it means as far as that is known.
    Notice {
        /// What it means.
        meaning: Option<Activity>,
        /// What it says.
        text: String,
    },
    /// The bell.
    Bell {
        /// Whether no line was begun shortly before.
        lone: bool,
    },
    /// Characters were shown.
    Output,
    /// A title, and what it means as far as that is known.
    Title(Option<Activity>),
    /// A progress report.
    Progress(Progress),
    /// What the screen shows, by the tap's account.
    Screen(Seen),
    /// What it shows, by tmux's own: the last word.
    Referee(Seen),
    /// What runs in the foreground.
    Foreground(Foreground),
    /// Somebody typed into the session.
    Input {
        /// When.
        at: Moment,
    },
    /// A question was answered through the door.
    Answered,
    /// The pane is closed.
    Gone,
}

/// What a coding agent said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookSignal {
    /// A conversation has begun.
    Started,
    /// It has ended.
    Ended,
    /// It waits for a yes or a no.
    Approval(String),
    /// It waits for words.
    Input(String),
    /// What it was asked for is done.
    Done(String),
    /// It says something else.
    Message(String),
}

/// What a screen shows that is of interest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The question at its end.
    pub prompt: Option<Prompt>,
    /// Whether it says that work goes on.
    pub working: bool,
    /// What it is recognised by.
    pub digest: u64,
    /// Whether it was still being drawn.
    pub moving: bool,
}

/// A question on a screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The pattern that found it.
    pub pattern: String,
    /// What it waits for.
    pub kind: PromptKind,
    /// 0 to 100.
    pub confidence: u8,
    /// How long nobody must have typed before the user is told, milliseconds: whoever types a command is there when
    /// it asks for a password.
    pub patience_ms: u64,
    /// What is told of it, made inert.
    pub text: String,
    /// What it can be answered by.
    pub question: Question,
}

/// What a question on a screen waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptKind {
    /// A yes or a no, or one of several.
    Approval,
    /// Words.
    Input,
    /// A secret, which is never typed from elsewhere.
    Secret,
    /// The next thing to do: a coding agent that has nothing to do.
    Ready,
}

/// What runs in the foreground of a pane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreground {
    /// The name of the process; a claim.
    pub name: String,
    /// Whether it is a shell.
    pub shell: bool,
    /// Whether its bells are only about keys that its user has pressed.
    pub quiet: bool,
    /// Whether it is a coding agent, which asks in its own ways.
    pub agent: bool,
    /// Whether one of its processes was running.
    pub running: bool,
}
