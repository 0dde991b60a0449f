//! The `gateway` program: reads the command line and runs the verb.

use std::process::ExitCode;

use berth_daemon::exit::Exit;
use clap::Parser;
use gateway::cli::Cli;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => gateway::cli::run(cli),
        Err(answer) => {
            // Help and version are answers, not errors. Nothing can be done about a closed output.
            let _ = answer.print();
            if answer.use_stderr() { Exit::Usage } else { Exit::Success }.into()
        }
    }
}
