//! Sessions: what their owners want, and what boxes report of them.

use berth_protocol::ids::{InstanceId, SessionId, StoreIncarnation, WorkspaceId};
use berth_protocol::observed::{ObservedSession, ObservedState, SessionState};
use rusqlite::{Row, params};

use super::change_seq::{ChangeSeq, count_change};
use super::instances::link_counts;
use super::notifications;
use super::transaction::{Tx, parsed, signed, unsigned};
use super::{Session, SessionChange, Store, StoreError, now_ms};

pub(super) const COLUMNS: &str =
    "id, workspace_id, name, template, state, message, attachments, attention, created_at_ms, change_seq";

/// Characters of a box's message that are kept.
const MESSAGE_CHARS: usize = 500;

/// Sessions of a workspace. All of them travel in one snapshot, which has a bound too.
const MAX_SESSIONS: u64 = 200;

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObservedOutcome {
    /// The sessions that differ from what was known.
    Stored(Vec<SessionChange>),
    /// A newer link has begun, or the instance is retired; nothing was stored.
    StaleLink,
}

impl Store {
    /// Makes a session, which the workspace's box will then be told to run.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] when the workspace has one of that name, [`StoreError::TooManySessions`].
    pub async fn create_session(
        &self,
        workspace: WorkspaceId,
        name: String,
        template: String,
    ) -> Result<Session, StoreError> {
        self.transaction(move |tx| {
            let living = "SELECT COUNT(*) AS n FROM sessions WHERE workspace_id = $1 AND ended_at_ms IS NULL";
            if tx.one(living, [workspace.as_str()], |row| unsigned(row, "n"))? >= MAX_SESSIONS {
                return Err(StoreError::TooManySessions(MAX_SESSIONS));
            }
            let seq = signed(count_change(tx, &workspace)?)?;
            let sql = format!(
                "INSERT INTO sessions (id, workspace_id, name, template, state, attachments, created_at_ms,
                     change_seq, desired_seq)
                 VALUES ($1, $2, $3, $4, 'starting', 0, $5, $6, $6) RETURNING {COLUMNS}"
            );
            let id = SessionId::random();
            let values = params![id.as_str(), workspace.as_str(), name, template, now_ms(), seq];
            tx.one(&sql, values, session).map_err(|error| taken(error, &name))
        })
        .await
    }

    /// A session that has not been deleted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM sessions WHERE id = $1 AND ended_at_ms IS NULL");
            tx.optional(&sql, [id.as_str()], session)
        })
        .await
    }

    /// The sessions of a workspace, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions_of(&self, workspace: WorkspaceId) -> Result<Vec<Session>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM sessions WHERE workspace_id = $1 AND ended_at_ms IS NULL
                 ORDER BY created_at_ms, id"
            );
            tx.all(&sql, [workspace.as_str()], session)
        })
        .await
    }

    /// Gives a session another name. `None`: it has been deleted.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] when the workspace has one of that name.
    pub async fn rename_session(&self, id: SessionId, name: String) -> Result<Option<Session>, StoreError> {
        self.transaction(move |tx| {
            let Some(workspace) = workspace_of(tx, &id)? else { return Ok(None) };
            let seq = signed(count_change(tx, &workspace)?)?;
            let sql = format!(
                "UPDATE sessions SET name = $2, change_seq = $3, desired_seq = $3
                 WHERE id = $1 AND ended_at_ms IS NULL RETURNING {COLUMNS}"
            );
            tx.optional(&sql, params![id.as_str(), name, seq], session).map_err(|error| taken(error, &name))
        })
        .await
    }

    /// Deletes a session: leaves a tombstone, which its box will be told. `None`: it was deleted before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_session(&self, id: SessionId) -> Result<Option<SessionChange>, StoreError> {
        self.transaction(move |tx| {
            let Some(workspace) = workspace_of(tx, &id)? else { return Ok(None) };
            let change_seq = count_change(tx, &workspace)?;
            tx.execute(
                "UPDATE sessions SET ended_at_ms = $2, change_seq = $3, desired_seq = $3 WHERE id = $1",
                params![id.as_str(), now_ms(), signed(change_seq)?],
            )?;
            tx.execute("DELETE FROM terminal_tickets WHERE session_id = $1", [id.as_str()])?;
            notifications::end_all_of(tx, &id)?;
            Ok(Some(SessionChange::Deleted { id, workspace, change_seq }))
        })
        .await
    }

    /// Stores what a box reports, if its link still counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn observed(
        &self,
        workspace: WorkspaceId,
        instance: InstanceId,
        link_epoch: u64,
        observed: ObservedState,
    ) -> Result<ObservedOutcome, StoreError> {
        self.transaction(move |tx| {
            if !link_counts(tx, &instance, link_epoch)? {
                return Ok(ObservedOutcome::StaleLink);
            }
            let mut seq = ChangeSeq::default();
            bury(tx, &workspace, &observed, &mut seq)?;
            let mut changes = Vec::new();
            for report in &observed.sessions {
                changes.extend(store_report(tx, &workspace, report, &mut seq)?);
            }
            Ok(ObservedOutcome::Stored(changes))
        })
        .await
    }
}

