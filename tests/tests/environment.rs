//! A workspace's environment, from the API to the box.

use std::path::{Path, PathBuf};

use berth_tests::{Exec, Stack, wait};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// What must be found nowhere but in memory. Each kind of secret has its own.
const CANARIES: [&str; 2] = ["canary-variable-7f3a", "canary-file-91bc"];

fn secrets() -> Value {
    json!({
        "variables": [{ "name": "API_KEY", "value": CANARIES[0] }],
        "files": [
            { "destination": ".ssh/id_test", "secret": true, "content": BASE64.encode(CANARIES[1].as_bytes()) },
            { "destination": ".config/tool/settings.toml", "content": BASE64.encode(b"a = 1\n") },
        ],
    })
}

/// Every file below `directory`, links not followed.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(directory) = todo.pop() {
        // What goes meanwhile is not there.
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => todo.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// Looks for the canaries, plain and in base64, wherever a secret must not be.
fn assert_hidden(stack: &Stack) {
    let encoded = CANARIES.map(|canary| BASE64.encode(canary.as_bytes()));
    let words: Vec<&str> = CANARIES.into_iter().chain(encoded.iter().map(String::as_str)).collect();
    let memory = stack.path("run/secrets");
    let mut looked_at = Vec::new();
    for path in files(&stack.path("")).into_iter().filter(|path| !path.starts_with(&memory)) {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for word in &words {
            assert!(!holds(&bytes, word), "{} holds {word}", path.display());
        }
        looked_at.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    for name in ["agent.db", "gateway.db", "box-agent.log", "gateway.log", "environment.json"] {
        assert!(looked_at.iter().any(|found| found == name), "{name} was not looked at: {looked_at:?}");
    }
    let mut processes = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        processes += 1;
        words.iter().for_each(|word| assert!(!holds(&line, word), "a command line holds {word}"));
    }
    assert!(processes > 3);
}

