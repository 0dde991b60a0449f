//! The steps of the start, in order.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::link::DoorAddresses;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::disk::DiskThread;
use super::hub::{Hub, Progress};
use super::ports::Ports;
use super::stay::Ground;
use super::suspend::Warden;
use super::{Programs, begin, notify, status};
use crate::backup::engine::{Backups, Places};
use crate::control::roster::Roster;
use crate::control::server::Control;
use crate::door::calls::Calls;
use crate::door::calls::backup::BackupCalls;
use crate::door::calls::suspend::Suspensions;
use crate::door::dial_back::{DialBackRequests, DialBacks, Wanted};
use crate::door::hall::Hall;
use crate::door::service::Door;
use crate::host::account::Account;
use crate::host::runtime::RuntimeDir;
use crate::identity::Identity;
use crate::identity::keeper::Keeper;
use crate::identity::papers::Papers;
use crate::identity::plan::Asked;
use crate::link::Link;
use crate::listeners::worker::Lookout;
use crate::notify::answer::Answers;
use crate::notify::patterns::Patterns;
use crate::settings::Settings;
use crate::supervise::driver::Report;
use crate::supervise::state::State;
use crate::terminal::tmux::{Tmux, TmuxError};
use crate::terminal::ttyd;
use crate::{control, door, link, supervise};

/// How long ttyd may take for its first answer.
const TTYD_DEADLINE: Duration = Duration::from_secs(15);

/// A ttyd that ended this often before its first answer will not answer.
const TTYD_ATTEMPTS: u64 = 4;

/// ttyd was started and never answered.
#[derive(Debug, thiserror::Error)]
#[error(
    "ttyd does not answer: check that terminal.ttyd is ttyd 1.7 or newer; its last words: \"{last_words}\""
)]
struct TtydSilent {
    last_words: String,
}

/// What is known before the first step.
pub(super) struct Foundation {
    pub(super) settings: Settings,
    /// As it was at the start: who the box is does not change, only how it proves that.
    pub(super) identity: Identity,
    pub(super) papers: watch::Sender<Arc<Papers>>,
    pub(super) runtime: RuntimeDir,
    pub(super) account: Account,
    pub(super) programs: Programs,
    pub(super) patterns: Arc<Patterns>,
}

