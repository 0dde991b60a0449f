//! A box that says what a test wants: with the identity that the agent would have, over a real link, and with a door that
//! takes answers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use berth_protocol::door::{STATUS_PATH, Status};
use berth_protocol::ids::{InstanceId, StreamId};
use berth_protocol::link::{FromGateway, LINK_PATH};
use berth_protocol::name::BerthName;
use berth_protocol::observed::ObservedState;
use berth_protocol::tls::{ALPN_DOOR, ALPN_LINK, client_config, server_config, server_name};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::identity::{Identity, link_address};
use crate::{Stack, wait};

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// What the door was asked, and what it answers.
#[derive(Default)]
struct Door {
    asked: Vec<(String, Value)>,
    answers: VecDeque<(u16, &'static str)>,
}

/// A box with a link.
pub struct Linked {
    /// Its instance.
    pub instance: InstanceId,
    stream: StreamId,
    seq: u64,
    sink: SplitSink<Socket, Message>,
    source: SplitStream<Socket>,
    /// The door's.
    port: u16,
    door: Arc<Mutex<Door>>,
    task: JoinHandle<()>,
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Linked {
    /// Links a box that was enrolled and whose agent does not run.
    ///
    /// # Panics
    /// When the gateway does not take it.
    pub async fn begin(stack: &Stack) -> Self {
        let identity = identity(stack);
        let door = Arc::new(Mutex::new(Door::default()));
        let (port, task) = open_door(&identity, door.clone()).await;
        let socket = link(stack, &identity, port).await;
        let (sink, source) = socket.split();
        let (instance, stream) = (identity.instance, StreamId::random());
        Self { instance, stream, seq: 0, sink, source, port, door, task }
    }

    /// Says a message of the link.
    ///
    /// # Panics
    /// When the link is gone.
    pub async fn say(&mut self, message: Value) {
        self.sink.send(Message::text(message.to_string())).await.expect("the link takes a message");
    }

    /// Says an event, and waits until the gateway has stored it.
    ///
    /// # Panics
    /// When it does not.
    pub async fn event(&mut self, kind: &str, payload: Value) {
        self.seq += 1;
        self.repeat(kind, payload).await;
    }

    /// Says the last event's number again, as a box does that has not heard of its being stored.
    ///
    /// # Panics
    /// As [`Self::event`].
    pub async fn repeat(&mut self, kind: &str, payload: Value) {
        self.say(self.message(kind, &payload)).await;
        loop {
            match self.hear().await {
                FromGateway::Ack { stream, seq } if stream == self.stream && seq >= self.seq => return,
                FromGateway::Gap { .. } => panic!("the gateway misses events"),
                _ => {}
            }
        }
    }

    /// Lives as a box on which nothing happens: a heartbeat now and then, until the link ends.
    pub async fn beat(mut self, period: Duration) {
        let mut ticks = tokio::time::interval(period);
        let mut count = 0;
        loop {
            tokio::select! {
                // Cancel-safe, both: a timer and a stream.
                _ = ticks.tick() => {
                    count += 1;
                    self.say(json!({ "type": "heartbeat", "n": count })).await;
                }
                next = self.source.next() => {
                    if !matches!(next, Some(Ok(_))) {
                        return;
                    }
                }
            }
        }
    }

    /// Says a new event and does not wait for anything: the gateway may be about to die.
    pub async fn event_into_the_blue(&mut self, kind: &str, payload: &Value) {
        self.seq += 1;
        let message = self.message(kind, payload);
        // Whether it was heard is not known, as it is for a box.
        let _ = self.sink.send(Message::text(message.to_string())).await;
    }

    /// Links again, as the same start of the same agent.
    ///
    /// # Panics
    /// When the gateway does not take it.
    pub async fn again(&mut self, stack: &Stack) {
        let identity = identity(stack);
        let port = self.port;
        let (sink, source) = link(stack, &identity, port).await.split();
        (self.sink, self.source) = (sink, source);
    }

    fn message(&self, kind: &str, payload: &Value) -> Value {
        json!({
            "type": "event", "id": { "stream": self.stream, "seq": self.seq }, "instance": self.instance,
            "kind": kind, "at_ms": 0, "payload": payload,
        })
    }

    /// Says what sessions are doing.
    pub async fn attention(&mut self, sessions: Value) {
        self.say(json!({ "type": "attention", "sessions": sessions })).await;
    }

    /// Says that sessions run.
    pub async fn observed(&mut self, sessions: &[&str]) {
        let sessions: Vec<Value> =
            sessions.iter().map(|id| json!({ "id": id, "state": "running", "attachments": 0 })).collect();
        self.say(json!({ "type": "observed", "sessions": sessions })).await;
    }

    /// What the door answers to what it is asked next, by status and kind; 204 when nothing is said.
    pub fn will_answer(&self, status: u16, kind: &'static str) {
        self.door.lock().expect("the door").answers.push_back((status, kind));
    }

    /// What the door was asked, by path and body.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.door.lock().expect("the door").asked.clone()
    }

