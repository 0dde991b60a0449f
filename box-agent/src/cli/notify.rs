//! `box-agent notify`: what coding agents start as their hook.

use std::io::{self, Read};
use std::path::PathBuf;

use berth_daemon::exit::Exit;
use clap::Args;

use crate::notify::hooks::say;
use crate::notify::hooks::words::Speaker;

/// Bytes of a hook's JSON that are read. A larger one holds a file, and is not understood.
const MAX_JSON: u64 = 4 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Notify {
    /// Whose hook it is
    #[arg(value_enum)]
    speaker: Speaker,
    /// The agent's control socket
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Where to leave what the agent does not hear
    #[arg(long, value_name = "DIR")]
    spool: PathBuf,
    /// The JSON, where it does not come on standard input
    json: Option<String>,
}

impl Notify {
    /// Always a success, and without a word on standard output: a coding agent takes either for an order.
    pub(super) fn run(self) -> Exit {
        let json = self.json.unwrap_or_else(|| {
            let mut bytes = Vec::new();
            // What could be read is understood or not.
            let _ = io::stdin().lock().take(MAX_JSON).read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        say(self.speaker, &json, &self.socket, &self.spool);
        Exit::Success
    }
}
