//! Enrolment, with the gateway's part played by the test.

use std::convert::Infallible;
use std::io::Write;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use berth_protocol::enroll::{ENROLL_PATH, EnrollRequest, EnrollResponse, EnrollmentToken};
use berth_protocol::error::ErrorBody;
use berth_protocol::ids::{InstallationId, InstanceId, WorkspaceId};
use berth_protocol::tls::{ALPN_LINK, server_config};
use berth_protocol::trust::{Admit, Dates, PeerVerifier, fingerprint};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::agent::Agent;
use crate::support::ca::Ca;

const SECRET: &str = "once-and-never-again";

struct Gateway {
    address: String,
    ca: Arc<Ca>,
    instance: InstanceId,
    /// What was asked, in full.
    asked: Arc<Mutex<Vec<String>>>,
}

/// Answers enrolment: the right secret once, signing for `instance`.
async fn gateway(name_on_certificate: Option<InstanceId>) -> Gateway {
    let ca = Arc::new(Ca::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let peers = PeerVerifier::optional(
        vec![ca.certificate.clone()],
        Admit::AnyBox(ca.installation.clone()),
        Dates::Judged,
    );
    let config = server_config(ca.gateway(), peers, &[ALPN_LINK]).unwrap();
    let acceptor = TlsAcceptor::from(config);
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let instance = InstanceId::random();
    let certified = name_on_certificate.unwrap_or_else(|| instance.clone());
    let gateway = Gateway { address, ca: ca.clone(), instance: instance.clone(), asked: asked.clone() };
    let answer = Arc::new(move |path: &str, body: &[u8]| {
        assert_eq!(path, ENROLL_PATH);
        let mut asked = asked.lock().unwrap();
        asked.push(String::from_utf8_lossy(body).into_owned());
        let request: EnrollRequest = serde_json::from_slice(body).unwrap();
        if request.secret != SECRET || asked.len() > 1 {
            let error = ErrorBody::new("token_used", "this token was used before: make a new one", None);
            return (403, serde_json::to_vec(&error).unwrap());
        }
        let response = EnrollResponse {
            installation: ca.installation.clone(),
            workspace: WorkspaceId::random(),
            instance: instance.clone(),
            instance_epoch: 4,
            certificate_pem: ca.sign(&request.csr_pem, &ca.box_name(&certified)),
            ca_pem: ca.pem.clone(),
            trust_generation: Some(1),
        };
        (200, serde_json::to_vec(&response).unwrap())
    });
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer.clone();
                    async move {
                        let path = request.uri().path().to_owned();
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        let (status, text) = answer(&path, &body);
                        let response = Response::builder().status(status).body(Full::<Bytes>::from(text));
                        Ok::<_, Infallible>(response.unwrap())
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                http.serve_connection(TokioIo::new(tls), service).await.ok();
            });
        }
    });
    gateway
}

impl Gateway {
    fn token(&self) -> EnrollmentToken {
        EnrollmentToken {
            link_address: self.address.clone(),
            installation: self.ca.installation.clone(),
            ca_sha256: fingerprint(&self.ca.certificate),
            secret: SECRET.to_owned(),
        }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// Runs `enroll` with the token on standard input.
async fn enroll(agent: &Agent, token: &str, more: &[&str]) -> Output {
    let mut command = agent.command();
    command.args(["enroll", "--token-file", "-"]).args(more);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

fn refused(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
    assert!(!said.contains(SECRET), "the secret was said: {said}");
}

fn nothing_stored(agent: &Agent) {
    let left: Vec<String> = std::fs::read_dir(agent.state_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("identity"))
        .collect();
    assert!(left.is_empty(), "half an enrolment was left: {left:?}");
}

#[tokio::test]
async fn a_token_makes_a_box_once() {
    let gateway = gateway(None).await;
    let agent = Agent::not_enrolled(Ca::new());
    let token = gateway.token().encode();
    let output = enroll(&agent, &format!("  {token}\n"), &[]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let identity = box_agent::identity::load(&agent.state_dir()).unwrap();
    assert_eq!((&identity.facts.instance, identity.facts.instance_epoch), (&gateway.instance, 4));
    assert_eq!(identity.facts.link_address, gateway.address);
    let asked = gateway.asked.lock().unwrap()[0].clone();
    assert!(!asked.contains("PRIVATE KEY"), "the key left the box");

    // The token is not wasted on a box that is enrolled already.
    refused(&enroll(&agent, &token, &[]).await, 78, "--replace");
    assert_eq!(gateway.asked(), 1);
    // Used: the gateway's own words, and the identity stays.
    refused(&enroll(&agent, &token, &["--replace"]).await, 1, "this token was used before: make a new one");
    assert_eq!(box_agent::identity::load(&agent.state_dir()).unwrap().facts, identity.facts);
}

#[tokio::test]
async fn a_gateway_with_another_ca_gets_nothing() {
    let gateway = gateway(None).await;
    let agent = Agent::not_enrolled(Ca::new());
    let wrong_fingerprint = EnrollmentToken { ca_sha256: "00".repeat(32), ..gateway.token() };
    let wrong_installation = EnrollmentToken { installation: InstallationId::random(), ..gateway.token() };
    for token in [wrong_fingerprint, wrong_installation] {
        let output = enroll(&agent, &token.encode(), &[]).await;
        refused(&output, 1, "is not the one that this token is of");
        nothing_stored(&agent);
    }
    assert_eq!(gateway.asked(), 0, "something was sent");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_not_stored() {
    let gateway = gateway(Some(InstanceId::random())).await;
    let agent = Agent::not_enrolled(Ca::new());
    let output = enroll(&agent, &gateway.token().encode(), &[]).await;
    refused(&output, 1, "does not carry the name");
    nothing_stored(&agent);
}

#[tokio::test]
async fn what_is_no_token_or_leads_nowhere_is_told() {
    let agent = Agent::not_enrolled(Ca::new());
    refused(&enroll(&agent, "hello", &[]).await, 64, "not an enrolment token");
    let gateway = gateway(None).await;
    let nowhere = EnrollmentToken { link_address: "127.0.0.1:9".into(), ..gateway.token() };
    refused(&enroll(&agent, &nowhere.encode(), &[]).await, 69, "failed to reach the gateway at 127.0.0.1:9");
    nothing_stored(&agent);
    let output = agent.verb(&["enroll", "--token-file", "/nowhere/token"]);
    refused(&output, 64, "/nowhere/token");
}
