//! A regular expression that is compiled when it is first tried. All of them together take longer than the rest of the
//! agent's start, and megabytes, which a box without a session need not have.

use std::sync::OnceLock;

use regex::{Captures, Regex};

use super::PatternsError;

/// A regular expression.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    text: String,
    /// Nothing for one that is none.
    compiled: OnceLock<Option<Regex>>,
}

impl Expression {
    /// One that is known to be right.
    pub(super) fn known(text: &str) -> Self {
        Self { text: text.to_owned(), compiled: OnceLock::new() }
    }

    /// Compiles it, for the pattern of this name.
    ///
    /// # Errors
    /// [`PatternsError::Pattern`].
    pub(super) fn check(&self, name: &str) -> Result<(), PatternsError> {
        let compiled = Regex::new(&self.text).map_err(|error| PatternsError::Pattern {
            name: name.to_owned(),
            problem: format!("is not a regular expression: {error}"),
        })?;
        self.compiled.get_or_init(|| Some(compiled));
        Ok(())
    }

    /// Whether a text has something that matches.
    pub(super) fn is_match(&self, text: &str) -> bool {
        self.compiled().is_some_and(|regex| regex.is_match(text))
    }

    /// The parts of the first match.
    pub(super) fn captures<'a>(&self, text: &'a str) -> Option<Captures<'a>> {
        self.compiled()?.captures(text)
    }

    fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(&self.text).ok()).as_ref()
    }
}
