//! Screen and input without a terminal: what is typed arrives where it was meant, byte by byte, and is shown.

use berth_protocol::control::MAX_INPUT_TEXT;
use berth_tests::{Client, Stack, wait};
use http::Method;
use serde_json::{Value, json};

/// The panes of a session, as the API shows them.
async fn panes(client: &Client, session: &str, query: &str) -> Vec<Value> {
    let screen = client.get(&format!("/sessions/{session}/screen{query}")).await;
    screen["panes"].as_array().expect("panes").clone()
}

/// Types, which must succeed.
async fn type_in(client: &Client, session: &str, body: Value) {
    let answer = client.call(Method::POST, &format!("/sessions/{session}/input"), Some(body)).await;
    assert_eq!((answer.status, &answer.body), (204, &Value::Null));
}

/// Waits until a pane shows a line that has exactly this text.
async fn shows(client: &Client, session: &str, pane: u32, line: &str) -> Value {
    wait::until(&format!("{line:?} in pane {pane}"), async || {
        let pane = panes(client, session, &format!("?pane={pane}")).await.remove(0);
        let text = pane["text"].as_str().expect("text");
        text.lines().any(|shown| shown.trim_end() == line).then(|| pane.clone())
    })
    .await
}

/// Makes the shell of a pane ready: its prompt is short, and its input is read.
async fn shell(client: &Client, session: &str, pane: u32) {
    let text = "exec env PS1='$ ' ENV= sh\nclear; echo rea''dy\n";
    // A shell that is still starting may throw away what was typed early.
    wait::until("a shell", async || {
        type_in(client, session, json!({ "pane": pane, "text": text })).await;
        wait::try_within(std::time::Duration::from_secs(3), async || {
            let shown = panes(client, session, &format!("?pane={pane}")).await.remove(0);
            shown["text"].as_str().expect("text").lines().any(|line| line == "ready").then_some(())
        })
        .await
    })
    .await;
}

#[tokio::test]
async fn the_screen_shows_every_pane_with_text_and_colours() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    shell(&client, &session, 2).await;
    let script = "printf '\\033[31mre''d\\033[0m \\033[1;4mbold\\033[0m é🦀\\n'\n";
    type_in(&client, &session, json!({ "pane": 2, "text": script })).await;
    let shown = shows(&client, &session, 2, "red bold é🦀").await;
    let ansi = shown["ansi"].as_str().unwrap();
    let line = ansi.lines().find(|line| line.contains("31m") && line.contains("red")).expect(ansi);
    assert!(line.starts_with("\u{1b}[31mred\u{1b}[") && line.contains("bold"), "{line:?}");
    assert!(!shown["text"].as_str().unwrap().contains('\u{1b}'));

    let all = panes(&client, &session, "").await;
    let title = |pane: &Value| pane["title"].as_str().unwrap().to_owned();
    assert_eq!(all.iter().map(title).collect::<Vec<_>>(), ["agent", "logs", "shell"]);
    let active: Vec<bool> = all.iter().map(|pane| pane["active"].as_bool().unwrap()).collect();
    assert_eq!(active, [true, false, false]);
    let third = &all[2];
    assert_eq!((&third["window"], &third["index"], &third["command"]), (&json!(0), &json!(2), &json!("sh")));
    let (width, height) = stack.tmux.size(&session).unwrap();
    assert_eq!(third["rows"].as_u64().unwrap() as usize, third["text"].as_str().unwrap().split('\n').count());
    assert!(
        third["columns"].as_u64().unwrap() < width.into() && third["rows"].as_u64().unwrap() < height.into()
    );

    type_in(&client, &session, json!({ "pane": 2, "text": "clear; stty -echo; printf ab''c; cat\n" })).await;
    let shown = shows(&client, &session, 2, "abc").await;
    assert_eq!(shown["cursor"], json!({ "column": 3, "row": 0, "visible": true }));

    for (query, status, kind) in [
        ("?pane=9", 404, "pane_unknown"),
        ("?window=7", 404, "pane_unknown"),
        ("?pane=x", 400, "malformed_request"),
        ("?pane=-1", 400, "malformed_request"),
        ("?pane=0%3B", 400, "malformed_request"),
        ("?other=1", 400, "malformed_request"),
    ] {
        let answer = client.call(Method::GET, &format!("/sessions/{session}/screen{query}"), None).await;
        assert_eq!((answer.status, answer.kind()), (status, kind), "{query}");
    }
}

#[tokio::test]
async fn input_goes_to_the_pane_that_was_meant_and_no_other() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let other = client.running_session("other").await;
    shell(&client, &session, 2).await;
    type_in(&client, &session, json!({ "pane": 2, "text": "echo on''ly", "keys": ["Enter"] })).await;
    shows(&client, &session, 2, "only").await;

    // Keys do what keys do: C-c ends a program, and a pane in copy mode gets input all the same.
    type_in(&client, &session, json!({ "pane": 2, "text": "cat", "keys": ["Enter"] })).await;
    type_in(&client, &session, json!({ "pane": 2, "text": "line", "keys": ["Enter"] })).await;
    wait::until("cat to run", async || {
        (panes(&client, &session, "?pane=2").await[0]["command"] == "cat").then_some(())
    })
    .await;
    assert!(stack.tmux.run(&["copy-mode", "-t", &format!("={session}:.2")]).is_some());
    type_in(&client, &session, json!({ "pane": 2, "keys": ["C-c"] })).await;
    type_in(&client, &session, json!({ "pane": 2, "text": "echo bac''k", "keys": ["Enter"] })).await;
    shows(&client, &session, 2, "back").await;

    // With no pane named, it is the active one.
    assert!(stack.tmux.run(&["select-pane", "-t", &format!("={session}:.2")]).is_some());
    type_in(&client, &session, json!({ "text": "echo acti''ve", "keys": ["Enter"] })).await;
    shows(&client, &session, 2, "active").await;

    for (session, pane) in [(&session, 0), (&session, 1), (&other, 0), (&other, 1), (&other, 2)] {
        let pane = panes(&client, session, &format!("?pane={pane}")).await.remove(0);
        let text = pane["text"].as_str().unwrap();
        assert!(!text.contains("only") && !text.contains("echo"), "{text}");
    }
}

