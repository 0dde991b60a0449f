//! Tests of the output machine.

use proptest::prelude::*;

use super::super::tests::{Seen, frame, shown, take_frames};
use super::*;

fn part(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    frame(Sender::Server, opcode, fin, payload)
}

/// What the driver makes of chunks: the forwarded bytes, the last ping, and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Forwarded {
    bytes: Vec<u8>,
    ping: Option<Vec<u8>>,
    end: Option<Result<(), BoxViolation>>,
}

/// Feeds chunks as the driver does, with a mark inserted at each boundary that is offered.
fn feed(output: &mut Output, chunks: &[&[u8]], mark: &[u8]) -> Forwarded {
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

fn forward(bytes: &[u8]) -> Forwarded {
    feed(&mut Output::default(), &[bytes], b"")
}

#[test]
fn output_passes_as_it_is_and_is_counted_without_type_bytes() {
    let bytes = [
        shown(b"0hello"),
        part(Opcode::Binary, false, b"0"),
        part(Opcode::Continuation, false, b""),
        part(Opcode::Continuation, true, b"world"),
        shown(&[b"0", &vec![7; 70_000][..]].concat()),
    ]
    .concat();
    let mut output = Output::default();
    assert_eq!(feed(&mut output, &[&bytes], b"").bytes, bytes);
    assert_eq!(output.forwarded(), 5 + 5 + 70_000);
}

#[test]
fn titles_and_preferences_are_cut_out_whole() {
    let title = [
        part(Opcode::Binary, false, b"1sh -c secret"),
        part(Opcode::Ping, true, b"!"),
        part(Opcode::Continuation, false, b"0 still secret"),
        part(Opcode::Continuation, true, b""),
    ]
    .concat();
    let bytes = [shown(b"2{}"), shown(b"0a"), title, shown(b"1again"), shown(b"0b")].concat();
    let forwarded = forward(&bytes);
    assert_eq!(forwarded.bytes, [shown(b"0a"), shown(b"0b")].concat());
    assert_eq!(forwarded.ping.as_deref(), Some(&b"!"[..]));
}

#[test]
fn a_close_ends_it() {
    let bytes = [shown(b"0bye"), part(Opcode::Close, true, &1000u16.to_be_bytes()), shown(b"0late")].concat();
    let forwarded = forward(&bytes);
    assert_eq!((forwarded.bytes, forwarded.end), (shown(b"0bye"), Some(Ok(()))));
}

#[test]
fn what_breaks_the_rules_is_not_forwarded_but_what_came_before_is() {
    let long = vec![b'0'; MAX_MESSAGE as usize / 2];
    let cases = [
        (frame(Sender::Client, Opcode::Binary, true, b"0x"), FrameError::Mask.into()),
        (vec![0xc2, 0x01, b'0'], FrameError::ReservedBits.into()),
        (vec![0x87, 0x00], FrameError::UnknownOpcode.into()),
        (part(Opcode::Continuation, true, b"0x"), FrameError::Fragments.into()),
        (part(Opcode::Text, true, br#"{"type":"closing"}"#), BoxViolation::Text),
        (shown(b""), BoxViolation::Empty),
        (part(Opcode::Binary, false, b""), BoxViolation::Empty),
        (shown(&[&long[..], &long, b"0"].concat()), BoxViolation::TooLong),
    ];
    for (bytes, violation) in cases {
        let forwarded = forward(&[shown(b"0fine"), bytes].concat());
        assert_eq!((forwarded.bytes, forwarded.end), (shown(b"0fine"), Some(Err(violation))));
    }
    let fragments = [
        part(Opcode::Binary, false, &long),
        part(Opcode::Continuation, false, &long),
        part(Opcode::Continuation, false, b"0"),
    ];
    assert_eq!(forward(&fragments.concat()).end, Some(Err(BoxViolation::TooLong)));
    let nested = [part(Opcode::Binary, false, b"0"), shown(b"0")].concat();
    assert_eq!(forward(&nested).end, Some(Err(FrameError::Fragments.into())));
}

#[test]
fn it_can_be_read_up_to_the_end_of_a_frame() {
    let mut output = Output::default();
    let bytes = shown(b"0hello");
    feed(&mut output, &[&bytes[..4]], b"");
    assert!(!output.at_boundary());
    assert_eq!(output.to_frame_end(), 4);
    feed(&mut output, &[&bytes[4..]], b"");
    assert!(output.at_boundary());
    assert_eq!(output.to_frame_end(), 1);
}

#[derive(Debug, Clone)]
struct Message {
    frames: Vec<Vec<u8>>,
    forwarded: bool,
}

fn any_message() -> impl Strategy<Value = Message> {
    let kind = prop_oneof![6 => Just(b'0'), 1 => Just(b'1'), 1 => Just(b'2')];
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(any::<u8>(), 65_530..65_540),
    ];
    (kind, payload, prop::collection::vec(any::<prop::sample::Index>(), 0..3)).prop_map(
        |(kind, payload, cuts)| {
            let message = [&[kind], &payload[..]].concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| 1 + cut.index(message.len())).collect();
            cuts.extend([0, message.len()]);
            cuts.sort_unstable();
            let last = cuts.len() - 2;
            let frames = cuts.windows(2).enumerate().map(|(at, cut)| {
                let opcode = if at == 0 { Opcode::Binary } else { Opcode::Continuation };
                part(opcode, at == last, &message[cut[0]..cut[1]])
            });
            Message { frames: frames.collect(), forwarded: kind == b'0' }
        },
    )
}

fn chunks<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
}

