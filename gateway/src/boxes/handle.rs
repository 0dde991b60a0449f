//! One box: the ways to it, its presence and its warm connections.
//!
//! Up to two TLS connections without a target stay warm, so that a terminal opens without a handshake. The
//! probe uses them, which keeps them alive on both sides and in every address translation between. It makes no
//! difference to them which side dialled.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use berth_protocol::attention::Answer;
use berth_protocol::backup::Look;
use berth_protocol::control::files::Uploaded;
use berth_protocol::control::{Exec, Input, PaneAddress, Screen};
use berth_protocol::ids::{AttachmentId, InstanceId, RequestId, SessionId, WorkspaceId};
use hyper::body::Bytes;
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::control::{self, BackupFile, Command, ExecOutput};
use super::dial::{BoxStream, Dialer, DoorConnection, dial, speak};
use super::dial_back::DialBacks;
use super::door::{self, DoorError, DoorStream, TerminalRequest};
use super::presence::{Presence, PresenceState};
use super::race::race;
use super::routes::{Attempt, Routes};
use super::upload::{self, Upload};
use crate::metrics::Metrics;
use crate::store::Instance;

/// Time between probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// Connections kept without a target.
const WARM: usize = 2;

/// A box that owns a workspace.
pub struct BoxHandle {
    instance: InstanceId,
    workspace: WorkspaceId,
    epoch: u64,
    dialer: Arc<Dialer>,
    metrics: Arc<Metrics>,
    routes: Mutex<Routes>,
    /// The CA of the box's certificate, under which it is met.
    ca: Mutex<Option<String>>,
    dial_backs: DialBacks<BoxStream>,
    warm: Mutex<Vec<DoorConnection>>,
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
            ca: Mutex::new(instance.certificate_ca.clone()),
            dial_backs: DialBacks::new(),
            warm: Mutex::default(),
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
        self.ca.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&instance.certificate_ca);
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
        self.probe().await;
    }

    /// Asks the box and stores what was found; then there are warm connections, if it answered.
    pub(super) async fn probe(&self) {
        let generation = self.probes.fetch_add(1, Ordering::Relaxed) + 1;
        let mut answering: Vec<DoorConnection> = Vec::new();
        for mut connection in self.take_all_warm() {
            if door::status(&mut connection).await.is_ok() {
                answering.push(connection);
            }
        }
        // One connection makes room for another, which may find a better way.
        if self.with_routes(|routes| routes.review_is_due(Instant::now())) {
            answering.truncate(WARM - 1);
        }
        while answering.len() < WARM {
            let Ok(mut connection) = self.connect().await else { break };
            if door::status(&mut connection).await.is_err() {
                break;
            }
            // Worse ones are given up, so that the box is in use by the better way from now on.
            answering.retain(|other| other.route <= connection.route);
            answering.push(connection);
        }
        let route = answering.last().map(|connection| connection.route);
        self.presence.send_if_modified(|known| known.update(Presence::found(route, generation)));
        if !self.retired.is_cancelled() {
            *self.warm.lock().unwrap_or_else(PoisonError::into_inner) = answering;
        }
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
            self.probe().await;
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

    /// What panes of a session show.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn screen(
        &self,
        session: &SessionId,
        address: PaneAddress,
        request_id: &RequestId,
    ) -> Result<Screen, DoorError> {
        let answer = self.command(&Command::screen(session, address, request_id)).await?;
        serde_json::from_slice(&answer).map_err(|_| DoorError::Nonsense)
    }

    /// Types into a pane of a session.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn input(
        &self,
        session: &SessionId,
        input: &Input,
        request_id: &RequestId,
    ) -> Result<(), DoorError> {
        self.command(&Command::input(session, input, request_id)).await.map(drop)
    }

    /// Answers a question of a pane, if the pane still shows it.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn answer(
        &self,
        session: &SessionId,
        answer: &Answer,
        request_id: &RequestId,
    ) -> Result<(), DoorError> {
        self.command(&Command::answer(session, answer, request_id)).await.map(drop)
    }

    /// Runs a command, which ends when what is returned is dropped.
    ///
    /// # Errors
    /// [`DoorError`], when it was not started.
    pub async fn exec(&self, exec: &Exec, request_id: &RequestId) -> Result<ExecOutput, DoorError> {
        let command = Command::exec(exec, request_id);
        if let Some(connection) = self.take_warm() {
            // The prober replaces what was taken.
            self.nudge();
            match control::exec(connection, &command).await {
                // The box starts a command once for each request id, so it may be asked again.
                Err(DoorError::Lost(_)) => self.drop_warm(),
                outcome => return outcome,
            }
        }
        control::exec(self.connect().await?, &command).await
    }

    /// Asks something of backups that is only read: `what` is the rest of its path.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn backup_read<T: DeserializeOwned>(
        &self,
        what: &str,
        request_id: &RequestId,
    ) -> Result<T, DoorError> {
        self.backup_command(&Command::backup_read(what, request_id)).await
    }

    /// Asks something of backups with a body. The box acts once for each request id.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn backup<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &impl Serialize,
        request_id: &RequestId,
    ) -> Result<T, DoorError> {
        self.backup_command(&Command::backup(what, body, request_id)).await
    }

    async fn backup_command<T: DeserializeOwned>(&self, command: &Command) -> Result<T, DoorError> {
        // A connection of its own: the repository may take its time, and warm ones are for those who don't.
        let mut connection = self.connect().await?;
        let outcome = control::ask_backup(&mut connection, command).await;
        let answer = self.answered(connection, outcome)?;
        serde_json::from_slice(&answer).map_err(|_| DoorError::Nonsense)
    }

    /// A file of a backup.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn backup_file(&self, look: &Look, request_id: &RequestId) -> Result<BackupFile, DoorError> {
        let command = Command::backup("/file", look, request_id);
        let file = control::backup_file(self.connect().await?, &command).await?;
        if file.length.is_some() { Ok(file) } else { Err(DoorError::Nonsense) }
    }

    /// An archive of the user's tree, which is written as it is read.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn backup_archive(&self, request_id: &RequestId) -> Result<BackupFile, DoorError> {
        control::backup_file(self.connect().await?, &Command::backup_read("/archive", request_id)).await
    }

    /// Sends a file for a session.
    ///
    /// # Errors
    /// [`DoorError`]; see [`super::Broken::of`] for a file that did not come.
    pub async fn upload(&self, upload: Upload) -> Result<Uploaded, DoorError> {
        if let Some(mut connection) = self.take_warm() {
            self.nudge();
            // A stream can't be sent twice, so that a warm connection has to prove itself first.
            if door::status(&mut connection).await.is_ok() {
                return upload::send(connection, upload).await;
            }
            self.drop_warm();
        }
        upload::send(self.connect().await?, upload).await
    }

    /// Asks a command on a warm connection or on a new one, which is warm afterwards.
    async fn command(&self, command: &Command) -> Result<Bytes, DoorError> {
        if let Some(mut connection) = self.take_warm() {
            match control::ask(&mut connection, command).await {
                // The box acts once for each request id, so it may be asked again.
                Err(DoorError::Lost(_)) => self.drop_warm(),
                outcome => return self.answered(connection, outcome),
            }
        }
        let mut connection = self.connect().await?;
        let outcome = control::ask(&mut connection, command).await;
        self.answered(connection, outcome)
    }

    fn answered<T>(&self, connection: DoorConnection, outcome: Result<T, DoorError>) -> Result<T, DoorError> {
        let whole = matches!(outcome, Ok(_) | Err(DoorError::Refused { .. } | DoorError::SessionUnknown));
        if whole && !self.retired.is_cancelled() {
            let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
            if warm.len() < WARM {
                warm.push(connection);
            }
        }
        outcome
    }

    /// Makes a connection by the best way there is now.
    async fn connect(&self) -> Result<DoorConnection, DoorError> {
        let ca = self.ca.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let config = self.dialer.config_for(&self.instance, ca.as_deref());
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
            Ok(stream) => speak(stream, route).await,
            Err(error) => {
                let why = berth_daemon::exit::chain(&error);
                tracing::debug!(instance = %self.instance, route = route.as_str(), error = %why, "box not reached");
                Err(error)
            }
        }
    }

    fn with_routes<T>(&self, use_them: impl FnOnce(&mut Routes) -> T) -> T {
        use_them(&mut self.routes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_warm(&self) -> Option<DoorConnection> {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| warm.pop()).find(|connection| !connection.sender.is_closed())
    }

    fn take_all_warm(&self) -> Vec<DoorConnection> {
        let taken = std::mem::take(&mut *self.warm.lock().unwrap_or_else(PoisonError::into_inner));
        taken.into_iter().filter(|connection| !connection.sender.is_closed()).take(WARM).collect()
    }

    pub(super) fn drop_warm(&self) {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
