//! Dials the gateway, and dials again, for as long as the agent runs.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::link::{DoorAddresses, LINK_PATH, MAX_MESSAGE_BYTES, REFUSED_EXPIRED, REFUSED_RETIRED};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::sync::CancellationToken;

use super::conversation::{ConversationError, talk};
use super::{Link, LinkState};
use crate::backoff::Backoff;
use crate::door::listener::tune_link;
use crate::host::names;
use crate::identity::gateway::is_distrust;
use crate::identity::papers::Dialling;
use crate::identity::plan::Asked;

/// How long dialling may take, TLS and WebSocket included.
const DIAL_DEADLINE: Duration = Duration::from_secs(10);

/// A link that lasted this long was well, and its loss is met with a quick attempt.
const STABLE: Duration = Duration::from_secs(10);

/// The pause after a refusal: words that hurrying doesn't change.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);

/// Read buffer of the WebSocket: messages are small and rare.
const READ_BUFFER_BYTES: usize = 4096;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("failed to connect to {address}")]
    Connect { address: String, source: io::Error },
    #[error("failed to agree on a link with {address}")]
    WebSocket { address: String, source: Box<tokio_tungstenite::tungstenite::Error> },
    #[error(
        "the gateway at {address} is of no CA that this box believes: its CA was changed while the box was away, or it is \
         another's; check the address, or make a token with `gateway workspace enroll <name>` and give it to \
         `box-agent enroll --replace`"
    )]
    Distrusted { address: String },
    #[error("{address} did not answer within {} s", DIAL_DEADLINE.as_secs())]
    Timeout { address: String },
}

/// Keeps the link up until `stop`.
pub async fn run(mut link: Link, stop: CancellationToken) {
    let mut papers = link.papers.clone();
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    while !stop.is_cancelled() {
        let began = Instant::now();
        let (state, refused) = attempt(&mut link, &stop).await;
        link.metrics.link_lost();
        if stop.is_cancelled() {
            return;
        }
        if began.elapsed() >= STABLE {
            backoff.reset();
        }
        let pause =
            if refused { REFUSED_PAUSE.mul_f64(1.0 + fastrand::f64() / 4.0) } else { backoff.next_pause() };
        // The same news again is no news.
        if *link.state.borrow() == state {
            tracing::debug!("{state}");
        } else {
            tracing::warn!(retry_ms = pause.as_millis(), "{state}");
        }
        // Only a welcome takes a retirement back.
        if matches!(state, LinkState::Retired(_)) {
            link.retired.send_replace(true);
        }
        link.state.send_replace(state);
        tokio::select! {
            // Cancel-safe, all: a timer, a watch channel and a token.
            () = tokio::time::sleep(pause) => {}
            // What was refused for its certificate may be taken with another.
            Ok(()) = papers.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// One connection, from dialling to its end. Returns what to say of it, and whether it was refused.
async fn attempt(link: &mut Link, stop: &CancellationToken) -> (LinkState, bool) {
    let papers = link.papers.borrow_and_update().clone();
    let dialled = tokio::select! {
        // Cancel-safe: a connection that is not finished is dropped.
        dialled = dial(&link.address, papers.link()) => dialled,
        () = stop.cancelled() => return (LinkState::Connecting, false),
    };
    let (socket, local) = match dialled {
        Ok(dialled) => dialled,
        Err(error) => return (LinkState::Lost(chain(&error)), false),
    };
    let tailnet = *link.tailnet.borrow_and_update();
    let addresses = addresses(&link.addresses, local, tailnet);
    match talk(socket, link, &papers, addresses, stop).await {
        Ok(()) => (LinkState::Connecting, false),
        Err(ConversationError::Refused { kind, message }) if kind == REFUSED_RETIRED => {
            (LinkState::Retired(message), true)
        }
        Err(ConversationError::Refused { kind, message }) => {
            if kind == REFUSED_EXPIRED {
                link.asked.send_replace(Asked::Expired);
            }
            (LinkState::Refused(message), true)
        }
        Err(error) => (LinkState::Lost(chain(&error)), false),
    }
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Connects, and tells which of this machine's addresses the connection has.
async fn dial(address: &str, dialling: Dialling) -> Result<(Socket, Option<IpAddr>), DialError> {
    let connect = |source| DialError::Connect { address: address.to_owned(), source };
    let work = async {
        let tcp = names::connect(address).await.map_err(connect)?;
        tune_link(&tcp).map_err(connect)?;
        let local = tcp.local_addr().ok().map(|local| local.ip()).filter(|ip| !ip.is_unspecified());
        let tls = TlsConnector::from(dialling.tls).connect(dialling.name, tcp).await;
        let tls = tls.map_err(|error| match is_distrust(&error) {
            true => DialError::Distrusted { address: address.to_owned() },
            false => connect(error),
        })?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES))
            .write_buffer_size(0)
            .max_write_buffer_size(2 * MAX_MESSAGE_BYTES);
        let url = format!("wss://{address}{LINK_PATH}");
        let websocket = |error| DialError::WebSocket { address: address.to_owned(), source: Box::new(error) };
        let (socket, _) = client_async_with_config(url, tls, Some(config)).await.map_err(websocket)?;
        Ok((socket, local))
    };
    let timeout = |_| DialError::Timeout { address: address.to_owned() };
    tokio::time::timeout(DIAL_DEADLINE, work).await.map_err(timeout)?
}

/// What the settings say, and where they are silent what the connection and Tailscale show.
fn addresses(settings: &DoorAddresses, local: Option<IpAddr>, tailnet: Option<IpAddr>) -> DoorAddresses {
    DoorAddresses {
        public_ip: settings.public_ip.or(local),
        tailscale_ip: settings.tailscale_ip.or(tailnet),
        port: settings.port,
    }
}
