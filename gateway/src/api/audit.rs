//! A workspace's audit record.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};

use super::ApiError;
use super::policy::InWorkspace;
use super::views::Error;
use super::views::control::{AuditEntries, AuditEntry, AuditQuery};
use crate::app::SharedApp;

/// Entries of an answer when nothing is said, ...
const DEFAULT_LIMIT: u32 = 50;

/// ... and at most.
const MAX_LIMIT: u32 = 500;

/// What was done in the workspace, newest first.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/audit", params(("workspace" = String, Path), AuditQuery),
    responses(
        (status = 200, body = AuditEntries), (status = 400, body = Error), (status = 401, body = Error),
        (status = 404, body = Error)
    )
)]
pub async fn list(
    State(app): State<SharedApp>,
    InWorkspace(workspace): InWorkspace,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<AuditEntries>, ApiError> {
    let Query(AuditQuery { limit, before }) =
        query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    // A place beyond the largest number is beyond the newest entry too.
    let before = before.filter(|before| i64::try_from(*before).is_ok());
    // One more than asked for tells whether there are more.
    let mut found = app.store.audit(Some(workspace.id), before, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|entry| entry.seq);
    Ok(Json(AuditEntries { entries: found.into_iter().map(AuditEntry::from).collect(), next }))
}
