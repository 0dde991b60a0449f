//! API tokens: what lets programs act for a user.
//!
//! A token is one more sign-in of its user, told from a browser's by its row here. Everything that was given to it
//! hangs on that sign-in, as a browser's does, and ends with it.

use std::time::Duration;
use std::{fmt, str};

use berth_protocol::ids::{TokenId, UserId};
use rusqlite::{Row, params};

use super::transaction::{Tx, parsed, unsigned};
use super::{BrowserSession, CurrentUser, Store, StoreError, deadline_ms, now_ms};

/// Tokens that a user may have at the same time.
const MAX_TOKENS: u64 = 100;

/// How exactly the last use is remembered. Each time would be a write to the disk for each request.
const USE_PRECISION_MS: i64 = 60_000;

const COLUMNS: &str = "api_tokens.id, api_tokens.name, api_tokens.scopes, api_tokens.token_hash,
     api_tokens.created_at_ms, api_tokens.expires_at_ms, api_tokens.last_used_at_ms";

/// Something that a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything that its user may do, but for what only people do.
    All,
    /// Everything that changes nothing.
    Read,
    /// Seeing previews.
    Previews,
}

/// A text that is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a scope: expected all, read or previews")]
pub struct InvalidScope;

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Read => "read",
            Self::Previews => "previews",
        })
    }
}

impl str::FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        match text {
            "all" => Ok(Self::All),
            "read" => Ok(Self::Read),
            "previews" => Ok(Self::Previews),
            _ => Err(InvalidScope),
        }
    }
}

/// The scopes of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// These, each once.
    #[must_use]
    pub fn new(mut scopes: Vec<Scope>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Whether one of them is `scope`.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(Scope::to_string).collect();
        f.write_str(&words.join(" "))
    }
}

impl str::FromStr for Scopes {
    type Err = InvalidScope;

    /// Words that a newer gateway wrote allow nothing here.
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Ok(Self::new(text.split_whitespace().filter_map(|word| word.parse().ok()).collect()))
    }
}

/// A token, without the secret, which is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its identifier.
    pub id: TokenId,
    /// Its name.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// The sign-in that everything hangs on that it was given.
    pub sign_in: BrowserSession,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it ends.
    pub expires_at_ms: i64,
    /// When it was last used, to the minute.
    pub last_used_at_ms: Option<i64>,
}

impl Store {
    /// Makes a token for a user; `secret` is not stored.
    ///
    /// # Errors
    /// [`StoreError::TooManyTokens`].
    pub async fn create_token(
        &self,
        user: UserId,
        name: String,
        scopes: Scopes,
        secret: &str,
        lifetime: Duration,
    ) -> Result<ApiToken, StoreError> {
        let sign_in = BrowserSession::of_token(secret);
        self.transaction(move |tx| {
            let sql = "SELECT COUNT(*) AS n FROM api_tokens WHERE user_id = $1 AND expires_at_ms > $2";
            if tx.one(sql, params![user.as_str(), now_ms()], |row| unsigned(row, "n"))? >= MAX_TOKENS {
                return Err(StoreError::TooManyTokens(MAX_TOKENS));
            }
            let token = ApiToken {
                id: TokenId::random(),
                name,
                scopes,
                sign_in,
                created_at_ms: now_ms(),
                expires_at_ms: deadline_ms(lifetime),
                last_used_at_ms: None,
            };
            tx.execute(
                "INSERT INTO browser_sessions (token_hash, user_id, created_at_ms, expires_at_ms)
                 VALUES ($1, $2, $3, $4)",
                params![token.sign_in.0, user.as_str(), token.created_at_ms, token.expires_at_ms],
            )?;
            tx.execute(
                "INSERT INTO api_tokens (id, user_id, name, scopes, token_hash, created_at_ms, expires_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                params![
                    token.id.as_str(),
                    user.as_str(),
                    token.name,
                    token.scopes.to_string(),
                    token.sign_in.0,
                    token.created_at_ms,
                    token.expires_at_ms
                ],
            )?;
            Ok(token)
        })
        .await
    }

    /// A user's tokens that have not ended, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tokens_of(&self, user: UserId) -> Result<Vec<ApiToken>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM api_tokens WHERE user_id = $1 AND expires_at_ms > $2
                 ORDER BY created_at_ms, id"
            );
            tx.all(&sql, params![user.as_str(), now_ms()], token)
        })
        .await
    }

    /// Revokes a user's token, and takes back everything that it was given. `None`: there is no such token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_token(
        &self,
        user: UserId,
        id: TokenId,
    ) -> Result<Option<BrowserSession>, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT token_hash FROM api_tokens WHERE id = $1 AND user_id = $2";
            let found = tx.optional(sql, params![id.as_str(), user.as_str()], |row| row.get("token_hash"))?;
            let Some(hash) = found else { return Ok(None) };
            let sign_in = BrowserSession(hash);
            tx.execute("DELETE FROM browser_sessions WHERE token_hash = $1", [&sign_in.0])?;
            Ok(Some(sign_in))
        })
        .await
    }

    /// Whose token this is, if it is known and has not expired. It counts as used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn use_token(&self, secret: &str) -> Result<Option<(CurrentUser, ApiToken)>, StoreError> {
        let sign_in = BrowserSession::of_token(secret);
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT {COLUMNS}, users.id AS user_id, users.name AS user_name
                 FROM api_tokens JOIN users ON users.id = api_tokens.user_id AND users.blocked_at_ms IS NULL
                 WHERE api_tokens.token_hash = $1 AND api_tokens.expires_at_ms > $2"
            );
            let found = tx.optional(&sql, params![sign_in.0, now_ms()], |row| {
                let user = CurrentUser { id: parsed(row, "user_id")?, name: row.get("user_name")? };
                Ok((user, token(row)?))
            })?;
            if let Some((_, token)) = &found {
                used(tx, token)?;
            }
            Ok(found)
        })
        .await
    }
}

fn used(tx: &Tx<'_>, token: &ApiToken) -> Result<(), StoreError> {
    let now = now_ms();
    if token.last_used_at_ms.is_none_or(|before| before <= now - USE_PRECISION_MS) {
        tx.execute(
            "UPDATE api_tokens SET last_used_at_ms = $2 WHERE id = $1",
            params![token.id.as_str(), now],
        )?;
    }
    Ok(())
}

fn token(row: &Row<'_>) -> rusqlite::Result<ApiToken> {
    Ok(ApiToken {
        id: parsed(row, "id")?,
        name: row.get("name")?,
        scopes: parsed(row, "scopes")?,
        sign_in: BrowserSession(row.get("token_hash")?),
        created_at_ms: row.get("created_at_ms")?,
        expires_at_ms: row.get("expires_at_ms")?,
        last_used_at_ms: row.get("last_used_at_ms")?,
    })
}
