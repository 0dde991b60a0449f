//! `attach` and `guard` by themselves.

use std::process::{Command, Stdio};

use berth_protocol::ids::{AttachmentId, RequestId, SessionId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::agent::{Agent, NO_GATEWAY, desired, process_with};
use crate::support::ca::Ca;
use crate::support::door::{Terminal, ask, open, terminal_head};
use crate::support::programs::box_agent;
use crate::support::wait::until;

#[test]
fn attach_takes_exactly_one_attachment() {
    let id = AttachmentId::random().to_string();
    let session = SessionId::random().to_string();
    let long = format!("att-{}", "a".repeat(300));
    for args in [
        vec![],
        vec![id.as_str(), id.as_str()],
        vec!["-v"],
        vec!["--help"],
        vec![""],
        vec![session.as_str()],
        vec![long.as_str()],
        vec!["a;b"],
    ] {
        let output = Command::new(box_agent())
            .args(["attach", "--socket", "/nowhere", "--"])
            .args(&args)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(64), "{args:?}");
    }
    let output =
        Command::new(box_agent()).args(["attach", "--socket", "/nowhere", "--", &id]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("failed to reach the agent at /nowhere"), "{words}");
}

#[tokio::test]
async fn an_attachment_works_once() {
    let session = SessionId::random();
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.remember(&desired(1, &[&session])).await;
    agent.start().await;
    let mut stream = open(&agent).await;
    let answer = ask(&mut stream, &terminal_head(&session, "editor", &RequestId::random())).await.unwrap();
    let attachment = answer.header("berth-attachment").unwrap().to_owned();
    let mut first = Terminal::attach(stream, &attachment).await;
    first.see(" 0 main ").await;
    // Another stream with the same attachment, one that was never minted, and none at all.
    let unknown = AttachmentId::random().to_string();
    for argument in [attachment.as_str(), &unknown, ""] {
        let mut stream = open(&agent).await;
        let head = terminal_head(&session, "editor", &RequestId::random());
        assert_eq!(ask(&mut stream, &head).await.unwrap().status, 200);
        let mut other = Terminal::attach(stream, argument).await;
        other.end().await;
        assert!(!other.seen.contains(" 0 main "), "{:?}", other.seen);
    }
    first.type_text("echo a$((6*7))b\r").await;
    first.see("a42b").await;
}

#[tokio::test]
async fn a_guarded_program_ends_with_its_parent() {
    // A shell that starts the guard and waits: killing it is what happens to a killed agent.
    let mark = format!("86{}", std::process::id());
    let script = "\"$1\" guard --parent $$ -- sleep \"$2\" & wait";
    let mut parent = Command::new("/bin/sh")
        .args(["-c", script, "sh", box_agent().to_str().unwrap(), &mark])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let sleeper = until("the guarded program", async || process_with("sleep", &mark)).await;
    kill(Pid::from_raw(parent.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
    parent.wait().unwrap();
    until("its end", async || process_with("sleep", &mark).is_none().then_some(())).await;
    assert!(process_with("sleep", &mark).is_none(), "{sleeper} lives");
}

#[test]
fn a_guard_without_its_parent_starts_nothing() {
    let output =
        Command::new(box_agent()).args(["guard", "--parent", "1", "--", "echo", "started"]).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(output.stdout.is_empty());
}
