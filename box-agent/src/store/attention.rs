//! What the user was told of panes, and what hooks have said: kept with the events that came of it, so that after a
//! crash nothing is told twice and nothing is forgotten.

use berth_protocol::attention::Notification;
use berth_protocol::event::Event;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::outbox::{Bounds, Fill, append};
use super::{Store, StoreError};
use crate::notify::signal::HookSignal;

/// Hooks whose ids are remembered after they have counted: far more than are sent again.
const HOOKS_KEPT: i64 = 512;

/// A pane of one tmux server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PaneKey {
    /// Which process the server is.
    pub server: String,
    /// tmux's number of the pane.
    pub pane: u32,
}

/// What stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// As it was told.
    pub notification: Notification,
    /// What its question is known by.
    pub fingerprint: Option<String>,
}

/// What a hook has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRow {
    /// Its id.
    pub id: String,
    /// The pane.
    pub pane: u32,
    /// What it said.
    pub said: HookSignal,
}

/// What is stored in one step.
#[derive(Debug, Clone, Default)]
pub struct Attended {
    /// The pane that it is about, and what stands for it then; absent where nothing changes.
    pub stands: Option<(PaneKey, Option<Told>)>,
    /// Hooks that have counted.
    pub closed: Vec<String>,
}

impl Store {
    /// Adds events together with what is known of them.
    ///
    /// # Errors
    /// [`StoreError`]; then neither is stored.
    pub async fn attend(
        &self,
        events: Vec<Event>,
        attended: Attended,
        bounds: Bounds,
    ) -> Result<Fill, StoreError> {
        self.call(move |tx| {
            let mut fill = Fill::default();
            for event in &events {
                fill = append(tx, event, bounds)?;
            }
            if let Some((key, told)) = &attended.stands {
                keep(tx, key, told.as_ref())?;
            }
            for id in &attended.closed {
                tx.execute("UPDATE hooks SET open = 0 WHERE id = ?1", [id])?;
            }
            Ok(fill)
        })
        .await
    }

    /// Everything that stands. What is not understood is forgotten.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing(&self) -> Result<Vec<(PaneKey, Told)>, StoreError> {
        self.call(|tx| {
            let mut rows =
                tx.prepare("SELECT server, pane, notification, fingerprint FROM attention ORDER BY pane")?;
            let rows = rows.query_map([], told)?.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(rows.into_iter().flatten().collect())
        })
        .await
    }

    /// Keeps what a hook says; false when it was kept before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_hook(&self, row: &HookRow, at_ms: i64) -> Result<bool, StoreError> {
        let row = row.clone();
        self.call(move |tx| {
            let said = serde_json::to_string(&row.said).unwrap_or_default();
            let known: Option<i64> =
                tx.query_row("SELECT 1 FROM hooks WHERE id = ?1", [&row.id], |row| row.get(0)).optional()?;
            if known.is_some() {
                return Ok(false);
            }
            tx.execute(
                "INSERT INTO hooks (id, at_ms, pane, said, open) VALUES (?1, ?2, ?3, ?4, 1)",
                params![row.id, at_ms, row.pane, said],
            )?;
            tx.execute(
                "DELETE FROM hooks WHERE open = 0 AND rowid <=
                     (SELECT max(rowid) FROM hooks) - ?1",
                [HOOKS_KEPT],
            )?;
            Ok(true)
        })
        .await
    }

    /// Hooks that were kept and of which nothing has come yet, in their order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_hooks(&self) -> Result<Vec<HookRow>, StoreError> {
        self.call(|tx| {
            let mut rows = tx.prepare("SELECT id, pane, said FROM hooks WHERE open = 1 ORDER BY rowid")?;
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?));
            let rows = rows.query_map([], row)?.collect::<rusqlite::Result<Vec<_>>>()?;
            let read = |(id, pane, said): (String, u32, String)| {
                Some(HookRow { id, pane, said: serde_json::from_str(&said).ok()? })
            };
            Ok(rows.into_iter().filter_map(read).collect())
        })
        .await
    }
}

