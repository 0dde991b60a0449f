//! Sessions: created, renamed and deleted through the API, made and ended in tmux.

use berth_tests::terminal::Ask;
use berth_tests::{Client, Stack, Terminal, wait};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_session_is_created_renamed_and_deleted() {
    let stack = Stack::start().await;
    let (client, id) = stack.client_and_session("first").await;
    let path = format!("/sessions/{id}");
    assert_eq!(client.get(&path).await["name"], "first");
    assert_eq!(stack.tmux.sessions(), [id.as_str()]);

    let renamed = client.call(Method::PATCH, &path, Some(json!({"name": "second"}))).await;
    assert_eq!((renamed.status, renamed.body["name"].as_str()), (200, Some("second")));
    assert_eq!(stack.tmux.sessions(), [id.as_str()], "tmux knows a session by its id");

    assert_eq!(client.call(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(client.call(Method::DELETE, &path, None).await.status, 404);
    wait::until("tmux to end it", async || stack.tmux.sessions().is_empty().then_some(())).await;
}

#[tokio::test]
async fn bad_names_are_refused_and_change_nothing() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let id = client.create_session("taken").await;
    let path = format!("/workspaces/{}/sessions", client.workspace().await);
    for (body, status, kind) in [
        (json!({"name": "taken"}), 409, "name_taken"),
        (json!({"name": "  "}), 422, "invalid_name"),
        (json!({"name": "x".repeat(65)}), 422, "invalid_name"),
        (json!({"name": "a\u{7}b"}), 422, "invalid_name"),
        (json!({"name": "new", "template": "../x"}), 422, "invalid_template"),
        (json!({"title": "new"}), 400, "malformed_request"),
        (json!([]), 400, "malformed_request"),
    ] {
        let answer = client.call(Method::POST, &path, Some(body.clone())).await;
        assert_eq!((answer.status, answer.kind()), (status, kind), "{body}");
    }
    let second = client.create_session("free").await;
    let path_of_second = format!("/sessions/{second}");
    let rename = client.call(Method::PATCH, &path_of_second, Some(json!({"name": "taken"}))).await;
    assert_eq!(rename.kind(), "name_taken");
    let sessions = client.get(&path).await;
    let ids: Vec<_> = sessions["sessions"].as_array().unwrap().iter().map(|s| s["id"].clone()).collect();
    assert_eq!(ids, [id, second]);
}

#[tokio::test]
async fn a_session_deleted_while_the_box_was_away_ends_when_it_is_back() {
    let mut stack = Stack::start().await;
    let (client, id) = stack.client_and_session("work").await;
    let kept = client.running_session("kept").await;
    stack.agent.stop();
    client.wait_for_box("offline").await;
    assert_eq!(client.call(Method::DELETE, &format!("/sessions/{id}"), None).await.status, 204);
    assert!(stack.tmux.sessions().contains(&id));
    stack.start_agent().await;
    let ended = async || (stack.tmux.sessions() == [kept.as_str()]).then_some(());
    wait::until("the deleted session, and no other, to end", ended).await;
}

#[tokio::test]
async fn a_session_made_while_the_box_was_away_starts_when_it_is_back() {
    let mut stack = Stack::start().await;
    let (client, _) = stack.client_and_session("work").await;
    stack.agent.stop();
    client.wait_for_box("offline").await;
    let id = client.create_session("later").await;
    stack.start_agent().await;
    client.wait_for_session(&id, "running").await;
    assert!(stack.tmux.sessions().contains(&id));
}

#[tokio::test]
async fn a_pane_whose_command_is_missing_says_so_and_gives_a_shell() {
    let stack = Stack::start().await;
    if berth_tests::programs::on_path("claude").is_some() {
        panic!("this machine has claude: the test needs one without it");
    }
    let (_client, id) = stack.client_and_session("work").await;
    let target = format!("={id}:.0");
    wait::until("the message", async || {
        let screen = stack.tmux.run(&["capture-pane", "-p", "-t", &target])?;
        screen.contains("claude is not installed").then_some(())
    })
    .await;
    let _ = stack.tmux.run(&["send-keys", "-t", &target, "echo $((6*7))", "Enter"]);
    wait::until("the shell to answer", async || {
        stack.tmux.run(&["capture-pane", "-p", "-t", &target])?.contains("42").then_some(())
    })
    .await;
}

/// An event stream, and what it has said so far.
struct Events {
    answer: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(stack: &Stack, client: &Client) -> Self {
        let request = berth_tests::client::plain().get(format!("{}/api/v1/events", stack.origin()));
        let answer = request.header("cookie", client.cookie()).send().await.unwrap();
        Self { answer, text: String::new() }
    }

    /// Reads until `what` was said, and returns everything so far.
    async fn read_until(&mut self, what: &str) -> &str {
        while !self.text.contains(what) {
            assert!(self.read().await, "the stream ended before {what}");
        }
        &self.text
    }

    /// Reads something; false at the end.
    async fn read(&mut self) -> bool {
        let chunk = tokio::time::timeout(wait::PATIENCE, self.answer.chunk()).await;
        match chunk.unwrap_or_else(|_| panic!("nothing more than {}", self.text)) {
            Ok(Some(chunk)) => {
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
                true
            }
            // A stream breaks off when the right to it ends.
            Ok(None) | Err(_) => false,
        }
    }
}

#[tokio::test]
async fn changes_arrive_as_events_after_a_snapshot() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let before = client.create_session("before").await;
    let mut events = Events::open(&stack, &client).await;
    assert!(events.read_until("\n\n").await.starts_with("event: snapshot\n"));
    events.read_until(&before).await;
    let after = client.create_session("after").await;
    let heard = events.read_until(&after).await;
    assert!(heard.contains("event: session\n"), "{heard}");
    client.call(Method::DELETE, &format!("/sessions/{after}"), None).await;
    events.read_until("event: session_deleted\n").await;
}

#[tokio::test]
async fn what_the_command_line_changes_is_seen_at_once() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let mut events = Events::open(&stack, &client).await;
    events.read_until("\n\n").await;
    let id = berth_tests::process::stdout(&stack.gateway_verb(&["workspace", "create", "second"]));
    events.read_until(&id).await;
}

#[tokio::test]
async fn signing_out_ends_the_browsers_terminals_streams_and_tickets() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let other = stack.client().await;
    let mut events = Events::open(&stack, &client).await;
    let mut terminal = Terminal::open(&client, &session).await;
    let mut others = Terminal::open(&other, &session).await;
    let ticket = client.ticket(&session).await;
    terminal.read_until("\u{1b}").await;
    others.read_until("\u{1b}").await;

    assert_eq!(client.call(Method::POST, "/sign-out", None).await.status, 204);
    let close = terminal.read_until_closed().await.unwrap();
    assert_eq!(u16::from(close.code), 4001);
    while events.read().await {}
    let ask = Ask {
        session: session.clone(),
        protocols: format!("berth.v1, ticket.{ticket}"),
        origin: Some(client.origin().to_owned()),
    };
    assert_eq!(Terminal::ask(&client, &ask).await.err(), Some(401));

    others.type_text("echo still-$((40+2))\r").await;
    others.read_until("still-42").await;
}
