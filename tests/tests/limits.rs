//! What may be tried only so often, and proxies that say for whom they try.

use std::time::Duration;

use berth_tests::{Stack, wait};
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
    let file = stack.path("gateway.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, settings.replace("[front]\n", "[front]\ntrusted_proxies = [\"127.0.0.1\"]\n"))
        .unwrap();
    stack.configure("").await;
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
