//! Files through the door: whole or not at all, and never in the place of another.

use std::path::PathBuf;

use berth_protocol::control::files::{
    FileName, HEADER_FILE_NAME, KIND_DIRECTORY_GONE, KIND_DIRECTORY_NOT_WRITABLE, KIND_FILE_TOO_LARGE,
    KIND_LENGTH_REQUIRED, KIND_UPLOAD_BUSY, MAX_UPLOAD, Uploaded, files_path,
};
use berth_protocol::control::{KIND_INVALID, KIND_REQUEST_REPEATED};
use berth_protocol::door::{HEADER_REQUEST_ID, KIND_SESSION_UNKNOWN};
use berth_protocol::ids::{RequestId, SessionId};
use nix::sys::signal::Signal;
use tokio::io::AsyncWriteExt;

use crate::support::agent::{Agent, NO_GATEWAY, desired, process_with};
use crate::support::ca::Ca;
use crate::support::door::{Answer, DoorStream, ask, open};
use crate::support::wait::until;

struct Box {
    agent: Agent,
    session: SessionId,
}

async fn start() -> Box {
    let session = SessionId::random();
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.remember(&desired(1, &[&session])).await;
    agent.start().await;
    Box { agent, session }
}

impl Box {
    /// The session's directory.
    fn directory(&self) -> PathBuf {
        self.agent.root().join("volume/user/home/projects")
    }

    /// What is in it.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn head(&self, header: &str, request: &RequestId, length: u64) -> String {
        let path = files_path(&self.session);
        format!(
            "POST {path} HTTP/1.1\r\nHost: box\r\n{HEADER_REQUEST_ID}: {request}\r\n{HEADER_FILE_NAME}: {header}\r\n\
             content-length: {length}\r\n\r\n"
        )
    }

    /// Begins an upload and sends these bytes of it.
    async fn begin(&self, name: &str, length: u64, bytes: &[u8]) -> DoorStream {
        let mut stream = open(&self.agent).await;
        let name = FileName::parse(name).unwrap().to_header();
        let head = self.head(&name, &RequestId::random(), length);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        stream
    }

    /// Sends a whole file.
    async fn send(&self, name: &str, request: &RequestId, bytes: &[u8]) -> Answer {
        let mut stream = open(&self.agent).await;
        let name = FileName::parse(name).unwrap().to_header();
        stream.write_all(self.head(&name, request, bytes.len() as u64).as_bytes()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        ask(&mut stream, "").await.unwrap()
    }

    async fn put(&self, name: &str, bytes: &[u8]) -> Answer {
        self.send(name, &RequestId::random(), bytes).await
    }

    /// The worker that writes a file of this name.
    fn worker(&self, name: &str) -> Option<nix::unistd::Pid> {
        let directory = self.directory();
        process_with(directory.to_str().unwrap(), name)
    }
}

