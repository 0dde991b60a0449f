//! What dev servers do, through a preview: one test a behaviour, against a server that remembers what it was asked.

use std::time::Duration;

use berth_tests::metrics::metric;
use berth_tests::preview::{in_pieces, location};
use berth_tests::upstream::Digest;
use berth_tests::{Preview, Previewed, Upstream, wait};
use futures_util::{SinkExt, StreamExt, stream};
use http::Method;
use reqwest::StatusCode;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, HeaderValue, ORIGIN, RANGE, SET_COOKIE, TRANSFER_ENCODING,
};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn events_come_as_they_are_sent() {
    let f = Previewed::open().await;
    let mut answer = f.preview.get("/sse").await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    for number in 0..5 {
        assert_eq!(answer.chunk().await.unwrap().unwrap(), format!("data: {number}\n\n"));
        // The next one is sent only now: had anything held the last one back, this would never end.
        f.upstream.go_on();
    }
}

#[tokio::test]
async fn a_large_upload_and_a_large_download_come_whole_and_are_held_by_nobody() {
    const PIECES: usize = 400;
    let f = Previewed::open().await;
    let piece: Vec<u8> = (0..=255u8).cycle().take(256 * 1024).collect();
    let mut expected = Digest::default();
    (0..PIECES).for_each(|_| expected.add(&piece));
    let expected = expected.hex();
    let length = PIECES * piece.len();
    let before = berth_tests::process::resident(f.stack.gateway.pid());
    let pieces = in_pieces(stream::iter((0..PIECES).map(move |_| piece.clone())));
    let request = f.preview.request(Method::PUT, "/upload").header(CONTENT_LENGTH, length);
    let answer = request.body(pieces).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let asked = f.upstream.last();
    assert_eq!((asked.length, &asked.digest), (length as u64, &expected));
    assert_eq!(asked.headers["content-length"], length.to_string());

    let mut answer = f.preview.get(&format!("/bytes/{length}")).await;
    let (mut got, mut seen) = (Digest::default(), 0);
    while let Some(chunk) = answer.chunk().await.unwrap() {
        got.add(&chunk);
        seen += chunk.len();
    }
    assert_eq!((seen, got.hex()), (length, expected));
    let grown = berth_tests::process::resident(f.stack.gateway.pid()).saturating_sub(before);
    assert!(grown < 32 * 1024 * 1024, "the gateway grew by {grown} bytes for {length}");
}

#[tokio::test]
async fn a_body_without_a_length_stays_without_one_and_keeps_its_trailers() {
    let f = Previewed::open().await;
    let pieces = in_pieces(stream::iter(["one", "two"].map(|piece| piece.as_bytes().to_vec())));
    f.preview.request(Method::POST, "/chunked").body(pieces).send().await.unwrap();
    let asked = f.upstream.last();
    assert_eq!(
        (asked.body.as_slice(), asked.headers["transfer-encoding"].as_str()),
        (&b"onetwo"[..], "chunked")
    );
    assert!(!asked.headers.contains_key("content-length"));
    let answer = f.preview.request(Method::GET, "/trailers").header("te", "trailers").send().await.unwrap();
    assert_eq!(answer.headers()[TRANSFER_ENCODING], "chunked");
    assert_eq!(answer.text().await.unwrap(), "abc");
}

#[tokio::test]
async fn answers_without_a_body_stay_without_one() {
    let f = Previewed::open().await;
    let head = f.preview.request(Method::HEAD, "/head").send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()[CONTENT_LENGTH]),
        (200, &HeaderValue::from_static("1234"))
    );
    assert_eq!(f.preview.get("/204").await.status(), 204);
    let unchanged = f.preview.get("/304").await;
    assert_eq!(
        (unchanged.status().as_u16(), &unchanged.headers()["etag"]),
        (304, &HeaderValue::from_static("\"x\""))
    );
    // All on streams that are used again: one that were out of step would answer with what came before.
    assert_eq!(f.preview.get("/after").await.text().await.unwrap(), "GET /after HTTP/1.1");
}

