//! Who this box is: its key, its certificate and the CAs that it believes, on the root disk; and how they are renewed.
//!
//! ```text
//! <state_dir>/identity/
//!   key.pem           the private key, 0600: made here, never leaves
//!   certificate.pem   the gateway's word on who this is
//!   ca.pem            every CA to believe
//!   identity.json     installation, workspace, instance and where the gateway is
//! ```
//!
//! The directory appears whole, by one rename, so that a box is enrolled or is not. A renewal makes another one beside it,
//! with a key of its own, proves it to the gateway, and exchanges the two: whenever that is cut short, one of them is there.
//!
//! | module | what |
//! |---|---|
//! | [`enroll`] | a token becomes an identity |
//! | [`keeper`], [`plan`] | renews the certificate and follows the CAs, as the gateway says |
//! | [`papers`] | the identity as it is in use |
//! | [`gateway`] | one request to a gateway |
//! | `files` | the directory |

pub mod enroll;
mod files;
pub mod gateway;
pub mod keeper;
pub mod papers;
pub mod plan;

use std::path::{Path, PathBuf};

use berth_daemon::state::StateError;
use berth_protocol::ids::{InstallationId, InstanceId, WorkspaceId};
use berth_protocol::name::BerthName;
use berth_protocol::standing::Standing;
use berth_protocol::tls::Credentials;
use berth_protocol::trust::name_of;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

pub use files::{load, store, tidy};

/// The facts of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The installation whose gateways this box obeys.
    pub installation: InstallationId,
    /// The workspace that it holds.
    pub workspace: WorkspaceId,
    /// The instance that it is.
    pub instance: InstanceId,
    /// The instance's place among those of the workspace.
    pub instance_epoch: u64,
    /// `host:port` of the gateway's link listener.
    pub link_address: String,
    /// The generation of trust that the CAs are; 0 of a gateway that had none.
    #[serde(default)]
    pub trust_generation: u64,
}

/// The texts of an enrolment, as they are kept.
#[derive(Clone)]
pub struct Documents {
    /// The facts.
    pub facts: Facts,
    /// The private key, PEM.
    pub key_pem: String,
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The CAs, PEM.
    pub ca_pem: String,
}

/// An identity that is in order: its certificate carries its name and belongs to its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The facts.
    pub facts: Facts,
    /// How the box proves who it is.
    pub credentials: Credentials,
    /// Whom it believes.
    pub roots: Vec<CertificateDer<'static>>,
    /// What the certificate says of itself, if one of those vouches for it.
    pub standing: Option<Standing>,
}

/// Why there is no identity to use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The box was never enrolled.
    #[error(
        "this box is not enrolled: run `gateway workspace enroll <name>` on the gateway, then give its token to \
         `box-agent enroll --token-file -`"
    )]
    NotEnrolled,
    /// It was.
    #[error("this box is enrolled already, in {0}: to give it another identity, enrol with --replace")]
    AlreadyEnrolled(PathBuf),
    /// A file can't be read.
    #[error("failed to read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The file system's answer.
        source: std::io::Error,
    },
    /// The identity can't be written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The files are there and don't make an identity.
    #[error("the identity in {place} is damaged ({problem}): enrol this box again, with --replace")]
    Damaged {
        /// Where it came from.
        place: String,
        /// What is wrong.
        problem: String,
    },
}

impl Documents {
    /// Checks that the texts belong together. `place` says where they came from, for the error.
    ///
    /// # Errors
    /// [`IdentityError::Damaged`].
    pub fn verify(&self, place: &Path) -> Result<Identity, IdentityError> {
        let damaged =
            |problem: String| IdentityError::Damaged { place: place.display().to_string(), problem };
        let certificates = |name: &str, pem: &str| {
            CertificateDer::pem_slice_iter(pem.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .ok()
                .filter(|list| !list.is_empty())
                .ok_or_else(|| damaged(format!("{name} holds no certificate")))
        };
        let chain = certificates(files::CERTIFICATE, &self.certificate_pem)?;
        let roots = certificates(files::CA, &self.ca_pem)?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map_err(|_| damaged(format!("{} holds no private key", files::KEY)))?;
        let expected = BerthName::Box {
            installation: self.facts.installation.clone(),
            instance: self.facts.instance.clone(),
        };
        match chain.first().map(name_of) {
            Some(Ok(name)) if name == expected => {}
            _ => return Err(damaged(format!("the certificate does not carry the name {expected}"))),
        }
        // rustls compares the public keys when it makes a signer of the two.
        let provider = rustls::crypto::ring::default_provider();
        rustls::sign::CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider)
            .map_err(|_| damaged("key and certificate don't belong together".to_owned()))?;
        let standing = chain.first().and_then(|certificate| Standing::of(certificate, &roots).ok());
        Ok(Identity { facts: self.facts.clone(), credentials: Credentials { chain, key }, roots, standing })
    }
}

#[cfg(test)]
mod tests;
