//! Accounts that people make: invites, and passwords by their hashes.

use std::time::Duration;

use berth_protocol::ids::{InviteId, UserId, WorkspaceId};
use rusqlite::{Row, params};

use super::transaction::{Tx, parsed, parsed_optional, unsigned};
use super::users::NewSignIn;
use super::{
    BrowserSession, CurrentUser, MemberRole, Store, StoreError, deadline_ms, devices, hash, members, now_ms,
    users,
};

/// A right to make accounts, without its code, which is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Its identifier.
    pub id: InviteId,
    /// How often it may still be used.
    pub uses_left: u64,
    /// What its users may use at once.
    pub access: Option<(WorkspaceId, MemberRole)>,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it ends.
    pub expires_at_ms: i64,
}

/// What becomes of an invite that somebody wants to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// There is an account now, signed in.
    Made(CurrentUser),
    /// There is a user of that name; the invite is as it was.
    NameTaken,
    /// It is unknown, used up or too old.
    Invalid,
}

impl Store {
    /// Makes an invite with a code.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_invite(
        &self,
        code: &str,
        uses: u32,
        access: Option<(WorkspaceId, MemberRole)>,
        lifetime: Duration,
    ) -> Result<Invite, StoreError> {
        let code_hash = hash(code);
        self.transaction(move |tx| {
            let invite = Invite {
                id: InviteId::random(),
                uses_left: uses.into(),
                access,
                created_at_ms: now_ms(),
                expires_at_ms: deadline_ms(lifetime),
            };
            let (workspace, role) = invite.access.as_ref().map(|(id, role)| (id.as_str(), role.to_string())).unzip();
            tx.execute(
                "INSERT INTO invites (id, code_hash, uses_left, workspace_id, role, created_at_ms, expires_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                params![
                    invite.id.as_str(),
                    code_hash,
                    uses,
                    workspace,
                    role,
                    invite.created_at_ms,
                    invite.expires_at_ms
                ],
            )?;
            Ok(invite)
        })
        .await
    }

    /// The invites that can still be used, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn invites(&self) -> Result<Vec<Invite>, StoreError> {
        self.transaction(|tx| {
            let sql = "SELECT id, uses_left, workspace_id, role, created_at_ms, expires_at_ms FROM invites
                       WHERE uses_left > 0 AND expires_at_ms > $1 ORDER BY created_at_ms, id";
            tx.all(sql, [now_ms()], invite)
        })
        .await
    }

    /// Takes an invite back. `false`: there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_invite(&self, id: InviteId) -> Result<bool, StoreError> {
        self.transaction(move |tx| Ok(tx.execute("DELETE FROM invites WHERE id = $1", [id.as_str()])? > 0))
            .await
    }

    /// Whether an invite can be used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn invite_is_good(&self, code: &str) -> Result<bool, StoreError> {
        let code_hash = hash(code);
        self.transaction(move |tx| {
            let sql = "SELECT 1 FROM invites WHERE code_hash = $1 AND uses_left > 0 AND expires_at_ms > $2";
            Ok(tx.optional(sql, params![code_hash, now_ms()], |_| Ok(()))?.is_some())
        })
        .await
    }

    /// Uses an invite: makes a user, with the hash of a password if there is one, and signs them in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn redeem_invite(
        &self,
        code: &str,
        name: String,
        password: Option<String>,
        new: NewSignIn,
    ) -> Result<Redeemed, StoreError> {
        let code_hash = hash(code);
        self.transaction(move |tx| {
            let taken = users::named(tx, &name)?.is_some();
            let sql = "UPDATE invites SET uses_left = uses_left - $3
                       WHERE code_hash = $1 AND uses_left > 0 AND expires_at_ms > $2
                       RETURNING id, uses_left, workspace_id, role, created_at_ms, expires_at_ms";
            let uses = i64::from(!taken);
            let Some(invite) = tx.optional(sql, params![code_hash, now_ms(), uses], invite)? else {
                return Ok(Redeemed::Invalid);
            };
            if taken {
                return Ok(Redeemed::NameTaken);
            }
            let user = users::add(tx, name)?;
            if let Some(password) = password {
                put_password(tx, &user.id, &password)?;
            }
            if let Some((workspace, role)) = invite.access {
                members::add_member(tx, &workspace, &user.id, role)?;
            }
            devices::begin(tx, &user.id, &new)?;
            Ok(Redeemed::Made(user))
        })
        .await
    }

    /// Makes a user, who has no way to sign in yet.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`].
    pub async fn add_user(&self, name: String) -> Result<CurrentUser, StoreError> {
        self.transaction(move |tx| users::add(tx, name)).await
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

fn put_password(tx: &Tx<'_>, user: &UserId, password: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO passwords (user_id, hash, changed_at_ms) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at_ms = excluded.changed_at_ms",
        params![user.as_str(), password, now_ms()],
    )?;
    Ok(())
}

fn invite(row: &Row<'_>) -> rusqlite::Result<Invite> {
    let role: Option<MemberRole> = parsed_optional(row, "role")?;
    Ok(Invite {
        id: parsed(row, "id")?,
        uses_left: unsigned(row, "uses_left")?,
        access: parsed_optional(row, "workspace_id")?.zip(role),
        created_at_ms: row.get("created_at_ms")?,
        expires_at_ms: row.get("expires_at_ms")?,
    })
}
