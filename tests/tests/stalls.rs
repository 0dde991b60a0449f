//! A browser that does not keep up with a flood: it costs the gateway next to nothing, holds up neither the
//! program in the pane nor anybody else, and is up to date again at once when it goes on.

use std::time::{Duration, Instant};

use berth_tests::process::{child, resident};
use berth_tests::{Raw, Screen, Stack, Terminal, wait};
use tokio::time::{sleep, timeout};

/// How long the browser stalls.
const STALL: Duration = Duration::from_secs(3);

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
    async fn stall(&mut self) -> usize {
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
        sleep(STALL / 2).await;
        let echoed = Instant::now();
        self.neighbour.type_text("clear; echo beside-$((40+2))\r").await;
        self.neighbour.read_until("beside-42").await;
        assert!(echoed.elapsed() < ECHO, "the neighbour waited {:?}", echoed.elapsed());
        sleep(STALL / 2).await;
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

/// Output that may be older than a stall when it goes on: 158 KiB at the most between ttyd and a page, 104 of them
/// in the Unix socket whose size ttyd decides, and what tmux keeps for a screen of 100 × 30 before it redraws.
const STALE: usize = 192 * 1024;

#[tokio::test]
async fn a_page_that_draws_nothing_for_a_while() {
    let mut flood = Flood::begin(true).await;
    let stale = flood.stall().await;
    assert!(stale <= STALE, "{stale} bytes were stale");
    flood.interrupt().await;
}

#[tokio::test]
async fn a_stock_client_that_reads_nothing_for_a_while() {
    let mut flood = Flood::begin(false).await;
    let stale = flood.stall().await;
    // The client's own kernel and the gateway hold some, too.
    assert!(stale <= STALE + 64 * 1024, "{stale} bytes were stale");
    flood.interrupt().await;
}
