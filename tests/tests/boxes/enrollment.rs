//! How a box gets its certificate, and every way in which it does not.

use berth_protocol::enroll::EnrollmentToken;
use berth_tests::process::{failure, stdout};
use berth_tests::{Stack, Terminal};

fn enroll(stack: &Stack, token: &str) -> std::process::Output {
    stack.agent_verb(&["enroll", "--token-file", "-"], token)
}

fn assert_not_enrolled(stack: &Stack) {
    let identity = stack.path("box/identity");
    assert!(!identity.exists(), "something was left of a failed enrolment in {}", identity.display());
}

#[tokio::test]
async fn a_token_enrols_once() {
    let stack = Stack::start_gateway().await;
    let token = stack.token("main");
    let _ = stdout(&enroll(&stack, &token));
    assert!(stack.path("box/identity/certificate.pem").exists());

    std::fs::remove_dir_all(stack.path("box/identity")).unwrap();
    let error = failure(&enroll(&stack, &token), 1);
    assert!(error.contains("unknown or was used before"), "{error}");
    assert!(error.contains("gateway workspace enroll"), "the remedy is missing: {error}");
    assert_not_enrolled(&stack);
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let stack = Stack::start_gateway().await;
    let token = stack.token("main");
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    assert_eq!(store.execute("UPDATE enrollment_tokens SET expires_at_ms = 1", []).unwrap(), 1);
    let error = failure(&enroll(&stack, &token), 1);
    assert!(error.contains("expired"), "{error}");
    assert_not_enrolled(&stack);
}

#[tokio::test]
async fn an_unknown_token_is_refused() {
    let stack = Stack::start_gateway().await;
    let mut token: EnrollmentToken = stack.token("main").parse().unwrap();
    token.secret = "guessed".into();
    let error = failure(&enroll(&stack, &token.encode()), 1);
    assert!(error.contains("unknown or was used before"), "{error}");
    assert_not_enrolled(&stack);
}

#[tokio::test]
async fn half_a_token_is_named() {
    let stack = Stack::start_gateway().await;
    let token = stack.token("main");
    let output = enroll(&stack, &token[..40]);
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("not an enrolment token"), "{error}");
    assert_not_enrolled(&stack);
}

#[tokio::test]
async fn another_gateway_learns_nothing() {
    let stack = Stack::start_gateway().await;
    let good = stack.token("main");
    let mut token: EnrollmentToken = good.parse().unwrap();
    token.ca_sha256 = "0".repeat(64);
    let output = enroll(&stack, &token.encode());
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("is not the one that this token is of"), "{error}");
    assert_not_enrolled(&stack);
    // The secret was never sent: the token still works.
    let _ = stdout(&enroll(&stack, &good));
}

#[tokio::test]
async fn a_restart_needs_no_token() {
    let mut stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    stack.agent.stop();
    client.wait_for_box("offline").await;
    stack.start_agent().await;
    client.wait_for_box("online").await;
}

#[tokio::test]
async fn a_new_enrolment_retires_the_older_instance() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    let workspace_row = || {
        let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
        let mut rows = store
            .prepare("SELECT epoch, retired_at_ms IS NULL FROM workspace_instances ORDER BY epoch")
            .unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect::<Vec<(i64, bool)>>()
    };
    assert_eq!(workspace_row(), [(1, true)]);

    // The new box enrols from elsewhere, while the old one runs.
    let elsewhere = stack.path("elsewhere");
    let config = std::fs::read_to_string(stack.path("box-agent.toml")).unwrap();
    let config = config.replace(
        &format!("state_dir = \"{}\"", stack.path("box").display()),
        &format!("state_dir = \"{}\"", elsewhere.display()),
    );
    std::fs::write(stack.path("second.toml"), config).unwrap();
    let second = stack.path("second.toml");
    let _ = stdout(&berth_tests::process::run(
        &berth_tests::programs::built("box-agent"),
        &["enroll", "--token-file", "-", "--config", second.to_str().unwrap()],
        &stack.token("main"),
    ));
    assert_eq!(workspace_row(), [(1, false), (2, true)]);
    let close = terminal.read_until_closed().await.unwrap();
    assert_eq!(u16::from(close.code), 4503, "terminals of the old box end");
    client.wait_for_box("offline").await;
    berth_tests::wait::until("the old box to hear that it is retired", async || {
        assert!(stack.agent.is_running());
        stack.agent.log().contains("retired").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_that_leads_nowhere_is_not_made() {
    let stack = Stack::start_gateway().await;
    let note = stack.gateway_verb(&["workspace", "enroll", "main"]);
    let note = String::from_utf8_lossy(&note.stderr).into_owned();
    assert!(note.contains("link.advertise"), "a loopback address is worth a note: {note}");

    let config = stack.path("wildcard.toml");
    let text = format!(
        "state_dir = \"{}\"\n[front]\nlisten = \"0.0.0.0:80\"\npublic_url = \"https://berth.example\"\ntrusted_proxies = [\"10.0.0.1\"]\n",
        stack.path("elsewhere").display()
    );
    std::fs::write(&config, text).unwrap();
    let gateway = |verb: &[&str]| {
        let common = ["--config", config.to_str().unwrap()];
        berth_tests::process::run(&berth_tests::programs::built("gateway"), &[verb, &common].concat(), "")
    };
    let _ = stdout(&gateway(&["workspace", "create", "main"]));
    let error = failure(&gateway(&["workspace", "enroll", "main"]), 78);
    assert!(error.contains("0.0.0.0:81") && error.contains("link.advertise"), "{error}");
}
