//! The link listener: TLS 1.3 with the installation's own CA, and two routes. A connection on which the box speaks
//! the door's protocol is one that it was asked to make, and goes to whoever asked.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use berth_daemon::metrics::ACCEPT_PAUSE;
use berth_protocol::enroll::ENROLL_PATH;
use berth_protocol::error::ErrorBody;
use berth_protocol::ids::{InstanceId, RequestId};
use berth_protocol::link::LINK_PATH;
use berth_protocol::name::BerthName;
use berth_protocol::renew::{IDENTITY_PATH, RENEW_PATH};
use berth_protocol::standing::Standing;
use berth_protocol::tls::{ALPN_DOOR, ALPN_LINK};
use berth_protocol::trust::name_of;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::Instrument;

use super::{connection, enroll, renew};
use crate::app::SharedApp;
use crate::boxes::tune;
use crate::caller::{Caller, Source};
use crate::store::now_ms;
use crate::trust::State;

/// How long a handshake, and then a request's head, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections at the same time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4096;

/// Connections of peers without a certificate, and how long each may last: strangers must not take the places
/// of boxes.
const MAX_STRANGERS: usize = 64;
const STRANGER_LIMIT: Duration = Duration::from_secs(30);

/// The largest body of a request, bytes.
const MAX_BODY: usize = 16 * 1024;

/// How long a body may take to arrive.
const BODY_LIMIT: Duration = Duration::from_secs(10);

pub(super) type Answer = Response<Full<Bytes>>;

/// A box, as its certificate proves.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// The instance.
    pub(super) instance: InstanceId,
    /// What the certificate says of itself.
    pub(super) standing: Standing,
}

impl Peer {
    fn of(certificate: &CertificateDer<'_>, trusted: &State) -> Option<Self> {
        // A CA may have been removed since the handshake began.
        let standing = trusted.standing(certificate).ok()?;
        match name_of(certificate) {
            Ok(BerthName::Box { instance, .. }) => Some(Self { instance, standing }),
            _ => None,
        }
    }

    /// Whether the certificate counts now.
    pub(super) fn counts(&self) -> bool {
        self.standing.counts_at(now_secs())
    }
}

/// Seconds since 1970 by this machine's clock.
pub(super) fn now_secs() -> u64 {
    u64::try_from(now_ms() / 1000).unwrap_or_default()
}

/// Serves boxes, and those who have yet to enrol, until the gateway stops.
pub async fn serve(app: SharedApp, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let strangers = Arc::new(Semaphore::new(MAX_STRANGERS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = app.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (app, strangers) = (app.clone(), strangers.clone());
        let acceptor = TlsAcceptor::from(app.trust.now().listener());
        app.clone().tasks.spawn(async move {
            let _place = place;
            if let Err(error) = tune(&tcp) {
                tracing::debug!(%peer, %error, "link connection not tuned");
            }
            match timeout(PATIENCE, acceptor.accept(tcp)).await {
                Ok(Ok(tls)) if tls.get_ref().1.peer_certificates().is_none() => {
                    let Ok(_stranger) = strangers.try_acquire() else { return };
                    // Cut when the time is over, whatever it was doing.
                    let _ = timeout(STRANGER_LIMIT, serve_connection(app, tls)).await;
                }
                Ok(Ok(tls)) => serve_connection(app, tls).await,
                Ok(Err(error)) => tracing::info!(%peer, %error, "link handshake refused"),
                Err(_) => tracing::info!(%peer, "link handshake took too long"),
            }
        });
    }
}

async fn serve_connection(app: SharedApp, tls: TlsStream<TcpStream>) {
    let (tcp, session) = tls.get_ref();
    let source = tcp.peer_addr().map_or(Source::Gateway, |peer| Source::Address(peer.ip()));
    let protocol = session.alpn_protocol().map(<[u8]>::to_vec);
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let peer = match certificate.map(|certificate| Peer::of(certificate, &app.trust.now())) {
        Some(None) => return,
        Some(peer) => peer,
        None => None,
    };
    match (protocol.as_deref(), &peer) {
        (Some(ALPN_LINK), _) => {}
        (Some(ALPN_DOOR), Some(peer)) if peer.counts() => {
            return app.boxes.dialled_back(&peer.instance, tls.into());
        }
        _ => return,
    }
    let stopping = app.stopping.clone();
    let service = service_fn(move |request| {
        let request_id = RequestId::random();
        let instance = peer.as_ref().map(|peer| tracing::field::display(&peer.instance));
        let span = tracing::info_span!("link", %request_id, instance);
        let caller = Caller { source, request_id: Some(request_id.clone()) };
        let answer = caller.run(answer(app.clone(), peer.clone(), request, request_id));
        async move { Ok::<_, Infallible>(answer.await) }.instrument(span)
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(tls), service)
        .with_upgrades();
    tokio::select! {
        () = stopping.cancelled() => {}
        served = serving => if let Err(error) = served {
            tracing::debug!(%error, "link connection failed");
        }
    }
}

async fn answer(
    app: SharedApp,
    peer: Option<Peer>,
    request: Request<Incoming>,
    request_id: RequestId,
) -> Answer {
    match (request.method(), request.uri().path(), peer) {
        (&Method::POST, ENROLL_PATH, _) => enroll::answer(&app, request, request_id).await,
        (&Method::POST, RENEW_PATH, Some(peer)) => renew::answer(&app, &peer, request, request_id).await,
        (&Method::GET, IDENTITY_PATH, Some(peer)) => renew::identify(&app, &peer, request_id).await,
        (&Method::GET, LINK_PATH, Some(peer)) => connection::answer(app, request, peer),
        (_, LINK_PATH | RENEW_PATH | IDENTITY_PATH, None) => refusal(
            StatusCode::UNAUTHORIZED,
            "certificate_missing",
            "this needs the certificate that enrolment gives",
            Some(request_id),
        ),
        _ => refusal(StatusCode::NOT_FOUND, "not_found", "boxes enrol and link here", Some(request_id)),
    }
}

/// The body of a request; nothing when it is too long, too slow, or not understood.
pub(super) async fn body<T: for<'de> Deserialize<'de>>(request: Request<Incoming>) -> Option<T> {
    let body = timeout(BODY_LIMIT, Limited::new(request.into_body(), MAX_BODY).collect()).await;
    serde_json::from_slice(&body.ok()?.ok()?.to_bytes()).ok()
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    // Wire types are plain data: they always serialise.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn refusal(
    status: StatusCode,
    kind: &str,
    message: &str,
    request_id: Option<RequestId>,
) -> Answer {
    json(status, &ErrorBody::new(kind, message, request_id))
}
