//! A browser that wants to do harm, down to single bytes: whatever it sends, the box's one ttyd goes on, and so
//! does everybody else's terminal.

use std::time::Duration;

use berth_tests::process::{child, resident};
use berth_tests::raw::{BINARY, CLOSE, PING, PONG, START, TEXT, frame, header};
use berth_tests::{Client, Raw, Stack, Terminal, wait};
use nix::unistd::Pid;
use tokio::time::{sleep, timeout};

/// How soon another terminal must still echo.
const ECHO: Duration = Duration::from_secs(2);

/// By how much the memory of a program may grow.
const GROWTH: u64 = 1024 * 1024;

/// What a hostile terminal has to end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It goes on as if nothing had come.
    None,
    /// It is closed with this code.
    Code(u16),
}

/// Everything that must be unharmed: ttyd, and a neighbour at the same session.
struct Bystanders<'a> {
    stack: &'a Stack,
    client: Client,
    session: String,
    neighbour: Terminal,
    ttyd: Pid,
    echoes: u32,
}

impl<'a> Bystanders<'a> {
    async fn of(stack: &'a Stack) -> Self {
        let (client, session) = stack.client_and_session("work").await;
        let other = client.running_session("other").await;
        let mut neighbour = Terminal::open(&client, &other).await;
        neighbour.read_until("\u{1b}").await;
        let ttyd = child(stack.agent.pid(), "ttyd");
        Self { stack, client, session, neighbour, ttyd, echoes: 0 }
    }

    /// ttyd is the same process, and the neighbour's keys come back.
    async fn are_unharmed(&mut self, after: &str) {
        assert_eq!(child(self.stack.agent.pid(), "ttyd"), self.ttyd, "ttyd died of {after}");
        self.echoes += 1;
        self.neighbour.output.clear();
        // The sum is nowhere in what was typed, so it can only come from the shell.
        self.neighbour.type_text(&format!("clear; echo alive-$((1000000+{}))\r", self.echoes)).await;
        let echo = format!("alive-{}", 1_000_000 + self.echoes);
        let echoed = timeout(ECHO, self.neighbour.read_until(&echo)).await;
        assert!(echoed.is_ok(), "the neighbour's terminal does not echo after {after}");
    }

    /// Sends bytes in a new terminal and checks what became of it, and of everybody else.
    async fn survive(&mut self, what: &str, bytes: &[u8], end: End) {
        let mut hostile = Raw::started(&self.client, &self.session).await;
        self.survive_in(&mut hostile, what, bytes, end).await;
    }

    async fn survive_in(&mut self, hostile: &mut Raw, what: &str, bytes: &[u8], end: End) {
        hostile.send(bytes).await;
        match end {
            End::Code(code) => assert_eq!(hostile.read_until_closed().await, Some(code), "{what}"),
            End::None => {
                self.echoes += 1;
                let text = format!("clear; echo same-$((1000000+{}))\r", self.echoes);
                assert!(hostile.type_text(&text).await, "{what} closed the terminal");
                hostile.read_until(&format!("same-{}", 1_000_000 + self.echoes)).await;
            }
        }
        self.are_unharmed(what).await;
    }
}

/// A frame of a client that is not masked.
fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(payload.len()).unwrap()], payload].concat()
}

