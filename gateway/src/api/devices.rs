//! Browsers in which the caller is signed in.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use berth_protocol::ids::DeviceId;
use http::StatusCode;
use serde_json::json;

use super::ApiError;
use super::account::signed_out;
use super::views::Error;
use super::views::device::{Device, Devices};
use crate::app::SharedApp;
use crate::store::{BrowserSession, CurrentUser, Deed, EndDevices, Outcome};

/// Where the caller is signed in.
#[utoipa::path(get, path = "/api/v1/devices", responses(
    (status = 200, body = Devices), (status = 401, body = Error), (status = 403, body = Error)
))]
pub async fn list(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(here): Extension<BrowserSession>,
) -> Result<Json<Devices>, ApiError> {
    let devices = app.store.devices_of(user.id).await?;
    Ok(Json(Devices { devices: devices.into_iter().map(|device| Device::new(device, &here)).collect() }))
}

/// Signs the caller out in one browser: what goes on there ends at once.
#[utoipa::path(
    delete, path = "/api/v1/devices/{device}", params(("device" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn revoke(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    path: Result<Path<DeviceId>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path(id) = path.map_err(|_| ApiError::device_not_found())?;
    let ended = app.store.end_devices(user.id.clone(), EndDevices::One(id.clone())).await?;
    if ended.is_empty() {
        return Err(ApiError::device_not_found());
    }
    ended.into_iter().for_each(|sign_in| signed_out(&app, sign_in));
    app.store
        .note(Deed::new("device_signed_out", Outcome::Done, json!({ "device": id })).by(user.id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs the caller out everywhere but here.
#[utoipa::path(delete, path = "/api/v1/devices", responses(
    (status = 204), (status = 401, body = Error), (status = 403, body = Error)
))]
pub async fn revoke_others(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(here): Extension<BrowserSession>,
) -> Result<StatusCode, ApiError> {
    let ended = app.store.end_devices(user.id.clone(), EndDevices::AllBut(here)).await?;
    let detail = json!({ "devices": ended.len() });
    ended.into_iter().for_each(|sign_in| signed_out(&app, sign_in));
    app.store.note(Deed::new("other_devices_signed_out", Outcome::Done, detail).by(user.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
