//! What may be shown of a screen that was saved: text, line breaks and colours.
//!
//! A program chose what stood there, and it is shown in a terminal of another time. So no sequence that moves,
//! asks, names or copies anything gets through, whatever tmux or a hand on the volume has let in.

use std::iter::Peekable;
use std::str::Chars;

/// Characters of one colour sequence; tmux's are shorter.
const MAX_COLOUR: usize = 64;

/// Text, line breaks, tabs and colour sequences (SGR), and nothing else of it. Characters of the old line drawing set
/// become those of Unicode.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut drawing = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => sequence(&mut rest, &mut out),
            '\n' | '\t' => out.push(c),
            '\u{e}' => drawing = true,
            '\u{f}' => drawing = false,
            c if c.is_control() => {}
            c => out.push(if drawing { drawn(c) } else { c }),
        }
    }
    out
}

/// Takes what belongs to an escape character, and lets a colour pass.
fn sequence(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    match rest.next_if(|c| (' '..='~').contains(c)) {
        Some('[') => control(rest, out),
        Some(']' | 'P' | 'X' | '^' | '_') => string(rest),
        Some(' '..='/') => {
            while rest.next_if(|c| (' '..='/').contains(c)).is_some() {}
            rest.next_if(|c| ('0'..='~').contains(c));
        }
        _ => {}
    }
}

fn control(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut parameters = String::new();
    while let Some(c) = rest.next_if(|c| (' '..='?').contains(c)) {
        parameters.push(c);
    }
    let last = rest.next_if(|c| ('@'..='~').contains(c));
    let is_colour = parameters.chars().all(|c| matches!(c, '0'..='9' | ';' | ':'));
    if last == Some('m') && is_colour && parameters.len() <= MAX_COLOUR {
        out.push_str("\u{1b}[");
        out.push_str(&parameters);
        out.push('m');
    }
}

/// A string ends with a bell or a terminator; one that does not ends with its line.
fn string(rest: &mut Peekable<Chars<'_>>) {
    while let Some(c) = rest.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' if rest.next_if_eq(&'\\').is_some() => return,
            _ => {}
        }
    }
}

fn drawn(c: char) -> char {
    match c {
        'j' => '┘',
        'k' => '┐',
        'l' => '┌',
        'm' => '└',
        'n' => '┼',
        'q' => '─',
        't' => '├',
        'u' => '┤',
        'v' => '┴',
        'w' => '┬',
        'x' => '│',
        'a' => '▒',
        '`' => '◆',
        '~' => '·',
        c => c,
    }
}

/// The end of a text, at most so many bytes long: whole lines, or one line's end.
#[must_use]
pub fn tail(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = &text[text.ceil_char_boundary(text.len() - bytes)..];
    end.split_once('\n').map_or(end, |(_, whole)| whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_colours_pass() {
        let text = "\u{1b}[1;31mred\u{1b}[0m \u{1b}[38:2::1:2:3mü\n\t✓";
        assert_eq!(clean(text), text);
        assert_eq!(clean("\u{e}lqqk\u{f}lq"), "┌──┐lq");
    }

    #[test]
    fn nothing_else_does() {
        for (hostile, left) in [
            ("a\u{1b}[2Jb\u{1b}[5;5Hc", "abc"),
            ("a\u{1b}]0;title\u{7}b\u{1b}]52;c;cm0gLXJm\u{1b}\\c", "abc"),
            ("a\u{1b}P+q544e\u{1b}\\b\u{1b}_x\u{9c}c", "abc"),
            ("a\u{1b}]0;without end\nb", "a\nb"),
            ("a\u{1b}[?1049hb\u{1b}[>4;1mc\u{1b}[6nd", "abcd"),
            ("a\u{1b}(0b\u{1b}cc\u{1b}#8d", "abcd"),
            ("a\rb\u{8}c\u{7}d\u{9b}5ne", "abcd5ne"),
            ("a\u{1b}[31", "a"),
            ("a\u{1b}", "a"),
            ("a\u{1b}\u{1b}[0mb", "a\u{1b}[0mb"),
            ("a\u{1b}[3\u{1b}[1mb", "a\u{1b}[1mb"),
            ("a\u{1b}[31 mb", "ab"),
        ] {
            assert_eq!(clean(hostile), left, "{hostile:?}");
        }
        let long = format!("\u{1b}[{}m", "1;".repeat(1000));
        assert_eq!(clean(&long), "");
    }

    #[test]
    fn whatever_comes_only_colours_are_left() {
        let alphabet =
            ['\u{1b}', '[', ']', 'm', '0', ';', '?', '\\', '\u{7}', '\u{9c}', 'P', '\n', ' ', 'é', '\u{90}'];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let length = random.usize(0..24);
            let text: String = (0..length).map(|_| alphabet[random.usize(0..alphabet.len())]).collect();
            let cleaned = clean(&text);
            for (place, c) in cleaned.char_indices().filter(|(_, c)| c.is_control() && *c != '\n') {
                assert_eq!(c, '\u{1b}', "{text:?}");
                let rest = cleaned[place..].strip_prefix("\u{1b}[").unwrap();
                let end = rest.find(|c: char| !matches!(c, '0'..='9' | ';' | ':')).unwrap();
                assert_eq!(rest.as_bytes()[end], b'm', "{text:?}");
            }
            assert_eq!(clean(&cleaned), cleaned, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_keeps_its_last_whole_lines() {
        assert_eq!(tail("one\ntwo\nthree", 9), "three");
        assert_eq!(tail("one\ntwo", 7), "one\ntwo");
        assert_eq!(tail("ééé", 3), "é");
        assert_eq!(tail("", 3), "");
    }
}
