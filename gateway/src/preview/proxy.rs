//! One request, from the gateway to a dev server and back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use berth_protocol::ids::{PreviewId, RequestId};
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body as _, Incoming};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::headers::{Passage, inward, outward};
use super::hold::{Hold, Places};
use super::hop::{Asked, agrees};
use super::meters::Meters;
use super::pool::{Place, Pool};
use super::stream::{Stream, Unanswered};
use super::trouble::Trouble;
use super::{body, tunnel};
use crate::boxes::{BoxHandle, DoorStream};

/// Requests that follow each other so soon are a page's that loads: between two of them no dev server closes a stream and has
/// another take its place.
const SOON: Duration = Duration::from_millis(10);

/// Where a request goes.
pub struct Target<'a> {
    /// The box.
    pub handle: Arc<BoxHandle>,
    /// The names on both sides.
    pub passage: Passage<'a>,
    /// The request, for both logs.
    pub request_id: &'a RequestId,
}

/// Bounds of every preview.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a dev server may be silent before its answer begins.
    pub silence: Duration,
    /// Exchanges with one preview at the same time.
    pub in_flight: usize,
}

/// Passes requests on.
pub struct Proxy {
    pool: Arc<Pool>,
    places: Places,
    limits: Limits,
    meters: Meters,
    tasks: TaskTracker,
}

impl Proxy {
    /// A proxy that keeps no stream yet; its WebSockets are among `tasks`.
    #[must_use]
    pub fn new(limits: Limits, meters: Meters, tasks: TaskTracker) -> Self {
        let places = Places::new(limits.in_flight, meters.in_flight.clone());
        Self { pool: Arc::default(), places, limits, meters, tasks }
    }

    /// A place for one more exchange with a preview.
    ///
    /// # Errors
    /// [`Trouble::Busy`].
    pub fn enter(&self, preview: &PreviewId, cancel: Arc<CancellationToken>) -> Result<Hold, Trouble> {
        self.meters.requests.inc();
        self.places.take(preview, cancel).ok_or(Trouble::Busy)
    }

    /// Counts a request that failed.
    pub fn failed(&self, trouble: Trouble) {
        self.meters.failed(trouble.kind());
    }

    /// Closes streams that nobody uses.
    pub fn sweep(&self) {
        self.pool.sweep();
        self.places.sweep();
    }

