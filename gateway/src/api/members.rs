//! Who may use a workspace, and how much.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use berth_protocol::ids::{RequestId, UserId};
use http::StatusCode;

use super::ApiError;
use super::policy::InWorkspace;
use super::views::Error;
use super::views::member::{Member, Members, NewMember};
use crate::app::SharedApp;
use crate::changes::Change;
use crate::store::CurrentUser;

/// Who may use the workspace.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/members", params(("workspace" = String, Path)),
    responses((status = 200, body = Members), (status = 401, body = Error), (status = 404, body = Error))
)]
pub async fn list(
    State(app): State<SharedApp>,
    InWorkspace(workspace): InWorkspace,
) -> Result<Json<Members>, ApiError> {
    let members = app.store.members_of(workspace.id).await?;
    Ok(Json(Members { members: members.into_iter().map(Member::from).collect() }))
}

/// Adds a user, or gives one another role.
#[utoipa::path(
    put, path = "/api/v1/workspaces/{workspace}/members", params(("workspace" = String, Path)),
    request_body = NewMember,
    responses(
        (status = 200, body = Member), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn set(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    body: Result<Json<NewMember>, JsonRejection>,
) -> Result<Json<Member>, ApiError> {
    let Json(NewMember { name, role }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let set =
        app.store.set_member(workspace.id, name.trim().to_owned(), role.into(), user.id, request_id).await?;
    app.changes.publish(Change::Anything);
    Ok(Json(set.into()))
}

/// Takes a user out of the workspace who was added to it: what they have open there ends at once.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{workspace}/members/{user}",
    params(("workspace" = String, Path), ("user" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn remove(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    path: Result<Path<(String, UserId)>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let not_found = || ApiError::member_not_found("workspace");
    let Path((_, member)) = path.map_err(|_| not_found())?;
    if !app.store.remove_member(workspace.id, member, user.id, request_id).await? {
        return Err(not_found());
    }
    app.changes.publish(Change::Anything);
    Ok(StatusCode::NO_CONTENT)
}
