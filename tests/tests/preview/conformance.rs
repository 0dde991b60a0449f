//! What a dev server does, it does through a preview: one row a behaviour, against the server that is made for tests and
//! against those that people run.

use berth_tests::client::plain;
use berth_tests::preview::{in_pieces, location};
use berth_tests::previewed::status;
use berth_tests::servers::{Kind, LENGTH, Server, bytes};
use berth_tests::upstream::Digest;
use berth_tests::{Previewed, wait};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt, stream};
use http::Method;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, COOKIE, ETAG, HOST, HeaderMap,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RANGE, SET_COOKIE,
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Events,
    Upload,
    UploadInPieces,
    Download,
    Range,
    Cookies,
    Redirection,
    WebSocket,
    Packed,
    Head,
    NoContent,
    NotModified,
    Trailers,
    Modes,
    Streams,
}

/// What every server does that serves files.
const FILES: [Row; 5] = [Row::Download, Row::Redirection, Row::Head, Row::NotModified, Row::Streams];

/// What a server does in addition that runs a program.
const PROGRAM: [Row; 10] = [
    Row::Events,
    Row::Upload,
    Row::UploadInPieces,
    Row::Range,
    Row::Cookies,
    Row::WebSocket,
    Row::Packed,
    Row::NoContent,
    Row::Trailers,
    Row::Modes,
];

/// The server of a column, with a preview of its own.
struct Column {
    f: Previewed,
    port: u16,
    /// Where it has the bytes from 0 to 255, again and again.
    file: String,
    /// A path that is redirected, and to where.
    moved: (String, String),
    plain: reqwest::Client,
}

impl Column {
    async fn get(&self, path: &str, headers: HeaderMap) -> reqwest::Response {
        let request = self.f.preview.request(Method::GET, path);
        // One by one, beside the preview's own cookie.
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send().await.unwrap()
    }

    /// The same without Berth.
    async fn direct(&self, path: &str, headers: HeaderMap) -> reqwest::Response {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let request = self.plain.get(url).header(HOST, format!("localhost:{}", self.port));
        request.headers(headers).send().await.unwrap()
    }

    async fn holds(&self, row: Row) {
        match row {
            Row::Events => self.events().await,
            Row::Upload => self.upload(true).await,
            Row::UploadInPieces => self.upload(false).await,
            Row::Download => self.download().await,
            Row::Range => self.range().await,
            Row::Cookies => self.cookies().await,
            Row::Redirection => self.redirection().await,
            Row::WebSocket => self.websocket().await,
            Row::Packed => self.packed().await,
            Row::Head => self.head().await,
            Row::NoContent => self.no_content().await,
            Row::NotModified => self.not_modified().await,
            Row::Trailers => self.trailers().await,
            Row::Modes => self.modes().await,
            Row::Streams => self.streams().await,
        }
    }

    async fn events(&self) {
        let mut answer = self.get("/sse", HeaderMap::new()).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        for number in 0..5 {
            assert_eq!(answer.chunk().await.unwrap().unwrap(), format!("data: {number}\n\n"));
            // The next one is sent only now: had anything held the last one back, this would never end.
            assert_eq!(self.get("/go", HeaderMap::new()).await.status(), 200);
        }
    }

    async fn upload(&self, measured: bool) {
        let piece: Vec<u8> = (0..=255u8).rev().cycle().take(64 * 1024 + 7).collect();
        let pieces = LENGTH / piece.len();
        let mut expected = Digest::default();
        (0..pieces).for_each(|_| expected.add(&piece));
        let mut request = self.f.preview.request(Method::PUT, "/digest");
        if measured {
            request = request.header(CONTENT_LENGTH, pieces * piece.len());
        }
        let body = in_pieces(stream::iter((0..pieces).map(move |_| piece.clone())));
        assert_eq!(request.body(body).send().await.unwrap().text().await.unwrap(), expected.hex());
    }

    async fn download(&self) {
        let mut answer = self.get(&self.file, HeaderMap::new()).await;
        assert_eq!(answer.headers()[CONTENT_LENGTH], LENGTH.to_string());
        let (mut expected, mut got, mut length) = (Digest::default(), Digest::default(), 0);
        expected.add(&bytes());
        while let Some(piece) = answer.chunk().await.unwrap() {
            got.add(&piece);
            length += piece.len();
        }
        assert_eq!((length, got.hex()), (LENGTH, expected.hex()));
    }

