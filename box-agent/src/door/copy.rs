//! Copies both ways between two connections, with one buffer for all connections of a thread.
//!
//! A buffer of its own would be most of what a silent terminal costs. None is needed: within one poll bytes are read
//! and written, and only what the other side does not take is kept, exactly as long as that lasts.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that can be moved at once.
const MOST: usize = 64 * 1024;

thread_local! {
    /// What is in it is another connection's, unless it was read within the same poll.
    static SHARED: RefCell<Box<[u8]>> = RefCell::new(vec![0; MOST].into());
}

/// Moves bytes both ways until both sides have said all. It ends with how many went from one to the other, and back, or
/// when a side breaks.
///
/// A type, for an `async fn` would have room for both connections twice.
pub struct Copy<A, B> {
    one: A,
    other: B,
    there: Way,
    back: Way,
}

impl<A, B> Copy<A, B> {
    /// Begins with bytes that came from `one` already, and moves `piece` of them at once at most.
    pub fn new(one: A, other: B, first: &[u8], piece: usize) -> Self {
        Self { one, other, there: Way::new(piece, first), back: Way::new(piece, &[]) }
    }
}

impl<A, B> Future for Copy<A, B>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    type Output = io::Result<(u64, u64)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { one, other, there, back } = &mut *self;
        // Both, always: each has its own waker to leave.
        let ended = (there.poll(cx, one, other)?, back.poll(cx, other, one)?);
        let both = ended.0.is_ready() && ended.1.is_ready();
        if both { Poll::Ready(Ok((there.bytes, back.bytes))) } else { Poll::Pending }
    }
}

/// One direction.
struct Way {
    piece: usize,
    /// What was read, and not yet taken by the other side.
    left: Vec<u8>,
    taken: usize,
    unflushed: bool,
    ended: bool,
    closed: bool,
    bytes: u64,
}

impl Way {
    fn new(piece: usize, first: &[u8]) -> Self {
        Self {
            piece: piece.min(MOST),
            left: first.to_vec(),
            taken: 0,
            unflushed: !first.is_empty(),
            ended: false,
            closed: false,
            bytes: first.len() as u64,
        }
    }

    /// Ready when everything has been passed on, and that it was everything.
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, reader: &mut R, writer: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        while !self.closed {
            ready!(self.poll_left(cx, writer))?;
            if self.ended {
                ready!(Pin::new(&mut *writer).poll_shutdown(cx))?;
                self.closed = true;
            } else if self.pass(cx, reader, writer)?.is_pending() {
                if self.unflushed {
                    ready!(Pin::new(&mut *writer).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is left from before.
    fn poll_left<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        while self.taken < self.left.len() {
            self.taken += ready!(poll_some(cx, writer, &self.left[self.taken..]))?;
        }
        (self.left, self.taken) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    /// Reads once, and writes as much of it as the other side takes.
    fn pass<R, W>(&mut self, cx: &mut Context<'_>, reader: &mut R, writer: &mut W) -> io::Result<Poll<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        SHARED.with_borrow_mut(|shared| {
            let mut read = ReadBuf::new(&mut shared[..self.piece]);
            if Pin::new(reader).poll_read(cx, &mut read)?.is_pending() {
                return Ok(Poll::Pending);
            }
            let mut rest = read.filled();
            self.ended = rest.is_empty();
            self.bytes += rest.len() as u64;
            self.unflushed |= !rest.is_empty();
            while !rest.is_empty() {
                match poll_some(cx, writer, rest)? {
                    Poll::Ready(taken) => rest = &rest[taken..],
                    Poll::Pending => {
                        self.left = rest.to_vec();
                        break;
                    }
                }
            }
            Ok(Poll::Ready(()))
        })
    }
}

/// Writes some bytes: a connection that takes none will never take any.
fn poll_some<W: AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    writer: &mut W,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(writer).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        taken => Poll::Ready(Ok(taken)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Bytes of which no piece looks like another.
    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap_or_default()).collect()
    }

    #[tokio::test]
    async fn bytes_arrive_both_ways_through_narrow_pipes_and_both_ends_are_told() {
        // One side has more at once than the other takes, so that something is left, on either side.
        for (wide, narrow, piece) in [(4096, 7, 1000), (7, 4096, 1000), (200_000, 1000, MOST)] {
            let (mut left, one) = duplex(wide);
            let (mut right, other) = duplex(narrow);
            let copying = tokio::spawn(Copy::new(one, other, b"", piece));
            let (there, back) = (bytes(300_000), bytes(170_001));
            let (mut left_read, mut left_write) = tokio::io::split(&mut left);
            let (mut right_read, mut right_write) = tokio::io::split(&mut right);
            let (mut at_right, mut at_left) = (Vec::new(), Vec::new());
            let says = async |writer: &mut (dyn AsyncWrite + Unpin), what: &[u8]| {
                writer.write_all(what).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            tokio::join!(
                says(&mut left_write, &there),
                says(&mut right_write, &back),
                async { right_read.read_to_end(&mut at_right).await.unwrap() },
                async { left_read.read_to_end(&mut at_left).await.unwrap() },
            );
            assert!(at_right == there && at_left == back, "pipes of {wide} and {narrow}, pieces of {piece}");
            assert_eq!(copying.await.unwrap().unwrap(), (300_000, 170_001));
        }
    }

    #[tokio::test]
    async fn one_side_can_go_on_when_the_other_has_said_all() {
        let (mut left, one) = duplex(64);
        let (mut right, other) = duplex(64);
        let copying = tokio::spawn(Copy::new(one, other, b"", 16));
        left.write_all(b"question").await.unwrap();
        left.shutdown().await.unwrap();
        let mut question = String::new();
        right.read_to_string(&mut question).await.unwrap();
        right.write_all(b"answer").await.unwrap();
        drop(right);
        let mut answer = String::new();
        left.read_to_string(&mut answer).await.unwrap();
        assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
        assert_eq!(copying.await.unwrap().unwrap(), (8, 6));
    }

    #[tokio::test]
    async fn what_came_before_comes_first() {
        let (mut left, one) = duplex(64);
        let (mut right, other) = duplex(4);
        let copying = tokio::spawn(Copy::new(one, other, b"very early, ", 16));
        left.write_all(b"late").await.unwrap();
        left.shutdown().await.unwrap();
        let mut all = String::new();
        right.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "very early, late");
        drop(right);
        assert_eq!(copying.await.unwrap().unwrap(), (16, 0));
    }

    #[tokio::test]
    async fn a_side_that_is_gone_ends_both() {
        let (mut left, one) = duplex(64);
        let (right, other) = duplex(64);
        let copying = tokio::spawn(Copy::new(one, other, b"", 16));
        drop(right);
        left.write_all(b"into the void").await.unwrap();
        assert_eq!(copying.await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
