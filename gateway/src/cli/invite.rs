//! `gateway invite generate|list|revoke`: how others get accounts.

use std::time::Duration;

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::ids::InviteId;
use clap::Subcommand;
use serde_json::json;

use super::workspace::named;
use super::{invalid, note, open_failed, public_url};
use crate::auth::new_secret;
use crate::installation::open;
use crate::settings::Settings;
use crate::store::MemberRole;

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
        #[arg(long, value_name = "NAME")]
        workspace: Option<String>,
        /// What they may do there: viewer, editor or owner
        #[arg(long, value_name = "ROLE", default_value = "editor", requires = "workspace")]
        role: MemberRole,
    },
    /// List invites that can be used: id, uses left, end, workspace, role
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
        InviteVerb::Generate { uses, days, workspace, role } => {
            let access = match workspace {
                Some(name) => Some((named(&store, name).await?.id, *role)),
                None => None,
            };
            let (code, lifetime) = (new_secret(), Duration::from_secs(u64::from(*days) * 24 * 3600));
            let made = store.create_invite(&code, *uses, access, lifetime).await;
            made.map_err(Fatal::with(Exit::State))?;
            let detail = json!({ "uses": uses, "days": days, "workspace": workspace });
            note(&store, "invite_made", detail).await?;
            // Behind the `#`, which browsers send nowhere.
            let mut url = public_url(settings)?;
            url.set_path("/invite");
            url.set_fragment(Some(&code));
            println!("{url}");
        }
        InviteVerb::List => {
            for invite in store.invites().await.map_err(Fatal::with(Exit::State))? {
                let until = jiff::Timestamp::from_millisecond(invite.expires_at_ms).unwrap_or_default();
                let access = invite.access.map(|(workspace, role)| format!("\t{workspace}\t{role}"));
                println!("{}\t{}\t{until}{}", invite.id, invite.uses_left, access.unwrap_or_default());
            }
        }
        InviteVerb::Revoke { id } => {
            if !store.revoke_invite(id.clone()).await.map_err(Fatal::with(Exit::State))? {
                return Err(invalid(format!("there is no invite {id}")));
            }
            note(&store, "invite_revoked", json!({ "invite": id })).await?;
        }
    }
    Ok(())
}
