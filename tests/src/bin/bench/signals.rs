//! From the bell byte in a pane to the event of a browser's inbox.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use berth_tests::sse::EventStream;
use berth_tests::{Client, Stack, attention, wait};
use http::Method;

use crate::report::Report;
use crate::rounds::Series;

/// Sessions, each with so many panes. A pane rings once: what it rings next is the same call for a while.
const SESSIONS: usize = 10;

pub async fn measure(report: &mut Report, quick: bool) {
    eprintln!("Signals");
    let each = if quick { 5 } else { 20 };
    let stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let panes = panes(&stack, &client, each).await;
    let answer =
        client.request(Method::GET, "/notifications/stream").send().await.expect("the gateway answers");
    let mut stream = EventStream::of(answer);
    stream.next().await.expect("the inbox as it is");

    let mut taken = Series::default();
    for (pane, terminal) in panes {
        let mut terminal =
            std::fs::OpenOptions::new().write(true).open(terminal).expect("the pane's terminal");
        let begun = Instant::now();
        terminal.write_all(b"\x07").expect("the pane rings");
        loop {
            let event = stream.next().await.expect("the stream goes on");
            let told = event.data["notifications"].as_array().expect("notifications");
            if told.iter().any(|one| one["pane"]["id"] == pane) {
                break;
            }
        }
        taken.0.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    report.add("bell to inbox p50 ms", Series(vec![taken.quantile(0.5)]));
    report.add("bell to inbox p99 ms", Series(vec![taken.quantile(0.99)]));
}

/// Panes that are listened to, with their terminals. Each runs a program that is no shell.
async fn panes(stack: &Stack, client: &Client, each: usize) -> BTreeMap<u32, PathBuf> {
    let mut found = BTreeMap::new();
    for number in 0..SESSIONS {
        let session = client.running_session(&format!("s{number}")).await;
        let target = format!("={session}:");
        for _ in 0..each {
            let about = "#{pane_id} #{pane_tty}";
            let made = stack.tmux.run(&["new-window", "-d", "-P", "-F", about, "-t", &target, "cat"]);
            let made = made.expect("tmux makes a window");
            let (pane, terminal) = made.split_once(' ').expect("a pane and its terminal");
            let pane = pane.trim_start_matches('%').parse().expect("a pane's number");
            found.insert(pane, PathBuf::from(terminal));
        }
    }
    for pane in found.keys() {
        attention::wait_for_tap(stack, *pane).await;
    }
    let sessions = format!("/workspaces/{}/sessions", client.workspace().await);
    wait::until("what runs in every pane to be known", async || {
        let mut known = 0;
        for session in client.get(&sessions).await["sessions"].as_array()? {
            let panes = session["attention"]["panes"].as_array().map_or(0, Vec::len);
            known += panes.saturating_sub(1);
        }
        (known >= found.len()).then_some(())
    })
    .await;
    found
}
