//! A browser that does not keep up with a flood: it costs the gateway next to nothing, holds up neither the
//! program in the pane nor anybody else, and is up to date again at once when it goes on.

use std::future::pending;
use std::time::{Duration, Instant};

use berth_tests::metrics::wait_for_metric;
use berth_tests::process::{child, resident};
use berth_tests::{Raw, Screen, Stack, Terminal, wait};
use tokio::time::timeout;

/// How long the browser stalls: longer than what was held back is taken for new.
const STALL: Duration = Duration::from_secs(4);

/// How soon another terminal must still echo, on a busy machine.
const ECHO: Duration = Duration::from_secs(2);

/// How soon ^C must take effect after the flood, on a busy machine.
const INTERRUPT: Duration = Duration::from_secs(5);

/// By how much the gateway may grow meanwhile.
const GROWTH: u64 = 1024 * 1024;

/// Bytes that a page draws before it says so.
const ACK_EVERY: usize = 32 * 1024;

/// Bytes that a page is sent beyond what it has drawn.
const WINDOW: usize = 256 * 1024;

/// Where the flood begins to count: far from any number that is typed.
const FLOOD: &str = "clear; seq 1000001 1000000000000\r";

/// What is printed once the flood has ended.
const STOPPED: &[u8] = b"stopped-42";

/// A flood of numbers in the only visible pane of a session.
struct Flood {
    stack: Stack,
    session: String,
    neighbour: Terminal,
    raw: Raw,
    /// Bytes that the page has acknowledged; a stock client acknowledges nothing.
    drawn: Option<usize>,
}

impl Flood {
    /// Begins a flood before a page of ours that acknowledges, or before a stock client.
    async fn begin(acknowledges: bool) -> Self {
        let stack = Stack::start().await;
        let (client, session) = stack.client_and_session("work").await;
        let mut neighbour = Terminal::open(&client, &client.running_session("other").await).await;
        neighbour.read_until("\u{1b}").await;
        let zoomed = stack.tmux.run(&["resize-pane", "-Z", "-t", &format!("={session}:")]);
        assert!(zoomed.is_some(), "the pane can't be zoomed");
        let mut raw = match acknowledges {
            true => Raw::started_small(&client, &session).await,
            false => Raw::started_stock(&client, &session).await,
        };
        raw.read_until("\u{1b}").await;
        let drawn = acknowledges.then_some(raw.output.len());
        if acknowledges {
            assert!(raw.acknowledge().await);
        }
        assert!(raw.type_text(FLOOD).await);
        let mut flood = Self { stack, session, neighbour, raw, drawn };
        flood.read_until_number(1_010_000).await;
        flood
    }

    /// Reads until a number of at least `goal` was shown.
    async fn read_until_number(&mut self, goal: u64) {
        let mut seen = 0;
        let shown = async {
            while largest(&self.raw.output[seen..]) < goal {
                seen = self.raw.output.len().saturating_sub(10);
                assert!(self.raw.read().await, "the terminal closed");
                keep_up(&mut self.raw, &mut self.drawn).await;
            }
        };
        timeout(wait::PATIENCE, shown).await.expect("the flood comes");
    }

    /// The newest number in the pane, as tmux knows it.
    fn now(&self) -> u64 {
        let lines = Screen::of_pane(&self.stack.tmux, &self.session).expect("tmux answers");
        largest(lines.join("\n").as_bytes())
    }

