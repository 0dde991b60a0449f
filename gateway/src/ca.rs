//! A certificate authority of the installation: signs gateways and boxes.
//!
//! Names are written here, whatever a signing request says; only its public key is taken.

use std::time::Duration;

use berth_protocol::ids::InstallationId;
use berth_protocol::name::BerthName;
use berth_protocol::tls::Credentials;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate can't be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The CA's own certificate or key does not parse.
    #[error("the stored CA does not parse")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The signing request does not parse or its signature is wrong.
    #[error("the certificate signing request is not valid")]
    InvalidRequest(#[source] rcgen::Error),
    /// Signing failed.
    #[error("failed to sign a certificate")]
    Signing(#[from] rcgen::Error),
}

/// From when until when a certificate counts, seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first second.
    pub from: u64,
    /// Its last second.
    pub until: u64,
}

/// How much earlier than now a certificate begins to count: clocks of gateways differ.
const EARLIER_SECS: u64 = 300;

impl Period {
    /// From 2025 to 2045: of what is not renewed. Trust in it ends by revocation, not by a date.
    pub const LASTING: Self = Self { from: 1_735_689_600, until: 2_366_841_600 };

    /// From `now` on for `life_secs`.
    #[must_use]
    pub fn beginning(now: u64, life_secs: u64) -> Self {
        let earlier = EARLIER_SECS.min(life_secs / 10);
        Self { from: now.saturating_sub(earlier), until: now.saturating_add(life_secs) }
    }
}

/// A CA that can sign.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
}

/// What is stored of a new CA. The key is sealed by the caller.
pub struct NewAuthority {
    /// The CA's certificate.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: String,
}

impl CertificateAuthority {
    /// Makes a new CA for an installation, which begins to count at `now`, seconds since 1970.
    ///
    /// # Errors
    /// [`CaError::Signing`].
    pub fn generate(installation: &InstallationId, now: u64) -> Result<NewAuthority, CaError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        // Its dates are nobody's business: it is trusted until it is removed.
        let lasting = Period::LASTING.until - Period::LASTING.from;
        let mut params = base_params(Period::beginning(now, lasting));
        params.distinguished_name.push(DnType::CommonName, format!("Berth {installation}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        Ok(NewAuthority { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// Reads a stored CA.
    ///
    /// # Errors
    /// [`CaError::Damaged`].
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, CaError> {
        let damaged = |error: rcgen::Error| CaError::Damaged(error.into());
        let key = KeyPair::from_pem(key_pem).map_err(damaged)?;
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key).map_err(damaged)?;
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|error| CaError::Damaged(error.into()))?;
        Ok(Self { issuer, certificate, certificate_pem: certificate_pem.to_owned() })
    }

    /// The CA's certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The CA's certificate in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Makes a key and a certificate for this gateway. The chain ends with the CA, because boxes that enrol
    /// know it by fingerprint only. Boxes don't look at its dates, and it is forgotten when the gateway stops.
    ///
    /// # Errors
    /// [`CaError::Signing`].
    pub fn gateway_credentials(&self, name: &BerthName) -> Result<Credentials, CaError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = leaf_params(name, Period::LASTING)?.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|problem| CaError::Damaged(problem.to_string().into()))?;
        Ok(Credentials { chain: vec![certificate.der().clone(), self.certificate.clone()], key })
    }

    /// Signs the public key of a signing request under the given name; everything else in it is ignored.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn sign_request(&self, csr_pem: &str, name: &BerthName, period: Period) -> Result<String, CaError> {
        let mut request =
            CertificateSigningRequestParams::from_pem(csr_pem).map_err(CaError::InvalidRequest)?;
        request.params = leaf_params(name, period)?;
        Ok(request.signed_by(&self.issuer)?.pem())
    }
}

fn base_params(period: Period) -> CertificateParams {
    let at = |secs| date_time_ymd(1970, 1, 1) + Duration::from_secs(secs);
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = at(period.from);
    params.not_after = at(period.until);
    params
}

fn leaf_params(name: &BerthName, period: Period) -> Result<CertificateParams, CaError> {
    let mut params = base_params(period);
    params.subject_alt_names = vec![SanType::URI(name.to_string().try_into()?)];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use berth_protocol::ids::InstanceId;
    use berth_protocol::standing::Standing;
    use berth_protocol::trust::{fingerprint, name_of};

    use super::*;

    #[test]
    fn the_name_is_ours_whatever_the_request_says() {
        let installation = InstallationId::random();
        let new = CertificateAuthority::generate(&installation, 1_800_000_000).unwrap();
        let ca = CertificateAuthority::load(&new.certificate_pem, &new.key_pem).unwrap();
        let ours = BerthName::Box { installation: installation.clone(), instance: InstanceId::random() };
        let wished = BerthName::Box { installation, instance: InstanceId::random() };

        let key = KeyPair::generate().unwrap();
        let mut request = CertificateParams::default();
        request.subject_alt_names = vec![SanType::URI(wished.to_string().try_into().unwrap())];
        let csr = request.serialize_request(&key).unwrap().pem().unwrap();
        let period = Period::beginning(1_800_000_000, 7_776_000);
        let pem = ca.sign_request(&csr, &ours, period).unwrap();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert_eq!(name_of(&certificate).unwrap(), ours);
        let standing = Standing::of(&certificate, std::slice::from_ref(ca.certificate())).unwrap();
        assert_eq!((standing.not_before, standing.not_after), (1_799_999_700, 1_807_776_000));
        assert_eq!(standing.ca_sha256, fingerprint(ca.certificate()));
    }

    #[test]
    fn nonsense_is_no_request() {
        let new = CertificateAuthority::generate(&InstallationId::random(), 1_800_000_000).unwrap();
        let ca = CertificateAuthority::load(&new.certificate_pem, &new.key_pem).unwrap();
        let name = BerthName::Box { installation: InstallationId::random(), instance: InstanceId::random() };
        let signed = ca.sign_request("hello", &name, Period::LASTING);
        assert!(matches!(signed, Err(CaError::InvalidRequest(_))));
    }
}
