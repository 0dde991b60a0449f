//! The link listener and the gateway's dialling, against peers that are not what they should be.

use std::sync::Arc;

use berth_protocol::ids::{InstallationId, InstanceId};
use berth_protocol::link::LINK_PATH;
use berth_protocol::name::BerthName;
use berth_protocol::tls::{ALPN_DOOR, ALPN_LINK, Credentials, client_config, server_config, server_name};
use berth_protocol::trust::{Admit, Dates, PeerVerifier};
use berth_tests::{Stack, wait};
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertificateParams, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// The identity that `box-agent enroll` stored.
struct Identity {
    installation: InstallationId,
    roots: Vec<CertificateDer<'static>>,
    credentials: Credentials,
}

fn identity(stack: &Stack) -> Identity {
    let read = |name: &str| std::fs::read(stack.path("box/identity").join(name)).unwrap();
    let told: Value = serde_json::from_slice(&read("identity.json")).unwrap();
    let chain = CertificateDer::pem_slice_iter(&read("certificate.pem")).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap();
    Identity {
        installation: told["installation"].as_str().unwrap().parse().unwrap(),
        roots: CertificateDer::pem_slice_iter(&read("ca.pem")).map(Result::unwrap).collect(),
        credentials: Credentials { chain, key },
    }
}

fn link_address(stack: &Stack) -> String {
    let addresses = std::fs::read(stack.path("gateway/addresses.json")).unwrap();
    let addresses: Value = serde_json::from_slice(&addresses).unwrap();
    addresses["link"].as_str().unwrap().to_owned()
}

/// Dials the link listener with the given certificate.
async fn dial(
    stack: &Stack,
    identity: &Identity,
    credentials: Option<Credentials>,
) -> std::io::Result<TlsStream<TcpStream>> {
    dial_with(stack, identity, credentials, ALPN_LINK).await
}

/// Dials the link listener to speak another protocol there.
async fn dial_with(
    stack: &Stack,
    identity: &Identity,
    credentials: Option<Credentials>,
    alpn: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let admit = Admit::AnyGateway(identity.installation.clone());
    let verifier = PeerVerifier::new(identity.roots.clone(), admit, Dates::Ignored);
    let config = client_config(credentials, verifier, alpn).unwrap();
    let tcp = TcpStream::connect(link_address(stack)).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(server_name(), tcp).await
}

