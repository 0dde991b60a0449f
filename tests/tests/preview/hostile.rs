//! Requests to a preview that are not what they seem, byte by byte. The dev server remembers what it was asked: never
//! more than one request for each that was allowed, and none for those that were not.

use std::time::Duration;

use berth_tests::Previewed;
use berth_tests::previewed::status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A second request, hidden in the first; whoever passes it on was smuggled past.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn requests_that_could_be_taken_in_two_ways_are_taken_in_none() {
    let f = Previewed::open().await;
    let sound = f
        .exchange(
            &f.request("POST /sound HTTP/1.1", &["Content-Length: 2"]).replace("\r\n\r\n", "\r\n\r\nok"),
        )
        .await;
    assert_eq!(status(&sound), 200, "the tests of this file would refuse anything: {sound}");
    let before = f.asked().len();
    let post = "POST /smuggle HTTP/1.1";
    let cases: [(&str, &str, &[&str], String); 12] = [
        ("two lengths", post, &["Content-Length: 0", "Content-Length: 5"], HIDDEN.into()),
        ("a list of lengths", post, &["Content-Length: 0, 5"], HIDDEN.into()),
        ("a signed length", post, &["Content-Length: +5"], HIDDEN.into()),
        ("another coding", post, &["Transfer-Encoding: chunked, identity"], format!("0\r\n\r\n{HIDDEN}")),
        ("a folded line", post, &["X-Folded: a\r\n b"], String::new()),
        ("a blank before a colon", post, &["Transfer-Encoding : chunked"], format!("0\r\n\r\n{HIDDEN}")),
        ("a bare CR", post, &["X-Bare: a\rTransfer-Encoding: chunked"], String::new()),
        ("a chunk that is none", post, &["Transfer-Encoding: chunked"], format!("zz\r\n{HIDDEN}")),
        ("two hosts", "GET / HTTP/1.1", &["Host: localhost"], String::new()),
        ("CONNECT", "CONNECT localhost:22 HTTP/1.1", &[], String::new()),
        ("another authority", "GET http://localhost:22/ HTTP/1.1", &[], String::new()),
        ("no path", "OPTIONS * HTTP/1.1", &[], String::new()),
    ];
    for (what, line, more, body) in cases {
        let answer = f.exchange(&format!("{}{body}", f.request(line, more))).await;
        assert!(matches!(status(&answer), 400 | 421 | 502), "{what}: {answer}");
        let asked = f.asked();
        assert!(!asked.iter().any(|line| line.contains("hidden")), "{what} was taken for two: {asked:?}");
    }
    let passed = f.asked().split_off(before);
    assert!(passed.iter().all(|line| line == "POST /smuggle HTTP/1.1"), "{passed:?}");
    assert!(passed.len() <= 1, "only the one whose body broke off may have begun: {passed:?}");
}

#[tokio::test]
async fn a_length_beside_chunks_is_not_passed_on_and_nothing_behind_it_is_read() {
    let f = Previewed::open().await;
    let (chunks, length) = ("Transfer-Encoding: chunked", "Content-Length: 3");
    for (times, more) in [[chunks, length], [length, chunks]].iter().enumerate() {
        let request = f.request("POST /one HTTP/1.1", more);
        let answer = f.exchange(&format!("{request}5\r\nhello\r\n0\r\n\r\n{HIDDEN}")).await;
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
        let asked = f.upstream.last();
        assert_eq!(
            (asked.body.as_slice(), asked.headers.contains_key("content-length")),
            (&b"hello"[..], false)
        );
        assert_eq!(f.asked().len(), times + 1, "{:?}", f.asked());
    }
}

#[tokio::test]
async fn a_bare_line_feed_hides_nothing() {
    let f = Previewed::open().await;
    // Lines may end so; whoever takes it for a line and whoever does not must see the same requests.
    let bare = f.request("POST /bare HTTP/1.1", &["Content-Length: 5"]).replace("\r\n", "\n");
    f.exchange(&format!("{bare}hello{HIDDEN}")).await;
    let inside =
        f.request("POST /inside HTTP/1.1", &["X-Bare: a\nTransfer-Encoding: chunked", "Content-Length: 5"]);
    f.exchange(&format!("{inside}0\r\n\r\n{HIDDEN}")).await;
    for asked in f.upstream.seen() {
        let (line, body) = (asked.line.as_str(), asked.body.as_slice());
        assert!(
            matches!((line, body), ("POST /bare HTTP/1.1", b"hello") | ("POST /inside HTTP/1.1", b"")),
            "{asked:?}"
        );
        let lengths = ["content-length", "transfer-encoding"].map(|name| asked.headers.contains_key(name));
        assert_ne!(lengths, [true, true], "{asked:?}");
        assert_ne!(asked.headers.get("x-bare").map(String::as_str), Some("a\nTransfer-Encoding: chunked"));
    }
    assert!(f.upstream.seen().len() <= 2, "{:?}", f.asked());
}

