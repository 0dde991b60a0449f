//! Links to previews: who is let in by one, what else that gives, and that it ends.

use std::time::Duration;

use berth_tests::preview::{PAGE, cookie_of, location};
use berth_tests::{Client, Preview, Previewed};
use futures_util::StreamExt;
use http::Method;
use reqwest::header::{ACCEPT, COOKIE, ORIGIN, SET_COOKIE};
use serde_json::{Value, json};

/// Makes a link to the preview; what the API says of it, and the code in it.
async fn make(f: &Previewed, body: Value) -> (Value, String) {
    let answer = f.client.call(Method::POST, &format!("{}/links", f.path().await), Some(body)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let url = answer.body["url"].as_str().unwrap();
    let (page, code) = url.split_once('#').expect("the code is in the fragment, which no server sees");
    assert_eq!(page, format!("{}/preview-link", f.client.origin()));
    let code = code.to_owned();
    (answer.body, code)
}

/// Opens a link as somebody's browser does: the console's cookie and the preview's address, or the status.
async fn open(f: &Previewed, code: &str) -> Result<(Client, Value), u16> {
    let url = format!("{}/api/v1/preview-links/open", f.stack.origin());
    let request = berth_tests::client::plain().post(url).header(ORIGIN, f.stack.origin());
    let answer = request.json(&json!({ "code": code })).send().await.unwrap();
    if answer.status() != 200 {
        return Err(answer.status().as_u16());
    }
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    assert!(!cookie.contains(code), "the cookie is the code: {cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    Ok((Client::with_cookie(f.stack.origin(), &cookie), answer.json().await.unwrap()))
}

/// Somebody who was let in by a link.
async fn guest(f: &Previewed, code: &str) -> (Client, Preview) {
    let (guest, opened) = open(f, code).await.expect("the link is opened");
    assert_eq!(opened["url"], format!("{}/", f.preview.origin));
    let mut preview = f.preview.clone();
    preview.cookie = None;
    preview.enter(&guest).await;
    (guest, preview)
}

async fn events(preview: &Preview) -> reqwest::Response {
    let mut answer = preview.get("/sse").await;
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: 0\n\n");
    answer
}

/// Waits for the end of a stream, which comes within the five seconds that are promised.
async fn ends(mut stream: reqwest::Response) {
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.chunk()).await;
    assert!(!matches!(ended.expect("it ends within 5 s"), Ok(Some(_))));
}

#[tokio::test]
async fn a_link_lets_in_whoever_has_it_to_one_preview_and_to_nothing_else() {
    let f = Previewed::open().await;
    let other = Preview::open(&f.client, f.upstream.port - 1).await;
    let (link, code) = make(&f, json!({ "name": "Ana and Bo" })).await;
    let (ana, first) = guest(&f, &code).await;
    let (_, second) = guest(&f, &code).await;
    for preview in [&first, &second] {
        assert_eq!(preview.get("/page").await.text().await.unwrap(), "GET /page HTTP/1.1");
        let mut socket = f.websocket(preview, "/ws", Some(&preview.origin), true).await.unwrap();
        socket.close(None).await.unwrap();
    }
    let cookies = format!("{:?}", f.upstream.seen());
    assert!(!cookies.contains("berth-"), "a cookie of ours reached the dev server: {cookies}");

    // By the console's cookie, and by the preview's, nothing else is opened.
    let mut elsewhere = other.clone();
    elsewhere.cookie = first.cookie.clone();
    assert_eq!(elsewhere.get("/").await.status(), 401);
    let (_, to_console) = other.begin().await;
    let answer =
        berth_tests::client::plain().get(&to_console).header(COOKIE, ana.cookie()).send().await.unwrap();
    assert_eq!(location(&answer), "/?to=preview", "a link leads to one preview");
    let path = f.path().await;
    for (method, path) in [
        (Method::GET, "/me".to_owned()),
        (Method::GET, "/workspaces".to_owned()),
        (Method::GET, format!("{path}/links")),
        (Method::GET, format!("{path}/requests")),
        (Method::GET, format!("/previews/{}/", f.preview.id)),
        (Method::POST, format!("{path}/links")),
        (Method::PATCH, path.clone()),
    ] {
        let answer = ana.call(method.clone(), &path, Some(json!({}))).await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }

    let listed = f.client.get(&format!("{path}/links")).await;
    assert_eq!(
        (&listed["links"][0]["name"], &listed["links"][0]["opened"]),
        (&json!("Ana and Bo"), &json!(2))
    );
    assert!(listed["links"][0]["url"].as_str().unwrap().contains("/preview-link#"), "it can be given again");
    let previews = f.client.get(&format!("/workspaces/{}/previews", f.client.workspace().await)).await;
    let shown =
        previews["previews"].as_array().unwrap().iter().find(|one| one["id"] == f.preview.id).unwrap();
    assert_eq!((&shown["visibility"], &shown["link_until_ms"]), (&json!("link"), &link["expires_at_ms"]));
    let (log, record) = (f.stack.gateway.log(), f.client.get(&record(&f).await).await.to_string());
    assert!(!log.contains(&code) && !record.contains(&code), "the code is in the log or on the record");
}

async fn record(f: &Previewed) -> String {
    format!("/workspaces/{}/audit", f.client.workspace().await)
}

#[tokio::test]
async fn what_was_opened_by_a_link_ends_with_it_however_it_ends() {
    let f = Previewed::open().await;
    let path = format!("{}/links", f.path().await);
    let id = |link: &Value| link["id"].as_str().unwrap().to_owned();

    // Ended by its maker; another link and the maker's own browser go on.
    let ((one, code), (_, other_code)) = (make(&f, json!({})).await, make(&f, json!({})).await);
    let (ana, preview) = guest(&f, &code).await;
    let (_, other) = guest(&f, &other_code).await;
    let mut socket = f.websocket(&preview, "/ws", Some(&preview.origin), true).await.unwrap();
    let stream = events(&preview).await;
    assert_eq!(f.client.call(Method::DELETE, &format!("{path}/{}", id(&one)), None).await.status, 204);
    ends(stream).await;
    let closed = tokio::time::timeout(Duration::from_secs(5), socket.next()).await;
    assert!(!matches!(closed.expect("the WebSocket is cut within 5 s"), Some(Ok(_))));
    assert_eq!(preview.get("/").await.status(), 401);
    assert_eq!(open(&f, &code).await.err(), Some(404), "the link is opened after its end");
    let (_, to_console) = f.preview.begin().await;
    let answer =
        berth_tests::client::plain().get(&to_console).header(COOKIE, ana.cookie()).send().await.unwrap();
    assert_eq!(location(&answer), "/?to=preview", "the cookie at the console is good after the link's end");
    assert_eq!(other.get("/").await.status(), 200);
    assert_eq!(f.preview.get("/").await.status(), 200);
    assert_eq!(
        f.client.call(Method::DELETE, &format!("{path}/{}", id(&one)), None).await.kind(),
        "link_not_found"
    );

    // Its time is up; and another process has removed it.
    let store = rusqlite::Connection::open(f.stack.path("gateway/gateway.db")).unwrap();
    store.pragma_update(None, "foreign_keys", true).unwrap();
    for sql in ["UPDATE preview_links SET expires_at_ms = 1", "DELETE FROM preview_links"] {
        let (_, code) = make(&f, json!({})).await;
        let (_, preview) = guest(&f, &code).await;
        let stream = events(&preview).await;
        assert!(store.execute(sql, []).unwrap() >= 1);
        ends(stream).await;
        assert_eq!(preview.get("/").await.status(), 401, "{sql}");
    }

    // The preview was made private.
    let (_, code) = make(&f, json!({})).await;
    let (_, preview) = guest(&f, &code).await;
    let stream = events(&preview).await;
    let private = Some(json!({ "visibility": "private" }));
    let changed = f.client.call(Method::PATCH, &f.path().await, private).await;
    assert_eq!((changed.status, &changed.body["visibility"]), (200, &json!("private")));
    ends(stream).await;
    assert_eq!(f.client.get(&path).await["links"], json!([]));
}

#[tokio::test]
async fn a_link_that_was_made_up_or_changed_opens_nothing() {
    let f = Previewed::open().await;
    let (_, code) = make(&f, json!({})).await;
    let later = {
        let mut parts: Vec<String> = code.split('.').map(str::to_owned).collect();
        parts[1] = (parts[1].parse::<i64>().unwrap() + 1).to_string();
        parts.join(".")
    };
    for changed in ["", "x", "..", &code[1..], &code[..code.len() - 1], &later, &code.to_ascii_uppercase()] {
        assert_eq!(open(&f, changed).await.err(), Some(404), "{changed}");
    }
    let url = format!("{}/api/v1/preview-links/open", f.stack.origin());
    let foreign = berth_tests::client::plain().post(url).header(ORIGIN, "https://evil.example");
    assert_eq!(foreign.json(&json!({ "code": code })).send().await.unwrap().status(), 403);
    // What the link holds is no cookie, and the other way round.
    let guest = format!("berth-guest-{}={code}", f.preview.id);
    let (_, to_console) = f.preview.begin().await;
    let answer = berth_tests::client::plain().get(&to_console).header(COOKIE, guest).send().await.unwrap();
    assert_eq!(location(&answer), "/?to=preview");
    let (ana, _) = open(&f, &code).await.unwrap();
    let kept = ana.cookie().split_once('=').unwrap().1.to_owned();
    assert_eq!(open(&f, &kept).await.err(), Some(404));
}

#[tokio::test]
async fn what_a_link_can_not_be_is_said_and_links_are_on_the_record() {
    let f = Previewed::open().await;
    let path = format!("{}/links", f.path().await);
    for (body, kind) in [
        (json!({"expires_in_seconds": 59}), "invalid_lifetime"),
        (json!({"expires_in_seconds": 604_801}), "invalid_lifetime"),
        (json!({"name": " "}), "invalid_name"),
        (json!({"role": "editor"}), "malformed_request"),
    ] {
        assert_eq!(f.client.call(Method::POST, &path, Some(body.clone())).await.kind(), kind, "{body}");
    }
    let unknown = path.replace("/previews/pre-", "/previews/pre-a");
    assert_eq!(f.client.call(Method::GET, &unknown, None).await.kind(), "preview_not_found");
    let link = Some(json!({ "visibility": "link" }));
    assert_eq!(
        f.client.call(Method::PATCH, &f.path().await, link).await.status,
        400,
        "links are made one by one"
    );
    let (link, code) = make(&f, json!({})).await;
    open(&f, &code).await.unwrap();
    let id = link["id"].as_str().unwrap();
    assert_eq!(f.client.call(Method::DELETE, &format!("{path}/{id}"), None).await.status, 204);
    let record = f.client.get(&record(&f).await).await;
    let entries = record["entries"].as_array().unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).take(3).collect();
    assert_eq!(actions, ["preview_link_ended", "preview_link_opened", "preview_link_created"]);
    assert!(entries.iter().take(3).all(|entry| entry["detail"]["link"] == id));
}

