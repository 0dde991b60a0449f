//! A gateway played by the test: the listener that boxes dial.

use std::io;
use std::time::Duration;

use berth_protocol::event::EventId;
use berth_protocol::ids::StoreIncarnation;
use berth_protocol::link::{FromAgent, FromGateway, Hello, Welcome};
use berth_protocol::tls::{ALPN_DOOR, ALPN_LINK, Credentials, client_config, server_config};
use berth_protocol::trust::{Admit, Dates, PeerVerifier};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::ca::Ca;
use super::wait::within;

/// How often agents are to send heartbeats, milliseconds.
pub const HEARTBEAT_MS: u64 = 200;

/// Pace of heartbeats on links that a test doesn't read all the while, milliseconds.
pub const CALM_MS: u64 = 60_000;

pub struct Gateway {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    pub incarnation: StoreIncarnation,
}

/// One agent's link.
pub struct Link {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    pub hello: Hello,
}

impl Gateway {
    pub async fn of(ca: &Ca) -> Self {
        Self::with_credentials(ca, ca.gateway()).await
    }

    /// A listener that shows these credentials, and admits the boxes of `ca`.
    pub async fn with_credentials(ca: &Ca, credentials: Credentials) -> Self {
        let verifier = PeerVerifier::new(
            vec![ca.certificate.clone()],
            Admit::AnyBox(ca.installation.clone()),
            Dates::Judged,
        );
        let config = server_config(credentials, verifier, &[ALPN_LINK, ALPN_DOOR]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: config.into(), incarnation: StoreIncarnation::random() }
    }

    pub fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// Takes a connection and reads the hello.
    pub async fn accept(&self) -> Link {
        let accept = async {
            let (tcp, _) = self.listener.accept().await.unwrap();
            let tls = self.acceptor.accept(tcp).await.unwrap();
            let mut socket = accept_async(tls).await.unwrap();
            let Some(Ok(Message::Text(text))) = socket.next().await else { panic!("no hello") };
            let FromAgent::Hello(hello) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
            Link { socket, hello }
        };
        within("an agent's hello", accept).await
    }

    /// Takes a connection that an agent dialled to serve its door on; an error when it does not want to.
    pub async fn dialled_back(&self) -> io::Result<TlsStream<TcpStream>> {
        let accept = async {
            let (tcp, _) = self.listener.accept().await?;
            let tls = self.acceptor.accept(tcp).await?;
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(ALPN_DOOR));
            Ok(tls)
        };
        within("an agent to dial back", accept).await
    }

    /// A connection as it comes, without an answer to it; `None` when there is none in time.
    pub async fn accept_tcp_within(&self, limit: Duration) -> Option<TcpStream> {
        let accepted = tokio::time::timeout(limit, self.listener.accept()).await.ok()?;
        Some(accepted.unwrap().0)
    }

    /// Takes a connection and welcomes it.
    pub async fn welcome(&self) -> Link {
        self.welcome_with(HEARTBEAT_MS).await
    }

    /// The same with another pace of heartbeats: at a slow one the agent bears a gateway that is busy elsewhere.
    pub async fn welcome_with(&self, heartbeat_ms: u64) -> Link {
        let mut link = self.accept().await;
        let welcome =
            Welcome { version: 1, link_epoch: 1, incarnation: self.incarnation.clone(), heartbeat_ms };
        link.send(&FromGateway::Welcome(welcome)).await;
        link
    }
}

impl Link {
    pub async fn send(&mut self, message: &FromGateway) {
        let text = serde_json::to_string(message).unwrap();
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message but heartbeats, which are echoed. `None` when the link has ended.
    pub async fn next(&mut self) -> Option<FromAgent> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text).unwrap() {
                    FromAgent::Heartbeat { n } => self.send(&FromGateway::HeartbeatEcho { n }).await,
                    message => return Some(message),
                },
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next event's number.
    pub async fn event(&mut self) -> EventId {
        let pick = |message| match message {
            FromAgent::Event(event) => Some(event.id),
            _ => None,
        };
        self.find("an event", pick).await
    }

    /// The first message that `pick` takes; the others are passed over.
    pub async fn find<T>(&mut self, what: &str, mut pick: impl FnMut(FromAgent) -> Option<T>) -> T {
        let search = async {
            loop {
                let message = self.next().await.expect("the link ended");
                if let Some(found) = pick(message) {
                    return found;
                }
            }
        };
        within(what, search).await
    }
}

/// A TLS configuration for clients that speak plain http only and want one all the same.
pub fn any_tls(ca: &Ca) -> rustls::ClientConfig {
    let verifier = PeerVerifier::new(
        vec![ca.certificate.clone()],
        Admit::AnyGateway(ca.installation.clone()),
        Dates::Judged,
    );
    client_config(None, verifier, ALPN_LINK).unwrap()
}
