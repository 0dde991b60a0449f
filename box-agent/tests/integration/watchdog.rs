//! What systemd is told, by a socket that plays its part: the watchdog is fed while the agent's loops turn.

use std::net::TcpStream;

use crate::support::agent::{Agent, NO_GATEWAY};
use crate::support::ca::Ca;
use crate::support::systemd::Systemd;
use crate::support::wait::until;

/// What the log says when the watchdog is not fed.
const NOT_FED: &str = "the watchdog is not fed";

async fn started() -> (Agent, Systemd) {
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    let systemd = Systemd::of(&agent);
    let [socket, limit] = systemd.variables();
    agent.launch_with(&[socket, limit, ("BERTH_FAULT", "freeze:door")]);
    (agent, systemd)
}

#[tokio::test]
async fn systemd_hears_of_each_step_and_feeds_come_while_all_is_well() {
    let (mut agent, systemd) = started().await;
    let mut told = Vec::new();
    until("READY and feeds after it", async || {
        told.extend(systemd.told());
        let ready = told.iter().position(|line| line == "READY=1")?;
        (told[ready..].iter().filter(|line| *line == "WATCHDOG=1").count() >= 4).then_some(())
    })
    .await;
    for step in ["volume", "layout", "database", "tmux", "ttyd", "door", "sessions"] {
        let line = format!("STATUS=starting: {step}");
        assert!(told.iter().any(|told| told.starts_with(&line)), "{step}: {told:#?}");
    }
    assert_eq!(agent.end(nix::sys::signal::Signal::SIGTERM), Some(0));
    until("the word of the end", async || systemd.told().contains(&"STOPPING=1".to_owned()).then_some(()))
        .await;
}

#[tokio::test]
async fn a_door_that_is_stuck_starves_the_watchdog() {
    let (mut agent, systemd) = started().await;
    until("a feed", async || systemd.told().contains(&"WATCHDOG=1".to_owned()).then_some(())).await;
    let ready = || agent.root().join("run/addresses.json").exists().then_some(());
    until("the addresses", async || ready()).await;
    let _caller = TcpStream::connect(agent.door()).unwrap();
    let mut told = Vec::new();
    let mut refusals = async |least: usize| {
        until("refusals to feed", async || {
            told.extend(systemd.told());
            (agent.log().lines().filter(|line| line.contains(NOT_FED)).count() >= least).then_some(())
        })
        .await;
        std::mem::take(&mut told)
    };
    refusals(1).await;
    systemd.told();
    let told = refusals(4).await;
    assert!(!told.contains(&"WATCHDOG=1".to_owned()), "{told:?}");
    let line = agent.log().lines().find(|line| line.contains(NOT_FED)).unwrap().to_owned();
    assert!(line.contains(r#""parts":"door""#), "{line}");
    // As systemd does then.
    agent.end(nix::sys::signal::Signal::SIGABRT);
    agent.start().await;
}
