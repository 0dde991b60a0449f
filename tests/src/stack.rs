//! A real gateway and a real agent.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::ports::Ports;
use crate::process::{Process, run, stdout};
use crate::tmux::Tmux;
use crate::{Client, programs, wait};

/// A gateway and an agent in a temporary directory.
///
/// Fields are dropped in order: the agent first, tmux after it, the files last.
pub struct Stack {
    /// The agent's process.
    pub agent: Process,
    /// The gateway's process.
    pub gateway: Process,
    /// The box's tmux server.
    pub tmux: Tmux,
    origin: String,
    directory: TempDir,
    ports: Ports,
}

impl Stack {
    /// Starts both, with the workspace `main` enrolled, and waits until they serve.
    ///
    /// # Panics
    /// When they don't.
    pub async fn start() -> Self {
        let mut stack = Self::start_gateway().await;
        stack.enroll("main");
        stack.start_agent().await;
        stack
    }

    /// Starts the gateway with a workspace `main`; the agent is configured, not enrolled and not started.
    ///
    /// # Panics
    /// When the gateway does not serve.
    pub async fn start_gateway() -> Self {
        let directory = tempfile::Builder::new().prefix("bt-").tempdir_in("/tmp").expect("a directory");
        let path = directory.path();
        let ports = Ports::take(3);
        write_gateway_config(path, ports.port(0), ports.port(1));
        write_agent_config(path, &programs::ttyd());
        let config = path.join("gateway.toml");
        let config = config.to_str().expect("a plain path");
        let gateway =
            Process::new("gateway", programs::built("gateway"), &["serve", "--config", config], path);
        let config = path.join("box-agent.toml");
        let config = config.to_str().expect("a plain path");
        let agent =
            Process::new("box-agent", programs::built("box-agent"), &["run", "--config", config], path);
        let tmux = Tmux::new(&path.join("run/terminal/tmux.sock"));
        let origin = format!("http://127.0.0.1:{}", ports.port(0));
        let mut stack = Self { agent, gateway, tmux, origin, directory, ports };
        stack.gateway.start();
        stack.wait_for_gateway().await;
        let _ = stdout(&stack.gateway_verb(&["workspace", "create", "main"]));
        stack
    }

    /// A path in the stack's directory: `gateway/`, `box/`, `run/`, `workspace/`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Lets the gateway take links on another port from its next start on: the box can't find it there.
    pub fn move_link(&self) {
        write_gateway_config(self.directory.path(), self.ports.port(0), self.ports.port(2));
    }

    /// Adds to the gateway's settings and starts it again.
    ///
    /// # Panics
    /// When the settings can't be written, or the gateway does not serve with them.
    pub async fn configure(&mut self, more: &str) {
        let file = self.path("gateway.toml");
        let settings = std::fs::read_to_string(&file).expect("settings");
        std::fs::write(&file, settings + more).expect("the settings are written");
        self.gateway.stop();
        self.gateway.start();
        self.wait_for_gateway().await;
    }

    /// Starts the gateway again with settings from its environment, such as `LINK__CERTIFICATE_SECS`.
    ///
    /// # Panics
    /// When it does not serve with them.
    pub async fn reconfigure(&mut self, settings: &[(&str, &str)]) {
        for (name, value) in settings {
            self.gateway.set_env(&format!("BERTH_GATEWAY__{name}"), value);
        }
        self.gateway.stop();
        self.gateway.start();
        self.wait_for_gateway().await;
    }

    /// Has the box no port that can be reached: its door listens where nobody is told, and its public address refuses.
    ///
    /// # Panics
    /// When the configuration can't be written.
    pub fn hide_door(&self, hidden: &str, public: &str) {
        hide_door(&self.path("box-agent.toml"), hidden, public);
    }

    /// Stops the gateway and keeps a copy of its store.
    ///
    /// # Panics
    /// When it can't be copied.
    pub fn stop_and_copy_store(&mut self) {
        self.gateway.stop();
        std::fs::copy(self.path("gateway/gateway.db"), self.path("copy.db")).expect("the store is copied");
    }

    /// Stops the gateway, puts the copy of its store back, and starts it again.
    ///
    /// # Panics
    /// When there is no copy.
    pub async fn restore_store(&mut self) {
        self.gateway.stop();
        std::fs::copy(self.path("copy.db"), self.path("gateway/gateway.db")).expect("the copy is put back");
        self.gateway.start();
        self.wait_for_gateway().await;
    }

    /// Whoever asks it from now on asks this origin, which its settings name.
    pub(crate) fn be_reached_at(&mut self, origin: &str) {
        origin.clone_into(&mut self.origin);
    }

