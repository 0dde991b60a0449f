//! Whether the promise is kept, and who is told: the status, and the user by a notification for as long as it is true.

use std::collections::BTreeMap;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::attention::{
    Evidence, MAX_TEXT_CHARS, Notification, Reason, Severity, Withdrawn, WithdrawnBecause,
};
use berth_protocol::backup::{BackupRun, Outcome, Work};
use berth_protocol::ids::NotificationId;
use jiff::Timestamp;

use super::drill::NOTE_VERIFIED;
use super::engine::Inner;
use super::plan::alarm::{Alarm, Facts, Promise, alarms};
use super::snapshot::{Good, NOTE_GOOD};
use crate::events::Events;
use crate::store::{Store, StoreError};

/// The note of when a repository was first known to this volume.
const NOTE_SINCE: &str = "since";

/// The note of notifications that are not withdrawn yet.
const NOTE_TOLD: &str = "told";

/// Looks at what is known, shows it on the board, and tells the user what is news.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn look(engine: &Inner, store: &Store, events: &Events) -> Result<(), StoreError> {
    engine.refresh_repository();
    let facts = facts(engine, store).await?;
    let promise = Promise {
        age: Duration::from_secs(engine.settings.promise_secs),
        unverified: Duration::from_secs(engine.settings.unverified_secs),
    };
    let now = alarms(Timestamp::now(), &facts, promise);
    let history = store.backup_runs().await?;
    engine.metrics.backup_times(seconds(facts.good), seconds(facts.verified), now.len());
    let sentences: Vec<String> = now.iter().map(|(_, sentence)| sentence.clone()).collect();
    engine.board.send_modify(|board| {
        board.last_good_ms = facts.good.map(Timestamp::as_millisecond);
        board.last_verified_ms = facts.verified.map(Timestamp::as_millisecond);
        board.alarms.clone_from(&sentences);
        board.history = history;
    });
    if sentences.is_empty() {
        engine.troubles.clear("backup");
    } else {
        engine.troubles.set("backup", sentences.join("; "));
    }
    tell(store, events, &now).await
}

async fn facts(engine: &Inner, store: &Store) -> Result<Facts, StoreError> {
    let time = |millis: Option<i64>| millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let mut since: Option<i64> = store.backup_note(NOTE_SINCE).await?;
    if engine.board.borrow().repository.is_none() {
        // Nothing is promised any more, and a repository that comes later begins anew.
        if since.is_some() {
            store.note_backup(NOTE_SINCE, &None::<i64>).await?;
        }
        return Ok(Facts::default());
    }
    if since.is_none() {
        since = Some(Timestamp::now().as_millisecond());
        store.note_backup(NOTE_SINCE, &since).await?;
    }
    let good: Option<Good> = store.backup_note(NOTE_GOOD).await?;
    let runs = store.backup_runs().await?;
    Ok(Facts {
        since: time(since),
        good: time(good.map(|good| good.began_ms)),
        verified: time(store.backup_note(NOTE_VERIFIED).await?),
        drill_failed: failed(&runs, Work::Drill, &["differs", "repository_damaged"]),
        backup_failed: failed(&runs, Work::Backup, &[]),
    })
}

/// What the newest run of a kind that came to an end said when it failed; only of these kinds, if any are named.
fn failed(runs: &[BackupRun], work: Work, kinds: &[&str]) -> Option<String> {
    let counts = |run: &&BackupRun| {
        let ended = matches!(run.outcome, Some(Outcome::Good | Outcome::Partial | Outcome::Failed));
        let about = match &run.problem {
            Some(problem) => kinds.is_empty() || kinds.contains(&problem.kind.as_str()),
            None => true,
        };
        run.work == work && ended && about
    };
    let newest = runs.iter().find(counts)?;
    if newest.outcome == Some(Outcome::Partial) {
        return newest.warnings.first().cloned();
    }
    newest.problem.as_ref().map(|problem| problem.message.clone())
}

fn seconds(time: Option<Timestamp>) -> i64 {
    time.map_or(0, Timestamp::as_second)
}

