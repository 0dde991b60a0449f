//! Who may do how much in which workspace: members, and the roles that they have there.

use std::{fmt, str};

use berth_protocol::ids::{OrganizationId, RequestId, UserId, WorkspaceId};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::audit::{self, AuditNote};
use super::transaction::{Tx, parsed};
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

/// An organisation, and who is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its identifier.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its members.
    pub members: Vec<(CurrentUser, MemberRole)>,
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

    /// Makes an organisation.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`].
    pub async fn create_organization(&self, name: String) -> Result<OrganizationId, StoreError> {
        self.transaction(move |tx| {
            let id = OrganizationId::random();
            let sql = "INSERT INTO organizations (id, name, created_at_ms) VALUES ($1, $2, $3)";
            match tx.execute(sql, params![id.as_str(), name, now_ms()]) {
                Err(error) if error.is_conflict() => Err(StoreError::NameTaken(name)),
                other => other.map(|_| id),
            }
        })
        .await
    }

    /// Every organisation, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        self.transaction(|tx| {
            let read = |row: &Row<'_>| Ok((parsed(row, "id")?, row.get::<_, String>("name")?));
            let found = tx.all("SELECT id, name FROM organizations ORDER BY name", [], read)?;
            let with_members = found.into_iter().map(|(id, name): (OrganizationId, _)| {
                let sql = "SELECT users.id, users.name, role FROM organization_members
                           JOIN users ON users.id = user_id WHERE organization_id = $1 ORDER BY users.name";
                let member = |row: &Row<'_>| Ok((users::user(row)?, parsed(row, "role")?));
                let members = tx.all(sql, [id.as_str()], member)?;
                Ok(Organization { id, name, members })
            });
            with_members.collect()
        })
        .await
    }

    /// Gives a user a role in an organisation, or none. `false`: there is nothing to take away.
    ///
    /// # Errors
    /// [`StoreError::NoSuchUser`], [`StoreError::NoSuchOrganization`].
    pub async fn set_organization_member(
        &self,
        organization: String,
        user: String,
        role: Option<MemberRole>,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            let user = users::named(tx, &user)?.ok_or(StoreError::NoSuchUser(user))?.id;
            let organization = organization_named(tx, organization)?;
            let changed = match role {
                Some(role) => join(tx, &organization, &user, role)?,
                None => tx.execute(
                    "DELETE FROM organization_members WHERE organization_id = $1 AND user_id = $2",
                    params![organization.as_str(), user.as_str()],
                )?,
            };
            Ok(changed > 0)
        })
        .await
    }

    /// Hands a workspace to an organisation, or back to who made it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchOrganization`].
    pub async fn hand_workspace(
        &self,
        workspace: WorkspaceId,
        organization: Option<String>,
    ) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            let organization = organization.map(|name| organization_named(tx, name)).transpose()?;
            let id = organization.as_ref().map(OrganizationId::as_str);
            tx.execute(
                "UPDATE workspaces SET organization_id = $2 WHERE id = $1",
                params![workspace.as_str(), id],
            )?;
            Ok(())
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

/// Gives a user a role in an organisation. How many rows that changed.
pub(super) fn join(
    tx: &Tx<'_>,
    organization: &OrganizationId,
    user: &UserId,
    role: MemberRole,
) -> Result<usize, StoreError> {
    tx.execute(
        "INSERT INTO organization_members (organization_id, user_id, role, created_at_ms)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (organization_id, user_id) DO UPDATE SET role = excluded.role",
        params![organization.as_str(), user.as_str(), role.to_string(), now_ms()],
    )
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

pub(super) fn organization_named(tx: &Tx<'_>, name: String) -> Result<OrganizationId, StoreError> {
    let sql = "SELECT id FROM organizations WHERE name = $1";
    tx.optional(sql, [&name], |row| parsed(row, "id"))?.ok_or(StoreError::NoSuchOrganization(name))
}

fn seen(row: &Row<'_>) -> rusqlite::Result<(Workspace, MemberRole)> {
    Ok((workspaces::workspace(row)?, MemberRole::of_rank(row.get("rank")?)))
}
