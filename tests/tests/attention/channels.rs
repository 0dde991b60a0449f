//! Channels: what reaches push services, ntfy and webhooks, whoever dies meanwhile, and where nothing may lead.

use berth_protocol::ids::NotificationId;
use berth_tests::metrics::{metric, wait_for_metric};
use berth_tests::push::{Subscription, vapid_claims};
use berth_tests::{Client, Linked, Receiver, Stack, wait};
use http::Method;
use ring::hmac;
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123";

/// A gateway whose channels may lead to this machine, a linked box, a client and a session.
async fn start() -> (Stack, Linked, Client, String) {
    let mut stack = Stack::start_gateway().await;
    stack.configure("[notifications]\nallow_addresses = [\"127.0.0.0/8\"]\n").await;
    stack.enroll("main");
    let linked = Linked::begin(&stack).await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let session = client.create_session("api").await;
    (stack, linked, client, session)
}

async fn make(client: &Client, target: Value, more: Value) -> String {
    let mut body = json!({ "name": "a channel", "target": target });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = client.call(Method::POST, "/channels", Some(body)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["id"].as_str().unwrap().to_owned()
}

fn rings(session: &str, text: &str) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    json!({
        "id": NotificationId::random(), "session": session, "pane": { "id": 3, "window": 0, "index": 1 },
        "reason": "waiting_for_approval", "severity": "warning", "evidence": "bell", "confidence": 80, "text": text,
        "question": { "fingerprint": "f", "choices": [{ "id": "approve", "label": "Yes", "keys": ["Enter"] }] },
        "signal_ms": u64::try_from(now).unwrap()
    })
}

/// Waits until the channel is as wanted.
async fn channel(client: &Client, id: &str, what: &str, pleases: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, async || {
        let found = client.get("/channels").await;
        let one = found["channels"].as_array()?.iter().find(|one| one["id"] == id)?.clone();
        pleases(&one).then_some(one)
    })
    .await
}

