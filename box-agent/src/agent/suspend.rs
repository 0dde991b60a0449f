//! The one task that lets the volume go and takes it back.
//!
//! Whatever fails on the way out is undone by the way in, which is that of every start: each of its steps finds what is
//! there already. Only the backup's failure undoes nothing, since the machine is to be suspended all the same.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use berth_daemon::exit::{Fatal, chain};
use berth_protocol::observed::ObservedState;
use berth_protocol::suspend::{Holder, SuspendState};
use nix::unistd::syncfs;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::hub::Progress;
use super::start::Foundation;
use super::stay::{Ground, Stay};
use crate::host::command::Invocation;
use crate::host::{holders, mount};
use crate::sessions::screens;
use crate::suspend::{Handle, Order, hook};
use crate::volume;
use crate::volume::device::Device;
use crate::worker;

/// How long what runs on the volume may take to end once its session has.
const GRACE: Duration = Duration::from_secs(5);

/// Pause between two looks at who is still there.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// How often it is told how far the backup is.
const BACKUP_PAUSE: Duration = Duration::from_millis(500);

/// Processes that are named, at most.
const MAX_NAMED: usize = 20;

/// Who holds the volume, and lets it go when asked to.
pub(super) struct Warden {
    pub(super) ground: Arc<Ground>,
    pub(super) stay: Option<Stay>,
    pub(super) handle: Handle,
    pub(super) orders: mpsc::Receiver<Order>,
}

/// Why a suspension is taken back.
#[derive(Debug, Default)]
struct Stopped {
    message: String,
    holders: Vec<Holder>,
}

impl Warden {
    /// Obeys until the agent stops, or until a part of the stay ends by itself.
    pub(super) async fn run(mut self) {
        let stop = self.ground.stop.clone();
        loop {
            let order = tokio::select! {
                // The end first: the parts of a stay end with it, and none of them by itself then. Whoever took that for
                // a failure would break off what still keeps the last screens.
                biased;
                // Cancel-safe, all: a token, a channel and a set of tasks.
                () = stop.cancelled() => break,
                Some(order) = self.orders.recv() => order,
                Some(_) = ended(&mut self.stay) => return,
            };
            match (order, self.stay.take()) {
                (Order::Suspend, Some(stay)) => self.suspend(stay).await,
                (Order::Resume, None) => self.resume(None).await,
                (_, stay) => self.stay = stay,
            }
        }
        if let Some(mut stay) = self.stay {
            while stay.parts.join_next().await.is_some() {}
        }
    }

    async fn suspend(&mut self, mut stay: Stay) {
        tracing::info!("suspending");
        match self.leave(&mut stay).await {
            Ok(note) => {
                self.ground.hub.detail.send_replace(None);
                self.ground.hub.progress.send_replace(Progress::Suspended);
                self.handle.set(SuspendState::Suspended, note, Vec::new());
                tracing::info!("suspended: the volume is free");
            }
            Err(stopped) => {
                tracing::warn!(holders = stopped.holders.len(), "not suspended: {}", stopped.message);
                self.close(&stay).await;
                drop(stay);
                self.resume(Some(stopped)).await;
            }
        }
    }

    /// Takes the volume back; after an attempt to let it go, with what stopped that.
    async fn resume(&mut self, stopped: Option<Stopped>) {
        let stopped = stopped.unwrap_or_default();
        let message = Some(stopped.message).filter(|message| !message.is_empty());
        self.handle.set(SuspendState::Resuming, message.clone(), Vec::new());
        match self.enter().await {
            Ok(stay) => {
                self.stay = Some(stay);
                self.ground.hub.troubles.clear("suspend");
                self.handle.set(SuspendState::Serving, message, stopped.holders);
            }
            Err(fatal) => {
                let reason = chain(&*fatal.error);
                let sentence = format!("the volume could not be taken back: {reason}");
                let all =
                    message.map_or_else(|| sentence.clone(), |before| format!("{before}; then {sentence}"));
                self.ground.hub.troubles.set("suspend", sentence);
                self.ground.hub.progress.send_replace(Progress::Suspended);
                self.handle.set(SuspendState::Suspended, Some(all), stopped.holders);
            }
        }
    }

    async fn enter(&self) -> Result<Stay, Fatal> {
        let mut stay = self.ground.enter().await?;
        self.ground.inhabit(&mut stay).await?;
        self.ground.hub.progress.send_replace(Progress::Ready);
        Ok(stay)
    }

