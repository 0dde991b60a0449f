//! Begins runs when it is time or somebody asks, one after the other, and keeps their history true.

use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::backup::{BackupRun, Outcome, Place, Reason, RestoreOrder, SnapshotRef, Work};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::engine::{Backups, Inner, Order};
use super::plan::schedule::Last;
use super::problem::Problem;
use super::run::{Run, outcome_of, record};
use super::{drill, export, restore, snapshot, watch};
use crate::events::Events;
use crate::store::{Store, StoreError};

/// How often it is looked whether something is due.
const LOOK_PAUSE: Duration = Duration::from_secs(30);

/// The note of the last scheduled backup.
const NOTE_LAST: &str = "last";

/// The note of the last scheduled drill.
const NOTE_DRILL: &str = "drilled";

/// The last attempt at a scheduled backup, as it is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Attempt {
    began_ms: i64,
    failures: u32,
}

impl Backups {
    /// Works until `stop`, which also ends a run that goes on.
    pub async fn work(self, store: Store, events: Events, stop: CancellationToken) {
        let mut orders = self.inner().waiting.lock().await;
        // What was ordered while nobody worked is not wanted any more.
        while orders.try_recv().is_ok() {}
        if let Err(error) = self.tidy(&store).await {
            tracing::warn!(error = chain(&error), "the history of backups is not up to date");
        }
        // Whoever orders sees first what was, to know their own run by.
        if let Err(error) = watch::look(self.inner(), &store, &events).await {
            tracing::warn!(error = chain(&error), "what is known of backups can't be read");
        }
        let _serving = self.serve();
        // Orders wait for it: the lock of a restic that is not quite gone would be in their way.
        if let Ok(launcher) = self.inner().launcher() {
            let tidy = async {
                let _turn = self.inner().turn.lock().await;
                launcher.tidy().await;
            };
            tokio::select! {
                // Cancel-safe, both: a token, and what the next agent does again.
                () = stop.cancelled() => return,
                () = tidy => {}
            }
        }
        let late = fastrand::u64(..=self.inner().settings.jitter_secs);
        let mut desired = self.inner().desired.clone();
        // After a run, and at the beginning, something else may be due at once.
        let mut pause = Duration::ZERO;
        loop {
            if let Err(error) = watch::look(self.inner(), &store, &events).await {
                tracing::warn!(error = chain(&error), "what is known of backups can't be read");
            }
            let order = tokio::select! {
                // Cancel-safe, all: a channel, a token, a watch and a pause.
                biased;
                () = stop.cancelled() => return,
                Some(order) = orders.recv() => Some(order),
                Ok(()) = desired.changed() => None,
                () = tokio::time::sleep(pause) => None,
            };
            let order = match order {
                Some(order) => Some(order),
                None => self.due(&store, Duration::from_secs(late)).await,
            };
            pause = if order.is_some() { Duration::ZERO } else { LOOK_PAUSE };
            if let Some(order) = order {
                self.perform(&store, order, &stop).await;
            }
        }
    }

    /// Forgets what an agent that was killed has left.
    async fn tidy(&self, store: &Store) -> Result<(), StoreError> {
        let inner = self.inner();
        store.lose_backup_runs(Timestamp::now().as_millisecond()).await?;
        if let Err(error) = restore::tidy(&inner.places.volume) {
            tracing::warn!(%error, "what an interrupted restore has left is not removed");
        }
        Ok(())
    }

    /// What is due now.
    async fn due(&self, store: &Store, late: Duration) -> Option<Order> {
        let inner = self.inner();
        if !self.is_configured() {
            inner.board.send_modify(|board| board.next_ms = None);
            return None;
        }
        // Keys that are on their way are waited for without a failed run.
        inner.target().ok()?;
        let now = Timestamp::now();
        let attempt: Option<Attempt> = store.backup_note(NOTE_LAST).await.ok()?;
        let last = attempt.and_then(|attempt| {
            let began = Timestamp::from_millisecond(attempt.began_ms).ok()?;
            Some(Last { began, failures: attempt.failures })
        });
        let next = inner.schedule.due(now, last, late);
        inner.board.send_modify(|board| board.next_ms = Some(next.as_millisecond()));
        if next <= now {
            return Some(Order::Backup(Reason::Scheduled));
        }
        let drilled: Option<i64> = store.backup_note(NOTE_DRILL).await.ok()?;
        let made: Option<snapshot::Sample> = store.backup_note(snapshot::NOTE_SAMPLE).await.ok()?;
        let pause = i64::try_from(inner.settings.drill_secs).unwrap_or(i64::MAX).saturating_mul(1000);
        let due = drilled.is_none_or(|drilled| now.as_millisecond().saturating_sub(drilled) >= pause);
        (made.is_some() && due).then_some(Order::Drill(Reason::Scheduled))
    }

    /// Does one thing, from its note at the beginning to that at the end.
    async fn perform(&self, store: &Store, order: Order, stop: &CancellationToken) {
        let deadline = Duration::from_secs(self.inner().settings.deadline_secs);
        let turn = self.inner().turn(order.work(), order.reason(), stop).await;
        let ended = self.run(store, &order, turn.cancel.clone(), deadline).await;
        let failed = ended.outcome != Some(Outcome::Good) && ended.outcome != Some(Outcome::Partial);
        let noted = match order {
            Order::Backup(reason) => {
                let before: Attempt =
                    store.backup_note(NOTE_LAST).await.unwrap_or_default().unwrap_or_default();
                let cancelled = ended.outcome == Some(Outcome::Cancelled);
                let failures = if failed && !cancelled { before.failures.saturating_add(1) } else { 0 };
                // One that somebody asked for and that failed puts nothing off, nor does one that ended with the agent.
                let counts = (reason == Reason::Scheduled && !stop.is_cancelled()) || !failed;
                let attempt = Attempt { began_ms: ended.began_ms, failures };
                if counts { store.note_backup(NOTE_LAST, &attempt).await } else { Ok(()) }
            }
            Order::Drill(_) => store.note_backup(NOTE_DRILL, &ended.began_ms).await,
            Order::Restore(_) | Order::Export => Ok(()),
        };
        if let Err(error) = noted {
            tracing::warn!(error = chain(&error), "when the last run was is not noted");
        }
    }

