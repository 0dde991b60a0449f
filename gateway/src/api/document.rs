//! The OpenAPI description, made from the handlers.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi;

use super::views::preview::WorkspacePreviews;
use super::views::{DeletedSession, Snapshot};
use super::{
    account, audit, backup_repository, backups, channels, environment, events, exec, input, links,
    notifications, previews, screen, sessions, shares, terminal, tokens, upload, workspaces,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Berth",
        description = "The gateway's API. State changes and WebSockets need the console's own `Origin`. Beside what \
            a route names, any may answer 421, when `Host` is not the console's, and 500, when the gateway failed; \
            both with an `Error`; so may 429, with `Retry-After`, where somebody is let in or a terminal opened too \
            often. Programs say `Authorization: Bearer` with a token instead, and no `Origin`; \
            what the token's scopes do not reach is answered by 403."
    ),
    paths(
        show,
        account::me,
        account::sign_out,
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

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", responses((status = 200)))]
pub async fn show() -> Json<openapi::OpenApi> {
    Json(description())
}
