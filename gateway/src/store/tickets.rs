//! Terminal tickets: a right to attach once, soon.

use std::time::Duration;

use berth_protocol::ids::{SessionId, UserId};
use rusqlite::params;

use super::transaction::parsed;
use super::{BrowserSession, Store, StoreError, deadline_ms, hash, now_ms};

impl Store {
    /// Remembers a ticket for a session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_ticket(
        &self,
        ticket: &str,
        session: SessionId,
        user: UserId,
        browser: BrowserSession,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let ticket_hash = hash(ticket);
        self.transaction(move |tx| {
            tx.execute(
                "INSERT INTO terminal_tickets
                     (ticket_hash, session_id, user_id, browser_session, expires_at_ms)
                 VALUES ($1, $2, $3, $4, $5)",
                params![ticket_hash, session.as_str(), user.as_str(), browser.0, deadline_ms(lifetime)],
            )?;
            Ok(())
        })
        .await
    }

    /// Takes a ticket. `None`: it is unknown, used, late or for another session; in each case it is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_ticket(
        &self,
        ticket: &str,
        session: SessionId,
    ) -> Result<Option<(UserId, BrowserSession)>, StoreError> {
        let ticket_hash = hash(ticket);
        self.transaction(move |tx| {
            let taken = tx.optional(
                "DELETE FROM terminal_tickets WHERE ticket_hash = $1
                 RETURNING session_id, user_id, browser_session, expires_at_ms",
                [ticket_hash],
                |row| {
                    let for_session: SessionId = parsed(row, "session_id")?;
                    let expires_at_ms: i64 = row.get("expires_at_ms")?;
                    let holder = (parsed(row, "user_id")?, BrowserSession(row.get("browser_session")?));
                    Ok((for_session, holder, expires_at_ms))
                },
            )?;
            Ok(taken.and_then(|(for_session, holder, expires_at_ms)| {
                (for_session == session && expires_at_ms > now_ms()).then_some(holder)
            }))
        })
        .await
    }
}