#[tokio::test]
async fn ranges_compression_and_early_hints_are_left_alone() {
    let f = Previewed::open().await;
    let part = f.preview.request(Method::GET, "/range").header(RANGE, "bytes=2-4").send().await.unwrap();
    assert_eq!(
        (part.status(), &part.headers()["content-range"]),
        (StatusCode::PARTIAL_CONTENT, &HeaderValue::from_static("bytes 2-4/10"))
    );
    assert_eq!(f.upstream.last().headers["range"], "bytes=2-4");
    assert_eq!(part.text().await.unwrap(), "cde");
    let packed =
        f.preview.request(Method::GET, "/gzip").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
    assert_eq!(packed.text().await.unwrap(), "not really gzip");
    assert_eq!(f.upstream.last().headers["accept-encoding"], "gzip");
    assert_eq!(f.preview.get("/1xx").await.text().await.unwrap(), "final");
}

#[tokio::test]
async fn redirections_and_cookies_stay_at_the_preview() {
    let f = Previewed::open().await;
    let port = f.upstream.port;
    let answer = f.preview.get(&format!("/redirect?to=http://localhost:{port}/next")).await;
    assert_eq!(location(&answer), format!("{}/next", f.preview.origin));
    let answer = f.preview.get("/redirect?to=https://elsewhere.example/").await;
    assert_eq!(location(&answer), "https://elsewhere.example/");
    let answer = f.preview.get("/cookies").await;
    let cookies: Vec<_> = answer.headers().get_all(SET_COOKIE).iter().collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=2"]);
    let ours = f.preview.cookie.clone().unwrap();
    let request = f.preview.request(Method::GET, "/").header(COOKIE, "theirs=1; berth-inst-x=secret");
    request.send().await.unwrap();
    assert_eq!(f.upstream.last().headers["cookie"], "theirs=1");
    assert!(!format!("{:?}", f.upstream.seen()).contains(&ours), "our cookie reached the dev server");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_has_ended_is_passed_on() {
    let f = Previewed::open().await;
    let endless = in_pieces(stream::repeat_with(|| vec![0; 1024]));
    let request = f.preview.request(Method::POST, "/early").body(endless).send();
    let answer = tokio::time::timeout(wait::PATIENCE, request).await.expect("it does not wait for the body");
    // A client may see the connection close before it has read the answer; it never waits.
    if let Ok(answer) = answer {
        assert!(matches!(answer.status().as_u16(), 413 | 502), "{}", answer.status());
    }
}

#[tokio::test]
async fn streams_to_the_dev_server_are_used_again_and_one_that_has_gone_is_not_noticed() {
    let mut f = Previewed::open().await;
    for _ in 0..20 {
        assert_eq!(f.preview.get("/again").await.text().await.unwrap(), "GET /again HTTP/1.1");
    }
    let connections = f.upstream.seen().iter().map(|asked| asked.connection).max().unwrap();
    assert!(connections <= 3, "{connections} connections for 20 requests, one after the other");
    // A dev server that restarts closes all of them.
    let port = f.upstream.port;
    f.upstream = {
        drop(f.upstream);
        wait::until("the port to be free", async || {
            tokio::net::TcpListener::bind(("127.0.0.1", port)).await.ok().map(drop)
        })
        .await;
        Upstream::start_at(port).await
    };
    assert_eq!(f.preview.get("/restarted").await.text().await.unwrap(), "GET /restarted HTTP/1.1");
}

#[tokio::test]
async fn a_stream_that_ends_with_its_next_request_is_not_noticed_by_who_only_reads() {
    let f = Previewed::open().await;
    let asked = || f.upstream.seen().iter().filter(|asked| asked.line.contains("/first-only")).count();
    assert_eq!(f.preview.get("/").await.status(), 200);
    // As long as a stream has to rest before anybody expects that.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(f.preview.get("/first-only").await.text().await.unwrap(), "GET /first-only HTTP/1.1");
    assert_eq!(asked(), 2, "once on the stream that was kept, and again on a new one");
    // What may have been done is not asked for twice.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(f.preview.request(Method::POST, "/first-only").send().await.unwrap().status(), 502);
    assert_eq!(asked(), 3);
}

#[tokio::test]
async fn a_websocket_carries_messages_of_every_kind_and_size() {
    let f = Previewed::open().await;
    let mut socket = f.websocket(&f.preview, "/ws", Some(&f.preview.origin), true).await.unwrap();
    let asked = f.upstream.last();
    assert_eq!(asked.headers["origin"], format!("http://localhost:{}", f.upstream.port));
    assert_eq!(asked.headers["sec-websocket-protocol"], "vite-hmr");
    assert!(asked.names.iter().any(|name| name == "Sec-WebSocket-Key"), "{:?}", asked.names);
    assert!(!asked.headers.contains_key("cookie"));
    let large: Vec<u8> = (0..=255u8).cycle().take(1024 * 1024).collect();
    for message in
        [Message::text("hello"), Message::binary(vec![0, 255]), Message::text(""), Message::binary(large)]
    {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    wait::until("the exchange to be over", async || {
        (metric(&f.stack, "gateway_preview_in_flight").await == Some(0.0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_websocket_needs_the_right_and_a_page_that_may_use_it() {
    let f = Previewed::open().await;
    let stranger = f.preview.origin.replace(".ws-", ".ws-a");
    let own = f.preview.origin.clone();
    assert_eq!(f.refused("/ws", Some(&own), false).await, 401, "without a cookie");
    for origin in [None, Some("null"), Some(f.stack.origin()), Some("https://evil.example"), Some(&stranger)]
    {
        assert_eq!(f.refused("/ws", origin, true).await, 401, "{origin:?}");
    }
    assert!(f.upstream.seen().is_empty(), "a WebSocket of nobody reached the dev server");
}

#[tokio::test]
async fn an_agreement_that_is_none_opens_no_tunnel() {
    let f = Previewed::open().await;
    let own = f.preview.origin.clone();
    let status = async |path: &str| f.refused(path, Some(&own), true).await;
    assert_eq!(status("/fake-101").await, 502);
    assert_eq!(status("/plain").await, 200, "a server that only answers is passed on");
    assert_eq!(f.preview.get("/fake-101").await.status(), 502, "nobody asked for another protocol");
}

#[tokio::test]
async fn previews_of_a_workspace_may_call_each_other_and_others_may_not() {
    let f = Previewed::open().await;
    let sibling = Preview::publish(&f.client, f.upstream.port - 1).await;
    let stranger = sibling.origin.replace(".ws-", ".ws-a");
    let preflight = |origin: &str| {
        let mut bare = f.preview.clone();
        bare.cookie = None;
        bare.request(Method::OPTIONS, "/api")
            .header(ORIGIN, origin)
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "x-own")
            .send()
    };
    let answer = preflight(&sibling.origin).await.unwrap();
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["access-control-allow-origin"], sibling.origin);
    assert_eq!(answer.headers()["access-control-allow-methods"], "PUT");
    assert_eq!(answer.headers()["access-control-allow-headers"], "x-own");
    assert!(f.upstream.seen().is_empty());
    let call = |origin: &str| f.preview.request(Method::GET, "/api").header(ORIGIN, origin).send();
    let answer = call(&sibling.origin).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["access-control-allow-credentials"]),
        (200, &HeaderValue::from_static("true"))
    );
    let before = f.upstream.seen().len();
    for origin in [stranger.as_str(), "https://evil.example", "null", f.stack.origin()] {
        assert_eq!(preflight(origin).await.unwrap().status(), 401, "{origin}");
        let answer = call(origin).await.unwrap();
        assert_eq!(answer.status(), 401, "{origin}");
        assert!(!answer.headers().contains_key("access-control-allow-origin"), "{origin}");
    }
    assert_eq!(f.upstream.seen().len(), before);
}

#[tokio::test]
async fn what_happens_is_counted() {
    let f = Previewed::open().await;
    assert_eq!(f.preview.get("/").await.status(), 200);
    assert_eq!(f.preview.get("/break").await.status(), 502);
    let read = async |name: &str| metric(&f.stack, name).await;
    assert_eq!(read("gateway_preview_requests_total").await, Some(2.0));
    assert_eq!(read("gateway_preview_errors_total{kind=\"dev_server_broke_off\"}").await, Some(1.0));
    assert_eq!(read("gateway_preview_answer_seconds_count").await, Some(1.0));
    assert!(read("gateway_preview_outward_bytes_total").await.unwrap() > 0.0);
}