    async fn range(&self) {
        let part = HeaderMap::from_iter([(RANGE, "bytes=1000-1004".parse().unwrap())]);
        let answer = self.get(&self.file, part).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[CONTENT_LENGTH]),
            (206, &"5".parse().unwrap())
        );
        assert_eq!(answer.headers()[CONTENT_RANGE], format!("bytes 1000-1004/{LENGTH}"));
        assert_eq!(answer.bytes().await.unwrap(), [232, 233, 234, 235, 236].as_slice());
    }

    async fn cookies(&self) {
        let answer = self.get("/cookies", HeaderMap::new()).await;
        let cookies: Vec<_> = answer.headers().get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; Path=/", "b=2"]);
        let theirs = HeaderMap::from_iter([(COOKIE, "a=1; b=2; berth-inst-x=secret".parse().unwrap())]);
        assert_eq!(self.seen(theirs).await["cookie"], "a=1; b=2");
    }

    /// The headers of a request that reach the server.
    async fn seen(&self, headers: HeaderMap) -> Value {
        serde_json::from_str(&self.get("/headers", headers).await.text().await.unwrap()).unwrap()
    }

    async fn redirection(&self) {
        let (from, to) = &self.moved;
        let answer = self.get(from, HeaderMap::new()).await;
        assert!(answer.status().is_redirection(), "{}", answer.status());
        assert_eq!(location(&answer), *to);
    }

    async fn websocket(&self) {
        let mut socket =
            self.f.websocket(&self.f.preview, "/ws", Some(&self.f.preview.origin), true).await.unwrap();
        let large: Vec<u8> = (0..=255u8).cycle().take(1024 * 1024).collect();
        for message in
            [Message::text("hello"), Message::binary(vec![0, 255]), Message::text(""), Message::binary(large)]
        {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), message);
        }
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    }

    async fn packed(&self) {
        let gzip = || HeaderMap::from_iter([(ACCEPT_ENCODING, "gzip".parse().unwrap())]);
        let (answer, direct) = (self.get("/gzip", gzip()).await, self.direct("/gzip", gzip()).await);
        assert_eq!(answer.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(answer.bytes().await.unwrap(), direct.bytes().await.unwrap());
    }

    /// The answer has no body on the wire: what comes on the same connection next is the next answer.
    async fn empty(&self, line: &str, more: &[&str], expected: u16) {
        let next = self.f.request("GET /headers HTTP/1.1", &["Connection: close"]);
        let answer = self.f.exchange(&format!("{}{next}", self.f.request(line, more))).await;
        let (first, second) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(status(first), expected, "{answer}");
        assert!(!first.to_ascii_lowercase().contains("transfer-encoding"), "{first}");
        assert!(second.starts_with("HTTP/1.1 "), "{second}");
    }

    async fn head(&self) {
        self.empty(&format!("HEAD {} HTTP/1.1", self.file), &[], 200).await;
        let answer = self.f.preview.request(Method::HEAD, &self.file).send().await.unwrap();
        assert_eq!(answer.headers()[CONTENT_LENGTH], LENGTH.to_string());
    }

    async fn no_content(&self) {
        self.empty("GET /204 HTTP/1.1", &[], 204).await;
    }

    async fn not_modified(&self) {
        let answer = self.f.preview.request(Method::HEAD, &self.file).send().await.unwrap();
        let validator = |name, asked| {
            let value = answer.headers().get(name)?;
            Some(format!("{asked}: {}", value.to_str().unwrap()))
        };
        let condition =
            validator(ETAG, IF_NONE_MATCH).or_else(|| validator(LAST_MODIFIED, IF_MODIFIED_SINCE));
        let condition = condition.expect("a file has a version");
        self.empty(&format!("GET {} HTTP/1.1", self.file), &[&condition], 304).await;
    }

    async fn trailers(&self) {
        let answer = self.f.exchange(&self.f.request("GET /trailers HTTP/1.1", &["TE: trailers"])).await;
        assert!(answer.to_ascii_lowercase().ends_with("3\r\nabc\r\n0\r\nx-sum: 42\r\n\r\n"), "{answer}");
    }

    async fn modes(&self) {
        let (local, own) = (format!("localhost:{}", self.port), self.f.preview.authority());
        for (mode, host, forwarded) in [
            ("transparent", own, json!(own)),
            ("localhost", &local, Value::Null),
            ("standard", &local, json!(own)),
        ] {
            let path = self.f.path().await;
            let changed = self.f.client.call(Method::PATCH, &path, Some(json!({ "mode": mode }))).await;
            assert_eq!(changed.status, 200, "{mode}");
            let forged = HeaderMap::from_iter([(
                "x-forwarded-host".parse().unwrap(),
                "evil.example".parse().unwrap(),
            )]);
            let seen = self.seen(forged).await;
            assert_eq!((&seen["host"], &seen["x-forwarded-host"]), (&json!(host), &forwarded), "{mode}");
            assert_eq!(seen["x-forwarded-for"], "127.0.0.1", "{mode}");
        }
    }

    /// Streams are used again, many at once and after each other, and none is given the answer of another.
    async fn streams(&self) {
        for _ in 0..5 {
            let answers = (0..8).map(|number| {
                let path = format!("/nothing-{number}");
                async move {
                    (self.get(&path, HeaderMap::new()).await, self.direct(&path, HeaderMap::new()).await)
                }
            });
            for (answer, direct) in join_all(answers).await {
                assert_eq!(answer.status(), direct.status());
                assert_eq!(answer.headers().get("content-type"), direct.headers().get("content-type"));
                assert_eq!(answer.bytes().await.unwrap(), direct.bytes().await.unwrap());
            }
        }
    }
}

