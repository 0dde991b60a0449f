//! The relay against the real ttyd, because what crashes it and what it accepts is nowhere written down.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use berth_protocol::door::Role;
use berth_protocol::ids::AttachmentId;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::super::{Reason, open_ttyd};
use super::*;

/// `$BERTH_TTYD`, the newest that `scripts/test` has fetched, or the one on the `PATH`.
fn find_ttyd() -> PathBuf {
    if let Some(path) = env::var_os("BERTH_TTYD") {
        return path.into();
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools");
    let fetched = std::fs::read_dir(tools).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = fetched
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ttyd-")))
        .map(|path| path.join("bin/ttyd"))
        .filter(|path| path.exists())
        .max_by_key(|path| path.metadata().and_then(|metadata| metadata.modified()).ok());
    let on_path = || {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).map(|folder| folder.join("ttyd")).find(|path| path.exists())
    };
    newest.or_else(on_path).expect("ttyd is not here: scripts/test fetches it, or BERTH_TTYD names it")
}

/// Starts ttyd as a box does, with a shell whose `$0` is the attachment.
#[expect(clippy::disallowed_methods, reason = "the test plays the box")]
fn spawn_ttyd(socket: &Path) -> Child {
    Command::new(find_ttyd())
        .args(["--writable", "--url-arg", "-P", "300", "-i"])
        .arg(socket)
        .args(["sh", "-c", "echo attached \"$0\"; PS1='ready> ' exec sh -i"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("ttyd starts")
}

async fn connect(socket: &Path) -> UnixStream {
    for _ in 0..100 {
        match UnixStream::connect(socket).await {
            Ok(stream) => return stream,
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("ttyd does not listen on {}", socket.display());
}

/// Reads the screen until it shows `text`.
async fn expect_shown(browser: &mut Peer, text: &str) {
    let mut screen = String::new();
    while !screen.contains(text) {
        match timeout(Duration::from_secs(20), browser.read_frame()).await {
            Ok(Some((Opcode::Binary, true, message))) if message.starts_with(b"0") => {
                screen.push_str(&String::from_utf8_lossy(&message[1..]));
            }
            // Ours, between the box's messages.
            Ok(Some((Opcode::Text, true, _))) => {}
            other => panic!("instead of {text:?} came {other:?} after {screen:?}"),
        }
    }
}

#[tokio::test]
async fn a_shell_behind_the_real_ttyd_answers_and_survives_what_would_crash_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("t.sock");
    let mut ttyd = spawn_ttyd(&socket);
    let attachment = AttachmentId::random();
    let limit = Duration::from_secs(10);
    let ttyd_side = open_ttyd(connect(&socket).await, &attachment, limit).await.unwrap();
    let (browser, browser_side) = duplex(64 * 1024);
    let mut browser = Peer::new(browser, Sender::Server);
    let (_control, ordered) = oneshot::channel();
    let options = Options::new(Mode::Berth, Role::Editor);
    let browser_side = Side::new(browser_side, bytes::Bytes::new());
    let task = tokio::spawn(run(browser_side, ttyd_side, options, ordered, Arc::new(NoOther)));

    browser.send(&typed(START)).await;
    expect_shown(&mut browser, &format!("attached {attachment}\r\nready> ")).await;
    browser.send(&typed(br#"1{"columns":65535,"rows":65535}"#)).await;
    browser.send(&typed(b"")).await;
    browser.send(&frame(Sender::Client, Opcode::Binary, false, b"")).await;
    browser.send(&frame(Sender::Client, Opcode::Continuation, true, b"0echo $((6*7))\n")).await;
    expect_shown(&mut browser, "\r\n42\r\nready> ").await;
    browser.send(&typed(b"0stty size\n")).await;
    expect_shown(&mut browser, "\r\n500 1000\r\nready> ").await;

    browser.send(&typed(b"0exit\n")).await;
    let Ok(outcome) = timeout(limit, async {
        while browser.next().await.is_some_and(|(opcode, ..)| opcode != Opcode::Close) {}
        browser.send(&frame(Sender::Client, Opcode::Close, true, b"")).await;
        task.await.unwrap()
    })
    .await
    else {
        panic!("the end of the shell does not end the terminal");
    };
    assert!(matches!(outcome.reason, Reason::BoxClosed | Reason::BoxLost(_)), "{outcome:?}");
    assert_eq!(outcome.bytes_in, "echo $((6*7))\nstty size\nexit\n".len() as u64);
    assert_eq!(ttyd.try_wait().unwrap(), None, "ttyd died");
}
