//! Inboxes: what a box tells is there once, whoever dies; who sees it; and what is answered.

use berth_protocol::ids::NotificationId;
use berth_tests::sse::EventStream;
use berth_tests::{Client, Linked, Stack, wait};
use http::Method;
use serde_json::{Value, json};

/// A gateway, a linked box, a signed-in client and a session.
async fn start() -> (Stack, Linked, Client, String) {
    let stack = Stack::start_gateway().await;
    stack.enroll("main");
    let linked = Linked::begin(&stack).await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let session = client.create_session("api").await;
    (stack, linked, client, session)
}

/// A question of a pane.
fn asks(session: &str, text: &str) -> Value {
    json!({
        "id": NotificationId::random(), "session": session, "pane": { "id": 3, "window": 0, "index": 1 },
        "reason": "waiting_for_approval", "severity": "warning", "evidence": "hook", "confidence": 98,
        "text": text,
        "question": {
            "fingerprint": "5f0c",
            "choices": [
                { "id": "approve", "label": "Yes", "keys": ["Enter"] },
                { "id": "deny", "label": "No\u{202e}", "keys": ["Escape"] }
            ],
            "free_text": true
        },
        "signal_ms": 1
    })
}

async fn inbox(client: &Client) -> Value {
    client.get("/notifications").await
}

#[tokio::test]
async fn what_a_box_tells_is_in_the_inbox_once_and_as_text() {
    let (mut stack, mut linked, client, session) = start().await;
    let told = asks(&session, "rm\u{1b}[2J -rf\u{202e}\u{7} x\r\ny");
    linked.event("notification", told.clone()).await;
    linked.repeat("notification", told.clone()).await;
    // The same notification in another event is the same all the same.
    linked.event("notification", told.clone()).await;
    stack.gateway.kill();
    stack.gateway.start();
    stack.wait_for_gateway().await;
    let mut linked = Linked::begin(&stack).await;
    linked.event("notification", told.clone()).await;
    let found = inbox(&client).await;
    assert_eq!((found["unread"].as_u64(), found["notifications"].as_array().unwrap().len()), (Some(1), 1));
    let one = &found["notifications"][0];
    assert_eq!(
        (&one["id"], &one["session_id"], one["text"].as_str()),
        (&told["id"], &json!(session), Some("rm [2J -rf x y"))
    );
    assert_eq!(one["question"]["choices"][1], json!({ "id": "deny", "label": "No" }));
    assert!(!one.to_string().contains("5f0c"), "the fingerprint is nobody's business");

    // A session that is not the workspace's, and what can't be understood, are nobody's.
    let foreign = berth_protocol::ids::SessionId::random();
    linked.event("notification", asks(foreign.as_str(), "x")).await;
    linked.event("notification", json!({ "id": "nonsense" })).await;
    linked.event("notification_withdrawn", json!({ "id": NotificationId::random(), "why": "seen" })).await;
    assert_eq!(inbox(&client).await["notifications"].as_array().unwrap().len(), 1);

    linked.event("notification_withdrawn", json!({ "id": told["id"], "why": "went_on" })).await;
    let found = inbox(&client).await;
    let one = &found["notifications"][0];
    assert_eq!((found["unread"].as_u64(), one["ended_because"].as_str()), (Some(0), Some("went_on")));
    assert!(one["question"].is_null(), "it can't be answered any more");
}

