//! `gateway organization`: groups of users who share workspaces.

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::ids::OrganizationId;
use clap::Subcommand;

use super::workspace::named;
use super::{invalid, open_failed};
use crate::auth::{NAME_RULE, is_user_name};
use crate::installation::open;
use crate::settings::Settings;
use crate::store::{MemberRole, Store};

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
                return Err(invalid(NAME_RULE));
            }
            let made = store.create_organization(name.clone(), None).await;
            let made = made.map_err(Fatal::with(Exit::Failure))?;
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
            let organization = found(&store, organization).await?;
            let set = store.set_organization_member(organization, user.clone(), *role, None).await;
            set.map_err(Fatal::with(Exit::Failure))?;
        }
        OrganizationVerb::Remove { organization: name, user } => {
            let organization = found(&store, name).await?;
            let member = store.user_named(user.clone()).await.map_err(Fatal::with(Exit::State))?;
            let member = member.ok_or_else(|| invalid(format!("there is no user \"{user}\"")))?.id;
            let removed = store.remove_organization_member(organization, member, None).await;
            if !removed.map_err(Fatal::with(Exit::Failure))? {
                return Err(invalid(format!("\"{user}\" is not in \"{name}\"")));
            }
        }
        OrganizationVerb::Give { workspace, organization } => {
            let workspace = named(&store, workspace).await?.id;
            let organization = match organization {
                Some(name) => Some(found(&store, name).await?),
                None => None,
            };
            let given = store.hand_workspace(workspace, organization).await;
            given.map_err(Fatal::with(Exit::Failure))?;
        }
    }
    Ok(())
}

async fn found(store: &Store, name: &str) -> Result<OrganizationId, Fatal> {
    store.organization_named(name.to_owned()).await.map_err(Fatal::with(Exit::Failure))
}
