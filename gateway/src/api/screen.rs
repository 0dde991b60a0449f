//! What a session's panes show, without a terminal.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use berth_protocol::control::PaneAddress;
use berth_protocol::ids::RequestId;

use super::ApiError;
use super::commands::{box_of, refused};
use super::policy::InSession;
use super::views::Error;
use super::views::control::{Screen, ScreenQuery};
use crate::app::SharedApp;

/// Text, colours and cursor of a session's panes, as they are now.
#[utoipa::path(
    get, path = "/api/v1/sessions/{session}/screen", params(("session" = String, Path), ScreenQuery),
    responses(
        (status = 200, body = Screen), (status = 400, body = Error), (status = 401, body = Error),
        (status = 404, body = Error), (status = 422, body = Error), (status = 501, body = Error),
        (status = 502, body = Error), (status = 503, body = Error)
    )
)]
pub async fn show(
    State(app): State<SharedApp>,
    Extension(request_id): Extension<RequestId>,
    InSession(session): InSession,
    query: Result<Query<ScreenQuery>, QueryRejection>,
) -> Result<Json<Screen>, ApiError> {
    let Query(ScreenQuery { window, pane }) =
        query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let handle = box_of(&app, &session.workspace)?;
    let screen = handle.screen(&session.id, PaneAddress { window, pane }, &request_id).await;
    Ok(Json(screen.map_err(|error| refused(&error))?.into()))
}
