//! A browser that floods: with sizes, with output that it does not read. The box's one ttyd goes on, and everybody
//! else's keys come back as before.

use std::time::{Duration, Instant};

use berth_tests::process::child;
use berth_tests::raw::{BINARY, PING, TEXT, frame};
use berth_tests::{Raw, Stack, Terminal, wait};
use nix::unistd::Pid;
use tokio::time::sleep;

/// Sizes sent in a flood of them.
const SIZES: usize = 5000;

/// The least time between two sizes that reach the box.
const INTERVAL: Duration = Duration::from_millis(50);

/// Keys whose echoes are measured.
const KEYS: usize = 100;

/// By what the 99th percentile of echoes may grow at most, and what it may always be: on a busy machine the scheduler
/// alone costs some milliseconds.
const FACTOR: u32 = 10;
const FLOOR: Duration = Duration::from_millis(50);

/// How soon ^C must take effect, on a busy machine.
const INTERRUPT: Duration = Duration::from_secs(5);

/// A neighbour in a session of its own, whose shell echoes what is typed.
struct Neighbour {
    terminal: Terminal,
    typed: usize,
}

impl Neighbour {
    async fn new(stack: &Stack) -> Self {
        let client = stack.client().await;
        let session = client.running_session("neighbour").await;
        let mut terminal = Terminal::open(&client, &session).await;
        // `cat` alone, without echo of the terminal's own and without a line's end: a byte in, a byte out.
        terminal.type_text("clear; stty raw -echo; printf ready-%d 42; cat\r").await;
        terminal.read_until("ready-42").await;
        Self { terminal, typed: 0 }
    }

    /// How long each of some keys takes to come back.
    async fn echo(&mut self) -> Vec<Duration> {
        let mut took = Vec::new();
        for _ in 0..KEYS {
            let key = char::from(b'a' + u8::try_from(self.typed % 26).unwrap()).to_string();
            self.typed += 1;
            self.terminal.output.clear();
            let typed = Instant::now();
            self.terminal.type_text(&key).await;
            self.terminal.read_until(&key).await;
            took.push(typed.elapsed());
            // Keys, not a flood of them.
            sleep(Duration::from_millis(5)).await;
        }
        took
    }
}

/// The 99th percentile.
fn worst(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() * 99 / 100 - 1]
}

fn assert_bearable(during: Vec<Duration>, before: Vec<Duration>) {
    let (during, before) = (worst(during), worst(before));
    let most = (before * FACTOR).max(FLOOR);
    assert!(during < most, "the neighbour's keys took {during:?}, and {before:?} before");
}

fn ttyd(stack: &Stack) -> Pid {
    child(stack.agent.pid(), "ttyd")
}

