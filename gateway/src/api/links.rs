//! Links to previews: whoever has one may see the preview for a while, without an account.
//!
//! A link is for as many people as its maker gives it to, so its code works more than once. It stands behind the `#`,
//! which no browser sends anywhere; the page takes it out of the address and exchanges it for a cookie of the console,
//! and only with that cookie does a browser get the single-use code that lets it in at the preview's own host, where
//! other people's scripts run.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use berth_protocol::ids::{PreviewId, PreviewLinkId, RequestId};
use http::StatusCode;
use http::header::SET_COOKIE;
use serde_json::json;

use super::ApiError;
use super::policy::{InWorkspace, MayChange};
use super::previews::{changed, in_workspace};
use super::sessions::checked_name;
use super::views::Error;
use super::views::preview::{NewPreviewLink, OpenedPreviewLink, PreviewLink, PreviewLinkCode, PreviewLinks};
use crate::app::SharedApp;
use crate::auth::CookieOf;
use crate::changes::Change;
use crate::preview::Named;
use crate::previews::Code;
use crate::store::{self, AuditNote, CurrentUser, now_ms};

/// The page that opens links.
const PAGE: &str = "/preview-link";

/// How long a link may last, seconds.
const LIFETIMES: std::ops::RangeInclusive<u64> = 60..=7 * 24 * 3600;

/// Makes a link to a preview.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/previews/{preview}/links",
    params(("workspace" = String, Path), ("preview" = String, Path)), request_body = NewPreviewLink,
    responses(
        (status = 201, body = PreviewLink), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 413, body = Error), (status = 422, body = Error)
    )
)]
pub async fn create(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    path: Result<Path<(String, PreviewId)>, PathRejection>,
    body: Result<Json<NewPreviewLink>, JsonRejection>,
) -> Result<(StatusCode, Json<PreviewLink>), ApiError> {
    let Path((_, id)) = path.map_err(|_| ApiError::preview_not_found())?;
    let Json(NewPreviewLink { name, expires_in_seconds }) =
        body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let preview = in_workspace(&app, &workspace, id).await?;
    if !LIFETIMES.contains(&expires_in_seconds) {
        let message = format!("a link lasts {} to {} seconds", LIFETIMES.start(), LIFETIMES.end());
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_lifetime", message));
    }
    let (name, lifetime) = (checked_name(&name)?, Duration::from_secs(expires_in_seconds));
    let link = app.store.create_link(preview.id.clone(), user.id.clone(), name, lifetime).await?;
    let detail = json!({
        "preview": preview.id, "port": preview.port, "link": link.id, "name": link.name,
        "expires_at_ms": link.expires_at_ms,
    });
    changed(&app, &workspace, user, request_id, "preview_link_created", detail).await?;
    Ok((StatusCode::CREATED, Json(shown(&app, link, true))))
}

/// The links to a preview.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/previews/{preview}/links",
    params(("workspace" = String, Path), ("preview" = String, Path)),
    responses((status = 200, body = PreviewLinks), (status = 401, body = Error), (status = 404, body = Error))
)]
pub async fn list(
    State(app): State<SharedApp>,
    Extension(MayChange(may_change)): Extension<MayChange>,
    InWorkspace(workspace): InWorkspace,
    path: Result<Path<(String, PreviewId)>, PathRejection>,
) -> Result<Json<PreviewLinks>, ApiError> {
    let Path((_, id)) = path.map_err(|_| ApiError::preview_not_found())?;
    let preview = in_workspace(&app, &workspace, id).await?;
    let links = app.store.links_of(preview.id).await?;
    Ok(Json(PreviewLinks { links: links.into_iter().map(|link| shown(&app, link, may_change)).collect() }))
}

/// Ends a link: what was opened by it ends within seconds.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/previews/{preview}/links/{link}",
    params(("workspace" = String, Path), ("preview" = String, Path), ("link" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn end(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    path: Result<Path<(String, PreviewId, PreviewLinkId)>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path((_, id, link)) = path.map_err(|_| ApiError::link_not_found())?;
    let preview = in_workspace(&app, &workspace, id).await?;
    if app.store.end_links(preview.id.clone(), Some(link.clone())).await? == 0 {
        return Err(ApiError::link_not_found());
    }
    let detail = json!({ "preview": preview.id, "port": preview.port, "link": link });
    changed(&app, &workspace, user, request_id, "preview_link_ended", detail).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Opens a link by its code. The answer sets a cookie by which this browser is let in to the preview.
#[utoipa::path(
    post, path = "/api/v1/preview-links/open", request_body = PreviewLinkCode,
    responses(
        (status = 200, body = OpenedPreviewLink), (status = 400, body = Error), (status = 403, body = Error),
        (status = 404, body = Error)
    )
)]
pub async fn open(
    State(app): State<SharedApp>,
    Extension(request_id): Extension<RequestId>,
    body: Result<Json<PreviewLinkCode>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(PreviewLinkCode { code }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let invalid = || {
        let message = "this link has ended, or is not whole: ask for a new one";
        ApiError::new(StatusCode::NOT_FOUND, "link_invalid", message)
    };
    let names = app.previews.names.as_ref().ok_or_else(invalid)?;
    let id = Code::Invitation.verify(&app.sealer, &code).ok_or_else(invalid)?;
    let link = app.store.open_link(id).await?.ok_or_else(invalid)?;
    let preview = app.store.preview(link.preview.clone()).await?.ok_or_else(invalid)?;
    tracing::info!(preview = %preview.id, link = %link.id, "link opened");
    // Whoever opens it has no account, so all is in the name of who made it.
    let detail = json!({ "preview": preview.id, "port": preview.port, "link": link.id, "name": link.name });
    let (workspace, user) = (preview.workspace.clone(), link.created_by.clone());
    app.store.note(AuditNote { workspace, user, request_id, action: "preview_link_opened", detail }).await?;
    // Its maker sees that it was opened.
    app.changes.publish(Change::Previews(preview.workspace.clone()));
    let left = Duration::from_millis(u64::try_from(link.expires_at_ms - now_ms()).unwrap_or_default());
    let guest = Code::Guest.sign(&app.sealer, &link);
    let cookie = CookieOf::PreviewGuest(&preview.id).set(&app.origin, &guest, left);
    let named = Named { preview: preview.id, workspace: preview.workspace };
    let opened =
        OpenedPreviewLink { url: format!("{}/", names.origin(&named)), expires_at_ms: link.expires_at_ms };
    Ok(([(SET_COOKIE, cookie)], Json(opened)).into_response())
}

/// A link, with its address for whoever may make one.
fn shown(app: &SharedApp, link: store::PreviewLink, with_address: bool) -> PreviewLink {
    let url = with_address
        .then(|| format!("{}{PAGE}#{}", app.origin.as_str(), Code::Invitation.sign(&app.sealer, &link)));
    PreviewLink {
        id: link.id.into(),
        name: link.name,
        url,
        created_at_ms: link.created_at_ms,
        expires_at_ms: link.expires_at_ms,
        opened: link.opened,
        opened_at_ms: link.opened_at_ms,
    }
}
