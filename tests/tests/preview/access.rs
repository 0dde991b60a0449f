//! Previews end to end: who is let in, and what is told while nothing is there.

use std::time::Duration;

use berth_tests::preview::{PAGE, in_pieces, location};
use berth_tests::{Client, Preview, Stack, Upstream, wait};
use futures_util::{StreamExt, stream};
use http::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, ORIGIN, RETRY_AFTER, SET_COOKIE};
use serde_json::{Value, json};

/// A stack whose box is online, a signed-in browser and a dev server.
async fn open() -> (Stack, Client, Upstream) {
    let stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    (stack, client, Upstream::start().await)
}

async fn json_of(answer: reqwest::Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_port_of_the_box_is_seen_at_an_origin_of_its_own() {
    let (_stack, client, upstream) = open().await;
    let preview = Preview::open(&client, upstream.port).await;
    let answer = preview.get("/page?x=1").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "GET /page?x=1 HTTP/1.1");
    let asked = upstream.last();
    assert_eq!(asked.headers["host"], format!("localhost:{}", upstream.port));
    assert_eq!(asked.headers["x-forwarded-host"], preview.authority());
    assert_eq!(asked.headers["x-forwarded-for"], "127.0.0.1");
    assert!(!asked.headers.contains_key("cookie"), "{asked:?}");

    let listed = client.get(&format!("/workspaces/{}/previews", client.workspace().await)).await;
    assert_eq!(listed["previews"][0]["url"], format!("{}/", preview.origin));
    assert_eq!(listed["previews"][0]["visibility"], "private");
}

#[tokio::test]
async fn nobody_is_let_in_who_was_not() {
    let (_stack, client, upstream) = open().await;
    let preview = Preview::publish(&client, upstream.port).await;
    for (method, accept) in [(Method::GET, "*/*"), (Method::POST, PAGE), (Method::HEAD, PAGE)] {
        let answer = preview.request(method.clone(), "/").header(ACCEPT, accept).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{method} {accept}");
        assert!(!answer.headers().contains_key(SET_COOKIE));
    }
    for cookie in [client.cookie(), "berth-preview=guessed", "berth-preview="] {
        let answer = preview.request(Method::GET, "/").header(COOKIE, cookie).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{cookie}");
    }
    let answer = json_of(preview.get("/").await).await;
    assert_eq!(answer["error"]["kind"], "preview_private");
    assert!(upstream.seen().is_empty(), "a request of nobody reached the dev server");
}

#[tokio::test]
async fn a_code_works_once_for_the_browser_and_the_preview_that_it_was_given_for() {
    let (stack, client, upstream) = open().await;
    let preview = Preview::publish(&client, upstream.port).await;
    let other = Preview::publish(&client, upstream.port - 1).await;
    let code = async || {
        let (nonce, to_console) = preview.begin().await;
        let answer = berth_tests::client::plain()
            .get(&to_console)
            .header(COOKIE, client.cookie())
            .send()
            .await
            .unwrap();
        (nonce, location(&answer))
    };
    let refused = async |preview: &Preview, url: &str, nonce: &str| {
        let answer = preview.exchange(url, nonce).await;
        assert_eq!(answer.status(), 403);
        assert!(!answer.headers().contains_key(SET_COOKIE));
    };
    let (nonce, url) = code().await;
    assert!(url.starts_with(&preview.origin), "{url}");
    assert_eq!(preview.exchange(&url, &nonce).await.status(), 303);
    refused(&preview, &url, &nonce).await;

    let (_, url) = code().await;
    let (strange, _) = preview.begin().await;
    refused(&preview, &url, &strange).await;
    let (nonce, url) = code().await;
    refused(&other, &url.replace(&preview.origin, &other.origin), &nonce).await;
    refused(&preview, &url, &nonce).await;

    let (nonce, url) = code().await;
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    assert_eq!(store.execute("UPDATE preview_codes SET expires_at_ms = 1", []).unwrap(), 1);
    refused(&preview, &url, &nonce).await;
    let log = stack.gateway.log();
    let secret = url.split("code=").nth(1).unwrap().split('&').next().unwrap();
    assert!(!log.contains(secret), "the code is in the log");
}