    /// Stalls, checks what must not suffer, goes on, and returns how many bytes came before the first of now.
    async fn stall(&mut self, time: Duration) -> usize {
        let (gateway, agent) = (self.stack.gateway.pid(), self.stack.agent.pid());
        let (ttyd, before) = (child(agent, "ttyd"), resident(gateway));
        let begun = self.now();
        if let Some(drawn) = self.drawn {
            // The page takes what comes and draws none of it, until the gateway sends no more. On a busy machine a
            // pause alone would not tell that.
            while self.raw.output.len() <= drawn + WINDOW {
                assert!(self.raw.read().await, "the terminal closed");
            }
            self.raw.read_until_quiet(Duration::from_millis(500)).await;
        }
        self.draw_nothing(time / 2).await;
        let echoed = Instant::now();
        self.neighbour.type_text("clear; echo beside-$((40+2))\r").await;
        self.neighbour.read_until("beside-42").await;
        assert!(echoed.elapsed() < ECHO, "the neighbour waited {:?}", echoed.elapsed());
        self.draw_nothing(time / 2).await;
        let grown = resident(gateway).saturating_sub(before);
        assert!(grown < GROWTH, "the gateway grew by {grown} bytes");
        assert_eq!(child(agent, "ttyd"), ttyd, "ttyd died");
        let resumed = self.now();
        assert!(resumed > begun + 10_000, "the program was held up: {begun}, then {resumed}");

        let stale = self.raw.output.len();
        keep_up(&mut self.raw, &mut self.drawn).await;
        // Everything from before the stall's second half is old.
        self.read_until_number(begun + (resumed - begun) / 2).await;
        self.raw.output.len() - stale
    }

    /// Lets time pass. A page goes on to answer pings, as its browser does for it; a stock client reads nothing.
    async fn draw_nothing(&mut self, time: Duration) {
        let Self { raw, neighbour, drawn, .. } = self;
        let stalls = async { if drawn.is_some() { while raw.read().await {} } else { pending().await } };
        let _ = tokio::join!(timeout(time, stalls), neighbour.idle(time));
    }

    /// Interrupts the flood, and checks that the screen is then what a direct attach would show.
    async fn interrupt(mut self) {
        let (typed, mut seen) = (Instant::now(), self.raw.output.len());
        assert!(self.raw.type_text("\u{3}").await);
        assert!(self.raw.type_text("clear; echo stopped-$((40+2)); echo end\r").await);
        let stopped = async {
            while !self.raw.output[seen..].windows(STOPPED.len()).any(|window| window == STOPPED) {
                seen = self.raw.output.len().saturating_sub(STOPPED.len()).max(seen);
                assert!(self.raw.read().await, "the terminal closed");
                keep_up(&mut self.raw, &mut self.drawn).await;
            }
        };
        timeout(wait::PATIENCE, stopped).await.expect("the flood ends");
        assert!(typed.elapsed() < INTERRUPT, "^C took {:?}", typed.elapsed());
        // Only now: drawing all of it takes its time, which is not the terminal's.
        let (mut screen, mut drawn) = (Screen::new(100, 30), 0);
        let shown = async {
            loop {
                screen.draw(&self.raw.output[drawn..]);
                drawn = self.raw.output.len();
                if screen.shows_pane(&self.stack.tmux, &self.session) {
                    return;
                }
                assert!(self.raw.read().await, "the terminal closed");
                keep_up(&mut self.raw, &mut self.drawn).await;
            }
        };
        timeout(wait::PATIENCE, shown).await.expect("the screen of a direct attach");
    }
}

/// Acknowledges what is drawn as often as the real page does.
async fn keep_up(raw: &mut Raw, drawn: &mut Option<usize>) {
    if let Some(drawn) = drawn
        && raw.output.len() >= *drawn + ACK_EVERY
    {
        *drawn = raw.output.len();
        assert!(raw.acknowledge().await, "the terminal closed");
    }
}

/// The largest of the flood's numbers in some output.
fn largest(output: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(output);
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|word| (7..10).contains(&word.len()));
    numbers.filter_map(|word| word.parse().ok()).max().unwrap_or_default()
}

/// Output that may be older than a stall when it goes on.
const STALE: usize = 128 * 1024;

