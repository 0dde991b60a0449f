//! A gateway's end of a door, byte by byte.

use std::io;
use std::sync::Arc;

use berth_protocol::door::{HEADER_CLIENT, HEADER_REQUEST_ID, HEADER_ROLE, HEADER_SESSION};
use berth_protocol::error::ErrorBody;
use berth_protocol::ids::{ClientId, InstanceId, RequestId, SessionId};
use berth_protocol::tls::{ALPN_DOOR, Credentials, client_config, server_name};
use berth_protocol::trust::{Admit, Dates, PeerVerifier};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::agent::Agent;
use super::ca::Ca;
use super::wait::within;

pub type DoorStream = TlsStream<TcpStream>;

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The kind of an error.
    pub fn kind(&self) -> String {
        serde_json::from_str::<ErrorBody>(&self.body).expect(&self.body).error.kind
    }
}

/// Connects to the agent's door, demanding `instance` at the other end.
pub async fn connect(
    agent: &Agent,
    ca: &Ca,
    credentials: Option<Credentials>,
    instance: &InstanceId,
    alpn: &[u8],
) -> io::Result<DoorStream> {
    let admit = Admit::Box(ca.installation.clone(), instance.clone());
    let verifier = PeerVerifier::new(vec![ca.certificate.clone()], admit, Dates::Judged);
    let config = client_config(credentials, verifier, alpn).unwrap();
    let tcp = TcpStream::connect(agent.door()).await?;
    TlsConnector::from(Arc::new(config)).connect(server_name(), tcp).await
}

/// Connects as a gateway does.
pub async fn open(agent: &Agent) -> DoorStream {
    connect(agent, &agent.ca, Some(agent.ca.gateway()), &agent.facts.instance, ALPN_DOOR).await.unwrap()
}

/// Sends a request's head and reads the answer, not a byte more.
pub async fn ask<S>(stream: &mut S, head: &str) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        stream.write_all(head.as_bytes()).await?;
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(read).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        answer.body = String::from_utf8(body).unwrap();
        Ok(answer)
    };
    within("an answer at the door", exchange).await
}

/// The head of a request for a terminal.
pub fn terminal_head(session: &SessionId, role: &str, request: &RequestId) -> String {
    format!(
        "CONNECT ttyd HTTP/1.1\r\nHost: ttyd\r\n{HEADER_SESSION}: {session}\r\n{HEADER_ROLE}: {role}\r\n\
         {HEADER_CLIENT}: {}\r\n{HEADER_REQUEST_ID}: {request}\r\n\r\n",
        ClientId::random()
    )
}

/// A terminal, as a browser behind a gateway has it.
pub struct Terminal {
    socket: WebSocketStream<DoorStream>,
    pub seen: String,
}

impl Terminal {
    /// Opens one and waits until it shows the session: tmux throws away what was typed before.
    pub async fn open(agent: &Agent, session: &SessionId, role: &str) -> Self {
        let mut stream = open(agent).await;
        let answer = ask(&mut stream, &terminal_head(session, role, &RequestId::random())).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let attachment = answer.header("berth-attachment").unwrap().to_owned();
        let mut terminal = Self::attach(stream, &attachment).await;
        terminal.see(" 0 main ").await;
        terminal
    }

    /// Speaks ttyd's protocol over a stream, with this as the one argument.
    pub async fn attach(stream: DoorStream, argument: &str) -> Self {
        let url = format!("ws://ttyd/ws?arg={argument}");
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "tty".parse().unwrap());
        let (mut socket, _) = client_async(request, stream).await.unwrap();
        let first = r#"{"AuthToken":"","columns":100,"rows":30}"#;
        socket.send(Message::binary(first.as_bytes().to_vec())).await.unwrap();
        Self { socket, seen: String::new() }
    }

    pub async fn type_text(&mut self, text: &str) {
        self.socket.send(Message::binary(format!("0{text}").into_bytes())).await.unwrap();
    }

    /// Reads until the output has `text`.
    pub async fn see(&mut self, text: &str) {
        let read = async {
            while !self.seen.contains(text) {
                assert!(self.read().await, "the terminal ended with {:?}", self.seen);
            }
        };
        if tokio::time::timeout(super::wait::DEADLINE, read).await.is_err() {
            panic!("did not see {text:?} in {:?}", self.seen);
        }
    }

    /// Reads until the terminal ends.
    pub async fn end(&mut self) {
        within("the terminal's end", async { while self.read().await {} }).await;
    }

    async fn read(&mut self) -> bool {
        match self.socket.next().await {
            Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&b'0') => {
                self.seen.push_str(&String::from_utf8_lossy(&bytes[1..]));
                true
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => false,
            Some(Ok(_)) => true,
        }
    }
}
