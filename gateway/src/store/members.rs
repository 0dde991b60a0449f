//! Who may do how much in which workspace: members, and the roles that they have there.

use std::{fmt, str};

use berth_protocol::ids::{RequestId, UserId, WorkspaceId};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::audit::{self, AuditNote};
use super::transaction::Tx;
use super::workspaces::{self, QUALIFIED};
use super::{CurrentUser, Store, StoreError, Workspace, WorkspaceView, now_ms, users};

/// How much somebody may do in a workspace. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Looks on, and watches terminals.
    Viewer,
    /// Works: types, makes and ends sessions, shares them.
    Editor,
    /// Administrates: members, settings, where backups go.
    Owner,
}

/// A text that is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a role: expected viewer, editor or owner")]
pub struct InvalidRole;

impl fmt::Display for MemberRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        })
    }
}

impl str::FromStr for MemberRole {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "editor" => Ok(Self::Editor),
            "owner" => Ok(Self::Owner),
            _ => Err(InvalidRole),
        }
    }
}

impl MemberRole {
    /// As the view `workspace_users` counts it.
    pub(super) fn rank(self) -> i64 {
        match self {
            Self::Viewer => 1,
            Self::Editor => 2,
            Self::Owner => 3,
        }
    }

    fn of_rank(rank: i64) -> Self {
        match rank {
            3 => Self::Owner,
            2 => Self::Editor,
            _ => Self::Viewer,
        }
    }
}

/// Somebody who may use a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: CurrentUser,
    /// How much they may do.
    pub role: MemberRole,
    /// The role that they were added with: it can be changed here. Others have theirs because the workspace is theirs,
    /// or their organisation's.
    pub added: Option<MemberRole>,
}

impl Store {
    /// A workspace, and what a user may do there. `None`: it is not there for this user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn workspace_for(
        &self,
        user: UserId,
        id: WorkspaceId,
    ) -> Result<Option<(WorkspaceView, MemberRole)>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT {QUALIFIED}, workspace_users.rank FROM workspace_users
                 JOIN workspaces ON workspaces.id = workspace_users.workspace_id
                 WHERE workspace_users.user_id = $1 AND workspace_users.workspace_id = $2"
            );
            let found = tx.optional(&sql, params![user.as_str(), id.as_str()], seen)?;
            found.map(|(workspace, role)| Ok((workspaces::view(tx, workspace)?, role))).transpose()
        })
        .await
    }

    /// Every workspace that a user may see, and what they may do there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn workspaces_of(&self, user: UserId) -> Result<Vec<(WorkspaceView, MemberRole)>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT {QUALIFIED}, workspace_users.rank FROM workspace_users
                 JOIN workspaces ON workspaces.id = workspace_users.workspace_id
                 WHERE workspace_users.user_id = $1 ORDER BY workspaces.name, workspaces.id"
            );
            let found = tx.all(&sql, [user.as_str()], seen)?;
            let views =
                found.into_iter().map(|(workspace, role)| Ok((workspaces::view(tx, workspace)?, role)));
            views.collect()
        })
        .await
    }

    /// Who may use a workspace, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn members_of(&self, workspace: WorkspaceId) -> Result<Vec<Member>, StoreError> {
        self.transaction(move |tx| members(tx, &workspace)).await
    }

    /// Adds a user to a workspace, or gives them another role there.
    ///
    /// # Errors
    /// [`StoreError::NoSuchUser`].
    pub async fn set_member(
        &self,
        workspace: WorkspaceId,
        name: String,
        role: MemberRole,
        by: UserId,
        request_id: RequestId,
    ) -> Result<Member, StoreError> {
        self.transaction(move |tx| {
            let user = users::named(tx, &name)?.ok_or(StoreError::NoSuchUser(name))?;
            add_member(tx, &workspace, &user.id, role)?;
            let detail = json!({ "member": user.id, "role": role.to_string() });
            audit::add(
                tx,
                AuditNote {
                    workspace: workspace.clone(),
                    user: by,
                    request_id,
                    action: "member_set",
                    detail,
                },
            )?;
            let found = members(tx, &workspace)?.into_iter().find(|member| member.user.id == user.id);
            // A blocked user may use nothing, and is a member all the same.
            Ok(found.unwrap_or(Member { user, role, added: Some(role) }))
        })
        .await
    }

    /// Takes a user out of a workspace. `false`: they were not added to it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_member(
        &self,
        workspace: WorkspaceId,
        user: UserId,
        by: UserId,
        request_id: RequestId,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let sql = "DELETE FROM workspace_members WHERE workspace_id = $1 AND user_id = $2";
            if tx.execute(sql, params![workspace.as_str(), user.as_str()])? == 0 {
                return Ok(false);
            }
            let detail = json!({ "member": user });
            audit::add(tx, AuditNote { workspace, user: by, request_id, action: "member_removed", detail })?;
            Ok(true)
        })
        .await
    }
}

/// Gives a user a role in a workspace.
pub(super) fn add_member(
    tx: &Tx<'_>,
    workspace: &WorkspaceId,
    user: &UserId,
    role: MemberRole,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO workspace_members (workspace_id, user_id, role, created_at_ms) VALUES ($1, $2, $3, $4)
         ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role",
        params![workspace.as_str(), user.as_str(), role.to_string(), now_ms()],
    )?;
    Ok(())
}

fn members(tx: &Tx<'_>, workspace: &WorkspaceId) -> Result<Vec<Member>, StoreError> {
    let sql = "SELECT users.id, users.name, workspace_users.rank, workspace_members.role FROM workspace_users
               JOIN users ON users.id = workspace_users.user_id
               LEFT JOIN workspace_members ON workspace_members.workspace_id = workspace_users.workspace_id
                   AND workspace_members.user_id = workspace_users.user_id
               WHERE workspace_users.workspace_id = $1 ORDER BY users.name";
    tx.all(sql, [workspace.as_str()], |row| {
        let added: Option<String> = row.get("role")?;
        let (user, role) = (users::user(row)?, MemberRole::of_rank(row.get("rank")?));
        Ok(Member { user, role, added: added.and_then(|role| role.parse().ok()) })
    })
}

fn seen(row: &Row<'_>) -> rusqlite::Result<(Workspace, MemberRole)> {
    Ok((workspaces::workspace(row)?, MemberRole::of_rank(row.get("rank")?)))
}
