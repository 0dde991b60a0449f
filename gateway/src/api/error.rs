//! Errors of the front: a status, a stable word and a sentence.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use berth_protocol::error::ErrorBody;
use berth_protocol::ids::RequestId;
use http::{HeaderValue, StatusCode, header};

use crate::boxes::DoorError;
use crate::limits::TooMany;
use crate::store::{MemberRole, StoreError};

/// An error as a client sees it. The request's id is added on the way out.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    /// After how many seconds the same request may succeed.
    retry_after: Option<u64>,
}

impl ApiError {
    /// An error with the given status, stable word and sentence.
    #[must_use]
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), retry_after: None }
    }

    /// Nobody is signed in.
    #[must_use]
    pub fn not_signed_in() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "not_signed_in",
            "sign in first: ask for a sign-in link, or use a token that has not ended",
        )
    }

    /// The token is good, and not for this.
    #[must_use]
    pub fn token_not_enough() -> Self {
        let message =
            "this token may not do that: make one with another scope, or do it in a signed-in browser";
        Self::new(StatusCode::FORBIDDEN, "token_not_enough", message)
    }

    /// The caller's role does not allow it.
    #[must_use]
    pub fn role_not_enough(held: MemberRole, demanded: MemberRole) -> Self {
        let message =
            format!("this needs the role {demanded}, and yours here is {held}: ask an owner for it");
        Self::new(StatusCode::FORBIDDEN, "role_not_enough", message)
    }

    /// Who asks was signed in too long ago for something dangerous.
    #[must_use]
    pub fn prove_again() -> Self {
        let message = "prove again who you are, or sign in anew: this wants a sign-in of the last minutes";
        Self::new(StatusCode::FORBIDDEN, "prove_again", message)
    }

    /// The right to the answer ended before it was given.
    #[must_use]
    pub fn right_ended() -> Self {
        let message =
            "the right to do this has ended meanwhile: sign in again, or ask an owner of the workspace";
        Self::new(StatusCode::FORBIDDEN, "right_ended", message)
    }

    /// Somebody could not prove who they are. There is one answer, so that it tells nothing.
    #[must_use]
    pub fn sign_in_failed() -> Self {
        let message = "that did not work: check the name and the password, or use another passkey";
        Self::new(StatusCode::FORBIDDEN, "sign_in_failed", message)
    }

    /// The invite is no good.
    #[must_use]
    pub fn invite_invalid() -> Self {
        let message = "this invite was used, has ended or was taken back: ask for a new one";
        Self::new(StatusCode::FORBIDDEN, "invite_invalid", message)
    }

    /// It is for the installation's owner alone.
    #[must_use]
    pub fn not_the_owner() -> Self {
        let message = "this is for the installation's owner: ask them, or the gateway's operator";
        Self::new(StatusCode::FORBIDDEN, "role_not_enough", message)
    }

    /// There is no such invite, or not into this organisation.
    #[must_use]
    pub fn invite_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "invite_not_found", "there is no such invite")
    }

    /// There is no such organisation, or not for this user.
    #[must_use]
    pub fn organization_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "organization_not_found", "there is no such organisation")
    }

    /// There is no such member of this workspace or organisation, or none who was added.
    #[must_use]
    pub fn member_not_found(of: &str) -> Self {
        let message = format!("nobody of that id was added to this {of}");
        Self::new(StatusCode::NOT_FOUND, "member_not_found", message)
    }

    /// There is no such device, or not of this user.
    #[must_use]
    pub fn device_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "device_not_found", "there is no such device")
    }

    /// There is no such token, or not of this user.
    #[must_use]
    pub fn token_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "token_not_found", "there is no such token")
    }

    /// There is no such link, or not to this preview.
    #[must_use]
    pub fn link_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "link_not_found", "there is no such link")
    }

    /// The page that made the request is not ours.
    #[must_use]
    pub fn wrong_origin() -> Self {
        Self::new(StatusCode::FORBIDDEN, "wrong_origin", "this request must come from the console's own page")
    }

    /// There is no such workspace, or not for this user.
    #[must_use]
    pub fn workspace_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "workspace_not_found", "there is no such workspace")
    }

    /// There is no such session, or not for this user.
    #[must_use]
    pub fn session_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "session_not_found", "there is no such session")
    }

    /// There is no such share, or not of this session.
    #[must_use]
    pub fn share_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "share_not_found", "there is no such share")
    }

    /// There is no such preview, or not for this user.
    #[must_use]
    pub fn preview_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "preview_not_found", "there is no such preview")
    }

    /// There is no such notification, or not for this user.
    #[must_use]
    pub fn notification_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "notification_not_found", "there is no such notification")
    }

    /// There is no such channel, or not of this user.
    #[must_use]
    pub fn channel_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "channel_not_found", "there is no such channel")
    }

    /// The box does not answer.
    #[must_use]
    pub fn box_offline() -> Self {
        let message =
            "the box can't be reached; its sessions go on, and this page reconnects when it is back";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "box_offline", message)
    }

    /// The ticket is no good.
    #[must_use]
    pub fn ticket_invalid() -> Self {
        let message = "the terminal ticket is unknown, used, too old or for another session";
        Self::new(StatusCode::UNAUTHORIZED, "ticket_invalid", message)
    }

    /// The body is larger than the route takes.
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the request's body is too large")
    }

    /// The body is not what the route takes.
    #[must_use]
    pub fn malformed(rejection: &JsonRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::too_large();
        }
        let message = format!("the request's body is not understood: {}", rejection.body_text());
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", message)
    }

    /// The query is not what the route takes.
    #[must_use]
    pub fn malformed_query(rejection: &QueryRejection) -> Self {
        let message = format!("the request's query is not understood: {}", rejection.body_text());
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", message)
    }

    /// There is nothing at this path.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
    }

    /// The path exists, the method does not.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has no such method")
    }

    /// Its stable word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.status.is_server_error()
    }

    /// The answer's body, naming the request.
    #[must_use]
    pub fn body(&self, request_id: RequestId) -> ErrorBody {
        ErrorBody::new(self.kind, &self.message, Some(request_id))
    }
}

