//! Questions of panes: told with their choices, answered only while they stand, and not told twice by a new agent; and
//! the hooks in coding agents' settings.

use berth_protocol::attention::{Activity, Answer, Notification, Withdrawn, answer_path};
use berth_protocol::door::HEADER_REQUEST_ID;
use berth_protocol::ids::{RequestId, SessionId};
use berth_protocol::link::FromAgent;
use nix::sys::signal::Signal;

use crate::support::agent::{Agent, NO_GATEWAY, desired, desired_of};
use crate::support::ca::Ca;
use crate::support::door::{self, ask, open};
use crate::support::gateway::Gateway;
use crate::support::wait::until;

/// A template whose one pane is a plain shell.
const SHELL: &str = "[templates.default]\npanes = [{ name = \"shell\", command = [\"env\", \"PS1=$ \", \"ENV=\", \"sh\"] }]\n";

async fn running(
    link: &str,
    ca: Ca,
    snapshot: impl Fn(&SessionId) -> berth_protocol::desired::DesiredSnapshot,
) -> (Agent, SessionId) {
    let mut agent = Agent::enrolled(ca, link);
    agent.set_templates(SHELL);
    let session = SessionId::random();
    agent.remember(&snapshot(&session)).await;
    agent.start().await;
    until("the shell", async || screen(&agent).contains('$').then_some(())).await;
    until("the tap", async || {
        (agent.tmux(&["display-message", "-p", "-t", "%0", "#{pane_pipe}"]) == "1\n").then_some(())
    })
    .await;
    (agent, session)
}

async fn alone() -> (Agent, SessionId) {
    running(NO_GATEWAY, Ca::new(), |session| desired(1, &[session])).await
}

fn screen(agent: &Agent) -> String {
    agent.tmux(&["capture-pane", "-p", "-t", "%0"])
}

fn type_line(agent: &Agent, line: &str) {
    agent.tmux(&["send-keys", "-t", "%0", "-l", "--", line]);
    agent.tmux(&["send-keys", "-t", "%0", "Enter"]);
}

/// Events of a kind in the outbox.
fn stored<T: serde::de::DeserializeOwned>(agent: &Agent, kind: &str) -> Vec<T> {
    let store = rusqlite::Connection::open(agent.database()).unwrap();
    let mut rows = store.prepare("SELECT payload FROM outbox WHERE kind = ?1 ORDER BY id").unwrap();
    let rows = rows.query_map([kind], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|row| serde_json::from_str(&row.unwrap()).unwrap()).collect()
}

fn told(agent: &Agent) -> Vec<Notification> {
    stored(agent, Notification::KIND)
}

/// A script that asks, and says what it was answered; what it prints is on a screen without anything else.
const ASKS: &str = "clear; printf 'About to deploy.\\nDeploy now? [y/N] '; read x; echo \"got <$x>\"";

async fn asked(agent: &Agent) -> Notification {
    type_line(agent, ASKS);
    until("the question", async || told(agent).into_iter().find(|told| told.question.is_some())).await
}

async fn answer(agent: &Agent, session: &SessionId, answer: &Answer, id: &RequestId) -> door::Answer {
    let body = serde_json::to_string(answer).unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: door\r\n{HEADER_REQUEST_ID}: {id}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        answer_path(session),
        body.len()
    );
    ask(&mut open(agent).await, &head).await.unwrap()
}

fn choose(told: &Notification, choice: &str) -> Answer {
    Answer {
        notification: told.id.clone(),
        pane: told.pane.unwrap(),
        fingerprint: told.question.as_ref().unwrap().fingerprint.clone(),
        choice: Some(choice.into()),
        text: None,
    }
}

#[tokio::test]
async fn an_answer_is_typed_while_the_question_stands_and_never_after() {
    let (agent, session) = alone().await;
    let told = asked(&agent).await;
    assert_eq!(told.text, "Deploy now? [y/N]");
    let choices: Vec<&str> = told
        .question
        .iter()
        .flat_map(|question| &question.choices)
        .map(|choice| choice.id.as_str())
        .collect();
    assert_eq!(choices, ["approve", "deny"]);
    let id = RequestId::random();

    let refused = answer(&agent, &session, &choose(&told, "4"), &RequestId::random()).await;
    assert_eq!((refused.status, refused.kind().as_str()), (422, "choice_unknown"));
    let mut other = choose(&told, "approve");
    other.fingerprint = "00".into();
    let refused = answer(&agent, &session, &other, &RequestId::random()).await;
    assert_eq!((refused.status, refused.kind().as_str()), (409, "question_gone"));
    let refused = answer(&agent, &SessionId::random(), &choose(&told, "approve"), &RequestId::random()).await;
    assert_eq!(refused.status, 404);
    let mut nowhere = choose(&told, "approve");
    nowhere.pane.id = 77;
    assert_eq!(answer(&agent, &session, &nowhere, &RequestId::random()).await.kind(), "pane_unknown");
    assert!(!screen(&agent).contains("got <"), "something was typed");

    assert_eq!(answer(&agent, &session, &choose(&told, "approve"), &id).await.status, 204);
    until("the answer", async || screen(&agent).contains("got <y>").then_some(())).await;
    // A gateway that got no answer asks again.
    assert_eq!(answer(&agent, &session, &choose(&told, "approve"), &id).await.status, 204);
    let late = answer(&agent, &session, &choose(&told, "approve"), &RequestId::random()).await;
    assert_eq!((late.status, late.kind().as_str()), (409, "question_gone"));
    let gone: Vec<Withdrawn> = until("the withdrawal", async || {
        let gone = stored(&agent, Withdrawn::KIND);
        (!gone.is_empty()).then_some(gone)
    })
    .await;
    assert_eq!(serde_json::to_value(&gone[0]).unwrap()["why"], "answered");
    assert_eq!(gone[0].id, told.id);
    assert!(
        screen(&agent).matches("got <").count() == 1 && !screen(&agent).contains("$ y"),
        "{}",
        screen(&agent)
    );
}

