//! Tests of a live relay: what passes, what does not, and who waits for whom.

use std::sync::Arc;
use std::time::Duration;

use berth_protocol::door::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::time::{Instant, sleep, timeout};

use super::super::flow::{HIGH, LOW};
use super::super::scratch::READ_SIZE;
use super::super::size::RESIZE_INTERVAL;
use super::super::{Mode, Options, Side, run};
use super::*;

fn resize(columns: u32, rows: u32) -> String {
    format!(r#"1{{"columns":{columns},"rows":{rows}}}"#)
}

fn ack(out: u64) -> Vec<u8> {
    text(&format!(r#"{{"type":"ack","out":{out}}}"#))
}

#[tokio::test(start_paused = true)]
async fn what_crashes_ttyd_never_reaches_it() {
    let mut terminal = Terminal::started().await;
    let part = |opcode, fin, payload: &[u8]| frame(Sender::Client, opcode, fin, payload);
    terminal.browser.send(&part(Opcode::Binary, true, b"")).await;
    terminal.browser.send(&part(Opcode::Binary, false, b"")).await;
    terminal.browser.send(&part(Opcode::Continuation, true, b"")).await;
    terminal.browser.send(&part(Opcode::Binary, false, b"")).await;
    terminal.ttyd.nothing().await;
    terminal.browser.send(&part(Opcode::Continuation, true, b"0ls\r")).await;
    assert_eq!(terminal.ttyd.message().await, b"0ls\r");
    terminal.ttyd.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_message_is_rebuilt_without_its_token() {
    let mut terminal = Terminal::open(Options::new(Mode::Berth, Role::Editor), 64 * 1024);
    terminal.browser.send(&typed(br#"{"AuthToken":"secret","columns":99999,"rows":-1,"x":[]}"#)).await;
    assert_eq!(terminal.ttyd.message().await, br#"{"AuthToken":"","columns":1000,"rows":1}"#);
}

#[tokio::test(start_paused = true)]
async fn titles_do_not_reach_the_page() {
    let mut terminal = Terminal::started().await;
    let part = |opcode, fin, payload: &[u8]| frame(Sender::Server, opcode, fin, payload);
    terminal.ttyd.send(&shown(b"1sh -c secret")).await;
    terminal.ttyd.send(&part(Opcode::Binary, false, b"1sec")).await;
    terminal.ttyd.send(&part(Opcode::Continuation, true, b"0ret")).await;
    terminal.ttyd.send(&shown(b"2{}")).await;
    terminal.browser.nothing().await;
    terminal.ttyd.send(&shown(b"0$ ")).await;
    assert_eq!(terminal.browser.message().await, b"0$ ");
}

#[tokio::test(start_paused = true)]
async fn a_stock_client_is_greeted_by_us_and_not_by_ttyd() {
    let options = Options { title: "wörk".to_owned(), ..Options::new(Mode::Tty, Role::Editor) };
    let mut terminal = Terminal::open(options, 64 * 1024);
    terminal.ttyd.send(&[shown(b"1sh -c secret"), shown(b"2{\"x\":1}"), shown(b"0$ ")].concat()).await;
    for expected in ["1wörk", "2{}", "0$ "] {
        assert_eq!(terminal.browser.message().await, expected.as_bytes());
    }
    terminal.browser.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn sizes_are_clamped_and_the_latest_wins() {
    let mut terminal = Terminal::started().await;
    let begin = Instant::now();
    for at in 0..100 {
        terminal.browser.send(&typed(resize(65_000 - at, 100 + at).as_bytes())).await;
        sleep(Duration::from_millis(10)).await;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let mut seen = vec![];
    while seen.last().is_none_or(|last: &String| !last.contains("199")) {
        seen.push(String::from_utf8(terminal.ttyd.message().await).unwrap());
    }
    assert_eq!(seen[0], resize(1000, 100), "the first size waited");
    assert_eq!(seen.last(), Some(&resize(1000, 199)), "the last size was lost");
    let most = seconds / RESIZE_INTERVAL.as_secs_f64() + 2.0;
    assert!((10.0..=most).contains(&(seen.len() as f64)), "{} sizes in {seconds} s", seen.len());
    terminal.ttyd.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_size_between_keystrokes_is_not_forgotten() {
    let mut terminal = Terminal::started().await;
    let chunk = [typed(resize(10, 10).as_bytes()), typed(b"0a")].concat();
    terminal.browser.send(&chunk).await;
    assert_eq!(terminal.ttyd.message().await, b"0a");
    assert_eq!(terminal.ttyd.message().await, resize(10, 10).as_bytes());
    terminal.browser.send(&[typed(resize(11, 11).as_bytes()), typed(b"0b")].concat()).await;
    let begin = Instant::now();
    assert_eq!(terminal.ttyd.message().await, b"0b");
    assert_eq!(terminal.ttyd.message().await, resize(11, 11).as_bytes());
    assert!(begin.elapsed() <= RESIZE_INTERVAL * 2, "it was sent by accident after {:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn streams_that_buffer_are_flushed() {
    let (browser, browser_side) = duplex(1024);
    let (ttyd, ttyd_side) = duplex(1024);
    let (mut browser, mut ttyd) = (Peer::new(browser, Sender::Server), Peer::new(ttyd, Sender::Client));
    let (_control, ordered) = oneshot::channel();
    let side = |stream| Side::new(BufWriter::new(stream), bytes::Bytes::new());
    let options = Options::new(Mode::Berth, Role::Editor);
    let _task = tokio::spawn(run(side(browser_side), side(ttyd_side), options, ordered, Arc::new(NoOther)));
    browser.send(&typed(START)).await;
    assert_eq!(ttyd.message().await, START);
    for _ in 0..2 {
        browser.send(&typed(resize(10, 10).as_bytes())).await;
        assert_eq!(ttyd.message().await, resize(10, 10).as_bytes());
    }
    ttyd.send(&shown(b"0$ ")).await;
    assert_eq!(browser.message().await, b"0$ ");
    ttyd.send(&frame(Sender::Server, Opcode::Ping, true, b"")).await;
    assert_eq!(ttyd.next().await, Some((Opcode::Pong, true, vec![])));
    browser.send(&frame(Sender::Client, Opcode::Ping, true, b"")).await;
    assert_eq!(browser.next().await, Some((Opcode::Pong, true, vec![])));
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_on_their_own_side() {
    let mut terminal = Terminal::started().await;
    terminal.browser.send(&frame(Sender::Client, Opcode::Ping, true, b"from the browser")).await;
    assert_eq!(terminal.browser.next().await, Some((Opcode::Pong, true, b"from the browser".to_vec())));
    terminal.ttyd.send(&frame(Sender::Server, Opcode::Ping, true, b"from ttyd")).await;
    assert_eq!(terminal.ttyd.next().await, Some((Opcode::Pong, true, b"from ttyd".to_vec())));
    terminal.browser.send(&text(r#"{"type":"ping","n":7}"#)).await;
    let pong = br#"{"type":"pong","n":7}"#.to_vec();
    assert_eq!(terminal.browser.next().await, Some((Opcode::Text, true, pong)));
    terminal.browser.nothing().await;
    terminal.ttyd.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn output_after_input_is_followed_by_its_account() {
    let mut terminal = Terminal::started().await;
    terminal.ttyd.send(&shown(b"0$ ")).await;
    assert_eq!(terminal.browser.message().await, b"0$ ");
    terminal.browser.send(&[typed(b"0l"), typed(b"0s\r")].concat()).await;
    assert_eq!(terminal.ttyd.message().await, b"0l");
    assert_eq!(terminal.ttyd.message().await, b"0s\r");
    terminal.browser.nothing().await;
    terminal.ttyd.send(&shown(b"0ls")).await;
    assert_eq!(terminal.browser.message().await, b"0ls");
    let echo = br#"{"type":"echo","in":3,"out":4}"#.to_vec();
    assert_eq!(terminal.browser.next().await, Some((Opcode::Text, true, echo)));
    terminal.ttyd.send(&shown(b"0more")).await;
    assert_eq!(terminal.browser.message().await, b"0more");
    terminal.browser.nothing().await;
}

#[tokio::test(start_paused = true)]
async fn our_messages_wait_for_the_end_of_ttyds_but_find_it_in_a_flood() {
    let mut terminal = Terminal::started().await;
    let message = shown(&[b"0", &[b'x'; 4096][..]].concat());
    terminal.ttyd.send(&message[..100]).await;
    sleep(Duration::from_secs(1)).await;
    terminal.browser.send(&text(r#"{"type":"ping","n":1}"#)).await;
    terminal.browser.nothing().await;
    // From here on every read begins and ends within a message.
    let rest = [&message[100..], &message[..100]].concat();
    terminal.ttyd.send(&rest).await;
    assert_eq!(terminal.browser.message().await.len(), 4097);
    assert!(matches!(terminal.browser.next().await, Some((Opcode::Text, true, _))));
    terminal.ttyd.send(&rest).await;
    assert_eq!(terminal.browser.message().await.len(), 4097);
}

#[tokio::test(start_paused = true)]
async fn a_long_burst_is_relayed_though_nothing_else_happens() {
    let mut terminal = Terminal::open(Options::new(Mode::Tty, Role::Editor), 4 << 20);
    terminal.browser.greeting().await;
    let burst = shown(&[b"0", &[b'x'; 60_000][..]].concat()).repeat(50);
    terminal.ttyd.send(&burst).await;
    let mut seen = vec![0; burst.len()];
    timeout(Duration::from_secs(10), terminal.browser.stream.read_exact(&mut seen)).await.unwrap().unwrap();
    assert!(seen == burst);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_browser_gets_its_answer_once_it_reads() {
    let mut terminal = Terminal::open(Options::new(Mode::Berth, Role::Editor), 200);
    terminal.browser.send(&typed(START)).await;
    terminal.ttyd.send(&shown(&[b'0'; 300])).await;
    sleep(Duration::from_secs(1)).await;
    terminal.browser.send(&frame(Sender::Client, Opcode::Ping, true, b"?")).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(terminal.browser.message().await.len(), 300);
    assert_eq!(terminal.browser.next().await, Some((Opcode::Pong, true, b"?".to_vec())));
}

/// Writes until the stream takes nothing more; how much it took. It does so before that counts as a stall.
async fn fill(peer: &mut Peer, bytes: &[u8]) -> usize {
    let mut taken = 0;
    while let Ok(size) = timeout(Duration::from_millis(500), peer.stream.write(&bytes[taken..])).await {
        taken += size.unwrap();
        assert!(taken < bytes.len(), "all of it was taken");
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn a_stalled_browser_stops_the_box_but_not_the_keyboard() {
    const CAPACITY: usize = 10_000;
    let mut terminal = Terminal::open(Options::new(Mode::Tty, Role::Editor), CAPACITY);
    terminal.browser.greeting().await;
    terminal.browser.send(&typed(START)).await;
    assert_eq!(terminal.ttyd.message().await, START);
    let flood = shown(&[b"0", &[b'x'; 4096][..]].concat()).repeat(1000);
    let taken = fill(&mut terminal.ttyd, &flood).await;
    assert!(taken <= 2 * CAPACITY + READ_SIZE, "{taken} bytes were taken for a browser that reads nothing");

    terminal.browser.send(&typed(b"0\x03")).await;
    assert_eq!(terminal.ttyd.message().await, b"0\x03", "a stalled screen holds up ^C");

    let (mut read, mut write) = tokio::io::split(terminal.browser.stream);
    let rest = async {
        terminal.ttyd.send(&flood[taken..]).await;
        terminal.ttyd
    };
    let mut seen = vec![0; flood.len()];
    let (_ttyd, read) = tokio::join!(rest, read.read_exact(&mut seen));
    read.unwrap();
    assert!(seen == flood, "the flood was changed");
    write.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stalled_box_stops_the_browser_but_not_the_screen() {
    const CAPACITY: usize = 10_000;
    let mut terminal = Terminal::open(Options::new(Mode::Berth, Role::Editor), CAPACITY);
    let pasted = [typed(START), typed(&[b"0", &[b'x'; 4096][..]].concat()).repeat(1000)].concat();
    let taken = fill(&mut terminal.browser, &pasted).await;
    assert!(taken <= 3 * CAPACITY + READ_SIZE, "{taken} bytes were taken for a box that reads nothing");

    terminal.ttyd.send(&shown(b"0$ ")).await;
    assert_eq!(terminal.browser.message().await, b"0$ ", "a stalled keyboard holds up the screen");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_stops_drawing_stops_the_box_until_it_goes_on() {
    let mut terminal = Terminal::started().await;
    let message = shown(&[b"0", &[b'x'; 5000][..]].concat());
    terminal.browser.send(&ack(0)).await;
    // A page takes everything off the network at once, drawn or not.
    let (mut read, mut write) = tokio::io::split(terminal.browser.stream);
    let page = tokio::spawn(async move {
        let mut seen = vec![];
        while let Ok(Ok(1..)) = timeout(Duration::from_secs(60), read.read_buf(&mut seen)).await {}
        seen
    });
    let taken = fill(&mut terminal.ttyd, &message.repeat(1000)).await;
    assert!(taken as u64 > HIGH, "the window closed at {taken} bytes");
    // Beyond the window: one read, and what the stream to ttyd holds.
    assert!(taken as u64 <= HIGH + 3 * READ_SIZE as u64, "{taken} bytes passed the window");
    write.write_all(&text(r#"{"type":"ping","n":1}"#)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    write.write_all(&ack(HIGH + READ_SIZE as u64 - LOW / 2)).await.unwrap();
    let more = fill(&mut terminal.ttyd, &message.repeat(1000)[taken..]).await;
    assert!(more as u64 > HIGH / 2, "the window did not open: {more} bytes");

    let mut seen = page.await.unwrap();
    let frames = take_frames(&mut seen, Sender::Server);
    assert!(seen.is_empty(), "the window closed within a frame");
    let pong = frames
        .iter()
        .position(|(opcode, ..)| *opcode == Opcode::Text)
        .expect("a closed window holds up pongs");
    let shown = |frames: &[Seen]| frames.iter().map(|(_, _, payload)| payload.len() as u64 - 1).sum::<u64>();
    let before = shown(&frames[..pong]);
    assert!((HIGH + 1..=HIGH + READ_SIZE as u64 + 5000).contains(&before), "{before} bytes before the pong");
}

#[tokio::test]
async fn random_streams_pass_unchanged_both_ways() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut bytes = |len: usize| -> Vec<u8> { std::iter::repeat_with(|| random.u8(..)).take(len).collect() };
    let output: Vec<Vec<u8>> = (1..300).map(|at| [b"0", &bytes(at * 37 % 9000)[..]].concat()).collect();
    let input: Vec<Vec<u8>> = (1..300).map(|at| [b"0", &bytes(1 + at * 53 % 6000)[..]].concat()).collect();
    let mut terminal = Terminal::open(Options::new(Mode::Tty, Role::Editor), 3000);
    terminal.browser.greeting().await;
    let Terminal { browser, ttyd, .. } = terminal;
    let (mut from_relay, mut to_relay) = tokio::io::split(browser.stream);
    let (mut from_relay_ttyd, mut to_relay_ttyd) = tokio::io::split(ttyd.stream);

    let typed_bytes =
        [vec![typed(START)], input.iter().map(|message| typed(message)).collect()].concat().concat();
    let shown_bytes = output.iter().map(|message| shown(message)).collect::<Vec<_>>().concat();
    let (expected_shown, typed_len, shown_len) = (shown_bytes.clone(), typed_bytes.len(), shown_bytes.len());
    let write_typed = async {
        for chunk in typed_bytes.chunks(1013) {
            to_relay.write_all(chunk).await.unwrap();
        }
    };
    let write_shown = async {
        for chunk in shown_bytes.chunks(719) {
            to_relay_ttyd.write_all(chunk).await.unwrap();
        }
    };
    let mut seen_shown = vec![0; shown_len];
    // The rebuilt first message is as long as the one that was sent.
    let mut seen_typed = vec![0; typed_len];
    let all = async {
        tokio::join!(
            write_typed,
            write_shown,
            from_relay.read_exact(&mut seen_shown),
            from_relay_ttyd.read_exact(&mut seen_typed),
        )
    };
    let (_, _, shown, typed) =
        timeout(Duration::from_secs(60), all).await.expect("the directions block each other");
    shown.unwrap();
    typed.unwrap();
    assert!(seen_shown == expected_shown, "output was changed");
    let frames = take_frames(&mut seen_typed, Sender::Client);
    let messages: Vec<Vec<u8>> = frames.into_iter().skip(1).map(|(_, _, payload)| payload).collect();
    assert!(messages == input, "input was changed");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_with_the_handshakes_comes_first() {
    let (browser, browser_side) = duplex(1024);
    let (ttyd, ttyd_side) = duplex(1024);
    let (_control, ordered) = oneshot::channel();
    let browser_side = Side::new(browser_side, typed(START).into());
    let ttyd_side = Side::new(ttyd_side, shown(b"0early").into());
    let options = Options::new(Mode::Berth, Role::Editor);
    let _task = tokio::spawn(run(browser_side, ttyd_side, options, ordered, Arc::new(NoOther)));
    assert_eq!(Peer::new(ttyd, Sender::Client).message().await, START);
    assert_eq!(Peer::new(browser, Sender::Server).message().await, b"0early");
}

#[tokio::test]
async fn an_idle_terminal_is_small() {
    let (_browser, browser_side) = duplex(1);
    let (_ttyd, ttyd_side) = duplex(1);
    let (_control, ordered) = oneshot::channel();
    let side = |stream| Side::new(stream, bytes::Bytes::new());
    let options = Options::new(Mode::Berth, Role::Editor);
    let task = run(side(browser_side), side(ttyd_side), options, ordered, Arc::new(NoOther));
    let size = size_of_val(&task);
    assert!(size <= 1600, "a terminal's task has {size} bytes");
}