#[tokio::test]
async fn the_way_in_leads_back_to_the_preview_and_nowhere_else() {
    let (_stack, client, upstream) = open().await;
    let preview = Preview::publish(&client, upstream.port).await;
    let (nonce, to_console) = preview.begin().await;
    let to_console = to_console.replace("to=%2Ffirst%3Fa%3Db", "to=%2F%2Fevil.example");
    let answer =
        berth_tests::client::plain().get(&to_console).header(COOKIE, client.cookie()).send().await.unwrap();
    let url = location(&answer).replace("to=%2F", "to=https%3A%2F%2Fevil.example%2F");
    let answer = preview.exchange(&url, &nonce).await;
    assert_eq!(location(&answer), format!("{}/", preview.origin));
    // Nobody is signed in: the console's page is where that is done.
    let (_, to_console) = preview.begin().await;
    let answer = berth_tests::client::plain().get(&to_console).send().await.unwrap();
    assert_eq!(location(&answer), "/?to=preview");
}

#[tokio::test]
async fn signing_out_or_deleting_the_preview_ends_what_goes_on() {
    let (stack, client, upstream) = open().await;
    let preview = Preview::open(&client, upstream.port).await;
    let streams = async |preview: &Preview| {
        let mut answer = preview.get("/sse").await;
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: 0\n\n");
        answer
    };
    let ends = async |mut answer: reqwest::Response| {
        let ended = tokio::time::timeout(Duration::from_secs(5), answer.chunk()).await;
        assert!(!matches!(ended.expect("it ends within 5 s"), Ok(Some(_))));
    };
    let other = stack.client().await;
    let mut other_preview = preview.clone();
    other_preview.enter(&other).await;
    let (first, second) = (streams(&preview).await, streams(&other_preview).await);
    assert_eq!(client.call(Method::POST, "/sign-out", None).await.status, 204);
    ends(first).await;
    assert_eq!(preview.get("/").await.status(), 401);
    assert_eq!(other_preview.get("/").await.status(), 200, "another browser is none the worse");

    let path = format!("/workspaces/{}/previews/{}", other.workspace().await, preview.id);
    assert_eq!(other.call(Method::DELETE, &path, None).await.status, 204);
    ends(second).await;
    assert_eq!(other_preview.get("/").await.status(), 404);
}

#[tokio::test]
async fn a_public_preview_is_meant_to_be_one_and_can_be_taken_back() {
    let (_stack, client, upstream) = open().await;
    let preview = Preview::publish(&client, upstream.port).await;
    let path = format!("/workspaces/{}/previews/{}", client.workspace().await, preview.id);
    let refused = client.call(Method::PATCH, &path, Some(json!({ "visibility": "public" }))).await;
    assert_eq!((refused.status, refused.kind()), (422, "not_confirmed"));
    assert_eq!(preview.get("/").await.status(), 401);
    let confirmed = json!({ "visibility": "public", "confirm_public": true });
    assert_eq!(client.call(Method::PATCH, &path, Some(confirmed)).await.body["visibility"], "public");
    let mut stream = preview.get("/sse").await;
    assert_eq!(stream.chunk().await.unwrap().unwrap(), "data: 0\n\n");
    assert_eq!(client.call(Method::PATCH, &path, Some(json!({ "visibility": "private" }))).await.status, 200);
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.chunk()).await;
    assert!(!matches!(ended.expect("it ends within 5 s"), Ok(Some(_))));
    assert_eq!(preview.get("/").await.status(), 401);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_words_and_waited_for() {
    let (mut stack, client, upstream) = open().await;
    let port = upstream.port;
    let preview = Preview::open(&client, port).await;
    let broke = preview.get("/break").await;
    assert_eq!(
        (broke.status().as_u16(), &broke.headers()["berth-error"]),
        (502, &"dev_server_broke_off".parse().unwrap())
    );
    assert_eq!(preview.get("/nonsense").await.status(), 502);
    drop(upstream);
    let closed = wait::until("the port to be closed", async || {
        let answer = preview.request(Method::GET, "/").header(ACCEPT, PAGE).send().await.unwrap();
        (answer.status() == 503).then_some(answer)
    })
    .await;
    assert_eq!(closed.headers()[RETRY_AFTER], "2");
    assert!(closed.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
    let page = closed.text().await.unwrap();
    assert!(page.contains("http-equiv=\"refresh\"") && page.contains(&format!("port {port}")), "{page}");
    assert_eq!(json_of(preview.get("/").await).await["error"]["kind"], "port_closed");

    let again = Upstream::start_at(port).await;
    assert_eq!(preview.get("/").await.status(), 200);
    drop(again);
    stack.agent.stop();
    let offline = json_of(preview.get("/").await).await;
    assert_eq!(offline["error"]["kind"], "box_offline");
}

#[tokio::test]
async fn a_program_gets_the_bytes_from_the_api_and_nothing_that_acts() {
    let (stack, client, upstream) = open().await;
    let preview = Preview::publish(&client, upstream.port).await;
    let path = |rest: &str| format!("/previews/{}{rest}", preview.id);
    let answer = client.request(Method::GET, &path("/a/b?c=d")).send().await.unwrap();
    assert_eq!(answer.headers()["content-security-policy"], "sandbox");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.text().await.unwrap(), "GET /a/b?c=d HTTP/1.1");
    let asked = upstream.last();
    assert!(
        !asked.headers.contains_key("authorization") && !asked.headers.contains_key("cookie"),
        "{asked:?}"
    );

    let answer = client.request(Method::GET, &path("/cookies")).send().await.unwrap();
    assert!(!answer.headers().contains_key(SET_COOKIE) && !answer.headers().contains_key("clear-site-data"));
    let answer = client.request(Method::GET, &path("/redirect?to=/x")).send().await.unwrap();
    assert_eq!(location(&answer), format!("/api/v1/previews/{}/x", preview.id));
    let answer = client.request(Method::GET, &path("/a?b")).header(ACCEPT, PAGE).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), location(&answer)), (303, format!("{}/a?b", preview.origin)));
    let answer =
        client.request(Method::GET, &path("/")).header("sec-fetch-site", "same-site").send().await.unwrap();
    assert_eq!(answer.status(), 403, "another site's page reads a preview through the console");
    let answer =
        berth_tests::client::plain().get(format!("{}/api/v1{}", stack.origin(), path("/"))).send().await;
    assert_eq!(answer.unwrap().status(), 401);
    assert_eq!(client.call(Method::POST, &path("/a"), None).await.status, 405);
}

