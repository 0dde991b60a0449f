//! A server that speaks S3, and a proxy before it that does what servers do on a bad day.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::ports::Ports;
use crate::process::Process;
use crate::{programs, wait};

/// The one key's name. Shorter ones are refused by rclone.
pub const KEY_ID: &str = "AKBERTHTESTS";

/// The key.
pub const SECRET_KEY: &str = "SKBERTHTESTSSECRET";

/// A key that may delete, too, where [`Weather::AddOnly`] is.
pub const OTHER_KEY_ID: &str = "AKBERTHPRUNES";

/// That key.
pub const OTHER_SECRET_KEY: &str = "SKBERTHPRUNESSECRET";

/// The one bucket.
pub const BUCKET: &str = "boxes";

/// A real S3 server with one bucket, in a directory of its own.
pub struct S3 {
    _process: Process,
    directory: PathBuf,
    port: u16,
    _ports: Ports,
}

impl S3 {
    /// Starts it below `directory`.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn start(directory: &Path) -> Self {
        let ports = Ports::take(1);
        let port = ports.port(0);
        let data = directory.join("s3");
        std::fs::create_dir_all(data.join(BUCKET)).expect("a bucket");
        let address = format!("127.0.0.1:{port}");
        let keys = [format!("{KEY_ID},{SECRET_KEY}"), format!("{OTHER_KEY_ID},{OTHER_SECRET_KEY}")];
        let arguments = ["serve", "s3", "--addr", &address, "--auth-key", &keys[0], "--auth-key", &keys[1]];
        let arguments = [arguments.as_slice(), &["--vfs-cache-mode", "off", "--config"]].concat();
        let data_text = data.to_str().expect("a plain path");
        let arguments = [arguments.as_slice(), &["/dev/null", data_text]].concat();
        let mut process = Process::new("s3", programs::rclone(), &arguments, directory);
        process.start();
        wait::until("the S3 server to listen", async || {
            assert!(process.is_running(), "it ended: {}", process.log());
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { _process: process, directory: data, port, _ports: ports }
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A file of the bucket, for those who damage it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(BUCKET).join(name)
    }
}

/// What the proxy does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Passes them on.
    Fair,
    /// Answers with this status, and a body as S3 has it.
    Status(u16),
    /// Answers with 401 and 403 in turn, as a server that does not know the keys yet.
    Unknown,
    /// Answers every fourth with 500 and passes the others on.
    Storm,
    /// Cuts the connection after so many bytes in either direction, and passes on what comes before.
    Cut(u64),
    /// Passes on so many bytes in each step of 50 ms.
    Trickle(u64),
    /// Passes on what reads, and answers what writes with 507, as a server whose disk is full.
    Full,
    /// Refuses to delete anything to whoever has not the other key.
    AddOnly,
    /// Takes requests and answers nothing.
    Silent,
}

/// A proxy before an S3 server.
pub struct Proxy {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    sky: Arc<Sky>,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

struct Sky {
    upstream: u16,
    state: Mutex<State>,
}

struct State {
    weather: Weather,
    /// The weather that follows after so many more requests.
    next: Option<(u64, Weather)>,
    requests: u64,
    refused: u64,
}

impl Proxy {
    /// Listens on a free port, in fair weather; on a thread of its own, since tests wait for programs on theirs.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start(upstream: u16) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        listener.set_nonblocking(true).expect("it is one");
        let port = listener.local_addr().expect("an address").port();
        let state = State { weather: Weather::Fair, next: None, requests: 0, refused: 0 };
        let sky = Arc::new(Sky { upstream, state: Mutex::new(state) });
        let shared = sky.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let work = async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(serve(stream, shared.clone()));
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    // Cancel-safe, both: nothing is kept.
                    () = work => {}
                    _ = stopped => {}
                }
            });
        });
        Self { port, sky, _stop: stop }
    }

    /// Changes the weather for requests that begin from now on.
    pub fn set(&self, weather: Weather) {
        let mut state = self.state();
        (state.weather, state.next) = (weather, None);
    }

    /// This weather for so many requests, then another.
    pub fn set_for(&self, requests: u64, weather: Weather, then: Weather) {
        let mut state = self.state();
        (state.weather, state.next) = (weather, Some((requests, then)));
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// Requests that were not passed on as they came.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.state().refused
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.sky.state.lock().expect("no test panics here")
    }
}

