//! A session that needs its user says so: bells, hooks and questions become events that the gateway has stored.

use std::time::Duration;

use berth_tests::attention::{
    pane_number, shell, shows, stored, told, type_in, wait_for_tap, wait_told, withdrawn,
};
use berth_tests::{Client, Stack, programs, wait};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

/// The pane that tests type into: the template's shell.
const PANE: u32 = 2;

async fn ready() -> (Stack, Client, String) {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    shell(&client, &session, PANE).await;
    wait_for_tap(&stack, pane_number(&stack, &session, PANE)).await;
    (stack, client, session)
}

/// Whether a notification is about the test's pane.
fn of_pane(session: &str) -> impl Fn(&Value) -> bool {
    move |told| told["session"] == session && told["pane"]["index"] == PANE
}

/// The line that calls the hook as a coding agent does.
fn hook_line(stack: &Stack, json: &str) -> String {
    let agent = programs::built("box-agent");
    format!(
        "echo '{json}' | {} notify claude --socket {} --spool {}; echo hook-ended-$?\n",
        agent.display(),
        stack.path("run/agent.sock").display(),
        stack.path("run/spool").display()
    )
}

#[tokio::test]
async fn a_bell_becomes_an_event() {
    let (stack, client, session) = ready().await;
    type_in(&client, &session, PANE, "printf '\\a'\n").await;
    let told = wait_told(&stack, "the bell", of_pane(&session)).await;
    assert_eq!((&told["reason"], &told["evidence"]), (&"message".into(), &"bell".into()));
    assert_eq!(told["text"], "The terminal bell rang");
    assert!(told["signal_ms"].as_i64().unwrap() > 1_600_000_000_000);
}

#[tokio::test]
async fn five_thousand_bells_are_one_notification_and_a_huge_title_is_nothing() {
    let (stack, client, session) = ready().await;
    // A title of a megabyte, ended by a bell, and bells.
    let flood = "printf '\\033]2;'; head -c 1000000 /dev/zero | tr '\\0' x; printf '\\007'; \
                 i=0; while [ $i -lt 5000 ]; do printf '\\a'; i=$((i+1)); done; echo flood-ended\n";
    type_in(&client, &session, PANE, flood).await;
    shows(&client, &session, PANE, "flood-ended").await;
    wait_told(&stack, "the bells", of_pane(&session)).await;
    // Something that comes after all of them is there: then nothing of them is on its way any more.
    type_in(&client, &session, PANE, "printf '\\033]9;the last word\\a'\n").await;
    wait_told(&stack, "the message", |told| told["text"] == "the last word").await;
    let told = told(&stack);
    let bells = told.iter().filter(|told| told["evidence"] == "bell").count();
    assert_eq!((bells, told.len()), (1, 2), "{told:?}");
    assert!(!stack.agent.log().contains("xxxxxxxxxxxxxxxx"), "the title is in the log");
}

