//! Backups through the gateway: where they go, how they are, what is in them, and the way back without box and volume.

use std::ffi::OsStr;
use std::fs;

use berth_tests::backup::BackupStack;
use berth_tests::process::{failure, run_with, stdout};
use berth_tests::s3::{BUCKET, KEY_ID, OTHER_KEY_ID, OTHER_SECRET_KEY, SECRET_KEY, Weather};
use berth_tests::{Client, wait};
use http::Method;
use serde_json::{Value, json};

fn repository(this: &BackupStack) -> Value {
    json!({
        "version": 0, "endpoint": format!("http://127.0.0.1:{}", this.proxy.port), "bucket": BUCKET,
        "prefix": "main", "key_id": KEY_ID, "secret_key": SECRET_KEY,
    })
}

async fn state(client: &Client, workspace: &str, done: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/workspaces/{workspace}/backups");
    wait::within(wait::PATIENCE * 4, "the backups' state", async || {
        let answer = client.call(Method::GET, &path, None).await;
        (answer.status == 200 && done(&answer.body)).then_some(answer.body)
    })
    .await
}

fn ended(state: &Value, work: &str) -> Option<Value> {
    let runs = state["history"].as_array()?;
    runs.iter().find(|run| run["work"] == work && run["outcome"].is_string()).cloned()
}

#[tokio::test]
async fn a_repository_set_up_in_the_gateway_is_backed_up_to_browsed_and_restored_from() {
    let this = BackupStack::by_gateway().await;
    let client = this.stack.client().await;
    client.wait_for_box("online").await;
    let workspace = client.workspace().await;
    let base = format!("/workspaces/{workspace}");
    let call = async |method, path: &str, body| client.call(method, &format!("{base}{path}"), body).await;

    // Nothing is set up.
    let before = call(Method::GET, "/backup-repository", None).await.body;
    assert_eq!((before["version"].as_u64(), before["endpoint"].is_null()), (Some(0), true), "{before}");
    let run = call(Method::POST, "/backups/run", None).await;
    assert_eq!((run.status, run.body["error"]["kind"].as_str()), (409, Some("backup_not_configured")));
    for (change, kind) in [
        (json!({ "endpoint": "http://example.org" }), "invalid_repository"),
        (json!({ "secret_key": "a b" }), "invalid_repository"),
        (json!({ "version": 7 }), "backup_changed"),
    ] {
        let mut body = repository(&this);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = call(Method::PUT, "/backup-repository", Some(body)).await;
        assert_eq!(refused.body["error"]["kind"], kind, "{}", refused.body);
    }

    // It is set up; the box hears of it, and a first backup comes by itself.
    let set = call(Method::PUT, "/backup-repository", Some(repository(&this))).await;
    assert_eq!(set.status, 200, "{}", set.body);
    assert!(!set.body.to_string().contains(SECRET_KEY), "a key comes out");
    fs::write(this.user("projects/notes \"ü\".txt"), "to be kept").unwrap();
    let first = state(&client, &workspace, |state| ended(state, "backup").is_some()).await;
    assert_eq!(ended(&first, "backup").unwrap()["outcome"], "good", "{first}");
    let database = fs::read(this.stack.path("workspace/system/state/agent.db")).unwrap();
    assert!(
        !database.windows(SECRET_KEY.len()).any(|bytes| bytes == SECRET_KEY.as_bytes()),
        "a key is on the volume"
    );

    // On demand.
    let newest = |state: &Value| state["history"][0]["run"].as_i64().unwrap();
    let idle =
        state(&client, &workspace, |state| state["running"].is_null() && ended(state, "drill").is_some())
            .await;
    let run = call(Method::POST, "/backups/run", None).await;
    assert_eq!(run.status, 202, "{}", run.body);
    let after = state(&client, &workspace, |state| {
        state["running"].is_null()
            && newest(state) > newest(&idle)
            && state["history"][0]["outcome"].is_string()
    })
    .await;
    assert_eq!(after["history"][0]["outcome"], "good", "{after}");

    // Browse, download, restore.
    let snapshots = call(Method::GET, "/backups/snapshots", None).await.body;
    assert_eq!(snapshots.as_array().unwrap().len(), 2, "{snapshots}");
    let entries = call(Method::GET, "/backups/entries?snapshot=latest&path=/user/projects", None).await.body;
    let entry = &entries[0];
    assert_eq!(
        (entry["name"].as_str(), entry["kind"].as_str()),
        (Some("notes \"ü\".txt"), Some("file")),
        "{entries}"
    );
    let path = "/backups/file?snapshot=latest&path=/user/projects/notes%20%22%C3%BC%22.txt";
    let file = client.request(Method::GET, &format!("{base}{path}")).send().await.unwrap();
    assert_eq!(file.status(), 200);
    assert_eq!(
        file.headers()["content-disposition"],
        "attachment; filename*=UTF-8''notes%20%22%C3%BC%22.txt"
    );
    assert_eq!(file.text().await.unwrap(), "to be kept");
    for (path, kind) in [
        ("/backups/entries?snapshot=latest&path=/user/nowhere", "backup_not_found"),
        ("/backups/entries?snapshot=latest&path=/../etc", "invalid_path"),
        ("/backups/entries?snapshot=-x&path=/user", "invalid_path"),
    ] {
        let refused = call(Method::GET, path, None).await;
        assert_eq!(refused.body["error"]["kind"], kind, "{}", refused.body);
    }
    fs::write(this.user("projects/notes \"ü\".txt"), "spoiled").unwrap();
    let order = json!({ "snapshot": "latest", "path": "/user/projects/notes \"ü\".txt", "in_place": true });
    assert_eq!(call(Method::POST, "/backups/restore", Some(order)).await.status, 202);
    let _ = state(&client, &workspace, |state| ended(state, "restore").is_some()).await;
    assert_eq!(fs::read_to_string(this.user("projects/notes \"ü\".txt")).unwrap(), "to be kept");

    // What was done is on the record, without secrets.
    let audit = call(Method::GET, "/audit", None).await.body.to_string();
    for action in ["backup_repository_changed", "backup_run", "backup_file", "backup_restore"] {
        assert!(audit.contains(action), "{action} is not in {audit}");
    }
    assert!(!audit.contains(SECRET_KEY));
}

