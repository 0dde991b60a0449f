//! Answers requests that came through the door.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_protocol::control::NDJSON;
use berth_protocol::door::{
    HEADER_ATTACHMENT, KIND_PORT_CLOSED, KIND_PORT_FORBIDDEN, KIND_SESSION_UNKNOWN,
    KIND_TERMINAL_UNAVAILABLE, Status,
};
use berth_protocol::error::ErrorBody;
use berth_protocol::ids::{RequestId, SessionId};
use berth_protocol::observed::ObservedState;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use nix::unistd::Uid;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tracing::Instrument;

use super::calls::Calls;
use super::calls::backup::{Answered, BackupCalls};
use super::calls::suspend::Suspensions;
use super::hall::Admission;
use super::request::{Asked, BackupAsked, Refusal, file_name, read, request_id};
use super::splice::{Manner, splice};
use crate::terminal::attachments::{Attachments, Grant, Minted};
use crate::terminal::tmux::Tmux;
use crate::terminal::usher;

/// How long a program on this machine may take to accept a connection.
const DIAL_DEADLINE: Duration = Duration::from_secs(5);

/// Content type of whole answers.
const JSON: &str = "application/json";

/// What the door leads to.
pub struct Door {
    /// What runs.
    pub observed: watch::Receiver<Option<ObservedState>>,
    /// Who is attached.
    pub attachments: Attachments,
    /// What shows terminals.
    pub tmux: Tmux,
    /// Commands that want an answer.
    pub calls: Calls,
    /// The suspension.
    pub suspension: Suspensions,
    /// Backups.
    pub backups: BackupCalls,
    /// ttyd's socket, and whose it is.
    pub ttyd: (PathBuf, Uid),
    /// Ports of the agent itself, which no stream leads to.
    pub own_ports: Vec<u16>,
    /// How the box is.
    pub status: Box<dyn Fn() -> Status + Send + Sync>,
    /// Requests that were read, whatever was answered.
    pub requests: Counter,
    /// Connections that were dialled because a gateway asked for them.
    pub dial_backs: Counter,
}

/// A body that fails ends its connection: what came of it is not the whole.
type Body = UnsyncBoxBody<Bytes, io::Error>;

type Answer = Response<Body>;

/// Answers one request.
///
/// # Errors
/// Never: a refusal is an answer.
pub async fn answer(admission: Admission, mut request: Request<Incoming>) -> Result<Answer, Infallible> {
    admission.door.requests.inc();
    let id = match request_id(request.headers()) {
        Ok(id) => id,
        Err(refusal) => return Ok(refused(&refusal, None)),
    };
    let span = tracing::info_span!("door", request_id = %id);
    async {
        let door = admission.door.clone();
        let calls = &door.calls;
        let upgrade = hyper::upgrade::on(&mut request);
        let asked = read(request.method(), request.uri(), request.headers());
        let asked = asked.and_then(|asked| door.suspension.admit(&asked).map(|()| asked));
        // Probes come every few seconds, and from every gateway.
        let told = asked
            .as_ref()
            .ok()
            .filter(|asked| {
                !matches!(asked, Asked::Status | Asked::Suspension | Asked::Backup(BackupAsked::State))
            })
            .map(Asked::as_str);
        let outcome = match asked {
            Ok(Asked::Status) => Ok(json(StatusCode::OK, &(admission.door.status)())),
            Ok(Asked::Suspension) => Ok(json(StatusCode::OK, &door.suspension.now())),
            Ok(asked @ (Asked::Suspend | Asked::Resume)) => {
                Ok(json(StatusCode::ACCEPTED, &door.suspension.act(&id, &asked)))
            }
            Ok(Asked::Terminal(grant)) => terminal(admission, grant, upgrade).await,
            Ok(Asked::Port(port)) => loopback(admission, port, upgrade).await,
            Ok(Asked::Screen(session, address)) => {
                calls.screen(&session, address).await.map(|json| with_type(JSON, whole(json)))
            }
            Ok(Asked::Input(session)) => {
                calls.input(id.clone(), session, request.into_body()).await.map(|()| no_content())
            }
            Ok(Asked::Answer(session)) => {
                calls.answer(id.clone(), session, request.into_body()).await.map(|()| no_content())
            }
            Ok(Asked::Exec) => {
                calls.exec(id.clone(), request.into_body()).await.map(|said| with_type(NDJSON, lines(said)))
            }
            Ok(Asked::Backup(asked)) => {
                door.backups.answer(&id, &asked, request.into_body()).await.map(backup)
            }
            Ok(Asked::Upload(session)) => match file_name(request.headers()) {
                Ok(name) => {
                    let file = calls.uploads.take(id.clone(), session, name, request.into_body());
                    file.await.map(|file| json(StatusCode::CREATED, &file))
                }
                Err(refusal) => Err(refusal),
            },
            Err(refusal) => Err(refusal),
        };
        Ok(match outcome {
            Ok(answer) => {
                if let Some(asked) = told {
                    tracing::info!(asked, "answered");
                }
                answer
            }
            Err(refusal) => {
                tracing::info!(asked = told, kind = refusal.kind, "refused: {}", refusal.message);
                refused(&refusal, Some(id.clone()))
            }
        })
    }
    .instrument(span)
    .await
}

