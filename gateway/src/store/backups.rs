//! Where backups of workspaces go, sealed: the store never sees a key or a password.

use berth_protocol::ids::WorkspaceId;
use rusqlite::{Row, params};

use super::audit::{AuditNote, add};
use super::change_seq::count_change;
use super::transaction::{Tx, signed, unsigned};
use super::{Store, StoreError, now_ms};

/// A stored repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBackup {
    /// Where backups go and what opens them, sealed.
    pub sealed: Vec<u8>,
    /// The workspace's `change_seq` when it was last changed.
    pub desired_seq: u64,
    /// Whether the recovery sheet is yet to be shown.
    pub sheet_left: bool,
}

impl Store {
    /// Where a workspace's backups go, if that was ever said.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn backup(&self, workspace: WorkspaceId) -> Result<Option<StoredBackup>, StoreError> {
        self.transaction(move |tx| {
            tx.optional(
                "SELECT backup_sealed, desired_seq, sheet_shown_at_ms FROM workspace_backups
                 WHERE workspace_id = $1",
                [workspace.as_str()],
                stored,
            )
        })
        .await
    }

    /// Replaces where a workspace's backups go and puts that on the audit record. `before` is the `desired_seq` of what
    /// it was made from, 0 if there was nothing; its own is returned. With `new_sheet` there is a recovery sheet to be
    /// shown again.
    ///
    /// # Errors
    /// [`StoreError::BackupChanged`] when it is not that one any more.
    pub async fn put_backup(
        &self,
        workspace: WorkspaceId,
        before: u64,
        sealed: Vec<u8>,
        new_sheet: bool,
        note: AuditNote,
    ) -> Result<u64, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT desired_seq FROM workspace_backups WHERE workspace_id = $1";
            let known = tx.optional(sql, [workspace.as_str()], |row| unsigned(row, "desired_seq"))?;
            if known.unwrap_or(0) != before {
                return Err(StoreError::BackupChanged);
            }
            let seq = count_change(tx, &workspace)?;
            tx.execute(
                "INSERT INTO workspace_backups (workspace_id, backup_sealed, desired_seq, sheet_shown_at_ms)
                 VALUES ($1, $2, $3, NULL)
                 ON CONFLICT (workspace_id) DO UPDATE SET backup_sealed = excluded.backup_sealed,
                     desired_seq = excluded.desired_seq",
                params![workspace.as_str(), sealed, signed(seq)?],
            )?;
            if new_sheet {
                let sql = "UPDATE workspace_backups SET sheet_shown_at_ms = NULL WHERE workspace_id = $1";
                tx.execute(sql, [workspace.as_str()])?;
            }
            add(tx, note)?;
            Ok(seq)
        })
        .await
    }

    /// Takes the one right to see the recovery sheet, and puts that on the audit record. False: it was shown before, or
    /// there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_recovery_sheet(
        &self,
        workspace: WorkspaceId,
        note: AuditNote,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let taken = tx.execute(
                "UPDATE workspace_backups SET sheet_shown_at_ms = $2
                 WHERE workspace_id = $1 AND sheet_shown_at_ms IS NULL",
                params![workspace.as_str(), now_ms()],
            )?;
            if taken == 0 {
                return Ok(false);
            }
            add(tx, note)?;
            count_change(tx, &workspace)?;
            Ok(true)
        })
        .await
    }
}

/// What a workspace's box must know of its backups, if that changed after `from`.
pub(super) fn changed_since(
    tx: &Tx<'_>,
    workspace: &WorkspaceId,
    from: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    tx.optional(
        "SELECT backup_sealed FROM workspace_backups WHERE workspace_id = $1 AND desired_seq > $2",
        params![workspace.as_str(), signed(from)?],
        |row| row.get("backup_sealed"),
    )
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredBackup> {
    let shown: Option<i64> = row.get("sheet_shown_at_ms")?;
    Ok(StoredBackup {
        sealed: row.get("backup_sealed")?,
        desired_seq: unsigned(row, "desired_seq")?,
        sheet_left: shown.is_none(),
    })
}
