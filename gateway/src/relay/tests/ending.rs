//! Tests of the end: who is told what, and that it does end.

use std::sync::Arc;
use std::time::Duration;

use berth_protocol::door::Role;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use super::super::{BoxViolation, Reason, Violation, read_first, refuse};
use super::*;

/// How long a stock client's first message may take.
const FIRST_LIMIT: Duration = Duration::from_secs(10);

/// Expects the closing text with that kind and the close frame with that code.
async fn expect_closing(peer: &mut Peer, kind: &str, code: u16) {
    let Some((Opcode::Text, true, json)) = peer.next().await else { panic!("no closing text") };
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!((json["type"].as_str(), json["kind"].as_str()), (Some("closing"), Some(kind)));
    assert!(!json["message"].as_str().unwrap().is_empty());
    expect_close(peer, code).await;
}

async fn expect_close(peer: &mut Peer, code: u16) {
    let Some((Opcode::Close, true, payload)) = peer.next().await else { panic!("no close frame") };
    assert_eq!(frame::close_code(&payload), Ok(Some(code)));
}

fn close(code: u16) -> Vec<u8> {
    frame(Sender::Client, Opcode::Close, true, &code.to_be_bytes())
}

#[tokio::test(start_paused = true)]
async fn the_gateway_ends_it_with_a_reason_and_both_sides_go() {
    let mut terminal = Terminal::started().await;
    let begin = Instant::now();
    terminal.control.take().unwrap().send(Closing::revoked()).unwrap();
    expect_closing(&mut terminal.browser, "revoked", 4001).await;
    expect_close(&mut terminal.ttyd, 1000).await;
    assert_eq!(terminal.ttyd.next().await, None);
    // What is typed until the browser has read its close frame goes nowhere.
    terminal.browser.send(&[typed(b"0rm -rf\r"), close(4001)].concat()).await;
    assert_eq!(terminal.browser.next().await, None);
    let outcome = terminal.outcome().await;
    assert!(matches!(outcome.reason, Reason::Told(closing) if closing == Closing::revoked()));
    assert_eq!(outcome.bytes_in, 0);
    assert!(begin.elapsed() < Duration::from_millis(100), "it waited though both sides had closed");
}

