//! The CA is rotated by generations of trust, with a box that is there and one that is not.

use std::path::PathBuf;

use berth_protocol::enroll::EnrollmentToken;
use berth_tests::process::{Process, failure, run, stdout};
use berth_tests::stack::{hide_door, write_agent_config};
use berth_tests::tmux::Tmux;
use berth_tests::{Client, Identity, Stack, Terminal, programs, wait};
use http::Method;
use serde_json::{Value, json};

/// Addresses that no other test uses: where the second box listens unknown to all, and where it is looked for in vain.
const HIDDEN: &str = "127.78.4.9";
const PUBLIC: &str = "127.77.4.9";

/// A second box, without an open port, whose workspace is `lab`.
struct Second {
    agent: Process,
    _tmux: Tmux,
    config: PathBuf,
    directory: PathBuf,
}

impl Second {
    fn enrolled(stack: &Stack) -> Self {
        let directory = stack.path("lab");
        std::fs::create_dir(&directory).unwrap();
        write_agent_config(&directory, &programs::ttyd());
        let config = directory.join("box-agent.toml");
        hide_door(&config, HIDDEN, PUBLIC);
        let path = config.to_str().unwrap();
        let agent =
            Process::new("box-agent", programs::built("box-agent"), &["run", "--config", path], &directory);
        let tmux = Tmux::new(&directory.join("run/terminal/tmux.sock"));
        let this = Self { agent, _tmux: tmux, config, directory };
        let _ = stdout(&stack.gateway_verb(&["workspace", "create", "lab"]));
        let _ = stdout(&this.verb(&["enroll", "--token-file", "-"], &stack.token("lab")));
        this
    }

    fn verb(&self, arguments: &[&str], input: &str) -> std::process::Output {
        let config = ["--config", self.config.to_str().unwrap()];
        run(&programs::built("box-agent"), &[arguments, &config].concat(), input)
    }

    fn identity(&self) -> Identity {
        Identity::read(&self.directory.join("box/identity"))
    }
}

fn ca(stack: &Stack, arguments: &[&str]) -> std::process::Output {
    stack.gateway_verb(&[&["ca"], arguments].concat())
}

/// The columns of the CAs: number, word, fingerprint.
fn cas(stack: &Stack) -> Vec<(String, String, String)> {
    let columns = |line: &str| {
        let mut columns = line.split('\t').map(str::to_owned);
        (columns.next().unwrap(), columns.next().unwrap(), columns.next().unwrap())
    };
    stdout(&ca(stack, &["list"])).lines().map(columns).collect()
}

/// Waits until a box has acknowledged a generation and uses a certificate of a CA.
async fn wait_for(stack: &Stack, workspace: &str, acknowledged: &str, used: &str) {
    wait::until(&format!("{workspace} to be at {acknowledged} with CA {used}"), async || {
        let boxes = stdout(&ca(stack, &["boxes"]));
        let line = boxes.lines().find(|line| line.starts_with(&format!("{workspace}\t")))?;
        let columns: Vec<_> = line.split('\t').collect();
        (columns[2] == acknowledged && columns[3] == used).then_some(())
    })
    .await;
}

async fn wait_for_workspace(client: &Client, name: &str, state: &str) -> String {
    wait::until(&format!("the box of {name} to be {state}"), async || {
        let answer = client.try_call(Method::GET, "/workspaces", None).await?;
        let all = answer.body["workspaces"].as_array()?.clone();
        let found = all.iter().find(|workspace| workspace["name"] == name)?;
        (found["box"]["state"] == state).then(|| found["id"].as_str().unwrap().to_owned())
    })
    .await
}

async fn running_session(client: &Client, workspace: &str) -> String {
    let path = format!("/workspaces/{workspace}/sessions");
    let made = client.call(Method::POST, &path, Some(json!({ "name": "work" }))).await;
    let session = made.body["id"].as_str().unwrap_or_else(|| panic!("{}", made.body)).to_owned();
    client.wait_for_session(&session, "running").await;
    session
}

