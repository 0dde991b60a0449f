//! Passes a file on to the worker that writes it, as it comes: the agent never holds more than a piece of it.
//!
//! The worker knows how long the file is, so that a stream that broke off never looks like a whole one: its
//! input just ends, and it leaves nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use berth_protocol::control::files::{
    FileName, KIND_DIRECTORY_GONE, KIND_DIRECTORY_NOT_WRITABLE, KIND_FILE_NAMES_TAKEN, KIND_FILE_TOO_LARGE,
    KIND_LENGTH_REQUIRED, KIND_NO_SPACE, KIND_UPLOAD_BUSY, KIND_UPLOAD_FAILED, KIND_UPLOAD_INCOMPLETE,
    MAX_UPLOAD, UPLOAD_STALL_SECONDS, Uploaded,
};
use berth_protocol::ids::{RequestId, SessionId};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::Instrument;

use super::once::{Once, Repeated};
use super::{internal, repeated};
use crate::door::request::Refusal;
use crate::host::account::Account;
use crate::host::command::Invocation;
use crate::host::group::{Group, Pipes};
use crate::terminal::tmux::Tmux;
use crate::worker::upload::{Failure, Outcome};

/// Uploads at the same time.
const MAX_UPLOADS: usize = 4;

/// How long the next bytes are waited for, and a worker that has them all.
const STALL: Duration = Duration::from_secs(UPLOAD_STALL_SECONDS);

/// How long a worker has to tidy up once its input has ended too early.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long a gateway that is about to be answered may pause while it sends.
const LINGER: Duration = Duration::from_secs(2);

/// The most that a worker says, bytes.
const MAX_SAID: u64 = 4096;

/// Files for sessions.
pub struct Uploads {
    tmux: Tmux,
    account: Account,
    agent: PathBuf,
    places: Arc<Semaphore>,
    seen: Once<Result<Uploaded, Refusal>>,
}

/// What became of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    /// The worker has them all.
    Whole,
    /// The worker wants no more of them.
    NotWanted,
    /// They stopped to come.
    Broken,
    /// They, or the worker, took too long.
    Stalled,
}

impl Uploads {
    /// Files for sessions of this tmux server, written by this program.
    #[must_use]
    pub fn new(tmux: Tmux, account: Account, agent: PathBuf) -> Self {
        let places = Arc::new(Semaphore::new(MAX_UPLOADS));
        Self { tmux, account, agent, places, seen: Once::default() }
    }

    /// Writes a file into a session's directory, once for each request id.
    ///
    /// # Errors
    /// [`Refusal`]; nothing of the file is there then.
    pub async fn take(
        self: &Arc<Self>,
        id: RequestId,
        session: SessionId,
        name: FileName,
        mut body: Incoming,
    ) -> Result<Uploaded, Refusal> {
        let this = self.clone();
        // On its own: whatever becomes of the connection, the worker is waited for.
        let work = async move {
            let outcome = match this.seen.first(&id) {
                Ok(turn) => turn.done(this.write(&session, &name, &mut body).await),
                Err(Repeated(first)) => first.outcome().await.unwrap_or_else(|| Err(repeated())),
            };
            // A body that did not come has nothing to swallow.
            if !outcome.as_ref().is_err_and(|refusal| refusal.kind == KIND_UPLOAD_INCOMPLETE) {
                swallow(&mut body).await;
            }
            outcome
        };
        tokio::spawn(work.in_current_span()).await.unwrap_or_else(|_| Err(internal()))
    }

    async fn write(
        &self,
        session: &SessionId,
        name: &FileName,
        body: &mut Incoming,
    ) -> Result<Uploaded, Refusal> {
        let length = body.size_hint().exact().ok_or_else(|| {
            Refusal::new(
                StatusCode::LENGTH_REQUIRED,
                KIND_LENGTH_REQUIRED,
                "the length of the file is needed",
            )
        })?;
        if length > MAX_UPLOAD {
            let message = format!("a file has {MAX_UPLOAD} bytes at most");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, KIND_FILE_TOO_LARGE, message));
        }
        let _place = self.places.try_acquire().map_err(|_| {
            let message = format!("{MAX_UPLOADS} uploads go on already; try again when one has ended");
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, KIND_UPLOAD_BUSY, message)
        })?;
        let directory = self.tmux.directory(session).await?;
        let stored = self.store(&directory, name, length, body).await?;
        let path = directory.join(&stored);
        tracing::info!(path = %path.display(), bytes = length, "a file was uploaded");
        Ok(Uploaded { path: path.to_string_lossy().into_owned(), name: stored, bytes: length })
    }

    async fn store(
        &self,
        directory: &Path,
        name: &FileName,
        length: u64,
        body: &mut Incoming,
    ) -> Result<String, Refusal> {
        let invocation = worker(&self.agent, &self.account, directory, name, length);
        let (mut group, pipes) = Group::start(&invocation, Path::new("/"), true)
            .map_err(|error| failed(&format!("the worker can't be started: {error}")))?;
        let Pipes { stdin, stdout, stderr } = pipes;
        // Closed when it returns: the worker's input ends here.
        let fed = feed(stdin, body).await;
        let patience = if fed == Fed::Whole { STALL } else { LAST_WORDS };
        let ended = async { tokio::join!(read(stdout), read(stderr), group.ended()) };
        let said = match timeout(patience, ended).await {
            Ok((said, complaints, ended)) => {
                if !complaints.is_empty() || ended.is_err() {
                    tracing::warn!(?ended, "the worker complained: {}", String::from_utf8_lossy(&complaints));
                }
                said
            }
            Err(_) => Vec::new(),
        };
        // A name says that the file is there, whatever else has happened.
        match serde_json::from_slice(&said) {
            Ok(Outcome::Stored(name)) => Ok(name),
            Ok(Outcome::Failed(failure)) => Err(refusal(&failure, fed)),
            Err(_) if matches!(fed, Fed::Whole | Fed::NotWanted) => Err(failed("the worker said nothing")),
            Err(_) => Err(refusal(&Failure::Incomplete, fed)),
        }
    }
}

