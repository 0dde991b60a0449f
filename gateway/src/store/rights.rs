//! Whether terminals that were opened rightly may still be open, and answers go on.

use std::collections::HashSet;

use berth_protocol::door::Role;
use berth_protocol::ids::{SessionId, WorkspaceId};
use rusqlite::params;

use super::transaction::Tx;
use super::{BrowserSession, Holder, MemberRole, Store, StoreError, now_ms};

/// A right to a terminal that somebody uses at this moment: to do there what the role says.
pub type Held = (Holder, SessionId, Role);

/// A right by which a request is being answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Right {
    /// The sign-in that it hangs on.
    pub sign_in: BrowserSession,
    /// Where it is used, and the role that it demands there.
    pub within: Option<(WorkspaceId, MemberRole)>,
}

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

    /// Which of the rights that are used have ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ended_rights(&self, used: HashSet<Right>) -> Result<HashSet<Right>, StoreError> {
        self.transaction(move |tx| {
            let mut ended = HashSet::new();
            for right in used {
                if !is_right(tx, &right)? {
                    ended.insert(right);
                }
            }
            Ok(ended)
        })
        .await
    }
}

fn is_right(tx: &Tx<'_>, right: &Right) -> Result<bool, StoreError> {
    let found = match &right.within {
        None => tx.optional(
            "SELECT 1 FROM browser_sessions WHERE token_hash = $1 AND expires_at_ms > $2",
            params![right.sign_in.0, now_ms()],
            |_| Ok(()),
        )?,
        Some((workspace, role)) => tx.optional(
            "SELECT 1 FROM browser_sessions
             JOIN workspace_users ON workspace_users.user_id = browser_sessions.user_id
             WHERE browser_sessions.token_hash = $1 AND browser_sessions.expires_at_ms > $2
                 AND workspace_users.workspace_id = $3 AND workspace_users.rank >= $4",
            params![right.sign_in.0, now_ms(), workspace.as_str(), role.rank()],
            |_| Ok(()),
        )?,
    };
    Ok(found.is_some())
}

fn is_alive(tx: &Tx<'_>, session: &SessionId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM sessions WHERE id = $1 AND ended_at_ms IS NULL";
    Ok(tx.optional(sql, [session.as_str()], |_| Ok(()))?.is_some())
}

fn holds(tx: &Tx<'_>, (holder, session, role): &Held) -> Result<bool, StoreError> {
    let needed = if *role == Role::Editor { MemberRole::Editor } else { MemberRole::Viewer };
    let found = match holder {
        Holder::User(user, browser) => tx.optional(
            "SELECT 1 FROM sessions
             JOIN workspace_users ON workspace_users.workspace_id = sessions.workspace_id
             JOIN browser_sessions ON browser_sessions.user_id = workspace_users.user_id
             WHERE sessions.id = $1 AND workspace_users.user_id = $2 AND workspace_users.rank >= $3
                 AND browser_sessions.token_hash = $4 AND browser_sessions.expires_at_ms > $5",
            params![session.as_str(), user.as_str(), needed.rank(), browser.0, now_ms()],
            |_| Ok(()),
        )?,
        // Whoever made a share can give no more than they have.
        Holder::Guest(share) => tx.optional(
            "SELECT 1 FROM shares
             JOIN sessions ON sessions.id = shares.session_id
             JOIN workspace_users ON workspace_users.workspace_id = sessions.workspace_id
                 AND workspace_users.user_id = shares.created_by AND workspace_users.rank >= $4
             WHERE shares.session_id = $1 AND shares.id = $2 AND shares.expires_at_ms > $3",
            params![session.as_str(), share.as_str(), now_ms(), MemberRole::Editor.rank()],
            |_| Ok(()),
        )?,
    };
    Ok(found.is_some())
}
