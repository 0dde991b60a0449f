//! Terminals from the browser's WebSocket to tmux and back.

use std::path::Path;
use std::time::UNIX_EPOCH;

use berth_protocol::ids::SessionId;
use berth_tests::process::{run, stdout};
use berth_tests::terminal::Ask;
use berth_tests::{Stack, Terminal, wait};
use http::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn what_is_typed_runs_in_tmux_and_its_output_comes_back() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    assert_eq!(stack.tmux.sessions(), [session.as_str()]);
    assert_eq!(stack.tmux.pane_pids(&session).len(), 3);

    let mut terminal = Terminal::open(&client, &session).await;
    terminal.type_text("echo $((6*7))\r").await;
    terminal.read_until("42").await;
    assert!(terminal.told.is_empty(), "a page of ours was told {:?}", terminal.told);
    terminal
        .type_text("printf 'gr\\303\\274n \\360\\237\\214\\262 \\033[38;2;1;2;3mcolour\\033[0m\\n'\r")
        .await;
    terminal.read_until("grün 🌲").await;
    terminal.read_until("38;2;1;2;3m").await;
}

#[tokio::test]
async fn the_size_follows_the_browser() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    wait::until("the first size", async || (stack.tmux.size(&session)?.0 == 100).then_some(())).await;
    terminal.resize(133, 41).await;
    wait::until("the second size", async || (stack.tmux.size(&session)?.0 == 133).then_some(())).await;
    terminal.resize(65535, 65535).await;
    let clamped = async || stack.tmux.size(&session).filter(|size| size.0 == 1000);
    assert!(wait::until("a huge size to be clamped", clamped).await.1 <= 500);
}

#[tokio::test]
async fn a_stock_client_attaches_with_its_ticket_in_the_first_message() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let origin = Some(client.origin().to_owned());
    let ask = Ask { session: session.clone(), protocols: "tty".into(), origin };
    let mut terminal = Terminal::ask(&client, &ask).await.unwrap();
    let ticket = client.ticket(&session).await;
    let first = json!({"AuthToken": ticket, "columns": 80, "rows": 24});
    terminal.send_binary(first.to_string().as_bytes()).await;
    terminal.type_text("echo $((6*7))\r").await;
    terminal.read_until("42").await;
    assert_eq!(terminal.told, ["1work", "2{}"], "a title and preferences, and none of ttyd's own");
    assert!(terminal.texts.is_empty(), "a stock client understands no text: {:?}", terminal.texts);

    let mut unwelcome = Terminal::ask(&client, &ask).await.unwrap();
    let first = json!({"AuthToken": "guessed", "columns": 80, "rows": 24});
    unwelcome.send_binary(first.to_string().as_bytes()).await;
    let close = unwelcome.read_until_closed().await.unwrap();
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "ticket_invalid"));
}

#[tokio::test]
async fn a_ticket_is_good_once_in_time_and_for_its_own_session() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let other = client.running_session("other").await;
    let ask = async |session: &str, ticket: &str| {
        let protocols = format!("berth.v1, ticket.{ticket}");
        let origin = Some(client.origin().to_owned());
        Terminal::ask(&client, &Ask { session: session.to_owned(), protocols, origin }).await
    };
    let ticket = client.ticket(&session).await;
    let _open = ask(&session, &ticket).await.unwrap();
    assert_eq!(ask(&session, &ticket).await.err(), Some(401), "used twice");

    let ticket = client.ticket(&session).await;
    assert_eq!(ask(&other, &ticket).await.err(), Some(401), "for another session");
    assert_eq!(ask(&session, &ticket).await.err(), Some(401), "gone after that");

    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    let now = || i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let asked = now();
    let answer = client.call(Method::POST, &format!("/sessions/{session}/ticket"), None).await;
    assert_eq!(answer.body["expires_in_seconds"], 30);
    let ends: i64 =
        store.query_row("SELECT expires_at_ms FROM terminal_tickets", [], |row| row.get(0)).unwrap();
    assert!((asked + 30_000..=now() + 30_000).contains(&ends), "the ticket ends {} ms later", ends - asked);
    let ticket = answer.body["ticket"].as_str().unwrap();
    assert_eq!(store.execute("UPDATE terminal_tickets SET expires_at_ms = 1", []).unwrap(), 1);
    assert_eq!(ask(&session, ticket).await.err(), Some(401), "late");
    assert_eq!(ask(&session, "guessed").await.err(), Some(401), "unknown");
    assert_eq!(ask(SessionId::random().as_str(), "guessed").await.err(), Some(401), "unknown session");
}

