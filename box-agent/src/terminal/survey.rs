//! Everything about the panes of all sessions in one call: what a picture is taken from.

use std::collections::BTreeMap;

use berth_protocol::ids::{SessionId, random_base32};

use super::panes::gone;
use super::tmux::{PANE_OPTION, SESSION_OPTION, Target, Tmux, TmuxError, word};

/// What is asked of each pane. Some of it is text of its user's choice and may hold any character.
const FIELDS: [&str; 22] = [
    SESSION_OPTION,
    "session_id",
    "session_name",
    "session_path",
    "session_activity",
    "window_id",
    "window_name",
    "automatic-rename",
    "window_layout",
    "window_active",
    "pane_id",
    "pane_active",
    "pane_pid",
    "pane_title",
    "pane_current_path",
    PANE_OPTION,
    "window_index",
    "pane_index",
    "pane_pipe",
    "pane_tty",
    "pane_width",
    "pane_height",
];

/// All sessions of Berth that there are.
pub type Survey = BTreeMap<SessionId, SeenSession>;

/// A session as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSession {
    /// tmux's own address.
    pub target: Target,
    /// Its name in tmux, which its user may have changed.
    pub name: String,
    /// Where its new windows begin.
    pub directory: String,
    /// When somebody last typed or a terminal came, seconds since 1970.
    pub activity: i64,
    /// Its windows, in their order.
    pub windows: Vec<SeenWindow>,
}

/// A window as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenWindow {
    /// tmux's own address, such as `@3`.
    pub id: String,
    /// Its index in the session.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether tmux names it by what runs in it.
    pub automatic: bool,
    /// tmux's description of how its panes are arranged.
    pub layout: String,
    /// Whether it is the one that the session shows.
    pub current: bool,
    /// Its panes, in their order.
    pub panes: Vec<SeenPane>,
}

/// A pane as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPane {
    /// tmux's own address, such as `%3`.
    pub id: String,
    /// Whether it is the active one of its window.
    pub active: bool,
    /// Its first process.
    pub pid: i32,
    /// Its title.
    pub title: String,
    /// The directory of what runs in it, where that can be told.
    pub directory: Option<String>,
    /// Which pane of its session's template it is.
    pub mark: Option<String>,
    /// Its index in the window.
    pub index: u32,
    /// Whether its output is piped to a program.
    pub piped: bool,
    /// Its terminal.
    pub tty: String,
    /// Its columns and lines.
    pub size: (u16, u16),
}

impl SeenPane {
    /// tmux's number of it.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        self.id.strip_prefix('%')?.parse().ok()
    }
}

impl Tmux {
    /// Looks at every pane of every session of Berth.
    ///
    /// # Errors
    /// [`TmuxError`]; also when no server answers.
    pub async fn survey(&self) -> Result<Survey, TmuxError> {
        // Nobody can have put this into a title before it was drawn.
        let fence = random_base32();
        let format: String = FIELDS.iter().map(|field| format!("#{{{field}}}{fence}")).collect();
        let list = ["list-panes", "-a", "-F", &format].map(str::to_owned);
        Ok(parse(&self.run(&list).await?, &fence))
    }

    /// What a pane shows, with colours and some lines of what it showed before; nothing when it is gone. Lines that
    /// the pane broke are whole again.
    ///
    /// # Errors
    /// [`TmuxError`].
    pub async fn text(&self, pane: &str, scrollback_lines: u32) -> Result<Option<String>, TmuxError> {
        let above = format!("-{scrollback_lines}");
        let capture = ["capture-pane", "-p", "-e", "-J", "-S", &above, "-t", pane].map(str::to_owned);
        gone(self.run(&capture).await)
    }

    /// Arranges the panes of a window as a description says that tmux once made.
    ///
    /// # Errors
    /// [`TmuxError`]; also when the description does not fit.
    pub async fn arrange(&self, window: &str, layout: &str) -> Result<(), TmuxError> {
        let select = ["select-layout", "-t", window, layout].map(str::to_owned);
        Ok(self.run(&select).await.map(drop)?)
    }

    /// Gives a session another name in tmux, where it keeps its mark.
    ///
    /// # Errors
    /// [`TmuxError`]; also when another session has that name.
    pub async fn rename(&self, session: &Target, name: &str) -> Result<(), TmuxError> {
        // tmux expands formats in names.
        let name = word(name.replace('#', "##"));
        let rename = ["rename-session", "-t", session.as_str(), "--", &name].map(str::to_owned);
        Ok(self.run(&rename).await.map(drop)?)
    }
}

impl SeenSession {
    /// Its panes, in their order.
    pub fn panes(&self) -> impl Iterator<Item = &SeenPane> {
        self.windows.iter().flat_map(|window| &window.panes)
    }
}

fn parse(listing: &str, fence: &str) -> Survey {
    let mut survey = Survey::new();
    let pieces: Vec<&str> = listing.split(fence).collect();
    for fields in pieces.chunks_exact(FIELDS.len()) {
        let Ok(fields) = <&[&str; FIELDS.len()]>::try_from(fields) else { continue };
        add(&mut survey, fields);
    }
    survey
}