async fn terminal(admission: Admission, grant: Grant, upgrade: OnUpgrade) -> Result<Answer, Refusal> {
    let door = &admission.door;
    if !door.observed.borrow().as_ref().is_some_and(|observed| runs(observed, &grant.session)) {
        let message = format!("this box does not run the session {}", grant.session);
        return Err(Refusal::new(StatusCode::NOT_FOUND, KIND_SESSION_UNKNOWN, message));
    }
    let unavailable =
        |message: String| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, KIND_TERMINAL_UNAVAILABLE, message);
    let ttyd = dial(connect_to(&door.ttyd.0, door.ttyd.1)).await.map_err(|error| {
        unavailable(format!("the box's terminal program is not up ({error}); try again soon"))
    })?;
    let minted = door.attachments.mint(grant).map_err(|error| unavailable(error.to_string()))?;
    let mut answer = Response::new(whole(Bytes::new()));
    // An identifier has no character that a header could not carry.
    if let Ok(value) = HeaderValue::from_str(minted.id.as_str()) {
        answer.headers_mut().insert(HEADER_ATTACHMENT, value);
    }
    stream(admission, upgrade, ttyd, Manner::Fresh, Some(minted));
    Ok(answer)
}

/// Connects to a socket that must be `owner`'s. It stands in a directory of the terminals' user, who could put a link to
/// a socket of root's there and speak to that with the agent's rights.
async fn connect_to(socket: &Path, owner: Uid) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket).await?;
    if stream.peer_cred()?.uid() != owner.as_raw() {
        return Err(io::Error::other("somebody else answers at its socket"));
    }
    Ok(stream)
}

/// Whether a session can be attached to.
fn runs(observed: &ObservedState, session: &SessionId) -> bool {
    use berth_protocol::observed::SessionState::{Running, Unexpected};
    observed.sessions.iter().any(|known| known.id == *session && matches!(known.state, Running | Unexpected))
}

async fn loopback(admission: Admission, port: u16, upgrade: OnUpgrade) -> Result<Answer, Refusal> {
    if admission.door.own_ports.contains(&port) {
        let message = format!("port {port} is the agent's own");
        return Err(Refusal::new(StatusCode::FORBIDDEN, KIND_PORT_FORBIDDEN, message));
    }
    // Dev servers bind to one or the other, depending on how they resolve "localhost".
    let v4 = dial(TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))).await;
    let connected = match v4 {
        Ok(connected) => Ok(connected),
        Err(_) => dial(TcpStream::connect(SocketAddr::from((Ipv6Addr::LOCALHOST, port)))).await,
    };
    let target = connected.map_err(|error| {
        let message = format!("nothing listens on port {port} of this box ({error})");
        Refusal::new(StatusCode::BAD_GATEWAY, KIND_PORT_CLOSED, message)
    })?;
    if let Err(error) = target.set_nodelay(true) {
        tracing::debug!(%error, "failed to switch off Nagle's algorithm");
    }
    stream(admission, upgrade, target, Manner::Bulk, None);
    Ok(Response::new(whole(Bytes::new())))
}

async fn dial<T>(connect: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(DIAL_DEADLINE, connect).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Moves bytes once the answer is out. `minted` is void when the stream ends, and its program has to go.
fn stream<T>(admission: Admission, upgrade: OnUpgrade, target: T, manner: Manner, minted: Option<Minted>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let work = async move {
        let moved = async {
            let upgraded = upgrade.await.map_err(io::Error::other)?;
            splice(upgraded, target, manner)?.await
        };
        tokio::select! {
            outcome = moved => match outcome {
                Ok((inward, outward)) => tracing::debug!(inward, outward, "the stream has ended"),
                Err(error) => tracing::debug!(%error, "the stream broke"),
            },
            // Cancel-safe: nothing of either side is used any more.
            () = admission.closing.cancelled() => tracing::debug!("the stream was cut, the door is closing"),
        }
        let program = minted.and_then(Minted::end);
        let door = admission.door.clone();
        // Its place is another's from now on.
        drop(admission);
        if let Some(program) = program {
            // Boxed, so that a terminal that is open is not as large as one that ends.
            Box::pin(usher::see_out(&door.tmux, &program)).await;
        }
    };
    tokio::spawn(work.in_current_span());
}

fn refused(refusal: &Refusal, id: Option<RequestId>) -> Answer {
    json(refusal.status, &ErrorBody::new(refusal.kind, refusal.message.as_str(), id))
}

fn json(status: StatusCode, body: &impl serde::Serialize) -> Answer {
    let mut answer = with_type(JSON, whole(serde_json::to_vec(body).unwrap_or_default()));
    *answer.status_mut() = status;
    answer
}

fn backup(answered: Answered) -> Answer {
    match answered {
        Answered::Json(status, body) => {
            let mut answer = with_type(JSON, whole(body));
            *answer.status_mut() = status;
            answer
        }
        Answered::File(length, pieces) => {
            let mut answer = with_type("application/octet-stream", streamed(pieces));
            if let Some(length) = length {
                answer.headers_mut().insert(CONTENT_LENGTH, length.into());
            }
            answer
        }
    }
}

fn no_content() -> Answer {
    let mut answer = Response::new(whole(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

fn with_type(kind: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn whole(body: impl Into<Bytes>) -> Body {
    Full::from(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that goes on for as long as lines come; whoever drops it stops them.
fn lines(receiver: mpsc::Receiver<Bytes>) -> Body {
    let frames = futures_util::stream::unfold(receiver, async |mut receiver| {
        let line = receiver.recv().await?;
        Some((Ok(Frame::data(line)), receiver))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// A body of pieces, the last of which may be that there are no more.
fn streamed(receiver: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    let frames = futures_util::stream::unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((piece.map(Frame::data), receiver))
    });
    StreamBody::new(frames).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_of_somebody_else_is_not_spoken_to() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("ttyd.sock");
        let _listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let own = Uid::effective();
        assert!(connect_to(&socket, own).await.is_ok());
        let error = connect_to(&socket, Uid::from_raw(own.as_raw() + 1)).await.unwrap_err();
        assert!(error.to_string().contains("somebody else"), "{error}");
    }
}