#[tokio::test]
async fn a_socket_from_another_page_is_refused_and_keeps_the_ticket() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let protocols = format!("berth.v1, ticket.{}", client.ticket(&session).await);
    for origin in [None, Some("null"), Some("http://127.0.0.1:1"), Some("https://evil.example")] {
        let origin = origin.map(str::to_owned);
        let ask = Ask { session: session.clone(), protocols: protocols.clone(), origin: origin.clone() };
        assert_eq!(Terminal::ask(&client, &ask).await.err(), Some(403), "{origin:?}");
    }
    let origin = Some(client.origin().to_owned());
    Terminal::ask(&client, &Ask { session, protocols, origin }).await.unwrap();
}

#[tokio::test]
async fn what_would_crash_ttyd_never_reaches_it() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut neighbour = Terminal::open(&client, &session).await;
    neighbour.read_until("\u{1b}").await;
    for hostile in [Message::binary(Vec::new()), Message::text(""), Message::binary(b"9x".to_vec())] {
        let mut terminal = Terminal::open(&client, &session).await;
        terminal.send(hostile.clone()).await;
        // Refused, or ignored: in no case passed on.
        terminal.send(Message::Close(None)).await;
        terminal.read_until_closed().await;
        neighbour.type_text("clear; echo alive-$((40+2))\r").await;
        neighbour.read_until("alive-42").await;
        neighbour.output.clear();
    }
}

#[tokio::test]
async fn a_deleted_session_closes_its_terminals_and_ends_in_tmux() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    let answer = client.call(Method::DELETE, &format!("/sessions/{session}"), None).await;
    assert_eq!(answer.status, 204);
    let close = terminal.read_until_closed().await.unwrap();
    assert_eq!(u16::from(close.code), 4004);
    wait::until("tmux to end the session", async || stack.tmux.sessions().is_empty().then_some(())).await;
}

#[tokio::test]
async fn an_offline_box_is_said_to_be_offline() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    stack.agent.stop();
    client.wait_for_box("offline").await;
    let answer = client.call(Method::POST, &format!("/sessions/{session}/ticket"), None).await;
    assert_eq!((answer.status, answer.kind()), (503, "box_offline"));
    assert_eq!(stack.tmux.sessions(), [session], "tmux goes on without the agent");
}

/// The tmux of this machine, such as (3, 4), and what it says of itself.
fn tmux_version() -> ((u32, u32), String) {
    let said = stdout(&run(Path::new("tmux"), &["-V"], ""));
    let number = said.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let mut parts =
        number.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    ((parts.next().unwrap_or(0), parts.next().unwrap_or(0)), said)
}

#[tokio::test]
async fn a_link_with_a_text_of_its_own_passes_tmux() {
    let (version, said) = tmux_version();
    if version < (3, 4) {
        // Debian 12's: it drops the sequence. What the page makes of one is tested without it.
        eprintln!("skipped: {said} knows no hyperlinks, tmux 3.4 does");
        return;
    }
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    terminal
        .type_text(
            "clear; printf '\\033]8;;https://example.org/a''b\\033\\\\the-te''xt\\033]8;;\\033\\\\\\n'\r",
        )
        .await;
    terminal.read_until("the-text").await;
    terminal.read_until(";https://example.org/ab\u{1b}\\").await;
}
