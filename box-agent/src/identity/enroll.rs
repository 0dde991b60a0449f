//! Enrolment: exchanges a one-time token for an identity.
//!
//! The gateway is believed when its CA has the fingerprint that the token carries, and only then is the
//! token's secret sent. Nothing is stored until the answer has proved to be in order.

use std::path::Path;
use std::time::Duration;

use berth_protocol::enroll::{ENROLL_PATH, EnrollRequest, EnrollResponse, EnrollmentToken};
use berth_protocol::error::ErrorBody;
use berth_protocol::tls::{ALPN_LINK, client_config};
use berth_protocol::trust::PeerVerifier;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::CertificateError;

use super::{Documents, Facts, IdentityError, files};

/// How long the gateway may take for its answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Why a box was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The identity can't be stored, or the gateway's answer is not one.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No key could be made.
    #[error("failed to make a key pair")]
    Key(#[from] rcgen::Error),
    /// No connection could be prepared.
    #[error("failed to prepare a connection to the gateway")]
    Tls(#[from] rustls::Error),
    /// Whoever answers at that address has another CA than the token says.
    #[error(
        "the gateway at {address} is not the one that this token is of: check the address, and make a new token \
         with `gateway workspace enroll <name>`"
    )]
    WrongGateway {
        /// `host:port` of the link listener.
        address: String,
    },
    /// No answer came.
    #[error("failed to reach the gateway at {address}: check that it runs and that this box can reach it")]
    Unreachable {
        /// `host:port` of the link listener.
        address: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// The gateway said no.
    #[error("the gateway refused the token ({kind}): {message}")]
    Refused {
        /// The stable word of the refusal.
        kind: String,
        /// The gateway's own words.
        message: String,
    },
    /// The gateway said something else.
    #[error(
        "the gateway at {address} gave an answer that is not understood ({problem}): compare the versions"
    )]
    Unintelligible {
        /// `host:port` of the link listener.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Makes a key, has it certified and stores the identity.
///
/// # Errors
/// [`EnrollError`]; nothing is stored then.
pub async fn enroll(state_dir: &Path, token: &EnrollmentToken, replace: bool) -> Result<Facts, EnrollError> {
    // Looked at first, because the token works only once.
    files::check_vacant(state_dir, replace)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let request = EnrollRequest {
        secret: token.secret.clone(),
        csr_pem: CertificateParams::default().serialize_request(&key)?.pem()?,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let answer = ask(token, &request).await?;
    let address = token.link_address.clone();
    if answer.installation != token.installation {
        return Err(EnrollError::WrongGateway { address });
    }
    let documents = Documents {
        facts: Facts {
            installation: answer.installation,
            workspace: answer.workspace,
            instance: answer.instance,
            instance_epoch: answer.instance_epoch,
            link_address: address,
        },
        key_pem: key.serialize_pem(),
        certificate_pem: answer.certificate_pem,
        ca_pem: answer.ca_pem,
    };
    match files::store(state_dir, &documents, replace) {
        Ok(identity) => Ok(identity.facts),
        // Damaged before it was stored: that is the gateway's doing, not the disk's.
        Err(IdentityError::Damaged { problem, .. }) => {
            Err(EnrollError::Unintelligible { address: token.link_address.clone(), problem })
        }
        Err(error) => Err(error.into()),
    }
}

async fn ask(token: &EnrollmentToken, request: &EnrollRequest) -> Result<EnrollResponse, EnrollError> {
    let address = &token.link_address;
    let verifier = PeerVerifier::pinned(token.ca_sha256.clone(), token.installation.clone());
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(client_config(None, verifier, ALPN_LINK)?)
        .timeout(DEADLINE)
        // The token names the gateway itself: no proxy, and nowhere else to be sent to.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let unreachable = |source: reqwest::Error| {
        if is_distrust(&source) {
            EnrollError::WrongGateway { address: address.clone() }
        } else {
            EnrollError::Unreachable { address: address.clone(), source: source.without_url() }
        }
    };
    let url = format!("https://{address}{ENROLL_PATH}");
    let mut response =
        client.map_err(unreachable)?.post(url).json(request).send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(EnrollError::Unintelligible {
                address: address.clone(),
                problem: "it is too long".into(),
            });
        }
        body.extend_from_slice(&chunk);
    }
    let status = response.status();
    let unintelligible = |problem: String| EnrollError::Unintelligible { address: address.clone(), problem };
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| unintelligible(error.to_string()));
    }
    match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(body) => Err(EnrollError::Refused { kind: body.error.kind, message: body.error.message }),
        Err(_) => Err(unintelligible(format!("status {status}"))),
    }
}

/// Whether a connection failed because this side did not believe the other's certificate.
fn is_distrust(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| inner(*error)).any(|error| {
        matches!(
            error.downcast_ref::<rustls::Error>(),
            Some(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::ApplicationVerificationFailure
            ))
        )
    })
}

/// The next error inside: `io::Error` does not tell of the one that it wraps, but of that one's source.
fn inner<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
