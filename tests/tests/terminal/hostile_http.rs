//! Requests for a terminal that are not what they seem. None opens a connection to a box, none is taken for two, and
//! what comes behind a refused one goes nowhere.

use std::net::SocketAddr;
use std::time::Duration;

use berth_protocol::ids::{SessionId, UserId};
use berth_tests::metrics::metric;
use berth_tests::raw::{BINARY, START, frame};
use berth_tests::{Client, Stack, wait};
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A second request behind the first; whoever answers it was smuggled past.
const SECOND: &str = "POST /api/v1/sign-out HTTP/1.1\r\nContent-Length: 0\r\n";

/// A session on a box, and the way to ask for its terminal by hand.
struct Door {
    stack: Stack,
    client: Client,
    session: String,
}

impl Door {
    async fn open() -> Self {
        let stack = Stack::start().await;
        let (client, session) = stack.client_and_session("work").await;
        Self { stack, client, session }
    }

    fn host(&self) -> &str {
        self.client.origin().trim_start_matches("http://")
    }

    /// The lines of a sound request, to be changed.
    fn lines(&self, session: &str, ticket: &str) -> Vec<String> {
        vec![
            format!("GET /api/v1/sessions/{session}/terminal HTTP/1.1"),
            format!("Host: {}", self.host()),
            format!("Origin: {}", self.client.origin()),
            "Connection: Upgrade".to_owned(),
            "Upgrade: websocket".to_owned(),
            "Sec-WebSocket-Version: 13".to_owned(),
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".to_owned(),
            format!("Sec-WebSocket-Protocol: berth.v1, ticket.{ticket}"),
        ]
    }

    /// Sends bytes on a connection of their own, and returns all that comes until its end, or until it is quiet.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let address: SocketAddr = self.host().parse().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A gateway that has closed already has made up its mind.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let quiet = Duration::from_millis(500);
        let patience = |answer: &Vec<u8>| if answer.is_empty() { wait::PATIENCE } else { quiet };
        while let Ok(Ok(1..)) = timeout(patience(&answer), stream.read_buf(&mut answer)).await {}
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Terminals that the gateway has opened, and what the box has logged of streams to it.
    async fn opened(&self) -> (Option<f64>, usize) {
        let opened = metric(&self.stack, "gateway_terminals_opened_total").await;
        (opened, self.stack.agent.log().matches("door{request_id=").count())
    }
}

fn joined(lines: &[String]) -> String {
    format!("{}\r\n\r\n", lines.join("\r\n"))
}

fn statuses(answer: &str) -> Vec<u16> {
    let heads = answer.split("HTTP/1.1 ").skip(1).chain(answer.split("HTTP/1.0 ").skip(1));
    heads.filter_map(|head| head.get(..3)?.parse().ok()).collect()
}

#[tokio::test]
async fn a_sound_request_is_agreed_to() {
    let door = Door::open().await;
    let ticket = door.client.ticket(&door.session).await;
    let answer = door.exchange(joined(&door.lines(&door.session, &ticket)).as_bytes()).await;
    assert_eq!(statuses(&answer), [101], "the tests of this file would refuse anything: {answer}");
}

