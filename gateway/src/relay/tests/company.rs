//! Several terminals at one session: what their boxes are told.

use berth_protocol::door::Role;
use berth_protocol::ids::ClientId;
use tokio::time::Instant;

use super::{START, Terminal, text, typed};
use crate::relay::{Mode, Options, Room, Sitter};

fn options(room: &Room, role: Role) -> Options {
    let sitter = Sitter {
        client: ClientId::random(),
        name: "owner".into(),
        device: "Chrome on Linux".into(),
        role,
        page: true,
        sized: true,
    };
    let mut options = Options::new(Mode::Berth, role);
    options.seat = room.sit(sitter, Instant::now());
    options
}

/// A terminal whose page has this size, and the first message that its box got.
async fn open(room: &Room, role: Role, columns: u16) -> (Terminal, Vec<u8>) {
    let mut terminal = Terminal::open(options(room, role), 64 * 1024);
    let start = format!(r#"{{"columns":{columns},"rows":24}}"#);
    terminal.browser.send(&typed(start.as_bytes())).await;
    let begun = terminal.ttyd.message().await;
    (terminal, begun)
}

fn begins(columns: u16) -> Vec<u8> {
    String::from_utf8_lossy(START).replace("80", &columns.to_string()).into_bytes()
}

fn resized(columns: u16) -> Vec<u8> {
    format!(r#"1{{"columns":{columns},"rows":24}}"#).into_bytes()
}

#[tokio::test(start_paused = true)]
async fn every_box_is_told_the_size_of_who_leads() {
    let room = Room::default();
    let (mut desk, begun) = open(&room, Role::Editor, 120).await;
    assert_eq!(begun, begins(120));
    let (mut phone, begun) = open(&room, Role::Editor, 50).await;
    assert_eq!(begun, begins(120), "the phone's own size went to its box");
    phone.browser.send(&typed(&resized(20))).await;
    desk.ttyd.nothing().await;
    phone.browser.send(&text(r#"{"type":"lease","take":true}"#)).await;
    assert_eq!(desk.ttyd.message().await, resized(20));
    phone.browser.send(&text(r#"{"type":"lease","take":false}"#)).await;
    assert_eq!(desk.ttyd.message().await, resized(120));
}

#[tokio::test(start_paused = true)]
async fn a_viewer_takes_no_lease() {
    let room = Room::default();
    let (mut desk, _) = open(&room, Role::Editor, 120).await;
    let (mut viewer, begun) = open(&room, Role::Viewer, 50).await;
    assert_eq!(begun, begins(120));
    viewer.browser.send(&text(r#"{"type":"lease","take":true}"#)).await;
    viewer.browser.send(&typed(b"0typed")).await;
    desk.ttyd.nothing().await;
    viewer.ttyd.nothing().await;
}
