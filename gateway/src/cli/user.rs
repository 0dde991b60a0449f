//! `gateway user`: accounts, and the way back in for those who have lost theirs.

use berth_daemon::exit::{Exit, Fatal};
use clap::Subcommand;
use serde_json::json;

use super::sign_in_link::print_link;
use super::{invalid, note, open_failed};
use crate::auth::{NAME_RULE, is_user_name};
use crate::installation::open;
use crate::settings::Settings;
use crate::store::Subject;

#[derive(Debug, Subcommand)]
pub(super) enum UserVerb {
    /// List users: name, state, password, passkeys, devices, id
    List,
    /// Make an account, and print a link that signs it in, once, within 15 minutes
    Add {
        /// 2 to 32 characters of a-z, 0-9, ., _ and -, beginning with a letter
        name: String,
    },
    /// Print a link that signs a user in, once, within 15 minutes: for whoever has lost password and passkeys
    SignInLink {
        /// The user's name
        name: String,
    },
    /// Sign a user out everywhere, end their tokens, and let them in no more
    Block {
        /// The user's name
        name: String,
    },
    /// Let a user in again
    Unblock {
        /// The user's name
        name: String,
    },
    /// Say who a user is to the issuer of the settings: its subject (`sub`), such as user_2abc at Clerk
    Link {
        /// The user's name
        name: String,
        /// The issuer's word for them
        subject: String,
    },
    /// Forget who a user is to issuers, and sign them out everywhere
    Unlink {
        /// The user's name
        name: String,
    },
    /// Sign a user out everywhere, and forget their password, passkeys, tokens and who they are to issuers
    Reset {
        /// The user's name
        name: String,
    },
}

pub(super) async fn run(settings: &Settings, verb: &UserVerb) -> Result<(), Fatal> {
    let opened = open(settings).await.map_err(open_failed)?;
    let store = &opened.store;
    let unknown = |name: &str| invalid(format!("there is no user \"{name}\""));
    match verb {
        UserVerb::List => {
            for account in store.accounts().await.map_err(Fatal::with(Exit::State))? {
                println!(
                    "{}\t{}\t{}\t{} passkeys\t{} devices\t{}",
                    account.user.name,
                    if account.blocked { "blocked" } else { "active" },
                    if account.password { "password" } else { "no password" },
                    account.passkeys,
                    account.devices,
                    account.user.id
                );
            }
        }
        UserVerb::Add { name } => {
            if !is_user_name(name) {
                return Err(invalid(NAME_RULE));
            }
            let made = store.add_user(name.clone()).await.map_err(Fatal::with(Exit::Failure))?;
            note(store, "user_added", json!({ "user": made.id, "name": name })).await?;
            print_link(settings, store, made.id).await?;
        }
        UserVerb::SignInLink { name } => {
            let found = store.user_named(name.clone()).await.map_err(Fatal::with(Exit::State))?;
            print_link(settings, store, found.ok_or_else(|| unknown(name))?.id).await?;
        }
        UserVerb::Block { name } | UserVerb::Unblock { name } => {
            let blocked = matches!(verb, UserVerb::Block { .. });
            if !store.block_user(name.clone(), blocked).await.map_err(Fatal::with(Exit::State))? {
                return Err(unknown(name));
            }
            let action = if blocked { "user_blocked" } else { "user_unblocked" };
            note(store, action, json!({ "name": name })).await?;
        }
        UserVerb::Link { name, subject } => {
            let issuer = settings.issuer.url.clone();
            let issuer = issuer.ok_or_else(|| invalid("there is no issuer: set issuer.url"))?;
            let detail = json!({ "name": name, "issuer": issuer, "subject": subject });
            let subject = Subject { issuer, subject: subject.clone() };
            store.link_subject(name.clone(), subject).await.map_err(Fatal::with(Exit::Failure))?;
            note(store, "user_linked", detail).await?;
        }
        UserVerb::Unlink { name } => {
            let forgotten = store.unlink_subjects(name.clone()).await.map_err(Fatal::with(Exit::Failure))?;
            note(store, "user_unlinked", json!({ "name": name, "subjects": forgotten })).await?;
        }
        UserVerb::Reset { name } => {
            if !store.reset_user(name.clone()).await.map_err(Fatal::with(Exit::State))? {
                return Err(unknown(name));
            }
            note(store, "user_reset", json!({ "name": name })).await?;
        }
    }
    Ok(())
}
