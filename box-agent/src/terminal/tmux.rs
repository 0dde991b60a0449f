//! The tmux server of this box: its own socket, its own configuration, driven through the command line.
//!
//! A session is found by its option `@berth_session` and addressed by tmux's own `$n`, which is exact and is
//! never given twice, so that a user may rename a session and another name is never taken for it. The first
//! session starts the server, which makes itself independent of whoever started it; where a unit of its own has the
//! server, nobody here does. A server whose socket was
//! removed is asked for a new one; while it lives, no other is started.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use berth_daemon::state::StateError;
use berth_protocol::door::Role;
use berth_protocol::ids::SessionId;
use nix::sys::signal::Signal;

use super::server::KnownServer;
use crate::host::account::Account;
use crate::host::command::{CommandError, Invocation};
use crate::host::process::Process;
use crate::host::runtime::{RuntimeDir, RuntimeError};

/// The option that says which session of Berth a tmux session is.
pub const SESSION_OPTION: &str = "@berth_session";

/// The option that says which pane of its session's template a pane is.
pub const PANE_OPTION: &str = "@berth_pane";

/// How long a living server has to answer again, or to end.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Pause between attempts within [`ANSWER_LIMIT`].
const ANSWER_PAUSE: Duration = Duration::from_millis(20);

/// tmux's own address of a session, such as `$3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    pub(super) fn new(address: &str) -> Self {
        Self(address.to_owned())
    }

    /// The address, as an argument of tmux.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why tmux did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TmuxError {
    /// The program failed.
    #[error("failed to drive tmux")]
    Command(#[from] CommandError),
    /// Its configuration can't be written.
    #[error(transparent)]
    Config(#[from] StateError),
    /// Its configuration can't be given to the server's user.
    #[error(transparent)]
    Rights(#[from] RuntimeError),
    /// The server lives and can't be reached.
    #[error(
        "the tmux server (process {pid}) runs, but nothing answers at {socket}: \
         is its directory still there and writable?"
    )]
    Unreachable {
        /// Its process id.
        pid: i32,
        /// Where its socket should be.
        socket: PathBuf,
    },
    /// Somebody else starts the server and has not.
    #[error("no tmux server answers at {0}: look at the unit that starts it (systemctl status box-tmux)")]
    Away(PathBuf),
    /// It is too old.
    #[error("{program} is {found}, but tmux {}.{} or newer is needed: install a newer one and set terminal.tmux to it", super::prepare::OLDEST.0, super::prepare::OLDEST.1)]
    TooOld {
        /// The program.
        program: PathBuf,
        /// What it says of itself.
        found: String,
    },
}

/// A way to the tmux server.
#[derive(Debug, Clone)]
pub struct Tmux {
    pub(super) program: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) config: PathBuf,
    pub(super) script: PathBuf,
    pub(super) environment: PathBuf,
    pub(super) account: Account,
    env: Vec<(OsString, OsString)>,
    /// Whether somebody else starts the server.
    pub(super) foreign: bool,
    server: KnownServer,
}

impl Tmux {
    /// The server of `account` with its socket in `runtime`, whose sessions get the environment `env`.
    #[must_use]
    pub fn new(
        program: PathBuf,
        runtime: &RuntimeDir,
        account: Account,
        env: Vec<(OsString, OsString)>,
    ) -> Self {
        Self {
            program,
            socket: runtime.tmux_socket(),
            config: runtime.tmux_config(),
            script: runtime.pane_script(),
            environment: runtime.environment(),
            foreign: runtime.tmux_is_foreign(),
            server: KnownServer::new(runtime.tmux_server(), account.uid),
            account,
            env,
        }
    }

    /// The user of its sessions.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The server that was seen last, if it still lives.
    #[must_use]
    pub fn server(&self) -> Option<Process> {
        self.server.alive()
    }

    /// Every session of Berth that there is, with its address. Two that claim to be the same are one: the
    /// older.
    ///
    /// # Errors
    /// [`TmuxError`]. That no server runs is no error, unless somebody else starts it: there are no sessions then.
    pub async fn sessions(&self) -> Result<BTreeMap<SessionId, Target>, TmuxError> {
        if let Some(sessions) = self.list().await? {
            return Ok(sessions);
        }
        match self.server.alive() {
            Some(server) => self.reach_again(&server).await,
            None if self.foreign => Err(TmuxError::Away(self.socket.clone())),
            None => Ok(BTreeMap::new()),
        }
    }

