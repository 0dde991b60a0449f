//! What systemd is told, by a socket that plays its part: the watchdog is fed while the agent's loops turn.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;

use crate::support::agent::{Agent, NO_GATEWAY};
use crate::support::ca::Ca;
use crate::support::wait::until;

/// The watchdog's limit; it is fed three times as often.
const LIMIT_USEC: &str = "900000";

/// What the log says when the watchdog is not fed.
const NOT_FED: &str = "the watchdog is not fed";

struct Systemd(UnixDatagram);

impl Systemd {
    fn of(agent: &Agent) -> Self {
        let socket = UnixDatagram::bind(agent.root().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// What it was told since it was asked last, one line each.
    fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.0.recv(&mut buffer) {
                Ok(length) => {
                    told.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned))
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return told,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

async fn started() -> (Agent, Systemd) {
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    let systemd = Systemd::of(&agent);
    let socket = agent.root().join("notify");
    agent.launch_with(&[
        ("NOTIFY_SOCKET", socket.to_str().unwrap()),
        ("WATCHDOG_USEC", LIMIT_USEC),
        ("BERTH_FAULT", "freeze:door"),
    ]);
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
    assert!(systemd.told().contains(&"STOPPING=1".to_owned()));
}

#[tokio::test]
async fn a_door_that_is_stuck_starves_the_watchdog() {
    let (mut agent, systemd) = started().await;
    until("a feed", async || systemd.told().contains(&"WATCHDOG=1".to_owned()).then_some(())).await;
    // The socket is read all the time, as systemd reads: a full one would stop the agent.
    until("the addresses", async || {
        systemd.told();
        agent.root().join("run/addresses.json").exists().then_some(())
    })
    .await;
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