impl Sky {
    fn next(&self) -> Weather {
        let mut state = self.state.lock().expect("no test panics here");
        state.requests += 1;
        let weather = match (state.weather, state.requests % 4) {
            (Weather::Storm, 0) => Weather::Status(500),
            (Weather::Storm, _) => Weather::Fair,
            (Weather::Unknown, 0 | 2) => Weather::Status(401),
            (Weather::Unknown, _) => Weather::Status(403),
            (weather, _) => weather,
        };
        if let Some((left, then)) = &mut state.next {
            *left = left.saturating_sub(1);
            if *left == 0 {
                (state.weather, state.next) = (*then, None);
            }
        }
        weather
    }

    fn refuse(&self) {
        self.state.lock().expect("no test panics here").refused += 1;
    }
}

/// One request for each connection: `Connection: close` is asked of both sides, so that each meets its own weather.
async fn serve(mut client: TcpStream, sky: Arc<Sky>) {
    let Some(head) = head(&mut client).await else { return };
    let weather = sky.next();
    let line = head.lines().next().unwrap_or_default().to_owned();
    let writes = ["PUT ", "POST ", "DELETE "].iter().any(|method| line.starts_with(method));
    match weather {
        Weather::Silent => {
            sky.refuse();
            tokio::time::sleep(Duration::from_hours(1)).await;
        }
        Weather::Status(status) => {
            sky.refuse();
            refuse(&mut client, &head, status).await;
        }
        Weather::Full if writes => {
            sky.refuse();
            refuse(&mut client, &head, 507).await;
        }
        Weather::AddOnly if line.starts_with("DELETE ") && !head.contains(OTHER_KEY_ID) => {
            sky.refuse();
            refuse(&mut client, &head, 403).await;
        }
        Weather::Fair | Weather::Storm | Weather::Unknown | Weather::Full | Weather::AddOnly => {
            pass(client, &head, sky.upstream, None, None).await
        }
        Weather::Cut(bytes) => {
            sky.refuse();
            pass(client, &head, sky.upstream, Some(bytes), None).await;
        }
        Weather::Trickle(bytes) => {
            sky.refuse();
            pass(client, &head, sky.upstream, None, Some(bytes)).await;
        }
    }
}

async fn head(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// Answers as S3 does, once what was sent has been read.
async fn refuse(client: &mut TcpStream, head: &str, status: u16) {
    let (code, message) = match status {
        401 => ("Unauthorized", "Unauthorized"),
        403 => ("AccessDenied", "Access Denied."),
        503 => ("SlowDown", "Please reduce your request rate."),
        507 => ("InsufficientStorage", "507 Insufficient Storage: no space left on device"),
        _ => ("InternalError", "We encountered an internal error, please try again."),
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<u64>().ok()).flatten()
    });
    if let Some(length) = length {
        let _ = copy(&mut (&mut *client).take(length), &mut tokio::io::sink()).await;
    }
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    // The answer to HEAD has no body.
    let shown = if head.starts_with("HEAD ") { "" } else { &body };
    let text = format!(
        "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{shown}",
        body.len()
    );
    let _ = client.write_all(text.as_bytes()).await;
    let _ = client.shutdown().await;
}

/// Passes a request and its answer on; up to so many bytes, or so many in each step.
async fn pass(client: TcpStream, head: &str, upstream: u16, most: Option<u64>, step: Option<u64>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", upstream)).await else { return };
    // The signature does not cover this header.
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    if server.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = move_bytes(from_client, to_server, most, step);
    let down = move_bytes(from_server, to_client, most, step);
    tokio::select! {
        // Cancel-safe: the answer is the end of both.
        () = down => {}
        () = async { up.await; std::future::pending().await } => {}
    }
}

async fn move_bytes(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    most: Option<u64>,
    step: Option<u64>,
) {
    let mut left = most;
    let mut piece = vec![0; 64 * 1024];
    loop {
        let room = [left, step].into_iter().flatten().min().unwrap_or(piece.len() as u64);
        let room = usize::try_from(room).unwrap_or(piece.len()).min(piece.len());
        if room == 0 {
            return;
        }
        let Ok(count @ 1..) = from.read(&mut piece[..room]).await else { break };
        if to.write_all(&piece[..count]).await.is_err() {
            return;
        }
        if let Some(left) = &mut left {
            *left -= count as u64;
        }
        if step.is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let _ = to.shutdown().await;
}
