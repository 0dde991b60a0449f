//! A workspace's environment: what its terminals find on the box. Secrets go in and never come out.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};
use berth_protocol::environment::{DesiredEnvironment, InvalidItem};
use berth_protocol::ids::RequestId;
use http::StatusCode;
use serde_json::{Value, json};

use super::ApiError;
use super::policy::InWorkspace;
use super::views::Error;
use super::views::environment::{Environment, NewEnvironment};
use crate::app::{App, SharedApp};
use crate::changes::Change;
use crate::environments::{open, seal};
use crate::store::{AuditNote, CurrentUser, StoredEnvironment, Workspace};

/// The body of a request, at most: base64 and escapes make more of what is in it.
pub const MAX_BODY: usize = 1024 * 1024;

/// The workspace's environment, without values of variables, secret files and the token.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/environment", params(("workspace" = String, Path)),
    responses((status = 200, body = Environment), (status = 401, body = Error), (status = 404, body = Error))
)]
pub async fn show(
    State(app): State<SharedApp>,
    InWorkspace(workspace): InWorkspace,
) -> Result<Json<Environment>, ApiError> {
    let (stored, environment) = held(&app, &workspace).await?;
    Ok(Json(Environment::new(&environment, stored.as_ref())))
}

/// Replaces the workspace's environment. What is named without a value keeps the value that it has. The box is
/// told at once, or when it is back.
#[utoipa::path(
    put, path = "/api/v1/workspaces/{workspace}/environment", params(("workspace" = String, Path)),
    request_body = NewEnvironment,
    responses(
        (status = 200, body = Environment), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 413, body = Error), (status = 422, body = Error)
    )
)]
pub async fn replace(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InWorkspace(workspace): InWorkspace,
    body: Result<Json<NewEnvironment>, JsonRejection>,
) -> Result<Json<Environment>, ApiError> {
    let Json(new) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let (_, held) = held(&app, &workspace).await?;
    let version = new.version;
    let environment = new.merged(&held).map_err(|invalid| refused(&invalid))?;
    environment.check().map_err(|invalid| refused(&invalid))?;
    let note = AuditNote {
        workspace: workspace.id.clone(),
        user: user.id,
        request_id,
        action: "environment_changed",
        detail: recorded(&environment),
    };
    let sealed = seal(&app.sealer, &workspace.id, &environment);
    let desired_seq = app.store.put_environment(workspace.id.clone(), version, sealed.clone(), note).await?;
    tracing::info!(workspace = %workspace.id, "environment changed");
    app.changes.publish(Change::Workspace(workspace.id));
    let stored = StoredEnvironment { sealed, desired_seq, report: None };
    Ok(Json(Environment::new(&environment, Some(&stored))))
}

async fn held(
    app: &App,
    workspace: &Workspace,
) -> Result<(Option<StoredEnvironment>, DesiredEnvironment), ApiError> {
    let stored = app.store.environment(workspace.id.clone()).await?;
    let opened = stored.as_ref().map(|stored| open(&app.sealer, &workspace.id, &stored.sealed)).transpose();
    let opened = opened.map_err(|error| {
        tracing::error!(error = %berth_daemon::exit::chain(&error), "environment not opened");
        let message = "the gateway can't open the environment; its log says why under the request id";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })?;
    Ok((stored, opened.unwrap_or_default()))
}

fn refused(invalid: &InvalidItem) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_environment", invalid.to_string())
}

/// What the record says: names and sizes, and no value.
fn recorded(environment: &DesiredEnvironment) -> Value {
    let files: Vec<Value> = environment
        .files
        .iter()
        .map(|(path, file)| json!({ "destination": path, "secret": file.secret, "bytes": file.content.bytes() }))
        .collect();
    let repository = environment.repository.as_ref().map(|repository| {
        json!({
            "url": repository.url,
            "directory": repository.directory,
            "branch": repository.branch,
            "token": repository.token.is_some(),
        })
    });
    json!({
        "variables": environment.variables.keys().collect::<Vec<_>>(),
        "files": files,
        "repository": repository,
        "post_start_bytes": environment.post_start.as_ref().map(String::len),
    })
}
