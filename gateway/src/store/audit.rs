//! The audit record: what was done in whose name. Rows are added and read; the schema itself refuses the rest.

use berth_protocol::ids::{RequestId, UserId, WorkspaceId};
use rusqlite::{Row, params};
use serde_json::Value;

use super::transaction::{Tx, parsed, signed, unsigned};
use super::{Store, StoreError, now_ms};

/// Columns of an entry, with the user's name as it is now.
const COLUMNS: &str = "seq, at_ms, workspace_id, user_id, request_id, action, detail,
     (SELECT name FROM users WHERE users.id = audit.user_id) AS user_name";

/// Something that was done, or is about to be.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditNote {
    /// Where.
    pub workspace: WorkspaceId,
    /// By whom.
    pub user: UserId,
    /// In which request: entries of the same deed have the same.
    pub request_id: RequestId,
    /// What, in one word.
    pub action: &'static str,
    /// More of it.
    pub detail: Value,
}

/// An entry of the record.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its place in the record.
    pub seq: u64,
    /// When it was written.
    pub at_ms: i64,
    /// Where.
    pub workspace: WorkspaceId,
    /// By whom.
    pub user: UserId,
    /// The user's name, if there still is such a user.
    pub user_name: Option<String>,
    /// In which request.
    pub request_id: RequestId,
    /// What, in one word.
    pub action: String,
    /// More of it.
    pub detail: Value,
}

impl Store {
    /// Adds an entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note(&self, note: AuditNote) -> Result<(), StoreError> {
        self.transaction(move |tx| add(tx, note)).await
    }

    /// Entries, newest first: of one workspace or of all, and only those before `before`, if it says.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit(
        &self,
        workspace: Option<WorkspaceId>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.transaction(move |tx| {
            let before = before.map_or(Ok(i64::MAX), signed)?;
            match workspace {
                Some(workspace) => {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM audit WHERE workspace_id = $1 AND seq < $2
                         ORDER BY seq DESC LIMIT $3"
                    );
                    tx.all(&sql, params![workspace.as_str(), before, limit], entry)
                }
                None => {
                    let sql =
                        format!("SELECT {COLUMNS} FROM audit WHERE seq < $1 ORDER BY seq DESC LIMIT $2");
                    tx.all(&sql, params![before, limit], entry)
                }
            }
        })
        .await
    }
}

/// Adds an entry in the transaction of the deed itself.
pub(super) fn add(tx: &Tx<'_>, note: AuditNote) -> Result<(), StoreError> {
    let AuditNote { workspace, user, request_id, action, detail } = note;
    tx.execute(
        "INSERT INTO audit (at_ms, workspace_id, user_id, request_id, action, detail)
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![now_ms(), workspace.as_str(), user.as_str(), request_id.as_str(), action, detail.to_string()],
    )?;
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        seq: unsigned(row, "seq")?,
        at_ms: row.get("at_ms")?,
        workspace: parsed(row, "workspace_id")?,
        user: parsed(row, "user_id")?,
        user_name: row.get("user_name")?,
        request_id: parsed(row, "request_id")?,
        action: row.get("action")?,
        detail: parsed(row, "detail")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn note(workspace: &WorkspaceId, user: &UserId, number: u32) -> AuditNote {
        AuditNote {
            workspace: workspace.clone(),
            user: user.clone(),
            request_id: RequestId::random(),
            action: "test",
            detail: json!({ "number": number, "text": "\u{202e}\"'" }),
        }
    }

    #[tokio::test]
    async fn entries_are_read_newest_first_from_a_place_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("gateway.db")).unwrap();
        let user = store.owner().await.unwrap();
        let (here, elsewhere) = (WorkspaceId::random(), WorkspaceId::random());
        for number in 0..5 {
            store.note(note(&here, &user.id, number)).await.unwrap();
            store.note(note(&elsewhere, &UserId::random(), number)).await.unwrap();
        }
        let first = store.audit(Some(here.clone()), None, 3).await.unwrap();
        let numbers = |entries: &[AuditEntry]| {
            entries.iter().map(|entry| entry.detail["number"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&first), [4, 3, 2]);
        assert_eq!((first[0].user_name.as_deref(), &first[0].workspace), (Some("owner"), &here));
        let rest = store.audit(Some(here), Some(first[2].seq), 3).await.unwrap();
        assert_eq!(numbers(&rest), [1, 0]);
        let all = store.audit(None, None, 100).await.unwrap();
        assert_eq!((all.len(), all[0].user_name.as_deref()), (10, None));
    }

    #[tokio::test]
    async fn nothing_is_ever_changed_or_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("gateway.db")).unwrap();
        store.note(note(&WorkspaceId::random(), &UserId::random(), 1)).await.unwrap();
        for sql in ["UPDATE audit SET action = 'other'", "DELETE FROM audit"] {
            let refused = store.transaction(move |tx| tx.execute(sql, [])).await.unwrap_err();
            assert!(refused.is_conflict(), "{sql}: {refused}");
        }
        assert_eq!(store.audit(None, None, 10).await.unwrap()[0].action, "test");
    }
}
