//! How restic is started and ended.
//!
//! Under systemd it is a transient unit: the lowest share of disk and processor, a bound on its memory, and no right but
//! to read files (or, for a restore, to make them). Without systemd it is a child that the kernel ends with the agent.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_daemon::state::{private_dir, write_private};
use nix::unistd::Uid;
use tokio::process::{ChildStderr, ChildStdout};

use super::super::problem::Problem;
use super::super::target::Target;
use super::{Call, Rights, calls, traces};
use crate::host::command::Invocation;
use crate::host::group::{Ended, Group};
use crate::host::programs::find;

/// A machine that systemd runs has this directory.
const SYSTEMD: &str = "/run/systemd/system";

/// What every unit of restic is called at the beginning.
const UNIT: &str = "berth-restic-";

/// What every unit of restic is.
const PROPERTIES: [&str; 9] = [
    "KillSignal=SIGINT",
    "TimeoutStopSec=20",
    "Nice=10",
    "IOSchedulingClass=idle",
    "CPUWeight=20",
    "OOMScoreAdjust=500",
    "Slice=berth.slice",
    "NoNewPrivileges=yes",
    "UMask=0077",
];

/// Rights that it may have, besides those of any program.
fn capabilities(rights: Rights) -> &'static str {
    match rights {
        Rights::Read => "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
        Rights::Restore => {
            "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER CAP_FSETID"
        }
    }
}

/// Starts restic.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    cache: PathBuf,
    /// A directory in memory that is this process's own: for passwords.
    papers: PathBuf,
    how: How,
}

#[derive(Debug, Clone)]
enum How {
    Child { agent: PathBuf },
    Unit { systemd_run: PathBuf, systemctl: PathBuf, memory_max: String },
}

impl Launcher {
    /// One for this machine. `agent` is this program.
    ///
    /// # Errors
    /// [`Problem::Tool`] when there is no restic.
    pub fn find(
        program: &Path,
        cache: &Path,
        papers: &Path,
        agent: &Path,
        memory_max: &str,
    ) -> Result<Self, Problem> {
        let search = std::env::var_os("PATH").unwrap_or_default();
        let program = find(program, &search, "backup.restic", "restic")
            .map_err(|error| Problem::Tool(chain(&error)))?;
        let systemd = || {
            let possible = Uid::effective().is_root() && Path::new(SYSTEMD).is_dir();
            let tool = |name| find(Path::new(name), &search, "PATH", "systemd").ok();
            possible.then(|| Some((tool("systemd-run")?, tool("systemctl")?))).flatten()
        };
        let how = match systemd() {
            Some((systemd_run, systemctl)) => {
                How::Unit { systemd_run, systemctl, memory_max: memory_max.to_owned() }
            }
            None => How::Child { agent: agent.to_owned() },
        };
        Ok(Self { program, cache: cache.to_owned(), papers: papers.to_owned(), how })
    }

    /// Ends what an agent that was killed has left behind, and waits until it is gone.
    pub async fn tidy(&self) {
        // Looks into the repository may begin meanwhile, and their papers are not old.
        let old = traces::papers(&self.papers);
        if let How::Unit { systemctl, .. } = &self.how {
            let stop = Invocation::new(systemctl, ["stop", "--", &format!("{UNIT}*.service")]);
            if let Err(error) = stop.run().await {
                tracing::debug!(error = chain(&error), "no unit of restic was stopped");
            }
        }
        traces::see_out(&old).await;
        drop(Papers(old));
    }

    /// Starts a call without a repository.
    ///
    /// # Errors
    /// [`Problem::NotStarted`].
    pub fn start_plain(&self, args: &[&str]) -> Result<Job, Problem> {
        let invocation = Invocation::new(&self.program, args).with_env(base());
        let started = Group::start(&invocation, Path::new("/"), false);
        let (group, pipes) = started.map_err(|error| Problem::NotStarted(error.to_string()))?;
        Ok(Job {
            group: Handle { group, unit: None },
            stdout: pipes.stdout,
            stderr: pipes.stderr,
            _papers: None,
        })
    }

    /// Starts a call.
    ///
    /// # Errors
    /// [`Problem::NotStarted`].
    pub fn start(&self, target: &Target, call: &Call<'_>, stuck: Duration) -> Result<Job, Problem> {
        let not_started = |error: &dyn std::fmt::Display| Problem::NotStarted(error.to_string());
        private_dir(&self.cache).map_err(|error| not_started(&chain(&error)))?;
        private_dir(&self.papers).map_err(|error| not_started(&chain(&error)))?;
        let name = berth_protocol::ids::random_base32();
        let password = self.papers.join(format!("{name}.password"));
        write_private(&password, target.credentials.password.expose())
            .map_err(|error| not_started(&chain(&error)))?;
        let mut papers = Papers(vec![password.clone()]);
        let env = self.environment(target, &password);
        let args: Vec<OsString> =
            call.args.iter().cloned().chain(calls::common(&target.repository, stuck)).collect();
        // Options go before what stands behind `--`.
        let args = arranged(args, call.args.len());
        let (invocation, directory, unit) = match &self.how {
            How::Child { agent } => {
                let parent = std::process::id().to_string();
                let mut words: Vec<OsString> =
                    ["guard", "--parent", &parent, "--"].map(OsString::from).into();
                words.push(self.program.clone().into());
                words.extend(args);
                (Invocation::new(agent, words).with_env(env), call.directory, None)
            }
            How::Unit { systemd_run, systemctl, memory_max } => {
                let file = self.papers.join(format!("{name}.env"));
                write_private(&file, env_file(&env).as_bytes())
                    .map_err(|error| not_started(&chain(&error)))?;
                papers.0.push(file.clone());
                let unit = format!("{UNIT}{name}.service");
                let words = self.unit_words(&unit, &file, call, memory_max, args);
                let invocation = Invocation::new(systemd_run, words).with_env(base());
                (invocation, Path::new("/"), Some((systemctl.clone(), unit)))
            }
        };
        let (group, pipes) =
            Group::start(&invocation, directory, false).map_err(|error| not_started(&error))?;
        papers.0.extend(traces::note(&self.papers, &name, group.id()));
        let group = Handle { group, unit };
        Ok(Job { group, stdout: pipes.stdout, stderr: pipes.stderr, _papers: Some(papers) })
    }

