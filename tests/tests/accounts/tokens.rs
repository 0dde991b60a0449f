//! API tokens: what programs may do with one, and that it ends.

use std::time::Duration;

use berth_tests::{Client, Previewed, Stack};
use http::Method;
use reqwest::header::{AUTHORIZATION, COOKIE, ORIGIN, SET_COOKIE};
use serde_json::{Value, json};

/// Makes a token in the browser; its id and its secret.
async fn make(client: &Client, scopes: Value) -> (String, String) {
    let body = json!({ "name": "ci", "scopes": scopes });
    let answer = client.call(Method::POST, "/tokens", Some(body)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&answer.body["token"]["id"]), text(&answer.body["secret"]))
}

/// A request as a program makes it: no cookie and no `Origin`.
fn program(stack: &Stack, method: Method, path: &str, secret: &str) -> reqwest::RequestBuilder {
    let url = format!("{}/api/v1{path}", stack.origin());
    berth_tests::client::plain().request(method, url).header(AUTHORIZATION, format!("Bearer {secret}"))
}

async fn asked(stack: &Stack, method: Method, path: &str, secret: &str) -> (u16, Value) {
    let request = program(stack, method.clone(), path, secret);
    let request = if method == Method::GET { request } else { request.json(&json!({ "name": "x" })) };
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_token_is_its_user_as_far_as_its_scopes_reach() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let session = client.create_session("work").await;
    let workspace = client.workspace().await;
    let sessions = format!("/workspaces/{workspace}/sessions");
    let (_, all) = make(&client, json!(["all"])).await;
    let (_, read) = make(&client, json!(["read"])).await;
    let (_, previews) = make(&client, json!(["previews"])).await;
    for (method, path, with_all, with_read, with_previews) in [
        (Method::GET, "/me", 200, 200, 403),
        (Method::GET, "/workspaces", 200, 200, 403),
        (Method::GET, &format!("/sessions/{session}"), 200, 200, 403),
        (Method::POST, &sessions, 201, 403, 403),
        (Method::POST, &format!("/sessions/{session}/shares"), 201, 403, 403),
        (Method::POST, &format!("/sessions/{session}/ticket"), 400, 403, 403),
        (Method::GET, "/sessions/ses-aaaaaaaaaaaaaaaaaaaaaaaaaa", 404, 404, 403),
        (Method::GET, "/previews/pre-aaaaaaaaaaaaaaaaaaaaaaaaaa/", 404, 404, 404),
        // What only people do.
        (Method::GET, "/tokens", 403, 403, 403),
        (Method::POST, "/tokens", 403, 403, 403),
        (Method::DELETE, "/tokens/tok-aaaaaaaaaaaaaaaaaaaaaaaaaa", 403, 403, 403),
        (Method::POST, "/sign-out", 403, 403, 403),
    ] {
        for (secret, expected) in [(&all, with_all), (&read, with_read), (&previews, with_previews)] {
            let (status, body) = asked(&stack, method.clone(), path, secret).await;
            assert_eq!(status, expected, "{method} {path}: {body}");
        }
    }
    let (_, refused) = asked(&stack, Method::POST, &sessions, &read).await;
    assert_eq!(refused["error"]["kind"], "token_not_enough");
    assert_eq!(asked(&stack, Method::GET, "/me", &all).await.1["user"]["name"], "owner");
    let listed = client.get("/tokens").await;
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 3);
    assert!(listed["tokens"][0]["last_used_at_ms"].is_i64(), "{listed}");
    let text = listed.to_string() + &stack.gateway.log();
    for secret in [&all, &read, &previews] {
        assert!(!text.contains(secret.as_str()), "a secret is told again, or logged");
    }
    let store = std::fs::read(stack.path("gateway/gateway.db")).unwrap();
    let wal = std::fs::read(stack.path("gateway/gateway.db-wal")).unwrap_or_default();
    let stored = [store, wal].concat();
    assert!(!stored.windows(all.len()).any(|bytes| bytes == all.as_bytes()), "the secret is stored");
}

