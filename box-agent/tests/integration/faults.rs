//! What goes wrong at the start is told in words that name the thing and the remedy, with an exit code that a
//! supervisor understands.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use berth_protocol::ids::WorkspaceId;
use box_agent::volume::Volume;

use crate::support::agent::{Agent, NO_GATEWAY};
use crate::support::ca::Ca;
use crate::support::programs::ttyd;

fn enrolled() -> Agent {
    Agent::enrolled(Ca::new(), NO_GATEWAY)
}

/// Runs the agent and expects it to end with this code and all these words.
fn fails(agent: &Agent, code: i32, words: &[&str]) {
    let output = agent.verb(&["run"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(last.contains(word), "{word:?} is not in {last:?}");
    }
}

#[test]
fn a_box_that_is_not_enrolled_is_told_how() {
    let agent = Agent::not_enrolled(Ca::new());
    fails(&agent, 78, &["not enrolled", "gateway workspace enroll <name>", "box-agent enroll --token-file"]);
}

#[test]
fn a_wrong_setting_is_named_with_its_place() {
    let agent = enrolled();
    std::fs::write(agent.config(), "[door]\nlisen = \"127.0.0.1:1\"\n").unwrap();
    fails(&agent, 78, &["config.toml:2:1", "did you mean \"listen\"?"]);
    let output = agent.verb(&["check-config"]);
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn check_config_prints_what_run_would_have() {
    let agent = enrolled();
    let output = agent.command().args(["check-config", "--log-level", "trace"]).output().unwrap();
    let settings: box_agent::settings::Settings =
        toml::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap();
    assert_eq!(settings.state_dir, agent.state_dir());
    assert_eq!((settings.log.level.as_str(), settings.templates["default"].panes.len()), ("trace", 3));
}

#[tokio::test]
async fn a_second_agent_on_the_same_state_is_refused() {
    let mut agent = enrolled();
    agent.start().await;
    fails(&agent, 73, &["state is in use by another process"]);
    assert!(agent.verb(&["status"]).status.success(), "the first one is well");
    // Enrolling under a running agent would change its name behind its back.
    let token = agent.root().join("token");
    let text = berth_protocol::enroll::EnrollmentToken {
        link_address: NO_GATEWAY.into(),
        installation: agent.ca.installation.clone(),
        ca_sha256: "00".into(),
        secret: "s".into(),
    };
    std::fs::write(&token, text.encode()).unwrap();
    let output = agent.verb(&["enroll", "--replace", "--token-file", token.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(73));
}

#[tokio::test]
async fn a_second_agent_on_the_same_volume_is_refused() {
    let mut agent = enrolled();
    agent.start().await;
    let (state, runtime) = (agent.root().join("second-state"), agent.root().join("second-run"));
    let copied = std::process::Command::new("cp").arg("-r").args([agent.state_dir(), state.clone()]).status();
    assert!(copied.unwrap().success());
    let mut second = agent.command();
    second.args(["run", "--state", state.to_str().unwrap()]).env("BOX_AGENT__RUNTIME_DIR", runtime);
    let second = tokio::process::Command::from(second).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(30), second).await.expect("it ends").unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(73), "{said}");
    assert!(said.contains("volume is in use by another agent: stop that one"), "{said}");
    assert!(agent.verb(&["status"]).status.success(), "the first one is well");
}

#[test]
fn a_state_directory_that_can_not_be_written_is_told() {
    let agent = enrolled();
    // Below a file nobody can write, not even root.
    let output = agent.verb(&["run", "--state", agent.config().join("state").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(73));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("config.toml/state: make the directory writable"), "{said}");
}

#[test]
fn a_missing_program_is_named_with_its_package() {
    let agent = enrolled();
    agent.configure(Path::new("/nowhere/ttyd"), "127.0.0.1:0");
    fails(&agent, 69, &["/nowhere/ttyd was not found", "package ttyd", "terminal.ttyd"]);
    agent.configure(&ttyd(), "127.0.0.1:0");
    let output =
        agent.command().arg("run").env("BOX_AGENT__TERMINAL__TMUX", "tmux-of-nobody").output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("tmux-of-nobody was not found: install the package tmux"), "{said}");
}

#[test]
fn a_ttyd_that_is_none_is_told_with_its_last_words() {
    let agent = enrolled();
    let fake = agent.root().join("ttyd");
    std::fs::write(&fake, "#!/bin/sh\necho 'error while loading libfoo' >&2\nexit 127\n").unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    agent.configure(&fake, "127.0.0.1:0");
    fails(&agent, 69, &["ttyd does not answer", "error while loading libfoo"]);
}

#[test]
fn a_taken_port_is_named_with_its_setting() {
    let agent = enrolled();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    agent.configure(&ttyd(), &address);
    fails(&agent, 69, &[&address, "door.listen"]);
    agent.configure(&ttyd(), "127.0.0.1:0");
    let output = agent.command().arg("run").env("BOX_AGENT__METRICS__LISTEN", &address).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8(output.stderr).unwrap().contains("metrics.listen"));
}

#[test]
fn a_damaged_database_is_named_and_left() {
    let agent = enrolled();
    let volume = agent.root().join("volume");
    Volume::open_directory(&volume, &agent.facts.workspace).unwrap();
    let rubbish = "this was a database once ".repeat(100);
    std::fs::write(agent.database(), &rubbish).unwrap();
    fails(&agent, 73, &["agent.db is damaged", "move it away"]);
    assert_eq!(std::fs::read_to_string(agent.database()).unwrap(), rubbish);
}

#[test]
fn another_workspaces_volume_is_refused() {
    let agent = enrolled();
    let other = WorkspaceId::random();
    Volume::open_directory(&agent.root().join("volume"), &other).unwrap();
    fails(&agent, 73, &[other.as_str(), "volume.path"]);
}

#[test]
fn a_runtime_directory_of_others_is_refused() {
    let agent = enrolled();
    let run = agent.root().join("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();
    fails(&agent, 73, &["can be entered by other users", "runtime_dir"]);
}

#[test]
fn status_without_an_agent_says_so() {
    let agent = enrolled();
    let output = agent.verb(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("box-agent run"));
}

#[test]
fn the_command_line_has_its_own_code_and_completions() {
    let agent = enrolled();
    assert_eq!(agent.verb(&["fly"]).status.code(), Some(64));
    assert_eq!(agent.verb(&["--help"]).status.code(), Some(0));
    let output = agent.verb(&["completions", "bash"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("check-config"));
}
