//! Terminal tickets: a right to attach once, soon.

use std::time::Duration;

use berth_protocol::door::Role;
use berth_protocol::ids::{ClientId, SessionId, ShareId, UserId};
use rusqlite::{Row, params};
use serde_json::json;

use super::audit::{Deed, Outcome, add};
use super::transaction::{Tx, parsed, parsed_optional};
use super::{BrowserSession, Store, StoreError, deadline_ms, hash, now_ms};

/// Who attaches, by which right.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A user, in a browser that is signed in.
    User(UserId, BrowserSession),
    /// Whoever opened a share's link.
    Guest(ShareId),
}

/// What a ticket is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketFor {
    /// The session.
    pub session: SessionId,
    /// Who was given it.
    pub holder: Holder,
    /// The holder's name, as others see it.
    pub name: String,
    /// What the holder sits at, in our words.
    pub device: String,
    /// What may be done there.
    pub role: Role,
    /// The tab or program, the same after a reconnect.
    pub client: ClientId,
}

impl Store {
    /// Remembers a ticket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_ticket(
        &self,
        ticket: &str,
        what: TicketFor,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let ticket_hash = hash(ticket);
        self.transaction(move |tx| {
            let (user, browser, share) = match &what.holder {
                Holder::User(user, browser) => (Some(user.as_str()), Some(&browser.0), None),
                Holder::Guest(share) => (None, None, Some(share.as_str())),
            };
            tx.execute(
                "INSERT INTO terminal_tickets
                     (ticket_hash, session_id, user_id, browser_session, share_id, name, device, role,
                      client_id, expires_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                params![
                    ticket_hash,
                    what.session.as_str(),
                    user,
                    browser,
                    share,
                    what.name,
                    what.device,
                    what.role.to_string(),
                    what.client.as_str(),
                    deadline_ms(lifetime)
                ],
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
    ) -> Result<Option<TicketFor>, StoreError> {
        let ticket_hash = hash(ticket);
        self.transaction(move |tx| {
            let taken = tx.optional(
                "DELETE FROM terminal_tickets WHERE ticket_hash = $1
                 RETURNING session_id, user_id, browser_session, share_id, name, device, role, client_id,
                     expires_at_ms",
                [ticket_hash],
                |row| Ok((ticket_for(row)?, row.get::<_, i64>("expires_at_ms")?)),
            )?;
            let taken = taken.and_then(|(what, expires_at_ms)| {
                (what.session == session && expires_at_ms > now_ms()).then_some(what)
            });
            if let Some(what) = &taken {
                note(tx, what)?;
            }
            Ok(taken)
        })
        .await
    }
}

/// Puts on the record that somebody opens a terminal.
fn note(tx: &Tx<'_>, what: &TicketFor) -> Result<(), StoreError> {
    let workspace = "SELECT workspace_id FROM sessions WHERE id = $1";
    let workspace = tx.one(workspace, [what.session.as_str()], |row| parsed(row, "workspace_id"))?;
    let detail = json!({ "session": what.session, "role": what.role.to_string(), "device": what.device });
    let deed = Deed::new("terminal_opened", Outcome::Done, detail).within(workspace);
    let deed = match &what.holder {
        Holder::User(user, _) => deed.by(user.clone()),
        Holder::Guest(share) => {
            let maker = "SELECT created_by FROM shares WHERE id = $1";
            let maker = tx.one(maker, [share.as_str()], |row| parsed(row, "created_by"))?;
            // A guest has no account, so it is in the name of who made the share.
            let detail = json!({ "session": what.session, "share": share, "guest": what.name });
            Deed { detail, ..deed }.by(maker)
        }
    };
    add(tx, deed)
}

fn ticket_for(row: &Row<'_>) -> rusqlite::Result<TicketFor> {
    let holder = match parsed_optional(row, "user_id")? {
        Some(user) => Holder::User(user, BrowserSession(row.get("browser_session")?)),
        None => Holder::Guest(parsed(row, "share_id")?),
    };
    Ok(TicketFor {
        session: parsed(row, "session_id")?,
        holder,
        name: row.get("name")?,
        device: row.get("device")?,
        role: parsed(row, "role")?,
        client: parsed(row, "client_id")?,
    })
}
