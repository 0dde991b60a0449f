//! The link, with the gateway's part played by the test.

use berth_protocol::desired::{DesiredDelta, DesiredVersion};
use berth_protocol::event::Telemetry;
use berth_protocol::ids::{SessionId, StreamId};
use berth_protocol::link::{FromAgent, FromGateway, REFUSED_RETIRED, REFUSED_VERSION};
use berth_protocol::observed::{ObservedState, SessionState};
use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::agent::{Agent, desired, desired_of};
use crate::support::ca::Ca;
use crate::support::door::{Terminal, open};
use crate::support::gateway::{Gateway, Link};
use crate::support::wait::{until, within};

async fn linked() -> (Gateway, Agent) {
    let ca = Ca::new();
    let gateway = Gateway::of(&ca).await;
    let agent = Agent::enrolled(ca, &gateway.address());
    (gateway, agent)
}

/// Waits until the box says that it has exactly these sessions in these states.
async fn observe(link: &mut Link, expected: &[(&SessionId, SessionState)]) -> ObservedState {
    link.find("the sessions to be as expected", |message| match message {
        FromAgent::Observed(observed) => {
            let fits = observed.sessions.len() == expected.len()
                && expected.iter().all(|(id, state)| {
                    observed.sessions.iter().any(|session| session.id == **id && session.state == *state)
                });
            fits.then_some(observed)
        }
        _ => None,
    })
    .await
}

#[tokio::test]
async fn sessions_follow_the_desired_state() {
    let (gateway, mut agent) = linked().await;
    agent.start().await;
    let mut link = gateway.welcome().await;
    assert_eq!(link.hello.desired, None);
    assert_eq!(link.hello.addresses.public_ip, Some("127.0.0.1".parse().unwrap()));
    let (first, second) = (SessionId::random(), SessionId::random());
    let snapshot = desired_of(&gateway.incarnation, 5, &[&first]);
    link.send(&FromGateway::Snapshot(snapshot)).await;
    let observed = observe(&mut link, &[(&first, SessionState::Running)]).await;
    assert_eq!(observed.desired.unwrap().generation, 5);
    assert_eq!(link.hello.addresses.port, agent.door().port());

    let delta = |from, to, sessions, tombstones| {
        let to = DesiredVersion { incarnation: gateway.incarnation.clone(), generation: to };
        FromGateway::Delta(DesiredDelta { from, to, sessions, tombstones, environment: None, backup: None })
    };
    let added = desired(1, &[&second]).sessions;
    link.send(&delta(5, 6, added, vec![first.clone()])).await;
    observe(&mut link, &[(&second, SessionState::Running)]).await;
    assert_eq!(agent.sessions(), [second.to_string()]);

    // From a generation that the box is not at.
    link.send(&delta(8, 9, vec![], vec![second.clone()])).await;
    let wants = |message| matches!(message, FromAgent::WantSnapshot).then_some(());
    link.find("a request for a snapshot", wants).await;
    // Merely absent: reported, and left alone.
    link.send(&FromGateway::Snapshot(desired_of(&gateway.incarnation, 9, &[]))).await;
    observe(&mut link, &[(&second, SessionState::Unexpected)]).await;
    // Stale: ends nothing.
    let mut stale = desired_of(&gateway.incarnation, 8, &[]);
    stale.tombstones = vec![second.clone()];
    link.send(&FromGateway::Snapshot(stale)).await;
    let mut unknown = desired_of(&gateway.incarnation, 10, &[&first]);
    unknown.sessions[0].template = "no-such-template".into();
    link.send(&FromGateway::Snapshot(unknown)).await;
    let observed =
        observe(&mut link, &[(&first, SessionState::Failed), (&second, SessionState::Unexpected)]).await;
    let failed = observed.sessions.iter().find(|session| session.id == first).unwrap();
    assert!(failed.message.as_ref().unwrap().contains("no-such-template"));
}

#[tokio::test]
async fn a_box_that_was_offline_ends_what_was_buried_meanwhile() {
    let (gateway, mut agent) = linked().await;
    let session = SessionId::random();
    let held = desired_of(&gateway.incarnation, 1, &[&session]);
    agent.remember(&held).await;
    agent.start().await;
    assert_eq!(agent.sessions(), [session.to_string()], "sessions need no network");
    let mut link = gateway.welcome().await;
    let mut buried = desired_of(&gateway.incarnation, 2, &[]);
    buried.tombstones = vec![session.clone()];
    link.send(&FromGateway::Snapshot(buried)).await;
    observe(&mut link, &[]).await;
    assert!(agent.sessions().is_empty());
}

#[tokio::test]
async fn terminals_are_counted_in_what_is_observed() {
    let (gateway, mut agent) = linked().await;
    let session = SessionId::random();
    agent.remember(&desired_of(&gateway.incarnation, 1, &[&session])).await;
    agent.start().await;
    let mut link = gateway.welcome().await;
    let count = async |link: &mut Link, wanted| {
        link.find("the count of terminals", |message| match message {
            FromAgent::Observed(observed) => (observed.sessions.first()?.attachments == wanted).then_some(()),
            _ => None,
        })
        .await;
    };
    let terminal = Terminal::open(&agent, &session, "viewer").await;
    count(&mut link, 1).await;
    drop(terminal);
    count(&mut link, 0).await;
}

