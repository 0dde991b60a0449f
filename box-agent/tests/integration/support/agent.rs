//! An agent with a state of its own, as a process. Everything it made is gone after the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use berth_protocol::desired::{DesiredSession, DesiredSnapshot, DesiredVersion};
use berth_protocol::ids::{SessionId, StoreIncarnation};
use box_agent::host::account::Account;
use box_agent::host::runtime::RuntimeDir;
use box_agent::identity::{self, Documents, Facts};
use box_agent::store::Store;
use box_agent::terminal::tmux::Tmux;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::ca::Ca;
use super::programs::{box_agent, on_path, ttyd};
use super::wait::until;

/// A gateway that is not there: nothing listens on the discard port.
pub const NO_GATEWAY: &str = "127.0.0.1:9";

pub struct Agent {
    pub ca: Ca,
    pub facts: Facts,
    dir: TempDir,
    process: Option<Child>,
}

/// The desired state with these sessions.
pub fn desired(generation: u64, sessions: &[&SessionId]) -> DesiredSnapshot {
    desired_of(&StoreIncarnation::random(), generation, sessions)
}

/// The same at a point of a given history.
pub fn desired_of(
    incarnation: &StoreIncarnation,
    generation: u64,
    sessions: &[&SessionId],
) -> DesiredSnapshot {
    let session = |id: &&SessionId| DesiredSession {
        id: (*id).clone(),
        name: "work".into(),
        template: "default".into(),
    };
    DesiredSnapshot {
        version: DesiredVersion { incarnation: incarnation.clone(), generation },
        sessions: sessions.iter().map(session).collect(),
        tombstones: vec![],
        environment: None,
        backup: None,
    }
}

impl Agent {
    /// An enrolled box whose gateway is at `link_address`; not started yet.
    pub fn enrolled(ca: Ca, link_address: &str) -> Self {
        let documents: Documents = ca.enrolment(link_address);
        let agent = Self::blank(ca, documents.facts.clone());
        identity::store(&agent.state_dir(), &documents, false).unwrap();
        agent
    }

    /// A machine that was never enrolled.
    pub fn not_enrolled(ca: Ca) -> Self {
        let facts = ca.enrolment(NO_GATEWAY).facts;
        Self::blank(ca, facts)
    }

    fn blank(ca: Ca, facts: Facts) -> Self {
        let dir = tempfile::Builder::new().prefix("box-").tempdir_in("/tmp").unwrap();
        std::fs::create_dir(dir.path().join("state")).unwrap();
        let agent = Self { ca, facts, dir, process: None };
        agent.configure(&ttyd(), "127.0.0.1:0");
        agent
    }

    /// Writes the settings. A coding agent is never installed here, so its pane says so.
    pub fn configure(&self, ttyd: &Path, door: &str) {
        let root = self.dir.path().display();
        let ttyd = ttyd.display();
        let text = format!(
            "state_dir = \"{root}/state\"\nruntime_dir = \"{root}/run\"\n\
             [volume]\npath = \"{root}/volume\"\n[door]\nlisten = \"{door}\"\n\
             [terminal]\nttyd = \"{ttyd}\"\nshell = \"/bin/sh\"\n\
             [templates.default]\npanes = [{{ name = \"agent\", command = [\"no-such-agent\", \"-x;\"] }}, \
             {{ name = \"logs\" }}, {{ name = \"shell\" }}]\n\
             [metrics]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"debug\"\nformat = \"json\"\n"
        );
        std::fs::write(self.config(), text).unwrap();
    }

    /// Replaces the template of the settings.
    pub fn set_templates(&self, templates: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        let (before, rest) = text.split_once("[templates.default]").unwrap();
        let (_, after) = rest.split_once("[metrics]").unwrap();
        std::fs::write(self.config(), format!("{before}{templates}[metrics]{after}")).unwrap();
    }

    /// Another agent's way to this one's tmux server.
    pub fn tmux_of_another_agent(&self) -> Tmux {
        let account = Account::find(None, self.root().join("volume/user/home"), None).unwrap();
        let runtime = RuntimeDir::at(&self.root().join("run"), None);
        let env = account.environment(|name| std::env::var_os(name));
        Tmux::new(on_path("tmux").expect("tmux is installed"), &runtime, account, env)
    }

