//! Workspaces, and the count of their changes.

use berth_protocol::ids::{UserId, VolumeId, WorkspaceId};
use rusqlite::{Row, params};

use super::instances;
use super::transaction::{Tx, parsed, unsigned};
use super::{Store, StoreError, Workspace, WorkspaceView, now_ms};

const COLUMNS: &str = "id, owner_user_id, name, change_seq";

/// The same, where other tables are joined.
pub(super) const QUALIFIED: &str =
    "workspaces.id, workspaces.owner_user_id, workspaces.name, workspaces.change_seq";

impl Store {
    /// Makes a workspace and the record of its volume.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] when its owner has one of that name.
    pub async fn create_workspace(&self, owner: UserId, name: String) -> Result<Workspace, StoreError> {
        self.transaction(move |tx| {
            let workspace = Workspace { id: WorkspaceId::random(), owner, name, change_seq: 1 };
            let inserted = tx.execute(
                "INSERT INTO workspaces (id, owner_user_id, name, change_seq, created_at_ms)
                 VALUES ($1, $2, $3, 1, $4)",
                params![workspace.id.as_str(), workspace.owner.as_str(), workspace.name, now_ms()],
            );
            match inserted {
                Err(error) if error.is_conflict() => return Err(StoreError::NameTaken(workspace.name)),
                other => other?,
            };
            tx.execute(
                "INSERT INTO workspace_volumes (id, workspace_id, created_at_ms) VALUES ($1, $2, $3)",
                params![VolumeId::random().as_str(), workspace.id.as_str(), now_ms()],
            )?;
            Ok(workspace)
        })
        .await
    }

    /// A user's workspace by name, as the command line says it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn workspace_named(
        &self,
        owner: UserId,
        name: String,
    ) -> Result<Option<Workspace>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM workspaces WHERE owner_user_id = $1 AND name = $2");
            tx.optional(&sql, params![owner.as_str(), name], workspace)
        })
        .await
    }
}

pub(super) fn view(tx: &Tx<'_>, workspace: Workspace) -> Result<WorkspaceView, StoreError> {
    let instance = instances::owning(tx, &workspace.id)?;
    Ok(WorkspaceView { workspace, instance })
}

pub(super) fn workspace(row: &Row<'_>) -> rusqlite::Result<Workspace> {
    Ok(Workspace {
        id: parsed(row, "id")?,
        owner: parsed(row, "owner_user_id")?,
        name: row.get("name")?,
        change_seq: unsigned(row, "change_seq")?,
    })
}
