//! One run: its phases, its attempts, what is shown of it while it goes on, and its record.

use std::time::Duration;

use berth_protocol::backup::{BackupRun, Outcome, Phase, Progress, Reason, Running, Work};
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::engine::Inner;
use super::plan::retry::{self, Limits};
use super::problem::Problem;
use super::restic::lines::{Line, Summary};
use super::restic::{Bounds, Call, Completeness, Restic, Said, calls};
use super::target::Target;
use crate::store::Store;

/// Warnings that are kept of a run, at most.
const MAX_WARNINGS: usize = 20;

/// The note of the key that worked last.
pub(super) const NOTE_KEY: &str = "key_id";

/// The shortest time that a call is given: one that is begun shall have a chance.
const LEAST: Duration = Duration::from_secs(1);

/// A run that goes on.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Inner,
    pub(super) store: &'a Store,
    pub(super) record: BackupRun,
    pub(super) restic: Restic,
    pub(super) target: Target,
    pub(super) cancel: CancellationToken,
    /// What restic said at the end of the last call.
    pub(super) summary: Summary,
    began: Instant,
    deadline: Duration,
    phase: Option<(String, Instant)>,
    /// What it was doing when the last call failed.
    stopped_at: Option<String>,
    left_out: usize,
}

/// How long something was tried, and with keys of which age.
pub(super) struct Patience {
    began: Instant,
    attempt: u32,
    /// The key that worked last.
    worked: Option<String>,
    keys_age: Option<Duration>,
}

/// A record of a run that begins.
pub(super) fn record(work: Work, reason: Reason) -> BackupRun {
    BackupRun {
        run: 0,
        work,
        reason,
        began_ms: Timestamp::now().as_millisecond(),
        ended_ms: None,
        outcome: None,
        problem: None,
        snapshot: None,
        files: 0,
        bytes: 0,
        added_bytes: 0,
        warnings: Vec::new(),
        phases: Vec::new(),
        place: None,
    }
}

impl<'a> Run<'a> {
    /// Gets ready: keys and program are there, and the program is new enough.
    ///
    /// # Errors
    /// [`Problem`].
    pub(super) async fn begin(
        engine: &'a Inner,
        store: &'a Store,
        record: BackupRun,
        cancel: CancellationToken,
        deadline: Duration,
    ) -> Result<Self, (BackupRun, Problem)> {
        let ready = || Ok((engine.target()?, engine.restic()?));
        let (target, restic) = match ready() {
            Ok(ready) => ready,
            Err(problem) => return Err((record, problem)),
        };
        let mut run = Self {
            engine,
            store,
            record,
            restic,
            target,
            cancel,
            summary: Summary::default(),
            began: Instant::now(),
            deadline,
            phase: None,
            stopped_at: None,
            left_out: 0,
        };
        run.enter("getting ready");
        let bounds = run.bounds();
        match run.restic.check_version(&bounds).await {
            Ok(()) => Ok(run),
            Err(problem) => Err((run.close(), problem)),
        }
    }

    /// Begins the next phase.
    pub(super) fn enter(&mut self, phase: &str) {
        self.leave();
        tracing::info!(run = self.record.run, phase, "backup");
        self.phase = Some((phase.to_owned(), Instant::now()));
        let running = Running {
            run: self.record.run,
            work: self.record.work,
            reason: self.record.reason,
            began_ms: self.record.began_ms,
            phase: phase.to_owned(),
            progress: None,
            waiting: None,
        };
        self.engine.board.send_modify(|board| board.running = Some(running));
    }

    fn leave(&mut self) {
        if let Some((name, since)) = self.phase.take() {
            let millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.record.phases.push(Phase { name, millis });
        }
    }

    /// What the run was doing when it stopped, for sentences: a hook that runs all the same is not what it stopped at.
    pub(super) fn doing(&self) -> String {
        self.stopped_at.clone().unwrap_or_else(|| self.now())
    }

    fn now(&self) -> String {
        let progress = self.engine.board.borrow().running.as_ref().and_then(|running| running.progress);
        let phase = self.phase.as_ref().map_or("", |(name, _)| name);
        match progress {
            Some(progress) => format!("{phase}, {} % done", progress.percent),
            None => phase.to_owned(),
        }
    }

    /// Says that something was left out or did not go as it should.
    pub(super) fn warn(&mut self, sentence: String) {
        if self.record.warnings.len() < MAX_WARNINGS {
            tracing::warn!(run = self.record.run, "backup: {sentence}");
            self.record.warnings.push(sentence);
        } else {
            self.left_out += 1;
        }
    }

    /// Ends the last phase, and gives the record.
    pub(super) fn close(mut self) -> BackupRun {
        self.leave();
        if self.left_out > 0 {
            self.record.warnings.push(format!("and {} more", self.left_out));
        }
        self.record
    }

    /// What is left of the run's time.
    pub(super) fn bounds(&self) -> Bounds {
        let left = self.deadline.saturating_sub(self.began.elapsed()).max(LEAST);
        let stall = Duration::from_secs(self.engine.settings.stall_secs);
        Bounds { cancel: self.cancel.clone(), deadline: left, stall: stall.min(left) }
    }

    /// Makes a call, again for as long as that makes sense.
    ///
    /// # Errors
    /// [`Problem`] of the last attempt.
    pub(super) async fn call(&mut self, call: impl Fn() -> Call<'a>) -> Result<Completeness, Problem> {
        let outcome = self.attempts(call).await;
        self.stopped_at = outcome.is_err().then(|| self.now());
        outcome
    }

