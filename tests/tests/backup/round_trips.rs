//! Backups and restores with a real restic and a real S3 server.

#![expect(clippy::disallowed_methods, reason = "files of gigabytes are compared by another program")]

use std::fs;
use std::os::unix::fs::symlink;

use crate::tree::{self, assert_same, plant};
use berth_tests::backup::{BackupStack, PASSWORD};
use berth_tests::process::{failure, stdout};

/// The first backup comes by itself and at once.
#[tokio::test]
async fn a_tree_comes_back_as_it_was_byte_for_byte_aside_and_in_place() {
    let this = BackupStack::start("").await;
    let first = this.first().await;
    assert_eq!(
        (first["reason"].as_str(), first["outcome"].as_str()),
        (Some("scheduled"), Some("good")),
        "{first}"
    );
    plant(&this.user("projects/work"));
    let second = this.followed(&["run"], 0);
    assert!(second["files"].as_u64() > first["files"].as_u64(), "{second}");
    let list = stdout(&this.backup(&["list"]));
    assert_eq!(list.lines().count(), 2, "{list}");

    // Aside, then in place over a tree that was spoiled, and once more, which changes nothing.
    let restored = this.followed(&["restore", "/user/projects/work"], 0);
    let place = restored["place"].as_str().unwrap().trim_start_matches("/user/").to_owned();
    assert_same(&this.user("projects/work"), &this.user(&place));
    fs::rename(this.user("projects/work"), this.user("projects/true")).unwrap();
    fs::create_dir_all(this.user("projects/work/dir/deeper")).unwrap();
    fs::write(this.user("projects/work/empty"), "not empty").unwrap();
    fs::write(this.user("projects/work/mine alone"), "stays").unwrap();
    for _ in 0..2 {
        let _ =
            this.followed(&["restore", "--in-place", "--snapshot", &id(&second), "/user/projects/work"], 0);
        assert_eq!(fs::read_to_string(this.user("projects/work/mine alone")).unwrap(), "stays");
        fs::rename(this.user("projects/work/mine alone"), this.user("projects/alone")).unwrap();
        assert_same(&this.user("projects/true"), &this.user("projects/work"));
        fs::rename(this.user("projects/alone"), this.user("projects/work/mine alone")).unwrap();
    }
    // How things were before each is in a snapshot of its own.
    let state = this.state();
    let safety = state["history"].as_array().unwrap().iter().filter(|run| run["reason"] == "safety").count();
    assert_eq!(safety, 2, "{state}");

    // One file, and what is not there.
    fs::remove_file(this.user("projects/true/dir/a file")).unwrap();
    let one = this.followed(&["restore", "--snapshot", &id(&second), "/user/projects/work/dir/a file"], 0);
    assert_eq!(one["files"], 1, "{one}");
    let none = this.followed(&["restore", "/user/projects/nowhere"], 1);
    assert_eq!(none["problem"]["kind"], "not_found", "{none}");
    let said = failure(&this.backup(&["restore", "/system/state"]), 1);
    assert!(said.contains("must be in /user"), "{said}");

    // What is listed is what is there, and differences are told.
    let ls = stdout(&this.backup(&["ls", "--snapshot", &id(&second), "/user/projects/work/dir"]));
    assert!(ls.contains("/user/projects/work/dir/a file"), "{ls}");
    let diff = stdout(&this.backup(&["diff", &id(&first), &id(&second)]));
    assert!(diff.contains("+  /user/projects/work/empty"), "{diff}");
    this.assert_sound();
    let staging = fs::read_dir(this.stack.path("workspace/system/restore")).unwrap().count();
    assert_eq!(staging, 0, "nothing is left of a restore");
}

#[tokio::test]
async fn an_empty_volume_on_a_new_box_gets_everything_back_by_one_command() {
    let mut this = BackupStack::start("").await;
    let _ = this.first().await;
    plant(&this.user("projects/work"));
    fs::write(this.user("home/.profile"), "mine").unwrap();
    let good = this.followed(&["run"], 0);

    // The machine is gone: identity, volume, cache. The next one is enrolled for the same workspace.
    this.stack.agent.kill();
    let _ = this.stack.tmux.run(&["kill-server"]);
    fs::rename(this.stack.path("workspace"), this.stack.path("lost")).unwrap();
    for name in ["box", "run", "cache"] {
        fs::remove_dir_all(this.stack.path(name)).unwrap();
    }
    this.stack.enroll("main");
    this.stack.start_agent().await;
    // It does not put its empty tree before the backups.
    let refused = this.first().await;
    assert_eq!(refused["problem"]["kind"], "new_volume", "{refused}");
    let restored = this.followed(&["restore", "--all"], 0);
    assert_eq!(restored["snapshot"], good["snapshot"], "{restored}");
    assert_same(&this.stack.path("lost/user/projects/work"), &this.user("projects/work"));
    assert_eq!(fs::read_to_string(this.user("home/.profile")).unwrap(), "mine");
    assert_eq!(fs::read_link(this.user("home/.ssh")).unwrap(), std::path::Path::new("../.ssh"));
    let next = this.followed(&["run"], 0);
    assert_eq!(next["outcome"], "good", "backups go on: {next}");
}

