//! A tmux server that something else starts, as a unit of systemd does.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use berth_protocol::ids::SessionId;

use crate::support::agent::{Agent, NO_GATEWAY, desired};
use crate::support::ca::Ca;
use crate::support::wait::until;

/// What the unit runs. It ends with the test.
struct Unit {
    directory: PathBuf,
    server: Option<Child>,
}

impl Unit {
    fn start(&mut self) {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/src/terminal/tmux.conf");
        let server = Command::new("tmux")
            .args(["-D", "-f", config, "-S"])
            .arg(self.directory.join("tmux.sock"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.server = Some(server.unwrap());
    }

    fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    fn drive(&self, args: &[&str]) -> String {
        let socket = self.directory.join("tmux.sock");
        let output = Command::new("tmux").arg("-N").arg("-S").arg(socket).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    async fn see(&self, session: &SessionId, text: &str) {
        until(&format!("{text:?} on the screen"), async || {
            self.drive(&["capture-pane", "-p", "-t", &format!("={session}:.0")]).contains(text).then_some(())
        })
        .await;
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn says(agent: &Agent, words: &str) {
    until(&format!("the status to say {words:?}"), async || {
        let output = agent.verb(&["status"]);
        String::from_utf8_lossy(&output.stdout).contains(words).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_of_a_unit_is_waited_for_never_started_and_filled_again_when_it_was_lost() {
    let session = SessionId::random();
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    let directory = agent.root().join("box-tmux");
    std::fs::create_dir(&directory).unwrap();
    agent.amend("[terminal]\n", &format!("[terminal]\ntmux_directory = \"{}\"\n", directory.display()));
    agent.set_templates(
        "[templates.default]\npanes = [{ name = \"agent\", command = [\"echo\", \"first-start\"], \
         resume = [\"echo\", \"taken-up-again\"] }]\n",
    );
    agent.remember(&desired(1, &[&session])).await;
    let mut unit = Unit { directory, server: None };
    agent.launch();
    says(&agent, "waiting for the tmux server at").await;
    assert!(!unit.directory.join("tmux.sock").exists(), "the agent started a server");

    unit.start();
    until("the agent to be ready", async || agent.verb(&["status"]).status.success().then_some(())).await;
    unit.see(&session, "first-start").await;
    let picture = agent.root().join(format!("volume/system/state/sessions/{session}.json"));
    until("a picture of the session", async || picture.exists().then_some(())).await;

    unit.kill();
    says(&agent, "no tmux server answers").await;
    assert!(String::from_utf8_lossy(&agent.verb(&["sessions"]).stdout).contains("failed"));
    unit.start();
    unit.see(&session, "taken-up-again").await;
    until("the trouble to be over", async || {
        let output = agent.verb(&["status"]);
        (!String::from_utf8_lossy(&output.stdout).contains("no tmux server")).then_some(())
    })
    .await;

    // Its user closes the session: the server stays, and what comes is new.
    unit.drive(&["kill-session", "-t", &format!("={session}")]);
    unit.see(&session, "first-start").await;
}
