//! Sessions: what their owners want. Boxes are told over their links, at once or when they are back.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};
use http::StatusCode;
use serde_json::json;

use super::ApiError;
use super::policy::{InSession, InWorkspace};
use super::views::{Error, NewSession, Session, SessionPatch, Sessions};
use crate::app::SharedApp;
use crate::changes::Change;
use crate::store::{self, CurrentUser, Deed, Outcome, SessionChange};

/// Characters of a session's name, at most.
const NAME_CHARS: usize = 64;

/// The workspace's sessions.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{workspace}/sessions", params(("workspace" = String, Path)),
    responses((status = 200, body = Sessions), (status = 401, body = Error), (status = 404, body = Error))
)]
pub async fn list(
    State(app): State<SharedApp>,
    InWorkspace(workspace): InWorkspace,
) -> Result<Json<Sessions>, ApiError> {
    let sessions = app.store.sessions_of(workspace.id).await?;
    Ok(Json(Sessions { sessions: sessions.into_iter().map(Session::from).collect() }))
}

/// Makes a session.
#[utoipa::path(
    post, path = "/api/v1/workspaces/{workspace}/sessions", params(("workspace" = String, Path)),
    request_body = NewSession,
    responses(
        (status = 201, body = Session), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 413, body = Error), (status = 422, body = Error)
    )
)]
pub async fn create(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InWorkspace(workspace): InWorkspace,
    body: Result<Json<NewSession>, JsonRejection>,
) -> Result<(StatusCode, Json<Session>), ApiError> {
    let Json(NewSession { name, template }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let template = checked_template(template)?;
    let session = app.store.create_session(workspace.id, checked_name(&name)?, template).await?;
    tracing::info!(session = %session.id, "session created");
    app.store.note(deed("session_created", &session).by(user.id)).await?;
    app.changes.publish(Change::Session(SessionChange::Changed(session.clone())));
    Ok((StatusCode::CREATED, Json(session.into())))
}

/// One session.
#[utoipa::path(get, path = "/api/v1/sessions/{session}", params(("session" = String, Path)), responses(
    (status = 200, body = Session), (status = 401, body = Error), (status = 404, body = Error)
))]
pub async fn show(InSession(session): InSession) -> Json<Session> {
    Json(session.into())
}

/// Renames a session.
#[utoipa::path(
    patch, path = "/api/v1/sessions/{session}", params(("session" = String, Path)),
    request_body = SessionPatch,
    responses(
        (status = 200, body = Session), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 413, body = Error), (status = 422, body = Error)
    )
)]
pub async fn rename(
    State(app): State<SharedApp>,
    InSession(session): InSession,
    body: Result<Json<SessionPatch>, JsonRejection>,
) -> Result<Json<Session>, ApiError> {
    let Json(SessionPatch { name }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let renamed: Option<store::Session> = app.store.rename_session(session.id, checked_name(&name)?).await?;
    let renamed = renamed.ok_or_else(ApiError::session_not_found)?;
    app.terminals.rename_session(&renamed.id, &renamed.name);
    app.changes.publish(Change::Session(SessionChange::Changed(renamed.clone())));
    Ok(Json(renamed.into()))
}

/// Deletes a session: its terminals close, and its box ends its programs as soon as it hears of it.
#[utoipa::path(delete, path = "/api/v1/sessions/{session}", params(("session" = String, Path)), responses(
    (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
))]
pub async fn end(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InSession(session): InSession,
) -> Result<StatusCode, ApiError> {
    let change = app.store.end_session(session.id.clone()).await?.ok_or_else(ApiError::session_not_found)?;
    tracing::info!(session = %session.id, "session deleted");
    app.store.note(deed("session_deleted", &session).by(user.id)).await?;
    app.terminals.end_session(&session.id);
    app.changes.publish(Change::Session(change));
    app.changes.publish(Change::Inbox(Some(session.workspace)));
    Ok(StatusCode::NO_CONTENT)
}

fn deed(action: &'static str, session: &store::Session) -> Deed {
    let detail = json!({ "session": session.id, "name": session.name });
    Deed::new(action, Outcome::Done, detail).within(session.workspace.clone())
}

pub(super) fn checked_name(name: &str) -> Result<String, ApiError> {
    let name = name.trim();
    let valid = (1..=NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if valid {
        return Ok(name.to_owned());
    }
    let message = format!("a name has 1 to {NAME_CHARS} characters, none of them a control character");
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", message))
}

/// Templates are the box's own; this only keeps nonsense from travelling.
fn checked_template(template: String) -> Result<String, ApiError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if (1..=NAME_CHARS).contains(&template.len()) && template.chars().all(plain) {
        return Ok(template);
    }
    let message = "a template's name has 1 to 64 characters of a-z, 0-9, - and _";
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_template", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(checked_name("  büro 1 ").unwrap(), "büro 1");
        assert_eq!(checked_name(&"ü".repeat(64)).unwrap().chars().count(), 64);
        for name in ["", "   ", "a\nb", "a\u{1b}[31m", &"x".repeat(65)] {
            assert_eq!(checked_name(name).unwrap_err().kind(), "invalid_name", "{name:?}");
        }
    }

    #[test]
    fn a_template_is_a_plain_word() {
        checked_template("default".into()).unwrap();
        for template in ["", "../x", "A", "a b"] {
            assert_eq!(checked_template(template.into()).unwrap_err().kind(), "invalid_template");
        }
    }
}
