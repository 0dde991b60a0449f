//! Every process is killed while a terminal is open: the work goes on, and so does the terminal.

use std::time::{Duration, Instant};

use berth_tests::{Client, Stack, Terminal, wait};

/// How soon a terminal must be back.
const BACK: Duration = Duration::from_secs(5);

/// A program that a user left running, and its process id.
async fn leave_running(stack: &Stack, client: &Client, session: &str) -> (Terminal, Vec<String>) {
    let mut terminal = Terminal::open(client, session).await;
    terminal.type_text("echo begun-$((40+2)); sleep 100000\r").await;
    terminal.read_until("begun-42").await;
    let pids = stack.tmux.pane_pids(session);
    assert_eq!(pids.len(), 3);
    (terminal, pids)
}

/// Attaches again as a page does: as often as it takes, but within [`BACK`] of the crash.
async fn attach_again(client: &Client, session: &str, crash: Instant) {
    let left = BACK.saturating_sub(crash.elapsed());
    let mut terminal = Terminal::open_again(client, session, left).await;
    terminal.read_until("begun-42").await;
}

#[tokio::test]
async fn a_session_survives_the_removal_of_tmuxs_socket() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (mut terminal, pids) = leave_running(&stack, &client, &session).await;
    let socket = stack.path("run/terminal/tmux.sock");

    let removal = Instant::now();
    std::fs::remove_file(&socket).unwrap();
    attach_again(&client, &session, removal).await;
    assert_eq!(stack.tmux.pane_pids(&session), pids);
    terminal.type_text("typed-in-the-old-one").await;
    terminal.read_until("typed-in-the-old-one").await;

    // While no agent runs, nobody would notice.
    stack.agent.stop();
    std::fs::remove_file(&socket).unwrap();
    let start = Instant::now();
    stack.start_agent().await;
    attach_again(&client, &session, start).await;
    assert_eq!(stack.tmux.pane_pids(&session), pids);
}

#[tokio::test]
async fn a_terminal_survives_the_death_of_ttyd() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (mut terminal, pids) = leave_running(&stack, &client, &session).await;
    let crash = Instant::now();
    berth_tests::process::kill_child(stack.agent.pid(), "ttyd");
    let close = terminal.read_until_closed().await;
    assert_eq!(close.map(|close| u16::from(close.code)), Some(4503));
    attach_again(&client, &session, crash).await;
    assert_eq!(stack.tmux.pane_pids(&session), pids);
}

#[tokio::test]
async fn a_terminal_survives_the_death_of_the_agent() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (mut terminal, pids) = leave_running(&stack, &client, &session).await;
    let crash = Instant::now();
    stack.agent.kill();
    stack.agent.start();
    let close = terminal.read_until_closed().await;
    assert_eq!(close.map(|close| u16::from(close.code)), Some(4503));
    attach_again(&client, &session, crash).await;
    assert_eq!(stack.tmux.pane_pids(&session), pids);
}

#[tokio::test]
async fn a_terminal_survives_the_death_of_the_gateway() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (mut terminal, pids) = leave_running(&stack, &client, &session).await;
    let crash = Instant::now();
    stack.gateway.kill();
    terminal.read_until_closed().await;
    stack.gateway.start();
    attach_again(&client, &session, crash).await;
    assert_eq!(stack.tmux.pane_pids(&session), pids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_says_so_to_its_terminals() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (mut terminal, _) = leave_running(&stack, &client, &session).await;
    let closed = tokio::spawn(async move { terminal.read_until_closed().await });
    let status = tokio::task::block_in_place(|| stack.gateway.stop());
    assert!(status.is_some_and(|status| status.success()));
    assert_eq!(closed.await.unwrap().map(|close| u16::from(close.code)), Some(1012));
}

#[tokio::test]
async fn a_restarted_gateway_reaches_the_box_without_a_hello() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (_terminal, pids) = leave_running(&stack, &client, &session).await;
    stack.gateway.kill();
    // The agent looks for it in vain: only the store knows where the door is.
    stack.move_link();
    let crash = Instant::now();
    stack.gateway.start();
    attach_again(&client, &session, crash).await;
    assert_eq!(stack.tmux.pane_pids(&session), pids);
    assert!(
        !stack
            .gateway
            .log()
            .lines()
            .rev()
            .take_while(|line| !line.contains("gateway serves"))
            .any(|line| line.contains("link begun"))
    );
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_crash() {
    let mut stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(client.create_session(&format!("s{number}")).await);
    }
    stack.gateway.kill();
    stack.gateway.start();
    stack.wait_for_gateway().await;
    let path = format!("/workspaces/{}/sessions", client.workspace().await);
    let sessions = client.get(&path).await;
    let found: Vec<_> = sessions["sessions"].as_array().unwrap().iter().map(|s| s["id"].clone()).collect();
    assert_eq!(found, ids);
}

#[tokio::test]
async fn a_restored_older_store_is_believed_again() {
    let mut stack = Stack::start().await;
    let (client, first) = stack.client_and_session("first").await;
    stack.stop_and_copy_store();
    stack.gateway.start();
    stack.wait_for_gateway().await;
    client.wait_for_box("online").await;
    let later = client.running_session("later").await;
    client.running_session("latest").await;

    stack.restore_store().await;
    let new = client.running_session("new").await;
    let running = stack.tmux.sessions();
    for session in [first, later, new] {
        assert!(running.contains(&session), "{session} does not run any more");
    }
}

#[tokio::test]
async fn a_box_that_the_store_does_not_know_is_told_to_enrol() {
    let mut stack = Stack::start_gateway().await;
    stack.stop_and_copy_store();
    stack.gateway.start();
    stack.wait_for_gateway().await;
    stack.enroll("main");
    stack.restore_store().await;
    stack.start_agent().await;
    wait::until("the box to hear it", async || {
        stack.agent.log().contains("does not know this box: enrol it again").then_some(())
    })
    .await;
}
