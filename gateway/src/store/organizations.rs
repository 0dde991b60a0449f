//! Organisations: groups of users who share workspaces. Each keeps an owner, whoever asks for what.

use berth_protocol::ids::{OrganizationId, UserId, WorkspaceId};
use rusqlite::{Row, params};
use serde_json::{Value, json};

use super::audit::{self, Deed, Outcome};
use super::transaction::{Tx, parsed};
use super::{CurrentUser, MemberRole, Store, StoreError, now_ms, users};

/// An organisation, who is in it, and what is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its identifier.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its members, by name.
    pub members: Vec<(CurrentUser, MemberRole)>,
    /// Its workspaces, by name.
    pub workspaces: Vec<(WorkspaceId, String)>,
}

impl Store {
    /// Makes an organisation, of which whoever makes it is the owner; the operator leaves it empty.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`].
    pub async fn create_organization(
        &self,
        name: String,
        by: Option<UserId>,
    ) -> Result<OrganizationId, StoreError> {
        self.transaction(move |tx| {
            let id = OrganizationId::random();
            let sql = "INSERT INTO organizations (id, name, created_at_ms) VALUES ($1, $2, $3)";
            match tx.execute(sql, params![id.as_str(), name, now_ms()]) {
                Err(error) if error.is_conflict() => return Err(StoreError::NameTaken(name)),
                other => other?,
            };
            if let Some(owner) = &by {
                put_member(tx, &id, owner, MemberRole::Owner)?;
            }
            note(tx, "organization_made", by, json!({ "organization": id, "name": name }))?;
            Ok(id)
        })
        .await
    }

    /// Every organisation, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        self.transaction(|tx| {
            let found = tx.all("SELECT id, name FROM organizations ORDER BY name", [], named)?;
            found.into_iter().map(|(id, name)| whole(tx, id, name)).collect()
        })
        .await
    }

    /// Every organisation that a user is in, by name, and their role there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn organizations_of(
        &self,
        user: UserId,
    ) -> Result<Vec<(Organization, MemberRole)>, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT id, name, role FROM organizations
                       JOIN organization_members ON organization_id = id WHERE user_id = $1 ORDER BY name";
            let found = tx.all(sql, [user.as_str()], |row| Ok((named(row)?, parsed(row, "role")?)))?;
            found.into_iter().map(|((id, name), role)| Ok((whole(tx, id, name)?, role))).collect()
        })
        .await
    }

    /// An organisation, and a user's role there. `None`: it is not there for this user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn organization_for(
        &self,
        user: UserId,
        id: OrganizationId,
    ) -> Result<Option<(Organization, MemberRole)>, StoreError> {
        self.transaction(move |tx| {
            let sql = "SELECT name, role FROM organizations
                       JOIN organization_members ON organization_id = id WHERE user_id = $1 AND id = $2";
            let read = |row: &Row<'_>| Ok((row.get("name")?, parsed(row, "role")?));
            let found = tx.optional(sql, params![user.as_str(), id.as_str()], read)?;
            found.map(|(name, role)| Ok((whole(tx, id, name)?, role))).transpose()
        })
        .await
    }

    /// An organisation by name, as the command line says it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchOrganization`].
    pub async fn organization_named(&self, name: String) -> Result<OrganizationId, StoreError> {
        self.transaction(move |tx| find_named(tx, name)).await
    }

    /// Gives an organisation another name.
    ///
    /// # Errors
    /// [`StoreError::NotTheirs`], [`StoreError::NameTaken`].
    pub async fn rename_organization(
        &self,
        id: OrganizationId,
        name: String,
        by: UserId,
    ) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            demand_owner(tx, &id, Some(&by))?;
            match tx.execute("UPDATE organizations SET name = $2 WHERE id = $1", params![id.as_str(), name]) {
                Err(error) if error.is_conflict() => return Err(StoreError::NameTaken(name)),
                other => other?,
            };
            note(tx, "organization_renamed", Some(by), json!({ "organization": id, "name": name }))
        })
        .await
    }

    /// Adds a user to an organisation, by name, or gives them another role there.
    ///
    /// # Errors
    /// [`StoreError::NotTheirs`], [`StoreError::NoSuchUser`], [`StoreError::LastOwner`].
    pub async fn set_organization_member(
        &self,
        id: OrganizationId,
        name: String,
        role: MemberRole,
        by: Option<UserId>,
    ) -> Result<CurrentUser, StoreError> {
        self.transaction(move |tx| {
            demand_owner(tx, &id, by.as_ref())?;
            let user = users::named(tx, &name)?.ok_or(StoreError::NoSuchUser(name))?;
            if role != MemberRole::Owner {
                keep_an_owner(tx, &id, &user.id)?;
            }
            put_member(tx, &id, &user.id, role)?;
            let detail = json!({ "organization": id, "member": user.id, "role": role.to_string() });
            note(tx, "organization_member_set", by, detail)?;
            Ok(user)
        })
        .await
    }

    /// Takes a user out of an organisation. `false`: they are not in it.
    ///
    /// # Errors
    /// [`StoreError::NotTheirs`], [`StoreError::LastOwner`].
    pub async fn remove_organization_member(
        &self,
        id: OrganizationId,
        user: UserId,
        by: Option<UserId>,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            demand_owner(tx, &id, by.as_ref())?;
            keep_an_owner(tx, &id, &user)?;
            let sql = "DELETE FROM organization_members WHERE organization_id = $1 AND user_id = $2";
            if tx.execute(sql, params![id.as_str(), user.as_str()])? == 0 {
                return Ok(false);
            }
            note(tx, "organization_member_removed", by, json!({ "organization": id, "member": user }))?;
            Ok(true)
        })
        .await
    }

    /// Hands a workspace to an organisation, or back to who made it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hand_workspace(
        &self,
        workspace: WorkspaceId,
        organization: Option<OrganizationId>,
    ) -> Result<(), StoreError> {
        self.transaction(move |tx| {
            let id = organization.as_ref().map(OrganizationId::as_str);
            tx.execute(
                "UPDATE workspaces SET organization_id = $2 WHERE id = $1",
                params![workspace.as_str(), id],
            )?;
            let detail = json!({ "organization": organization });
            audit::add(tx, Deed::new("workspace_handed", Outcome::Done, detail).within(workspace))
        })
        .await
    }
}

