//! A dev server made for tests: it does what a path says, and remembers to the byte what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use data_encoding::HEXLOWER;
use futures_util::{SinkExt, StreamExt};
use ring::digest::{Context, SHA256};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The request line.
    pub line: String,
    /// Headers, by their names in small letters; several of one name are joined by a vertical bar.
    pub headers: BTreeMap<String, String>,
    /// Their names as they came.
    pub names: Vec<String>,
    /// The body, or its beginning where it is long.
    pub body: Vec<u8>,
    /// How long the body was.
    pub length: u64,
    /// SHA-256 of the whole body, in hexadecimal digits.
    pub digest: String,
    /// Headers behind a chunked body.
    pub trailers: String,
    /// The connection it came on, counted from 1.
    pub connection: usize,
}

/// The server.
pub struct Upstream {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    seen: Arc<Mutex<Vec<Asked>>>,
    go: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// SHA-256 of what comes in pieces.
pub struct Digest(Context);

impl Default for Digest {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Digest {
    /// Adds a piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// What came of it, in hexadecimal digits.
    #[must_use]
    pub fn hex(self) -> String {
        HEXLOWER.encode(self.0.finish().as_ref())
    }
}

impl Upstream {
    /// Listens on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        Self::start_at(0).await
    }

    /// Listens on a port.
    ///
    /// # Panics
    /// When it is taken.
    pub async fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (seen, go): (Arc<Mutex<Vec<Asked>>>, Arc<Notify>) = Default::default();
        let shared = (seen.clone(), go.clone());
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            let mut connection = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connection += 1;
                tasks.spawn(serve(stream, connection, shared.0.clone(), shared.1.clone()));
            }
        });
        Self { port, seen, go, task }
    }

    /// Everything that it was asked so far.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().expect("no test panics here").clone()
    }

    /// The newest request.
    ///
    /// # Panics
    /// When there was none.
    #[must_use]
    pub fn last(&self) -> Asked {
        self.seen().pop().expect("a request")
    }

    /// Lets the answer go on that waits for it.
    pub fn go_on(&self) {
        self.go.notify_one();
    }
}

async fn serve(stream: TcpStream, connection: usize, seen: Arc<Mutex<Vec<Asked>>>, go: Arc<Notify>) {
    let mut stream = BufReader::new(stream);
    let mut requests = 0;
    while let Some(mut asked) = head(&mut stream).await {
        requests += 1;
        asked.connection = connection;
        let path = asked.line.split(' ').nth(1).unwrap_or_default().to_owned();
        if path == "/early" {
            seen.lock().expect("no panic").push(asked);
            let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nearly").await;
            return;
        }
        if path == "/early-and-reads" {
            let _ = stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nearly").await;
        }
        if body(&mut stream, &mut asked).await.is_none() {
            seen.lock().expect("no panic").push(asked);
            return;
        }
        let websocket = asked.headers.get("upgrade").is_some_and(|upgrade| upgrade == "websocket");
        seen.lock().expect("no panic").push(asked.clone());
        if path == "/early-and-reads" {
            continue;
        }
        if path == "/first-only" && requests > 1 {
            return;
        }
        if websocket && path.starts_with("/ws") {
            return echo(stream.into_inner(), &asked).await;
        }
        if answer(&mut stream, &path, &asked, &go).await.is_none() {
            return;
        }
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    loop {
        let byte = stream.read_u8().await.ok()?;
        line.push(byte);
        if byte == b'\n' {
            return Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
        }
    }
}

async fn head(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut asked = Asked { line: line(stream).await?, ..Asked::default() };
    loop {
        let line = line(stream).await?;
        let Some((name, value)) = line.split_once(':') else { return Some(asked) };
        asked.names.push(name.to_owned());
        let known = asked.headers.entry(name.to_ascii_lowercase()).or_default();
        if !known.is_empty() {
            known.push('|');
        }
        known.push_str(value.trim());
    }
}

async fn body(stream: &mut BufReader<TcpStream>, asked: &mut Asked) -> Option<()> {
    let mut digest = Digest::default();
    if asked.headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let length = usize::from_str_radix(&line(stream).await?, 16).ok()?;
            if length == 0 {
                break;
            }
            take(stream, asked, &mut digest, length as u64).await?;
            line(stream).await?;
        }
        loop {
            match line(stream).await?.as_str() {
                "" => break,
                trailer => asked.trailers.push_str(trailer),
            }
        }
    } else {
        let length = asked.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        take(stream, asked, &mut digest, length).await?;
    }
    asked.digest = digest.hex();
    Some(())
}