    async fn attempts(&mut self, call: impl Fn() -> Call<'a>) -> Result<Completeness, Problem> {
        let mut patience = self.patience().await;
        loop {
            self.renew(&mut patience);
            let problem = match self.once(call()).await {
                Ok(done) => return Ok(done),
                Err(problem) => problem,
            };
            self.pause_after(&problem, &mut patience).await?;
            if problem == Problem::Locked {
                // By one that has gone meanwhile, perhaps; what comes of it shows in the next attempt.
                let _ = self.once(Call::remote(calls::unlock())).await;
            }
        }
    }

    /// For something that may be tried more than once.
    pub(super) async fn patience(&self) -> Patience {
        let worked = self.store.backup_note(NOTE_KEY).await.unwrap_or_default();
        Patience { began: Instant::now(), attempt: 1, worked, keys_age: None }
    }

    /// Takes up keys that were changed meanwhile: they count for the next attempt.
    pub(super) fn renew(&mut self, patience: &mut Patience) {
        if let Ok(target) = self.engine.target() {
            self.target = target;
        }
        patience.keys_age = self.engine.keys_age(&self.target.credentials, patience.worked.as_deref());
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The problem, when there is to be none.
    pub(super) async fn pause_after(
        &self,
        problem: &Problem,
        patience: &mut Patience,
    ) -> Result<(), Problem> {
        let settings = &self.engine.settings;
        let limits = Limits {
            new_keys: Duration::from_secs(settings.new_keys_secs),
            new_keys_pause: Duration::from_secs(settings.new_keys_pause_secs),
            open: Duration::from_secs(settings.open_deadline_secs),
        };
        let (elapsed, chance) = (patience.began.elapsed(), fastrand::f64());
        let pause = retry::pause(problem, patience.attempt, elapsed, patience.keys_age, &limits, chance);
        let over = self.began.elapsed() >= self.deadline;
        let Some(pause) = pause.filter(|_| !over) else { return Err(problem.clone()) };
        tracing::info!(attempt = patience.attempt, %problem, pause_millis = pause.as_millis(), "it is tried again");
        self.waits(problem.to_string());
        patience.attempt += 1;
        tokio::select! {
            // Cancel-safe: a pause and a token.
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.cancel.cancelled() => Err(Problem::Cancelled),
        }
    }

    async fn once(&mut self, call: Call<'_>) -> Result<Completeness, Problem> {
        let bounds = self.bounds();
        let (restic, target, board) = (self.restic.clone(), self.target.clone(), self.engine.board.clone());
        let mut summary = Summary::default();
        let mut warnings = Vec::new();
        let hear = |said| match said {
            Said::Line(Line::Status(status)) => board.send_modify(|board| {
                let Some(running) = &mut board.running else { return };
                let percent = (status.percent_done.clamp(0.0, 1.0) * 100.0).floor();
                running.progress = Some(Progress {
                    percent: percent as u8,
                    files: status.files_done.max(status.files_restored),
                    bytes: status.bytes_done.max(status.bytes_restored),
                    total_bytes: status.total_bytes,
                });
                running.waiting = None;
            }),
            Said::Line(Line::Summary(said)) => summary = said,
            Said::Line(Line::Error(error)) => warnings.push(error.shown()),
            Said::Waits(words) => board.send_modify(|board| {
                if let Some(running) = &mut board.running {
                    running.waiting = Some(words);
                }
            }),
            Said::Line(_) | Said::Text(_) => {}
        };
        let done = restic.run(&target, call, &bounds, hear).await;
        self.summary = summary;
        warnings.into_iter().for_each(|warning| self.warn(warning));
        done
    }

    fn waits(&self, words: String) {
        self.engine.board.send_modify(|board| {
            if let Some(running) = &mut board.running {
                running.waiting = Some(words);
            }
        });
    }

    /// Shows how many bytes were done, of something whose end is not known.
    pub(super) fn progressed(&self, bytes: u64) {
        self.engine.board.send_modify(|board| {
            if let Some(running) = &mut board.running {
                running.progress = Some(Progress { bytes, ..Progress::default() });
                running.waiting = None;
            }
        });
    }

    /// The keys have worked, and are not new any more.
    pub(super) async fn keys_worked(&mut self) {
        self.engine.keys_worked();
        let key_id = self.target.credentials.key_id.clone();
        if let Err(error) = self.store.note_backup(NOTE_KEY, &key_id).await {
            self.warn(format!("it is not noted which key worked: {error}"));
        }
    }

    /// Makes sure that there is a repository that the keys and the password open; `make` one that is absent.
    ///
    /// # Errors
    /// [`Problem`]. None is ever made when the server merely refused.
    pub(super) async fn open(&mut self, make: bool) -> Result<(), Problem> {
        self.enter("opening the repository");
        match self.call(|| Call::remote(calls::open())).await {
            Err(Problem::NoRepository) if make => {
                self.enter("making the repository");
                let made = self.call(|| Call::remote(calls::init())).await;
                if let Err(problem) = made {
                    // Another was faster, perhaps: what counts is that it opens.
                    self.call(|| Call::remote(calls::open())).await.map_err(|_| problem)?;
                }
                tracing::info!(repository = %self.target.repository, "a repository was made");
            }
            outcome => drop(outcome?),
        }
        self.keys_worked().await;
        Ok(())
    }

    /// Takes away locks of programs that are gone.
    ///
    /// # Errors
    /// [`Problem`].
    pub(super) async fn unlock(&mut self) -> Result<(), Problem> {
        match self.call(|| Call::remote(calls::unlock())).await {
            // They can add and not delete, so whoever prunes takes locks away, too.
            Err(Problem::AccessDenied { .. }) if self.target.add_only => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

/// How a run ended that had this problem.
pub(super) fn outcome_of(problem: &Problem) -> Outcome {
    if *problem == Problem::Cancelled { Outcome::Cancelled } else { Outcome::Failed }
}
