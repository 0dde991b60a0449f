//! What passes through a preview, seen on the wire on both sides: trailers, `100-continue`, answers before the request
//! has ended, bodies of any size, and connections that say nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use berth_tests::preview::in_pieces;
use berth_tests::previewed::status;
use berth_tests::process::resident;
use berth_tests::upstream::Digest;
use berth_tests::{Previewed, wait};
use futures_util::stream;
use http::Method;
use reqwest::header::CONTENT_LENGTH;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Reads until what came contains `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read);
        if text.contains(end) {
            return text.into_owned();
        }
        let more = timeout(wait::PATIENCE, stream.read_buf(&mut read)).await.expect("the gateway goes on");
        assert!(more.unwrap() > 0, "it ended before {end:?}: {:?}", String::from_utf8_lossy(&read));
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let f = Previewed::open().await;
    let more = ["TE: trailers", "Transfer-Encoding: chunked", "Trailer: X-Sum"];
    let head = f.request("POST /trailers HTTP/1.1", &more);
    let answer = f.exchange(&format!("{head}5\r\nhello\r\n0\r\nX-Sum: 17\r\n\r\n")).await;
    let asked = f.upstream.last();
    assert_eq!((asked.body.as_slice(), asked.headers["te"].as_str()), (&b"hello"[..], "trailers"));
    assert_eq!(asked.trailers.to_ascii_lowercase(), "x-sum: 17");
    assert_eq!(asked.headers["trailer"].to_ascii_lowercase(), "x-sum");
    let lower = answer.to_ascii_lowercase();
    assert!(lower.contains("transfer-encoding: chunked") && lower.contains("trailer: x-sum"), "{answer}");
    assert!(lower.contains("3\r\nabc\r\n0\r\nx-sum: 42\r\n\r\n"), "{answer}");
    // Whoever does not say that trailers are understood gets none, and a whole answer.
    let answer = f.exchange(&f.request("GET /trailers HTTP/1.1", &[])).await;
    assert!(answer.ends_with("3\r\nabc\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn names_of_headers_reach_a_dev_server_as_they_came() {
    let f = Previewed::open().await;
    // The second goes over a stream that was kept.
    for _ in 0..2 {
        let answer = f.exchange(&f.request("GET / HTTP/1.1", &["X-lIKe-tHIS: 1"])).await;
        assert_eq!(status(&answer), 200, "{answer}");
        let names = f.upstream.last().names;
        assert!(names.iter().any(|name| name == "X-lIKe-tHIS"), "{names:?}");
    }
    // An answer's are in small letters, but a WebSocket's as they came: some programs look for them to the letter.
    let answer = f.exchange(&f.request("GET /gzip HTTP/1.1", &[])).await;
    assert!(answer.contains("\r\nx-case-kept: y\r\n"), "{answer}");
    let origin = format!("Origin: {}", f.preview.origin);
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let asking =
        [origin.as_str(), "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key];
    let mut stream = f.connect().await;
    stream.write_all(f.request("GET /ws HTTP/1.1", &asking).as_bytes()).await.unwrap();
    let agreed = read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(status(&agreed), 101, "{agreed}");
    assert!(agreed.contains("\r\nSec-WebSocket-Accept: "), "{agreed}");
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it() {
    let f = Previewed::open().await;
    let mut stream = f.connect().await;
    let head = f.request("PUT /upload HTTP/1.1", &["Expect: 100-continue", "Content-Length: 5"]);
    stream.write_all(head.as_bytes()).await.unwrap();
    let leave = read_until(&mut stream, "\r\n\r\n").await;
    assert!(leave.starts_with("HTTP/1.1 100 "), "{leave}");
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(status(&read_until(&mut stream, "PUT /upload").await), 200);
    let asked = f.upstream.last();
    assert_eq!(asked.body, b"hello");
    assert!(!asked.headers.contains_key("expect"), "{asked:?}");
}

#[tokio::test]
async fn an_answer_before_the_requests_end_is_passed_on_while_the_client_still_sends() {
    let f = Previewed::open().await;
    let mut stream = f.connect().await;
    let head = f.request("POST /early HTTP/1.1", &["Content-Length: 1000000"]);
    // Only a part of the body, ever: whoever waits for the rest never answers.
    stream.write_all(format!("{head}{}", "x".repeat(1000)).as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "early").await;
    assert_eq!(status(&answer), 413, "{answer}");
}

#[tokio::test]
async fn a_request_goes_on_whose_answer_has_come_already() {
    let f = Previewed::open().await;
    let mut stream = f.connect().await;
    let half = "x".repeat(500_000);
    let head = f.request("POST /early-and-reads HTTP/1.1", &["Content-Length: 1000000"]);
    stream.write_all(format!("{head}{half}").as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "early").await;
    assert_eq!(status(&answer), 202, "{answer}");
    stream.write_all(half.as_bytes()).await.unwrap();
    wait::until("all of the body", async || f.upstream.seen().pop()).await;
    assert_eq!(f.upstream.last().length, 1_000_000);
}

#[tokio::test]
async fn answers_without_a_body_have_none_on_the_wire() {
    let f = Previewed::open().await;
    for (line, expected) in [
        ("HEAD /head HTTP/1.1", "content-length: 1234"),
        ("GET /204 HTTP/1.1", ""),
        ("GET /304 HTTP/1.1", "etag: \"x\""),
    ] {
        // Two on one connection: a body that should not be there would be taken for the second answer.
        let one = f.request(line, &[]);
        let answer = f.exchange(&format!("{one}{}", f.request("GET /after HTTP/1.1", &[]))).await;
        let (first, second) = answer.split_once("\r\n\r\n").unwrap();
        let first = first.to_ascii_lowercase();
        assert!(first.contains(expected) && !first.contains("transfer-encoding"), "{line}: {first}");
        assert!(second.starts_with("HTTP/1.1 200"), "{line}: {answer}");
        assert!(second.ends_with("GET /after HTTP/1.1"), "{line}: {answer}");
    }
}

/// Uploads so many bytes; by how much gateway and agent grew meanwhile, bytes.
async fn upload(f: &Previewed, length: u64) -> [u64; 2] {
    const PIECE: usize = 256 * 1024;
    let piece: Vec<u8> = (0..=255u8).cycle().take(PIECE).collect();
    let pieces = length / PIECE as u64;
    let mut expected = Digest::default();
    (0..pieces).for_each(|_| expected.add(&piece));
    let programs = [f.stack.gateway.pid(), f.stack.agent.pid()];
    let before = programs.map(resident);
    let most = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let watched = most.clone();
    let watch = tokio::spawn(async move {
        loop {
            for (most, pid) in watched.iter().zip(programs) {
                most.fetch_max(resident(pid), Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let body = in_pieces(stream::iter((0..pieces).map(move |_| piece.clone())));
    let request = f.preview.request(Method::PUT, "/upload").header(CONTENT_LENGTH, length);
    assert_eq!(request.body(body).send().await.unwrap().status(), 200);
    watch.abort();
    let asked = f.upstream.last();
    assert_eq!((asked.length, asked.digest), (length, expected.hex()));
    let grown = [0, 1].map(|at| most[at].load(Ordering::Relaxed).saturating_sub(before[at]));
    println!("gateway and agent grew by {} and {} KiB", grown[0] / 1024, grown[1] / 1024);
    grown
}

#[tokio::test]
#[ignore = "10 GB through gateway and agent take some minutes"]
async fn ten_gigabytes_are_uploaded_at_flat_memory() {
    let f = Previewed::open().await;
    let grown = upload(&f, 10 * 1024 * 1024 * 1024).await;
    assert!(grown.iter().all(|grown| *grown < 32 * 1024 * 1024), "{grown:?} bytes");
}

#[tokio::test]
async fn an_upload_is_held_by_nobody() {
    let f = Previewed::open().await;
    let grown = upload(&f, 256 * 1024 * 1024).await;
    assert!(grown.iter().all(|grown| *grown < 32 * 1024 * 1024), "{grown:?} bytes");
}

#[tokio::test]
#[ignore = "waits for deadlines of half a minute"]
async fn connections_that_do_not_get_on_are_closed_and_keep_nobody_out() {
    let f = Previewed::open().await;
    let before = resident(f.stack.gateway.pid());
    let mut idle = Vec::new();
    for number in 0..1000 {
        let mut stream = f.connect().await;
        // Some say nothing, some begin a head, some had an answer.
        match number % 3 {
            0 => {}
            1 => stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap(),
            _ => stream.write_all(f.request("GET /kept HTTP/1.1", &[]).as_bytes()).await.unwrap(),
        }
        idle.push(stream);
    }
    assert_eq!(f.preview.get("/").await.status(), 200);
    let grown = resident(f.stack.gateway.pid()).saturating_sub(before);
    println!("a thousand idle connections cost {} KiB each", grown / 1024 / 1000);
    assert!(grown < 64 * 1024 * 1024, "a thousand idle connections cost {grown} bytes");
    for (number, mut stream) in idle.into_iter().enumerate() {
        let mut rest = Vec::new();
        let ended = timeout(wait::PATIENCE + Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "connection {number} is kept for ever");
    }
}
