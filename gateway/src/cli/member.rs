//! `gateway member`: who may use a workspace of the owner's.

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::ids::RequestId;
use clap::Subcommand;

use super::workspace::named;
use super::{invalid, open_failed};
use crate::installation::open;
use crate::settings::Settings;
use crate::store::MemberRole;

#[derive(Debug, Subcommand)]
pub(super) enum MemberVerb {
    /// List who may use a workspace: name, role, id
    List {
        /// The workspace
        workspace: String,
    },
    /// Add a user to a workspace, or give one another role
    Set {
        /// The workspace
        workspace: String,
        /// The user's name
        user: String,
        /// viewer, editor or owner
        role: MemberRole,
    },
    /// Take a user out of a workspace who was added to it
    Remove {
        /// The workspace
        workspace: String,
        /// The user's name
        user: String,
    },
}

pub(super) async fn run(settings: &Settings, verb: &MemberVerb) -> Result<(), Fatal> {
    let store = open(settings).await.map_err(open_failed)?.store;
    let owner = store.owner().await.map_err(Fatal::with(Exit::State))?.id;
    match verb {
        MemberVerb::List { workspace } => {
            let workspace = named(&store, workspace).await?.id;
            for member in store.members_of(workspace).await.map_err(Fatal::with(Exit::State))? {
                println!("{}\t{}\t{}", member.user.name, member.role, member.user.id);
            }
        }
        MemberVerb::Set { workspace, user, role } => {
            let workspace = named(&store, workspace).await?.id;
            let set = store.set_member(workspace, user.clone(), *role, owner, RequestId::random()).await;
            set.map_err(Fatal::with(Exit::Failure))?;
        }
        MemberVerb::Remove { workspace, user } => {
            let workspace = named(&store, workspace).await?.id;
            let found = store.user_named(user.clone()).await.map_err(Fatal::with(Exit::State))?;
            let member = found.ok_or_else(|| invalid(format!("there is no user \"{user}\"")))?.id;
            let removed = store.remove_member(workspace, member, owner, RequestId::random()).await;
            if !removed.map_err(Fatal::with(Exit::State))? {
                return Err(invalid(format!("\"{user}\" was not added to that workspace")));
            }
        }
    }
    Ok(())
}
