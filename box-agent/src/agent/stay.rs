//! What runs on the volume: begun at the start and by a resume, ended by a suspension. Everything else of the agent goes
//! on meanwhile: link, door, control socket, ttyd.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use berth_daemon::exit::{Exit, Fatal};
use nix::unistd::Uid;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use super::start::Foundation;
use super::{begin, notify};
use crate::backup::engine::Backups;
use crate::environment::board::{Board, Places};
use crate::environment::settle::Settling;
use crate::environment::toil;
use crate::events::Events;
use crate::host::machine::boot_id;
use crate::layout;
use crate::layout::watch::Watched as Tree;
use crate::notify::desk::Desk;
use crate::notify::hooks::upkeep::Upkeep;
use crate::sessions::keeper::Keeper;
use crate::sessions::mishaps::Mishaps;
use crate::sessions::oom::KERNEL_LOG;
use crate::sessions::scopes::Scopes;
use crate::sessions::screens::Shelf;
use crate::sessions::worker::Worker;
use crate::store::{Store, StoreError};
use crate::tailscale::worker::Tailscale;
use crate::telemetry;
use crate::terminal::tmux::Tmux;
use crate::volume::device::Device;
use crate::volume::error::VolumeError;
use crate::volume::health::Watched as Health;
use crate::volume::open::Opening;

/// What a supervisor is asked for, again and again, while the volume is waited for or checked.
const EXTENSION: Duration = Duration::from_secs(60);

/// What a stay is made from.
pub(super) struct Ground {
    pub(super) this: Arc<Foundation>,
    pub(super) hub: Arc<Hub>,
    pub(super) tmux: Tmux,
    pub(super) backups: Backups,
    /// The other thread.
    pub(super) main: Handle,
    /// Ends the agent, and a stay with it.
    pub(super) stop: CancellationToken,
}

/// A volume that is taken, and what runs on it.
pub(super) struct Stay {
    pub(super) device: Option<Device>,
    pub(super) tree: Tree,
    pub(super) store: Store,
    /// Everything that may use the volume; a part that ends before `stop` has ended by itself.
    pub(super) parts: JoinSet<()>,
    pub(super) stop: CancellationToken,
}

impl Ground {
    /// Takes the volume, and opens what is on it.
    pub(super) async fn enter(&self) -> Result<Stay, Fatal> {
        let (this, hub) = (&self.this, &self.hub);
        let device = hub.step("volume", self.open_volume()).await.map_err(Fatal::with(Exit::State))?;
        let tree = Tree {
            root: this.settings.volume.path.clone(),
            owners: layout::owners(&this.account),
            home: layout::home_of(&this.settings, Uid::effective().is_root()),
            troubles: hub.troubles.clone(),
        };
        hub.step("layout", async { tree.begin() }).await.map_err(Fatal::with(Exit::State))?;
        let store = hub.step("database", self.open_store()).await.map_err(Fatal::with(Exit::State))?;
        Ok(Stay { device, tree, store, parts: JoinSet::new(), stop: self.stop.child_token() })
    }

    /// Has the sessions run, and looks after everything.
    pub(super) async fn inhabit(&self, stay: &mut Stay) -> Result<(), Fatal> {
        let (this, hub) = (&self.this, &self.hub);
        let settings = &this.settings;
        let state_dir = crate::volume::state_dir(&settings.volume.path);
        self.begin_environment(stay).await;
        let instance = this.identity.facts.instance.clone();
        let events = Events::new(stay.store.clone(), instance, hub.outbox.clone(), hub.metrics.clone());
        let worker = Worker {
            tmux: self.tmux.clone(),
            templates: settings.templates.clone(),
            keeper: Keeper::open(&state_dir, Shelf::new(this.runtime.screens(), this.account.clone())),
            desired: hub.settled.subscribe(),
            presence: hub.attachments.presence(),
            observed: hub.observed.clone(),
            survey: hub.survey.clone(),
            scopes: Scopes::find(this.account.uid),
            mishaps: Mishaps::watch(Path::new(KERNEL_LOG), events.clone()),
            troubles: hub.troubles.clone(),
        };
        let worker =
            hub.step("sessions", worker.first_pass()).await.map_err(Fatal::with(Exit::Unavailable))?;
        self.begin_attention(stay, events.clone());
        let (parts, stop) = (&mut stay.parts, &stay.stop);
        begin(parts, || hub.disk_pulses.join("sessions").beside(worker.run(stop.clone())));
        if settings.tailscale.enabled {
            let (settings, troubles) = (settings.tailscale.clone(), hub.troubles.clone());
            begin(parts, || Tailscale { settings, troubles, address: hub.tailnet.clone() }.run(stop.clone()));
        }
        let pause = Duration::from_secs(settings.layout.check_secs);
        begin(parts, || stay.tree.clone().run(pause, stop.clone()));
        let health = Health {
            path: settings.volume.path.clone(),
            device: stay.device.clone(),
            troubles: hub.troubles.clone(),
        };
        // Not here: it is to tell of a disk that stops this thread.
        let health = health.run(Duration::from_secs(settings.volume.check_secs), stop.clone());
        parts.spawn_on(health, &self.main);
        begin(parts, || self.backups.clone().work(stay.store.clone(), events.clone(), stop.clone()));
        let sources = telemetry::Sources {
            volume: settings.volume.path.clone(),
            runtime_dir: settings.runtime_dir.clone(),
            start_phases: hub.phases(),
            ttyd: hub.ttyd.subscribe(),
        };
        begin(parts, || telemetry::run(events, sources, stop.clone()));
        Ok(())
    }