#[tokio::test]
async fn a_request_with_a_body_or_two_lengths_is_refused_and_so_is_what_follows_it() {
    let door = Door::open().await;
    let before = door.opened().await;
    let second = format!(
        "{SECOND}Host: {}\r\nOrigin: {}\r\nCookie: {}\r\n\r\n",
        door.host(),
        door.client.origin(),
        door.client.cookie()
    );
    let cases: [(&str, &[&str], &str); 9] = [
        ("CL and TE", &["Content-Length: 5", "Transfer-Encoding: chunked"], "0\r\n\r\n"),
        ("TE and CL", &["Transfer-Encoding: chunked", "Content-Length: 5"], "0\r\n\r\n"),
        ("two lengths", &["Content-Length: 0", "Content-Length: 5"], ""),
        ("a list of lengths", &["Content-Length: 0, 5"], ""),
        ("a length that is none", &["Content-Length: +0"], ""),
        ("a folded line", &["X-Folded: a\r\n b"], ""),
        ("a folded Upgrade", &["X-Upgrade:\r\n websocket"], ""),
        ("a blank before a colon", &["Transfer-Encoding : chunked"], "0\r\n\r\n"),
        ("a bare CR", &["X-Bare: a\rTransfer-Encoding: chunked"], ""),
    ];
    for (what, more, body) in cases {
        let ticket = door.client.ticket(&door.session).await;
        let mut lines = door.lines(&door.session, &ticket);
        lines.extend(more.iter().map(|line| (*line).to_owned()));
        let bytes = format!("{}{body}{second}", joined(&lines));
        let answer = door.exchange(bytes.as_bytes()).await;
        assert_eq!(statuses(&answer), [400], "{what}: {answer}");
    }
    for version in ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0"] {
        let ticket = door.client.ticket(&door.session).await;
        let mut lines = door.lines(&door.session, &ticket);
        lines[0] = lines[0].replace("HTTP/1.1", version);
        let answer = door.exchange(format!("{}{second}", joined(&lines)).as_bytes()).await;
        assert!(!answer.contains(" 101 ") && statuses(&answer).len() <= 1, "{version}: {answer}");
    }
    let me = door.client.call(Method::GET, "/me", None).await;
    assert_eq!(me.status, 200, "what came behind a refused request signed its user out");
    assert_eq!(door.opened().await, before, "a refused request reached the box");
}

