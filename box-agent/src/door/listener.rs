//! TCP ports that the agent listens on, and how their connections notice that the other side is gone.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsStream;

use super::server::DoorStream;

/// A silent connection is asked for a sign of life after this long ...
const KEEPALIVE: Duration = Duration::from_secs(25);

/// ... and so many times, five seconds each, before it is given up.
const KEEPALIVE_PROBES: u32 = 6;

/// What was sent over the link and is not acknowledged for this long was sent into the void.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that the kernel takes ahead of what the network takes. More would only be older when it arrives: a
/// terminal whose reader stalled begins with them before it is redrawn.
const NOTSENT: u32 = 4 * 1024;

/// A port that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address}: stop what uses that port, or change {setting}")]
pub struct PortError {
    address: SocketAddr,
    setting: &'static str,
    source: io::Error,
}

/// Listens on `address`, which came from `setting`.
///
/// # Errors
/// [`PortError`].
pub async fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, PortError> {
    TcpListener::bind(address).await.map_err(|source| PortError { address, setting, source })
}

/// Makes a door's connection send keystrokes at once, keep no output until it is old, and notice a peer that is gone.
///
/// It has no `TCP_USER_TIMEOUT`: the kernel counts a closed window, too, and a gateway closes it for as long as a page
/// draws nothing. Its terminal has to be there when the page goes on. A gateway that vanishes while output waits is
/// noticed late for that, by the kernel's retransmissions alone.
///
/// # Errors
/// When the kernel refuses an option.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 5);
    socket.set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_PROBES))?;
    socket.set_tcp_notsent_lowat(NOTSENT)
}

/// Lets a connection that a program uses, and no terminal, carry `piece` bytes at once.
///
/// # Errors
/// When the kernel refuses an option.
pub(super) fn loosen(stream: &mut DoorStream, piece: usize) -> io::Result<()> {
    let tcp = match stream {
        TlsStream::Client(tls) => {
            let (tcp, session) = tls.get_mut();
            session.set_buffer_limit(Some(piece));
            &*tcp
        }
        TlsStream::Server(tls) => {
            let (tcp, session) = tls.get_mut();
            session.set_buffer_limit(Some(piece));
            &*tcp
        }
    };
    // None of its own: the system's holds.
    SockRef::from(tcp).set_tcp_notsent_lowat(0)
}

/// Makes the link's connection give up soon, too: nobody stalls it for good reason.
///
/// # Errors
/// When the kernel refuses an option.
pub fn tune_link(stream: &TcpStream) -> io::Result<()> {
    tune(stream)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(USER_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_ends_of_a_connection_send_at_once_and_notice_a_peer_that_is_gone() {
        let listener = bind("127.0.0.1:0".parse().unwrap(), "door.listen").await.unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        for tcp in [&dialled, &accepted] {
            assert!(!tcp.nodelay().unwrap(), "there is nothing to test");
            tune(tcp).unwrap();
            let socket = SockRef::from(tcp);
            assert!(socket.tcp_nodelay().unwrap());
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
            assert_eq!(socket.tcp_user_timeout().unwrap(), None, "a page that stalls loses its terminal");
            assert_eq!(socket.tcp_notsent_lowat().unwrap(), NOTSENT);
            tune_link(tcp).unwrap();
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        }
    }
}
