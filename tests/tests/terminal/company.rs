//! Several terminals at one session: who is there, and whose screen decides the size.

use std::time::Duration;

use berth_protocol::ids::ClientId;
use berth_tests::terminal::Ask;
use berth_tests::{Client, Stack, Terminal, wait};
use http::Method;
use serde_json::{Value, json};

const DESK: (u16, u16) = (120, 40);
const PHONE: (u16, u16) = (50, 20);

async fn attach(client: &Client, session: &str, size: (u16, u16)) -> (Terminal, String) {
    let id = ClientId::random().to_string();
    (Terminal::open_as(client, session, Some(json!({ "client": id })), size).await, id)
}

/// The size that a session's window has; the last row is tmux's own.
async fn until_sized(stack: &Stack, session: &str, columns: u16) {
    wait::until(&format!("the session to be {columns} wide"), async || {
        (stack.tmux.size(session)?.0 == columns).then_some(())
    })
    .await;
}

fn leads(lease: &Value, size: (u16, u16), mine: bool) -> bool {
    (&lease["columns"], &lease["rows"], &lease["mine"]) == (&json!(size.0), &json!(size.1), &json!(mine))
}

#[tokio::test]
async fn a_phone_that_joins_does_not_shrink_the_desk_until_it_takes_the_size_and_gives_it_back() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (mut desk, _) = attach(&client, &session, DESK).await;
    desk.read_until_told("lease", |lease| leads(lease, DESK, true)).await;
    until_sized(&stack, &session, DESK.0).await;

    let (mut phone, _) = attach(&client, &session, PHONE).await;
    phone.read_until_told("lease", |lease| leads(lease, DESK, false)).await;
    // tmux would take the size of who typed last.
    phone.type_text("echo $((6*7))\r").await;
    desk.read_until("42").await;
    phone.resize(20, 50).await;
    phone.type_text("echo $((6*8))\r").await;
    desk.read_until("48").await;
    assert_eq!(stack.tmux.size(&session).unwrap().0, DESK.0);

    phone.say(json!({"type": "lease", "take": true})).await;
    desk.read_until_told("lease", |lease| leads(lease, (20, 50), false)).await;
    until_sized(&stack, &session, 20).await;
    phone.say(json!({"type": "lease", "take": false})).await;
    desk.read_until_told("lease", |lease| leads(lease, DESK, true)).await;
    until_sized(&stack, &session, DESK.0).await;
}

#[tokio::test]
async fn a_reconnect_keeps_the_size() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (desk, id) = attach(&client, &session, DESK).await;
    let (mut phone, _) = attach(&client, &session, PHONE).await;
    phone.read_until_told("lease", |lease| leads(lease, DESK, false)).await;
    drop(desk);
    phone.read_until_told("presence", |now| now["clients"].as_array().unwrap().len() == 1).await;
    let back = json!({ "client": id });
    let mut desk = Terminal::open_as(&client, &session, Some(back), DESK).await;
    desk.read_until_told("lease", |lease| leads(lease, DESK, true)).await;
    until_sized(&stack, &session, DESK.0).await;
}

#[tokio::test]
async fn a_stock_client_beside_a_page_keeps_its_size_to_itself() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (mut desk, _) = attach(&client, &session, DESK).await;
    desk.read_until_told("lease", |lease| leads(lease, DESK, true)).await;
    until_sized(&stack, &session, DESK.0).await;
    let mut stock = attach_stock(&client, &session).await;
    stock.type_text("echo $((6*7))\r").await;
    desk.read_until("42").await;
    assert_eq!(stack.tmux.size(&session).unwrap().0, DESK.0);
}

/// A stock client's terminal of 40 × 12.
async fn attach_stock(client: &Client, session: &str) -> Terminal {
    let ask = Ask {
        session: session.to_owned(),
        protocols: "tty".into(),
        origin: Some(client.origin().to_owned()),
    };
    let mut stock = Terminal::ask(client, &ask).await.unwrap();
    let first = json!({"AuthToken": client.ticket(session).await, "columns": 40, "rows": 12});
    stock.send_binary(first.to_string().as_bytes()).await;
    stock
}

