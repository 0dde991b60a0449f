//! One connection to the gateway: messages instead of bytes.

use std::time::Duration;

use berth_protocol::link::{FromAgent, FromGateway, Welcome};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::conversation::ConversationError;

/// A connection.
pub(super) struct Wire<S> {
    pub(super) socket: WebSocketStream<S>,
    /// How long the gateway may be silent, or refuse to read.
    pub(super) patience: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Sends a message.
    pub(super) async fn send(&mut self, message: &FromAgent) -> Result<(), ConversationError> {
        let text = serde_json::to_string(message)?;
        match tokio::time::timeout(self.patience, self.socket.send(Message::text(text))).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(ConversationError::Silent(self.patience)),
        }
    }

    /// The next message. Cancel-safe: what has come in part stays in the socket's buffer.
    pub(super) async fn receive(&mut self) -> Result<FromGateway, ConversationError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text)?),
                Some(Ok(Message::Close(_))) | None => return Err(ConversationError::Closed),
                // Pings are answered below us; other kinds are of a newer version.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// The answer to the hello.
    pub(super) async fn welcome(&mut self) -> Result<Welcome, ConversationError> {
        loop {
            match self.receive().await? {
                FromGateway::Welcome(welcome) => return Ok(welcome),
                FromGateway::Refused { kind, message } => {
                    return Err(ConversationError::Refused { kind, message });
                }
                _ => {}
            }
        }
    }
}
