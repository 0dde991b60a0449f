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
//! From the ping on nothing of the client is read, until the first output of the new stream: so what it types is taken
//! once, in order, and by a tmux that is ready for it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::output::{Chunk, Output};
use super::side::Side;
use super::terminal::Reason;
use super::{scratch, to_ttyd};

/// How long output has to be held back for it to be old.
const STALL: Duration = Duration::from_secs(3);

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

/// Whoever opened a terminal's stream to the box.
pub trait Streams<T>: Sync {
    /// Opens another stream to ttyd for the same terminal, as far as before its first message; `sized` is whether its
    /// size counts there.
    fn reopen(&self, sized: bool) -> BoxFuture<'_, io::Result<Side<T>>>;

    /// From now on the stream is not read, and its peer, who gets nothing through, is not to be taken for dead; or it is
    /// read again.
    fn hold(&self, stream: &T, held: bool);
}

/// How long output has been held back, and whether what waits for it to go on is old.
#[derive(Debug, Default)]
pub struct Stall {
    since: Option<Instant>,
    /// Whether the stream is held.
    holds: bool,
    over: bool,
}

impl Stall {
    /// Notes whether output is held back. True if the stream was held until now.
    pub fn note(&mut self, held: bool) -> bool {
        match (held, self.since) {
            (true, None) => self.since = Some(Instant::now()),
            (false, Some(since)) => {
                let over = since.elapsed() >= STALL;
                return std::mem::replace(self, Self { over, ..Self::default() }).holds;
            }
            _ => {}
        }
        false
    }

    /// When what is held back will be old, unless it is already.
    pub fn due(&self) -> Option<Instant> {
        self.since.filter(|_| !self.holds).map(|since| since + STALL)
    }

    /// Lets time pass. True if the stream is held from now on.
    pub fn pass_time(&mut self, now: Instant) -> bool {
        let begins = self.due().is_some_and(|due| now >= due);
        self.holds |= begins;
        begins
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
pub enum Phase<'a, T> {
    /// There is one.
    Steady,
    /// Another is being opened.
    Renewing(Box<Renewal<'a, T>>),
    /// Another has begun, and has yet to show something; this is the one before.
    Redrawing(Box<Side<T>>, Instant),
}

impl<T> Phase<'_, T> {
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
pub struct Renewal<'a, T> {
    /// Goes on reading the stream that is left.
    old: Output,
    /// Whether ttyd has all the input.
    arrived: bool,
    /// When tmux has it, too.
    settled: Instant,
    opening: Option<BoxFuture<'a, io::Result<Side<T>>>>,
    opened: Option<Side<T>>,
    limit: Instant,
}

impl<'a, T> Renewal<'a, T> {
    /// Begins one; `old` has read the stream to `ttyd` so far.
    pub fn begin(
        ttyd: &mut Side<T>,
        old: Output,
        opening: BoxFuture<'a, io::Result<Side<T>>>,
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

impl<T: AsyncRead + AsyncWrite + Unpin> Renewal<'_, T> {
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
        let chunk = ready!(self.poll_chunk(cx, ttyd)).map_err(Reason::BoxLost)?;
        self.arrived = chunk.pong.is_some_and(|payload| payload == MARK);
        if let Some(payload) = chunk.ping {
            let mut frames = Vec::new();
            to_ttyd::pong(&mut frames, &payload);
            ttyd.queue(&frames);
        }
        Poll::Ready(match chunk.end {
            None => Ok(()),
            Some(Ok(())) => Err(Reason::BoxClosed),
            Some(Err(violation)) => Err(Reason::BoxViolation(violation)),
        })
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>, ttyd: &mut Side<T>) -> Poll<io::Result<Chunk>> {
        scratch::with(|scratch| {
            let carried = self.old.carry().len();
            scratch.read[..carried].copy_from_slice(self.old.carry());
            match ready!(ttyd.poll_read(cx, &mut scratch.read[carried..]))? {
                0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                size => Poll::Ready(Ok(self.old.process(&mut scratch.read[..carried + size]))),
            }
        })
    }
}