fn keep(tx: &Transaction<'_>, key: &PaneKey, told: Option<&Told>) -> rusqlite::Result<()> {
    let changed = match told {
        Some(told) => tx.execute(
            "INSERT OR REPLACE INTO attention (server, pane, notification, fingerprint) VALUES (?1, ?2, ?3, ?4)",
            params![
                key.server,
                key.pane,
                serde_json::to_string(&told.notification).unwrap_or_default(),
                told.fingerprint
            ],
        ),
        None => tx.execute(
            "DELETE FROM attention WHERE server = ?1 AND pane = ?2",
            params![key.server, key.pane],
        ),
    };
    changed.map(drop)
}

fn told(row: &Row<'_>) -> rusqlite::Result<Option<(PaneKey, Told)>> {
    let key = PaneKey { server: row.get(0)?, pane: row.get(1)? };
    let notification = serde_json::from_str(&row.get::<_, String>(2)?);
    let fingerprint = row.get(3)?;
    Ok(notification.ok().map(|notification| (key, Told { notification, fingerprint })))
}

#[cfg(test)]
mod tests {
    use berth_protocol::attention::{Evidence, Reason, Severity};
    use berth_protocol::event::EventId;
    use berth_protocol::ids::{InstanceId, NotificationId, StreamId};

    use super::*;

    fn told() -> Told {
        let notification = Notification {
            id: NotificationId::random(),
            session: None,
            pane: None,
            reason: Reason::WaitingForApproval,
            severity: Severity::Warning,
            evidence: Evidence::Hook,
            confidence: 98,
            text: "Run it?".into(),
            question: None,
            signal_ms: 1,
        };
        Told { notification, fingerprint: Some("f".into()) }
    }

    fn event(stream: &StreamId, seq: u64) -> Event {
        Event {
            id: EventId { stream: stream.clone(), seq },
            instance: InstanceId::random(),
            kind: Notification::KIND.into(),
            at_ms: 1,
            payload: serde_json::json!({}),
        }
    }

    #[tokio::test]
    async fn what_stands_is_there_after_a_restart_with_its_events() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.db");
        let (stream, told) = (StreamId::random(), told());
        let key = PaneKey { server: "s".into(), pane: 3 };
        let store = Store::open(&path).unwrap();
        let row = HookRow { id: "h".into(), pane: 3, said: HookSignal::Done("done".into()) };
        assert!(store.keep_hook(&row, 1).await.unwrap());
        assert_eq!(store.open_hooks().await.unwrap(), std::slice::from_ref(&row));
        let attended = Attended { stands: Some((key.clone(), Some(told.clone()))), closed: vec!["h".into()] };
        store.attend(vec![event(&stream, 1)], attended.clone(), Bounds::default()).await.unwrap();
        // The number is taken: nothing of it is stored.
        let attended = Attended { stands: Some((key.clone(), None)), ..attended };
        store.attend(vec![event(&stream, 1)], attended, Bounds::default()).await.unwrap_err();
        store.close().await;

        let store = Store::open(&path).unwrap();
        assert_eq!(store.standing().await.unwrap(), [(key.clone(), told)]);
        assert!(store.open_hooks().await.unwrap().is_empty());
        assert!(!store.keep_hook(&row, 2).await.unwrap(), "it has counted");
        let attended = Attended { stands: Some((key, None)), closed: vec![] };
        store.attend(vec![], attended, Bounds::default()).await.unwrap();
        assert!(store.standing().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn hooks_are_forgotten_in_the_end_but_never_open_ones() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("agent.db")).unwrap();
        let row = |id: i64| HookRow { id: id.to_string(), pane: 1, said: HookSignal::Started };
        store.keep_hook(&row(0), 1).await.unwrap();
        for id in 1..=HOOKS_KEPT + 8 {
            store.keep_hook(&row(id), 1).await.unwrap();
            store
                .attend(vec![], Attended { stands: None, closed: vec![id.to_string()] }, Bounds::default())
                .await
                .unwrap();
        }
        assert_eq!(store.open_hooks().await.unwrap(), [row(0)]);
        assert!(store.keep_hook(&row(2), 1).await.unwrap(), "forgotten");
        assert!(!store.keep_hook(&row(HOOKS_KEPT), 1).await.unwrap(), "remembered");
    }
}
