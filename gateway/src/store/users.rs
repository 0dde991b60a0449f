//! Users, their one-time sign-in codes and the sessions of their browsers.
//!
//! A browser stays signed in as long as it is used: its time begins anew whenever it is, up to a bound.

use std::time::Duration;

use berth_protocol::ids::UserId;
use rusqlite::{Row, params};

use super::devices::Times;
use super::transaction::{Tx, parsed, unsigned};
use super::{BrowserSession, CurrentUser, Store, StoreError, deadline_ms, devices, hash, now_ms};
use crate::auth::{BROWSER_SESSION, LONGEST_SIGN_IN};

/// The first user's name until they choose another.
const OWNER_NAME: &str = "owner";

/// Somebody who proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The user.
    pub user: CurrentUser,
    /// The browser.
    pub sign_in: BrowserSession,
    /// When they last proved it there.
    pub proved_at_ms: i64,
}

/// A sign-in to be.
#[derive(Debug, Clone)]
pub struct NewSignIn {
    /// What its cookie will hold; it is not stored.
    pub token: String,
    /// What its browser runs on, in our words.
    pub device: String,
    /// For how long, if it is not used.
    pub idle: Duration,
    /// For how long, however much it is used.
    pub longest: Duration,
    /// When its user last proved who they are.
    pub proved_at_ms: i64,
}

impl NewSignIn {
    /// The sign-in of somebody who has proved just now who they are.
    #[must_use]
    pub fn proved(token: String, device: String) -> Self {
        Self { token, device, idle: BROWSER_SESSION, longest: LONGEST_SIGN_IN, proved_at_ms: now_ms() }
    }
}

/// A user as the operator sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: CurrentUser,
    /// Whether they are blocked.
    pub blocked: bool,
    /// Whether they have a password.
    pub password: bool,
    /// How many passkeys they have.
    pub passkeys: u64,
    /// In how many browsers they are signed in.
    pub devices: u64,
}

impl Store {
    /// The installation's first user, who is made at first use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owner(&self) -> Result<CurrentUser, StoreError> {
        self.transaction(owner).await
    }

    /// Whether a user is the installation's owner, its first user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_owner(&self, user: UserId) -> Result<bool, StoreError> {
        self.transaction(move |tx| Ok(first(tx)?.is_some_and(|first| first.id == user))).await
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

    /// Takes a sign-in code and begins a browser session for its user. `None`: the code is unknown, used or expired,
    /// or the user is blocked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_in(&self, code: &str, new: NewSignIn) -> Result<Option<UserId>, StoreError> {
        let code_hash = hash(code);
        self.transaction(move |tx| {
            let sql = "DELETE FROM sign_in_codes WHERE code_hash = $1 RETURNING user_id, expires_at_ms";
            let taken = tx.optional(sql, [code_hash], |row| {
                Ok((parsed::<UserId>(row, "user_id")?, row.get::<_, i64>("expires_at_ms")?))
            })?;
            let Some((user, _)) = taken.filter(|(_, expires_at_ms)| *expires_at_ms > now_ms()) else {
                return Ok(None);
            };
            Ok(devices::begin(tx, &user, &new)?.then_some(user))
        })
        .await
    }

    /// Whose browser session a token is, if it is known and has not expired. It counts as used. A program's token, ours or
    /// an issuer's, is no browser's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn browser_session(&self, token: &str) -> Result<Option<SignedIn>, StoreError> {
        let session = BrowserSession::of_token(token);
        self.transaction(move |tx| {
            let found = tx.optional(
                "SELECT users.id, users.name, proved_at_ms, browser_sessions.created_at_ms, used_at_ms, expires_at_ms,
                     ends_at_ms
                 FROM browser_sessions
                 JOIN users ON users.id = browser_sessions.user_id AND users.blocked_at_ms IS NULL
                 WHERE token_hash = $1 AND expires_at_ms > $2 AND bearer = 0
                     AND NOT EXISTS (SELECT 1 FROM api_tokens
                                     WHERE api_tokens.token_hash = browser_sessions.token_hash)",
                params![session.0, now_ms()],
                |row| {
                    let times = Times {
                        created_at_ms: row.get("created_at_ms")?,
                        used_at_ms: row.get("used_at_ms")?,
                        expires_at_ms: row.get("expires_at_ms")?,
                        ends_at_ms: row.get("ends_at_ms")?,
                    };
                    Ok((user(row)?, row.get("proved_at_ms")?, times))
                },
            )?;
            let Some((user, proved_at_ms, times)) = found else { return Ok(None) };
            devices::used(tx, &session, &times)?;
            Ok(Some(SignedIn { user, sign_in: session, proved_at_ms }))
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

    /// A user by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user_named(&self, name: String) -> Result<Option<CurrentUser>, StoreError> {
        self.transaction(move |tx| named(tx, &name)).await
    }

    /// Every user, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.transaction(|tx| {
            let sql = "SELECT id, name, blocked_at_ms IS NOT NULL AS blocked,
                    EXISTS (SELECT 1 FROM passwords WHERE passwords.user_id = users.id) AS password,
                    (SELECT COUNT(*) FROM passkeys WHERE passkeys.user_id = users.id) AS passkeys,
                    (SELECT COUNT(*) FROM browser_sessions WHERE browser_sessions.user_id = users.id
                         AND browser_sessions.expires_at_ms > $1 AND browser_sessions.bearer = 0
                         AND NOT EXISTS (SELECT 1 FROM api_tokens
                                         WHERE api_tokens.token_hash = browser_sessions.token_hash)) AS devices
                FROM users ORDER BY name";
            tx.all(sql, [now_ms()], |row| {
                Ok(Account {
                    user: user(row)?,
                    blocked: row.get("blocked")?,
                    password: row.get("password")?,
                    passkeys: unsigned(row, "passkeys")?,
                    devices: unsigned(row, "devices")?,
                })
            })
        })
        .await
    }

    /// Blocks a user, who is signed out everywhere and whose tokens end, or lets them in again. `false`: there is no
    /// such user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn block_user(&self, name: String, blocked: bool) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let Some(user) = named(tx, &name)? else { return Ok(false) };
            let at_ms = blocked.then(now_ms);
            tx.execute(
                "UPDATE users SET blocked_at_ms = $2 WHERE id = $1",
                params![user.id.as_str(), at_ms],
            )?;
            if blocked {
                sign_out_everywhere(tx, &user.id)?;
            }
            Ok(true)
        })
        .await
    }

    /// Takes from a user everything by which they prove who they are: password, passkeys, who they are to issuers, sign-ins,
    /// tokens. `false`: there is no such user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reset_user(&self, name: String) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let Some(user) = named(tx, &name)? else { return Ok(false) };
            for table in ["passwords", "passkeys", "passkey_challenges", "issuer_subjects"] {
                tx.execute(&format!("DELETE FROM {table} WHERE user_id = $1"), [user.id.as_str()])?;
            }
            sign_out_everywhere(tx, &user.id)?;
            Ok(true)
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
                "passkey_challenges",
                "issuer_flows",
                "invites",
            ] {
                tx.execute(&format!("DELETE FROM {table} WHERE expires_at_ms <= $1"), [now_ms()])?;
            }
            Ok(())
        })
        .await
    }
}

