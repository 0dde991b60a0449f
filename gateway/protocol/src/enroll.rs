//! Enrolment: a box exchanges a one-time token for a certificate, at `POST /v1/enroll` of the link listener.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::ids::{InstallationId, InstanceId, WorkspaceId};

/// Path of the enrolment call on the link listener.
pub const ENROLL_PATH: &str = "/v1/enroll";

/// First characters of every token; the digit is the version of its shape.
const TOKEN_PREFIX: &str = "berth1.";

/// What an operator hands to a box: where the gateway is, how to know it, and a secret that works once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentToken {
    /// `host:port` of the gateway's link listener.
    pub link_address: String,
    /// The installation that the gateway's name must carry.
    pub installation: InstallationId,
    /// Fingerprint of the CA ([`crate::trust::fingerprint`]), checked before anything is sent.
    pub ca_sha256: String,
    /// The secret; the gateway keeps only its hash.
    pub secret: String,
}

/// A text that is not an enrolment token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an enrolment token: copy the whole line that `gateway workspace enroll <name>` printed")]
pub struct InvalidToken;

// The secret stays out of logs, whoever formats the token.
impl fmt::Debug for EnrollmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrollmentToken")
            .field("link_address", &self.link_address)
            .field("installation", &self.installation)
            .field("ca_sha256", &self.ca_sha256)
            .finish_non_exhaustive()
    }
}

impl EnrollmentToken {
    /// The token as one word that can be pasted.
    ///
    /// # Panics
    /// Never: the fields are plain text.
    #[must_use]
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("plain fields serialise");
        format!("{TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(&json))
    }
}

impl FromStr for EnrollmentToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let encoded = text.trim().strip_prefix(TOKEN_PREFIX).ok_or(InvalidToken)?;
        let json = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| InvalidToken)?;
        serde_json::from_slice(&json).map_err(|_| InvalidToken)
    }
}

/// Body of the enrolment call.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrollRequest {
    /// The token's secret.
    pub secret: String,
    /// A certificate signing request in PEM. Only its public key is used; the gateway writes the name.
    pub csr_pem: String,
    /// Version of the agent that asks.
    pub agent_version: String,
    /// Whether the agent renews its certificate; one that does not gets one that lasts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renews: bool,
}

/// Answer to the enrolment call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollResponse {
    /// The installation.
    pub installation: InstallationId,
    /// The workspace that the token was for.
    pub workspace: WorkspaceId,
    /// The instance that this box now is.
    pub instance: InstanceId,
    /// The instance's place among the workspace's instances; the highest owns the workspace.
    pub instance_epoch: u64,
    /// The box's certificate, PEM.
    pub certificate_pem: String,
    /// Every CA to believe, PEM, one after the other.
    pub ca_pem: String,
    /// The generation of trust that `ca_pem` is; gateways of before don't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_generation: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_being_pasted_and_hides_its_secret() {
        let token = EnrollmentToken {
            link_address: "127.0.0.1:7392".into(),
            installation: InstallationId::random(),
            ca_sha256: "00ff".into(),
            secret: "hush-hush".into(),
        };
        let pasted = format!("  {}\n", token.encode());
        assert_eq!(pasted.parse::<EnrollmentToken>().unwrap(), token);
        assert!(!format!("{token:?}").contains("hush-hush"));
    }

    #[test]
    fn half_a_token_is_refused() {
        for text in ["", "berth1.", "berth1.abc", "berth2.e30", "hello"] {
            assert_eq!(text.parse::<EnrollmentToken>(), Err(InvalidToken), "{text:?}");
        }
    }
}
