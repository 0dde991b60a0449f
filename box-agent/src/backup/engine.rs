//! What all runs share. There is one engine for the agent's life; what runs on the volume comes and goes with it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use berth_protocol::backup::{BackupCredentials, BackupState, DesiredBackup, Reason, RestoreOrder, Work};
use berth_protocol::ids::WorkspaceId;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::export::{Archive, Reading};
use super::plan::schedule::Schedule;
use super::problem::Problem;
use super::restic::Restic;
use super::restic::launch::Launcher;
use super::target::{self, Target};
use crate::host::account::Account;
use crate::metrics::Metrics;
use crate::settings::BackupSettings;
use crate::troubles::Troubles;

/// Orders that wait: whoever gives one is told at once when another run goes on, or is about to.
const QUEUE: usize = 1;

/// Where things are, and whose.
#[derive(Debug, Clone)]
pub struct Places {
    /// The volume.
    pub volume: PathBuf,
    /// This program.
    pub agent: PathBuf,
    /// The user of terminals.
    pub account: Account,
    /// Their environment.
    pub env: Vec<(OsString, OsString)>,
    /// A directory in memory that is this process's own.
    pub papers: PathBuf,
    /// Whose volume it is: the name that snapshots have, on whatever machine they are made.
    pub workspace: WorkspaceId,
}

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Make a snapshot.
    Backup(Reason),
    /// Bring files back.
    Restore(RestoreOrder),
    /// Read backups back and compare.
    Drill(Reason),
    /// Put an archive of all into the bucket.
    Export,
}

impl Order {
    /// What it is for.
    #[must_use]
    pub fn work(&self) -> Work {
        match self {
            Self::Backup(_) => Work::Backup,
            Self::Restore(_) => Work::Restore,
            Self::Drill(_) => Work::Drill,
            Self::Export => Work::Export,
        }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Backup(reason) | Self::Drill(reason) => *reason,
            Self::Restore(_) | Self::Export => Reason::Asked,
        }
    }
}

/// Why an order is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// One goes on.
    #[error("{0} goes on: wait for it, or end it with `box-agent backup cancel`")]
    Busy(&'static str),
    /// The volume is not there.
    #[error("the volume is not in use now: resume the box first")]
    Away,
    /// Nobody said where to.
    #[error("{0}")]
    Problem(Problem),
}

/// Gives orders, and knows how things are. Clones are the same.
#[derive(Debug, Clone)]
pub struct Backups(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) settings: BackupSettings,
    pub(super) schedule: Schedule,
    pub(super) places: Places,
    pub(super) desired: watch::Receiver<Option<DesiredBackup>>,
    pub(super) board: watch::Sender<BackupState>,
    pub(super) metrics: Metrics,
    pub(super) troubles: Troubles,
    /// Held by the one run.
    pub(super) turn: tokio::sync::Mutex<()>,
    current: Mutex<Option<Current>>,
    keys: Mutex<Keys>,
    orders: mpsc::Sender<Order>,
    pub(super) waiting: tokio::sync::Mutex<mpsc::Receiver<Order>>,
    /// Whether somebody takes orders.
    serving: watch::Sender<bool>,
    /// Archives that are read by somebody else than a run: each reads all that is there.
    reading: Arc<Semaphore>,
}

/// The run that goes on.
#[derive(Debug)]
struct Current {
    work: Work,
    reason: Reason,
    cancel: CancellationToken,
}

/// How long the present keys have been in use.
#[derive(Debug, Default)]
struct Keys {
    known: Option<(BackupCredentials, Instant)>,
    proven: bool,
}

impl Backups {
    /// An engine; `desired` is what the gateway says.
    ///
    /// # Errors
    /// A sentence about a setting.
    pub fn new(
        settings: BackupSettings,
        places: Places,
        desired: watch::Receiver<Option<DesiredBackup>>,
        metrics: Metrics,
        troubles: Troubles,
    ) -> Result<Self, String> {
        let schedule = Schedule::parse(&settings.zone, &settings.at)?;
        let (orders, waiting) = mpsc::channel(QUEUE);
        Ok(Self(Arc::new(Inner {
            settings,
            schedule,
            places,
            desired,
            board: watch::Sender::default(),
            metrics,
            troubles,
            turn: tokio::sync::Mutex::default(),
            current: Mutex::default(),
            keys: Mutex::default(),
            orders,
            waiting: tokio::sync::Mutex::new(waiting),
            serving: watch::Sender::new(false),
            reading: Arc::new(Semaphore::new(1)),
        })))
    }

