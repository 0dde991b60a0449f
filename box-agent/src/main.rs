//! The `box-agent` program: reads the command line, does what it says, ends with the right code.

use std::process::ExitCode;

use berth_daemon::exit::{Exit, report};
use box_agent::cli::Cli;
use clap::Parser;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version are answers, not errors. Nothing can be done about a closed output.
            let _ = answer.print();
            return if answer.use_stderr() { Exit::Usage } else { Exit::Success }.into();
        }
    };
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(fatal) => {
            report("box-agent", &*fatal.error);
            fatal.exit.into()
        }
    }
}
