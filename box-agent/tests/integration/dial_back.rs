//! The door on connections that the agent dials, with the gateway's part played by the test.

use std::time::Duration;

use berth_protocol::door::Status;
use berth_protocol::ids::{RequestId, SessionId};
use berth_protocol::link::{DialBack, FromGateway, MAX_DIAL_BACKS, REFUSED_RETIRED};
use berth_protocol::name::BerthName;
use berth_protocol::trust::name_of;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

use crate::support::agent::{Agent, desired_of};
use crate::support::ca::Ca;
use crate::support::door::{ask, terminal_head};
use crate::support::gateway::{CALM_MS, Gateway, Link};
use crate::support::wait::{DEADLINE, within};

const STATUS: &str = "GET /v1/status HTTP/1.1\r\nHost: door\r\n\r\n";

/// Long enough for an agent of this machine to dial, if it were going to.
const NEVER: Duration = Duration::from_millis(500);

/// A ready box with a link to the gateway.
async fn linked() -> (Gateway, Agent, Link) {
    let ca = Ca::new();
    let gateway = Gateway::of(&ca).await;
    let mut agent = Agent::enrolled(ca, &gateway.address());
    agent.start().await;
    let link = gateway.welcome_with(CALM_MS).await;
    (gateway, agent, link)
}

async fn ask_for(link: &mut Link, count: u32, address: Option<String>) {
    link.send(&FromGateway::DialBack(DialBack { count, address })).await;
}

/// Waits until the other side has closed a connection, whichever way.
async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) {
    within("the connection's end", async { while stream.read(&mut [0]).await.is_ok_and(|n| n > 0) {} }).await;
}

#[tokio::test]
async fn the_agent_dials_where_its_link_leads_and_serves_its_door_there() {
    let ca = Ca::new();
    let gateway = Gateway::of(&ca).await;
    let mut agent = Agent::enrolled(ca, &gateway.address());
    agent.launch();
    let mut link = gateway.welcome_with(CALM_MS).await;
    // Asked before the door is open: the request waits.
    ask_for(&mut link, 2, None).await;
    for _ in 0..2 {
        let mut stream = gateway.dialled_back().await.unwrap();
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        let BerthName::Box { instance, .. } = name_of(&certificate).unwrap() else { panic!("no box") };
        assert_eq!(instance, agent.facts.instance);
        // Twice over one connection: gateways keep them.
        for _ in 0..2 {
            let answer = ask(&mut stream, STATUS).await.unwrap();
            let status: Status = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(status.instance, agent.facts.instance);
        }
    }
}

#[tokio::test]
async fn many_requests_of_one_connection_are_as_good_as_one_request_of_many() {
    let ca = Ca::new();
    let gateway = Gateway::of(&ca).await;
    let mut agent = Agent::enrolled(ca, &gateway.address());
    agent.launch();
    let mut link = gateway.welcome_with(CALM_MS).await;
    // Asked before the door is open, so that all of them wait at once.
    for _ in 0..MAX_DIAL_BACKS {
        ask_for(&mut link, 1, None).await;
    }
    for _ in 0..MAX_DIAL_BACKS {
        gateway.dialled_back().await.unwrap();
    }
}

#[tokio::test]
async fn a_dialled_connection_leads_to_terminals() {
    let ca = Ca::new();
    let gateway = Gateway::of(&ca).await;
    let mut agent = Agent::enrolled(ca, &gateway.address());
    let session = SessionId::random();
    agent.remember(&desired_of(&gateway.incarnation, 1, &[&session])).await;
    agent.start().await;
    let mut link = gateway.welcome_with(CALM_MS).await;
    ask_for(&mut link, 1, None).await;
    let mut stream = gateway.dialled_back().await.unwrap();
    let head = terminal_head(&session, "editor", &RequestId::random());
    let answer = ask(&mut stream, &head).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    // The connection leads to ttyd now, which speaks HTTP itself.
    let answer = ask(&mut stream, "GET /token HTTP/1.1\r\nHost: ttyd\r\n\r\n").await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "{\"token\": \"\"}"));
    assert_eq!(agent.metric("box_agent_door_dial_backs_total").await, Some(1.0));
}

#[tokio::test]
async fn another_address_is_dialled_when_it_is_plain() {
    let (gateway, agent, mut link) = linked().await;
    let other = Gateway::of(&agent.ca).await;
    for nonsense in ["localhost", "http://localhost:1", "a b:1", ":1"] {
        ask_for(&mut link, 1, Some(nonsense.to_owned())).await;
    }
    ask_for(&mut link, 1, Some(other.address())).await;
    let mut stream = other.dialled_back().await.unwrap();
    assert_eq!(ask(&mut stream, STATUS).await.unwrap().status, 200);
    assert!(
        gateway.accept_tcp_within(NEVER).await.is_none(),
        "nonsense was taken for the link's own address"
    );
}

#[tokio::test]
async fn nobody_but_a_gateway_of_the_installation_is_served() {
    let (_gateway, agent, mut link) = linked().await;
    let impostor = Ca::of(agent.ca.installation.clone());
    let another_box = agent.ca.credentials(&agent.ca.box_name(&berth_protocol::ids::InstanceId::random()));
    for (who, credentials) in [("another CA's gateway", impostor.gateway()), ("another box", another_box)] {
        let listener = Gateway::with_credentials(&agent.ca, credentials).await;
        ask_for(&mut link, 1, Some(listener.address())).await;
        let dialled = listener.dialled_back().await;
        assert!(dialled.is_err(), "{who} got a door");
    }
    assert_eq!(agent.metric("box_agent_door_dial_backs_total").await, Some(0.0));
}

/// Eight connections, after which none comes as long as they are there.
async fn eight(gateway: &Gateway) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    while streams.len() < 8 {
        streams.push(gateway.accept_tcp_within(DEADLINE).await.unwrap());
    }
    assert!(gateway.accept_tcp_within(NEVER).await.is_none(), "a ninth connection");
    streams
}

#[tokio::test]
async fn a_gateway_that_asks_for_everything_gets_a_few_at_a_time() {
    let (gateway, _agent, mut link) = linked().await;
    ask_for(&mut link, u32::MAX, None).await;
    // Nobody answers these, so none is finished before the last has begun.
    let first = eight(&gateway).await;
    drop(first);
    let rest = eight(&gateway).await;
    drop(rest);
    assert!(gateway.accept_tcp_within(NEVER).await.is_none(), "sixteen may be asked for at once");
    ask_for(&mut link, 1, None).await;
    let mut stream = gateway.dialled_back().await.unwrap();
    assert_eq!(ask(&mut stream, STATUS).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_retired_instance_leaves_what_it_dialled() {
    let (gateway, _agent, mut link) = linked().await;
    ask_for(&mut link, 1, None).await;
    let mut stream = gateway.dialled_back().await.unwrap();
    assert_eq!(ask(&mut stream, STATUS).await.unwrap().status, 200);
    let message = "instance 2 owns the workspace".to_owned();
    link.send(&FromGateway::Refused { kind: REFUSED_RETIRED.into(), message }).await;
    until_closed(&mut stream).await;
}
