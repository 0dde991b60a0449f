//! Desired state as boxes are told it: a snapshot first, then what changed since. Environments and
//! what opens backups are sealed here.

use berth_protocol::desired::{DesiredDelta, DesiredSession, DesiredSnapshot, DesiredVersion};
use berth_protocol::ids::{SessionId, StoreIncarnation, WorkspaceId};
use rusqlite::params;

use super::transaction::{Tx, parsed, signed, unsigned};
use super::{Store, StoreError, backups, environments};

/// A snapshot whose environment is still to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSnapshot {
    /// Everything else.
    pub snapshot: DesiredSnapshot,
    /// The environment, if one was ever set.
    pub environment: Option<Vec<u8>>,
    /// Where backups go, if that was ever said.
    pub backup: Option<Vec<u8>>,
}

/// A delta whose environment is still to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedDelta {
    /// Everything else.
    pub delta: DesiredDelta,
    /// The environment, if it changed.
    pub environment: Option<Vec<u8>>,
    /// Where backups go, if that changed.
    pub backup: Option<Vec<u8>>,
}

impl Store {
    /// All that a workspace's box should have now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn desired_snapshot(&self, workspace: WorkspaceId) -> Result<SealedSnapshot, StoreError> {
        self.transaction(move |tx| {
            let version = version(tx, &workspace)?;
            let (sessions, tombstones) = changed_since(tx, &workspace, 0)?;
            let environment = environments::changed_since(tx, &workspace, 0)?;
            let backup = backups::changed_since(tx, &workspace, 0)?;
            let snapshot = DesiredSnapshot { version, sessions, tombstones, environment: None, backup: None };
            Ok(SealedSnapshot { snapshot, environment, backup })
        })
        .await
    }

    /// Draws a new incarnation when a box holds a later generation of the present one: the store is a copy
    /// from before, and the box would take its every word for stale. True: it was drawn.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_life_after(
        &self,
        workspace: WorkspaceId,
        held: DesiredVersion,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let known = version(tx, &workspace)?;
            if held.incarnation != known.incarnation || held.generation <= known.generation {
                return Ok(false);
            }
            tx.execute(
                "UPDATE installation SET store_incarnation = $1 WHERE store_incarnation = $2",
                params![StoreIncarnation::random().as_str(), known.incarnation.as_str()],
            )?;
            Ok(true)
        })
        .await
    }

    /// What changed after generation `from`; `None` when nothing that a box must know did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn desired_delta(
        &self,
        workspace: WorkspaceId,
        from: u64,
    ) -> Result<Option<SealedDelta>, StoreError> {
        self.transaction(move |tx| {
            let to = version(tx, &workspace)?;
            let (sessions, tombstones) = changed_since(tx, &workspace, from)?;
            let environment = environments::changed_since(tx, &workspace, from)?;
            let backup = backups::changed_since(tx, &workspace, from)?;
            if sessions.is_empty() && tombstones.is_empty() && environment.is_none() && backup.is_none() {
                return Ok(None);
            }
            let delta = DesiredDelta { from, to, sessions, tombstones, environment: None, backup: None };
            Ok(Some(SealedDelta { delta, environment, backup }))
        })
        .await
    }
}

fn version(tx: &Tx<'_>, workspace: &WorkspaceId) -> Result<DesiredVersion, StoreError> {
    tx.one(
        "SELECT store_incarnation, change_seq FROM installation, workspaces WHERE workspaces.id = $1",
        [workspace.as_str()],
        |row| {
            Ok(DesiredVersion {
                incarnation: parsed(row, "store_incarnation")?,
                generation: unsigned(row, "change_seq")?,
            })
        },
    )
}

fn changed_since(
    tx: &Tx<'_>,
    workspace: &WorkspaceId,
    from: u64,
) -> Result<(Vec<DesiredSession>, Vec<SessionId>), StoreError> {
    let values = params![workspace.as_str(), signed(from)?];
    let sessions = tx.all(
        "SELECT id, name, template FROM sessions
         WHERE workspace_id = $1 AND desired_seq > $2 AND ended_at_ms IS NULL ORDER BY desired_seq, id",
        values,
        |row| {
            Ok(DesiredSession {
                id: parsed(row, "id")?,
                name: row.get("name")?,
                template: row.get("template")?,
            })
        },
    )?;
    let tombstones = tx.all(
        "SELECT id FROM sessions WHERE workspace_id = $1 AND desired_seq > $2
         AND ended_at_ms IS NOT NULL AND gone_at_ms IS NULL ORDER BY desired_seq, id",
        values,
        |row| parsed(row, "id"),
    )?;
    Ok((sessions, tombstones))
}