/// Tells what is new, and takes back what is over. Each alarm is told once for as long as it lasts.
async fn tell(store: &Store, events: &Events, now: &[(Alarm, String)]) -> Result<(), StoreError> {
    let mut told: BTreeMap<String, NotificationId> = store.backup_note(NOTE_TOLD).await?.unwrap_or_default();
    let before = told.clone();
    for (alarm, sentence) in now {
        let name = name(*alarm);
        if !told.contains_key(name) {
            let id = NotificationId::random();
            publish(events, Notification::KIND, &notification(id.clone(), sentence)).await?;
            told.insert(name.to_owned(), id);
        }
    }
    let lasts: Vec<&str> = now.iter().map(|(alarm, _)| name(*alarm)).collect();
    for (name, id) in before.iter().filter(|(name, _)| !lasts.contains(&name.as_str())) {
        publish(events, Withdrawn::KIND, &Withdrawn { id: id.clone(), why: WithdrawnBecause::WentOn })
            .await?;
        told.remove(name);
    }
    if told == before { Ok(()) } else { store.note_backup(NOTE_TOLD, &told).await }
}

async fn publish(events: &Events, kind: &str, payload: &impl serde::Serialize) -> Result<(), StoreError> {
    let payload = serde_json::to_value(payload).unwrap_or_default();
    events
        .publish(kind, payload)
        .await
        .inspect_err(|error| tracing::warn!(error = chain(error), "an alarm is not told"))
}

fn notification(id: NotificationId, sentence: &str) -> Notification {
    let plain = sentence.chars().filter(|c| !c.is_control());
    Notification {
        id,
        session: None,
        pane: None,
        reason: Reason::Berth,
        severity: Severity::Urgent,
        evidence: Evidence::Process,
        confidence: 100,
        text: plain.take(MAX_TEXT_CHARS).collect(),
        question: None,
        signal_ms: Timestamp::now().as_millisecond(),
    }
}

fn name(alarm: Alarm) -> &'static str {
    match alarm {
        Alarm::Old => "old",
        Alarm::Drill => "drill",
        Alarm::Unverified => "unverified",
    }
}

#[cfg(test)]
mod tests {
    use berth_protocol::backup::{Problem, Reason as Why};
    use berth_protocol::ids::InstanceId;
    use tokio::sync::watch;

    use crate::backup::run::record;
    use crate::metrics::Metrics;

    use super::*;

    #[tokio::test]
    async fn an_alarm_is_told_once_and_taken_back_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("agent.db")).unwrap();
        let events =
            Events::new(store.clone(), InstanceId::random(), watch::Sender::new(0), Metrics::default());
        let kinds = async || {
            let connection = rusqlite::Connection::open(dir.path().join("agent.db")).unwrap();
            let mut statement = connection.prepare("SELECT kind FROM outbox ORDER BY id").unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.collect::<Result<Vec<_>, _>>().unwrap()
        };
        let old = [(Alarm::Old, "too old".to_owned())];
        tell(&store, &events, &old).await.unwrap();
        tell(&store, &events, &old).await.unwrap();
        assert_eq!(kinds().await, ["notification"]);
        tell(&store, &events, &[]).await.unwrap();
        tell(&store, &events, &[]).await.unwrap();
        assert_eq!(kinds().await, ["notification", "notification_withdrawn"]);
        tell(&store, &events, &old).await.unwrap();
        assert_eq!(kinds().await.len(), 3, "a new alarm is news");
    }

    #[test]
    fn only_a_run_that_ended_by_itself_says_that_something_failed() {
        let run = |outcome, kind: Option<&str>| BackupRun {
            outcome,
            problem: kind.map(|kind| Problem { kind: kind.into(), message: format!("why: {kind}") }),
            ..record(Work::Drill, Why::Scheduled)
        };
        let wrong = run(Some(Outcome::Failed), Some("differs"));
        let kinds = ["differs"];
        let said = |runs: &[BackupRun]| failed(runs, Work::Drill, &kinds);
        assert_eq!(
            said(&[run(None, None), run(Some(Outcome::Cancelled), None), wrong.clone()]).unwrap(),
            "why: differs"
        );
        // That the server was away says nothing about the backups.
        assert_eq!(
            said(&[run(Some(Outcome::Failed), Some("unreachable")), wrong.clone()]).unwrap(),
            "why: differs"
        );
        assert_eq!(said(&[run(Some(Outcome::Good), None), wrong]), None);
    }
}
