//! What boxes tell, as it arrives: in the transaction that stores the event, so exactly once.

use berth_protocol::attention::{
    Evidence, MAX_CHOICES, MAX_LABEL_CHARS, MAX_TEXT_CHARS, Notification, Withdrawn,
};
use berth_protocol::event::Event;
use berth_protocol::ids::{SessionId, UserId, WorkspaceId};
use rusqlite::params;

use super::{Asked, AskedChoice, count_inbox, end, word};
use crate::notifications::inert;
use crate::store::transaction::{Tx, parsed};
use crate::store::{StoreError, now_ms};

/// Notifications that are kept of a workspace; a box that tells more pushes its oldest out.
const MAX_KEPT: u32 = 5_000;

/// Characters of a fingerprint or of a choice's name, at most.
const MAX_NAME: usize = 128;

/// What an event meant for inboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// There is one more.
    New {
        /// Where it comes from.
        evidence: Evidence,
        /// How long ago the evidence was, by the two clocks, milliseconds.
        age_ms: i64,
    },
    /// One is no longer true.
    Withdrawn,
    /// The box told one again that was told before; it is there once.
    Repeated,
    /// It is about a session that the workspace does not have, or can't be understood.
    Dropped,
}

/// Takes what an event tells of the need for a user.
pub(in crate::store) fn arrive(
    tx: &Tx<'_>,
    workspace: &WorkspaceId,
    event: &Event,
) -> Result<Option<Arrival>, StoreError> {
    let arrival = match event.kind.as_str() {
        Notification::KIND => {
            let mut payload = event.payload.clone();
            // Apart: what only the box has to understand of it, such as keys, must not cost the user the notification.
            let question = payload.as_object_mut().and_then(|fields| fields.remove("question"));
            let question = question.and_then(|question| serde_json::from_value(question).ok());
            match serde_json::from_value(payload) {
                Ok(notification) => put(tx, workspace, notification, question)?,
                Err(_) => Arrival::Dropped,
            }
        }
        Withdrawn::KIND => match serde_json::from_value(event.payload.clone()) {
            Ok(withdrawn) => withdraw(tx, workspace, &withdrawn)?,
            Err(_) => Arrival::Dropped,
        },
        _ => return Ok(None),
    };
    Ok(Some(arrival))
}

fn put(
    tx: &Tx<'_>,
    workspace: &WorkspaceId,
    told: Notification,
    question: Option<Asked>,
) -> Result<Arrival, StoreError> {
    if let Some(session) = &told.session
        && !has_session(tx, workspace, session)?
    {
        return Ok(Arrival::Dropped);
    }
    let now = now_ms();
    let pane = told.pane.filter(|_| told.session.is_some());
    // Plain data: it always serialises.
    let pane_text = pane.map(|pane| serde_json::to_string(&pane).unwrap_or_default());
    let question = question.filter(|_| pane.is_some()).and_then(asked);
    let question = question.map(|question| serde_json::to_string(&question).unwrap_or_default());
    let inserted = tx.execute(
        "INSERT INTO notifications
             (id, workspace_id, session_id, pane, reason, severity, evidence, confidence, text, question,
              signal_ms, created_at_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (id) DO NOTHING",
        params![
            told.id.as_str(),
            workspace.as_str(),
            told.session.as_ref().map(SessionId::as_str),
            pane_text,
            word(told.reason),
            word(told.severity),
            word(told.evidence),
            told.confidence.min(100),
            inert(&told.text, MAX_TEXT_CHARS),
            question,
            told.signal_ms,
            now
        ],
    )?;
    if inserted == 0 {
        return Ok(Arrival::Repeated);
    }
    let sql = "SELECT user_id FROM workspace_users WHERE workspace_id = $1";
    for user in tx.all(sql, [workspace.as_str()], |row| parsed::<UserId>(row, "user_id"))? {
        let seq = count_inbox(tx, &user)?;
        tx.execute(
            "INSERT INTO inbox (user_id, notification_id, change_seq, due_at_ms) VALUES ($1, $2, $3, $4)",
            params![user.as_str(), told.id.as_str(), seq, now],
        )?;
    }
    tx.execute(
        "DELETE FROM notifications WHERE workspace_id = $1 AND seq <= (
             SELECT seq FROM notifications WHERE workspace_id = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2)",
        params![workspace.as_str(), MAX_KEPT],
    )?;
    Ok(Arrival::New { evidence: told.evidence, age_ms: now.saturating_sub(told.signal_ms) })
}

fn withdraw(tx: &Tx<'_>, workspace: &WorkspaceId, told: &Withdrawn) -> Result<Arrival, StoreError> {
    let sql = "SELECT 1 FROM notifications WHERE id = $1 AND workspace_id = $2";
    let own = tx.optional(sql, params![told.id.as_str(), workspace.as_str()], |_| Ok(()))?.is_some();
    if !own {
        return Ok(Arrival::Dropped);
    }
    end(tx, &told.id, &word(told.why))?;
    Ok(Arrival::Withdrawn)
}

fn has_session(tx: &Tx<'_>, workspace: &WorkspaceId, session: &SessionId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM sessions WHERE id = $1 AND workspace_id = $2 AND ended_at_ms IS NULL";
    Ok(tx.optional(sql, params![session.as_str(), workspace.as_str()], |_| Ok(()))?.is_some())
}

/// What of a question can be shown and answered.
fn asked(question: Asked) -> Option<Asked> {
    let plain = |text: &str| (1..=MAX_NAME).contains(&text.chars().count()) && inert(text, MAX_NAME) == text;
    if !plain(&question.fingerprint) {
        return None;
    }
    let choices = question.choices.into_iter().take(MAX_CHOICES).filter(|choice| plain(&choice.id));
    let choices: Vec<AskedChoice> = choices
        .map(|choice| AskedChoice { label: inert(&choice.label, MAX_LABEL_CHARS), id: choice.id })
        .collect();
    let answerable = question.free_text || !choices.is_empty();
    answerable.then_some(Asked { fingerprint: question.fingerprint, choices, free_text: question.free_text })
}