    /// Lets the volume go. Returns what is to be said of the backup, when it failed.
    async fn leave(&self, stay: &mut Stay) -> Result<Option<String>, Stopped> {
        self.tell("saving the screens");
        let state_dir = volume::state_dir(&self.ground.this.settings.volume.path);
        let saved = screens::save(&self.ground.tmux, &state_dir).await;
        let mut note = saved.err().map(|error| format!("the screens were not saved: {}", chain(&error)));
        self.tell("ending the sessions");
        // First those who would make them anew.
        stay.stop.cancel();
        while stay.parts.join_next().await.is_some() {}
        self.end_sessions().await?;
        self.stop_tailscale().await;
        if let Some(device) = &stay.device {
            unused(&self.ground.this, device).await?;
        }
        if let Err(error) = stay.store.checkpoint().await {
            tracing::warn!(error = chain(&error), "failed to tidy up the database");
        }
        note = joined(note, self.back_up(stay).await);
        let settings = &self.ground.this.settings;
        if !settings.suspend.hook.is_empty() {
            self.tell("running the hook");
            if let Err(error) = hook::run(&settings.suspend, &settings.volume.path).await {
                let error = chain(&error);
                tracing::warn!(error, "the hook of the suspension failed");
                note = joined(note, Some(error));
            }
        }
        self.tell("letting the volume go");
        self.close(stay).await;
        self.release(stay).await?;
        Ok(note)
    }

    /// Makes a snapshot, while what it does is told. Whatever becomes of it, the suspension goes on.
    async fn back_up(&self, stay: &Stay) -> Option<String> {
        if !self.ground.backups.is_configured() {
            return None;
        }
        self.tell("backing up");
        let mut work = std::pin::pin!(self.ground.backups.before_suspend(&stay.store));
        let mut said = String::new();
        loop {
            tokio::select! {
                // Cancel-safe: the work goes on where it was, and the other is a pause.
                note = &mut work => return note,
                () = tokio::time::sleep(BACKUP_PAUSE) => {}
            }
            let running = self.ground.backups.state().running;
            let phase = running.as_ref().map_or("backing up", |running| running.phase.as_str());
            let percent =
                running.as_ref().and_then(|running| running.progress).map(|progress| progress.percent);
            let now =
                percent.map_or_else(|| phase.to_owned(), |percent| format!("{phase}, {percent} % done"));
            if now != said {
                self.tell(&now);
                said = now;
            }
        }
    }

    /// Closes what the agent itself has open there. What is closed already stays so.
    async fn close(&self, stay: &Stay) {
        self.ground.hub.store.send_replace(None);
        stay.store.close().await;
        *self.ground.hub.volume.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn end_sessions(&self) -> Result<(), Stopped> {
        let tmux = &self.ground.tmux;
        let failed = |error| Stopped {
            message: format!("the sessions did not end: {}", chain(&error)),
            ..Stopped::default()
        };
        for session in tmux.sessions().await.map_err(failed)?.into_keys() {
            tmux.end(&session).await.map_err(failed)?;
        }
        // Nothing runs, and everything is still desired.
        self.ground.hub.observed.send_modify(|observed| {
            let desired = observed.take().and_then(|observed| observed.desired);
            *observed = Some(ObservedState { desired, sessions: Vec::new() });
        });
        Ok(())
    }

    /// Its state is on the volume. It is started again with the stay.
    async fn stop_tailscale(&self) {
        let settings = &self.ground.this.settings.tailscale;
        if let Some(unit) = settings.unit.as_ref().filter(|_| settings.enabled) {
            let stop = Invocation::new("/usr/bin/systemctl", ["stop", "--", unit.as_str()]);
            if let Err(error) = stop.run().await {
                tracing::warn!(error = chain(&error), "failed to stop Tailscale");
            }
            self.ground.hub.tailnet.send_replace(None);
        }
    }

    /// Writes everything back and unmounts.
    async fn release(&self, stay: &Stay) -> Result<(), Stopped> {
        let this = &self.ground.this;
        let path = &this.settings.volume.path;
        flush(path).await?;
        if let Some(home) = &stay.tree.home {
            let release = || home.release();
            if let Err(error) = patiently(release).await {
                let place = home.place.clone();
                return Err(held(this, &place, error, stay.device.as_ref(), false).await);
            }
        }
        let Some(device) = &stay.device else { return Ok(()) };
        if let Err(error) = patiently(|| mount::unmount(path)).await {
            return Err(held(this, path, error, Some(device), false).await);
        }
        // A namespace that has a mount of its own keeps the file system alive, and the kernel does not say so.
        match patiently(|| mount::exclusive(&device.node)).await {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                let stopped = held(this, path, error, Some(device), true).await;
                // While somebody has it, it can't be checked, and it needs no check: it was never let go.
                if let Err(error) = mount::ext4(&device.node, path) {
                    tracing::warn!(%error, "the volume could not be mounted again");
                }
                Err(stopped)
            }
            // One that is gone is held by nobody.
            _ => Ok(()),
        }
    }

