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
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::tls::HTTP_2;
use super::{Proxies, http2};
use crate::app::SharedApp;
use crate::boxes::tune;
use crate::limits::Place;
use crate::patience::HeadTimer;
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

/// Who asks: who has made the connection, or whom a trusted proxy names.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// What users reach.
pub struct Front {
    /// Where they connect.
    pub listener: TcpListener,
    /// How, if not by plain http.
    pub tls: Option<Arc<ServerConfig>>,
    /// Who is believed about their address.
    pub proxies: Proxies,
    /// What they are answered.
    pub router: Router,
}

/// What every connection needs.
#[derive(Clone)]
struct Shared {
    app: SharedApp,
    tls: Option<TlsAcceptor>,
    proxies: Proxies,
    router: Router,
}

/// Serves users until the gateway stops.
pub async fn serve(app: SharedApp, front: Front) {
    let Front { listener, tls, proxies, router } = front;
    let shared = Shared { app: app.clone(), tls: tls.map(TlsAcceptor::from), proxies, router };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = app.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (tcp, peer) = match accepted {
            Ok((tcp, peer)) => (tcp, peer.ip()),
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(own) = shared.admit(peer) else { continue };
        let shared = shared.clone();
        app.tasks.spawn(async move {
            let _places = (place, own);
            if let Err(error) = shared.serve_tcp(tcp, peer).await {
                tracing::debug!(%error, "connection failed");
            }
        });
    }
}

impl Shared {
    /// A place for a connection of this peer, if it may have one. A proxy makes connections for many.
    fn admit(&self, peer: IpAddr) -> Option<Option<Place>> {
        if self.proxies.include(peer) {
            return Some(None);
        }
        // Plain http beyond this machine is for proxies alone: the settings demand that they are named.
        if self.tls.is_none() && !peer.to_canonical().is_loopback() {
            tracing::warn!(%peer, "connection refused: plain http, and not from one of front.trusted_proxies");
            return None;
        }
        self.app.limits.connection(peer).map(Some)
    }

    /// What a connection turns out to be is boxed: a task that could become any has room for the largest, twice.
    async fn serve_tcp(self, tcp: TcpStream, peer: IpAddr) -> io::Result<()> {
        tune(&tcp)?;
        match &self.tls {
            None => Box::pin(self.serve_http(tcp, peer)).await,
            Some(acceptor) => {
                let mut tls = Box::pin(timeout(HANDSHAKE, acceptor.accept(tcp))).await??;
                tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
                if tls.get_ref().1.alpn_protocol() == Some(HTTP_2) {
                    return Box::pin(self.serve_http2(tls, peer)).await;
                }
                Box::pin(self.serve_http(tls, peer)).await
            }
        }
    }

    async fn serve_http<S>(self, stream: S, peer: IpAddr) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let app = self.app.clone();
        // Its own, for counts that all connections raise with each request would go from processor to processor.
        let shared = Arc::new(self);
        let service = service_fn(move |request: Request<Incoming>| {
            // Boxed: a connection keeps room for what answers, also while nothing is asked.
            Box::pin(shared.clone().answer(request.map(Body::new), peer))
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .timer(HeadTimer::default())
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

    async fn serve_http2<S>(self, stream: S, peer: IpAddr) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let app = self.app.clone();
        let shared = Arc::new(self);
        let serve = move |request: Request<Incoming>| {
            let shared = shared.clone();
            let mut request = request.map(Body::new);
            async move {
                match http2::with_host(&mut request) {
                    Ok(()) => shared.answer(request, peer).await,
                    Err(refused) => Ok(*refused),
                }
            }
        };
        http2::serve(stream, &app.stopping, serve).await
    }

    /// A preview's host is not the console's: nothing that the console answers is reached there.
    async fn answer(
        self: Arc<Self>,
        mut request: Request<Body>,
        peer: IpAddr,
    ) -> Result<Response, Infallible> {
        let client = self.proxies.client(peer, request.headers());
        request.extensions_mut().insert(Peer(client));
        match previews::route(&self.app, request).await {
            Ok(response) => Ok(response),
            Err(request) => self.router.clone().oneshot(request).await,
        }
    }
}
