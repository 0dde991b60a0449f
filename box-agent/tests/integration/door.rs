//! The door: who gets in, and what they get.

use std::io;

use berth_protocol::door::Status;
use berth_protocol::ids::{InstallationId, InstanceId, RequestId, SessionId};
use berth_protocol::tls::{ALPN_DOOR, ALPN_LINK, Credentials};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::agent::{Agent, NO_GATEWAY, desired};
use crate::support::ca::Ca;
use crate::support::door::{Terminal, ask, connect, open, terminal_head};
use crate::support::wait::{until, within};

const STATUS: &str = "GET /v1/status HTTP/1.1\r\nHost: door\r\n\r\n";

async fn agent() -> Agent {
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.start().await;
    agent
}

/// Tries to get an answer with these credentials.
async fn knock(agent: &Agent, credentials: Option<Credentials>, alpn: &[u8]) -> io::Result<u16> {
    // TLS 1.3 tells a client of its refusal with the first bytes after the handshake.
    let mut stream = connect(agent, &agent.ca, credentials, &agent.facts.instance, alpn).await?;
    Ok(ask(&mut stream, STATUS).await?.status)
}

#[tokio::test]
async fn nobody_but_a_gateway_of_the_installation_gets_as_far_as_http() {
    let agent = agent().await;
    let ca = &agent.ca;
    let own_key = box_agent::identity::load(&agent.state_dir()).unwrap().credentials;
    let impostor = Ca::of(ca.installation.clone());
    let mut elsewhere = Ca::of(InstallationId::random()).gateway();
    elsewhere.chain.truncate(1);
    let refused = [
        ("no certificate", None, ALPN_DOOR),
        ("another CA's gateway", Some(impostor.gateway()), ALPN_DOOR),
        ("another installation's gateway", Some(elsewhere), ALPN_DOOR),
        ("another box", Some(ca.credentials(&ca.box_name(&InstanceId::random()))), ALPN_DOOR),
        ("the box's own key", Some(own_key), ALPN_DOOR),
        ("the link's protocol", Some(ca.gateway()), ALPN_LINK),
    ];
    for (who, credentials, alpn) in refused {
        assert!(knock(&agent, credentials, alpn).await.is_err(), "{who} got in");
    }
    let mut plain = TcpStream::connect(agent.door()).await.unwrap();
    plain.write_all(STATUS.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = within("the end of a plaintext connection", plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));

    assert_eq!(agent.metric("box_agent_door_requests_total").await, Some(0.0), "a request was read");
    assert_eq!(knock(&agent, Some(ca.gateway()), ALPN_DOOR).await.unwrap(), 200);
    assert_eq!(agent.metric("box_agent_door_requests_total").await, Some(1.0));
}

#[tokio::test]
async fn a_gateway_that_dials_another_box_finds_out() {
    let agent = agent().await;
    let gateway = Some(agent.ca.gateway());
    let outcome = connect(&agent, &agent.ca, gateway, &InstanceId::random(), ALPN_DOOR).await;
    assert!(outcome.is_err(), "a box passed for another");
}

#[tokio::test]
async fn the_status_tells_who_and_how() {
    let agent = agent().await;
    let mut stream = open(&agent).await;
    // Twice over one connection: gateways keep them.
    for _ in 0..2 {
        let answer = ask(&mut stream, STATUS).await.unwrap();
        let status: Status = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&status.instance, status.ready), (&agent.facts.instance, true));
        assert!(status.status.starts_with("ready: 0 sessions"), "{}", status.status);
    }
}

#[tokio::test]
async fn what_is_no_door_is_refused_in_words() {
    let agent = agent().await;
    let session = SessionId::random();
    let door_port = agent.door().port();
    for (head, status, kind) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 404, "not_found"),
        ("POST /v1/status HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405, "method_not_allowed"),
        ("CONNECT example.org:80 HTTP/1.1\r\n\r\n".to_owned(), 404, "target_unknown"),
        ("CONNECT localhost:0 HTTP/1.1\r\n\r\n".to_owned(), 404, "target_unknown"),
        ("CONNECT ttyd HTTP/1.1\r\n\r\n".to_owned(), 400, "bad_request"),
        (format!("CONNECT localhost:{door_port} HTTP/1.1\r\n\r\n"), 403, "port_forbidden"),
        (terminal_head(&session, "editor", &RequestId::random()), 404, "session_unknown"),
        (terminal_head(&session, "owner", &RequestId::random()), 400, "bad_request"),
    ] {
        let answer = ask(&mut open(&agent).await, &head).await.unwrap();
        assert_eq!((answer.status, answer.kind().as_str()), (status, kind), "{head}");
    }
}

