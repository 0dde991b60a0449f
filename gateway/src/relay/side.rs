//! One of the two streams: what was read too early, and what could not be written yet.
//!
//! Writes go straight from the caller's buffer into the stream. Only what the stream does not take is copied,
//! into a buffer that exists until it is written; an idle terminal owns none. Nobody may pass on what the other side
//! says before [`Side::poll_drained`] is ready: that is the whole of the relay's back-pressure, and what bounds the
//! buffer to one chunk, and the rest of a message that a renewal cuts.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An upgraded stream, with the bytes that were read together with the head of its handshake.
#[derive(Debug)]
pub struct Side<S> {
    stream: S,
    leftover: Bytes,
    unsent: Vec<u8>,
    sent: usize,
    unflushed: bool,
}

impl<S> Side<S> {
    /// A stream whose next bytes are those of `leftover`.
    #[must_use]
    pub fn new(stream: S, leftover: Bytes) -> Self {
        // A copy: it is a piece, even when it is empty, of the buffer that the head was read into.
        let leftover = Bytes::copy_from_slice(&leftover);
        Self { stream, leftover, unsent: Vec::new(), sent: 0, unflushed: false }
    }

    /// Stream and leftover; what was not written yet is lost.
    #[must_use]
    pub fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.leftover)
    }

    /// Whether bytes wait because the stream did not take them.
    pub(super) fn is_blocked(&self) -> bool {
        self.unflushed
    }

    /// Keeps bytes to be written by [`Self::poll_drained`].
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        self.unflushed = true;
    }

    /// Puts bytes in front of what the stream will give next.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        self.leftover = [bytes, &self.leftover].concat().into();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Side<S> {
    /// Reads what is there into `buffer`; zero bytes are the end of the stream.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.leftover.has_remaining() {
            let size = buffer.len().min(self.leftover.len());
            self.leftover.copy_to_slice(&mut buffer[..size]);
            if self.leftover.is_empty() {
                // An empty remainder would go on holding the allocation that it is a part of.
                self.leftover = Bytes::new();
            }
            return Poll::Ready(Ok(size));
        }
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes `bytes` as far as the stream takes them now, and keeps the rest.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, mut bytes: &[u8]) -> io::Result<()> {
        if self.unsent.is_empty() {
            while !bytes.is_empty() {
                self.unflushed = true;
                match Pin::new(&mut self.stream).poll_write(cx, bytes)? {
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(size) => bytes = &bytes[size..],
                    Poll::Pending => break,
                }
            }
        }
        self.unsent.extend_from_slice(bytes);
        Ok(())
    }

    /// Ready when everything is written and flushed.
    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                size => self.sent += size,
            }
        }
        (self.unsent, self.sent) = (Vec::new(), 0);
        if self.unflushed {
            // Over TLS a write may have ended in the session's own buffer: without this it would stay there.
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Ends our direction of the stream; over TLS this says so to the peer.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_was_read_too_early_comes_first() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut side = Side::new(ours, Bytes::from_static(b"early"));
        side.unread(b"very ");
        theirs.write_all(b"late").await.unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 3];
        while seen.len() < 14 {
            let size = poll_fn(|cx| side.poll_read(cx, &mut buffer)).await.unwrap();
            seen.extend_from_slice(&buffer[..size]);
        }
        assert_eq!(seen, b"very earlylate");
    }

    #[tokio::test]
    async fn what_the_stream_does_not_take_is_kept_in_order_and_its_buffer_freed() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut side = Side::new(ours, Bytes::new());
        poll_fn(|cx| Poll::Ready(side.send(cx, b"abcdef").and_then(|()| side.send(cx, b"gh"))))
            .await
            .unwrap();
        assert!(side.is_blocked());
        let mut seen = [0; 8];
        let (drained, read) = tokio::join!(poll_fn(|cx| side.poll_drained(cx)), theirs.read_exact(&mut seen));
        drained.unwrap();
        read.unwrap();
        assert_eq!(&seen, b"abcdefgh");
        assert!(!side.is_blocked());
        assert_eq!(side.unsent.capacity(), 0, "an idle side owns a buffer");
    }

    #[tokio::test]
    async fn drained_means_flushed_too() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut side = Side::new(tokio::io::BufWriter::new(ours), Bytes::new());
        poll_fn(|cx| Poll::Ready(side.send(cx, b"abc"))).await.unwrap();
        poll_fn(|cx| side.poll_drained(cx)).await.unwrap();
        drop(side);
        let mut seen = Vec::new();
        theirs.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"abc");
    }
}
