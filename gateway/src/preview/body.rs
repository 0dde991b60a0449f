//! Bodies on their way: nothing is held back, and each piece that moves is a sign of life.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::hold::Hold;
use super::pool::{Place, Pool};
use super::stream::Stream;

/// A request's body, which tells when a piece of it was taken.
struct Request {
    body: Body,
    moved: Arc<Mutex<Instant>>,
    bytes: Counter,
}

/// When a request moved last.
pub struct Moves {
    begun: Instant,
    /// Nothing where there is no body, as mostly.
    body: Option<Arc<Mutex<Instant>>>,
}

impl Moves {
    /// When a piece of its body was taken last, or else when it began.
    pub fn last(&self) -> Instant {
        let moved = self.body.as_ref();
        moved.map_or(self.begun, |moved| *moved.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Watches the body of a request that begins now.
pub fn watched(body: Body, bytes: Counter) -> (Body, Moves) {
    let begun = Instant::now();
    if body.is_end_stream() {
        return (body, Moves { begun, body: None });
    }
    let moved = Arc::new(Mutex::new(begun));
    (Body::new(Request { body, moved: moved.clone(), bytes }), Moves { begun, body: Some(moved) })
}

impl hyper::body::Body for Request {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if let Some(Ok(frame)) = &frame {
            self.bytes.inc_by(length(frame));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes from which on an answer's stream has a task of its own.
const LONG: u64 = 1024 * 1024;

/// An answer broke off: the right to see it has ended, or the gateway stops.
#[derive(Debug, thiserror::Error)]
#[error("the exchange was ended")]
struct Ended;

/// An answer's body. When it has ended, its stream is free for the next request.
pub struct Answer {
    body: Incoming,
    /// Nothing once it is free.
    stream: Option<Stream>,
    /// Where it goes then; nowhere, if it can't be used again.
    back: Option<(Arc<Pool>, Place)>,
    bytes: Counter,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    _hold: Hold,
}

impl Answer {
    /// A body that goes on for as long as `hold` may, and gives its stream back after that.
    pub fn new(
        body: Incoming,
        mut stream: Stream,
        back: Option<(Arc<Pool>, Place)>,
        bytes: Counter,
        hold: Hold,
    ) -> Self {
        let cancelled = Box::pin((*hold.cancel).clone().cancelled_owned());
        // What has no length yet may become anything, and is mostly waited for.
        if body.size_hint().lower() >= LONG {
            stream.detach();
        }
        let mut answer = Self { body, stream: Some(stream), back, bytes, cancelled, _hold: hold };
        if answer.body.is_end_stream() {
            answer.ended();
        }
        answer
    }

    fn ended(&mut self) {
        if let (Some(stream), Some((pool, place))) = (self.stream.take(), self.back.take()) {
            pool.give(place, stream);
        }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.cancelled.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(Ended))));
        }
        let Self { body, stream, .. } = &mut *self;
        let Some(stream) = stream else { return Poll::Ready(None) };
        let frame = ready!(stream.poll_frame(body, context));
        match &frame {
            Some(Ok(frame)) => {
                self.bytes.inc_by(length(frame));
                if self.body.is_end_stream() {
                    self.ended();
                }
            }
            None => self.ended(),
            Some(Err(_)) => {}
        }
        Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| data.len() as u64)
}