    fn unit_words(
        &self,
        unit: &str,
        env: &Path,
        call: &Call<'_>,
        memory_max: &str,
        args: Vec<OsString>,
    ) -> Vec<OsString> {
        let flags = ["--quiet", "--pipe", "--wait", "--collect", "--service-type=exec"];
        let mut words: Vec<OsString> = flags.map(OsString::from).into();
        words.extend(["--unit".into(), OsString::from(unit)]);
        words.extend(["--working-directory".into(), call.directory.into()]);
        let mut property = |text: OsString| words.extend(["--property".into(), text]);
        PROPERTIES.iter().for_each(|text| property((*text).into()));
        property(capabilities(call.rights).into());
        property(format!("MemoryMax={memory_max}").into());
        let mut file = OsString::from("EnvironmentFile=");
        file.push(env);
        property(file);
        words.extend(["--".into(), self.program.clone().into()]);
        words.extend(args);
        words
    }

    fn environment(&self, target: &Target, password: &Path) -> Vec<(OsString, OsString)> {
        let text = |bytes: &[u8]| OsString::from(String::from_utf8_lossy(bytes).into_owned());
        let keys = &target.credentials;
        let mut env = base();
        env.extend([
            ("HOME".into(), self.cache.clone().into()),
            ("GOMAXPROCS".into(), "2".into()),
            ("RESTIC_CACHE_DIR".into(), self.cache.clone().into()),
            ("RESTIC_PROGRESS_FPS".into(), "2".into()),
            ("RESTIC_REPOSITORY".into(), target.repository.url().into()),
            ("RESTIC_PASSWORD_FILE".into(), password.into()),
            ("AWS_ACCESS_KEY_ID".into(), keys.key_id.clone().into()),
            ("AWS_SECRET_ACCESS_KEY".into(), text(keys.secret_key.expose())),
        ]);
        env.extend(keys.session_token.iter().map(|token| ("AWS_SESSION_TOKEN".into(), text(token.expose()))));
        env
    }
}

/// What any program finds, and what tells Go how to reach a server that is behind a proxy.
fn base() -> Vec<(OsString, OsString)> {
    let inherited = ["PATH", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"];
    inherited.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?))).collect()
}

/// Moves the options that were added behind `count` words to before a `--` among those.
fn arranged(mut args: Vec<OsString>, count: usize) -> Vec<OsString> {
    let added = args.split_off(count);
    let place = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    args.splice(place..place, added);
    args
}

/// As systemd reads it: within quotes, backslash and quote are escaped, and nothing is expanded.
fn env_file(env: &[(OsString, OsString)]) -> String {
    env.iter()
        .map(|(name, value)| {
            let value = value.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
            format!("{}=\"{value}\"\n", name.to_string_lossy())
        })
        .collect()
}

/// Files that are gone when this is.
#[derive(Debug)]
struct Papers(Vec<PathBuf>);

impl Drop for Papers {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A restic that runs. Dropped, it is ended.
#[derive(Debug)]
pub struct Job {
    /// Its processes.
    pub group: Handle,
    /// What it says.
    pub stdout: ChildStdout,
    /// Where it complains.
    pub stderr: ChildStderr,
    _papers: Option<Papers>,
}

/// The processes of a restic.
#[derive(Debug)]
pub struct Handle {
    group: Group,
    /// Its unit, if it has one, and what speaks to systemd.
    unit: Option<(PathBuf, String)>,
}

impl Handle {
    /// Asks it to end, as Ctrl-C does: it takes its lock along.
    pub fn interrupt_unit(&self) {
        match &self.unit {
            None => self.group.interrupt(),
            Some(unit) => speak(unit, &["kill", "--signal=SIGINT"]),
        }
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(unit) = self.unit.take() {
            speak(&unit, &["kill", "--signal=SIGKILL"]);
        }
        self.group.kill();
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When the system does not tell.
    pub async fn ended(&mut self) -> io::Result<Ended> {
        let ended = self.group.ended().await?;
        self.unit = None;
        Ok(ended)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Has systemd do something with a unit, and does not wait for it.
fn speak((systemctl, unit): &(PathBuf, String), verb: &[&str]) {
    let words = verb.iter().copied().chain(["--", unit.as_str()]);
    let invocation = Invocation::new(systemctl, words);
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            if let Err(error) = invocation.run().await {
                tracing::debug!(error = chain(&error), "a unit of restic is not there any more");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_reads_is_what_was_meant() {
        let env = [("A".into(), r#"a"b\c$d #e"#.into()), ("B".into(), "x".into())];
        assert_eq!(env_file(&env), "A=\"a\\\"b\\\\c$d #e\"\nB=\"x\"\n");
    }

    #[test]
    fn options_never_stand_behind_two_hyphens() {
        let args = ["ls", "--", "latest", "/x", "--json"].map(OsString::from).to_vec();
        assert_eq!(arranged(args, 4), ["ls", "--json", "--", "latest", "/x"]);
        let args = ["init", "--json"].map(OsString::from).to_vec();
        assert_eq!(arranged(args, 1), ["init", "--json"]);
    }
}
