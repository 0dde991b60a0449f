//! A box's identity as its agent keeps it, and what the link listener answers to whoever has it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use berth_protocol::ids::{InstallationId, InstanceId, WorkspaceId};
use berth_protocol::standing::Standing;
use berth_protocol::tls::{ALPN_DOOR, ALPN_LINK, Credentials, client_config, meeting_name, server_name};
use berth_protocol::trust::{Admit, Dates, PeerVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Stack;

/// The identity that `box-agent enroll` stored, or a renewal.
#[derive(Clone)]
pub struct Identity {
    /// The installation.
    pub installation: InstallationId,
    /// The instance.
    pub instance: InstanceId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Whom the box believes.
    pub roots: Vec<CertificateDer<'static>>,
    /// What it shows.
    pub credentials: Credentials,
}

impl Identity {
    /// Reads an identity directory.
    ///
    /// # Panics
    /// When it holds none.
    #[must_use]
    pub fn read(directory: &Path) -> Self {
        let read = |name: &str| std::fs::read(directory.join(name)).expect("an identity");
        let told: Value = serde_json::from_slice(&read("identity.json")).expect("JSON");
        let id = |name: &str| told[name].as_str().expect("an id").to_owned();
        let certificate = |name: &str| -> Vec<CertificateDer<'static>> {
            CertificateDer::pem_slice_iter(&read(name)).map(|one| one.expect("a certificate")).collect()
        };
        Self {
            installation: id("installation").parse().expect("an installation"),
            instance: id("instance").parse().expect("an instance"),
            workspace: id("workspace").parse().expect("a workspace"),
            roots: certificate("ca.pem"),
            credentials: Credentials {
                chain: certificate("certificate.pem"),
                key: PrivateKeyDer::from_pem_slice(&read("key.pem")).expect("a key"),
            },
        }
    }

    /// What its certificate says of itself.
    ///
    /// # Panics
    /// When none of its CAs vouches for it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing::of(&self.credentials.chain[0], &self.roots).expect("a CA of its own")
    }

    /// Believes gateways of its installation.
    #[must_use]
    pub fn verifier(&self) -> Arc<PeerVerifier> {
        PeerVerifier::new(self.roots.clone(), Admit::AnyGateway(self.installation.clone()), Dates::Ignored)
    }

    /// Sends a request to the link listener, under the CA that it says; status and body of the answer.
    ///
    /// # Errors
    /// When either side does not believe the other, or nobody is there.
    ///
    /// # Panics
    /// When the answer is no HTTP.
    pub async fn ask(
        &self,
        stack: &Stack,
        ca_sha256: &str,
        request: &str,
        body: &str,
    ) -> io::Result<(u16, String)> {
        let config = client_config(Some(self.credentials.clone()), self.verifier(), ALPN_LINK);
        let tcp = TcpStream::connect(link_address(stack)).await?;
        let connector = TlsConnector::from(Arc::new(config.expect("TLS")));
        let mut tls = connector.connect(meeting_name(ca_sha256), tcp).await?;
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: box\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        tls.write_all(text.as_bytes()).await?;
        let mut answer = Vec::new();
        // A peer that ends without a farewell has said all the same what it said.
        if let Err(error) = tls.read_to_end(&mut answer).await
            && answer.is_empty()
        {
            return Err(error);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
        match status {
            Some(status) => Ok((status, body)),
            None => Err(io::Error::other(format!("no answer: {answer:?}"))),
        }
    }

    /// The certificate that a door shows.
    ///
    /// # Panics
    /// When it shows none that is this box's.
    pub async fn door_certificate(&self, address: &str) -> CertificateDer<'static> {
        let admit = Admit::Box(self.installation.clone(), self.instance.clone());
        let verifier = PeerVerifier::new(self.roots.clone(), admit, Dates::Judged);
        let config = client_config(None, verifier, ALPN_DOOR).expect("TLS");
        let tcp = TcpStream::connect(address).await.expect("the door accepts");
        // A stranger is refused, after the door has shown itself.
        let tls = TlsConnector::from(Arc::new(config)).connect(server_name(), tcp).await.expect("TLS");
        tls.get_ref().1.peer_certificates().expect("a certificate")[0].clone().into_owned()
    }
}

/// Where the gateway takes links.
///
/// # Panics
/// When it has not said so.
#[must_use]
pub fn link_address(stack: &Stack) -> String {
    let addresses = std::fs::read(stack.path("gateway/addresses.json")).expect("addresses");
    let addresses: Value = serde_json::from_slice(&addresses).expect("JSON");
    addresses["link"].as_str().expect("an address").to_owned()
}