#[tokio::test]
async fn the_stream_tells_what_changes_and_goes_on_where_it_was() {
    let (_stack, mut linked, client, session) = start().await;
    let open = async |last: Option<&str>| {
        let mut request = client.request(Method::GET, "/notifications/stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        EventStream::of(request.send().await.unwrap())
    };
    let next = async |stream: &mut EventStream| {
        let event = stream.next().await.expect("the stream goes on");
        (event.id, event.data)
    };
    let mut stream = open(None).await;
    let (begun, first) = next(&mut stream).await;
    assert_eq!(first["notifications"], json!([]));
    linked.event("notification", asks(&session, "one")).await;
    let (_, event) = next(&mut stream).await;
    assert_eq!(
        (event["unread"].as_u64(), event["notifications"][0]["text"].as_str()),
        (Some(1), Some("one"))
    );
    let id = event["notifications"][0]["id"].as_str().unwrap();
    let acked = client.call(Method::POST, &format!("/notifications/{id}/ack"), None).await;
    assert_eq!(acked.status, 204);
    let (last, event) = next(&mut stream).await;
    assert_eq!(event["unread"], 0);
    assert!(event["notifications"][0]["seen_at_ms"].is_i64());

    linked.event("notification", asks(&session, "two")).await;
    let mut again = open(Some(&last)).await;
    let (_, event) = next(&mut again).await;
    let texts: Vec<_> = event["notifications"].as_array().unwrap().iter().map(|one| &one["text"]).collect();
    assert_eq!(texts, ["two"], "what was told is not told again");
    let mut all = open(Some(&begun)).await;
    let (_, event) = next(&mut all).await;
    assert_eq!(event["notifications"].as_array().unwrap().len(), 2);
    let mut strange = open(Some("99999")).await;
    let (_, event) = next(&mut strange).await;
    assert_eq!(event["notifications"].as_array().unwrap().len(), 2, "of another life: from the beginning");
}

#[tokio::test]
async fn a_list_of_sessions_reads_like_a_status_board() {
    let (_stack, mut linked, client, session) = start().await;
    let believed = json!({
        "session": session, "activity": "waiting_for_approval", "evidence": "hook", "confidence": 250, "since_ms": 5,
        "panes": [{
            "pane": { "id": 3, "window": 0, "index": 1 }, "activity": "waiting_for_approval", "evidence": "hook",
            "confidence": 98, "since_ms": 5
        }]
    });
    linked.attention(json!([believed])).await;
    let sessions = format!("/workspaces/{}/sessions", client.workspace().await);
    let attention = wait::until("the session's activity", async || {
        let found = client.get(&sessions).await["sessions"][0]["attention"].clone();
        (!found.is_null()).then_some(found)
    })
    .await;
    let expected = json!({
        "activity": "waiting_for_approval", "evidence": "hook", "confidence": 100, "since_ms": 5,
        "panes": [{
            "pane": { "id": 3, "window": 0, "index": 1 }, "activity": "waiting_for_approval", "evidence": "hook",
            "confidence": 98, "since_ms": 5
        }]
    });
    assert_eq!(attention, expected);
    linked.attention(json!([])).await;
    wait::until("nothing to be believed any more", async || {
        client.get(&format!("/sessions/{session}")).await["attention"].is_null().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_goes_to_the_pane_that_asks_or_nowhere() {
    let (_stack, mut linked, client, session) = start().await;
    let told = asks(&session, "may I?");
    let id = told["id"].as_str().unwrap().to_owned();
    linked.event("notification", told).await;
    let answer = async |body: Value| {
        client.call(Method::POST, &format!("/notifications/{id}/answer"), Some(body)).await
    };
    for (body, status, kind) in [
        (json!({ "choice": "always" }), 422, "choice_unknown"),
        (json!({}), 422, "invalid_answer"),
        (json!({ "choice": "approve", "text": "x" }), 422, "invalid_answer"),
        (json!({ "text": "" }), 422, "invalid_answer"),
        (json!({ "text": "two\nlines" }), 422, "invalid_answer"),
        (json!({ "text": "\u{1b}[A" }), 422, "invalid_answer"),
        (json!({ "text": "x".repeat(5000) }), 422, "invalid_answer"),
    ] {
        let answer = answer(body.clone()).await;
        assert_eq!((answer.status, answer.kind()), (status, kind), "{body}");
    }
    assert!(linked.asked().is_empty(), "the box was asked: {:?}", linked.asked());
    linked.will_answer(503, "busy");
    assert_eq!(answer(json!({ "choice": "approve" })).await.status, 503);
    assert_eq!(inbox(&client).await["unread"], 1, "it waits still");
    assert_eq!(answer(json!({ "choice": "approve" })).await.status, 204);
    let (path, body) = linked.asked().pop().unwrap();
    assert_eq!(path, format!("/v1/sessions/{session}/answer"));
    let expected = json!({
        "notification": id, "pane": { "id": 3, "window": 0, "index": 1 }, "fingerprint": "5f0c", "choice": "approve"
    });
    assert_eq!(body, expected);
    let found = inbox(&client).await;
    assert_eq!(
        (found["unread"].as_u64(), found["notifications"][0]["ended_because"].as_str()),
        (Some(0), Some("answered"))
    );
    assert_eq!(answer(json!({ "choice": "deny" })).await.kind(), "question_gone");

    let told = asks(&session, "again?");
    let id = told["id"].as_str().unwrap().to_owned();
    linked.event("notification", told).await;
    linked.will_answer(409, "question_gone");
    let path = format!("/notifications/{id}/answer");
    let late = client.call(Method::POST, &path, Some(json!({ "text": "yes, please" }))).await;
    assert_eq!((late.status, late.kind()), (409, "question_gone"));
    assert!(late.body["error"]["message"].as_str().unwrap().contains("nothing was typed"));
    assert_eq!(inbox(&client).await["notifications"][0]["ended_because"], "went_on");

    let audit = client.get(&format!("/workspaces/{}/audit", client.workspace().await)).await.to_string();
    assert!(audit.contains("question_answered") && audit.contains("answer_started"), "{audit}");
    assert!(audit.contains("approve") && !audit.contains("yes, please"), "words are not kept: {audit}");
}

#[tokio::test]
async fn what_is_seen_muted_or_deleted_counts_no_more() {
    let (_stack, mut linked, client, session) = start().await;
    for text in ["one", "two", "three"] {
        linked.event("notification", asks(&session, text)).await;
    }
    let page = client.get("/notifications?limit=2").await;
    assert_eq!(page["unread"], 3);
    let next = page["next"].as_u64().unwrap();
    let rest = client.get(&format!("/notifications?limit=2&before={next}")).await;
    assert_eq!((rest["notifications"][0]["text"].as_str(), &rest["next"]), (Some("one"), &Value::Null));

    let mute = format!("/sessions/{session}/mute");
    let short = client.call(Method::PUT, &mute, Some(json!({ "seconds": 5 }))).await;
    assert_eq!(short.kind(), "invalid_mute");
    assert_eq!(client.call(Method::PUT, &mute, Some(json!({ "seconds": 3600 }))).await.status, 204);
    let muted = inbox(&client).await;
    assert_eq!((muted["unread"].as_u64(), &muted["mutes"][0]["session_id"]), (Some(0), &json!(session)));
    assert_eq!(client.call(Method::DELETE, &mute, None).await.status, 204);
    assert_eq!(inbox(&client).await["unread"], 3);

    let seq = rest["notifications"][0]["seq"].as_u64().unwrap();
    let seen = async |body: Value| client.call(Method::POST, "/notifications/seen", Some(body)).await.status;
    assert_eq!(seen(json!({})).await, 422);
    assert_eq!(seen(json!({ "up_to": seq })).await, 204);
    assert_eq!(inbox(&client).await["unread"], 2);
    assert_eq!(seen(json!({ "session_id": session })).await, 204);
    assert_eq!(client.get("/notifications?unread=true").await["notifications"], json!([]));

    linked.event("notification", asks(&session, "four")).await;
    assert_eq!(inbox(&client).await["unread"], 1);
    assert_eq!(client.call(Method::DELETE, &format!("/sessions/{session}"), None).await.status, 204);
    let found = inbox(&client).await;
    assert_eq!(
        (found["unread"].as_u64(), found["notifications"][0]["ended_because"].as_str()),
        (Some(0), Some("gone"))
    );
    linked.event("notification", asks(&session, "five")).await;
    assert_eq!(inbox(&client).await["notifications"].as_array().unwrap().len(), 4, "of a deleted session");
}

#[tokio::test]
async fn another_user_and_a_stranger_see_nothing() {
    let (stack, mut linked, client, session) = start().await;
    let told = asks(&session, "secret");
    let id = told["id"].as_str().unwrap().to_owned();
    linked.event("notification", told).await;
    let channel = json!({
        "name": "hook", "target": { "kind": "webhook", "url": "https://example.com/x", "secret": "0123456789abcdef" }
    });
    let made = client.call(Method::POST, "/channels", Some(channel)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(!made.body.to_string().contains("0123456789abcdef"), "{}", made.body);
    let channel = made.body["id"].as_str().unwrap();
    let other = other_user(&stack, &client);
    assert_eq!(inbox(&other).await["notifications"], json!([]));
    assert_eq!(other.get("/channels").await["channels"], json!([]));
    for (method, path, body) in [
        (Method::POST, format!("/notifications/{id}/ack"), None),
        (Method::POST, format!("/notifications/{id}/answer"), Some(json!({ "choice": "approve" }))),
        (Method::PUT, format!("/sessions/{session}/mute"), Some(json!({}))),
        (Method::PATCH, format!("/channels/{channel}"), Some(json!({ "on": false }))),
        (Method::POST, format!("/channels/{channel}/test"), None),
        (Method::DELETE, format!("/channels/{channel}"), None),
    ] {
        let answer = other.call(method.clone(), &path, body.clone()).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
        let nobody = Client::with_cookie(client.origin(), "nothing=nothing").call(method, &path, body).await;
        assert_eq!(nobody.status, 401, "{path}: {}", nobody.body);
    }
    assert!(linked.asked().is_empty());
    assert_eq!(inbox(&client).await["unread"], 1);

    // Whoever loses the workspace loses what was told of it.
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    store.busy_timeout(wait::PATIENCE).unwrap();
    store
        .execute("UPDATE workspaces SET owner_user_id = (SELECT id FROM users WHERE name = 'other')", [])
        .unwrap();
    let lost = inbox(&client).await;
    assert_eq!((&lost["unread"], &lost["notifications"]), (&json!(0), &json!([])));
    assert_eq!(client.call(Method::POST, &format!("/notifications/{id}/ack"), None).await.status, 404);
}

/// A signed-in user beside the owner, as an operator could make one in the store.
fn other_user(stack: &Stack, client: &Client) -> Client {
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    store.busy_timeout(wait::PATIENCE).unwrap();
    let user = berth_protocol::ids::UserId::random();
    let token = "a-token-of-another-user";
    let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    let hash = data_encoding::HEXLOWER.encode(digest.as_ref());
    store
        .execute(
            "INSERT INTO users (id, name, created_at_ms) VALUES (?1, 'other', 9999999999999)",
            [user.as_str()],
        )
        .unwrap();
    let sql = "INSERT INTO browser_sessions (token_hash, user_id, created_at_ms, expires_at_ms)
               VALUES (?1, ?2, 0, 9999999999999)";
    store.execute(sql, [hash.as_str(), user.as_str()]).unwrap();
    let (name, _) = client.cookie().split_once('=').unwrap();
    Client::with_cookie(client.origin(), &format!("{name}={token}"))
}

#[tokio::test]
async fn settings_are_checked_and_kept() {
    let (mut stack, _linked, client, _) = start().await;
    assert_eq!(
        client.get("/notifications/settings").await,
        json!({ "quiet": null, "escalate_after_secs": null })
    );
    let put = async |body: Value| client.call(Method::PUT, "/notifications/settings", Some(body)).await;
    let quiet = |zone: &str| json!({ "time_zone": zone, "from_minute": 1320, "to_minute": 420, "urgent_breaks_through": true });
    let refused = put(json!({ "quiet": quiet("Mars/Olympus") })).await;
    assert_eq!((refused.status, refused.kind()), (422, "invalid_settings"));
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("Mars/Olympus"));
    assert_eq!(put(json!({ "escalate_after_secs": 1 })).await.status, 422);
    let wanted = json!({ "quiet": quiet("Asia/Tokyo"), "escalate_after_secs": 300 });
    assert_eq!(put(wanted.clone()).await.body, wanted);
    stack.gateway.kill();
    stack.gateway.start();
    stack.wait_for_gateway().await;
    assert_eq!(client.get("/notifications/settings").await, wanted);
}
