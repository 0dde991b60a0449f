//! One connection's conversation, from hello to its end.

use std::io::ErrorKind;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::event::Dropped;
use berth_protocol::ids::StreamId;
use berth_protocol::link::{DoorAddresses, FromAgent, FromGateway, Hello, VERSIONS};
use futures_util::future::{BoxFuture, OptionFuture};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;

use super::desired::{Change, NeedSnapshot, Outcome, apply};
use super::window::Window;
use super::wire::Wire;
use super::{Link, LinkState};
use crate::backoff::Backoff;
use crate::host::machine::boot_id;
use crate::identity::papers::Papers;
use crate::identity::plan::Asked;
use crate::store::outbox::Item;
use crate::store::{Store, StoreError};

/// How long the gateway may take to answer the hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// How long the database may take before the link goes on without it: on a volume that hangs it takes for ever.
const STORE_DEADLINE: Duration = Duration::from_secs(5);

/// Bounds of the heartbeat that the gateway asks for: neither a flood nor silence.
const HEARTBEAT_MS: std::ops::RangeInclusive<u64> = 100..=120_000;

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// The connection broke. The error tells of its source itself.
    #[error("the connection broke: {0}")]
    Broken(tungstenite::Error),
    /// The gateway closed it, or was ended.
    #[error("the gateway closed the connection")]
    Closed,
    /// The gateway is not heard any more.
    #[error("the gateway has not answered for {} ms", .0.as_millis())]
    Silent(Duration),
    /// The gateway says what is not understood.
    #[error("failed to understand the gateway")]
    Unintelligible(#[from] serde_json::Error),
    /// The gateway does not want this agent.
    #[error("{message}")]
    Refused {
        /// The stable word.
        kind: String,
        /// For people.
        message: String,
    },
    /// The box has another address, which the gateway is told by a new link.
    #[error("the box's address in the tailnet has changed")]
    Moved,
    /// The box has another certificate, which a new link shows.
    #[error("the certificate was renewed")]
    Renewed,
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Talks until the connection ends, or `stop`. Returns after a refusal, a loss or a stop; a link that was ever
/// welcome has said so in its state. `papers` are those that the connection was made with.
pub(super) async fn talk<S>(
    socket: WebSocketStream<S>,
    link: &mut Link,
    papers: &Papers,
    addresses: DoorAddresses,
    stop: &CancellationToken,
) -> Result<(), ConversationError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut wire = Wire { socket, patience: HELLO_DEADLINE };
    let hello = Hello {
        versions: VERSIONS,
        boot_id: boot_id(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        addresses,
        desired: link.desired.borrow().as_ref().map(|desired| desired.version.clone()),
        trust: Some(papers.identity.facts.trust_generation),
    };
    wire.send(&FromAgent::Hello(hello)).await?;
    let silent = |_| ConversationError::Silent(HELLO_DEADLINE);
    let welcome = tokio::time::timeout(HELLO_DEADLINE, wire.welcome()).await.map_err(silent)??;
    let period =
        Duration::from_millis(welcome.heartbeat_ms.clamp(*HEARTBEAT_MS.start(), *HEARTBEAT_MS.end()));
    wire.patience = period * 5 / 2;
    tracing::info!(link_epoch = welcome.link_epoch, version = welcome.version, "connected to the gateway");
    link.metrics.link_welcomed();
    link.state.send_replace(LinkState::Connected);
    link.retired.send_if_modified(std::mem::take);
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1));
    Conversation { wire, window: Window::default(), wants_snapshot: false, recovery: None, backoff }
        .run(link, papers, period, stop)
        .await
}

impl From<tungstenite::Error> for ConversationError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => Self::Closed,
            tungstenite::Error::ConnectionClosed => Self::Closed,
            error => Self::Broken(error),
        }
    }
}

