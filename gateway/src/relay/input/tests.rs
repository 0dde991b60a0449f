//! Tests of the input machine, message by message and as invariants over any bytes.

use proptest::prelude::*;

use super::super::invariants::{self, Told, push};
use super::super::tests::{START, frame, text, typed};
use super::*;

fn begin(mode: Mode) -> Input {
    Input::new(mode, Role::Editor, false)
}

/// What a `berth.v1` editor's bytes lead to, after the first message.
fn running(bytes: &[u8]) -> (Vec<Told>, Result<(), Violation>) {
    push(Input::new(Mode::Berth, Role::Editor, true), &[bytes])
}

fn part(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    frame(Sender::Client, opcode, fin, payload)
}

#[test]
fn the_first_message_begins_the_terminal_and_only_once() {
    let start = Told::Start(Size::clamped(80.0, 24.0), String::new());
    assert_eq!(push(begin(Mode::Berth), &[&typed(START)]), (vec![start.clone()], Ok(())));
    let twice = [typed(START), typed(START)].concat();
    assert_eq!(push(begin(Mode::Berth), &[&twice]), (vec![start], Err(Violation::StartedTwice)));
    for early in [&b"0x"[..], br#"1{"columns":1,"rows":1}"#, b"2", b"?"] {
        assert_eq!(push(begin(Mode::Berth), &[&typed(early)]).1, Err(Violation::NotStarted), "{early:?}");
    }
    assert_eq!(push(begin(Mode::Berth), &[&typed(b"{}")]).1, Err(Violation::Json));
}