/// Adds one pane. What has no mark is not ours, and of two sessions with the same mark the first counts.
fn add(survey: &mut Survey, fields: &[&str; FIELDS.len()]) -> Option<()> {
    let [mark, session, name, path, activity, window, title, automatic, layout, current, rest @ ..] = fields;
    let [
        pane,
        active,
        pid,
        pane_title,
        directory,
        pane_mark,
        window_index,
        index,
        piped,
        tty,
        columns,
        lines,
    ] = rest;
    // A line break ends each pane's line, so all but the first begin with one.
    let id: SessionId = mark.trim_start_matches('\n').parse().ok()?;
    let pid = pid.parse().ok()?;
    let seen = survey.entry(id).or_insert_with(|| SeenSession {
        target: Target::new(session),
        name: (*name).to_owned(),
        directory: (*path).to_owned(),
        activity: activity.parse().unwrap_or_default(),
        windows: Vec::new(),
    });
    if seen.target.as_str() != *session {
        return None;
    }
    if seen.windows.last().is_none_or(|last| last.id != *window) {
        seen.windows.push(SeenWindow {
            id: (*window).to_owned(),
            index: window_index.parse().unwrap_or_default(),
            name: (*title).to_owned(),
            automatic: *automatic == "1",
            layout: (*layout).to_owned(),
            current: *current == "1",
            panes: Vec::new(),
        });
    }
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    seen.windows.last_mut()?.panes.push(SeenPane {
        id: (*pane).to_owned(),
        active: *active == "1",
        pid,
        title: (*pane_title).to_owned(),
        directory: text(directory),
        mark: text(pane_mark),
        index: index.parse().unwrap_or_default(),
        piped: *piped == "1",
        tty: (*tty).to_owned(),
        size: (columns.parse().unwrap_or_default(), lines.parse().unwrap_or_default()),
    });
    Some(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A session with these windows.
    pub fn session(name: &str, windows: Vec<SeenWindow>) -> SeenSession {
        let (name, directory) = (name.to_owned(), "/h/projects".to_owned());
        SeenSession { target: Target::new("$0"), name, directory, activity: 0, windows }
    }

    /// A window with these panes.
    pub fn window(id: &str, panes: Vec<SeenPane>) -> SeenWindow {
        let (id, name, layout) = (id.to_owned(), "w".to_owned(), "ab12,100x30,0,0,1".to_owned());
        SeenWindow { id, index: 0, name, automatic: true, layout, current: true, panes }
    }

    /// A pane of a user's own.
    pub fn pane(id: &str) -> SeenPane {
        SeenPane {
            id: id.to_owned(),
            active: false,
            pid: 1,
            title: "t".into(),
            directory: None,
            mark: None,
            index: 0,
            piped: false,
            tty: String::new(),
            size: (80, 24),
        }
    }

    fn line(mark: &str, session: &str, window: &str, pane: &str, title: &str) -> String {
        let fields = [
            mark,
            session,
            "name",
            "/p",
            "1700000000",
            window,
            "w",
            "1",
            "ab,9x9",
            "1",
            pane,
            "0",
            "77",
            title,
            "/a\nb",
            "",
            "0",
            "2",
            "1",
            "/dev/pts/7",
            "90",
            "30",
        ];
        format!("{}FENCE\n", fields.join("FENCE"))
    }

    #[test]
    fn panes_are_told_apart_whatever_their_titles_say() {
        let (id, other) = (SessionId::random(), SessionId::random());
        let listing = [
            line("", "$0", "@0", "%0", "by hand"),
            line(id.as_str(), "$1", "@1", "%1", "a\nb #{x} $(y)"),
            line(id.as_str(), "$1", "@1", "%2", ""),
            line(id.as_str(), "$1", "@4", "%7", ""),
            line(id.as_str(), "$2", "@5", "%8", "the same mark once more"),
            line(other.as_str(), "$3", "@6", "%9", ""),
        ];
        let survey = parse(&listing.concat(), "FENCE");
        assert_eq!(survey.len(), 2);
        let seen = &survey[&id];
        assert_eq!((seen.target.as_str(), seen.directory.as_str()), ("$1", "/p"));
        let panes: Vec<Vec<&str>> = seen
            .windows
            .iter()
            .map(|window| window.panes.iter().map(|pane| pane.id.as_str()).collect())
            .collect();
        assert_eq!(panes, [vec!["%1", "%2"], vec!["%7"]]);
        let first = seen.panes().next().unwrap();
        assert_eq!((first.title.as_str(), first.pid), ("a\nb #{x} $(y)", 77));
        assert_eq!((first.directory.as_deref(), first.mark.as_deref()), (Some("/a\nb"), None));
        assert_eq!(
            (first.index, first.piped, first.tty.as_str(), first.size),
            (2, true, "/dev/pts/7", (90, 30))
        );
        assert_eq!(first.number(), Some(1));
    }

    #[test]
    fn nothing_is_read_into_what_is_not_whole() {
        assert!(parse("", "FENCE").is_empty());
        assert!(parse("no server\n", "FENCE").is_empty());
        let id = SessionId::random();
        let whole = line(id.as_str(), "$1", "@1", "%1", "t");
        let (cut, _) = whole.rsplit_once("77").unwrap();
        assert!(parse(cut, "FENCE").is_empty());
    }
}