#[tokio::test]
async fn what_holds_no_message_is_not_passed_on() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    let nothing = [
        ("an empty binary message", frame(BINARY, b"")),
        ("an INPUT of nothing", frame(BINARY, b"0")),
        ("an empty first fragment and an empty last", [frame(0x02, b""), frame(0x80, b"")].concat()),
        ("an empty first fragment of an INPUT", [frame(0x02, b""), frame(0x80, b"0")].concat()),
        ("an INPUT whose fragments are empty", {
            let empty = frame(0x00, b"").repeat(1000);
            [frame(0x02, b"0"), empty, frame(0x80, b"")].concat()
        }),
        ("PAUSE and RESUME", [frame(BINARY, b"2"), frame(BINARY, b"3")].concat()),
        ("a text message of the future", frame(TEXT, br#"{"type":"from the future","x":[1]}"#)),
        ("a pong that was not asked for", frame(PONG, b"x")),
    ];
    for (what, bytes) in &nothing {
        all.survive(what, bytes, End::None).await;
    }
    all.survive("an empty text message", &frame(TEXT, b""), End::Code(1008)).await;
    // To ttyd's own client text and binary are the same; there an empty text message is nothing, too.
    for (what, bytes) in [("binary", frame(BINARY, b"")), ("text", frame(TEXT, b""))] {
        let mut stock = Raw::started_stock(&all.client, &all.session).await;
        all.survive_in(&mut stock, &format!("an empty {what} message of a stock client"), &bytes, End::None)
            .await;
    }
}

#[tokio::test]
async fn what_is_not_websocket_is_refused() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    let mut wrong = vec![
        ("an unmasked frame", unmasked(BINARY, b"0x")),
        ("an unmasked empty frame", unmasked(BINARY, b"")),
        ("a fragmented ping", frame(0x09, b"")),
        ("a ping of 126 bytes", frame(PING, &[0; 126])),
        ("a continuation of nothing", frame(0x80, b"0x")),
        ("a message within a message", [frame(0x02, b"0"), frame(BINARY, b"0")].concat()),
        ("a short length in two bytes", vec![BINARY, 0x80 | 126, 0, 1, 0, 0, 0, 0, b'0']),
        ("a short length in eight bytes", vec![BINARY, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, b'0']),
        ("a length with its top bit set", vec![BINARY, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("zeros", vec![0; 4096]),
    ];
    wrong.extend([0x40, 0x20, 0x10, 0x70].map(|bits| ("reserved bits", frame(BINARY | bits, b"0x"))));
    let opcodes = [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf];
    wrong.extend(opcodes.map(|opcode| ("a reserved opcode", frame(0x80 | opcode, b""))));
    for (what, bytes) in &wrong {
        all.survive(&format!("{what} {:x?}", &bytes[..2]), bytes, End::Code(1002)).await;
    }
}

#[tokio::test]
async fn what_is_not_of_the_protocol_is_refused() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    for kind in [b'4', b'9', b'z', b' ', b'[', 0x00, 0x7f, 0xff] {
        all.survive(&format!("a message of type {kind}"), &frame(BINARY, &[kind, b'x']), End::Code(1008))
            .await;
    }
    all.survive("a second beginning", &frame(BINARY, START), End::Code(1008)).await;
    for text in
        [&b"{"[..], b"null", b"[]", b"0echo", br#"{"type":5}"#, br#"{"type":"ack","out":-1}"#, b"\xff\xfe"]
    {
        all.survive(&format!("the text {text:?}"), &frame(TEXT, text), End::Code(1008)).await;
    }
    let too_long = [&br#"{"type":"ping","n":1,"x":""#[..], &[b' '; 5000], b"\"}"].concat();
    all.survive("a text of 5 KB", &frame(TEXT, &too_long), End::Code(1009)).await;
    for first in [&b"0x"[..], b"{", b"{}", b"\0", br#"{"AuthToken":7,"columns":80,"rows":24}"#] {
        let mut hostile = Raw::open(&all.client, &all.session).await;
        let what = format!("a first message {:?}", String::from_utf8_lossy(first));
        all.survive_in(&mut hostile, &what, &frame(BINARY, first), End::Code(1008)).await;
    }
}

#[tokio::test]
async fn fragments_with_pings_between_are_one_message() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    let mut hostile = Raw::started(&all.client, &all.session).await;
    let message = b"0clear; echo joined-$((40+2))\r";
    let (last, parts) = message.split_last().unwrap();
    let mut bytes = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        bytes.extend(frame(if at == 0 { 0x02 } else { 0x00 }, &[*part]));
        bytes.extend(frame(PING, b"between"));
    }
    bytes.extend(frame(0x80, &[*last]));
    // Cut everywhere, too: every byte is a packet of its own.
    for byte in bytes {
        assert!(hostile.send(&[byte]).await);
    }
    hostile.read_until("joined-42").await;
    let answered = |other: &berth_tests::raw::Frame| other.first == PONG && other.payload == b"between";
    assert!(hostile.others.iter().any(answered), "no ping was answered");
    all.are_unharmed("interleaved fragments").await;
}

#[tokio::test]
async fn input_is_bounded_by_64_kib_a_message() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    let mut raw = Raw::started(&all.client, &all.session).await;
    raw.type_text(
        "stty raw -echo; echo ready-$((40+2)); head -c 65536 | tr -d a | wc -c | sed s/^/rest-/; stty sane\r",
    )
    .await;
    raw.read_until("ready-42").await;
    raw.output.clear();
    let most = [&b"0"[..], &[b'a'; 64 * 1024]].concat();
    assert!(raw.send(&frame(BINARY, &most)).await);
    // All of it has arrived, and nothing else: `wc` has nothing left to count.
    raw.read_until("rest-0").await;

    let more = [&most[..], b"a"].concat();
    all.survive("an INPUT of 64 KiB and a byte", &frame(BINARY, &more), End::Code(1009)).await;
    let parts = [frame(0x02, &most), frame(0x80, b"a")].concat();
    all.survive("the same in fragments", &parts, End::Code(1009)).await;
    let small = [frame(0x02, b"0"), frame(0x00, &[b'a'; 1000]).repeat(66)].concat();
    all.survive("fragments without end", &small, End::Code(1009)).await;
}

