//! Enrolment: exchanges a one-time token for an identity.
//!
//! The gateway is believed when its CA has the fingerprint that the token carries, and only then is the
//! token's secret sent. Nothing is stored until the answer has proved to be in order.

use std::path::Path;
use std::sync::Arc;

use berth_protocol::enroll::{ENROLL_PATH, EnrollRequest, EnrollResponse, EnrollmentToken};
use berth_protocol::tls::{ALPN_LINK, client_config, meeting_name};
use berth_protocol::trust::PeerVerifier;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::gateway::{AskError, Question};
use super::papers::Dialling;
use super::{Documents, Facts, IdentityError, files};

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
    /// No answer came, or one that is not understood.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The gateway said no.
    #[error("the gateway refused the token ({kind}): {message}")]
    Refused {
        /// The stable word of the refusal.
        kind: String,
        /// The gateway's own words.
        message: String,
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
        renews: true,
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
            trust_generation: answer.trust_generation.unwrap_or_default(),
        },
        key_pem: key.serialize_pem(),
        certificate_pem: answer.certificate_pem,
        ca_pem: answer.ca_pem,
    };
    match files::store(state_dir, &documents, replace) {
        Ok(identity) => Ok(identity.facts),
        // Damaged before it was stored: that is the gateway's doing, not the disk's.
        Err(IdentityError::Damaged { problem, .. }) => Err(unintelligible(&token.link_address, problem)),
        Err(error) => Err(error.into()),
    }
}

async fn ask(token: &EnrollmentToken, request: &EnrollRequest) -> Result<EnrollResponse, EnrollError> {
    let address = &token.link_address;
    let verifier = PeerVerifier::pinned(token.ca_sha256.clone(), token.installation.clone());
    let tls = Arc::new(client_config(None, verifier, ALPN_LINK)?);
    let dialling = Dialling { tls, name: meeting_name(&token.ca_sha256) };
    let answer = Question::post(address, dialling, ENROLL_PATH, request).ask().await;
    let answer = answer.map_err(|error| match error {
        AskError::Distrusted { address } => EnrollError::WrongGateway { address },
        AskError::Refused { kind, message, .. } => EnrollError::Refused { kind, message },
        error => EnrollError::Ask(error),
    })?;
    serde_json::from_slice(&answer).map_err(|error| unintelligible(address, error.to_string()))
}

fn unintelligible(address: &str, problem: String) -> EnrollError {
    AskError::Unintelligible { address: address.to_owned(), problem }.into()
}
