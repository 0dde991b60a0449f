//! Accounts: invites, passwords, devices, and what wants a proof of the last minutes.

use berth_tests::people::page;
use berth_tests::{Client, Stack};
use http::Method;
use serde_json::{Value, json};

const GOOD: &str = "tricky-otter-lamp-31";

async fn sign_in(stack: &Stack, name: &str, password: &str) -> (u16, Value, Option<Client>) {
    page(stack, "/sign-in/password", json!({ "name": name, "password": password })).await
}

#[tokio::test]
async fn an_invite_becomes_an_account_that_signs_in_with_its_password() {
    let stack = Stack::start_gateway().await;
    let invite = ["invite", "generate", "--uses", "2", "--workspace", "main", "--role", "viewer"];
    let link = stack.operate(&invite);
    let (path, code) = link.strip_prefix(stack.origin()).unwrap().split_once('#').unwrap();
    assert_eq!(path, "/invite", "the code is where browsers send it nowhere");
    let redeem = |code: &str, name: &str, password: Value| {
        let body = json!({ "code": code, "name": name, "password": password });
        page(&stack, "/invites/redeem", body)
    };
    for (code, name, password, expected) in [
        ("guessed", "ana", GOOD, (403, "invite_invalid")),
        (code, "Ana Maria", GOOD, (422, "invalid_name")),
        (code, "ana", "password123", (422, "weak_password")),
        (code, "owner", GOOD, (409, "name_taken")),
    ] {
        let (status, body, cookie) = redeem(code, name, json!(password)).await;
        assert_eq!((status, body["error"]["kind"].as_str().unwrap()), expected, "{body}");
        assert!(cookie.is_none());
    }
    let (status, body, ana) = redeem(code, "ana", json!(GOOD)).await;
    assert_eq!((status, &body["user"]["name"]), (200, &json!("ana")), "{body}");
    let ana = ana.unwrap();
    let workspaces = ana.get("/workspaces").await;
    assert_eq!(
        (&workspaces["workspaces"][0]["name"], &workspaces["workspaces"][0]["role"]),
        (&json!("main"), &json!("viewer"))
    );
    assert_eq!(redeem(code, "eva", Value::Null).await.0, 200, "with a passkey to come");
    assert_eq!(redeem(code, "bob", json!(GOOD)).await.0, 403, "it is used up");
    assert_eq!(stack.operate(&["invite", "list"]), "");

    // Whether there is an account is not told: the answers are the same but for the request.
    let mut refused = Vec::new();
    for (name, password) in
        [("ana", "wrong"), ("nobody", "wrong"), ("eva", GOOD), ("ana", ""), ("ana", &"x".repeat(5000))]
    {
        let (status, mut body, cookie) = sign_in(&stack, name, password).await;
        body["error"]["request_id"] = Value::Null;
        refused.push((status, body));
        assert!(cookie.is_none());
    }
    assert_eq!(refused[0].0, 403);
    assert!(refused.iter().all(|one| *one == refused[0]), "{refused:?}");

    let (_, _, second) = sign_in(&stack, "ana", GOOD).await;
    let second = second.unwrap();
    assert_eq!(second.get("/me").await["user"]["name"], "ana");
    stack.operate(&["user", "block", "ana"]);
    assert_eq!(second.call(Method::GET, "/me", None).await.status, 401);
    assert_eq!(sign_in(&stack, "ana", GOOD).await.0, 403);
    stack.operate(&["user", "unblock", "ana"]);
    assert_eq!(sign_in(&stack, "ana", GOOD).await.0, 200);
    stack.operate(&["user", "reset", "ana"]);
    assert_eq!(sign_in(&stack, "ana", GOOD).await.0, 403);
    let link = stack.operate(&["user", "sign-in-link", "ana"]);
    assert_eq!(Client::sign_in(stack.origin(), &link).await.get("/me").await["user"]["name"], "ana");

    let id = stack.operate(&["invite", "generate"]);
    assert!(id.contains("/invite#"), "{id}");
    let listed = stack.operate(&["invite", "list"]);
    let (id, _) = listed.split_once('\t').unwrap();
    stack.operate(&["invite", "revoke", id]);
    assert!(!stack.gateway_verb(&["invite", "revoke", id]).status.success());
    let log = stack.gateway.log();
    assert!(!log.contains(GOOD) && !log.contains(code), "a secret is in the log");
    let store = std::fs::read(stack.path("gateway/gateway.db")).unwrap();
    let wal = std::fs::read(stack.path("gateway/gateway.db-wal")).unwrap_or_default();
    let stored = String::from_utf8_lossy(&[store, wal].concat()).into_owned();
    assert!(!stored.contains(GOOD) && !stored.contains(code), "a secret is stored");
    assert!(stored.contains("$argon2id$"));
}