/// Ends every sign-in of a user, with everything that was given to it.
pub(super) fn sign_out_everywhere(tx: &Tx<'_>, user: &UserId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sign_in_codes WHERE user_id = $1", [user.as_str()])?;
    tx.execute("DELETE FROM browser_sessions WHERE user_id = $1", [user.as_str()])?;
    Ok(())
}

/// The installation's first user, made where there is none.
pub(super) fn owner(tx: &Tx<'_>) -> Result<CurrentUser, StoreError> {
    match first(tx)? {
        Some(found) => Ok(found),
        None => insert(tx, OWNER_NAME.to_owned()),
    }
}

pub(super) fn first(tx: &Tx<'_>) -> Result<Option<CurrentUser>, StoreError> {
    tx.optional("SELECT id, name FROM users ORDER BY created_at_ms, id LIMIT 1", [], user)
}

/// Makes a user. The installation's owner comes first, whoever is made, since it is the first user.
pub(super) fn add(tx: &Tx<'_>, name: String) -> Result<CurrentUser, StoreError> {
    owner(tx)?;
    insert(tx, name)
}

/// Nobody is older than who was there before: a clock that was set back changes not who comes first.
fn insert(tx: &Tx<'_>, name: String) -> Result<CurrentUser, StoreError> {
    let new = CurrentUser { id: UserId::random(), name };
    let sql = "SELECT COALESCE(MAX(created_at_ms) + 1, 0) AS next FROM users";
    let next: i64 = tx.one(sql, [], |row| row.get("next"))?;
    let sql = "INSERT INTO users (id, name, created_at_ms) VALUES ($1, $2, $3)";
    match tx.execute(sql, params![new.id.as_str(), new.name, now_ms().max(next)]) {
        Err(error) if error.is_conflict() => Err(StoreError::NameTaken(new.name)),
        other => other.map(|_| new),
    }
}

pub(super) fn named(tx: &Tx<'_>, name: &str) -> Result<Option<CurrentUser>, StoreError> {
    tx.optional("SELECT id, name FROM users WHERE name = $1", [name], user)
}

pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<CurrentUser> {
    Ok(CurrentUser { id: parsed(row, "id")?, name: row.get("name")? })
}
