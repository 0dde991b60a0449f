//! A workspace's backups: how they are, what is in them, and the way back.

use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::response::Response;
use axum::{Extension, Json};
use berth_protocol::backup::{
    BackupState, Entry, InvalidName, KIND_BUSY, KIND_NOT_CONFIGURED, KIND_NOT_FOUND, KIND_REPOSITORY, Look,
    Preview, Snapshot,
};
use berth_protocol::ids::RequestId;
use berth_protocol::suspend::KIND_SUSPENDED;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::ApiError;
use super::commands::{box_of, refused};
use super::policy::InWorkspace;
use super::views::Error;
use super::views::backup::{BackupEntry, BackupPreview, BackupSnapshot, Backups, LookQuery, RestoreRequest};
use crate::app::{App, SharedApp};
use crate::boxes::{BackupFile, DoorError};
use crate::store::{AuditNote, CurrentUser, Workspace};

/// How the workspace's backups are, as its box says: what goes on, what was, what is next.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/backups", params(("workspace" = String, Path)),
    responses(
        (status = 200, body = Backups), (status = 401, body = Error), (status = 404, body = Error),
        (status = 501, body = Error), (status = 502, body = Error), (status = 503, body = Error)
    )
)]
pub async fn show(
    State(app): State<SharedApp>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
) -> Result<Json<Backups>, ApiError> {
    let state: BackupState = asked(box_of(&app, &workspace.id)?.backup_read("", &request_id).await)?;
    Ok(Json(state.into()))
}

/// Begins a backup. It goes on by itself; how far it is, is in the state.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/backups/run", params(("workspace" = String, Path)),
    responses(
        (status = 202, body = Backups), (status = 401, body = Error), (status = 403, body = Error),
        (status = 404, body = Error), (status = 409, body = Error), (status = 501, body = Error),
        (status = 502, body = Error), (status = 503, body = Error)
    )
)]
pub async fn run(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
) -> Result<(StatusCode, Json<Backups>), ApiError> {
    act(&app, &workspace, &user, &request_id, ("/run", "backup_run"), &json!({})).await
}

/// Begins to read backups back and to compare.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/backups/check", params(("workspace" = String, Path)),
    responses(
        (status = 202, body = Backups), (status = 401, body = Error), (status = 403, body = Error),
        (status = 404, body = Error), (status = 409, body = Error), (status = 501, body = Error),
        (status = 502, body = Error), (status = 503, body = Error)
    )
)]
pub async fn check(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
) -> Result<(StatusCode, Json<Backups>), ApiError> {
    act(&app, &workspace, &user, &request_id, ("/check", "backup_check"), &json!({})).await
}

/// Ends what goes on.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/backups/cancel", params(("workspace" = String, Path)),
    responses(
        (status = 202, body = Backups), (status = 401, body = Error), (status = 403, body = Error),
        (status = 404, body = Error), (status = 501, body = Error), (status = 502, body = Error),
        (status = 503, body = Error)
    )
)]
pub async fn cancel(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
) -> Result<(StatusCode, Json<Backups>), ApiError> {
    act(&app, &workspace, &user, &request_id, ("/cancel", "backup_cancel"), &json!({})).await
}

/// Begins to restore a file or a directory.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/backups/restore", params(("workspace" = String, Path)),
    request_body = RestoreRequest,
    responses(
        (status = 202, body = Backups), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 413, body = Error), (status = 422, body = Error), (status = 501, body = Error),
        (status = 502, body = Error), (status = 503, body = Error)
    )
)]
pub async fn restore(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    body: Result<Json<RestoreRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<Backups>), ApiError> {
    let Json(request) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let order = request.order().map_err(|invalid| invalid_place(&invalid))?;
    // Plain data: it always serialises.
    let order = serde_json::to_value(&order).unwrap_or_default();
    act(&app, &workspace, &user, &request_id, ("/restore", "backup_restore"), &order).await
}