    /// Looks after what sessions need of their user.
    fn begin_attention(&self, stay: &mut Stay, events: Events) {
        let (this, hub) = (&self.this, &self.hub);
        let desk = Desk {
            tmux: self.tmux.clone(),
            patterns: this.patterns.clone(),
            events,
            store: stay.store.clone(),
            survey: hub.survey.subscribe(),
            presence: hub.attachments.presence(),
            attention: hub.attention.clone(),
            intake: hub.intake.clone(),
            metrics: hub.metrics.clone(),
            troubles: hub.troubles.clone(),
            taps: this.settings.notify.taps,
            agent: this.programs.agent.clone(),
            socket: this.runtime.agent_socket(),
            spool: (this.runtime.spool(), this.account.uid),
        };
        let upkeep = Upkeep {
            places: self.places(),
            enabled: this.settings.notify.hooks,
            socket: this.runtime.agent_socket(),
            spool: this.runtime.spool(),
            troubles: hub.troubles.clone(),
        };
        begin(&mut stay.parts, || upkeep.run(stay.stop.clone()));
        begin(&mut stay.parts, || hub.disk_pulses.join("notifications").beside(desk.run(stay.stop.clone())));
    }

    /// Puts the workspace's environment in place, which sessions begin with.
    async fn begin_environment(&self, stay: &mut Stay) {
        let hub = &self.hub;
        let board = Arc::new(Board::new(self.places(), hub.environment.clone(), hub.troubles.clone()));
        let (desired, settled) = (hub.desired.subscribe(), hub.settled.clone());
        let settling = Settling { board: board.clone(), desired, settled };
        let settled = hub.step("environment", settling.first_pass()).await;
        begin(&mut stay.parts, || toil::run(board, settled.wishes(), stay.stop.clone()));
        begin(&mut stay.parts, || settled.run(stay.stop.clone()));
    }

    /// Where workers of the user's own files find them.
    fn places(&self) -> Places {
        let this = &self.this;
        let volume = &this.settings.volume.path;
        Places {
            agent: this.programs.agent.clone(),
            account: this.account.clone(),
            env: this.account.environment(|name| std::env::var_os(name)),
            user: volume.join("user"),
            secrets: this.runtime.secrets(),
            record: crate::volume::state_dir(volume).join("environment.json"),
            boot: format!("{}/{}", this.identity.facts.instance, boot_id()),
        }
    }

    async fn open_volume(&self) -> Result<Option<Device>, VolumeError> {
        let settings = &self.this.settings;
        let opening = Opening {
            settings: &settings.volume,
            workspace: &self.this.identity.facts.workspace,
            state_dir: &settings.state_dir,
            tell: &|detail| self.hub.tell(detail),
        };
        let mut open = std::pin::pin!(opening.open());
        let volume = loop {
            // Cancel-safe: the work goes on where it was. A check of a large disk takes its time, and must not be
            // ended in the middle by a supervisor that has lost patience.
            match tokio::time::timeout(EXTENSION / 3, &mut open).await {
                Ok(opened) => break opened?,
                Err(_) => notify::extend(EXTENSION),
            }
        };
        let device = volume.device().cloned();
        *self.hub.volume.lock().unwrap_or_else(PoisonError::into_inner) = Some(volume);
        Ok(device)
    }

    /// Opens the database and lets everybody know what was desired last.
    async fn open_store(&self) -> Result<Store, StoreError> {
        let store = Store::open(&crate::volume::state_dir(&self.this.settings.volume.path).join("agent.db"))?;
        // First the state, then the database: whoever sees the second may rely on the first.
        self.hub.desired.send_replace(store.load_desired().await?);
        self.hub.store.send_replace(Some(store.clone()));
        Ok(store)
    }
}
