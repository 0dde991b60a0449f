//! Rights to a terminal: tickets, and shares.

use berth_protocol::door;
use berth_protocol::ids::ClientId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store;

/// What may be done in a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Seeing and typing.
    Editor,
    /// Seeing only.
    Viewer,
}

/// What a ticket should be for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTicket {
    /// The tab or program, in an id that it drew itself. With the same one after a reconnect it is known as the
    /// same; others see it.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "cli-aaaaaaaaaaaaaaaaaaaaaaaaaa")]
    pub client: Option<ClientId>,
    /// Whether it wants to watch only, whatever it might do.
    #[serde(default)]
    pub watch: bool,
}

/// A right to attach to a terminal, once.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ticket {
    /// The secret.
    pub ticket: String,
    /// How long it works.
    pub expires_in_seconds: u64,
    /// What may be done with it.
    pub role: Role,
}

/// A share to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewShare {
    /// What others see of whoever opens the link: 1 to 64 characters.
    #[serde(default = "default_name")]
    #[schema(default = "Guest")]
    pub name: String,
    /// How long it lasts, 60 to 604800.
    #[serde(default = "default_lifetime")]
    #[schema(default = 3600)]
    pub expires_in_seconds: u64,
}

/// A share: one person may watch a session for a while.
#[derive(Debug, Serialize, ToSchema)]
pub struct Share {
    /// Its identifier.
    pub id: String,
    /// What others see of the guest.
    pub name: String,
    /// When it was made, milliseconds since 1970.
    pub created_at_ms: i64,
    /// When its link was opened, if it was.
    pub opened_at_ms: Option<i64>,
    /// When it ends, milliseconds since 1970.
    pub expires_at_ms: i64,
}

/// A share that was made just now.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedShare {
    /// The share.
    pub share: Share,
    /// Its link, which works once, and is told here only.
    pub url: String,
}

/// Shares.
#[derive(Debug, Serialize, ToSchema)]
pub struct Shares {
    /// The session's shares that have not ended, oldest first.
    pub shares: Vec<Share>,
}

/// What a guest brings.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareCode {
    /// The part of the link behind `#`.
    pub code: String,
}

/// What a guest may watch.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenedShare {
    /// The session.
    pub session_id: String,
    /// When that ends, milliseconds since 1970.
    pub expires_at_ms: i64,
}

fn default_name() -> String {
    "Guest".to_owned()
}

fn default_lifetime() -> u64 {
    3600
}

impl From<door::Role> for Role {
    fn from(role: door::Role) -> Self {
        match role {
            door::Role::Editor => Self::Editor,
            door::Role::Viewer => Self::Viewer,
        }
    }
}

impl From<store::Share> for Share {
    fn from(share: store::Share) -> Self {
        Self {
            id: share.id.into(),
            name: share.name,
            created_at_ms: share.created_at_ms,
            opened_at_ms: share.opened_at_ms,
            expires_at_ms: share.expires_at_ms,
        }
    }
}