#[tokio::test]
async fn variables_and_files_reach_the_box_and_secrets_nothing_else() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let told = client.put_environment(secrets()).await;
    assert!(!CANARIES.iter().any(|canary| told.to_string().contains(canary)), "{told}");
    client.wait_for_report("the box to have it", |report| report["waits_for_secrets"] == false).await;

    let file = stack.path("run/secrets/environment.sh");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("export API_KEY='{}'\n", CANARIES[0]));
    let home = stack.path("workspace/user/home");
    assert_eq!(std::fs::read_to_string(home.join(".ssh/id_test")).unwrap(), CANARIES[1]);
    assert!(home.join(".ssh/id_test").is_symlink());
    assert_eq!(std::fs::read_to_string(home.join(".config/tool/settings.toml")).unwrap(), "a = 1\n");
    assert_eq!(Exec::sh(&client, "printf %s \"$API_KEY\"").await.text(), CANARIES[0]);
    assert_eq!(Exec::sh(&client, "cat ~/.ssh/id_test").await.text(), CANARIES[1]);

    for scope in [vec!["show-environment", "-g"], vec!["show-environment", "-t", &session]] {
        let shown = stack.tmux.run(&scope).unwrap();
        assert!(shown.contains("HOME=") || shown.contains("BERTH_SESSION="), "{shown}");
        assert!(!CANARIES.iter().any(|canary| shown.contains(canary)), "{shown}");
    }
    let audit = client.get(&format!("/workspaces/{}/audit", client.workspace().await)).await;
    let entry = audit["entries"].as_array().unwrap().iter().find(|e| e["action"] == "environment_changed");
    assert_eq!(entry.unwrap()["detail"]["variables"], json!(["API_KEY"]), "{audit}");
    assert!(!CANARIES.iter().any(|canary| audit.to_string().contains(canary)), "{audit}");
    assert_hidden(&stack);

    client.put_environment(json!({})).await;
    wait::until("the environment to go", async || {
        let gone =
            !home.join(".ssh/id_test").is_symlink() && !home.join(".config/tool/settings.toml").exists();
        (gone && std::fs::read_to_string(&file).unwrap().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_that_is_made_right_after_finds_its_variables() {
    let stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    client.put_environment(json!({ "variables": [{ "name": "WORD", "value": "there" }] })).await;
    client.running_session("work").await;
    assert!(stack.path("run/secrets/environment.sh").exists());
}

#[tokio::test]
async fn secrets_come_back_after_their_memory_was_lost() {
    let mut stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    client.put_environment(secrets()).await;
    let key = stack.path("workspace/user/home/.ssh/id_test");
    wait::until("the key", async || key.exists().then_some(())).await;
    stack.agent.stop();
    std::fs::remove_dir_all(stack.path("run/secrets")).unwrap();
    assert!(key.is_symlink() && !key.exists(), "the key was on the volume");
    stack.start_agent().await;
    // Ready means that the first pass was made, and it waited for the gateway.
    assert_eq!(std::fs::read_to_string(&key).unwrap(), CANARIES[1]);
    assert!(stack.path("run/secrets/environment.sh").exists());
    assert_hidden(&stack);

    // Without the gateway, what is in memory stays, and what is lost is waited for only so long.
    stack.gateway.stop();
    stack.agent.stop();
    stack.start_agent().await;
    assert_eq!(std::fs::read_to_string(&key).unwrap(), CANARIES[1]);
    stack.agent.stop();
    std::fs::remove_dir_all(stack.path("run/secrets")).unwrap();
    stack.start_agent().await;
    let plain = stack.path("workspace/user/home/.config/tool/settings.toml");
    assert!(plain.exists() && key.is_symlink() && !key.exists());
    stack.gateway.start();
    stack.wait_for_gateway().await;
    wait::until("the key once more", async || key.exists().then_some(())).await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_item_and_what_to_do() {
    let stack = Stack::start_gateway().await;
    let client = stack.client().await;
    let refused = async |environment: Value, words: &str| {
        let answer = client.try_put_environment(environment.clone()).await;
        assert_eq!((answer.status, answer.kind()), (422, "invalid_environment"), "{environment}");
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    };
    let variable = |name: &str, value: &str| json!({ "variables": [{ "name": name, "value": value }] });
    let file = |path: &str| json!({ "files": [{ "destination": path, "content": "" }] });
    let repository = |url: &str| json!({ "repository": { "url": url, "directory": "a" } });
    refused(variable("LD_PRELOAD", "x"), "variable \"LD_PRELOAD\": it could keep every program").await;
    refused(variable("A;touch x", "x"), "variable \"A;touch x\": use 1 to 128 of").await;
    refused(variable("A", "a\0b"), "variable A: its value has a NUL").await;
    refused(file("../../etc/passwd"), "file \"../../etc/passwd\": ").await;
    refused(file("/etc/passwd"), "write it relative to the home directory").await;
    refused(repository("--upload-pack=touch x"), "repository address \"--upload-pack=touch x\": ").await;
    refused(repository("ext::sh -c touch% x"), "repository address").await;
    refused(repository("https://user:hunter2@host/a"), "the token has a field of its own").await;
    let large = "x".repeat(60 * 1024);
    let many: Vec<Value> = (0..5).map(|n| json!({ "name": format!("V{n}"), "value": large })).collect();
    refused(json!({ "variables": many }), "environment: it has 307210 bytes in all").await;

    let huge = json!({ "variables": [{ "name": "A", "value": "x".repeat(2 << 20) }] });
    assert_eq!(client.try_put_environment(huge).await.status, 413);
    let path = format!("/workspaces/{}/environment", client.workspace().await);
    let stale = json!({ "version": 99 });
    let answer = client.call(http::Method::PUT, &path, Some(stale)).await;
    assert_eq!((answer.status, answer.kind()), (409, "environment_changed"));
    assert_eq!(client.environment().await["version"], 0, "nothing was stored");
    assert!(!stack.gateway.log().contains("hunter2"));
}
