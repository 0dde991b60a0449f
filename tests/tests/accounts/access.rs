//! Who may call what: every route of the API description, without a right and from the wrong page.

use berth_protocol::ids::{ChannelId, NotificationId, PreviewId, SessionId, ShareId, UserId, WorkspaceId};
use berth_tests::{Client, Stack};
use http::Method;
use reqwest::header::{COOKIE, HOST, ORIGIN};
use serde_json::{Value, json};

/// Every method and path of the description, with identifiers that nobody has.
async fn routes(stack: &Stack) -> Vec<(Method, String)> {
    let url = format!("{}/api/v1/openapi.json", stack.origin());
    let document = berth_tests::client::plain().get(url).send().await.unwrap().bytes().await.unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{workspace}", WorkspaceId::random().as_str())
            .replace("{session}", SessionId::random().as_str())
            .replace("{share}", ShareId::random().as_str())
            .replace("{preview}", PreviewId::random().as_str())
            .replace("{notification}", NotificationId::random().as_str())
            .replace("{channel}", ChannelId::random().as_str())
            .replace("{user}", UserId::random().as_str())
            .replace("{path}", "path");
        for method in methods.as_object().unwrap().keys() {
            routes.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    assert!(routes.len() > 10, "the description names {} routes only", routes.len());
    routes
}

async fn status(stack: &Stack, method: &Method, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request =
        berth_tests::client::plain().request(method.clone(), format!("{}{path}", stack.origin()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.json(&json!({})).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn nothing_works_without_an_identity() {
    let stack = Stack::start_gateway().await;
    for (method, path) in routes(&stack).await {
        let found = status(&stack, &method, &path, &[(ORIGIN.as_str(), stack.origin())]).await;
        let expected = match path.as_str() {
            "/api/v1/openapi.json" | "/api/v1/sign-in/ways" => 200,
            // A ticket is looked for in the upgrade, and this is none.
            path if path.ends_with("/terminal") => 400,
            // So is a code or the secret of a message, in the body.
            "/api/v1/shares/open" | "/api/v1/preview-links/open" | "/api/v1/receipts" => 400,
            "/api/v1/sign-in/password" | "/api/v1/sign-in/passkey" | "/api/v1/invites/redeem" => 400,
            // Browsers make no passkeys for an address, and no issuer is configured.
            "/api/v1/sign-in/passkey/begin" | "/api/v1/sign-in/token" => 501,
            _ => 401,
        };
        assert_eq!(found, expected, "{method} {path}");
    }
}

#[tokio::test]
async fn a_state_change_or_a_socket_comes_from_our_own_page_only() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let origins = ["null", "http://127.0.0.1", "http://127.0.0.1:1", "https://evil.example"];
    let with_slash = format!("{}/", stack.origin());
    let suffixed = format!("{}.evil.example", stack.origin());
    let mut looked_at = 0;
    for (method, path) in routes(&stack).await {
        if method == Method::GET && !path.ends_with("/terminal") {
            continue;
        }
        let cookie = (COOKIE.as_str(), client.cookie());
        assert_eq!(status(&stack, &method, &path, &[cookie]).await, 403, "{method} {path} without Origin");
        for origin in origins.iter().copied().chain([with_slash.as_str(), suffixed.as_str()]) {
            let headers = [cookie, (ORIGIN.as_str(), origin)];
            assert_eq!(status(&stack, &method, &path, &headers).await, 403, "{method} {path} from {origin}");
        }
        looked_at += 1;
    }
    assert!(looked_at >= 5, "only {looked_at} routes change state");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let unknown = SessionId::random().to_string();
    let longer = "x".repeat(300);
    for id in [unknown.as_str(), "-v", "agent1", "a;b", "%0a", "ses-", &longer] {
        let answer = client.call(Method::GET, &format!("/sessions/{id}"), None).await;
        assert_eq!((answer.status, answer.kind()), (404, "session_not_found"), "{id}");
        let answer = client.call(Method::POST, &format!("/sessions/{id}/ticket"), None).await;
        assert_eq!((answer.status, answer.kind()), (404, "session_not_found"), "{id}");
    }
    let answer = client.call(Method::GET, "/nothing", None).await;
    assert_eq!((answer.status, answer.kind()), (404, "not_found"));
    let answer = client.call(Method::PUT, "/me", None).await;
    assert_eq!((answer.status, answer.kind()), (405, "method_not_allowed"));
    assert!(answer.body["error"]["request_id"].as_str().unwrap().starts_with("req-"));
}

#[tokio::test]
async fn a_mangled_sign_in_link_is_refused_in_the_shape_of_every_error() {
    let stack = Stack::start_gateway().await;
    let url = format!("{}/sign-in?code=first&code=second", stack.origin());
    let answer = berth_tests::client::plain().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(body["error"]["kind"], "malformed_request", "{body}");
    assert!(body["error"]["request_id"].as_str().unwrap().starts_with("req-"), "{body}");
    assert!(!body.to_string().contains("first"), "the code is told: {body}");
}

#[tokio::test]
async fn another_name_for_this_address_is_refused() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let answer = berth_tests::client::plain()
        .get(format!("{}/api/v1/me", stack.origin()))
        .header(HOST, "rebound.example")
        .header(COOKIE, client.cookie())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 421);
}

#[tokio::test]
async fn a_sign_in_link_works_once_and_signing_out_ends_the_session() {
    let stack = Stack::start_gateway().await;
    let link = stack.sign_in_link();
    let looked_at = berth_tests::client::plain().head(&link).send().await.unwrap();
    assert_eq!(looked_at.status(), 405, "whoever only looks at a link does not use it up");
    let client = Client::sign_in(stack.origin(), &link).await;
    assert_eq!(client.get("/me").await["user"]["name"], "owner");

    let again = berth_tests::client::plain().get(&link).send().await.unwrap();
    assert_eq!(again.headers()["location"], "/?sign_in=failed");
    assert!(again.headers().get("set-cookie").is_none());

    assert_eq!(client.call(Method::POST, "/sign-out", None).await.status, 204);
    assert_eq!(client.call(Method::GET, "/me", None).await.kind(), "not_signed_in");
    let code = link.split("code=").nth(1).unwrap();
    assert!(!stack.gateway.log().contains(code), "the code is in the log");
}

#[tokio::test]
async fn pages_may_run_our_own_scripts_only() {
    let stack = Stack::start_gateway().await;
    let answer = berth_tests::client::plain().get(stack.origin()).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{policy}");
    let script = policy.split(';').find(|part| part.trim().starts_with("script-src")).unwrap();
    assert!(!script.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    let page = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
    assert!(!page.contains("<script>") && !page.contains("https://"), "{page}");
}
