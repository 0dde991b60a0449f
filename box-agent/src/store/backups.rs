//! Runs of backups: noted when they begin, so that one that was cut short is known to have been.

use berth_protocol::backup::{BackupRun, MAX_HISTORY, Outcome};
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, StoreError};

impl Store {
    /// Notes that a run begins. Its number is returned; the one in `run` is not looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_backup_run(&self, run: &BackupRun) -> Result<i64, StoreError> {
        let detail = text(run);
        self.call(move |tx| {
            tx.execute("INSERT INTO backup_runs (detail, ended) VALUES (?1, 0)", [detail])?;
            let run = tx.last_insert_rowid();
            let bound = i64::try_from(MAX_HISTORY).unwrap_or(i64::MAX);
            tx.execute("DELETE FROM backup_runs WHERE run <= ?1", [run.saturating_sub(bound)])?;
            Ok(run)
        })
        .await
    }

    /// Notes how a run ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_backup_run(&self, run: &BackupRun) -> Result<(), StoreError> {
        let (number, detail) = (run.run, text(run));
        self.call(move |tx| {
            let sql = "UPDATE backup_runs SET detail = ?2, ended = 1 WHERE run = ?1";
            tx.execute(sql, params![number, detail]).map(drop)
        })
        .await
    }

    /// Says of runs that did not end that nobody knows what became of them. To be called before any begins.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lose_backup_runs(&self, now_ms: i64) -> Result<(), StoreError> {
        let open = self.backup_runs_where("ended = 0").await?;
        for run in open {
            let lost = BackupRun { ended_ms: Some(now_ms), outcome: Some(Outcome::Lost), ..run };
            self.end_backup_run(&lost).await?;
        }
        Ok(())
    }

    /// The runs, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn backup_runs(&self) -> Result<Vec<BackupRun>, StoreError> {
        self.backup_runs_where("1").await
    }

    async fn backup_runs_where(&self, condition: &'static str) -> Result<Vec<BackupRun>, StoreError> {
        self.call(move |tx| {
            let sql = format!("SELECT run, detail FROM backup_runs WHERE {condition} ORDER BY run DESC");
            let mut statement = tx.prepare(&sql)?;
            let rows =
                statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            // One of a newer agent that is not understood is passed over.
            let understood = rows.into_iter().filter_map(|(run, detail)| {
                let known: BackupRun = serde_json::from_str(&detail).ok()?;
                Some(BackupRun { run, ..known })
            });
            Ok(understood.collect())
        })
        .await
    }

    /// Something that is remembered of backups.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn backup_note<T: DeserializeOwned>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self
            .call(move |tx| {
                tx.query_row("SELECT value FROM backup_notes WHERE name = ?1", [name], |row| row.get(0))
                    .optional()
            })
            .await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Remembers something of backups, in the place of what was remembered before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_backup(&self, name: &'static str, value: &impl Serialize) -> Result<(), StoreError> {
        let value = text(value);
        self.call(move |tx| {
            let sql = "INSERT OR REPLACE INTO backup_notes (name, value) VALUES (?1, ?2)";
            tx.execute(sql, params![name, value]).map(drop)
        })
        .await
    }
}

/// Plain data: it always serialises.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use berth_protocol::backup::{Reason, Work};

    use super::*;

    fn begun(began_ms: i64) -> BackupRun {
        BackupRun {
            run: 0,
            work: Work::Backup,
            reason: Reason::Asked,
            began_ms,
            ended_ms: None,
            outcome: None,
            problem: None,
            snapshot: None,
            files: 0,
            bytes: 0,
            added_bytes: 0,
            warnings: vec![],
            phases: vec![],
            place: None,
        }
    }

    #[tokio::test]
    async fn a_run_that_was_cut_short_is_known_to_have_been() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.db");
        let store = Store::open(&path).unwrap();
        let first = store.begin_backup_run(&begun(1)).await.unwrap();
        let done = BackupRun { run: first, ended_ms: Some(2), outcome: Some(Outcome::Good), ..begun(1) };
        store.end_backup_run(&done).await.unwrap();
        let second = store.begin_backup_run(&begun(3)).await.unwrap();
        assert!(second > first);
        store.close().await;
        let store = Store::open(&path).unwrap();
        store.lose_backup_runs(4).await.unwrap();
        let runs = store.backup_runs().await.unwrap();
        assert_eq!(runs[1], done);
        assert_eq!((runs[0].run, runs[0].outcome, runs[0].ended_ms), (second, Some(Outcome::Lost), Some(4)));
    }

    #[tokio::test]
    async fn the_history_is_bounded_and_notes_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("agent.db")).unwrap();
        for began in 0..i64::try_from(MAX_HISTORY).unwrap() + 5 {
            store.begin_backup_run(&begun(began)).await.unwrap();
        }
        assert_eq!(store.backup_runs().await.unwrap().len(), MAX_HISTORY);
        assert_eq!(store.backup_note::<i64>("x").await.unwrap(), None);
        store.note_backup("x", &1).await.unwrap();
        store.note_backup("x", &2).await.unwrap();
        assert_eq!(store.backup_note::<i64>("x").await.unwrap(), Some(2));
        let copy = dir.path().join("copy.db");
        store.copy_to(&copy).await.unwrap();
        let copy = Store::open(&copy).unwrap();
        assert_eq!(copy.backup_note::<i64>("x").await.unwrap(), Some(2));
    }
}
