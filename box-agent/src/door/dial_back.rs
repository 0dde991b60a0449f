//! The door without an open port: a gateway that can't dial this box asks over the link, the agent dials that
//! gateway's link listener, and serves the same door there.
//!
//! TLS checks the same names on both sides as everywhere; only who dials is the other way round.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::link::{DialBack, MAX_DIAL_BACKS};
use berth_protocol::tls::ALPN_DOOR;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::hall::Hall;
use super::listener::tune;
use super::server::{ConnectionError, DoorStream, TLS_BUFFER, serve_connection};
use crate::host::names;
use crate::identity::papers::{Dialling, PapersInUse};

/// How long dialling may take, TLS included.
const DIAL_DEADLINE: Duration = Duration::from_secs(10);

/// Connections that are being dialled at the same time; others wait for their turn.
const MAX_DIALLING: usize = 8;

/// Connections that wait until the door opens, or until others are dialled. As many as a gateway waits for at
/// most: it gives each that arrives to the first who waits, so one that does not fit here is wanted by nobody.
const MAX_WANTED: usize = MAX_DIAL_BACKS as usize;

/// Where the link puts what gateways ask for. It never waits: a link has more to do than this.
#[derive(Clone)]
pub struct DialBackRequests(mpsc::Sender<Wanted>);

/// One connection that a gateway wants, and where it said to dial, if it did.
pub struct Wanted {
    address: Option<String>,
}

impl DialBackRequests {
    /// Takes over what a gateway asks for.
    pub fn ask(&self, asked: &DialBack) {
        for _ in 0..asked.count.min(MAX_DIAL_BACKS) {
            if self.0.try_send(Wanted { address: asked.address.clone() }).is_err() {
                tracing::debug!("enough connections to gateways are wanted already");
                return;
            }
        }
    }
}

/// Dials where gateways ask for it.
pub struct DialBacks {
    /// What the link was asked for.
    pub wanted: mpsc::Receiver<Wanted>,
    /// `host:port` that the link leads to.
    pub link_address: String,
    /// What the box shows and whom it believes.
    pub papers: PapersInUse,
    /// Where connections lead to.
    pub hall: Arc<Hall>,
    /// Whether a newer instance owns the workspace.
    pub retired: watch::Receiver<bool>,
}

/// Where the link puts requests, and where the door takes them from.
#[must_use]
pub fn channel() -> (DialBackRequests, mpsc::Receiver<Wanted>) {
    let (requests, wanted) = mpsc::channel(MAX_WANTED);
    (DialBackRequests(requests), wanted)
}

/// Dials whenever it is asked to, until `stop`.
pub async fn run(mut this: DialBacks, stop: CancellationToken) {
    let dialling = Arc::new(Semaphore::new(MAX_DIALLING));
    loop {
        let wanted = tokio::select! {
            // Cancel-safe, both: a request that was not taken stays in the queue.
            Some(wanted) = this.wanted.recv() => wanted,
            () = stop.cancelled() => return,
        };
        // Taken before the question is asked: what is retired after that ends what is dialled here.
        let closing = this.hall.closing();
        if *this.retired.borrow() {
            continue;
        }
        let Some(address) = target(&wanted, &this.link_address) else {
            tracing::warn!("a gateway asked to be dialled at an address that is not host:port");
            continue;
        };
        let turn = tokio::select! {
            // Cancel-safe, both: a turn that was not taken is free.
            Ok(turn) = dialling.clone().acquire_owned() => turn,
            () = stop.cancelled() => return,
        };
        let dialling = this.papers.borrow().dial_back();
        let (hall, address) = (this.hall.clone(), address.to_owned());
        tokio::spawn(async move {
            let served = async {
                let stream = tokio::time::timeout(DIAL_DEADLINE, dial(&address, dialling)).await??;
                drop(turn);
                hall.door().dial_backs.inc();
                serve_connection(stream, hall.admit(closing.clone())?).await
            };
            tokio::select! {
                outcome = served => if let Err(error) = outcome {
                    tracing::debug!(address, error = chain(&*error), "a dialled-back connection failed");
                },
                // Cancel-safe: nothing of the connection is used any more.
                () = closing.cancelled() => {}
            }
        });
    }
}

async fn dial(address: &str, dialling: Dialling) -> Result<DoorStream, ConnectionError> {
    let tcp = names::connect(address).await?;
    tune(&tcp)?;
    let mut tls = TlsConnector::from(dialling.tls).connect(dialling.name, tcp).await?;
    tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    // A gateway of before dial-back would take the connection for a link.
    if tls.get_ref().1.alpn_protocol() != Some(ALPN_DOOR) {
        return Err(io::Error::other("the gateway does not take the door's protocol").into());
    }
    Ok(tls.into())
}

/// Where to dial: what the request says, if it is plainly `host:port`, else where the link leads to.
fn target<'a>(wanted: &'a Wanted, link_address: &'a str) -> Option<&'a str> {
    let Some(address) = wanted.address.as_deref() else { return Some(link_address) };
    let (host, port) = address.rsplit_once(':')?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain_host = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            !host.is_empty() && host.len() <= 253 && host.bytes().all(name)
        }
    };
    let plain_port =
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    (plain_host && plain_port).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_dialled() {
        let ask = |address: Option<&str>| Wanted { address: address.map(str::to_owned) };
        assert_eq!(target(&ask(None), "link:1"), Some("link:1"));
        for good in ["berth.example:7392", "192.0.2.1:1", "[2001:db8::1]:65535"] {
            assert_eq!(target(&ask(Some(good)), "link:1"), Some(good));
        }
        for bad in [
            "",
            "berth.example",
            ":7392",
            "berth.example:",
            "berth.example:0",
            "berth.example:+80",
            "berth.example:65536",
            "https://berth.example:7392",
            "berth.example/x:1",
            "user@berth.example:1",
            "2001:db8::1:1",
            "[berth.example]:1",
            "a b:1",
        ] {
            assert_eq!(target(&ask(Some(bad)), "link:1"), None, "{bad}");
        }
    }
}
