//! A new attachment for a client that has fallen behind.
//!
//! What a box wrote while a page stalled is old when the page goes on, and more than a screen of it lies in sockets on
//! the way. Nobody wants to see it drawn, so if there is any, the terminal is attached anew, as after a reconnect, and
//! the page hardly notices: its connection stays. The same happens to a stock client whose size begins to count at the
//! box, or ceases to.
//!
//! ```text
//!   steady ── output goes on after a stall ──▶ renewing ── all ready ──▶ redrawing ── first output ──▶ steady
//!     ▲                                         │                          │                             │
//!     page and box as ever                      a ping behind all input;   the new stream has begun;     CAN, RIS, then
//!                                               output up to its answer    the old one is kept, for      what tmux draws;
//!                                               is dropped; another        tmux may still read from it   the old one ends
//!                                               stream is opened
//! ```
//!
//! During a stall a sip of the stream is taken every second, and dropped. One that nobody reads stands still as a whole:
//! once its buffer is full Linux throws away what it had promised room for, acknowledgements and all, and both ends try
//! again after longer and longer pauses, or give each other up.
//!
//! From the ping on nothing of the client is read, until the first output of the new stream: so what it types is taken
//! once, in order, and by a tmux that is ready for it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::closing::Closing;
use super::output::{self, Output};
use super::side::Side;
use super::terminal::Reason;
use super::{scratch, to_ttyd};

/// How long output has to be held back for it to be old.
const STALL: Duration = Duration::from_secs(3);

/// Between two sips of a stream whose output is held back.
const SIP: Duration = Duration::from_secs(1);

/// How long a renewal may take. The page hears nothing meanwhile and would give up, too.
const LIMIT: Duration = Duration::from_secs(15);

/// What the ping carries.
const MARK: &[u8] = b"berth";

/// Bytes of input a second that tmux surely takes off a terminal. It takes 4 KiB a turn, and ttyd, which keeps
/// whatever the kernel has no room for, answers pings meanwhile.
const INTAKE: f64 = 128.0 * 1024.0;

/// How long input may be waited for, however much it is.
const MOST_INTAKE: Duration = Duration::from_secs(5);

/// A message that takes the client's emulator, whatever it is in the midst of, back to its beginning: CAN, RIS.
pub const RESET: &[u8] = b"\x82\x040\x18\x1bc";

/// Bytes of output in [`RESET`].
pub const RESET_OUTPUT: usize = 3;

/// The door that a terminal's stream to the box came through.
pub trait Door<T>: Send + Sync + 'static {
    /// Opens another stream to ttyd for the same terminal, as far as before its first message; `sized` is whether its
    /// size counts there.
    fn reopen(self: Arc<Self>, sized: bool) -> BoxFuture<'static, io::Result<Side<T>>>;

    /// Finds out what the page is to be told when the box's side has ended of itself.
    fn why_ended(self: Arc<Self>) -> BoxFuture<'static, Closing>;
}

/// How long output has been held back, and whether what waits for it to go on is old.
#[derive(Debug, Default)]
pub struct Stall {
    since: Option<Instant>,
    /// When the next sip is due.
    sip: Option<Instant>,
    over: bool,
}

impl Stall {
    /// Notes whether output is held back.
    pub fn note(&mut self, held: bool) {
        match (held, self.since) {
            (true, None) => {
                let now = Instant::now();
                (self.since, self.sip) = (Some(now), Some(now + STALL));
            }
            (false, Some(since)) => *self = Self { over: since.elapsed() >= STALL, ..Self::default() },
            _ => {}
        }
    }

    /// When the next sip is due.
    pub fn due(&self) -> Option<Instant> {
        self.sip
    }

    /// Whether it is time for one.
    pub fn sips(&mut self, now: Instant) -> bool {
        let due = self.sip.is_some_and(|due| now >= due);
        if due {
            self.sip = Some(now + SIP);
        }
        due
    }

    /// The box was read for the first time since: what was there, if anything, has waited for all of a stall.
    pub fn was_read(&mut self) -> bool {
        std::mem::take(&mut self.over)
    }
}

/// An estimate of the input that ttyd has and tmux does not, on the high side.
#[derive(Debug, Default)]
pub struct Intake(Option<(Instant, f64)>);

impl Intake {
    /// Input was passed on.
    pub fn passed(&mut self, size: u64, now: Instant) {
        let left = self.left(now);
        self.0 = Some((now, left + size as f64));
    }

    /// When tmux will have all of it.
    fn over(&self, now: Instant) -> Instant {
        now + MOST_INTAKE.min(Duration::from_secs_f64(self.left(now) / INTAKE))
    }

    fn left(&self, now: Instant) -> f64 {
        self.0.map_or(0.0, |(at, left)| (left - (now - at).as_secs_f64() * INTAKE).max(0.0))
    }
}

/// How far a terminal's streams are.
pub enum Phase<T> {
    /// There is one.
    Steady,
    /// Another is being opened.
    Renewing(Box<Renewal<T>>),
    /// Another has begun, and has yet to show something; this is the one before.
    Redrawing(Box<Side<T>>, Instant),
}

