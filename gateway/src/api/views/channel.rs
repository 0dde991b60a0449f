//! Channels, and how a user wants to be told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{notifications, store};

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