#[tokio::test]
async fn words_are_typed_where_a_question_takes_them() {
    let (agent, session) = alone().await;
    let told = asked(&agent).await;
    let words = Answer { choice: None, text: Some("-t; maybe 'later'".into()), ..choose(&told, "") };
    assert_eq!(answer(&agent, &session, &words, &RequestId::random()).await.status, 204);
    until("the words", async || screen(&agent).contains("got <-t; maybe 'later'>").then_some(())).await;
}

#[tokio::test]
async fn a_question_is_not_told_twice_by_a_new_agent_and_is_taken_back_by_it() {
    let (mut agent, _) = alone().await;
    let told = asked(&agent).await;
    agent.end(Signal::SIGKILL);
    agent.start().await;
    // The new agent has looked at the pane when it says what it believes of it.
    until("the belief", async || {
        let text = String::from_utf8(agent.verb(&["sessions"]).stdout).unwrap();
        text.contains("waiting for approval").then_some(())
    })
    .await;
    assert_eq!(self::told(&agent).len(), 1, "told twice");
    agent.end(Signal::SIGKILL);
    agent.tmux(&["send-keys", "-t", "%0", "n", "Enter"]);
    until("the answer", async || screen(&agent).contains("got <n>").then_some(())).await;
    agent.start().await;
    let gone: Withdrawn = until("the withdrawal", async || stored(&agent, Withdrawn::KIND).pop()).await;
    assert_eq!(gone.id, told.id);
    assert_eq!(self::told(&agent).len(), 1);
}

#[tokio::test]
async fn a_closed_pane_takes_its_question_along() {
    let (agent, session) = alone().await;
    let told = asked(&agent).await;
    // Another keeps the session.
    agent.tmux(&["split-window", "-t", &format!("={session}:")]);
    agent.tmux(&["kill-pane", "-t", "%0"]);
    let gone: Withdrawn = until("the withdrawal", async || stored(&agent, Withdrawn::KIND).pop()).await;
    assert_eq!((gone.id, serde_json::to_value(gone.why).unwrap()), (told.id, "gone".into()));
}

#[tokio::test]
async fn the_gateway_is_told_what_sessions_do() {
    let ca = Ca::new();
    let gateway = Gateway::of(&ca).await;
    let incarnation = gateway.incarnation.clone();
    let address = gateway.address();
    let (agent, session) = running(&address, ca, |session| desired_of(&incarnation, 1, &[session])).await;
    let mut link = gateway.welcome().await;
    let mut activity = async |wanted: Activity| {
        link.find("the activity", |message| match message {
            FromAgent::Attention(board) => {
                let line = board.sessions.into_iter().find(|line| line.session == session)?;
                (line.belief.activity == wanted).then_some(line)
            }
            _ => None,
        })
        .await
    };
    activity(Activity::Idle).await;
    type_line(&agent, ASKS);
    let line = activity(Activity::WaitingForApproval).await;
    assert_eq!((line.panes.len(), line.panes[0].belief.activity), (1, Activity::WaitingForApproval));
    type_line(&agent, "y");
    activity(Activity::Idle).await;
}

#[tokio::test]
async fn a_users_own_pipe_is_left_alone_and_the_pane_is_looked_at() {
    let (agent, _) = alone().await;
    let log = agent.root().join("own.log");
    agent.tmux(&["pipe-pane", "-O", "-t", "%0", &format!("cat > {}", log.display())]);
    let told = asked(&agent).await;
    assert_eq!(told.text, "Deploy now? [y/N]");
    assert!(std::fs::read_to_string(&log).unwrap().contains("Deploy now"), "the user's own pipe was taken");
}

#[tokio::test]
async fn hooks_are_entered_at_the_start_and_taken_out_when_switched_off() {
    let (mut agent, _) = alone().await;
    let file = agent.root().join("volume/user/home/.claude/settings.json");
    until("the hooks", async || {
        std::fs::read_to_string(&file).ok().filter(|text| text.contains("notify claude"))
    })
    .await;
    agent.end(Signal::SIGTERM);
    agent.amend("[metrics]", "[notify]\nhooks = false\n[metrics]");
    agent.start().await;
    until("the hooks to be gone", async || {
        std::fs::read_to_string(&file).ok().filter(|text| !text.contains("notify claude"))
    })
    .await;
    agent.end(Signal::SIGTERM);
    agent.amend("hooks = false", "hooks = true");
    std::fs::write(&file, "{ not JSON").unwrap();
    agent.start().await;
    until("the trouble", async || {
        let status = String::from_utf8(agent.verb(&["status"]).stdout).unwrap();
        status.contains("~/.claude/settings.json: it is not understood").then_some(())
    })
    .await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{ not JSON");
}