#[tokio::test]
async fn what_is_left_out_is_told_and_secrets_are_nowhere() {
    let this = BackupStack::start(
        "also = [\"system/extra\"]\nexclude = [\"*.iso\"]\nhook_deadline_secs = 2\nprune_secs = 1",
    )
    .await;
    let first = this.first().await;
    assert_eq!(first["outcome"], "partial", "a source is missing: {first}");
    assert!(first["warnings"][0].as_str().unwrap().contains("system/extra is not backed up"), "{first}");
    assert!(this.state()["last_good_ms"].is_null(), "what is partial is not good");
    let _ = this.followed(&["run"], 3);

    fs::create_dir_all(this.stack.path("workspace/system/extra")).unwrap();
    for (path, content) in [
        ("user/projects/p/node_modules/x/index.js", "again"),
        ("user/projects/p/target/debug/x", "again"),
        ("user/projects/p/disk.iso", "operator"),
        ("user/projects/p/own.tmp", "user"),
        ("user/projects/p/kept", "kept"),
        ("user/restored/x/y", "restored"),
        ("user/home/.config/berth/backup-exclude", "# mine\n*.tmp\n[broken\n!/**/system/state/agent.db\n"),
        ("system/state/tailscale/key", "secret"),
    ] {
        let path = this.stack.path("workspace").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(this.user("projects/p/socket")).unwrap();
    symlink("/etc", this.user("projects/p/link")).unwrap();
    let good = this.followed(&["run"], 0);
    let state = this.state();
    assert!(state["last_good_ms"].is_i64());
    // Old snapshots are forgotten each time, and their space is given back now and then.
    let phases = |name: &str| {
        let runs = state["history"].as_array().unwrap().iter();
        runs.flat_map(|run| run["phases"].as_array().unwrap()).any(|phase| phase["name"] == name)
    };
    assert!(phases("forgetting old snapshots") && phases("giving space back"), "{state}");
    assert!(good["warnings"].is_null(), "{good}");
    let listed = this.restic(&["ls", &id(&good)]);
    for there in
        ["/user/projects/p/kept", "/user/projects/p/link", "/system/backups/agent.db", "/system/extra"]
    {
        assert!(listed.lines().any(|line| line == there), "{there} is not in\n{listed}");
    }
    for left_out in [
        "node_modules/x",
        "target/debug",
        "disk.iso",
        "own.tmp",
        "user/restored",
        "tailscale",
        "state/agent.db",
        "etc/",
    ] {
        assert!(!listed.contains(left_out), "{left_out} is in\n{listed}");
    }
    // The copy of the database is one.
    let out = this.stack.path("out");
    let _ = this.restic(&[
        "restore",
        &format!("{}:/system/backups", id(&good)),
        "--target",
        out.to_str().unwrap(),
    ]);
    let copy = rusqlite::Connection::open(out.join("agent.db")).unwrap();
    let verdict: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let runs: i64 = copy.query_row("SELECT COUNT(*) FROM backup_runs", [], |row| row.get(0)).unwrap();
    assert!(runs >= 3);
    // No secret anywhere but in the files that hold it.
    let log = this.stack.agent.log();
    for secret in [PASSWORD, berth_tests::s3::SECRET_KEY] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    assert_eq!(fs::read_dir(this.stack.path("run/backup")).unwrap().count(), 0, "papers are left");
    hooks(&this);
}

/// Hooks run around a backup, and one that fails or hangs makes it partial.
fn hooks(this: &BackupStack) {
    let hook = |name: &str, script: &str| {
        let path = this.user("home/.config/berth").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    hook("pre_backup", "echo dump > ~/dump");
    hook("post_backup", "rm ~/dump; echo once >> ~/after");
    let good = this.followed(&["run"], 0);
    assert!(this.restic(&["ls", &id(&good)]).contains("/user/home/dump"));
    assert!(!this.user("home/dump").exists());
    assert_eq!(fs::read_to_string(this.user("home/after")).unwrap(), "once\n");
    hook("pre_backup", "echo no disk >&2; exit 4");
    let failed = this.followed(&["run"], 3);
    let warning = failed["warnings"][0].as_str().unwrap();
    assert!(warning.contains("pre_backup failed (exit code 4): no disk"), "{failed}");
    hook("pre_backup", "sleep 1000 & wait");
    let hung = this.followed(&["run"], 3);
    assert!(hung["warnings"][0].as_str().unwrap().contains("did not end within 2 s"), "{hung}");
    assert!(hung["snapshot"].is_string(), "a snapshot is made all the same");
}

#[tokio::test]
#[ignore = "moves gigabytes"]
async fn a_file_of_a_gibibyte_comes_back() {
    use std::io::Write;
    let this = BackupStack::start("").await;
    let _ = this.first().await;
    let path = this.user("projects/huge");
    let mut file = fs::File::create(&path).unwrap();
    for seed in 0..64 {
        file.write_all(&tree::noise_of(seed, 16 << 20)).unwrap();
    }
    file.write_all(b"and a little more").unwrap();
    drop(file);
    let good = this.followed(&["run"], 0);
    assert!(good["added_bytes"].as_u64() > Some(1 << 30), "{good}");
    let restored = this.followed(&["restore", "/user/projects/huge"], 0);
    let place = this.user(restored["place"].as_str().unwrap().trim_start_matches("/user/"));
    let same = std::process::Command::new("cmp").arg(&path).arg(&place).status().unwrap();
    assert!(same.success());
}

/// The first digits of a record's snapshot.
fn id(record: &serde_json::Value) -> String {
    record["snapshot"].as_str().unwrap_or_else(|| panic!("no snapshot: {record}")).chars().take(10).collect()
}
