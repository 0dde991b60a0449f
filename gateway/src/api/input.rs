//! Input to a session's panes, without a terminal.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};
use berth_protocol::control::{Input, PaneAddress};
use berth_protocol::ids::RequestId;
use berth_protocol::keys::{InvalidKey, Key};
use http::StatusCode;

use super::ApiError;
use super::commands::{box_of, invalid, refused};
use super::policy::InSession;
use super::views::Error;
use super::views::control::NewInput;
use crate::app::SharedApp;

/// The stable word of an input that breaks a rule.
const INVALID: &str = "invalid_input";

/// Types into one pane of a session: the text as it is, then the keys. A pane in copy mode leaves it.
#[utoipa::path(
    post, path = "/api/v1/sessions/{session}/input", params(("session" = String, Path)),
    request_body = NewInput,
    responses(
        (status = 204), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 413, body = Error),
        (status = 422, body = Error), (status = 501, body = Error), (status = 502, body = Error),
        (status = 503, body = Error)
    )
)]
pub async fn send(
    State(app): State<SharedApp>,
    Extension(request_id): Extension<RequestId>,
    InSession(session): InSession,
    body: Result<Json<NewInput>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(body) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let input = checked(body)?;
    let handle = box_of(&app, &session.workspace)?;
    handle.input(&session.id, &input, &request_id).await.map_err(|error| refused(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

fn checked(NewInput { window, pane, text, keys }: NewInput) -> Result<Input, ApiError> {
    let keys = keys.into_iter().map(Key::try_from).collect::<Result<_, InvalidKey>>();
    let keys =
        keys.map_err(|error| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, INVALID, error.to_string()))?;
    let input = Input { address: PaneAddress { window, pane }, text, keys };
    input.check().map_err(|broken| invalid(INVALID, &broken))?;
    Ok(input)
}
