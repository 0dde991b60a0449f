//! The agent dies right after a step of its start, each in turn, on a box that has no gateway: the next start leads
//! to where an undisturbed one leads.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use berth_protocol::ids::SessionId;
use nix::sys::signal::Signal;

use crate::support::agent::{Agent, NO_GATEWAY, desired};
use crate::support::ca::Ca;

fn enrolled() -> Agent {
    Agent::enrolled(Ca::new(), NO_GATEWAY)
}

/// The steps of a start, as the log of one names them.
async fn steps() -> BTreeSet<String> {
    let mut agent = enrolled();
    agent.start().await;
    let log = agent.log();
    let entries = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    entries.filter_map(|entry| Some(entry["step"].as_str()?.to_owned())).collect()
}

/// Starts the agent with a fault and waits for its end.
fn crash(agent: &mut Agent, step: &str) -> ExitStatus {
    agent.launch_with(&[("BERTH_FAULT", &format!("after:{step}"))]);
    agent.ended()
}

#[tokio::test]
async fn a_start_that_was_cut_short_after_any_step_is_finished_by_the_next() {
    let steps = steps().await;
    assert!(steps.len() >= 7, "{steps:?}");
    for step in steps {
        let mut agent = enrolled();
        // Once on a box that has nothing yet, once on one that has all.
        assert_eq!(crash(&mut agent, &step).signal(), Some(Signal::SIGABRT as i32), "{step}");
        let session = SessionId::random();
        agent.remember(&desired(1, &[&session])).await;
        assert_eq!(crash(&mut agent, &step).signal(), Some(Signal::SIGABRT as i32), "{step}");
        agent.start().await;
        assert_eq!(agent.sessions(), [session.to_string()], "{step}");
        let panes = agent.tmux(&["list-panes", "-s", "-t", &format!("={session}")]);
        assert_eq!(panes.lines().count(), 3, "{step}: {panes}");
        assert_eq!(agent.end(Signal::SIGTERM), Some(0), "{step}");
    }
}
