//! The table of routes. A route can't be added without a policy, and the tests below hold the OpenAPI
//! description to the table.

mod people;

use std::convert::Infallible;

use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use axum::{Extension, Router, middleware};
use berth_protocol::control::{MAX_EXEC_BODY, MAX_INPUT_BODY};
use http::Method;

use super::policy::{Demand, Policy, enforce};
use super::{
    account, audit, backup_repository, backups, channels, credentials, devices, document, environment,
    events, exec, input, issued, links, members, notifications, patience, previews, screen, sessions, shares,
    sign_in, terminal, tokens, upload, workspaces,
};
use crate::app::SharedApp;
use crate::limits::Limited;
use crate::store::MemberRole::{Editor, Owner, Viewer};

/// What every path of the API begins with.
pub const PREFIX: &str = "/api/v1";

/// One preview.
const PREVIEW: &str = "/workspaces/{workspace}/previews/{preview}";
const PREVIEW_REQUESTS: &str = "/workspaces/{workspace}/previews/{preview}/requests";
const PREVIEW_LINKS: &str = "/workspaces/{workspace}/previews/{preview}/links";
const PREVIEW_LINK: &str = "/workspaces/{workspace}/previews/{preview}/links/{link}";

/// The largest body of a channel to make, bytes.
const MAX_CHANNEL_BODY: usize = 8 * 1024;

/// The largest body of a sign-in, bytes.
const MAX_SIGN_IN_BODY: usize = 16 * 1024;

/// The largest body of a receipt, bytes.
const MAX_RECEIPT_BODY: usize = 1024;

/// One method of one path.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path behind [`PREFIX`], with parameters in braces.
    pub path: &'static str,
    /// What the route demands of its caller.
    pub demand: Demand,
    /// What its callers may try only so often, if anything.
    pub limited: Option<Limited>,
    handler: MethodRouter<SharedApp>,
}

impl Route {
    fn new(method: Method, path: &'static str, policy: Policy, handler: MethodRouter<SharedApp>) -> Self {
        let demand = Demand { policy, lately: false };
        let limited = patience::limited(policy, &method);
        Self { method, path, demand, limited, handler }
    }

    /// The same, counted among others of its kind.
    fn counted(mut self, limited: Limited) -> Self {
        self.limited = Some(limited);
        self
    }

    /// The same for those only who have proved lately who they are.
    fn lately(mut self) -> Self {
        self.demand.lately = true;
        self
    }
}

