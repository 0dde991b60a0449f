//! A user's inbox: what it holds, what was seen, answers, and what is not to be heard.

use std::convert::Infallible;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::{Extension, Json};
use berth_protocol::attention::{Answer, KIND_CHOICE_UNKNOWN, KIND_QUESTION_GONE, MAX_ANSWER_TEXT};
use berth_protocol::ids::{RequestId, UserId};
use futures_util::Stream;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::ApiError;
use super::commands::{box_of, refused};
use super::events::{KEEP_ALIVE, event};
use super::policy::{InNotification, InSession};
use super::views::Error;
use super::views::channel::Preferences;
use super::views::notification::{Inbox, InboxPage, InboxQuery, NewAnswer, NewMute, SeenNotifications};
use crate::app::SharedApp;
use crate::boxes::DoorError;
use crate::changes::Change;
use crate::notifications::{self, Attending};
use crate::store::{AuditNote, CurrentUser, Mute, Notification, SeenNotifications as Seen, Wanted, now_ms};

/// Notifications of an answer when nothing is said, ...
const DEFAULT_LIMIT: u32 = 50;

/// ... and at most.
const MAX_LIMIT: u32 = 200;

/// How long a session can be muted, seconds.
const MUTES: std::ops::RangeInclusive<u64> = 60..=365 * 24 * 3600;

/// The caller's inbox, newest first.
#[utoipa::path(get, path = "/api/v1/notifications", params(InboxQuery), responses(
    (status = 200, body = InboxPage), (status = 400, body = Error), (status = 401, body = Error)
))]
pub async fn list(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    query: Result<Query<InboxQuery>, QueryRejection>,
) -> Result<Json<InboxPage>, ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::malformed_query(&rejection))?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let session = query.session.map(|id| id.parse()).transpose().map_err(|_| {
        ApiError::new(StatusCode::BAD_REQUEST, "malformed_request", "the query's session is no session id")
    })?;
    // A place beyond the largest number is beyond the newest too.
    let before = query.before.filter(|before| i64::try_from(*before).is_ok());
    // One more than asked for tells whether there are more.
    let wanted = Wanted { unread: query.unread, session, before, limit: limit + 1 };
    let mut found = app.store.inbox(user.id, wanted).await?;
    let more = found.notifications.len() > limit as usize;
    found.notifications.truncate(limit as usize);
    let next = found.notifications.last().filter(|_| more).map(|last| last.seq);
    Ok(Json(InboxPage { inbox: found.into(), next }))
}

