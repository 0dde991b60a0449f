//! What a tap tells the agent: one JSON line for each report, bounded however much a pane says.

use serde::{Deserialize, Serialize};

/// Lines of a screen that are told, from its end.
pub const MAX_LINES: usize = 48;

/// Characters of a line.
pub const MAX_COLUMNS: usize = 200;

/// Messages of one report.
pub const MAX_NOTICES: usize = 4;

/// Characters of a message or a title.
pub const MAX_WORDS: usize = 240;

/// What has happened in a pane since the last report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Characters that were shown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub printed: u64,
    /// Bells.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bells: u64,
    /// Whether no line was begun shortly before the last bell, as when a shell has nothing to complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lone: bool,
    /// Whether something was shown after the last bell.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub followed: bool,
    /// Desktop notifications (OSC 9, 99, 777).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// The title, when it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The progress, when it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The screen, when it has come to rest and is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    /// Bytes that were not looked at, because they came faster.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// Messages that were dropped, because there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Whether the pane's output leads elsewhere from now on, or has ended: the tap goes. One that died says nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// What a screen shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Look {
    /// Its last lines; blank ones at the end are left out, but for the cursor's.
    pub lines: Vec<String>,
    /// The cursor's line, counted in `lines`.
    pub row: usize,
    /// The cursor's column.
    pub column: usize,
    /// Whether the cursor is hidden, as programs do that draw menus.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Whether output goes on: the screen is of a moment and not at rest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moving: bool,
}

/// A progress report (OSC 9;4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// None any more.
    Ended,
    /// So many percent, or unknown.
    Running,
    /// Something failed.
    Failed,
    /// It waits.
    Paused,
}

/// What the agent tells a tap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Columns of the pane.
    pub columns: u16,
    /// Lines of the pane.
    pub lines: u16,
}

impl Look {
    /// A screen of all its lines and the cursor's place in it.
    #[must_use]
    pub fn of(mut lines: Vec<String>, row: usize, column: usize) -> Self {
        let filled = lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
        let end = filled.max(row + 1).min(lines.len());
        lines.truncate(end);
        let begin = lines.len().saturating_sub(MAX_LINES);
        lines.drain(..begin);
        for line in &mut lines {
            let line_end = line.char_indices().nth(MAX_COLUMNS).map_or(line.len(), |(at, _)| at);
            line.truncate(line_end);
            line.truncate(line.trim_end().len());
        }
        let row = row.saturating_sub(begin).min(lines.len().saturating_sub(1));
        Self { lines, row, column, hidden: false, moving: false }
    }
}

impl Report {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is told at once.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.bells > 0 || !self.notices.is_empty() || self.progress.is_some() || self.title.is_some()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
