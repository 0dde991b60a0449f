//! A stand-in for ttyd that gives back what it gets, byte for byte.
//!
//! The real one shows tmux, and tmux redraws: what comes out is never what went in. This one takes ttyd's place
//! behind a real door and a real gateway, so that a test can tell whether they change a byte. It speaks as much of
//! ttyd's protocol as they do, and listens where ttyd is told to.

use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use tokio::net::{UnixListener, UnixStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--interface").skip(1);
    let socket = arguments.next().expect("--interface SOCKET");
    let listener = UnixListener::bind(socket).expect("the socket can be listened on");
    loop {
        let (stream, _) = listener.accept().await.expect("connections come");
        tokio::spawn(async move {
            // A peer that only looks whether somebody listens, or breaks off, is nobody's failure.
            let _ = echo(stream).await;
        });
    }
}

async fn echo(stream: UnixStream) -> Result<(), Error> {
    let mut socket = accept_hdr_async(stream, choose_subprotocol).await?;
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

#[expect(clippy::result_large_err, reason = "the handshake's own type")]
fn choose_subprotocol(_: &Request, mut answer: Response) -> Result<Response, ErrorResponse> {
    answer.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("tty"));
    Ok(answer)
}
