//! Whether a peer is who it must be: the certificate verifiers of link and door.
//!
//! Host names play no part. A certificate is believed when it chains to a CA of the installation, serves the
//! purpose (client or server) and carries exactly one URI name; who may connect then depends on that name
//! alone. A box ignores the dates of gateway certificates, because its clock may be wrong after a long
//! suspension; the gateway judges box certificates by its own clock.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::ids::{InstallationId, InstanceId};
use crate::name::BerthName;
use crate::tls::provider;

/// Whom one end of a connection admits at the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admit {
    /// Any gateway of the installation.
    AnyGateway(InstallationId),
    /// Any box of the installation; the caller then looks the instance up.
    AnyBox(InstallationId),
    /// This box and no other.
    Box(InstallationId, InstanceId),
}

impl Admit {
    fn admits(&self, name: &BerthName) -> bool {
        match (self, name) {
            (Self::AnyGateway(wanted), BerthName::Gateway { installation, .. })
            | (Self::AnyBox(wanted), BerthName::Box { installation, .. }) => wanted == installation,
            (Self::Box(wanted, id), BerthName::Box { installation, instance }) => {
                wanted == installation && id == instance
            }
            _ => false,
        }
    }
}

/// What the validity period of a certificate counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// Outside its period a certificate is refused.
    Judged,
    /// This side's clock can't be relied on, so the period is not looked at.
    Ignored,
}

/// SHA-256 of a certificate, in lower-case hexadecimal: the form in which a CA is pinned.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(certificate.as_ref()))
}

/// The name in a certificate, without any judgement of whether to believe it.
///
/// # Errors
/// When the certificate does not parse or does not carry exactly one Berth name.
pub fn name_of(certificate: &CertificateDer<'_>) -> Result<BerthName, rustls::Error> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let mut names = parsed.valid_uri_names();
    match (names.next(), names.next()) {
        (Some(name), None) => {
            name.parse().map_err(|_| CertificateError::ApplicationVerificationFailure.into())
        }
        _ => Err(CertificateError::ApplicationVerificationFailure.into()),
    }
}

/// Which CAs are believed.
#[derive(Debug)]
enum Roots {
    /// These.
    Known(Vec<CertificateDer<'static>>),
    /// The one with this [`fingerprint`], which the peer shows behind its own certificate.
    Pinned(String),
}

/// Judges the certificate at the other end of a connection, whichever end dialled.
#[derive(Debug)]
pub struct PeerVerifier {
    roots: Roots,
    admit: Admit,
    dates: Dates,
    demanded: bool,
    provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    /// A verifier that believes the CAs in `roots` and lets in whom `admit` names.
    #[must_use]
    pub fn new(roots: Vec<CertificateDer<'static>>, admit: Admit, dates: Dates) -> Arc<Self> {
        Self::with(Roots::Known(roots), admit, dates, true)
    }

    /// For a listener that also takes enrolment, which has no certificate yet: admits whom `admit` names by
    /// certificate, or nobody in particular without one. The caller must look at which it was.
    #[must_use]
    pub fn optional(roots: Vec<CertificateDer<'static>>, admit: Admit, dates: Dates) -> Arc<Self> {
        Self::with(Roots::Known(roots), admit, dates, false)
    }

    /// For a box that enrols and knows the gateway's CA by the fingerprint of its token only.
    #[must_use]
    pub fn pinned(ca_sha256: String, installation: InstallationId) -> Arc<Self> {
        Self::with(Roots::Pinned(ca_sha256), Admit::AnyGateway(installation), Dates::Ignored, true)
    }

    fn with(roots: Roots, admit: Admit, dates: Dates, demanded: bool) -> Arc<Self> {
        Arc::new(Self { roots, admit, dates, demanded, provider: provider() })
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), rustls::Error> {
        let name = name_of(end_entity)?;
        if !self.admit.admits(&name) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        match &self.roots {
            Roots::Known(roots) => self.verify_chain(end_entity, roots, now, usage),
            Roots::Pinned(ca_sha256) => {
                let shown = intermediates.iter().find(|shown| fingerprint(shown) == *ca_sha256);
                let shown = shown.ok_or(CertificateError::UnknownIssuer)?;
                self.verify_chain(end_entity, std::slice::from_ref(shown), now, usage)
            }
        }
    }

    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        roots: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), rustls::Error> {
        let anchors: Vec<_> = roots
            .iter()
            .map(anchor_from_trusted_cert)
            .collect::<Result<_, _>>()
            .map_err(|_| rustls::Error::General("a trusted CA certificate does not parse".into()))?;
        let parsed = EndEntityCert::try_from(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let check =
            |time| parsed.verify_for_usage(algorithms, &anchors, &[], time, usage, None, None).map(drop);
        let outcome = match (self.dates, check(now)) {
            // Judged again at a moment at which the certificate says it was valid: everything but the date
            // counts. A certificate whose period is empty fails the second time too.
            (Dates::Ignored, Err(webpki::Error::CertExpired { not_after, .. })) => check(not_after),
            (Dates::Ignored, Err(webpki::Error::CertNotValidYet { not_before, .. })) => check(not_before),
            (_, outcome) => outcome,
        };
        outcome.map_err(|error| match error {
            webpki::Error::CertExpired { .. } => CertificateError::Expired.into(),
            webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet.into(),
            webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer.into(),
            _ => rustls::Error::from(CertificateError::ApplicationVerificationFailure),
        })
    }

    fn verify_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// TLS 1.2 is not compiled in; this answers the traits all the same.
fn no_tls12() -> Result<HandshakeSignatureValid, rustls::Error> {
    Err(rustls::Error::General("TLS 1.2 is not spoken".into()))
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, now, KeyUsage::server_auth())?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.demanded
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, now, KeyUsage::client_auth())?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
