//! `box-agent check-config`: the settings that `run` would have.

use berth_daemon::config::show;
use berth_daemon::exit::{Exit, Fatal};
use clap::Args;

use super::Options;

#[derive(Debug, Args)]
pub(super) struct CheckConfig {}

impl CheckConfig {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        print!("{}", show(&options.settings()?));
        Ok(Exit::Success)
    }
}
