//! Passkeys, and what browsers were asked to sign with one. What is in them is the concern of [`crate::auth`].

use std::time::Duration;

use berth_protocol::ids::{PasskeyId, UserId};
use rusqlite::{Row, params};

use super::transaction::{parsed, parsed_optional, unsigned};
use super::{CurrentUser, Store, StoreError, deadline_ms, hash, now_ms};

/// Passkeys that a user may have at the same time.
const MAX_PASSKEYS: u64 = 20;

/// What a browser was asked to sign for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ceremony {
    /// A new passkey of this user's.
    Register(UserId),
    /// A sign-in.
    SignIn,
}

/// A user's passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPasskey {
    /// Its identifier.
    pub id: PasskeyId,
    /// Its name.
    pub name: String,
    /// JSON: the public key and its counter.
    pub credential: String,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it was last used.
    pub used_at_ms: Option<i64>,
}

impl Store {
    /// Remembers what a browser is asked to sign.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_challenge(
        &self,
        id: &str,
        ceremony: Ceremony,
        state: String,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let id_hash = hash(id);
        self.transaction(move |tx| {
            let (purpose, user) = match &ceremony {
                Ceremony::Register(user) => ("register", Some(user.as_str())),
                Ceremony::SignIn => ("sign_in", None),
            };
            tx.execute("DELETE FROM passkey_challenges WHERE expires_at_ms <= $1", [now_ms()])?;
            tx.execute(
                "INSERT INTO passkey_challenges (id_hash, purpose, user_id, state, expires_at_ms)
                 VALUES ($1, $2, $3, $4, $5)",
                params![id_hash, purpose, user, state, deadline_ms(lifetime)],
            )?;
            Ok(())
        })
        .await
    }

    /// Takes what a browser was asked to sign. `None`: it is unknown, used, late or for something else; in each case it
    /// is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_challenge(&self, id: &str, ceremony: Ceremony) -> Result<Option<String>, StoreError> {
        let id_hash = hash(id);
        self.transaction(move |tx| {
            let taken = tx.optional(
                "DELETE FROM passkey_challenges WHERE id_hash = $1
                 RETURNING purpose, user_id, state, expires_at_ms",
                [id_hash],
                |row| {
                    let user: Option<UserId> = parsed_optional(row, "user_id")?;
                    let found = user.map_or(Ceremony::SignIn, Ceremony::Register);
                    let fits = found == ceremony && row.get::<_, i64>("expires_at_ms")? > now_ms();
                    Ok(fits.then_some(row.get("state")?))
                },
            )?;
            Ok(taken.flatten())
        })
        .await
    }

    /// A user's passkeys, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn passkeys_of(&self, user: UserId) -> Result<Vec<StoredPasskey>, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT id, name, credential, created_at_ms, used_at_ms FROM passkeys
                       WHERE user_id = $1 ORDER BY created_at_ms, id";
            tx.all(sql, [user.as_str()], passkey)
        })
        .await
    }

    /// Gives a user a passkey.
    ///
    /// # Errors
    /// [`StoreError::TooManyPasskeys`], and [`StoreError::NameTaken`] when somebody has that credential.
    pub async fn add_passkey(
        &self,
        user: UserId,
        name: String,
        credential_id: String,
        credential: String,
    ) -> Result<StoredPasskey, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT COUNT(*) AS n FROM passkeys WHERE user_id = $1";
            if tx.one(sql, [user.as_str()], |row| unsigned(row, "n"))? >= MAX_PASSKEYS {
                return Err(StoreError::TooManyPasskeys(MAX_PASSKEYS));
            }
            let id = PasskeyId::random();
            let new = StoredPasskey { id, name, credential, created_at_ms: now_ms(), used_at_ms: None };
            let inserted = tx.execute(
                "INSERT INTO passkeys (id, user_id, credential_id, name, credential, created_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                params![
                    new.id.as_str(),
                    user.as_str(),
                    credential_id,
                    new.name,
                    new.credential,
                    new.created_at_ms
                ],
            );
            match inserted {
                Err(error) if error.is_conflict() => Err(StoreError::NameTaken(new.name)),
                other => other.map(|_| new),
            }
        })
        .await
    }

    /// Removes a user's passkey. `false`: there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_passkey(&self, user: UserId, id: PasskeyId) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let sql = "DELETE FROM passkeys WHERE id = $1 AND user_id = $2";
            Ok(tx.execute(sql, params![id.as_str(), user.as_str()])? > 0)
        })
        .await
    }

    /// The passkey that an authenticator names, and whose it is, if they are not blocked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn passkey_by_credential(
        &self,
        credential_id: String,
    ) -> Result<Option<(CurrentUser, StoredPasskey)>, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT passkeys.id, passkeys.name, credential, passkeys.created_at_ms, used_at_ms,
                    users.id AS user_id, users.name AS user_name
                FROM passkeys JOIN users ON users.id = passkeys.user_id AND users.blocked_at_ms IS NULL
                WHERE credential_id = $1";
            tx.optional(sql, [&credential_id], |row| {
                let user = CurrentUser { id: parsed(row, "user_id")?, name: row.get("user_name")? };
                Ok((user, passkey(row)?))
            })
        })
        .await
    }

    /// A passkey was used: what is known of it changes, unless another use was faster.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn passkey_used(&self, before: StoredPasskey, credential: String) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let sql =
                "UPDATE passkeys SET credential = $3, used_at_ms = $4 WHERE id = $1 AND credential = $2";
            let values = params![before.id.as_str(), before.credential, credential, now_ms()];
            Ok(tx.execute(sql, values)? > 0)
        })
        .await
    }
}

fn passkey(row: &Row<'_>) -> rusqlite::Result<StoredPasskey> {
    Ok(StoredPasskey {
        id: parsed(row, "id")?,
        name: row.get("name")?,
        credential: row.get("credential")?,
        created_at_ms: row.get("created_at_ms")?,
        used_at_ms: row.get("used_at_ms")?,
    })
}
