//! Where a workspace's backups go. Keys go in and never come out; the repository's password comes out once, on the recovery
//! sheet.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};
use berth_protocol::backup::{BackupCredentials, DesiredBackup, InvalidName, Repository};
use berth_protocol::ids::RequestId;
use http::StatusCode;
use serde_json::json;

use super::ApiError;
use super::backups::{not_configured, note};
use super::policy::InWorkspace;
use super::views::Error;
use super::views::backup::{BackupRepository, NewBackupRepository, RecoverySheet};
use crate::app::{App, SharedApp};
use crate::backups::{new_password, open, seal};
use crate::changes::Change;
use crate::store::{CurrentUser, StoredBackup, Workspace};

/// Where the workspace's backups go, without key and password.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/backup-repository", params(("workspace" = String, Path)),
    responses((status = 200, body = BackupRepository), (status = 401, body = Error), (status = 404, body = Error))
)]
pub async fn settings(
    State(app): State<SharedApp>,
    InWorkspace(workspace): InWorkspace,
) -> Result<Json<BackupRepository>, ApiError> {
    let (stored, backup) = held(&app, &workspace).await?;
    let (version, sheet) = stored.map_or((0, false), |stored| (stored.desired_seq, stored.sheet_left));
    Ok(Json(BackupRepository::new(version, backup.as_ref(), sheet)))
}

/// Replaces where the workspace's backups go. The password is made when there is none yet, or when the place is another.
/// The box is told at once, or when it is back.
#[utoipa::path(
    put, path = "/api/v1/workspaces/{workspace}/backup-repository", params(("workspace" = String, Path)),
    request_body = NewBackupRepository,
    responses(
        (status = 200, body = BackupRepository), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 413, body = Error), (status = 422, body = Error)
    )
)]
pub async fn set(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    body: Result<Json<NewBackupRepository>, JsonRejection>,
) -> Result<Json<BackupRepository>, ApiError> {
    let Json(new) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let (stored, before) = held(&app, &workspace).await?;
    let version = new.version;
    let (backup, new_sheet) = merged(&workspace, new, before)?;
    backup.check().map_err(|invalid| invalid_repository(&invalid))?;
    let detail = json!({
        "repository": backup.repository.url(), "add_only": backup.add_only, "new_password": new_sheet,
        "key_id": backup.credentials.as_ref().map(|keys| &keys.key_id),
    });
    let note = note(&workspace, &user, &request_id, "backup_repository_changed", detail);
    let sealed = seal(&app.sealer, &workspace.id, &backup);
    let version = app.store.put_backup(workspace.id.clone(), version, sealed, new_sheet, note).await?;
    tracing::info!(workspace = %workspace.id, "where backups go has changed");
    app.changes.publish(Change::Workspace(workspace.id));
    let sheet = new_sheet || stored.is_some_and(|stored| stored.sheet_left);
    Ok(Json(BackupRepository::new(version, Some(&backup), sheet)))
}

/// Shows the recovery sheet: repository, password, and how to restore with restic alone. It is shown once.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/backup-repository/recovery-sheet",
    params(("workspace" = String, Path)),
    responses(
        (status = 200, body = RecoverySheet), (status = 401, body = Error), (status = 403, body = Error),
        (status = 404, body = Error), (status = 409, body = Error)
    )
)]
pub async fn recovery_sheet(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
) -> Result<Json<RecoverySheet>, ApiError> {
    // Opened first: a sheet that can't be shown is not used up.
    let (_, backup) = held(&app, &workspace).await?;
    let sheet = backup.and_then(|backup| RecoverySheet::new(&workspace.name, workspace.id.as_str(), &backup));
    let sheet = sheet.ok_or_else(not_configured)?;
    let note = note(
        &workspace,
        &user,
        &request_id,
        "recovery_sheet_shown",
        json!({ "repository": sheet.repository }),
    );
    if !app.store.take_recovery_sheet(workspace.id.clone(), note).await? {
        let message = "the recovery sheet was shown before, and is shown once: change the repository's place to get \
            another password, or use the sheet that was printed";
        return Err(ApiError::new(StatusCode::CONFLICT, "recovery_sheet_shown", message));
    }
    app.changes.publish(Change::Workspace(workspace.id));
    Ok(Json(sheet))
}

async fn held(
    app: &App,
    workspace: &Workspace,
) -> Result<(Option<StoredBackup>, Option<DesiredBackup>), ApiError> {
    let stored = app.store.backup(workspace.id.clone()).await?;
    let opened = stored.as_ref().map(|stored| open(&app.sealer, &workspace.id, &stored.sealed)).transpose();
    let opened = opened.map_err(|error| {
        tracing::error!(error = %berth_daemon::exit::chain(&error), "what opens backups is not opened");
        let message =
            "the gateway can't open what it knows of backups; its log says why under the request id";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })?;
    Ok((stored, opened))
}

/// What is new together with what stays. True: the password is new.
fn merged(
    workspace: &Workspace,
    new: NewBackupRepository,
    before: Option<DesiredBackup>,
) -> Result<(DesiredBackup, bool), ApiError> {
    let repository = Repository {
        endpoint: new.endpoint,
        bucket: new.bucket,
        prefix: new.prefix.unwrap_or_else(|| workspace.id.to_string()),
        region: new.region.unwrap_or_else(|| "auto".to_owned()),
    };
    let same_place = before.as_ref().is_some_and(|before| before.repository.url() == repository.url());
    let same_endpoint =
        before.as_ref().is_some_and(|before| before.repository.endpoint == repository.endpoint);
    let known = before.and_then(|before| before.credentials);
    // A key that is kept can't be led to another server by the change around it.
    let kept = known.as_ref().filter(|known| same_endpoint && known.key_id == new.key_id);
    let secret_key =
        new.secret_key.map(|secret| secret.0).or_else(|| kept.map(|known| known.secret_key.clone()));
    let secret_key = secret_key.ok_or_else(|| {
        let message = "the secret key is needed: none is known for this key and this server";
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_repository", message)
    })?;
    let password = known.filter(|_| same_place).map(|known| known.password);
    let new_sheet = password.is_none();
    let credentials = BackupCredentials {
        key_id: new.key_id,
        secret_key,
        session_token: new.session_token.map(|token| token.0),
        password: password.unwrap_or_else(new_password),
    };
    Ok((DesiredBackup { repository, credentials: Some(credentials), add_only: new.add_only }, new_sheet))
}

fn invalid_repository(invalid: &InvalidName) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_repository", invalid.to_string())
}
