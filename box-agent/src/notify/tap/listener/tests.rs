use proptest::prelude::*;

use super::*;

fn heard(bytes: &[u8]) -> Listener {
    let mut listener = Listener::new(20, 4);
    listener.hear(bytes, 1);
    listener
}

fn screen(bytes: &str) -> String {
    let lines = heard(bytes.as_bytes()).heard.grid.text();
    lines.join("\n").trim_end().to_owned()
}

#[test]
fn a_bell_is_one_that_ends_no_string() {
    for (output, bells) in [
        ("\u{7}", 1),
        ("a\u{7}\u{7}", 2),
        ("\u{1b}]0;title\u{7}", 0),
        ("\u{1b}]2;a\u{7}\u{7}", 1),
        ("\u{1b}]0;title\u{1b}\\\u{7}", 1),
        ("\u{1b}P\u{7}q\u{1b}\\", 0),
        ("\u{1b}[31\u{7}m", 1),
    ] {
        assert_eq!(heard(output.as_bytes()).pending().bells, bells, "{output:?}");
    }
    let mut split = heard(b"\x1b]0;tit");
    split.hear(b"le\x07", 2);
    assert_eq!((split.pending().bells, split.pending().title.as_deref()), (0, Some("title")));
}

#[test]
fn a_bell_shortly_after_a_line_is_not_alone() {
    let lone = |output: &str, pause| {
        let mut listener = heard(output.as_bytes());
        listener.hear(b"\x07", 1 + pause);
        listener.take().lone
    };
    assert!(!lone("make\r\n", LINE_FRESH_MS));
    assert!(lone("make\r\n", LINE_FRESH_MS + 1));
    assert!(lone("$ ca", 0));
    assert!(!heard(b"\x07").pending().followed && heard(b"\x07$ ").pending().followed);
}

#[test]
fn messages_come_by_three_ways() {
    for (output, message) in [
        ("\u{1b}]9;Approval needed\u{7}", "Approval needed"),
        ("\u{1b}]9;a;b\u{1b}\\", "a;b"),
        ("\u{1b}]777;notify;Title;Body; more\u{7}", "Title: Body; more"),
        ("\u{1b}]777;notify;Title\u{7}", "Title"),
        ("\u{1b}]99;;Hello\u{1b}\\", "Hello"),
        ("\u{1b}]99;i=1:d=0;Hello\u{1b}\\\u{1b}]99;i=1:p=body;world\u{1b}\\", "Hello: world"),
        ("\u{1b}Ptmux;\u{1b}\u{1b}]9;through tmux\u{7}\u{1b}\\", "through tmux"),
        ("\u{1b}]9;a\u{202e}b\u{7}", "ab"),
    ] {
        let heard = heard(output.as_bytes());
        assert_eq!(
            (heard.pending().notices.as_slice(), heard.pending().bells),
            (&[message.to_owned()][..], 0)
        );
    }
    for silent in
        ["\u{1b}]9;\u{7}", "\u{1b}]9;4;1;50\u{7}", "\u{1b}]9;9;/dir\u{7}", "\u{1b}]777;other;x\u{7}"]
    {
        assert!(heard(silent.as_bytes()).pending().notices.is_empty(), "{silent:?}");
    }
    let many = "\u{1b}]9;a\u{7}\u{1b}]9;b\u{7}".repeat(100);
    let report = heard(many.as_bytes()).take();
    assert_eq!((report.notices.len(), report.dropped), (MAX_NOTICES, 196));
}

#[test]
fn progress_is_told_when_it_changes() {
    let mut listener = heard(b"\x1b]9;4;1;10\x07");
    assert_eq!(listener.take().progress, Some(Progress::Running));
    listener.hear(b"\x1b]9;4;1;20\x07\x1b]9;4;3\x07", 2);
    assert_eq!(listener.take().progress, None);
    listener.hear(b"\x1b]9;4;2;20\x07", 3);
    assert_eq!(listener.take().progress, Some(Progress::Failed));
    listener.hear(b"\x1b]9;4;0\x07", 3);
    assert_eq!(listener.take().progress, Some(Progress::Ended));
}

#[test]
fn a_title_of_a_megabyte_is_short_and_harms_nothing() {
    let mut listener = heard(b"\x1b]2;");
    listener.hear(&vec![b'x'; 1024 * 1024], 2);
    listener.hear(b"\x07after", 3);
    let report = listener.take();
    assert_eq!((report.title.unwrap().chars().count(), report.bells), (MAX_WORDS, 0));
    assert_eq!(listener.look().lines, ["after"]);
}

#[test]
fn the_screen_is_what_a_terminal_shows() {
    for (output, shown) in [
        ("one\r\ntwo", "one\ntwo"),
        ("abc\rX", "Xbc"),
        ("1\r\n2\r\n3\r\n4\r\n5", "2\n3\n4\n5"),
        ("0123456789012345678901", "01234567890123456789\n01"),
        ("abc\u{1b}[2D\u{1b}[K", "a"),
        ("a\r\nb\u{1b}[H\u{1b}[J", ""),
        ("\u{1b}[2;3Hx", "\n  x"),
        ("abcdef\r\u{1b}[2P\u{1b}[1@", " cdef"),
        ("a\r\nb\r\nc\u{1b}[1;1H\u{1b}[1M", "b\nc"),
        ("a\r\nb\u{1b}[1;1H\u{1b}[1L", "\na\nb"),
        ("main\u{1b}[?1049hother", "    other"),
        ("main\u{1b}[?1049hother\u{1b}[?1049l!", "main!"),
        ("\u{1b}[2;3r1\u{1b}[3;1Ha\nb\nc", "1\n b\n  c"),
        ("界x\u{1b}[1;1H", "界x"),
        ("\u{1b}(0lqk\u{1b}(Blqk", "┼─┼lqk"),
        ("a\u{1b}[3b", "aaaa"),
        ("a\tb", "a       b"),
    ] {
        assert_eq!(screen(output), shown, "{output:?}");
    }
}

#[test]
fn a_look_is_the_end_of_the_screen_with_the_cursor() {
    let look = heard(b"a\r\nb? ").look();
    assert_eq!((look.lines.as_slice(), look.row, look.column), (&["a".to_owned(), "b?".into()][..], 1, 3));
    let look = heard(b"a\r\n\r\n").look();
    assert_eq!((look.lines.len(), look.row, look.column), (3, 2, 0));
    assert!(heard(b"\x1b[?25l").look().hidden && !heard(b"\x1b[?25l\x1b[?25h").look().hidden);
}

proptest! {
    #[test]
    fn no_bytes_break_it(
        pieces in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "\u{1b}\\[[0-9;?]{0,8}[@-~]".prop_map(String::into_bytes),
            "\u{1b}[\\[\\]()78DMEc]".prop_map(String::into_bytes),
            "[a-z界é\u{7}\r\n\t]{0,30}".prop_map(String::into_bytes),
        ], 0..60),
        sizes in prop::collection::vec((0_usize..30, 0_usize..12), 1..4),
    ) {
        let mut listener = Listener::new(sizes[0].0, sizes[0].1);
        for (index, piece) in pieces.iter().enumerate() {
            listener.hear(piece, index as u64);
            let (columns, lines) = sizes[index % sizes.len()];
            if index % 7 == 3 {
                listener.resize(columns, lines);
            }
            let look = listener.look();
            prop_assert!(look.row < look.lines.len().max(1));
            prop_assert!(listener.pending().notices.len() <= MAX_NOTICES);
        }
    }
}
