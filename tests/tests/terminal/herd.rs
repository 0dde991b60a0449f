//! Many clients that come back at once: all get their terminals within a bounded time, and none leaves anything behind.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use berth_tests::metrics::wait_for_metric;
use berth_tests::{Client, Stack, Terminal, wait};
use futures_util::future::join_all;
use nix::unistd::Pid;

/// How long all of them may take together, on a busy machine, for each of them.
const EACH: Duration = Duration::from_millis(600);

/// File descriptors that gateway and agent may have more than before the first client: warm connections come and go.
const SPARE: usize = 16;

/// Open file descriptors of a process.
fn descriptors(pid: Pid) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

async fn wait_until_nobody_is_there(stack: &Stack, before: [usize; 2]) {
    wait_for_metric(stack, "gateway_terminals_open", |open| open == 0.0).await;
    wait::until("every client of tmux to go", async || {
        stack.tmux.run(&["list-clients"]).filter(String::is_empty)
    })
    .await;
    wait::until("every connection to end", async || {
        let now = [descriptors(stack.gateway.pid()), descriptors(stack.agent.pid())];
        now.iter().zip(before).all(|(now, before)| *now <= before + SPARE).then_some(())
    })
    .await;
}

/// Lets so many clients come at once, and all of them see what one at each session types once all are there.
async fn come(client: &Client, sessions: &[String], count: usize, word: usize) -> Vec<Terminal> {
    let limit = EACH * u32::try_from(count).unwrap() + wait::PATIENCE;
    let (begun, present, satisfied) = (Instant::now(), AtomicUsize::new(0), AtomicUsize::new(0));
    let (here, seen) = (&present, format!("word-{word}-"));
    let live = async |terminal: &mut Terminal, at: usize| {
        // As pages do meanwhile: whoever does not answer is taken for dead. Where all processors are busy that is one who would
        // have, and comes again.
        if !terminal.idle(Duration::from_millis(200)).await {
            *terminal = Terminal::open_again(client, &sessions[at % sessions.len()], limit).await;
        }
        assert!(begun.elapsed() < limit, "of {count} clients {} came in {limit:?}", here.load(Relaxed));
    };
    let clients = (0..count).map(async |at| {
        let mut terminal = Terminal::open_again(client, &sessions[at % sessions.len()], limit).await;
        present.fetch_add(1, Relaxed);
        if at < sessions.len() {
            while present.load(Relaxed) < count {
                live(&mut terminal, at).await;
            }
            terminal.type_text(&format!("clear; echo word-$(({word}+0))-\r")).await;
        }
        while !terminal.has_written(&seen) {
            live(&mut terminal, at).await;
        }
        satisfied.fetch_add(1, Relaxed);
        while satisfied.load(Relaxed) < count {
            live(&mut terminal, at).await;
        }
        terminal
    });
    join_all(clients).await
}

async fn herd(count: usize) {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let sessions = [session, client.running_session("other").await];
    // One comes and goes, so that what is made once is there.
    drop(come(&client, &sessions, 2, 1).await);
    wait_for_metric(&stack, "gateway_terminals_open", |open| open == 0.0).await;
    let agent = descriptors(stack.agent.pid());
    let before = [descriptors(stack.gateway.pid()), agent];

    let terminals = come(&client, &sessions, count, 2).await;
    drop(terminals);
    // At once, while the box still lets the former ones go.
    let mut terminals = come(&client, &sessions, count, 3).await;
    // A gateway that stops tells all of them to come back.
    stack.gateway.stop();
    join_all(terminals.iter_mut().map(Terminal::read_until_closed)).await;
    drop(terminals);
    stack.gateway.start();
    stack.wait_for_gateway().await;
    let terminals = come(&client, &sessions, count, 4).await;
    wait_for_metric(&stack, "gateway_terminals_open", |open| open == count as f64).await;
    drop(terminals);
    wait_until_nobody_is_there(&stack, before).await;
}

#[tokio::test]
async fn forty_clients_come_back_at_once() {
    herd(40).await;
}

#[tokio::test]
#[ignore = "long: scripts/test --long"]
async fn a_thousand_clients_come_back_at_once() {
    herd(1000).await;
}