#[tokio::test]
async fn a_loopback_port_gets_the_bytes_and_the_half_close() {
    let agent = agent().await;
    for address in ["127.0.0.1:0", "[::1]:0"] {
        // A machine without IPv6 has no such program either.
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            // Said only after the other side has said all: half-close has arrived.
            stream.write_all(&all).await.unwrap();
        });
        let mut stream = open(&agent).await;
        let head = format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n");
        assert_eq!(ask(&mut stream, &head).await.unwrap().status, 200);
        let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let (mut read, mut write) = tokio::io::split(stream);
        let send = async {
            write.write_all(&bytes).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut back = Vec::new();
        let receive = async { read.read_to_end(&mut back).await.unwrap() };
        within("the bytes to come back", async { tokio::join!(send, receive) }).await;
        assert!(back == bytes, "the bytes differ");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_no_half_close() {
    let agent = agent().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut stream = open(&agent).await;
    let head = format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n");
    assert_eq!(ask(&mut stream, &head).await.unwrap().status, 200);
    let (mut target, _) = listener.accept().await.unwrap();
    // The TCP connection goes without a close_notify; the target's whole connection must go.
    drop(stream);
    let gone = async {
        // Reading would see an end either way. Writing fails only once the other end is gone entirely.
        while target.write_all(b"x").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    within("the target's connection to go", gone).await;
}

#[tokio::test]
async fn a_closed_port_is_told() {
    let agent = agent().await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let head = format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n");
    let answer = ask(&mut open(&agent).await, &head).await.unwrap();
    assert_eq!((answer.status, answer.kind().as_str()), (502, "port_closed"));
}

#[tokio::test]
async fn a_terminal_is_a_shell_in_the_session() {
    let session = SessionId::random();
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.remember(&desired(1, &[&session])).await;
    agent.start().await;
    let mut terminal = Terminal::open(&agent, &session, "editor").await;
    terminal.see("no-such-agent is not installed").await;
    terminal.type_text("echo a$((6*7))b ~$(pwd)~\r").await;
    terminal.see("a42b").await;
    let home = agent.root().join("volume/user/home/projects");
    terminal.see(&format!("~{}~", home.display())).await;

    let mut viewer = Terminal::open(&agent, &session, "viewer").await;
    viewer.see("a42b").await;
    viewer.type_text("echo v$((6*7))w\r").await;
    terminal.type_text("echo c$((6*7))d\r").await;
    viewer.see("c42d").await;
    assert!(!viewer.seen.contains("v42w"), "a viewer typed");

    let presence = async |count| {
        until("the presence", async || {
            (agent.metric("box_agent_attachments").await == Some(count)).then_some(())
        })
        .await;
    };
    presence(2.0).await;
    drop(viewer);
    presence(1.0).await;
    drop(terminal);
    presence(0.0).await;
}

#[tokio::test]
async fn the_request_id_of_the_gateway_is_in_the_log() {
    let session = SessionId::random();
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.remember(&desired(1, &[&session])).await;
    agent.start().await;
    let request = RequestId::random();
    let mut stream = open(&agent).await;
    let answer = ask(&mut stream, &terminal_head(&session, "editor", &request)).await.unwrap();
    let _terminal = Terminal::attach(stream, answer.header("berth-attachment").unwrap()).await;
    let attached = async || {
        let log = agent.log();
        let line = log.lines().find(|line| line.contains("a terminal attached"))?;
        Some(line.to_owned())
    };
    let line = until("the log line", attached).await;
    assert!(line.contains(request.as_str()), "{line}");
}
