//! The door's connections: TLS with certificates on both sides, then HTTP/1.1.
//!
//! Before a peer has proved to be a gateway of the installation it costs a TCP connection, a place among a
//! bounded number and a few seconds; nothing that it sends is read as HTTP.

use std::sync::Arc;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::tls::ALPN_DOOR;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_util::sync::CancellationToken;

use super::hall::{Admission, Hall};
use super::listener::tune;
use super::service::answer;
use crate::fault;
use crate::identity::papers::PapersInUse;
use crate::pulse::Pulse;

/// How long a handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// How long a request's head may take, from its first byte.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// Handshakes at the same time. They have a bound of their own, so that strangers who only begin one leave the
/// places of gateways alone.
const MAX_HANDSHAKES: usize = 128;

/// The longest request head: the door's own are a tenth of it.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Serves until `stop`. While `retired` says so the door is closed, and every connection and stream cut: a newer
/// instance owns the workspace.
pub async fn serve(
    listener: TcpListener,
    papers: PapersInUse,
    hall: Arc<Hall>,
    mut retired: watch::Receiver<bool>,
    mut pulse: Pulse,
    stop: CancellationToken,
) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let accepted = tokio::select! {
            // Cancel-safe, all: a connection that was not taken stays in the queue, and so does a question.
            accepted = listener.accept() => accepted,
            Ok(()) = retired.changed() => {
                if *retired.borrow_and_update() {
                    hall.clear();
                }
                continue;
            }
            question = pulse.asked() => {
                question.answer();
                continue;
            }
            () = stop.cancelled() => return,
        };
        fault::freeze("door").await;
        let Ok((stream, peer)) = accepted else {
            // Out of descriptors, most likely: some will be free in a moment.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if *retired.borrow() {
            continue;
        }
        let Ok(handshake) = handshakes.clone().try_acquire_owned() else {
            tracing::debug!(%peer, "refused a connection: {MAX_HANDSHAKES} handshakes are going on");
            continue;
        };
        let acceptor = TlsAcceptor::from(papers.borrow().door.clone());
        let (hall, closing) = (hall.clone(), hall.closing());
        tokio::spawn(async move {
            let served = async {
                let tls = shake_hands(stream, acceptor).await?;
                drop(handshake);
                serve_connection(tls, hall.admit(closing.clone())?).await
            };
            tokio::select! {
                outcome = served => {
                    if let Err(error) = outcome {
                        tracing::debug!(%peer, error = chain(&*error), "a door connection failed");
                    }
                }
                // Cancel-safe: nothing of the connection is used any more.
                () = closing.cancelled() => {}
            }
        });
    }
}

/// Bytes that TLS keeps when the kernel takes no more. Left to itself it keeps sixteen times as many, which a
/// terminal whose reader stalled would begin with.
pub(super) const TLS_BUFFER: usize = 4 * 1024;

/// Why a connection ended before its time.
pub(super) type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

/// A connection of the door, whichever side dialled it.
pub type DoorStream = TlsStream<TcpStream>;

async fn shake_hands(stream: TcpStream, acceptor: TlsAcceptor) -> Result<DoorStream, ConnectionError> {
    tune(&stream)?;
    let mut tls = tokio::time::timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)).await??;
    tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    // rustls refuses a peer that offers other protocols; one that offers none is refused here.
    if tls.get_ref().1.alpn_protocol() != Some(ALPN_DOOR) {
        return Err("the peer does not speak the door's protocol".into());
    }
    Ok(tls.into())
}

/// Answers a gateway's requests on one connection.
pub(super) async fn serve_connection(
    mut tls: DoorStream,
    admission: Admission,
) -> Result<(), ConnectionError> {
    first_byte(&mut tls).await?;
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(tls), service_fn(move |request| answer(admission.clone(), request)))
        .with_upgrades()
        .await?;
    Ok(())
}

/// Waits until there is something to read. Gateways keep connections warm, and only one that has begun to
/// speak is held to a deadline; keepalive finds out who is gone.
async fn first_byte(tls: &mut DoorStream) -> Result<(), ConnectionError> {
    // A request may have come together with the end of the handshake.
    let (tcp, state) = match tls {
        TlsStream::Client(tls) => {
            let (tcp, session) = tls.get_mut();
            (tcp, session.process_new_packets()?)
        }
        TlsStream::Server(tls) => {
            let (tcp, session) = tls.get_mut();
            (tcp, session.process_new_packets()?)
        }
    };
    if state.plaintext_bytes_to_read() == 0 {
        tcp.peek(&mut [0]).await?;
    }
    Ok(())
}
