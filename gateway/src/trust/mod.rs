//! Whom this gateway believes, and as whom it shows itself: the installation's CAs, of which there are two while they are
//! rotated.
//!
//! **A box is always met under the CA that signed its own certificate**, since that is one which it believes for certain.
//! The gateway has a certificate of its own under each. At a door it shows the one that the store names for the box; a box
//! that dials says the CA in place of a host name. So a box that slept through the addition of a CA is met under the old one
//! for as long as that is trusted, and catches up.
//!
//! [`renewal`] says when boxes are to renew their certificates.

mod renewal;

use std::sync::{Arc, PoisonError, RwLock};

use berth_protocol::ids::InstallationId;
use berth_protocol::name::BerthName;
use berth_protocol::standing::Standing;
use berth_protocol::tls::{ALPN_DOOR, ALPN_LINK, Credentials, is_meeting_name, server_config_with};
use berth_protocol::trust::{Admit, Dates, PeerVerifier};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use crate::ca::{CaError, CertificateAuthority};
use crate::sealing::{Sealer, SealingError};
use crate::store::{Authority, Store, StoreError, TrustedSet};
pub use renewal::Rules;

/// Why the CAs can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A CA's key can't be opened.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// A CA does not parse, or does not sign.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The gateway's own certificate can't be used.
    #[error("failed to set up TLS with boxes")]
    Tls(#[from] rustls::Error),
    /// The store has none that signs.
    #[error("none of the stored CAs signs")]
    NobodySigns,
}

/// What a CA's sealed key is sealed for.
#[must_use]
pub fn key_purpose(fingerprint: &str) -> String {
    format!("ca-key/{fingerprint}")
}

/// A CA that is trusted.
pub struct Member {
    /// Its number: the trust generation that brought it.
    pub generation: u64,
    /// SHA-256 of its certificate.
    pub fingerprint: String,
    /// It can sign.
    pub ca: CertificateAuthority,
    /// This gateway's certificate under it.
    shown: Arc<CertifiedKey>,
    credentials: Credentials,
}

/// The CAs as they are at one time.
pub struct State {
    generation: u64,
    /// Oldest first; never empty.
    members: Vec<Arc<Member>>,
    signing: usize,
    roots: Vec<CertificateDer<'static>>,
    listener: Arc<ServerConfig>,
}

/// The CAs of a gateway that runs.
pub struct Trust {
    installation: InstallationId,
    name: BerthName,
    rules: Rules,
    state: RwLock<Arc<State>>,
}

impl Trust {
    /// Opens what is trusted, for the gateway of this name.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn open(
        installation: &InstallationId,
        name: BerthName,
        rules: Rules,
        set: &TrustedSet,
        sealer: &Sealer,
    ) -> Result<Self, TrustError> {
        let state = State::open(installation, &name, set, sealer, &[])?;
        let state = RwLock::new(Arc::new(state));
        Ok(Self { installation: installation.clone(), name, rules, state })
    }

    /// The CAs as they are now.
    #[must_use]
    pub fn now(&self) -> Arc<State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How certificates are given out.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Takes over what another process has changed. Whether it did.
    ///
    /// # Errors
    /// [`TrustError`]; the CAs stay as they were then.
    pub async fn follow(&self, store: &Store, sealer: &Sealer) -> Result<bool, TrustError> {
        let set = store.trusted().await?;
        let known = self.now();
        let signing = set.authorities.iter().find(|ca| ca.signing).map(|ca| ca.fingerprint.as_str());
        if set.generation == known.generation && signing == Some(known.signing().fingerprint.as_str()) {
            return Ok(false);
        }
        let state = State::open(&self.installation, &self.name, &set, sealer, &known.members)?;
        tracing::info!(generation = state.generation, signing = state.signing().generation, "CAs changed");
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        Ok(true)
    }
}

impl Member {
    fn open(name: &BerthName, authority: &Authority, sealer: &Sealer) -> Result<Self, TrustError> {
        let Authority { fingerprint, certificate_pem, key_sealed, generation, .. } = authority;
        let key = sealer.unseal(&key_purpose(fingerprint), key_sealed)?;
        let key = String::from_utf8(key).map_err(|error| CaError::Damaged(error.into()))?;
        let ca = CertificateAuthority::load(certificate_pem, &key)?;
        let credentials = ca.gateway_credentials(name)?;
        let shown = Arc::new(credentials.certified()?);
        Ok(Self { generation: *generation, fingerprint: fingerprint.clone(), ca, shown, credentials })
    }
}

impl State {
    fn open(
        installation: &InstallationId,
        name: &BerthName,
        set: &TrustedSet,
        sealer: &Sealer,
        known: &[Arc<Member>],
    ) -> Result<Self, TrustError> {
        let open = |authority: &Authority| match known.iter().find(|m| m.fingerprint == authority.fingerprint)
        {
            Some(member) => Ok(member.clone()),
            None => Member::open(name, authority, sealer).map(Arc::new),
        };
        let members = set.authorities.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let signing = set.authorities.iter().position(|ca| ca.signing).ok_or(TrustError::NobodySigns)?;
        let roots: Vec<_> = members.iter().map(|member| member.ca.certificate().clone()).collect();
        // Dates are looked at behind the handshake: a box whose certificate has expired may still renew it.
        let admit = Admit::AnyBox(installation.clone());
        let verifier = PeerVerifier::optional(roots.clone(), admit, Dates::Ignored);
        let shown = Arc::new(Meeting(members.clone()));
        let listener = server_config_with(shown, verifier, &[ALPN_LINK, ALPN_DOOR])?;
        Ok(Self { generation: set.generation, members, signing, roots, listener })
    }

    /// Counts changes of the CAs.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The CA that signs.
    #[must_use]
    pub fn signing(&self) -> &Member {
        &self.members[self.signing]
    }

    /// Whether a CA is among them.
    #[must_use]
    pub fn trusts(&self, ca_sha256: &str) -> bool {
        self.members.iter().any(|member| member.fingerprint == ca_sha256)
    }

    /// The CAs' certificates, oldest first.
    #[must_use]
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// The same in PEM, one after the other.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.members.iter().map(|member| member.ca.certificate_pem()).collect()
    }

    /// What a box's certificate says of itself.
    ///
    /// # Errors
    /// When none of the CAs signed it.
    pub fn standing(&self, certificate: &CertificateDer<'_>) -> Result<Standing, rustls::Error> {
        Standing::of(certificate, &self.roots)
    }

    /// As whom to meet a box whose certificate is of this CA; of the oldest, when that is not known.
    #[must_use]
    pub fn credentials(&self, ca_sha256: Option<&str>) -> &Credentials {
        let known = self.members.iter().find(|member| Some(member.fingerprint.as_str()) == ca_sha256);
        &known.unwrap_or(&self.members[0]).credentials
    }

    /// TLS of the link listener.
    #[must_use]
    pub fn listener(&self) -> Arc<ServerConfig> {
        self.listener.clone()
    }
}

/// Shows a dialling box the certificate under the CA that it says; under the oldest, when it says none.
struct Meeting(Vec<Arc<Member>>);

// Keys stay out of logs.
impl std::fmt::Debug for Meeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|member| &member.fingerprint)).finish()
    }
}

impl ResolvesServerCert for Meeting {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or_default();
        let meant = self.0.iter().find(|member| is_meeting_name(name, &member.fingerprint));
        meant.or(self.0.first()).map(|member| member.shown.clone())
    }
}

#[cfg(test)]
pub(crate) mod tests;
