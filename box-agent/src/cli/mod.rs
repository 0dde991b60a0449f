//! The command line: one file per verb.

mod attach;
mod backup;
mod check_config;
mod completions;
mod doctor;
mod enroll;
mod guard;
mod layout;
mod logs;
mod notify;
mod provision;
mod run;
mod sessions;
mod status;
mod suspend;
mod tap;
mod volume;
mod worker;

use std::path::{Path, PathBuf};

use berth_daemon::config::{ConfigError, Sources, drop_ins};
use berth_daemon::exit::{Exit, Fatal};
use clap::{Args, Parser, Subcommand};

use crate::control::client::{ControlError, ask};
use crate::control::{Answer, Request};
use crate::host::runtime::RuntimeDir;
use crate::settings::{DEFAULT_FILE, ENV_PREFIX, Settings};

/// Berth's agent: keeps a box's tmux sessions and lets the gateway in to them.
#[derive(Debug, Parser)]
#[command(name = "box-agent", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of every verb; they outweigh the environment, which outweighs the file.
#[derive(Debug, Args)]
struct Options {
    /// The settings file [default: /etc/box-agent/config.toml, if it is there]; files in the directory of the same
    /// name that ends in .d outweigh it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the box's identity is kept (state_dir)
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    /// auto, pretty, json or journal (log.format)
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// error, warn, info, debug, trace or a filter (log.level)
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the agent until SIGTERM or Ctrl-C
    Run(run::Run),
    /// Make this machine a box, with a token of `gateway workspace enroll <name>`
    Enroll(enroll::Enroll),
    /// Become the box that this machine's user-data says; the image's first boot does it
    Provision(provision::Provision),
    /// Check the settings and print them, secrets masked
    CheckConfig(check_config::CheckConfig),
    /// Ask the running agent how it is; exit 0 only when it is ready
    Status(status::Status),
    /// Look at the workspace volume, or decide what only a person can
    Volume(volume::Volume),
    /// End the sessions and let the volume go, so that the machine can be switched off
    Suspend(suspend::Suspend),
    /// Take the volume back after a suspension
    Resume(suspend::Resume),
    /// Back the volume up, look into backups, bring files back
    Backup(backup::Backup),
    /// Compare the tree on the volume with what it should be, or mend it
    Layout(layout::Layout),
    /// List the sessions of the running agent
    Sessions(sessions::Sessions),
    /// Look at all that the agent needs, and say what to do about what is wrong; exit 1 when something fails
    Doctor(doctor::Doctor),
    /// Show what the box's services wrote into the journal
    Logs(logs::Logs),
    /// Print completions for a shell
    Completions(completions::Completions),
    /// Become the tmux client of an attachment; ttyd starts this
    #[command(hide = true)]
    Attach(attach::Attach),
    /// Tell the agent what a coding agent's hook says; coding agents start this
    #[command(hide = true)]
    Notify(notify::Notify),
    /// Read a pane's output on standard input; tmux starts this
    #[command(hide = true)]
    Tap(tap::Tap),
    /// Become another program that ends with its parent; the agent starts this
    #[command(hide = true)]
    Guard(guard::Guard),
    /// Do one thing as the terminals' user; the agent starts this
    #[command(hide = true)]
    Worker(worker::Worker),
}

impl Cli {
    /// Does what the verb says.
    ///
    /// # Errors
    /// [`Fatal`], with the exit code.
    pub fn run(self) -> Result<Exit, Fatal> {
        let options = &self.options;
        match self.verb {
            Verb::Run(verb) => verb.run(options),
            Verb::Enroll(verb) => verb.run(options),
            Verb::Provision(verb) => verb.run(options),
            Verb::CheckConfig(verb) => verb.run(options),
            Verb::Status(verb) => verb.run(options),
            Verb::Volume(verb) => verb.run(options),
            Verb::Suspend(verb) => verb.run(options),
            Verb::Resume(verb) => verb.run(options),
            Verb::Backup(verb) => verb.run(options),
            Verb::Layout(verb) => verb.run(options),
            Verb::Sessions(verb) => verb.run(options),
            Verb::Doctor(verb) => verb.run(options),
            Verb::Logs(verb) => verb.run(),
            Verb::Completions(verb) => verb.run(),
            Verb::Attach(verb) => verb.run(),
            Verb::Notify(verb) => Ok(verb.run()),
            Verb::Tap(verb) => Ok(verb.run()),
            Verb::Guard(verb) => verb.run(),
            Verb::Worker(verb) => Ok(verb.run()),
        }
    }
}

impl Options {
    /// The running agent's socket.
    fn socket(&self) -> Result<PathBuf, Fatal> {
        Ok(RuntimeDir::at(&self.settings()?.runtime_dir, None).agent_socket())
    }

    /// The settings from all sources.
    fn settings(&self) -> Result<Settings, Fatal> {
        let default = Path::new(DEFAULT_FILE);
        let file = self.config.as_deref().or_else(|| default.exists().then_some(default));
        let mut flags = Vec::new();
        if let Some(state) = &self.state {
            flags.push(("state_dir", text(state, "--state")?));
        }
        flags.extend(self.log_format.clone().map(|format| ("log.format", format)));
        flags.extend(self.log_level.clone().map(|level| ("log.level", level)));
        // Values that are not UTF-8 are nobody's settings.
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let drop_ins = drop_ins(file.unwrap_or(default)).map_err(Fatal::with(Exit::Config))?;
        Settings::load(&Sources { file, drop_ins, env_prefix: ENV_PREFIX, env, flags })
            .map_err(Fatal::with(Exit::Config))
    }
}

/// Asks the running agent.
fn ask_agent(options: &Options, request: &Request) -> Result<Answer, Fatal> {
    let (answer, _) = ask(&options.socket()?, request).map_err(Fatal::with(Exit::Failure))?;
    Ok(answer)
}

/// The agent answered, but not what was asked: it is of another version.
fn unexpected() -> Fatal {
    let problem = std::io::Error::other("it answered another question");
    Fatal::with(Exit::Failure)(ControlError::Unintelligible(problem))
}

fn text(path: &Path, flag: &str) -> Result<String, Fatal> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.into_os_string().into_string().map_err(|_| {
        let problem = "the path is not UTF-8".to_owned();
        Fatal::with(Exit::Config)(ConfigError::Override { origin: flag.to_owned(), problem })
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
