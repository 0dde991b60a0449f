//! The audit record: what was done in whose name, from where, and how that ended. Rows are added and read; the schema
//! itself refuses the rest, and [`chain`] shows where somebody has got round that.

mod chain;

use berth_protocol::ids::{RequestId, UserId, WorkspaceId};
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::transaction::{Tx, parsed, parsed_optional, signed, unsigned};
use super::{Store, StoreError, now_ms};
pub use chain::{Broken, Head, RawEntry};

/// Columns of an entry, with the user's name as it is now.
const COLUMNS: &str = "seq, at_ms, workspace_id, user_id, request_id, source, action, outcome, detail, hash,
     (SELECT name FROM users WHERE users.id = audit.user_id) AS user_name";

/// Entries that are verified between two other calls of the store.
const AT_ONCE: i64 = 1000;

/// Something that a user did in a workspace, or is about to do.
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

/// How something ended, as far as the record's readers are to look for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, or begun.
    Done,
    /// It was not allowed.
    Refused,
    /// It was allowed and went wrong.
    Failed,
}

impl Outcome {
    /// The word that is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Something that was done, by whomever and wherever. [`AuditNote`] is the usual one.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// Where, if it was in a workspace.
    pub workspace: Option<WorkspaceId>,
    /// By whom, if by a user: the operator at the command line is none, nor is who was not let in.
    pub user: Option<UserId>,
    /// In which request, if not in that of the task which writes it.
    pub request_id: Option<RequestId>,
    /// What, in one word.
    pub action: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// More of it.
    pub detail: Value,
}

impl Deed {
    /// A deed of nobody in particular, nowhere in particular.
    #[must_use]
    pub fn new(action: &'static str, outcome: Outcome, detail: Value) -> Self {
        Self { workspace: None, user: None, request_id: None, action, outcome, detail }
    }

    /// The same, by a user.
    #[must_use]
    pub fn by(self, user: UserId) -> Self {
        Self { user: Some(user), ..self }
    }

    /// The same, in a workspace.
    #[must_use]
    pub fn within(self, workspace: WorkspaceId) -> Self {
        Self { workspace: Some(workspace), ..self }
    }

    /// The same, in a request.
    #[must_use]
    pub fn in_request(self, request_id: RequestId) -> Self {
        Self { request_id: Some(request_id), ..self }
    }
}

impl From<AuditNote> for Deed {
    fn from(note: AuditNote) -> Self {
        let AuditNote { workspace, user, request_id, action, detail } = note;
        // What a box or the gateway would not do says so in one of these fields.
        let outcome = match &detail {
            detail if detail.get("refused").is_some() => Outcome::Refused,
            detail if detail.get("failed").is_some() => Outcome::Failed,
            _ => Outcome::Done,
        };
        Self::new(action, outcome, detail).by(user).within(workspace).in_request(request_id)
    }
}

/// An entry of the record.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its place in the record.
    pub seq: u64,
    /// When it was written.
    pub at_ms: i64,
    /// Where.
    pub workspace: Option<WorkspaceId>,
    /// By whom.
    pub user: Option<UserId>,
    /// The user's name, if there still is such a user.
    pub user_name: Option<String>,
    /// In which request.
    pub request_id: Option<RequestId>,
    /// From where.
    pub source: String,
    /// What, in one word.
    pub action: String,
    /// How it ended, in one word.
    pub outcome: String,
    /// More of it.
    pub detail: Value,
    /// What chains it to the entry before.
    pub hash: String,
}

/// Which entries are asked for. What is not said is not asked.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Those of a workspace.
    pub workspace: Option<WorkspaceId>,
    /// Those that concern a user: their own, and those of workspaces that they own.
    pub concerns: Option<UserId>,
    /// Those of a user.
    pub user: Option<UserId>,
    /// Those of an action.
    pub action: Option<String>,
    /// Those of an outcome.
    pub outcome: Option<String>,
    /// Those from then on, milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Those before then.
    pub until_ms: Option<i64>,
    /// Those before a place.
    pub before: Option<u64>,
}

