//! A box's certificate is renewed without a person, whatever happens meanwhile.

use std::fs;

use berth_tests::process::stdout;
use berth_tests::{Identity, Stack, Terminal, wait};
use serde_json::Value;

/// A certificate that is renewed within seconds, and seen to be.
const SHORT: (&str, &str) = ("LINK__CERTIFICATE_SECS", "12");

/// What a running agent says of itself.
fn status(stack: &Stack) -> Value {
    serde_json::from_slice(&stack.agent_verb(&["status", "--json"], "").stdout).unwrap_or_default()
}

fn identity(stack: &Stack) -> Identity {
    Identity::read(&stack.path("box/identity"))
}

/// Waits until the agent keeps another certificate than this.
async fn renewed(stack: &Stack, before: &Identity) -> Identity {
    wait::until("another certificate", async || {
        let now = identity(stack);
        (now.credentials.chain != before.credentials.chain).then_some(now)
    })
    .await
}

/// What an attempt has left that was cut short.
fn leftovers(stack: &Stack) -> usize {
    let entries = fs::read_dir(stack.path("box")).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("identity.new-")).count()
}

#[tokio::test]
async fn a_certificate_is_renewed_while_a_terminal_stays_open() {
    let mut stack = Stack::start_gateway().await;
    stack.reconfigure(&[SHORT]).await;
    stack.enroll("main");
    let before = identity(&stack);
    assert!(before.standing().life_secs() <= 14);
    stack.start_agent().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.type_text("echo begun-$((40+2))\r").await;
    terminal.read_until("begun-42").await;

    let after = renewed(&stack, &before).await;
    assert_eq!(after.instance, before.instance);
    assert_ne!(after.credentials.key.secret_der(), before.credentials.key.secret_der(), "an old key");
    assert!(after.standing().not_after > before.standing().not_after);
    // Both doors to the box show it from now on, and what was open goes on.
    let door = status(&stack)["door"].as_str().unwrap().to_owned();
    wait::until("the door to show it", async || {
        let shown = after.door_certificate(&door).await;
        (shown != before.credentials.chain[0]).then_some(())
    })
    .await;
    wait::until("a link with it", async || {
        (stack.agent.log().matches("connected to the gateway").count() >= 2).then_some(())
    })
    .await;
    terminal.type_text("echo still-$((1+1))\r").await;
    terminal.read_until("still-2").await;
    let mut another = Terminal::open(&client, &session).await;
    another.read_until("still-2").await;
    let report = status(&stack);
    assert!(report["troubles"]["certificate"].is_null(), "{report}");
    assert!(report["certificate"]["until"].as_u64() > Some(before.standing().not_after), "{report}");
    let record = client.get("/audit?action=certificate_renewed").await;
    let entry = &record["entries"][0];
    assert_eq!((&entry["outcome"], &entry["source"]), (&"done".into(), &"127.0.0.1".into()), "{record}");
    assert_eq!(leftovers(&stack), 0);
}

#[tokio::test]
async fn whenever_a_renewal_is_cut_short_the_box_has_one_whole_identity() {
    let mut stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    stack.agent.stop();
    let mut before = identity(&stack);
    // Certificates that outlast what is given out now are renewed at once.
    stack.reconfigure(&[("LINK__CERTIFICATE_SECS", "20")]).await;
    for (fault, is_new, leaves) in
        [("identity-half-written", false, 1), ("identity-written", false, 1), ("identity-published", true, 1)]
    {
        stack.agent.set_env("BERTH_FAULT", &format!("after:{fault}"));
        stack.agent.start();
        stack.agent.ended().await;
        let now = identity(&stack);
        assert_eq!(now.credentials.chain != before.credentials.chain, is_new, "{fault}");
        let _ = now.standing();
        now.credentials.certified().unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(leftovers(&stack), leaves, "{fault}");
        before = now;
    }
    stack.agent.set_env("BERTH_FAULT", "none");
    stack.start_agent().await;
    client.wait_for_box("online").await;
    assert_eq!(leftovers(&stack), 0, "a key is left behind");
}

#[tokio::test]
async fn a_renewal_that_fails_is_told_and_tried_again() {
    let mut stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let before = identity(&stack);
    // Where the new identity would be written, there is something else.
    let obstacle = stack.path(&format!("box/identity.new-{}", stack.agent.pid()));
    fs::write(&obstacle, "in the way").unwrap();
    stack.reconfigure(&[("LINK__CERTIFICATE_SECS", "40")]).await;
    let trouble = wait::until("the trouble", async || {
        status(&stack)["troubles"]["certificate"].as_str().map(str::to_owned)
    })
    .await;
    assert!(trouble.starts_with("certificate expires in 89 days; renewal failed because "), "{trouble}");
    let doctor = stack.agent_verb(&["doctor"], "");
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("renewal failed because"), "{doctor}");
    fs::remove_file(&obstacle).unwrap();
    renewed(&stack, &before).await;
    wait::until("the trouble to be over", async || {
        status(&stack)["troubles"]["certificate"].is_null().then_some(())
    })
    .await;
    client.wait_for_box("online").await;
}

#[tokio::test]
async fn a_box_that_was_off_beyond_its_certificates_end_is_told_what_to_do() {
    let mut stack = Stack::start_gateway().await;
    stack.reconfigure(&[("LINK__CERTIFICATE_SECS", "5"), ("LINK__RENEWAL_GRACE_SECS", "0")]).await;
    stack.enroll("main");
    let before = identity(&stack);
    let expired = wait::until("the certificate to expire", async || {
        let told = stack.agent_verb(&["doctor"], "");
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        told.contains("certificate expired").then_some(told)
    })
    .await;
    assert!(expired.contains("gateway workspace enroll"), "the remedy is missing: {expired}");

    // Beyond the grace the gateway renews it no more, and says what helps.
    stack.start_agent().await;
    let trouble = wait::until("the trouble", async || {
        status(&stack)["troubles"]["certificate"].as_str().map(str::to_owned)
    })
    .await;
    assert!(trouble.contains("expired") && trouble.contains("box-agent enroll --replace"), "{trouble}");
    let client = stack.client().await;
    client.wait_for_box("offline").await;
    let record = stdout(&stack.gateway_verb(&["audit", "--action", "certificate_renewed"]));
    assert!(record.contains("\trefused\t") && record.contains("certificate_expired"), "{record}");
    stack.agent.stop();
    assert_eq!(identity(&stack).credentials.chain, before.credentials.chain);

    // Within it, the box renews it before anything else.
    stack.reconfigure(&[("LINK__CERTIFICATE_SECS", "600"), ("LINK__RENEWAL_GRACE_SECS", "3600")]).await;
    stack.start_agent().await;
    client.wait_for_box("online").await;
    assert_ne!(identity(&stack).credentials.chain, before.credentials.chain);
}