#[tokio::test]
async fn a_page_takes_the_size_from_a_stock_client_and_gives_it_back() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut stock = attach_stock(&client, &session).await;
    until_sized(&stack, &session, 40).await;
    let (mut page, _) = attach(&client, &session, DESK).await;
    page.read_until_told("lease", |lease| leads(lease, (40, 12), false)).await;
    page.say(json!({"type": "lease", "take": true})).await;
    page.read_until_told("lease", |lease| leads(lease, DESK, true)).await;
    // tmux takes the size of who typed last, of those whose size counts.
    wait::until("the stock client not to be counted", async || {
        let clients = stack.tmux.run(&["list-clients", "-F", "#{client_width} #{client_flags}"])?;
        let mut others = clients.lines().filter(|line| line.starts_with("40 "));
        others.all(|line| line.contains("ignore-size")).then_some(())
    })
    .await;
    stock.type_text("echo $((6*7))\r").await;
    stock.read_until("42").await;
    until_sized(&stack, &session, DESK.0).await;
    page.say(json!({"type": "lease", "take": false})).await;
    until_sized(&stack, &session, 40).await;
}

#[tokio::test]
async fn a_stock_client_s_title_is_the_session_s_name_also_when_it_is_another() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut stock = attach_stock(&client, &session).await;
    stock.read_until("\u{1b}").await;
    assert_eq!(stock.told[0], "1work");
    let renamed =
        client.call(Method::PATCH, &format!("/sessions/{session}"), Some(json!({"name": "play"}))).await;
    assert_eq!(renamed.status, 200, "{}", renamed.body);
    wait::until("the new title", async || {
        stock.idle(Duration::from_millis(100)).await;
        (stock.told.last()? == "1play").then_some(())
    })
    .await;
}

#[tokio::test]
async fn everybody_is_told_who_is_there_and_what_they_do() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (mut desk, desk_id) = attach(&client, &session, DESK).await;
    let (mut phone, phone_id) = attach(&client, &session, PHONE).await;
    let told = desk.read_until_told("presence", |now| now["clients"].as_array().unwrap().len() == 2).await;
    let expected = |id: &str, me: bool, leads: bool| {
        json!({
            "client": id, "name": "owner", "device": "a program", "role": "editor",
            "activity": "watching", "me": me, "leads": leads
        })
    };
    assert_eq!(told["clients"], json!([expected(&desk_id, true, true), expected(&phone_id, false, false)]));

    // A terminal's answer to a question of the box is nobody's typing.
    phone.type_text("\u{1b}[?1;2c").await;
    phone.say(json!({"type": "presence", "hidden": true})).await;
    desk.read_until_told("presence", |now| now["clients"][1]["activity"] == "away").await;
    phone.say(json!({"type": "presence", "hidden": false})).await;
    desk.read_until_told("presence", |now| now["clients"][1]["activity"] == "watching").await;
    phone.type_text("x").await;
    desk.read_until_told("presence", |now| now["clients"][1]["activity"] == "typing").await;
    desk.read_until_told("presence", |now| now["clients"][1]["activity"] == "watching").await;
    phone.say(json!({"type": "presence", "hidden": true})).await;
    desk.read_until_told("presence", |now| now["clients"][1]["activity"] == "away").await;
    drop(phone);
    desk.read_until_told("presence", |now| now["clients"].as_array().unwrap().len() == 1).await;
}

#[tokio::test]
async fn who_asked_to_watch_types_nothing_and_decides_nothing() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let (mut desk, _) = attach(&client, &session, DESK).await;
    desk.read_until_told("lease", |lease| leads(lease, DESK, true)).await;
    until_sized(&stack, &session, DESK.0).await;
    let mut viewer = Terminal::open_as(&client, &session, Some(json!({"watch": true})), PHONE).await;
    viewer.read_until_told("lease", |lease| leads(lease, DESK, false)).await;
    viewer.say(json!({"type": "lease", "take": true})).await;
    viewer.type_text("echo typed-by-viewer\r").await;
    // tmux's own keys are input, too.
    viewer.type_text("\u{2}%").await;
    desk.type_text("echo $((6*7))\r").await;
    viewer.read_until("42").await;
    desk.read_until("42").await;
    assert!(!desk.has_written("typed-by-viewer"));
    assert_eq!(stack.tmux.pane_pids(&session).len(), 3);
    assert_eq!(stack.tmux.size(&session).unwrap().0, DESK.0);
    let told = desk.read_until_told("presence", |now| now["clients"][1]["role"] == "viewer").await;
    assert_eq!(told["clients"][0]["leads"], json!(true));
}
