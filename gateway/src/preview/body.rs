//! Bodies on their way: nothing is held back, and each piece that moves is a sign of life.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::hold::Hold;
use super::pool::{Place, Pool};
use super::stream::Stream;

/// A request's body, which tells when a piece of it was taken.
pub struct Request {
    body: Body,
    /// Nothing for a body that is empty, as most are.
    moved: Option<watch::Sender<()>>,
    bytes: Counter,
}

/// Tells how a request's body moves.
pub struct Moves(Option<watch::Receiver<()>>);

impl Request {
    /// Watches a body.
    pub fn watched(body: Body, bytes: Counter) -> (Self, Moves) {
        let (moved, moves) = (!body.is_end_stream()).then(|| watch::channel(())).unzip();
        (Self { body, moved, bytes }, Moves(moves))
    }
}

impl Moves {
    /// Waits until nothing has moved for so long.
    pub async fn stopped(self, limit: Duration) {
        if let Some(mut moves) = self.0 {
            loop {
                match timeout(limit, moves.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => break,
                    Err(_) => return,
                }
            }
        }
        // All of it was taken; what is left is the answer.
        tokio::time::sleep(limit).await;
    }
}

impl hyper::body::Body for Request {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(moved) = &self.moved {
            moved.send_replace(());
        }
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