    fn tell(&self, what: &str) {
        self.ground.hub.tell(format!("suspending: {what}"));
        self.handle.set(SuspendState::Suspending, Some(what.to_owned()), Vec::new());
    }
}

/// Two things to be said, as one.
fn joined(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one}; {other}")),
        (one, other) => one.or(other),
    }
}

/// A part of the stay that ended.
async fn ended(stay: &mut Option<Stay>) -> Option<()> {
    match stay {
        Some(stay) => stay.parts.join_next().await.map(drop),
        None => std::future::pending().await,
    }
}

/// Waits until nobody but this process uses the device.
async fn unused(this: &Foundation, device: &Device) -> Result<(), Stopped> {
    let began = Instant::now();
    loop {
        let holders = who(this, device, false).await;
        if holders.is_empty() {
            return Ok(());
        }
        if began.elapsed() >= GRACE {
            return Err(in_use(holders));
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// Who uses the device. The agent's unit has no right to look into other users' processes, so the terminals' user is
/// asked for its own.
async fn who(this: &Foundation, device: &Device, unmounted: bool) -> Vec<Holder> {
    let number = device.number;
    let mut found =
        tokio::task::spawn_blocking(move || holders::holders(number, unmounted)).await.unwrap_or_default();
    if this.account.is_another() {
        let asked =
            worker::holders::invocation(&this.programs.agent, number, unmounted).as_user(&this.account);
        let theirs = asked.run().await.map(|said| serde_json::from_str::<Vec<Holder>>(&said));
        match theirs {
            Ok(Ok(theirs)) => found.extend(theirs),
            Ok(Err(error)) => tracing::warn!(%error, "what the user's processes hold is not understood"),
            Err(error) => {
                tracing::warn!(error = chain(&error), "what the user's processes hold is not known")
            }
        }
    }
    found.sort_by_key(|holder| holder.pid);
    found.dedup_by_key(|holder| holder.pid);
    found.truncate(MAX_NAMED);
    found
}

fn in_use(holders: Vec<Holder>) -> Stopped {
    let names: Vec<String> = holders
        .iter()
        .map(|holder| format!("{} (process {}, {})", holder.name, holder.pid, holder.what))
        .collect();
    let message = format!("the volume is in use by {}: end it, and suspend again", names.join(", "));
    Stopped { message, holders }
}

/// Why something can't be unmounted.
async fn held(
    this: &Foundation,
    path: &Path,
    error: io::Error,
    device: Option<&Device>,
    unmounted: bool,
) -> Stopped {
    let holders = match device {
        Some(device) => who(this, device, unmounted).await,
        None => Vec::new(),
    };
    if !holders.is_empty() {
        return in_use(holders);
    }
    let below: Vec<String> = mount::mounts()
        .map(|mounts| mounts.below(path).map(|mount| mount.point.display().to_string()).collect())
        .unwrap_or_default();
    let why = if below.is_empty() {
        error.to_string()
    } else {
        format!("{} is mounted below it", below.join(", "))
    };
    Stopped { message: format!("failed to unmount {}: {why}", path.display()), ..Stopped::default() }
}

/// Tries for a while what fails as long as somebody is about to leave.
async fn patiently<T>(attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let began = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && began.elapsed() < GRACE => {
                tokio::time::sleep(LOOK_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Writes everything of the volume back. What can't be written must not be let go as if it were safe.
async fn flush(path: &Path) -> Result<(), Stopped> {
    let directory = path.to_owned();
    let sync = move || Ok::<(), io::Error>(syncfs(std::fs::File::open(directory)?)?);
    let synced = tokio::task::spawn_blocking(sync).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    synced.map_err(|error| {
        let message = format!("failed to write {} back: {error}", path.display());
        Stopped { message, ..Stopped::default() }
    })
}