    async fn hear(&mut self) -> FromGateway {
        let next =
            tokio::time::timeout(wait::PATIENCE, self.source.next()).await.expect("the gateway speaks");
        match next.expect("the link is there").expect("the link works") {
            Message::Text(text) => serde_json::from_str(&text).expect("a message of the link"),
            other => panic!("{other:?} is no message of the link"),
        }
    }
}

fn identity(stack: &Stack) -> Identity {
    Identity::read(&stack.path("box/identity"))
}

async fn link(stack: &Stack, identity: &Identity, door: u16) -> Socket {
    let address = link_address(stack);
    let config = client_config(Some(identity.credentials.clone()), identity.verifier(), ALPN_LINK);
    let tcp = TcpStream::connect(address).await.expect("the link listener");
    let connector = TlsConnector::from(Arc::new(config.expect("TLS")));
    let tls = connector.connect(server_name(), tcp).await.expect("TLS with the gateway");
    let request = format!("ws://gateway{LINK_PATH}").into_client_request().expect("a request");
    let (mut socket, _) = tokio_tungstenite::client_async(request, tls).await.expect("a WebSocket");
    let hello = json!({
        "type": "hello", "versions": { "min": 1, "max": 1 }, "boot_id": "b", "agent_version": "0.0.0-test",
        "addresses": { "port": door, "public_ip": "127.0.0.1" },
    });
    socket.send(Message::text(hello.to_string())).await.expect("the hello goes");
    socket
}

/// Opens a door where a gateway may ask for the status and answer questions.
async fn open_door(identity: &Identity, door: Arc<Mutex<Door>>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let config = server_config(identity.credentials.clone(), identity.verifier(), &[ALPN_DOOR]).expect("TLS");
    let name =
        BerthName::Box { installation: identity.installation.clone(), instance: identity.instance.clone() };
    let status = Status {
        instance: identity.instance.clone(),
        workspace: identity.workspace.clone(),
        instance_epoch: 1,
        agent_version: "0.0.0-test".into(),
        boot_id: "b".into(),
        ready: true,
        status: name.to_string(),
        observed: ObservedState::default(),
    };
    let status = serde_json::to_vec(&status).expect("JSON");
    let task = tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(config);
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, door, status) = (acceptor.clone(), door.clone(), status.clone());
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let service = service_fn(|request| answer(request, door.clone(), status.clone()));
                let serving = hyper::server::conn::http1::Builder::new();
                // A gateway that goes away is no failure here.
                let _ = serving.serve_connection(TokioIo::new(tls), service).await;
            });
        }
    });
    (port, task)
}

async fn answer(
    request: Request<Incoming>,
    door: Arc<Mutex<Door>>,
    status: Vec<u8>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path == STATUS_PATH {
        return Ok(Response::new(Full::new(status.into())));
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut door = door.lock().expect("the door");
    door.asked.push((path, body));
    let (code, kind) = door.answers.pop_front().unwrap_or((204, ""));
    let body = if code < 300 {
        String::new()
    } else {
        json!({ "error": { "kind": kind, "message": "as the test wants" } }).to_string()
    };
    let response = Response::builder().status(code).body(Full::new(body.into()));
    Ok(response.expect("a response"))
}
