//! The operator's own certificate for the front.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::settings::FrontSettings;

/// The name by which browsers and we agree on HTTP/2.
pub const HTTP_2: &[u8] = b"h2";

/// Why the front's certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read or holds no PEM of the right kind.
    #[error("failed to read {setting} {path}")]
    File {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// Certificate and key don't belong together, or are of an unknown kind.
    #[error("front.tls_certificate and front.tls_key can't be used together")]
    Pair(#[source] rustls::Error),
}

/// Reads the certificate, if the settings name one.
///
/// # Errors
/// [`TlsError`].
pub fn load(settings: &FrontSettings) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) else {
        return Ok(None);
    };
    let wrong = |setting: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { setting, path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(wrong("front.tls_certificate", certificate))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(wrong("front.tls_key", key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(TlsError::Pair)?;
    // WebSockets come by HTTP/1.1: that they could come by HTTP/2 is not offered, so browsers don't try.
    config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}
