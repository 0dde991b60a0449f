//! Backups that are believed because they were read back, and alarms when they can't be.

use std::fs;

use berth_tests::backup::{BackupStack, PASSWORD};
use berth_tests::process::stdout;
use berth_tests::s3::{KEY_ID, SECRET_KEY};
use berth_tests::wait;
use serde_json::Value;

#[tokio::test]
async fn only_what_was_read_back_and_compared_counts_as_verified() {
    let this = BackupStack::start("").await;
    // The drill follows the first backup by itself, and finds a sample to compare.
    fs::write(this.user("projects/kept"), "a sample").unwrap();
    let _ = this.first().await;
    let _ = this.followed(&["run"], 0);
    let drill = this.followed(&["check"], 0);
    assert!(drill["files"].as_u64() >= Some(1), "{drill}");
    let verified = this.state()["last_verified_ms"].as_i64().unwrap();
    assert!(this.state()["alarms"].as_array().is_none(), "{}", this.state());

    // A pack that is not what it was: found, told to the user, and not called verified.
    damage(&this);
    let failed = this.followed(&["check"], 1);
    let kind = failed["problem"]["kind"].as_str().unwrap();
    assert!(["repository_damaged", "differs"].contains(&kind), "{failed}");
    let state = this.state();
    assert!(state["alarms"][0].as_str().unwrap().contains("read back and is not right"), "{state}");
    assert_eq!(state["last_verified_ms"].as_i64(), Some(verified), "{state}");
}

#[tokio::test]
async fn a_broken_promise_is_told_to_the_user_and_taken_back() {
    let mut this = BackupStack::without_repository("new_keys_secs = 0").await;
    this.write_keys(KEY_ID, "not-the-secret", PASSWORD);
    this.stack.start_agent().await;
    let failed = this.first().await;
    assert_eq!(failed["problem"]["kind"], "access_denied", "{failed}");
    assert!(!this.s3.path("main").exists(), "a refusal is no reason to make a repository");
    assert!(this.state()["alarms"].is_null(), "nothing is promised for the first day");
    // Two days go by.
    this.stack.agent.stop();
    let database = rusqlite::Connection::open(this.stack.path("workspace/system/state/agent.db")).unwrap();
    let sql = "UPDATE backup_notes SET value = CAST(value AS INTEGER) - 172800000 WHERE name = 'since'";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    drop(database);
    this.stack.start_agent().await;
    wait::until("an alarm", async || {
        this.state()["alarms"].as_array().filter(|alarms| !alarms.is_empty()).map(drop)
    })
    .await;
    assert_eq!(this.backup(&["status"]).status.code(), Some(1));
    let status = this.stack.agent_verb(&["status"], "");
    assert!(String::from_utf8_lossy(&status.stdout).contains("There is no good backup yet"), "{status:?}");
    let words = wait::until("the user to be told", async || told(&this, "notification")).await;
    assert!(words.contains("There is no good backup yet"), "{words}");
    // The right key, without a restart: what was told is taken back.
    this.write_keys(KEY_ID, SECRET_KEY, PASSWORD);
    let good = this.followed(&["run"], 0);
    assert_eq!(good["outcome"], "good", "{good}");
    let _ = wait::until("it to be taken back", async || told(&this, "notification_withdrawn")).await;
    assert!(this.state()["alarms"].is_null(), "{}", this.state());
}

/// The first event of this kind that the gateway has stored.
fn told(this: &BackupStack, kind: &str) -> Option<String> {
    events(this).into_iter().find(|(stored, _)| stored == kind).map(|(_, text)| text)
}

/// Events that the gateway has stored.
fn events(this: &BackupStack) -> Vec<(String, String)> {
    let store = rusqlite::Connection::open(this.stack.path("gateway/gateway.db")).unwrap();
    let mut statement = store.prepare("SELECT kind, payload FROM events").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Damages every pack a little.
fn damage(this: &BackupStack) {
    let mut damaged = 0;
    for directory in fs::read_dir(this.s3.path("main/data")).unwrap() {
        for pack in fs::read_dir(directory.unwrap().path()).unwrap() {
            let path = pack.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            bytes.iter_mut().step_by(10).for_each(|byte| *byte ^= 1);
            fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0);
}

#[tokio::test]
async fn a_suspension_makes_a_backup_and_goes_on_without_one() {
    let this = BackupStack::start("suspend_deadline_secs = 60\nopen_deadline_secs = 1").await;
    let _ = this.first().await;
    fs::write(this.user("projects/last"), "last words").unwrap();
    let said = stdout(&this.stack.agent_verb(&["suspend"], ""));
    assert!(said.contains("backing up") && said.ends_with("the volume is not mounted"), "{said}");
    assert!(this.restic(&["ls", "latest"]).contains("/user/projects/last"));
    let refused = this.backup(&["run"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("resume the box first"), "{refused:?}");
    let _ = stdout(&this.stack.agent_verb(&["resume"], ""));
    let last: Value = this.ended("backup").await;
    assert_eq!(
        (last["reason"].as_str(), last["outcome"].as_str()),
        (Some("suspend"), Some("good")),
        "{last}"
    );
    this.proxy.set(berth_tests::s3::Weather::Status(403));
    let said = stdout(&this.stack.agent_verb(&["suspend"], ""));
    assert!(said.contains("no backup was made: the server refuses the access key"), "{said}");
}