/// The caller's inbox as it changes: `inbox` events, the first with what is newest, the others with what has changed.
/// With `Last-Event-ID` it goes on where it was.
#[utoipa::path(get, path = "/api/v1/notifications/stream", responses(
    (status = 200, content_type = "text/event-stream", body = Inbox), (status = 401, body = Error)
))]
pub async fn stream(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    // Subscribed first: what changes while the first event is read comes after it.
    let changes = app.changes.subscribe();
    let mut news = InboxNews::new(app.clone(), user.id);
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let first = match last {
        Some(seq) => news.since(seq).await?,
        None => news.newest().await?,
    };
    let watch = Watch { news, changes };
    let events = futures_util::stream::unfold((Some(first), watch), |(first, mut watch)| async move {
        let inbox = match first {
            Some(inbox) => inbox,
            None => watch.next().await?,
        };
        let seq = inbox.seq;
        Some((Ok(event("inbox", &inbox).id(seq.to_string())), (None, watch)))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Watch {
    news: InboxNews,
    changes: Receiver<Change>,
}

impl Watch {
    async fn next(&mut self) -> Option<Inbox> {
        let stopping = self.news.app.stopping.clone();
        loop {
            let change = tokio::select! {
                () = stopping.cancelled() => return None,
                change = self.changes.recv() => change,
            };
            match change {
                Ok(Change::Inbox(_) | Change::Anything) | Err(RecvError::Lagged(_)) => {
                    if let Some(inbox) = self.news.next().await.ok()? {
                        return Some(inbox);
                    }
                }
                Ok(_) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// What of an inbox a stream has not told yet.
pub(super) struct InboxNews {
    app: SharedApp,
    user: UserId,
    told: u64,
    _attending: Attending,
}

impl InboxNews {
    /// Nothing was told yet.
    pub(super) fn new(app: SharedApp, user: UserId) -> Self {
        let attending = app.notifications.attend(user.clone());
        Self { app, user, told: 0, _attending: attending }
    }

    /// What a page begins with.
    pub(super) async fn newest(&mut self) -> Result<Inbox, ApiError> {
        let wanted = Wanted { limit: DEFAULT_LIMIT, ..Wanted::default() };
        let inbox = self.app.store.inbox(self.user.clone(), wanted).await?;
        self.told = inbox.seq;
        Ok(inbox.into())
    }

    async fn since(&mut self, seq: u64) -> Result<Inbox, ApiError> {
        // A number that was never given is of another life of the store.
        let known = i64::try_from(seq).is_ok();
        let inbox =
            self.app.store.inbox_since(self.user.clone(), if known { seq } else { 0 }, MAX_LIMIT).await?;
        if inbox.seq < seq {
            return self.newest().await;
        }
        self.told = inbox.seq;
        Ok(inbox.into())
    }

    /// What has changed since, if anything has.
    pub(super) async fn next(&mut self) -> Result<Option<Inbox>, ApiError> {
        let inbox = self.app.store.inbox_since(self.user.clone(), self.told, MAX_LIMIT).await?;
        if inbox.seq == self.told {
            return Ok(None);
        }
        self.told = inbox.seq;
        Ok(Some(inbox.into()))
    }
}

/// Marks as seen what came up to a place, or all of a session.
#[utoipa::path(post, path = "/api/v1/notifications/seen", request_body = SeenNotifications, responses(
    (status = 204), (status = 400, body = Error), (status = 401, body = Error), (status = 403, body = Error),
    (status = 413, body = Error), (status = 422, body = Error)
))]
pub async fn see(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    body: Result<Json<SeenNotifications>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(body) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let seen = match (body.session_id.map(|id| id.parse()), body.up_to) {
        (Some(Ok(session)), None) => Seen::Session(session),
        (None, Some(seq)) => Seen::UpTo(seq.min(i64::MAX.unsigned_abs())),
        _ => {
            let message = "say what was seen: a session_id, or up_to which place";
            return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_seen", message));
        }
    };
    seen_by(&app, user.id, seen).await
}

/// Marks one notification as seen.
#[utoipa::path(
    post, path = "/api/v1/notifications/{notification}/ack", params(("notification" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn ack(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InNotification(notification): InNotification,
) -> Result<StatusCode, ApiError> {
    seen_by(&app, user.id, Seen::One(notification.id)).await
}

async fn seen_by(app: &SharedApp, user: UserId, seen: Seen) -> Result<StatusCode, ApiError> {
    if app.store.see(user, seen).await? > 0 {
        app.changes.publish(Change::Inbox(None));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Answers what a pane asks, if it still does: what is typed there is what the box has offered.
#[utoipa::path(
    post, path = "/api/v1/notifications/{notification}/answer", params(("notification" = String, Path)),
    request_body = NewAnswer,
    responses(
        (status = 204), (status = 400, body = Error), (status = 401, body = Error), (status = 403, body = Error),
        (status = 404, body = Error), (status = 409, body = Error), (status = 413, body = Error),
        (status = 422, body = Error), (status = 501, body = Error), (status = 502, body = Error),
        (status = 503, body = Error)
    )
)]
pub async fn answer(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    Extension(request_id): Extension<RequestId>,
    InNotification(notification): InNotification,
    body: Result<Json<NewAnswer>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(body) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let answer = checked(&notification, body)?;
    let session = notification.session.clone().ok_or_else(question_gone)?;
    let handle = box_of(&app, &notification.workspace)?;
    // What was typed may be a secret: the record has its length.
    let detail = json!({
        "notification": notification.id, "session": session, "choice": answer.choice,
        "text_bytes": answer.text.as_ref().map(String::len),
    });
    let workspace = notification.workspace.clone();
    let note = |action| AuditNote {
        workspace: workspace.clone(),
        user: user.id.clone(),
        request_id: request_id.clone(),
        action,
        detail: detail.clone(),
    };
    app.store.note(note("answer_started")).await?;
    let outcome = handle.answer(&session, &answer, &request_id).await;
    let because = match &outcome {
        Ok(()) => Some("answered"),
        // The box looked: nothing waits for this answer any more.
        Err(DoorError::Refused { kind, .. }) if kind == KIND_QUESTION_GONE => Some("went_on"),
        Err(_) => None,
    };
    if let Some(because) = because {
        app.store.end_notification(notification.id.clone(), because).await?;
        app.changes.publish(Change::Inbox(Some(notification.workspace.clone())));
    }
    outcome.map_err(|error| match &error {
        DoorError::Refused { kind, .. } if kind == KIND_QUESTION_GONE => question_gone(),
        DoorError::Refused { kind, .. } if kind == KIND_CHOICE_UNKNOWN => choice_unknown(),
        _ => refused(&error),
    })?;
    app.store.note(note("question_answered")).await?;
    seen_by(&app, user.id, Seen::One(notification.id)).await
}

/// What the box is to be told, if the question is open and offers that.
fn checked(notification: &Notification, body: NewAnswer) -> Result<Answer, ApiError> {
    let invalid = |message: &str| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_answer", message);
    let (Some(question), Some(pane)) = (&notification.question, notification.pane) else {
        return Err(invalid("this notification asks nothing that can be answered here"));
    };
    match (&body.choice, &body.text) {
        (Some(choice), None) if !question.choices.iter().any(|one| one.id == *choice) => {
            return Err(choice_unknown());
        }
        (Some(_), None) => {}
        (None, Some(_)) if !question.free_text => return Err(invalid("this question takes no words")),
        (None, Some(text)) if text.is_empty() || text.len() > MAX_ANSWER_TEXT => {
            return Err(invalid("an answer has 1 to 4096 bytes"));
        }
        (None, Some(text)) if text.chars().any(char::is_control) => {
            return Err(invalid("an answer is one line, without control characters"));
        }
        (None, Some(_)) => {}
        _ => return Err(invalid("say either a choice or a text")),
    }
    if notification.ended_at_ms.is_some() {
        return Err(question_gone());
    }
    Ok(Answer {
        notification: notification.id.clone(),
        pane,
        fingerprint: question.fingerprint.clone(),
        choice: body.choice,
        text: body.text,
    })
}

fn question_gone() -> ApiError {
    let message = "the terminal no longer shows this question, so nothing was typed: open the session to see";
    ApiError::new(StatusCode::CONFLICT, KIND_QUESTION_GONE, message)
}

fn choice_unknown() -> ApiError {
    let message = "the question offers no such choice";
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, KIND_CHOICE_UNKNOWN, message)
}

/// Lets the caller hear nothing of a session, for a time or for good. Its notifications are in the inbox all the same.
#[utoipa::path(
    put, path = "/api/v1/sessions/{session}/mute", params(("session" = String, Path)), request_body = NewMute,
    responses(
        (status = 204), (status = 400, body = Error), (status = 401, body = Error), (status = 403, body = Error),
        (status = 404, body = Error), (status = 413, body = Error), (status = 422, body = Error)
    )
)]
pub async fn mute(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InSession(session): InSession,
    body: Result<Json<NewMute>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(NewMute { seconds }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    if seconds.is_some_and(|seconds| !MUTES.contains(&seconds)) {
        let message =
            format!("a session is muted for {} to {} seconds, or for good", MUTES.start(), MUTES.end());
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_mute", message));
    }
    let until_ms =
        seconds.and_then(|seconds| i64::try_from(seconds).ok()).map(|seconds| now_ms() + seconds * 1_000);
    app.store.mute(user.id, Mute { session: session.id, until_ms }).await?;
    app.changes.publish(Change::Inbox(Some(session.workspace)));
    Ok(StatusCode::NO_CONTENT)
}

/// Lets the caller hear of a session again.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{session}/mute", params(("session" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn unmute(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InSession(session): InSession,
) -> Result<StatusCode, ApiError> {
    app.store.unmute(user.id, session.id).await?;
    app.changes.publish(Change::Inbox(Some(session.workspace)));
    Ok(StatusCode::NO_CONTENT)
}

/// How the caller wants to be told.
#[utoipa::path(get, path = "/api/v1/notifications/settings", responses(
    (status = 200, body = Preferences), (status = 401, body = Error)
))]
pub async fn settings(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
) -> Result<Json<Preferences>, ApiError> {
    Ok(Json(app.store.preferences(user.id).await?.into()))
}

/// Changes how the caller wants to be told.
#[utoipa::path(put, path = "/api/v1/notifications/settings", request_body = Preferences, responses(
    (status = 200, body = Preferences), (status = 400, body = Error), (status = 401, body = Error),
    (status = 403, body = Error), (status = 413, body = Error), (status = 422, body = Error)
))]
pub async fn change_settings(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    body: Result<Json<Preferences>, JsonRejection>,
) -> Result<Json<Preferences>, ApiError> {
    let Json(body) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let wanted = notifications::Preferences::from(body);
    wanted
        .check()
        .map_err(|message| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_settings", message))?;
    app.store.put_preferences(user.id, wanted.clone()).await?;
    app.notifications.wake();
    Ok(Json(wanted.into()))
}
