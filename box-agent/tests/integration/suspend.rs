//! Letting the volume go and taking it back, on a real block device and with real sessions.

use std::process::{Child, Command};

use berth_protocol::ids::{RequestId, SessionId};
use berth_protocol::link::{DialBack, FromGateway};
use berth_protocol::suspend::{SuspendState, Suspension};
use box_agent::store::Store;

use crate::support::agent::desired;
use crate::support::disk::{Box, Disk, expect, linked, root};
use crate::support::door::{ask, open};
use crate::support::gateway::CALM_MS;
use crate::support::wait::until;

/// An agent with one session, whose volume is on a disk.
async fn with_session(more: &str) -> (Box, Disk, SessionId) {
    let (mut this, disk) = Box::started(64, more).await;
    this.stop();
    let session = SessionId::random();
    let store = Store::open(&this.agent.database()).unwrap();
    store.save_desired(&desired(1, &[&session])).await.unwrap();
    store.close().await;
    this.agent.start().await;
    assert_eq!(this.agent.sessions(), [session.to_string()]);
    (this, disk, session)
}

/// A process with its directory on the volume, ended with the test.
struct Squatter(Child);

impl Squatter {
    fn in_home(this: &Box) -> Self {
        Self(Command::new("sleep").arg("1000").current_dir(this.point().join("user/home")).spawn().unwrap())
    }
}

impl Drop for Squatter {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_suspended_box_has_no_sessions_and_no_volume_until_it_is_resumed() {
    if !root() {
        return;
    }
    let (this, disk, session) = with_session("").await;
    std::fs::write(this.point().join("user/home/work"), "years").unwrap();
    expect(&this.agent.verb(&["suspend"]), 0, &["suspended: the volume is not mounted"]);
    assert!(disk.places().is_empty() && this.agent.sessions().is_empty());
    expect(&this.agent.verb(&["status"]), 1, &["suspended: `box-agent resume`"]);
    expect(&this.agent.verb(&["suspend"]), 0, &["suspended"]);
    disk.mounted(&this.file("elsewhere"), |elsewhere| {
        assert_eq!(std::fs::read_to_string(elsewhere.join("user/home/work")).unwrap(), "years");
    });
    expect(&this.agent.verb(&["resume"]), 0, &["serving"]);
    assert_eq!(disk.places(), [this.point()]);
    assert_eq!(this.agent.sessions(), [session.to_string()]);
    expect(&this.agent.verb(&["status"]), 0, &["ready: 1 session"]);
    expect(&this.agent.verb(&["resume"]), 0, &["serving"]);
}

#[tokio::test]
async fn an_event_that_is_missed_while_the_volume_is_away_is_sent_again_when_it_is_back() {
    if !root() {
        return;
    }
    let (gateway, mut this, _disk) = linked().await;
    this.agent.launch();
    let mut link = gateway.welcome_with(CALM_MS).await;
    let missing = link.event().await;
    let gap = FromGateway::Gap { stream: missing.stream.clone(), stored: missing.seq - 1 };
    let ready = || this.agent.verb(&["status"]).status.success().then_some(());
    until("the agent to be ready", async || ready()).await;
    expect(&this.agent.verb(&["suspend"]), 0, &["suspended"]);
    link.send(&gap).await;
    // Messages are read in order.
    link.send(&FromGateway::DialBack(DialBack { count: 1, address: None })).await;
    gateway.dialled_back().await.unwrap();
    expect(&this.agent.verb(&["resume"]), 0, &["serving"]);
    while link.event().await != missing {}
}

#[tokio::test]
async fn a_restarted_agent_takes_the_volume_back() {
    if !root() {
        return;
    }
    let (mut this, disk, session) = with_session("").await;
    expect(&this.agent.verb(&["suspend"]), 0, &[]);
    this.stop();
    this.agent.start().await;
    assert_eq!(disk.places(), [this.point()]);
    assert_eq!(this.agent.sessions(), [session.to_string()]);
}

#[tokio::test]
async fn who_holds_the_volume_is_named_and_everything_goes_on() {
    if !root() {
        return;
    }
    let (this, disk, session) = with_session("").await;
    let squatter = Squatter::in_home(&this);
    let pid = format!("sleep (process {}, directory)", squatter.0.id());
    expect(
        &this.agent.verb(&["suspend"]),
        1,
        &["the volume is in use by", &pid, "end it, and suspend again"],
    );
    assert_eq!(disk.places(), [this.point()]);
    assert_eq!(this.agent.sessions(), [session.to_string()], "it is made again");
    expect(&this.agent.verb(&["status"]), 0, &["ready: 1 session"]);
    drop(squatter);
    expect(&this.agent.verb(&["suspend"]), 0, &["suspended"]);
}

#[tokio::test]
async fn the_hook_runs_with_the_volume_and_without_sessions_and_its_failure_suspends_all_the_same() {
    if !root() {
        return;
    }
    let (mut this, disk, _) = with_session("").await;
    this.stop();
    let (hook, seen) = (this.file("hook"), this.file("seen"));
    let tmux = this.file("run/terminal/tmux.sock");
    let script = format!(
        "#!/bin/sh\n{{ ls $BERTH_VOLUME/user; tmux -S {} list-sessions 2>&1; }} > {}\necho no space >&2\nexit 7\n",
        tmux.display(),
        seen.display()
    );
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let settings = std::fs::read_to_string(this.agent.config()).unwrap();
    let settings = format!("{settings}\n[suspend]\nhook = [\"{}\"]\n", hook.display());
    std::fs::write(this.agent.config(), settings).unwrap();
    this.agent.start().await;
    expect(&this.agent.verb(&["suspend"]), 0, &["suspended", "exit code 7", "no space"]);
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("home\n") && seen.contains("projects\n"), "{seen}");
    assert!(seen.contains("no server running") || seen.contains("error connecting"), "{seen}");
    assert!(disk.places().is_empty());
}

