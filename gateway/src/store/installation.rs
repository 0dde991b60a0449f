//! The installation, its first CA and its gateways.

use berth_protocol::ids::{GatewayId, InstallationId, StoreIncarnation};
use rusqlite::params;

use super::transaction::parsed;
use super::{Installation, SealedAuthority, Store, StoreError, now_ms};

impl Store {
    /// The installation, which is made at first use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn installation(&self) -> Result<Installation, StoreError> {
        self.transaction(|tx| {
            let read = |row: &rusqlite::Row<'_>| {
                Ok(Installation { id: parsed(row, "id")?, incarnation: parsed(row, "store_incarnation")? })
            };
            let sql = "SELECT id, store_incarnation FROM installation";
            if let Some(found) = tx.optional(sql, [], read)? {
                return Ok(found);
            }
            let new = Installation { id: InstallationId::random(), incarnation: StoreIncarnation::random() };
            tx.execute(
                "INSERT INTO installation (id, store_incarnation, trust_generation, created_at_ms)
                 VALUES ($1, $2, 1, $3)",
                params![new.id.as_str(), new.incarnation.as_str(), now_ms()],
            )?;
            Ok(new)
        })
        .await
    }

    /// Stores the first CA. When another process was faster, its CA stays and this one is dropped.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_first_authority(&self, authority: SealedAuthority) -> Result<(), StoreError> {
        let SealedAuthority { fingerprint, certificate_pem, key_sealed } = authority;
        self.transaction(move |tx| {
            tx.execute(
                "INSERT INTO certificate_authorities
                     (fingerprint, certificate_pem, key_sealed, created_at_ms, generation, signing)
                 SELECT $1, $2, $3, $4, trust_generation, 1 FROM installation
                 WHERE NOT EXISTS (SELECT 1 FROM certificate_authorities)",
                params![fingerprint, certificate_pem, key_sealed, now_ms()],
            )?;
            Ok(())
        })
        .await
    }

    /// Says where this gateway takes links.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gateway_started(&self, id: GatewayId, link_address: String) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            tx.execute(
                "INSERT INTO gateways (id, link_address, seen_at_ms) VALUES ($1, $2, $3)
                 ON CONFLICT (id) DO UPDATE
                 SET link_address = excluded.link_address, seen_at_ms = excluded.seen_at_ms",
                params![id.as_str(), link_address, now_ms()],
            )?;
            Ok(())
        })
        .await
    }
}
