//! Shares: what a guest may do, and that it ends.

use berth_tests::{Client, Stack, Terminal};
use http::Method;
use reqwest::header::{ORIGIN, SET_COOKIE};
use serde_json::{Value, json};

/// Makes a share; its id and the code in its link.
async fn share(client: &Client, session: &str, body: Value) -> (String, String) {
    let answer = client.call(Method::POST, &format!("/sessions/{session}/shares"), Some(body)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let url = answer.body["url"].as_str().unwrap();
    let (page, code) = url.split_once('#').expect("the code is in the fragment, which no server sees");
    assert_eq!(page, format!("{}/share", client.origin()));
    (answer.body["share"]["id"].as_str().unwrap().to_owned(), code.to_owned())
}

/// Opens a share as its guest's browser does; the status when that fails.
async fn open(stack: &Stack, code: &str) -> Result<(Client, Value), u16> {
    let url = format!("{}/api/v1/shares/open", stack.origin());
    let request = berth_tests::client::plain().post(url).header(ORIGIN, stack.origin());
    let answer = request.json(&json!({ "code": code })).send().await.unwrap();
    if answer.status() != 200 {
        return Err(answer.status().as_u16());
    }
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    Ok((Client::with_cookie(stack.origin(), &cookie), answer.json().await.unwrap()))
}

#[tokio::test]
async fn a_guest_watches_one_session_and_may_nothing_else() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let other = client.running_session("other").await;
    let (id, code) = share(&client, &session, json!({"name": "Ana"})).await;
    let (guest, opened) = open(&stack, &code).await.unwrap();
    assert_eq!(opened["session_id"], json!(session));
    assert_eq!(open(&stack, &code).await.err(), Some(404), "the link worked twice");
    assert_eq!(open(&stack, "guessed").await.err(), Some(404));

    let mut desk = Terminal::open(&client, &session).await;
    desk.type_text("echo $((6*7))\r").await;
    let mut terminal = Terminal::open(&guest, &session).await;
    terminal.read_until("42").await;
    terminal.type_text("echo typed-by-guest\r").await;
    desk.type_text("echo $((6*8))\r").await;
    terminal.read_until("48").await;
    assert!(!terminal.has_written("typed-by-guest"), "a guest types");
    let told = desk.read_until_told("presence", |now| now["clients"][1]["name"] == "Ana").await;
    assert_eq!(told["clients"][1]["role"], "viewer");

    assert_eq!(guest.get(&format!("/sessions/{session}")).await["name"], "work");
    let workspace = client.workspace().await;
    for (method, path, body, expected) in [
        (Method::GET, format!("/sessions/{other}"), None, 401),
        (Method::POST, format!("/sessions/{other}/ticket"), None, 401),
        (Method::PATCH, format!("/sessions/{session}"), Some(json!({"name": "mine"})), 401),
        (Method::DELETE, format!("/sessions/{session}"), None, 401),
        (Method::GET, format!("/sessions/{session}/screen"), None, 401),
        (Method::POST, format!("/sessions/{session}/input"), Some(json!({"text": "x"})), 401),
        (Method::POST, format!("/sessions/{session}/files?name=a.txt"), Some(json!("text")), 401),
        (Method::GET, format!("/sessions/{session}/shares"), None, 401),
        (Method::POST, format!("/sessions/{session}/shares"), Some(json!({})), 401),
        (Method::DELETE, format!("/sessions/{session}/shares/{id}"), None, 401),
        (Method::GET, "/workspaces".into(), None, 401),
        (Method::GET, "/events".into(), None, 401),
        (Method::POST, format!("/workspaces/{workspace}/exec"), Some(json!({"argv": ["id"]})), 401),
    ] {
        assert_eq!(guest.call(method.clone(), &path, body).await.status, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn a_share_that_is_ended_or_late_closes_its_guests_terminal() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (id, code) = share(&client, &session, json!({})).await;
    let (guest, _) = open(&stack, &code).await.unwrap();
    let mut terminal = Terminal::open(&guest, &session).await;
    let listed = client.get(&format!("/sessions/{session}/shares")).await;
    assert_eq!(listed["shares"][0]["id"], json!(id));
    assert!(listed["shares"][0]["opened_at_ms"].is_i64());
    let path = format!("/sessions/{session}/shares/{id}");
    assert_eq!(client.call(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(terminal.read_until_closed().await.map(|close| u16::from(close.code)), Some(4001));
    assert_eq!(guest.call(Method::POST, &format!("/sessions/{session}/ticket"), None).await.status, 401);
    assert_eq!(client.call(Method::DELETE, &path, None).await.kind(), "share_not_found");

    let (_, code) = share(&client, &session, json!({"expires_in_seconds": 60})).await;
    let (guest, _) = open(&stack, &code).await.unwrap();
    let mut terminal = Terminal::open(&guest, &session).await;
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    assert_eq!(store.execute("UPDATE shares SET expires_at_ms = 1", []).unwrap(), 1);
    assert_eq!(terminal.read_until_closed().await.map(|close| u16::from(close.code)), Some(4001));
}

#[tokio::test]
async fn what_a_share_can_not_be_is_said() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let path = format!("/sessions/{session}/shares");
    for (body, kind) in [
        (json!({"expires_in_seconds": 59}), "invalid_lifetime"),
        (json!({"expires_in_seconds": 604_801}), "invalid_lifetime"),
        (json!({"name": " "}), "invalid_name"),
        (json!({"name": "a\u{1b}[31m"}), "invalid_name"),
        (json!({"role": "editor"}), "malformed_request"),
    ] {
        assert_eq!(client.call(Method::POST, &path, Some(body.clone())).await.kind(), kind, "{body}");
    }
    let elsewhere = format!("{path}/shr-aaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_eq!(client.call(Method::DELETE, &elsewhere, None).await.kind(), "share_not_found");
    assert_eq!(client.call(Method::DELETE, &format!("{path}/x"), None).await.kind(), "share_not_found");
}

#[tokio::test]
async fn shares_are_on_the_record() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (id, code) = share(&client, &session, json!({})).await;
    open(&stack, &code).await.unwrap();
    client.call(Method::DELETE, &format!("/sessions/{session}/shares/{id}"), None).await;
    let record = client.get(&format!("/workspaces/{}/audit", client.workspace().await)).await;
    let entries = &record["entries"].as_array().unwrap()[..3];
    let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["share_ended", "share_opened", "share_created"]);
    assert!(entries.iter().all(|entry| entry["detail"]["share"] == json!(id)));
    assert!(!record.to_string().contains(&code), "the record holds the code");
}
