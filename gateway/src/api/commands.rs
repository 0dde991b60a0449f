//! What screen, input and exec share: the way to the box, and its refusals in the API's words.

use std::sync::Arc;

use berth_protocol::control::{
    Broken, KIND_COMMAND_NOT_FOUND, KIND_COMMAND_NOT_STARTED, KIND_CWD_UNKNOWN, KIND_EXEC_BUSY, KIND_INVALID,
    KIND_PANE_UNKNOWN, KIND_SCREEN_TOO_LARGE,
};
use berth_protocol::ids::WorkspaceId;
use http::StatusCode;

use super::ApiError;
use crate::app::App;
use crate::boxes::{BoxHandle, DoorError};

/// The box of a workspace, if there is one.
pub(super) fn box_of(app: &App, workspace: &WorkspaceId) -> Result<Arc<BoxHandle>, ApiError> {
    app.boxes.of(workspace).ok_or_else(ApiError::box_offline)
}

/// Why a box did not do as it was told. Its own words are only logged.
pub(super) fn refused(error: &DoorError) -> ApiError {
    tracing::info!(error = %berth_daemon::exit::chain(error), "box did not do a command");
    match error {
        DoorError::Unreachable(_) | DoorError::Lost(_) => ApiError::box_offline(),
        DoorError::SessionUnknown => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "session_not_running",
            "the box does not run this session yet; try again",
        ),
        DoorError::Nonsense => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "box_failed",
            "the box gave an answer that is not understood; its log says more under the request id",
        ),
        DoorError::Refused { kind, .. } => refused_as(kind),
    }
}

fn refused_as(kind: &str) -> ApiError {
    let unprocessable = |kind, message: &str| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, kind, message);
    match kind {
        KIND_PANE_UNKNOWN => {
            ApiError::new(StatusCode::NOT_FOUND, KIND_PANE_UNKNOWN, "the session has no such pane")
        }
        KIND_SCREEN_TOO_LARGE => {
            unprocessable(KIND_SCREEN_TOO_LARGE, "the panes hold too much for one answer: name one pane")
        }
        KIND_CWD_UNKNOWN => unprocessable(KIND_CWD_UNKNOWN, "the box has no such working directory"),
        KIND_COMMAND_NOT_FOUND => unprocessable(KIND_COMMAND_NOT_FOUND, "the box has no such program"),
        KIND_COMMAND_NOT_STARTED => {
            unprocessable(KIND_COMMAND_NOT_STARTED, "the program is there, but can't be started")
        }
        KIND_EXEC_BUSY => ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            KIND_EXEC_BUSY,
            "as many commands as may run on this box do; try again when one has ended",
        ),
        KIND_INVALID => unprocessable(KIND_INVALID, "the box's rules differ from the gateway's"),
        // What an agent says that does not know commands yet.
        "not_found" | "method_not_allowed" => ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "agent_too_old",
            "the box's agent is too old for this: update it",
        ),
        _ => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "box_failed",
            "the box can't do this just now; try again",
        ),
    }
}

pub(super) fn invalid(kind: &'static str, broken: &Broken) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, kind, broken.to_string())
}