/// The snapshots of the workspace, newest first.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/backups/snapshots", params(("workspace" = String, Path)),
    responses(
        (status = 200, body = Vec<BackupSnapshot>), (status = 401, body = Error), (status = 404, body = Error),
        (status = 409, body = Error), (status = 501, body = Error), (status = 502, body = Error),
        (status = 503, body = Error)
    )
)]
pub async fn snapshots(
    State(app): State<SharedApp>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
) -> Result<Json<Vec<BackupSnapshot>>, ApiError> {
    let found: Vec<Snapshot> =
        asked(box_of(&app, &workspace.id)?.backup_read("/snapshots", &request_id).await)?;
    Ok(Json(found.into_iter().map(Into::into).collect()))
}

/// What is in a directory of a snapshot.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/backups/entries", params(("workspace" = String, Path), LookQuery),
    responses(
        (status = 200, body = Vec<BackupEntry>), (status = 400, body = Error), (status = 401, body = Error),
        (status = 404, body = Error), (status = 409, body = Error), (status = 422, body = Error),
        (status = 501, body = Error), (status = 502, body = Error), (status = 503, body = Error)
    )
)]
pub async fn entries(
    State(app): State<SharedApp>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    query: Result<Query<LookQuery>, QueryRejection>,
) -> Result<Json<Vec<BackupEntry>>, ApiError> {
    let look = look(query)?;
    let found: Vec<Entry> = asked(box_of(&app, &workspace.id)?.backup("/entries", &look, &request_id).await)?;
    Ok(Json(found.into_iter().map(Into::into).collect()))
}

/// What restoring something in place would change now.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/backups/preview", params(("workspace" = String, Path), LookQuery),
    responses(
        (status = 200, body = BackupPreview), (status = 400, body = Error), (status = 401, body = Error),
        (status = 404, body = Error), (status = 409, body = Error), (status = 422, body = Error),
        (status = 501, body = Error), (status = 502, body = Error), (status = 503, body = Error)
    )
)]
pub async fn preview(
    State(app): State<SharedApp>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    query: Result<Query<LookQuery>, QueryRejection>,
) -> Result<Json<BackupPreview>, ApiError> {
    let look = look(query)?;
    let found: Preview = asked(box_of(&app, &workspace.id)?.backup("/preview", &look, &request_id).await)?;
    Ok(Json(found.into()))
}

/// A file of a snapshot, to be kept and never shown as a page of ours.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/backups/file", params(("workspace" = String, Path), LookQuery),
    responses(
        (status = 200, content_type = "application/octet-stream"), (status = 400, body = Error),
        (status = 401, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 422, body = Error), (status = 501, body = Error), (status = 502, body = Error),
        (status = 503, body = Error)
    )
)]
pub async fn file(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    query: Result<Query<LookQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let look = look(query)?;
    let handle = box_of(&app, &workspace.id)?;
    let detail = json!({ "snapshot": look.snapshot, "path": look.path });
    app.store.note(note(&workspace, &user, &request_id, "backup_file", detail)).await?;
    let file = asked(handle.backup_file(&look, &request_id).await)?;
    Ok(download(file, "application/octet-stream", look.path.name()))
}

/// Begins to put an archive of all of the user's files beside the repository. It is not encrypted.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/backups/export", params(("workspace" = String, Path)),
    responses(
        (status = 202, body = Backups), (status = 401, body = Error), (status = 403, body = Error),
        (status = 404, body = Error), (status = 409, body = Error), (status = 501, body = Error),
        (status = 502, body = Error), (status = 503, body = Error)
    )
)]
pub async fn export(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
) -> Result<(StatusCode, Json<Backups>), ApiError> {
    act(&app, &workspace, &user, &request_id, ("/export", "backup_export"), &json!({})).await
}

