//! Accounts, and passwords by their hashes.

use berth_protocol::ids::UserId;
use rusqlite::params;

use super::transaction::Tx;
use super::users::NewSignIn;
use super::{BrowserSession, CurrentUser, Store, StoreError, devices, now_ms, users};

impl Store {
    /// Makes a user, who has no way to sign in yet.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`].
    pub async fn add_user(&self, name: String) -> Result<CurrentUser, StoreError> {
        self.transaction(move |tx| match users::first(tx)? {
            // Where nobody is yet, the owner's name is the owner's.
            None => Some(users::owner(tx)?)
                .filter(|owner| owner.name == name)
                .map_or_else(|| users::add(tx, name), Ok),
            Some(_) => users::add(tx, name),
        })
        .await
    }

    /// The hash of a user's password, and who they are, if there is such a user who has one and is not blocked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn password_of(&self, name: String) -> Result<Option<(CurrentUser, String)>, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT users.id, users.name, passwords.hash FROM users
                       JOIN passwords ON passwords.user_id = users.id
                       WHERE users.name = $1 AND users.blocked_at_ms IS NULL";
            tx.optional(sql, [&name], |row| Ok((users::user(row)?, row.get("hash")?)))
        })
        .await
    }

    /// Whether a user has a password.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_password(&self, user: UserId) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT 1 FROM passwords WHERE user_id = $1";
            Ok(tx.optional(sql, [user.as_str()], |_| Ok(()))?.is_some())
        })
        .await
    }

    /// Gives a user another password, by its hash, and signs them out in every other browser. What has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_password(
        &self,
        user: UserId,
        password: String,
        here: BrowserSession,
    ) -> Result<Vec<BrowserSession>, StoreError> {
        self.transaction(move |tx| {
            put_password(tx, &user, &password)?;
            devices::end(tx, &user, &devices::EndDevices::AllBut(here))
        })
        .await
    }

    /// Signs a user in who has proved who they are, unless they were blocked meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_sign_in(&self, user: UserId, new: NewSignIn) -> Result<bool, StoreError> {
        self.transaction(move |tx| devices::begin(tx, &user, &new)).await
    }
}

/// Gives a user a password, by its hash.
pub(super) fn put_password(tx: &Tx<'_>, user: &UserId, password: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO passwords (user_id, hash, changed_at_ms) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at_ms = excluded.changed_at_ms",
        params![user.as_str(), password, now_ms()],
    )?;
    Ok(())
}