#[tokio::test]
async fn a_flood_of_sizes_reaches_tmux_twenty_times_a_second_and_the_last_one_counts() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut neighbour = Neighbour::new(&stack).await;
    let mut hostile = Raw::started(&client, &session).await;
    hostile.read_until("\u{1b}").await;
    let log = stack.path("resized");
    let hook = format!("run-shell 'echo x >> {}'", log.display());
    assert!(stack.tmux.run(&["set-hook", "-g", "client-resized", &hook]).is_some());
    let (pid, before) = (ttyd(&stack), neighbour.echo().await);

    let begun = Instant::now();
    let flood = async {
        for at in 0..SIZES {
            let size = format!(r#"1{{"columns":{},"rows":{}}}"#, 20 + at % 500, 5 + at % 100);
            assert!(hostile.send(&frame(BINARY, size.as_bytes())).await);
            if at % 10 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(hostile.send(&frame(BINARY, br#"1{"columns":77,"rows":33}"#)).await);
        begun.elapsed()
    };
    let (took, during) = tokio::join!(flood, neighbour.echo());
    wait::until("the last size", async || {
        let sizes =
            stack.tmux.run(&["list-clients", "-t", &session, "-F", "#{client_width} #{client_height}"])?;
        sizes.lines().any(|size| size == "77 33").then_some(())
    })
    .await;
    let elapsed = begun.elapsed();
    // The hook runs a shell, so the last line may come a little later; none may be too many.
    sleep(4 * INTERVAL).await;
    let seen = std::fs::read_to_string(&log).unwrap().lines().count();
    let most = usize::try_from(elapsed.as_millis() / INTERVAL.as_millis()).unwrap() + 2;
    assert!((1..=most).contains(&seen), "tmux saw {seen} of {SIZES} sizes in {took:?}; {most} are allowed");
    assert!(seen >= 3, "tmux saw {seen} sizes only: nothing was flooded");
    assert_bearable(during, before);
    assert_eq!(ttyd(&stack), pid, "ttyd died");
}

/// What a raw client must never see: the words that ttyd's title is made of, which is its command line and a host.
#[tokio::test]
async fn no_client_is_told_a_command_line_or_the_name_of_the_box() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let secrets = ["box-agent".to_owned(), "attach att-".to_owned(), format!("({host})")];
    let page = Raw::started(&client, &session).await;
    let stock = Raw::started_stock(&client, &session).await;
    for (mut raw, expected) in [(page, vec![]), (stock, vec![b"1work".to_vec(), b"2{}".to_vec()])] {
        // tmux's own status line is the user's, and may name the host; nothing but output does.
        raw.read_until("\u{1b}").await;
        assert!(raw.type_text("clear; echo done-$((40+2))\r").await);
        raw.read_until("done-42").await;
        let ours = |first: u8| first == TEXT || first == PING;
        let told: Vec<_> = raw.others.iter().filter(|other| !ours(other.first)).collect();
        assert!(told.iter().all(|other| other.first == BINARY), "{told:?}");
        let told: Vec<Vec<u8>> = told.into_iter().map(|other| other.payload.clone()).collect();
        assert_eq!(told, expected);
        for other in raw.others.iter().filter(|other| other.first == TEXT) {
            let text = String::from_utf8_lossy(&other.payload);
            assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
        }
    }
}

/// A page that takes what comes and never says that it has drawn it, in front of a program that never stops.
#[tokio::test]
#[ignore = "long: scripts/test --long"]
async fn a_page_that_draws_nothing_for_a_minute_keeps_its_terminal_and_slows_nobody() {
    stall(Duration::from_secs(60), true).await;
}

/// Twenty seconds: after thirty the kernel itself gives a connection up that takes nothing.
#[tokio::test]
#[ignore = "long: scripts/test --long"]
async fn a_stock_client_that_reads_nothing_for_a_while_keeps_its_terminal_and_slows_nobody() {
    stall(Duration::from_secs(20), false).await;
}

async fn stall(length: Duration, page: bool) {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut neighbour = Neighbour::new(&stack).await;
    let mut stalled = match page {
        true => Raw::started_small(&client, &session).await,
        false => Raw::started_stock(&client, &session).await,
    };
    stalled.read_until("\u{1b}").await;
    if page {
        assert!(stalled.acknowledge().await);
    }
    let pid = ttyd(&stack);
    assert!(stalled.type_text("clear; yes flood\r").await);
    // The echo of what was typed ends otherwise.
    stalled.read_until("flood\u{1b}").await;
    // Compared with a flood that is drawn: the program and tmux take their share of the machine either way.
    let drawn = async { while stalled.read().await && (!page || stalled.acknowledge().await) {} };
    let before = tokio::select! {
        before = neighbour.echo() => before,
        () = drawn => panic!("the terminal closed"),
    };
    let begun = Instant::now();
    let mut during = Vec::new();
    while begun.elapsed() < length {
        if page {
            // Off the network, and never drawn. Pings are answered, as by every browser.
            stalled.read_until_quiet(INTERVAL).await;
        }
        during.extend(neighbour.echo().await);
    }
    assert_bearable(during, before);
    assert_eq!(ttyd(&stack), pid, "ttyd died");

    // It types before it draws: what it sees is old, but ^C is not.
    let typed = Instant::now();
    assert!(stalled.type_text("\u{3}").await);
    wait::within(INTERRUPT, "^C to take effect", async || {
        let running = stack.tmux.run(&[
            "list-panes",
            "-t",
            &format!("={session}:"),
            "-F",
            "#{pane_current_command}",
        ])?;
        running.lines().all(|command| command != "yes").then_some(())
    })
    .await;
    assert!(typed.elapsed() < INTERRUPT);
    // Now it draws, too.
    assert!(!page || stalled.acknowledge().await);
    assert!(stalled.type_text("clear; echo stopped-$((40+2))\r").await);
    let mut looked_at = stalled.output.len();
    let shown = async {
        while !stalled.output[looked_at.saturating_sub(10)..].windows(10).any(|text| text == b"stopped-42") {
            looked_at = stalled.output.len();
            assert!(stalled.read().await, "the terminal closed");
            assert!(!page || stalled.acknowledge().await);
        }
    };
    tokio::time::timeout(wait::PATIENCE, shown).await.expect("the screen is up to date again");
}
