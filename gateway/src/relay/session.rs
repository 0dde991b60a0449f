//! The driver: one task, one poll, two directions.
//!
//! Each direction is a step that either moves something or waits, and registers what it waits for; a poll takes
//! steps until all wait. Neither waits inside the other, so a stalled browser does not hold up keystrokes and a
//! stalled box does not hold up output. What a direction waits for is its back-pressure:
//!
//! | step | goes on when |
//! |---|---|
//! | input | ttyd has taken everything, then the browser has sent something |
//! | output | the browser has taken everything, the window is open, then ttyd has sent something |
//! | news | somebody else at the session did something that concerns this one |
//! | renewal | the stream to the box is being replaced; input and output wait for that |
//! | sip | a little of what is held back may be dropped |
//! | alarm | a size that was held back, or a look at the browser's silence, is due |
//!
//! The task is hand-polled rather than written as two loops because the scratch buffers are borrowed within a
//! poll: between polls a terminal owns its two streams, some counters, and whatever a peer did not take.

mod renewing;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::{BoxFuture, OptionFuture};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::answers::Answers;
use super::closing::Closing;
use super::farewell;
use super::flow::Flow;
use super::input::{Event, Input};
use super::liveness::{Liveness, Verdict};
use super::meters::{Meters, RoundTrip};
use super::output::{self, Output};
use super::renewal::{self, Door, Intake, Phase, Stall};
use super::room::Seat;
use super::side::Side;
use super::size::Throttle;
use super::terminal::{Options, Outcome, Reason};
use super::{greeting, scratch, to_ttyd};

/// Steps of one poll after which other tasks get their turn, whatever this one could still move: at most 2 MiB,
/// which takes about a millisecond. A quarter of it costs a flood a third of its speed in wake-ups.
const STEPS: usize = 32;

/// Relays one terminal until a peer or `control` ends it, and tells both.
///
/// `door` is asked for another stream after a stall, and what the page should be told when the box's side has ended of
/// itself, for which it has two seconds. A `control` whose sender is dropped never ends anything.
pub fn run<B, T>(
    browser: Side<B>,
    ttyd: Side<T>,
    options: Options,
    control: oneshot::Receiver<Closing>,
    door: Arc<dyn Door<T>>,
) -> impl Future<Output = Outcome>
where
    B: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mode = options.mode;
    // Boxed, and before the future: it would have room for all of this twice.
    let mut relay = Box::new(Relay::new(browser, ttyd, options, control, door));
    async move {
        let reason = poll_fn(|cx| relay.poll(cx)).await;
        let (bytes_in, bytes_out) = (relay.bytes_in, relay.output.forwarded());
        relay.leave_old();
        let Relay { browser, ttyd, input, output, leaving, door, .. } = *relay;
        // Boxed, so that a live terminal is not as large as a dying one.
        let part = Box::pin(farewell::part(browser, ttyd, input, output, mode, &reason, door));
        tokio::join!(part, OptionFuture::from(leaving));
        Outcome { bytes_in, bytes_out, reason }
    }
}

struct Relay<B, T> {
    browser: Side<B>,
    ttyd: Side<T>,
    input: Input,
    output: Output,
    flow: Flow,
    sizes: Throttle,
    liveness: Liveness,
    stall: Stall,
    /// How much of a sip is left, and who has read on since the output was left.
    sip: (usize, Option<Output>),
    intake: Intake,
    door: Arc<dyn Door<T>>,
    /// Whether the client's size counts at the box, and whether the box was told so.
    counts: (bool, bool),
    phase: Phase<T>,
    /// A stream that was left, as long as it takes its leave.
    leaving: Option<BoxFuture<'static, ()>>,
    alarm: Alarm,
    answers: Answers,
    /// The payload of ttyd's last unanswered ping.
    ttyd_ping: Option<Vec<u8>>,
    control: Option<oneshot::Receiver<Closing>>,
    bytes_in: u64,
    round_trip: RoundTrip,
    seat: Seat,
    meters: Meters,
}

