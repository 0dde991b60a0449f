//! A workspace's environment, from the API to the box.

use std::path::{Path, PathBuf};

use berth_tests::{Exec, Stack, Terminal, wait};
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
    let session = client.running_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.type_text("echo \"pane-$WORD\"\r").await;
    terminal.read_until("pane-there").await;
    // A window that its user opens.
    let target = format!("={session}:");
    stack.tmux.run(&["new-window", "-t", &target]).expect("a window");
    terminal.type_text("echo \"window-$WORD\"\r").await;
    terminal.read_until("window-there").await;
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

    let huge = json!({ "version": 0, "variables": [{ "name": "A", "value": "x".repeat(1 << 20) }] });
    let path = format!("/workspaces/{}/environment", client.workspace().await);
    // A connection that is closed while this still sends may take the answer along.
    let answer = wait::until("a refusal", async || {
        client.try_call(http::Method::PUT, &path, Some(huge.clone())).await
    });
    assert_eq!(answer.await.status, 413);
    let stale = json!({ "version": 99 });
    let answer = client.call(http::Method::PUT, &path, Some(stale)).await;
    assert_eq!((answer.status, answer.kind()), (409, "environment_changed"));
    assert_eq!(client.environment().await["version"], 0, "nothing was stored");
    assert!(!stack.gateway.log().contains("hunter2"));
}

/// A bare repository with one commit, served by git itself over http, and what was asked of it.
struct Repository {
    url: String,
    stop: tokio::task::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Repository {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        let script = "git init -q -b main work && cd work && echo hello > README && git add . && \
             git -c user.name=t -c user.email=t@t commit -q -m first && cd .. && \
             git clone -q --bare work app.git && git -C app.git update-server-info";
        let said = berth_tests::process::run(
            Path::new("/bin/sh"),
            &["-c", &format!("cd '{}' && {script}", path.display())],
            "",
        );
        assert!(said.status.success(), "{said:?}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/app.git", listener.local_addr().unwrap());
        let stop = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, path.clone()));
            }
        });
        Self { url, stop, _directory: directory }
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        self.stop.abort();
    }
}

/// Answers one request with a file, if it has the right token.
async fn serve(stream: tokio::net::TcpStream, root: PathBuf) {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut stream = BufReader::new(stream);
    let (mut head, mut line) = (Vec::new(), String::new());
    while stream.read_line(&mut line).await.is_ok_and(|count| count > 2) {
        head.push(std::mem::take(&mut line));
    }
    let path = head.first().and_then(|first| first.split(' ').nth(1)).unwrap_or("/");
    let path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
    let right = format!("Basic {}", BASE64.encode(format!("x-access-token:{TOKEN}").as_bytes()));
    let (status, body) = if !head.iter().any(|line| line.contains(&right)) {
        ("401 No\r\nWWW-Authenticate: Basic realm=\"x\"", Vec::new())
    } else {
        std::fs::read(root.join(path)).map_or(("404 No", Vec::new()), |body| ("200 OK", body))
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A client that has gone wants no answer.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
}

/// The processes that work below `directory`, by their command lines.
fn workers(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let here = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory));
        let ours = line.contains(directory.to_str().unwrap());
        if (here || ours)
            && (line.contains(" worker ") || line.starts_with("git ") || line.contains("git-remote"))
        {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            assert!(!holds(&environment, TOKEN) && !line.contains(TOKEN), "{line} tells the token");
            found.push(line);
        }
    }
    found
}

#[tokio::test]
async fn a_clone_ends_with_its_agent_and_is_never_taken_for_a_whole_one() {
    let mut stack = Stack::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/app.git", listener.local_addr().unwrap());
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let repository = json!({ "url": url, "directory": "app", "token": TOKEN });
    client.put_environment(json!({ "repository": repository })).await;
    // git has come, and waits for an answer for ever.
    let _held = listener.accept().await.unwrap();
    client.wait_for_report("the clone", |report| report["repository"]["state"] == "running").await;
    let all = stack.path("");
    assert!(workers(&all).iter().any(|line| line.starts_with("git ")), "{:?}", workers(&all));
    assert!(workers(&all).iter().any(|line| line.contains(" worker clone ")), "{:?}", workers(&all));
    stack.agent.kill();
    wait::until("git to end", async || workers(&all).is_empty().then_some(())).await;
    assert!(!stack.path("workspace/user/projects/app").exists());
}

const TOKEN: &str = "canary-token-0c4e";

#[tokio::test]
async fn a_repository_is_cloned_with_its_files_and_the_script_runs_once_in_it() {
    let mut stack = Stack::start().await;
    let repository = Repository::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let script = "echo \"$WORD\" >> ran; cat README .env >> ran";
    let environment = |token: &str| {
        json!({
            "variables": [{ "name": "WORD", "value": "variable" }],
            "files": [{ "destination": "projects/app/.env", "content": BASE64.encode(b"file\n") }],
            "repository": { "url": repository.url, "directory": "app", "token": token },
            "post_start": script,
        })
    };
    client.put_environment(environment("wrong")).await;
    let report =
        client.wait_for_report("a refusal", |report| report["repository"]["state"] == "failed").await;
    let message = report["repository"]["message"].as_str().unwrap();
    assert!(message.contains("give a token that may read the repository"), "{report}");
    assert_eq!(report["post_start"]["state"], "waiting", "{report}");
    let app = stack.path("workspace/user/projects/app");
    assert!(!app.exists(), "something took the repository's place");
    let status: Value = serde_json::from_slice(&stack.agent_verb(&["status", "--json"], "").stdout).unwrap();
    assert!(status["troubles"]["environment"].as_str().unwrap().starts_with("repository: "), "{status}");

    client.put_environment(environment(TOKEN)).await;
    client.wait_for_report("the script", |report| report["post_start"]["state"] == "done").await;
    assert_eq!(std::fs::read_to_string(app.join("ran")).unwrap(), "variable\nhello\nfile\n");
    assert!(!std::fs::read_to_string(app.join(".git/config")).unwrap().contains(TOKEN));
    let encoded = BASE64.encode(format!("x-access-token:{TOKEN}").as_bytes());
    for path in files(&stack.path("")) {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        assert!(!holds(&bytes, TOKEN) && !holds(&bytes, &encoded), "{} holds the token", path.display());
    }

    stack.agent.stop();
    stack.start_agent().await;
    client.wait_for_report("it after a restart", |report| report["post_start"]["state"] == "done").await;
    assert_eq!(std::fs::read_to_string(app.join("ran")).unwrap().lines().count(), 3, "it ran again");
    let mut changed = environment(TOKEN);
    changed["post_start"] = json!("echo once more >> ran; exit 3");
    client.put_environment(changed).await;
    let report =
        client.wait_for_report("the other", |report| report["post_start"]["state"] == "failed").await;
    assert!(report["post_start"]["message"].as_str().unwrap().contains("exit status: 3"), "{report}");
    assert!(std::fs::read_to_string(app.join("ran")).unwrap().ends_with("once more\n"));
}
