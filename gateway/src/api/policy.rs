//! Who may call a route: resolved once, before the handler, and not to be bypassed by it.
//!
//! The router puts [`enforce`] in front of every route with the route's own [`Policy`]. It resolves user →
//! workspace → session and hands the handler what it found; a handler that needs a session can get it from
//! there only. What a user may not see does not exist for them: 404, as for what does not exist.
//!
//! A program with a token is its user here, as far as the token's scopes reach. That is decided by the policy and the
//! method, before anything is looked up.

mod found;

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;

use axum::body::{Body, HttpBody};
use axum::extract::{Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, RequestExt};
use berth_protocol::door::Role;
use berth_protocol::ids::{
    ChannelId, NotificationId, OrganizationId, PreviewId, SessionId, UserId, WorkspaceId,
};
use http::header::ORIGIN;
use http::{HeaderMap, Method};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ApiError;
use super::cut::{Cut, LAST_WORDS};
use crate::app::SharedApp;
use crate::auth::{CookieOf, Identity, has_authorization, identify};
use crate::store::{Holder, MemberRole, Preview, Right, Scope, Scopes, Session, Workspace};
pub use found::{
    Allowed, InChannel, InNotification, InOrganization, InPreview, InSession, InWorkspace, MayChange,
    Watching,
};

/// What a route demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: the answer holds no user's data.
    Public,
    /// A signed-in user.
    SignedIn,
    /// A user who is signed in in a browser: what no token may do.
    Person,
    /// The installation's owner, signed in.
    Installation,
    /// A signed-in user with at least this role in the path's `{organization}`.
    Organization(MemberRole),
    /// A signed-in user with at least this role in the path's `{workspace}`.
    Workspace(MemberRole),
    /// A signed-in user with at least this role in the workspace of the path's `{session}`.
    Session(MemberRole),
    /// A signed-in user who may see the path's `{session}`, or a guest to whom it was shared.
    Watch,
    /// A signed-in user who may see the path's `{preview}`, by way of its workspace.
    Preview,
    /// A signed-in user in whose inbox the path's `{notification}` is, with at least this role in its workspace.
    Notification(MemberRole),
    /// A signed-in user whose own the path's `{channel}` is.
    Channel,
    /// A ticket, which the handler takes; this checks that our own page asks.
    Ticket,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::SignedIn => f.write_str("signed_in"),
            Self::Person => f.write_str("person"),
            Self::Installation => f.write_str("installation"),
            Self::Organization(role) => write!(f, "organization:{role}"),
            Self::Workspace(role) => write!(f, "workspace:{role}"),
            Self::Session(role) => write!(f, "session:{role}"),
            Self::Watch => f.write_str("watch"),
            Self::Preview => f.write_str("preview"),
            Self::Notification(role) => write!(f, "notification:{role}"),
            Self::Channel => f.write_str("channel"),
            Self::Ticket => f.write_str("ticket"),
        }
    }
}

/// A route's policy, and whether it is so dangerous that a person must have proved lately who they are. A program with
/// a token has no way to; its token was made by somebody who had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Who may call it.
    pub policy: Policy,
    /// Whether a person must have proved lately who they are.
    pub lately: bool,
}

/// Answers up to this size are given whole, bytes.
const AT_ONCE: u64 = 64 * 1024;

/// The layer in front of each route. What it lets in goes on for as long as the right to it: an answer that is still
/// being given when that ends is cut.
pub async fn enforce(
    State(app): State<SharedApp>,
    Extension(demand): Extension<Demand>,
    mut request: Request,
    next: Next,
) -> Response {
    let right = match admit(&app, demand, &mut request).await {
        Ok(right) => right,
        Err(error) => return error.into_response(),
    };
    let Some(right) = right else { return next.run(request).await };
    // A gateway that stops has ways of its own to end what goes on.
    let ended = app.rights.enter(right, &CancellationToken::new());
    request.extensions_mut().insert(Allowed(ended.clone()));
    // Cancel-safe: a client that goes away ends a handler in the same way. One that is done is answered, whatever it
    // did to its own right.
    let mut answer = pin!(next.run(request));
    let response = tokio::select! {
        biased;
        response = &mut answer => response,
        // Some put it on the record.
        () = ended.cancelled() => match timeout(LAST_WORDS, answer).await {
            Ok(response) => response,
            Err(_) => return ApiError::right_ended().into_response(),
        },
    };
    if response.body().size_hint().exact().is_some_and(|bytes| bytes <= AT_ONCE) {
        return response;
    }
    response.map(|body| Body::new(Cut::new(body, ended)))
}