    /// Passes a request on, and returns the answer as it begins.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn pass(
        &self,
        target: &Target<'_>,
        asked: Asked,
        request: Request<Body>,
        hold: Hold,
    ) -> Result<Response<Body>, Trouble> {
        match asked {
            Asked::Answer => self.answer(target, request, hold).await,
            Asked::WebSocket => Box::pin(self.websocket(target, request, hold)).await,
        }
    }

    async fn answer(
        &self,
        target: &Target<'_>,
        request: Request<Body>,
        hold: Hold,
    ) -> Result<Response<Body>, Trouble> {
        let place = (target.handle.instance().clone(), target.passage.port);
        let request = prepared(request, &target.passage, false);
        let has_body = !request.body().is_end_stream();
        let (mut stream, response) = self.send(target, &place, request).await?;
        // An answer may begin, and end, long before the request's body has.
        if has_body {
            stream.detach();
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Trouble::Nonsense(target.passage.port));
        }
        let (mut parts, incoming) = response.into_parts();
        outward(&mut parts.headers, &target.passage);
        parts.version = Version::HTTP_11;
        let back = Some((self.pool.clone(), place));
        let body = body::Answer::new(incoming, stream, back, self.meters.outward_bytes.clone(), hold);
        Ok(Response::from_parts(parts, Body::new(body)))
    }

    async fn websocket(
        &self,
        target: &Target<'_>,
        mut request: Request<Body>,
        hold: Hold,
    ) -> Result<Response<Body>, Trouble> {
        let key = request.headers().get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());
        let key = key.unwrap_or_default().to_owned();
        let browser = hyper::upgrade::on(&mut request);
        let request = prepared(request, &target.passage, true);
        // Never a stream that is kept: what is upgraded has no next request.
        let stream = Stream::begin_upgradeable(self.open(target).await?).await;
        let stream = stream.map_err(|_| Trouble::BrokeOff(target.passage.port))?;
        let (stream, mut response) =
            self.send_on(target, stream, request).await.map_err(|(trouble, _)| trouble)?;
        let agreed = agrees(response.status(), response.headers(), &key);
        if !agreed && response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Trouble::Nonsense(target.passage.port));
        }
        let dev_server = hyper::upgrade::on(&mut response);
        let (mut parts, incoming) = response.into_parts();
        outward(&mut parts.headers, &target.passage);
        parts.version = Version::HTTP_11;
        if !agreed {
            // Whoever asked may have sent frames already: nothing on this connection is a request any more.
            parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
            let body = body::Answer::new(incoming, stream, None, self.meters.outward_bytes.clone(), hold);
            return Ok(Response::from_parts(parts, Body::new(body)));
        }
        parts.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        parts.headers.insert(http::header::UPGRADE, HeaderValue::from_static("websocket"));
        self.tasks.spawn(tunnel::run(browser, dev_server, hold, self.meters.clone()));
        Ok(Response::from_parts(parts, Body::empty()))
    }

    /// Sends on a stream that is kept, or on a new one when that has gone meanwhile.
    async fn send(
        &self,
        target: &Target<'_>,
        place: &Place,
        request: Request<Body>,
    ) -> Result<(Stream, Response<Incoming>), Trouble> {
        // Boxed: mostly a stream is kept, and room for all that making one takes would be most of what a request needs.
        let Some((stream, rested)) = self.pool.take(place) else {
            return Box::pin(self.send_anew(target, request)).await;
        };
        let copy = if rested < SOON { None } else { copy(&request) };
        let (trouble, unsent) = match self.send_on(target, stream, request).await {
            Ok(answered) => return Ok(answered),
            Err(failed) => failed,
        };
        // A stream that was closed while nobody used it says nothing of the dev server.
        let again = unsent.or(copy).filter(|_| matches!(trouble, Trouble::BrokeOff(_)));
        Box::pin(self.send_anew(target, again.ok_or(trouble)?)).await
    }

    /// Sends on a new stream.
    async fn send_anew(
        &self,
        target: &Target<'_>,
        request: Request<Body>,
    ) -> Result<(Stream, Response<Incoming>), Trouble> {
        let stream = Stream::begin(self.open(target).await?).await;
        let stream = stream.map_err(|_| Trouble::BrokeOff(target.passage.port))?;
        self.send_on(target, stream, request).await.map_err(|(trouble, _)| trouble)
    }

    /// Sends on this stream; a request of which nothing was sent comes back.
    async fn send_on(
        &self,
        target: &Target<'_>,
        mut stream: Stream,
        request: Request<Body>,
    ) -> Result<(Stream, Response<Incoming>), (Trouble, Option<Request<Body>>)> {
        let port = target.passage.port;
        let (parts, body) = request.into_parts();
        let (body, moves) = body::watched(body, self.meters.inward_bytes.clone());
        let begun = Instant::now();
        let until = || moves.last() + self.limits.silence;
        match stream.send(Request::from_parts(parts, body), until).await {
            Ok(response) => {
                self.meters.answer_time.observe(begun.elapsed().as_secs_f64());
                Ok((stream, response))
            }
            Err(Unanswered::Silent) => Err((Trouble::Silent(port), None)),
            Err(Unanswered::Broke(mut error)) => {
                let unsent = error.take_message();
                let cause = error.into_error();
                tracing::info!(port, error = %berth_daemon::exit::chain(&cause), "no answer of a dev server");
                let trouble =
                    if cause.is_parse() { Trouble::Nonsense(port) } else { Trouble::BrokeOff(port) };
                Err((trouble, unsent))
            }
        }
    }

    async fn open(&self, target: &Target<'_>) -> Result<DoorStream, Trouble> {
        let port = target.passage.port;
        target.handle.open_port(port, target.request_id).await.map_err(|error| {
            tracing::info!(port, error = %berth_daemon::exit::chain(&error), "no stream to a port");
            Trouble::at_door(&error, port)
        })
    }
}

/// The request as the dev server gets it.
fn prepared(request: Request<Body>, passage: &Passage<'_>, upgrade: bool) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    // HTTP/2 has no word for it: there a body without a length just comes.
    let unmeasured =
        parts.version == Version::HTTP_2 && !body.is_end_stream() && body.size_hint().exact().is_none();
    let chunked = unmeasured || parts.headers.contains_key(TRANSFER_ENCODING);
    inward(&mut parts.headers, passage, parts.uri.path(), upgrade);
    if chunked {
        // Said outright, because a GET would lose its body otherwise.
        parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    // The path alone: no host that a client named goes any further.
    if parts.uri.authority().is_some() || parts.uri.scheme().is_some() {
        let path = parts.uri.path_and_query().cloned();
        parts.uri = path.map_or_else(Uri::default, Uri::from);
    }
    parts.version = Version::HTTP_11;
    Request::from_parts(parts, body)
}

/// A request that may be sent twice: it has no body, and reads only.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
