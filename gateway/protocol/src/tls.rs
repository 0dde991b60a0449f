//! TLS 1.3 settings of link and door: certificates on both sides, no resumption.
//!
//! Resumption is off because a resumed connection skips the check of the peer's certificate.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// ALPN of the link: the agent's WebSocket and enrolment.
pub const ALPN_LINK: &[u8] = b"berth-link/1";

/// ALPN of the door: `CONNECT` streams and the box's control API.
pub const ALPN_DOOR: &[u8] = b"berth-door/1";

/// The name that dialers put where TLS wants a host name. Verifiers look at the URI name instead.
///
/// # Panics
/// Never: the name is a constant.
#[must_use]
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("berth.invalid").expect("a valid constant")
}

/// A certificate chain and its private key: how one end proves its name.
#[derive(Debug)]
pub struct Credentials {
    /// The certificate, then what the other side may need to find its way to a CA.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

impl Clone for Credentials {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// What the accepting end of a link or door listener uses. The first protocol of `alpn` is preferred.
///
/// # Errors
/// When key and certificate don't belong together.
pub fn server_config(
    credentials: Credentials,
    verifier: Arc<dyn ClientCertVerifier>,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(credentials.chain, credentials.key)?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// What the dialling end uses; `credentials` is absent only while enrolling.
///
/// # Errors
/// When key and certificate don't belong together.
pub fn client_config(
    credentials: Option<Credentials>,
    verifier: Arc<dyn ServerCertVerifier>,
    alpn: &[u8],
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match credentials {
        Some(credentials) => builder.with_client_auth_cert(credentials.chain, credentials.key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}
