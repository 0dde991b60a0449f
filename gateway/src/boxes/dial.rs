//! Dialling a box: TCP, then TLS 1.3 in which the box must show the exact name that was meant.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use berth_protocol::ids::{InstallationId, InstanceId};
use berth_protocol::tls::{ALPN_DOOR, client_config, server_name};
use berth_protocol::trust::{Admit, Dates, PeerVerifier};
use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::trust::{State, Trust};

/// How long one address may take to answer, TLS included.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// TCP asks a silent peer after this time ...
const KEEPALIVE: Duration = Duration::from_secs(15);

/// ... and again after this one, for a question may get lost on the way, ...
const ASKED_AGAIN: Duration = Duration::from_secs(5);

/// ... and gives the peer, or unacknowledged bytes, up after this one.
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

    /// The TLS settings with which exactly this instance is reached; `ca` is the CA of its certificate, if that is known.
    fn config_for(
        &self,
        instance: &InstanceId,
        ca: Option<&str>,
        trusted: &State,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        let admit = Admit::Box(self.installation.clone(), instance.clone());
        let verifier = PeerVerifier::new(trusted.roots().to_vec(), admit, Dates::Judged);
        let mut credentials = trusted.credentials(ca).clone();
        // The box knows its CA, and would keep what it is shown for as long as the connection lasts.
        credentials.chain.truncate(1);
        Ok(Arc::new(client_config(Some(credentials), verifier, ALPN_DOOR)?))
    }
}

/// How one box is met. A connection holds its TLS settings for as long as it lasts, so all of a box have the same ones.
pub(super) struct Meeting {
    /// The CA of the box's certificate, if that is known.
    ca: Option<String>,
    /// For the CAs of then, which are not kept: they can sign.
    made: Option<(Weak<State>, Arc<ClientConfig>)>,
}

impl Meeting {
    /// Under this CA.
    pub(super) fn under(ca: Option<String>) -> Self {
        Self { ca, made: None }
    }

    /// The box may have a certificate of another CA by now.
    pub(super) fn moved(&mut self, ca: Option<&str>) {
        if self.ca.as_deref() != ca {
            *self = Self::under(ca.map(str::to_owned));
        }
    }

    /// The TLS settings, by the CAs as they are now.
    pub(super) fn config(
        &mut self,
        dialer: &Dialer,
        instance: &InstanceId,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        let trusted = dialer.trust.now();
        if let Some((state, config)) = &self.made
            && std::ptr::eq(state.as_ptr(), Arc::as_ptr(&trusted))
        {
            return Ok(config.clone());
        }
        let config = dialer.config_for(instance, self.ca.as_deref(), &trusted)?;
        self.made = Some((Arc::downgrade(&trusted), config.clone()));
        Ok(config)
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

/// Makes a socket that is about to connect, or to listen, ask its peers for segments of at most [`SEGMENT`] bytes.
pub(crate) fn limit_segments(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_mss(SEGMENT)
}

/// Keystrokes are not held back, a peer that vanished is noticed, and nothing grows old in a send buffer.
pub(crate) fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(ASKED_AGAIN))?;
    socket.set_tcp_notsent_lowat(NOTSENT)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
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
            let asked =
                (USER_TIMEOUT - KEEPALIVE).as_secs() / socket.tcp_keepalive_interval().unwrap().as_secs();
            assert!(asked >= 3, "a question that is lost ends a connection");
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
            assert_eq!(socket.tcp_notsent_lowat().unwrap(), NOTSENT);
        }
    }
}