impl From<TooMany> for ApiError {
    fn from(error: TooMany) -> Self {
        let refused = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", error.to_string());
        Self { retry_after: Some(error.seconds()), ..refused }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NameTaken(_) => Self::new(StatusCode::CONFLICT, "name_taken", error.to_string()),
            StoreError::NoSuchUser(_) => {
                Self::new(StatusCode::NOT_FOUND, "user_not_found", error.to_string())
            }
            StoreError::TooManySessions(_) => {
                Self::new(StatusCode::CONFLICT, "too_many_sessions", error.to_string())
            }
            StoreError::TooManyShares(_) => {
                Self::new(StatusCode::CONFLICT, "too_many_shares", error.to_string())
            }
            StoreError::PreviewExists(_) => {
                Self::new(StatusCode::CONFLICT, "preview_exists", error.to_string())
            }
            StoreError::TooManyPreviews(_) => {
                Self::new(StatusCode::CONFLICT, "too_many_previews", error.to_string())
            }
            StoreError::TooManyLinks(_) => {
                Self::new(StatusCode::CONFLICT, "too_many_links", error.to_string())
            }
            StoreError::TooManyTokens(_) => {
                Self::new(StatusCode::CONFLICT, "too_many_tokens", error.to_string())
            }
            StoreError::TooManyInvites(_) => {
                Self::new(StatusCode::CONFLICT, "too_many_invites", error.to_string())
            }
            StoreError::NotTheirs => Self::new(StatusCode::FORBIDDEN, "role_not_enough", error.to_string()),
            StoreError::LastOwner => Self::new(StatusCode::CONFLICT, "last_owner", error.to_string()),
            StoreError::TooManyPasskeys(_) => {
                Self::new(StatusCode::CONFLICT, "too_many_passkeys", error.to_string())
            }
            StoreError::TooManyChannels(_) => {
                Self::new(StatusCode::CONFLICT, "too_many_channels", error.to_string())
            }
            StoreError::EnvironmentChanged => {
                Self::new(StatusCode::CONFLICT, "environment_changed", error.to_string())
            }
            StoreError::BackupChanged => Self::new(StatusCode::CONFLICT, "backup_changed", error.to_string()),
            other => {
                tracing::error!(error = %berth_daemon::exit::chain(&other), "store failed");
                let message = "the gateway failed; its log says why under the request id";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
            }
        }
    }
}

impl From<DoorError> for ApiError {
    fn from(error: DoorError) -> Self {
        tracing::info!(error = %berth_daemon::exit::chain(&error), "box did not open a terminal");
        let unavailable = |kind, message: &str| Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, message);
        match error {
            DoorError::Unreachable(_) | DoorError::Lost(_) => Self::box_offline(),
            DoorError::SessionUnknown => {
                unavailable("session_not_running", "the box does not run this session yet; try again")
            }
            DoorError::Refused { .. } | DoorError::Nonsense => {
                unavailable("terminal_unavailable", "the box has no terminal to offer just now; try again")
            }
        }
    }
}

impl IntoResponse for ApiError {
    /// The body is written where the request's id is known: by the front's outermost layer, which finds the
    /// error among the response's extensions.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}
