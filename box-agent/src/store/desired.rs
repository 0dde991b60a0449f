//! The last desired state, kept so that a box without network starts its sessions.

use berth_protocol::desired::DesiredSnapshot;
use berth_protocol::environment::DesiredEnvironment;
use rusqlite::OptionalExtension;

use super::{Store, StoreError};

impl Store {
    /// The last desired state, if there was one. One that is not understood counts as none: the gateway says
    /// it again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load_desired(&self) -> Result<Option<DesiredSnapshot>, StoreError> {
        let text: Option<String> = self
            .call(|tx| tx.query_row("SELECT snapshot FROM desired", [], |row| row.get(0)).optional())
            .await?;
        Ok(text.and_then(|text| {
            serde_json::from_str(&text)
                .inspect_err(|error| tracing::warn!(%error, "the stored desired state is not understood"))
                .ok()
        }))
    }

    /// Keeps a desired state in the place of the last one, without its secrets: they are never on the volume.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_desired(&self, snapshot: &DesiredSnapshot) -> Result<(), StoreError> {
        let environment = snapshot.environment.as_ref().map(DesiredEnvironment::without_secrets);
        let text =
            serde_json::to_string(&DesiredSnapshot { environment, ..snapshot.clone() }).unwrap_or_default();
        self.call(move |tx| {
            tx.execute("INSERT OR REPLACE INTO desired (only, snapshot) VALUES (1, ?1)", [text]).map(drop)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::desired::DesiredVersion;
    use berth_protocol::ids::StoreIncarnation;

    use super::*;

    #[tokio::test]
    async fn the_last_state_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.db");
        let version = |generation| DesiredVersion { incarnation: StoreIncarnation::random(), generation };
        let snapshot = |generation| DesiredSnapshot {
            version: version(generation),
            sessions: vec![],
            tombstones: vec![],
            environment: None,
        };
        let store = Store::open(&path).unwrap();
        assert_eq!(store.load_desired().await.unwrap(), None);
        store.save_desired(&snapshot(1)).await.unwrap();
        let last = snapshot(2);
        store.save_desired(&last).await.unwrap();
        let other = store.clone();
        store.close().await;
        assert!(matches!(other.load_desired().await, Err(StoreError::Closed)));
        other.close().await;
        assert_eq!(Store::open(&path).unwrap().load_desired().await.unwrap(), Some(last));
    }
}
