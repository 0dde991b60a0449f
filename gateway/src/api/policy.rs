//! Who may call a route: resolved once, before the handler, and not to be bypassed by it.
//!
//! The router puts [`enforce`] in front of every route with the route's own [`Policy`]. It resolves user →
//! workspace → session and hands the handler what it found; a handler that needs a session can get it from
//! there only. What a user may not see does not exist for them: 404, as for what does not exist.
//!
//! A program with a token is its user here, as far as the token's scopes reach. That is decided by the policy and the
//! method, before anything is looked up.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, RequestExt};
use berth_protocol::door::Role;
use berth_protocol::ids::{ChannelId, NotificationId, PreviewId, SessionId, UserId, WorkspaceId};
use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderMap, Method};

use super::ApiError;
use crate::app::SharedApp;
use crate::auth::{CookieOf, Identity, has_authorization, identify};
use crate::store::{Channel, Holder, Notification, Preview, Scope, Scopes, Session, Workspace};

/// What a route demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: the answer holds no user's data.
    Public,
    /// A signed-in user.
    SignedIn,
    /// A user who is signed in in a browser: what no token may do.
    Person,
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

/// Whether the caller may change things, and not only read.
#[derive(Debug, Clone, Copy)]
pub struct MayChange(pub bool);
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
    let reads = is_reading(request.method());
    if (!reads || policy == Policy::Ticket) && !is_ours(app, policy, request.headers()) {
        return Err(ApiError::wrong_origin());
    }
    if matches!(policy, Policy::Public | Policy::Ticket) {
        return Ok(());
    }
    if policy == Policy::Watch {
        return watch(app, request).await;
    }
    let Identity { user, sign_in, scopes } = signed_in(app, request.headers()).await?;
    reach(scopes.as_ref(), policy, reads)?;
    match policy {
        Policy::Preview => {
            let id = parameter::<PreviewId>(request, "preview").await;
            let id = id.ok_or_else(ApiError::preview_not_found)?;
            let preview = usable_preview(app, &user.id, id).await?;
            request.extensions_mut().insert(InPreview(preview));
        }
        Policy::Workspace => {
            let id = parameter::<WorkspaceId>(request, "workspace").await;
            let id = id.ok_or_else(ApiError::workspace_not_found)?;
            let workspace = usable(app, &user.id, id).await?.ok_or_else(ApiError::workspace_not_found)?;
            request.extensions_mut().insert(InWorkspace(workspace));
        }
        Policy::Session => {
            let session = session(app, request).await?;
            usable_session(app, &user.id, &session).await?;
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
        Policy::Public | Policy::SignedIn | Policy::Person | Policy::Ticket | Policy::Watch => {}
    }
    let may_change = scopes.is_none_or(|scopes| scopes.has(Scope::All));
    request.extensions_mut().insert(MayChange(may_change));
    request.extensions_mut().insert(user);
    request.extensions_mut().insert(sign_in);
    Ok(())
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether our own page makes a request, or a program that says who it is. No page of another site can say that
/// without being asked for leave, and gets none.
fn is_ours(app: &SharedApp, policy: Policy, headers: &HeaderMap) -> bool {
    let program = policy != Policy::Ticket && has_authorization(headers) && !headers.contains_key(ORIGIN);
    program || app.origin.is_origin(headers)
}

/// Refuses what a token's scopes do not reach.
fn reach(scopes: Option<&Scopes>, policy: Policy, reads: bool) -> Result<(), ApiError> {
    let Some(scopes) = scopes else { return Ok(()) };
    let reached = policy != Policy::Person
        && (scopes.has(Scope::All)
            || reads && scopes.has(Scope::Read)
            || policy == Policy::Preview && scopes.has(Scope::Previews));
    if reached { Ok(()) } else { Err(ApiError::token_not_enough()) }
}

/// Lets a user in as everywhere, and if that fails a guest, who is told no more than a stranger.
async fn watch(app: &SharedApp, request: &mut Request) -> Result<(), ApiError> {
    let found = session(app, request).await;
    let reads = is_reading(request.method());
    let watching = match as_user(app, request.headers(), reads, found.as_ref().ok()).await {
        Ok(watching) => watching,
        Err(error) if has_authorization(request.headers()) => return Err(error),
        Err(error) => as_guest(app, request.headers(), found.as_ref().ok()).await?.ok_or(error)?,
    };
    request.extensions_mut().insert(InSession(found?));
    request.extensions_mut().insert(watching);
    Ok(())
}

async fn as_user(
    app: &SharedApp,
    headers: &HeaderMap,
    reads: bool,
    session: Option<&Session>,
) -> Result<Watching, ApiError> {
    let Identity { user, sign_in, scopes } = signed_in(app, headers).await?;
    reach(scopes.as_ref(), Policy::Watch, reads)?;
    usable_session(app, &user.id, session.ok_or_else(ApiError::session_not_found)?).await?;
    Ok(Watching { holder: Holder::User(user.id, sign_in), name: user.name, role: Role::Editor })
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

async fn signed_in(app: &SharedApp, headers: &HeaderMap) -> Result<Identity, ApiError> {
    identify(app, headers).await?.ok_or_else(ApiError::not_signed_in)
}

/// The session that the path names.
async fn session(app: &SharedApp, request: &mut Request) -> Result<Session, ApiError> {
    let id = parameter::<SessionId>(request, "session").await.ok_or_else(ApiError::session_not_found)?;
    app.store.session(id).await?.ok_or_else(ApiError::session_not_found)
}

async fn usable_session(app: &SharedApp, user: &UserId, session: &Session) -> Result<(), ApiError> {
    let workspace = usable(app, user, session.workspace.clone()).await?;
    workspace.map(drop).ok_or_else(ApiError::session_not_found)
}

/// A preview that a user may see.
///
/// # Errors
/// When it is not there for this user.
pub async fn usable_preview(app: &SharedApp, user: &UserId, id: PreviewId) -> Result<Preview, ApiError> {
    let preview = app.store.preview(id).await?.ok_or_else(ApiError::preview_not_found)?;
    let workspace = usable(app, user, preview.workspace.clone()).await?;
    workspace.map(|_| preview).ok_or_else(ApiError::preview_not_found)
}

/// The workspace, if the user may use it.
async fn usable(app: &SharedApp, user: &UserId, id: WorkspaceId) -> Result<Option<Workspace>, ApiError> {
    let view = app.store.workspace_view(id).await?;
    Ok(view.map(|view| view.workspace).filter(|workspace| workspace.owner == *user))
}

async fn parameter<T: std::str::FromStr>(request: &mut Request, name: &str) -> Option<T> {
    let Path(parameters) = request.extract_parts::<Path<HashMap<String, String>>>().await.ok()?;
    parameters.get(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reaches_as_far_as_its_scopes() {
        let reaches =
            |scopes: &str, policy, reads| reach(Some(&scopes.parse().unwrap()), policy, reads).is_ok();
        for policy in [Policy::SignedIn, Policy::Workspace, Policy::Session, Policy::Watch, Policy::Preview] {
            assert!(reaches("all", policy, false) && reaches("read", policy, true), "{policy:?}");
            assert!(!reaches("read", policy, false) && !reaches("", policy, true), "{policy:?}");
            let previews = policy == Policy::Preview;
            assert_eq!(reaches("previews", policy, true), previews, "{policy:?}");
        }
        assert!(!reaches("all read previews", Policy::Person, true), "no token may do what only people may");
        assert!(reaches("previews read", Policy::Session, true), "scopes add up");
        assert!(!reaches("everything", Policy::SignedIn, true), "a scope that is not known");
        assert!(reach(None, Policy::Person, false).is_ok(), "a browser");
    }
}
