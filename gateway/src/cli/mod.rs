//! The command line: one file per verb.

mod audit;
mod config;
mod init;
mod keys;
mod serve;
mod sign_in_link;
mod token;
mod user_data;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use berth_daemon::config::{ConfigError, Sources};
use berth_daemon::exit::{Exit, Fatal, report};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::installation::OpenError;
use crate::settings::{ENV_PREFIX, Settings};

/// Where the configuration is looked for when `--config` does not say.
const DEFAULT_CONFIG: &str = "/etc/berth/gateway.toml";

/// Berth's gateway.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// Configuration file [default: /etc/berth/gateway.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// State directory (setting state_dir)
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<String>,

    /// Address of the front (setting front.listen)
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// Shape of log lines: auto, pretty, json or journal (setting log.format)
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,

    /// What is logged: error, warn, info, debug or trace (setting log.level)
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve users and boxes
    Serve,
    /// Write a commented configuration file and make the state directory, key, store and CA
    Init,
    /// Show, locate or reset the configuration
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Manage workspaces and enrol their boxes
    #[command(subcommand)]
    Workspace(workspace::WorkspaceVerb),
    /// Print a link that signs the owner in, once, within 15 minutes
    SignInLink,
    /// Make, list and revoke API tokens of the owner
    #[command(subcommand)]
    Token(token::TokenVerb),
    /// Print, export or verify the audit record: time, action, user, workspace, request, source, outcome, detail
    Audit(Box<audit::Audit>),
    /// Rotate the key that seals stored secrets
    #[command(subcommand)]
    Keys(keys::KeysVerb),
    /// Print a completion script
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Cli {
    /// The configuration file: the one named, or the usual one if it exists.
    fn config_file(&self) -> Option<&Path> {
        self.config.as_deref().or_else(|| Some(Path::new(DEFAULT_CONFIG)).filter(|path| path.exists()))
    }

    fn settings(&self) -> Result<Settings, Fatal> {
        let flags = [
            ("state_dir", &self.state),
            ("front.listen", &self.listen),
            ("log.format", &self.log_format),
            ("log.level", &self.log_level),
        ];
        // Values that are not UTF-8 are nobody's settings.
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let sources = Sources {
            file: self.config_file(),
            drop_ins: Vec::new(),
            env_prefix: ENV_PREFIX,
            env: env.collect(),
            flags: flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect(),
        };
        Settings::load(&sources).map_err(Fatal::with(Exit::Config))
    }
}

/// Runs the verb and reports what went wrong.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match dispatch(&cli) {
        Ok(()) => Exit::Success.into(),
        Err(Fatal { exit, error }) => {
            report("gateway", error.as_ref());
            exit.into()
        }
    }
}

fn dispatch(cli: &Cli) -> Result<(), Fatal> {
    match &cli.verb {
        Verb::Serve => serve::run(&cli.settings()?),
        Verb::Init => init::run(cli),
        Verb::Config(verb) => config::run(cli, verb),
        Verb::Workspace(verb) => block_on(workspace::run(&cli.settings()?, verb)),
        Verb::SignInLink => block_on(sign_in_link::run(&cli.settings()?)),
        Verb::Token(verb) => block_on(token::run(&cli.settings()?, verb)),
        Verb::Audit(audit) => block_on(audit::run(&cli.settings()?, audit)),
        Verb::Keys(verb) => block_on(keys::run(&cli.settings()?, verb)),
        Verb::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "gateway", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// Runs a short verb. Only `serve` needs more than one thread.
fn block_on(verb: impl Future<Output = Result<(), Fatal>>) -> Result<(), Fatal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Fatal::with(Exit::Failure))?.block_on(verb)
}

/// The exit code of an installation that can't be opened.
fn open_failed(error: OpenError) -> Fatal {
    Fatal::with(Exit::State)(error)
}

fn invalid(message: impl Into<String>) -> Fatal {
    Fatal::with(Exit::Config)(ConfigError::Invalid(message.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
