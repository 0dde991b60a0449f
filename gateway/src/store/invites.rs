//! Invites: how people get accounts, and what they may use with them at once.

use std::time::Duration;

use berth_protocol::ids::{InviteId, OrganizationId, UserId, WorkspaceId};
use rusqlite::{Row, params};
use serde_json::json;

use super::audit::{self, Deed, Outcome};
use super::transaction::{Tx, parsed, parsed_optional, unsigned};
use super::users::NewSignIn;
use super::{
    CurrentUser, MemberRole, Store, StoreError, accounts, deadline_ms, devices, hash, members, now_ms,
    organizations, users,
};

/// Invites of one maker that can be used at the same time.
const MAX_INVITES: u64 = 100;

/// Whether an invite can be used at `$1`: in time, and only while whoever made it may still give what it gives. The
/// operator at the command line always may.
const USABLE: &str = "uses_left > 0 AND expires_at_ms > $1 AND (created_by IS NULL OR EXISTS (
         SELECT 1 FROM users AS maker WHERE maker.id = invites.created_by AND maker.blocked_at_ms IS NULL
             AND CASE
                 WHEN invites.organization_id IS NOT NULL THEN EXISTS (
                     SELECT 1 FROM organization_members
                     WHERE organization_members.organization_id = invites.organization_id
                         AND organization_members.user_id = maker.id AND organization_members.role = 'owner')
                 WHEN invites.workspace_id IS NOT NULL THEN EXISTS (
                     SELECT 1 FROM workspace_users
                     WHERE workspace_users.workspace_id = invites.workspace_id
                         AND workspace_users.user_id = maker.id AND workspace_users.rank = 3)
                 ELSE maker.id = (SELECT id FROM users ORDER BY created_at_ms, id LIMIT 1)
             END))";

const COLUMNS: &str = "id, uses_left, workspace_id, organization_id, role, created_at_ms, expires_at_ms,
     (SELECT name FROM workspaces WHERE workspaces.id = invites.workspace_id) AS workspace_name,
     (SELECT name FROM organizations WHERE organizations.id = invites.organization_id) AS organization_name,
     (SELECT name FROM users WHERE users.id = invites.created_by) AS maker";

/// Where an invite leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitePlace {
    /// Into a workspace.
    Workspace(WorkspaceId),
    /// Into an organisation.
    Organization(OrganizationId),
}

/// An invite to be.
#[derive(Debug, Clone)]
pub struct NewInvite {
    /// How often it may be used.
    pub uses: u32,
    /// What its users may use at once.
    pub access: Option<(InvitePlace, MemberRole)>,
    /// How long it may be used.
    pub lifetime: Duration,
    /// Who makes it, if it is not the operator.
    pub by: Option<UserId>,
}

/// A right to make accounts, without its code, which is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Its identifier.
    pub id: InviteId,
    /// How often it may still be used.
    pub uses_left: u64,
    /// What its users may use at once.
    pub access: Option<(InvitePlace, MemberRole)>,
    /// The name of that.
    pub place_name: Option<String>,
    /// The name of who made it, if it was not the operator.
    pub maker: Option<String>,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it ends.
    pub expires_at_ms: i64,
}

/// What becomes of an invite that somebody wants to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// There is an account now, signed in.
    Made(CurrentUser, InviteId),
    /// There is a user of that name; the invite is as it was.
    NameTaken,
    /// It is unknown, used up or too old, or its maker may not give it any more.
    Invalid,
}

impl Store {
    /// Makes an invite with a code.
    ///
    /// # Errors
    /// [`StoreError::NotTheirs`], [`StoreError::TooManyInvites`].
    pub async fn create_invite(&self, code: &str, new: NewInvite) -> Result<Invite, StoreError> {
        let code_hash = hash(code);
        self.transaction(move |tx| {
            if let Some(maker) = &new.by {
                let sql = format!("SELECT COUNT(*) AS n FROM invites WHERE created_by = $2 AND {USABLE}");
                let made = tx.one(&sql, params![now_ms(), maker.as_str()], |row| unsigned(row, "n"))?;
                if made >= MAX_INVITES {
                    return Err(StoreError::TooManyInvites(MAX_INVITES));
                }
            }
            let id = InviteId::random();
            let (workspace, organization) = match new.access.as_ref().map(|(place, _)| place) {
                Some(InvitePlace::Workspace(id)) => (Some(id.as_str()), None),
                Some(InvitePlace::Organization(id)) => (None, Some(id.as_str())),
                None => (None, None),
            };
            let inserted = tx.execute(
                "INSERT INTO invites (id, code_hash, uses_left, workspace_id, organization_id, role, created_by,
                     created_at_ms, expires_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                params![
                    id.as_str(),
                    code_hash,
                    new.uses,
                    workspace,
                    organization,
                    new.access.as_ref().map(|(_, role)| role.to_string()),
                    new.by.as_ref().map(UserId::as_str),
                    now_ms(),
                    deadline_ms(new.lifetime)
                ],
            );
            match inserted {
                // There is no such workspace or organisation.
                Err(error) if error.is_conflict() => return Err(StoreError::NotTheirs),
                other => other?,
            };
            let sql = format!("SELECT {COLUMNS} FROM invites WHERE id = $2 AND {USABLE}");
            let made = tx.optional(&sql, params![now_ms(), id.as_str()], invite)?;
            // Taken back with the transaction.
            let made = made.ok_or(StoreError::NotTheirs)?;
            let detail = json!({
                "invite": made.id, "uses": new.uses, "expires_at_ms": made.expires_at_ms,
                "place": made.place_name, "role": made.access.as_ref().map(|(_, role)| role.to_string()),
            });
            audit::add(tx, Deed { user: new.by, ..Deed::new("invite_made", Outcome::Done, detail) })?;
            Ok(made)
        })
        .await
    }