/// Starts everything, as parts that run until `stop`.
pub(super) async fn start(
    this: &Arc<Foundation>,
    ports: Ports,
    hub: &Arc<Hub>,
    disk: &DiskThread,
    parts: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<(), Fatal> {
    let addresses = ports.addresses;
    let facts = Arc::new(this.identity.facts.clone());
    let env = this.account.environment(|name| std::env::var_os(name));
    let tmux = Tmux::new(this.programs.tmux.clone(), &this.runtime, this.account.clone(), env.clone());

    begin(parts, || status::announce(hub.clone(), stop.clone()));
    begin(parts, || {
        notify::watchdog(hub.pulses.clone(), hub.disk_pulses.clone(), disk.gauge(), stop.clone())
    });
    begin(parts, || until(stop.clone(), berth_daemon::metrics::serve(ports.metrics, hub.metrics.registry())));
    let (suspension, orders) = crate::suspend::channel();
    let backups = backups(this, hub).map_err(Fatal::with(Exit::Config))?;
    begin(parts, || until(stop.clone(), follow_backup(hub.clone())));
    let control = Control {
        attachments: hub.attachments.clone(),
        tmux: tmux.clone(),
        roster: Roster::new(tmux.clone()),
        user: this.account.uid,
        intake: hub.intake.clone(),
        suspension: suspension.clone(),
        backups: backups.clone(),
        status: {
            let (hub, papers) = (hub.clone(), this.papers.subscribe());
            Box::new(move || hub.report(&papers.borrow().identity, addresses))
        },
        sessions: {
            let hub = hub.clone();
            Box::new(move || hub.session_reports())
        },
    };
    begin(parts, || control::server::serve(ports.control, Arc::new(control), stop.clone()));
    let (dial_back, wanted) = door::dial_back::channel();
    start_link(this, addresses.door.port(), dial_back, hub, parts, stop);

    let ground = Arc::new(Ground {
        this: this.clone(),
        hub: hub.clone(),
        tmux: tmux.clone(),
        backups: backups.clone(),
        main: Handle::current(),
        stop: stop.clone(),
    });
    let entering = ground.clone();
    let mut stay = disk.run(async move { entering.enter().await }).await?;
    hub.step("tmux", tmux_there(&tmux, hub)).await.map_err(Fatal::with(Exit::Unavailable))?;

    let door = Door {
        observed: hub.observed.subscribe(),
        attachments: hub.attachments.clone(),
        tmux: tmux.clone(),
        suspension: Suspensions::new(suspension.clone()),
        calls: Calls::new(
            tmux.clone(),
            &this.runtime,
            this.account.clone(),
            env.clone(),
            this.programs.agent.clone(),
            disk.handle().clone(),
            Answers { tmux: tmux.clone(), patterns: this.patterns.clone(), intake: hub.intake.clone() },
        ),
        backups: BackupCalls::new(backups.clone()),
        ttyd: (this.runtime.ttyd_socket(), this.account.uid),
        own_ports: vec![addresses.door.port(), addresses.metrics.port()],
        status: {
            let (hub, facts) = (hub.clone(), facts.clone());
            Box::new(move || hub.door_status(&facts))
        },
        requests: hub.metrics.door_requests.clone(),
        dial_backs: hub.metrics.door_dial_backs.clone(),
    };
    hub.step("door", async { open_door(this, door, ports.door, wanted, hub, parts, stop) }).await;
    // Behind the door: all else that it leads to need not wait for ttyd, and a terminal is refused until it is there.
    hub.step("ttyd", start_ttyd(this, env.clone(), hub, parts, stop))
        .await
        .map_err(Fatal::with(Exit::Unavailable))?;

    let lookout = Lookout {
        uid: this.account.uid,
        own_ports: vec![addresses.door.port(), addresses.metrics.port()],
        found: hub.listeners.clone(),
    };
    begin(parts, || lookout.run(stop.clone()));
    // Before anybody is told that the agent is ready; an order waits for the warden.
    suspension.open();
    let inhabiting = ground.clone();
    let stay = disk.run(async move { inhabiting.inhabit(&mut stay).await.map(|()| stay) }).await?;
    addresses.publish(&this.runtime)?;
    hub.progress.send_replace(Progress::Ready);
    disk.begin(parts, || Warden { ground, stay: Some(stay), handle: suspension, orders }.run());
    hub.metrics.ready_after(hub.began.elapsed());
    notify::ready();
    tracing::info!(door = %addresses.door, metrics = %addresses.metrics, workspace = %facts.workspace, "ready");
    Ok(())
}

/// What makes backups, for as long as the agent runs.
fn backups(this: &Foundation, hub: &Hub) -> Result<Backups, String> {
    let places = Places {
        volume: this.settings.volume.path.clone(),
        agent: this.programs.agent.clone(),
        account: this.account.clone(),
        env: this.account.environment(|name| std::env::var_os(name)),
        papers: this.runtime.backup(),
        workspace: this.identity.facts.workspace.clone(),
    };
    let settings = this.settings.backup.clone();
    Backups::new(settings, places, hub.backup.subscribe(), hub.metrics.clone(), hub.troubles.clone())
}

/// Tells what the gateway says of backups, without the rest.
async fn follow_backup(hub: Arc<Hub>) {
    let mut desired = hub.desired.subscribe();
    loop {
        let said = desired.borrow_and_update().as_ref().and_then(|desired| desired.backup.clone());
        hub.backup.send_if_modified(|known| {
            let news = *known != said;
            *known = said;
            news
        });
        if desired.changed().await.is_err() {
            return;
        }
    }
}

async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    stop.run_until_cancelled(work).await;
}

