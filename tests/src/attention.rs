//! What a box tells of its sessions' need for the user, and panes to make it tell something.

use std::time::Duration;

use http::Method;
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::{Client, Stack, wait};

/// Types text into a pane of a session's first window.
///
/// # Panics
/// When it is not taken.
pub async fn type_in(client: &Client, session: &str, pane: u32, text: &str) {
    let body = json!({ "pane": pane, "text": text });
    let answer = client.call(Method::POST, &format!("/sessions/{session}/input"), Some(body)).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// Waits until a pane shows a line that begins so.
pub async fn shows(client: &Client, session: &str, pane: u32, line: &str) {
    wait::until(&format!("{line:?} in pane {pane}"), async || {
        let screen = client.get(&format!("/sessions/{session}/screen?pane={pane}")).await;
        let text = screen["panes"][0]["text"].as_str()?.to_owned();
        text.lines().any(|shown| shown.starts_with(line)).then_some(())
    })
    .await;
}

/// Makes a pane a plain shell that reads what is typed.
pub async fn shell(client: &Client, session: &str, pane: u32) {
    wait::until("a shell", async || {
        // One that is still starting may throw away what was typed early.
        type_in(client, session, pane, "exec env PS1='$ ' ENV= sh\nclear; echo rea''dy\n").await;
        wait::try_within(Duration::from_secs(5), async || {
            let screen = client.get(&format!("/sessions/{session}/screen?pane={pane}")).await;
            let text = screen["panes"][0]["text"].as_str()?.to_owned();
            text.lines().any(|line| line == "ready").then_some(())
        })
        .await
    })
    .await;
}

/// What the gateway has stored of a kind of events, in order.
///
/// # Panics
/// When the store can't be read.
#[must_use]
pub fn stored(stack: &Stack, kind: &str) -> Vec<Value> {
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).expect("the gateway's store");
    let mut rows =
        store.prepare("SELECT payload FROM events WHERE kind = $1 ORDER BY rowid").expect("events");
    let rows = rows.query_map([kind], |row| row.get::<_, String>(0)).expect("events");
    rows.map(|row| serde_json::from_str(&row.expect("a row")).expect("JSON")).collect()
}

/// Notifications that the gateway has stored.
#[must_use]
pub fn told(stack: &Stack) -> Vec<Value> {
    stored(stack, "notification")
}

/// Notifications that were taken back.
#[must_use]
pub fn withdrawn(stack: &Stack) -> Vec<Value> {
    stored(stack, "notification_withdrawn")
}

/// Waits for the first notification that pleases.
pub async fn wait_told(stack: &Stack, what: &str, pleases: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, async || told(stack).into_iter().find(&pleases)).await
}

/// The process that listens to a pane.
#[must_use]
pub fn tap(stack: &Stack, pane: u32) -> Option<Pid> {
    let socket = stack.path("run/agent.sock");
    let pane = pane.to_string();
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<&str> =
            line.split(|byte| *byte == 0).filter_map(|w| std::str::from_utf8(w).ok()).collect();
        let taps = words.get(1) == Some(&"tap") && words.contains(&socket.to_str()?);
        (taps && words.contains(&pane.as_str())).then(|| Pid::from_raw(pid))
    })
}

/// tmux's number of a pane of a session's first window.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn pane_number(stack: &Stack, session: &str, index: u32) -> u32 {
    let target = format!("={session}:.{index}");
    let said = stack.tmux.run(&["display-message", "-p", "-t", &target, "#{pane_id}"]).expect("a pane");
    said.trim_start_matches('%').parse().expect("a number")
}

/// Waits until a pane's output is listened to.
pub async fn wait_for_tap(stack: &Stack, pane: u32) -> Pid {
    wait::until("the tap", async || tap(stack, pane)).await
}
