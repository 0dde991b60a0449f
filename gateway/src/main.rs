//! The `gateway` program: reads the command line and runs the verb.

use std::process::ExitCode;

use clap::Parser;
use gateway::cli::Cli;

fn main() -> ExitCode {
    gateway::cli::run(Cli::parse())
}
