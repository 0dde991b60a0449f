//! `box-agent layout`: the tree on the volume, against what it should be.

use std::path::PathBuf;

use berth_daemon::exit::{Exit, Fatal};
use clap::{Args, Subcommand};
use nix::unistd::Uid;

use super::Options;
use crate::host::account::Account;
use crate::layout::plan::Finding;
use crate::layout::watch::hides;
use crate::layout::{check, mend_all};
use crate::layout::{home::Home, home_of, owners};
use crate::settings::Settings;
use crate::volume::{self, is_mounted};

#[derive(Debug, Args)]
pub(super) struct Layout {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print what differs from the tree; exit 0 only when nothing does
    Check,
    /// Mend what can be mended without losing anything, and print the rest
    Apply,
}

/// There is no tree.
#[derive(Debug, thiserror::Error)]
#[error("the volume is not at {0}: start the agent, which mounts it, or see `box-agent volume status`")]
struct NoVolume(PathBuf);

impl Layout {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        let settings = options.settings()?;
        if !is_mounted(&settings.volume) {
            return Err(Fatal::with(Exit::Unavailable)(NoVolume(settings.volume.path.clone())));
        }
        let account = account(&settings)?;
        let owners = owners(&account);
        let home = home_of(&settings, Uid::effective().is_root());
        let mend = matches!(self.what, What::Apply);
        let pass = if mend { mend_all } else { check };
        let findings = pass(&settings.volume.path, &owners).map_err(Fatal::with(Exit::State))?;
        let mut lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
        if let Some(home) = home {
            lines.extend(see(&home, mend)?);
        }
        for line in &lines {
            println!("{line}");
        }
        Ok(if lines.is_empty() { Exit::Success } else { Exit::Failure })
    }
}

fn account(settings: &Settings) -> Result<Account, Fatal> {
    let home = volume::home(&settings.volume.path);
    Account::find(settings.terminal.user.as_deref(), home, None).map_err(Fatal::with(Exit::Config))
}

/// What is to be said of the home directory's other place.
fn see(home: &Home, mend: bool) -> Result<Option<String>, Fatal> {
    let seen = if mend { home.ensure().map(Some) } else { home.check() };
    match seen {
        Ok(Some(0)) => Ok(None),
        Ok(Some(hidden)) => Ok(Some(hides(home, hidden))),
        Ok(None) => Ok(Some(format!("the home directory is not seen at {}", home.place.display()))),
        Err(error @ crate::layout::home::HomeError::Obstructed { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(Fatal::with(Exit::State)(error)),
    }
}