#[tokio::test]
async fn ports_that_can_have_no_preview_are_refused() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let path = format!("/workspaces/{}/previews", client.workspace().await);
    for (port, status, kind) in [
        (json!(22), 422, "port_invalid"),
        (json!(70000), 400, "malformed_request"),
        (json!("x"), 400, "malformed_request"),
    ] {
        let answer = client.call(Method::POST, &path, Some(json!({ "port": port }))).await;
        assert_eq!((answer.status, answer.kind()), (status, kind), "{port}");
    }
    let preview = Preview::publish(&client, 3000).await;
    let again = client.call(Method::POST, &path, Some(json!({ "port": 3000 }))).await;
    assert_eq!((again.status, again.kind()), (409, "preview_exists"));
    let host = preview.authority().replacen("pre-", "pre-a", 1);
    let answer = berth_tests::client::plain()
        .get(format!("{}/api/v1/me", stack.origin()))
        .header("host", host)
        .header(ORIGIN, stack.origin())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 421, "a host that looks like a preview's is the console's");
}

#[tokio::test]
async fn a_silent_server_and_too_many_requests_have_an_end() {
    let (mut stack, client, upstream) = open().await;
    let preview = Preview::open(&client, upstream.port).await;
    stack.gateway.stop();
    stack.gateway.set_env("BERTH_GATEWAY__PREVIEW__ANSWER_SECS", "2");
    stack.gateway.set_env("BERTH_GATEWAY__PREVIEW__IN_FLIGHT", "1");
    stack.gateway.start();
    stack.wait_for_gateway().await;
    client.wait_for_box("online").await;
    let silent = preview.get("/silent").await;
    assert_eq!(silent.status(), 504);
    assert_eq!(json_of(silent).await["error"]["kind"], "dev_server_silent");
    // Each piece of a request that takes longer than that is a sign of life.
    let pieces = stream::iter(0..8).then(|_| async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        b"piece".to_vec()
    });
    let slow = preview.request(Method::POST, "/slow").body(in_pieces(pieces)).send().await.unwrap();
    assert_eq!(slow.status(), 200);
    let mut held = preview.get("/sse").await;
    assert_eq!(held.chunk().await.unwrap().unwrap(), "data: 0\n\n");
    assert_eq!(json_of(preview.get("/").await).await["error"]["kind"], "preview_busy");
    drop(held);
    wait::until("the place to be free", async || (preview.get("/").await.status() == 200).then_some(()))
        .await;
}
