//! Who may call a route: resolved once, before the handler, and not to be bypassed by it.
//!
//! The router puts [`enforce`] in front of every route with the route's own [`Policy`]. It resolves user →
//! workspace → session and hands the handler what it found; a handler that needs a session can get it from
//! there only. What a user may not see does not exist for them: 404, as for what does not exist.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, RequestExt};
use berth_protocol::door::Role;
use berth_protocol::ids::{ChannelId, NotificationId, PreviewId, SessionId, WorkspaceId};
use http::request::Parts;
use http::{HeaderMap, Method};

use super::ApiError;
use crate::app::SharedApp;
use crate::auth::CookieOf;
use crate::store::{BrowserSession, Channel, CurrentUser, Holder, Notification, Preview, Session, Workspace};

/// What a route demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: the answer holds no user's data.
    Public,
    /// A signed-in user.
    SignedIn,
    /// A signed-in user who may use the path's `{workspace}`.
    Workspace,
    /// A signed-in user who may use the path's `{session}`, by way of its workspace.
    Session,
    /// Like [`Policy::Session`], or a guest to whom the session was shared.
    Watch,
    /// A signed-in user who may use the path's `{preview}`, by way of its workspace.
    Preview,
    /// A signed-in user in whose inbox the path's `{notification}` is, by way of its workspace.
    Notification,
    /// A signed-in user whose own the path's `{channel}` is.
    Channel,
    /// A ticket, which the handler takes; this checks that our own page asks.
    Ticket,
}

/// A workspace that the caller may use.
#[derive(Debug, Clone)]
pub struct InWorkspace(pub Workspace);

/// A session that the caller may use.
#[derive(Debug, Clone)]
pub struct InSession(pub Session);

/// A preview that the caller may see.
#[derive(Debug, Clone)]
pub struct InPreview(pub Preview);

/// A notification in the caller's inbox.
#[derive(Debug, Clone)]
pub struct InNotification(pub Notification);

/// A channel of the caller's.
#[derive(Debug, Clone)]
pub struct InChannel(pub Channel);

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