/// What a worker says, as far as anybody wants to know.
async fn read(pipe: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    // What can't be read is not understood, which is told.
    let _ = pipe.take(MAX_SAID).read_to_end(&mut said).await;
    said
}

fn worker(agent: &Path, account: &Account, directory: &Path, name: &FileName, length: u64) -> Invocation {
    let length = length.to_string();
    let words = ["worker", "upload", "--length", &length, "--name", name.as_str(), "--directory"];
    let words = words.into_iter().map(std::ffi::OsStr::new).chain([directory.as_os_str()]);
    Invocation::new(agent, words).as_user(account)
}

async fn feed<B>(pipe: Option<impl AsyncWrite + Unpin>, body: &mut B) -> Fed
where
    B: Body<Data = Bytes> + Unpin,
{
    let Some(mut pipe) = pipe else { return Fed::NotWanted };
    loop {
        let piece = match timeout(STALL, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Fed::Whole,
            Ok(Some(Err(_))) => return Fed::Broken,
            Err(_) => return Fed::Stalled,
        };
        let Some(data) = piece.data_ref() else { continue };
        match timeout(STALL, pipe.write_all(data)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Fed::NotWanted,
            Err(_) => return Fed::Stalled,
        }
    }
}

/// Reads what is left of a body that is not wanted, so that the answer is read and not lost with a connection
/// that is closed while its other end still sends.
async fn swallow(body: &mut Incoming) {
    let mut left = 2 * MAX_UPLOAD;
    while let Ok(Some(Ok(frame))) = timeout(LINGER, body.frame()).await {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}

fn refusal(failure: &Failure, fed: Fed) -> Refusal {
    let conflict = |kind| Refusal::new(StatusCode::CONFLICT, kind, failure.to_string());
    match failure {
        Failure::DirectoryGone => conflict(KIND_DIRECTORY_GONE),
        Failure::DirectoryNotWritable => conflict(KIND_DIRECTORY_NOT_WRITABLE),
        Failure::NamesTaken => conflict(KIND_FILE_NAMES_TAKEN),
        Failure::NoSpace => {
            Refusal::new(StatusCode::INSUFFICIENT_STORAGE, KIND_NO_SPACE, failure.to_string())
        }
        Failure::Incomplete if fed == Fed::Stalled => {
            let message = format!("nothing of the file came for {UPLOAD_STALL_SECONDS} s");
            Refusal::new(StatusCode::REQUEST_TIMEOUT, KIND_UPLOAD_INCOMPLETE, message)
        }
        Failure::Incomplete => {
            Refusal::new(StatusCode::BAD_REQUEST, KIND_UPLOAD_INCOMPLETE, failure.to_string())
        }
        Failure::Other(_) => failed(&failure.to_string()),
    }
}

fn failed(message: &str) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, KIND_UPLOAD_FAILED, message)
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use tokio::io::{duplex, sink};
    use tokio::time::Instant;

    use super::*;

    type Piece = Result<&'static [u8], &'static str>;

    /// A body of these pieces, which goes on for ever in silence if `open`.
    fn body(pieces: Vec<Piece>, open: bool) -> impl Body<Data = Bytes, Error = &'static str> + Unpin {
        let pieces =
            stream::iter(pieces).map(|piece| piece.map(|data| Frame::data(Bytes::from_static(data))));
        let end = stream::once(std::future::pending()).take(usize::from(open));
        StreamBody::new(Box::pin(pieces.chain(end)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_ends_breaks_or_stalls_is_told_apart() {
        let begun = Instant::now();
        assert_eq!(feed(Some(sink()), &mut body(vec![Ok(b"a"), Ok(b"b")], false)).await, Fed::Whole);
        assert_eq!(feed(Some(sink()), &mut body(vec![Ok(b"a"), Err("cut")], false)).await, Fed::Broken);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(feed(Some(sink()), &mut body(vec![Ok(b"a")], true)).await, Fed::Stalled);
        assert_eq!(begun.elapsed(), STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_ends_or_hangs_is_told_apart() {
        let (pipe, worker) = duplex(1);
        drop(worker);
        assert_eq!(feed(Some(pipe), &mut body(vec![Ok(b"abc")], true)).await, Fed::NotWanted);
        let (pipe, _worker) = duplex(1);
        let begun = Instant::now();
        assert_eq!(feed(Some(pipe), &mut body(vec![Ok(b"abc")], true)).await, Fed::Stalled);
        assert_eq!(begun.elapsed(), STALL);
    }

    #[test]
    fn a_name_is_never_an_option_of_the_worker() {
        let name = FileName::parse("a b").unwrap();
        let account = Account::find(None, "/h".into(), None).unwrap();
        let invocation = worker(Path::new("/bin/box-agent"), &account, Path::new("/d"), &name, 7);
        assert_eq!(
            invocation.args.join(std::ffi::OsStr::new("|")),
            "worker|upload|--length|7|--name|a b|--directory|/d"
        );
        assert!(invocation.env.is_empty());
    }
}
