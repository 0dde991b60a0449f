//! One box: the ways to it, its presence and its warm connections.
//!
//! Up to two TLS connections without a target stay warm, so that a terminal opens without a handshake; one, while nobody
//! uses the box. The probe uses them, which keeps them alive on both sides and in every address translation between. It makes no
//! difference to them which side dialled.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use berth_protocol::ids::{AttachmentId, InstanceId, RequestId, WorkspaceId};
use hyper::body::Bytes;
use rustls::ClientConfig;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::control::{self, Asked, Command};
use super::dial::{BoxStream, Dialer, Meeting, dial};
use super::dial_back::DialBacks;
use super::door::{self, DoorError, DoorStream, TerminalRequest};
use super::exchange::DoorConnection;
use super::presence::{Presence, PresenceState};
use super::race::race;
use super::routes::{Attempt, Route, Routes};
use crate::metrics::Metrics;
use crate::store::Instance;

/// Time between probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// Connections kept without a target.
const WARM: usize = 2;

/// How long after it was used a box has more than the one that is asked how it is, unless more are hard to get.
const USED: Duration = Duration::from_secs(600);

/// A box that owns a workspace.
pub struct BoxHandle {
    instance: InstanceId,
    workspace: WorkspaceId,
    epoch: u64,
    dialer: Arc<Dialer>,
    metrics: Arc<Metrics>,
    routes: Mutex<Routes>,
    meeting: Mutex<Meeting>,
    dial_backs: DialBacks<BoxStream>,
    warm: Mutex<Vec<DoorConnection>>,
    /// When a warm connection was last wanted.
    used: Mutex<Option<Instant>>,
    presence: watch::Sender<Presence>,
    probes: AtomicU64,
    /// One probe at a time: many who ask get one answer.
    probing: tokio::sync::Mutex<()>,
    nudge: Notify,
    retired: CancellationToken,
}