fn uploaded(answer: &Answer) -> Uploaded {
    assert_eq!(answer.status, 201, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn the_largest_file_arrives_whole_and_one_byte_more_is_refused() {
    let this = start().await;
    let mut bytes: Vec<u8> = (0..=250).cycle().take(usize::try_from(MAX_UPLOAD).unwrap()).collect();
    let file = uploaded(&this.put("a photo (1).png", &bytes).await);
    let path = this.directory().join("a photo (1).png");
    assert_eq!((file.path.as_str(), file.bytes), (path.to_str().unwrap(), MAX_UPLOAD));
    assert!(std::fs::read(&path).unwrap() == bytes, "the bytes differ");

    bytes.push(0);
    let answer = this.put("more.png", &bytes).await;
    assert_eq!((answer.status, answer.kind().as_str()), (413, KIND_FILE_TOO_LARGE));
    assert_eq!(this.names(), ["a photo (1).png"]);
}

#[tokio::test]
async fn nothing_is_overwritten_and_no_link_is_followed() {
    let this = start().await;
    let elsewhere = this.agent.root().join("elsewhere");
    std::fs::write(this.directory().join("a.txt"), "old").unwrap();
    std::os::unix::fs::symlink(&elsewhere, this.directory().join("a-1.txt")).unwrap();
    assert_eq!(uploaded(&this.put("a.txt", b"new").await).name, "a-2.txt");
    assert_eq!(uploaded(&this.put("empty", b"").await).bytes, 0);
    assert_eq!(std::fs::read(this.directory().join("a.txt")).unwrap(), b"old");
    assert_eq!(std::fs::read(this.directory().join("a-2.txt")).unwrap(), b"new");
    assert!(!elsewhere.exists());
}

#[tokio::test]
async fn a_file_that_breaks_off_leaves_nothing_and_its_worker_ends() {
    let this = start().await;
    for name in ["cut", "cut-again"] {
        let stream = this.begin(name, 1_000_000, &[b'x'; 300_000]).await;
        until("the worker", async || this.worker(name)).await;
        drop(stream);
        until("the worker's end", async || this.worker(name).is_none().then_some(())).await;
    }
    assert_eq!(this.names(), Vec::<String>::new());
    // All places are free again.
    for number in 0..5 {
        uploaded(&this.put(&format!("{number}"), b"x").await);
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_leaves_neither_a_part_nor_a_worker() {
    let mut this = start().await;
    let _stream = this.begin("cut", 1_000_000, &[b'x'; 300_000]).await;
    until("the worker", async || this.worker("cut")).await;
    this.agent.end(Signal::SIGKILL);
    until("the worker's end", async || this.worker("cut").is_none().then_some(())).await;
    assert_eq!(this.names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_request_acts_once() {
    let this = start().await;
    let request = RequestId::random();
    let first = uploaded(&this.send("a", &request, b"first").await);
    let again = uploaded(&this.send("a", &request, b"again").await);
    assert_eq!(first, again);
    assert_eq!(this.names(), ["a"]);
    assert_eq!(std::fs::read(this.directory().join("a")).unwrap(), b"first");

    // One that failed is not tried again either.
    std::fs::remove_file(this.directory()).unwrap();
    let request = RequestId::random();
    assert_eq!(this.send("b", &request, b"x").await.kind(), KIND_DIRECTORY_GONE);
    std::fs::create_dir(this.directory()).unwrap();
    let kind = this.send("b", &request, b"x").await.kind();
    assert!([KIND_DIRECTORY_GONE, KIND_REQUEST_REPEATED].contains(&kind.as_str()), "{kind}");
    assert_eq!(this.names(), Vec::<String>::new());
}

#[tokio::test]
async fn what_can_not_be_written_is_refused_in_words() {
    let mut this = start().await;
    let request = RequestId::random();
    // "../x", ".bashrc", "-rf", "a\nb", "" and no base64url.
    for header in ["Li4veA", "LmJhc2hyYw", "LXJm", "YQpi", "", "a/b"] {
        let head = this.head(header, &request, 0);
        let answer = ask(&mut open(&this.agent).await, &head).await.unwrap();
        assert_eq!((answer.status, answer.kind().as_str()), (400, KIND_INVALID), "{header}");
    }
    let path = files_path(&this.session);
    let bare = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{HEADER_REQUEST_ID}: {request}\r\n");
    let head = format!("{bare}content-length: 0\r\n\r\n");
    assert_eq!(ask(&mut open(&this.agent).await, &head).await.unwrap().kind(), "bad_request");
    let head = format!("{bare}{HEADER_FILE_NAME}: YQ\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    let answer = ask(&mut open(&this.agent).await, &head).await.unwrap();
    assert_eq!((answer.status, answer.kind().as_str()), (411, KIND_LENGTH_REQUIRED));

    // The layout has a link there.
    std::fs::remove_file(this.directory()).unwrap();
    let answer = this.put("a", &[b'x'; 1_000_000]).await;
    assert_eq!((answer.status, answer.kind().as_str()), (409, KIND_DIRECTORY_GONE));
    std::os::unix::fs::symlink("/proc", this.directory()).unwrap();
    let kind = this.put("a", b"x").await.kind();
    assert!([KIND_DIRECTORY_GONE, KIND_DIRECTORY_NOT_WRITABLE].contains(&kind.as_str()), "{kind}");

    this.session = SessionId::random();
    let answer = this.put("a", b"x").await;
    assert_eq!((answer.status, answer.kind().as_str()), (404, KIND_SESSION_UNKNOWN));
}

#[tokio::test]
async fn four_go_on_at_a_time() {
    let this = start().await;
    let mut going = Vec::new();
    for number in 0..4 {
        going.push(this.begin(&format!("{number}"), 10, b"x").await);
        until("the worker", async || this.worker(&number.to_string())).await;
    }
    let answer = this.put("a", &[b'x'; 1_000_000]).await;
    assert_eq!((answer.status, answer.kind().as_str()), (429, KIND_UPLOAD_BUSY));
    let mut first = going.remove(0);
    first.write_all(b"yyyyyyyyy").await.unwrap();
    assert_eq!(uploaded(&ask(&mut first, "").await.unwrap()).bytes, 10);
    uploaded(&this.put("a", b"x").await);
    assert_eq!(this.names(), ["0", "a"]);
}
