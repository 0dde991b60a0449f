//! The last desired state, kept so that a box without network starts its sessions.

use berth_protocol::backup::DesiredBackup;
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
        let backup = snapshot.backup.as_ref().map(DesiredBackup::without_secrets);
        let kept = DesiredSnapshot { environment, backup, ..snapshot.clone() };
        let text = serde_json::to_string(&kept).unwrap_or_default();
        self.call(move |tx| {
            tx.execute("INSERT OR REPLACE INTO desired (only, snapshot) VALUES (1, ?1)", [text]).map(drop)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::backup::{BackupCredentials, Repository};
    use berth_protocol::desired::DesiredVersion;
    use berth_protocol::environment::Secret;
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
            backup: None,
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

    #[tokio::test]
    async fn no_secret_is_ever_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("agent.db")).unwrap();
        let environment = DesiredEnvironment {
            variables: [("KEY".parse().unwrap(), Secret::new("canary-value"))].into(),
            post_start: Some("make".into()),
            ..DesiredEnvironment::default()
        };
        let version = DesiredVersion { incarnation: StoreIncarnation::random(), generation: 1 };
        let (sessions, tombstones) = (vec![], vec![]);
        let backup = DesiredBackup {
            repository: Repository {
                endpoint: "https://example.org".into(),
                bucket: "boxes".into(),
                prefix: "p".into(),
                region: "auto".into(),
            },
            credentials: Some(BackupCredentials {
                key_id: "id".into(),
                secret_key: Secret::new("canary-value"),
                session_token: None,
                password: Secret::new("canary-value"),
            }),
            add_only: false,
        };
        let (environment, backup) = (Some(environment), Some(backup));
        let snapshot = DesiredSnapshot { version, sessions, tombstones, environment, backup };
        store.save_desired(&snapshot).await.unwrap();
        let kept = store.load_desired().await.unwrap().unwrap();
        assert_eq!(kept.backup.unwrap().repository.bucket, "boxes");
        let kept = kept.environment.unwrap();
        assert!(kept.withheld && kept.variables.is_empty() && kept.post_start.as_deref() == Some("make"));
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            for word in ["canary-value", "Y2FuYXJ5LXZhbHVl"] {
                assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
            }
        }
    }
}
