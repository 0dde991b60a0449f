//! What a certificate says of itself: which CA vouches for it, and from when until when.
//!
//! Whoever dials or listens asks a CA for its certificate in time, and meets the other side under a CA that the other side
//! knows; both need this.

use rustls::CertificateError;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};

use crate::trust::fingerprint;

/// What a certificate says, as one CA vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The CA that signed it, by [`fingerprint`].
    pub ca_sha256: String,
    /// Its first second, since 1970.
    pub not_before: u64,
    /// Its last second, since 1970.
    pub not_after: u64,
}

impl Standing {
    /// What `certificate` says, if one of `roots` signed it. Nothing is said of whether it counts now.
    ///
    /// # Errors
    /// When none of them did, or the certificate does not parse.
    pub fn of(certificate: &CertificateDer<'_>, roots: &[CertificateDer<'_>]) -> Result<Self, rustls::Error> {
        let found = roots.iter().find_map(|root| Some((root, period(certificate, root)?)));
        let (root, (not_before, not_after)) = found.ok_or(CertificateError::UnknownIssuer)?;
        Ok(Self { ca_sha256: fingerprint(root), not_before, not_after })
    }

    /// How long it is valid as a whole, seconds.
    #[must_use]
    pub fn life_secs(&self) -> u64 {
        self.not_after.saturating_sub(self.not_before)
    }

    /// Whether it counts at a time, seconds since 1970.
    #[must_use]
    pub fn counts_at(&self, now: u64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// From when until when a certificate counts that `root` signed.
fn period(certificate: &CertificateDer<'_>, root: &CertificateDer<'_>) -> Option<(u64, u64)> {
    let anchors = [anchor_from_trusted_cert(root).ok()?];
    let parsed = EndEntityCert::try_from(certificate).ok()?;
    let provider = default_provider();
    let algorithms = provider.signature_verification_algorithms.all;
    let check = |secs: u64| {
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs));
        let usage = KeyUsage::client_auth();
        parsed.verify_for_usage(algorithms, &anchors, &[], time, usage, None, None).map(drop)
    };
    // The library tells the dates of a certificate only when it refuses one for them.
    let not_before = match check(0) {
        Err(Error::CertNotValidYet { not_before, .. }) => not_before.as_secs(),
        Ok(()) => 0,
        Err(_) => return None,
    };
    let not_after = match check(u64::MAX) {
        Err(Error::CertExpired { not_after, .. }) => not_after.as_secs(),
        _ => return None,
    };
    // Dates are looked at before signatures.
    check(not_after).ok()?;
    Some((not_before, not_after))
}
