//! The part of a screen that a question takes: its words without frames and markers, and the name that it has by them.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Lines above a question that belong to it, at most.
const CONTEXT: usize = 5;

/// Bytes of a fingerprint; enough to tell questions apart.
const FINGERPRINT_BYTES: usize = 10;

/// A line without the frame around it, and without space at its ends.
pub(super) fn plain(line: &str) -> String {
    let frame = |c: char| matches!(c, '\u{2500}'..='\u{259f}') || c.is_whitespace();
    line.trim_matches(frame).to_owned()
}

/// Whether a line is nothing but a frame's edge.
pub(super) fn is_edge(line: &str) -> bool {
    !line.trim().is_empty() && plain(line).is_empty()
}

/// The lines directly above `row` that belong to what stands there: up to an edge, or two blank lines.
pub(super) fn context<'a>(raw: &[String], lines: &'a [String], row: usize) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut blank = 0;
    for index in (0..row).rev() {
        if is_edge(&raw[index]) || found.len() >= CONTEXT {
            break;
        }
        if lines[index].is_empty() {
            blank += 1;
            if blank > 1 {
                break;
            }
            continue;
        }
        blank = 0;
        found.push(lines[index].as_str());
    }
    found.reverse();
    found
}

/// What a question is known by. Markers of what is chosen, and numbers that count time, are not part of it.
pub(super) fn fingerprint<'a>(pattern: &str, lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    hash.update(pattern);
    for line in lines {
        hash.update("\n");
        hash.update(lasting(line));
    }
    HEXLOWER.encode(&hash.finalize()[..FINGERPRINT_BYTES])
}

fn lasting(line: &str) -> String {
    let words = line.trim_start_matches(['❯', '›', '>', '*', '●', '○', '◉', '◯', '→']).split_whitespace();
    words.filter(|word| !counts(word)).collect::<Vec<_>>().join(" ")
}

/// Times and shares: `12s`, `0:03`, `7%`, `1.5s`; and what turns.
fn counts(word: &str) -> bool {
    let word = word.trim_matches(['(', ')', '[', ']', ',', '·']);
    let number = word.trim_end_matches(['s', 'm', 'h', '%']);
    let time = number.contains(':') || number.len() < word.len();
    (time
        && number.starts_with(|c: char| c.is_ascii_digit())
        && number.chars().all(|c| matches!(c, '0'..='9' | '.' | ':')))
        || (!word.is_empty() && word.chars().all(|c| matches!(c, '\u{2800}'..='\u{28ff}')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_markers_are_not_part_of_a_question() {
        let name = |lines: &[&str]| {
            let plain: Vec<String> = lines.iter().map(|line| plain(line)).collect();
            fingerprint("p", plain.iter().map(String::as_str))
        };
        let first = name(&["│ Run it?      │", "│ ❯ 1. Yes │", "│   2. No │"]);
        assert_eq!(first, name(&["Run it?", "  1. Yes", "❯ 2. No"]));
        assert_eq!(first, name(&["┃ Run  it? ┃ ", "1. Yes", "2. No"]));
        assert_ne!(first, name(&["Run that?", "1. Yes", "2. No"]));
        assert_eq!(name(&["wait (12s) ⠋"]), name(&["wait (13s) ⠙"]));
        assert_ne!(name(&["rm 12"]), name(&["rm 13"]));
    }

    #[test]
    fn what_belongs_to_a_question_ends_at_its_frame() {
        let raw: Vec<String> =
            ["before", "╭────╮", "│ cargo test │", "", "│ Proceed? │"].map(str::to_owned).into();
        let lines: Vec<String> = raw.iter().map(|line| plain(line)).collect();
        assert_eq!(context(&raw, &lines, 4), ["cargo test"]);
        let raw: Vec<String> = ["far", "", "", "near", "ask"].map(str::to_owned).into();
        assert_eq!(context(&raw, &raw, 4), ["near"]);
    }
}
