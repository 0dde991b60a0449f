//! Members of workspaces.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::User;
use crate::store;

/// How much somebody may do in a workspace. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Looks on, watches terminals and sees previews.
    Viewer,
    /// Works: types, makes and ends sessions, shares them.
    Editor,
    /// Administrates: members, settings, where backups go.
    Owner,
}

/// Somebody who may use a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    /// Who.
    pub user: User,
    /// How much they may do.
    pub role: MemberRole,
    /// The role that they were added with, which can be changed. Others have theirs because the workspace is theirs,
    /// or their organisation's.
    pub added: Option<MemberRole>,
}

/// Who may use a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Members {
    /// They, by name.
    pub members: Vec<Member>,
}

/// Somebody to be added, or to have another role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// The user's name.
    pub name: String,
    /// The role.
    pub role: MemberRole,
}

impl From<store::Member> for Member {
    fn from(member: store::Member) -> Self {
        Self { user: member.user.into(), role: member.role.into(), added: member.added.map(Into::into) }
    }
}

impl From<store::MemberRole> for MemberRole {
    fn from(role: store::MemberRole) -> Self {
        match role {
            store::MemberRole::Viewer => Self::Viewer,
            store::MemberRole::Editor => Self::Editor,
            store::MemberRole::Owner => Self::Owner,
        }
    }
}

impl From<MemberRole> for store::MemberRole {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Viewer => Self::Viewer,
            MemberRole::Editor => Self::Editor,
            MemberRole::Owner => Self::Owner,
        }
    }
}
