//! Keys by name: a fixed list, in tmux's own spelling.
//!
//! tmux takes a name that it does not know for text to type, so a name is checked before it gets that far.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Keys without a modifier, but for the function keys.
const NAMED: &[&str] = &[
    "Enter", "Escape", "Tab", "BTab", "Space", "BSpace", "Delete", "Insert", "Up", "Down", "Left", "Right",
    "Home", "End", "PageUp", "PageDown",
];

/// Keys that a modifier goes with, beside letters.
const MODIFIED: &[&str] = &["Enter", "Space", "Up", "Down", "Left", "Right", "Home", "End"];

/// The highest function key.
const FUNCTION_KEYS: u8 = 12;

/// A key: `Enter`, `Escape`, `Up`, `F5`, `C-c`, `M-f`, `S-Left`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

/// A text that is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a key: expected one of {}, F1 to F12, C- or M- with a letter, or C-, M- or S- with one of {}",
    NAMED.join(", "),
    MODIFIED.join(", ")
)]
pub struct InvalidKey;

impl Key {
    /// The name, which tmux knows.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let known = NAMED.contains(&text) || is_function_key(text) || is_modified(text);
        known.then(|| Self(text.to_owned())).ok_or(InvalidKey)
    }
}

fn is_function_key(text: &str) -> bool {
    (1..=FUNCTION_KEYS).any(|number| text == format!("F{number}"))
}

fn is_modified(text: &str) -> bool {
    let Some((modifier @ ("C" | "M" | "S"), key)) = text.split_once('-') else { return false };
    let letter = matches!(key.as_bytes(), [b'a'..=b'z']);
    MODIFIED.contains(&key) || (letter && modifier != "S")
}

impl TryFrom<String> for Key {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_fixed() {
        for text in ["Enter", "Escape", "Up", "BTab", "F1", "F12", "C-c", "C-z", "M-f", "M-Enter", "S-Left"] {
            assert_eq!(text.parse::<Key>().unwrap().as_str(), text);
        }
        let other = [
            "",
            "enter",
            "a",
            "F0",
            "F13",
            "F01",
            "C-",
            "C-C",
            "C-cc",
            "S-a",
            "-t",
            "-l",
            "C-M-x",
            "0x41",
            "MouseDown1Pane",
            "Enter ",
            "C-c;",
            ";",
        ];
        for text in other {
            assert_eq!(text.parse::<Key>(), Err(InvalidKey), "{text:?}");
        }
        assert!(serde_json::from_str::<Key>("\"$(x)\"").is_err());
    }
}
