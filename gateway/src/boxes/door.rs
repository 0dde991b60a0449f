//! Requests through a door: status, and streams to the terminal and to ports. Commands are in [`super::control`], files in
//! [`super::upload`].

use std::io;
use std::time::Duration;

use berth_protocol::door::{
    HEADER_ATTACHMENT, HEADER_CLIENT, HEADER_REQUEST_ID, HEADER_ROLE, HEADER_SESSION, HEADER_SIZE,
    KIND_SESSION_UNKNOWN, Role, SIZE_IGNORED, STATUS_PATH, Status, TARGET_TTYD, loopback_target,
};
use berth_protocol::error::ErrorBody;
use berth_protocol::ids::{AttachmentId, ClientId, RequestId, SessionId};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::timeout;

use super::dial::BoxStream;
use super::exchange::{DoorBody, DoorConnection, Exchange};

/// How long a box may take to answer a request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a box may take to connect to a port of its own: it tries two addresses, five seconds each.
const PORT_TIMEOUT: Duration = Duration::from_secs(12);

/// The largest answer that is read, bytes.
pub(super) const MAX_ANSWER: usize = 256 * 1024;

/// Why a door gave no answer, or not the one hoped for.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// No address answered, or none is known.
    #[error("the box can't be reached")]
    Unreachable(#[source] Option<io::Error>),
    /// The connection broke, or the box took too long.
    #[error("the box stopped answering")]
    Lost(#[source] Option<hyper::Error>),
    /// The box does not run the session.
    #[error("the box does not run this session")]
    SessionUnknown,
    /// The box refused, in its own words.
    #[error("the box refused: {message}")]
    Refused {
        /// The stable word.
        kind: String,
        /// The sentence.
        message: String,
    },
    /// The box said something that is not of the door's protocol.
    #[error("the box gave an answer that is not understood")]
    Nonsense,
}

impl From<hyper::Error> for DoorError {
    fn from(error: hyper::Error) -> Self {
        Self::Lost(Some(error))
    }
}

/// Who attaches to what.
#[derive(Debug, Clone)]
pub struct TerminalRequest {
    /// The session.
    pub session: SessionId,
    /// What the attachment may do.
    pub role: Role,
    /// Whether the attachment's size counts for the session.
    pub sized: bool,
    /// The client that attaches.
    pub client: ClientId,
    /// The request, for both logs.
    pub request_id: RequestId,
}

/// A stream through a door.
pub struct DoorStream {
    /// The connection, which belongs to this stream alone.
    pub io: BoxStream,
    /// Bytes that arrived together with the door's answer.
    pub leftover: Bytes,
}

/// Asks how the box is. The connection can be used again.
pub(super) async fn status(door: DoorConnection) -> Result<(Status, DoorConnection), DoorError> {
    let request = Request::get(STATUS_PATH).header(HOST, "box").body(whole(Bytes::new()));
    let mut exchange = door.begin().await?;
    let response = exchange.send(request, ANSWER_TIMEOUT).await?;
    if response.status() != StatusCode::OK {
        return Err(refusal(response).await);
    }
    let body = read(response, MAX_ANSWER).await?;
    let status = serde_json::from_slice(&body).map_err(|_| DoorError::Nonsense)?;
    Ok((status, exchange.into_connection().await.ok_or(DoorError::Lost(None))?))
}

pub(super) async fn open_terminal(
    door: DoorConnection,
    terminal: &TerminalRequest,
) -> Result<(DoorStream, AttachmentId), DoorError> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(TARGET_TTYD)
        .header(HOST, TARGET_TTYD)
        .header(HEADER_SESSION, terminal.session.as_str())
        .header(HEADER_ROLE, terminal.role.to_string())
        .header(HEADER_CLIENT, terminal.client.as_str())
        .header(HEADER_REQUEST_ID, terminal.request_id.as_str());
    if !terminal.sized {
        request = request.header(HEADER_SIZE, SIZE_IGNORED);
    }
    let mut exchange = door.begin().await?;
    let response = exchange.send(request.body(whole(Bytes::new())), ANSWER_TIMEOUT).await?;
    if response.status() != StatusCode::OK {
        return Err(refusal(response).await);
    }
    let attachment = response
        .headers()
        .get(HEADER_ATTACHMENT)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .ok_or(DoorError::Nonsense)?;
    Ok((stream(exchange, response).await?, attachment))
}

/// Opens a stream to a loopback port of the box.
pub(super) async fn open_port(
    door: DoorConnection,
    port: u16,
    request_id: &RequestId,
) -> Result<DoorStream, DoorError> {
    let target = loopback_target(port);
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(&target)
        .header(HOST, &target)
        .header(HEADER_REQUEST_ID, request_id.as_str())
        .body(whole(Bytes::new()));
    // The box itself waits for the port.
    let mut exchange = door.begin().await?;
    let response = exchange.send(request, PORT_TIMEOUT).await?;
    if response.status() != StatusCode::OK {
        return Err(refusal(response).await);
    }
    stream(exchange, response).await
}

async fn stream(exchange: Exchange, response: Response<Incoming>) -> Result<DoorStream, DoorError> {
    drop(response);
    exchange.into_stream().await.ok_or(DoorError::Lost(None))
}

/// A body that is there.
pub(super) fn whole(bytes: Bytes) -> DoorBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

pub(super) async fn read(response: Response<Incoming>, limit: usize) -> Result<Bytes, DoorError> {
    let body = Limited::new(response.into_body(), limit).collect();
    let body = timeout(ANSWER_TIMEOUT, body).await.map_err(|_| DoorError::Lost(None))?;
    Ok(body.map_err(|_| DoorError::Nonsense)?.to_bytes())
}

pub(super) async fn refusal(response: Response<Incoming>) -> DoorError {
    let Ok(body) = read(response, MAX_ANSWER).await else { return DoorError::Nonsense };
    match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(body) if body.error.kind == KIND_SESSION_UNKNOWN => DoorError::SessionUnknown,
        Ok(body) => DoorError::Refused { kind: body.error.kind, message: body.error.message },
        Err(_) => DoorError::Nonsense,
    }
}
