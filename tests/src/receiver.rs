//! An HTTP server that remembers what it was sent, as push services, ntfy and webhooks are.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::wait;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// Headers, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }
}

#[derive(Default)]
struct Memory {
    received: Vec<Received>,
    answers: VecDeque<(u16, Vec<(&'static str, String)>)>,
}

/// The server. It answers 200, or what a test has said.
pub struct Receiver {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    memory: Arc<Mutex<Memory>>,
    /// As many requests are answered as there are permits.
    gate: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Listens on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        Self::with_gate(Semaphore::MAX_PERMITS).await
    }

    /// Takes requests, and answers none before [`Self::open`].
    ///
    /// # Panics
    /// When there is no port.
    pub async fn closed() -> Self {
        Self::with_gate(0).await
    }

    async fn with_gate(permits: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let gate = Arc::new(Semaphore::new(permits));
        let (shared, entrance) = (memory.clone(), gate.clone());
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (memory, gate) = (shared.clone(), entrance.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| take(request, memory.clone(), gate.clone()));
                    let serving = hyper::server::conn::http1::Builder::new();
                    // A sender that goes away is no failure here.
                    let _ = serving.serve_connection(TokioIo::new(tcp), service).await;
                });
            }
        });
        Self { port, memory, gate, task }
    }

    /// An address here.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Lets every request be answered.
    pub fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// What is answered to the next request for which nothing was said yet.
    pub fn will_answer(&self, status: u16, headers: &[(&'static str, String)]) {
        self.memory.lock().expect("the memory").answers.push_back((status, headers.to_vec()));
    }

    /// What came.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.memory.lock().expect("the memory").received.clone()
    }

    /// Waits until so many requests came, and returns the last of them.
    ///
    /// # Panics
    /// When they don't.
    pub async fn nth(&self, count: usize) -> Received {
        wait::until(&format!("request {count}"), async || self.received().get(count - 1).cloned()).await
    }
}

async fn take(
    request: Request<Incoming>,
    memory: Arc<Mutex<Memory>>,
    gate: Arc<Semaphore>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (status, headers) = {
        let mut memory = memory.lock().expect("the memory");
        memory.received.push(Received { method, path, headers, body: body.to_vec() });
        memory.answers.pop_front().unwrap_or((200, Vec::new()))
    };
    gate.acquire().await.expect("the gate is never closed for good").forget();
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::default()).expect("a response"))
}
