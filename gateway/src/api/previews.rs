//! Previews: ports of a box that browsers reach, each at an origin of its own.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, Request, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use berth_protocol::ids::{PreviewId, RequestId, WorkspaceId};
use futures_util::Stream;
use http::StatusCode;
use serde_json::json;

use super::ApiError;
use super::policy::{InPreview, InWorkspace};
use super::routes::PREFIX;
use super::views::Error;
use super::views::preview::{
    NewPreview, NewVisibility, Port, Preview, PreviewPatch, PreviewRequests, WorkspacePreviews,
};
use crate::app::{App, SharedApp};
use crate::changes::Change;
use crate::preview::{Form, Named};
use crate::previews::{bytes, is_foreign, is_navigation};
use crate::store::{self, AuditNote, BrowserSession, CurrentUser, Workspace};

/// Requests to a preview that come within so short a time are told together.
const GATHERED: Duration = Duration::from_millis(200);

/// A comment after so much silence keeps proxies from closing the stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

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

/// Changes who may see a preview, or how its dev server is spoken to. Making it public takes `confirm_public`; making it
/// private ends its links.
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
    if visibility == Some(NewVisibility::Public) && !confirm_public {
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
    app.previews.recent.forget(&id);
    changed(&app, &workspace, user, request_id, "preview_deleted", json!({ "preview": id })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The last requests to a preview, and each that comes, as `requests` events.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/previews/{preview}/requests",
    params(("workspace" = String, Path), ("preview" = String, Path)),
    responses(
        (status = 200, content_type = "text/event-stream", body = PreviewRequests),
        (status = 401, body = Error), (status = 404, body = Error)
    )
)]
pub async fn requests(
    State(app): State<SharedApp>,
    InWorkspace(workspace): InWorkspace,
    path: Result<Path<(String, PreviewId)>, PathRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let Path((_, id)) = path.map_err(|_| ApiError::preview_not_found())?;
    let preview = in_workspace(&app, &workspace, id).await?.id;
    let mut newest = app.previews.recent.watch(&preview);
    // So that there is a first event, without any request too.
    newest.mark_changed();
    let events = futures_util::stream::unfold((app, newest, 0), move |(app, mut newest, told)| {
        let preview = preview.clone();
        async move {
            let more = async {
                newest.changed().await.ok()?;
                // A page that loads is told of in a few pieces, not in hundreds.
                tokio::time::sleep(GATHERED).await;
                newest.mark_unchanged();
                Some(())
            };
            tokio::select! {
                // Cancel-safe, all: the stream ends, or `more` has.
                () = app.stopping.cancelled() => return None,
                more = more => more?,
            }
            let newer = app.previews.recent.newer(&preview, told);
            let told = newer.first().map_or(told, |exchange| exchange.number);
            let shown = PreviewRequests { requests: newer.into_iter().map(Into::into).collect() };
            let event = Event::default().event("requests");
            // Plain data: it always serialises.
            let event = event.data(serde_json::to_string(&shown).unwrap_or_default());
            Some((Ok(event), (app, newest, told)))
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
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
    let form = Form::wanted(request.headers());
    Ok(match bytes(&app, &preview, browser, request, &prefix, &request_id).await {
        Ok(response) => response,
        Err(trouble) => trouble.answer(form, request_id, app.origin.as_str()),
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

/// A preview of this workspace.
pub(super) async fn in_workspace(
    app: &App,
    workspace: &Workspace,
    id: PreviewId,
) -> Result<store::Preview, ApiError> {
    let found = app.store.preview(id).await?.filter(|preview| preview.workspace == workspace.id);
    found.ok_or_else(ApiError::preview_not_found)
}

/// Puts a change on the record, and tells it.
pub(super) async fn changed(
    app: &App,
    workspace: &Workspace,
    user: CurrentUser,
    request_id: RequestId,
    action: &'static str,
    detail: serde_json::Value,
) -> Result<(), ApiError> {
    tracing::info!(workspace = %workspace.id, action, "preview");
    app.previews.forget();
    app.changes.publish(Change::Previews(workspace.id.clone()));
    let workspace = workspace.id.clone();
    Ok(app.store.note(AuditNote { workspace, user: user.id, request_id, action, detail }).await?)
}
