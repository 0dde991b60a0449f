//! Turns serde's complaints into a place and a remedy.

use std::ops::Range;
use std::path::Path;

/// `path:line:column` of an error's beginning.
pub(super) fn place(path: &Path, text: &str, span: Option<Range<usize>>) -> String {
    let Some(span) = span else { return path.display().to_string() };
    let before = &text[..span.start.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!("{}:{line}:{column}", path.display())
}

/// The message, in which an unknown key is answered with the nearest known one.
pub(super) fn problem(message: &str) -> String {
    let Some(rest) = message.trim().strip_prefix("unknown field `") else {
        return message.trim().replace('\n', "; ");
    };
    let mut quoted = rest.split('`');
    let unknown = quoted.next().unwrap_or_default();
    // What follows is text and known keys in turn: "`, expected one of `a`, `b`".
    let known: Vec<&str> = quoted.skip(1).step_by(2).collect();
    let nearest = known.iter().min_by_key(|key| strsim::damerau_levenshtein(unknown, key));
    match nearest {
        Some(key) if strsim::damerau_levenshtein(unknown, key) <= key.len().max(3) / 2 => {
            format!("unknown key \"{unknown}\"; did you mean \"{key}\"?")
        }
        _ => format!("unknown key \"{unknown}\"; known here: {}", known.join(", ")),
    }
}