#[tokio::test]
async fn a_browser_gets_what_only_it_can_read_and_its_receipts_count_once() {
    let (stack, mut linked, client, session) = start().await;
    let (service, browser) = (Receiver::start().await, Subscription::new(7));
    let id = make(&client, browser.target(&service.url("/send/secret")), json!({})).await;
    let told = rings(&session, "rm -rf build?");
    linked.event("notification", told.clone()).await;
    let received = service.nth(1).await;
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/send/secret"));
    let key = client.get("/channels").await["push_public_key"].as_str().unwrap().to_owned();
    let claims = vapid_claims(&received, &key);
    assert_eq!(claims["aud"], service.url(""));
    assert_eq!(claims["sub"], stack.origin());
    for (name, value) in [("urgency", "high"), ("ttl", "86400")] {
        assert_eq!(received.headers[name], value);
    }
    assert!(received.headers["topic"].len() <= 32);
    let message = browser.read(&received);
    assert_eq!(
        (message["what"].as_str(), message["title"].as_str()),
        (Some("show"), Some("api wants your approval"))
    );
    assert_eq!(
        (message["body"].as_str(), message["tag"].as_str()),
        (Some("rm -rf build?"), Some(session.as_str()))
    );
    assert_eq!(
        (&message["notification"], &message["path"]),
        (&told["id"], &json!(format!("/sessions/{session}")))
    );
    assert_eq!(message["actions"], json!([{ "choice": "approve", "label": "Yes" }]));
    channel(&client, &id, "the message to be accepted", |one| one["last"]["state"] == "accepted").await;

    // The worker of the page sends receipts; it needs no right beside the secret.
    let worker = Client::with_cookie(client.origin(), "nothing=nothing");
    let receipt = async |what: &str, secret: &Value| {
        let body = json!({ "receipt": secret, "what": what });
        worker.call(Method::POST, "/receipts", Some(body)).await.status
    };
    let secret = &message["receipt"];
    assert_eq!(receipt("shown", &json!("guessed")).await, 404);
    assert_eq!(receipt("shown", secret).await, 204);
    assert_eq!(receipt("shown", secret).await, 404, "it was used");
    let shown = channel(&client, &id, "the message to be shown", |one| one["last"]["state"] == "shown").await;
    assert!(shown["shown_at_ms"].is_i64());

    // What the user has seen elsewhere is taken off this screen.
    let path = format!("/notifications/{}/ack", told["id"].as_str().unwrap());
    assert_eq!(client.call(Method::POST, &path, None).await.status, 204);
    let taken_back = browser.read(&service.nth(2).await);
    assert_eq!((&taken_back["what"], &taken_back["tag"]), (&json!("withdraw"), &json!(session)));
    assert_eq!(receipt("acted", secret).await, 204);
    assert_eq!(receipt("acted", secret).await, 404, "it was used");
    wait_for_metric(&stack, "gateway_notification_receipts_total", |count| count == 2.0).await;
    for (name, expected) in [
        ("gateway_notifications_stored_total", 1.0),
        ("gateway_notifications_duplicated_total", 0.0),
        ("gateway_notifications_dropped_total", 0.0),
        ("gateway_notification_inbox_seconds_count{evidence=\"bell\"}", 1.0),
        ("gateway_notification_accepted_seconds_count{evidence=\"bell\"}", 1.0),
        ("gateway_notification_deliveries_total{channel=\"web_push\",outcome=\"accepted\"}", 2.0),
    ] {
        wait_for_metric(&stack, name, |count| count == expected).await;
    }
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_removed() {
    let (stack, mut linked, client, session) = start().await;
    let service = Receiver::start().await;
    for (seed, status) in [(1, 404), (2, 410)] {
        let before = service.received().len();
        service.will_answer(status, &[]);
        let target = Subscription::new(seed).target(&service.url(&format!("/{seed}")));
        let id = make(&client, target, json!({})).await;
        linked.event("notification", rings(&session, "x")).await;
        let gone = channel(&client, &id, "the channel to be gone", |one| one["state"] == "gone").await;
        assert!(gone["failure"].as_str().unwrap().contains(&status.to_string()), "{gone}");
        assert_eq!(service.received().len(), before + 1);
        let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
        let sql = "SELECT target_sealed IS NULL FROM channels WHERE id = ?1";
        let removed: bool = store.query_row(sql, [&id], |row| row.get(0)).unwrap();
        assert!(removed, "its keys are kept");
        let test = client.call(Method::POST, &format!("/channels/{id}/test"), None).await;
        assert_eq!((test.status, test.kind()), (409, "channel_not_active"));
    }
    linked.event("notification", rings(&session, "y")).await;
    // Subscribing again makes it work again, as the same channel.
    let again = make(&client, Subscription::new(2).target(&service.url("/2")), json!({})).await;
    assert_eq!(client.call(Method::POST, &format!("/channels/{again}/test"), None).await.status, 202);
    service.nth(3).await;
    assert_eq!(client.get("/channels").await["channels"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn ntfy_gets_no_words_of_the_terminal_unless_asked_to() {
    let (_stack, mut linked, client, session) = start().await;
    let server = Receiver::start().await;
    let target = json!({ "kind": "ntfy", "url": server.url("/below/my-topic"), "token": "tk_secret" });
    let id = make(&client, target, json!({})).await;
    linked.event("notification", rings(&session, "hunter2")).await;
    let received = server.nth(1).await;
    assert_eq!(
        (received.path.as_str(), received.headers["authorization"].as_str()),
        ("/below", "Bearer tk_secret")
    );
    let message = received.json();
    assert_eq!(
        (message["topic"].as_str(), message["title"].as_str()),
        (Some("my-topic"), Some("api wants your approval"))
    );
    assert_eq!((message["message"].as_str(), message["priority"].as_u64()), (Some("main"), Some(4)));
    assert_eq!(message["click"], format!("{}/sessions/{session}", client.origin()));
    assert!(!String::from_utf8_lossy(&received.body).contains("hunter2"));
    let body = Some(json!({ "includes_text": true }));
    assert_eq!(client.call(Method::PATCH, &format!("/channels/{id}"), body).await.status, 200);
    linked.event("notification", rings(&session, "hunter3")).await;
    assert_eq!(server.nth(2).await.json()["message"], "hunter3");
    let told = client.get("/channels").await.to_string();
    assert!(!told.contains("tk_secret") && !told.contains("my-topic"), "{told}");
}

#[tokio::test]
async fn a_webhook_is_signed_and_tried_again() {
    let (stack, mut linked, client, session) = start().await;
    let program = Receiver::start().await;
    program.will_answer(500, &[]);
    program.will_answer(429, &[("retry-after", "1".into())]);
    let target = json!({ "kind": "webhook", "url": program.url("/hook?a=b"), "secret": SECRET });
    let id = make(&client, target, json!({})).await;
    linked.event("notification", rings(&session, "hunter2")).await;
    let (first, last) = (program.nth(1).await, program.nth(3).await);
    assert_eq!(first.headers["berth-delivery"], last.headers["berth-delivery"], "one message, sent again");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    for received in [&first, &last] {
        let timestamp = &received.headers["berth-timestamp"];
        let signed = format!("{timestamp}.{}", String::from_utf8_lossy(&received.body));
        let signature = received.headers["berth-signature"].strip_prefix("v1=").unwrap();
        let signature = data_encoding::HEXLOWER.decode(signature.as_bytes()).unwrap();
        hmac::verify(&key, signed.as_bytes(), &signature).expect("the signature is good");
    }
    let body = last.json();
    assert_eq!(
        (body["type"].as_str(), body["notifications"][0]["session_name"].as_str()),
        (Some("notification"), Some("api"))
    );
    assert!(!body.to_string().contains("hunter2"));
    let works =
        channel(&client, &id, "the message to be accepted", |one| one["accepted_at_ms"].is_i64()).await;
    assert_eq!((&works["failure"], &works["failures"]), (&Value::Null, &json!(0)));
    let counted = "gateway_notification_deliveries_total{channel=\"webhook\",outcome=\"again\"}";
    assert_eq!(metric(&stack, counted).await, Some(2.0));

    // What redirects leads elsewhere: nobody goes there.
    let elsewhere = Receiver::start().await;
    program.will_answer(307, &[("location", elsewhere.url("/stolen"))]);
    let test = client.call(Method::POST, &format!("/channels/{id}/test"), None).await;
    assert_eq!(test.status, 202);
    let failed = channel(&client, &id, "the redirect to be a failure", |one| !one["failure"].is_null()).await;
    assert!(failed["failure"].as_str().unwrap().contains("307"), "{failed}");
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn a_message_survives_the_death_of_the_gateway_that_sends_it() {
    let (mut stack, mut linked, client, session) = start().await;
    let program = Receiver::closed().await;
    let target = json!({ "kind": "webhook", "url": program.url("/hook"), "secret": SECRET });
    let id = make(&client, target, json!({})).await;
    let told = rings(&session, "x");
    linked.event("notification", told.clone()).await;
    let first = program.nth(1).await;
    stack.gateway.kill();
    program.open();
    stack.gateway.start();
    stack.wait_for_gateway().await;
    let again = program.nth(2).await;
    assert_eq!(first.headers["berth-delivery"], again.headers["berth-delivery"]);
    channel(&client, &id, "the message to be accepted", |one| one["last"]["state"] == "accepted").await;
    let mut linked = Linked::begin(&stack).await;
    linked.event("notification", told).await;
    let inbox = client.get("/notifications").await;
    assert_eq!(inbox["notifications"].as_array().unwrap().len(), 1, "{inbox}");
    assert_eq!(program.received().len(), 2);
}

#[tokio::test]
async fn many_notifications_are_few_messages() {
    let (_stack, mut linked, client, first) = start().await;
    let program = Receiver::start().await;
    let target = json!({ "kind": "webhook", "url": program.url("/"), "secret": SECRET });
    let id = make(&client, target, json!({})).await;
    let mut sessions = vec![first];
    for name in ["web", "db", "docs", "ops"] {
        sessions.push(client.create_session(name).await);
    }
    for session in &sessions {
        for text in ["a", "b", "c", "d"] {
            linked.event("notification", rings(session, text)).await;
        }
    }
    assert_eq!(client.get("/notifications").await["unread"], 20);
    program.nth(1).await;
    channel(&client, &id, "nothing to be on its way", |one| one["last"]["state"] == "accepted").await;
    let messages = program.received().len();
    assert!((1..=3).contains(&messages), "20 notifications made {messages} messages");
}

#[tokio::test]
#[ignore = "long: scripts/test --long"]
async fn what_was_not_seen_goes_to_the_second_channel() {
    let (_stack, mut linked, client, session) = start().await;
    let (usual, second) = (Receiver::start().await, Receiver::start().await);
    let hook = |receiver: &Receiver| json!({ "kind": "webhook", "url": receiver.url("/"), "secret": SECRET });
    make(&client, hook(&usual), json!({})).await;
    make(&client, hook(&second), json!({ "escalation": true })).await;
    let settings = json!({ "escalate_after_secs": 30 });
    assert_eq!(client.call(Method::PUT, "/notifications/settings", Some(settings)).await.status, 200);
    let (seen, unseen) = (rings(&session, "a"), rings(&session, "b"));
    for told in [&seen, &unseen] {
        linked.event("notification", told.clone()).await;
    }
    usual.nth(1).await;
    let path = format!("/notifications/{}/ack", seen["id"].as_str().unwrap());
    assert_eq!(client.call(Method::POST, &path, None).await.status, 204);
    assert!(second.received().is_empty(), "nobody had time to look");
    let escalated = wait::within(3 * wait::PATIENCE, "the second channel to be told", async || {
        second.received().first().cloned()
    })
    .await;
    let told = escalated.json();
    let told: Vec<&Value> = told["notifications"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(told, [&unseen["id"]]);
}

#[tokio::test]
async fn nothing_leads_to_addresses_that_are_not_public() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let port = inside.local_addr().unwrap().port();
    for host in
        ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "169.254.169.254", "10.0.0.1"]
    {
        let target = json!({ "kind": "webhook", "url": format!("https://{host}:{port}/"), "secret": SECRET });
        let body = json!({ "name": "x", "target": target });
        let made = client.call(Method::POST, "/channels", Some(body)).await;
        assert_eq!((made.status, made.kind()), (422, "invalid_target"), "{host}: {}", made.body);
    }
    // A name is judged by what it resolves to, when it is used.
    for (number, name) in ["localhost", "x.localhost"].into_iter().enumerate() {
        let target = json!({ "kind": "webhook", "url": format!("https://{name}:{port}/"), "secret": SECRET });
        let id = make(&client, target, json!({})).await;
        assert_eq!(client.call(Method::POST, &format!("/channels/{id}/test"), None).await.status, 202);
        let failed = channel(&client, &id, "the test to fail", |one| one["last"]["state"] == "failed").await;
        if number == 0 {
            assert!(failed["failure"].as_str().unwrap().contains("not public"), "{failed}");
        }
    }
    assert!(inside.accept().is_err(), "a connection was made");
}