#[tokio::test]
async fn what_only_looks_like_an_upgrade_is_refused_and_its_frames_go_nowhere() {
    let door = Door::open().await;
    let before = door.opened().await;
    let mark = door.stack.path("typed-after-refusal");
    let typed = format!("0touch {}\r", mark.display());
    let frames = [frame(BINARY, START), frame(BINARY, typed.as_bytes())].concat();
    let changes = [
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("Upgrade: websocket", "Upgrade: foo"),
        ("Upgrade: websocket", "Upgrade: websocket, h2c"),
        ("Upgrade: websocket", "X: y"),
        ("Connection: Upgrade", "Connection: keep-alive"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key: short"),
    ];
    for (from, to) in changes {
        let ticket = door.client.ticket(&door.session).await;
        let lines = door.lines(&door.session, &ticket).into_iter();
        let lines: Vec<String> = lines.map(|line| if line == from { to.to_owned() } else { line }).collect();
        let answer = door.exchange(&[joined(&lines).as_bytes(), &frames].concat()).await;
        let statuses = statuses(&answer);
        assert!(matches!(statuses.first(), Some(400 | 426)), "{to}: {answer}");
        assert!(statuses[1..].iter().all(|status| *status == 400), "{to}: frames were a request: {answer}");
    }
    assert_eq!(door.opened().await, before, "a refused request reached the box");
    assert!(!mark.exists(), "frames behind a refused upgrade were typed");
}

#[tokio::test]
async fn the_wrong_page_and_the_wrong_user_are_told_alike_and_no_box_is_asked() {
    let door = Door::open().await;
    let ticket = door.client.ticket(&door.session).await;
    let before = door.opened().await;
    let (ours, port) = (door.client.origin(), door.host().rsplit(':').next().unwrap());
    let origins = [
        None,
        Some("null".to_owned()),
        Some(String::new()),
        Some(format!("http://sibling.127.0.0.1:{port}")),
        Some(format!("{ours}.evil.example")),
        Some(format!("{ours}0")),
        Some(format!("{ours}/")),
        Some(format!("https://127.0.0.1:{port}")),
        Some("http://127.0.0.1".to_owned()),
        Some(format!("http://127.0.0.1:{port}@evil.example")),
        Some(format!("{ours}, {ours}")),
        Some(format!("http://localhost:{port}")),
    ];
    let mut answers = Vec::new();
    for origin in origins {
        let mut lines = door.lines(&door.session, &ticket);
        lines.retain(|line| !line.starts_with("Origin:"));
        lines.extend(origin.as_ref().map(|origin| format!("Origin: {origin}")));
        let answer = door.exchange(joined(&lines).as_bytes()).await;
        assert_eq!(statuses(&answer), [403], "{origin:?}: {answer}");
        answers.push(kind(&answer));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "wrong pages are told apart: {answers:?}");
    let mut twice = door.lines(&door.session, &ticket);
    twice.push(format!("Origin: {ours}"));
    assert_eq!(statuses(&door.exchange(joined(&twice).as_bytes()).await), [403], "two origins");

    // A ticket's owner is asked for it again when it is used: neither a guess, nor another session, nor a user who may
    // not see the session learns whether it exists.
    let store = rusqlite::Connection::open(door.stack.path("gateway/gateway.db")).unwrap();
    let other = door.client.create_session("other").await;
    let foreign = door.client.ticket(&door.session).await;
    let somebody = UserId::random().to_string();
    let asked = [
        (door.session.clone(), "guessed".to_owned()),
        (SessionId::random().to_string(), "guessed".to_owned()),
        (other, foreign),
    ];
    let mut answers = Vec::new();
    for (session, ticket) in &asked {
        let answer = door.exchange(joined(&door.lines(session, ticket)).as_bytes()).await;
        assert_eq!(statuses(&answer), [401], "{answer}");
        answers.push(kind(&answer));
    }
    answers.dedup();
    assert_eq!(answers, ["ticket_invalid"]);

    store
        .execute("INSERT INTO users (id, name, created_at_ms) VALUES (?1, 'somebody', 0)", [&somebody])
        .unwrap();
    assert_eq!(store.execute("UPDATE workspaces SET owner_user_id = ?1", [&somebody]).unwrap(), 1);
    let answer = door.exchange(joined(&door.lines(&door.session, &ticket)).as_bytes()).await;
    assert_eq!((statuses(&answer), kind(&answer).as_str()), (vec![404], "session_not_found"));
    let answer = door.client.call(Method::POST, &format!("/sessions/{}/ticket", door.session), None).await;
    assert_eq!((answer.status, answer.kind()), (404, "session_not_found"));
    let unknown =
        door.client.call(Method::POST, &format!("/sessions/{}/ticket", SessionId::random()), None).await;
    assert_eq!((unknown.status, unknown.kind()), (404, "session_not_found"));
    assert_eq!(door.opened().await, before, "a refused request reached the box");
}

#[tokio::test]
async fn without_a_cookie_or_with_one_that_expired_there_is_no_ticket() {
    let door = Door::open().await;
    let before = door.opened().await;
    let url = format!("{}/api/v1/sessions/{}/ticket", door.client.origin(), door.session);
    let ask = async |cookie: Option<&str>| {
        let mut request = berth_tests::client::plain().post(&url).header("origin", door.client.origin());
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let answer = request.json(&json!({})).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        (status, body["error"]["kind"].clone(), body["error"]["message"].clone())
    };
    let nobody = ask(None).await;
    assert_eq!((nobody.0, &nobody.1), (401, &json!("not_signed_in")));
    let (name, _) = door.client.cookie().split_once('=').unwrap();
    assert_eq!(ask(Some(&format!("{name}=guessed"))).await, nobody);
    let store = rusqlite::Connection::open(door.stack.path("gateway/gateway.db")).unwrap();
    assert!(store.execute("UPDATE browser_sessions SET expires_at_ms = 1", []).unwrap() >= 1);
    assert_eq!(ask(Some(door.client.cookie())).await, nobody);
    assert_eq!(door.opened().await, before, "somebody without a right reached the box");
}

/// The error's word in an answer.
fn kind(answer: &str) -> String {
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let body = &body[body.find('{').unwrap_or(0)..body.rfind('}').map_or(0, |end| end + 1)];
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    body["error"]["kind"].as_str().unwrap_or_default().to_owned()
}
