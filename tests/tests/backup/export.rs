//! The way out: all files as one archive, in the browser's way, in a file, and in the bucket; and one that is cut is never
//! taken for a whole one.

#![expect(
    clippy::disallowed_methods,
    reason = "an archive is unpacked by other programs than the one that made it"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::tree::{self, assert_same, plant};
use berth_tests::backup::BackupStack;
use berth_tests::process::{failure, stdout};
use berth_tests::s3::{SECRET_KEY, Weather};
use http::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Unpacks an archive by GNU tar and zstd. False: they say that it is not whole.
fn unpack(archive: &[u8], to: &Path) -> bool {
    fs::create_dir_all(to).unwrap();
    let words = ["--zstd", "--extract", "--preserve-permissions", "--xattrs", "--numeric-owner", "--file=-"];
    let mut tar = Command::new("tar")
        .args(words)
        .arg("--directory")
        .arg(to)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // One that has seen enough does not listen any more.
    let _ = tar.stdin.take().unwrap().write_all(archive);
    tar.wait().unwrap().success()
}

/// Lines of the index by their paths.
fn index(root: &Path) -> Vec<Value> {
    let text = fs::read_to_string(root.join("BERTH-INDEX.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg("--").arg(path).output().unwrap();
    String::from_utf8_lossy(&output.stdout).chars().take(64).collect()
}

#[tokio::test]
async fn everything_comes_through_the_gateway_as_it_was_and_is_in_the_index() {
    let this = BackupStack::by_gateway().await;
    let client = this.stack.client().await;
    client.wait_for_box("online").await;
    let workspace = client.workspace().await;
    plant(&this.user("projects/work"));
    let long = this.user(&format!("projects/{}/{}", "d".repeat(120), "f".repeat(200)));
    fs::create_dir_all(long.parent().unwrap()).unwrap();
    fs::write(&long, "far away").unwrap();
    std::os::unix::fs::symlink("t".repeat(300), this.user("projects/long link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(this.user("projects/socket")).unwrap();

    // Without any repository: whoever leaves needs none.
    let path = format!("/workspaces/{workspace}/backups/archive");
    let answer = client.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/zstd");
    let name = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(name.starts_with("attachment; filename*=UTF-8''main-") && name.ends_with(".tar.zst"), "{name}");
    let archive = answer.bytes().await.unwrap();

    let out = this.stack.path("out");
    assert!(unpack(&archive, &out));
    assert_same(&this.user("projects/work"), &out.join("user/projects/work"));
    let same = long.strip_prefix(this.user("")).unwrap();
    assert_eq!(fs::read_to_string(out.join("user").join(same)).unwrap(), "far away");
    assert_eq!(fs::read_link(out.join("user/projects/long link")).unwrap(), Path::new(&"t".repeat(300)));
    assert!(!out.join("user/projects/socket").exists());
    assert!(!out.join("system").exists(), "what is the agent's own is nobody's");

    let index = index(&out);
    let of = |path: &str| index.iter().find(|line| line["path"] == path).cloned().unwrap_or_default();
    for name in ["large", "sparse", "empty", "dir/tab\there"] {
        let path = this.user("projects/work").join(name);
        let line = of(&format!("user/projects/work/{name}"));
        let size = fs::metadata(&path).unwrap().len();
        assert_eq!(line["size"].as_u64(), Some(size), "{line}");
        if name == "sparse" {
            // Its holes are in no hash.
            assert!(line["parts_sha256"].is_string() && line["sha256"].is_null(), "{line}");
        } else {
            assert_eq!(line["sha256"].as_str(), Some(&*sha256(&path)), "{line}");
        }
    }
    assert_eq!(of("user/projects/work/setuid")["mode"], "4755");
    let end = index.last().unwrap();
    assert_eq!(end["kind"], "end", "{end}");
    let flawed: Vec<&Value> = index.iter().filter(|line| !line["flaw"].is_null()).collect();
    assert!(flawed.is_empty(), "{flawed:?}");

    // The agent's program holds an archive to its index; one that is cut, it does not believe, nor does tar.
    let file = this.stack.path("all.tar.zst");
    fs::write(&file, &archive).unwrap();
    let said = stdout(&this.backup(&["export-check", file.to_str().unwrap()]));
    assert!(said.contains(" files, "), "{said}");
    for length in [archive.len() - 1, archive.len() / 2] {
        fs::write(&file, &archive[..length]).unwrap();
        let said = failure(&this.backup(&["export-check", file.to_str().unwrap()]), 1);
        assert!(said.contains("can't be read to its end"), "{said}");
        assert!(!unpack(&archive[..length], &this.stack.path("cut")), "cut at {length}");
    }
    let audit =
        client.call(Method::GET, &format!("/workspaces/{workspace}/audit"), None).await.body.to_string();
    assert!(audit.contains("backup_archive"), "{audit}");
}

/// The process that writes an archive of this tree.
fn writer(tree: &Path) -> Option<Pid> {
    let ending = format!("worker\0export\0--root\0{}\0", tree.display());
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.map(Pid::from_raw).find(|pid| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(&ending))
    })
}

#[tokio::test]
async fn a_stream_that_is_cut_breaks_off_and_its_writer_ends() {
    let this = BackupStack::by_gateway().await;
    let client = this.stack.client().await;
    client.wait_for_box("online").await;
    let workspace = client.workspace().await;
    // More than all that lies on the way can hold.
    fs::write(this.user("projects/large"), tree::noise(48 << 20)).unwrap();
    let path = format!("/workspaces/{workspace}/backups/archive");
    let tree = this.stack.path("workspace/user");
    let writer = || writer(&tree);

    // Whoever does not read holds it up: nothing of it piles up.
    let mut answer = client.request(Method::GET, &path).send().await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    assert!(writer().is_some(), "it is done already: the stream is not held up");
    // Meanwhile another is refused.
    let other = client.call(Method::GET, &path, None).await;
    assert_eq!(
        (other.status, other.body["error"]["kind"].as_str()),
        (409, Some("backup_busy")),
        "{}",
        other.body
    );
    // Its writer is killed: the reader hears of it.
    kill(writer().unwrap(), Signal::SIGKILL).unwrap();
    let mut broke = false;
    loop {
        match answer.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => {
                broke = true;
                break;
            }
        }
    }
    assert!(broke, "a part came as if it were the whole");

    // Whoever goes away ends it, and the next one may.
    let answer = berth_tests::wait::until("another to be let in", async || {
        let answer = client.request(Method::GET, &path).send().await.unwrap();
        (answer.status() == 200).then_some(answer)
    })
    .await;
    drop(answer);
    berth_tests::wait::until("its writer to end", async || writer().is_none().then_some(())).await;
}

#[tokio::test]
async fn an_archive_is_put_into_the_bucket_by_command_or_api_and_on_bad_days_nothing_is() {
    let this = BackupStack::start("open_deadline_secs = 2\nstall_secs = 3").await;
    let _ = this.first().await;
    plant(&this.user("projects/work"));
    // Three parts.
    fs::write(this.user("projects/noise"), tree::noise(33 << 20)).unwrap();
    let exports = this.s3.path("main/exports");
    for (weather, expected) in [(Weather::Status(403), "access_denied"), (Weather::Full, "no_space")] {
        this.proxy.set(weather);
        let failed = this.followed(&["export", "--to", "s3"], 1);
        assert_eq!(failed["problem"]["kind"], expected, "{failed}");
    }
    // Most requests get through, and the rest is tried again.
    this.proxy.set(Weather::Storm);
    let good = this.followed(&["export", "--to", "s3"], 0);
    this.proxy.set(Weather::Fair);
    assert_eq!((good["work"].as_str(), good["outcome"].as_str()), (Some("export"), Some("good")), "{good}");
    let stored: Vec<_> = fs::read_dir(&exports).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(stored.len(), 1, "{stored:?}");
    let place = good["place"].as_str().unwrap();
    let name = stored[0].file_name().unwrap().to_str().unwrap();
    assert!(place.starts_with("s3://boxes/main/exports/") && place.ends_with(name), "{place} {name}");
    let archive = fs::read(&stored[0]).unwrap();
    assert_eq!(good["added_bytes"].as_u64(), Some(archive.len() as u64), "{good}");
    let out = this.stack.path("out");
    assert!(unpack(&archive, &out));
    assert_same(&this.user("projects/work"), &out.join("user/projects/work"));

    // It is no trouble for the repository beside it.
    let _ = this.followed(&["run"], 0);
    this.assert_sound();

    // By the API; the run is in the history, and no key anywhere.
    let client = this.stack.client().await;
    let workspace = client.workspace().await;
    let path = format!("/workspaces/{workspace}/backups/export");
    let begun = client.call(Method::POST, &path, Some(json!({}))).await;
    assert_eq!(begun.status, 202, "{}", begun.body);
    let ended = this.ended("export").await;
    assert_eq!(ended["outcome"], "good", "{ended}");
    assert_eq!(fs::read_dir(&exports).unwrap().count(), 2);
    assert!(!this.stack.agent.log().contains(SECRET_KEY) && !this.stack.agent.log().contains("X-Amz-"));
    assert!(!this.state().to_string().contains("X-Amz-"));
}

#[tokio::test]
async fn an_archive_in_a_file_is_there_when_it_is_whole_and_replaces_nothing() {
    let this = BackupStack::start("").await;
    let _ = this.first().await;
    plant(&this.user("projects/work"));
    let file = this.stack.path("all.tar.zst");
    let path = file.to_str().unwrap();
    let said = stdout(&this.backup(&["export", "--to", path]));
    assert!(said.contains(" files, "), "{said}");
    let _ = stdout(&this.backup(&["export-check", path]));
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap());
    assert_eq!(mode & 0o777, 0o600, "all of somebody's files");
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    let said = failure(&this.backup(&["export", "--to", path]), 1);
    assert!(said.contains("exists"), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
    assert!(!file.with_extension("zst.part").exists());
    // Through a pipe.
    let piped = this.backup(&["export", "--to", "-"]);
    assert_eq!(piped.status.code(), Some(0));
    assert!(unpack(&piped.stdout, &this.stack.path("out")));
    assert_same(&this.user("projects/work"), &this.stack.path("out/user/projects/work"));
    // What has no name that such a program knows is told, too.
    let said = failure(&this.backup(&["export-check", "/nowhere"]), 64);
    assert!(said.contains("No such file"), "{said}");
}
