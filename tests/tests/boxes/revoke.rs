//! A box whose workspace is taken from it: everything that went on with it ends at once, and it never gets back in.

use std::time::Duration;

use berth_tests::process::stdout;
use berth_tests::{Exec, Identity, Stack, Terminal, wait};
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

#[tokio::test]
async fn a_box_without_an_open_port_is_cut_off_as_well_and_its_certificate_is_worth_nothing() {
    let mut stack = Stack::start_gateway().await;
    stack.hide_door("127.78.6.9", "127.77.6.9");
    stack.enroll("main");
    stack.start_agent().await;
    let (client, session) = stack.client_and_session("work").await;
    let told = client.get("/workspaces").await;
    assert_eq!(told["workspaces"][0]["box"]["route"], "dial_back", "{told}");
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    let identity = Identity::read(&stack.path("box/identity"));
    let ca = identity.standing().ca_sha256;
    assert_eq!(identity.ask(&stack, &ca, "GET /v1/identity", "").await.unwrap().0, 204);

    let _ = stdout(&stack.gateway_verb(&["workspace", "revoke", "main"]));
    let close = tokio::time::timeout(SOON + wait::PATIENCE, terminal.read_until_closed()).await;
    assert_eq!(u16::from(close.expect("the terminal ends").expect("a reason").code), 4503);
    client.wait_for_box("not_enrolled").await;
    wait::until("the box to hear that it is retired", async || {
        stack.agent.log().contains("retired").then_some(())
    })
    .await;
    // Whoever has its key gets nothing for it, a newer certificate least of all.
    let csr = rcgen::CertificateParams::default();
    let csr = csr.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    let renewal = json!({ "csr_pem": csr }).to_string();
    for (request, body) in [("GET /v1/identity", ""), ("POST /v1/renew", renewal.as_str())] {
        let (status, answer) = identity.ask(&stack, &ca, request, body).await.unwrap();
        assert_eq!(status, 403, "{request}: {answer}");
        assert!(answer.contains("instance_retired"), "{request}: {answer}");
    }
}
