//! A terminal's WebSocket: what it wrote so far, to wait on.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::Client;
use crate::wait::PATIENCE;

/// An open terminal.
pub struct Terminal {
    socket: WebSocketStream<TcpStream>,
    /// Everything that the terminal wrote, escape sequences included.
    pub output: Vec<u8>,
    /// Every text message, in order.
    pub texts: Vec<String>,
    /// What ttyd's own client is told beside output, in order.
    pub told: Vec<String>,
}

/// How a terminal's WebSocket is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The session in the path.
    pub session: String,
    /// The subprotocols offered.
    pub protocols: String,
    /// The `Origin` sent, if any.
    pub origin: Option<String>,
}

impl Terminal {
    /// Opens a session's terminal as our own page does.
    ///
    /// # Panics
    /// When it can't be opened.
    pub async fn open(client: &Client, session: &str) -> Self {
        Self::open_as(client, session, None, (100, 30)).await
    }

    /// The same with a body for the ticket's request, and any size.
    ///
    /// # Panics
    /// When it can't be opened.
    pub async fn open_as(client: &Client, session: &str, body: Option<Value>, size: (u16, u16)) -> Self {
        let ticket = client.ticket_for(session, body).await;
        let ask = Ask {
            session: session.to_owned(),
            protocols: format!("berth.v1, ticket.{ticket}"),
            origin: Some(client.origin().to_owned()),
        };
        let mut terminal = Self::ask(client, &ask).await.expect("the terminal opens");
        terminal.send_binary(json!({"columns": size.0, "rows": size.1}).to_string().as_bytes()).await;
        terminal
    }

    /// Opens a session's terminal again as a page does: as often as it takes.
    ///
    /// # Panics
    /// When that takes longer than `limit`.
    pub async fn open_again(client: &Client, session: &str, limit: Duration) -> Self {
        let path = format!("/sessions/{session}/ticket");
        let mut terminal = crate::wait::within(limit, "the terminal to come back", async || {
            let answer = client.try_call(Method::POST, &path, None).await?;
            if answer.status != 200 {
                return None;
            }
            let ask = Ask {
                session: session.to_owned(),
                protocols: format!("berth.v1, ticket.{}", answer.body["ticket"].as_str()?),
                origin: Some(client.origin().to_owned()),
            };
            Self::ask(client, &ask).await.ok()
        })
        .await;
        terminal.send_binary(json!({"columns": 100, "rows": 30}).to_string().as_bytes()).await;
        terminal
    }

    /// Asks for a terminal in any way; the HTTP status when it is refused.
    ///
    /// # Errors
    /// The status.
    ///
    /// # Panics
    /// When there is no HTTP answer at all.
    pub async fn ask(client: &Client, ask: &Ask) -> Result<Self, u16> {
        let host = client.origin().trim_start_matches("http://");
        let url = format!("ws://{host}/api/v1/sessions/{}/terminal", ask.session);
        let mut request = url.into_client_request().expect("a request");
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", ask.protocols.parse().expect("a header"));
        if let Some(origin) = &ask.origin {
            headers.insert("origin", origin.parse().expect("a header"));
        }
        let stream = TcpStream::connect(host).await.expect("the gateway accepts");
        // As browsers do: a key does not wait for the acknowledgement of the one before.
        stream.set_nodelay(true).expect("Nagle's algorithm can be switched off");
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { socket, output: Vec::new(), texts: Vec::new(), told: Vec::new() }),
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("no answer to the upgrade: {error}"),
        }
    }

    /// Sends a binary message as it is.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).await.expect("the terminal is open");
    }

    /// Sends any message; whether the connection was still there.
    pub async fn send(&mut self, message: Message) -> bool {
        self.socket.send(message).await.is_ok()
    }

    /// Types text.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn type_text(&mut self, text: &str) {
        self.send_binary(format!("0{text}").as_bytes()).await;
    }

    /// Resizes.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn resize(&mut self, columns: u32, rows: u32) {
        let size = json!({"columns": columns, "rows": rows});
        self.send_binary(format!("1{size}").as_bytes()).await;
    }

    /// Reads until the terminal wrote `text`.
    ///
    /// # Panics
    /// When it does not, or closes before.
    pub async fn read_until(&mut self, text: &str) {
        let found = async {
            while !self.has_written(text) {
                if let Err(close) = self.read().await {
                    panic!("closed while waiting for {text:?}: {close:?}");
                }
            }
        };
        if timeout(PATIENCE, found).await.is_err() {
            panic!("never wrote {text:?}, but {:?}", String::from_utf8_lossy(&self.output));
        }
    }

    /// Sends a text message.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn say(&mut self, message: Value) {
        assert!(self.send(Message::text(message.to_string())).await, "the terminal is open");
    }

    /// Reads until the newest text of a type is as `is_so` says, and returns it.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn read_until_told(&mut self, kind: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let newest = self.texts.iter().rev().filter_map(|text| serde_json::from_str(text).ok());
                let newest = newest.into_iter().find(|text: &Value| text["type"] == kind);
                if let Some(text) = newest.filter(&is_so) {
                    return text;
                }
                if let Err(close) = self.read().await {
                    panic!("closed while waiting for {kind}: {close:?}");
                }
            }
        };
        match timeout(PATIENCE, found).await {
            Ok(text) => text,
            Err(_) => panic!("never told of {kind} as expected, but {:?}", self.texts),
        }
    }

    /// Does nothing for a time but what its browser does for an idle page: it takes what comes, and answers pings. Whether
    /// the connection is still there; when it has ended, this returns at once.
    pub async fn idle(&mut self, time: Duration) -> bool {
        timeout(time, async { while self.read().await.is_ok() {} }).await.is_err()
    }

    /// Whether the terminal wrote `text` so far.
    #[must_use]
    pub fn has_written(&self, text: &str) -> bool {
        self.output.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// Reads until the other side closes; its close frame, if it sent one.
    ///
    /// # Panics
    /// When it does not close.
    pub async fn read_until_closed(&mut self) -> Option<CloseFrame> {
        let closed = async {
            loop {
                if let Err(close) = self.read().await {
                    return close;
                }
            }
        };
        timeout(PATIENCE, closed).await.expect("the terminal closes")
    }

    /// Reads one message. `Err` is the end, with the close frame if there was one.
    async fn read(&mut self) -> Result<(), Option<CloseFrame>> {
        match self.socket.next().await {
            Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&b'0') => {
                self.output.extend_from_slice(&bytes[1..]);
                Ok(())
            }
            Some(Ok(Message::Binary(bytes))) if matches!(bytes.first(), Some(b'1' | b'2')) => {
                self.told.push(String::from_utf8_lossy(&bytes).into_owned());
                Ok(())
            }
            Some(Ok(Message::Binary(bytes))) => panic!("a message of unknown type: {bytes:?}"),
            Some(Ok(Message::Text(text))) => {
                self.texts.push(text.to_string());
                Ok(())
            }
            Some(Ok(Message::Close(frame))) => Err(frame),
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(None),
        }
    }
}