/// A tombstone need not be told any more once the box that knows of it has no such session; it is told again
/// when the session turns up after all, as it may on a restored volume.
fn bury(
    tx: &Tx<'_>,
    workspace: &WorkspaceId,
    observed: &ObservedState,
    seq: &mut ChangeSeq,
) -> Result<(), StoreError> {
    let Some(version) = &observed.desired else { return Ok(()) };
    let sql = "SELECT store_incarnation FROM installation";
    let incarnation: StoreIncarnation = tx.one(sql, [], |row| parsed(row, "store_incarnation"))?;
    if incarnation != version.incarnation {
        // A generation of another life says nothing here.
        return Ok(());
    }
    let sql = "SELECT id, desired_seq, gone_at_ms FROM sessions
               WHERE workspace_id = $1 AND ended_at_ms IS NOT NULL";
    let tombstones = tx.all(sql, [workspace.as_str()], |row| {
        let gone: Option<i64> = row.get("gone_at_ms")?;
        Ok((parsed::<SessionId>(row, "id")?, unsigned(row, "desired_seq")?, gone.is_some()))
    })?;
    for (id, desired_seq, gone) in tombstones {
        let runs = observed.sessions.iter().any(|session| session.id == id);
        if runs && gone {
            let seq = signed(seq.count(tx, workspace)?)?;
            tx.execute(
                "UPDATE sessions SET gone_at_ms = NULL, desired_seq = $2 WHERE id = $1",
                params![id.as_str(), seq],
            )?;
        } else if !runs && !gone && version.generation >= desired_seq {
            tx.execute("UPDATE sessions SET gone_at_ms = $2 WHERE id = $1", params![id.as_str(), now_ms()])?;
        }
    }
    Ok(())
}

fn store_report(
    tx: &Tx<'_>,
    workspace: &WorkspaceId,
    report: &ObservedSession,
    seq: &mut ChangeSeq,
) -> Result<Option<SessionChange>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM sessions WHERE id = $1 AND workspace_id = $2 AND ended_at_ms IS NULL");
    let Some(known) = tx.optional(&sql, params![report.id.as_str(), workspace.as_str()], session)? else {
        return Ok(None);
    };
    let state = match report.state {
        SessionState::Running | SessionState::Unexpected => "running",
        SessionState::Failed => "failed",
        SessionState::Unknown => "unknown",
    };
    let message: Option<String> =
        report.message.as_ref().map(|message| message.chars().take(MESSAGE_CHARS).collect());
    let same = known.state == state
        && known.message == message
        && known.attachments == u64::from(report.attachments);
    if same {
        return Ok(None);
    }
    let seq = signed(seq.count(tx, workspace)?)?;
    let sql = format!(
        "UPDATE sessions SET state = $2, message = $3, attachments = $4, change_seq = $5
         WHERE id = $1 RETURNING {COLUMNS}"
    );
    let values = params![report.id.as_str(), state, message, i64::from(report.attachments), seq];
    Ok(Some(SessionChange::Changed(tx.one(&sql, values, session)?)))
}

fn workspace_of(tx: &Tx<'_>, id: &SessionId) -> Result<Option<WorkspaceId>, StoreError> {
    let sql = "SELECT workspace_id FROM sessions WHERE id = $1 AND ended_at_ms IS NULL";
    tx.optional(sql, [id.as_str()], |row| parsed(row, "workspace_id"))
}

fn taken(error: StoreError, name: &str) -> StoreError {
    if error.is_conflict() { StoreError::NameTaken(name.to_owned()) } else { error }
}

pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let attention: Option<String> = row.get("attention")?;
    Ok(Session {
        id: parsed(row, "id")?,
        workspace: parsed(row, "workspace_id")?,
        name: row.get("name")?,
        template: row.get("template")?,
        state: row.get("state")?,
        message: row.get("message")?,
        attachments: unsigned(row, "attachments")?,
        // A box's claim: what this build can't read is as good as none.
        attention: attention.and_then(|text| serde_json::from_str(&text).ok()),
        created_at_ms: row.get("created_at_ms")?,
        change_seq: unsigned(row, "change_seq")?,
    })
}
