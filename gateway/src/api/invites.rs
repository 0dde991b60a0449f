//! Invites: made, listed and taken back by the installation's owner, and by owners of organisations for these. Redeeming
//! one is a way to sign in.

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use berth_protocol::ids::{InviteId, OrganizationId};
use http::StatusCode;

use super::ApiError;
use super::policy::InOrganization;
use super::views::Error;
use super::views::invite::{CreatedInvite, Invite, Invites, NewInvite, NewOrganizationInvite};
use crate::app::SharedApp;
use crate::auth::new_secret;
use crate::store::{self, CurrentUser, InvitePlace, MemberRole};

/// How often an invite may be used.
const USES: std::ops::RangeInclusive<u32> = 1..=1000;

/// How long it may be used, seconds.
const LIFETIMES: std::ops::RangeInclusive<u64> = 60..=90 * 24 * 3600;

/// Every invite that can be used, whoever made it.
#[utoipa::path(get, path = "/api/v1/invites", responses(
    (status = 200, body = Invites), (status = 401, body = Error), (status = 403, body = Error)
))]
pub async fn list(State(app): State<SharedApp>) -> Result<Json<Invites>, ApiError> {
    listed(&app, None).await
}

/// Makes an invite, whose code is told here only.
#[utoipa::path(post, path = "/api/v1/invites", request_body = NewInvite, responses(
    (status = 201, body = CreatedInvite), (status = 400, body = Error), (status = 401, body = Error),
    (status = 403, body = Error), (status = 409, body = Error), (status = 422, body = Error)
))]
pub async fn create(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    body: Result<Json<NewInvite>, JsonRejection>,
) -> Result<(StatusCode, Json<CreatedInvite>), ApiError> {
    let Json(new) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    make(&app, user, new.uses, new.expires_in_seconds, new.access.map(Into::into)).await
}

/// Takes an invite back. Accounts that were made with it stay.
#[utoipa::path(
    delete, path = "/api/v1/invites/{invite}", params(("invite" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn revoke(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    path: Result<Path<InviteId>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path(id) = path.map_err(|_| ApiError::invite_not_found())?;
    end(&app, user, id, None).await
}

/// The invites into the organisation that can be used.
#[utoipa::path(
    get, path = "/api/v1/organizations/{organization}/invites", params(("organization" = String, Path)),
    responses(
        (status = 200, body = Invites), (status = 401, body = Error), (status = 403, body = Error),
        (status = 404, body = Error)
    )
)]
pub async fn list_into(
    State(app): State<SharedApp>,
    InOrganization(organization, _): InOrganization,
) -> Result<Json<Invites>, ApiError> {
    listed(&app, Some(organization.id)).await
}

/// Makes an invite into the organisation, whose code is told here only.
#[utoipa::path(
    post, path = "/api/v1/organizations/{organization}/invites", params(("organization" = String, Path)),
    request_body = NewOrganizationInvite,
    responses(
        (status = 201, body = CreatedInvite), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 422, body = Error)
    )
)]
pub async fn create_into(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InOrganization(organization, _): InOrganization,
    body: Result<Json<NewOrganizationInvite>, JsonRejection>,
) -> Result<(StatusCode, Json<CreatedInvite>), ApiError> {
    let Json(new) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let access = (InvitePlace::Organization(organization.id), new.role.into());
    make(&app, user, new.uses, new.expires_in_seconds, Some(access)).await
}

/// Takes an invite into the organisation back. Accounts that were made with it stay.
#[utoipa::path(
    delete, path = "/api/v1/organizations/{organization}/invites/{invite}",
    params(("organization" = String, Path), ("invite" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error)
    )
)]
pub async fn revoke_into(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InOrganization(organization, _): InOrganization,
    path: Result<Path<(String, InviteId)>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path((_, id)) = path.map_err(|_| ApiError::invite_not_found())?;
    end(&app, user, id, Some(organization.id)).await
}

async fn listed(app: &SharedApp, into: Option<OrganizationId>) -> Result<Json<Invites>, ApiError> {
    let invites = app.store.invites(into).await?;
    Ok(Json(Invites { invites: invites.into_iter().map(Invite::from).collect() }))
}

async fn make(
    app: &SharedApp,
    user: CurrentUser,
    uses: u32,
    seconds: u64,
    access: Option<(InvitePlace, MemberRole)>,
) -> Result<(StatusCode, Json<CreatedInvite>), ApiError> {
    let unprocessable = |kind, message| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, kind, message);
    if !USES.contains(&uses) {
        let message = format!("an invite is good for {} to {} accounts", USES.start(), USES.end());
        return Err(unprocessable("invalid_uses", message));
    }
    if !LIFETIMES.contains(&seconds) {
        let message = format!("an invite lasts {} to {} seconds", LIFETIMES.start(), LIFETIMES.end());
        return Err(unprocessable("invalid_lifetime", message));
    }
    let code = new_secret();
    let lifetime = Duration::from_secs(seconds);
    let new = store::NewInvite { uses, access, lifetime, by: Some(user.id.clone()) };
    let invite = app.store.create_invite(&code, new).await?;
    tracing::info!(user = %user.id, invite = %invite.id, "invite made");
    // Behind the `#`, which browsers send nowhere.
    let url = format!("{}/invite#{code}", app.origin.as_str());
    Ok((StatusCode::CREATED, Json(CreatedInvite { invite: invite.into(), url })))
}

async fn end(
    app: &SharedApp,
    user: CurrentUser,
    id: InviteId,
    into: Option<OrganizationId>,
) -> Result<StatusCode, ApiError> {
    if !app.store.revoke_invite(id.clone(), into, Some(user.id.clone())).await? {
        return Err(ApiError::invite_not_found());
    }
    tracing::info!(user = %user.id, invite = %id, "invite taken back");
    Ok(StatusCode::NO_CONTENT)
}
