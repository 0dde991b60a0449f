//! The table of routes. A route can't be added without a policy, and the tests below hold the OpenAPI
//! description to the table.

use std::convert::Infallible;

use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use axum::{Extension, Router, middleware};
use berth_protocol::control::{MAX_EXEC_BODY, MAX_INPUT_BODY};
use http::Method;

use super::policy::{Policy, enforce};
use super::{
    account, audit, backup_repository, backups, channels, document, environment, events, exec, input, links,
    notifications, patience, previews, screen, sessions, shares, terminal, tokens, upload, workspaces,
};
use crate::app::SharedApp;

/// What every path of the API begins with.
pub const PREFIX: &str = "/api/v1";

/// One preview.
const PREVIEW: &str = "/workspaces/{workspace}/previews/{preview}";
const PREVIEW_REQUESTS: &str = "/workspaces/{workspace}/previews/{preview}/requests";
const PREVIEW_LINKS: &str = "/workspaces/{workspace}/previews/{preview}/links";
const PREVIEW_LINK: &str = "/workspaces/{workspace}/previews/{preview}/links/{link}";

/// The largest body of a channel to make, bytes.
const MAX_CHANNEL_BODY: usize = 8 * 1024;

/// The largest body of a receipt, bytes.
const MAX_RECEIPT_BODY: usize = 1024;

/// One method of one path.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path behind [`PREFIX`], with parameters in braces.
    pub path: &'static str,
    /// What the route demands of its caller.
    pub policy: Policy,
    handler: MethodRouter<SharedApp>,
}

/// Every route of the API.
#[must_use]
pub fn routes() -> Vec<Route> {
    let route = |method, path, policy, handler| Route { method, path, policy, handler };
    vec![
        route(Method::GET, "/openapi.json", Policy::Public, get(document::show)),
        route(Method::GET, "/me", Policy::SignedIn, get(account::me)),
        route(Method::POST, "/sign-out", Policy::Person, post(account::sign_out)),
        route(Method::GET, "/tokens", Policy::Person, get(tokens::list)),
        route(Method::POST, "/tokens", Policy::Person, post(tokens::create)),
        route(Method::DELETE, "/tokens/{token}", Policy::Person, delete(tokens::revoke)),
        route(Method::GET, "/audit", Policy::SignedIn, get(audit::mine)),
        route(Method::GET, "/events", Policy::SignedIn, get(events::stream)),
        route(Method::GET, "/workspaces", Policy::SignedIn, get(workspaces::list)),
        route(Method::GET, "/workspaces/{workspace}", Policy::Workspace, get(workspaces::show)),
        route(Method::GET, "/workspaces/{workspace}/sessions", Policy::Workspace, get(sessions::list)),
        route(Method::POST, "/workspaces/{workspace}/sessions", Policy::Workspace, post(sessions::create)),
        route(Method::GET, "/workspaces/{workspace}/audit", Policy::Workspace, get(audit::list)),
        route(
            Method::POST,
            "/workspaces/{workspace}/exec",
            Policy::Workspace,
            post(exec::run).layer(DefaultBodyLimit::max(MAX_EXEC_BODY)),
        ),
        route(Method::GET, "/workspaces/{workspace}/environment", Policy::Workspace, get(environment::show)),
        route(
            Method::PUT,
            "/workspaces/{workspace}/environment",
            Policy::Workspace,
            put(environment::replace).layer(DefaultBodyLimit::max(environment::MAX_BODY)),
        ),
        route(
            Method::GET,
            "/workspaces/{workspace}/backup-repository",
            Policy::Workspace,
            get(backup_repository::settings),
        ),
        route(
            Method::PUT,
            "/workspaces/{workspace}/backup-repository",
            Policy::Workspace,
            put(backup_repository::set),
        ),
        route(
            Method::POST,
            "/workspaces/{workspace}/backup-repository/recovery-sheet",
            Policy::Workspace,
            post(backup_repository::recovery_sheet),
        ),
        route(Method::GET, "/workspaces/{workspace}/backups", Policy::Workspace, get(backups::show)),
        route(Method::POST, "/workspaces/{workspace}/backups/run", Policy::Workspace, post(backups::run)),
        route(Method::POST, "/workspaces/{workspace}/backups/check", Policy::Workspace, post(backups::check)),
        route(
            Method::POST,
            "/workspaces/{workspace}/backups/cancel",
            Policy::Workspace,
            post(backups::cancel),
        ),
        route(
            Method::POST,
            "/workspaces/{workspace}/backups/restore",
            Policy::Workspace,
            post(backups::restore),
        ),
        route(
            Method::GET,
            "/workspaces/{workspace}/backups/snapshots",
            Policy::Workspace,
            get(backups::snapshots),
        ),
        route(
            Method::GET,
            "/workspaces/{workspace}/backups/entries",
            Policy::Workspace,
            get(backups::entries),
        ),
        route(Method::GET, "/workspaces/{workspace}/backups/file", Policy::Workspace, get(backups::file)),
        route(Method::GET, "/sessions/{session}", Policy::Watch, get(sessions::show)),
        route(Method::PATCH, "/sessions/{session}", Policy::Session, patch(sessions::rename)),
        route(Method::DELETE, "/sessions/{session}", Policy::Session, delete(sessions::end)),
        route(Method::GET, "/sessions/{session}/screen", Policy::Session, get(screen::show)),
        route(
            Method::POST,
            "/sessions/{session}/input",
            Policy::Session,
            post(input::send).layer(DefaultBodyLimit::max(MAX_INPUT_BODY)),
        ),
        route(Method::POST, "/sessions/{session}/files", Policy::Session, post(upload::store)),
        route(Method::GET, "/sessions/{session}/shares", Policy::Session, get(shares::list)),
        route(Method::POST, "/sessions/{session}/shares", Policy::Session, post(shares::create)),
        route(Method::DELETE, "/sessions/{session}/shares/{share}", Policy::Session, delete(shares::end)),
        route(Method::POST, "/shares/open", Policy::Public, post(shares::open)),
        route(Method::POST, "/sessions/{session}/ticket", Policy::Watch, post(terminal::ticket)),
        route(Method::GET, "/sessions/{session}/terminal", Policy::Ticket, get(terminal::attach)),
        route(Method::GET, "/workspaces/{workspace}/previews", Policy::Workspace, get(previews::list)),
        route(Method::POST, "/workspaces/{workspace}/previews", Policy::Workspace, post(previews::create)),
        route(Method::PATCH, PREVIEW, Policy::Workspace, patch(previews::change)),
        route(Method::DELETE, PREVIEW, Policy::Workspace, delete(previews::end)),
        route(Method::GET, PREVIEW_LINKS, Policy::Workspace, get(links::list)),
        route(Method::POST, PREVIEW_LINKS, Policy::Workspace, post(links::create)),
        route(Method::DELETE, PREVIEW_LINK, Policy::Workspace, delete(links::end)),
        route(Method::POST, "/preview-links/open", Policy::Public, post(links::open)),
        route(Method::GET, PREVIEW_REQUESTS, Policy::Workspace, get(previews::requests)),
        route(Method::GET, "/notifications", Policy::SignedIn, get(notifications::list)),
        route(Method::GET, "/notifications/stream", Policy::SignedIn, get(notifications::stream)),
        route(Method::POST, "/notifications/seen", Policy::SignedIn, post(notifications::see)),
        route(Method::GET, "/notifications/settings", Policy::SignedIn, get(notifications::settings)),
        route(Method::PUT, "/notifications/settings", Policy::SignedIn, put(notifications::change_settings)),
        route(
            Method::POST,
            "/notifications/{notification}/ack",
            Policy::Notification,
            post(notifications::ack),
        ),
        route(
            Method::POST,
            "/notifications/{notification}/answer",
            Policy::Notification,
            post(notifications::answer).layer(DefaultBodyLimit::max(MAX_INPUT_BODY)),
        ),
        route(Method::PUT, "/sessions/{session}/mute", Policy::Session, put(notifications::mute)),
        route(Method::DELETE, "/sessions/{session}/mute", Policy::Session, delete(notifications::unmute)),
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
    ]
}

