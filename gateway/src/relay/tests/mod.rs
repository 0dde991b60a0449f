//! What the tests of the relay share: frames as a browser or ttyd would send them, and a reader of frames.

mod company;
mod driver;
mod ending;
mod real_ttyd;
mod renewal;
mod silence;

use std::sync::Arc;
use std::time::Duration;

use berth_protocol::door::Role;
use berth_protocol::terminal::FromRelay;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::frame::{self, Opcode, Sender};
pub(super) use super::invariants::Seen;
use super::{Closing, Door, Mode, Options, Outcome, Side, invariants, run};

/// The first message that ttyd's clients send.
pub const START: &[u8] = br#"{"AuthToken":"","columns":80,"rows":24}"#;

/// A frame with any header, masked as the sender has to.
pub fn frame(sender: Sender, opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::append(
        &mut bytes,
        opcode,
        payload,
        (sender == Sender::Client).then_some([0x5a, 0x01, 0xff, 0x80]),
    );
    if !fin {
        bytes[0] &= 0x7f;
    }
    bytes
}

/// A whole binary message of a browser.
pub fn typed(message: &[u8]) -> Vec<u8> {
    frame(Sender::Client, Opcode::Binary, true, message)
}

/// A whole text message of a page.
pub fn text(json: &str) -> Vec<u8> {
    frame(Sender::Client, Opcode::Text, true, json.as_bytes())
}

/// A whole binary message of ttyd.
pub fn shown(message: &[u8]) -> Vec<u8> {
    frame(Sender::Server, Opcode::Binary, true, message)
}

/// Takes whole frames off the front of `bytes`, and leaves the rest. What tells of others at the session may come at
/// any time, so it is passed over here; the tests of `room` and those across processes look at it.
pub fn take_frames(bytes: &mut Vec<u8>, sender: Sender) -> Vec<Seen> {
    let mut frames = invariants::take_frames(bytes, sender);
    frames.retain(|(_, _, payload)| !is_company(payload));
    frames
}

fn is_company(message: &[u8]) -> bool {
    matches!(serde_json::from_slice(message), Ok(FromRelay::Lease { .. } | FromRelay::Presence { .. }))
}

/// The far end of one of the relay's streams.
pub struct Peer {
    stream: DuplexStream,
    seen: Vec<u8>,
    /// Who writes what this peer reads.
    sender: Sender,
}

impl Peer {
    fn new(stream: DuplexStream, sender: Sender) -> Self {
        Self { stream, seen: Vec::new(), sender }
    }

    /// Sends bytes, which the relay must take before long.
    pub async fn send(&mut self, bytes: &[u8]) {
        timeout(Duration::from_secs(60), self.stream.write_all(bytes))
            .await
            .expect("the relay reads")
            .unwrap();
    }

    /// The next frame, which must come before long; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Seen> {
        timeout(Duration::from_secs(60), self.read_frame()).await.expect("a frame comes")
    }

    /// Expects a whole binary message, and returns its bytes.
    pub async fn message(&mut self) -> Vec<u8> {
        match self.next().await.expect("a message before the end") {
            (Opcode::Binary, true, payload) => payload,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// Expects what a stock client is told before any output, of a terminal without a title.
    pub async fn greeting(&mut self) {
        assert_eq!(self.message().await, b"1");
        assert_eq!(self.message().await, b"2{}");
    }

    /// Expects nothing for a while.
    pub async fn nothing(&mut self) {
        if let Ok(frame) = timeout(Duration::from_millis(500), self.read_frame()).await {
            panic!("expected nothing, got {frame:?}");
        }
    }

    async fn read_frame(&mut self) -> Option<Seen> {
        loop {
            let mut parsed =
                frame::parse(&self.seen, self.sender).expect("the relay wrote a frame that is none");
            parsed = parsed.filter(|header| self.seen.len() as u64 >= header.size as u64 + header.length);
            if let Some(header) = parsed {
                let mut frame = self.seen.drain(..header.size + header.length as usize).collect();
                match take_frames(&mut frame, self.sender).pop() {
                    Some(frame) => return Some(frame),
                    None => continue,
                }
            }
            if self.stream.read_buf(&mut self.seen).await.unwrap() == 0 {
                assert!(self.seen.is_empty(), "the stream ended within a frame: {:x?}", self.seen);
                return None;
            }
        }
    }
}

/// A door that has no other stream.
pub struct NoOther;

impl<T: 'static> Door<T> for NoOther {
    fn reopen(self: Arc<Self>, _: bool) -> BoxFuture<'static, std::io::Result<Side<T>>> {
        async { Err(std::io::ErrorKind::ConnectionRefused.into()) }.boxed()
    }

    fn why_ended(self: Arc<Self>) -> BoxFuture<'static, Closing> {
        async { Closing::gone() }.boxed()
    }
}

/// A door that opens as many streams as are asked for, and hands over their far ends.
struct Doors(mpsc::UnboundedSender<(DuplexStream, bool)>, usize);

impl Door<DuplexStream> for Doors {
    fn reopen(self: Arc<Self>, sized: bool) -> BoxFuture<'static, std::io::Result<Side<DuplexStream>>> {
        async move {
            let (far, near) = duplex(self.1);
            self.0.send((far, sized)).map_err(|_| std::io::ErrorKind::ConnectionRefused)?;
            Ok(Side::new(near, bytes::Bytes::new()))
        }
        .boxed()
    }

    fn why_ended(self: Arc<Self>) -> BoxFuture<'static, Closing> {
        async { Closing::gone() }.boxed()
    }
}

/// A relay under way between two peers.
pub struct Terminal {
    pub browser: Peer,
    pub ttyd: Peer,
    /// Far ends of the streams that took the place of the first, and whether their size counts.
    pub others: mpsc::UnboundedReceiver<(DuplexStream, bool)>,
    pub control: Option<oneshot::Sender<Closing>>,
    task: JoinHandle<Outcome>,
}

impl Terminal {
    /// Opens one whose streams hold `capacity` bytes each way; the box's end, once it comes, means `gone`.
    pub fn open(options: Options, capacity: usize) -> Self {
        let (browser, browser_side) = duplex(capacity);
        let (ttyd, ttyd_side) = duplex(capacity);
        let (control, ordered) = oneshot::channel();
        let side = |stream| Side::new(stream, bytes::Bytes::new());
        let (door, others) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let door = Arc::new(Doors(door, capacity));
            run(side(browser_side), side(ttyd_side), options, ordered, door).await
        });
        Self {
            others,
            browser: Peer::new(browser, Sender::Server),
            ttyd: Peer::new(ttyd, Sender::Client),
            control: Some(control),
            task,
        }
    }

    /// Opens an editor's `berth.v1` terminal, and passes its first message.
    pub async fn started() -> Self {
        let mut terminal = Self::open(Options::new(Mode::Berth, Role::Editor), 64 * 1024);
        terminal.browser.send(&typed(START)).await;
        assert_eq!(terminal.ttyd.message().await, START);
        terminal
    }

    /// What became of it; it must be over before long.
    pub async fn outcome(self) -> Outcome {
        timeout(Duration::from_secs(60), self.task)
            .await
            .expect("the relay ends")
            .expect("the relay panicked")
    }
}
