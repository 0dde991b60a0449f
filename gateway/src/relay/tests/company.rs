//! Several terminals at one session: what their boxes are told.

use std::time::Duration;

use berth_protocol::door::Role;
use berth_protocol::ids::ClientId;
use tokio::time::{Instant, sleep};

use super::{Opcode, Peer, START, Sender, Terminal, frame, shown, text, typed};
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

/// A stock client's terminal at a room, with its greeting read, and the first message that its box got.
async fn open_stock(room: &Room, sized: bool) -> (Terminal, Vec<u8>) {
    let sitter = Sitter {
        client: ClientId::random(),
        name: "owner".into(),
        device: "ttyd".into(),
        role: Role::Editor,
        page: false,
        sized,
    };
    let mut options = Options::new(Mode::Tty, Role::Editor);
    options.seat = room.sit(sitter, Instant::now());
    let mut terminal = Terminal::open(options, 64 * 1024);
    terminal.browser.greeting().await;
    terminal.browser.send(&typed(START)).await;
    let begun = terminal.ttyd.message().await;
    (terminal, begun)
}

/// Lets a terminal be attached anew, from `ttyd` to what is returned, and checks whether its size counts then.
async fn attached_anew(terminal: &mut Terminal, ttyd: &mut Peer, counts: bool) -> Peer {
    assert_eq!(ttyd.next().await, Some((Opcode::Ping, true, b"berth".to_vec())));
    ttyd.send(&frame(Sender::Server, Opcode::Pong, true, b"berth")).await;
    let (far, sized) = terminal.others.recv().await.unwrap();
    assert_eq!(sized, counts);
    let mut other = Peer::new(far, Sender::Client);
    assert_eq!(other.message().await, START);
    other.send(&shown(b"0drawn")).await;
    assert_eq!(terminal.browser.message().await, b"0\x18\x1bc");
    assert_eq!(terminal.browser.message().await, b"0drawn");
    other
}

#[tokio::test(start_paused = true)]
async fn a_stock_client_s_size_counts_as_long_as_no_page_takes_it() {
    let room = Room::default();
    let (mut stock, begun) = open_stock(&room, true).await;
    assert_eq!(begun, START);
    let (mut page, begun) = open(&room, Role::Editor, 120).await;
    assert_eq!(begun, begins(80));
    stock.ttyd.nothing().await;
    page.browser.send(&text(r#"{"type":"lease","take":true}"#)).await;
    assert_eq!(page.ttyd.message().await, resized(120));
    let (_, nobody) = tokio::io::duplex(1);
    let mut first = std::mem::replace(&mut stock.ttyd, Peer::new(nobody, Sender::Client));
    let mut second = attached_anew(&mut stock, &mut first, false).await;
    page.browser.send(&text(r#"{"type":"lease","take":false}"#)).await;
    attached_anew(&mut stock, &mut second, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_to_take_what_is_left_sees_all_of_the_new_stream() {
    let room = Room::default();
    let (mut stock, _) = open_stock(&room, true).await;
    let (mut page, _) = open(&room, Role::Editor, 120).await;
    let message = shown(&[b"0", &[b'x'; 200_000][..]].concat());
    stock.ttyd.send(&message[..1000]).await;
    sleep(Duration::from_millis(100)).await;
    page.browser.send(&text(r#"{"type":"lease","take":true}"#)).await;
    assert_eq!(stock.ttyd.next().await, Some((Opcode::Ping, true, b"berth".to_vec())));
    stock.ttyd.send(&[&message[1000..], &frame(Sender::Server, Opcode::Pong, true, b"berth")].concat()).await;
    let (far, _) = stock.others.recv().await.unwrap();
    let mut other = Peer::new(far, Sender::Client);
    assert_eq!(other.message().await, START);
    // For longer than a stall, and than a renewal may take, it does not take the NULs in place of the message's rest.
    sleep(Duration::from_secs(20)).await;
    let drawn: Vec<Vec<u8>> = (0..6).map(|at| [b"0", &[b'a' + at; 30_000][..]].concat()).collect();
    let output: Vec<u8> = drawn.iter().flat_map(|message| shown(message)).collect();
    let seen = async {
        assert_eq!(stock.browser.message().await.len(), 200_001);
        assert_eq!(stock.browser.message().await, b"0\x18\x1bc");
        for message in &drawn {
            assert!(stock.browser.message().await == *message, "a part of the new stream is missing");
        }
    };
    tokio::join!(other.send(&output), seen);
    assert!(stock.others.try_recv().is_err(), "it was attached anew for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_stock_client_is_told_the_session_s_new_name() {
    let room = Room::default();
    let (mut stock, _) = open_stock(&room, true).await;
    let (mut page, _) = open(&room, Role::Editor, 120).await;
    room.rename("n\u{eb}w");
    assert_eq!(stock.browser.message().await, "1n\u{eb}w".as_bytes());
    stock.browser.nothing().await;
    page.browser.nothing().await;
}
