//! The error body of every HTTP answer, on the front, the link listener and the door alike.

use serde::{Deserialize, Serialize};

use crate::ids::RequestId;

/// `{"error": {"kind", "message", "request_id"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The one field, so that an error is never mistaken for a result.
    pub error: ErrorDetail,
}

/// What went wrong, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A stable word that programs may compare.
    pub kind: String,
    /// A sentence for people that names the thing and, where there is one, the remedy.
    pub message: String,
    /// The request, as the logs of gateway and box name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

impl ErrorBody {
    /// An error of the given kind.
    #[must_use]
    pub fn new(kind: impl Into<String>, message: impl Into<String>, request_id: Option<RequestId>) -> Self {
        Self { error: ErrorDetail { kind: kind.into(), message: message.into(), request_id } }
    }
}
