//! The OpenAPI description, made from the handlers.

use axum::Json;
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi;

use super::routes::{PREFIX, routes};
use super::views::preview::WorkspacePreviews;
use super::views::{DeletedSession, Snapshot};
use super::{
    account, audit, backup_repository, backups, channels, credentials, devices, environment, events, exec,
    input, invites, issued, links, members, notifications, organizations, previews, screen, sessions, shares,
    sign_in, terminal, tokens, upload, workspaces,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Berth",
        description = "The gateway's API. State changes and WebSockets need the console's own `Origin`. Beside what \
            a route names, any may answer 421, when `Host` is not the console's, and 500, when the gateway failed; \
            both with an `Error`; so may 429, with `Retry-After`, where somebody is let in, or a terminal or a stream \
            opened, too often. Programs say `Authorization: Bearer` with a token instead, ours or the issuer's of the \
            settings, and no `Origin`; what the token's scopes do not reach is answered by 403. `x-berth-policy` says whom a route lets in, such \
            as `workspace:editor`: what somebody has no role in is answered by 404, what their role does not allow by \
            403 (`role_not_enough`). With `x-berth-lately`, a person must have proved within 15 minutes who they are \
            (403, `prove_again`)."
    ),
    paths(
        show,
        account::me,
        account::sign_out,
        issued::ways,
        issued::token,
        sign_in::password,
        sign_in::begin_passkey,
        sign_in::passkey,
        sign_in::redeem,
        credentials::list,
        credentials::set_password,
        credentials::begin_passkey,
        credentials::add_passkey,
        credentials::remove_passkey,
        devices::list,
        devices::revoke,
        devices::revoke_others,
        members::list,
        members::set,
        members::remove,
        organizations::list,
        organizations::create,
        organizations::show,
        organizations::rename,
        organizations::set_member,
        organizations::remove_member,
        invites::list,
        invites::create,
        invites::revoke,
        invites::list_into,
        invites::create_into,
        invites::revoke_into,
        tokens::list,
        tokens::create,
        tokens::revoke,
        events::stream,
        workspaces::list,
        workspaces::show,
        backup_repository::settings,
        backup_repository::set,
        backup_repository::recovery_sheet,
        backups::show,
        backups::run,
        backups::check,
        backups::cancel,
        backups::restore,
        backups::snapshots,
        backups::entries,
        backups::preview,
        backups::file,
        backups::export,
        backups::archive,
        environment::show,
        environment::replace,
        sessions::list,
        sessions::create,
        sessions::show,
        sessions::rename,
        sessions::end,
        screen::show,
        input::send,
        exec::run,
        upload::store,
        audit::list,
        audit::mine,
        shares::create,
        shares::list,
        shares::end,
        shares::open,
        notifications::list,
        notifications::stream,
        notifications::see,
        notifications::settings,
        notifications::change_settings,
        notifications::ack,
        notifications::answer,
        notifications::mute,
        notifications::unmute,
        channels::list,
        channels::create,
        channels::change,
        channels::end,
        channels::test,
        channels::receipt,
        terminal::ticket,
        terminal::attach,
        previews::list,
        previews::create,
        previews::change,
        previews::end,
        previews::requests,
        links::list,
        links::create,
        links::end,
        links::open,
        previews::root,
        previews::below,
    ),
    components(schemas(Snapshot, DeletedSession, WorkspacePreviews))
)]
struct Description;

/// The description of every route.
pub fn description() -> openapi::OpenApi {
    Description::openapi()
}

/// The description, with what each route demands, from the table of routes itself.
fn with_policies() -> Value {
    // Plain data: it always serialises.
    let mut document = serde_json::to_value(description()).unwrap_or_default();
    for route in routes() {
        let path = format!("{PREFIX}{}", route.path.replace("{*", "{"));
        let operation = &mut document["paths"][path][route.method.as_str().to_lowercase()];
        operation["x-berth-policy"] = json!(route.demand.policy.to_string());
        operation["x-berth-lately"] = json!(route.demand.lately);
    }
    document
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", responses((status = 200)))]
pub async fn show() -> Json<Value> {
    Json(with_policies())
}
