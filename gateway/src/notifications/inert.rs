//! Words of a box as text and nothing else: they come from programs that may want to look like somebody else.

/// At most `limit` characters of a text, on one line, without control characters and without those that change how the
/// text around them is read or that can't be seen at all. Joiners stay: scripts and emoji need them.
#[must_use]
pub fn inert(text: &str, limit: usize) -> String {
    let mut plain = String::new();
    let mut gap = false;
    let mut count = 0;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = !plain.is_empty();
            continue;
        }
        if is_hidden(c) {
            continue;
        }
        let needed = 1 + usize::from(gap);
        if count + needed > limit {
            break;
        }
        if std::mem::take(&mut gap) {
            plain.push(' ');
        }
        plain.push(c);
        count += needed;
    }
    plain
}

/// Marks, overrides and isolates of direction, and characters without any shape.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_taken_out() {
        assert_eq!(inert("a\u{1b}[31mb\u{7}\u{9b}c", 99), "a [31mb c");
        assert_eq!(inert("  two\r\n\tlines\u{2028}\u{0} ", 99), "two lines");
        assert_eq!(inert("ab\u{202e}dc\u{202c}\u{2066}e\u{2069}\u{200f}\u{feff}", 99), "abdce");
        assert_eq!(inert("a\u{200b}\u{e0041}b\u{ad}", 99), "ab");
        assert_eq!(inert("\u{1f468}\u{200d}\u{1f4bb}", 99), "\u{1f468}\u{200d}\u{1f4bb}");
    }

    #[test]
    fn its_length_is_bounded_in_characters() {
        assert_eq!(inert(&"ü".repeat(1_000_000), 200).chars().count(), 200);
        assert_eq!(inert("ab cd", 3), "ab");
        assert_eq!(inert("\u{202e}\n", 5), "");
    }
}
