//! Commands without a terminal: streamed while they run, bounded, gone with their client, and on the record.

use berth_protocol::control::MAX_EXEC_OUTPUT;
use berth_protocol::ids::{UserId, WorkspaceId};
use berth_tests::process::{gone, stdout};
use berth_tests::{Client, Exec, Stack, wait};
use http::Method;
use serde_json::{Value, json};

/// A script that ignores what is milder than SIGKILL, says the pid of a child, and goes on for ever.
const ENDLESS: &str = "trap '' HUP INT TERM; sleep 1000 & echo $!; wait; sleep 1000";

async fn stack() -> (Stack, Client) {
    let stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    (stack, client)
}

fn sh(script: &str) -> Value {
    json!({ "argv": ["sh", "-c", script] })
}

/// A page of the audit record of the one workspace.
async fn record(client: &Client, query: &str) -> Value {
    client.get(&format!("/workspaces/{}/audit{query}", client.workspace().await)).await
}

/// Waits for the end of the newest exec on the record.
async fn finished(client: &Client) -> Value {
    wait::until("the end to be on the record", async || {
        let entry = record(client, "?limit=1").await["entries"][0].clone();
        (entry["action"] == "exec_finished").then(|| entry["detail"].clone())
    })
    .await
}

#[tokio::test]
async fn output_comes_while_the_command_runs() {
    let (stack, client) = stack().await;
    let script = "echo begun; while [ ! -e gate ]; do sleep 0.02; done; echo done >&2; exit 3";
    let mut exec = Exec::start(&client, &sh(script)).await;
    assert_eq!(exec.text_line().await, "begun");
    std::fs::write(stack.path("workspace/user/home/gate"), "").unwrap();
    let said = exec.rest().await;
    assert_eq!((said.stderr.as_slice(), &said.exit), (b"done\n".as_slice(), &json!({ "code": 3 })));
}

#[tokio::test]
async fn a_command_gets_its_words_directory_variables_and_input_and_no_shell() {
    let (stack, client) = stack().await;
    let home = stack.path("workspace/user/home");
    let hostile =
        ["printf", "%s\\n", "; rm -rf /", "$(touch /tmp/never)", "-t other", "a\u{1b}[31m\n", "", "ü"];
    let said = Exec::run(&client, &json!({ "argv": hostile })).await;
    assert_eq!(said.text(), "; rm -rf /\n$(touch /tmp/never)\n-t other\na\u{1b}[31m\n\n\nü\n");

    let said = Exec::sh(&client, "echo $HOME; pwd; env | cut -d= -f1 | sort | tr '\\n' ' '").await;
    let text = said.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[1]), (home.to_str().unwrap(), home.to_str().unwrap()));
    for word in lines[2].split_whitespace() {
        let known = ["HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TZ", "USER", "OLDPWD", "_", "SHLVL"];
        assert!(known.contains(&word), "{word} was inherited");
    }

    std::fs::create_dir(home.join("a dir")).unwrap();
    let body = json!({
        "argv": ["sh", "-c", "pwd; echo $ONE; cat"], "cwd": "a dir", "env": { "ONE": "1;$(x)" },
        "stdin": "first\nlast",
    });
    let said = Exec::run(&client, &body).await;
    assert_eq!(said.text(), format!("{}\n1;$(x)\nfirst\nlast", home.join("a dir").display()));

    let every =
        Exec::sh(&client, "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i+1)); done")
            .await;
    assert_eq!(every.stdout, (0..=255).collect::<Vec<u8>>());
    assert_eq!(Exec::sh(&client, "kill -TERM $$").await.exit, json!({ "signal": 15 }));
    assert!(!std::path::Path::new("/tmp/never").exists());
}