impl<B, T> Relay<B, T>
where
    B: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn new(
        mut browser: Side<B>,
        mut ttyd: Side<T>,
        options: Options,
        control: oneshot::Receiver<Closing>,
        door: Arc<dyn Door<T>>,
    ) -> Self {
        browser.queue(&greeting::frames(options.mode, &options.title));
        let now = Instant::now();
        let mut liveness = Liveness::new(now);
        if let Some(size) = options.started {
            liveness.started(now);
            let mut frames = Vec::new();
            to_ttyd::start(&mut frames, options.seat.wants(size));
            ttyd.queue(&frames);
        }
        Self {
            browser,
            ttyd,
            input: Input::new(options.mode, options.role, options.started.is_some()),
            output: Output::default(),
            flow: Flow::default(),
            sizes: Throttle::default(),
            liveness,
            stall: Stall::default(),
            sip: (0, None),
            intake: Intake::default(),
            door,
            counts: (options.seat.counts(), options.seat.counts()),
            phase: Phase::Steady,
            leaving: None,
            alarm: Alarm::default(),
            answers: Answers::new(options.mode),
            ttyd_ping: None,
            control: Some(control),
            bytes_in: 0,
            round_trip: RoundTrip::default(),
            seat: options.seat,
            meters: options.meters,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        if let Some(control) = &mut self.control {
            match Pin::new(control).poll(cx) {
                Poll::Ready(Ok(closing)) => return Poll::Ready(Reason::Told(closing)),
                Poll::Ready(Err(_)) => self.control = None,
                Poll::Pending => {}
            }
        }
        for _ in 0..STEPS {
            match self.poll_step(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(reason)) => return Poll::Ready(reason),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One step of everything; pending if all of it waits.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        let news = self.poll_news(cx);
        let input = self.poll_input(cx)?;
        let output = self.poll_output(cx)?;
        // After output, which decides whether there is one.
        let renewal = self.poll_renewal(cx)?;
        // Behind the others, which decide what there is to be alarmed about.
        let alarm = self.poll_alarm(cx)?;
        let sip = self.poll_sip(cx)?;
        let waits = [news, input, output, renewal, alarm, sip].iter().all(Poll::is_pending);
        if waits { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Takes over what has changed in the room.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.seat.poll_news(cx));
        let news = self.seat.news();
        if let Some(size) = news.size {
            self.sizes.offer(size);
        }
        self.counts.0 = news.counts.unwrap_or(self.counts.0);
        self.answers.company(news);
        Poll::Ready(())
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        ready!(self.ttyd.poll_drained(cx)).map_err(Reason::BoxLost)?;
        if let Some(frames) = self.own_frames_to_ttyd() {
            self.ttyd.queue(&frames);
            ready!(self.ttyd.poll_drained(cx)).map_err(Reason::BoxLost)?;
        }
        if !self.phase.is_steady() {
            return Poll::Pending;
        }
        scratch::with(|scratch| {
            let read = match ready!(self.browser.poll_read(cx, &mut scratch.read)) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                read => read,
            };
            let size = read.map_err(Reason::BrowserLost)?;
            let result = self.on_input(&mut scratch.read[..size], &mut scratch.frames);
            self.ttyd.send(cx, &scratch.frames).map_err(Reason::BoxLost)?;
            Poll::Ready(result)
        })
    }

    /// What waits for ttyd, apart from input: a pong, and a size that is due.
    fn own_frames_to_ttyd(&mut self) -> Option<Vec<u8>> {
        let ping = self.ttyd_ping.take();
        // A look at the clock is spared when nothing waits for it.
        let size = if self.sizes.is_waiting() { self.sizes.take(Instant::now()) } else { None };
        if ping.is_none() && size.is_none() {
            return None;
        }
        let mut frames = Vec::new();
        if let Some(payload) = ping {
            to_ttyd::pong(&mut frames, &payload);
        }
        if let Some(size) = size {
            to_ttyd::resize(&mut frames, size);
        }
        Some(frames)
    }

    /// Acts on bytes of the browser; what is for ttyd is appended to `frames`.
    fn on_input(&mut self, chunk: &mut [u8], frames: &mut Vec<u8>) -> Result<(), Reason> {
        let Self { input, flow, sizes, liveness, answers, bytes_in, round_trip, seat, meters, .. } = self;
        let intake = &mut self.intake;
        let now = Instant::now();
        liveness.heard(now);
        let mut closed = None;
        let result = input.push(chunk, |event| match event {
            Event::Start(size, _) => {
                liveness.started(now);
                to_ttyd::start(frames, seat.wants(size));
            }
            Event::Input(message) => {
                // What begins with ESC may be the terminal's own answer to a question of the box.
                if message.get(1) != Some(&0x1b) {
                    seat.typed(now);
                }
                let size = message.len() as u64 - 1;
                *bytes_in += size;
                intake.passed(size, now);
                meters.input_bytes.inc_by(size);
                round_trip.asked(now);
                to_ttyd::input(frames, message);
            }
            Event::Resize(size) => sizes.offer(seat.wants(size)),
            Event::PagePing(n) => answers.page_ping = Some(n),
            Event::Ack(out) => flow.acked(out),
            Event::Hidden(hidden) => seat.hidden(hidden, now),
            Event::Lead(take) => seat.lead(take),
            Event::Ping(payload) => answers.ping = Some(payload.to_vec()),
            Event::Close(code) => closed = Some(code),
        });
        result.map_err(Reason::BrowserViolation)?;
        closed.map_or(Ok(()), |code| Err(Reason::BrowserClosed(code)))
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        let drained = self.poll_browser_drained(cx)?;
        self.stall.note(drained.is_pending() || self.flow.is_closed());
        ready!(drained);
        if self.output.at_boundary() && !self.answers.is_empty() {
            let frames = self.take_answers();
            self.browser.queue(&frames);
            ready!(self.poll_browser_drained(cx))?;
        }
        if matches!(self.phase, Phase::Renewing(_)) {
            return Poll::Pending;
        }
        let most = match (self.flow.is_closed(), self.output.at_boundary()) {
            (false, _) => scratch::READ_SIZE,
            // Our own messages have to get through a closed window too, so it closes between messages.
            (true, false) => self.output.to_frame_end(),
            // The acknowledgement that opens it comes with input, hence in this task.
            (true, true) => return Poll::Pending,
        };
        // Something was dropped meanwhile.
        if self.sip.1.is_some() && self.renew(&[]) {
            return Poll::Ready(Ok(()));
        }
        scratch::with(|scratch| {
            let carried = self.output.carry().len();
            let end = scratch::READ_SIZE.min(carried.saturating_add(most));
            let buffer = &mut scratch.read[..end];
            buffer[..carried].copy_from_slice(self.output.carry());
            let read = self.ttyd.poll_read(cx, &mut buffer[carried..]);
            let old = self.stall.was_read();
            let read = match ready!(read) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                read => read,
            };
            let size = read.map_err(Reason::BoxLost)?;
            if old && self.renew(&buffer[carried..carried + size]) {
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(self.on_output(cx, &mut buffer[..carried + size]))
        })
    }

    fn poll_browser_drained(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        let drained = self.browser.poll_drained(cx).map_err(Reason::BrowserLost)?;
        if drained.is_pending() {
            self.liveness.blocked();
        } else {
            self.liveness.unblocked();
        }
        drained.map(Ok)
    }

    fn take_answers(&mut self) -> Vec<u8> {
        if self.answers.asks {
            self.liveness.asked(Instant::now());
        }
        self.answers.take_frames()
    }

    fn count_output(&mut self, size: u64) {
        if size == 0 {
            return;
        }
        self.meters.output_bytes.inc_by(size);
        if let Some(waited) = self.round_trip.answered() {
            self.meters.round_trip.observe(waited.as_secs_f64());
        }
        let was_closed = self.flow.is_closed();
        self.flow.sent(self.output.forwarded());
        if self.flow.is_closed() && !was_closed {
            self.meters.stalls.inc();
        }
    }

    fn on_output(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Result<(), Reason> {
        let before = self.output.forwarded();
        let chunk = self.output.process(buffer);
        if chunk.kept > 0
            && let Some(old) = self.phase.redrawn()
        {
            self.browser.send(cx, renewal::RESET).map_err(Reason::BrowserLost)?;
            self.output.add(renewal::RESET_OUTPUT);
            self.leaving = Some(Box::pin(farewell::leave(old)));
        }
        let forwarded = self.output.forwarded();
        self.count_output(forwarded - before);
        self.answers.echo.passed(self.bytes_in, forwarded);
        if chunk.ping.is_some() {
            self.ttyd_ping = chunk.ping;
        }
        let mut kept = &buffer[..chunk.kept];
        // Within a flood a read hardly ever ends between two messages, so ours go in where one ended.
        if let (Some(boundary), false) = (chunk.boundary, self.answers.is_empty()) {
            let (before, after) = kept.split_at(boundary);
            self.browser.send(cx, before).map_err(Reason::BrowserLost)?;
            let answers = self.take_answers();
            self.browser.send(cx, &answers).map_err(Reason::BrowserLost)?;
            kept = after;
        }
        self.browser.send(cx, kept).map_err(Reason::BrowserLost)?;
        output::go_on(chunk.end)
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        // While ttyd is blocked a held back size waits for that, not for the time.
        let size = if self.ttyd.is_blocked() { None } else { self.sizes.due() };
        let others = [self.liveness.due(), self.phase.due(), self.stall.due()];
        let due = others.into_iter().flatten().chain(size).min();
        ready!(self.alarm.poll_at(cx, due));
        let now = Instant::now();
        self.phase.pass_time(now, self.browser.is_blocked())?;
        if self.stall.sips(now) {
            self.sip.0 = scratch::READ_SIZE;
        }
        match self.liveness.judge(now) {
            Verdict::Well => {}
            Verdict::Ask => self.answers.asks = true,
            // Nor is the browser read then; it can't be blamed for what was not listened to.
            Verdict::Dead if self.ttyd.is_blocked() || !self.phase.is_steady() => self.liveness.heard(now),
            Verdict::Dead => return Poll::Ready(Err(Reason::BrowserSilent)),
        }
        Poll::Ready(Ok(()))
    }
}
