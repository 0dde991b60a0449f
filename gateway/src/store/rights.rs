//! Whether terminals that were opened rightly may still be open.

use std::collections::HashSet;

use berth_protocol::ids::SessionId;
use rusqlite::params;

use super::transaction::Tx;
use super::{Holder, Store, StoreError, now_ms};

/// A right that somebody uses at this moment.
pub type Held = (Holder, SessionId);

/// What has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Sessions that are not there any more.
    pub sessions: HashSet<SessionId>,
    /// Rights to sessions that are: the browser was signed out or its time is up, the share has ended, or the
    /// workspace is not the user's.
    pub rights: HashSet<Held>,
}

impl Store {
    /// What of `held` has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ended(&self, held: HashSet<Held>) -> Result<Ended, StoreError> {
        self.transaction(move |tx| {
            let mut ended = Ended::default();
            for one in held {
                if !is_alive(tx, &one.1)? {
                    ended.sessions.insert(one.1);
                } else if !holds(tx, &one)? {
                    ended.rights.insert(one);
                }
            }
            Ok(ended)
        })
        .await
    }
}

fn is_alive(tx: &Tx<'_>, session: &SessionId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM sessions WHERE id = $1 AND ended_at_ms IS NULL";
    Ok(tx.optional(sql, [session.as_str()], |_| Ok(()))?.is_some())
}

fn holds(tx: &Tx<'_>, (holder, session): &Held) -> Result<bool, StoreError> {
    let found = match holder {
        Holder::User(user, browser) => tx.optional(
            "SELECT 1 FROM sessions
             JOIN workspaces ON workspaces.id = sessions.workspace_id
             JOIN browser_sessions ON browser_sessions.user_id = workspaces.owner_user_id
             WHERE sessions.id = $1 AND workspaces.owner_user_id = $2
                 AND browser_sessions.token_hash = $3 AND browser_sessions.expires_at_ms > $4",
            params![session.as_str(), user.as_str(), browser.0, now_ms()],
            |_| Ok(()),
        )?,
        Holder::Guest(share) => tx.optional(
            "SELECT 1 FROM shares WHERE session_id = $1 AND id = $2 AND expires_at_ms > $3",
            params![session.as_str(), share.as_str(), now_ms()],
            |_| Ok(()),
        )?,
    };
    Ok(found.is_some())
}
