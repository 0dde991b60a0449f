//! The shapes that questions have on a screen: a line with the cursor at its end, a menu of numbered choices, a line
//! somewhere near the end.

use std::sync::LazyLock;

use berth_protocol::attention::{Choice, MAX_CHOICES, MAX_LABEL_CHARS, Question};
use berth_protocol::keys::Key;
use serde::Deserialize;
use unicode_width::UnicodeWidthStr;

use super::PatternsError;
use super::expression::Expression;
use super::region::{context, fingerprint};
use crate::notify::signal::{Prompt, PromptKind};
use crate::notify::tap::report::Look;
use crate::notify::text::{for_notification, inert};

/// A numbered choice, with the marker of the chosen one before it.
static OPTION: LazyLock<Expression> =
    LazyLock::new(|| Expression::known(r"^(?:[❯›>*→●○◉◯]\s*)?([1-9])[.)]\s+(\S.*)$"));

/// What stands below a menu: how to choose, or the rest of a choice.
static HELP: LazyLock<Expression> = LazyLock::new(|| {
    Expression::known(
        r"(?i)\b(esc|enter|return|tab|ctrl|shift|cancel|confirm|select|navigate|amend|edit|toggle|shortcuts|press|keys?)\b|[↑↓⇆⏎]",
    )
});

/// How a choice begins that lets the program go on, and one that does not.
static APPROVES: LazyLock<Expression> = LazyLock::new(|| {
    Expression::known(r"(?i)^(?:yes|y\b|allow|approve|accept|ok\b|proceed|trust|continue|run|apply)")
});
static DENIES: LazyLock<Expression> = LazyLock::new(|| {
    Expression::known(r"(?i)^(?:no\b|n\b|deny|reject|cancel|don.?t|do not|exit|quit|abort|skip)")
});

/// A pattern as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PromptEntry {
    name: String,
    kind: PromptKind,
    shape: Shape,
    confidence: u8,
    ask: Vec<String>,
    #[serde(default)]
    unless: Vec<String>,
    #[serde(default)]
    also: Vec<String>,
    #[serde(default = "default_last")]
    last: usize,
    #[serde(default)]
    choose: Choose,
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    free_text: bool,
    #[serde(default)]
    patience_secs: u64,
    #[serde(default)]
    text: Option<String>,
}

/// Where a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shape {
    /// The cursor stands behind it.
    Line,
    /// Numbered choices stand below it.
    Menu,
    /// It is among the last lines.
    Near,
}

/// How one of a menu is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choose {
    /// By its number.
    #[default]
    Digit,
    /// By its number and Enter.
    DigitEnter,
    /// By going there and Enter.
    Arrows,
}

fn default_last() -> usize {
    8
}

/// A pattern, ready for use.
#[derive(Debug, Clone)]
pub(super) struct PromptPattern {
    pub(super) name: String,
    kind: PromptKind,
    shape: Shape,
    confidence: u8,
    ask: Vec<Expression>,
    unless: Vec<Expression>,
    also: Vec<Expression>,
    last: usize,
    choose: Choose,
    choices: Vec<Choice>,
    free_text: bool,
    patience_ms: u64,
    text: Option<String>,
}

impl PromptPattern {
    pub(super) fn read(entry: PromptEntry) -> Result<Self, PatternsError> {
        let name = entry.name;
        let wrong =
            |problem: &str| PatternsError::Pattern { name: name.clone(), problem: problem.to_owned() };
        if entry.ask.is_empty() || entry.confidence > 100 || entry.choices.len() > MAX_CHOICES {
            return Err(wrong("asks nothing, is more than sure, or has too many choices"));
        }
        let all = |patterns: &[String]| patterns.iter().map(|pattern| Expression::known(pattern)).collect();
        Ok(Self {
            kind: entry.kind,
            shape: entry.shape,
            confidence: entry.confidence,
            ask: all(&entry.ask),
            unless: all(&entry.unless),
            also: all(&entry.also),
            last: entry.last,
            choose: entry.choose,
            choices: entry.choices,
            free_text: entry.free_text,
            patience_ms: entry.patience_secs * 1000,
            text: entry.text,
            name,
        })
    }

    /// What it is made of, with its name.
    pub(super) fn expressions(&self) -> impl Iterator<Item = (&String, &Expression)> {
        self.ask.iter().chain(&self.unless).chain(&self.also).map(|expression| (&self.name, expression))
    }

    /// The question, if the screen shows it.
    pub(super) fn find(&self, look: &Look, lines: &[String], working: bool) -> Option<Prompt> {
        // What says that it works does not wait, whatever it speaks of.
        if working && self.shape != Shape::Line {
            return None;
        }
        let near = lines.len() - self.near(lines);
        let has = |also: &Expression| lines[near..].iter().any(|line| also.is_match(line));
        if !self.also.iter().all(has) {
            return None;
        }
        match self.shape {
            Shape::Line => self.line(look, lines),
            Shape::Menu => self.menu(look, lines),
            Shape::Near => self.near_the_end(look, lines, near),
        }
    }

    /// How many lines hold the last filled ones that count.
    fn near(&self, lines: &[String]) -> usize {
        let mut left = self.last;
        let mut count = 0;
        for line in lines.iter().rev() {
            if !line.is_empty() {
                if left == 0 {
                    break;
                }
                left -= 1;
            }
            count += 1;
        }
        count
    }

    fn asks(&self, line: &str) -> bool {
        let matches = |patterns: &[Expression]| patterns.iter().any(|pattern| pattern.is_match(line));
        matches(&self.ask) && !matches(&self.unless)
    }