#[tokio::test]
async fn a_hook_becomes_an_event_also_one_that_nobody_heard() {
    let (mut stack, client, session) = ready().await;
    let request = r#"{"hook_event_name": "PermissionRequest", "tool_name": "Bash", "tool_input": {"command": "cargo test"}}"#;
    type_in(&client, &session, PANE, &hook_line(&stack, request)).await;
    let first = wait_told(&stack, "the request", of_pane(&session)).await;
    assert_eq!((&first["reason"], &first["evidence"]), (&"waiting_for_approval".into(), &"hook".into()));
    assert_eq!(first["text"], "Claude wants to use Bash: cargo test");

    // While the agent is away, hooks go on, in order.
    stack.agent.kill();
    let pane = format!("={session}:.{PANE}");
    for text in ["one", "two"] {
        let json = format!(r#"{{"hook_event_name": "Stop", "last_assistant_message": "{text}"}}"#);
        let line = format!("clear; {}", hook_line(&stack, &json));
        stack.tmux.run(&["send-keys", "-t", &pane, "-l", "--", line.trim_end()]).unwrap();
        stack.tmux.run(&["send-keys", "-t", &pane, "Enter"]).unwrap();
        let spool = stack.path("run/spool");
        let expected = if text == "one" { 1 } else { 2 };
        wait::until("the hook in the spool", async || {
            (std::fs::read_dir(&spool).unwrap().count() == expected).then_some(())
        })
        .await;
    }
    stack.start_agent().await;
    wait_told(&stack, "the last hook", |told| told["text"] == "Claude has finished: two").await;
    let texts: Vec<String> =
        told(&stack).iter().map(|told| told["text"].as_str().unwrap().to_owned()).collect();
    let expected =
        ["Claude wants to use Bash: cargo test", "Claude has finished: one", "Claude has finished: two"];
    assert_eq!(texts, expected);
    wait::until("the spool to empty", async || {
        (std::fs::read_dir(stack.path("run/spool")).unwrap().count() == 0).then_some(())
    })
    .await;
    let before: Vec<Value> = withdrawn(&stack).iter().map(|gone| gone["id"].clone()).collect();
    assert!(before.contains(&first["id"]), "what was asked is over when the work is done");

    // Neither hooks nor notifications are told twice.
    stack.agent.kill();
    stack.start_agent().await;
    client.wait_for_box("online").await;
    let last = r#"{"hook_event_name": "Stop", "last_assistant_message": "three"}"#;
    type_in(&client, &session, PANE, &hook_line(&stack, last)).await;
    wait_told(&stack, "the last", |told| told["text"] == "Claude has finished: three").await;
    assert_eq!(told(&stack).len(), 4);
}

#[tokio::test]
async fn a_tap_that_was_killed_comes_back() {
    let (stack, client, session) = ready().await;
    let pane = pane_number(&stack, &session, PANE);
    // It is heard, so the agent knows of it.
    type_in(&client, &session, PANE, "printf '\\033]9;first\\a'\n").await;
    wait_told(&stack, "the message", |told| told["text"] == "first").await;
    let first = wait_for_tap(&stack, pane).await;
    kill(first, Signal::SIGKILL).unwrap();
    let second = wait::within(Duration::from_secs(5), "another tap", async || {
        berth_tests::attention::tap(&stack, pane).filter(|tap| *tap != first)
    })
    .await;
    assert_ne!(first, second);
    // It hears: what rings before it listens may be lost, so it rings until it is heard.
    wait::until("the second message", async || {
        type_in(&client, &session, PANE, "printf '\\033]9;second\\a'\n").await;
        let heard = async || told(&stack).into_iter().find(|told| told["text"] == "second");
        wait::try_within(Duration::from_secs(3), heard).await
    })
    .await;
}

#[tokio::test]
async fn a_flood_leaves_tmux_small() {
    flood(Duration::from_secs(5)).await;
}

#[tokio::test]
#[ignore = "takes a minute: a pane floods for 60 s"]
async fn a_long_flood_leaves_tmux_small() {
    flood(Duration::from_secs(60)).await;
}

/// A pane says as much as it can; what tmux keeps for the tap must not grow with it.
async fn flood(duration: Duration) {
    let (stack, client, session) = ready().await;
    let server: i32 = stack.tmux.run(&["display-message", "-p", "#{pid}"]).unwrap().parse().unwrap();
    let server = nix::unistd::Pid::from_raw(server);
    // Scrollback is not what is measured here.
    stack.tmux.run(&["set-option", "-g", "history-limit", "100"]).unwrap();
    stack.tmux.run(&["clear-history", "-t", &format!("={session}:.{PANE}")]).unwrap();
    type_in(&client, &session, PANE, "clear; yes flooding-flooding-flooding\n").await;
    shows(&client, &session, PANE, "flooding").await;
    tokio::time::sleep(duration / 5).await;
    let early = berth_tests::process::resident(server);
    tokio::time::sleep(duration).await;
    let late = berth_tests::process::resident(server);
    stack.tmux.run(&["send-keys", "-t", &format!("={session}:.{PANE}"), "C-c"]).unwrap();
    // The scrollback of a pane that was made with a longer one fills up to 50 000 lines of this length.
    assert!(late < early + 64 * 1024 * 1024, "tmux grew from {early} to {late} bytes");
    // And the tap is not behind: it hears the next bell.
    type_in(&client, &session, PANE, "\nprintf '\\a'\n").await;
    wait_told(&stack, "the bell after the flood", of_pane(&session)).await;
    assert!(stored(&stack, "notification").len() <= 2);
}

#[tokio::test]
#[ignore = "takes minutes: a thousand hooks while agent and gateway are killed"]
async fn a_thousand_events_survive_every_kill() {
    const SESSIONS: usize = 5;
    const EACH: usize = 100;
    let mut stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let agent = programs::built("box-agent");
    let call = format!(
        "{} notify claude --socket {} --spool {}",
        agent.display(),
        stack.path("run/agent.sock").display(),
        stack.path("run/spool").display()
    );
    let mut panes = Vec::new();
    for number in 0..SESSIONS {
        let session = client.running_session(&format!("s{number}")).await;
        for pane in [1, 2] {
            shell(&client, &session, pane).await;
            let json =
                format!(r#"{{"hook_event_name": "Notification", "message": "event {number} {pane} $i."}}"#);
            let script = format!(
                "i=0; while [ $i -lt {EACH} ]; do echo '{}' | {call}; i=$((i+1)); sleep 0.3; done; clear; echo so''ak-ended\n",
                json.replace("$i", "'$i'")
            );
            type_in(&client, &session, pane, &script).await;
            panes.push((session.clone(), pane));
        }
    }
    let ended = |stack: &Stack| {
        panes.iter().all(|(session, pane)| {
            let target = format!("={session}:.{pane}");
            let shown = stack.tmux.run(&["capture-pane", "-p", "-t", &target]).unwrap_or_default();
            shown.contains("soak-ended")
        })
    };
    let mut kills = 0;
    while !ended(&stack) {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(500..4000))).await;
        kills += 1;
        if fastrand::bool() {
            stack.agent.kill();
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..1500))).await;
            stack.agent.start();
        } else {
            stack.gateway.kill();
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..1500))).await;
            stack.gateway.start();
        }
    }
    assert!(kills > 5, "only {kills} kills");
    stack.wait_for_gateway().await;
    stack.wait_for_agent().await;
    let events = |stack: &Stack| {
        let texts = told(stack).into_iter().map(|told| told["text"].as_str().unwrap().to_owned());
        let mut texts: Vec<String> = texts.filter(|text| text.starts_with("event ")).collect();
        texts.sort();
        texts
    };
    wait::until("every event", async || {
        let mut found = events(&stack);
        found.dedup();
        (found.len() == SESSIONS * 2 * EACH).then_some(())
    })
    .await;
    assert_eq!(events(&stack).len(), SESSIONS * 2 * EACH, "some were doubled");
    println!("{} events, {kills} kills", SESSIONS * 2 * EACH);
}
