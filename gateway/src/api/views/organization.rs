//! Organisations.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::User;
use super::member::MemberRole;
use crate::store;

/// A group of users who share workspaces.
#[derive(Debug, Serialize, ToSchema)]
pub struct Organization {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How much the caller may do there, and in its workspaces.
    pub role: MemberRole,
    /// Who is in it, by name.
    pub members: Vec<OrganizationMember>,
    /// Its workspaces, by name.
    pub workspaces: Vec<OrganizationWorkspace>,
}

/// Somebody who is in an organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrganizationMember {
    /// Who.
    pub user: User,
    /// How much they may do, there and in its workspaces.
    pub role: MemberRole,
}

/// A workspace of an organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrganizationWorkspace {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Organisations.
#[derive(Debug, Serialize, ToSchema)]
pub struct Organizations {
    /// Those that the caller is in, by name.
    pub organizations: Vec<Organization>,
}

/// An organisation to make, or its other name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationName {
    /// 2 to 32 characters of a-z, 0-9, ., _ and -, beginning with a letter.
    pub name: String,
}

impl Organization {
    /// As somebody with this role sees it.
    #[must_use]
    pub fn new(organization: store::Organization, role: store::MemberRole) -> Self {
        let members = organization.members.into_iter();
        let workspaces = organization.workspaces.into_iter();
        Self {
            id: organization.id.into(),
            name: organization.name,
            role: role.into(),
            members: members.map(|(user, role)| OrganizationMember::new(user, role)).collect(),
            workspaces: workspaces.map(|(id, name)| OrganizationWorkspace { id: id.into(), name }).collect(),
        }
    }
}

impl OrganizationMember {
    /// A user with this role.
    #[must_use]
    pub fn new(user: store::CurrentUser, role: store::MemberRole) -> Self {
        Self { user: user.into(), role: role.into() }
    }
}
