//! Notifications, and what sessions are doing.

use berth_protocol::attention::{self, PaneRef};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::store::{self, word};

/// What a session or a pane is doing, as its box believes. Programs on the box decide it: a claim.
#[derive(Debug, Serialize, ToSchema)]
pub struct Belief {
    /// `working`, `waiting_for_input`, `waiting_for_approval`, `done`, `failed`, `idle`, `gone` or `unknown`; newer
    /// boxes may know more.
    pub activity: String,
    /// Where that comes from: `hook`, `notice`, `progress`, `prompt`, `bell`, `title`, `screen`, `process`, `silence` or
    /// `unknown`.
    pub evidence: String,
    /// How sure it is, 0 to 100.
    pub confidence: u8,
    /// Since when, milliseconds since 1970, by the box's clock.
    pub since_ms: i64,
}

/// What a session is doing: that of its pane which needs the user most.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attention {
    /// The session as a whole.
    #[serde(flatten)]
    pub belief: Belief,
    /// Its panes.
    pub panes: Vec<PaneAttention>,
}

/// What a pane is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaneAttention {
    /// Which.
    pub pane: PanePlace,
    /// What it does.
    #[serde(flatten)]
    pub belief: Belief,
}

/// A pane, as it was when it was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub struct PanePlace {
    /// tmux's own number.
    pub id: u32,
    /// Its window's index.
    pub window: u32,
    /// Its index in the window.
    pub index: u32,
}

/// Something that a user should know.
#[derive(Debug, Serialize, ToSchema)]
pub struct Notification {
    /// Its identifier.
    #[schema(example = "ntf-aaaaaaaaaaaaaaaaaaaaaaaaaa")]
    pub id: String,
    /// Its place: a higher number is newer.
    pub seq: u64,
    /// Where it happened.
    pub workspace_id: String,
    /// The session, if it is about one.
    pub session_id: Option<String>,
    /// The pane, if it is about one.
    pub pane: Option<PanePlace>,
    /// `waiting_for_input`, `waiting_for_approval`, `done`, `failed`, `message`, `berth` or `unknown`.
    pub reason: String,
    /// `info`, `warning`, `urgent` or `unknown`.
    pub severity: String,
    /// Where it comes from, as for a session's activity.
    pub evidence: String,
    /// How sure it is, 0 to 100.
    pub confidence: u8,
    /// What to show, as text.
    pub text: String,
    /// What can be answered at once, while it is open.
    pub question: Option<Question>,
    /// When it came, milliseconds since 1970.
    pub created_at_ms: i64,
    /// When the caller has seen it.
    pub seen_at_ms: Option<i64>,
    /// When it was no longer true.
    pub ended_at_ms: Option<i64>,
    /// Why: `answered`, `seen`, `went_on`, `superseded`, `gone` or `unknown`.
    pub ended_because: Option<String>,
    /// The caller's count of changes when it last changed; a lower number is older.
    pub change_seq: u64,
}

/// A question that a pane shows.
#[derive(Debug, Serialize, ToSchema)]
pub struct Question {
    /// What can be chosen.
    pub choices: Vec<Choice>,
    /// Whether words can be typed as the answer.
    pub free_text: bool,
}

/// One choice.
#[derive(Debug, Serialize, ToSchema)]
pub struct Choice {
    /// What it is called in an answer.
    pub id: String,
    /// What people read.
    pub label: String,
}

/// Some of an inbox.
#[derive(Debug, Serialize, ToSchema)]
pub struct Inbox {
    /// How many are open and were not seen, muted sessions left out.
    pub unread: u64,
    /// The caller's count of changes.
    pub seq: u64,
    /// Notifications.
    pub notifications: Vec<Notification>,
    /// Sessions of which the caller wants to hear nothing.
    pub mutes: Vec<Mute>,
}

/// A page of an inbox, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboxPage {
    /// The page, and the inbox's numbers.
    #[serde(flatten)]
    pub inbox: Inbox,
    /// What to ask for as `before` to get the next page; none at the end.
    pub next: Option<u64>,
}

/// A session of which a user wants to hear nothing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Mute {
    /// The session.
    pub session_id: String,
    /// Until when, milliseconds since 1970; for good when there is none.
    pub until_ms: Option<i64>,
}

/// Which notifications.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InboxQuery {
    /// At most so many, 1 to 200; 50 by default.
    pub limit: Option<u32>,
    /// Only those before this place.
    pub before: Option<u64>,
    /// Only those that count as unread.
    #[serde(default)]
    pub unread: bool,
    /// Only those of a session.
    pub session: Option<String>,
}

/// What was seen.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenNotifications {
    /// All of a session.
    #[serde(default)]
    pub session_id: Option<String>,
    /// All up to this place, that one too.
    #[serde(default)]
    pub up_to: Option<u64>,
}

/// An answer: a choice, or words.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAnswer {
    /// A choice's id.
    #[serde(default)]
    pub choice: Option<String>,
    /// Words that are typed, followed by Enter; at most 4096 bytes.
    #[serde(default)]
    pub text: Option<String>,
}

/// For how long nothing is wanted to be heard.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMute {
    /// Seconds from now on, 60 to 31536000; for good when there is none.
    #[serde(default)]
    pub seconds: Option<u64>,
}

impl From<attention::Belief> for Belief {
    fn from(belief: attention::Belief) -> Self {
        Self {
            activity: word(belief.activity),
            evidence: word(belief.evidence),
            confidence: belief.confidence,
            since_ms: belief.since_ms,
        }
    }
}

impl From<PaneRef> for PanePlace {
    fn from(pane: PaneRef) -> Self {
        Self { id: pane.id, window: pane.window, index: pane.index }
    }
}

impl From<attention::SessionAttention> for Attention {
    fn from(of: attention::SessionAttention) -> Self {
        let pane = |one: attention::PaneAttention| PaneAttention {
            pane: one.pane.into(),
            belief: one.belief.into(),
        };
        Self { belief: of.belief.into(), panes: of.panes.into_iter().map(pane).collect() }
    }
}

impl From<store::Notification> for Notification {
    fn from(one: store::Notification) -> Self {
        let question = one.question.filter(|_| one.ended_at_ms.is_none());
        Self {
            id: one.id.into(),
            seq: one.seq,
            workspace_id: one.workspace.into(),
            session_id: one.session.map(String::from),
            pane: one.pane.map(PanePlace::from),
            reason: word(one.reason),
            severity: word(one.severity),
            evidence: word(one.evidence),
            confidence: one.confidence,
            text: one.text,
            question: question.map(Question::from),
            created_at_ms: one.created_at_ms,
            seen_at_ms: one.seen_at_ms,
            ended_at_ms: one.ended_at_ms,
            ended_because: one.ended_because,
            change_seq: one.change_seq,
        }
    }
}

impl From<store::Asked> for Question {
    fn from(asked: store::Asked) -> Self {
        let choice = |one: store::AskedChoice| Choice { id: one.id, label: one.label };
        Self { choices: asked.choices.into_iter().map(choice).collect(), free_text: asked.free_text }
    }
}

impl From<store::Inbox> for Inbox {
    fn from(inbox: store::Inbox) -> Self {
        let mute = |one: store::Mute| Mute { session_id: one.session.into(), until_ms: one.until_ms };
        Self {
            unread: inbox.unread,
            seq: inbox.seq,
            notifications: inbox.notifications.into_iter().map(Notification::from).collect(),
            mutes: inbox.mutes.into_iter().map(mute).collect(),
        }
    }
}
