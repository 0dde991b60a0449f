//! The command line: one file per verb.

mod audit;
mod backup;
mod ca;
mod config;
mod init;
mod invite;
mod keys;
mod member;
mod organization;
mod serve;
mod sign_in_link;
mod token;
mod user;
mod user_data;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use berth_daemon::config::{ConfigError, Sources};
use berth_daemon::exit::{Exit, Fatal, report};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::Value;
use url::Url;

use crate::installation::OpenError;
use crate::server::Addresses;
use crate::settings::{ENV_PREFIX, Settings};
use crate::store::{Deed, Outcome, Store};

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
    /// List, make, block and recover accounts
    #[command(subcommand)]
    User(user::UserVerb),
    /// Make, list and revoke invites, with which others make accounts
    #[command(subcommand)]
    Invite(invite::InviteVerb),
    /// List, add and remove members of a workspace of the owner's
    #[command(subcommand)]
    Member(member::MemberVerb),
    /// Groups of users who share workspaces
    #[command(subcommand)]
    Organization(organization::OrganizationVerb),
    /// Make, list and revoke API tokens of the owner
    #[command(subcommand)]
    Token(token::TokenVerb),
    /// Look after the repositories of workspaces
    #[command(subcommand)]
    Backup(backup::BackupVerb),
    /// Print, export or verify the audit record: time, action, user, workspace, request, source, outcome, detail
    Audit(Box<audit::Audit>),
    /// List the CAs that boxes and gateways believe, and rotate them: add, switch, remove
    #[command(subcommand)]
    Ca(ca::CaVerb),
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
        Verb::User(verb) => block_on(user::run(&cli.settings()?, verb)),
        Verb::Invite(verb) => block_on(invite::run(&cli.settings()?, verb)),
        Verb::Member(verb) => block_on(member::run(&cli.settings()?, verb)),
        Verb::Organization(verb) => block_on(organization::run(&cli.settings()?, verb)),
        Verb::Token(verb) => block_on(token::run(&cli.settings()?, verb)),
        Verb::Backup(verb) => block_on(backup::run(&cli.settings()?, verb)),
        Verb::Audit(audit) => block_on(audit::run(&cli.settings()?, audit)),
        Verb::Ca(verb) => block_on(ca::run(&cli.settings()?, verb)),
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

/// Where browsers find the console: as set, as the running gateway says, or as it will be.
fn public_url(settings: &Settings) -> Result<Url, Fatal> {
    let running = Addresses::read(&settings.state_dir).and_then(|running| running.public_url.parse().ok());
    match (&settings.front.public_url, running) {
        (None, Some(running)) => Ok(running),
        _ => settings.public_url(settings.front.listen).map_err(Fatal::with(Exit::Config)),
    }
}

/// The exit code of an installation that can't be opened.
fn open_failed(error: OpenError) -> Fatal {
    Fatal::with(Exit::State)(error)
}

/// Puts what the operator did on the record.
async fn note(store: &Store, action: &'static str, detail: Value) -> Result<(), Fatal> {
    store.note(Deed::new(action, Outcome::Done, detail)).await.map_err(Fatal::with(Exit::State))
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
