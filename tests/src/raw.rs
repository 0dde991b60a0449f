//! A WebSocket client that may say anything: bytes go out as they are given, frames come back as they came.
//!
//! [`Terminal`](crate::Terminal) is a good client; this one is for what a good client can't do, down to a frame
//! that lies about its length, and to a reader that does not read.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::Client;
use crate::wait::PATIENCE;

/// ttyd's first message, for a screen of 100 × 30.
pub const START: &[u8] = br#"{"AuthToken":"","columns":100,"rows":30}"#;

/// First byte of a frame that is a whole binary message.
pub const BINARY: u8 = 0x82;

/// First byte of a frame that is a whole text message.
pub const TEXT: u8 = 0x81;

/// First byte of a ping.
pub const PING: u8 = 0x89;

/// First byte of a pong.
pub const PONG: u8 = 0x8a;

/// First byte of a close frame.
pub const CLOSE: u8 = 0x88;

/// Any mask will do, and one that changes nothing would hide a receiver that forgets to unmask.
const MASK: [u8; 4] = [0x5a, 0x01, 0xff, 0x80];

/// The receive buffer that a client asks its kernel for, where the test counts what is in there.
const SMALL_BUFFER: u32 = 16 * 1024;

/// Room for one read.
const READ_SIZE: usize = 64 * 1024;

/// A client's frame: its first byte, and a payload that is masked here.
#[must_use]
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// The header of a client's frame that claims to have so much payload.
#[must_use]
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(0x80 | u8::try_from(length).unwrap_or_default()),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).unwrap_or_default().to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}

/// A frame as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its first byte.
    pub first: u8,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// An upgraded connection.
pub struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Everything that the terminal wrote, escape sequences included.
    pub output: Vec<u8>,
    /// Every other frame, in order.
    pub others: Vec<Frame>,
    /// Whether pings are answered, as every browser does below the page.
    pub answers_pings: bool,
}

impl Raw {
    /// Upgrades as our own page does, and says nothing more.
    ///
    /// # Panics
    /// When the gateway refuses.
    pub async fn open(client: &Client, session: &str) -> Self {
        let ticket = client.ticket(session).await;
        Self::upgrade(client, session, &format!("berth.v1, ticket.{ticket}"), TcpSocket::new_v4()).await
    }

    /// Opens a terminal as our own page does.
    ///
    /// # Panics
    /// When it can't be opened.
    pub async fn started(client: &Client, session: &str) -> Self {
        let mut raw = Self::open(client, session).await;
        assert!(raw.send(&frame(BINARY, START)).await, "the terminal closed at once");
        raw
    }

    /// Opens a terminal as our own page does, on a connection whose kernel takes little that is not read.
    ///
    /// # Panics
    /// When it can't be opened.
    pub async fn started_small(client: &Client, session: &str) -> Self {
        let ticket = client.ticket(session).await;
        let protocols = format!("berth.v1, ticket.{ticket}");
        let mut raw = Self::upgrade(client, session, &protocols, small_socket()).await;
        assert!(raw.send(&frame(BINARY, START)).await, "the terminal closed at once");
        raw
    }