    /// The console's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Runs a verb of the gateway's command line.
    #[must_use]
    pub fn gateway_verb(&self, arguments: &[&str]) -> std::process::Output {
        let config = self.path("gateway.toml");
        let config = ["--config", config.to_str().unwrap_or_default()];
        run(&programs::built("gateway"), &[arguments, &config].concat(), "")
    }

    /// Runs a verb of the agent's command line.
    #[must_use]
    pub fn agent_verb(&self, arguments: &[&str], input: &str) -> std::process::Output {
        let config = self.path("box-agent.toml");
        let config = ["--config", config.to_str().unwrap_or_default()];
        run(&programs::built("box-agent"), &[arguments, &config].concat(), input)
    }

    /// A new enrolment token for a workspace.
    #[must_use]
    pub fn token(&self, workspace: &str) -> String {
        stdout(&self.gateway_verb(&["workspace", "enroll", workspace]))
    }

    /// Enrols the box for a workspace.
    pub fn enroll(&self, workspace: &str) {
        let token = self.token(workspace);
        let _ = stdout(&self.agent_verb(&["enroll", "--token-file", "-"], &token));
    }

    /// Starts the agent, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    pub async fn start_agent(&mut self) {
        self.agent.start();
        self.wait_for_agent().await;
    }

    /// Waits until the agent is ready.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn wait_for_agent(&mut self) {
        wait::until("the agent to be ready", async || {
            assert!(self.agent.is_running(), "the agent ended: {}", self.agent.log());
            self.agent_verb(&["status"], "").status.success().then_some(())
        })
        .await;
    }

    /// Waits until the gateway answers.
    ///
    /// # Panics
    /// When it does not.
    pub async fn wait_for_gateway(&mut self) {
        let http = crate::client::plain();
        let url = format!("{}/healthz", self.origin);
        wait::until("the gateway to answer", async || {
            assert!(self.gateway.is_running(), "the gateway ended: {}", self.gateway.log());
            http.get(&url).send().await.ok()
        })
        .await;
    }

    /// A signed-in browser.
    pub async fn client(&self) -> Client {
        Client::sign_in(&self.origin, &self.sign_in_link()).await
    }

    /// A sign-in link.
    #[must_use]
    pub fn sign_in_link(&self) -> String {
        stdout(&self.gateway_verb(&["sign-in-link"]))
    }

    /// A client of the stack whose box is online, and a session that runs on it.
    pub async fn client_and_session(&self, name: &str) -> (Client, String) {
        let client = self.client().await;
        client.wait_for_box("online").await;
        let session = client.running_session(name).await;
        (client, session)
    }
}

fn write_gateway_config(directory: &Path, front: u16, link: u16) {
    let state = directory.join("gateway");
    let text = format!(
        "state_dir = \"{}\"\n[front]\nlisten = \"127.0.0.1:{front}\"\n[link]\nlisten = \"127.0.0.1:{link}\"\n\
         [limits]\nsign_ins_per_minute = 6000\nterminals_per_minute = 60000\nstreams_per_minute = 60000\n\
         preview_sockets_per_minute = 60000\nenrollments_per_minute = 6000\n\
         connections_per_address = 20000\n\
         [metrics]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"info,gateway=debug\"\n",
        state.display()
    );
    std::fs::write(directory.join("gateway.toml"), text).expect("the configuration is written");
}

/// Changes an agent's configuration so that its door listens at an address that nobody is told, and its public address is
/// one that refuses.
///
/// # Panics
/// When it can't be changed.
pub fn hide_door(config: &Path, hidden: &str, public: &str) {
    let text = std::fs::read_to_string(config).expect("a configuration");
    let door = format!("[door]\nlisten = \"{hidden}:0\"\npublic_ip = \"{public}\"\n");
    let changed = text.replacen("[door]\nlisten = \"127.0.0.1:0\"\n", &door, 1);
    assert_ne!(changed, text, "there is no door");
    std::fs::write(config, changed).expect("the configuration is written");
}

/// Writes the agent's configuration with a given ttyd.
///
/// # Panics
/// When it can't be written.
pub fn write_agent_config(directory: &Path, ttyd: &Path) {
    let path = directory.display();
    let text = format!(
        "state_dir = \"{path}/box\"\nruntime_dir = \"{path}/run\"\n\
         [volume]\nsource = \"directory\"\npath = \"{path}/workspace\"\n[door]\nlisten = \"127.0.0.1:0\"\n\
         [terminal]\nttyd = \"{}\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"info,box_agent=debug\"\n",
        ttyd.display()
    );
    std::fs::write(directory.join("box-agent.toml"), text).expect("the configuration is written");
}
