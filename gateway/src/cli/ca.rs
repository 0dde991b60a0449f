//! `gateway ca`: the installation's CAs, of which there are two while they are rotated: add, wait until boxes have
//! acknowledged, switch, wait until they have renewed, remove.

use berth_daemon::exit::{Exit, Fatal};
use clap::Subcommand;

use super::open_failed;
use crate::installation::{Opened, open};
use crate::settings::Settings;
use crate::store::{TrustChange, TrustChanged, TrustingBox};

#[derive(Debug, Subcommand)]
pub(super) enum CaVerb {
    /// Print the CAs: number, whether it signs, SHA-256, when it was made
    List,
    /// Print which CA boxes know and use: workspace, instance, newest number acknowledged, CA of its certificate, its end
    Boxes,
    /// Make another CA and have boxes believe it, beside the one that signs; prints its number
    Add,
    /// Have another CA sign from now on; boxes renew their certificates under it within minutes
    Switch {
        /// Its number
        ca: u64,
        /// Also while boxes have not acknowledged it: they go on with the CA that they know
        #[arg(long)]
        force: bool,
    },
    /// Believe a CA no more, and forget its key
    Remove {
        /// Its number
        ca: u64,
        /// Also while boxes need it: they are cut off, and must be enrolled again
        #[arg(long)]
        force: bool,
    },
}

pub(super) async fn run(settings: &Settings, verb: &CaVerb) -> Result<(), Fatal> {
    let opened = open(settings).await.map_err(open_failed)?;
    match verb {
        CaVerb::List => {
            for ca in &opened.trusted.authorities {
                let word = if ca.signing { "signs" } else { "trusted" };
                println!("{}\t{word}\t{}\t{}", ca.generation, ca.fingerprint, time(ca.created_at_ms));
            }
        }
        CaVerb::Boxes => {
            for one in opened.store.trusting_boxes().await.map_err(Fatal::with(Exit::State))? {
                println!("{}", line(&opened, &one));
            }
        }
        CaVerb::Add => {
            let new = opened.new_authority().map_err(Fatal::with(Exit::Failure))?;
            let made = change(&opened, TrustChange::Add(new)).await?;
            println!("{}", made.generation);
        }
        CaVerb::Switch { ca, force } => {
            let made = change(&opened, TrustChange::Switch { to: *ca, force: *force }).await?;
            warn("not acknowledged, and met under the CA that it knows", &made);
        }
        CaVerb::Remove { ca, force } => {
            let made = change(&opened, TrustChange::Remove { which: *ca, force: *force }).await?;
            warn("cut off, to be enrolled again", &made);
        }
    }
    Ok(())
}

async fn change(opened: &Opened, change: TrustChange) -> Result<TrustChanged, Fatal> {
    let outcome = opened.store.change_trust(change).await.map_err(Fatal::with(Exit::State))?;
    outcome.map_err(Fatal::with(Exit::Failure))
}

fn warn(what: &str, made: &TrustChanged) {
    for workspace in &made.boxes {
        eprintln!("{workspace}: {what}");
    }
}

/// A box, its columns divided by tabs.
fn line(opened: &Opened, one: &TrustingBox) -> String {
    let ca = one.certificate_ca.as_ref().map_or_else(
        || "never linked".to_owned(),
        |used| {
            let known = opened.trusted.authorities.iter().find(|ca| ca.fingerprint == *used);
            known.map_or_else(|| "removed".to_owned(), |ca| ca.generation.to_string())
        },
    );
    let until = one.certificate_until_ms.map_or_else(|| "-".to_owned(), time);
    format!("{}\t{}\t{}\t{ca}\t{until}", one.workspace_name, one.instance, one.acknowledged)
}

fn time(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| format!("{at:.0}"))
}
