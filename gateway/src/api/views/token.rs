//! API tokens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store;

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything that its user may do, but for making and revoking tokens.
    All,
    /// Everything that changes nothing.
    Read,
    /// Seeing previews through `/api/v1/previews`.
    Previews,
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is called: 1 to 64 characters.
    pub name: String,
    /// What it may be used for.
    #[serde(default = "default_scopes")]
    #[schema(default = json!(["read"]))]
    pub scopes: Vec<Scope>,
    /// How long it lasts, 60 to 31536000.
    #[serde(default = "default_lifetime")]
    #[schema(default = 2_592_000)]
    pub expires_in_seconds: u64,
}

fn default_scopes() -> Vec<Scope> {
    vec![Scope::Read]
}

fn default_lifetime() -> u64 {
    30 * 24 * 3600
}

/// What lets a program act for a user, in `Authorization: Bearer`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Token {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made, milliseconds since 1970.
    pub created_at_ms: i64,
    /// When it ends, milliseconds since 1970.
    pub expires_at_ms: i64,
    /// When it was last used, to the minute.
    pub last_used_at_ms: Option<i64>,
}

/// A token that was made just now.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedToken {
    /// The token.
    pub token: Token,
    /// What programs send. It is told here only.
    pub secret: String,
}

/// A user's tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tokens {
    /// Those that have not ended, oldest first.
    pub tokens: Vec<Token>,
}

impl From<store::ApiToken> for Token {
    fn from(token: store::ApiToken) -> Self {
        Self {
            id: token.id.into(),
            name: token.name,
            scopes: token.scopes.iter().map(Scope::from).collect(),
            created_at_ms: token.created_at_ms,
            expires_at_ms: token.expires_at_ms,
            last_used_at_ms: token.last_used_at_ms,
        }
    }
}

impl From<store::Scope> for Scope {
    fn from(scope: store::Scope) -> Self {
        match scope {
            store::Scope::All => Self::All,
            store::Scope::Read => Self::Read,
            store::Scope::Previews => Self::Previews,
        }
    }
}

impl From<Scope> for store::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::All => Self::All,
            Scope::Read => Self::Read,
            Scope::Previews => Self::Previews,
        }
    }
}
