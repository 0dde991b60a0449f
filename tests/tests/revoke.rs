//! A box whose workspace is taken from it: everything that went on with it ends at once, and it never gets back in.

use std::time::Duration;

use berth_tests::process::stdout;
use berth_tests::{Exec, Stack, Terminal, wait};
use serde_json::json;

/// How soon "at once" is: the gateway looks once a second for what another process did.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_revoked_box_is_cut_off_at_once_and_for_good() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let unused = stack.token("main");
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    let mut exec = Exec::start(&client, &json!({ "argv": ["sh", "-c", "echo here; sleep 600"] })).await;
    assert_eq!(exec.text_line().await, "here");

    let revoked = stdout(&stack.gateway_verb(&["workspace", "revoke", "main"]));
    assert!(!revoked.contains("had no box"), "{revoked}");
    let cut = async {
        let close = terminal.read_until_closed().await.expect("a reason");
        assert_eq!(u16::from(close.code), 4503);
        while exec.line().await.is_some() {}
    };
    tokio::time::timeout(SOON + wait::PATIENCE, cut).await.expect("terminal and command end");
    client.wait_for_box("not_enrolled").await;

    // It knocks, and is told; nor does a token help that was made before.
    wait::until("the box to hear that it is retired", async || {
        assert!(stack.agent.is_running());
        stack.agent.log().contains("retired").then_some(())
    })
    .await;
    stack.agent.stop();
    let enroll = |token: &str| stack.agent_verb(&["enroll", "--replace", "--token-file", "-"], token);
    let refused = enroll(&unused);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("unknown or was used"), "{refused:?}");
    let record = client.get("/audit?action=box_revoked").await;
    assert_eq!(record["entries"][0]["detail"]["enrollment_tokens"], 1, "{record}");
    let none = stdout(&stack.gateway_verb(&["workspace", "revoke", "main"]));
    assert!(none.contains("had no box"), "{none}");
}
