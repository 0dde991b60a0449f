//! What holds for any bytes, whoever sends them: asked by the property tests and by the fuzz targets (`gateway/fuzz`).
//!
//! Each function takes bytes and the places where they are cut, and panics when a rule is broken.

use berth_protocol::door::Role;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::frame::{self, Opcode, Sender};
use super::handshake::{Mode, check_upgrade};
use super::input::{Event, Input, MAX_INPUT, Violation};
use super::output::{BoxViolation, Output};
use super::size::Size;
use super::{to_ttyd, upstream};

/// One frame as it was read: what it is, whether it is its message's last, and its bytes without mask.
pub(super) type Seen = (Opcode, bool, Vec<u8>);

/// Takes whole frames off the front of `bytes`, and leaves the rest.
pub(super) fn take_frames(bytes: &mut Vec<u8>, sender: Sender) -> Vec<Seen> {
    let mut frames = Vec::new();
    while let Some(header) = frame::parse(bytes, sender).expect("the relay wrote a frame that is none") {
        let Some(end) =
            usize::try_from(header.length).ok().and_then(|length| header.size.checked_add(length))
        else {
            panic!("the relay wrote a frame without end");
        };
        if bytes.len() < end {
            break;
        }
        let mut payload = bytes.drain(..end).skip(header.size).collect::<Vec<u8>>();
        frame::apply_mask(&mut payload, header.mask);
        frames.push((header.opcode, header.fin, payload));
    }
    frames
}

/// The pieces of `bytes` between places that may lie anywhere and in any order.
pub(super) fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
}

/// An event that outlives its chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Start(Size, String),
    Input(Vec<u8>),
    Resize(Size),
    PagePing(u64),
    Ack(u64),
    Hidden(bool),
    Lead(bool),
    Ping(Vec<u8>),
    Close(Option<u16>),
}

impl From<Event<'_>> for Told {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Start(size, token) => Self::Start(size, token.as_str().to_owned()),
            Event::Input(message) => Self::Input(message.to_vec()),
            Event::Resize(size) => Self::Resize(size),
            Event::PagePing(n) => Self::PagePing(n),
            Event::Ack(out) => Self::Ack(out),
            Event::Hidden(hidden) => Self::Hidden(hidden),
            Event::Lead(take) => Self::Lead(take),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Close(code) => Self::Close(code),
        }
    }
}

/// What a machine tells of chunks.
pub(super) fn push(mut input: Input, chunks: &[&[u8]]) -> (Vec<Told>, Result<(), Violation>) {
    let mut told = Vec::new();
    let result =
        chunks.iter().try_for_each(|chunk| input.push(&mut chunk.to_vec(), |event| told.push(event.into())));
    (told, result)
}

/// A browser's bytes mean the same however they are cut, and what ttyd gets of them is sound.
///
/// # Panics
/// When that is not so.
pub fn input(mode: Mode, role: Role, bytes: &[u8], cuts: &[usize]) {
    let begin = || Input::new(mode, role, false);
    let whole = push(begin(), &[bytes]);
    assert_eq!(push(begin(), &pieces(bytes, cuts)), whole, "cuts changed what was heard");
    if bytes.len() < 2000 {
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(push(begin(), &single), whole, "single bytes changed what was heard");
    }
    let mut out = Vec::new();
    // What comes before a violation has been passed on.
    let _ = begin().push(&mut bytes.to_vec(), |event| match event {
        Event::Start(size, _) => to_ttyd::start(&mut out, size),
        Event::Input(message) => to_ttyd::input(&mut out, message),
        Event::Resize(size) => to_ttyd::resize(&mut out, size),
        Event::PagePing(_)
        | Event::Ack(_)
        | Event::Hidden(_)
        | Event::Lead(_)
        | Event::Ping(_)
        | Event::Close(_) => {}
    });
    let frames = take_frames(&mut out, Sender::Client);
    assert!(out.is_empty(), "ttyd gets half a frame");
    for (at, (opcode, fin, payload)) in frames.iter().enumerate() {
        assert_eq!((*opcode, *fin), (Opcode::Binary, true), "ttyd gets anything but whole binary messages");
        assert!(payload.len() <= 1 + MAX_INPUT, "ttyd gets {} bytes in a message", payload.len());
        match payload.first() {
            Some(b'{') => assert_eq!(at, 0, "ttyd is begun twice"),
            Some(b'0') => {
                assert!(at > 0 && payload.len() > 1 && role == Role::Editor, "ttyd gets {payload:?}")
            }
            Some(b'1') => assert!(at > 0, "ttyd gets a size first"),
            other => panic!("a message to ttyd begins with {other:?}"),
        }
    }
}

/// What the driver makes of chunks: the forwarded bytes, the last ping, and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Forwarded {
    pub(super) bytes: Vec<u8>,
    pub(super) ping: Option<Vec<u8>>,
    pub(super) end: Option<Result<(), BoxViolation>>,
}

/// Feeds chunks as the driver does, with a mark inserted at each boundary that is offered.
pub(super) fn feed(output: &mut Output, chunks: &[&[u8]], mark: &[u8]) -> Forwarded {
    let mut all = Forwarded::default();
    for chunk in chunks {
        let mut buffer = [output.carry(), chunk].concat();
        let result = output.process(&mut buffer);
        match result.boundary {
            Some(boundary) => {
                let (before, after) = buffer[..result.kept].split_at(boundary);
                all.bytes.extend_from_slice(&[before, mark, after].concat());
            }
            None => all.bytes.extend_from_slice(&buffer[..result.kept]),
        }
        all.ping = result.ping.or(all.ping);
        all.end = result.end;
        if all.end.is_some() {
            break;
        }
    }
    all
}

