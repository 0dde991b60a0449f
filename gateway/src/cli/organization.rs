//! `gateway organization`: groups of users who share workspaces.

use berth_daemon::exit::{Exit, Fatal};
use clap::Subcommand;
use serde_json::json;

use super::workspace::named;
use super::{invalid, note, open_failed};
use crate::auth::is_user_name;
use crate::installation::open;
use crate::settings::Settings;
use crate::store::MemberRole;

#[derive(Debug, Subcommand)]
pub(super) enum OrganizationVerb {
    /// Make an organisation
    Create {
        /// Its name
        name: String,
    },
    /// List organisations and their members
    List,
    /// Add a user, or give one another role, in all of its workspaces
    Set {
        /// The organisation
        organization: String,
        /// The user's name
        user: String,
        /// viewer, editor or owner
        role: MemberRole,
    },
    /// Take a user out of it
    Remove {
        /// The organisation
        organization: String,
        /// The user's name
        user: String,
    },
    /// Hand a workspace of the owner's to an organisation: from then on its members may use it
    Give {
        /// The workspace
        workspace: String,
        /// The organisation; without, it is the owner's own again
        organization: Option<String>,
    },
}

pub(super) async fn run(settings: &Settings, verb: &OrganizationVerb) -> Result<(), Fatal> {
    let store = open(settings).await.map_err(open_failed)?.store;
    match verb {
        OrganizationVerb::Create { name } => {
            if !is_user_name(name) {
                return Err(invalid(super::user::NAME_RULE));
            }
            let made = store.create_organization(name.clone()).await.map_err(Fatal::with(Exit::Failure))?;
            note(&store, "organization_made", json!({ "organization": made, "name": name })).await?;
            println!("{made}");
        }
        OrganizationVerb::List => {
            for organization in store.organizations().await.map_err(Fatal::with(Exit::State))? {
                println!("{}\t{}", organization.name, organization.id);
                for (user, role) in organization.members {
                    println!("\t{}\t{role}\t{}", user.name, user.id);
                }
            }
        }
        OrganizationVerb::Set { organization, user, role } => {
            let set = store.set_organization_member(organization.clone(), user.clone(), Some(*role)).await;
            set.map_err(Fatal::with(Exit::Failure))?;
            let detail = json!({ "organization": organization, "member": user, "role": role.to_string() });
            note(&store, "organization_member_set", detail).await?;
        }
        OrganizationVerb::Remove { organization, user } => {
            let removed = store.set_organization_member(organization.clone(), user.clone(), None).await;
            if !removed.map_err(Fatal::with(Exit::Failure))? {
                return Err(invalid(format!("\"{user}\" is not in \"{organization}\"")));
            }
            let detail = json!({ "organization": organization, "member": user });
            note(&store, "organization_member_removed", detail).await?;
        }
        OrganizationVerb::Give { workspace, organization } => {
            let name = workspace;
            let workspace = named(&store, workspace).await?.id;
            let given = store.hand_workspace(workspace, organization.clone()).await;
            given.map_err(Fatal::with(Exit::Failure))?;
            let detail = json!({ "workspace": name, "organization": organization });
            note(&store, "workspace_handed", detail).await?;
        }
    }
    Ok(())
}