    /// How things are.
    #[must_use]
    pub fn state(&self) -> BackupState {
        self.0.refresh_repository();
        self.0.board.borrow().clone()
    }

    /// Has a run begin, if none goes on. A check that came by itself makes room for what somebody asks for: it comes
    /// again.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn order(&self, order: Order) -> Result<BackupState, NotTaken> {
        if !*self.0.serving.borrow() {
            return Err(NotTaken::Away);
        }
        let current = self.0.current();
        let yields = |run: &Current| run.work == Work::Drill && run.reason == Reason::Scheduled;
        if let Some(run) = current.as_ref().filter(|run| !yields(run)) {
            return Err(NotTaken::Busy(named(run.work)));
        }
        self.0.target().map_err(NotTaken::Problem)?;
        self.0.orders.try_send(order).map_err(|_| NotTaken::Busy("another run"))?;
        if let Some(run) = &*current {
            run.cancel.cancel();
        }
        drop(current);
        Ok(self.state())
    }

    /// Ends the run that goes on, if one does.
    #[must_use]
    pub fn cancel(&self) -> BackupState {
        if let Some(run) = &*self.0.current() {
            run.cancel.cancel();
        }
        self.state()
    }

    /// Begins to write an archive of the user's tree, for whoever reads it; one at a time.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn archive(&self) -> Result<(Archive, Reading), NotTaken> {
        let serving = self.0.serving.subscribe();
        if !*serving.borrow() {
            return Err(NotTaken::Away);
        }
        let turn = self.0.reading.clone().try_acquire_owned().map_err(|_| NotTaken::Busy("an export"))?;
        let archive = Archive::of(&self.0.places).map_err(NotTaken::Problem)?;
        Ok((archive, Reading::new(serving, turn)))
    }

    /// Whether backups are set up.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        target::known(&self.0.settings, self.0.desired.borrow().as_ref()).is_some()
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Says that orders are taken from now on, until what is returned is dropped.
    pub(super) fn serve(&self) -> Serving {
        self.0.serving.send_replace(true);
        Serving(self.clone())
    }
}

/// Orders are taken for as long as this is there.
pub(super) struct Serving(Backups);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.serving.send_replace(false);
    }
}

/// The run that goes on; dropped, none does.
pub(super) struct Turn<'a> {
    inner: &'a Inner,
    _guard: tokio::sync::MutexGuard<'a, ()>,
    /// Ends the run.
    pub(super) cancel: CancellationToken,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.inner.current() = None;
        self.inner.board.send_modify(|board| board.running = None);
    }
}

impl Inner {
    /// Waits until no other run goes on, and takes the turn.
    pub(super) async fn turn(&self, work: Work, reason: Reason, stop: &CancellationToken) -> Turn<'_> {
        let guard = self.turn.lock().await;
        let cancel = stop.child_token();
        *self.current() = Some(Current { work, reason, cancel: cancel.clone() });
        Turn { inner: self, _guard: guard, cancel }
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where backups go now.
    ///
    /// # Errors
    /// [`Problem`].
    pub(super) fn target(&self) -> Result<Target, Problem> {
        target::find(&self.settings, self.desired.borrow().as_ref())
    }

    pub(super) fn refresh_repository(&self) {
        let known = target::known(&self.settings, self.desired.borrow().as_ref()).map(|known| known.url());
        self.board.send_if_modified(|board| {
            let news = board.repository != known;
            board.repository = known;
            news
        });
    }

    pub(super) fn restic(&self) -> Result<Restic, Problem> {
        self.launcher().map(Restic::new)
    }

    pub(super) fn launcher(&self) -> Result<Launcher, Problem> {
        let (settings, places) = (&self.settings, &self.places);
        Launcher::find(&settings.restic, &settings.cache, &places.papers, &places.agent, &settings.memory_max)
    }

