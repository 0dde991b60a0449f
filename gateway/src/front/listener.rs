//! The front's accept loop.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use berth_daemon::metrics::ACCEPT_PAUSE;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::http2;
use super::tls::HTTP_2;
use crate::app::SharedApp;
use crate::boxes::tune;
use crate::previews;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(30);

/// Bytes that TLS keeps when the kernel takes no more. Left to itself it keeps eight times as many, which a
/// terminal whose reader stalled would begin with.
const TLS_BUFFER: usize = 8 * 1024;

/// Connections at the same time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16 * 1024;

/// Who has made a connection. Behind a proxy it is the proxy.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Serves users until the gateway stops.
pub async fn serve(app: SharedApp, listener: TcpListener, tls: Option<Arc<ServerConfig>>, router: Router) {
    let acceptor = tls.map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = app.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let tcp = match accepted {
            Ok((tcp, _)) => tcp,
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (acceptor, router, shared) = (acceptor.clone(), router.clone(), app.clone());
        app.tasks.spawn(async move {
            let _place = place;
            if let Err(error) = serve_tcp(shared, tcp, acceptor, router).await {
                tracing::debug!(%error, "connection failed");
            }
        });
    }
}

async fn serve_tcp(
    app: SharedApp,
    tcp: TcpStream,
    acceptor: Option<TlsAcceptor>,
    router: Router,
) -> io::Result<()> {
    tune(&tcp)?;
    let peer = Peer(tcp.peer_addr()?.ip());
    match acceptor {
        None => serve_http(app, tcp, peer, router).await,
        Some(acceptor) => {
            let mut tls = timeout(HANDSHAKE, acceptor.accept(tcp)).await??;
            tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
            if tls.get_ref().1.alpn_protocol() == Some(HTTP_2) {
                return serve_http2(app, tls, peer, router).await;
            }
            serve_http(app, tls, peer, router).await
        }
    }
}

async fn serve_http<S>(app: SharedApp, stream: S, peer: Peer, router: Router) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shared = app.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        answer(shared.clone(), request.map(Body::new), router.clone())
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        // For dev servers, which get headers as they came.
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        served = serving.as_mut() => return served.map_err(io::Error::other),
        () = app.stopping.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    serving.await.map_err(io::Error::other)
}

async fn serve_http2<S>(app: SharedApp, stream: S, peer: Peer, router: Router) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shared = app.clone();
    let serve = move |request: Request<Incoming>| {
        let (shared, router) = (shared.clone(), router.clone());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        async move {
            match http2::with_host(&mut request) {
                Ok(()) => answer(shared, request, router).await,
                Err(refused) => Ok(*refused),
            }
        }
    };
    http2::serve(stream, &app.stopping, serve).await
}

/// A preview's host is not the console's: nothing that the console answers is reached there.
async fn answer(app: SharedApp, request: Request<Body>, router: Router) -> Result<Response, Infallible> {
    match previews::route(&app, request).await {
        Ok(response) => Ok(response),
        Err(request) => router.oneshot(request).await,
    }
}
