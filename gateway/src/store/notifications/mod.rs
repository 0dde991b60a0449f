//! Inboxes: what boxes have told, and what each user has seen of it.
//!
//! A notification is one row whoever may see it; what a user has of it is a row of `inbox`. Each change of the second
//! has the user's next number, by which streams go on where they were.

mod arrive;
mod planning;
mod rules;

use berth_protocol::attention::{Evidence, PaneRef, Reason, Severity};
use berth_protocol::ids::{NotificationId, SessionId, UserId, WorkspaceId};
use rusqlite::{Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::transaction::{Tx, parsed, parsed_optional, signed, unsigned};
use super::{Store, StoreError, now_ms};

pub use arrive::Arrival;
pub(super) use arrive::arrive;
pub(super) use planning::queue;
pub use rules::Mute;

const COLUMNS: &str =
    "notifications.seq, notifications.id, notifications.workspace_id, notifications.session_id,
     notifications.pane, notifications.reason, notifications.severity, notifications.evidence,
     notifications.confidence, notifications.text, notifications.question, notifications.created_at_ms,
     notifications.ended_at_ms, notifications.ended_because, inbox.seen_at_ms, inbox.change_seq";

/// A user's inbox, as far as the user still may see it: `$1` is the user.
const FROM: &str = "FROM inbox
     JOIN notifications ON notifications.id = inbox.notification_id
     JOIN workspace_users ON workspace_users.workspace_id = notifications.workspace_id
         AND workspace_users.user_id = inbox.user_id
     WHERE inbox.user_id = $1";

/// What makes a notification count as unread: `$2` is the time.
const UNREAD: &str = "inbox.seen_at_ms IS NULL AND notifications.ended_at_ms IS NULL
     AND NOT EXISTS (SELECT 1 FROM session_mutes
                     WHERE session_mutes.user_id = inbox.user_id
                         AND session_mutes.session_id = notifications.session_id
                         AND (session_mutes.until_ms IS NULL OR session_mutes.until_ms > $2))";

/// A notification as one user has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its place among all.
    pub seq: u64,
    /// Its identifier, drawn by the box.
    pub id: NotificationId,
    /// Where it happened.
    pub workspace: WorkspaceId,
    /// The session, if it is about one.
    pub session: Option<SessionId>,
    /// The pane, if it is about one.
    pub pane: Option<PaneRef>,
    /// Why.
    pub reason: Reason,
    /// How much it matters.
    pub severity: Severity,
    /// Where it comes from.
    pub evidence: Evidence,
    /// 0 to 100.
    pub confidence: u8,
    /// What to show: inert.
    pub text: String,
    /// What can be answered at once.
    pub question: Option<Asked>,
    /// When it came, by the gateway's clock.
    pub created_at_ms: i64,
    /// When it was no longer true.
    pub ended_at_ms: Option<i64>,
    /// Why, in a word of [`berth_protocol::attention::WithdrawnBecause`].
    pub ended_because: Option<String>,
    /// When the user has seen it.
    pub seen_at_ms: Option<i64>,
    /// The user's count of changes when it last changed.
    pub change_seq: u64,
}

/// A question, as much of it as the gateway has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What the box recognises it by.
    pub fingerprint: String,
    /// What can be chosen.
    #[serde(default)]
    pub choices: Vec<AskedChoice>,
    /// Whether words can be typed as the answer.
    #[serde(default)]
    pub free_text: bool,
}

/// One choice of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedChoice {
    /// What it is called in an answer.
    pub id: String,
    /// What people read: inert.
    pub label: String,
}

/// What of an inbox is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only what counts as unread.
    pub unread: bool,
    /// Only of this session.
    pub session: Option<SessionId>,
    /// Only what came before this one.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// Some of an inbox, and its numbers at the same moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inbox {
    /// How many count as unread.
    pub unread: u64,
    /// The count of changes.
    pub seq: u64,
    /// Those that were asked for.
    pub notifications: Vec<Notification>,
    /// Sessions of which the user wants to hear nothing.
    pub mutes: Vec<Mute>,
}

