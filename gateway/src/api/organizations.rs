//! Organisations: who is in them, and what that allows in their workspaces.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use berth_protocol::ids::UserId;
use http::StatusCode;

use super::ApiError;
use super::policy::InOrganization;
use super::views::Error;
use super::views::member::NewMember;
use super::views::organization::{Organization, OrganizationMember, OrganizationName, Organizations};
use crate::app::SharedApp;
use crate::auth::{NAME_RULE, is_user_name};
use crate::changes::Change;
use crate::store::CurrentUser;

/// The organisations that the caller is in.
#[utoipa::path(get, path = "/api/v1/organizations", responses(
    (status = 200, body = Organizations), (status = 401, body = Error)
))]
pub async fn list(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
) -> Result<Json<Organizations>, ApiError> {
    let found = app.store.organizations_of(user.id).await?.into_iter();
    let organizations = found.map(|(organization, role)| Organization::new(organization, role)).collect();
    Ok(Json(Organizations { organizations }))
}

/// Makes an organisation, of which the caller is the owner.
#[utoipa::path(post, path = "/api/v1/organizations", request_body = OrganizationName, responses(
    (status = 201, body = Organization), (status = 400, body = Error), (status = 401, body = Error),
    (status = 403, body = Error), (status = 409, body = Error), (status = 422, body = Error)
))]
pub async fn create(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    body: Result<Json<OrganizationName>, JsonRejection>,
) -> Result<(StatusCode, Json<Organization>), ApiError> {
    let id = app.store.create_organization(checked(body)?, Some(user.id.clone())).await?;
    tracing::info!(user = %user.id, organization = %id, "organisation made");
    let made = app.store.organization_for(user.id, id).await?;
    let (organization, role) = made.ok_or_else(ApiError::organization_not_found)?;
    Ok((StatusCode::CREATED, Json(Organization::new(organization, role))))
}

/// An organisation.
#[utoipa::path(
    get, path = "/api/v1/organizations/{organization}", params(("organization" = String, Path)),
    responses((status = 200, body = Organization), (status = 401, body = Error), (status = 404, body = Error))
)]
pub async fn show(InOrganization(organization, role): InOrganization) -> Json<Organization> {
    Json(Organization::new(organization, role))
}

/// Gives an organisation another name.
#[utoipa::path(
    patch, path = "/api/v1/organizations/{organization}", params(("organization" = String, Path)),
    request_body = OrganizationName,
    responses(
        (status = 200, body = Organization), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error),
        (status = 422, body = Error)
    )
)]
pub async fn rename(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InOrganization(mut organization, role): InOrganization,
    body: Result<Json<OrganizationName>, JsonRejection>,
) -> Result<Json<Organization>, ApiError> {
    let name = checked(body)?;
    let newcomers = app.issuer.as_ref().and_then(|issuer| issuer.settings().organization.as_deref());
    // The settings know it by its name.
    if name != organization.name && newcomers == Some(organization.name.as_str()) {
        let message = "the gateway's settings name this organisation (issuer.organization): the operator changes it there first";
        return Err(ApiError::new(StatusCode::CONFLICT, "organization_in_settings", message));
    }
    organization.name = name;
    app.store.rename_organization(organization.id.clone(), organization.name.clone(), user.id).await?;
    Ok(Json(Organization::new(organization, role)))
}

/// Adds a user, or gives one another role: in all workspaces of the organisation.
#[utoipa::path(
    put, path = "/api/v1/organizations/{organization}/members", params(("organization" = String, Path)),
    request_body = NewMember,
    responses(
        (status = 200, body = OrganizationMember), (status = 400, body = Error), (status = 401, body = Error),
        (status = 403, body = Error), (status = 404, body = Error), (status = 409, body = Error)
    )
)]
pub async fn set_member(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InOrganization(organization, _): InOrganization,
    body: Result<Json<NewMember>, JsonRejection>,
) -> Result<Json<OrganizationMember>, ApiError> {
    let Json(NewMember { name, role }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let (name, role) = (name.trim().to_owned(), role.into());
    let set = app.store.set_organization_member(organization.id, name, role, Some(user.id)).await?;
    app.changes.publish(Change::Anything);
    Ok(Json(OrganizationMember::new(set, role)))
}

/// Takes a user out of the organisation: what they have open in its workspaces ends at once. Its last owner stays.
#[utoipa::path(
    delete, path = "/api/v1/organizations/{organization}/members/{user}",
    params(("organization" = String, Path), ("user" = String, Path)),
    responses(
        (status = 204), (status = 401, body = Error), (status = 403, body = Error), (status = 404, body = Error),
        (status = 409, body = Error)
    )
)]
pub async fn remove_member(
    State(app): State<SharedApp>,
    Extension(user): Extension<CurrentUser>,
    InOrganization(organization, _): InOrganization,
    path: Result<Path<(String, UserId)>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let not_found = || ApiError::member_not_found("organisation");
    let Path((_, member)) = path.map_err(|_| not_found())?;
    if !app.store.remove_organization_member(organization.id, member, Some(user.id)).await? {
        return Err(not_found());
    }
    app.changes.publish(Change::Anything);
    Ok(StatusCode::NO_CONTENT)
}

/// Names of organisations follow the rule of users' names, since both are typed at the command line.
fn checked(body: Result<Json<OrganizationName>, JsonRejection>) -> Result<String, ApiError> {
    let Json(OrganizationName { name }) = body.map_err(|rejection| ApiError::malformed(&rejection))?;
    let name = name.trim();
    if is_user_name(name) {
        return Ok(name.to_owned());
    }
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_name", NAME_RULE))
}
