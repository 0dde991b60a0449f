//! A stock ttyd client's first message, read before the box is dialled.
//!
//! Such a client carries its ticket there, as `AuthToken`, so the gateway has to read it to know which session is
//! meant. A `berth.v1` client carries its ticket in the handshake and needs none of this.

use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Duration;

use berth_protocol::door::Role;
use tokio::io::{AsyncRead, AsyncWrite};

use super::handshake::{Mode, Ticket};
use super::input::{Event, Input, Violation};
use super::scratch;
use super::side::Side;
use super::size::Size;

/// A stock client's first message.
#[derive(Debug)]
pub struct First {
    /// Its `AuthToken`.
    pub ticket: Ticket,
    /// The size of its screen, for [`Options::started`](super::Options::started).
    pub size: Size,
}

/// Why no first message came.
#[derive(Debug, thiserror::Error)]
pub enum FirstError {
    /// The connection broke, or ended.
    #[error("the connection broke before the first message")]
    Io(#[from] std::io::Error),
    /// The client closed.
    #[error("the client closed before its first message")]
    Closed,
    /// The client sent something else.
    #[error("the client sent something else than a first message")]
    Violation(#[from] Violation),
    /// The client kept silent.
    #[error("no first message came in time")]
    Timeout,
}

/// Reads a stock client's first message, and not a byte beyond it.
///
/// # Errors
/// When `limit` passes or the client sends anything else; [`refuse`](super::refuse) tells it so.
pub async fn read_first<S>(browser: &mut Side<S>, limit: Duration) -> Result<First, FirstError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = Input::new(Mode::Tty, Role::Viewer, false);
    let read = poll_fn(|cx| {
        scratch::with(|scratch| {
            loop {
                let size = ready!(browser.poll_read(cx, &mut scratch.read))?;
                if size == 0 {
                    return Poll::Ready(Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()));
                }
                let mut outcome = None;
                for at in 0..size {
                    // One byte at a time: what follows the message belongs to the terminal, untouched.
                    input.push(&mut scratch.read[at..=at], |event| match event {
                        Event::Start(size, ticket) => {
                            outcome = Some(Ok(First { ticket: ticket.clone(), size }))
                        }
                        Event::Close(_) => outcome = Some(Err(FirstError::Closed)),
                        _ => {}
                    })?;
                    if let Some(outcome) = outcome {
                        browser.unread(&scratch.read[at + 1..size]);
                        return Poll::Ready(outcome);
                    }
                }
            }
        })
    });
    tokio::time::timeout(limit, read).await.map_err(|_| FirstError::Timeout)?
}
