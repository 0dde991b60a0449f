//! What listens on boxes, as they last reported it.

use berth_protocol::ids::{InstanceId, WorkspaceId};
use berth_protocol::ports::{MAX_NAME_CHARS, MAX_PORTS, ObservedPort, ObservedPorts};
use rusqlite::params;

use super::instances::link_counts;
use super::{Store, StoreError};

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortsOutcome {
    /// It differs from what was known.
    Changed,
    /// It was known.
    Same,
    /// A newer link has begun, or the instance is retired; nothing was stored.
    StaleLink,
}

impl Store {
    /// Stores what a box reports, if its link still counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_ports(
        &self,
        instance: InstanceId,
        link_epoch: u64,
        mut report: ObservedPorts,
    ) -> Result<PortsOutcome, StoreError> {
        report.ports.truncate(MAX_PORTS);
        for port in &mut report.ports {
            port.process = port.process.take().map(|text| plain(&text));
            port.kind = port.kind.take().map(|text| plain(&text));
        }
        // Plain data: it always serialises.
        let text = serde_json::to_string(&report).unwrap_or_default();
        self.transaction(move |tx| {
            if !link_counts(tx, &instance, link_epoch)? {
                return Ok(PortsOutcome::StaleLink);
            }
            let sql = "UPDATE workspace_instances SET ports = $2 WHERE id = $1 AND ports IS DISTINCT FROM $2";
            let changed = tx.execute(sql, params![instance.as_str(), text])? > 0;
            Ok(if changed { PortsOutcome::Changed } else { PortsOutcome::Same })
        })
        .await
    }

    /// What listens on the workspace's box, as it last reported it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ports_of(&self, workspace: WorkspaceId) -> Result<Vec<ObservedPort>, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT ports FROM workspace_instances
                       WHERE workspace_id = $1 AND retired_at_ms IS NULL ORDER BY epoch DESC LIMIT 1";
            let text: Option<String> =
                tx.optional(sql, [workspace.as_str()], |row| row.get("ports"))?.flatten();
            // A box's claim: what this build can't read is as good as none.
            let report: Option<ObservedPorts> = text.and_then(|text| serde_json::from_str(&text).ok());
            Ok(report.unwrap_or_default().ports)
        })
        .await
    }
}

/// A box's words as people may see them.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()
}