#[tokio::test]
async fn a_preview_in_a_frame_is_let_in_for_the_console_alone() {
    let f = Previewed::open().await;
    let console = format!("{}/", f.stack.origin());
    let framed = |url: &str, referer: &str| {
        let host = f.preview.authority().split(':').next().unwrap().to_owned();
        let address = f.stack.origin().trim_start_matches("http://").parse().unwrap();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .resolve(&host, address)
            .build()
            .unwrap();
        http.get(url)
            .header(ACCEPT, PAGE)
            .header("sec-fetch-site", "cross-site")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "iframe")
            .header("referer", referer)
    };
    let page = format!("{}/page?a=b", f.preview.origin);
    for referer in ["https://evil.example/", "", &format!("{}.evil/", f.stack.origin())] {
        let answer = framed(&page, referer).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{referer}");
        assert!(!answer.headers().contains_key(SET_COOKIE));
    }
    let answer = framed(&page, &console).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["referrer-policy"]),
        (303, &"origin".parse().unwrap())
    );
    let set = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(set.contains("SameSite=None; Secure; Partitioned"), "{set}");
    let (nonce, to_console) = (cookie_of(answer.headers()), location(&answer));
    let answer = framed(&to_console, &console).header(COOKIE, f.client.cookie()).send().await.unwrap();
    assert_eq!(
        answer.headers()["referrer-policy"],
        "origin",
        "the frame's next request would not say its page"
    );
    let answer = framed(&location(&answer), &console).header(COOKIE, nonce).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), location(&answer)), (303, page.clone()));
    let cookie = cookie_of(answer.headers());
    let answer = framed(&page, &console).header(COOKIE, &cookie).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "GET /page?a=b HTTP/1.1");
    // The cookie alone is not enough for a frame of another page.
    let answer = framed(&page, "https://evil.example/").header(COOKIE, &cookie).send().await.unwrap();
    assert_eq!(answer.status(), 401);
}