/// Every route of the API.
#[must_use]
pub fn routes() -> Vec<Route> {
    let route = Route::new;
    let mut all = vec![
        route(Method::GET, "/openapi.json", Policy::Public, get(document::show)),
        route(Method::GET, "/me", Policy::SignedIn, get(account::me)),
        route(Method::POST, "/sign-out", Policy::Person, post(account::sign_out)),
        route(Method::GET, "/tokens", Policy::Person, get(tokens::list)),
        route(Method::POST, "/tokens", Policy::Person, post(tokens::create)).lately(),
        route(Method::DELETE, "/tokens/{token}", Policy::Person, delete(tokens::revoke)),
        route(Method::GET, "/audit", Policy::SignedIn, get(audit::mine)),
        route(Method::GET, "/sign-in/ways", Policy::Public, get(issued::ways)),
        route(
            Method::POST,
            "/sign-in/token",
            Policy::Public,
            post(issued::token).layer(DefaultBodyLimit::max(MAX_SIGN_IN_BODY)),
        ),
        route(
            Method::POST,
            "/sign-in/password",
            Policy::Public,
            post(sign_in::password).layer(DefaultBodyLimit::max(MAX_SIGN_IN_BODY)),
        ),
        route(
            Method::POST,
            "/sign-in/passkey/begin",
            Policy::Public,
            post(sign_in::begin_passkey).layer(DefaultBodyLimit::max(MAX_SIGN_IN_BODY)),
        ),
        route(
            Method::POST,
            "/sign-in/passkey",
            Policy::Public,
            post(sign_in::passkey).layer(DefaultBodyLimit::max(MAX_SIGN_IN_BODY)),
        )
        // The same sign-in has begun, and was counted then.
        .counted(Limited::PasskeyAnswer),
        route(
            Method::POST,
            "/invites/redeem",
            Policy::Public,
            post(sign_in::redeem).layer(DefaultBodyLimit::max(MAX_SIGN_IN_BODY)),
        ),
        route(Method::GET, "/credentials", Policy::Person, get(credentials::list)),
        route(Method::PUT, "/credentials/password", Policy::Person, put(credentials::set_password)).lately(),
        route(Method::POST, "/credentials/passkeys/begin", Policy::Person, post(credentials::begin_passkey))
            .lately(),
        route(Method::POST, "/credentials/passkeys", Policy::Person, post(credentials::add_passkey)).lately(),
        route(
            Method::DELETE,
            "/credentials/passkeys/{passkey}",
            Policy::Person,
            delete(credentials::remove_passkey),
        )
        .lately(),
        route(Method::GET, "/devices", Policy::Person, get(devices::list)),
        route(Method::DELETE, "/devices", Policy::Person, delete(devices::revoke_others)),
        route(Method::DELETE, "/devices/{device}", Policy::Person, delete(devices::revoke)),
        route(Method::GET, "/events", Policy::SignedIn, get(events::stream)).counted(Limited::Stream),
        route(Method::GET, "/workspaces", Policy::SignedIn, get(workspaces::list)),
        route(Method::GET, "/workspaces/{workspace}", Policy::Workspace(Viewer), get(workspaces::show)),
        route(
            Method::GET,
            "/workspaces/{workspace}/sessions",
            Policy::Workspace(Viewer),
            get(sessions::list),
        ),
        route(
            Method::POST,
            "/workspaces/{workspace}/sessions",
            Policy::Workspace(Editor),
            post(sessions::create),
        ),
        route(Method::GET, "/workspaces/{workspace}/members", Policy::Workspace(Viewer), get(members::list)),
        route(Method::PUT, "/workspaces/{workspace}/members", Policy::Workspace(Owner), put(members::set))
            .lately(),
        route(
            Method::DELETE,
            "/workspaces/{workspace}/members/{user}",
            Policy::Workspace(Owner),
            delete(members::remove),
        ),
        route(Method::GET, "/workspaces/{workspace}/audit", Policy::Workspace(Owner), get(audit::list)),
        route(
            Method::POST,
            "/workspaces/{workspace}/exec",
            Policy::Workspace(Editor),
            post(exec::run).layer(DefaultBodyLimit::max(MAX_EXEC_BODY)),
        ),
        route(
            Method::GET,
            "/workspaces/{workspace}/environment",
            Policy::Workspace(Editor),
            get(environment::show),
        ),
        route(
            Method::PUT,
            "/workspaces/{workspace}/environment",
            Policy::Workspace(Owner),
            put(environment::replace).layer(DefaultBodyLimit::max(environment::MAX_BODY)),
        ),
        route(
            Method::GET,
            "/workspaces/{workspace}/backup-repository",
            Policy::Workspace(Owner),
            get(backup_repository::settings),
        ),
        route(
            Method::PUT,
            "/workspaces/{workspace}/backup-repository",
            Policy::Workspace(Owner),
            put(backup_repository::set),
        )
        .lately(),
        route(
            Method::POST,
            "/workspaces/{workspace}/backup-repository/recovery-sheet",
            Policy::Workspace(Owner),
            post(backup_repository::recovery_sheet),
        )
        .lately(),
        route(Method::GET, "/workspaces/{workspace}/backups", Policy::Workspace(Viewer), get(backups::show)),
        route(
            Method::POST,
            "/workspaces/{workspace}/backups/run",
            Policy::Workspace(Editor),
            post(backups::run),
        ),
        route(
            Method::POST,
            "/workspaces/{workspace}/backups/check",
            Policy::Workspace(Editor),
            post(backups::check),
        ),
        route(
            Method::POST,
            "/workspaces/{workspace}/backups/cancel",
            Policy::Workspace(Editor),
            post(backups::cancel),
        ),
        route(
            Method::POST,
            "/workspaces/{workspace}/backups/restore",
            Policy::Workspace(Editor),
            post(backups::restore),
        ),
        route(
            Method::GET,
            "/workspaces/{workspace}/backups/snapshots",
            Policy::Workspace(Editor),
            get(backups::snapshots),
        ),
        route(
            Method::GET,
            "/workspaces/{workspace}/backups/entries",
            Policy::Workspace(Editor),
            get(backups::entries),
        ),
        route(
            Method::GET,
            "/workspaces/{workspace}/backups/preview",
            Policy::Workspace(Editor),
            get(backups::preview),
        ),
        route(
            Method::GET,
            "/workspaces/{workspace}/backups/file",
            Policy::Workspace(Editor),
            get(backups::file),
        ),
        route(
            Method::POST,
            "/workspaces/{workspace}/backups/export",
            Policy::Workspace(Editor),
            post(backups::export),
        ),
        route(
            Method::GET,
            "/workspaces/{workspace}/backups/archive",
            Policy::Workspace(Editor),
            get(backups::archive),
        ),
        route(Method::GET, "/sessions/{session}", Policy::Watch, get(sessions::show)),
        route(Method::PATCH, "/sessions/{session}", Policy::Session(Editor), patch(sessions::rename)),
        route(Method::DELETE, "/sessions/{session}", Policy::Session(Editor), delete(sessions::end)),
        route(Method::GET, "/sessions/{session}/screen", Policy::Session(Viewer), get(screen::show)),
        route(
            Method::POST,
            "/sessions/{session}/input",
            Policy::Session(Editor),
            post(input::send).layer(DefaultBodyLimit::max(MAX_INPUT_BODY)),
        ),
        route(Method::POST, "/sessions/{session}/files", Policy::Session(Editor), post(upload::store)),
        route(Method::GET, "/sessions/{session}/shares", Policy::Session(Editor), get(shares::list)),
        route(Method::POST, "/sessions/{session}/shares", Policy::Session(Editor), post(shares::create)),
        route(
            Method::DELETE,
            "/sessions/{session}/shares/{share}",
            Policy::Session(Editor),
            delete(shares::end),
        ),
        route(Method::POST, "/shares/open", Policy::Public, post(shares::open)),
        route(Method::POST, "/sessions/{session}/ticket", Policy::Watch, post(terminal::ticket)),
        route(Method::GET, "/sessions/{session}/terminal", Policy::Ticket, get(terminal::attach)),
        route(
            Method::GET,
            "/workspaces/{workspace}/previews",
            Policy::Workspace(Viewer),
            get(previews::list),
        ),
        route(
            Method::POST,
            "/workspaces/{workspace}/previews",
            Policy::Workspace(Editor),
            post(previews::create),
        ),
        route(Method::PATCH, PREVIEW, Policy::Workspace(Editor), patch(previews::change)),
        route(Method::DELETE, PREVIEW, Policy::Workspace(Editor), delete(previews::end)),
        route(Method::GET, PREVIEW_LINKS, Policy::Workspace(Editor), get(links::list)),
        route(Method::POST, PREVIEW_LINKS, Policy::Workspace(Editor), post(links::create)),
        route(Method::DELETE, PREVIEW_LINK, Policy::Workspace(Editor), delete(links::end)),
        route(Method::POST, "/preview-links/open", Policy::Public, post(links::open)),
        route(Method::GET, PREVIEW_REQUESTS, Policy::Workspace(Editor), get(previews::requests))
            .counted(Limited::Stream),
        route(Method::GET, "/notifications", Policy::SignedIn, get(notifications::list)),
        route(Method::GET, "/notifications/stream", Policy::SignedIn, get(notifications::stream))
            .counted(Limited::Stream),
        route(Method::POST, "/notifications/seen", Policy::SignedIn, post(notifications::see)),
        route(Method::GET, "/notifications/settings", Policy::SignedIn, get(notifications::settings)),
        route(Method::PUT, "/notifications/settings", Policy::SignedIn, put(notifications::change_settings)),
        route(
            Method::POST,
            "/notifications/{notification}/ack",
            Policy::Notification(Viewer),
            post(notifications::ack),
        ),
        route(
            Method::POST,
            "/notifications/{notification}/answer",
            Policy::Notification(Editor),
            post(notifications::answer).layer(DefaultBodyLimit::max(MAX_INPUT_BODY)),
        ),
        route(Method::PUT, "/sessions/{session}/mute", Policy::Session(Viewer), put(notifications::mute)),
        route(
            Method::DELETE,
            "/sessions/{session}/mute",
            Policy::Session(Viewer),
            delete(notifications::unmute),
        ),
        route(Method::GET, "/channels", Policy::SignedIn, get(channels::list)),
        route(
            Method::POST,
            "/channels",
            Policy::SignedIn,
            post(channels::create).layer(DefaultBodyLimit::max(MAX_CHANNEL_BODY)),
        ),
        route(Method::PATCH, "/channels/{channel}", Policy::Channel, patch(channels::change)),
        route(Method::DELETE, "/channels/{channel}", Policy::Channel, delete(channels::end)),
        route(Method::POST, "/channels/{channel}/test", Policy::Channel, post(channels::test)),
        route(
            Method::POST,
            "/receipts",
            Policy::Public,
            post(channels::receipt).layer(DefaultBodyLimit::max(MAX_RECEIPT_BODY)),
        ),
        route(Method::GET, "/previews/{preview}/", Policy::Preview, get(previews::root)),
        route(Method::GET, "/previews/{preview}/{*path}", Policy::Preview, get(previews::below)),
    ];
    all.extend(people::routes());
    all
}

/// The router made from the table.
pub fn router(app: &SharedApp) -> Router<SharedApp> {
    routes().into_iter().fold(Router::new(), |router, route| {
        let mut handler = route.handler;
        if let Some(what) = route.limited {
            handler = handler
                .layer::<_, Infallible>(middleware::from_fn_with_state(app.clone(), patience::count))
                .layer(Extension(what));
        }
        // Files take as long as they take; their route looks after that itself.
        if !route.path.ends_with("/files") {
            handler = handler.layer(middleware::from_fn(patience::hurry));
        }
        if route.demand.policy == Policy::Public {
            handler = handler
                .layer::<_, Infallible>(middleware::from_fn(patience::brief))
                .layer(DefaultBodyLimit::max(patience::MAX_STRANGERS_BODY));
        }
        let guarded = handler
            .layer::<_, Infallible>(middleware::from_fn_with_state(app.clone(), enforce))
            .layer(Extension(route.demand));
        router.route(&format!("{PREFIX}{}", route.path), guarded)
    })
}

#[cfg(test)]
mod tests;
