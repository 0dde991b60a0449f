//! What the console does for previews: it brings those who have to sign in back to them, shows their last requests,
//! and forgets rights when another process ends them.

use std::time::Duration;

use berth_tests::preview::location;
use berth_tests::sse::EventStream;
use berth_tests::{Previewed, wait};
use http::Method;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

/// Cookies that an answer sets, as a browser sends them back; those that it takes away are left out.
fn cookies(answer: &reqwest::Response) -> Vec<String> {
    let set = answer.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
    let kept = set.filter(|cookie| !cookie.contains("Max-Age=0"));
    kept.map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn whoever_signs_in_for_a_preview_lands_there() {
    let f = Previewed::open().await;
    let http = berth_tests::client::plain();
    let asks = async |to: &str| {
        let (_, to_console) = f.preview.begin().await;
        let to_console = to_console.replace("to=%2Ffirst%3Fa%3Db", &format!("to={to}"));
        let answer = http.get(&to_console).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/?to=preview"));
        let set = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert!(
            set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Max-Age=900"),
            "{set}"
        );
        cookies(&answer).remove(0)
    };
    let signs_in = async |cookie: &str| {
        let answer = http.get(f.stack.sign_in_link()).header(COOKIE, cookie).send().await.unwrap();
        let gone = answer.headers().get_all(SET_COOKIE).iter().any(|cookie| {
            let cookie = cookie.to_str().unwrap();
            cookie.starts_with("berth-return-") && cookie.contains("Max-Age=0")
        });
        assert!(gone, "the way back is remembered for another time");
        (location(&answer), cookies(&answer).remove(0))
    };
    let way = asks("%2Ffirst%3Fa%3Db").await;
    let (to, signed_in) = signs_in(&way).await;
    assert_eq!(to, format!("{}/first?a=b", f.preview.origin));
    // From there it goes on by itself.
    let mut preview = f.preview.clone();
    preview.cookie = None;
    preview.enter(&berth_tests::Client::with_cookie(f.stack.origin(), &signed_in)).await;
    assert_eq!(preview.get("/").await.status(), 200);

    for elsewhere in
        ["%2F%2Fevil.example", "https%3A%2F%2Fevil.example", "%2F%5Cevil.example", "%40evil.example"]
    {
        let (to, _) = signs_in(&asks(elsewhere).await).await;
        assert_eq!(to, format!("{}/", f.preview.origin), "{elsewhere}");
    }
    let (name, _) = way.split_once('=').unwrap();
    for made_up in ["", ".", "x.Lw", &format!("{}.//", f.preview.id), "pre-aaaaaaaaaaaaaaaaaaaaaaaaaa.Lw"] {
        assert_eq!(signs_in(&format!("{name}={made_up}")).await.0, "/", "{made_up}");
    }
}

/// What the next event of a stream of requests tells.
async fn told(stream: &mut EventStream) -> Value {
    let event = stream.next().await.expect("the stream goes on");
    assert_eq!(event.name, "requests");
    event.data
}

#[tokio::test]
async fn the_last_requests_are_told_as_they_come_and_without_what_they_ask() {
    let f = Previewed::open().await;
    f.preview.get("/before?token=secret").await;
    f.preview.get("/break").await;
    let path = format!("{}/requests", f.path().await);
    let mut stream = EventStream::of(f.client.request(Method::GET, &path).send().await.unwrap());
    let first = told(&mut stream).await;
    let shown = |told: &Value| -> Vec<(String, u64)> {
        let requests = told["requests"].as_array().unwrap().iter();
        let line =
            |one: &Value| format!("{} {}", one["method"].as_str().unwrap(), one["path"].as_str().unwrap());
        requests.map(|one| (line(one), one["status"].as_u64().unwrap())).collect()
    };
    assert_eq!(shown(&first), [("GET /break".to_owned(), 502), ("GET /before?…".to_owned(), 200)]);
    assert!(first["requests"][0]["millis"].is_u64() && first["requests"][0]["at_ms"].is_i64(), "{first}");
    f.preview.request(Method::POST, "/after").body("x").send().await.unwrap();
    assert_eq!(shown(&told(&mut stream).await), [("POST /after".to_owned(), 200)]);
    let mut stranger = f.preview.clone();
    stranger.cookie = None;
    assert_eq!(stranger.get("/guess").await.status(), 401);
    let mut socket = f.websocket(&f.preview, "/ws", Some(&f.preview.origin), true).await.unwrap();
    let next = told(&mut stream).await;
    assert_eq!(shown(&next), [("GET /ws".to_owned(), 101)], "whoever is not let in fills nothing");
    socket.close(None).await.unwrap();

    assert_eq!(f.client.call(Method::POST, "/sign-out", None).await.status, 204);
    assert!(stream.next().await.is_none(), "signing out ends the stream");
    let unknown = path.replace("/previews/pre-", "/previews/pre-a");
    let again = f.stack.client().await;
    assert_eq!(again.call(Method::GET, &unknown, None).await.kind(), "preview_not_found");
}

#[tokio::test]
async fn a_right_that_another_process_ends_is_not_remembered() {
    let f = Previewed::open().await;
    let store = rusqlite::Connection::open(f.stack.path("gateway/gateway.db")).unwrap();
    store.pragma_update(None, "foreign_keys", true).unwrap();
    assert_eq!(f.preview.get("/").await.status(), 200);
    assert!(store.execute("DELETE FROM browser_sessions", []).unwrap() >= 1);
    let refused = async || {
        // An answer that had begun is cut, which is no answer.
        let answer = f.preview.request(Method::GET, "/").send().await.ok()?;
        (answer.status() == 401).then_some(())
    };
    wait::within(Duration::from_secs(5), "the right to be gone", refused).await;
    // What this process does itself is known at once.
    let client = f.stack.client().await;
    let mut preview = f.preview.clone();
    preview.enter(&client).await;
    for (change, expected) in [
        (json!({ "visibility": "public", "confirm_public": true }), 200),
        (json!({ "visibility": "private" }), 401),
    ] {
        let answer = client.call(Method::PATCH, &f.path_for(&client).await, Some(change.clone())).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let mut stranger = f.preview.clone();
        stranger.cookie = None;
        assert_eq!(stranger.get("/").await.status().as_u16(), expected, "{change}");
    }
    assert_eq!(preview.get("/").await.status(), 200);
    assert_eq!(client.call(Method::POST, "/sign-out", None).await.status, 204);
    assert_eq!(preview.get("/").await.status(), 401);
}
