//! Events of a box reach the gateway once, whatever happens to the box's database.

use std::path::Path;

use berth_tests::{Stack, wait};

/// What the gateway has stored: streams with their numbers.
fn stored(stack: &Stack) -> Vec<(String, Vec<i64>)> {
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    let mut streams = store.prepare("SELECT stream FROM event_streams ORDER BY rowid").unwrap();
    let streams: Vec<String> = streams.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    streams
        .into_iter()
        .map(|stream| {
            let mut numbers = store.prepare("SELECT seq FROM events WHERE stream = $1 ORDER BY seq").unwrap();
            let numbers = numbers.query_map([&stream], |row| row.get(0)).unwrap().map(Result::unwrap);
            (stream.clone(), numbers.collect())
        })
        .collect()
}

/// Events in the box's outbox.
fn waiting(stack: &Stack) -> i64 {
    let path = stack.path("workspace/system/state/agent.db");
    let store = rusqlite::Connection::open(path).unwrap();
    store.query_row("SELECT COUNT(*) FROM outbox", [], |row| row.get(0)).unwrap_or(-1)
}

fn copy_database(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["agent.db", "agent.db-wal", "agent.db-shm"] {
        let _ = std::fs::remove_file(to.join(name));
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[tokio::test]
async fn telemetry_arrives_with_start_phases() {
    let stack = Stack::start().await;
    let client = stack.client().await;
    let telemetry = wait::until("telemetry", async || {
        let found = client.get("/workspaces").await;
        let telemetry = found["workspaces"][0]["box"]["telemetry"].clone();
        telemetry.is_object().then_some(telemetry)
    })
    .await;
    assert!(telemetry["memory_total_bytes"].as_u64().unwrap() > 0);
    assert!(telemetry["disk_total_bytes"].as_u64().unwrap() > 0);
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    let payload: String =
        store.query_row("SELECT payload FROM events WHERE kind = 'telemetry'", [], |row| row.get(0)).unwrap();
    for phase in ["volume", "layout", "tmux", "ttyd", "door"] {
        assert!(payload.contains(&format!("\"{phase}\"")), "{phase} is missing in {payload}");
    }
}

#[tokio::test]
async fn a_restored_older_copy_loses_and_doubles_nothing() {
    let mut stack = Stack::start().await;
    let state = stack.path("workspace/system/state");
    let copy = stack.path("copy");
    wait::until("the first event", async || stored(&stack).first()?.1.first().copied()).await;

    // The gateway goes away; the event of the next start waits in the outbox, and a copy is made of it.
    stack.agent.stop();
    stack.gateway.stop();
    stack.start_agent().await;
    wait::until("an event to wait", async || (waiting(&stack) > 0).then_some(())).await;
    stack.agent.stop();
    copy_database(&state, &copy);

    // Everything is delivered.
    stack.gateway.start();
    stack.wait_for_gateway().await;
    stack.start_agent().await;
    wait::until("the third start's event", async || (stored(&stack).len() == 3).then_some(())).await;
    wait::until("the outbox to empty", async || (waiting(&stack) == 0).then_some(())).await;
    let delivered = stored(&stack);

    // Then the older copy is put back: what it holds was delivered before, and what comes now is new.
    stack.agent.stop();
    copy_database(&copy, &state);
    assert!(waiting(&stack) > 0, "the copy holds no event");
    stack.start_agent().await;
    wait::until("a new stream", async || (stored(&stack).len() > delivered.len()).then_some(())).await;
    wait::until("the outbox to empty", async || (waiting(&stack) == 0).then_some(())).await;
    let after = stored(&stack);
    assert_eq!(after[..delivered.len()], delivered, "an old stream changed");
    for (stream, numbers) in &after {
        let expected: Vec<i64> = (1..=numbers.len() as i64).collect();
        assert_eq!(numbers, &expected, "numbers of {stream}");
    }
}