#[tokio::test]
async fn devices_are_signed_out_one_by_one_and_by_a_new_password() {
    let stack = Stack::start_gateway().await;
    let ana = stack.person("ana").await;
    let link = || stack.operate(&["user", "sign-in-link", "ana"]);
    let phone = Client::sign_in(stack.origin(), &link()).await;
    let desk = Client::sign_in(stack.origin(), &link()).await;
    let devices = phone.get("/devices").await;
    let listed = devices["devices"].as_array().unwrap();
    assert_eq!(listed.len(), 3, "{devices}");
    let here = listed.iter().find(|device| device["this"] == true).unwrap();
    let end = format!("/devices/{}", here["id"].as_str().unwrap());
    let owner = stack.client().await;
    assert_eq!(owner.call(Method::DELETE, &end, None).await.kind(), "device_not_found", "another user's");
    assert_eq!(ana.call(Method::DELETE, &end, None).await.status, 204);
    assert_eq!(phone.call(Method::GET, "/me", None).await.status, 401);
    assert_eq!(ana.call(Method::DELETE, &end, None).await.status, 404);

    let set = |password: &'static str| {
        ana.call(Method::PUT, "/credentials/password", Some(json!({ "password": password })))
    };
    assert_eq!(set("short").await.kind(), "weak_password");
    assert_eq!(set(GOOD).await.status, 204);
    assert_eq!(desk.call(Method::GET, "/me", None).await.status, 401, "signed out by the new password");
    assert_eq!(ana.get("/credentials").await["password"], true);
    assert_eq!(ana.get("/devices").await["devices"].as_array().unwrap().len(), 1);
    let (_, _, other) = sign_in(&stack, "ana", GOOD).await;
    assert_eq!(ana.call(Method::DELETE, "/devices", None).await.status, 204);
    assert_eq!(other.unwrap().call(Method::GET, "/me", None).await.status, 401);
    assert_eq!(ana.call(Method::GET, "/me", None).await.status, 200);
}

#[tokio::test]
async fn what_is_dangerous_wants_a_proof_of_the_last_minutes() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let body = json!({ "password": GOOD });
    assert_eq!(client.call(Method::PUT, "/credentials/password", Some(body)).await.status, 204);
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    store.busy_timeout(berth_tests::wait::PATIENCE).unwrap();
    assert_eq!(
        store.execute("UPDATE browser_sessions SET proved_at_ms = proved_at_ms - 15 * 60000", []).unwrap(),
        1
    );
    let make = || client.call(Method::POST, "/tokens", Some(json!({ "name": "ci" })));
    assert_eq!(make().await.kind(), "prove_again");
    let members = format!("/workspaces/{}/members", client.workspace().await);
    let member = Some(json!({ "name": "ana", "role": "viewer" }));
    assert_eq!(client.call(Method::PUT, &members, member).await.kind(), "prove_again");
    assert_eq!(client.call(Method::GET, &members, None).await.status, 200, "looking is not dangerous");

    let prove = |password: &'static str| {
        client.call(Method::POST, "/sign-in/password", Some(json!({ "name": "owner", "password": password })))
    };
    assert_eq!(prove("wrong").await.kind(), "sign_in_failed");
    assert_eq!(make().await.kind(), "prove_again");
    assert_eq!(prove(GOOD).await.status, 200);
    assert_eq!(make().await.status, 201);
    assert_eq!(client.get("/devices").await["devices"].as_array().unwrap().len(), 1, "no sign-in beside");
    let record = client.get("/audit").await;
    let told = |entry: &Value| {
        format!("{} {}", entry["action"].as_str().unwrap(), entry["outcome"].as_str().unwrap())
    };
    let told: Vec<String> = record["entries"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(told[..3], ["token_created done", "proved done", "password_changed done"]);
    let all = stack.operate(&["audit", "export", "--outcome", "refused"]);
    assert!(all.contains("\"by\":\"password\""), "{all}");
}