/// The first line of the answer to a request for the link, or nothing.
async fn answer_line(mut tls: TlsStream<TcpStream>) -> String {
    let request = format!(
        "GET {LINK_PATH} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    // TLS 1.3 lets the client write before the server has judged its certificate.
    let _ = tls.write_all(request.as_bytes()).await;
    let mut answer = vec![0; 1024];
    let size = tls.read(&mut answer).await.unwrap_or(0);
    String::from_utf8_lossy(&answer[..size]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_link_needs_the_certificate_of_an_enrolled_box() {
    let stack = Stack::start_gateway().await;
    stack.enroll("main");
    let identity = identity(&stack);
    let good = dial(&stack, &identity, Some(identity.credentials.clone())).await.unwrap();
    assert_eq!(answer_line(good).await, "HTTP/1.1 101 Switching Protocols");
    let without = dial(&stack, &identity, None).await.unwrap();
    assert_eq!(answer_line(without).await, "HTTP/1.1 401 Unauthorized");

    // The same name, signed by a CA of our own making.
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    let name = BerthName::Box { installation: identity.installation.clone(), instance: InstanceId::random() };
    params.subject_alt_names = vec![SanType::URI(name.to_string().try_into().unwrap())];
    let forged = params.signed_by(&key, &Issuer::new(CertificateParams::default(), ca_key)).unwrap();
    let forged = Credentials {
        chain: vec![forged.der().clone()],
        key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
    };
    if let Ok(tls) = dial(&stack, &identity, Some(forged)).await {
        assert_eq!(answer_line(tls).await, "", "a forged certificate got an answer");
    }

    let mut plain = TcpStream::connect(link_address(&stack)).await.unwrap();
    plain.write_all(b"GET /v1/link HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "plaintext got an answer");
}

#[tokio::test]
async fn a_version_that_nobody_speaks_is_refused_in_words() {
    let stack = Stack::start_gateway().await;
    stack.enroll("main");
    let identity = identity(&stack);
    let tls = dial(&stack, &identity, Some(identity.credentials.clone())).await.unwrap();
    let request = format!("ws://gateway{LINK_PATH}").into_client_request().unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, tls).await.unwrap();
    let hello = json!({
        "type": "hello",
        "versions": {"min": 98, "max": 99},
        "boot_id": "b",
        "agent_version": "99.0.0",
        "addresses": {"port": 1},
    });
    socket.send(Message::text(hello.to_string())).await.unwrap();
    let Some(Ok(Message::Text(answer))) = socket.next().await else { panic!("no answer") };
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        (answer["type"].as_str(), answer["kind"].as_str()),
        (Some("refused"), Some("version_unsupported"))
    );
    assert!(answer["message"].as_str().unwrap().contains("98 to 99"), "{answer}");
    assert!(!matches!(socket.next().await, Some(Ok(Message::Text(_)))), "the link went on");
}

#[tokio::test]
async fn a_box_at_anothers_address_learns_nothing() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let addresses = std::fs::read(stack.path("run/addresses.json")).unwrap();
    let addresses: Value = serde_json::from_slice(&addresses).unwrap();
    let door = addresses["door"].as_str().unwrap().to_owned();
    stack.agent.stop();
    client.wait_for_box("offline").await;

    // Another box of the same installation has got the address.
    let victim = identity(&stack);
    let _ = berth_tests::process::stdout(&stack.gateway_verb(&["workspace", "create", "other"]));
    std::fs::rename(stack.path("box/identity"), stack.path("box/victim")).unwrap();
    stack.enroll("other");
    let other = identity(&stack);
    let admit = Admit::AnyGateway(victim.installation.clone());
    let verifier = PeerVerifier::new(victim.roots.clone(), admit, Dates::Ignored);
    let config = server_config(other.credentials, verifier, &[ALPN_DOOR]).unwrap();
    let listener = TcpListener::bind(&door).await.unwrap();

    let path = format!("/sessions/{session}/ticket");
    let ask = tokio::spawn({
        let client = client.clone();
        async move { client.call(http::Method::POST, &path, None).await }
    });
    let (tcp, _) = tokio::time::timeout(wait::PATIENCE, listener.accept()).await.unwrap().unwrap();
    let heard = match TlsAcceptor::from(config).accept(tcp).await {
        Ok(mut tls) => {
            let mut bytes = Vec::new();
            let _ = tls.read_to_end(&mut bytes).await;
            bytes
        }
        Err(_) => Vec::new(),
    };
    assert!(heard.is_empty(), "the impostor heard {:?}", String::from_utf8_lossy(&heard));
    drop(listener);
    assert_eq!(ask.await.unwrap().kind(), "box_offline");
}

#[tokio::test]
async fn a_door_that_nobody_asked_for_is_not_kept() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let identity = identity(&stack);
    for credentials in [Some(identity.credentials.clone()), None] {
        // More than a gateway keeps of any box.
        let mut doors = Vec::new();
        for _ in 0..20 {
            doors.push(dial_with(&stack, &identity, credentials.clone(), ALPN_DOOR).await.unwrap());
        }
        for mut door in doors {
            let mut heard = Vec::new();
            let closed = tokio::time::timeout(wait::PATIENCE, door.read_to_end(&mut heard)).await;
            assert!(closed.is_ok() && heard.is_empty(), "the gateway keeps what it did not ask for");
        }
    }
    let told = client.get("/workspaces").await;
    assert_eq!(told["workspaces"][0]["box"]["route"], "public");
    let mut terminal = berth_tests::Terminal::open(&client, &session).await;
    terminal.type_text("echo $((6*7))\r").await;
    terminal.read_until("42").await;
}
