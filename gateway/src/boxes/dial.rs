//! Dialling a box: TCP, then TLS 1.3 in which the box must show the exact name that was meant.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use berth_protocol::ids::{InstallationId, InstanceId};
use berth_protocol::tls::{ALPN_DOOR, client_config, server_name};
use berth_protocol::trust::{Admit, Dates, PeerVerifier};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use super::door::DoorBody;
use super::routes::Route;
use crate::trust::Trust;

/// How long one address may take to answer, TLS included.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// TCP asks a silent peer after this time ...
const KEEPALIVE: Duration = Duration::from_secs(25);

/// ... and gives unacknowledged bytes up after this one.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that the kernel takes ahead of what the network takes. More would only be older when it arrives: a
/// terminal whose reader stalled begins with them before it is redrawn.
const NOTSENT: u32 = 8 * 1024;

/// The longest segment that a box may send, bytes. Networks have shorter ones, but on one machine it is 64 KiB, and
/// Linux sends none that does not fit into the window as a whole: behind a terminal's small one, output waited for a
/// timer, after a long stall for half a minute.
const SEGMENT: u32 = 8 * 1024;

/// A connection with a box, whichever side dialled it.
pub type BoxStream = TlsStream<TcpStream>;

/// A connection to a door that leads nowhere yet.
#[derive(Debug)]
pub(super) struct DoorConnection {
    /// Takes requests.
    pub(super) sender: SendRequest<DoorBody>,
    /// How the connection came about.
    pub(super) route: Route,
}

/// Dials boxes in this gateway's name.
pub struct Dialer {
    installation: InstallationId,
    trust: Arc<Trust>,
}

impl Dialer {
    /// A dialler that believes whom `trust` does.
    #[must_use]
    pub fn new(installation: InstallationId, trust: Arc<Trust>) -> Self {
        Self { installation, trust }
    }

    /// The TLS settings with which exactly this instance is reached. `ca` is the CA of its certificate, if that is known.
    pub(super) fn config_for(
        &self,
        instance: &InstanceId,
        ca: Option<&str>,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        let trusted = self.trust.now();
        let admit = Admit::Box(self.installation.clone(), instance.clone());
        let verifier = PeerVerifier::new(trusted.roots().to_vec(), admit, Dates::Judged);
        Ok(Arc::new(client_config(Some(trusted.credentials(ca).clone()), verifier, ALPN_DOOR)?))
    }
}

/// Dials one address.
pub(super) async fn dial(address: SocketAddr, config: Arc<ClientConfig>) -> io::Result<BoxStream> {
    let connect = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        limit_segments(&SockRef::from(&socket))?;
        let tcp = socket.connect(address).await?;
        tune(&tcp)?;
        Ok(TlsConnector::from(config).connect(server_name(), tcp).await?.into())
    };
    timeout(DIAL_TIMEOUT, connect).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Speaks the door's protocol over a connection.
pub(super) async fn speak(stream: BoxStream, route: Route) -> io::Result<DoorConnection> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "door connection ended");
        }
    });
    Ok(DoorConnection { sender, route })
}

/// Makes a socket that is about to connect, or to listen, ask its peers for segments of at most [`SEGMENT`] bytes.
pub(crate) fn limit_segments(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_mss(SEGMENT)
}

/// Keystrokes are not held back, a peer that vanished is noticed, and nothing grows old in a send buffer.
pub(crate) fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    socket.set_tcp_notsent_lowat(NOTSENT)?;
    watch_for_death(tcp, true)
}

/// Whether the kernel ends a connection whose peer gives no sign of life. Not while its window is closed: Linux then
/// throws a living peer's answers away unread, with the bytes that the window has no room for.
pub(crate) fn watch_for_death(tcp: &TcpStream, watched: bool) -> io::Result<()> {
    let socket = SockRef::from(tcp);
    socket.set_keepalive(watched)?;
    socket.set_tcp_user_timeout(watched.then_some(USER_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_box_sends_short_segments() {
        for server_asks in [false, true] {
            let listening = TcpSocket::new_v4().unwrap();
            let connecting = TcpSocket::new_v4().unwrap();
            limit_segments(&SockRef::from(if server_asks { &listening } else { &connecting })).unwrap();
            listening.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = listening.listen(1).unwrap();
            let dialled = connecting.connect(listener.local_addr().unwrap()).await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            let of_the_box = if server_asks { &dialled } else { &accepted };
            let segment = SockRef::from(of_the_box).tcp_mss().unwrap();
            assert!(segment <= SEGMENT, "{segment}");
        }
    }

    #[tokio::test]
    async fn both_ends_of_a_connection_send_at_once_and_notice_a_peer_that_vanished() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        for tcp in [&dialled, &accepted] {
            assert!(!tcp.nodelay().unwrap(), "there is nothing to test");
            tune(tcp).unwrap();
            let socket = SockRef::from(tcp);
            assert!(socket.tcp_nodelay().unwrap());
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
            assert_eq!(socket.tcp_notsent_lowat().unwrap(), NOTSENT);

            watch_for_death(tcp, false).unwrap();
            assert!(!socket.keepalive().unwrap());
            assert_eq!(socket.tcp_user_timeout().unwrap(), None);
            watch_for_death(tcp, true).unwrap();
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        }
    }
}
