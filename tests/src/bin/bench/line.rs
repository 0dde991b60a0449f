//! One terminal's WebSocket, whoever serves it: Berth in its own protocol, the peers in ttyd's.

use std::time::Duration;

use berth_tests::Client;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// How long a terminal may take to say anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal counts as quiet when it has said nothing for so long.
const QUIET: Duration = Duration::from_millis(250);

/// Output after which a page tells how much it has drawn, bytes.
const ACK_EVERY: u64 = 32 * 1024;

/// Who serves terminals.
#[derive(Clone)]
pub enum Server {
    /// Berth.
    Berth(Client),
    /// Somebody who passes a connection on to ttyd, at this port.
    Ttyd(u16),
}

/// An open terminal.
pub struct Line {
    socket: WebSocketStream<TcpStream>,
    acknowledges: bool,
    output: u64,
    acknowledged: u64,
}

impl Line {
    /// Opens a session's terminal.
    pub async fn open(server: &Server, session: &str) -> Self {
        let (authority, path, protocols, origin) = match server {
            Server::Berth(client) => {
                let authority = client.origin().trim_start_matches("http://").to_owned();
                let path = format!("/api/v1/sessions/{session}/terminal");
                let protocols = format!("berth.v1, ticket.{}", client.ticket(session).await);
                (authority, path, protocols, client.origin().to_owned())
            }
            Server::Ttyd(port) => {
                let authority = format!("127.0.0.1:{port}");
                let origin = format!("http://{authority}");
                (authority, format!("/ws?arg={session}"), "tty".to_owned(), origin)
            }
        };
        let mut request = format!("ws://{authority}{path}").into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().expect("a header"));
        request.headers_mut().insert("origin", origin.parse().expect("a header"));
        let stream = TcpStream::connect(&authority).await.expect("somebody listens");
        stream.set_nodelay(true).expect("Nagle's algorithm can be switched off");
        // Thousands of these are open at once; the default buffers would be most of the machine's memory.
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await.expect("a terminal");
        let acknowledges = matches!(server, Server::Berth(_));
        let mut line = Self { socket, acknowledges, output: 0, acknowledged: 0 };
        let first = json!({ "AuthToken": "", "columns": 100, "rows": 30 });
        line.send(Message::binary(first.to_string().into_bytes())).await;
        line
    }

    async fn send(&mut self, message: Message) {
        self.socket.send(message).await.expect("the terminal is open");
    }

    /// Types bytes.
    pub async fn input(&mut self, bytes: &[u8]) {
        self.send(Message::binary([b"0", bytes].concat())).await;
    }

    /// Waits for output, and tells how many bytes came with the next message of it.
    pub async fn output(&mut self) -> u64 {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("the terminal says something");
            let message = message.expect("the terminal is open").expect("the terminal is open");
            let Message::Binary(bytes) = message else { continue };
            if bytes.first() != Some(&b'0') {
                continue;
            }
            let count = bytes.len() as u64 - 1;
            self.output += count;
            if self.acknowledges && self.output - self.acknowledged >= ACK_EVERY {
                self.acknowledged = self.output;
                let ack = json!({ "type": "ack", "out": self.output });
                self.send(Message::text(ack.to_string())).await;
            }
            return count;
        }
    }

    /// Reads until nothing comes any more.
    pub async fn settle(&mut self, quiet: Duration) {
        while timeout(quiet, self.output()).await.is_ok() {}
    }

    /// Reads until the first screen is drawn.
    pub async fn drawn(&mut self) {
        self.output().await;
        self.settle(QUIET).await;
    }

    /// Does as a page at which nobody looks: says so, and answers pings until the other side ends it.
    pub async fn idle(mut self) {
        if self.acknowledges {
            self.send(Message::text(json!({ "type": "presence", "hidden": true }).to_string())).await;
        }
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    /// Closes the terminal and waits for the answer.
    pub async fn close(mut self) {
        // Whoever has closed already need not be told.
        let _ = self.socket.close(None).await;
        let rest = async { while let Some(Ok(_)) = self.socket.next().await {} };
        let _ = timeout(Duration::from_secs(2), rest).await;
    }
}