#[tokio::test]
async fn hostile_text_arrives_as_text_byte_by_byte() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let home = stack.path("workspace/user/home");
    let controls: String = ('\u{1}'..='\u{1f}').chain('\u{7f}'..='\u{9f}').collect();
    let long = "a;é$(x)🦀\r\n".repeat(10_000);
    let long = &long[..long.floor_char_boundary(MAX_INPUT_TEXT)];
    let texts = [
        "; rm -rf /",
        "$(touch /tmp/never) `touch /tmp/never` $HOME",
        "-t other",
        "-l -- x",
        "--",
        ";",
        "a;",
        "a\\;",
        "\\",
        "#{pane_id} #(touch /tmp/never)",
        "\" ' {} [] ~ %0",
        "C-c Enter",
        &controls,
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "日本語 e\u{301} 👩‍👩‍👧 \u{202e}",
        long,
    ];
    shell(&client, &session, 2).await;
    for (number, text) in texts.iter().enumerate() {
        let file = home.join(format!("got{number}"));
        // In raw mode, every byte is the program's own.
        let command = format!(
            "stty raw -echo; echo; echo list''ening{number}; head -c {} > ~/part && mv ~/part {}; \
             stty sane; echo; echo do''ne{number}\n",
            text.len(),
            file.display()
        );
        type_in(&client, &session, json!({ "pane": 2, "text": command })).await;
        shows(&client, &session, 2, &format!("listening{number}")).await;
        type_in(&client, &session, json!({ "pane": 2, "text": text })).await;
        let got = wait::until(&format!("{number} to arrive"), async || std::fs::read(&file).ok()).await;
        // Typed earlier, the next command might still meet a terminal in raw mode.
        shows(&client, &session, 2, &format!("done{number}")).await;
        assert!(
            got == text.as_bytes(),
            "{number} {:?}: {:?}",
            &text[..text.len().min(40)],
            &got[..got.len().min(40)]
        );
    }
    assert!(!std::path::Path::new("/tmp/never").exists());
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_before_anything_is_typed() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let path = format!("/sessions/{session}/input");
    shell(&client, &session, 2).await;
    assert!(stack.tmux.run(&["select-pane", "-t", &format!("={session}:.2")]).is_some());
    assert_eq!(panes(&client, &session, "?pane=2").await[0]["active"], true);
    let too_long = "x".repeat(MAX_INPUT_TEXT + 1);
    for (body, status, kind) in [
        (json!({}), 422, "invalid_input"),
        (json!({ "text": "" }), 422, "invalid_input"),
        (json!({ "text": too_long }), 422, "invalid_input"),
        (json!({ "text": "x".repeat(500_000) }), 413, "too_large"),
        (json!({ "text": "a\u{0}b" }), 422, "invalid_input"),
        (json!({ "text": "x", "keys": ["Enter", "-t"] }), 422, "invalid_input"),
        (json!({ "keys": ["enter"] }), 422, "invalid_input"),
        (json!({ "keys": vec!["Up"; 257] }), 422, "invalid_input"),
        (json!({ "text": "x", "pane": 3 }), 404, "pane_unknown"),
        (json!({ "text": "x", "window": 1 }), 404, "pane_unknown"),
        (json!({ "text": "x", "pane": "2" }), 400, "malformed_request"),
        (json!({ "text": "x", "pane": -1 }), 400, "malformed_request"),
        (json!({ "text": "x", "other": 1 }), 400, "malformed_request"),
    ] {
        let shown: String = body.to_string().chars().take(60).collect();
        let answer = client.call(Method::POST, &path, Some(body)).await;
        assert_eq!((answer.status, answer.kind()), (status, kind), "{shown}: {}", answer.body);
    }
    // Whatever was typed before this would be seen with it.
    type_in(&client, &session, json!({ "text": "last" })).await;
    shows(&client, &session, 2, "$ last").await;
}

#[tokio::test]
async fn without_its_box_a_session_has_no_screen() {
    let mut stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    stack.agent.stop();
    let screen = client.call(Method::GET, &format!("/sessions/{session}/screen"), None).await;
    assert_eq!((screen.status, screen.kind()), (503, "box_offline"));
    let input = json!({ "text": "x" });
    let input = client.call(Method::POST, &format!("/sessions/{session}/input"), Some(input)).await;
    assert_eq!((input.status, input.kind()), (503, "box_offline"));

    stack.start_agent().await;
    client.wait_for_box("online").await;
    wait::until("the screen to be back", async || {
        let screen = client.call(Method::GET, &format!("/sessions/{session}/screen"), None).await;
        (screen.status == 200).then_some(())
    })
    .await;
}
