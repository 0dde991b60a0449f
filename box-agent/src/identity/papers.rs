//! The identity as it is in use: what the box shows and whom it believes, ready for each kind of connection. There is one at
//! a time, in a channel; whoever begins a connection looks at the newest.

use std::sync::Arc;

use berth_protocol::tls::{ALPN_DOOR, ALPN_LINK, client_config, meeting_name, server_config, server_name};
use berth_protocol::trust::{Admit, Dates, PeerVerifier};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::sync::watch;

use super::Identity;

/// The newest papers.
pub type PapersInUse = watch::Receiver<Arc<Papers>>;

/// An identity, ready for use.
#[derive(Debug)]
pub struct Papers {
    /// The identity.
    pub identity: Identity,
    /// TLS of the door where it listens.
    pub door: Arc<ServerConfig>,
    link: Arc<ClientConfig>,
    dial_back: Arc<ClientConfig>,
}

/// How a gateway's link listener is dialled.
#[derive(Clone)]
pub struct Dialling {
    /// The agent's side of TLS.
    pub tls: Arc<ClientConfig>,
    /// What is said in place of a host name: under which CA both meet.
    pub name: ServerName<'static>,
}

impl Papers {
    /// Makes an identity ready.
    ///
    /// # Errors
    /// When key and certificate don't belong together.
    pub fn new(identity: Identity) -> Result<Arc<Self>, rustls::Error> {
        // Dates of gateways are ignored: this machine's clock may be wrong.
        let gateways = || {
            let admit = Admit::AnyGateway(identity.facts.installation.clone());
            PeerVerifier::new(identity.roots.clone(), admit, Dates::Ignored)
        };
        let shown = || identity.credentials.clone();
        let dialled = |alpn| client_config(Some(shown()), gateways(), alpn).map(Arc::new);
        let (link, dial_back) = (dialled(ALPN_LINK)?, dialled(ALPN_DOOR)?);
        let door = server_config(shown(), gateways(), &[ALPN_DOOR])?;
        Ok(Arc::new(Self { identity, door, link, dial_back }))
    }

    /// To link, to renew.
    #[must_use]
    pub fn link(&self) -> Dialling {
        Dialling { tls: self.link.clone(), name: self.name() }
    }

    /// To serve the door on the connection.
    #[must_use]
    pub fn dial_back(&self) -> Dialling {
        Dialling { tls: self.dial_back.clone(), name: self.name() }
    }

    fn name(&self) -> ServerName<'static> {
        let standing = self.identity.standing.as_ref();
        standing.map_or_else(server_name, |standing| meeting_name(&standing.ca_sha256))
    }
}