    fn line(&self, look: &Look, lines: &[String]) -> Option<Prompt> {
        let line = lines.get(look.row)?;
        let shown = look.lines[look.row].trim_end();
        // Behind the question and nowhere else: what a program prints ends with a line of its own.
        let behind = (shown.width()..=shown.width() + 2).contains(&look.column);
        let last = lines[look.row + 1..].iter().all(String::is_empty);
        if !behind || !last || !self.asks(line) {
            return None;
        }
        let around = context(&look.lines, lines, look.row);
        let name = fingerprint(&self.name, around.iter().rev().take(3).copied().chain([line.as_str()]));
        Some(self.prompt(name, line, self.choices.clone()))
    }

    fn near_the_end(&self, look: &Look, lines: &[String], near: usize) -> Option<Prompt> {
        let row = (near..lines.len()).rev().find(|row| self.asks(&lines[*row]))?;
        let around = context(&look.lines, lines, row);
        let name = match self.kind {
            // There is only one way to have nothing to do.
            PromptKind::Ready => fingerprint(&self.name, []),
            _ => fingerprint(&self.name, around.into_iter().chain([lines[row].as_str()])),
        };
        Some(self.prompt(name, &lines[row], self.choices.clone()))
    }

    fn menu(&self, look: &Look, lines: &[String]) -> Option<Prompt> {
        // The last run of choices from 1 on, with nothing but some lines of help below it.
        let last = lines.iter().rposition(|line| OPTION.is_match(line))?;
        let mut below = lines[last + 1..].iter().filter(|line| !line.is_empty());
        // Who draws a menu hides the cursor, or has it at a choice. A text that has a menu in it does neither.
        let drawn = look.hidden || OPTION.is_match(lines.get(look.row)?);
        if !drawn || !below.all(|line| HELP.is_match(line)) {
            return None;
        }
        let mut options: Vec<(usize, usize, &str)> = Vec::new();
        for (row, line) in lines[..=last].iter().enumerate().rev() {
            let Some(found) = OPTION.captures(line) else {
                // A choice may go over several lines, and there may be a blank one between them.
                if options.last().is_some_and(|(first, _, _)| first - row > 3) {
                    break;
                }
                continue;
            };
            let number: usize = found[1].parse().ok()?;
            if options.last().is_some_and(|(_, below, _)| number + 1 != *below) {
                break;
            }
            options.push((row, number, found.get(2).map_or("", |label| label.as_str())));
            if number == 1 {
                break;
            }
        }
        options.reverse();
        let (first, number, _) = *options.first()?;
        if number != 1 || options.len() < 2 || options.len() > MAX_CHOICES {
            return None;
        }
        let row = (first.saturating_sub(6)..first).rev().find(|row| self.asks(&lines[*row]))?;
        let around = context(&look.lines, lines, row);
        let labels = options.iter().map(|(_, _, label)| *label);
        let ask = lines[row].as_str();
        let name = fingerprint(&self.name, around.iter().copied().chain([ask]).chain(labels));
        let chosen = options
            .iter()
            .position(|(row, _, _)| lines[*row].starts_with(['❯', '›', '>', '*', '→', '●', '◉']));
        let choices = self.menu_choices(&options, chosen);
        let text = if around.is_empty() { ask.to_owned() } else { format!("{} · {ask}", around.join(" ")) };
        Some(self.prompt(name, &text, choices))
    }

    fn menu_choices(&self, options: &[(usize, usize, &str)], chosen: Option<usize>) -> Vec<Choice> {
        let mut approved = false;
        let denied = options.iter().rposition(|(_, _, label)| DENIES.is_match(label));
        let mut choices = Vec::new();
        for (index, (_, number, label)) in options.iter().enumerate() {
            let id = match () {
                () if denied == Some(index) => "deny".to_owned(),
                () if !approved && APPROVES.is_match(label) => {
                    approved = true;
                    "approve".to_owned()
                }
                () => number.to_string(),
            };
            let Some((text, keys)) = self.way_to(index, *number, chosen) else { continue };
            choices.push(Choice { id, label: inert(label, MAX_LABEL_CHARS), keys, text });
        }
        choices
    }

    /// What is typed to choose one of a menu; nothing where that can't be told.
    fn way_to(&self, index: usize, number: usize, chosen: Option<usize>) -> Option<(String, Vec<Key>)> {
        let key = |name: &str| name.parse::<Key>().ok();
        match self.choose {
            Choose::Digit => Some((number.to_string(), Vec::new())),
            Choose::DigitEnter => Some((number.to_string(), vec![key("Enter")?])),
            Choose::Arrows => {
                let chosen = chosen?;
                let step = key(if index < chosen { "Up" } else { "Down" })?;
                let mut keys = vec![step; index.abs_diff(chosen)];
                keys.push(key("Enter")?);
                Some((String::new(), keys))
            }
        }
    }

    fn prompt(&self, fingerprint: String, text: &str, choices: Vec<Choice>) -> Prompt {
        Prompt {
            pattern: self.name.clone(),
            kind: self.kind,
            confidence: self.confidence,
            patience_ms: self.patience_ms,
            text: for_notification(self.text.as_deref().unwrap_or(text)),
            question: Question { fingerprint, choices, free_text: self.free_text },
        }
    }
}

/// Compiles what all prompts share.
#[cfg(test)]
pub(super) fn check() -> Result<(), PatternsError> {
    [&OPTION, &HELP, &APPROVES, &DENIES].into_iter().try_for_each(|one| one.check("shared"))
}
