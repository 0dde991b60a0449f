//! The operator's own certificate for the front. Its files are looked at again and again, so that one that was renewed
//! is shown without a restart; one that can't be used leaves the one before in its place.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;

use crate::settings::FrontSettings;

/// The name by which browsers and we agree on HTTP/2.
pub const HTTP_2: &[u8] = b"h2";

/// Time between looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// The settings that name the files.
const CERTIFICATE: &str = "front.tls_certificate";
const KEY: &str = "front.tls_key";

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

/// The front's certificate, as it is now.
pub struct FrontTls {
    certificate: PathBuf,
    key: PathBuf,
    /// What they held when they were last used.
    pair: Pair,
    shown: Arc<Shown>,
}

#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// What the two files hold.
#[derive(PartialEq)]
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl FrontTls {
    /// Reads the certificate, if the settings name one.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(settings: &FrontSettings) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (settings.tls_certificate.clone(), settings.tls_key.clone())
        else {
            return Ok(None);
        };
        let pair = read(&certificate, &key)?;
        let shown = Arc::new(Shown(RwLock::new(usable(&pair, &certificate, &key)?)));
        Ok(Some(Self { certificate, key, pair, shown }))
    }

    /// What the listener needs.
    ///
    /// # Errors
    /// [`TlsError::Pair`].
    pub fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Pair)?
            .with_no_client_auth()
            .with_cert_resolver(self.shown.clone());
        // WebSockets come by HTTP/1.1: that they could come by HTTP/2 is not offered, so browsers don't try.
        config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Follows the files until the gateway stops.
    pub async fn follow(mut self, stopping: CancellationToken) {
        let mut complained = false;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            match self.look() {
                Ok(false) => {}
                Ok(true) => {
                    complained = false;
                    tracing::info!(path = %self.certificate.display(), "the front's certificate was changed");
                }
                // Two files are not replaced at once, so the first look may find one of each.
                Err(error) if !std::mem::replace(&mut complained, true) => {
                    let error = berth_daemon::exit::chain(&error);
                    tracing::warn!(%error, "the front's new certificate can't be used yet; the old one is shown");
                }
                Err(_) => {}
            }
        }
    }

    /// Looks at the files; whether another certificate is shown now. They are small and local.
    fn look(&mut self) -> Result<bool, TlsError> {
        let pair = read(&self.certificate, &self.key)?;
        if pair == self.pair {
            return Ok(false);
        }
        let new = usable(&pair, &self.certificate, &self.key)?;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        self.pair = pair;
        Ok(true)
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Pair, TlsError> {
    let read = |setting, path: &Path| {
        let failed = |error| TlsError::File { setting, path: path.to_owned(), source: pem::Error::Io(error) };
        std::fs::read(path).map_err(failed)
    };
    Ok(Pair { certificate: read(CERTIFICATE, certificate)?, key: read(KEY, key)? })
}

fn usable(pair: &Pair, certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let wrong = |setting, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { setting, path, source }
    };
    let chain = CertificateDer::pem_slice_iter(&pair.certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(wrong(CERTIFICATE, certificate))?;
    if chain.is_empty() {
        return Err(wrong(CERTIFICATE, certificate)(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_slice(&pair.key).map_err(wrong(KEY, key))?;
    let pair = CertifiedKey::from_der(chain, key, &default_provider()).map_err(TlsError::Pair)?;
    Ok(Arc::new(pair))
}
