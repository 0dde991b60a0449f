//! HTTP/2, which browsers speak over TLS: one connection for everything but WebSockets.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::HOST;
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Requests at the same time on one connection: pages of dev servers load hundreds of small files.
const STREAMS: u32 = 256;

/// Bytes of a request's headers. HTTP/1.1 allows about as many.
const HEADERS: u32 = 256 * 1024;

/// Bytes of one answer that wait for a browser which does not take them.
const SEND_BUFFER: usize = 64 * 1024;

/// How often a browser is asked whether it is there, and how long it may take to say so.
const ASKED_EVERY: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a connection may be without a new request. What goes on then is not touched.
const IDLE: Duration = Duration::from_secs(120);

/// Serves one connection until it ends, is idle, or `stopping`.
///
/// # Errors
/// When the connection breaks.
pub async fn serve<S, A, F>(stream: S, stopping: &CancellationToken, answer: A) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response, std::convert::Infallible>> + Send + 'static,
{
    let requests = Arc::new(AtomicU64::new(0));
    let counted = requests.clone();
    let service = service_fn(move |request| {
        counted.fetch_add(1, Ordering::Relaxed);
        answer(request)
    });
    let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(ASKED_EVERY)
        .keep_alive_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        served = serving.as_mut() => return served.map_err(io::Error::other),
        () = stopping.cancelled() => {}
        () = idle(&requests) => {}
    }
    serving.as_mut().graceful_shutdown();
    serving.await.map_err(io::Error::other)
}

async fn idle(requests: &AtomicU64) {
    let mut before = None;
    loop {
        let now = requests.load(Ordering::Relaxed);
        if before.replace(now) == Some(now) {
            return;
        }
        tokio::time::sleep(IDLE).await;
    }
}

/// Gives a request the `Host` that HTTP/2 writes elsewhere, so that there is one place to look for it.
///
/// # Errors
/// With the answer, when a request names two hosts.
pub fn with_host(request: &mut Request<Body>) -> Result<(), Box<Response>> {
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    let named = HeaderValue::from_str(authority.as_str());
    let same = match (request.headers().get(HOST), &named) {
        (None, Ok(_)) => true,
        (Some(host), Ok(named)) => host == named,
        (_, Err(_)) => false,
    };
    match named {
        Ok(named) if same => {
            request.headers_mut().insert(HOST, named);
            Ok(())
        }
        _ => Err(Box::new(StatusCode::BAD_REQUEST.into_response())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(uri: &str, hosts: &[&str]) -> Result<Option<String>, StatusCode> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let mut request = request.body(Body::empty()).unwrap();
        with_host(&mut request).map_err(|answer| answer.status())?;
        Ok(request.headers().get(HOST).map(|host| host.to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_request_has_one_host() {
        let named = |host: &str| Ok(Some(host.to_owned()));
        assert_eq!(host("https://berth.example:8443/a", &[]), named("berth.example:8443"));
        assert_eq!(host("https://berth.example/a", &["berth.example"]), named("berth.example"));
        assert_eq!(host("https://berth.example/a", &["evil.example"]), Err(StatusCode::BAD_REQUEST));
        assert_eq!(host("/a", &["berth.example"]), named("berth.example"));
        assert_eq!(host("/a", &[]), Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_new_requests_is_idle() {
        let requests = AtomicU64::new(0);
        let busy = async {
            for _ in 0..10 {
                tokio::time::sleep(IDLE / 2).await;
                requests.fetch_add(1, Ordering::Relaxed);
            }
        };
        tokio::select! {
            () = idle(&requests) => panic!("it is used"),
            () = busy => {}
        }
        idle(&requests).await;
    }
}
