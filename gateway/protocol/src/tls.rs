//! TLS 1.3 settings of link and door: certificates on both sides, no resumption.
//!
//! Resumption is off because a resumed connection skips the check of the peer's certificate.

use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// ALPN of the link: the agent's WebSocket and enrolment.
pub const ALPN_LINK: &[u8] = b"berth-link/1";

/// ALPN of the door: `CONNECT` streams and the box's control API.
pub const ALPN_DOOR: &[u8] = b"berth-door/1";

/// The cryptography of everything here, which there is once.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(default_provider()));
    PROVIDER.clone()
}

/// The name that dialers put where TLS wants a host name. Verifiers look at the URI name instead.
///
/// # Panics
/// Never: the name is a constant.
#[must_use]
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("berth.invalid").expect("a valid constant")
}

/// Characters of a CA's fingerprint in a [`meeting_name`]: a label of a host name is shorter than the whole.
const MEETING_DIGITS: usize = 40;

/// What stands behind them.
const MEETING_DOMAIN: &str = ".ca.berth.invalid";

/// The name that a box puts where TLS wants a host name, when it dials a gateway: it says under which CA they are to meet,
/// so that a gateway which has several shows a certificate that the box believes. `ca_sha256` is the CA's
/// [`fingerprint`](crate::trust::fingerprint).
#[must_use]
pub fn meeting_name(ca_sha256: &str) -> ServerName<'static> {
    let digits = ca_sha256.get(..MEETING_DIGITS).unwrap_or_default();
    // What is no fingerprint makes no name, and says nothing.
    ServerName::try_from(format!("{digits}{MEETING_DOMAIN}")).unwrap_or_else(|_| server_name())
}

/// Whether a name that a box put there means this CA.
#[must_use]
pub fn is_meeting_name(name: &str, ca_sha256: &str) -> bool {
    let digits = name.strip_suffix(MEETING_DOMAIN);
    digits.is_some_and(|digits| digits.len() == MEETING_DIGITS && ca_sha256.starts_with(digits))
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

impl Credentials {
    /// The same, ready to sign.
    ///
    /// # Errors
    /// When key and certificate don't belong together.
    pub fn certified(&self) -> Result<CertifiedKey, rustls::Error> {
        CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), &provider())
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
    let certified = credentials.certified()?;
    server_config_with(Arc::new(SingleCertAndKey::from(certified)), verifier, alpn)
}

/// The same, when what is shown depends on what the dialler says.
///
/// # Errors
/// Never, with this provider of cryptography.
pub fn server_config_with(
    shown: Arc<dyn ResolvesServerCert>,
    verifier: Arc<dyn ClientCertVerifier>,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
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
    let builder = ClientConfig::builder_with_provider(provider())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_name_means_one_ca() {
        let (one, other) = ("0123456789abcdef".repeat(4), "f".repeat(64));
        let name = meeting_name(&one).to_str().into_owned();
        assert!(is_meeting_name(&name, &one) && !is_meeting_name(&name, &other), "{name}");
        for nothing in ["", "00ff", "not a fingerprint at all, however long it may be"] {
            assert_eq!(meeting_name(nothing), server_name(), "{nothing:?}");
        }
        for nobody in ["berth.invalid", ".ca.berth.invalid", "0123.ca.berth.invalid", "0123456789"] {
            assert!(!is_meeting_name(nobody, &one), "{nobody}");
        }
    }
}
