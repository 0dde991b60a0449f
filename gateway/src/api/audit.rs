//! The audit record: a workspace's, and what concerns a user.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::{Extension, Json};

use super::ApiError;
use super::policy::InWorkspace;
use super::views::Error;
use super::views::audit::{AuditEntries, AuditEntry, AuditQuery};
use crate::app::SharedApp;
use crate::store::{AuditFilter, CurrentUser};

/// Entries of an answer when nothing is said, ...
const DEFAULT_LIMIT: u32 = 50;

/// ... and at most.
const MAX_LIMIT: u32 = 500;

type AskedQuery = Result<Query<AuditQuery>, QueryRejection>;

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
    query: AskedQuery,
) -> Result<Json<AuditEntries>, ApiError> {
    answer(&app, AuditFilter { workspace: Some(workspace.id), ..AuditFilter::default() }, query).await
}

/// What the user did, and what was done in workspaces that are theirs, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", params(AuditQuery),
    responses((status = 200, body = AuditEntries), (status = 400, body = Error), (status = 401, body = Error))
)]
pub async fn mine(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    query: AskedQuery,
) -> Result<Json<AuditEntries>, ApiError> {
    answer(&app, AuditFilter { concerns: Some(user.id), ..AuditFilter::default() }, query).await
}

async fn answer(
    app: &SharedApp,
    within: AuditFilter,
    query: AskedQuery,
) -> Result<Json<AuditEntries>, ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let AuditQuery { limit, before, user, action, outcome, since_ms, until_ms } = query;
    let limit = limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    // A place beyond the largest number is beyond the newest entry too.
    let before = before.filter(|before| i64::try_from(*before).is_ok());
    let filter = AuditFilter { user, action, outcome, since_ms, until_ms, before, ..within };
    // One more than asked for tells whether there are more.
    let mut found = app.store.audit(filter, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|entry| entry.seq);
    Ok(Json(AuditEntries { entries: found.into_iter().map(AuditEntry::from).collect(), next }))
}