/// What is marked as seen.
#[derive(Debug, Clone)]
pub enum Seen {
    /// One.
    One(NotificationId),
    /// All of a session.
    Session(SessionId),
    /// All that came up to this one.
    UpTo(u64),
}

impl Store {
    /// A user's inbox, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn inbox(&self, user: UserId, wanted: Wanted) -> Result<Inbox, StoreError> {
        self.transaction(move |tx| {
            let before = wanted.before.map_or(Ok(i64::MAX), signed)?;
            let unread = if wanted.unread { UNREAD } else { "$2 IS NOT NULL" };
            let sql = format!(
                "SELECT {COLUMNS} {FROM} AND {unread} AND notifications.seq < $3
                     AND ($4 IS NULL OR notifications.session_id = $4)
                 ORDER BY notifications.seq DESC LIMIT $5"
            );
            let session = wanted.session.as_ref().map(SessionId::as_str);
            let values = params![user.as_str(), now_ms(), before, session, wanted.limit];
            let found = tx.all(&sql, values, notification)?;
            with_numbers(tx, &user, found)
        })
        .await
    }

    /// What changed in a user's inbox after `after`, oldest change first, and at most `limit`; the inbox's `seq` is
    /// that of the last one told.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn inbox_since(&self, user: UserId, after: u64, limit: u32) -> Result<Inbox, StoreError> {
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} {FROM} AND inbox.change_seq > $2 ORDER BY inbox.change_seq LIMIT $3"
            );
            let found = tx.all(&sql, params![user.as_str(), signed(after)?, limit], notification)?;
            let full = found.len() == limit as usize;
            let mut inbox = with_numbers(tx, &user, found)?;
            if let Some(last) = inbox.notifications.last().filter(|_| full) {
                inbox.seq = last.change_seq;
            }
            Ok(inbox)
        })
        .await
    }

    /// A notification that a user may see.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notification(
        &self,
        user: UserId,
        id: NotificationId,
    ) -> Result<Option<Notification>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!("SELECT {COLUMNS} {FROM} AND notifications.id = $2");
            tx.optional(&sql, params![user.as_str(), id.as_str()], notification)
        })
        .await
    }

    /// Marks as seen what the user has seen. How many changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn see(&self, user: UserId, seen: Seen) -> Result<usize, StoreError> {
        self.transaction(move |tx| see(tx, &user, &seen)).await
    }

    /// Ends a notification for everybody. False: it had ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_notification(
        &self,
        id: NotificationId,
        because: &'static str,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| end(tx, &id, because)).await
    }
}

/// Adds an inbox's numbers to what was found.
fn with_numbers(tx: &Tx<'_>, user: &UserId, notifications: Vec<Notification>) -> Result<Inbox, StoreError> {
    let sql = format!("SELECT COUNT(*) AS n {FROM} AND {UNREAD}");
    let unread = tx.one(&sql, params![user.as_str(), now_ms()], |row| unsigned(row, "n"))?;
    let sql = "SELECT inbox_seq FROM users WHERE id = $1";
    let seq = tx.optional(sql, [user.as_str()], |row| unsigned(row, "inbox_seq"))?.unwrap_or(0);
    Ok(Inbox { unread, seq, notifications, mutes: rules::mutes(tx, user)? })
}

/// The next number of a user's inbox.
fn count_inbox(tx: &Tx<'_>, user: &UserId) -> Result<i64, StoreError> {
    let sql = "UPDATE users SET inbox_seq = inbox_seq + 1 WHERE id = $1 RETURNING inbox_seq";
    tx.one(sql, [user.as_str()], |row| row.get("inbox_seq"))
}