/// The router made from the table.
pub fn router(app: &SharedApp) -> Router<SharedApp> {
    routes().into_iter().fold(Router::new(), |router, route| {
        let mut handler = route.handler;
        let what = patience::limited(route.policy, &route.method);
        if let Some(what) = what {
            handler = handler
                .layer::<_, Infallible>(middleware::from_fn_with_state(app.clone(), patience::count))
                .layer(Extension(what));
        }
        // Files take as long as they take; their route looks after that itself.
        if !route.path.ends_with("/files") {
            handler = handler.layer(middleware::from_fn(patience::hurry));
        }
        if route.policy == Policy::Public {
            handler = handler
                .layer::<_, Infallible>(middleware::from_fn(patience::brief))
                .layer(DefaultBodyLimit::max(patience::MAX_STRANGERS_BODY));
        }
        let guarded = handler
            .layer::<_, Infallible>(middleware::from_fn_with_state(app.clone(), enforce))
            .layer(Extension(route.policy));
        router.route(&format!("{PREFIX}{}", route.path), guarded)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_description_has_exactly_the_routes_of_the_table() {
        let table: BTreeSet<(String, String)> = routes()
            .iter()
            .map(|route| {
                (route.method.as_str().to_lowercase(), format!("{PREFIX}{}", route.path.replace("{*", "{")))
            })
            .collect();
        let document = serde_json::to_value(document::description()).unwrap();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(|method| (method.clone(), path.clone()))
            })
            .collect();
        assert_eq!(table, described);
        assert!(!table.is_empty());
    }

    #[test]
    fn paths_with_an_owner_are_resolved_by_their_policy() {
        for route in routes() {
            let expected = match route.path {
                path if path.ends_with("/terminal") => Policy::Ticket,
                "/sessions/{session}/ticket" => Policy::Watch,
                "/sessions/{session}" if route.method == Method::GET => Policy::Watch,
                path if path.contains("{session}") => Policy::Session,
                path if path.contains("{workspace}") => Policy::Workspace,
                path if path.contains("{preview}") => Policy::Preview,
                "/openapi.json" | "/shares/open" | "/preview-links/open" | "/receipts" => Policy::Public,
                "/sign-out" => Policy::Person,
                path if path.starts_with("/tokens") => Policy::Person,
                path if path.contains("{notification}") => Policy::Notification,
                path if path.contains("{channel}") => Policy::Channel,
                _ => Policy::SignedIn,
            };
            assert_eq!(route.policy, expected, "{} {}", route.method, route.path);
        }
    }
}