struct Conversation<S> {
    wire: Wire<S>,
    window: Window,
    /// A desired state came before there was a database to keep it in.
    wants_snapshot: bool,
    /// Whether the database, which failed, works again.
    recovery: Option<BoxFuture<'static, Result<(), StoreError>>>,
    backoff: Backoff,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    async fn run(
        mut self,
        link: &mut Link,
        papers: &Papers,
        period: Duration,
        stop: &CancellationToken,
    ) -> Result<(), ConversationError> {
        let mut heartbeats = tokio::time::interval(period);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut n = 0;
        let mut last_heard = Instant::now();
        link.observed.mark_changed();
        link.listeners.mark_changed();
        link.environment.mark_changed();
        link.attention.mark_changed();
        link.outbox.mark_unchanged();
        // Sends what is in the outbox, too.
        link.store.mark_changed();
        loop {
            tokio::select! {
                // Cancel-safe: see `receive`.
                message = self.wire.receive() => match message? {
                    FromGateway::HeartbeatEcho { .. } => last_heard = Instant::now(),
                    message => {
                        let handled = self.handle(message, link).await;
                        self.bear(handled, link)?;
                    }
                },
                // Cancel-safe: a tick that was not taken comes again.
                _ = heartbeats.tick() => {
                    if last_heard.elapsed() > self.wire.patience {
                        return Err(ConversationError::Silent(last_heard.elapsed()));
                    }
                    n += 1;
                    self.wire.send(&FromAgent::Heartbeat { n }).await?;
                    self.want_snapshot(link).await?;
                }
                // Cancel-safe, all: watch channels.
                Ok(()) = link.observed.changed() => {
                    let observed = link.observed.borrow_and_update().clone();
                    if let Some(observed) = observed {
                        self.wire.send(&FromAgent::Observed(observed)).await?;
                    }
                }
                Ok(()) = link.listeners.changed() => {
                    let listeners = link.listeners.borrow_and_update().clone();
                    if let Some(listeners) = listeners {
                        self.wire.send(&FromAgent::Ports(listeners)).await?;
                    }
                }
                Ok(()) = link.attention.changed() => {
                    let attention = link.attention.borrow_and_update().clone();
                    if let Some(attention) = attention {
                        self.wire.send(&FromAgent::Attention(attention)).await?;
                    }
                }
                Ok(()) = link.environment.changed() => {
                    let report = link.environment.borrow_and_update().clone();
                    if let Some(report) = report {
                        self.wire.send(&FromAgent::Environment(report)).await?;
                    }
                }
                Ok(()) = link.outbox.changed() => self.report(link).await?,
                // Cancel-safe: it goes on where it was.
                Some(recovered) = OptionFuture::from(self.recovery.as_mut()) => {
                    self.recovery = None;
                    match recovered {
                        Ok(()) => self.report_anew(link).await?,
                        Err(error) => self.bear(Err(error.into()), link)?,
                    }
                }
                Ok(()) = link.papers.changed() => {
                    let (same, generation) = {
                        let identity = &link.papers.borrow_and_update().identity;
                        (identity.credentials.chain == papers.identity.credentials.chain, identity.facts.trust_generation)
                    };
                    if !same {
                        return Err(ConversationError::Renewed);
                    }
                    self.wire.send(&FromAgent::Trusts { generation }).await?;
                }
                // The gateway learns addresses from a hello, and a hello begins a conversation.
                Ok(()) = link.tailnet.changed() => return Err(ConversationError::Moved),
                Ok(()) = link.store.changed() => {
                    if link.store.borrow().is_some() && std::mem::take(&mut self.wants_snapshot) {
                        self.wire.send(&FromAgent::WantSnapshot).await?;
                    }
                    self.report_anew(link).await?;
                }
                // Cancel-safe: a token.
                () = stop.cancelled() => {
                    // The gateway sees the end either way; a goodbye that can't be said is no loss.
                    let _ = tokio::time::timeout(Duration::from_secs(1), self.wire.socket.close(None)).await;
                    return Ok(());
                }
            }
        }
    }

    /// Bears with the database: a full or broken disk is no reason to be unreachable as well. What was desired
    /// meanwhile is asked for again, and reports are sent when the database works again.
    fn bear(&mut self, outcome: Result<(), ConversationError>, link: &Link) -> Result<(), ConversationError> {
        let Err(ConversationError::Store(error)) = outcome else { return outcome };
        tracing::warn!(error = chain(&error), "the link goes on without the database");
        if let (Some(store), None) = (store(link), &self.recovery) {
            let pause = self.backoff.next_pause();
            let recovery = async move {
                tokio::time::sleep(pause).await;
                store.try_writing().await
            };
            self.recovery = Some(Box::pin(recovery));
        }
        Ok(())
    }

    /// Sends what the window has room for, if the database answers.
    async fn report(&mut self, link: &Link) -> Result<(), ConversationError> {
        let pumped = self.pump(link).await;
        self.bear(pumped, link)
    }

