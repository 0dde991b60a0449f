//! Shares: links by which somebody without an account may watch a session for a while. What becomes of one is on the
//! audit record, in the name of who made it, since its guest has no account; both are written or neither.

use std::time::Duration;

use berth_protocol::ids::{RequestId, SessionId, ShareId, UserId, WorkspaceId};
use rusqlite::{Row, params};
use serde_json::json;

use super::audit::{self, AuditNote};
use super::transaction::{Tx, parsed, unsigned};
use super::{MemberRole, Store, StoreError, deadline_ms, hash, now_ms};

/// Shares that a session may have at the same time.
const MAX_SHARES: u64 = 64;

const COLUMNS: &str = "id, session_id, created_by, name, created_at_ms, opened_at_ms, expires_at_ms";

/// A share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its identifier.
    pub id: ShareId,
    /// What may be watched.
    pub session: SessionId,
    /// Who made it.
    pub created_by: UserId,
    /// What others see of the guest.
    pub name: String,
    /// When it was made.
    pub created_at_ms: i64,
    /// When its link was opened, if it was.
    pub opened_at_ms: Option<i64>,
    /// When it ends.
    pub expires_at_ms: i64,
}

impl Store {
    /// Makes a share whose link holds `code`.
    ///
    /// # Errors
    /// [`StoreError::TooManyShares`] when the session has as many as it may have.
    pub async fn create_share(
        &self,
        session: SessionId,
        user: UserId,
        name: String,
        code: &str,
        lifetime: Duration,
        request_id: RequestId,
    ) -> Result<Share, StoreError> {
        let code_hash = hash(code);
        self.transaction(move |tx| {
            let sql = "SELECT COUNT(*) AS count FROM shares WHERE session_id = $1 AND expires_at_ms > $2";
            let count = tx.one(sql, params![session.as_str(), now_ms()], |row| unsigned(row, "count"))?;
            if count >= MAX_SHARES {
                return Err(StoreError::TooManyShares(MAX_SHARES));
            }
            let share = Share {
                id: ShareId::random(),
                session,
                created_by: user,
                name,
                created_at_ms: now_ms(),
                opened_at_ms: None,
                expires_at_ms: deadline_ms(lifetime),
            };
            tx.execute(
                "INSERT INTO shares
                     (id, session_id, created_by, name, code_hash, created_at_ms, expires_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                params![
                    share.id.as_str(),
                    share.session.as_str(),
                    share.created_by.as_str(),
                    share.name,
                    code_hash,
                    share.created_at_ms,
                    share.expires_at_ms
                ],
            )?;
            note(tx, &share, share.created_by.clone(), request_id, "share_created")?;
            Ok(share)
        })
        .await
    }

    /// The shares of a session that have not ended, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn shares_of(&self, session: SessionId) -> Result<Vec<Share>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM shares WHERE session_id = $1 AND expires_at_ms > $2
                 ORDER BY created_at_ms, id"
            );
            tx.all(&sql, params![session.as_str(), now_ms()], share)
        })
        .await
    }

    /// Ends a share of a session in a user's name, and with it the tickets that it was given. `false`: there is no such
    /// share.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_share(
        &self,
        session: SessionId,
        id: ShareId,
        user: UserId,
        request_id: RequestId,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let sql = format!("DELETE FROM shares WHERE id = $1 AND session_id = $2 RETURNING {COLUMNS}");
            let ended = tx.optional(&sql, params![id.as_str(), session.as_str()], share)?;
            let Some(share) = ended else { return Ok(false) };
            note(tx, &share, user, request_id, "share_ended")?;
            Ok(true)
        })
        .await
    }

    /// Opens a share by the code in its link, which works once: from then on `token` is the guest's. `None`: the
    /// code is unknown or used, or the share or its session has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_share(
        &self,
        code: &str,
        token: &str,
        request_id: RequestId,
    ) -> Result<Option<Share>, StoreError> {
        let (code_hash, token_hash) = (hash(code), hash(token));
        self.transaction(move |tx| {
            let sql = format!(
                "UPDATE shares SET code_hash = NULL, guest_token_hash = $2, opened_at_ms = $3
                 WHERE code_hash = $1 AND expires_at_ms > $3
                     AND EXISTS (SELECT 1 FROM sessions
                                 WHERE sessions.id = shares.session_id AND sessions.ended_at_ms IS NULL)
                 RETURNING {COLUMNS}"
            );
            let opened = tx.optional(&sql, params![code_hash, token_hash, now_ms()], share)?;
            if let Some(share) = &opened {
                note(tx, share, share.created_by.clone(), request_id, "share_opened")?;
            }
            Ok(opened)
        })
        .await
    }

    /// The share by which the holder of `token` may watch a session, if it has not ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn guest(&self, token: &str, session: SessionId) -> Result<Option<Share>, StoreError> {
        let token_hash = hash(token);
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM shares
                 WHERE guest_token_hash = $1 AND session_id = $2 AND expires_at_ms > $3
                     AND EXISTS (SELECT 1 FROM sessions
                                 JOIN workspace_users ON workspace_users.workspace_id = sessions.workspace_id
                                 WHERE sessions.id = shares.session_id
                                     AND workspace_users.user_id = shares.created_by
                                     AND workspace_users.rank >= $4)"
            );
            let editor = MemberRole::Editor.rank();
            tx.optional(&sql, params![token_hash, session.as_str(), now_ms(), editor], share)
        })
        .await
    }
}

/// Puts on the record what became of a share.
fn note(
    tx: &Tx<'_>,
    share: &Share,
    user: UserId,
    request_id: RequestId,
    action: &'static str,
) -> Result<(), StoreError> {
    let sql = "SELECT workspace_id FROM sessions WHERE id = $1";
    let workspace: WorkspaceId =
        tx.one(sql, params![share.session.as_str()], |row| parsed(row, "workspace_id"))?;
    let detail = json!({ "session": share.session, "share": share.id });
    audit::add(tx, AuditNote { workspace, user, request_id, action, detail })
}

fn share(row: &Row<'_>) -> rusqlite::Result<Share> {
    Ok(Share {
        id: parsed(row, "id")?,
        session: parsed(row, "session_id")?,
        created_by: parsed(row, "created_by")?,
        name: row.get("name")?,
        created_at_ms: row.get("created_at_ms")?,
        opened_at_ms: row.get("opened_at_ms")?,
        expires_at_ms: row.get("expires_at_ms")?,
    })
}