    /// Makes a snapshot before a suspension, once nothing else runs. Returns what is to be said of it: nothing when it is
    /// good, or when nobody wants backups.
    pub async fn before_suspend(&self, store: &Store) -> Option<String> {
        if !self.is_configured() {
            return None;
        }
        let deadline = Duration::from_secs(self.inner().settings.suspend_deadline_secs);
        let stop = CancellationToken::new();
        let turn = self.inner().turn(Work::Backup, Reason::Suspend, &stop).await;
        let ended = self.run(store, &Order::Backup(Reason::Suspend), turn.cancel.clone(), deadline).await;
        if let (Some(Outcome::Good | Outcome::Partial), began_ms) = (ended.outcome, ended.began_ms) {
            let _ = store.note_backup(NOTE_LAST, &Attempt { began_ms, failures: 0 }).await;
        }
        match (ended.outcome, ended.problem) {
            (Some(Outcome::Good), _) => None,
            (Some(Outcome::Partial), _) => {
                Some(format!("the backup left something out: {}", ended.warnings.join("; ")))
            }
            (_, Some(problem)) => Some(format!("no backup was made: {}", problem.message)),
            (..) => Some("no backup was made".to_owned()),
        }
    }

    /// Does what is ordered, with its record in the history.
    async fn run(
        &self,
        store: &Store,
        order: &Order,
        cancel: CancellationToken,
        deadline: Duration,
    ) -> BackupRun {
        let inner = self.inner();
        let from = match order {
            Order::Restore(order) => Some(self.before_restore(store, order, &cancel, deadline).await),
            _ => None,
        };
        let mut record = record(order.work(), order.reason());
        match store.begin_backup_run(&record).await {
            Ok(run) => record.run = run,
            Err(error) => tracing::warn!(error = chain(&error), "that a run begins is not noted"),
        }
        let ended = match from {
            Some(Err(problem)) => ended(record, Err(problem), None),
            from => {
                let from = from.and_then(Result::ok);
                attempt(inner, store, record, order, from.as_ref(), cancel, deadline).await
            }
        };
        let outcome = ended.outcome.unwrap_or(Outcome::Failed);
        inner.metrics.backup_ended(ended.work, outcome, &ended);
        match &ended.problem {
            Some(problem) => {
                tracing::warn!(run = ended.run, work = ?ended.work, "backup: {}", problem.message)
            }
            None => tracing::info!(run = ended.run, work = ?ended.work, ?outcome, "backup: done"),
        }
        if let Err(error) = store.end_backup_run(&ended).await {
            tracing::warn!(error = chain(&error), "how a run ended is not noted");
        }
        ended
    }

    /// Finds the snapshot that is meant, and makes one of how things are when they are about to be replaced.
    async fn before_restore(
        &self,
        store: &Store,
        order: &RestoreOrder,
        cancel: &CancellationToken,
        deadline: Duration,
    ) -> Result<SnapshotRef, Problem> {
        let from = restore::meant(&order.snapshot, &self.snapshots().await?)?;
        if order.place == Place::InPlace {
            let safety = Order::Backup(Reason::Safety);
            let made = Box::pin(self.run(store, &safety, cancel.clone(), deadline)).await;
            if !matches!(made.outcome, Some(Outcome::Good | Outcome::Partial)) {
                let why = made.problem.map_or_else(String::new, |problem| format!(": {}", problem.message));
                return Err(Problem::Settings(format!(
                    "nothing was replaced, because no snapshot could be made of how things are{why}"
                )));
            }
        }
        Ok(from)
    }
}

async fn attempt(
    inner: &Inner,
    store: &Store,
    record: BackupRun,
    order: &Order,
    from: Option<&SnapshotRef>,
    cancel: CancellationToken,
    deadline: Duration,
) -> BackupRun {
    let mut run = match Run::begin(inner, store, record, cancel, deadline).await {
        Ok(run) => run,
        Err((record, problem)) => return ended(record, Err(problem), None),
    };
    let outcome = match (order, from) {
        (Order::Backup(_), _) => snapshot::make(&mut run).await,
        (Order::Drill(_), _) => drill::drill(&mut run).await,
        (Order::Export, _) => export::to_bucket(&mut run).await,
        (Order::Restore(order), Some(from)) => restore::bring_back(&mut run, order, from).await,
        (Order::Restore(_), None) => Err(Problem::NotFound("no snapshot is meant".into())),
    };
    let doing = run.doing();
    ended(run.close(), outcome, Some(doing))
}

/// The record of a run that has ended. `doing` is how far it got.
fn ended(record: BackupRun, outcome: Result<Outcome, Problem>, doing: Option<String>) -> BackupRun {
    let (outcome, problem) = match outcome {
        Ok(outcome) => (outcome, None),
        Err(problem) => {
            let mut told = problem.told();
            if let (Problem::Late { .. } | Problem::Cancelled, Some(doing)) = (&problem, doing) {
                told.message = format!("{} (it was at: {doing})", told.message);
            }
            (outcome_of(&problem), Some(told))
        }
    };
    let ended_ms = Some(Timestamp::now().as_millisecond());
    BackupRun { outcome: Some(outcome), problem, ended_ms, ..record }
}
