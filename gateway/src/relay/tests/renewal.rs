//! Tests of the new attachment after a stall: nothing old is drawn, and nothing that is typed is lost, doubled or late.

use std::time::Duration;

use berth_protocol::door::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::super::flow::HIGH;
use super::super::{Mode, Options, Reason};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Takes the emulator back to its beginning.
const RESET: &[u8] = b"0\x18\x1bc";

fn ack(out: u64) -> Vec<u8> {
    text(&format!(r#"{{"type":"ack","out":{out}}}"#))
}

fn mark() -> Option<Seen> {
    Some((Opcode::Ping, true, b"berth".to_vec()))
}

fn pong() -> Vec<u8> {
    frame(Sender::Server, Opcode::Pong, true, b"berth")
}

/// A page that has drawn nothing of its window for `stall`, and what it was sent.
async fn stalled(stall: Duration) -> (Terminal, u64) {
    let mut terminal = Terminal::open(Options::new(Mode::Berth, Role::Editor), 1 << 20);
    terminal.browser.send(&[typed(START), ack(0)].concat()).await;
    assert_eq!(terminal.ttyd.message().await, START);
    let mut out = 0;
    while out <= HIGH {
        terminal.ttyd.send(&shown(&[b'0'; 5000])).await;
        out += terminal.browser.message().await.len() as u64 - 1;
    }
    terminal.ttyd.send(&shown(b"0old")).await;
    sleep(stall).await;
    (terminal, out)
}

/// The far end of the stream that took the other's place, once it has begun.
async fn other(terminal: &mut Terminal) -> Peer {
    let other = timeout(60 * SECOND, terminal.others.recv()).await.expect("another stream is opened");
    let (far, sized) = other.expect("the relay goes on");
    assert!(sized);
    let mut peer = Peer::new(far, Sender::Client);
    assert_eq!(peer.message().await, START);
    peer
}

#[tokio::test(start_paused = true)]
async fn after_a_stall_nothing_old_is_drawn_and_keys_come_once_and_in_order() {
    let (mut terminal, out) = stalled(4 * SECOND).await;
    terminal.browser.send(&typed(b"0during")).await;
    assert_eq!(terminal.ttyd.message().await, b"0during", "a stall holds up keys");
    terminal.browser.send(&[typed(b"0a"), ack(out), typed(b"0b")].concat()).await;
    assert_eq!(terminal.ttyd.message().await, b"0a");
    assert_eq!(terminal.ttyd.message().await, b"0b");
    assert_eq!(terminal.ttyd.next().await, mark(), "the ping is behind all input");
    terminal.browser.send(&typed(b"0c")).await;
    terminal.browser.send(&text(r#"{"type":"ping","n":1}"#)).await;
    sleep(SECOND / 10).await;
    terminal.ttyd.send(&[shown(b"0older"), pong()].concat()).await;

    let mut other = other(&mut terminal).await;
    other.send(&[shown(b"1title"), shown(b"2{}")].concat()).await;
    other.nothing().await;
    terminal.browser.nothing().await;
    other.send(&shown(b"0new")).await;
    assert_eq!(terminal.browser.message().await, RESET, "old output was drawn");
    assert_eq!(terminal.browser.message().await, b"0new");
    let echo = format!(r#"{{"type":"echo","in":8,"out":{}}}"#, out + 6);
    assert_eq!(terminal.browser.next().await, Some((Opcode::Text, true, echo.into_bytes())));
    assert_eq!(other.message().await, b"0c", "what was typed meanwhile comes now");
    assert_eq!(
        terminal.browser.next().await,
        Some((Opcode::Text, true, br#"{"type":"pong","n":1}"#.to_vec()))
    );
    assert!(
        matches!(terminal.ttyd.next().await, Some((Opcode::Close, ..))),
        "the old stream takes its leave"
    );
    assert_eq!(terminal.ttyd.next().await, None);

    // The window is that of both streams together.
    terminal.browser.send(&ack(out + 6)).await;
    other.send(&shown(b"0more")).await;
    assert_eq!(terminal.browser.message().await, b"0more");
    terminal.browser.send(&typed(b"0d")).await;
    assert_eq!(other.message().await, b"0d");
    drop(other);
    assert!(matches!(terminal.outcome().await.reason, Reason::BoxLost(_)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_old_is_drawn() {
    let (mut terminal, out) = stalled(2 * SECOND).await;
    terminal.browser.send(&ack(out)).await;
    assert_eq!(terminal.browser.message().await, b"0old");
    terminal.ttyd.nothing().await;
    assert!(terminal.others.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stream_never_stands_still_while_its_client_does() {
    let (mut terminal, out) = stalled(4 * SECOND).await;
    // More than the stream holds.
    for _ in 0..12 {
        timeout(5 * SECOND, terminal.ttyd.send(&shown(&[b'0'; 100_000]))).await.expect("it is read");
    }
    terminal.ttyd.send(&frame(Sender::Server, Opcode::Ping, true, b"there?")).await;
    assert_eq!(terminal.ttyd.next().await, Some((Opcode::Pong, true, b"there?".to_vec())));
    terminal.browser.send(&typed(b"0during")).await;
    assert_eq!(terminal.ttyd.message().await, b"0during", "a stall holds up keys");
    assert!(
        matches!(terminal.browser.next().await, Some((Opcode::Ping, ..))),
        "it is asked, and shown nothing"
    );
    terminal.browser.send(&ack(out)).await;
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.ttyd.send(&pong()).await;
    let mut other = other(&mut terminal).await;
    other.send(&shown(b"0new")).await;
    assert_eq!(terminal.browser.message().await, RESET, "what was dropped is missing");
    assert_eq!(terminal.browser.message().await, b"0new");
}

#[tokio::test(start_paused = true)]
async fn a_box_that_closes_meanwhile_is_noticed() {
    let (mut terminal, _) = stalled(4 * SECOND).await;
    terminal.ttyd.send(&frame(Sender::Server, Opcode::Close, true, b"")).await;
    assert!(matches!(terminal.outcome().await.reason, Reason::BoxClosed));
}

#[tokio::test(start_paused = true)]
async fn a_stock_client_that_reads_again_sees_nothing_old_either() {
    let mut terminal = Terminal::open(Options::new(Mode::Tty, Role::Editor), 1000);
    terminal.browser.greeting().await;
    terminal.browser.send(&typed(START)).await;
    assert_eq!(terminal.ttyd.message().await, START);
    terminal.ttyd.send(&shown(&[b'0'; 1500])).await;
    sleep(4 * SECOND).await;
    terminal.ttyd.send(&shown(b"0old")).await;
    assert_eq!(terminal.browser.message().await.len(), 1500);
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.ttyd.send(&pong()).await;
    let mut other = other(&mut terminal).await;
    other.send(&shown(b"0new")).await;
    assert_eq!(terminal.browser.message().await, RESET);
    assert_eq!(terminal.browser.message().await, b"0new");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_cut_is_filled() {
    let mut terminal = Terminal::open(Options::new(Mode::Tty, Role::Editor), 1000);
    terminal.browser.greeting().await;
    terminal.browser.send(&typed(START)).await;
    assert_eq!(terminal.ttyd.message().await, START);
    let message = shown(&[b"0", &[b'x'; 5000][..]].concat());
    terminal.ttyd.send(&message[..2500]).await;
    sleep(4 * SECOND).await;
    let cut = terminal.browser.message().await;
    assert_eq!(cut.len(), 5001);
    assert!(cut.ends_with(&[0; 3000]), "its rest is drawn although it is old");
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.ttyd.send(&message[2500..]).await;
    terminal.ttyd.send(&pong()).await;
    let mut other = other(&mut terminal).await;
    other.send(&shown(b"0new")).await;
    assert_eq!(terminal.browser.message().await, RESET);
    assert_eq!(terminal.browser.message().await, b"0new");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_on_for_a_moment_only_is_waited_for() {
    let mut terminal = Terminal::open(Options::new(Mode::Tty, Role::Editor), 1000);
    terminal.browser.greeting().await;
    terminal.browser.send(&typed(START)).await;
    assert_eq!(terminal.ttyd.message().await, START);
    let message = shown(&[b"0", &[b'x'; 5000][..]].concat());
    terminal.ttyd.send(&message[..2500]).await;
    sleep(4 * SECOND).await;
    // It reads what it was sent, and then not even the NULs behind that.
    let mut read = [0; 2000];
    terminal.browser.stream.read_exact(&mut read).await.unwrap();
    terminal.ttyd.send(&message[2500..]).await;
    sleep(60 * SECOND).await;
    terminal.ttyd.nothing().await;
    terminal.browser.seen.extend_from_slice(&read);
    assert_eq!(terminal.browser.message().await.len(), 5001);
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.ttyd.send(&pong()).await;
    let mut other = other(&mut terminal).await;
    other.send(&shown(b"0new")).await;
    assert_eq!(terminal.browser.message().await, RESET);
    assert_eq!(terminal.browser.message().await, b"0new");
}

#[tokio::test(start_paused = true)]
async fn a_terminal_that_had_nothing_to_say_meanwhile_is_left_alone() {
    let mut terminal = Terminal::open(Options::new(Mode::Tty, Role::Editor), 1000);
    terminal.browser.greeting().await;
    terminal.browser.send(&typed(START)).await;
    assert_eq!(terminal.ttyd.message().await, START);
    terminal.ttyd.send(&shown(&[b'0'; 1000])).await;
    sleep(4 * SECOND).await;
    assert_eq!(terminal.browser.message().await.len(), 1000);
    sleep(SECOND).await;
    terminal.ttyd.send(&shown(b"0new")).await;
    assert_eq!(terminal.browser.message().await, b"0new");
    assert!(terminal.others.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_new_stream_begins_with_the_size_of_now() {
    let (mut terminal, out) = stalled(4 * SECOND).await;
    let size = typed(br#"1{"columns":100,"rows":30}"#);
    terminal.browser.send(&[size, ack(out)].concat()).await;
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.ttyd.send(&pong()).await;
    let (far, _) = terminal.others.recv().await.unwrap();
    let start = Peer::new(far, Sender::Client).message().await;
    assert_eq!(start, br#"{"AuthToken":"","columns":100,"rows":30}"#);
}

#[tokio::test(start_paused = true)]
async fn a_paste_has_time_to_arrive() {
    let (mut terminal, out) = stalled(4 * SECOND).await;
    let paste = typed(&[b"0", &[b'x'; 64 * 1024][..]].concat());
    terminal.browser.send(&[paste, ack(out)].concat()).await;
    assert_eq!(terminal.ttyd.message().await.len(), 1 + 64 * 1024);
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.ttyd.send(&pong()).await;
    let answered = Instant::now();
    other(&mut terminal).await;
    assert!(answered.elapsed() >= SECOND / 4, "tmux can't have read it after {:?}", answered.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_box_that_does_not_answer_is_not_waited_for_for_ever() {
    let (mut terminal, out) = stalled(4 * SECOND).await;
    terminal.browser.send(&ack(out)).await;
    let begun = Instant::now();
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.ttyd.nothing().await;
    let outcome = terminal.outcome().await;
    assert!(matches!(outcome.reason, Reason::BoxLost(_)), "{outcome:?}");
    assert!((15 * SECOND..20 * SECOND).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_new_stream_that_shows_nothing_is_no_terminal() {
    let (mut terminal, out) = stalled(4 * SECOND).await;
    terminal.browser.send(&ack(out)).await;
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.ttyd.send(&pong()).await;
    let mut other = other(&mut terminal).await;
    let outcome = terminal.outcome().await;
    assert!(matches!(outcome.reason, Reason::BoxLost(_)), "{outcome:?}");
    assert!(matches!(other.next().await, Some((Opcode::Close, ..))));
}

#[tokio::test(start_paused = true)]
async fn whatever_ends_meanwhile_ends_the_terminal() {
    // The box closes.
    let (mut terminal, out) = stalled(4 * SECOND).await;
    terminal.browser.send(&ack(out)).await;
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.ttyd.send(&frame(Sender::Server, Opcode::Close, true, b"")).await;
    assert!(matches!(terminal.outcome().await.reason, Reason::BoxClosed));
    // The gateway ends it.
    let (mut terminal, out) = stalled(4 * SECOND).await;
    terminal.browser.send(&ack(out)).await;
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.control.take().unwrap().send(Closing::revoked()).unwrap();
    assert!(matches!(terminal.outcome().await.reason, Reason::Told(_)));
    // No other stream can be opened.
    let (mut terminal, out) = stalled(4 * SECOND).await;
    terminal.others.close();
    terminal.browser.send(&ack(out)).await;
    assert!(matches!(terminal.outcome().await.reason, Reason::BoxLost(_)));
    // The browser goes, before the old stream is left.
    let (mut terminal, out) = stalled(4 * SECOND).await;
    terminal.browser.send(&ack(out)).await;
    assert_eq!(terminal.ttyd.next().await, mark());
    terminal.ttyd.send(&pong()).await;
    let mut other = other(&mut terminal).await;
    terminal.control.take().unwrap().send(Closing::gone()).unwrap();
    for stream in [&mut terminal.ttyd, &mut other] {
        assert!(matches!(stream.next().await, Some((Opcode::Close, ..))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_not_blamed_for_not_being_listened_to() {
    let (mut terminal, out) = stalled(9 * SECOND).await;
    terminal.browser.send(&ack(out)).await;
    assert_eq!(terminal.ttyd.next().await, mark());
    sleep(14 * SECOND).await;
    terminal.ttyd.send(&pong()).await;
    let mut other = other(&mut terminal).await;
    other.send(&shown(b"0new")).await;
    terminal.browser.stream.write_all(&typed(b"0x")).await.unwrap();
    assert_eq!(other.message().await, b"0x");
}