#[tokio::test]
async fn a_ca_is_rotated_with_a_box_that_is_there_and_one_that_is_not() {
    let mut stack = Stack::start_gateway().await;
    // Boxes that have to renew are spread over a twentieth of that.
    stack.reconfigure(&[("LINK__CERTIFICATE_SECS", "100")]).await;
    stack.enroll("main");
    let mut lab = Second::enrolled(&stack);
    stack.start_agent().await;
    lab.agent.start();
    let client = stack.client().await;
    let main_id = wait_for_workspace(&client, "main", "online").await;
    wait_for_workspace(&client, "lab", "online").await;
    let session = running_session(&client, &main_id).await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    lab.agent.stop();
    let lab_before = lab.identity();
    let pinned_before = stack.token("main");

    // Added: the box that is there acknowledges, and nothing signs yet but the first.
    assert_eq!(stdout(&ca(&stack, &["add"])), "2");
    wait_for(&stack, "main", "2", "1").await;
    let both = cas(&stack);
    assert_eq!(both.iter().map(|ca| ca.1.as_str()).collect::<Vec<_>>(), ["signs", "trusted"]);
    assert!(failure(&ca(&stack, &["add"]), 1).contains("does not sign yet"));
    assert!(failure(&ca(&stack, &["remove", "1"]), 1).contains("CA 1 signs"));
    let main_before = Identity::read(&stack.path("box/identity"));
    assert_eq!(main_before.roots.len(), 2);

    // Switched, although one box has not heard of it.
    let refused = failure(&ca(&stack, &["switch", "2"]), 1);
    assert!(refused.contains("acknowledged CA 2 yet: lab. "), "{refused}");
    let forced = ca(&stack, &["switch", "2", "--force"]);
    assert!(forced.status.success(), "{forced:?}");
    wait_for(&stack, "main", "2", "2").await;
    let (old, new) = (&both[0].2, &both[1].2);
    assert_eq!(Identity::read(&stack.path("box/identity")).standing().ca_sha256, *new);
    terminal.type_text("echo through-$((1+1))\r").await;
    terminal.read_until("through-2").await;
    let pinned: EnrollmentToken = stack.token("main").parse().unwrap();
    assert_eq!(pinned.ca_sha256, *new, "new boxes pin the CA that signs");
    let refused = failure(&ca(&stack, &["remove", "1"]), 1);
    assert!(refused.contains("still need CA 1: lab. "), "{refused}");

    // The other box comes back to a gateway that has both from its start on, and catches up by itself.
    stack.gateway.stop();
    stack.gateway.start();
    stack.wait_for_gateway().await;
    assert_eq!(lab_before.roots.len(), 1);
    assert_eq!(lab_before.ask(&stack, old, "GET /v1/identity", "").await.unwrap().0, 204);
    lab.agent.start();
    wait_for(&stack, "lab", "2", "2").await;
    let lab_id = wait_for_workspace(&client, "lab", "online").await;
    let in_lab = running_session(&client, &lab_id).await;
    let mut in_lab = Terminal::open(&client, &in_lab).await;
    in_lab.read_until("\u{1b}").await;

    // Removed: nobody needs it any more, but whoever kept something of it.
    let removed = ca(&stack, &["remove", "1"]);
    assert!(removed.status.success(), "{removed:?}");
    for workspace in ["main", "lab"] {
        wait_for(&stack, workspace, "3", "2").await;
    }
    in_lab.type_text("echo after-$((1+1))\r").await;
    in_lab.read_until("after-2").await;
    assert_eq!(lab.identity().roots.len(), 1);
    wait_for_workspace(&client, "lab", "online").await;
    assert_eq!(lab.identity().ask(&stack, new, "GET /v1/identity", "").await.unwrap().0, 204);
    // Neither side believes the other: the box that slept too long the gateway, the gateway an old certificate.
    let distrusts = lab_before.ask(&stack, old, "GET /v1/identity", "").await.unwrap_err();
    assert!(distrusts.to_string().contains("invalid peer certificate"), "{distrusts}");
    main_before.ask(&stack, new, "GET /v1/identity", "").await.unwrap_err();
    main_before.ask(&stack, new, "POST /v1/renew", "{}").await.unwrap_err();

    let record = client.get("/audit?action=trust_acknowledged").await;
    assert!(record["entries"].as_array().unwrap().len() >= 4, "{record}");
    let record = stdout(&stack.gateway_verb(&["audit", "export"]));
    let entry = |action: &str| -> Value {
        let found = record.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        found.into_iter().find(|entry| entry["action"] == action).unwrap_or_else(|| panic!("no {action}"))
    };
    assert_eq!(entry("ca_added")["detail"]["fingerprint"], *new.as_str());
    assert_eq!(entry("ca_switched")["detail"]["left_behind"], json!(["lab"]));
    assert_eq!(entry("ca_removed")["detail"]["fingerprint"], *old.as_str());
    assert_eq!(entry("certificate_renewed")["detail"]["ca"], 2);
    assert!(stack.gateway_verb(&["audit", "verify"]).status.success());

    // A token of before pins a CA that is gone; its secret was not sent.
    stack.agent.stop();
    let refused =
        failure(&stack.agent_verb(&["enroll", "--replace", "--token-file", "-"], &pinned_before), 1);
    assert!(refused.contains("is not the one that this token is of"), "{refused}");
}

#[tokio::test]
async fn a_ca_that_is_removed_by_force_takes_its_boxes_along() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    // A box that can't store anything new: it neither acknowledges nor renews.
    let obstacle = stack.path(&format!("box/identity.new-{}", stack.agent.pid()));
    std::fs::write(&obstacle, "in the way").unwrap();
    assert_eq!(stdout(&ca(&stack, &["add"])), "2");
    let forced = ca(&stack, &["switch", "2", "--force"]);
    assert!(String::from_utf8_lossy(&forced.stderr).contains("main: not acknowledged"), "{forced:?}");
    let refused = failure(&ca(&stack, &["remove", "1"]), 1);
    assert!(refused.contains("still need CA 1: main. "), "{refused}");
    let forced = ca(&stack, &["remove", "1", "--force"]);
    assert!(String::from_utf8_lossy(&forced.stderr).contains("main: cut off"), "{forced:?}");
    let close = terminal.read_until_closed().await.expect("a reason");
    assert_eq!(u16::from(close.code), 4503);
    client.wait_for_box("offline").await;
    wait::until("the box to say why", async || {
        let told = stack.agent_verb(&["status"], "");
        String::from_utf8_lossy(&told.stdout).contains("of no CA that this box believes").then_some(())
    })
    .await;

    stack.agent.stop();
    std::fs::remove_file(&obstacle).unwrap();
    let token = stack.token("main");
    let _ = stdout(&stack.agent_verb(&["enroll", "--replace", "--token-file", "-"], &token));
    stack.start_agent().await;
    client.wait_for_box("online").await;
    wait_for(&stack, "main", "3", "2").await;
}