impl BoxHandle {
    pub(super) fn new(
        instance: &Instance,
        dialer: Arc<Dialer>,
        metrics: Arc<Metrics>,
        retired: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            instance: instance.id.clone(),
            workspace: instance.workspace.clone(),
            epoch: instance.epoch,
            dialer,
            metrics,
            routes: Mutex::new(Routes::of(instance)),
            meeting: Mutex::new(Meeting::under(instance.certificate_ca.clone())),
            dial_backs: DialBacks::new(),
            warm: Mutex::default(),
            used: Mutex::default(),
            presence: watch::Sender::new(Presence::UNKNOWN),
            probes: AtomicU64::new(0),
            probing: tokio::sync::Mutex::default(),
            nudge: Notify::new(),
            retired,
        })
    }

    /// The instance.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// The workspace that it owns.
    #[must_use]
    pub fn workspace(&self) -> &WorkspaceId {
        &self.workspace
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the newest probe found.
    #[must_use]
    pub fn presence(&self) -> Presence {
        *self.presence.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Presence> {
        self.presence.subscribe()
    }

    /// Takes over new addresses and asks there at once.
    pub(super) fn moved(&self, instance: &Instance) {
        self.meeting().moved(instance.certificate_ca.as_deref());
        if self.with_routes(|routes| routes.moved(instance)) {
            self.drop_warm();
        }
        self.nudge();
    }

    /// A link of the box has begun: from now on the box can be asked to dial this gateway. Each item of the
    /// receiver asks for one connection; closing it says that the link has ended.
    pub(super) fn link_begun(&self) -> mpsc::Receiver<()> {
        let wanted = self.dial_backs.link_begun();
        self.nudge();
        wanted
    }

    /// The box has dialled this gateway.
    pub(super) fn dialled_back(&self, stream: BoxStream) {
        if self.dial_backs.arrived(stream).is_err() {
            self.metrics.dial_backs_dropped.inc();
        }
    }

    /// Asks the box soon: something was heard that makes its presence doubtful.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    pub(super) fn retire(&self) {
        self.drop_warm();
        self.retired.cancel();
    }

    /// Cancelled when the box is its workspace's no more, or when the gateway stops.
    #[must_use]
    pub fn retirement(&self) -> &CancellationToken {
        &self.retired
    }

    /// Waits for the next probe's time, or a nudge, and asks.
    pub(super) async fn probe_when_due(&self) {
        tokio::select! {
            () = sleep(PROBE_INTERVAL) => {}
            () = self.nudge.notified() => {}
        }
        let _alone = self.probing.lock().await;
        // Boxed: there is a task of this for each box, which mostly waits.
        Box::pin(self.probe()).await;
    }

    /// Asks the box and stores what was found; then there are warm connections, if it answered.
    pub(super) async fn probe(&self) {
        let generation = self.probes.fetch_add(1, Ordering::Relaxed) + 1;
        let mut answering: Vec<DoorConnection> = Vec::new();
        for connection in self.take_all_warm() {
            if let Ok((_, connection)) = door::status(connection).await {
                answering.push(connection);
            }
        }
        // There is room for another, which may find a better way.
        let review = self.with_routes(|routes| routes.review_is_due(Instant::now()));
        if review {
            answering.truncate(WARM - 1);
        }
        while answering.len() < if review { WARM } else { self.kept(answering.last()) } {
            let Ok(connection) = self.connect().await else { break };
            let Ok((_, connection)) = door::status(connection).await else { break };
            // Worse ones are given up, so that the box is in use by the better way from now on.
            answering.retain(|other| other.route <= connection.route);
            answering.push(connection);
        }
        let kept = self.kept(answering.last());
        answering.drain(..answering.len().saturating_sub(kept));
        let route = answering.last().map(|connection| connection.route);
        self.presence.send_if_modified(|known| known.update(Presence::found(route, generation)));
        if !self.retired.is_cancelled() {
            *self.warm.lock().unwrap_or_else(PoisonError::into_inner) = answering;
        }
    }

    /// How many connections are kept warm, if they are like this one.
    fn kept(&self, like: Option<&DoorConnection>) -> usize {
        let dialled_back = like.is_some_and(|connection| connection.route == Route::DialBack);
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if dialled_back || used.is_some_and(|used| used.elapsed() < USED) { WARM } else { 1 }
    }

    /// Whether the box answers: as known, or asked now when it did not answer last time.
    pub async fn answers(&self) -> bool {
        let known = self.presence();
        if known.state == PresenceState::Online {
            return true;
        }
        let _alone = self.probing.lock().await;
        // Whoever asked while this one waited has the answer.
        if self.presence().generation == known.generation {
            Box::pin(self.probe()).await;
        }
        self.presence().state == PresenceState::Online
    }

    /// Opens a stream to ttyd for one attachment.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn open_terminal(
        &self,
        terminal: &TerminalRequest,
    ) -> Result<(DoorStream, AttachmentId), DoorError> {
        if let Some(connection) = self.take_warm() {
            // The prober replaces what was taken.
            self.nudge();
            match door::open_terminal(connection, terminal).await {
                // A warm connection may have died unnoticed; a fresh one tells the truth.
                Err(DoorError::Lost(_)) => self.drop_warm(),
                outcome => return outcome,
            }
        }
        door::open_terminal(self.connect().await?, terminal).await
    }

    /// Opens a stream to a loopback port of the box.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn open_port(&self, port: u16, request_id: &RequestId) -> Result<DoorStream, DoorError> {
        if let Some(connection) = self.take_warm() {
            self.nudge();
            match door::open_port(connection, port, request_id).await {
                Err(DoorError::Lost(_)) => self.drop_warm(),
                outcome => return outcome,
            }
        }
        door::open_port(self.connect().await?, port, request_id).await
    }

    /// Asks a command on a warm connection or on a new one, which is warm afterwards.
    pub(super) async fn command(&self, command: &Command) -> Result<Bytes, DoorError> {
        if let Some(connection) = self.take_warm() {
            match self.answered(control::ask(connection, command).await) {
                // The box acts once for each request id, so it may be asked again.
                Err(DoorError::Lost(_)) => self.drop_warm(),
                outcome => return outcome,
            }
        }
        self.answered(control::ask(self.connect().await?, command).await)
    }

    /// Keeps the connection over which an answer came, and returns the answer.
    pub(super) fn answered(&self, (answer, connection): Asked) -> Result<Bytes, DoorError> {
        if let Some(connection) = connection
            && !self.retired.is_cancelled()
        {
            let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
            if warm.len() < WARM {
                warm.push(connection);
            }
        }
        answer
    }

    /// Makes a connection by the best way there is now.
    pub(super) async fn connect(&self) -> Result<DoorConnection, DoorError> {
        let config = self.meeting().config(&self.dialer, &self.instance);
        let config = config.map_err(|_| DoorError::Unreachable(None))?;
        loop {
            let linked = self.dial_backs.linked();
            let plan = self.with_routes(|routes| routes.plan(linked, Instant::now()));
            let begin = |attempt| self.attempt(attempt, config.clone());
            tokio::select! {
                // Cancel-safe, both: attempts that are not finished are dropped.
                won = race(plan, begin) => {
                    let connection = won.map_err(DoorError::Unreachable)?;
                    self.with_routes(|routes| routes.worked(connection.route, Instant::now()));
                    self.metrics.door_connection(connection.route);
                    return Ok(connection);
                }
                // There is one more way now: not worth waiting for a dead address.
                () = self.dial_backs.until_linked(), if !linked => {}
            }
        }
    }

    async fn attempt(&self, attempt: Attempt, config: Arc<ClientConfig>) -> io::Result<DoorConnection> {
        let stream = match attempt {
            Attempt::Dial(_, address) => dial(address, config).await,
            Attempt::DialBack => self.dial_backs.connection().await,
        };
        let route = attempt.route();
        match stream {
            Ok(stream) => Ok(DoorConnection::new(stream, route)),
            Err(error) => {
                let why = berth_daemon::exit::chain(&error);
                tracing::debug!(instance = %self.instance, route = route.as_str(), error = %why, "box not reached");
                Err(error)
            }
        }
    }

    fn meeting(&self) -> MutexGuard<'_, Meeting> {
        self.meeting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_routes<T>(&self, use_them: impl FnOnce(&mut Routes) -> T) -> T {
        use_them(&mut self.routes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn take_warm(&self) -> Option<DoorConnection> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| warm.pop())
            .find_map(|mut connection| connection.is_open().then_some(connection))
    }

    fn take_all_warm(&self) -> Vec<DoorConnection> {
        let taken = std::mem::take(&mut *self.warm.lock().unwrap_or_else(PoisonError::into_inner));
        let open = |mut connection: DoorConnection| connection.is_open().then_some(connection);
        taken.into_iter().filter_map(open).take(WARM).collect()
    }

    pub(super) fn drop_warm(&self) {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
