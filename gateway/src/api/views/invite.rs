//! Invites.

use berth_protocol::ids::{OrganizationId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::member::MemberRole;
use crate::store;

/// A right to make accounts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invite {
    /// Its identifier.
    pub id: String,
    /// How often it may still be used.
    pub uses_left: u64,
    /// What its users may use at once, if anything.
    pub access: Option<InviteAccess>,
    /// The name of who made it; nobody is the operator at the command line.
    pub maker: Option<String>,
    /// When it was made, milliseconds since 1970.
    pub created_at_ms: i64,
    /// When it ends, milliseconds since 1970.
    pub expires_at_ms: i64,
}

/// What the users of an invite may use at once.
#[derive(Debug, Serialize, ToSchema)]
pub struct InviteAccess {
    /// Of which kind it is.
    pub kind: InvitePlace,
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What they may do there.
    pub role: MemberRole,
}

/// Where an invite leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvitePlace {
    /// Into a workspace.
    Workspace,
    /// Into an organisation.
    Organization,
}

/// Invites.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invites {
    /// Those that can be used, oldest first.
    pub invites: Vec<Invite>,
}

/// An invite that was made just now.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedInvite {
    /// The invite.
    pub invite: Invite,
    /// The link with its code, which is told here only.
    pub url: String,
}

/// An invite to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// How often it may be used, 1 to 1000.
    #[serde(default = "once")]
    #[schema(default = 1)]
    pub uses: u32,
    /// How long it may be used, 60 to 7776000.
    #[serde(default = "a_week")]
    #[schema(default = 604_800)]
    pub expires_in_seconds: u64,
    /// What its users may use at once, of which the caller has to be an owner.
    #[serde(default)]
    pub access: Option<NewInviteAccess>,
}

/// What the users of an invite are to use at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum NewInviteAccess {
    /// A workspace.
    Workspace {
        /// Its identifier.
        #[schema(value_type = String)]
        id: WorkspaceId,
        /// What they may do there.
        role: MemberRole,
    },
    /// An organisation.
    Organization {
        /// Its identifier.
        #[schema(value_type = String)]
        id: OrganizationId,
        /// What they may do there.
        role: MemberRole,
    },
}

/// An invite into an organisation, to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganizationInvite {
    /// How often it may be used, 1 to 1000.
    #[serde(default = "once")]
    #[schema(default = 1)]
    pub uses: u32,
    /// How long it may be used, 60 to 7776000.
    #[serde(default = "a_week")]
    #[schema(default = 604_800)]
    pub expires_in_seconds: u64,
    /// What its users may do there.
    pub role: MemberRole,
}

fn once() -> u32 {
    1
}

fn a_week() -> u64 {
    7 * 24 * 3600
}

impl From<NewInviteAccess> for (store::InvitePlace, store::MemberRole) {
    fn from(access: NewInviteAccess) -> Self {
        match access {
            NewInviteAccess::Workspace { id, role } => (store::InvitePlace::Workspace(id), role.into()),
            NewInviteAccess::Organization { id, role } => (store::InvitePlace::Organization(id), role.into()),
        }
    }
}

impl From<store::Invite> for Invite {
    fn from(invite: store::Invite) -> Self {
        let name = invite.place_name.unwrap_or_default();
        let access = invite.access.map(|(place, role)| {
            let (kind, id) = match place {
                store::InvitePlace::Workspace(id) => (InvitePlace::Workspace, id.into()),
                store::InvitePlace::Organization(id) => (InvitePlace::Organization, id.into()),
            };
            InviteAccess { kind, id, name, role: role.into() }
        });
        Self {
            id: invite.id.into(),
            uses_left: invite.uses_left,
            access,
            maker: invite.maker,
            created_at_ms: invite.created_at_ms,
            expires_at_ms: invite.expires_at_ms,
        }
    }
}