#[tokio::test]
async fn nothing_is_tunnelled_before_both_sides_have_agreed_to_a_websocket() {
    let f = Previewed::open().await;
    let origin = format!("Origin: {}", f.preview.origin);
    let websocket = [
        origin.as_str(),
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let changed = |from: &str, to: &'static str| {
        let lines = websocket.iter().map(|line| if *line == from { to } else { line });
        f.request("GET /ws HTTP/1.1", &lines.collect::<Vec<_>>())
    };
    for (from, to) in [
        ("Upgrade: websocket", "Upgrade: h2c"),
        ("Upgrade: websocket", "Upgrade: foo"),
        ("Upgrade: websocket", "Upgrade: websocket, h2c"),
        ("Connection: Upgrade", "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__"),
    ] {
        f.exchange(&changed(from, to)).await;
        let asked = f.upstream.last();
        let upgrade = asked.headers.get("upgrade").map(String::as_str);
        assert!(matches!(upgrade, None | Some("websocket")), "{to} was passed on: {asked:?}");
        assert!(!asked.headers.contains_key("http2-settings"), "{asked:?}");
    }
    let before = f.asked().len();
    for (from, to) in [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "X: y"),
        ("Connection: Upgrade", "Connection: Upgrade\r\nContent-Length: 5"),
    ] {
        let answer = f.exchange(&format!("{}{HIDDEN}", changed(from, to))).await;
        assert_eq!(status(&answer), 400, "{to}: {answer}");
    }
    assert_eq!(f.asked().len(), before, "{:?}", f.asked());
    // Bytes behind an upgrade that the server does not agree to are nobody's request.
    let refused = changed("", "").replacen("GET /ws ", "GET /plain ", 1);
    let answer = f.exchange(&format!("{refused}{HIDDEN}")).await;
    assert_eq!(status(&answer), 200);
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert!(!f.asked().iter().any(|line| line.contains("hidden")), "{:?}", f.asked());
}

#[tokio::test]
async fn nobody_but_the_gateway_says_where_a_request_goes_and_who_made_it() {
    let f = Previewed::open().await;
    for path in ["/@evil.example/", "//evil.example/", "/..//../x", "/%2e%2e/%00", "/a?b=http://evil.example"]
    {
        f.exchange(&f.request(&format!("GET {path} HTTP/1.1"), &[])).await;
        let asked = f.upstream.last();
        assert_eq!(asked.line, format!("GET {path} HTTP/1.1"), "the path is the dev server's own matter");
        assert_eq!(asked.headers["host"], format!("localhost:{}", f.upstream.port));
    }
    let absolute = format!("GET http://{}/absolute HTTP/1.1", f.preview.authority());
    f.exchange(&f.request(&absolute, &["X-Forwarded-For: 10.0.0.1", "X_Forwarded_Host: evil.example"])).await;
    let asked = f.upstream.last();
    assert_eq!(asked.line, "GET /absolute HTTP/1.1");
    assert_eq!(asked.headers["x-forwarded-for"], "127.0.0.1");
    assert!(!asked.headers.contains_key("x_forwarded_host"), "{asked:?}");
    f.exchange(&f.request("GET /named HTTP/1.1", &["Connection: close, X-Own, Host", "X-Own: 1"])).await;
    let asked = f.upstream.last();
    assert!(!asked.headers.contains_key("x-own") && asked.headers.contains_key("host"), "{asked:?}");
}

#[tokio::test]
async fn heads_that_are_too_large_or_never_end_are_given_up() {
    let f = Previewed::open().await;
    let large = format!("X-Large: {}", "x".repeat(600 * 1024));
    let answer = f.exchange(&f.request("GET / HTTP/1.1", &[&large])).await;
    assert!(matches!(status(&answer), 431 | 0), "{answer}");
    let many: Vec<String> = (0..200).map(|number| format!("X-{number}: x")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let answer = f.exchange(&f.request("GET / HTTP/1.1", &many)).await;
    assert_eq!(status(&answer), 431, "{answer}");
    assert!(f.asked().is_empty());

    let mut slow = f.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    let ended = timeout(Duration::from_secs(45), slow.read(&mut [0; 1024])).await;
    assert!(ended.is_ok(), "a head that does not end is waited for");
}

#[tokio::test]
async fn many_idle_connections_keep_nobody_out() {
    let f = Previewed::open().await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(f.connect().await);
    }
    assert_eq!(f.preview.get("/").await.status(), 200);
    drop(idle);
}
