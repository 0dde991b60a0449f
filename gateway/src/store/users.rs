//! Users, their one-time sign-in codes and the sessions of their browsers.

use std::time::Duration;

use berth_protocol::ids::UserId;
use rusqlite::{Row, params};

use super::transaction::{Tx, parsed};
use super::{BrowserSession, CurrentUser, Store, StoreError, deadline_ms, hash, now_ms};

/// The first user's name until they choose another.
const OWNER_NAME: &str = "owner";

impl Store {
    /// The installation's first user, who is made at first use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owner(&self) -> Result<CurrentUser, StoreError> {
        self.transaction(|tx| {
            let sql = "SELECT id, name FROM users ORDER BY created_at_ms, id LIMIT 1";
            if let Some(found) = tx.optional(sql, [], user)? {
                return Ok(found);
            }
            let new = CurrentUser { id: UserId::random(), name: OWNER_NAME.to_owned() };
            tx.execute(
                "INSERT INTO users (id, name, created_at_ms) VALUES ($1, $2, $3)",
                params![new.id.as_str(), new.name, now_ms()],
            )?;
            Ok(new)
        })
        .await
    }

    /// Remembers a sign-in code.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_sign_in_code(
        &self,
        user: UserId,
        code: &str,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let code_hash = hash(code);
        self.transaction(move |tx| {
            tx.execute("DELETE FROM sign_in_codes WHERE expires_at_ms <= $1", [now_ms()])?;
            tx.execute(
                "INSERT INTO sign_in_codes (code_hash, user_id, expires_at_ms) VALUES ($1, $2, $3)",
                params![code_hash, user.as_str(), deadline_ms(lifetime)],
            )?;
            Ok(())
        })
        .await
    }

    /// Takes a sign-in code and begins a browser session with `token` for its user. `None`: the code is
    /// unknown, used or expired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_in(
        &self,
        code: &str,
        token: &str,
        lifetime: Duration,
    ) -> Result<Option<UserId>, StoreError> {
        let (code_hash, token_hash) = (hash(code), hash(token));
        self.transaction(move |tx| {
            let sql = "DELETE FROM sign_in_codes WHERE code_hash = $1 RETURNING user_id, expires_at_ms";
            let taken = tx.optional(sql, [code_hash], |row| {
                Ok((parsed::<UserId>(row, "user_id")?, row.get::<_, i64>("expires_at_ms")?))
            })?;
            let Some((user, _)) = taken.filter(|(_, expires_at_ms)| *expires_at_ms > now_ms()) else {
                return Ok(None);
            };
            tx.execute(
                "INSERT INTO browser_sessions (token_hash, user_id, created_at_ms, expires_at_ms)
                 VALUES ($1, $2, $3, $4)",
                params![token_hash, user.as_str(), now_ms(), deadline_ms(lifetime)],
            )?;
            Ok(Some(user))
        })
        .await
    }

    /// Whose browser session a token is, if it is known and has not expired. An API token is no browser's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn browser_session(
        &self,
        token: &str,
    ) -> Result<Option<(CurrentUser, BrowserSession)>, StoreError> {
        let session = BrowserSession::of_token(token);
        self.transaction(move |tx| {
            let found = tx.optional(
                "SELECT users.id, users.name FROM browser_sessions
                 JOIN users ON users.id = browser_sessions.user_id
                 WHERE token_hash = $1 AND expires_at_ms > $2
                     AND NOT EXISTS (SELECT 1 FROM api_tokens
                                     WHERE api_tokens.token_hash = browser_sessions.token_hash)",
                params![session.0, now_ms()],
                user,
            )?;
            Ok(found.map(|user| (user, session)))
        })
        .await
    }

    /// Whether a browser is still signed in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_signed_in(&self, session: BrowserSession) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT user_id FROM browser_sessions WHERE token_hash = $1 AND expires_at_ms > $2";
            let found =
                tx.optional(sql, params![session.0, now_ms()], |row| row.get::<_, String>("user_id"))?;
            Ok(found.is_some())
        })
        .await
    }

    /// Ends a browser session, and with it the tickets that it was given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_out(&self, session: BrowserSession) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            tx.execute("DELETE FROM browser_sessions WHERE token_hash = $1", [session.0])?;
            Ok(())
        })
        .await
    }

    /// Forgets everything that has expired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_expired(&self) -> Result<(), StoreError> {
        self.transaction(|tx: &Tx<'_>| {
            for table in [
                "browser_sessions",
                "sign_in_codes",
                "terminal_tickets",
                "enrollment_tokens",
                "shares",
                "preview_links",
                "preview_codes",
                "preview_grants",
            ] {
                tx.execute(&format!("DELETE FROM {table} WHERE expires_at_ms <= $1"), [now_ms()])?;
            }
            Ok(())
        })
        .await
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<CurrentUser> {
    Ok(CurrentUser { id: parsed(row, "id")?, name: row.get("name")? })
}
