//! The audit record across processes: what is on it, from where, and that nobody changes it unseen.

use berth_tests::process::stdout;
use berth_tests::{Client, Stack};
use http::Method;
use serde_json::{Value, json};

fn export(stack: &Stack, filters: &[&str]) -> Vec<Value> {
    let lines = stdout(&stack.gateway_verb(&[&["audit", "export"], filters].concat()));
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_was_done_is_on_the_record_and_a_change_of_the_record_is_named() {
    let mut stack = Stack::start_gateway().await;
    stack.enroll("main");
    let link = stack.sign_in_link();
    let client = Client::sign_in(stack.origin(), &link).await;
    let _ = berth_tests::client::plain().get(&link).send().await.unwrap();
    let session = client.create_session("work").await;
    let made = client.call(Method::POST, "/tokens", Some(json!({ "name": "ci", "scopes": ["read"] }))).await;
    let token = made.body["token"]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.call(Method::DELETE, &format!("/tokens/{token}"), None).await.status, 204);
    assert_eq!(client.call(Method::DELETE, &format!("/sessions/{session}"), None).await.status, 204);

    // Who, what, from where, with which outcome: through the API ...
    let mine = client.get("/audit").await["entries"].as_array().unwrap().clone();
    let expected = [
        "session_deleted",
        "token_revoked",
        "token_created",
        "session_created",
        "signed_in",
        "box_enrolled",
        "enrollment_token_made",
        "workspace_created",
    ];
    assert_eq!(actions(&mine), expected);
    assert!(mine[..5].iter().all(|entry| entry["user_name"] == "owner" && entry["source"] == "127.0.0.1"));
    assert!(mine[..5].iter().all(|entry| entry["request_id"].as_str().unwrap().starts_with("req-")));
    assert!(mine[6]["source"].as_str().unwrap().starts_with("command line, user "), "{}", mine[6]);
    assert_eq!(client.get("/audit?action=signed_in&limit=5").await["entries"].as_array().unwrap().len(), 1);
    assert_eq!(client.get("/audit?outcome=refused").await["entries"], json!([]), "that was nobody");
    let in_workspace = format!("/workspaces/{}/audit?since_ms=1&until_ms=2", client.workspace().await);
    assert_eq!(client.get(&in_workspace).await["entries"], json!([]));
    // ... and on the command line, where what nobody in particular did is, too.
    let refused = export(&stack, &["--outcome", "refused"]);
    assert_eq!(actions(&refused), ["signed_in"]);
    assert_eq!((&refused[0]["user_id"], &refused[0]["source"]), (&Value::Null, &json!("127.0.0.1")));
    let all = export(&stack, &[]);
    assert_eq!(all.len(), usize::try_from(all[0]["seq"].as_u64().unwrap()).unwrap());
    let listed = stdout(&stack.gateway_verb(&["audit", "--action", "token_created"]));
    assert!(listed.contains("\ttoken_created\towner\t-\treq-") && listed.contains("\tdone\t{"), "{listed}");

    // It is whole, and stays so for whoever has kept its head.
    let verified = stdout(&stack.gateway_verb(&["audit", "verify"]));
    let head = verified.lines().last().unwrap().to_owned();
    assert!(head.starts_with(&format!("{}:", all.len())), "{verified}");
    let again = stack.gateway_verb(&["audit", "verify", "--head", &head]);
    assert!(again.status.success(), "{again:?}");
    stack.gateway.stop();
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    let lawless = |sql: &str| {
        store.execute_batch("DROP TRIGGER IF EXISTS audit_is_never_changed; DROP TRIGGER IF EXISTS audit_is_never_shortened;").unwrap();
        assert!(store.execute(sql, []).unwrap() > 0, "{sql}");
        let verdict = stack.gateway_verb(&["audit", "verify"]);
        assert_eq!(verdict.status.code(), Some(1));
        String::from_utf8_lossy(&verdict.stderr).into_owned()
    };
    assert!(store.execute("DELETE FROM audit", []).is_err(), "the schema allows it");
    let changed = lawless("UPDATE audit SET source = '203.0.113.7' WHERE action = 'token_created'");
    let seq = mine[2]["seq"].as_u64().unwrap();
    assert!(changed.contains(&format!("entry {seq} is not what was written")), "{changed}");
    let removed = lawless("DELETE FROM audit WHERE action = 'box_enrolled'");
    let seq = mine[5]["seq"].as_u64().unwrap();
    assert!(removed.contains(&format!("entries {seq} to {seq} are missing")), "{removed}");
}
