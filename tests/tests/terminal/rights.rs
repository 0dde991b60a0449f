//! A terminal ends with the right to it, however that ends.

use berth_tests::{Client, Exec, Previewed, Stack, Terminal, wait};
use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};

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

/// An answer that goes on: opened, and known to have begun.
async fn stream(client: &Client, path: &str) -> reqwest::Response {
    let mut stream = client.request(Method::GET, path).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some(), "{path} says nothing");
    stream
}

async fn ends(mut stream: reqwest::Response) {
    let rest = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(SOON, rest).await.expect("the answer is cut soon");
}

/// What a user has open at the same time.
struct Open {
    terminal: Terminal,
    events: reqwest::Response,
    inbox: reqwest::Response,
}

impl Open {
    async fn by(client: &Client, session: &str) -> Self {
        let mut terminal = Terminal::open(client, session).await;
        terminal.read_until("\u{1b}").await;
        let events = stream(client, "/events").await;
        Self { terminal, events, inbox: stream(client, "/notifications/stream").await }
    }

    async fn all_end(mut self) {
        closes_with(&mut self.terminal, 4001).await;
        ends(self.events).await;
        ends(self.inbox).await;
    }
}

#[tokio::test]
async fn a_role_a_device_and_a_user_that_are_taken_back_end_what_is_open() {
    let stack = Stack::start().await;
    let (owner, session) = stack.client_and_session("work").await;
    let ana = stack.member("ana", "editor").await;
    let workspace = owner.workspace().await;
    let members = format!("/workspaces/{workspace}/members");
    let role =
        |role: &'static str| owner.call(Method::PUT, &members, Some(json!({ "name": "ana", "role": role })));

    // What an editor did ends when she is a viewer; what a viewer may goes on.
    let mut first = Open::by(&ana, &session).await;
    let mut exec = Exec::start(&ana, &json!({ "argv": ["sh", "-c", "echo begun; exec sleep 1000"] })).await;
    assert_eq!(exec.text_line().await, "begun");
    let mut watching = Terminal::open_as(&ana, &session, Some(json!({ "watch": true })), (100, 30)).await;
    watching.read_until("\u{1b}").await;
    assert_eq!(role("viewer").await.status, 200);
    closes_with(&mut first.terminal, 4001).await;
    wait::until("the exec to be on the record as revoked", async || {
        let record = owner.get(&format!("/workspaces/{workspace}/audit")).await;
        let entries = record["entries"].as_array()?;
        entries
            .iter()
            .find(|entry| entry["action"] == "exec_finished" && entry["detail"]["revoked"] == true)
            .map(drop)
    })
    .await;
    let ticket = ana.call(Method::POST, &format!("/sessions/{session}/ticket"), None).await;
    assert_eq!(ticket.body["role"], "viewer");
    drop(first);

    assert_eq!(role("editor").await.status, 200);
    let link = stack.operate(&["user", "sign-in-link", "ana"]);
    let phone = Client::sign_in(stack.origin(), &link).await;
    let (at_the_desk, on_the_phone) = (Open::by(&ana, &session).await, Open::by(&phone, &session).await);
    let devices = ana.get("/devices").await;
    let other = devices["devices"].as_array().unwrap().iter().find(|device| device["this"] == false).unwrap();
    let end = format!("/devices/{}", other["id"].as_str().unwrap());
    assert_eq!(ana.call(Method::DELETE, &end, None).await.status, 204);
    on_the_phone.all_end().await;
    // From another process, and the one that watched all the time ends with them.
    stack.operate(&["user", "block", "ana"]);
    at_the_desk.all_end().await;
    closes_with(&mut watching, 4001).await;
    assert_eq!(ana.call(Method::GET, "/me", None).await.status, 401);
}

#[tokio::test]
async fn a_preview_and_what_is_told_of_a_workspace_end_with_the_role() {
    let f = Previewed::open().await;
    let path = f.path().await;
    let workspace = f.client.workspace().await;
    for how in ["by the API", "by another process", "by the organisation"] {
        let name = how.rsplit(' ').next().unwrap().to_lowercase();
        let member = match name.as_str() {
            "organisation" => {
                f.stack.operate(&["organization", "create", "team"]);
                f.stack.operate(&["organization", "give", "main", "team"]);
                let member = f.stack.person(&name).await;
                f.stack.operate(&["organization", "set", "team", &name, "editor"]);
                f.stack.operate(&["organization", "set", "team", "owner", "owner"]);
                member
            }
            _ => f.stack.member(&name, "editor").await,
        };
        let mut preview = f.preview.clone();
        preview.cookie = None;
        preview.enter(&member).await;
        let mut socket = f.websocket(&preview, "/ws", Some(&preview.origin), true).await.unwrap();
        let mut page = preview.get("/sse").await;
        assert_eq!(page.chunk().await.unwrap().unwrap(), "data: 0\n\n");
        let requests = stream(&member, &format!("{path}/requests")).await;
        let mut events = member.request(Method::GET, "/events").send().await.unwrap();
        let first = events.chunk().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&first).contains(&workspace), "{how}");

        match name.as_str() {
            "api" => {
                let id = member.get("/me").await["user"]["id"].as_str().unwrap().to_owned();
                let remove = format!("/workspaces/{workspace}/members/{id}");
                assert_eq!(f.client.call(Method::DELETE, &remove, None).await.status, 204);
            }
            "organisation" => {
                let teams = f.client.get("/organizations").await;
                let team = teams["organizations"][0]["id"].as_str().unwrap();
                let id = member.get("/me").await["user"]["id"].as_str().unwrap().to_owned();
                let remove = format!("/organizations/{team}/members/{id}");
                assert_eq!(f.client.call(Method::DELETE, &remove, None).await.status, 204);
            }
            _ => drop(f.stack.operate(&["member", "remove", "main", &name])),
        }
        let closed = async { while let Some(Ok(_)) = socket.next().await {} };
        tokio::time::timeout(SOON, closed).await.unwrap_or_else(|_| panic!("the WebSocket goes on: {how}"));
        ends(page).await;
        ends(requests).await;
        // The stream of what is theirs goes on, without what is not theirs any more.
        let told = async {
            loop {
                let event = events.chunk().await.unwrap().unwrap();
                let event = String::from_utf8_lossy(&event).into_owned();
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
                let data: Value = serde_json::from_str(data).unwrap_or_default();
                if data["workspaces"] == json!([]) {
                    return;
                }
            }
        };
        tokio::time::timeout(SOON, told).await.unwrap_or_else(|_| panic!("the page still shows it: {how}"));
        assert_eq!(preview.get("/").await.status(), 401, "{how}");
    }
}