#[tokio::test]
async fn a_page_that_draws_nothing_for_a_while() {
    let mut flood = Flood::begin(true).await;
    let stale = flood.stall(STALL).await;
    assert!(stale <= STALE, "{stale} bytes were stale");
    wait_for_metric(&flood.stack, "gateway_terminal_renewals_total", |count| count == 1.0).await;
    flood.interrupt().await;
}

#[tokio::test]
#[ignore = "long: scripts/test --long"]
async fn a_page_that_draws_nothing_for_more_than_a_minute() {
    let mut flood = Flood::begin(true).await;
    let stale = flood.stall(Duration::from_secs(75)).await;
    assert!(stale <= STALE, "{stale} bytes were stale");
    flood.interrupt().await;
}

#[tokio::test]
async fn a_stock_client_that_reads_nothing_for_a_while() {
    let mut flood = Flood::begin(false).await;
    let stale = flood.stall(STALL).await;
    assert!(stale <= STALE, "{stale} bytes were stale");
    flood.interrupt().await;
}

/// Prints all the time, and notes every line that it is given in a file NOTES.
const NOTES: &str = "seq 1000001 1000000000000 & exec cat > NOTES";

/// Times that a page stalls while somebody types.
const STALLS: usize = 3;

/// Types numbered lines for as long as `time`, and takes what comes.
async fn type_for(raw: &mut Raw, drawn: &mut Option<usize>, typed: &mut Vec<String>, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        let line = format!("line-{}", typed.len());
        assert!(raw.type_text(&format!("{line}\r")).await, "the terminal closed");
        typed.push(line);
        let _ = timeout(Duration::from_millis(20), async {
            while raw.read().await {
                keep_up(raw, drawn).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_typed_around_stalls_arrives_once_and_in_order() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let notes = stack.path("notes");
    std::fs::write(stack.path("program"), NOTES.replace("NOTES", notes.to_str().unwrap())).unwrap();
    let mut raw = Raw::started(&client, &session).await;
    raw.read_until("\u{1b}").await;
    assert!(raw.acknowledge().await);
    assert!(raw.type_text(&format!("bash {}\r", stack.path("program").display())).await);
    wait::until("the program", async || notes.exists().then_some(())).await;
    let (mut drawn, mut typed) = (Some(raw.output.len()), Vec::new());
    for _ in 0..STALLS {
        type_for(&mut raw, &mut drawn, &mut typed, Duration::from_secs(1)).await;
        type_for(&mut raw, &mut None, &mut typed, STALL).await;
        // Now the page goes on, in the midst of a paste.
        let lines: Vec<_> = (0..4000).map(|at| format!("line-{}", typed.len() + at)).collect();
        for part in lines.chunks(1000) {
            assert!(raw.type_text(&(part.join("\r") + "\r")).await, "the terminal closed");
            keep_up(&mut raw, &mut drawn).await;
        }
        typed.extend(lines);
    }
    type_for(&mut raw, &mut drawn, &mut typed, Duration::from_secs(1)).await;
    let noted = || std::fs::read_to_string(&notes).unwrap_or_default();
    let arrived = async {
        while !noted().ends_with(&format!("{}\n", typed.last().unwrap())) {
            let _ = timeout(Duration::from_millis(100), raw.read()).await;
            keep_up(&mut raw, &mut drawn).await;
        }
    };
    let in_time = timeout(wait::PATIENCE, arrived).await;
    let noted: Vec<String> = noted().lines().map(str::to_owned).collect();
    let differ = noted.iter().zip(&typed).position(|(noted, typed)| noted != typed);
    let near = differ.map(|at| (&typed[at.saturating_sub(2)..at + 1], &noted[at.saturating_sub(2)..at + 1]));
    assert!(
        noted == typed,
        "{} lines arrived of {}; the first to differ: {near:?}",
        noted.len(),
        typed.len()
    );
    in_time.expect("the last line arrives");
    wait_for_metric(&stack, "gateway_terminal_renewals_total", |count| count >= 1.0).await;
}