#[test]
fn a_stock_client_may_send_text_and_its_token_is_told() {
    let first = r#"{"AuthToken":"secret","columns":65535,"rows":0}"#;
    let bytes = [text(first), text("0ls"), text(r#"{"type":"ping","n":1}"#)].concat();
    let (told, result) = push(begin(Mode::Tty), &[&bytes]);
    assert_eq!(
        told,
        [Told::Start(Size::clamped(1000.0, 1.0), "secret".to_owned()), Told::Input(b"0ls".to_vec())]
    );
    assert_eq!(result, Err(Violation::StartedTwice), "text of berth.v1 was understood in tty mode");
}

#[test]
fn what_says_nothing_is_dropped() {
    let empties = [
        part(Opcode::Binary, true, b""),
        [part(Opcode::Binary, false, b""), part(Opcode::Continuation, true, b"")].concat(),
        typed(b"0"),
        typed(b"2"),
        typed(b"3"),
        part(Opcode::Pong, true, b"unasked"),
        text(r#"{"type":"of a newer version"}"#),
    ];
    for bytes in empties {
        assert_eq!(running(&bytes), (vec![], Ok(())), "{bytes:x?}");
    }
    assert_eq!(running(&text("")).1, Err(Violation::Json), "an empty text is no JSON");
}

#[test]
fn fragments_are_put_together_around_control_frames() {
    let bytes = [
        part(Opcode::Binary, false, b""),
        part(Opcode::Continuation, false, b"0l"),
        part(Opcode::Ping, true, b"?"),
        part(Opcode::Continuation, true, b"s"),
        typed(b"0pwd"),
    ];
    let expected =
        vec![Told::Ping(b"?".to_vec()), Told::Input(b"0ls".to_vec()), Told::Input(b"0pwd".to_vec())];
    assert_eq!(running(&bytes.concat()), (expected, Ok(())));
}

#[test]
fn input_is_bounded_whole_and_in_fragments() {
    let most = [b"0", &vec![b'x'; MAX_INPUT][..]].concat();
    let more = [&most[..], b"x"].concat();
    assert_eq!(running(&typed(&most)), (vec![Told::Input(most.clone())], Ok(())));
    assert_eq!(running(&typed(&more)), (vec![], Err(Violation::TooLong)));
    let fragments = |message: &[u8]| {
        let (a, b) = message.split_at(message.len() / 2);
        [part(Opcode::Binary, false, a), part(Opcode::Continuation, true, b)].concat()
    };
    assert_eq!(running(&fragments(&most)), (vec![Told::Input(most.clone())], Ok(())));
    assert_eq!(running(&fragments(&more)), (vec![], Err(Violation::TooLong)));
    // Refused by its header alone, before a byte of it is kept.
    let header = [0x82, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(running(&header), (vec![], Err(Violation::TooLong)));
    assert_eq!(Violation::TooLong.close_code(), 1009);
}

#[test]
fn other_messages_have_a_bound_of_their_own() {
    let padded = |len: usize| format!(r#"{{"type":"ack","out":1{}}}"#, " ".repeat(len - 22));
    assert_eq!(running(&text(&padded(MAX_JSON))), (vec![Told::Ack(1)], Ok(())));
    assert_eq!(running(&text(&padded(MAX_JSON + 1))).1, Err(Violation::TooLong));
    let resize = format!(r#"1{{"columns":9,"rows":9{}}}"#, " ".repeat(MAX_JSON));
    assert_eq!(running(&typed(resize.as_bytes())).1, Err(Violation::TooLong));
}

#[test]
fn what_ttyd_does_not_know_is_refused() {
    for unknown in [&b"4"[..], b"\0", b"\xff\xff", b" 0"] {
        assert_eq!(running(&typed(unknown)), (vec![], Err(Violation::UnknownType)), "{unknown:?}");
    }
    assert_eq!(running(&typed(b"1{\"columns\":NaN,\"rows\":1}")).1, Err(Violation::Json));
    assert_eq!(running(&text("ping")).1, Err(Violation::Json));
    assert_eq!(running(&part(Opcode::Continuation, true, b"0x")).1, Err(FrameError::Fragments.into()));
    let nested = [part(Opcode::Binary, false, b"0"), typed(b"0x")].concat();
    assert_eq!(running(&nested).1, Err(FrameError::Fragments.into()));
    let unmasked = frame(Sender::Server, Opcode::Binary, true, b"0x");
    assert_eq!(running(&unmasked).1, Err(FrameError::Mask.into()));
    assert_eq!(Violation::UnknownType.close_code(), 1008);
    assert_eq!(Violation::from(FrameError::Mask).close_code(), 1002);
}

#[test]
fn a_viewer_types_nothing_but_has_a_size() {
    let bytes = [typed(START), typed(b"0rm -rf"), typed(br#"1{"columns":90,"rows":30}"#)].concat();
    let (told, result) = push(Input::new(Mode::Berth, Role::Viewer, false), &[&bytes]);
    let size = Size::clamped(80.0, 24.0);
    assert_eq!(told, [Told::Start(size, String::new()), Told::Resize(Size::clamped(90.0, 30.0))]);
    assert_eq!(result, Ok(()));
}

#[test]
fn nothing_is_heard_after_a_close_or_a_violation() {
    let close = part(Opcode::Close, true, &1000u16.to_be_bytes());
    let bytes = [close.clone(), typed(b"0late")].concat();
    assert_eq!(running(&bytes), (vec![Told::Close(Some(1000))], Ok(())));
    assert_eq!(running(&part(Opcode::Close, true, b"")), (vec![Told::Close(None)], Ok(())));
    assert_eq!(running(&part(Opcode::Close, true, b"x")).1, Err(FrameError::CloseCode.into()));

    let mut input = Input::new(Mode::Berth, Role::Editor, true);
    assert_eq!(input.push(&mut typed(b"?"), |_| ()), Err(Violation::UnknownType));
    assert_eq!(input.push(&mut typed(b"0late"), |event| panic!("{event:?}")), Ok(()));
}

/// Frames that are mostly sound, of messages that are mostly sound.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| [b"0", &bytes[..]].concat()),
        1 => Just(START.to_vec()),
        2 => any::<(u16, i16)>().prop_map(|(c, r)| format!(r#"1{{"columns":{c},"rows":{r}}}"#).into_bytes()),
        1 => any::<u64>().prop_map(|out| format!(r#"{{"type":"ack","out":{out}}}"#).into_bytes()),
        1 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (65_500usize..65_540).prop_map(|len| vec![b'0'; len]),
    ];
    let opcode = prop_oneof![
        8 => Just(Opcode::Binary),
        2 => Just(Opcode::Text),
        2 => Just(Opcode::Continuation),
        1 => Just(Opcode::Ping),
    ];
    (payload, opcode, prop::bool::weighted(0.9)).prop_filter_map(
        "a control frame",
        |(payload, opcode, fin)| {
            let sound = !opcode.is_control() || (fin && payload.len() <= frame::MAX_CONTROL);
            sound.then(|| part(opcode, fin, &payload))
        },
    )
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let frames = prop::collection::vec(any_frame(), 0..12)
        .prop_map(|frames| [vec![typed(START)], frames].concat().concat());
    prop_oneof![8 => frames, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #[test]
    fn cuts_change_nothing_and_only_sound_frames_reach_ttyd(
        bytes in any_bytes(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        tty in any::<bool>(),
        viewer in any::<bool>(),
    ) {
        let mode = if tty { Mode::Tty } else { Mode::Berth };
        let role = if viewer { Role::Viewer } else { Role::Editor };
        invariants::input(mode, role, &bytes, &cuts);
    }
}