    /// Changes the settings: `to` in the place of `from`.
    pub fn amend(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "{from:?} is not in\n{text}");
        std::fs::write(self.config(), text.replacen(from, to, 1)).unwrap();
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> PathBuf {
        self.root().join("config.toml")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.root().join("state")
    }

    pub fn database(&self) -> PathBuf {
        self.root().join("volume/system/state/agent.db")
    }

    fn log_file(&self) -> PathBuf {
        self.root().join("log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Runs another verb to its end.
    pub fn verb(&self, args: &[&str]) -> Output {
        self.command().args(args).stdin(Stdio::null()).output().unwrap()
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(box_agent());
        command.arg("--config").arg(self.config()).env_remove("NOTIFY_SOCKET");
        command
    }

    /// Gives the box a desired state, as if a gateway had told it before the network went.
    pub async fn remember(&self, snapshot: &DesiredSnapshot) {
        box_agent::volume::Volume::open_directory(&self.root().join("volume"), &self.facts.workspace)
            .unwrap();
        Store::open(&self.database()).unwrap().save_desired(snapshot).await.unwrap();
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) {
        self.launch();
        until("the agent to be ready", async || self.verb(&["status"]).status.success().then_some(())).await;
    }

    /// Starts it.
    pub fn launch(&mut self) {
        self.launch_with(&[]);
    }

    /// Starts it with more variables in its environment.
    pub fn launch_with(&mut self, variables: &[(&str, &str)]) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.command();
        command.arg("run").envs(variables.iter().copied());
        self.process = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Waits until it ends by itself.
    pub fn ended(&mut self) -> ExitStatus {
        self.process.take().unwrap().wait().unwrap()
    }

    /// Sends a signal and waits for the end; returns the exit code, if there is one.
    pub fn end(&mut self, signal: Signal) -> Option<i32> {
        let mut process = self.process.take()?;
        kill(Pid::from_raw(process.id().try_into().unwrap()), signal).ok();
        process.wait().unwrap().code()
    }

    fn address(&self, key: &str) -> SocketAddr {
        let text = std::fs::read_to_string(self.root().join("run/addresses.json")).unwrap();
        let addresses: serde_json::Value = serde_json::from_str(&text).unwrap();
        addresses[key].as_str().unwrap().parse().unwrap()
    }

    pub fn door(&self) -> SocketAddr {
        self.address("door")
    }

    /// One value of the metrics.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let url = format!("http://{}/metrics", self.address("metrics"));
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(super::gateway::any_tls(&self.ca))
            .build()
            .unwrap();
        let text = client.get(url).send().await.unwrap().text().await.unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// What a thread of the agent does, as the kernel writes it: `D` waits for a disk.
    pub fn thread_state(&self, name: &str) -> Option<char> {
        let tasks = format!("/proc/{}/task", self.process.as_ref().unwrap().id());
        let stats = std::fs::read_dir(tasks).unwrap().flatten();
        stats.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok()).find_map(|stat| {
            let (before, after) = stat.split_once(") ")?;
            before.ends_with(&format!("({name}")).then(|| after.chars().next())?
        })
    }

    /// Drives the box's tmux server.
    pub fn tmux(&self, args: &[&str]) -> String {
        let socket = self.root().join("run/terminal/tmux.sock");
        let output = Command::new("tmux").arg("-S").arg(socket).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Every tmux session by its mark.
    pub fn sessions(&self) -> Vec<String> {
        self.tmux(&["list-sessions", "-F", "#{@berth_session}"]).lines().map(str::to_owned).collect()
    }

    /// The ttyd that runs for this agent.
    pub fn ttyd_pid(&self) -> Option<Pid> {
        let socket = self.root().join("run/terminal/ttyd.sock");
        process_with(socket.to_str().unwrap(), "--interface")
    }
}

/// The process whose command line has both words. Only those of this test's own directory match.
pub fn process_with(word: &str, other: &str) -> Option<Pid> {
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<&str> =
            line.split(|byte| *byte == 0).filter_map(|w| std::str::from_utf8(w).ok()).collect();
        (words.contains(&word) && words.contains(&other)).then(|| Pid::from_raw(pid))
    })
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end(Signal::SIGTERM);
        self.tmux(&["kill-server"]);
        if std::thread::panicking() {
            eprintln!("--- the agent's log ---\n{}", self.log());
        }
    }
}