#[tokio::test]
async fn a_message_of_a_gibibyte_costs_nobody_memory() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    let gateway = stack.gateway.pid();
    // Once before it counts, so that buffers which are there for good are there.
    all.survive("a first huge message", &header(BINARY, 1 << 30), End::Code(1009)).await;
    let before = [resident(all.ttyd), resident(gateway)];
    for begin in [header(BINARY, 1 << 30), header(TEXT, 1 << 30), header(0x02, 1 << 30)] {
        let mut hostile = Raw::started(&all.client, &all.session).await;
        assert!(hostile.send(&begin).await);
        assert_eq!(hostile.read_until_closed().await, Some(1009), "refused by its header alone");
        // What follows is read for a moment, so that the close frame is not lost, and thrown away.
        let mut sent: u64 = 0;
        while sent < 1 << 30 && hostile.send(&[b'0'; 64 * 1024]).await {
            sent += 64 * 1024;
        }
        for (pid, before) in [all.ttyd, gateway].into_iter().zip(before) {
            let grown = resident(pid).saturating_sub(before);
            assert!(grown < GROWTH, "process {pid} grew by {grown} bytes");
        }
        all.are_unharmed("a gibibyte").await;
    }
}

#[tokio::test]
async fn sizes_are_clamped_and_what_is_no_size_is_refused() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    let mut raw = Raw::started(&all.client, &all.session).await;
    raw.read_until("\u{1b}").await;
    let sizes = [
        (r#"{"columns":65535,"rows":65535}"#, (1000, 500)),
        (r#"{"columns":0,"rows":0}"#, (2, 1)),
        (r#"{"columns":1e300,"rows":-1e300}"#, (1000, 1)),
        (r#"{"columns":-65535,"rows":70000}"#, (2, 500)),
        (r#"{"rows":33.7,"x":{"columns":1},"columns":77.9}"#, (77, 33)),
    ];
    for (json, (columns, rows)) in sizes {
        assert!(raw.send(&frame(BINARY, format!("1{json}").as_bytes())).await);
        wait::until(json, async || {
            let format = "#{client_width} #{client_height}";
            let clients = stack.tmux.run(&["list-clients", "-t", &all.session, "-F", format])?;
            clients.lines().any(|line| line == format!("{columns} {rows}")).then_some(())
        })
        .await;
        let asked = std::time::Instant::now();
        assert!(stack.tmux.run(&["display-message", "-p", "x"]).is_some());
        assert!(asked.elapsed() < Duration::from_secs(1), "tmux took {:?} after {json}", asked.elapsed());
    }
    let no_sizes = [
        r#"{"columns":NaN,"rows":24}"#,
        r#"{"columns":Infinity,"rows":24}"#,
        r#"{"columns":"80","rows":"24"}"#,
        r#"{"columns":null,"rows":24}"#,
        r#"{"columns":[80],"rows":24}"#,
        r#"{"columns":80}"#,
        r#"{"columns":80,"rows":24}{"#,
        "80x24",
        "",
    ];
    for json in no_sizes {
        let message = format!("1{json}");
        all.survive(&format!("the size {json:?}"), &frame(BINARY, message.as_bytes()), End::Code(1008)).await;
    }
}

#[tokio::test]
async fn a_header_that_never_ends_holds_nothing_up() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    let mut slow = Raw::started(&all.client, &all.session).await;
    assert!(slow.type_text("clear; sleep 0.5; echo late-$((40+2))\r").await);
    let whole = frame(BINARY, b"0clear; echo slow-$((40+2))\r");
    let (header, rest) = whole.split_at(5);
    for byte in header {
        assert!(slow.send(&[*byte]).await);
        sleep(Duration::from_millis(100)).await;
    }
    // Its own output comes all the while, and everybody else's.
    slow.read_until("late-42").await;
    all.are_unharmed("half a header").await;
    assert!(slow.send(rest).await);
    slow.read_until("slow-42").await;
}

#[tokio::test]
async fn ten_thousand_pings_are_not_stored() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    let gateway = stack.gateway.pid();
    let mut hostile = Raw::started_small(&all.client, &all.session).await;
    hostile.read_until("\u{1b}").await;
    let before = resident(gateway);
    for number in 0..10_000_u32 {
        assert!(hostile.send(&frame(PING, &number.to_be_bytes())).await);
        assert!(hostile.send(&frame(TEXT, format!(r#"{{"type":"ping","n":{number}}}"#).as_bytes())).await);
    }
    all.are_unharmed("ten thousand pings").await;
    let grown = resident(gateway).saturating_sub(before);
    assert!(grown < GROWTH, "the gateway grew by {grown} bytes");
    // An answer to the last answers all.
    let last = 9_999_u32.to_be_bytes();
    let answered = async {
        while hostile.others.iter().all(|other| other.first != PONG || other.payload != last) {
            assert!(hostile.read().await, "ten thousand pings closed the terminal");
        }
    };
    timeout(wait::PATIENCE, answered).await.expect("the last ping is answered");
}

#[tokio::test]
async fn close_frames_of_every_shape_end_the_terminal_and_nothing_else() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    for code in [1000_u16, 1001, 1003, 1007, 1014, 3000, 4999] {
        let bytes = frame(CLOSE, &[&code.to_be_bytes()[..], b"because \xff"].concat());
        all.survive(&format!("the close code {code}"), &bytes, End::Code(code)).await;
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535] {
        let bytes = frame(CLOSE, &code.to_be_bytes());
        all.survive(&format!("the close code {code}"), &bytes, End::Code(1002)).await;
    }
    all.survive("half a close code", &frame(CLOSE, &[3]), End::Code(1002)).await;
    all.survive("a close frame of 126 bytes", &frame(CLOSE, &[3; 126]), End::Code(1002)).await;

    let mut empty = Raw::started(&all.client, &all.session).await;
    assert!(empty.send(&frame(CLOSE, b"")).await);
    assert_eq!(empty.read_until_closed().await, None);
    assert_eq!(empty.others.last().map(|last| (last.first, last.payload.len())), Some((CLOSE, 0)));

    let within = [frame(0x02, b"0half"), frame(CLOSE, &1000_u16.to_be_bytes())].concat();
    all.survive("a close frame within a message", &within, End::Code(1000)).await;
}

#[tokio::test]
async fn nothing_is_heard_after_a_close_frame() {
    let stack = Stack::start().await;
    let mut all = Bystanders::of(&stack).await;
    let mark = stack.path("typed-after-close");
    let typed = format!("0touch {}\r", mark.display());
    let bytes = [
        frame(CLOSE, &1000_u16.to_be_bytes()),
        frame(BINARY, typed.as_bytes()),
        frame(BINARY, b""),
        vec![0xff; 64 * 1024],
    ];
    all.survive("bytes after a close frame", &bytes.concat(), End::Code(1000)).await;
    // The same shell has run a later command: an earlier one would have been run before it.
    let mut after = Terminal::open(&all.client, &all.session).await;
    after.type_text("clear; echo after-$((40+2))\r").await;
    after.read_until("after-42").await;
    assert!(!mark.exists(), "what was typed after the close frame was run");
}
