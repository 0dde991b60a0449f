//! Tests of the output machine.

use proptest::prelude::*;

use super::super::invariants::{self, Forwarded, feed};
use super::super::tests::{frame, shown};
use super::*;

fn part(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    frame(Sender::Server, opcode, fin, payload)
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

/// Messages, mostly of OUTPUT, each as the payloads of its frames.
fn any_messages() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let kind = prop_oneof![6 => Just(b'0'), 1 => Just(b'1'), 1 => Just(b'2')];
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(any::<u8>(), 65_530..65_540),
    ];
    let message = (kind, payload, prop::collection::vec(any::<prop::sample::Index>(), 0..3)).prop_map(
        |(kind, payload, cuts)| {
            let message = [&[kind], &payload[..]].concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| 1 + cut.index(message.len())).collect();
            cuts.extend([0, message.len()]);
            cuts.sort_unstable();
            cuts.windows(2).map(|cut| message[cut[0]..cut[1]].to_vec()).collect()
        },
    );
    prop::collection::vec(message, 1..6)
}

fn bytes_of(messages: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let frames = messages.iter().flat_map(|message| {
        message.iter().enumerate().map(|(at, payload)| {
            let opcode = if at == 0 { Opcode::Binary } else { Opcode::Continuation };
            part(opcode, at + 1 == message.len(), payload)
        })
    });
    frames.collect::<Vec<_>>().concat()
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_and_our_messages_fit_between(
        messages in any_messages(),
        cuts in prop::collection::vec(any::<usize>(), 0..30),
    ) {
        invariants::passes_unchanged(&messages, &cuts);
        invariants::output(&bytes_of(&messages), &cuts);
    }

    #[test]
    fn wherever_it_ends_it_can_be_finished(
        messages in any_messages(),
        end in any::<prop::sample::Index>(),
        broken in any::<bool>(),
    ) {
        let bytes = bytes_of(&messages);
        let mut sent = bytes[..end.index(bytes.len() + 1)].to_vec();
        if broken {
            sent.extend_from_slice(&[0xff; 20]);
        }
        invariants::output(&sent, &[]);
    }

    #[test]
    fn any_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(any::<usize>(), 0..30),
    ) {
        invariants::output(&bytes, &cuts);
    }
}
