//! Terminals that end in the midst of a flood: of each, the program on the box that showed it ends too.

use std::time::Duration;

use berth_tests::{Client, Raw, Stack, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Terminals that are cut, one after the other.
const TERMINALS: usize = 12;

/// Processes that show a session of a stack.
fn attached(stack: &Stack) -> Vec<Pid> {
    let socket = stack.path("run/terminal/tmux.sock");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    ids.filter(|pid| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split('\0').collect();
        words.contains(&"attach-session") && words.contains(&socket.to_str().unwrap())
    })
    .map(Pid::from_raw)
    .collect()
}

/// A session with a flood in its only visible pane.
async fn flood() -> (Stack, Client, String) {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = open(&client, &session).await;
    let zoomed = stack.tmux.run(&["resize-pane", "-Z", "-t", &format!("={session}:")]);
    assert!(zoomed.is_some(), "the pane can't be zoomed");
    assert!(terminal.type_text("clear; seq 1000001 1000000000000\r").await);
    // A page does not see every number, but tmux does.
    wait::until("the flood", async || {
        let shown = stack.tmux.run(&["capture-pane", "-p", "-t", &format!("={session}:")])?;
        shown.lines().any(|line| line.parse::<u64>().is_ok_and(|number| number > 1_001_000)).then_some(())
    })
    .await;
    (stack, client, session)
}

/// A page's terminal that has begun.
async fn open(client: &Client, session: &str) -> Raw {
    let mut terminal = Raw::started_small(client, session).await;
    terminal.read_until("\u{1b}").await;
    assert!(terminal.acknowledge().await);
    terminal
}

async fn wait_until_nothing_is_attached(stack: &Stack) {
    wait::until("every attached program to end", async || attached(stack).is_empty().then_some(())).await;
    let clients = stack.tmux.run(&["list-clients"]).expect("tmux answers");
    assert_eq!(clients, "", "tmux still has clients");
}

#[tokio::test]
async fn a_terminal_that_is_cut_in_a_flood_leaves_nothing_behind() {
    let (stack, client, session) = flood().await;
    for at in 0..TERMINALS {
        let mut terminal = open(&client, &session).await;
        match at % 3 {
            0 => terminal.read_until_quiet(Duration::from_secs(1)).await,
            1 => {}
            _ => tokio::time::sleep(Duration::from_millis(300)).await,
        }
        drop(terminal);
    }
    wait_until_nothing_is_attached(&stack).await;
}

#[tokio::test]
async fn a_gateway_that_is_killed_in_a_flood_leaves_nothing_behind() {
    let (mut stack, client, session) = flood().await;
    let mut terminals = Vec::new();
    for _ in 0..TERMINALS {
        terminals.push(open(&client, &session).await);
    }
    terminals[0].read_until_quiet(Duration::from_secs(1)).await;
    assert!(!attached(&stack).is_empty(), "there is nothing to test");
    stack.gateway.kill();
    wait_until_nothing_is_attached(&stack).await;
}

#[tokio::test]
async fn a_program_that_does_not_heed_its_end_is_killed() {
    let (stack, client, session) = flood().await;
    wait_until_nothing_is_attached(&stack).await;
    let terminal = open(&client, &session).await;
    let [stuck] = attached(&stack)[..] else { panic!("one terminal is open: {:?}", attached(&stack)) };
    kill(stuck, Signal::SIGSTOP).unwrap();
    drop(terminal);
    wait_until_nothing_is_attached(&stack).await;
}