/// Files of the repository that hold data.
fn packs(this: &BackupStack) -> usize {
    let count =
        |directory: std::io::Result<fs::DirEntry>| fs::read_dir(directory.unwrap().path()).unwrap().count();
    fs::read_dir(this.s3.path("main/data")).unwrap().map(count).sum()
}

#[tokio::test]
#[ignore = "opens a repository many times whose key is dear to derive"]
async fn a_box_whose_key_can_not_delete_backs_up_and_the_gateway_prunes() {
    let this = BackupStack::by_gateway().await;
    this.proxy.set(Weather::AddOnly);
    let client = this.stack.client().await;
    client.wait_for_box("online").await;
    let workspace = client.workspace().await;
    let mut wanted = repository(&this);
    wanted["add_only"] = true.into();
    let path = format!("/workspaces/{workspace}/backup-repository");
    assert_eq!(client.call(Method::PUT, &path, Some(wanted)).await.status, 200);
    let sheet = client.call(Method::POST, &format!("{path}/recovery-sheet"), None).await.body;
    let password = sheet["password"].as_str().unwrap();
    let first = state(&client, &workspace, |state| ended(state, "drill").is_some()).await;
    for work in ["backup", "drill"] {
        let run = ended(&first, work).unwrap();
        assert_eq!((run["outcome"].as_str(), run["warnings"].is_null()), (Some("good"), true), "{run}");
    }
    // Once more: what could not be taken away is in nobody's way.
    let good = this.followed(&["run"], 0);
    assert!(good["warnings"].is_null(), "{good}");
    assert!(this.proxy.refused() > 0, "nothing was refused, so nothing was shown");
    let phases = good["phases"].to_string();
    assert!(!phases.contains("forgetting") && !phases.contains("giving space"), "{phases}");

    // Of a day long ago only the last is kept, and the oldest of all: between them is something to give back.
    let old = this.stack.path("old");
    for (hour, more) in [("01", 1), ("02", 2), ("03", 3)] {
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(500_000 + more).collect();
        fs::write(&old, noise).unwrap();
        let time = format!("2020-01-01 {hour}:00:00");
        let words =
            ["backup", "--host", &workspace, "--tag", "berth", "--time", &time, old.to_str().unwrap()];
        let made = this.try_restic(&words, password);
        assert!(made.status.success(), "{made:?}");
    }
    let before = packs(&this);
    let config = this.stack.path("gateway.toml");
    let restic = berth_tests::programs::restic();
    let words = ["backup", "prune", "main", "--restic", restic.to_str().unwrap(), "--config"];
    let words = [words.as_slice(), &[config.to_str().unwrap()]].concat();
    let with = |id: &'static str, secret: &'static str| {
        let keys = [("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)];
        let keys = keys.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        run_with(&berth_tests::programs::built("gateway"), &words, &keys)
    };
    let refused = with(KEY_ID, SECRET_KEY);
    assert!(!refused.status.success(), "the box's own key prunes: {refused:?}");
    assert_eq!(packs(&this), before);
    let pruned = stdout(&with(OTHER_KEY_ID, OTHER_SECRET_KEY));
    assert!(packs(&this) < before, "{pruned}");
    let list = this.try_restic(&["snapshots", "--json", "--no-lock"], password);
    let list: Vec<Value> = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list.len(), 4, "{list:?}");
    let checked = this.try_restic(&["check"], password);
    assert!(checked.status.success(), "{checked:?}");
    let after = this.followed(&["run"], 0);
    assert_eq!(after["outcome"], "good", "{after}");
}

#[tokio::test]
async fn the_recovery_sheet_alone_brings_everything_back_and_is_shown_once() {
    let mut this = BackupStack::by_gateway().await;
    let client = this.stack.client().await;
    client.wait_for_box("online").await;
    let workspace = client.workspace().await;
    fs::write(this.user("projects/work"), "years").unwrap();
    let path = format!("/workspaces/{workspace}/backup-repository");
    let set = client.call(Method::PUT, &path, Some(repository(&this))).await;
    assert_eq!((set.status, set.body["recovery_sheet"].as_bool()), (200, Some(true)), "{}", set.body);
    let _ = state(&client, &workspace, |state| ended(state, "backup").is_some()).await;
    let sheet = client.call(Method::POST, &format!("{path}/recovery-sheet"), None).await;
    assert_eq!(sheet.status, 200, "{}", sheet.body);
    let again = client.call(Method::POST, &format!("{path}/recovery-sheet"), None).await;
    assert_eq!((again.status, again.body["error"]["kind"].as_str()), (409, Some("recovery_sheet_shown")));
    let shown = client.call(Method::GET, &path, None).await.body;
    assert_eq!(shown["recovery_sheet"], false, "{shown}");

    // Keys are rotated; the password stays, and no sheet is due.
    let mut rotated = repository(&this);
    rotated["version"] = shown["version"].clone();
    rotated["add_only"] = true.into();
    let rotated = client.call(Method::PUT, &path, Some(rotated)).await.body;
    assert_eq!(
        (rotated["recovery_sheet"].as_bool(), rotated["add_only"].as_bool()),
        (Some(false), Some(true))
    );

    // What the box can't delete is pruned by whoever has a key that can, which is on no box.
    let restic = berth_tests::programs::restic();
    let words = ["backup", "prune", "main", "--restic", restic.to_str().unwrap()];
    let said = failure(&this.stack.gateway_verb(&words), 78);
    assert!(said.contains("AWS_ACCESS_KEY_ID"), "{said}");
    let config = this.stack.path("gateway.toml");
    let words = [words.as_slice(), &["--config", config.to_str().unwrap()]].concat();
    let keys = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let keys = keys.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
    let pruned = stdout(&run_with(&berth_tests::programs::built("gateway"), &words, &keys));
    assert!(pruned.contains("1 snapshots"), "{pruned}");

    // Box, volume and gateway are gone.
    this.stack.agent.kill();
    this.stack.gateway.kill();
    for name in ["box", "workspace", "gateway", "cache"] {
        fs::remove_dir_all(this.stack.path(name)).unwrap();
    }
    let (password, host) = (sheet.body["password"].as_str().unwrap(), sheet.body["host"].as_str().unwrap());
    assert_eq!(host, workspace);
    let out = this.stack.path("out");
    let words = ["restore", "latest:/user", "--host", host, "--target", out.to_str().unwrap()];
    let restored = this.try_restic(&words, password);
    assert!(restored.status.success(), "{restored:?}");
    assert_eq!(fs::read_to_string(out.join("projects/work")).unwrap(), "years");
    let steps = sheet.body["steps"].to_string();
    assert!(
        steps.contains("restore latest:/user") && steps.contains("RESTIC_REPOSITORY=s3:http://"),
        "{steps}"
    );
}
