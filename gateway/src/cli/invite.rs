//! `gateway invite generate|list|revoke`: how others get accounts.

use std::time::Duration;

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::ids::InviteId;
use clap::Subcommand;

use super::workspace::named;
use super::{invalid, open_failed, public_url};
use crate::auth::new_secret;
use crate::installation::open;
use crate::settings::Settings;
use crate::store::{InvitePlace, MemberRole, NewInvite};

#[derive(Debug, Subcommand)]
pub(super) enum InviteVerb {
    /// Print a link with which accounts can be made
    Generate {
        /// How often it works
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        uses: u32,
        /// For how many days
        #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=90))]
        days: u16,
        /// A workspace that its users may use at once
        #[arg(long, value_name = "NAME", group = "place")]
        workspace: Option<String>,
        /// An organisation that they are in at once
        #[arg(long, value_name = "NAME", group = "place")]
        organization: Option<String>,
        /// What they may do there: viewer, editor or owner
        #[arg(long, value_name = "ROLE", default_value = "editor", requires = "place")]
        role: MemberRole,
    },
    /// List invites that can be used: id, uses left, end, who made it, where it leads, role
    List,
    /// Take an invite back
    Revoke {
        /// Its id, as `gateway invite list` prints it
        id: InviteId,
    },
}

pub(super) async fn run(settings: &Settings, verb: &InviteVerb) -> Result<(), Fatal> {
    let store = open(settings).await.map_err(open_failed)?.store;
    match verb {
        InviteVerb::Generate { uses, days, workspace, organization, role } => {
            let place = match (workspace, organization) {
                (Some(name), _) => Some(InvitePlace::Workspace(named(&store, name).await?.id)),
                (None, Some(name)) => {
                    let found = store.organization_named(name.clone()).await;
                    Some(InvitePlace::Organization(found.map_err(Fatal::with(Exit::Failure))?))
                }
                (None, None) => None,
            };
            let (code, lifetime) = (new_secret(), Duration::from_secs(u64::from(*days) * 24 * 3600));
            let new =
                NewInvite { uses: *uses, access: place.map(|place| (place, *role)), lifetime, by: None };
            store.create_invite(&code, new).await.map_err(Fatal::with(Exit::State))?;
            // Behind the `#`, which browsers send nowhere.
            let mut url = public_url(settings)?;
            url.set_path("/invite");
            url.set_fragment(Some(&code));
            println!("{url}");
        }
        InviteVerb::List => {
            for invite in store.invites(None).await.map_err(Fatal::with(Exit::State))? {
                let until = jiff::Timestamp::from_millisecond(invite.expires_at_ms).unwrap_or_default();
                let maker = invite.maker.as_deref().unwrap_or("-");
                let role = invite.access.map(|(_, role)| role);
                let access = invite.place_name.zip(role).map(|(place, role)| format!("\t{place}\t{role}"));
                let access = access.unwrap_or_default();
                println!("{}\t{}\t{until}\t{maker}{access}", invite.id, invite.uses_left);
            }
        }
        InviteVerb::Revoke { id } => {
            let revoked = store.revoke_invite(id.clone(), None, None).await;
            if !revoked.map_err(Fatal::with(Exit::State))? {
                return Err(invalid(format!("there is no invite {id}")));
            }
        }
    }
    Ok(())
}