    /// Opens a terminal as ttyd's own client does, on a connection whose kernel takes little that is not read.
    ///
    /// # Panics
    /// When it can't be opened.
    pub async fn started_stock(client: &Client, session: &str) -> Self {
        let mut raw = Self::upgrade(client, session, "tty", small_socket()).await;
        let start = format!(r#"{{"AuthToken":"{}","columns":100,"rows":30}}"#, client.ticket(session).await);
        assert!(raw.send(&frame(BINARY, start.as_bytes())).await, "the terminal closed at once");
        raw
    }

    async fn upgrade(
        client: &Client,
        session: &str,
        protocols: &str,
        socket: std::io::Result<TcpSocket>,
    ) -> Self {
        let host = client.origin().trim_start_matches("http://");
        let address: SocketAddr = host.parse().expect("the console's origin is an address");
        let stream = socket.expect("a socket").connect(address).await.expect("the gateway accepts");
        stream.set_nodelay(true).expect("Nagle's algorithm can be switched off");
        let upgraded = timeout(PATIENCE, Self::over(stream, client, session, protocols)).await;
        upgraded.expect("an answer in time").expect("the gateway agrees to the upgrade")
    }

    /// Upgrades a connection; nothing when it breaks or the gateway refuses.
    pub async fn over(stream: TcpStream, client: &Client, session: &str, protocols: &str) -> Option<Self> {
        let host = client.origin().trim_start_matches("http://");
        let mut raw =
            Self { stream, unread: Vec::new(), output: Vec::new(), others: Vec::new(), answers_pings: true };
        let request = format!(
            "GET /api/v1/sessions/{session}/terminal HTTP/1.1\r\nHost: {host}\r\nOrigin: {}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocols}\r\n\r\n",
            client.origin()
        );
        raw.send(request.as_bytes()).await.then_some(())?;
        let end = loop {
            if let Some(end) = raw.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            let size = raw.stream.read_buf(&mut raw.unread).await.ok()?;
            (size > 0).then_some(())?;
        };
        let head: Vec<u8> = raw.unread.drain(..end).collect();
        head.starts_with(b"HTTP/1.1 101 ").then_some(raw)
    }

    /// Sends bytes as they are; whether the connection still took them.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Types text; whether the connection still took it.
    pub async fn type_text(&mut self, text: &str) -> bool {
        self.send(&frame(BINARY, format!("0{text}").as_bytes())).await
    }

    /// Acknowledges all output so far, as a page does that has drawn it.
    pub async fn acknowledge(&mut self) -> bool {
        let text = format!(r#"{{"type":"ack","out":{}}}"#, self.output.len());
        self.send(&frame(TEXT, text.as_bytes())).await
    }

    /// Reads until the terminal wrote `text`.
    ///
    /// # Panics
    /// When it does not, or closes before.
    pub async fn read_until(&mut self, text: &str) {
        // A flood is looked through once, not once for each of its frames.
        let mut looked_at = 0;
        let found = async {
            while !self.output[looked_at..].windows(text.len()).any(|window| window == text.as_bytes()) {
                looked_at = (self.output.len() + 1).saturating_sub(text.len());
                assert!(self.read().await, "closed while waiting for {text:?}: {:?}", self.others.last());
            }
        };
        if timeout(PATIENCE, found).await.is_err() {
            let end = &self.output[self.output.len().saturating_sub(2000)..];
            panic!("never wrote {text:?}, but at last {:?}", String::from_utf8_lossy(end));
        }
    }

    /// Reads until nothing has come for `quiet`.
    pub async fn read_until_quiet(&mut self, quiet: Duration) {
        while let Ok(true) = timeout(quiet, self.read()).await {}
    }

    /// Reads until the other side closes or ends the connection: its close code, if it gave one.
    ///
    /// # Panics
    /// When it does neither.
    pub async fn read_until_closed(&mut self) -> Option<u16> {
        let closed = async { while self.read().await {} };
        timeout(PATIENCE, closed).await.expect("the terminal closes");
        let close = self.others.last().filter(|frame| frame.first == CLOSE)?;
        close.payload.first_chunk().copied().map(u16::from_be_bytes)
    }

    /// Reads one frame; whether more may follow. Cancel-safe.
    pub async fn read(&mut self) -> bool {
        loop {
            if let Some(frame) = self.take_frame() {
                let more = frame.first != CLOSE;
                if frame.first == PING && self.answers_pings {
                    // A connection that takes no pong has other troubles.
                    let _ = self.stream.try_write(&self::frame(PONG, &frame.payload));
                }
                match frame.payload.split_first() {
                    Some((b'0', output)) if frame.first == BINARY => self.output.extend(output),
                    _ => self.others.push(frame),
                }
                return more;
            }
            self.unread.reserve(READ_SIZE);
            if !matches!(self.stream.read_buf(&mut self.unread).await, Ok(1..)) {
                return false;
            }
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let [first, short, rest @ ..] = &self.unread[..] else { return None };
        assert_eq!(short & 0x80, 0, "a server's frame is masked");
        let (length, size) = match short {
            126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
            127 => (usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).expect("a length"), 10),
            short => (usize::from(*short), 2),
        };
        let first = *first;
        if self.unread.len() < size + length {
            return None;
        }
        let payload = self.unread.drain(..size + length).skip(size).collect();
        Some(Frame { first, payload })
    }
}

fn small_socket() -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SMALL_BUFFER)?;
    Ok(socket)
}
