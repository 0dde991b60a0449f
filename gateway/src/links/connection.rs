//! One link: hello, then reports in and desired state out, until either side is silent or replaced.

use std::time::Duration;

use berth_protocol::desired::DesiredVersion;
use berth_protocol::event::{Event, Telemetry};
use berth_protocol::ids::{InstanceId, StreamId, WorkspaceId};
use berth_protocol::link::{
    DialBack, FromAgent, FromGateway, Hello, MAX_DIAL_BACKS, MAX_MESSAGE_BYTES, REFUSED_EXPIRED,
    REFUSED_RETIRED, REFUSED_UNKNOWN, REFUSED_VERSION, VERSIONS, Welcome,
};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::Instrument;

use super::listener::{Answer, Peer, refusal};
use super::socket::{LinkError, SILENCE, Socket, receive, refuse, send};
use super::trusting::Trusting;
use crate::app::SharedApp;
use crate::changes::Change;
use crate::environments;
use crate::store::{AttentionOutcome, EventOutcome, HelloOutcome, ObservedOutcome, PortsOutcome};

/// How often a box says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Bytes read at once. The library's own choice would cost 128 KiB for each idle box.
const READ_BUFFER: usize = 4 * 1024;

/// Answers the upgrade and begins the link.
pub(super) fn answer(app: SharedApp, mut request: Request<Incoming>, peer: Peer) -> Answer {
    let headers = request.headers();
    let upgrades =
        headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let version = headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|value| value == "13");
    let accept = headers.get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let (true, true, Some(accept)) = (upgrades, version, accept) else {
        return refusal(StatusCode::BAD_REQUEST, "not_a_websocket", "a link is a WebSocket", None);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let span = tracing::Span::current();
    app.clone().tasks.spawn(
        async move {
            match upgrade.await {
                Ok(upgraded) => run(app, upgraded, peer).await,
                Err(error) => tracing::debug!(%error, "link upgrade failed"),
            }
        }
        .instrument(span),
    );
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

async fn run(app: SharedApp, upgraded: Upgraded, peer: Peer) {
    let instance = peer.instance.clone();
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        .max_write_buffer_size(4 * MAX_MESSAGE_BYTES);
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    // Boxed, as all that is over soon: what waits is as large as the most that it ever does.
    let mut link = match Box::pin(Link::begin(app.clone(), socket, peer)).await {
        Ok(link) => link,
        Err(error) => {
            tracing::warn!(error = %berth_daemon::exit::chain(&error), "link not begun");
            return;
        }
    };
    app.metrics.links.inc();
    app.metrics.links_begun.inc();
    let outcome = link.serve().await;
    link.dial_backs.close();
    app.metrics.links.dec();
    if let Err(error) = outcome {
        tracing::info!(error = %berth_daemon::exit::chain(&error), "link ended");
    }
    if let Err(error) = app.store.link_closed(instance, link.epoch).await {
        tracing::warn!(%error, "end of link not stored");
    }
    // The agent may be gone, or only its link: the door tells.
    if let Some(handle) = app.boxes.of(&link.workspace) {
        handle.nudge();
    }
}

struct Link {
    app: SharedApp,
    socket: Socket,
    instance: InstanceId,
    workspace: WorkspaceId,
    epoch: u64,
    /// Connections of the door that the gateway wants and can't make.
    dial_backs: mpsc::Receiver<()>,
    /// What the box was last told.
    told: DesiredVersion,
    /// When the link counts as dead, unless something is heard.
    deadline: Instant,
    /// Whether the box has reported over this link.
    reported: bool,
    /// What the box is told of CAs and of its certificate.
    trusting: Trusting,
}

impl Link {
    /// Takes the hello and answers with welcome and snapshot.
    async fn begin(app: SharedApp, mut socket: Socket, peer: Peer) -> Result<Self, LinkError> {
        let hello = match receive(&mut socket, Instant::now() + SILENCE).await? {
            FromAgent::Hello(hello) => hello,
            _ => return Err(LinkError::NoHello),
        };
        let Some(version) = VERSIONS.common(hello.versions) else {
            let message = format!(
                "this gateway speaks versions {} to {} of the link, the box {} to {}: update the older one",
                VERSIONS.min, VERSIONS.max, hello.versions.min, hello.versions.max
            );
            return Err(refuse(&mut socket, REFUSED_VERSION, message).await);
        };
        if !peer.counts() {
            let message = "the box's certificate has expired: it is renewed before anything else";
            return Err(refuse(&mut socket, REFUSED_EXPIRED, message.into()).await);
        }
        let instance = peer.instance.clone();
        let Hello { boot_id, agent_version, addresses, desired, trust, .. } = hello;
        let trusting = Trusting::new(peer.standing, trust);
        let (gateway, shown) = (app.gateway.clone(), trusting.shown());
        let said = app.store.hello(instance.clone(), gateway, addresses, boot_id, agent_version, shown);
        let (workspace, epoch) = match said.await? {
            HelloOutcome::Accepted { workspace, link_epoch } => (workspace, link_epoch),
            HelloOutcome::Retired => {
                let message = "a newer box owns this workspace, or this one was revoked: it must leave its volume alone";
                return Err(refuse(&mut socket, REFUSED_RETIRED, message.into()).await);
            }
            HelloOutcome::Unknown => {
                let message = "this gateway does not know this box: enrol it again";
                return Err(refuse(&mut socket, REFUSED_UNKNOWN, message.into()).await);
            }
        };
        tracing::info!(%workspace, link_epoch = epoch, "link begun");
        if let Some(owning) = app.store.owning_instance(workspace.clone()).await? {
            app.boxes.learn(&owning);
        }
        let dial_backs = app.boxes.link_begun(&instance);
        app.changes.publish(Change::Workspace(workspace.clone()));
        if let Some(held) = desired
            && app.store.begin_life_after(workspace.clone(), held).await?
        {
            tracing::warn!("the box knows more than the store: it was restored, and begins a new life");
        }
        let snapshot = environments::snapshot(&app, &workspace).await?;
        let welcome = Welcome {
            version,
            link_epoch: epoch,
            incarnation: snapshot.version.incarnation.clone(),
            heartbeat_ms: u64::try_from(HEARTBEAT.as_millis()).unwrap_or(u64::MAX),
        };
        send(&mut socket, &FromGateway::Welcome(welcome)).await?;
        let told = snapshot.version.clone();
        send(&mut socket, &FromGateway::Snapshot(snapshot)).await?;
        let deadline = Instant::now() + SILENCE;
        let reported = false;
        Ok(Self { app, socket, instance, workspace, epoch, dial_backs, told, deadline, reported, trusting })
    }

    async fn serve(&mut self) -> Result<(), LinkError> {
        let mut changes = self.app.changes.subscribe();
        // What changed between the snapshot and the subscription.
        Box::pin(self.send_delta()).await?;
        self.send_trust().await?;
        let stopping = self.app.stopping.clone();
        loop {
            tokio::select! {
                // Cancel-safe: a token.
                () = stopping.cancelled() => {
                    self.socket.close(None).await?;
                    return Ok(());
                }
                // Cancel-safe: a stream's `next`.
                message = receive(&mut self.socket, self.deadline) => {
                    self.deadline = Instant::now() + SILENCE;
                    Box::pin(self.handle(message?)).await?;
                }
                // Cancel-safe, both, per the docs of `recv()`.
                Some(()) = self.dial_backs.recv() => self.ask_dial_back().await?,
                // Cancel-safe: a timer.
                () = self.trusting.due() => self.send_trust().await?,
                change = changes.recv() => match change {
                    Ok(change) if change.concerns(&self.workspace) => Box::pin(self.changed(&change)).await?,
                    Ok(_) => {}
                    // Deltas are read from the store, so changes that were missed are in the next one.
                    Err(RecvError::Lagged(_)) => Box::pin(self.send_delta()).await?,
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }

    async fn changed(&mut self, change: &Change) -> Result<(), LinkError> {
        if matches!(change, Change::Anything) {
            self.send_trust().await?;
        }
        // An enrolment is a change of the workspace, and it may have retired this very box.
        if !matches!(change, Change::Session(_) | Change::Previews(_) | Change::Inbox(_))
            && !self.app.store.link_counts(self.instance.clone(), self.epoch).await?
        {
            return Err(LinkError::Superseded);
        }
        self.send_delta().await
    }

    /// Asks for the connection that is wanted, and for all that are wanted by now.
    async fn ask_dial_back(&mut self) -> Result<(), LinkError> {
        let mut count = 1;
        while count < MAX_DIAL_BACKS && self.dial_backs.try_recv().is_ok() {
            count += 1;
        }
        // This gateway asks over its own link, so the box knows where it is.
        let asked = DialBack { count, address: None };
        send(&mut self.socket, &FromGateway::DialBack(asked)).await
    }

    async fn handle(&mut self, message: FromAgent) -> Result<(), LinkError> {
        match message {
            FromAgent::Heartbeat { n } => send(&mut self.socket, &FromGateway::HeartbeatEcho { n }).await,
            FromAgent::Observed(observed) => {
                // A box reports once its sessions are up, and then its door is open too.
                if !std::mem::replace(&mut self.reported, true)
                    && let Some(handle) = self.app.boxes.of(&self.workspace)
                {
                    handle.nudge();
                }
                let (workspace, instance) = (self.workspace.clone(), self.instance.clone());
                match self.app.store.observed(workspace, instance, self.epoch, observed).await? {
                    ObservedOutcome::Stored(changes) => {
                        changes
                            .into_iter()
                            .for_each(|change| self.app.changes.publish(Change::Session(change)));
                        // A session that came back from the dead needs its tombstone again.
                        self.send_delta().await
                    }
                    ObservedOutcome::StaleLink => Err(LinkError::Superseded),
                }
            }
            FromAgent::Ports(ports) => {
                let instance = self.instance.clone();
                match self.app.store.put_ports(instance, self.epoch, ports).await? {
                    PortsOutcome::Changed => {
                        self.app.changes.publish(Change::Previews(self.workspace.clone()));
                        Ok(())
                    }
                    PortsOutcome::Same => Ok(()),
                    PortsOutcome::StaleLink => Err(LinkError::Superseded),
                }
            }
            FromAgent::Environment(report) => {
                let (workspace, instance) = (self.workspace.clone(), self.instance.clone());
                let store = &self.app.store;
                if !store.put_environment_report(workspace, instance, self.epoch, report).await? {
                    return Err(LinkError::Superseded);
                }
                self.app.changes.publish(Change::Workspace(self.workspace.clone()));
                Ok(())
            }
            FromAgent::Event(event) => self.store_event(event).await,
            FromAgent::Dropped(dropped) => {
                let stream = dropped.stream.clone();
                tracing::warn!(%stream, from = dropped.from, to = dropped.to, "events dropped by the box");
                let outcome = self.app.store.put_dropped(self.instance.clone(), self.epoch, dropped).await?;
                self.acknowledge(stream, outcome).await
            }
            FromAgent::WantSnapshot => self.send_snapshot().await,
            FromAgent::Trusts { generation } if !self.trusting.can_acknowledge(generation) => Ok(()),
            FromAgent::Trusts { generation } => {
                let (workspace, instance) = (self.workspace.clone(), self.instance.clone());
                let store = &self.app.store;
                if !store.acknowledge_trust(workspace, instance, self.epoch, generation).await? {
                    return Err(LinkError::Superseded);
                }
                self.trusting.acknowledged(generation);
                self.send_trust().await
            }
            FromAgent::Attention(report) => {
                let (workspace, instance) = (self.workspace.clone(), self.instance.clone());
                match self.app.store.put_attention(workspace, instance, self.epoch, report).await? {
                    AttentionOutcome::Stored(changes) => {
                        changes
                            .into_iter()
                            .for_each(|change| self.app.changes.publish(Change::Session(change)));
                        Ok(())
                    }
                    AttentionOutcome::StaleLink => Err(LinkError::Superseded),
                }
            }
            FromAgent::Hello(_) | FromAgent::Unknown => Ok(()),
        }
    }

    async fn store_event(&mut self, event: Event) -> Result<(), LinkError> {
        let stream = event.id.stream.clone();
        let telemetry = event.kind == Telemetry::KIND;
        let (workspace, instance) = (self.workspace.clone(), self.instance.clone());
        let (outcome, arrival) = self.app.store.put_event(workspace, instance, self.epoch, event).await?;
        if matches!(outcome, EventOutcome::Stored(_)) {
            self.app.metrics.events.inc();
            if let Some(arrival) = arrival {
                self.app.metrics.notifications.arrived(arrival);
                self.app.changes.publish(Change::Inbox(Some(self.workspace.clone())));
            }
            if telemetry {
                self.app.changes.publish(Change::Workspace(self.workspace.clone()));
            }
        }
        self.acknowledge(stream, outcome).await
    }

    async fn acknowledge(&mut self, stream: StreamId, outcome: EventOutcome) -> Result<(), LinkError> {
        let answer = match outcome {
            EventOutcome::Stored(seq) => FromGateway::Ack { stream, seq },
            EventOutcome::Gap(stored) => FromGateway::Gap { stream, stored },
            EventOutcome::Refused => return Err(LinkError::Superseded),
        };
        send(&mut self.socket, &answer).await
    }

    /// Tells whom to believe and whether to renew, if that is news; ends the link of a box that is not believed any more.
    async fn send_trust(&mut self) -> Result<(), LinkError> {
        let trusted = self.app.trust.now();
        if !trusted.trusts(self.trusting.ca()) {
            return Err(LinkError::Distrusted);
        }
        match self.trusting.news(&trusted, self.app.trust.rules()) {
            Some(trust) => send(&mut self.socket, &FromGateway::Trust(trust)).await,
            None => Ok(()),
        }
    }

    async fn send_snapshot(&mut self) -> Result<(), LinkError> {
        let snapshot = environments::snapshot(&self.app, &self.workspace).await?;
        self.told = snapshot.version.clone();
        send(&mut self.socket, &FromGateway::Snapshot(snapshot)).await
    }

    async fn send_delta(&mut self) -> Result<(), LinkError> {
        let from = self.told.generation;
        if let Some(delta) = environments::delta(&self.app, &self.workspace, from).await? {
            self.told = delta.to.clone();
            send(&mut self.socket, &FromGateway::Delta(delta)).await?;
        }
        Ok(())
    }
}
