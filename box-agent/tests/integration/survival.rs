//! What survives when something is killed, and what must not.

use berth_protocol::ids::{RequestId, SessionId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getsid};

use crate::support::agent::{Agent, NO_GATEWAY, desired};
use crate::support::ca::Ca;
use crate::support::door::{Terminal, ask, open, terminal_head};
use crate::support::wait::until;

async fn agent_with(session: &SessionId) -> Agent {
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.remember(&desired(1, &[session])).await;
    agent.start().await;
    agent
}

fn exists(pid: Pid) -> bool {
    // A zombie that its new parent has not collected yet is dead enough.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The process of the session's first pane.
fn pane_pid(agent: &Agent, session: &SessionId) -> String {
    agent.tmux(&["display-message", "-p", "-t", &format!("={session}:.0"), "#{pane_pid}"])
}

#[tokio::test]
async fn ttyd_is_started_again_and_the_session_goes_on() {
    let session = SessionId::random();
    let agent = agent_with(&session).await;
    let shell = pane_pid(&agent, &session);
    let mut terminal = Terminal::open(&agent, &session, "editor").await;
    terminal.type_text("MARK=here; echo m$((6*7))m\r").await;
    terminal.see("m42m").await;
    let ttyd = agent.ttyd_pid().unwrap();
    kill(ttyd, Signal::SIGKILL).unwrap();
    terminal.end().await;
    let again = async || {
        let mut stream = open(&agent).await;
        let head = terminal_head(&session, "editor", &RequestId::random());
        let answer = ask(&mut stream, &head).await.unwrap();
        // 503 with words while ttyd is away.
        assert!(answer.status == 200 || answer.kind() == "terminal_unavailable", "{}", answer.body);
        (answer.status == 200).then_some(())
    };
    until("a terminal again", again).await;
    let mut terminal = Terminal::open(&agent, &session, "editor").await;
    terminal.type_text("echo a$((6*7))${MARK}b\r").await;
    terminal.see("a42hereb").await;
    assert_eq!(pane_pid(&agent, &session), shell);
    assert_eq!(agent.metric("box_agent_ttyd_restarts_total").await, Some(1.0));
}

#[tokio::test]
async fn a_ttyd_that_lives_and_no_longer_answers_is_replaced() {
    let session = SessionId::random();
    let agent = agent_with(&session).await;
    let shell = pane_pid(&agent, &session);
    let ttyd = agent.ttyd_pid().unwrap();
    kill(ttyd, Signal::SIGSTOP).unwrap();
    until("another ttyd", async || (agent.ttyd_pid()? != ttyd && !exists(ttyd)).then_some(())).await;
    until("its answer", async || {
        (agent.metric("box_agent_ttyd_restarts_total").await == Some(1.0)).then_some(())
    })
    .await;
    assert!(agent.log().contains("ttyd no longer answered"), "the reason is not told");
    assert_eq!(pane_pid(&agent, &session), shell);
}

#[tokio::test]
async fn a_killed_agent_takes_ttyd_along_and_leaves_the_session() {
    let session = SessionId::random();
    let mut agent = agent_with(&session).await;
    let shell = pane_pid(&agent, &session);
    let mut terminal = Terminal::open(&agent, &session, "editor").await;
    terminal.type_text("MARK=here; echo m$((6*7))m\r").await;
    terminal.see("m42m").await;
    let ttyd = agent.ttyd_pid().unwrap();
    agent.end(Signal::SIGKILL);
    until("the end of ttyd", async || (!exists(ttyd)).then_some(())).await;
    assert_eq!(pane_pid(&agent, &session), shell, "the session is gone");
    agent.start().await;
    let mut terminal = Terminal::open(&agent, &session, "editor").await;
    terminal.type_text("echo a$((6*7))${MARK}b\r").await;
    terminal.see("a42hereb").await;
    assert_eq!(agent.sessions(), [session.to_string()]);
}

#[tokio::test]
async fn a_stopped_agent_ends_ttyd_cleanly_and_leaves_the_session() {
    let session = SessionId::random();
    let mut agent = agent_with(&session).await;
    let ttyd = agent.ttyd_pid().unwrap();
    let server: i32 = agent.tmux(&["display-message", "-p", "#{pid}"]).trim().parse().unwrap();
    let server = Pid::from_raw(server);
    assert_eq!(getsid(Some(server)).unwrap(), server, "the tmux server leads a session of its own");
    let mut terminal = Terminal::open(&agent, &session, "editor").await;
    assert_eq!(agent.end(Signal::SIGTERM), Some(0));
    assert!(!exists(ttyd) && exists(server));
    assert_eq!(agent.sessions(), [session.to_string()]);
    terminal.end().await;
}

#[tokio::test]
async fn a_desired_session_that_ended_is_made_again() {
    let session = SessionId::random();
    let agent = agent_with(&session).await;
    let before = pane_pid(&agent, &session);
    agent.tmux(&["kill-session", "-t", &format!("={session}")]);
    until("the session again", async || {
        (agent.sessions() == [session.to_string()] && pane_pid(&agent, &session) != before).then_some(())
    })
    .await;
}
