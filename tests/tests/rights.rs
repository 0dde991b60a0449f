//! A terminal ends with the right to it, however that ends.

use berth_tests::{Client, Stack, Terminal};

/// How soon an open terminal follows.
const SOON: std::time::Duration = std::time::Duration::from_secs(5);

async fn closes_with(terminal: &mut Terminal, code: u16) {
    let closed = tokio::time::timeout(SOON, terminal.read_until_closed()).await;
    assert_eq!(closed.expect("the terminal is closed soon").map(|close| u16::from(close.code)), Some(code));
}

fn store(stack: &Stack) -> rusqlite::Connection {
    rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap()
}

async fn open(stack: &Stack) -> (Client, Terminal) {
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    (client, terminal)
}

#[tokio::test]
async fn when_the_browsers_session_is_over_its_terminals_are() {
    let stack = Stack::start().await;
    let (_client, mut terminal) = open(&stack).await;
    assert_eq!(store(&stack).execute("UPDATE browser_sessions SET expires_at_ms = 1", []).unwrap(), 1);
    closes_with(&mut terminal, 4001).await;
}

#[tokio::test]
async fn when_the_workspace_is_another_users_its_terminals_close() {
    let stack = Stack::start().await;
    let (_client, mut terminal) = open(&stack).await;
    let store = store(&stack);
    store.execute("INSERT INTO users (id, name, created_at_ms) VALUES ('usr-aaaaaaaaaaaaaaaaaaaaaaaaaa', 'other', 1)", []).unwrap();
    let sql = "UPDATE workspaces SET owner_user_id = 'usr-aaaaaaaaaaaaaaaaaaaaaaaaaa'";
    assert_eq!(store.execute(sql, []).unwrap(), 1);
    closes_with(&mut terminal, 4001).await;
}

#[tokio::test]
async fn when_another_process_ends_the_session_its_terminals_are_told_that_it_is_gone() {
    let stack = Stack::start().await;
    let (_client, mut terminal) = open(&stack).await;
    assert_eq!(store(&stack).execute("UPDATE sessions SET ended_at_ms = 1", []).unwrap(), 1);
    closes_with(&mut terminal, 4004).await;
}
