//! Opens what every verb of the command line works on: state directory, sealing key, store and CAs.

use berth_daemon::state::{StateError, StateLock};
use berth_protocol::trust::fingerprint;

use crate::ca::{CaError, CertificateAuthority};
use crate::sealing::{Sealer, SealingError};
use crate::settings::Settings;
use crate::store::{Authority, Installation, SealedAuthority, Store, StoreError, TrustedSet, now_ms};
use crate::trust::key_purpose;

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
    /// Its CAs, of which at least one is there.
    pub trusted: TrustedSet,
}

impl Opened {
    /// The CA that signs.
    #[must_use]
    pub fn signing(&self) -> Option<&Authority> {
        self.trusted.authorities.iter().find(|authority| authority.signing)
    }

    /// A new CA, to be stored.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn new_authority(&self) -> Result<SealedAuthority, CaError> {
        make(&self.installation, &self.sealer)
    }
}

fn make(installation: &Installation, sealer: &Sealer) -> Result<SealedAuthority, CaError> {
    let now = u64::try_from(now_ms() / 1000).unwrap_or_default();
    let new = CertificateAuthority::generate(&installation.id, now)?;
    let ca = CertificateAuthority::load(&new.certificate_pem, &new.key_pem)?;
    let fingerprint = fingerprint(ca.certificate());
    let key_sealed = sealer.seal(&key_purpose(&fingerprint), new.key_pem.as_bytes());
    Ok(SealedAuthority { fingerprint, certificate_pem: new.certificate_pem, key_sealed })
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
    let mut trusted = store.trusted().await.map_err(failed)?;
    if trusted.authorities.is_empty() {
        // Another process may have been faster; then its CA counts.
        store.put_first_authority(make(&installation, &sealer)?).await.map_err(failed)?;
        trusted = store.trusted().await.map_err(failed)?;
    }
    // A sealing key that is not this store's is found now, not when somebody enrols.
    for Authority { fingerprint, key_sealed, .. } in &trusted.authorities {
        sealer.unseal(&key_purpose(fingerprint), key_sealed)?;
    }
    Ok(Opened { store, installation, sealer, trusted })
}