#[tokio::test]
async fn a_command_has_bounds_and_what_they_cut_off_is_gone() {
    let (_stack, client) = stack().await;
    let begun = std::time::Instant::now();
    let body = json!({ "argv": ["sh", "-c", ENDLESS], "timeout_seconds": 1 });
    let mut exec = Exec::start(&client, &body).await;
    let pid = exec.text_line().await;
    assert_eq!(exec.rest().await.exit, json!({ "timed_out": true }));
    assert!((1.0..20.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    gone(&pid).await;

    let said = Exec::sh(&client, &format!("head -c {MAX_EXEC_OUTPUT} /dev/zero")).await;
    assert_eq!((said.stdout.len(), &said.exit), (MAX_EXEC_OUTPUT, &json!({ "code": 0 })));
    let mut exec = Exec::start(&client, &sh("sleep 1000 & echo $!; exec yes")).await;
    let pid = exec.text_line().await;
    let said = exec.rest().await;
    let first = pid.len() + 1;
    assert!(said.stdout.len().abs_diff(MAX_EXEC_OUTPUT - first) < 20_000, "{}", said.stdout.len());
    assert_eq!(said.exit, json!({ "truncated": true }));
    gone(&pid).await;
    assert_eq!(finished(&client).await["output_bytes"], MAX_EXEC_OUTPUT);
}

#[tokio::test]
async fn a_command_ends_with_its_client() {
    let (_stack, client) = stack().await;
    let mut exec = Exec::start(&client, &sh(ENDLESS)).await;
    let pid = exec.text_line().await;
    drop(exec);
    gone(&pid).await;
    assert_eq!(finished(&client).await["disconnected"], true);

    // One that writes for ever, to a client that does not read, ends as well.
    let mut exec = Exec::start(&client, &sh("sleep 1000 & echo $!; exec yes")).await;
    let pid = exec.text_line().await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    drop(exec);
    gone(&pid).await;
    assert_eq!(finished(&client).await["disconnected"], true);
}

#[tokio::test]
async fn a_command_ends_when_its_browser_is_signed_out() {
    let (stack, client) = stack().await;
    let other = stack.client().await;
    let mut exec = Exec::start(&client, &sh(ENDLESS)).await;
    let mut unharmed = Exec::start(&other, &sh("echo on; while [ ! -e gate ]; do sleep 0.02; done")).await;
    let pid = exec.text_line().await;
    assert_eq!(unharmed.text_line().await, "on");
    assert_eq!(client.call(Method::POST, "/sign-out", None).await.status, 204);
    assert_eq!(exec.rest().await.exit, json!({ "lost": true }));
    gone(&pid).await;
    assert_eq!(finished(&other).await["revoked"], true);
    std::fs::write(stack.path("workspace/user/home/gate"), "").unwrap();
    assert_eq!(unharmed.rest().await.exit, json!({ "code": 0 }));
}

#[tokio::test]
async fn a_command_ends_with_its_box_or_its_gateway() {
    let (mut stack, client) = stack().await;
    let mut exec = Exec::start(&client, &sh(ENDLESS)).await;
    let pid = exec.text_line().await;
    stack.agent.stop();
    assert_eq!(exec.rest().await.exit, json!({ "lost": true }));
    gone(&pid).await;
    let workspace = client.workspace().await;
    let answer = client.call(Method::POST, &format!("/workspaces/{workspace}/exec"), Some(sh("true"))).await;
    assert_eq!((answer.status, answer.kind()), (503, "box_offline"));
    assert_eq!(finished(&client).await, json!({ "refused": "box_offline" }));

    stack.start_agent().await;
    client.wait_for_box("online").await;
    let mut exec = Exec::start(&client, &sh(ENDLESS)).await;
    let pid = exec.text_line().await;
    stack.gateway.kill();
    gone(&pid).await;
    stack.gateway.start();
    stack.wait_for_gateway().await;
    // What was begun is on the record, without an end.
    let entry = record(&client, "?limit=1").await["entries"][0].clone();
    assert_eq!((&entry["action"], &entry["detail"]["argv"][2]), (&json!("exec_started"), &json!(ENDLESS)));

    client.wait_for_box("online").await;
    let mut exec = Exec::start(&client, &sh(ENDLESS)).await;
    let pid = exec.text_line().await;
    let (_, said) = tokio::join!(async { stack.gateway.stop() }, exec.rest());
    assert_eq!(said.exit, json!({ "lost": true }));
    gone(&pid).await;
}

#[tokio::test]
async fn what_can_not_run_is_refused_in_words() {
    let (stack, client) = stack().await;
    let workspace = client.workspace().await;
    let path = format!("/workspaces/{workspace}/exec");
    std::fs::write(stack.path("workspace/user/home/plain"), "no program").unwrap();
    for (body, status, kind) in [
        (json!({}), 400, "malformed_request"),
        (json!({ "argv": "ls" }), 400, "malformed_request"),
        (json!({ "argv": ["ls"], "user": "root" }), 400, "malformed_request"),
        (json!({ "argv": [] }), 422, "invalid_exec"),
        (json!({ "argv": ["a\u{0}"] }), 422, "invalid_exec"),
        (json!({ "argv": ["ls"], "timeout_seconds": 3601 }), 422, "invalid_exec"),
        (json!({ "argv": ["ls"], "timeout_seconds": 0 }), 422, "invalid_exec"),
        (json!({ "argv": ["ls"], "cwd": "../.." }), 422, "invalid_exec"),
        (json!({ "argv": ["ls"], "cwd": "/etc" }), 422, "invalid_exec"),
        (json!({ "argv": ["ls"], "env": { "A=B": "" } }), 422, "invalid_exec"),
        (json!({ "argv": ["cat"], "stdin": "x".repeat(1024 * 1024 + 1) }), 422, "invalid_exec"),
        (json!({ "argv": ["ls"], "cwd": "nowhere" }), 422, "cwd_unknown"),
        (json!({ "argv": ["no-such-program"] }), 422, "command_not_found"),
        (json!({ "argv": ["./plain"] }), 422, "command_not_started"),
    ] {
        let shown: String = body.to_string().chars().take(60).collect();
        let answer = client.call(Method::POST, &path, Some(body)).await;
        assert_eq!((answer.status, answer.kind()), (status, kind), "{shown}: {}", answer.body);
    }

    // Eight at a time; the place of one that has ended is free.
    let mut running = Vec::new();
    for _ in 0..8 {
        let mut exec = Exec::start(&client, &sh("echo on; exec sleep 1000")).await;
        assert_eq!(exec.text_line().await, "on");
        running.push(exec);
    }
    let answer = client.call(Method::POST, &path, Some(sh("true"))).await;
    assert_eq!((answer.status, answer.kind()), (429, "exec_busy"));
    running.pop();
    wait::until("a free place", async || {
        let answer = client.call(Method::POST, &path, Some(sh("true"))).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn another_users_workspace_does_not_exist() {
    let (stack, client) = stack().await;
    let (theirs, other) = (WorkspaceId::random(), UserId::random());
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).unwrap();
    store.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let insert = format!(
        "INSERT INTO users (id, name, created_at_ms) VALUES ('{other}', 'other', 0);
         INSERT INTO workspaces (id, owner_user_id, name, change_seq, created_at_ms)
         VALUES ('{theirs}', '{other}', 'theirs', 0, 0);
         INSERT INTO sessions (id, workspace_id, name, template, state, attachments, created_at_ms, change_seq,
             desired_seq)
         VALUES ('ses-aaaaaaaaaaaaaaaaaaaaaaaaaa', '{theirs}', 'x', 'default', 'running', 0, 0, 0, 0);"
    );
    store.execute_batch(&insert).unwrap();
    for (method, path, body, kind) in [
        (Method::POST, format!("/workspaces/{theirs}/exec"), Some(sh("true")), "workspace_not_found"),
        (Method::GET, format!("/workspaces/{theirs}/audit"), None, "workspace_not_found"),
        (Method::GET, "/sessions/ses-aaaaaaaaaaaaaaaaaaaaaaaaaa/screen".into(), None, "session_not_found"),
        (
            Method::POST,
            "/sessions/ses-aaaaaaaaaaaaaaaaaaaaaaaaaa/input".into(),
            Some(json!({ "text": "x" })),
            "session_not_found",
        ),
        (
            Method::POST,
            "/sessions/ses-aaaaaaaaaaaaaaaaaaaaaaaaaa/files?name=x".into(),
            Some(json!({})),
            "session_not_found",
        ),
    ] {
        let answer = client.call(method, &path, body).await;
        assert_eq!((answer.status, answer.kind()), (404, kind), "{path}");
    }
}

#[tokio::test]
async fn every_exec_is_on_the_record() {
    let (stack, client) = stack().await;
    let body = json!({
        "argv": ["sh", "-c", "cat; exit 4", "\u{1b}[2J\u{9b}31m"], "env": { "TOKEN": "hush" }, "stdin": "hush",
    });
    let said = Exec::run(&client, &body).await;
    assert_eq!(said.exit, json!({ "code": 4 }));
    let page = record(&client, "").await;
    let entries = page["entries"].as_array().unwrap();
    // Behind them is how the workspace came about.
    assert_eq!((entries.len(), &page["next"]), (5, &Value::Null));
    assert_eq!(entries[4]["action"], "workspace_created");
    let (end, start) = (&entries[0], &entries[1]);
    assert_eq!((&start["action"], &end["action"]), (&json!("exec_started"), &json!("exec_finished")));
    assert_eq!((&start["request_id"], &start["user_name"]), (&end["request_id"], &json!("owner")));
    assert_eq!(start["detail"]["argv"], body["argv"]);
    assert_eq!((&start["detail"]["env"], &start["detail"]["stdin_bytes"]), (&json!(["TOKEN"]), &json!(4)));
    assert_eq!((&end["detail"]["exit"], &end["detail"]["output_bytes"]), (&said.exit, &json!(4)));
    assert!(!page.to_string().contains("hush"), "{page}");
    // The box's log names the same request.
    assert!(stack.agent.log().contains(start["request_id"].as_str().unwrap()));

    for number in 0..4 {
        Exec::run(&client, &json!({ "argv": ["echo", number.to_string()] })).await;
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let page = record(&client, &query).await;
        seen.extend(page["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()));
        let Some(next) = page["next"].as_u64() else { break };
        query = format!("?limit=3&before={next}");
    }
    assert_eq!(seen.len(), 13);
    assert!(seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");

    let lines = stdout(&stack.gateway_verb(&["audit", "--limit", "10"]));
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 10);
    assert!(lines[0].contains("\texec_finished\towner\tws-"), "{}", lines[0]);
    assert!(lines[9].contains("\\u001b[2J\\u009b31m"), "{}", lines[9]);
    assert_eq!(stdout(&stack.gateway_verb(&["audit", "--limit", "1"])).lines().count(), 1);
}
