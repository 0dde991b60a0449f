//! What may be tried only so often, and proxies that say for whom they try.

use std::time::Duration;

use berth_tests::people::page;
use berth_tests::previewed::status;
use berth_tests::{Client, Preview, Previewed, Stack, wait};
use http::{HeaderMap, Method};
use reqwest::header::ORIGIN;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn stack(limits: &[(&str, &str)]) -> Stack {
    let mut stack = Stack::start_gateway().await;
    for (name, value) in limits {
        stack.gateway.set_env(&format!("BERTH_GATEWAY__LIMITS__{name}"), value);
    }
    stack.configure("").await;
    stack
}

async fn sign_in(stack: &Stack, forwarded: Option<&str>) -> (u16, HeaderMap, Value) {
    let url = format!("{}/sign-in?code=guessed", stack.origin());
    let mut request = berth_tests::client::plain().get(url);
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn guessing_is_answered_by_429_that_says_when_to_try_again() {
    let limits =
        [("SIGN_INS_PER_MINUTE", "5"), ("ENROLLMENTS_PER_MINUTE", "2"), ("TERMINALS_PER_MINUTE", "3")];
    let stack = stack(&limits).await;
    let client = stack.client().await;
    for _ in 0..4 {
        assert_eq!(sign_in(&stack, None).await.0, 303);
    }
    let (status, headers, body) = sign_in(&stack, None).await;
    assert_eq!((status, body["error"]["kind"].as_str()), (429, Some("too_many_requests")), "{body}");
    let wait: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert!(body["error"]["message"].as_str().unwrap().contains("try again in"), "{body}");
    // Nobody but a trusted proxy can be somebody else.
    assert_eq!(sign_in(&stack, Some("203.0.113.7")).await.0, 429);
    // Codes of links are guessed no more often.
    let code = json!({ "code": "guessed" });
    assert_eq!(
        client.call(Method::POST, "/shares/open", Some(code.clone())).await.kind(),
        "too_many_requests"
    );
    assert_eq!(client.call(Method::POST, "/preview-links/open", Some(code)).await.status, 429);

    // Tickets; who has no right to one uses none up.
    let ticket = format!("/sessions/{}/ticket", client.create_session("work").await);
    for _ in 0..5 {
        let stranger = berth_tests::client::plain().post(format!("{}/api/v1{ticket}", stack.origin()));
        assert_eq!(stranger.header(ORIGIN, stack.origin()).send().await.unwrap().status(), 401);
    }
    for _ in 0..3 {
        assert_eq!(client.call(Method::POST, &ticket, None).await.kind(), "box_offline");
    }
    assert_eq!(client.call(Method::POST, &ticket, None).await.kind(), "too_many_requests");
    // Everything else goes on.
    assert_eq!(client.call(Method::GET, "/me", None).await.status, 200);

    // Enrolment.
    let token = stack.token("main");
    let used = |stack: &Stack| {
        let answer = stack.agent_verb(&["enroll", "--replace", "--token-file", "-"], &token);
        String::from_utf8_lossy(&answer.stderr).into_owned()
    };
    assert_eq!(used(&stack), "");
    assert!(used(&stack).contains("used before"));
    let refused = used(&stack);
    assert!(refused.contains("try again in"), "{refused}");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_attempts_and_address() {
    let mut stack = Stack::start_gateway().await;
    stack.gateway.set_env("BERTH_GATEWAY__LIMITS__SIGN_INS_PER_MINUTE", "2");
    trust_this_machine(&mut stack).await;
    for client in ["203.0.113.7", "203.0.113.8", "198.51.100.1, 203.0.113.9"] {
        for expected in [303, 303, 429] {
            assert_eq!(sign_in(&stack, Some(client)).await.0, expected, "{client}");
        }
    }
    // From wherever it is guessed, a name's password is guessed only so often.
    for (client, expected) in [("203.0.113.11", 403), ("203.0.113.12", 403), ("203.0.113.13", 429)] {
        let url = format!("{}/api/v1/sign-in/password", stack.origin());
        let guess = berth_tests::client::plain().post(url).header(ORIGIN, stack.origin());
        let guess =
            guess.header("x-forwarded-for", client).json(&json!({ "name": "owner", "password": "guess" }));
        assert_eq!(guess.send().await.unwrap().status(), expected, "{client}");
    }
    // What a client makes up before the proxy's word gives it no new attempts.
    assert_eq!(sign_in(&stack, Some("198.51.100.2, 203.0.113.9")).await.0, 429);
    let record = berth_tests::process::stdout(&stack.gateway_verb(&["audit", "--outcome", "refused"]));
    for client in ["203.0.113.7", "203.0.113.8", "203.0.113.9"] {
        assert_eq!(record.matches(&format!("\t{client}\trefused\t")).count(), 2, "{record}");
    }
}

/// Lets the gateway believe this machine for whom it asks.
async fn trust_this_machine(stack: &mut Stack) {
    let file = stack.path("gateway.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let trusting = settings.replace("[front]\n", "[front]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    std::fs::write(&file, trusting).unwrap();
    stack.configure("").await;
}

#[tokio::test]
async fn signing_in_with_a_passkey_counts_once() {
    let mut stack = stack(&[("SIGN_INS_PER_MINUTE", "3")]).await;
    stack.name_localhost().await;
    let begin = || page(&stack, "/sign-in/passkey/begin", json!({}));
    let answer = |id: Value| page(&stack, "/sign-in/passkey", json!({ "id": id, "credential": {} }));
    for attempt in 1..=3 {
        let (status, challenge, _) = begin().await;
        assert_eq!(status, 200, "attempt {attempt}: {challenge}");
        assert_eq!(answer(challenge["id"].clone()).await.0, 403, "attempt {attempt}");
    }
    assert_eq!(begin().await.0, 429);
    assert_eq!(answer(json!("guessed")).await.0, 429, "answers to nothing are limited, too");
}

/// The status of a stream that somebody begins from an address.
async fn begun(client: &Client, path: &str, from: &str) -> (u16, bool) {
    let request = client.request(Method::GET, path).header("x-forwarded-for", from);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
}

#[tokio::test]
async fn streams_are_begun_only_so_often() {
    let mut stack = stack(&[("STREAMS_PER_MINUTE", "3")]).await;
    trust_this_machine(&mut stack).await;
    let (owner, ana) = (stack.client().await, stack.member("ana", "viewer").await);
    // Whoever is not signed in uses nothing up.
    let nobody = Client::with_cookie(stack.origin(), "");
    for _ in 0..5 {
        assert_eq!(begun(&nobody, "/events", "203.0.113.1").await.0, 401);
    }
    // One account from many addresses ...
    assert_eq!(begun(&owner, "/events", "203.0.113.1").await.0, 200);
    assert_eq!(begun(&owner, "/notifications/stream", "203.0.113.2").await.0, 200);
    assert_eq!(begun(&owner, "/events", "203.0.113.3").await.0, 200);
    assert_eq!(begun(&owner, "/events", "203.0.113.4").await, (429, true));
    // ... and many accounts from one address.
    for expected in [200, 200, 429] {
        assert_eq!(begun(&ana, "/events", "203.0.113.1").await.0, expected);
    }
    assert_eq!(owner.call(Method::GET, "/workspaces", None).await.status, 200, "everything else goes on");
}

/// What the opening handshake of a preview's WebSocket is answered, from an address.
async fn opened(f: &Previewed, preview: &Preview, cookie: bool, from: &str) -> String {
    let cookie = preview.cookie.as_deref().filter(|_| cookie);
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    let asked = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\n{cookie}Connection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Forwarded-For: {from}\r\n\r\n",
        preview.authority(),
        preview.origin
    );
    f.exchange(&asked).await
}

#[tokio::test]
async fn websockets_of_previews_are_opened_only_so_often() {
    let mut f = Previewed::open().await;
    f.stack.gateway.set_env("BERTH_GATEWAY__LIMITS__PREVIEW_SOCKETS_PER_MINUTE", "3");
    trust_this_machine(&mut f.stack).await;
    f.client.wait_for_box("online").await;
    let ana = f.stack.member("ana", "viewer").await;
    let mut anas = f.preview.clone();
    anas.cookie = None;
    anas.enter(&ana).await;
    // Whoever may not see it uses nothing up.
    for _ in 0..5 {
        assert_eq!(status(&opened(&f, &f.preview, false, "203.0.113.1").await), 401);
    }
    // One account from many addresses ...
    for (from, expected) in [("203.0.113.1", 101), ("203.0.113.2", 101), ("203.0.113.3", 101)] {
        assert_eq!(status(&opened(&f, &f.preview, true, from).await), expected, "{from}");
    }
    let refused = opened(&f, &f.preview, true, "203.0.113.4").await;
    assert_eq!(status(&refused), 429, "{refused}");
    assert!(
        refused.to_lowercase().contains("retry-after: ") && refused.contains("too_many_requests"),
        "{refused}"
    );
    // ... and many accounts from one address. Its pages go on.
    for expected in [101, 101, 429] {
        assert_eq!(status(&opened(&f, &anas, true, "203.0.113.1").await), expected);
    }
    assert_eq!(anas.get("/page").await.status(), 200);
    assert_eq!(begun(&ana, "/events", "203.0.113.1").await.0, 200, "nor are the console's streams used up");
}

#[tokio::test]
#[ignore = "waits for a deadline of 20 s"]
async fn whoever_dawdles_or_says_too_much_is_cut_off_before_anybody_asks_who_it_is() {
    let stack = Stack::start_gateway().await;
    let host = stack.origin().strip_prefix("http://").unwrap().to_owned();
    let origin = stack.origin();
    let head = format!(
        "POST /api/v1/shares/open HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Type: application/json\r\n"
    );
    // A body beyond what a stranger may send is refused unread.
    let mut large = TcpStream::connect(&host).await.unwrap();
    large.write_all(format!("{head}Content-Length: 100000\r\n\r\n{{").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    large.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    // And so is one that does not say how long it is, as soon as it is too much.
    let mut chunked = TcpStream::connect(&host).await.unwrap();
    let chunk = "x".repeat(40_000);
    let sent = format!("{head}Transfer-Encoding: chunked\r\n\r\n9c40\r\n{chunk}\r\n");
    chunked.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    chunked.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    // One that never comes to an end is not waited for.
    let mut slow = TcpStream::connect(&host).await.unwrap();
    slow.write_all(format!("{head}Content-Length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let limit = Duration::from_secs(20) + wait::PATIENCE;
    tokio::time::timeout(limit, slow.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}