impl<T> Phase<T> {
    /// Whether the client is read.
    pub fn is_steady(&self) -> bool {
        matches!(self, Self::Steady)
    }

    /// When there is something to do although nothing comes.
    pub fn due(&self) -> Option<Instant> {
        match self {
            Self::Steady => None,
            Self::Renewing(renewal) => Some(renewal.due()),
            Self::Redrawing(_, limit) => Some(*limit),
        }
    }

    /// Lets time pass. A client that takes nothing is waited for; then it is not the box that keeps everybody waiting.
    ///
    /// # Errors
    /// When it has taken too long.
    pub fn pass_time(&mut self, now: Instant, blocked: bool) -> Result<(), Reason> {
        if let (Self::Redrawing(_, limit), true) = (&mut *self, blocked) {
            *limit = now + LIMIT;
        }
        let (limit, awaited) = match self {
            Self::Steady => return Ok(()),
            Self::Renewing(renewal) => (renewal.limit, renewal.awaited()),
            Self::Redrawing(_, limit) => (*limit, "output of the new stream"),
        };
        if now >= limit {
            let problem = format!("{awaited} did not come in time after a stall");
            return Err(Reason::BoxLost(io::Error::new(io::ErrorKind::TimedOut, problem)));
        }
        Ok(())
    }

    /// The first output has come: the stream that has had its time.
    pub fn redrawn(&mut self) -> Option<Side<T>> {
        match std::mem::replace(self, Self::Steady) {
            Self::Redrawing(old, _) => Some(*old),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// A stream that is left, and another that is opened in its place.
pub struct Renewal<T> {
    /// Goes on reading the stream that is left.
    old: Output,
    /// Whether ttyd has all the input.
    arrived: bool,
    /// When tmux has it, too.
    settled: Instant,
    opening: Option<BoxFuture<'static, io::Result<Side<T>>>>,
    opened: Option<Side<T>>,
    limit: Instant,
}

impl<T> Renewal<T> {
    /// Begins one; `old` has read the stream to `ttyd` so far.
    pub fn begin(
        ttyd: &mut Side<T>,
        old: Output,
        opening: BoxFuture<'static, io::Result<Side<T>>>,
        intake: &Intake,
    ) -> Self {
        let now = Instant::now();
        let mut frames = Vec::new();
        to_ttyd::ping(&mut frames, MARK);
        ttyd.queue(&frames);
        Self {
            old,
            arrived: false,
            settled: intake.over(now),
            opening: Some(opening),
            opened: None,
            limit: now + LIMIT,
        }
    }

    /// By when all of it must be over.
    pub fn limit(&self) -> Instant {
        self.limit
    }

    fn awaited(&self) -> &'static str {
        if self.arrived { "a new stream" } else { "an answer on the old stream" }
    }

    fn due(&self) -> Instant {
        if self.arrived && self.opened.is_some() { self.settled.min(self.limit) } else { self.limit }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Renewal<T> {
    /// One step: the new stream, once the old one is of no more use.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        ttyd: &mut Side<T>,
    ) -> Poll<Result<Option<Side<T>>, Reason>> {
        let mut moved = self.poll_old(cx, ttyd)?.is_ready();
        if let Some(opening) = &mut self.opening
            && let Poll::Ready(opened) = Pin::new(opening).poll(cx)
        {
            self.opening = None;
            self.opened = Some(opened.map_err(Reason::BoxLost)?);
            moved = true;
        }
        if self.arrived && self.opened.is_some() && Instant::now() >= self.settled {
            return Poll::Ready(Ok(self.opened.take()));
        }
        if moved { Poll::Ready(Ok(None)) } else { Poll::Pending }
    }

    /// Writes what is still for the old stream, and drops what comes of it until the ping's answer.
    fn poll_old(&mut self, cx: &mut Context<'_>, ttyd: &mut Side<T>) -> Poll<Result<(), Reason>> {
        // Pending or not, it is read: ttyd may have no room for input before it has some for output.
        let _ = ttyd.poll_drained(cx).map_err(Reason::BoxLost)?;
        if self.arrived {
            return Poll::Pending;
        }
        let chunk = scratch::with(|scratch| {
            let end = ready!(poll_read_on(cx, ttyd, self.old.carry(), &mut scratch.read))?;
            Poll::Ready(io::Result::Ok(self.old.process(&mut scratch.read[..end])))
        });
        let chunk = ready!(chunk).map_err(Reason::BoxLost)?;
        self.arrived = chunk.pong.is_some_and(|payload| payload == MARK);
        if let Some(payload) = chunk.ping {
            let mut frames = Vec::new();
            to_ttyd::pong(&mut frames, &payload);
            ttyd.queue(&frames);
        }
        Poll::Ready(output::go_on(chunk.end))
    }
}

/// Reads what there is behind `carry`, which begins the buffer; how much of the buffer is filled then.
pub fn poll_read_on<T: AsyncRead + AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    ttyd: &mut Side<T>,
    carry: &[u8],
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    buffer[..carry.len()].copy_from_slice(carry);
    match ready!(ttyd.poll_read(cx, &mut buffer[carry.len()..]))? {
        0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        size => Poll::Ready(Ok(carry.len() + size)),
    }
}