/// Whether frames are whole messages, text ones not among the fragments of others.
fn are_messages(frames: &[Seen]) -> bool {
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

proptest! {
    #[test]
    fn chunking_changes_nothing_and_our_messages_fit_between(
        messages in prop::collection::vec(any_message(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let bytes = messages.iter().flat_map(|message| message.frames.concat()).collect::<Vec<u8>>();
        let expected = messages.iter().filter(|message| message.forwarded);
        let expected = expected.flat_map(|message| message.frames.concat()).collect::<Vec<u8>>();
        let chunks = chunks(&bytes, &cuts);
        let plain = feed(&mut Output::default(), &chunks, b"");
        prop_assert_eq!(plain.end, None);
        prop_assert!(plain.bytes == expected, "the forwarded bytes differ");

        let mark = part(Opcode::Text, true, b"ours");
        let mut marked = feed(&mut Output::default(), &chunks, &mark).bytes;
        let frames = take_frames(&mut marked, Sender::Server);
        prop_assert!(marked.is_empty() && are_messages(&frames), "ours was put inside another message");
        let theirs = frames.into_iter().filter(|(opcode, ..)| *opcode != Opcode::Text);
        let theirs = theirs.flat_map(|(opcode, fin, payload)| part(opcode, fin, &payload)).collect::<Vec<u8>>();
        prop_assert!(theirs == expected, "marks changed what is forwarded");
    }

    #[test]
    fn wherever_it_ends_it_can_be_finished(
        messages in prop::collection::vec(any_message(), 1..4),
        cut in any::<prop::sample::Index>(),
        broken in any::<bool>(),
    ) {
        let bytes = messages.iter().flat_map(|message| message.frames.concat()).collect::<Vec<u8>>();
        let mut sent = bytes[..cut.index(bytes.len() + 1)].to_vec();
        if broken {
            sent.extend_from_slice(&[0xff; 20]);
        }
        let mut output = Output::default();
        let mut seen = feed(&mut output, &[&sent], b"").bytes;
        seen.extend(output.finish());
        seen.extend(part(Opcode::Close, true, b""));
        let frames = take_frames(&mut seen, Sender::Server);
        prop_assert!(seen.is_empty() && are_messages(&frames), "the close frame ended up inside a message");
        prop_assert_eq!(frames.last().map(|(opcode, ..)| *opcode), Some(Opcode::Close));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400), chunk in 1usize..40) {
        let chunks: Vec<&[u8]> = bytes.chunks(chunk).collect();
        let whole = feed(&mut Output::default(), &[&bytes], b"");
        prop_assert_eq!(feed(&mut Output::default(), &chunks, b""), whole);
    }
}
