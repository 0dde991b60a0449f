//! What a pane says, led to a program of the terminals' user, and what it shows at one moment: what attention is made
//! from.

use std::path::Path;

use berth_protocol::ids::SessionId;

use super::panes::gone;
use super::tmux::{SESSION_OPTION, Tmux, TmuxError};
use crate::notify::tap::report::Look;

/// What is asked of a pane beside its text: numbers, and the session's mark.
const ABOUT: &str =
    "#{cursor_x} #{cursor_y} #{cursor_flag} #{session_activity} #{pane_pipe} #{pane_width} #{pane_height}";

/// A pane at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Whose pane it is.
    pub session: SessionId,
    /// Its lines, as they are shown.
    pub lines: Vec<String>,
    /// The cursor's line and column.
    pub cursor: (usize, usize),
    /// Whether the cursor is hidden.
    pub hidden: bool,
    /// When somebody last typed into the session, seconds since 1970.
    pub activity: i64,
    /// Whether its output is piped to a program.
    pub piped: bool,
    /// Its columns and lines.
    pub size: (u16, u16),
}

impl Glance {
    /// What it shows.
    #[must_use]
    pub fn look(self) -> Look {
        Look { hidden: self.hidden, ..Look::of(self.lines, self.cursor.0, self.cursor.1) }
    }
}

impl Tmux {
    /// What a pane of a session of Berth shows now; nothing when there is no such pane.
    ///
    /// # Errors
    /// [`TmuxError`].
    pub async fn glance(&self, pane: u32) -> Result<Option<Glance>, TmuxError> {
        let (pane, about) = (format!("%{pane}"), format!("{ABOUT} #{{{SESSION_OPTION}}}"));
        // One call, so that text and cursor are of the same moment.
        let words = ["display-message", "-p", "-t", &pane, &about, ";", "capture-pane", "-p", "-t", &pane];
        let answer = gone(self.run(&words.map(str::to_owned)).await)?;
        Ok(answer.as_deref().and_then(parse))
    }

    /// Leads a pane's output to `<agent> tap`, in the place of any other pipe of it.
    ///
    /// Output alone (`-O`): with input too (`-I`), a pane that ends takes some versions of tmux along.
    ///
    /// # Errors
    /// [`TmuxError`]; also when there is no such pane.
    pub async fn tap(&self, pane: u32, agent: &Path, socket: &Path) -> Result<(), TmuxError> {
        let target = format!("%{pane}");
        let line = tap_line(pane, agent, socket);
        self.run(&["pipe-pane", "-O", "-t", &target, &line].map(str::to_owned)).await?;
        Ok(())
    }
}

/// The line for the shell that tmux runs, after tmux has expanded formats and times in it.
fn tap_line(pane: u32, agent: &Path, socket: &Path) -> String {
    let quoted = |path: &Path| format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"));
    let line = format!("exec {} tap --socket {} {pane}", quoted(agent), quoted(socket));
    line.replace('#', "##").replace('%', "%%")
}

fn parse(answer: &str) -> Option<Glance> {
    let (about, text) = answer.split_once('\n')?;
    let mut words = about.split(' ');
    let mut next = || words.next();
    let (column, row) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let hidden = next()? == "0";
    let (activity, piped) = (next()?.parse().ok()?, next()? == "1");
    let size = (next()?.parse().ok()?, next()?.parse().ok()?);
    let session = next()?.parse().ok()?;
    let lines = text.lines().map(str::to_owned).collect();
    Some(Glance { session, lines, cursor: (row, column), hidden, activity, piped, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_is_text_and_cursor_of_a_marked_session() {
        let id = SessionId::random();
        let glance = parse(&format!("5 1 0 1700000000 1 80 3 {id}\n$ ls\na b\n\n")).unwrap();
        assert_eq!(glance.lines, ["$ ls", "a b", ""]);
        assert_eq!((glance.cursor, glance.activity, glance.piped), ((1, 5), 1_700_000_000, true));
        assert_eq!((glance.session, glance.size, glance.hidden), (id, (80, 3), true));
        assert_eq!(parse("5 1 1 1700000000 1 80 3 \ntext\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_path_is_neither_a_format_nor_a_time_nor_shell() {
        let line = tap_line(7, Path::new("/o p/it's#{x}%Y/box-agent"), Path::new("/run/a.sock"));
        assert_eq!(line, r"exec '/o p/it'\''s##{x}%%Y/box-agent' tap --socket '/run/a.sock' 7");
    }
}