async fn check(column: &Column, rows: impl IntoIterator<Item = Row>) {
    for row in rows {
        let begun = std::time::Instant::now();
        tokio::time::timeout(wait::PATIENCE * 2, column.holds(row)).await.expect("a row comes to an end");
        println!("    {row:?}: {:?}", begun.elapsed());
    }
}

/// A server of Node's or Vite's: its own files, and the program behind `moved`.
async fn column(kind: Kind, file: String) -> (Server, Column) {
    let server = Server::start(kind);
    let f = Previewed::open_at(server.port).await;
    let listed = format!("/workspaces/{}/previews", f.client.workspace().await);
    let named = match kind {
        Kind::Node(_) => Value::Null,
        Kind::Vite => json!("vite"),
        Kind::Python => json!("python"),
    };
    // Named by what it is, not only by the program that runs it.
    wait::until("the port to be listed by its name", async || {
        let listed = f.client.get(&listed).await;
        let mut ports = listed["ports"].as_array()?.iter();
        ports.any(|one| one["port"] == server.port && one["kind"] == named).then_some(())
    })
    .await;
    let to = format!("{}/next", f.preview.origin);
    let moved = match kind {
        Kind::Python => ("/directory".to_owned(), "/directory/".to_owned()),
        _ => (format!("/redirect?to=http://localhost:{}/next", server.port), to),
    };
    let port = server.port;
    (server, Column { f, port, file, moved, plain: plain() })
}

#[tokio::test]
async fn the_server_that_is_made_for_tests_does_all_of_it() {
    let f = Previewed::open().await;
    let port = f.upstream.port;
    let moved = (format!("/redirect?to=http://localhost:{port}/next"), format!("{}/next", f.preview.origin));
    let column = Column { f, port, file: format!("/bytes/{LENGTH}"), moved, plain: plain() };
    check(&column, FILES.into_iter().chain(PROGRAM)).await;
}

#[tokio::test]
async fn a_plain_server_of_node_does_all_of_it() {
    let (_server, column) = column(Kind::Node("127.0.0.1"), format!("/bytes/{LENGTH}")).await;
    check(&column, FILES.into_iter().chain(PROGRAM)).await;
}

#[tokio::test]
async fn vite_does_all_of_it() {
    let (_server, column) = column(Kind::Vite, "/bytes.bin".to_owned()).await;
    check(&column, FILES.into_iter().chain(PROGRAM)).await;
}

#[tokio::test]
async fn pythons_server_does_what_it_can() {
    let (_server, column) = column(Kind::Python, "/bytes.bin".to_owned()).await;
    check(&column, FILES).await;
    assert_eq!(column.get("/directory/", HeaderMap::new()).await.text().await.unwrap(), "<p>from python</p>");
}