fn see(tx: &Tx<'_>, user: &UserId, seen: &Seen) -> Result<usize, StoreError> {
    let which = match seen {
        Seen::One(_) => "id = $2",
        Seen::Session(_) => "session_id = $2",
        Seen::UpTo(_) => "seq <= $2",
    };
    let sql = format!(
        "SELECT inbox.notification_id FROM inbox
         WHERE inbox.user_id = $1 AND inbox.seen_at_ms IS NULL
             AND inbox.notification_id IN (SELECT id FROM notifications WHERE {which})
         ORDER BY inbox.change_seq"
    );
    let id = |row: &Row<'_>| parsed::<NotificationId>(row, "notification_id");
    let unseen = match seen {
        Seen::One(one) => tx.all(&sql, params![user.as_str(), one.as_str()], id)?,
        Seen::Session(session) => tx.all(&sql, params![user.as_str(), session.as_str()], id)?,
        Seen::UpTo(seq) => tx.all(&sql, params![user.as_str(), signed(*seq)?], id)?,
    };
    for one in &unseen {
        let seq = count_inbox(tx, user)?;
        // Channels that show it have to be told.
        tx.execute(
            "UPDATE inbox SET seen_at_ms = $3, change_seq = $4, due_at_ms = $3
             WHERE user_id = $1 AND notification_id = $2",
            params![user.as_str(), one.as_str(), now_ms(), seq],
        )?;
    }
    Ok(unseen.len())
}

/// Ends a notification, if it had not ended.
fn end(tx: &Tx<'_>, id: &NotificationId, because: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE notifications SET ended_at_ms = $2, ended_because = $3
               WHERE id = $1 AND ended_at_ms IS NULL";
    if tx.execute(sql, params![id.as_str(), now_ms(), because])? == 0 {
        return Ok(false);
    }
    let sql = "SELECT user_id FROM inbox WHERE notification_id = $1";
    for user in tx.all(sql, [id.as_str()], |row| parsed::<UserId>(row, "user_id"))? {
        let seq = count_inbox(tx, &user)?;
        tx.execute(
            "UPDATE inbox SET change_seq = $3, due_at_ms = $4 WHERE user_id = $1 AND notification_id = $2",
            params![user.as_str(), id.as_str(), seq, now_ms()],
        )?;
    }
    Ok(true)
}

/// Ends everything that is told of a session which is deleted.
pub(super) fn end_all_of(tx: &Tx<'_>, session: &SessionId) -> Result<(), StoreError> {
    let sql = "SELECT id FROM notifications WHERE session_id = $1 AND ended_at_ms IS NULL ORDER BY seq";
    for id in tx.all(sql, [session.as_str()], |row| parsed::<NotificationId>(row, "id"))? {
        end(tx, &id, "gone")?;
    }
    Ok(())
}

fn notification(row: &Row<'_>) -> rusqlite::Result<Notification> {
    let (pane, question): (Option<String>, Option<String>) = (row.get("pane")?, row.get("question")?);
    Ok(Notification {
        seq: unsigned(row, "seq")?,
        id: parsed(row, "id")?,
        workspace: parsed(row, "workspace_id")?,
        session: parsed_optional(row, "session_id")?,
        pane: pane.and_then(|text| serde_json::from_str(&text).ok()),
        reason: read_word(row, "reason", Reason::Unknown)?,
        severity: read_word(row, "severity", Severity::Unknown)?,
        evidence: read_word(row, "evidence", Evidence::Unknown)?,
        confidence: row.get("confidence")?,
        text: row.get("text")?,
        question: question.and_then(|text| serde_json::from_str(&text).ok()),
        created_at_ms: row.get("created_at_ms")?,
        ended_at_ms: row.get("ended_at_ms")?,
        ended_because: row.get("ended_because")?,
        seen_at_ms: row.get("seen_at_ms")?,
        change_seq: unsigned(row, "change_seq")?,
    })
}

/// A value whose wire form is one word, as that word.
pub(crate) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The other way: what this build does not know is `unknown`.
pub(super) fn read_word<T: DeserializeOwned>(row: &Row<'_>, column: &str, unknown: T) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    Ok(serde_json::from_value(serde_json::Value::String(text)).unwrap_or(unknown))
}