    /// Every session, or nothing when no server answers.
    pub(super) async fn list(&self) -> Result<Option<BTreeMap<SessionId, Target>>, CommandError> {
        let format = format!("#{{pid}} #{{session_id}} #{{{SESSION_OPTION}}}");
        let listing = match self.run(&["list-sessions".into(), "-F".into(), format]).await {
            Ok(listing) => listing,
            Err(CommandError::Failed { stderr, .. }) if is_no_server(&stderr) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (server, sessions) = parse_listing(&listing);
        if let Some(pid) = server {
            self.server.remember(pid);
        }
        Ok(Some(sessions))
    }

    /// Has a server that does not answer make its socket anew, which it does on SIGUSR1, and looks again. One that
    /// is about to end is waited for.
    async fn reach_again(&self, server: &Process) -> Result<BTreeMap<SessionId, Target>, TmuxError> {
        tracing::warn!(pid = server.pid(), "the tmux server does not answer; asking it for a new socket");
        let begun = Instant::now();
        if let Err(error) = server.signal(Signal::SIGUSR1) {
            tracing::debug!(%error, "the tmux server took no signal");
        }
        while begun.elapsed() < ANSWER_LIMIT {
            if let Some(sessions) = self.list().await? {
                return Ok(sessions);
            }
            if !server.is_alive() {
                return Ok(BTreeMap::new());
            }
            tokio::time::sleep(ANSWER_PAUSE).await;
        }
        Err(TmuxError::Unreachable { pid: server.pid(), socket: self.socket.clone() })
    }

    /// Makes a session by the commands of a [`Blueprint`](super::blueprint::Blueprint): all of it or nothing. A session that
    /// is there already is left as it is, and the outcome is an error.
    ///
    /// # Errors
    /// [`TmuxError`].
    pub async fn create(&self, id: &SessionId, commands: &[String]) -> Result<(), TmuxError> {
        // Whoever removed them would keep every pane from starting.
        if !self.script.exists() || !self.config.exists() {
            self.write_files()?;
        }
        // -N: a server whose socket was removed just now must not get a second one beside it.
        let start = if self.foreign || self.server.alive().is_some() { &["-N".to_owned()][..] } else { &[] };
        // One call: the server runs the whole list, even if this agent is killed meanwhile.
        let outcome = self.run(&[start, commands].concat()).await;
        if outcome.is_err() {
            // The mark is the list's last command, so what has the name and no mark is unfinished.
            let unmarked = format!("#{{?{SESSION_OPTION},0,1}}");
            let target = format!("={id}:");
            let kill = format!("kill-session -t ={id}");
            let cleared =
                self.run(&["if-shell".into(), "-F".into(), "-t".into(), target, unmarked, kill]).await;
            if let Err(error) = cleared {
                tracing::debug!(session = %id, %error, "nothing of the unfinished session is left");
            }
        }
        outcome.map(drop).map_err(Into::into)
    }

    /// Ends a session. One that is gone already is fine.
    ///
    /// # Errors
    /// [`TmuxError`].
    pub async fn end(&self, id: &SessionId) -> Result<(), TmuxError> {
        let Some(Target(target)) = self.sessions().await?.remove(id) else { return Ok(()) };
        // Asked again by the server itself: another server may have come since, with the same address.
        let same = format!("#{{==:#{{{SESSION_OPTION}}},{id}}}");
        let kill = format!("kill-session -t {target}");
        self.run(&["if-shell".into(), "-F".into(), "-t".into(), target, same, kill]).await?;
        Ok(())
    }

    /// The command line that attaches a terminal to a session; its size counts there if `sized`, and a viewer's
    /// never does.
    #[must_use]
    pub fn attach_argv(&self, target: &Target, role: Role, sized: bool) -> Vec<String> {
        // -N: attaching never starts a server. -u: every browser's terminal is UTF-8.
        let mut argv = vec![
            self.program.to_string_lossy().into_owned(),
            "-u".into(),
            "-N".into(),
            "-S".into(),
            self.socket.to_string_lossy().into_owned(),
            "attach-session".into(),
            "-t".into(),
            target.0.clone(),
        ];
        let flags = match (role, sized) {
            (Role::Viewer, _) => "read-only,ignore-size",
            (Role::Editor, false) => "ignore-size",
            (Role::Editor, true) => return argv,
        };
        argv.extend(["-f".into(), flags.into()]);
        argv
    }

    /// Detaches the client that is this process. One that is not attached is fine.
    ///
    /// # Errors
    /// [`TmuxError`].
    pub async fn detach(&self, pid: i32) -> Result<(), TmuxError> {
        let format = "#{client_pid} #{client_tty}".to_owned();
        let clients = self.run(&["list-clients".into(), "-F".into(), format]).await?;
        let client = clients.lines().find_map(|line| line.strip_prefix(&format!("{pid} ")));
        if let Some(terminal) = client {
            self.run(&["detach-client".into(), "-t".into(), terminal.to_owned()]).await?;
        }
        Ok(())
    }

    pub(super) async fn run(&self, command: &[String]) -> Result<String, CommandError> {
        let fixed = [Path::new("-S"), &self.socket, Path::new("-f"), &self.config].map(Path::as_os_str);
        let args = fixed.into_iter().chain(command.iter().map(OsStr::new));
        self.invocation(args).run().await
    }

    pub(super) fn invocation<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation {
        Invocation::new(&self.program, args).with_env(self.env.clone()).as_user(&self.account)
    }
}

/// A word as an argument of tmux: one that ends in a semicolon would end the command.
pub(super) fn word(word: String) -> String {
    match word.strip_suffix(';') {
        Some(start) => format!("{start}\\;"),
        None => word,
    }
}

/// The server's process id and the sessions of Berth.
fn parse_listing(listing: &str) -> (Option<i32>, BTreeMap<SessionId, Target>) {
    let mut server = None;
    let mut sessions = BTreeMap::new();
    for line in listing.lines() {
        let Some((pid, session)) = line.split_once(' ') else { continue };
        server = pid.parse().ok().or(server);
        // Sessions that the user made have no mark; what does not parse is not ours either.
        if let Some((address, mark)) = session.split_once(' ')
            && let Ok(id) = mark.parse::<SessionId>()
        {
            sessions.entry(id).or_insert_with(|| Target(address.to_owned()));
        }
    }
    (server, sessions)
}

fn is_no_server(stderr: &str) -> bool {
    ["no server running on", "error connecting to", "server exited"]
        .iter()
        .any(|words| stderr.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_known_by_their_mark_alone() {
        let (id, other) = (SessionId::random(), SessionId::random());
        let listing = format!("7 $0 {id}\n7 $1 \n7 $2 made-by-hand\n7 $3 {id}\n7 $10 {other}\n");
        let (server, sessions) = parse_listing(&listing);
        assert_eq!(server, Some(7));
        assert_eq!(sessions.len(), 2);
        assert_eq!((&sessions[&id], &sessions[&other]), (&Target("$0".into()), &Target("$10".into())));
    }

    #[test]
    fn a_viewer_only_looks_and_an_unsized_editor_only_types() {
        let runtime = RuntimeDir::at(Path::new("/run/box"), None);
        let account = Account::find(None, "/h".into(), None).unwrap();
        let tmux = Tmux::new("/usr/bin/tmux".into(), &runtime, account, vec![]);
        let editor = tmux.attach_argv(&Target("$3".into()), Role::Editor, true);
        let expected = "/usr/bin/tmux -u -N -S /run/box/terminal/tmux.sock attach-session -t $3";
        assert_eq!(editor.join(" "), expected);
        for sized in [true, false] {
            let viewer = tmux.attach_argv(&Target("$3".into()), Role::Viewer, sized);
            assert_eq!(viewer.join(" "), format!("{expected} -f read-only,ignore-size"));
        }
        let unsized_editor = tmux.attach_argv(&Target("$3".into()), Role::Editor, false);
        assert_eq!(unsized_editor.join(" "), format!("{expected} -f ignore-size"));
    }
}