    /// How long these keys have been in use here; nothing when they have worked before. `worked` is the id of the key
    /// that did last, as it was noted.
    pub(super) fn keys_age(&self, credentials: &BackupCredentials, worked: Option<&str>) -> Option<Duration> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.known.as_ref().is_none_or(|(known, _)| known != credentials) {
            // One that is the same as before the agent's start is not new; one that is changed while it runs is.
            keys.proven = keys.known.is_none() && worked == Some(credentials.key_id.as_str());
            keys.known = Some((credentials.clone(), Instant::now()));
        }
        match &keys.known {
            Some((_, since)) if !keys.proven => Some(since.elapsed()),
            _ => None,
        }
    }

    /// The present keys have worked.
    pub(super) fn keys_worked(&self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).proven = true;
    }
}

/// For sentences.
fn named(work: Work) -> &'static str {
    match work {
        Work::Backup => "a backup",
        Work::Restore => "a restore",
        Work::Drill => "a check of the backups",
        Work::Export => "an export",
        Work::Unknown => "another run",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use berth_protocol::environment::Secret;

    use super::*;

    pub(crate) fn engine(settings: BackupSettings) -> Backups {
        let account = Account::find(None, "/h".into(), None).unwrap();
        let places = Places {
            volume: "/nowhere".into(),
            agent: "/nowhere/agent".into(),
            account,
            env: vec![],
            papers: "/nowhere/papers".into(),
            workspace: WorkspaceId::random(),
        };
        let (_, desired) = watch::channel(None);
        Backups::new(settings, places, desired, Metrics::default(), Troubles::default()).unwrap()
    }

    fn keys(id: &str, secret: &str) -> BackupCredentials {
        let secret_key = Secret::new(secret);
        BackupCredentials { key_id: id.into(), secret_key, session_token: None, password: Secret::new("p") }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_new_until_they_have_worked_and_again_when_they_are_changed() {
        let backups = engine(BackupSettings::default());
        let age = |credentials, worked| backups.0.keys_age(&credentials, worked);
        assert_eq!(age(keys("a", "1"), None), Some(Duration::ZERO));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(age(keys("a", "1"), None), Some(Duration::from_secs(7)));
        backups.0.keys_worked();
        assert_eq!(age(keys("a", "1"), None), None);
        // Changed while the agent runs, even under the same name.
        assert_eq!(age(keys("a", "2"), Some("a")), Some(Duration::ZERO));
        // After a start, the ones that worked before are not new.
        let other = engine(BackupSettings::default());
        assert_eq!(other.0.keys_age(&keys("a", "1"), Some("a")), None);
        assert_eq!(other.0.keys_age(&keys("b", "1"), Some("a")), Some(Duration::ZERO));
    }

    #[tokio::test]
    async fn nothing_is_ordered_while_nobody_works_or_no_repository_is_known() {
        let backups = engine(BackupSettings::default());
        let order = || backups.order(Order::Backup(Reason::Asked)).unwrap_err();
        assert_eq!(order(), NotTaken::Away);
        let serving = backups.serve();
        assert_eq!(order(), NotTaken::Problem(Problem::NotConfigured));
        let turn = backups.0.turn(Work::Restore, Reason::Asked, &CancellationToken::new()).await;
        assert_eq!(order(), NotTaken::Busy("a restore"));
        let _ = backups.cancel();
        assert!(turn.cancel.is_cancelled());
        drop(turn);
        // A check that somebody asked for stands in the way, one that came by itself does not, and is not ended for nothing.
        let turn = backups.0.turn(Work::Drill, Reason::Asked, &CancellationToken::new()).await;
        assert!(matches!(order(), NotTaken::Busy(_)));
        drop(turn);
        let turn = backups.0.turn(Work::Drill, Reason::Scheduled, &CancellationToken::new()).await;
        assert_eq!(order(), NotTaken::Problem(Problem::NotConfigured));
        assert!(!turn.cancel.is_cancelled());
        drop(turn);
        drop(serving);
        assert_eq!(order(), NotTaken::Away);
    }
}
