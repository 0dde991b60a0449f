//! Text of programs made inert: what may be shown in a list, in a notification of a phone and in a log.

use berth_protocol::attention::MAX_TEXT_CHARS;

/// What is left of a text: one line, without control characters, without what changes the direction of writing or
/// is not seen, at most `limit` characters. A text that was longer ends in an ellipsis.
#[must_use]
pub fn inert(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            space = true;
            continue;
        }
        if is_unseen(c) {
            continue;
        }
        let needed = 1 + usize::from(space && !out.is_empty());
        if count + needed > limit {
            // There is always room for it: what was taken is shorter than the limit, or its last is replaced.
            if count == limit {
                out.pop();
            }
            out.push('…');
            return out;
        }
        if needed == 2 {
            out.push(' ');
        }
        out.push(c);
        (count, space) = (count + needed, false);
    }
    out
}

/// [`inert`] with the limit of a notification's text.
#[must_use]
pub fn for_notification(text: &str) -> String {
    inert(text, MAX_TEXT_CHARS)
}

/// Characters that nobody sees, and that make others be read differently.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffd}'
            | '\u{e0000}'..='\u{e0fff}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{f0000}'..='\u{10ffff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_moves_or_hides_is_gone() {
        for (hostile, left) in [
            ("a\u{1b}[31mb\u{7}", "a [31mb"),
            ("  run\n\trm -rf x  ", "run rm -rf x"),
            ("safe\u{202e}exe.txt", "safeexe.txt"),
            ("\u{2066}a\u{2069}\u{200b}b", "ab"),
            ("ok\u{e0041}\u{feff}", "ok"),
            ("", ""),
        ] {
            assert_eq!(inert(hostile, 200), left, "{hostile:?}");
        }
    }

    #[test]
    fn a_long_text_ends_in_an_ellipsis() {
        assert_eq!(inert("abcdef", 6), "abcdef");
        assert_eq!(inert("abcdefg", 6), "abcde…");
        assert_eq!(inert("abcde fg", 6), "abcde…");
        assert_eq!(inert(&"é".repeat(1_000_000), 200).chars().count(), 200);
    }

    proptest! {
        #[test]
        fn whatever_comes_it_is_one_short_line(text in any::<String>(), limit in 1_usize..60) {
            let left = inert(&text, limit);
            prop_assert!(left.chars().count() <= limit);
            prop_assert!(!left.chars().any(|c| c.is_control() || is_unseen(c)));
            prop_assert_eq!(inert(&left, limit), left.clone());
        }
    }
}
