//! Notifications, channels, and what sessions are doing.

use berth_protocol::attention::{self, PaneRef};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::notifications;
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

/// How a user wants to be told.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// When channels are silent; never when there is none.
    #[serde(default)]
    pub quiet: Option<Quiet>,
    /// After how many seconds, 30 to 86400, what was not seen goes to the channels for that; never when there is none.
    #[serde(default)]
    pub escalate_after_secs: Option<u32>,
}

/// Hours of each day.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// Where the user's clock stands.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// The minute of the day with which they begin.
    pub from_minute: u16,
    /// The minute of the day with which they end, the next day's when it is earlier.
    pub to_minute: u16,
    /// Whether what is urgent is told all the same.
    #[serde(default)]
    pub urgent_breaks_through: bool,
}

/// A user's channels.
#[derive(Debug, Serialize, ToSchema)]
pub struct Channels {
    /// The channels, oldest first.
    pub channels: Vec<Channel>,
    /// The key with which browsers subscribe, base64url.
    pub push_public_key: String,
}

/// A way by which a user is told outside of the console. Its secrets are never told.
#[derive(Debug, Serialize, ToSchema)]
pub struct Channel {
    /// Its identifier.
    pub id: String,
    /// `web_push`, `ntfy` or `webhook`.
    pub kind: String,
    /// What its user calls it.
    pub name: String,
    /// The host to which it leads.
    pub host: String,
    /// Whether it is told only what was not seen in time.
    pub escalation: bool,
    /// Whether it carries words of the terminal. Browsers get them in any case, encrypted.
    pub includes_text: bool,
    /// `active`, `off`, or `gone` when the other side does not know it any more: make it anew.
    pub state: String,
    /// When it was made, milliseconds since 1970.
    pub created_at_ms: i64,
    /// When a message was last accepted.
    pub accepted_at_ms: Option<i64>,
    /// When a message was last shown, where the channel tells.
    pub shown_at_ms: Option<i64>,
    /// When a message last failed.
    pub failed_at_ms: Option<i64>,
    /// Why, until one is accepted again.
    pub failure: Option<String>,
    /// How many failed since one was accepted.
    pub failures: u64,
    /// The newest message.
    pub last: Option<Delivery>,
}

/// A message to a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct Delivery {
    /// `show`, `withdraw` or `test`.
    pub what: String,
    /// `queued`, `accepted`, `shown`, `acted`, `failed` or `dropped`.
    pub state: String,
    /// When it was queued, milliseconds since 1970.
    pub queued_at_ms: i64,
    /// When it was accepted.
    pub accepted_at_ms: Option<i64>,
    /// When it was shown, where the channel tells.
    pub shown_at_ms: Option<i64>,
    /// When somebody acted on it.
    pub acted_at_ms: Option<i64>,
    /// Why it failed or was dropped.
    pub failure: Option<String>,
}

/// A channel to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    /// What to call it: 1 to 64 characters.
    pub name: String,
    /// Where it leads.
    pub target: NewTarget,
    /// Whether it is told only what was not seen in time.
    #[serde(default)]
    pub escalation: bool,
    /// Whether it carries words of the terminal.
    #[serde(default)]
    pub includes_text: bool,
}

/// Where a channel is to lead: public addresses, unless the operator allows more.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NewTarget {
    /// A browser, as its `PushSubscription` says.
    WebPush {
        /// The push service's address.
        endpoint: String,
        /// The browser's public key, base64url.
        p256dh: String,
        /// The browser's secret, base64url.
        auth: String,
    },
    /// A topic of an ntfy server.
    Ntfy {
        /// The topic's address.
        url: String,
        /// An access token, where the server wants one.
        #[serde(default)]
        token: Option<String>,
    },
    /// A program that takes JSON, signed with HMAC-SHA256.
    Webhook {
        /// Its address.
        url: String,
        /// The secret, 16 to 256 bytes.
        secret: String,
    },
}

impl std::fmt::Debug for NewTarget {
    /// Without what is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewTarget")
    }
}

/// Changes to a channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelPatch {
    /// What to call it: 1 to 64 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether it is told only what was not seen in time.
    #[serde(default)]
    pub escalation: Option<bool>,
    /// Whether it carries words of the terminal.
    #[serde(default)]
    pub includes_text: Option<bool>,
    /// Whether it is told anything.
    #[serde(default)]
    pub on: Option<bool>,
}

/// What a device says of a message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReceipt {
    /// The secret that came with the message.
    pub receipt: String,
    /// What happened.
    pub what: ReceiptKind,
}

/// What happened to a message on a device.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// It is on a screen.
    Shown,
    /// Somebody acted on it.
    Acted,
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

impl From<notifications::Preferences> for Preferences {
    fn from(of: notifications::Preferences) -> Self {
        let quiet = |one: notifications::Quiet| Quiet {
            time_zone: one.time_zone,
            from_minute: one.from_minute,
            to_minute: one.to_minute,
            urgent_breaks_through: one.urgent_breaks_through,
        };
        Self { quiet: of.quiet.map(quiet), escalate_after_secs: of.escalate_after_secs }
    }
}

impl From<Preferences> for notifications::Preferences {
    fn from(of: Preferences) -> Self {
        let quiet = |one: Quiet| notifications::Quiet {
            time_zone: one.time_zone,
            from_minute: one.from_minute,
            to_minute: one.to_minute,
            urgent_breaks_through: one.urgent_breaks_through,
        };
        Self { quiet: of.quiet.map(quiet), escalate_after_secs: of.escalate_after_secs }
    }
}

impl From<store::Channel> for Channel {
    fn from(one: store::Channel) -> Self {
        Self {
            id: one.id.into(),
            kind: one.kind,
            name: one.name,
            host: one.shown,
            escalation: one.escalation,
            includes_text: one.includes_text,
            state: one.state,
            created_at_ms: one.created_at_ms,
            accepted_at_ms: one.accepted_at_ms,
            shown_at_ms: one.shown_at_ms,
            failed_at_ms: one.failed_at_ms,
            failure: one.failure,
            failures: one.failures,
            last: one.last.map(Delivery::from),
        }
    }
}

impl From<store::LastDelivery> for Delivery {
    fn from(last: store::LastDelivery) -> Self {
        Self {
            what: last.what,
            state: last.state,
            queued_at_ms: last.queued_at_ms,
            accepted_at_ms: last.accepted_at_ms,
            shown_at_ms: last.shown_at_ms,
            acted_at_ms: last.acted_at_ms,
            failure: last.failure,
        }
    }
}

impl From<ReceiptKind> for store::Receipt {
    fn from(kind: ReceiptKind) -> Self {
        match kind {
            ReceiptKind::Shown => Self::Shown,
            ReceiptKind::Acted => Self::Acted,
        }
    }
}