/// Whether frames are whole messages, text ones not among the fragments of others.
pub(super) fn are_messages(frames: &[Seen]) -> bool {
    let mut under_way = false;
    for (opcode, fin, _) in frames {
        match opcode {
            Opcode::Text | Opcode::Binary if under_way => return false,
            Opcode::Continuation if !under_way => return false,
            Opcode::Close | Opcode::Ping | Opcode::Pong => {}
            _ => under_way = !fin,
        }
    }
    !under_way
}

/// A box's bytes are forwarded the same however they are cut, a page gets nothing but whole messages of OUTPUT, and
/// our own messages fit between.
///
/// # Panics
/// When that is not so.
pub fn output(bytes: &[u8], cuts: &[usize]) {
    let whole = feed(&mut Output::default(), &[bytes], b"");
    let chunks = pieces(bytes, cuts);
    let mut output = Output::default();
    let mut plain = feed(&mut output, &chunks, b"");
    assert!(plain == whole, "cuts changed what is forwarded");
    plain.bytes.extend(output.finish());
    let frames = take_frames(&mut plain.bytes, Sender::Server);
    assert!(plain.bytes.is_empty() && are_messages(&frames), "a page gets half a message");
    let mut counted = 0;
    for (opcode, _, payload) in &frames {
        match opcode {
            Opcode::Binary => assert_eq!(payload.first(), Some(&b'0'), "a page gets what is no OUTPUT"),
            Opcode::Continuation => {}
            other => panic!("a page gets a {other:?} of the box's"),
        }
        counted += payload.len() as u64 - u64::from(*opcode == Opcode::Binary);
    }
    assert!(output.forwarded() <= counted, "more was counted than forwarded");

    let mut mark = Vec::new();
    frame::append(&mut mark, Opcode::Text, b"ours", None);
    let mut output = Output::default();
    let mut marked = feed(&mut output, &chunks, &mark).bytes;
    marked.extend(output.finish());
    let marked = take_frames(&mut marked, Sender::Server);
    assert!(are_messages(&marked), "ours was put inside another message");
    let theirs: Vec<Seen> = marked.into_iter().filter(|(opcode, ..)| *opcode != Opcode::Text).collect();
    assert!(theirs == frames, "ours changed what is forwarded");
}

/// A message of a box, and where it is cut into frames, comes out as it went in, unless it is no OUTPUT.
///
/// # Panics
/// When that is not so.
pub fn passes_unchanged(messages: &[Vec<Vec<u8>>], cuts: &[usize]) {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for message in messages.iter().filter(|message| message.first().is_some_and(|first| !first.is_empty())) {
        let mut frames = Vec::new();
        for (at, payload) in message.iter().enumerate() {
            let begin = frames.len();
            let opcode = if at == 0 { Opcode::Binary } else { Opcode::Continuation };
            frame::append(&mut frames, opcode, payload, None);
            if at + 1 < message.len() {
                // Not the last: without the bit that says so.
                frames[begin] &= 0x7f;
            }
        }
        bytes.extend_from_slice(&frames);
        if message[0][0] == b'0' {
            expected.extend_from_slice(&frames);
        }
    }
    let forwarded = feed(&mut Output::default(), &pieces(&bytes, cuts), b"");
    assert_eq!(forwarded.end, None);
    assert!(forwarded.bytes == expected, "the forwarded bytes differ");
}

/// A request that is taken for an upgrade leaves no doubt, and the answer holds nothing of it but what the RFC says.
///
/// `lines` are header lines, `name: value`; those that no HTTP parser would let pass are left out.
///
/// # Panics
/// When that is not so.
pub fn upgrade(lines: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    let Ok(agreed) = check_upgrade(&headers) else { return };
    for once in ["upgrade", "sec-websocket-key", "sec-websocket-version"] {
        assert_eq!(headers.get_all(once).iter().count(), 1, "{once} leaves a doubt");
    }
    assert!(!headers.contains_key("transfer-encoding"), "an upgrade has a body");
    assert!(headers.get_all("content-length").iter().all(|length| length == "0"), "an upgrade has a body");
    match (agreed.mode, &agreed.ticket) {
        (Mode::Berth, Some(ticket)) => assert!(!ticket.as_str().is_empty()),
        (Mode::Tty, None) => {}
        other => panic!("{other:?} was agreed to"),
    }
    let answer = agreed.response::<()>();
    assert_eq!((answer.status().as_u16(), answer.headers().len()), (101, 4));
    assert_eq!(answer.headers()["sec-websocket-accept"].len(), 28);
}

/// ttyd's answer is judged the same whenever enough of it is there, and never beyond its head.
///
/// # Panics
/// When that is not so.
pub fn answer(bytes: &[u8], cuts: &[usize]) {
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    let judge = |bytes: &[u8]| upstream::check_answer(bytes, KEY).map_err(|error| error.to_string());
    let whole = judge(bytes);
    if let Ok(Some(size)) = whole {
        assert!(
            bytes[..size].ends_with(b"\n\r\n") || bytes[..size].ends_with(b"\n\n"),
            "a head ends elsewhere"
        );
    }
    for cut in cuts {
        let early = judge(&bytes[..cut % (bytes.len() + 1)]);
        assert!(early == Ok(None) || early == whole, "{early:?}, and later {whole:?}");
    }
}
