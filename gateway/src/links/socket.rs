//! A link's WebSocket: messages in and out, and why it ends.

use std::time::Duration;

use berth_protocol::link::{FromAgent, FromGateway};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::store::StoreError;

/// A link that was silent for so long is dead.
pub(super) const SILENCE: Duration = Duration::from_secs(25);

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the box closed the link")]
    Closed,
    #[error("the box was silent for too long")]
    Silent,
    #[error("the connection failed")]
    Socket(#[from] tungstenite::Error),
    #[error("the box sent a message that is not understood")]
    Malformed(#[from] serde_json::Error),
    #[error("the box did not say hello first")]
    NoHello,
    #[error("refused: {0}")]
    Refused(&'static str),
    #[error("a newer link of the same box, or a newer box, has taken over")]
    Superseded,
    #[error("the CA of the box's certificate was removed")]
    Distrusted,
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// Says why there is no link.
pub(super) async fn refuse(socket: &mut Socket, kind: &'static str, message: String) -> LinkError {
    let refused = FromGateway::Refused { kind: kind.to_owned(), message };
    // The link ends here in any case.
    let _ = send(socket, &refused).await;
    let _ = socket.close(None).await;
    LinkError::Refused(kind)
}

/// Says a message.
pub(super) async fn send(socket: &mut Socket, message: &FromGateway) -> Result<(), LinkError> {
    let text = serde_json::to_string(message)?;
    // A box that does not read would hold this task for ever.
    timeout(SILENCE, socket.send(Message::text(text))).await.map_err(|_| LinkError::Silent)??;
    Ok(())
}

/// Waits for a message. Cancel-safe, as a stream's `next` is.
pub(super) async fn receive(socket: &mut Socket, deadline: Instant) -> Result<FromAgent, LinkError> {
    loop {
        let message = timeout_at(deadline, socket.next()).await.map_err(|_| LinkError::Silent)?;
        match message.ok_or(LinkError::Closed)?? {
            Message::Text(text) => return Ok(serde_json::from_str(&text)?),
            Message::Close(_) => return Err(LinkError::Closed),
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}
