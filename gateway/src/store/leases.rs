//! Leases: which gateway runs a periodic job.

use std::time::Duration;

use berth_protocol::ids::GatewayId;
use rusqlite::params;

use super::{Store, StoreError, deadline_ms, now_ms};

impl Store {
    /// Takes or keeps the lease `name` for `lifetime`. False: another gateway holds it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hold_lease(
        &self,
        name: &'static str,
        holder: GatewayId,
        lifetime: Duration,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let changed = tx.execute(
                "INSERT INTO leases (name, holder, expires_at_ms) VALUES ($1, $2, $3)
                 ON CONFLICT (name) DO UPDATE
                 SET holder = excluded.holder, expires_at_ms = excluded.expires_at_ms
                 WHERE leases.holder = excluded.holder OR leases.expires_at_ms <= $4",
                params![name, holder.as_str(), deadline_ms(lifetime), now_ms()],
            )?;
            Ok(changed == 1)
        })
        .await
    }
}