impl Store {
    /// Adds an entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note(&self, deed: impl Into<Deed>) -> Result<(), StoreError> {
        let deed = deed.into();
        self.transaction(move |tx| add(tx, deed)).await
    }

    /// Entries, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit(&self, filter: AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.transaction(move |tx| {
            let before = filter.before.map_or(Ok(i64::MAX), signed)?;
            let sql = format!(
                "SELECT {COLUMNS} FROM audit
                 WHERE seq < $1 AND at_ms >= $2 AND at_ms < $3
                     AND ($4 IS NULL OR workspace_id = $4) AND ($5 IS NULL OR user_id = $5)
                     AND ($6 IS NULL OR action = $6) AND ($7 IS NULL OR outcome = $7)
                     AND ($8 IS NULL OR user_id = $8
                          OR workspace_id IN (SELECT workspace_id FROM workspace_users WHERE user_id = $8 AND rank = 3))
                 ORDER BY seq DESC LIMIT $9"
            );
            let values = params![
                before,
                filter.since_ms.unwrap_or(i64::MIN),
                filter.until_ms.unwrap_or(i64::MAX),
                filter.workspace.as_ref().map(WorkspaceId::as_str),
                filter.user.as_ref().map(UserId::as_str),
                filter.action,
                filter.outcome,
                filter.concerns.as_ref().map(UserId::as_str),
                limit
            ];
            tx.all(&sql, values, entry)
        })
        .await
    }

    /// Follows the chain from the first entry to the newest. `known`: a head that was kept elsewhere.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn verify_audit(&self, known: Option<Head>) -> Result<Result<Head, Broken>, StoreError> {
        let mut follower = chain::Follower::new(known);
        loop {
            let from = signed(follower.last().seq)?;
            let (rows, head) = self
                .transaction(move |tx| {
                    let sql = format!("SELECT {COLUMNS} FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2");
                    Ok((tx.all(&sql, [from, AT_ONCE], raw)?, head(tx)?))
                })
                .await?;
            let last = rows.len() < usize::try_from(AT_ONCE).unwrap_or(usize::MAX);
            for (row, hash) in rows {
                if let Err(broken) = follower.follow(&row, hash) {
                    return Ok(Err(broken));
                }
            }
            if last {
                return Ok(follower.end(&head));
            }
        }
    }

    /// The newest entry's place and hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_head(&self) -> Result<Head, StoreError> {
        self.transaction(head).await
    }
}

/// Adds an entry in the transaction of the deed itself.
pub(super) fn add(tx: &Tx<'_>, deed: impl Into<Deed>) -> Result<(), StoreError> {
    let deed = deed.into();
    let Head { seq, hash } = head(tx)?;
    let row = RawEntry {
        seq: seq + 1,
        at_ms: now_ms(),
        workspace: deed.workspace.map(String::from),
        user: deed.user.map(String::from),
        request_id: deed.request_id.or_else(|| tx.1.request_id.clone()).map(String::from),
        source: tx.1.source.to_string(),
        action: deed.action.to_owned(),
        outcome: deed.outcome.as_str().to_owned(),
        detail: deed.detail.to_string(),
    };
    append(&tx.0, &hash, &row)?;
    Ok(())
}

/// Writes the next entry; its hash.
fn append(connection: &Connection, before: &str, row: &RawEntry) -> rusqlite::Result<String> {
    let hash = chain::link(before, row);
    let seq = i64::try_from(row.seq).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT INTO audit (seq, at_ms, workspace_id, user_id, request_id, source, action, outcome, detail, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            seq,
            row.at_ms,
            row.workspace,
            row.user,
            row.request_id,
            row.source,
            row.action,
            row.outcome,
            row.detail,
            hash
        ])?;
    connection.prepare_cached("UPDATE audit_head SET seq = ?1, hash = ?2")?.execute(params![seq, hash])?;
    Ok(hash)
}

/// Chains the entries of a record that had no chain, in the migration to one.
pub(super) fn chain_earlier(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT * FROM audit_before ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let (mut seq, mut hash) = (0, String::new());
    while let Some(row) = rows.next()? {
        seq += 1;
        let entry = RawEntry {
            seq,
            at_ms: row.get("at_ms")?,
            workspace: row.get("workspace_id")?,
            user: row.get("user_id")?,
            request_id: row.get("request_id")?,
            source: "not recorded".to_owned(),
            action: row.get("action")?,
            outcome: "not recorded".to_owned(),
            detail: row.get("detail")?,
        };
        hash = append(connection, &hash, &entry)?;
    }
    drop(rows);
    drop(statement);
    connection.execute_batch("DROP TABLE audit_before")
}

fn head(tx: &Tx<'_>) -> Result<Head, StoreError> {
    tx.one("SELECT seq, hash FROM audit_head", [], |row| {
        Ok(Head { seq: unsigned(row, "seq")?, hash: row.get("hash")? })
    })
}

fn raw(row: &Row<'_>) -> rusqlite::Result<(RawEntry, String)> {
    let entry = RawEntry {
        seq: unsigned(row, "seq")?,
        at_ms: row.get("at_ms")?,
        workspace: row.get("workspace_id")?,
        user: row.get("user_id")?,
        request_id: row.get("request_id")?,
        source: row.get("source")?,
        action: row.get("action")?,
        outcome: row.get("outcome")?,
        detail: row.get("detail")?,
    };
    Ok((entry, row.get("hash")?))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        seq: unsigned(row, "seq")?,
        at_ms: row.get("at_ms")?,
        workspace: parsed_optional(row, "workspace_id")?,
        user: parsed_optional(row, "user_id")?,
        user_name: row.get("user_name")?,
        request_id: parsed_optional(row, "request_id")?,
        source: row.get("source")?,
        action: row.get("action")?,
        outcome: row.get("outcome")?,
        detail: parsed(row, "detail")?,
        hash: row.get("hash")?,
    })
}

#[cfg(test)]
mod tests;
