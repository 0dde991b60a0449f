//! Shapes of version 1, as they were once written, are read and written the same today.
//!
//! A fixture is never edited. A new version gets new ones beside the old.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says so by panicking, its helpers too")]

use std::fmt::Debug;

use berth_protocol::attention::{Answer, Notification, Withdrawn};
use berth_protocol::backup::{BackupState, Entry, Look, Preview, RestoreOrder, Snapshot};
use berth_protocol::control::files::Uploaded;
use berth_protocol::control::{Exec, ExecExit, ExecLine, Input, Screen};
use berth_protocol::door::Status;
use berth_protocol::enroll::{EnrollRequest, EnrollResponse, EnrollmentToken};
use berth_protocol::error::ErrorBody;
use berth_protocol::event::{OutOfMemory, Telemetry};
use berth_protocol::link::{FromAgent, FromGateway};
use berth_protocol::provision::Provision;
use berth_protocol::renew::{RenewRequest, RenewResponse};
use berth_protocol::suspend::{SuspendState, Suspension};
use berth_protocol::terminal::{FromBrowser, FromRelay};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a fixture and writes it again: nothing that it says may be lost or said differently.
fn survives<T: Serialize + DeserializeOwned>(fixture: &str) -> T {
    let old: Value = serde_json::from_str(fixture).unwrap();
    let read: T = serde_json::from_value(old.clone()).unwrap();
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(written, old);
    read
}

/// The same for a list of messages, of which none may be read as unknown.
fn messages_survive<T: Serialize + DeserializeOwned + PartialEq + Debug>(fixture: &str, unknown: &T) {
    let messages = survives::<Vec<T>>(fixture);
    assert!(!messages.is_empty());
    for message in messages {
        assert_ne!(message, *unknown);
    }
}

#[test]
fn link_messages_are_read() {
    messages_survive(include_str!("../data/v1/from_agent.json"), &FromAgent::Unknown);
    messages_survive(include_str!("../data/v1/from_agent_ports.json"), &FromAgent::Unknown);
    messages_survive(include_str!("../data/v1/from_gateway.json"), &FromGateway::Unknown);
    messages_survive(include_str!("../data/v1/from_agent_out_of_memory.json"), &FromAgent::Unknown);
    let dial_back = include_str!("../data/v1/from_gateway_dial_back.json");
    messages_survive(dial_back, &FromGateway::Unknown);
    let environment = include_str!("../data/v1/from_gateway_environment.json");
    messages_survive(environment, &FromGateway::Unknown);
    messages_survive(include_str!("../data/v1/from_agent_environment.json"), &FromAgent::Unknown);
    messages_survive(include_str!("../data/v1/from_agent_attention.json"), &FromAgent::Unknown);
    messages_survive(include_str!("../data/v1/from_agent_trust.json"), &FromAgent::Unknown);
    messages_survive(include_str!("../data/v1/from_gateway_trust.json"), &FromGateway::Unknown);
}

#[test]
fn agents_and_gateways_of_before_renewal_say_nothing_of_it() {
    let old: EnrollRequest = serde_json::from_str(include_str!("../data/v1/enroll_request.json")).unwrap();
    assert!(!old.renews);
    let old: EnrollResponse = serde_json::from_str(include_str!("../data/v1/enroll_response.json")).unwrap();
    assert_eq!(old.trust_generation, None);
    let messages: Vec<FromAgent> = serde_json::from_str(include_str!("../data/v1/from_agent.json")).unwrap();
    let hello = messages.iter().find_map(|message| match message {
        FromAgent::Hello(hello) => Some(hello),
        _ => None,
    });
    assert_eq!(hello.unwrap().trust, None);
}

