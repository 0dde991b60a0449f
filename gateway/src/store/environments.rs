//! Environments of workspaces, sealed: the store never sees what is in them.

use berth_protocol::environment::report::EnvironmentReport;
use berth_protocol::ids::{InstanceId, WorkspaceId};
use rusqlite::{Row, params};

use super::audit::{AuditNote, add};
use super::change_seq::count_change;
use super::instances::link_counts;
use super::transaction::{Tx, signed, unsigned};
use super::{Store, StoreError};

/// A stored environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEnvironment {
    /// What the box should have, sealed.
    pub sealed: Vec<u8>,
    /// The workspace's `change_seq` when it was last changed.
    pub desired_seq: u64,
    /// What the box last said of it.
    pub report: Option<EnvironmentReport>,
}

impl Store {
    /// A workspace's environment, if one was ever set.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn environment(&self, workspace: WorkspaceId) -> Result<Option<StoredEnvironment>, StoreError> {
        self.transaction(move |tx| {
            tx.optional(
                "SELECT environment_sealed, desired_seq, report FROM workspace_environments
                 WHERE workspace_id = $1",
                [workspace.as_str()],
                environment,
            )
        })
        .await
    }

    /// Replaces a workspace's environment and puts that on the audit record. `before` is the `desired_seq` of the
    /// one that the new one was made from, 0 if there was none; its own is returned.
    ///
    /// # Errors
    /// [`StoreError::EnvironmentChanged`] when it is not that one any more.
    pub async fn put_environment(
        &self,
        workspace: WorkspaceId,
        before: u64,
        sealed: Vec<u8>,
        note: AuditNote,
    ) -> Result<u64, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT desired_seq FROM workspace_environments WHERE workspace_id = $1";
            let known = tx.optional(sql, [workspace.as_str()], |row| unsigned(row, "desired_seq"))?;
            if known.unwrap_or(0) != before {
                return Err(StoreError::EnvironmentChanged);
            }
            let seq = count_change(tx, &workspace)?;
            // What was reported is about the one before.
            tx.execute(
                "INSERT INTO workspace_environments (workspace_id, environment_sealed, desired_seq, report)
                 VALUES ($1, $2, $3, NULL)
                 ON CONFLICT (workspace_id) DO UPDATE SET environment_sealed = excluded.environment_sealed,
                     desired_seq = excluded.desired_seq, report = NULL",
                params![workspace.as_str(), sealed, signed(seq)?],
            )?;
            add(tx, note)?;
            Ok(seq)
        })
        .await
    }

    /// Stores what a box reports of its environment, if its link still counts. False: it does not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_environment_report(
        &self,
        workspace: WorkspaceId,
        instance: InstanceId,
        link_epoch: u64,
        report: EnvironmentReport,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            if !link_counts(tx, &instance, link_epoch)? {
                return Ok(false);
            }
            // Plain data: it always serialises.
            let report = serde_json::to_string(&report.bounded()).unwrap_or_default();
            let changed = tx.execute(
                "UPDATE workspace_environments SET report = $2
                 WHERE workspace_id = $1 AND (report IS NULL OR report <> $2)",
                params![workspace.as_str(), report],
            )?;
            if changed > 0 {
                count_change(tx, &workspace)?;
            }
            Ok(true)
        })
        .await
    }
}

/// The sealed environment of a workspace, if it changed after `from`.
pub(super) fn changed_since(
    tx: &Tx<'_>,
    workspace: &WorkspaceId,
    from: u64,
) -> Result<Option<Vec<u8>>, StoreError> {
    tx.optional(
        "SELECT environment_sealed FROM workspace_environments WHERE workspace_id = $1 AND desired_seq > $2",
        params![workspace.as_str(), signed(from)?],
        |row| row.get("environment_sealed"),
    )
}

fn environment(row: &Row<'_>) -> rusqlite::Result<StoredEnvironment> {
    let report: Option<String> = row.get("report")?;
    Ok(StoredEnvironment {
        sealed: row.get("environment_sealed")?,
        desired_seq: unsigned(row, "desired_seq")?,
        // What a newer gateway wrote and this one does not understand is as good as none.
        report: report.and_then(|text| serde_json::from_str(&text).ok()),
    })
}