#[tokio::test]
async fn nothing_but_a_good_token_counts_and_never_beside_a_cookie() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let (id, secret) = make(&client, json!(["all"])).await;
    let cookie = client.cookie().split_once('=').unwrap().1.to_owned();
    for wrong in [cookie.as_str(), &id, &secret[..secret.len() - 1], "", "berth_", &format!("{secret} x")] {
        let answer = program(&stack, Method::GET, "/me", wrong).header(COOKIE, client.cookie());
        assert_eq!(answer.send().await.unwrap().status(), 401, "a cookie takes the place of {wrong:?}");
    }
    // A token is no cookie.
    let name = client.cookie().split_once('=').unwrap().0;
    let disguised = Client::with_cookie(stack.origin(), &format!("{name}={secret}"));
    assert_eq!(disguised.call(Method::GET, "/me", None).await.status, 401);
    // A page of another site, whatever it got hold of.
    for origin in ["https://evil.example", "null"] {
        let request =
            program(&stack, Method::POST, "/workspaces/ws-x/sessions", &secret).header(ORIGIN, origin);
        assert_eq!(request.json(&json!({})).send().await.unwrap().status(), 403, "{origin}");
    }
    for (body, kind) in [
        (json!({ "name": " " }), "invalid_name"),
        (json!({ "name": "a", "scopes": [] }), "no_scope"),
        (json!({ "name": "a", "scopes": ["everything"] }), "malformed_request"),
        (json!({ "name": "a", "expires_in_seconds": 59 }), "invalid_lifetime"),
        (json!({ "name": "a", "expires_in_seconds": 31_536_001 }), "invalid_lifetime"),
    ] {
        assert_eq!(client.call(Method::POST, "/tokens", Some(body.clone())).await.kind(), kind, "{body}");
    }
    assert_eq!(client.call(Method::DELETE, "/tokens/x", None).await.kind(), "token_not_found");
}

#[tokio::test]
async fn a_program_gets_a_previews_bytes_until_its_token_ends() {
    let f = Previewed::open().await;
    let path = |rest: &str| format!("/previews/{}{rest}", f.preview.id);
    let made = f.stack.gateway_verb(&["token", "create", "ci", "--scope", "previews", "--days", "1"]);
    let secret = berth_tests::process::stdout(&made);
    assert!(secret.starts_with("berth_"), "{secret}");
    let answer = program(&f.stack, Method::GET, &path("/a/b?c=d"), &secret).send().await.unwrap();
    assert_eq!(answer.headers()["content-security-policy"], "sandbox");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.text().await.unwrap(), "GET /a/b?c=d HTTP/1.1");
    assert!(!f.upstream.last().headers.contains_key("authorization"), "{:?}", f.upstream.last());
    for html in ["/html", "/cookies"] {
        let answer = program(&f.stack, Method::GET, &path(html), &secret).send().await.unwrap();
        let policies: Vec<_> = answer.headers().get_all("content-security-policy").iter().collect();
        assert_eq!(policies, ["sandbox"], "{html}");
        assert!(!answer.headers().contains_key("service-worker-allowed"), "{html}");
    }
    let answer = program(&f.stack, Method::GET, &path("/cookies"), &secret).send().await.unwrap();
    for name in [SET_COOKIE.as_str(), "clear-site-data"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    // On the preview's own host, `Authorization` is the dev server's matter.
    let own = f.preview.request(Method::GET, "/").header(AUTHORIZATION, "Basic eDp5").send().await.unwrap();
    assert_eq!(
        (own.status().as_u16(), f.upstream.last().headers["authorization"].as_str()),
        (200, "Basic eDp5")
    );

    let stream = async || {
        let mut stream = program(&f.stack, Method::GET, &path("/sse"), &secret).send().await.unwrap();
        assert_eq!(stream.chunk().await.unwrap().unwrap(), "data: 0\n\n");
        stream
    };
    let mut stream = stream().await;
    let listed = berth_tests::process::stdout(&f.stack.gateway_verb(&["token", "list"]));
    let (id, _) = listed.split_once('\t').unwrap();
    assert!(listed.contains("\tci\tpreviews\t") && !listed.contains(&secret), "{listed}");
    assert!(f.stack.gateway_verb(&["token", "revoke", id]).status.success());
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.chunk()).await;
    assert!(!matches!(ended.expect("it ends within 5 s"), Ok(Some(_))), "another process has revoked it");
    assert_eq!(program(&f.stack, Method::GET, &path("/"), &secret).send().await.unwrap().status(), 401);
    assert!(
        !f.stack.gateway_verb(&["token", "revoke", id]).status.success(),
        "there is no such token any more"
    );

    // And by the API, at once.
    let (id, secret) = make(&f.client, json!(["read"])).await;
    let request = program(&f.stack, Method::GET, "/events", &secret);
    let mut events = request.send().await.unwrap();
    assert!(events.chunk().await.unwrap().unwrap().starts_with(b"event: snapshot"));
    assert_eq!(f.client.call(Method::DELETE, &format!("/tokens/{id}"), None).await.status, 204);
    let rest = async { while let Ok(Some(_)) = events.chunk().await {} };
    tokio::time::timeout(Duration::from_secs(5), rest).await.expect("the stream ends within 5 s");
}
