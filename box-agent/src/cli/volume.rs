//! `box-agent volume`: what the volume is, and decisions about it that are a person's.

use berth_daemon::exit::{Exit, Fatal};
use berth_daemon::state::{StateError, StateLock};
use clap::{Args, Subcommand};

use super::Options;
use crate::identity;
use crate::settings::Settings;
use crate::volume::error::VolumeError;
use crate::volume::open::Opening;
use crate::volume::{is_mounted, memory};

#[derive(Debug, Args)]
pub(super) struct Volume {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print what the volume is and whose; exit 0 only when it is mounted and this box's
    Status,
    /// Make the volume this box's although it is a copy, was moved, is another workspace's or has no marker
    Adopt,
    /// Forget that this box has used a volume, so that a new one may be formatted
    Forget,
}

/// The agent has the volume.
#[derive(Debug, thiserror::Error)]
#[error("the agent runs: stop it first (systemctl stop box-agent)")]
struct AgentRuns;

impl Volume {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        let settings = options.settings()?;
        // What the agent is doing with the device is not to be disturbed; a volume that is mounted can be looked at.
        let looks = matches!(self.what, What::Status) && is_mounted(&settings.volume);
        let lock = || match StateLock::acquire(&settings.state_dir, "agent.lock") {
            Err(StateError::InUse(_)) => Err(Fatal::with(Exit::Unavailable)(AgentRuns)),
            lock => lock.map_err(Fatal::with(Exit::State)),
        };
        let _lock = if looks { None } else { Some(lock()?) };
        if matches!(self.what, What::Forget) {
            let forgot = memory::forget(&settings.state_dir).map_err(Fatal::with(Exit::State))?;
            println!("{}", if forgot { "forgotten" } else { "there was nothing to forget" });
            return Ok(Exit::Success);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fatal::with(Exit::Failure))?;
        runtime.block_on(self.look(&settings))
    }

    async fn look(&self, settings: &Settings) -> Result<Exit, Fatal> {
        let identity = identity::load(&settings.state_dir).map_err(Fatal::with(Exit::State))?;
        let opening = Opening {
            settings: &settings.volume,
            workspace: &identity.facts.workspace,
            state_dir: &settings.state_dir,
            tell: &|step| println!("{step}"),
        };
        let failed = |error: VolumeError| Fatal::with(Exit::State)(error);
        if matches!(self.what, What::Adopt) {
            opening.adopt().await.map_err(failed)?;
            return Ok(Exit::Success);
        }
        let (text, fine) = opening.describe().await.map_err(failed)?;
        print!("{text}");
        Ok(if fine { Exit::Success } else { Exit::Failure })
    }
}
