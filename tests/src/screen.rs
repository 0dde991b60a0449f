//! What a terminal's bytes look like on a screen, and what tmux says they should look like.

use std::num::NonZero;

use crate::tmux::Tmux;

/// A screen that is drawn by a terminal's bytes.
pub struct Screen(vt100::Parser);

impl Screen {
    /// An empty screen.
    ///
    /// # Panics
    /// When it has no columns or no rows.
    #[must_use]
    pub fn new(columns: u16, rows: u16) -> Self {
        let size = |size| NonZero::new(size).expect("a screen has a size");
        Self(vt100::Parser::new(size(rows), size(columns), 0))
    }

    /// Draws bytes.
    pub fn draw(&mut self, bytes: &[u8]) {
        self.0.process(bytes);
    }

    /// Its lines, without the blanks at their ends.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let (_, columns) = self.0.screen().size();
        self.0.screen().rows(0, columns.get()).map(|line| line.trim_end().to_owned()).collect()
    }

    /// The lines of a session's active pane as tmux holds them.
    #[must_use]
    pub fn of_pane(tmux: &Tmux, session: &str) -> Option<Vec<String>> {
        let text = tmux.run(&["capture-pane", "-p", "-t", &format!("={session}:")])?;
        Some(text.lines().map(|line| line.trim_end().to_owned()).collect())
    }

    /// Whether it shows exactly a session's active pane, which fills the window, above tmux's status line.
    #[must_use]
    pub fn shows_pane(&self, tmux: &Tmux, session: &str) -> bool {
        let Some(mut pane) = Self::of_pane(tmux, session) else { return false };
        let mut lines = self.lines();
        lines.pop();
        // tmux's own answer ends with the last line that is not empty.
        pane.resize(lines.len(), String::new());
        lines == pane
    }
}
