//! `box-agent completions`: what a shell needs to complete this command line.

use berth_daemon::exit::{Exit, Fatal};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<Exit, Fatal> {
        clap_complete::generate(self.shell, &mut Cli::command(), "box-agent", &mut std::io::stdout());
        Ok(Exit::Success)
    }
}
