//! Files for a session's directory: whole or not at all, never in another's place, through a gateway that does
//! not hold them, and on the record.

use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_protocol::control::files::MAX_UPLOAD;
use berth_protocol::ids::SessionId;
use berth_tests::client::{plain, upload_path};
use berth_tests::process::{descendant, resident, run, stdout};
use berth_tests::{Client, Stack, wait};
use http::Method;
use reqwest::header::{COOKIE, ORIGIN};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// By how much the gateway may grow while a file passes.
const GROWTH: u64 = 8 * 1024 * 1024;

/// How long a client that can't go on has to have stood still.
const STANDSTILL: Duration = Duration::from_secs(1);

/// Bytes in which a raw client sends.
const PIECE: usize = 64 * 1024;

async fn start() -> (Stack, Client, String) {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    (stack, client, session)
}

/// The session's directory.
fn directory(stack: &Stack) -> PathBuf {
    stack.path("workspace/user/home/projects")
}

fn names(stack: &Stack) -> Vec<String> {
    let entries = std::fs::read_dir(directory(stack)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Bytes of which no part looks like another.
fn bytes(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

/// Waits for the end of so many uploads on the record, each of which has two entries: the newest.
async fn on_record(client: &Client, uploads: usize) -> Value {
    let path = format!("/workspaces/{}/audit", client.workspace().await);
    wait::until("the end to be on the record", async || {
        let page = client.get(&path).await;
        let entries = page["entries"].as_array()?;
        let ended = entries.iter().filter(|entry| entry["action"] == "file_uploaded").count();
        (ended == uploads && entries[0]["action"] == "file_uploaded").then(|| entries[0].clone())
    })
    .await
}

/// Waits until the box writes a file.
async fn writing(stack: &Stack) {
    // The worker is the one whose command line names the directory.
    wait::until("the box to write", async || descendant(stack.agent.pid(), "projects")).await;
}

/// An upload that the test sends byte by byte.
struct Raw(TcpStream);

impl Raw {
    async fn begin(client: &Client, session: &str, name: &str, framing: &str) -> Self {
        let (origin, cookie) = (client.origin(), client.cookie());
        let host = origin.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        let head = format!(
            "POST /api/v1{} HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\ncookie: {cookie}\r\n{framing}\r\n\r\n",
            upload_path(session, name)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    /// Sends on until all is sent or nothing is taken any more: how much was.
    async fn send_while_taken(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            let end = bytes.len().min(sent + PIECE);
            // Cancel-safe: what was not written was not taken.
            match timeout(STANDSTILL, self.0.write(&bytes[sent..end])).await {
                Ok(written) => sent += written.unwrap(),
                Err(_) => break,
            }
        }
        sent
    }

    /// The answer, up to the end of its JSON.
    async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        let read = async {
            while !answer.ends_with(b"}") {
                let mut piece = [0; 1024];
                let length = self.0.read(&mut piece).await.unwrap();
                assert!(length > 0, "the connection ended: {}", String::from_utf8_lossy(&answer));
                answer.extend_from_slice(&piece[..length]);
            }
        };
        timeout(wait::PATIENCE, read).await.expect("an answer");
        String::from_utf8(answer).unwrap()
    }
}

#[tokio::test]
async fn files_arrive_whole_replace_nothing_and_are_on_the_record() {
    let (stack, client, session) = start().await;
    let largest = bytes(MAX_UPLOAD);
    let answer = client.upload(&session, "a photo (ü).png", largest.clone()).await;
    let path = directory(&stack).join("a photo (ü).png");
    let expected = json!({ "path": path.to_str(), "name": "a photo (ü).png", "bytes": MAX_UPLOAD });
    assert_eq!((answer.status, &answer.body), (201, &expected));
    assert!(std::fs::read(&path).unwrap() == largest, "the bytes differ");

    let again = client.upload(&session, "a photo (ü).png", b"another".to_vec()).await;
    assert_eq!(again.body["name"], "a photo (ü)-1.png");
    assert!(std::fs::read(&path).unwrap() == largest, "it was overwritten");
    assert_eq!(client.upload(&session, "empty", vec![]).await.status, 201);

    let entry = on_record(&client, 3).await;
    let path = format!("/workspaces/{}/audit", client.workspace().await);
    let entries = client.get(&path).await["entries"].as_array().unwrap().clone();
    assert_eq!((&entries[1]["action"], &entry["user_name"]), (&json!("upload_started"), &json!("owner")));
    assert_eq!(entries[1]["request_id"], entry["request_id"]);
    let detail = &entries[2]["detail"];
    assert_eq!((&detail["session"], &detail["bytes"]), (&json!(session), &json!(7)));
    assert_eq!((&detail["name"], &detail["path"]), (&json!("a photo (ü).png"), &again.body["path"]));
    // The box's log names the same request.
    assert!(stack.agent.log().contains(entry["request_id"].as_str().unwrap()));
}

#[tokio::test]
async fn the_gateway_holds_no_file_and_a_slow_box_slows_the_client() {
    let (stack, client, session) = start().await;
    assert_eq!(client.upload(&session, "first", bytes(MAX_UPLOAD)).await.status, 201);
    let before = resident(stack.gateway.pid());
    let file = bytes(MAX_UPLOAD);
    let mut raw = Raw::begin(&client, &session, "slow", &format!("content-length: {MAX_UPLOAD}")).await;
    let mut sent = raw.send_while_taken(&file[..PIECE]).await;
    writing(&stack).await;
    stack.agent.pause();
    sent += raw.send_while_taken(&file[sent..]).await;
    let held = resident(stack.gateway.pid()).saturating_sub(before);
    assert!(sent < file.len(), "all was taken though the box takes nothing");
    stack.agent.resume();
    raw.0.write_all(&file[sent..]).await.unwrap();
    let answer = raw.answer().await;
    let after = resident(stack.gateway.pid()).saturating_sub(before);
    println!("the gateway held {held} bytes more while the box stood still, {after} in the end");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(held < GROWTH && after < GROWTH, "the gateway grew by {held} and {after} bytes");
    assert!(std::fs::read(directory(&stack).join("slow")).unwrap() == file, "the bytes differ");
}

/// A file system of 1 MiB in the place of a directory, for as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: PathBuf) -> Self {
        let target = place.to_str().unwrap();
        let _ =
            stdout(&run(Path::new("mount"), &["-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", target], ""));
        Self(place)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = run(Path::new("umount"), &["--lazy", self.0.to_str().unwrap()], "");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_left() {
    if !nix::unistd::Uid::effective().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI must run this test, which needs root");
        eprintln!("skipped: a small file system can only be mounted by root");
        return;
    }
    let (stack, client, session) = start().await;
    let _disk = SmallDisk::mount(directory(&stack));
    for _ in 0..2 {
        let answer = client.upload(&session, "large", bytes(4 << 20)).await;
        assert_eq!(
            (answer.status, &answer.body["error"]["kind"]),
            (507, &json!("no_space")),
            "{}",
            answer.body
        );
        assert_eq!(names(&stack), Vec::<String>::new());
    }
    let room = nix::sys::statvfs::statvfs(&directory(&stack)).unwrap();
    assert!(room.blocks_free() * room.fragment_size() > 900_000, "what was written is still there");
    assert_eq!(client.upload(&session, "small", bytes(1000)).await.status, 201);
    assert_eq!(names(&stack), ["small"]);
}

#[tokio::test]
async fn what_breaks_off_leaves_nothing() {
    let (mut stack, client, session) = start().await;
    let refused = async |uploads: usize, kind: &str| {
        let detail = on_record(&client, uploads).await["detail"].clone();
        assert_eq!((&detail["name"], &detail["refused"]), (&json!("cut"), &json!(kind)), "{detail}");
    };
    let whole = bytes(1_000_000);

    let mut raw = Raw::begin(&client, &session, "cut", "content-length: 1000000").await;
    raw.0.write_all(&whole[..300_000]).await.unwrap();
    writing(&stack).await;
    drop(raw);
    refused(1, "upload_incomplete").await;

    // Half-closed it is no more whole than that.
    let mut raw = Raw::begin(&client, &session, "cut", "content-length: 1000000").await;
    raw.0.write_all(&whole[..999_999]).await.unwrap();
    raw.0.shutdown().await.unwrap();
    refused(2, "upload_incomplete").await;

    let other = stack.client().await;
    let mut raw = Raw::begin(&other, &session, "cut", "content-length: 1000000").await;
    raw.0.write_all(&whole[..300_000]).await.unwrap();
    assert_eq!(other.call(Method::POST, "/sign-out", None).await.status, 204);
    assert!(raw.answer().await.contains("right_ended"));
    refused(3, "right_ended").await;

    let mut raw = Raw::begin(&client, &session, "cut", "content-length: 1000000").await;
    raw.0.write_all(&whole[..300_000]).await.unwrap();
    writing(&stack).await;
    stack.agent.kill();
    assert!(raw.answer().await.contains("box_offline"));
    refused(4, "box_offline").await;
    assert_eq!(names(&stack), Vec::<String>::new());
    let answer = client.upload(&session, "cut", whole.clone()).await;
    assert_eq!((answer.status, answer.kind()), (503, "box_offline"));

    stack.start_agent().await;
    client.wait_for_box("online").await;
    // A connection that was warm before the box went does not spoil it.
    assert_eq!(client.upload(&session, "whole", whole).await.status, 201);
    assert_eq!(names(&stack), ["whole"]);
}

#[tokio::test]
async fn what_can_not_be_taken_is_refused_in_words() {
    let (stack, client, session) = start().await;
    let nobodys = SessionId::random();
    let too_long = "x".repeat(201);
    for (session, name, length, status, kind) in [
        (session.as_str(), "a", MAX_UPLOAD + 1, 413, "too_large"),
        (session.as_str(), "../a", 1, 422, "invalid_file_name"),
        (session.as_str(), ".bashrc", 100_000, 422, "invalid_file_name"),
        (session.as_str(), "-rf", 1, 422, "invalid_file_name"),
        (session.as_str(), "a\nb", 1, 422, "invalid_file_name"),
        (session.as_str(), "a\u{202e}b", 1, 422, "invalid_file_name"),
        (session.as_str(), "", 1, 422, "invalid_file_name"),
        (session.as_str(), &too_long, 1, 422, "invalid_file_name"),
        (nobodys.as_str(), "a", 1, 404, "session_not_found"),
    ] {
        let answer = client.upload(session, name, vec![b'x'; usize::try_from(length).unwrap()]).await;
        assert_eq!((answer.status, answer.kind()), (status, kind), "{name:?}: {}", answer.body);
    }
    let message = client.upload(&session, "a", bytes(MAX_UPLOAD + 1)).await.body["error"]["message"].clone();
    assert_eq!(message, "a file may have 25 MiB at most");
    let answer = client.call(Method::POST, &format!("/sessions/{session}/files"), None).await;
    assert_eq!((answer.status, answer.kind()), (400, "malformed_request"));
    let mut raw = Raw::begin(&client, &session, "a", "transfer-encoding: chunked").await;
    raw.0.write_all(b"1\r\nx\r\n0\r\n\r\n").await.unwrap();
    let answer = raw.answer().await;
    assert!(answer.starts_with("HTTP/1.1 411") && answer.contains("length_required"), "{answer}");

    let url = format!("{}/api/v1{}", stack.origin(), upload_path(&session, "a"));
    let foreign = plain().post(&url).header(COOKIE, client.cookie()).header(ORIGIN, "https://evil.example");
    assert_eq!(foreign.body("x").send().await.unwrap().status(), 403);
    let stranger = plain().post(&url).header(ORIGIN, client.origin());
    assert_eq!(stranger.body("x").send().await.unwrap().status(), 401);

    assert_eq!(names(&stack), Vec::<String>::new());
    // The layout has a link there.
    std::fs::remove_file(directory(&stack)).unwrap();
    let answer = client.upload(&session, "a", bytes(1_000_000)).await;
    assert_eq!((answer.status, answer.kind()), (409, "directory_gone"));
}
