//! `box-agent tap`: what tmux pipes a pane's output into.

use std::io;
use std::path::PathBuf;

use berth_daemon::exit::Exit;
use clap::Args;

use crate::notify::tap;

#[derive(Debug, Args)]
pub(super) struct Tap {
    /// The agent's control socket
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// tmux's number of the pane
    pane: u32,
}

impl Tap {
    pub(super) fn run(self) -> Exit {
        tap::run(&self.socket, self.pane, io::stdin());
        Exit::Success
    }
}
