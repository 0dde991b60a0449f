//! Opens what every verb of the command line works on: state directory, sealing key, store and CA.

use berth_daemon::state::{StateError, StateLock};
use berth_protocol::trust::fingerprint;

use crate::ca::{CaError, CertificateAuthority};
use crate::sealing::{Sealer, SealingError};
use crate::settings::Settings;
use crate::store::{Authority, Installation, Store, StoreError};

/// File name of the store in the state directory.
const STORE_FILE: &str = "gateway.db";

/// Held while key, schema and CA are made or read.
const OPEN_LOCK: &str = "open.lock";

/// Why the installation can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The sealing key can't be used.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The store can't be used.
    #[error("failed to open the store in {path}")]
    Store {
        /// The state directory.
        path: std::path::PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The CA can't be used.
    #[error(transparent)]
    Ca(#[from] CaError),
}

/// An opened installation.
pub struct Opened {
    /// Its store.
    pub store: Store,
    /// Its identity.
    pub installation: Installation,
    /// Its sealing key, ready for use.
    pub sealer: Sealer,
    /// Its CA, ready to sign.
    pub ca: CertificateAuthority,
}

/// Opens the installation of the settings, and makes what is missing: directory, key, store, CA.
///
/// # Errors
/// [`OpenError`].
pub async fn open(settings: &Settings) -> Result<Opened, OpenError> {
    let state = &settings.state_dir;
    // Two processes that both find nothing would each make a key, and one's secrets could never be opened.
    let _alone = StateLock::wait(state, OPEN_LOCK)?;
    let path = state.join(STORE_FILE);
    // A key made anew would open nothing of a store that is there.
    let sealer = Sealer::open(&settings.sealing, state, !path.exists())?;
    let failed = |source| OpenError::Store { path: state.clone(), source };
    let store = Store::open(&path).map_err(failed)?;
    let installation = store.installation().await.map_err(failed)?;
    let authority = match store.authority().await.map_err(failed)? {
        Some(authority) => authority,
        None => {
            let new = CertificateAuthority::generate(&installation.id)?;
            let ca = CertificateAuthority::load(&new.certificate_pem, &new.key_pem)?;
            let fingerprint = fingerprint(ca.certificate());
            let key_sealed = sealer.seal(&purpose(&fingerprint), new.key_pem.as_bytes());
            let first = Authority { fingerprint, certificate_pem: new.certificate_pem, key_sealed };
            store.put_first_authority(first.clone()).await.map_err(failed)?;
            // Another process may have been faster; then its CA counts.
            store.authority().await.map_err(failed)?.unwrap_or(first)
        }
    };
    let key = sealer.unseal(&purpose(&authority.fingerprint), &authority.key_sealed)?;
    let key = String::from_utf8(key).map_err(|error| CaError::Damaged(error.into()))?;
    let ca = CertificateAuthority::load(&authority.certificate_pem, &key)?;
    Ok(Opened { store, installation, sealer, ca })
}

fn purpose(fingerprint: &str) -> String {
    format!("ca-key/{fingerprint}")
}