/// Opens the door where it listens and, when asked, on connections that are dialled.
fn open_door(
    this: &Foundation,
    door: Door,
    listener: TcpListener,
    wanted: mpsc::Receiver<Wanted>,
    hub: &Hub,
    parts: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    let hall = Hall::new(door, stop.clone());
    let dial_backs = DialBacks {
        wanted,
        link_address: link_address(this),
        papers: this.papers.subscribe(),
        hall: hall.clone(),
        retired: hub.retired.subscribe(),
    };
    begin(parts, || door::dial_back::run(dial_backs, stop.clone()));
    let pulse = hub.pulses.join("door");
    let retired = hub.retired.subscribe();
    let papers = this.papers.subscribe();
    begin(parts, || door::server::serve(listener, papers, hall, retired, pulse, stop.clone()));
}

/// Where the gateway is: as the settings say, else as the enrolment said.
fn link_address(this: &Foundation) -> String {
    let set = this.settings.link.address.clone();
    set.unwrap_or_else(|| this.identity.facts.link_address.clone())
}

fn start_link(
    this: &Foundation,
    door_port: u16,
    dial_back: DialBackRequests,
    hub: &Arc<Hub>,
    parts: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    let settings = &this.settings;
    let keeper = Keeper {
        state_dir: settings.state_dir.clone(),
        address: link_address(this),
        papers: this.papers.clone(),
        asked: watch::Sender::new(Asked::Nothing),
        link: hub.link.subscribe(),
        troubles: hub.troubles.clone(),
    };
    let link = Link {
        address: link_address(this),
        addresses: DoorAddresses {
            public_ip: settings.door.public_ip,
            tailscale_ip: settings.door.tailscale_ip,
            port: door_port,
        },
        tailnet: hub.tailnet.subscribe(),
        store: hub.store.subscribe(),
        desired: hub.desired.clone(),
        observed: hub.observed.subscribe(),
        listeners: hub.listeners.subscribe(),
        environment: hub.environment.subscribe(),
        attention: hub.attention.subscribe(),
        outbox: hub.outbox.subscribe(),
        dial_back,
        papers: this.papers.subscribe(),
        asked: keeper.asked.clone(),
        state: hub.link.clone(),
        retired: hub.retired.clone(),
        metrics: hub.metrics.clone(),
    };
    begin(parts, || keeper.run(stop.clone()));
    begin(parts, || link::client::run(link, stop.clone()));
}

/// Makes tmux ready, and waits for a server that somebody else starts.
async fn tmux_there(tmux: &Tmux, hub: &Hub) -> Result<(), TmuxError> {
    tmux.prepare().await?;
    if !tmux.is_there().await? {
        hub.troubles.set("sessions", format!("waiting for the tmux server at {}", tmux.socket().display()));
        tmux.arrival().await?;
        hub.troubles.clear("sessions");
    }
    Ok(())
}

async fn start_ttyd(
    this: &Foundation,
    env: Vec<(OsString, OsString)>,
    hub: &Hub,
    parts: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<(), TtydSilent> {
    let program = ttyd::program(&this.programs.ttyd, &this.programs.agent, &this.runtime, &this.account, env);
    begin(parts, || supervise::driver::run(program, hub.ttyd.clone(), stop.clone()));
    let mut reports: watch::Receiver<Report> = hub.ttyd.subscribe();
    let settled = |report: &Report| report.state == State::Ready || report.restarts >= TTYD_ATTEMPTS;
    match tokio::time::timeout(TTYD_DEADLINE, reports.wait_for(settled)).await {
        Ok(Ok(report)) if report.state == State::Ready => Ok(()),
        _ => Err(TtydSilent { last_words: hub.ttyd.borrow().last_words.clone() }),
    }
}