/// An organisation by name.
pub(super) fn find_named(tx: &Tx<'_>, name: String) -> Result<OrganizationId, StoreError> {
    let sql = "SELECT id FROM organizations WHERE name = $1";
    tx.optional(sql, [&name], |row| parsed(row, "id"))?.ok_or(StoreError::NoSuchOrganization(name))
}

/// Gives a user a role in an organisation.
pub(super) fn put_member(
    tx: &Tx<'_>,
    id: &OrganizationId,
    user: &UserId,
    role: MemberRole,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO organization_members (organization_id, user_id, role, created_at_ms)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (organization_id, user_id) DO UPDATE SET role = excluded.role",
        params![id.as_str(), user.as_str(), role.to_string(), now_ms()],
    )?;
    Ok(())
}

/// Demands that whoever does something owns the organisation at this moment: their role may have ended since the request
/// came. The operator at the command line needs none.
pub(super) fn demand_owner(tx: &Tx<'_>, id: &OrganizationId, by: Option<&UserId>) -> Result<(), StoreError> {
    let Some(by) = by else { return Ok(()) };
    let sql = "SELECT 1 FROM organization_members
               JOIN users ON users.id = user_id AND users.blocked_at_ms IS NULL
               WHERE organization_id = $1 AND user_id = $2 AND role = 'owner'";
    tx.optional(sql, params![id.as_str(), by.as_str()], |_| Ok(()))?.ok_or(StoreError::NotTheirs)
}

/// Refuses to take an organisation's last owner from it. One who is blocked can administrate nothing, and does not count.
fn keep_an_owner(tx: &Tx<'_>, id: &OrganizationId, user: &UserId) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM organization_members
               WHERE organization_id = $1 AND user_id = $2 AND role = 'owner'
                   AND NOT EXISTS (SELECT 1 FROM organization_members AS others
                                   JOIN users ON users.id = others.user_id AND users.blocked_at_ms IS NULL
                                   WHERE others.organization_id = $1 AND others.user_id <> $2
                                       AND others.role = 'owner')";
    match tx.optional(sql, params![id.as_str(), user.as_str()], |_| Ok(()))? {
        Some(()) => Err(StoreError::LastOwner),
        None => Ok(()),
    }
}

fn note(tx: &Tx<'_>, action: &'static str, by: Option<UserId>, detail: Value) -> Result<(), StoreError> {
    audit::add(tx, Deed { user: by, ..Deed::new(action, Outcome::Done, detail) })
}

fn named(row: &Row<'_>) -> rusqlite::Result<(OrganizationId, String)> {
    Ok((parsed(row, "id")?, row.get("name")?))
}

fn whole(tx: &Tx<'_>, id: OrganizationId, name: String) -> Result<Organization, StoreError> {
    let sql = "SELECT users.id, users.name, role FROM organization_members
               JOIN users ON users.id = user_id WHERE organization_id = $1 ORDER BY users.name";
    let members = tx.all(sql, [id.as_str()], |row| Ok((users::user(row)?, parsed(row, "role")?)))?;
    let sql = "SELECT id, name FROM workspaces WHERE organization_id = $1 ORDER BY name, id";
    let workspaces = tx.all(sql, [id.as_str()], |row| Ok((parsed(row, "id")?, row.get("name")?)))?;
    Ok(Organization { id, name, members, workspaces })
}
