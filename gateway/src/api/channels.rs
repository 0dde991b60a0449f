//! Channels: the ways by which a user is told outside of the console, and what devices say of messages.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};
use http::StatusCode;
use serde_json::json;

use super::ApiError;
use super::policy::InChannel;
use super::sessions::checked_name;
use super::views::Error;
use super::views::channel::{Channel, ChannelPatch, Channels, NewChannel, NewReceipt, NewTarget};
use crate::app::SharedApp;
use crate::notifications::Target;
use crate::store::{self, ChannelChange, CurrentUser, Deed, Outcome};

/// The caller's channels, and what browsers need to become one.
#[utoipa::path(get, path = "/api/v1/channels", responses(
    (status = 200, body = Channels), (status = 401, body = Error)
))]
pub async fn list(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
) -> Result<Json<Channels>, ApiError> {
    let channels = app.store.channels_of(user.id).await?;
    Ok(Json(Channels {
        channels: channels.into_iter().map(Channel::from).collect(),
        push_public_key: app.notifications.sender.public_key().to_owned(),
    }))
}

/// Makes a channel. One that leads to the same place is renewed.
#[utoipa::path(post, path = "/api/v1/channels", request_body = NewChannel, responses(
    (status = 201, body = Channel), (status = 400, body = Error), (status = 401, body = Error),
    (status = 403, body = Error), (status = 409, body = Error), (status = 413, body = Error),
    (status = 422, body = Error)
))]
pub async fn create(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    body: Result<Json<NewChannel>, JsonRejection>,
) -> Result<(StatusCode, Json<Channel>), ApiError> {
    let Json(body) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let guard = app.notifications.sender.guard();
    let target = match body.target {
        NewTarget::WebPush { endpoint, p256dh, auth } => Target::web_push(&endpoint, &p256dh, &auth, guard),
        NewTarget::Ntfy { url, token } => Target::ntfy(&url, token, guard),
        NewTarget::Webhook { url, secret } => Target::webhook(&url, secret, guard),
    };
    let target = target.map_err(|error| {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_target", error.to_string())
    })?;
    let new = store::NewChannel {
        kind: target.kind(),
        name: checked_name(&body.name)?,
        shown: target.shown(),
        address: target.url().to_string(),
        escalation: body.escalation,
        includes_text: body.includes_text,
    };
    let sealer = app.sealer.clone();
    let channel = app.store.put_channel(user.id.clone(), new, move |id| target.seal(&sealer, id)).await?;
    let detail = json!({ "channel": channel.id, "kind": channel.kind, "leads_to": channel.shown });
    app.store.note(Deed::new("channel_created", Outcome::Done, detail).by(user.id)).await?;
    tracing::info!(channel = %channel.id, kind = channel.kind, "channel made");
    Ok((StatusCode::CREATED, Json(channel.into())))
}

/// Changes a channel.
#[utoipa::path(
    patch, path = "/api/v1/channels/{channel}", params(("channel" = String, Path)), request_body = ChannelPatch,
    responses(
        (status = 200, body = Channel), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 413, body = Error),
        (status = 422, body = Error)
    )
)]
pub async fn change(
    State(app): State<SharedApp>,
    InChannel(channel): InChannel,
    body: Result<Json<ChannelPatch>, JsonRejection>,
) -> Result<Json<Channel>, ApiError> {
    let Json(body) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let name = body.name.map(|name| checked_name(&name)).transpose()?;
    let ChannelPatch { escalation, includes_text, on, .. } = body;
    let change = ChannelChange { name, escalation, includes_text, on };
    let changed = app.store.change_channel(channel.id, change).await?;
    Ok(Json(changed.ok_or_else(ApiError::channel_not_found)?.into()))
}

/// Deletes a channel, and what was to be sent there.
#[utoipa::path(
    delete, path = "/api/v1/channels/{channel}", params(("channel" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn end(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InChannel(channel): InChannel,
) -> Result<StatusCode, ApiError> {
    if !app.store.delete_channel(channel.id.clone()).await? {
        return Err(ApiError::channel_not_found());
    }
    tracing::info!(channel = %channel.id, "channel deleted");
    let deed = Deed::new("channel_deleted", Outcome::Done, json!({ "channel": channel.id }));
    app.store.note(deed.by(user.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a message by which one can see whether the channel works; what became of it is the channel's `last`.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/test", params(("channel" = String, Path)),
    responses(
        (status = 202), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error),
        (status = 409, body = Error)
    )
)]
pub async fn test(
    State(app): State<SharedApp>,
    InChannel(channel): InChannel,
) -> Result<StatusCode, ApiError> {
    if channel.state != "active" {
        let message = "this channel is not told anything: switch it on, or make it anew if it is gone";
        return Err(ApiError::new(StatusCode::CONFLICT, "channel_not_active", message));
    }
    app.store.test_channel(channel.id).await?;
    app.notifications.wake();
    Ok(StatusCode::ACCEPTED)
}

/// Takes what a device says of a message. The secret that came with the message is the right to say it, once.
#[utoipa::path(post, path = "/api/v1/receipts", request_body = NewReceipt, responses(
    (status = 204), (status = 400, body = Error), (status = 403, body = Error), (status = 404, body = Error),
    (status = 413, body = Error), (status = 422, body = Error)
))]
pub async fn receipt(
    State(app): State<SharedApp>,
    body: Result<Json<NewReceipt>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Json(NewReceipt { receipt, what }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    if app.store.receipt(&receipt, what.into()).await?.is_none() {
        let message = "this receipt is unknown or was used";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "receipt_unknown", message));
    }
    app.metrics.notifications.receipt();
    Ok(StatusCode::NO_CONTENT)
}
