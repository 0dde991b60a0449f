//! `gateway workspace create|list|enroll|revoke|user-data`.

use std::time::Duration;

use berth_daemon::exit::{Exit, Fatal};
use berth_protocol::enroll::EnrollmentToken;
use berth_protocol::provision::ProvisionedVolume;
use clap::Subcommand;
use serde_json::json;

use super::{invalid, open_failed, user_data};
use crate::auth::new_secret;
use crate::installation::{Opened, open};
use crate::settings::Settings;
use crate::store::{Deed, Outcome, Store, Workspace};

#[derive(Debug, Subcommand)]
pub(super) enum WorkspaceVerb {
    /// Make a workspace for the owner
    Create {
        /// 1 to 63 characters of a-z, 0-9 and -, beginning with a letter
        name: String,
    },
    /// Print the owner's workspaces: name, id, box
    List,
    /// Print a token with which one box enrols for a workspace, once
    Enroll {
        /// The workspace
        name: String,
        /// How long the token works
        #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
        ttl_minutes: u64,
    },
    /// Take a workspace from its box: its link and everything through its door end at once, and it never gets back in
    Revoke {
        /// The workspace
        name: String,
    },
    /// Print user-data with which one machine of Berth's image becomes a workspace's box, once. It holds a secret
    UserData {
        /// The workspace
        name: String,
        /// The number of its volume at Hetzner Cloud; without, the image's settings say what the volume is
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
        volume_id: Option<u64>,
        /// The volume is new, and may be formatted if it is blank
        #[arg(long, requires = "volume_id")]
        new_volume: bool,
        /// How long it works: the machine must have booted by then
        #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=1440))]
        ttl_minutes: u64,
    },
}

pub(super) async fn run(settings: &Settings, verb: &WorkspaceVerb) -> Result<(), Fatal> {
    let opened = open(settings).await.map_err(open_failed)?;
    let owner = opened.store.owner().await.map_err(Fatal::with(Exit::State))?;
    match verb {
        WorkspaceVerb::Create { name } => {
            if !is_label(name) {
                let rule = "1 to 63 characters of a-z, 0-9 and -, beginning with a letter";
                return Err(invalid(format!("\"{name}\" is no workspace name: use {rule}")));
            }
            let made = opened.store.create_workspace(owner.id, name.clone()).await;
            let made = made.map_err(Fatal::with(Exit::Failure))?;
            let deed = Deed::new("workspace_created", Outcome::Done, json!({ "name": name }));
            note(&opened, deed.within(made.id.clone())).await?;
            println!("{}", made.id);
        }
        WorkspaceVerb::List => {
            let views = opened.store.workspaces_of(owner.id).await.map_err(Fatal::with(Exit::State))?;
            for (view, role) in views {
                let instance =
                    view.instance.map_or("not enrolled".into(), |instance| instance.id.to_string());
                println!("{}\t{}\t{instance}\t{role}", view.workspace.name, view.workspace.id);
            }
        }
        WorkspaceVerb::Enroll { name, ttl_minutes } => {
            let lifetime = Duration::from_secs(ttl_minutes * 60);
            println!("{}", enrollment_token(settings, &opened, name, lifetime).await?.encode());
        }
        WorkspaceVerb::Revoke { name } => {
            let workspace = named(&opened.store, name).await?;
            let revoked =
                opened.store.revoke_instances(workspace.id).await.map_err(Fatal::with(Exit::State))?;
            match revoked.as_slice() {
                [] => println!("the workspace had no box; tokens for enrolling one are void"),
                [..] => revoked.iter().for_each(|instance| println!("{instance}")),
            }
        }
        WorkspaceVerb::UserData { name, volume_id, new_volume, ttl_minutes } => {
            let lifetime = Duration::from_secs(ttl_minutes * 60);
            let token = enrollment_token(settings, &opened, name, lifetime).await?;
            let volume = volume_id.map(|hcloud_id| ProvisionedVolume { hcloud_id, new: *new_volume });
            let text = user_data::render(name, &token, volume, *ttl_minutes);
            print!("{}", text.map_err(Fatal::with(Exit::Config))?);
        }
    }
    Ok(())
}

async fn enrollment_token(
    settings: &Settings,
    opened: &Opened,
    name: &str,
    lifetime: Duration,
) -> Result<EnrollmentToken, Fatal> {
    let workspace = named(&opened.store, name).await?;
    let secret = new_secret();
    let link_address = link_address(settings)?;
    let stored = opened.store.put_enrollment_token(workspace.id.clone(), &secret, lifetime).await;
    stored.map_err(Fatal::with(Exit::State))?;
    let detail = json!({ "minutes": lifetime.as_secs() / 60 });
    note(opened, Deed::new("enrollment_token_made", Outcome::Done, detail).within(workspace.id)).await?;
    Ok(EnrollmentToken {
        link_address,
        installation: opened.installation.id.clone(),
        ca_sha256: opened.signing().map(|ca| ca.fingerprint.clone()).unwrap_or_default(),
        secret,
    })
}

/// The owner's workspace of that name.
pub(super) async fn named(store: &Store, name: &str) -> Result<Workspace, Fatal> {
    let owner = store.owner().await.map_err(Fatal::with(Exit::State))?;
    let found = store.workspace_named(owner.id, name.to_owned()).await.map_err(Fatal::with(Exit::State))?;
    found.ok_or_else(|| {
        invalid(format!("there is no workspace \"{name}\": make it with `gateway workspace create {name}`"))
    })
}

async fn note(opened: &Opened, deed: Deed) -> Result<(), Fatal> {
    opened.store.note(deed).await.map_err(Fatal::with(Exit::State))
}

/// Where boxes dial: as set, as the running gateway listens, or as it will.
fn link_address(settings: &Settings) -> Result<String, Fatal> {
    if let Some(advertised) = &settings.link.advertise {
        return Ok(advertised.clone());
    }
    let running = crate::server::Addresses::read(&settings.state_dir).map(|addresses| addresses.link);
    let address = running.unwrap_or_else(|| settings.link_listen());
    if address.ip().is_unspecified() {
        return Err(invalid(format!(
            "links are taken on {address}, which is no address to dial: say in link.advertise which host:port \
             boxes dial"
        )));
    }
    if address.ip().is_loopback() {
        eprintln!(
            "note: the token leads to {address}, which a box on this machine reaches and no other; \
             set link.listen and link.advertise for boxes elsewhere"
        );
    }
    Ok(address.to_string())
}

fn is_label(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::is_label;

    #[test]
    fn a_workspace_name_can_stand_in_a_host_name() {
        for name in ["a", "main", "my-app-2"] {
            assert!(is_label(name), "{name}");
        }
        for name in ["", "-a", "a-", "2a", "Main", "a b", "a.b", &"a".repeat(64)] {
            assert!(!is_label(name), "{name}");
        }
    }
}