impl<S: Send + Sync> FromRequestParts<S> for InWorkspace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(ApiError::workspace_not_found)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InSession {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(ApiError::session_not_found)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InPreview {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(ApiError::preview_not_found)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InNotification {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(ApiError::notification_not_found)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InChannel {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(ApiError::channel_not_found)
    }
}

/// The layer in front of each route.
pub async fn enforce(
    State(app): State<SharedApp>,
    Extension(policy): Extension<Policy>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&app, policy, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

async fn admit(app: &SharedApp, policy: Policy, request: &mut Request) -> Result<(), ApiError> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let ours = app.origin.is_origin(request.headers());
    if (!reads || policy == Policy::Ticket) && !ours {
        return Err(ApiError::wrong_origin());
    }
    if matches!(policy, Policy::Public | Policy::Ticket) {
        return Ok(());
    }
    if policy == Policy::Watch {
        return watch(app, request).await;
    }
    let (user, browser) = signed_in(app, request.headers()).await?;
    match policy {
        Policy::Preview => {
            let id = parameter::<PreviewId>(request, "preview").await;
            let id = id.ok_or_else(ApiError::preview_not_found)?;
            let (preview, _) = usable_preview(app, request.headers(), id).await?;
            request.extensions_mut().insert(InPreview(preview));
        }
        Policy::Workspace => {
            let id = parameter::<WorkspaceId>(request, "workspace").await;
            let id = id.ok_or_else(ApiError::workspace_not_found)?;
            let workspace = usable(app, &user, id).await?.ok_or_else(ApiError::workspace_not_found)?;
            request.extensions_mut().insert(InWorkspace(workspace));
        }
        Policy::Session => {
            let session = session(app, request).await?;
            usable_session(app, &user, &session).await?;
            request.extensions_mut().insert(InSession(session));
        }
        Policy::Notification => {
            let id = parameter::<NotificationId>(request, "notification").await;
            let id = id.ok_or_else(ApiError::notification_not_found)?;
            let found = app.store.notification(user.id.clone(), id).await?;
            let found = found.ok_or_else(ApiError::notification_not_found)?;
            request.extensions_mut().insert(InNotification(found));
        }
        Policy::Channel => {
            let id = parameter::<ChannelId>(request, "channel").await;
            let id = id.ok_or_else(ApiError::channel_not_found)?;
            let found = app.store.channel(user.id.clone(), id).await?;
            request.extensions_mut().insert(InChannel(found.ok_or_else(ApiError::channel_not_found)?));
        }
        Policy::Public | Policy::SignedIn | Policy::Ticket | Policy::Watch => {}
    }
    request.extensions_mut().insert(user);
    request.extensions_mut().insert(browser);
    Ok(())
}

/// Lets a user in as everywhere, and if that fails a guest, who is told no more than a stranger.
async fn watch(app: &SharedApp, request: &mut Request) -> Result<(), ApiError> {
    let found = session(app, request).await;
    let watching = match as_user(app, request.headers(), found.as_ref().ok()).await {
        Ok(watching) => watching,
        Err(error) => as_guest(app, request.headers(), found.as_ref().ok()).await?.ok_or(error)?,
    };
    request.extensions_mut().insert(InSession(found?));
    request.extensions_mut().insert(watching);
    Ok(())
}

async fn as_user(
    app: &SharedApp,
    headers: &HeaderMap,
    session: Option<&Session>,
) -> Result<Watching, ApiError> {
    let (user, browser) = signed_in(app, headers).await?;
    usable_session(app, &user, session.ok_or_else(ApiError::session_not_found)?).await?;
    Ok(Watching { holder: Holder::User(user.id, browser), name: user.name, role: Role::Editor })
}

async fn as_guest(
    app: &SharedApp,
    headers: &HeaderMap,
    session: Option<&Session>,
) -> Result<Option<Watching>, ApiError> {
    let Some(session) = session else { return Ok(None) };
    let Some(token) = CookieOf::Guest(&session.id).read(headers, &app.origin) else { return Ok(None) };
    let share = app.store.guest(&token, session.id.clone()).await?;
    Ok(share.map(|share| Watching { holder: Holder::Guest(share.id), name: share.name, role: Role::Viewer }))
}

async fn signed_in(app: &SharedApp, headers: &HeaderMap) -> Result<(CurrentUser, BrowserSession), ApiError> {
    let token = CookieOf::User(&app.installation.id).read(headers, &app.origin);
    let token = token.ok_or_else(ApiError::not_signed_in)?;
    app.store.browser_session(&token).await?.ok_or_else(ApiError::not_signed_in)
}

/// The session that the path names.
async fn session(app: &SharedApp, request: &mut Request) -> Result<Session, ApiError> {
    let id = parameter::<SessionId>(request, "session").await.ok_or_else(ApiError::session_not_found)?;
    app.store.session(id).await?.ok_or_else(ApiError::session_not_found)
}

async fn usable_session(app: &SharedApp, user: &CurrentUser, session: &Session) -> Result<(), ApiError> {
    let workspace = usable(app, user, session.workspace.clone()).await?;
    workspace.map(drop).ok_or_else(ApiError::session_not_found)
}

/// A preview that the user of a signed-in browser may see, and the browser.
///
/// # Errors
/// When nobody is signed in, or the preview is not there for its user.
pub async fn usable_preview(
    app: &SharedApp,
    headers: &HeaderMap,
    id: PreviewId,
) -> Result<(Preview, BrowserSession), ApiError> {
    let (user, browser) = signed_in(app, headers).await?;
    let preview = app.store.preview(id).await?.ok_or_else(ApiError::preview_not_found)?;
    let workspace = usable(app, &user, preview.workspace.clone()).await?;
    workspace.map(|_| (preview, browser)).ok_or_else(ApiError::preview_not_found)
}

/// The workspace, if the user may use it.
async fn usable(app: &SharedApp, user: &CurrentUser, id: WorkspaceId) -> Result<Option<Workspace>, ApiError> {
    let view = app.store.workspace_view(id).await?;
    Ok(view.map(|view| view.workspace).filter(|workspace| workspace.owner == user.id))
}

async fn parameter<T: std::str::FromStr>(request: &mut Request, name: &str) -> Option<T> {
    let Path(parameters) = request.extract_parts::<Path<HashMap<String, String>>>().await.ok()?;
    parameters.get(name)?.parse().ok()
}
