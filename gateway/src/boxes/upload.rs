//! A file through a door, as it comes: the gateway never holds more than a few pieces of it.

use std::error::Error;
use std::time::Duration;

use berth_protocol::control::files::{
    FileName, HEADER_FILE_NAME, UPLOAD_STALL_SECONDS, Uploaded, files_path,
};
use berth_protocol::door::HEADER_REQUEST_ID;
use berth_protocol::ids::{RequestId, SessionId};
use futures_util::Stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::{Request, StatusCode};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::door::{DoorError, MAX_ANSWER, read, refusal};
use super::exchange::DoorConnection;

/// How long a box may take no byte, and how long it may take for its answer. Longer than a client may be
/// silent, so that it is known who stalls.
const STALL: Duration = Duration::from_secs(UPLOAD_STALL_SECONDS + 15);

/// The longest path that a box is believed, bytes: what Linux takes.
const MAX_PATH: usize = 4096;

/// A file on its way.
#[derive(Debug)]
pub struct Upload {
    /// Whose directory it is for.
    pub session: SessionId,
    /// What it is called.
    pub name: FileName,
    /// How long it is.
    pub length: u64,
    /// Its pieces. A channel that closes before they are that long breaks the upload off.
    pub pieces: mpsc::Receiver<Result<Bytes, Broken>>,
    /// The request, for both logs.
    pub request_id: RequestId,
}

/// Why the pieces of a file stopped to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The client has gone.
    #[error("the client has gone")]
    Gone,
    /// The client said nothing for too long.
    #[error("nothing came for {UPLOAD_STALL_SECONDS} s")]
    Stalled,
}

impl Broken {
    /// What broke an upload off, if it was not the box.
    #[must_use]
    pub fn of(error: &DoorError) -> Option<Self> {
        let DoorError::Lost(Some(error)) = error else { return None };
        error.source()?.downcast_ref().copied()
    }
}

/// Sends a file. The connection is used up.
pub(super) async fn send(door: DoorConnection, upload: Upload) -> Result<Uploaded, DoorError> {
    let Upload { session, name, length, pieces, request_id } = upload;
    let (moved, moves) = watch::channel(());
    let request = Request::post(files_path(&session))
        .header(HOST, "box")
        .header(HEADER_REQUEST_ID, request_id.as_str())
        .header(HEADER_FILE_NAME, name.to_header())
        .header(CONTENT_LENGTH, length)
        .body(StreamBody::new(frames(pieces, moved)).boxed_unsync())
        .map_err(|_| DoorError::Nonsense)?;
    let mut exchange = door.begin().await?;
    let response = tokio::select! {
        // Cancel-safe, both: what is dropped takes the connection along, and the box notices.
        answer = exchange.send_patiently(request) => answer?,
        () = stalled(moves) => return Err(DoorError::Lost(None)),
    };
    if response.status() != StatusCode::CREATED {
        return Err(refusal(response).await);
    }
    let file: Uploaded =
        serde_json::from_slice(&read(response, MAX_ANSWER).await?).map_err(|_| DoorError::Nonsense)?;
    if is_plausible(&file, length) { Ok(file) } else { Err(DoorError::Nonsense) }
}

/// The pieces as a body, each of which is a sign of life from the box: it is asked for when there is room.
fn frames(
    pieces: mpsc::Receiver<Result<Bytes, Broken>>,
    moved: watch::Sender<()>,
) -> impl Stream<Item = Result<Frame<Bytes>, Broken>> {
    futures_util::stream::unfold((pieces, moved), async |(mut pieces, moved)| {
        let piece = pieces.recv().await?;
        moved.send_replace(());
        Some((piece.map(Frame::data), (pieces, moved)))
    })
}

/// Waits until nothing has moved for too long.
async fn stalled(mut moves: watch::Receiver<()>) {
    loop {
        match timeout(STALL, moves.changed()).await {
            Ok(Ok(())) => {}
            // All pieces are on their way; what is left is the answer.
            Ok(Err(_)) => return sleep(STALL).await,
            Err(_) => return,
        }
    }
}

/// What a box says is a claim that a page shows and types.
fn is_plausible(file: &Uploaded, length: u64) -> bool {
    let directory = file.path.strip_suffix(file.name.as_str());
    FileName::parse(&file.name).is_ok()
        && directory.is_some_and(|directory| directory.starts_with('/') && directory.ends_with('/'))
        && file.path.len() <= MAX_PATH
        && file.bytes == length
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn a_box_is_believed_what_can_be_true() {
        let file = |path: &str, name: &str, bytes| Uploaded { path: path.into(), name: name.into(), bytes };
        assert!(is_plausible(&file("/d/a", "a", 1), 1) && is_plausible(&file("/a", "a", 1), 1));
        let long = format!("/{}/a", "x".repeat(MAX_PATH));
        for (path, name, bytes) in [
            ("/d/a", "a", 2),
            ("/d/b", "a", 1),
            ("d/a", "a", 1),
            ("/d/ba", "a", 1),
            ("/d/../x", "../x", 1),
            (&long, "a", 1),
        ] {
            assert!(!is_plausible(&file(path, name, bytes), 1), "{path} {name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_box_may_be_slow_but_not_silent() {
        let (moved, moves) = watch::channel(());
        let begun = Instant::now();
        let watching = tokio::spawn(stalled(moves));
        for _ in 0..10 {
            sleep(STALL - Duration::from_secs(1)).await;
            moved.send_replace(());
        }
        assert!(!watching.is_finished());
        watching.await.unwrap();
        assert_eq!(begun.elapsed(), 10 * (STALL - Duration::from_secs(1)) + STALL);

        let (moved, moves) = watch::channel(());
        drop(moved);
        let begun = Instant::now();
        stalled(moves).await;
        assert_eq!(begun.elapsed(), STALL, "the answer has its own time");
    }
}
