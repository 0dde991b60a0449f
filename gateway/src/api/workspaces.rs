//! Workspaces.

use axum::extract::State;
use axum::{Extension, Json};

use super::ApiError;
use super::policy::InWorkspace;
use super::views::{Error, Workspace, Workspaces};
use crate::app::SharedApp;
use crate::store::CurrentUser;

/// The caller's workspaces.
#[utoipa::path(get, path = "/api/v1/workspaces", responses(
    (status = 200, body = Workspaces), (status = 401, body = Error)
))]
pub async fn list(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
) -> Result<Json<Workspaces>, ApiError> {
    let views = app.store.workspaces_of(user.id).await?;
    let workspaces = views.into_iter().map(|(view, role)| Workspace::new(&app, view, role)).collect();
    Ok(Json(Workspaces { workspaces }))
}

/// One workspace.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace}", params(("workspace" = String, Path)), responses(
    (status = 200, body = Workspace), (status = 401, body = Error), (status = 404, body = Error)
))]
pub async fn show(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InWorkspace(workspace): InWorkspace,
) -> Result<Json<Workspace>, ApiError> {
    let found = app.store.workspace_for(user.id, workspace.id).await?;
    let (view, role) = found.ok_or_else(ApiError::workspace_not_found)?;
    Ok(Json(Workspace::new(&app, view, role)))
}
