//! Output passes without an allocation per message. A binary of its own, since it counts what the allocator does.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use allocation_counter::measure;
use berth_protocol::door::Role;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gateway::relay::{Closing, Door, Mode, Options, Outcome, Reason, Side, run};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// Bytes that one read gives: no multiple of a message, so that headers are cut as well.
const READ: usize = 1021;

/// A door that has no other stream; nothing stalls here.
struct NoOther;

impl Door<Peer> for NoOther {
    fn reopen(self: Arc<Self>, _: bool) -> BoxFuture<'static, io::Result<Side<Peer>>> {
        async { Err(io::ErrorKind::ConnectionRefused.into()) }.boxed()
    }

    fn why_ended(self: Arc<Self>) -> BoxFuture<'static, Closing> {
        async { Closing::gone() }.boxed()
    }
}

/// A peer that sends the same bytes again and again, and takes whatever it is sent.
struct Peer {
    bytes: Vec<u8>,
    at: usize,
    times: usize,
    /// What happens when all is sent: the stream ends, or is silent from then on.
    ends: bool,
    taken: u64,
}

impl Peer {
    fn new(bytes: Vec<u8>, times: usize, ends: bool) -> Self {
        Self { bytes, at: 0, times, ends, taken: 0 }
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.times == 0 {
            return if self.ends { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let size = READ.min(buffer.remaining()).min(self.bytes.len() - self.at);
        buffer.put_slice(&self.bytes[self.at..self.at + size]);
        self.at += size;
        if self.at == self.bytes.len() {
            (self.at, self.times) = (0, self.times - 1);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.taken += bytes.len() as u64;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A binary message as ttyd sends it, of fewer than 64 KiB.
fn message(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a short message");
    let header = match length {
        0..126 => vec![0x82, length.to_be_bytes()[1]],
        _ => [&[0x82, 126], &length.to_be_bytes()[..]].concat(),
    };
    [header, payload.to_vec()].concat()
}

/// Passes the messages so many times through a relay; the allocations that it took.
fn allocations(mode: Mode, messages: &[u8], times: usize) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let start = [&[0x82, 0x80 | 24, 0, 0, 0, 0][..], br#"{"columns":80,"rows":24}"#].concat();
    let browser = Side::new(Peer::new(start, 1, false), bytes::Bytes::new());
    let ttyd = Side::new(Peer::new(messages.to_vec(), times, true), bytes::Bytes::new());
    let (_control, ordered) = oneshot::channel();
    let mut outcome: Option<Outcome> = None;
    let counted = measure(|| {
        let relay = run(browser, ttyd, Options::new(mode, Role::Editor), ordered, Arc::new(NoOther));
        outcome = Some(runtime.block_on(relay));
    });
    let outcome = outcome.expect("it ran");
    assert!(matches!(outcome.reason, Reason::BoxLost(_)), "{outcome:?}");
    assert!(outcome.bytes_out >= times as u64, "only {} bytes passed", outcome.bytes_out);
    counted.count_total
}

#[test]
fn output_passes_without_an_allocation_per_message() {
    let sizes = [1, 7, 125, 126, 1000, 4096, 30_000];
    let shown: Vec<u8> = sizes.iter().flat_map(|size| message(&vec![b'0'; *size])).collect();
    let fragments = [0x02, 2, b'0', b'a', 0x00, 0, 0x80, 1, b'b'];
    let swallowed = message(b"1a title");
    let messages = [&shown[..], &fragments, &swallowed].concat();
    for mode in [Mode::Berth, Mode::Tty] {
        // Buffers that a thread keeps are there from the first time on.
        allocations(mode, &messages, 10);
        let few = allocations(mode, &messages, 100);
        let many = allocations(mode, &messages, 1000);
        assert_eq!(many, few, "9000 messages more took {} allocations more", many.saturating_sub(few));
    }
}
