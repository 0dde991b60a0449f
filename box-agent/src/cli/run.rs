//! `box-agent run`: the agent.

use berth_daemon::exit::{Exit, Fatal};
use berth_daemon::{limits, logging, signals};
use clap::Args;

use super::Options;
use crate::agent;

#[derive(Debug, Args)]
pub(super) struct Run {}

impl Run {
    pub(super) fn run(self, options: &Options) -> Result<Exit, Fatal> {
        let settings = options.settings()?;
        logging::init(&settings.log).map_err(Fatal::with(Exit::Config))?;
        limits::raise_open_files();
        let agent = std::env::current_exe().map_err(Fatal::with(Exit::Failure))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Fatal::with(Exit::Failure))?;
        let outcome = runtime.block_on(async {
            let stop = signals::stop_token().map_err(Fatal::with(Exit::Failure))?;
            agent::run(settings, &agent, stop).await
        });
        // Blocking work that is left, such as a look at a disk that does not answer, must not hold up the end.
        runtime.shutdown_background();
        outcome.map(|()| Exit::Success)
    }
}
