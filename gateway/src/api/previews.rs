//! Previews: ports of a box that browsers reach, each at an origin of its own.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use berth_protocol::ids::{PreviewId, RequestId, WorkspaceId};
use http::StatusCode;
use serde_json::json;

use super::ApiError;
use super::policy::{InPreview, InWorkspace};
use super::routes::PREFIX;
use super::views::Error;
use super::views::preview::{NewPreview, Port, Preview, PreviewPatch, Visibility, WorkspacePreviews};
use crate::app::{App, SharedApp};
use crate::changes::Change;
use crate::preview::Named;
use crate::previews::{bytes, is_foreign, is_navigation};
use crate::store::{AuditNote, BrowserSession, CurrentUser, Workspace};

/// The workspace's previews.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/previews", params(("workspace" = String, Path)),
    responses((status = 200, body = WorkspacePreviews), (status = 401, body = Error), (status = 404, body = Error))
)]
pub async fn list(
    State(app): State<SharedApp>,
    InWorkspace(workspace): InWorkspace,
) -> Result<Json<WorkspacePreviews>, ApiError> {
    Ok(Json(WorkspacePreviews::of(&app, workspace.id).await?))
}

/// Gives a port of the workspace's box an origin of its own, which only its user may see.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/previews", params(("workspace" = String, Path)),
    request_body = NewPreview,
    responses(
        (status = 201, body = Preview), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 413, body = Error), (status = 422, body = Error)
    )
)]
pub async fn create(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    body: Result<Json<NewPreview>, JsonRejection>,
) -> Result<(StatusCode, Json<Preview>), ApiError> {
    let Json(NewPreview { port }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    if app.previews.names.is_none() {
        let message = "this gateway has no hosts for previews: its operator sets preview.host";
        return Err(ApiError::new(StatusCode::CONFLICT, "previews_off", message));
    }
    if port < app.previews.lowest_port {
        let message = format!("ports from {} on can have a preview", app.previews.lowest_port);
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "port_invalid", message));
    }
    let preview = app.store.create_preview(workspace.id.clone(), port).await?;
    let detail = json!({ "preview": preview.id, "port": port });
    changed(&app, &workspace, user, request_id, "preview_created", detail).await?;
    Ok((StatusCode::CREATED, Json(Preview::new(&app, preview))))
}

/// Changes who may see a preview, or how its dev server is spoken to. Making it public takes `confirm_public`.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{workspace}/previews/{preview}",
    params(("workspace" = String, Path), ("preview" = String, Path)), request_body = PreviewPatch,
    responses(
        (status = 200, body = Preview), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 413, body = Error),
        (status = 422, body = Error)
    )
)]
pub async fn change(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    path: Result<Path<(String, PreviewId)>, PathRejection>,
    body: Result<Json<PreviewPatch>, JsonRejection>,
) -> Result<Json<Preview>, ApiError> {
    let Path((_, id)) = path.map_err(|_| ApiError::preview_not_found())?;
    let Json(PreviewPatch { visibility, confirm_public, mode }) =
        body.map_err(|rejection| ApiError::malformed(&rejection))?;
    if visibility == Some(Visibility::Public) && !confirm_public {
        let message =
            "everybody who has the address could see it and act on it: say confirm_public if that is meant";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "not_confirmed", message));
    }
    let (visibility, mode) = (visibility.map(Into::into), mode.map(Into::into));
    let preview = app.store.change_preview(workspace.id.clone(), id, visibility, mode).await?;
    let preview = preview.ok_or_else(ApiError::preview_not_found)?;
    let detail = json!({
        "preview": preview.id, "port": preview.port,
        "visibility": preview.visibility.to_string(), "mode": preview.mode.to_string(),
    });
    changed(&app, &workspace, user, request_id, "preview_changed", detail).await?;
    Ok(Json(Preview::new(&app, preview)))
}

/// Deletes a preview: what uses it ends within seconds.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/previews/{preview}",
    params(("workspace" = String, Path), ("preview" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn end(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    path: Result<Path<(String, PreviewId)>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path((_, id)) = path.map_err(|_| ApiError::preview_not_found())?;
    if !app.store.delete_preview(workspace.id.clone(), id.clone()).await? {
        return Err(ApiError::preview_not_found());
    }
    changed(&app, &workspace, user, request_id, "preview_deleted", json!({ "preview": id })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a preview says at its root, for programs.
#[utoipa::path(
    get, path = "/api/v1/previews/{preview}/", params(("preview" = String, Path)),
    responses(
        (status = 200), (status = 303), (status = 401, body = Error), (status = 403, body = Error),
        (status = 404, body = Error), (status = 502, body = Error), (status = 503, body = Error),
        (status = 504, body = Error)
    )
)]
pub async fn root(
    State(app): State<SharedApp>,
    Extension(browser): Extension<BrowserSession>,
    Extension(request_id): Extension<RequestId>,
    InPreview(preview): InPreview,
    request: Request,
) -> Result<Response, ApiError> {
    let names = app.previews.names.as_ref().ok_or_else(ApiError::preview_not_found)?;
    let prefix = format!("{PREFIX}/previews/{}", preview.id);
    if is_navigation(request.method(), request.headers()) {
        let named = Named { preview: preview.id, workspace: preview.workspace };
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        let path = path.strip_prefix(&prefix).unwrap_or("/");
        return Ok(Redirect::to(&format!("{}{path}", names.origin(&named))).into_response());
    }
    if is_foreign(request.headers()) {
        return Err(ApiError::wrong_origin());
    }
    let asked = request.headers().clone();
    Ok(match bytes(&app, &preview, browser, request, &prefix, &request_id).await {
        Ok(response) => response,
        Err(trouble) => trouble.answer(&asked, request_id),
    })
}

/// What a preview says, for programs: the bytes as they are, sandboxed, without cookies. Who navigates here is
/// redirected to the preview's own origin.
#[utoipa::path(
    get, path = "/api/v1/previews/{preview}/{path}", params(("preview" = String, Path), ("path" = String, Path)),
    responses(
        (status = 200), (status = 303), (status = 401, body = Error), (status = 403, body = Error),
        (status = 404, body = Error), (status = 502, body = Error), (status = 503, body = Error),
        (status = 504, body = Error)
    )
)]
pub async fn below(
    app: State<SharedApp>,
    browser: Extension<BrowserSession>,
    request_id: Extension<RequestId>,
    preview: InPreview,
    request: Request,
) -> Result<Response, ApiError> {
    root(app, browser, request_id, preview, request).await
}

impl WorkspacePreviews {
    /// The previews of a workspace, now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of(app: &App, workspace: WorkspaceId) -> Result<Self, ApiError> {
        let previews = app.store.previews_of(workspace.clone()).await?;
        let mut ports = app.store.ports_of(workspace.clone()).await?;
        ports.retain(|port| port.port >= app.previews.lowest_port);
        Ok(Self {
            workspace_id: workspace.into(),
            previews: previews.into_iter().map(|preview| Preview::new(app, preview)).collect(),
            ports: ports.into_iter().map(Port::from).collect(),
        })
    }
}

/// Puts a change on the record, and tells it.
async fn changed(
    app: &App,
    workspace: &Workspace,
    user: CurrentUser,
    request_id: RequestId,
    action: &'static str,
    detail: serde_json::Value,
) -> Result<(), ApiError> {
    tracing::info!(workspace = %workspace.id, action, "preview");
    app.changes.publish(Change::Previews(workspace.id.clone()));
    let workspace = workspace.id.clone();
    Ok(app.store.note(AuditNote { workspace, user: user.id, request_id, action, detail }).await?)
}