/// Lets a request in, and tells the right by which, if it is one that the store knows of.
async fn admit(app: &SharedApp, demand: Demand, request: &mut Request) -> Result<Option<Right>, ApiError> {
    let Demand { policy, lately } = demand;
    let reads = is_reading(request.method());
    if (!reads || policy == Policy::Ticket) && !is_ours(app, policy, request.headers()) {
        return Err(ApiError::wrong_origin());
    }
    if matches!(policy, Policy::Public | Policy::Ticket) {
        return Ok(None);
    }
    if policy == Policy::Watch {
        return watch(app, request).await.map(|()| None);
    }
    let Identity { user, sign_in, scopes, proved } = signed_in(app, request.headers()).await?;
    reach(scopes.as_ref(), policy, reads)?;
    let within = match policy {
        Policy::Preview => {
            let id = parameter::<PreviewId>(request, "preview").await;
            let id = id.ok_or_else(ApiError::preview_not_found)?;
            let preview = usable_preview(app, &user.id, id).await?;
            let within = (preview.workspace.clone(), MemberRole::Viewer);
            request.extensions_mut().insert(InPreview(preview));
            Some(within)
        }
        Policy::Installation => {
            if !app.store.is_owner(user.id.clone()).await? {
                return Err(ApiError::not_the_owner());
            }
            None
        }
        Policy::Organization(role) => {
            let id = parameter::<OrganizationId>(request, "organization").await;
            let id = id.ok_or_else(ApiError::organization_not_found)?;
            let found = app.store.organization_for(user.id.clone(), id).await?;
            let (organization, held) = found.ok_or_else(ApiError::organization_not_found)?;
            demand_role(held, role)?;
            request.extensions_mut().insert(InOrganization(organization, held));
            None
        }
        Policy::Workspace(role) => {
            let id = parameter::<WorkspaceId>(request, "workspace").await;
            let id = id.ok_or_else(ApiError::workspace_not_found)?;
            let found = usable(app, &user.id, id).await?.ok_or_else(ApiError::workspace_not_found)?;
            demand_role(found.1, role)?;
            let within = (found.0.id.clone(), role);
            request.extensions_mut().insert(InWorkspace(found.0));
            Some(within)
        }
        Policy::Session(role) => {
            let session = session(app, request).await?;
            demand_role(role_at(app, &user.id, &session).await?, role)?;
            let within = (session.workspace.clone(), role);
            request.extensions_mut().insert(InSession(session));
            Some(within)
        }
        Policy::Notification(role) => {
            let id = parameter::<NotificationId>(request, "notification").await;
            let id = id.ok_or_else(ApiError::notification_not_found)?;
            let found = app.store.notification(user.id.clone(), id).await?;
            let found = found.ok_or_else(ApiError::notification_not_found)?;
            let held = usable(app, &user.id, found.workspace.clone()).await?;
            demand_role(held.ok_or_else(ApiError::notification_not_found)?.1, role)?;
            let within = (found.workspace.clone(), role);
            request.extensions_mut().insert(InNotification(found));
            Some(within)
        }
        Policy::Channel => {
            let id = parameter::<ChannelId>(request, "channel").await;
            let id = id.ok_or_else(ApiError::channel_not_found)?;
            let found = app.store.channel(user.id.clone(), id).await?;
            request.extensions_mut().insert(InChannel(found.ok_or_else(ApiError::channel_not_found)?));
            None
        }
        Policy::Public | Policy::SignedIn | Policy::Person | Policy::Ticket | Policy::Watch => None,
    };
    if lately && !proved {
        return Err(ApiError::prove_again());
    }
    let may_change = scopes.is_none_or(|scopes| scopes.has(Scope::All));
    request.extensions_mut().insert(MayChange(may_change));
    request.extensions_mut().insert(user);
    request.extensions_mut().insert(sign_in.clone());
    Ok(Some(Right { sign_in, within }))
}

/// Refuses a role that is not enough. That the thing exists is no secret for whoever has a role there.
fn demand_role(held: MemberRole, demanded: MemberRole) -> Result<(), ApiError> {
    if held >= demanded { Ok(()) } else { Err(ApiError::role_not_enough(held, demanded)) }
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
    let Identity { user, sign_in, scopes, .. } = signed_in(app, headers).await?;
    reach(scopes.as_ref(), Policy::Watch, reads)?;
    let held = role_at(app, &user.id, session.ok_or_else(ApiError::session_not_found)?).await?;
    let role = if held >= MemberRole::Editor { Role::Editor } else { Role::Viewer };
    Ok(Watching { holder: Holder::User(user.id, sign_in), name: user.name, role })
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

/// A user's role where a session is, which is not there for those who have none.
async fn role_at(app: &SharedApp, user: &UserId, session: &Session) -> Result<MemberRole, ApiError> {
    let workspace = usable(app, user, session.workspace.clone()).await?;
    workspace.map(|(_, role)| role).ok_or_else(ApiError::session_not_found)
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

/// The workspace, if the user may use it, and their role there.
async fn usable(
    app: &SharedApp,
    user: &UserId,
    id: WorkspaceId,
) -> Result<Option<(Workspace, MemberRole)>, ApiError> {
    let found = app.store.workspace_for(user.clone(), id).await?;
    Ok(found.map(|(view, role)| (view.workspace, role)))
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
        let (workspace, session) =
            (Policy::Workspace(MemberRole::Owner), Policy::Session(MemberRole::Viewer));
        for policy in [Policy::SignedIn, workspace, session, Policy::Watch, Policy::Preview] {
            assert!(reaches("all", policy, false) && reaches("read", policy, true), "{policy:?}");
            assert!(!reaches("read", policy, false) && !reaches("", policy, true), "{policy:?}");
            let previews = policy == Policy::Preview;
            assert_eq!(reaches("previews", policy, true), previews, "{policy:?}");
        }
        assert!(!reaches("all read previews", Policy::Person, true), "no token may do what only people may");
        assert!(reaches("previews read", session, true), "scopes add up");
        assert!(!reaches("everything", Policy::SignedIn, true), "a scope that is not known");
        assert!(reach(None, Policy::Person, false).is_ok(), "a browser");
    }
}