async fn take(
    stream: &mut BufReader<TcpStream>,
    asked: &mut Asked,
    digest: &mut Digest,
    mut left: u64,
) -> Option<()> {
    let mut piece = vec![0; 64 * 1024];
    while left > 0 {
        let room = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let taken = stream.read(&mut piece[..room]).await.ok().filter(|taken| *taken > 0)?;
        digest.add(&piece[..taken]);
        asked.length += taken as u64;
        if asked.body.len() < 4096 {
            asked.body.extend_from_slice(&piece[..taken]);
        }
        left -= taken as u64;
    }
    Some(())
}

async fn echo(mut stream: TcpStream, asked: &Asked) {
    let key = asked.headers.get("sec-websocket-key").cloned().unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let protocol = asked.headers.get("sec-websocket-protocol");
    let protocol = protocol.map(|it| format!("Sec-WebSocket-Protocol: {it}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    );
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let limits = WebSocketConfig::default();
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits)).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_close() || socket.send(message).await.is_err() {
            break;
        }
    }
    let _ = socket.close(None).await;
}

/// Answers; `None` ends the connection.
async fn answer(stream: &mut BufReader<TcpStream>, path: &str, asked: &Asked, go: &Notify) -> Option<()> {
    let simple = |status: &str, headers: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
    };
    let text = match path.split('?').next().unwrap_or_default() {
        "/redirect" => {
            let to = path.split_once("to=").map(|(_, to)| to).unwrap_or("/");
            simple("302 Found", &format!("Location: {to}\r\n"), "")
        }
        "/cookies" => simple(
            "200 OK",
            "Set-Cookie: a=1; Domain=localhost; Path=/\r\nSet-Cookie: b=2\r\n\
             Set-Cookie: berth-preview=fixed; Path=/\r\nClear-Site-Data: \"cookies\"\r\n",
            "",
        ),
        "/html" => simple(
            "200 OK",
            "Content-Type: text/html\r\nContent-Security-Policy: script-src *\r\nService-Worker-Allowed: /\r\n",
            "<script>alert(1)</script>",
        ),
        "/gzip" => simple("200 OK", "Content-Encoding: gzip\r\nX-Case-Kept: y\r\n", "not really gzip"),
        "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".to_owned(),
        "/204" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n".to_owned(),
        "/range" if asked.headers.contains_key("range") => {
            simple("206 Partial Content", "Content-Range: bytes 2-4/10\r\nAccept-Ranges: bytes\r\n", "cde")
        }
        "/trailers" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
             3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n"
            .to_owned(),
        "/1xx" => format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{}", simple("200 OK", "", "final")),
        "/break" => return None,
        "/nonsense" => "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "/half" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.ok()?;
            return None;
        }
        "/fake-101" => {
            let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok()?;
            return Some(());
        }
        "/silent" => {
            go.notified().await;
            simple("200 OK", "", "at last")
        }
        "/sse" => {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok()?;
            for number in 0.. {
                let event = format!("data: {number}\n\n");
                stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await.ok()?;
                go.notified().await;
            }
            return None;
        }
        "/go" => {
            go.notify_one();
            simple("200 OK", "", "")
        }
        "/digest" => simple("200 OK", "", &asked.digest),
        "/headers" => simple("200 OK", "", &json!(asked.headers).to_string()),
        path if path.starts_with("/bytes/") => {
            return bytes(stream, path["/bytes/".len()..].parse().ok()?, asked).await;
        }
        _ => simple("200 OK", "Content-Type: text/plain\r\n", &asked.line),
    };
    stream.write_all(text.as_bytes()).await.ok()?;
    Some(())
}

/// The numbers from 0 to 255, again and again: all of them, or a part.
async fn bytes(stream: &mut BufReader<TcpStream>, length: usize, asked: &Asked) -> Option<()> {
    let tag = format!("ETag: \"bytes-{length}\"\r\n");
    if asked.headers.get("if-none-match").is_some_and(|known| tag.contains(known)) {
        let unchanged = format!("HTTP/1.1 304 Not Modified\r\n{tag}\r\n");
        return stream.write_all(unchanged.as_bytes()).await.ok();
    }
    let range = asked.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
    let range = range.and_then(|range| range.split_once('-'));
    let range = range.and_then(|(first, last)| Some((first.parse().ok()?, last.parse::<usize>().ok()?)));
    let (first, last) = range.unwrap_or((0, length.checked_sub(1)?));
    let status = match range {
        Some(_) => format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/{length}"),
        None => "200 OK".to_owned(),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{tag}\r\n", last + 1 - first);
    stream.write_all(head.as_bytes()).await.ok()?;
    if asked.line.starts_with("HEAD ") {
        return Some(());
    }
    let piece: Vec<u8> = (0..=255u8).cycle().take(64 * 1024).collect();
    let mut at = first;
    while at <= last {
        let from = at % 256;
        let part = &piece[from..piece.len().min(from + last + 1 - at)];
        stream.write_all(part).await.ok()?;
        at += part.len();
    }
    Some(())
}