/// All of the user's files as they are now, as one archive: tar in zstd, with an index as its last member. It is made
/// while it is read; one that can't be made whole breaks off.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/backups/archive", params(("workspace" = String, Path)),
    responses(
        (status = 200, content_type = "application/zstd"), (status = 401, body = Error),
        (status = 404, body = Error), (status = 409, body = Error), (status = 501, body = Error),
        (status = 502, body = Error), (status = 503, body = Error)
    )
)]
pub async fn archive(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
) -> Result<Response, ApiError> {
    let handle = box_of(&app, &workspace.id)?;
    app.store.note(note(&workspace, &user, &request_id, "backup_archive", json!({}))).await?;
    let archive = asked(handle.backup_archive(&request_id).await)?;
    let name = format!("{}-{}.tar.zst", workspace.name, jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
    Ok(download(archive, "application/zstd", &name))
}

/// A file to be kept, and never shown as a page of ours.
fn download(file: BackupFile, kind: &'static str, name: &str) -> Response {
    let length = file.length;
    let mut response = Response::new(Body::from_stream(pieces(file)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // A browser that gets less says that the download failed.
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(disposition) = HeaderValue::from_str(&disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

fn pieces(
    file: BackupFile,
) -> impl futures_util::Stream<Item = Result<hyper::body::Bytes, DoorError>> + Send + 'static {
    futures_util::stream::unfold(Some(file), async |file| {
        let mut file = file?;
        match file.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(file))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

/// RFC 6266: the name as it is, in bytes that a header can carry.
fn disposition(name: &str) -> String {
    let mut text = String::from("attachment; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Has a box begin something, on the record before it is asked.
async fn act(
    app: &App,
    workspace: &Workspace,
    user: &CurrentUser,
    request_id: &RequestId,
    (path, action): (&str, &'static str),
    body: &Value,
) -> Result<(StatusCode, Json<Backups>), ApiError> {
    let handle = box_of(app, &workspace.id)?;
    app.store.note(note(workspace, user, request_id, action, body.clone())).await?;
    let state: BackupState = asked(handle.backup(path, body, request_id).await)?;
    Ok((StatusCode::ACCEPTED, Json(state.into())))
}

pub(super) fn note(
    workspace: &Workspace,
    user: &CurrentUser,
    request_id: &RequestId,
    action: &'static str,
    detail: Value,
) -> AuditNote {
    AuditNote {
        workspace: workspace.id.clone(),
        user: user.id.clone(),
        request_id: request_id.clone(),
        action,
        detail,
    }
}

fn look(query: Result<Query<LookQuery>, QueryRejection>) -> Result<Look, ApiError> {
    let Query(LookQuery { snapshot, path }) =
        query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let invalid = |error: InvalidName| invalid_place(&error);
    Ok(Look { snapshot: snapshot.parse().map_err(invalid)?, path: path.parse().map_err(invalid)? })
}

/// What a box answered; its refusals in the API's words.
fn asked<T>(outcome: Result<T, DoorError>) -> Result<T, ApiError> {
    outcome.map_err(|error| {
        let DoorError::Refused { kind, message } = &error else { return refused(&error) };
        let conflict = |kind, message: &str| ApiError::new(StatusCode::CONFLICT, kind, message);
        match kind.as_str() {
            KIND_BUSY => {
                conflict(KIND_BUSY, "another backup, restore or check goes on: wait for it, or end it")
            }
            KIND_NOT_CONFIGURED => not_configured(),
            KIND_NOT_FOUND => ApiError::new(
                StatusCode::NOT_FOUND,
                KIND_NOT_FOUND,
                "there is no such snapshot, or it has no such path",
            ),
            // What is wrong with the repository only the box knows; its words are shown as text.
            KIND_REPOSITORY => ApiError::new(StatusCode::BAD_GATEWAY, KIND_REPOSITORY, shortened(message)),
            KIND_SUSPENDED => ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                KIND_SUSPENDED,
                "the box is suspended, or about to be; resume it first",
            ),
            _ => refused(&error),
        }
    })
}

fn shortened(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(600).collect()
}

pub(super) fn not_configured() -> ApiError {
    let message = "no repository is set up for this workspace";
    ApiError::new(StatusCode::CONFLICT, KIND_NOT_CONFIGURED, message)
}

fn invalid_place(invalid: &InvalidName) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_path", invalid.to_string())
}
