//! What programs look like when they ask, work or have nothing to do: data, in `patterns.toml`, to which an operator may
//! add. Matching is pure and takes time in proportion to a screen's size, whatever stands on it.

mod expression;
mod region;
mod shapes;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use berth_protocol::attention::Activity;
use serde::Deserialize;

use self::expression::Expression;
use self::region::plain;
use self::shapes::PromptPattern;
use super::signal::{Foreground, Seen};
use super::tap::report::Look;

/// The patterns of this build.
const BUILT_IN: &str = include_str!("patterns.toml");

/// Lines from a screen's end that are looked at for signs of work, where a pattern names no other number.
const LAST: usize = 10;

/// Why patterns can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternsError {
    /// The file is no TOML, or not of this shape.
    #[error("not a list of patterns: {0}")]
    Shape(Box<toml::de::Error>),
    /// A pattern is not a regular expression, or lacks something.
    #[error("the pattern \"{name}\" {problem}")]
    Pattern {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// All patterns, ready for use.
#[derive(Debug, Clone)]
pub struct Patterns {
    prompts: Vec<PromptPattern>,
    working: Vec<Mark>,
    titles: Vec<Meaning>,
    notices: Vec<Meaning>,
    shells: BTreeSet<String>,
    agents: BTreeSet<String>,
    quiet: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Mark {
    name: String,
    line: Expression,
    last: usize,
}

#[derive(Debug, Clone)]
struct Meaning {
    name: String,
    pattern: Expression,
    activity: Activity,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    /// Names of prompts of this build that do not count.
    off: BTreeSet<String>,
    shells: BTreeSet<String>,
    agents: BTreeSet<String>,
    quiet: BTreeSet<String>,
    prompt: Vec<shapes::PromptEntry>,
    working: Vec<MarkEntry>,
    title: Vec<MeaningEntry>,
    notice: Vec<MeaningEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkEntry {
    name: String,
    line: String,
    last: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeaningEntry {
    name: String,
    pattern: String,
    activity: Activity,
}

impl Mark {
    fn is_shown(&self, lines: &[&str]) -> bool {
        let last = &lines[lines.len().saturating_sub(self.last)..];
        // What does not fit goes on in the next line.
        let broken = |pair: &[&str]| self.line.is_match(&pair.concat());
        last.iter().any(|line| self.line.is_match(line)) || last.windows(2).any(broken)
    }
}

impl Patterns {
    /// The patterns of this build, which are not compiled yet.
    ///
    /// # Panics
    /// When they are wrong, which a test rules out.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test reads them")]
    pub fn built_in() -> Self {
        Self::read(BUILT_IN).expect("the patterns of this build are right")
    }

    /// Those of this build and an operator's, which are tried first; one of the same name replaces ours.
    ///
    /// # Errors
    /// [`PatternsError`].
    pub fn with(own: &str) -> Result<Self, PatternsError> {
        let off = parse(own)?.off;
        let (mut all, own) = (Self::built_in(), Self::read(own)?);
        own.check()?;
        let replaced = |name: &str| off.contains(name) || own.prompts.iter().any(|own| own.name == name);
        all.prompts.retain(|prompt| !replaced(&prompt.name));
        all.prompts.splice(0..0, own.prompts);
        all.working.splice(0..0, own.working);
        all.titles.splice(0..0, own.titles);
        all.notices.splice(0..0, own.notices);
        all.shells.extend(own.shells);
        all.agents.extend(own.agents);
        all.quiet.extend(own.quiet);
        Ok(all)
    }

    fn read(text: &str) -> Result<Self, PatternsError> {
        let file = parse(text)?;
        let mark = |entry: MarkEntry| {
            let (line, last) = (Expression::known(&entry.line), entry.last.unwrap_or(LAST));
            Mark { name: entry.name, line, last }
        };
        let meaning = |entry: MeaningEntry| {
            let (pattern, activity) = (Expression::known(&entry.pattern), entry.activity);
            Meaning { name: entry.name, pattern, activity }
        };
        Ok(Self {
            prompts: file.prompt.into_iter().map(PromptPattern::read).collect::<Result<_, _>>()?,
            working: file.working.into_iter().map(mark).collect(),
            titles: file.title.into_iter().map(meaning).collect(),
            notices: file.notice.into_iter().map(meaning).collect(),
            shells: file.shells,
            agents: file.agents,
            quiet: file.quiet,
        })
    }

    /// Compiles all of them.
    fn check(&self) -> Result<(), PatternsError> {
        let meanings = self.titles.iter().chain(&self.notices).map(|one| (&one.name, &one.pattern));
        let marks = self.working.iter().map(|one| (&one.name, &one.line));
        let prompts = self.prompts.iter().flat_map(PromptPattern::expressions);
        meanings.chain(marks).chain(prompts).try_for_each(|(name, expression)| expression.check(name))
    }

    /// What of a screen is of interest.
    #[must_use]
    pub fn see(&self, look: &Look) -> Seen {
        let lines: Vec<String> = look.lines.iter().map(|line| plain(line)).collect();
        let filled: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
        let working = self.working.iter().any(|mark| mark.is_shown(&filled));
        let prompt = self.prompts.iter().find_map(|prompt| prompt.find(look, &lines, working));
        Seen { prompt, working, digest: digest(&filled), moving: look.moving }
    }

    /// What a title means.
    #[must_use]
    pub fn title(&self, title: &str) -> Option<Activity> {
        meaning(&self.titles, title)
    }

    /// What a message means.
    #[must_use]
    pub fn notice(&self, text: &str) -> Option<Activity> {
        meaning(&self.notices, text)
    }

    /// What is known of a process by its name.
    #[must_use]
    pub fn foreground(&self, name: &str, running: bool) -> Foreground {
        // A login shell has a hyphen before its name.
        let name = name.strip_prefix('-').unwrap_or(name);
        Foreground {
            name: name.to_owned(),
            shell: self.shells.contains(name),
            quiet: self.quiet.contains(name),
            agent: self.agents.contains(name),
            running,
        }
    }
}

fn parse(text: &str) -> Result<File, PatternsError> {
    toml::from_str(text).map_err(|error| PatternsError::Shape(Box::new(error)))
}

fn meaning(all: &[Meaning], text: &str) -> Option<Activity> {
    all.iter().find(|meaning| meaning.pattern.is_match(text)).map(|meaning| meaning.activity)
}

/// What a screen is recognised by: its words, without what counts or turns.
fn digest(lines: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for line in lines {
        line.chars().filter(|c| c.is_alphabetic()).for_each(|c| c.hash(&mut hasher));
        '\n'.hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
