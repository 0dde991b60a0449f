//! Shares: a link lets one person without an account watch a session for a while.
//!
//! The code stands behind the `#` of the link, so that no server, log or referrer sees it, and no program that
//! previews links uses it up. The page exchanges it, once, for a cookie that is good for this session only.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use berth_protocol::ids::{RequestId, ShareId};
use http::StatusCode;
use http::header::SET_COOKIE;

use super::ApiError;
use super::policy::InSession;
use super::sessions::checked_name;
use super::views::Error;
use super::views::access::{CreatedShare, NewShare, OpenedShare, Share, ShareCode, Shares};
use crate::app::SharedApp;
use crate::auth::{CookieOf, new_secret};
use crate::store::{CurrentUser, now_ms};

/// The page that opens links.
const PAGE: &str = "/share";

/// How long a share may last, seconds.
const LIFETIMES: std::ops::RangeInclusive<u64> = 60..=7 * 24 * 3600;

/// Makes a share.
#[utoipa::path(
    post, path = "/api/v1/sessions/{session}/shares", params(("session" = String, Path)),
    request_body = NewShare,
    responses(
        (status = 201, body = CreatedShare), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 422, body = Error)
    )
)]
pub async fn create(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InSession(session): InSession,
    body: Result<Json<NewShare>, JsonRejection>,
) -> Result<(StatusCode, Json<CreatedShare>), ApiError> {
    let Json(NewShare { name, expires_in_seconds }) =
        body.map_err(|rejection| ApiError::malformed(&rejection))?;
    if !LIFETIMES.contains(&expires_in_seconds) {
        let message = format!("a share lasts {} to {} seconds", LIFETIMES.start(), LIFETIMES.end());
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_lifetime", message));
    }
    let (name, code) = (checked_name(&name)?, new_secret());
    let lifetime = Duration::from_secs(expires_in_seconds);
    let share = app.store.create_share(session.id, user.id, name, &code, lifetime, request_id).await?;
    tracing::info!(session = %share.session, share = %share.id, "share made");
    let url = format!("{}{PAGE}#{code}", app.origin.as_str());
    Ok((StatusCode::CREATED, Json(CreatedShare { share: share.into(), url })))
}

/// The session's shares.
#[utoipa::path(get, path = "/api/v1/sessions/{session}/shares", params(("session" = String, Path)), responses(
    (status = 200, body = Shares), (status = 401, body = Error), (status = 404, body = Error)
))]
pub async fn list(
    State(app): State<SharedApp>,
    InSession(session): InSession,
) -> Result<Json<Shares>, ApiError> {
    let shares = app.store.shares_of(session.id).await?;
    Ok(Json(Shares { shares: shares.into_iter().map(Share::from).collect() }))
}

/// Ends a share: its guest's terminal closes at once.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{session}/shares/{share}",
    params(("session" = String, Path), ("share" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn end(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InSession(session): InSession,
    path: Result<Path<(String, ShareId)>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path((_, share)) = path.map_err(|_| ApiError::share_not_found())?;
    if !app.store.end_share(session.id.clone(), share.clone(), user.id, request_id).await? {
        return Err(ApiError::share_not_found());
    }
    app.terminals.end_share(&share);
    tracing::info!(session = %session.id, %share, "share ended");
    Ok(StatusCode::NO_CONTENT)
}

/// Opens a share by the code in its link, which works once. The answer sets a cookie by which this browser may
/// watch the session.
#[utoipa::path(
    post, path = "/api/v1/shares/open", request_body = ShareCode,
    responses(
        (status = 200, body = OpenedShare), (status = 400, body = Error), (status = 403, body = Error),
        (status = 404, body = Error)
    )
)]
pub async fn open(
    State(app): State<SharedApp>,
    Extension(request_id): Extension<RequestId>,
    body: Result<Json<ShareCode>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(ShareCode { code }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let token = new_secret();
    let share = app.store.open_share(&code, &token, request_id).await?.ok_or_else(|| {
        let message = "this link was used before, or what it shares has ended: ask for a new one";
        ApiError::new(StatusCode::NOT_FOUND, "share_code_invalid", message)
    })?;
    tracing::info!(session = %share.session, share = %share.id, "share opened");
    let left = Duration::from_millis(u64::try_from(share.expires_at_ms - now_ms()).unwrap_or_default());
    let cookie = CookieOf::Guest(&share.session).set(&app.origin, &token, left);
    let opened = OpenedShare { session_id: share.session.into(), expires_at_ms: share.expires_at_ms };
    Ok(([(SET_COOKIE, cookie)], Json(opened)).into_response())
}
