//! `box-agent doctor` and `status --json`, with and without a running agent.

use berth_protocol::ids::SessionId;
use serde_json::Value;

use crate::support::agent::{Agent, NO_GATEWAY, desired};
use crate::support::ca::Ca;
use crate::support::gateway::Gateway;

fn findings(agent: &Agent) -> (Option<i32>, Vec<(String, String, String)>) {
    let output = agent.verb(&["doctor", "--json"]);
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let found = found.iter().map(|f| (text(f, "check"), text(f, "verdict"), text(f, "sentence"))).collect();
    (output.status.code(), found)
}

fn of<'a>(found: &'a [(String, String, String)], check: &str) -> (&'a str, &'a str) {
    let finding =
        found.iter().find(|finding| finding.0 == check).unwrap_or_else(|| panic!("no {check}: {found:?}"));
    (&finding.1, &finding.2)
}

#[tokio::test]
async fn a_box_in_order_is_found_so() {
    let ca = Ca::new();
    let gateway = Gateway::of(&ca).await;
    let mut agent = Agent::enrolled(ca, &gateway.address());
    agent.start().await;
    let link = gateway.welcome().await;
    let (_, found) = findings(&agent);
    for check in ["ttyd", "tmux", "identity", "way to the gateway", "agent"] {
        assert_eq!(of(&found, check).0, "fine", "{found:?}");
    }
    let human = String::from_utf8(agent.verb(&["doctor"]).stdout).unwrap();
    assert!(human.lines().any(|line| line.starts_with("fine     ttyd: ")), "{human}");
    drop(link);
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_remedy() {
    let agent = Agent::not_enrolled(Ca::new());
    let (code, found) = findings(&agent);
    assert_eq!(code, Some(1));
    let (verdict, sentence) = of(&found, "identity");
    assert_eq!(verdict, "failure");
    assert!(sentence.contains("box-agent enroll"), "{sentence}");
    assert!(of(&found, "agent").1.contains("box-agent run"), "{found:?}");

    let agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    let (_, found) = findings(&agent);
    let (verdict, sentence) = of(&found, "way to the gateway");
    assert_eq!(verdict, "failure");
    assert!(sentence.contains(NO_GATEWAY) && sentence.contains("link.address"), "{sentence}");
}

#[tokio::test]
async fn status_is_for_programs_too() {
    let session = SessionId::random();
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.remember(&desired(1, &[&session])).await;
    agent.start().await;
    let status: Value = serde_json::from_slice(&agent.verb(&["status", "--json"]).stdout).unwrap();
    assert_eq!((&status["ready"], &status["sessions"]), (&true.into(), &1.into()));
    let phases: Vec<&str> =
        status["phases"].as_array().unwrap().iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(phases, ["volume", "layout", "database", "tmux", "door", "ttyd", "environment", "sessions"]);
}