#[tokio::test]
async fn a_gateway_suspends_and_resumes_through_the_door() {
    if !root() {
        return;
    }
    let (this, disk, session) = with_session("").await;
    let call = async |method: &str, path: &str, id: &RequestId| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: box\r\nberth-request-id: {id}\r\nContent-Length: 0\r\n\r\n"
        );
        ask(&mut open(&this.agent).await, &request).await.unwrap()
    };
    let id = RequestId::random();
    let state = async |wanted: SuspendState| {
        until("the suspension to go where it should", async || {
            let answer = call("GET", "/v1/suspend", &RequestId::random()).await;
            let now: Suspension = serde_json::from_str(&answer.body).unwrap();
            (now.state == wanted).then_some(now)
        })
        .await
    };
    let answer = call("POST", "/v1/suspend", &id).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    state(SuspendState::Suspended).await;
    assert!(disk.places().is_empty());
    let refused = call("GET", &format!("/v1/sessions/{session}/screen"), &id).await;
    assert_eq!((refused.status, refused.kind().as_str()), (503, "suspended"));
    assert_eq!(call("POST", "/v1/resume", &RequestId::random()).await.status, 202);
    state(SuspendState::Serving).await;
    // The first request once more, late: it has been answered.
    assert_eq!(call("POST", "/v1/suspend", &id).await.status, 202);
    assert_eq!(state(SuspendState::Serving).await.message, None);
    assert_eq!(disk.places(), [this.point()]);
}

#[tokio::test]
async fn a_container_that_keeps_the_mount_is_named() {
    if !root() {
        return;
    }
    let (this, disk, _) = with_session("").await;
    // A namespace of its own, with a copy of every mount that does not hear of changes here.
    let child =
        Command::new("unshare").args(["-m", "--propagation", "private", "sleep", "1000"]).spawn().unwrap();
    let squatter = Squatter(child);
    until("the namespace", async || {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", squatter.0.id())).unwrap();
        (name.trim() == "sleep").then_some(())
    })
    .await;
    expect(
        &this.agent.verb(&["suspend"]),
        1,
        &["in use by", &format!("sleep (process {}, mount)", squatter.0.id())],
    );
    assert_eq!(disk.places(), [this.point()]);
    drop(squatter);
    expect(&this.agent.verb(&["suspend"]), 0, &["suspended"]);
}

#[tokio::test]
async fn a_volume_that_does_not_come_back_is_told_and_asked_for_again() {
    if !root() {
        return;
    }
    let (this, disk, session) = with_session("deadline_secs = 1").await;
    expect(&this.agent.verb(&["suspend"]), 0, &["suspended"]);
    disk.detach();
    let missing = ["could not be taken back", "did not appear within 1 s"];
    expect(&this.agent.verb(&["resume"]), 1, &missing);
    expect(&this.agent.verb(&["status"]), 1, &["suspended: ", "trouble with suspend"]);
    disk.attach_again();
    expect(&this.agent.verb(&["resume"]), 0, &["serving"]);
    assert_eq!(this.agent.sessions(), [session.to_string()]);
    assert!(!this.status().contains("trouble"), "{}", this.status());
}
