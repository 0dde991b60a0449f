//! A stand-in for ttyd that gives back what it gets, byte for byte.
//!
//! The real one shows tmux, and tmux redraws: what comes out is never what went in. This one takes ttyd's place
//! behind a real door and a real gateway, so that a test can tell whether they change a byte. It speaks as much of
//! ttyd's protocol as they do, and listens where ttyd is told to. An attachment is redeemed as `box-agent attach` does,
//! and the connection kept for as long as the terminal lasts: those that are not count as terminals being opened.

use std::io;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// The longest head of a request.
const HEAD: usize = 16 * 1024;

/// What is answered to anything but an upgrade: the agent asks now and then whether ttyd answers at all.
const TOKEN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n{\"token\": \"\"}";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let after = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let socket = after("--interface").expect("--interface SOCKET");
    // Nobody need be behind it: other programs than the agent may lead here.
    let agent: Option<Arc<str>> = after("--socket").map(Into::into);
    let listener = UnixListener::bind(socket).expect("the socket can be listened on");
    loop {
        let (stream, _) = listener.accept().await.expect("connections come");
        let agent = agent.clone();
        tokio::spawn(async move {
            // A peer that only looks whether somebody listens, or breaks off, is nobody's failure.
            let _ = echo(stream, agent.as_deref()).await;
        });
    }
}

async fn echo(mut stream: UnixStream, agent: Option<&str>) -> Result<(), Error> {
    let head = head(&mut stream).await?;
    let header = |name: &str| {
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim().to_owned())
    };
    let Some(key) = header("sec-websocket-key") else {
        stream.write_all(TOKEN).await?;
        return Ok(());
    };
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: tty\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    let attachment = head.split_once("?arg=").map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    let _attached = redeem(agent, attachment.unwrap_or_default()).await;
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    while let Some(message) = socket.next().await {
        match message? {
            Message::Binary(bytes) if bytes.first() == Some(&b'0') => {
                socket.send(Message::Binary(bytes)).await?;
            }
            Message::Close(_) => break,
            _ => {}
        }
    }
    Ok(())
}

/// The head of a request. A client says nothing behind it before it is answered.
async fn head(stream: &mut UnixStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if bytes.len() > HEAD || stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Tells the agent that an attachment has its terminal. What it answers is for a real ttyd.
async fn redeem(agent: Option<&str>, attachment: &str) -> Option<UnixStream> {
    if !attachment.starts_with("att-") {
        return None;
    }
    let mut connection = UnixStream::connect(agent?).await.ok()?;
    let request = serde_json::json!({ "attach": attachment });
    connection.write_all(format!("{request}\n").as_bytes()).await.ok()?;
    Some(connection)
}
