//! The asking end of the agent's socket. It blocks: its callers do nothing else.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Answer, MAX_ANSWER_BYTES, Request};

/// How long the agent may take for an answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No agent listens.
    #[error("failed to reach the agent at {path}: check that `box-agent run` runs, with the same settings")]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The agent went away or said something else.
    #[error("failed to understand the agent: it is stopping, or of another version")]
    Unintelligible(#[source] io::Error),
    /// The agent said no.
    #[error("{0}")]
    Refused(String),
}

/// Asks, and returns the answer together with the connection, which the agent watches.
///
/// # Errors
/// [`ControlError`].
pub fn ask(socket: &Path, request: &Request) -> Result<(Answer, UnixStream), ControlError> {
    ask_within(socket, request, DEADLINE)
}

/// The same for what takes its time.
///
/// # Errors
/// [`ControlError`].
pub fn ask_within(
    socket: &Path,
    request: &Request,
    deadline: Duration,
) -> Result<(Answer, UnixStream), ControlError> {
    let unreachable = |source| ControlError::Unreachable { path: socket.to_owned(), source };
    let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
    stream.set_read_timeout(Some(deadline)).map_err(unreachable)?;
    stream.set_write_timeout(Some(DEADLINE)).map_err(unreachable)?;
    let answer = exchange(&mut stream, request).map_err(ControlError::Unintelligible)?;
    match answer {
        Answer::Refused(message) => Err(ControlError::Refused(message)),
        answer => Ok((answer, stream)),
    }
}

fn exchange(stream: &mut UnixStream, request: &Request) -> io::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).take(MAX_ANSWER_BYTES).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}