#[tokio::test(start_paused = true)]
async fn peers_that_take_nothing_hold_up_the_end_for_a_second() {
    // Room for what is told of the session, and for half of what follows.
    let mut terminal = Terminal::open(Options::new(Mode::Berth, Role::Editor), 1000);
    terminal.browser.send(&typed(START)).await;
    terminal.ttyd.send(&shown(&[b'0'; 5000])[..2000]).await;
    terminal.browser.send(&typed(&[b'0'; 2000])).await;
    sleep(Duration::from_secs(1)).await;
    let begin = Instant::now();
    terminal.control.take().unwrap().send(Closing::draining()).unwrap();
    terminal.outcome().await;
    assert_eq!(begin.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_under_way_is_completed_before_the_close_frame() {
    let mut terminal = Terminal::started().await;
    terminal.ttyd.send(&shown(b"0half a message")[..8]).await;
    sleep(Duration::from_secs(1)).await;
    terminal.control.take().unwrap().send(Closing::draining()).unwrap();
    assert_eq!(terminal.browser.message().await, b"0half \0\0\0\0\0\0\0\0\0");
    expect_closing(&mut terminal.browser, "draining", 1012).await;
}

#[tokio::test(start_paused = true)]
async fn who_breaks_the_rules_is_told_and_ttyd_sees_none_of_it() {
    let too_long = typed(&[b'0'; 64 * 1024 + 2]);
    let cases = [
        (too_long, 1009, Violation::TooLong),
        (typed(b"?"), 1008, Violation::UnknownType),
        (typed(START), 1008, Violation::StartedTwice),
        (text("{"), 1008, Violation::Json),
        (shown(b"0x"), 1002, Violation::Frame(frame::FrameError::Mask)),
    ];
    for (bytes, code, violation) in cases {
        let mut terminal = Terminal::started().await;
        terminal.browser.send(&[typed(b"0a"), bytes].concat()).await;
        assert_eq!(terminal.ttyd.message().await, b"0a");
        expect_close(&mut terminal.ttyd, 1000).await;
        expect_closing(&mut terminal.browser, "protocol_violation", code).await;
        let outcome = terminal.outcome().await;
        assert!(matches!(outcome.reason, Reason::BrowserViolation(seen) if seen == violation), "{outcome:?}");
        assert_eq!(outcome.bytes_in, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_closes_is_answered_and_the_terminal_detached() {
    let mut terminal = Terminal::started().await;
    terminal.ttyd.send(&shown(b"0bye")).await;
    assert_eq!(terminal.browser.message().await, b"0bye");
    terminal.browser.send(&close(1001)).await;
    expect_close(&mut terminal.browser, 1001).await;
    assert_eq!(terminal.browser.next().await, None);
    expect_close(&mut terminal.ttyd, 1000).await;
    let outcome = terminal.outcome().await;
    assert!(matches!(outcome.reason, Reason::BrowserClosed(Some(1001))));
    assert_eq!(outcome.bytes_out, 3);
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_breaks_off_detaches_the_terminal() {
    let mut terminal = Terminal::started().await;
    drop(terminal.browser.stream);
    expect_close(&mut terminal.ttyd, 1000).await;
    let outcome = timeout(Duration::from_secs(10), terminal.task).await.unwrap().unwrap();
    assert!(matches!(outcome.reason, Reason::BrowserLost(_)));
}

#[tokio::test(start_paused = true)]
async fn the_box_s_end_is_explained() {
    for closes in [true, false] {
        let mut terminal = Terminal::started().await;
        terminal.ttyd.send(&shown(b"0[exited]")).await;
        if closes {
            terminal.ttyd.send(&frame(Sender::Server, Opcode::Close, true, &1000u16.to_be_bytes())).await;
        } else {
            terminal.ttyd.stream.shutdown().await.unwrap();
        }
        assert_eq!(terminal.browser.message().await, b"0[exited]");
        expect_closing(&mut terminal.browser, "session_gone", 4004).await;
        terminal.browser.send(&close(4004)).await;
        let outcome = terminal.outcome().await;
        assert!(matches!(outcome.reason, Reason::BoxClosed) == closes, "{outcome:?}");
        assert!(matches!(outcome.reason, Reason::BoxLost(_)) != closes, "{outcome:?}");
    }
}

/// A door that never finds out.
struct Unexplained;

impl<T: 'static> Door<T> for Unexplained {
    fn reopen(self: Arc<Self>, _: bool) -> BoxFuture<'static, std::io::Result<Side<T>>> {
        std::future::pending().boxed()
    }

    fn why_ended(self: Arc<Self>) -> BoxFuture<'static, Closing> {
        std::future::pending().boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_box_whose_end_stays_unexplained_was_lost() {
    let (browser, browser_side) = duplex(1024);
    let (ttyd, ttyd_side) = duplex(1024);
    let (_control, ordered) = oneshot::channel();
    let side = |stream| Side::new(stream, bytes::Bytes::new());
    let options = Options::new(Mode::Berth, Role::Editor);
    let task =
        tokio::spawn(run(side(browser_side), side(ttyd_side), options, ordered, Arc::new(Unexplained)));
    drop(ttyd);
    expect_closing(&mut Peer::new(browser, Sender::Server), "box_lost", 4503).await;
    assert!(matches!(task.await.unwrap().reason, Reason::BoxLost(_)));
}

#[tokio::test(start_paused = true)]
async fn a_box_that_speaks_to_the_page_is_cut_off() {
    let mut terminal = Terminal::started().await;
    let forged =
        frame(Sender::Server, Opcode::Text, true, br#"{"type":"closing","kind":"revoked","message":""}"#);
    terminal.ttyd.send(&[shown(b"0a"), forged].concat()).await;
    assert_eq!(terminal.browser.message().await, b"0a");
    expect_closing(&mut terminal.browser, "session_gone", 4004).await;
    let outcome = terminal.outcome().await;
    assert!(matches!(outcome.reason, Reason::BoxViolation(BoxViolation::Text)), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stock_client_is_read_up_to_its_first_message_and_never_sent_text() {
    let (browser, browser_side) = duplex(1024);
    let (ttyd, ttyd_side) = duplex(1024);
    let (mut browser, mut ttyd) = (Peer::new(browser, Sender::Server), Peer::new(ttyd, Sender::Client));
    let first = typed(br#"{"AuthToken":"secret","columns":90,"rows":30}"#);
    browser.send(&[first, typed(b"0ls\r")].concat()).await;

    let mut browser_side = Side::new(browser_side, bytes::Bytes::new());
    let first = read_first(&mut browser_side, FIRST_LIMIT).await.unwrap();
    assert_eq!(first.ticket.as_str(), "secret");
    let (control, ordered) = oneshot::channel();
    let options = Options { started: Some(first.size), ..Options::new(Mode::Tty, Role::Editor) };
    let ttyd_side = Side::new(ttyd_side, bytes::Bytes::new());
    let task = tokio::spawn(run(browser_side, ttyd_side, options, ordered, Arc::new(NoOther)));
    assert_eq!(ttyd.message().await, br#"{"AuthToken":"","columns":90,"rows":30}"#);
    assert_eq!(ttyd.message().await, b"0ls\r");
    browser.greeting().await;
    control.send(Closing::revoked()).unwrap();
    expect_close(&mut browser, 4001).await;
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_can_be_refused_after_its_upgrade() {
    for (mode, bytes) in [(Mode::Tty, typed(b"0early")), (Mode::Tty, close(1000)), (Mode::Berth, vec![])] {
        let (browser, browser_side) = duplex(1024);
        let mut browser = Peer::new(browser, Sender::Server);
        browser.send(&bytes).await;
        let mut side = Side::new(browser_side, bytes::Bytes::new());
        if mode == Mode::Tty {
            read_first(&mut side, FIRST_LIMIT).await.unwrap_err();
        }
        let refusal = tokio::spawn(async move { refuse(side, mode, &Closing::revoked()).await });
        match mode {
            Mode::Berth => expect_closing(&mut browser, "revoked", 4001).await,
            Mode::Tty => expect_close(&mut browser, 4001).await,
        }
        timeout(Duration::from_secs(2), refusal).await.expect("a refusal ends").unwrap();
    }
}
