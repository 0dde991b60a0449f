//! Commands at the door: screen, input and exec, asked by a gateway played by the test.

use berth_protocol::control::{ExecExit, ExecLine, Screen, input_path, screen_path};
use berth_protocol::door::HEADER_REQUEST_ID;
use berth_protocol::ids::{RequestId, SessionId};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::agent::{Agent, NO_GATEWAY, desired};
use crate::support::ca::Ca;
use crate::support::door::{Answer, ask, open};
use crate::support::wait::{until, within};

async fn agent(session: &SessionId) -> Agent {
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.remember(&desired(1, &[session])).await;
    agent.start().await;
    agent
}

/// A request with a body, byte by byte.
fn post(path: &str, id: &RequestId, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: box\r\n{HEADER_REQUEST_ID}: {id}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn call(agent: &Agent, request: &str) -> Answer {
    ask(&mut open(agent).await, request).await.unwrap()
}

async fn screen(agent: &Agent, session: &SessionId) -> Screen {
    let path = screen_path(session, berth_protocol::control::PaneAddress { window: None, pane: Some(2) });
    let answer = call(agent, &format!("GET {path} HTTP/1.1\r\nHost: box\r\n\r\n")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn a_repeated_input_is_typed_once_and_answered_as_the_first() {
    let session = SessionId::random();
    let agent = agent(&session).await;
    let file = agent.root().join("typed");
    let text = format!("echo once >> {}\n", file.display());
    let id = RequestId::random();
    let good = post(&input_path(&session), &id, &json!({ "pane": 2, "text": text }));
    assert_eq!(call(&agent, &good).await.status, 204);
    assert_eq!(call(&agent, &good).await.status, 204);
    let missing = post(&input_path(&session), &RequestId::random(), &json!({ "pane": 9, "text": "x" }));
    for _ in 0..2 {
        let answer = call(&agent, &missing).await;
        assert_eq!((answer.status, answer.kind().as_str()), (404, "pane_unknown"));
    }
    let last = format!("echo last >> {}\n", file.display());
    let last = post(&input_path(&session), &RequestId::random(), &json!({ "pane": 2, "text": last }));
    assert_eq!(call(&agent, &last).await.status, 204);
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    until("the last line", async || read().contains("last").then_some(())).await;
    assert_eq!(read(), "once\nlast\n");
    assert_eq!(screen(&agent, &session).await.panes[0].title, "shell");
}

#[tokio::test]
async fn an_exec_streams_and_is_never_done_twice() {
    let session = SessionId::random();
    let agent = agent(&session).await;
    let id = RequestId::random();
    let request = post("/v1/exec", &id, &json!({ "argv": ["sh", "-c", "echo hello; exit 5"], "newer": 1 }));
    let mut stream = open(&agent).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = async {
        while !answer.ends_with(b"0\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
    };
    within("the answer", read).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.to_lowercase().contains("content-type: application/x-ndjson"), "{answer}");
    let lines: Vec<ExecLine> = answer
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(matches!(&lines[0], ExecLine::Output { data, .. } if data == b"hello\n"), "{lines:?}");
    assert_eq!(lines[1..], [ExecLine::Exit { exit: ExecExit::ended(Some(5), None) }]);

    let again = call(&agent, &request).await;
    assert_eq!((again.status, again.kind().as_str()), (409, "request_repeated"));
}

#[tokio::test]
async fn what_breaks_a_rule_or_names_nothing_is_refused() {
    let session = SessionId::random();
    let agent = agent(&session).await;
    let id = RequestId::random();
    let nobody = SessionId::random();
    for (request, status, kind) in [
        (post("/v1/exec", &id, &json!({ "argv": [] })), 400, "invalid"),
        (post("/v1/exec", &id, &json!({ "argv": ["ls"], "cwd": "../x" })), 400, "invalid"),
        (post("/v1/exec", &id, &json!({ "argv": ["no-such-program"] })), 422, "command_not_found"),
        (post("/v1/exec", &RequestId::random(), &json!({ "argv": ["ls"], "cwd": "x" })), 422, "cwd_unknown"),
        (post(&input_path(&session), &id, &json!({ "keys": ["-t"] })), 400, "invalid"),
        (post(&input_path(&nobody), &id, &json!({ "text": "x" })), 404, "session_unknown"),
        ("POST /v1/exec HTTP/1.1\r\nHost: box\r\nContent-Length: 0\r\n\r\n".to_owned(), 400, "bad_request"),
        (
            format!("GET {} HTTP/1.1\r\nHost: box\r\n\r\n", screen_path(&nobody, Default::default())),
            404,
            "session_unknown",
        ),
        (
            format!(
                "POST /v1/exec HTTP/1.1\r\nHost: box\r\n{HEADER_REQUEST_ID}: {id}\r\n\
                 Content-Length: 100000000\r\n\r\n"
            ),
            413,
            "invalid",
        ),
    ] {
        let answer = call(&agent, &request).await;
        assert_eq!((answer.status, answer.kind().as_str()), (status, kind), "{request}");
    }
}
