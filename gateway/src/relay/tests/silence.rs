//! Tests of silence: who is asked, who is taken for dead, and who is not.

use std::time::Duration;

use berth_protocol::door::Role;
use tokio::time::{Instant, sleep};

use super::super::Reason;
use super::super::liveness::{PING_AFTER, SILENCE};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ping() -> Option<Seen> {
    Some((Opcode::Ping, true, vec![]))
}

fn pong() -> Vec<u8> {
    frame(Sender::Client, Opcode::Pong, true, b"")
}

async fn started(mode: Mode) -> Terminal {
    let mut terminal = Terminal::open(Options::new(mode, Role::Editor), 64 * 1024);
    terminal.browser.send(&typed(START)).await;
    assert_eq!(terminal.ttyd.message().await, START);
    if mode == Mode::Tty {
        terminal.browser.greeting().await;
    }
    terminal
}

/// The terminal must end of silence after so long.
async fn expect_silent(terminal: Terminal, since: Instant, after: Duration) {
    let outcome = terminal.outcome().await;
    assert!(matches!(outcome.reason, Reason::BrowserSilent), "{outcome:?}");
    assert!((after..after + SECOND).contains(&since.elapsed()), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_and_says_nothing_else_lives() {
    for mode in [Mode::Berth, Mode::Tty] {
        let mut terminal = started(mode).await;
        for _ in 0..50 {
            let begin = Instant::now();
            assert_eq!(terminal.browser.next().await, ping());
            assert!((PING_AFTER..PING_AFTER + SECOND).contains(&begin.elapsed()), "{:?}", begin.elapsed());
            terminal.browser.send(&pong()).await;
        }
        terminal.ttyd.send(&shown(b"0$ ")).await;
        assert_eq!(terminal.browser.message().await, b"0$ ");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_nothing_is_dead_25_s_after_it_was_heard() {
    for mode in [Mode::Berth, Mode::Tty] {
        let mut terminal = started(mode).await;
        sleep(4 * SECOND).await;
        let heard = Instant::now();
        terminal.browser.send(&typed(b"0x")).await;
        assert_eq!(terminal.browser.next().await, ping());
        expect_silent(terminal, heard, SILENCE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_anything_is_not_asked() {
    let mut terminal = started(Mode::Berth).await;
    for n in 0..10 {
        terminal.browser.send(&text(&format!(r#"{{"type":"ping","n":{n}}}"#))).await;
        assert!(matches!(terminal.browser.next().await, Some((Opcode::Text, ..))));
        sleep(PING_AFTER - SECOND).await;
    }
    assert_eq!(terminal.browser.next().await, ping());
}

#[tokio::test(start_paused = true)]
async fn a_question_waits_for_the_end_of_a_message_and_its_time_begins_then() {
    let mut terminal = started(Mode::Berth).await;
    let message = shown(b"0slow");
    terminal.ttyd.send(&message[..4]).await;
    sleep(2 * SILENCE).await;
    let asked = Instant::now();
    terminal.ttyd.send(&message[4..]).await;
    assert_eq!(terminal.browser.message().await, b"0slow");
    assert_eq!(terminal.browser.next().await, ping());
    expect_silent(terminal, asked, SILENCE - PING_AFTER).await;
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_is_not_dead_and_has_its_time_anew_when_it_reads() {
    let mut terminal = Terminal::open(Options::new(Mode::Tty, Role::Editor), 300);
    terminal.browser.greeting().await;
    terminal.browser.send(&typed(START)).await;
    assert_eq!(terminal.ttyd.message().await, START);
    // The ping is written, and then so much output that it can't be known whether it was ever read.
    sleep(PING_AFTER + SECOND).await;
    terminal.ttyd.send(&shown(&[b'0'; 296])).await;
    sleep(10 * SILENCE).await;
    let read = Instant::now();
    assert_eq!(terminal.browser.next().await, ping());
    assert_eq!(terminal.browser.message().await.len(), 296);
    assert_eq!(terminal.browser.next().await, ping());
    expect_silent(terminal, read, SILENCE).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_not_listened_to_is_asked_and_not_silent() {
    let mut terminal = Terminal::open(Options::new(Mode::Berth, Role::Editor), 100);
    terminal.browser.send(&typed(START)).await;
    assert_eq!(terminal.ttyd.message().await, START);
    let pasted = typed(&[b'0'; 300]);
    terminal.browser.send(&pasted).await;
    // The second waits behind the first, which ttyd does not take.
    terminal.browser.send(&pasted[..50]).await;
    sleep(3 * SILENCE).await;
    assert_eq!(terminal.browser.next().await, ping(), "a network that is gone would not be noticed");
    assert_eq!(terminal.ttyd.message().await.len(), 300);
    terminal.browser.send(&pasted[50..]).await;
    assert_eq!(terminal.ttyd.message().await.len(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_begins_is_not_waited_for_though_it_answers() {
    for mode in [Mode::Berth, Mode::Tty] {
        let mut terminal = Terminal::open(Options::new(mode, Role::Editor), 1024);
        let begin = Instant::now();
        for _ in 0..4 {
            sleep(5 * SECOND).await;
            terminal.browser.send(&pong()).await;
        }
        expect_silent(terminal, begin, SILENCE).await;
    }
}
