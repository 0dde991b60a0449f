//! What [`enforce`](super::enforce) found for a request: the only way by which a handler gets it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use berth_protocol::door::Role;
use http::request::Parts;
use tokio_util::sync::CancellationToken;

use crate::api::ApiError;
use crate::store::{Channel, Holder, MemberRole, Notification, Organization, Preview, Session, Workspace};

/// A workspace that the caller may use.
#[derive(Debug, Clone)]
pub struct InWorkspace(pub Workspace);

/// An organisation that the caller is in, and as what.
#[derive(Debug, Clone)]
pub struct InOrganization(pub Organization, pub MemberRole);

/// A session that the caller may use.
#[derive(Debug, Clone)]
pub struct InSession(pub Session);

/// A preview that the caller may see.
#[derive(Debug, Clone)]
pub struct InPreview(pub Preview);

/// Whether the caller may change things, and not only read.
#[derive(Debug, Clone, Copy)]
pub struct MayChange(pub bool);

/// A notification in the caller's inbox.
#[derive(Debug, Clone)]
pub struct InNotification(pub Notification);

/// A channel of the caller's.
#[derive(Debug, Clone)]
pub struct InChannel(pub Channel);

/// The caller's right to the answer, for handlers that start what outlives them.
#[derive(Debug, Clone)]
pub struct Allowed(pub(super) Arc<CancellationToken>);

impl Allowed {
    /// Waits until the right ends.
    pub async fn ended(&self) {
        self.0.cancelled().await;
    }
}

/// Who calls a route that guests may call too, and how far they may go.
#[derive(Debug, Clone)]
pub struct Watching {
    /// By which right.
    pub holder: Holder,
    /// As others see them.
    pub name: String,
    /// The most that they may do.
    pub role: Role,
}

/// Lets handlers take it; without it there is nothing of that kind for whoever asks.
macro_rules! found {
    ($($what:ident or $missing:ident),+) => {$(
        impl<S: Send + Sync> FromRequestParts<S> for $what {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                parts.extensions.get().cloned().ok_or_else(ApiError::$missing)
            }
        }
    )+};
}

found! {
    InWorkspace or workspace_not_found,
    InOrganization or organization_not_found,
    InSession or session_not_found,
    InPreview or preview_not_found,
    InNotification or notification_not_found,
    InChannel or channel_not_found
}
