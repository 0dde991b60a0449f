//! What the parts of the agent tell each other, and what each step of the start took.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Instant;

use berth_protocol::attention::ObservedAttention;
use berth_protocol::backup::DesiredBackup;
use berth_protocol::desired::DesiredSnapshot;
use berth_protocol::environment::report::EnvironmentReport;
use berth_protocol::event::StartPhase;
use berth_protocol::observed::ObservedState;
use berth_protocol::ports::ObservedPorts;
use tokio::sync::watch;

use super::notify;
use crate::fault;

use crate::link::LinkState;
use crate::metrics::Metrics;
use crate::notify::intake::Intake;
use crate::pulse::Pulses;
use crate::store::Store;
use crate::supervise::driver::Report;
use crate::terminal::attachments::Attachments;
use crate::terminal::survey::Survey;
use crate::troubles::Troubles;
use crate::volume::Volume;

/// How far the start is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// This step is being done.
    Starting(&'static str),
    /// All are done.
    Ready,
    /// The volume was let go, and nothing runs on it.
    Suspended,
}

/// The meeting point: one writer for each channel, any number of readers.
pub(super) struct Hub {
    pub(super) progress: watch::Sender<Progress>,
    /// More of what is being done, where it takes long.
    pub(super) detail: watch::Sender<Option<String>>,
    /// Held for as long as anything runs on it.
    pub(super) volume: Mutex<Option<Volume>>,
    pub(super) store: watch::Sender<Option<Store>>,
    pub(super) desired: watch::Sender<Option<DesiredSnapshot>>,
    pub(super) settled: watch::Sender<Option<DesiredSnapshot>>,
    pub(super) environment: watch::Sender<Option<EnvironmentReport>>,
    pub(super) observed: watch::Sender<Option<ObservedState>>,
    pub(super) listeners: watch::Sender<Option<ObservedPorts>>,
    pub(super) survey: watch::Sender<Survey>,
    pub(super) attention: watch::Sender<Option<ObservedAttention>>,
    pub(super) intake: Intake,
    pub(super) outbox: watch::Sender<u64>,
    pub(super) backup: watch::Sender<Option<DesiredBackup>>,
    pub(super) link: watch::Sender<LinkState>,
    pub(super) retired: watch::Sender<bool>,
    pub(super) ttyd: watch::Sender<Report>,
    pub(super) attachments: Attachments,
    pub(super) troubles: Troubles,
    pub(super) tailnet: watch::Sender<Option<IpAddr>>,
    pub(super) metrics: Metrics,
    pub(super) pulses: Pulses,
    /// Of loops on the disk's thread.
    pub(super) disk_pulses: Pulses,
    pub(super) began: Instant,
    phases: Mutex<Vec<StartPhase>>,
}

impl Hub {
    pub(super) fn new() -> Self {
        Self {
            progress: watch::Sender::new(Progress::Starting("configuration")),
            detail: watch::Sender::new(None),
            volume: Mutex::default(),
            store: watch::Sender::new(None),
            desired: watch::Sender::new(None),
            settled: watch::Sender::new(None),
            environment: watch::Sender::new(None),
            observed: watch::Sender::new(None),
            listeners: watch::Sender::new(None),
            survey: watch::Sender::new(Survey::new()),
            attention: watch::Sender::new(None),
            intake: Intake::default(),
            outbox: watch::Sender::new(0),
            backup: watch::Sender::new(None),
            link: watch::Sender::new(LinkState::Connecting),
            retired: watch::Sender::new(false),
            ttyd: watch::Sender::new(Report::default()),
            attachments: Attachments::default(),
            troubles: Troubles::default(),
            tailnet: watch::Sender::new(None),
            metrics: Metrics::default(),
            pulses: Pulses::default(),
            disk_pulses: Pulses::default(),
            began: Instant::now(),
            phases: Mutex::default(),
        }
    }

    /// Does one step of the start: said while it lasts, timed when it is done.
    pub(super) async fn step<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        self.detail.send_replace(None);
        self.progress.send_replace(Progress::Starting(name));
        notify::status(&format!("starting: {name}"));
        let began = Instant::now();
        let outcome = work.await;
        let elapsed = began.elapsed();
        self.metrics.phase_took(name, elapsed);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(step = name, millis, "start step done");
        let mut phases = self.phases.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A resume does some of them again.
        phases.retain(|phase| phase.name != name);
        phases.push(StartPhase { name: name.to_owned(), millis });
        drop(phases);
        fault::after(name);
        outcome
    }

    /// Says more of the step that is being done; long work is so seen to go on.
    pub(super) fn tell(&self, detail: String) {
        tracing::info!("{detail}");
        self.detail.send_replace(Some(detail));
    }

    pub(super) fn phases(&self) -> Vec<StartPhase> {
        self.phases.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