    /// Sends everything again. It is not known what was acknowledged or found missing while there was no database, and the
    /// gateway knows what it has.
    async fn report_anew(&mut self, link: &Link) -> Result<(), ConversationError> {
        self.recovery = None;
        self.window = Window::default();
        self.report(link).await
    }

    /// Asks for the whole desired state, if one is missing that could be kept now.
    async fn want_snapshot(&mut self, link: &Link) -> Result<(), ConversationError> {
        if link.store.borrow().is_some() && std::mem::take(&mut self.wants_snapshot) {
            self.wire.send(&FromAgent::WantSnapshot).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, message: FromGateway, link: &Link) -> Result<(), ConversationError> {
        match message {
            FromGateway::Snapshot(snapshot) => self.desire(Change::Snapshot(snapshot), link).await,
            FromGateway::Delta(delta) => self.desire(Change::Delta(delta), link).await,
            FromGateway::Ack { stream, seq } => self.acknowledge(&stream, seq, link).await,
            FromGateway::Gap { stream, stored } => self.fill_gap(&stream, stored, link).await,
            FromGateway::Refused { kind, message } => Err(ConversationError::Refused { kind, message }),
            FromGateway::DialBack(asked) => {
                link.dial_back.ask(&asked);
                Ok(())
            }
            FromGateway::Trust(trust) => {
                link.asked.send_replace(Asked::Trust(trust));
                Ok(())
            }
            FromGateway::Welcome(_) | FromGateway::HeartbeatEcho { .. } | FromGateway::Unknown => Ok(()),
        }
    }

    async fn desire(&mut self, change: Change, link: &Link) -> Result<(), ConversationError> {
        let Some(store) = store(link) else {
            self.wants_snapshot = true;
            return Ok(());
        };
        let held = link.desired.borrow().clone();
        match apply(held.as_ref(), change) {
            Ok(Outcome::Changed(desired)) => {
                // Kept before it is acted on: after a crash the box must not fall back behind it.
                if let Err(error) = in_time(store.save_desired(&desired)).await {
                    self.wants_snapshot = true;
                    return Err(error.into());
                }
                tracing::info!(
                    generation = desired.version.generation,
                    sessions = desired.sessions.len(),
                    "took a new desired state"
                );
                link.desired.send_replace(Some(desired));
                Ok(())
            }
            Ok(Outcome::Stale) => Ok(()),
            Err(NeedSnapshot) => self.wire.send(&FromAgent::WantSnapshot).await,
        }
    }

    async fn acknowledge(
        &mut self,
        stream: &StreamId,
        seq: u64,
        link: &Link,
    ) -> Result<(), ConversationError> {
        let Some(store) = store(link) else { return Ok(()) };
        link.metrics.outbox_fill(in_time(store.acknowledge(stream, seq)).await?);
        self.backoff.reset();
        self.window.acknowledged(stream, seq);
        self.pump(link).await
    }

    async fn fill_gap(
        &mut self,
        stream: &StreamId,
        stored: u64,
        link: &Link,
    ) -> Result<(), ConversationError> {
        let Some(store) = store(link) else { return Ok(()) };
        let first = in_time(store.first_beyond(stream, stored)).await?;
        if let Some(lost) = self.window.gap(stored, first.as_ref()) {
            self.say_dropped(lost).await?;
        }
        self.pump(link).await
    }

    /// Sends what the window has room for.
    async fn pump(&mut self, link: &Link) -> Result<(), ConversationError> {
        let Some(store) = store(link) else { return Ok(()) };
        while self.window.room() > 0 {
            let entries = store.entries_after(self.window.last_sent(), self.window.room());
            let entries = in_time(entries).await?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                self.window.sent(&entry);
                match entry.item {
                    Item::Event(event) => self.wire.send(&FromAgent::Event(event)).await?,
                    Item::Dropped(dropped) => self.say_dropped(dropped).await?,
                }
            }
        }
        Ok(())
    }

    async fn say_dropped(&mut self, dropped: Dropped) -> Result<(), ConversationError> {
        tracing::warn!(stream = %dropped.stream, from = dropped.from, to = dropped.to, "events were lost");
        self.wire.send(&FromAgent::Dropped(dropped)).await
    }
}

/// What is dropped is done all the same, later, unless the database has more to do already than it takes on.
async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(STORE_DEADLINE, work).await.unwrap_or(Err(StoreError::Slow))
}

fn store(link: &Link) -> Option<Store> {
    link.store.borrow().clone()
}
