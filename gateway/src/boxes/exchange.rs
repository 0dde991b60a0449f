//! One exchange of HTTP/1 with a door.
//!
//! Between exchanges a connection is its stream and nothing else. What HTTP needs, two buffers and a task, would be most
//! of what a box costs on which nothing happens, for some connections with each are kept warm.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Parts, SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::dial::BoxStream;
use super::door::{DoorError, DoorStream};
use super::routes::Route;
use super::upload::Broken;

/// How long a connection may take to become free after an answer.
const TURN: Duration = Duration::from_secs(1);

/// The body of a request.
pub(super) type DoorBody = UnsyncBoxBody<Bytes, Broken>;

/// A connection to a door that leads nowhere yet.
#[derive(Debug)]
pub(super) struct DoorConnection {
    stream: BoxStream,
    /// How the connection came about.
    pub(super) route: Route,
}

/// A door that is being asked. Dropped, it is asked no more, and the connection goes.
#[derive(Debug)]
pub(super) struct Exchange {
    sender: SendRequest<DoorBody>,
    ended: oneshot::Receiver<Parts<TokioIo<BoxStream>>>,
    route: Route,
}

impl DoorConnection {
    /// A connection that came about by this route.
    pub(super) fn new(stream: BoxStream, route: Route) -> Self {
        Self { stream, route }
    }

    /// Whether the box has not closed it, as far as is known. It says nothing unasked, either.
    pub(super) fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let mut read = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut context, &mut read).is_pending()
    }

    /// Begins to speak HTTP/1.
    pub(super) async fn begin(self) -> hyper::Result<Exchange> {
        let (sender, connection) = handshake(TokioIo::new(self.stream)).await?;
        let (end, ended) = oneshot::channel();
        tokio::spawn(async move {
            match connection.without_shutdown().await {
                // Whoever asked may not care for the stream any more, which closes it.
                Ok(parts) => drop(end.send(parts)),
                Err(error) => tracing::debug!(%error, "door connection ended"),
            }
        });
        Ok(Exchange { sender, ended, route: self.route })
    }
}

impl Exchange {
    /// Sends the request, and waits until its answer begins.
    pub(super) async fn send(
        &mut self,
        request: http::Result<Request<DoorBody>>,
        limit: Duration,
    ) -> Result<Response<Incoming>, DoorError> {
        let request = request.map_err(|_| DoorError::Nonsense)?;
        timeout(limit, self.sender.send_request(request))
            .await
            .map_err(|_| DoorError::Lost(None))?
            .map_err(DoorError::from)
    }

    /// The same without a limit.
    pub(super) async fn send_patiently(
        &mut self,
        request: Request<DoorBody>,
    ) -> hyper::Result<Response<Incoming>> {
        self.sender.send_request(request).await
    }

    /// The stream that the door has agreed to.
    pub(super) async fn into_stream(self) -> Option<DoorStream> {
        // A `CONNECT` that was agreed to ends the exchange by itself.
        let parts = self.ended.await.ok()?;
        // A copy: however short, it is a piece of the buffer that the head was read into.
        let leftover = Bytes::copy_from_slice(&parts.read_buf);
        Some(DoorStream { io: parts.io.into_inner(), leftover })
    }

    /// The connection for another exchange, when the answer was read to its end. Nothing of one that goes on with this one:
    /// whoever has the answer does not wait for it.
    pub(super) async fn into_connection(self) -> Option<DoorConnection> {
        let Self { sender, ended, route } = self;
        drop(sender);
        let parts = timeout(TURN, ended).await.ok()?.ok().filter(|parts| parts.read_buf.is_empty())?;
        let mut connection = DoorConnection { stream: parts.io.into_inner(), route };
        // Asked also for the question's sake: the socket would keep the task that read it last until another does.
        connection.is_open().then_some(connection)
    }
}
