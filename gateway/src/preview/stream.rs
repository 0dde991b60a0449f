//! A stream to a dev server, and the HTTP/1 that is spoken on it.
//!
//! It has no task of its own: whoever sends a request or reads an answer moves it along. With one, each request would
//! go from task to task and back, often to another processor, which takes longer than all that is done for it. A long
//! answer gains by it, since one processor reads while another writes; a request's body that may outlast the answer needs
//! it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::rewind::Rewind;
use crate::boxes::DoorStream;
use crate::patience::Patience;

/// What has to be moved along.
type Driven = Pin<Box<Connection<TokioIo<Rewind>, Body>>>;

/// A stream over which one request after another can go.
pub struct Stream {
    sender: SendRequest<Body>,
    /// Nothing once it has ended, and where it has a task after all.
    connection: Option<Driven>,
    patience: Patience,
}

/// Why an answer has not begun.
pub enum Unanswered {
    /// Nothing came in time.
    Silent,
    /// The stream broke, with the request if nothing of it was sent.
    Broke(Box<TrySendError<Request<Body>>>),
}

impl Stream {
    /// Begins to speak HTTP/1.
    ///
    /// # Errors
    /// When it can't be spoken.
    pub async fn begin(stream: DoorStream) -> hyper::Result<Self> {
        let (sender, connection) = handshake(stream, &Builder::new()).await?;
        Ok(Self { sender, connection: Some(Box::pin(connection)), patience: Patience::default() })
    }

    /// The same for one request that asks for an upgrade: that outlives the exchange, and has a task.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn begin_upgradeable(stream: DoorStream) -> hyper::Result<Self> {
        // Some programs compare names of WebSockets' headers to the letter. Elsewhere a browser, to which most
        // answers go by HTTP/2, gets small letters.
        let mut as_it_came = Builder::new();
        as_it_came.preserve_header_case(true);
        let (sender, connection) = handshake(stream, &as_it_came).await?;
        tokio::spawn(async move { note(connection.with_upgrades().await) });
        Ok(Self { sender, connection: None, patience: Patience::default() })
    }

    /// Gives it a task of its own from now on.
    pub fn detach(&mut self) {
        if let Some(connection) = self.connection.take() {
            tokio::spawn(async move { note(connection.await) });
        }
    }

    /// Sends a request, and waits for the beginning of its answer until it is later than `until` says.
    ///
    /// # Errors
    /// [`Unanswered`]. What is sent next may be answered with what was waited for: drop the stream.
    pub async fn send(
        &mut self,
        request: Request<Body>,
        until: impl Fn() -> Instant,
    ) -> Result<Response<Incoming>, Unanswered> {
        let Self { sender, connection, patience } = self;
        let mut sent = pin!(sender.try_send_request(request));
        poll_fn(|context| {
            drive(connection, context);
            if let Poll::Ready(answered) = sent.as_mut().poll(context) {
                return Poll::Ready(answered.map_err(|error| Unanswered::Broke(Box::new(error))));
            }
            patience.poll_end(until(), context).map(|()| Err(Unanswered::Silent))
        })
        .await
    }

    /// The next piece of an answer's body.
    pub fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        // The body first: nothing is read before somebody has asked for it.
        let mut frame = Pin::new(&mut *body).poll_frame(context);
        if frame.is_pending() {
            drive(&mut self.connection, context);
            frame = Pin::new(body).poll_frame(context);
        }
        frame
    }

    /// Whether the next request can be sent at once, as far as the stream was moved along.
    pub fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether the next request can be sent at once.
    pub fn is_free(&mut self) -> bool {
        drive(&mut self.connection, &mut Context::from_waker(Waker::noop()));
        self.is_ready()
    }

    /// Waits until the next request can be sent; false if none ever can.
    pub async fn until_free(&mut self) -> bool {
        poll_fn(|context| {
            drive(&mut self.connection, context);
            self.sender.poll_ready(context)
        })
        .await
        .is_ok()
    }
}

async fn handshake(
    stream: DoorStream,
    builder: &Builder,
) -> hyper::Result<(SendRequest<Body>, Connection<TokioIo<Rewind>, Body>)> {
    builder.handshake(TokioIo::new(Rewind::new(stream))).await
}

/// Moves what can be moved.
fn drive(connection: &mut Option<Driven>, context: &mut Context<'_>) {
    if let Some(driven) = connection
        && let Poll::Ready(outcome) = driven.as_mut().poll(context)
    {
        *connection = None;
        note(outcome);
    }
}

fn note(outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "stream to a port ended");
    }
}