#[test]
fn what_a_new_machine_is_given_is_read() {
    let given: Provision = survives(include_str!("../data/v1/provision.json"));
    assert_eq!(given.volume.map(|volume| (volume.hcloud_id, volume.new)), Some((10_000_001, true)));
    let bare: Provision = serde_json::from_str(r#"{"token": "berth1.e30", "later": 1}"#).unwrap();
    assert_eq!(bare.volume, None);
}

#[test]
fn terminal_messages_are_read() {
    messages_survive(include_str!("../data/v1/from_browser.json"), &FromBrowser::Unknown);
    messages_survive(include_str!("../data/v1/from_relay.json"), &FromRelay::Unknown);
    messages_survive(include_str!("../data/v1/from_relay_echo.json"), &FromRelay::Unknown);
    messages_survive(include_str!("../data/v1/from_browser_company.json"), &FromBrowser::Unknown);
    messages_survive(include_str!("../data/v1/from_relay_company.json"), &FromRelay::Unknown);
}

#[test]
fn what_sessions_need_is_read() {
    let events: Vec<FromAgent> =
        serde_json::from_str(include_str!("../data/v1/from_agent_attention.json")).unwrap();
    let payloads = events.into_iter().filter_map(|message| match message {
        FromAgent::Event(event) => Some((event.kind, event.payload.to_string())),
        _ => None,
    });
    for (kind, payload) in payloads {
        match kind.as_str() {
            Notification::KIND => drop(survives::<Notification>(&payload)),
            Withdrawn::KIND => drop(survives::<Withdrawn>(&payload)),
            other => panic!("no payload of the kind {other} is expected"),
        }
    }
    survives::<Vec<Answer>>(include_str!("../data/v1/door_answer.json"));
}

#[test]
fn single_bodies_are_read() {
    survives::<EnrollRequest>(include_str!("../data/v1/enroll_request.json"));
    survives::<EnrollResponse>(include_str!("../data/v1/enroll_response.json"));
    survives::<EnrollRequest>(include_str!("../data/v1/enroll_request_renews.json"));
    survives::<EnrollResponse>(include_str!("../data/v1/enroll_response_trust.json"));
    survives::<RenewRequest>(include_str!("../data/v1/renew_request.json"));
    survives::<RenewResponse>(include_str!("../data/v1/renew_response.json"));
    survives::<Status>(include_str!("../data/v1/door_status.json"));
    survives::<ErrorBody>(include_str!("../data/v1/error.json"));
}

#[test]
fn commands_at_the_door_are_read() {
    survives::<Screen>(include_str!("../data/v1/door_screen.json"));
    survives::<Vec<Input>>(include_str!("../data/v1/door_input.json"));
    survives::<Vec<Exec>>(include_str!("../data/v1/door_exec.json"));
    survives::<Vec<ExecLine>>(include_str!("../data/v1/door_exec_lines.json"));
    survives::<Uploaded>(include_str!("../data/v1/door_uploaded.json"));
    survives::<Vec<Suspension>>(include_str!("../data/v1/door_suspension.json"));
}

#[test]
fn what_is_said_of_backups_is_read() {
    let text = include_str!("../data/v1/from_gateway_backup.json");
    messages_survive(text, &FromGateway::Unknown);
    let messages: Vec<FromGateway> = serde_json::from_str(text).unwrap();
    let [FromGateway::Snapshot(snapshot), FromGateway::Delta(delta)] = &messages[..] else {
        panic!("{messages:?}")
    };
    let (whole, kept) = (snapshot.backup.as_ref().unwrap(), delta.backup.as_ref().unwrap());
    whole.check().unwrap();
    assert_eq!(whole.without_secrets(), *kept);
    survives::<BackupState>(include_str!("../data/v1/door_backup_state.json"));
    survives::<Vec<RestoreOrder>>(include_str!("../data/v1/door_backup_orders.json"));
    survives::<Vec<Look>>(include_str!("../data/v1/door_backup_looks.json"));
    survives::<Vec<Entry>>(include_str!("../data/v1/door_backup_entries.json"));
    survives::<Preview>(include_str!("../data/v1/door_backup_preview.json"));
    survives::<Vec<Snapshot>>(include_str!("../data/v1/door_backup_snapshots.json"));
}

#[test]
fn an_old_token_is_read() {
    let token: EnrollmentToken = include_str!("../data/v1/enrollment_token.txt").parse().unwrap();
    assert_eq!((token.link_address.as_str(), token.secret.as_str()), ("127.0.0.1:7392", "s"));
}

#[test]
fn old_telemetry_is_read() {
    let messages: Vec<FromAgent> = serde_json::from_str(include_str!("../data/v1/from_agent.json")).unwrap();
    let events = messages.into_iter().filter_map(|message| match message {
        FromAgent::Event(event) => Some(event),
        _ => None,
    });
    let mut read = 0;
    for event in events {
        let telemetry: Telemetry = serde_json::from_value(event.payload).unwrap();
        assert_eq!(telemetry.start_phases[0].name, "volume");
        read += 1;
    }
    assert_eq!(read, 1);
}

#[test]
fn old_reports_of_memory_that_ran_out_are_read() {
    let text = include_str!("../data/v1/from_agent_out_of_memory.json");
    let messages: Vec<FromAgent> = serde_json::from_str(text).unwrap();
    let read = messages.into_iter().map(|message| {
        let FromAgent::Event(event) = message else { panic!("{message:?}") };
        assert_eq!(event.kind, OutOfMemory::KIND);
        let payload = event.payload.clone();
        let report: OutOfMemory = serde_json::from_value(event.payload).unwrap();
        assert_eq!(serde_json::to_value(&report).unwrap(), payload);
        report.session.is_some()
    });
    assert_eq!(read.collect::<Vec<_>>(), [true, false]);
}

#[test]
fn an_environment_that_is_not_understood_takes_no_session_along() {
    let snapshot = include_str!("../data/v1/from_gateway_environment.json").replace("API_KEY", "LD_PRELOAD");
    let messages: Vec<FromGateway> = serde_json::from_str(&snapshot).unwrap();
    let [FromGateway::Snapshot(snapshot), FromGateway::Delta(delta)] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(snapshot.environment, None);
    assert!(delta.environment.is_some(), "the other is understood");
}

#[test]
fn what_a_newer_version_adds_is_tolerated() {
    let message: FromGateway = serde_json::from_str(r#"{"type": "from_the_future", "x": 1}"#).unwrap();
    assert_eq!(message, FromGateway::Unknown);
    let message: FromAgent = serde_json::from_str(r#"{"type": "heartbeat", "n": 1, "more": true}"#).unwrap();
    assert_eq!(message, FromAgent::Heartbeat { n: 1 });
    let line: ExecLine = serde_json::from_str(r#"{"exit": {"code": 1, "more": true}, "more": 1}"#).unwrap();
    assert_eq!(line, ExecLine::Exit { exit: ExecExit::ended(Some(1), None) });
    let suspension: Suspension = serde_json::from_str(r#"{"state": "frozen", "more": 1}"#).unwrap();
    assert_eq!(suspension.state, SuspendState::Unknown);
    let message: FromBrowser = serde_json::from_str(r#"{"type": "wave"}"#).unwrap();
    assert_eq!(message, FromBrowser::Unknown);
}
