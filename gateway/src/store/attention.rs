//! What boxes believe of their sessions' need for the user, kept beside each session.

use berth_protocol::attention::{MAX_OBSERVED, ObservedAttention, SessionAttention};
use berth_protocol::ids::{InstanceId, SessionId, WorkspaceId};
use rusqlite::params;

use super::change_seq::ChangeSeq;
use super::instances::link_counts;
use super::sessions;
use super::transaction::{parsed, signed};
use super::{SessionChange, Store, StoreError};

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttentionOutcome {
    /// The sessions that differ from what was known.
    Stored(Vec<SessionChange>),
    /// A newer link has begun, or the instance is retired; nothing was stored.
    StaleLink,
}

impl Store {
    /// Stores what a box believes of its sessions, if its link still counts. Of a session that it does not name,
    /// nothing is believed any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_attention(
        &self,
        workspace: WorkspaceId,
        instance: InstanceId,
        link_epoch: u64,
        report: ObservedAttention,
    ) -> Result<AttentionOutcome, StoreError> {
        let report = bounded(report);
        self.transaction(move |tx| {
            if !link_counts(tx, &instance, link_epoch)? {
                return Ok(AttentionOutcome::StaleLink);
            }
            let sql = "SELECT id FROM sessions WHERE workspace_id = $1 AND ended_at_ms IS NULL";
            let living: Vec<SessionId> = tx.all(sql, [workspace.as_str()], |row| parsed(row, "id"))?;
            let mut seq = ChangeSeq::default();
            let mut changes = Vec::new();
            for id in living {
                let believed = report.sessions.iter().find(|one| one.session == id);
                // Plain data: it always serialises.
                let text = believed.map(|one| serde_json::to_string(one).unwrap_or_default());
                let sql = "SELECT 1 FROM sessions WHERE id = $1 AND attention IS DISTINCT FROM $2";
                if tx.optional(sql, params![id.as_str(), text], |_| Ok(()))?.is_none() {
                    continue;
                }
                let seq = signed(seq.count(tx, &workspace)?)?;
                let sql = format!(
                    "UPDATE sessions SET attention = $2, change_seq = $3 WHERE id = $1 RETURNING {}",
                    sessions::COLUMNS
                );
                let changed = tx.one(&sql, params![id.as_str(), text, seq], sessions::session)?;
                changes.push(SessionChange::Changed(changed));
            }
            Ok(AttentionOutcome::Stored(changes))
        })
        .await
    }
}

/// A box's claim, no larger than it may be.
fn bounded(mut report: ObservedAttention) -> ObservedAttention {
    report.sessions.truncate(MAX_OBSERVED);
    for SessionAttention { belief, panes, .. } in &mut report.sessions {
        panes.truncate(MAX_OBSERVED);
        belief.confidence = belief.confidence.min(100);
        panes.iter_mut().for_each(|pane| pane.belief.confidence = pane.belief.confidence.min(100));
    }
    report
}
