//! The front's accept loop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use berth_daemon::metrics::ACCEPT_PAUSE;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::app::SharedApp;
use crate::boxes::tune;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(30);

/// Bytes that TLS keeps when the kernel takes no more. Left to itself it keeps eight times as many, which a
/// terminal whose reader stalled would begin with.
const TLS_BUFFER: usize = 8 * 1024;

/// Connections at the same time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16 * 1024;

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
    match acceptor {
        None => serve_http(app, tcp, router).await,
        Some(acceptor) => {
            let mut tls = timeout(HANDSHAKE, acceptor.accept(tcp)).await??;
            tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
            serve_http(app, tls, router).await
        }
    }
}

async fn serve_http<S>(app: SharedApp, stream: S, router: Router) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        served = serving.as_mut() => return served.map_err(io::Error::other),
        () = app.stopping.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    serving.await.map_err(io::Error::other)
}
