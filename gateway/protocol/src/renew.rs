//! Renewal: a box exchanges its certificate for a newer one, at `POST /v1/renew` of the link listener, and proves the newer
//! one at `GET /v1/identity` before it gives the older up.

use serde::{Deserialize, Serialize};

/// Path of the renewal call on the link listener. It takes a box's certificate, also one that has expired lately.
pub const RENEW_PATH: &str = "/v1/renew";

/// Path at which a box learns whether its certificate is taken: 204 when it is.
pub const IDENTITY_PATH: &str = "/v1/identity";

/// Refusal: the certificate has expired, or is not valid yet.
pub const KIND_EXPIRED: &str = "certificate_expired";

/// Body of the renewal call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// A certificate signing request in PEM. Only its public key is used; the name stays what it was.
    pub csr_pem: String,
}

/// Answer to the renewal call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewResponse {
    /// The box's new certificate, PEM.
    pub certificate_pem: String,
    /// Every CA to believe, PEM, one after the other.
    pub ca_pem: String,
    /// The generation of trust that `ca_pem` is.
    pub trust_generation: u64,
}