/// The next telemetry event.
async fn telemetry(link: &mut Link) -> berth_protocol::event::Event {
    link.find("telemetry", |message| match message {
        FromAgent::Event(event) if event.kind == Telemetry::KIND => Some(event),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn events_come_again_until_they_are_acknowledged() {
    let (gateway, mut agent) = linked().await;
    agent.launch();
    let mut link = gateway.welcome().await;
    let event = telemetry(&mut link).await;
    assert_eq!((event.id.seq, &event.instance), (1, &agent.facts.instance));
    let telling: Telemetry = serde_json::from_value(event.payload.clone()).unwrap();
    assert!(telling.memory_total_bytes > 0 && telling.start_phases.iter().any(|phase| phase.name == "tmux"));
    // The link is lost before the acknowledgement: the very same event comes again.
    drop(link);
    let mut link = gateway.welcome().await;
    assert_eq!(telemetry(&mut link).await, event);
    // So it does after a crash, and the new start has a stream of its own.
    agent.end(Signal::SIGKILL);
    drop(link);
    agent.launch();
    let mut link = gateway.welcome().await;
    assert_eq!(telemetry(&mut link).await, event);
    let newer = telemetry(&mut link).await;
    assert_eq!(newer.id.seq, 1);
    assert_ne!(newer.id.stream, event.id.stream);
    for id in [event.id, newer.id] {
        link.send(&FromGateway::Ack { stream: id.stream, seq: id.seq }).await;
    }
    until("an empty outbox", async || {
        (agent.metric("box_agent_outbox_events").await == Some(0.0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_restored_copy_of_the_database_loses_and_doubles_nothing() {
    let (gateway, mut agent) = linked().await;
    agent.launch();
    let mut link = gateway.welcome().await;
    let old = telemetry(&mut link).await;
    agent.end(Signal::SIGTERM);
    let copy = std::fs::read(agent.database()).unwrap();
    drop(link);
    agent.launch();
    let mut link = gateway.welcome().await;
    assert_eq!(telemetry(&mut link).await, old);
    let second = telemetry(&mut link).await;
    link.send(&FromGateway::Ack { stream: old.id.stream.clone(), seq: 1 }).await;
    link.send(&FromGateway::Ack { stream: second.id.stream.clone(), seq: 1 }).await;
    until("an empty outbox", async || {
        (agent.metric("box_agent_outbox_events").await == Some(0.0)).then_some(())
    })
    .await;
    agent.end(Signal::SIGTERM);
    drop(link);
    std::fs::write(agent.database(), copy).unwrap();
    for suffix in ["-wal", "-shm"] {
        std::fs::remove_file(agent.database().with_file_name(format!("agent.db{suffix}"))).ok();
    }
    agent.launch();
    let mut link = gateway.welcome().await;
    // What the copy holds comes under its old name, which the gateway knows; what is new has a new one.
    assert_eq!(telemetry(&mut link).await, old);
    let third = telemetry(&mut link).await;
    assert!(third.id.stream != old.id.stream && third.id.stream != second.id.stream);
}

#[tokio::test]
async fn a_gap_is_filled_or_said_to_be_lost() {
    let (gateway, mut agent) = linked().await;
    agent.launch();
    let mut link = gateway.welcome().await;
    let event = telemetry(&mut link).await;
    // The gateway claims to have nothing: the event comes again.
    link.send(&FromGateway::Gap { stream: event.id.stream.clone(), stored: 0 }).await;
    assert_eq!(telemetry(&mut link).await, event);
    // A stream that the box knows nothing of changes nothing.
    link.send(&FromGateway::Gap { stream: StreamId::random(), stored: 7 }).await;
    link.send(&FromGateway::Gap { stream: event.id.stream.clone(), stored: 0 }).await;
    assert_eq!(telemetry(&mut link).await, event);
}

#[tokio::test]
async fn a_silent_gateway_is_left_and_dialled_again() {
    let (gateway, mut agent) = linked().await;
    agent.launch();
    // Never read again: no heartbeat is echoed, and the connection stays open.
    let _silent = gateway.welcome().await;
    let mut link = gateway.welcome().await;
    within("an observed state", async { link.next().await }).await.expect("the link is alive");
    assert_eq!(agent.metric("box_agent_link_reconnects_total").await, Some(1.0));
}

#[tokio::test]
async fn an_unknown_version_is_refused_in_words_and_the_box_goes_on() {
    let (gateway, mut agent) = linked().await;
    agent.launch();
    let mut link = gateway.accept().await;
    let message = "this gateway speaks link versions 8 to 9, the agent 1 to 1: update the agent".to_owned();
    link.send(&FromGateway::Refused { kind: REFUSED_VERSION.into(), message: message.clone() }).await;
    let told = async || {
        let output = agent.verb(&["status"]);
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success() && text.contains(&message)).then_some(())
    };
    until("the words in the status", told).await;
    open(&agent).await;
}

#[tokio::test]
async fn a_retired_instance_closes_its_door_and_leaves_its_sessions() {
    let (gateway, mut agent) = linked().await;
    let session = SessionId::random();
    agent.remember(&desired_of(&gateway.incarnation, 1, &[&session])).await;
    agent.start().await;
    let mut terminal = Terminal::open(&agent, &session, "editor").await;
    let mut link = gateway.welcome().await;
    let message = "instance 2 owns the workspace".to_owned();
    link.send(&FromGateway::Refused { kind: REFUSED_RETIRED.into(), message }).await;
    terminal.end().await;
    let closed = async || {
        let mut stream = TcpStream::connect(agent.door()).await.ok()?;
        let ended = stream.read(&mut [0]).await;
        (ended.unwrap_or(0) == 0).then_some(())
    };
    until("the door to close", closed).await;
    assert_eq!(agent.sessions(), [session.to_string()]);
    let text = String::from_utf8(agent.verb(&["status"]).stdout).unwrap();
    assert!(text.contains("retired: a newer instance owns the workspace"), "{text}");
    assert!(text.contains("door:          closed"), "{text}");
}