    /// The invites that can still be used, oldest first: all, or those into one organisation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn invites(&self, into: Option<OrganizationId>) -> Result<Vec<Invite>, StoreError> {
        self.transaction(move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM invites WHERE {USABLE} AND ($2 IS NULL OR organization_id = $2)
                 ORDER BY created_at_ms, id"
            );
            tx.all(&sql, params![now_ms(), into.as_ref().map(OrganizationId::as_str)], invite)
        })
        .await
    }

    /// Takes an invite back, any or one into an organisation. `false`: there is none.
    ///
    /// # Errors
    /// [`StoreError::NotTheirs`].
    pub async fn revoke_invite(
        &self,
        id: InviteId,
        into: Option<OrganizationId>,
        by: Option<UserId>,
    ) -> Result<bool, StoreError> {
        self.transaction(move |tx| {
            if let Some(organization) = &into {
                organizations::demand_owner(tx, organization, by.as_ref())?;
            }
            let sql = "DELETE FROM invites WHERE id = $1 AND ($2 IS NULL OR organization_id = $2)";
            let into = into.as_ref().map(OrganizationId::as_str);
            if tx.execute(sql, params![id.as_str(), into])? == 0 {
                return Ok(false);
            }
            let detail = json!({ "invite": id });
            audit::add(tx, Deed { user: by, ..Deed::new("invite_revoked", Outcome::Done, detail) })?;
            Ok(true)
        })
        .await
    }

    /// Whether an invite can be used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn invite_is_good(&self, code: &str) -> Result<bool, StoreError> {
        let code_hash = hash(code);
        self.transaction(move |tx| {
            let sql = format!("SELECT 1 FROM invites WHERE code_hash = $2 AND {USABLE}");
            Ok(tx.optional(&sql, params![now_ms(), code_hash], |_| Ok(()))?.is_some())
        })
        .await
    }

    /// Uses an invite: makes a user, with the hash of a password if there is one, and signs them in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn redeem_invite(
        &self,
        code: &str,
        name: String,
        password: Option<String>,
        new: NewSignIn,
    ) -> Result<Redeemed, StoreError> {
        let code_hash = hash(code);
        self.transaction(move |tx| {
            let taken = users::named(tx, &name)?.is_some();
            let sql = format!(
                "UPDATE invites SET uses_left = uses_left - $3 WHERE code_hash = $2 AND {USABLE}
                 RETURNING id, workspace_id, organization_id, role"
            );
            let read = |row: &Row<'_>| Ok((parsed::<InviteId>(row, "id")?, access(row)?));
            let used = tx.optional(&sql, params![now_ms(), code_hash, i64::from(!taken)], read)?;
            let Some((invite, access)) = used else { return Ok(Redeemed::Invalid) };
            if taken {
                return Ok(Redeemed::NameTaken);
            }
            let user = users::add(tx, name)?;
            if let Some(password) = password {
                accounts::put_password(tx, &user.id, &password)?;
            }
            give(tx, &user.id, access)?;
            devices::begin(tx, &user.id, &new)?;
            Ok(Redeemed::Made(user, invite))
        })
        .await
    }
}

fn give(tx: &Tx<'_>, user: &UserId, access: Option<(InvitePlace, MemberRole)>) -> Result<(), StoreError> {
    match access {
        Some((InvitePlace::Workspace(id), role)) => members::add_member(tx, &id, user, role),
        Some((InvitePlace::Organization(id), role)) => organizations::put_member(tx, &id, user, role),
        None => Ok(()),
    }
}

fn access(row: &Row<'_>) -> rusqlite::Result<Option<(InvitePlace, MemberRole)>> {
    let workspace = parsed_optional(row, "workspace_id")?.map(InvitePlace::Workspace);
    let place = match workspace {
        None => parsed_optional(row, "organization_id")?.map(InvitePlace::Organization),
        workspace => workspace,
    };
    Ok(place.zip(parsed_optional(row, "role")?))
}

fn invite(row: &Row<'_>) -> rusqlite::Result<Invite> {
    let workspace: Option<String> = row.get("workspace_name")?;
    Ok(Invite {
        id: parsed(row, "id")?,
        uses_left: unsigned(row, "uses_left")?,
        access: access(row)?,
        place_name: workspace.or(row.get("organization_name")?),
        maker: row.get("maker")?,
        created_at_ms: row.get("created_at_ms")?,
        expires_at_ms: row.get("expires_at_ms")?,
    })
}
