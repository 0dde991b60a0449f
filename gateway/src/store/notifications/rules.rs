//! What a user wants to hear, and when.

use berth_protocol::ids::{SessionId, UserId};
use rusqlite::params;

use super::count_inbox;
use crate::notifications::Preferences;
use crate::store::transaction::{Tx, parsed};
use crate::store::{Store, StoreError, now_ms};

/// A session of which a user wants to hear nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// The session.
    pub session: SessionId,
    /// Until when; for good when there is none.
    pub until_ms: Option<i64>,
}

impl Store {
    /// Lets a user hear nothing of a session, until a time or for good.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mute(&self, user: UserId, mute: Mute) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            tx.execute(
                "INSERT INTO session_mutes (user_id, session_id, until_ms) VALUES ($1, $2, $3)
                 ON CONFLICT (user_id, session_id) DO UPDATE SET until_ms = excluded.until_ms",
                params![user.as_str(), mute.session.as_str(), mute.until_ms],
            )?;
            count_inbox(tx, &user)?;
            Ok(())
        })
        .await
    }

    /// Lets a user hear of a session again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unmute(&self, user: UserId, session: SessionId) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            let sql = "DELETE FROM session_mutes WHERE user_id = $1 AND session_id = $2";
            tx.execute(sql, params![user.as_str(), session.as_str()])?;
            count_inbox(tx, &user)?;
            Ok(())
        })
        .await
    }

    /// How a user wants to be told.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn preferences(&self, user: UserId) -> Result<Preferences, StoreError> {
        self.transaction(move |tx| preferences(tx, &user)).await
    }

    /// Changes how a user wants to be told.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_preferences(&self, user: UserId, wanted: Preferences) -> Result<(), StoreError> {
        // Plain data: it always serialises.
        let text = serde_json::to_string(&wanted).unwrap_or_default();
        self.transaction(move |tx| {
            tx.execute(
                "INSERT INTO notification_settings (user_id, settings) VALUES ($1, $2)
                 ON CONFLICT (user_id) DO UPDATE SET settings = excluded.settings",
                params![user.as_str(), text],
            )?;
            // What was put off by the rules before may be due by those of now.
            tx.execute(
                "UPDATE inbox SET due_at_ms = $2
                 WHERE user_id = $1 AND seen_at_ms IS NULL AND escalated_at_ms IS NULL
                     AND (due_at_ms IS NOT NULL OR pushed_at_ms IS NOT NULL)",
                params![user.as_str(), now_ms()],
            )?;
            Ok(())
        })
        .await
    }
}

pub(super) fn preferences(tx: &Tx<'_>, user: &UserId) -> Result<Preferences, StoreError> {
    let sql = "SELECT settings FROM notification_settings WHERE user_id = $1";
    let text: Option<String> = tx.optional(sql, [user.as_str()], |row| row.get("settings"))?;
    // What a newer gateway wrote and this one does not understand is as good as none.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

pub(super) fn mutes(tx: &Tx<'_>, user: &UserId) -> Result<Vec<Mute>, StoreError> {
    let sql = "SELECT session_mutes.session_id, session_mutes.until_ms FROM session_mutes
               JOIN sessions ON sessions.id = session_mutes.session_id
               WHERE session_mutes.user_id = $1 AND sessions.ended_at_ms IS NULL
                   AND (session_mutes.until_ms IS NULL OR session_mutes.until_ms > $2)
               ORDER BY session_mutes.session_id";
    tx.all(sql, params![user.as_str(), now_ms()], |row| {
        Ok(Mute { session: parsed(row, "session_id")?, until_ms: row.get("until_ms")? })
    })
}
