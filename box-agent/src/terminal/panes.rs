//! Panes without a terminal: what they show, input to them, and the directory that is theirs.
//!
//! A session's panes are listed first, together with the session's mark, and are addressed by tmux's own `%n`
//! from then on. Nothing that a user says is ever a target, an option or a command of tmux.

use std::path::PathBuf;

use berth_protocol::control::{Cursor, Input, Pane, PaneAddress};
use berth_protocol::ids::SessionId;
use berth_protocol::keys::Key;

use super::tmux::{SESSION_OPTION, Tmux, TmuxError, word};
use crate::host::command::CommandError;

/// Panes of one answer, at most.
const MAX_PANES: usize = 32;

/// Bytes of text in one call of tmux, whose messages to itself end at 16 KiB.
const CHUNK_BYTES: usize = 8 * 1024;

/// What is asked of each pane, numbers only: they can't be mistaken for each other.
const PLACE: &str = "#{pane_id} #{window_index} #{pane_index} #{window_active} #{pane_active}";

/// Size and cursor.
const SHAPE: &str = "#{pane_width} #{pane_height} #{cursor_x} #{cursor_y} #{cursor_flag}";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PaneError {
    /// The session is not there.
    #[error("the session has ended")]
    SessionUnknown,
    /// The session has no such pane.
    #[error("the session has no such pane")]
    PaneUnknown,
    /// The session has more panes than one answer holds.
    #[error("more than {MAX_PANES} panes are meant: name one")]
    TooMany,
    /// tmux failed to type. Its own error is kept back: it would tell the logs what was typed.
    #[error("tmux did not take the input")]
    NotTyped,
    /// tmux failed.
    #[error(transparent)]
    Tmux(#[from] TmuxError),
}

/// Where a pane is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// tmux's own address, such as `%3`: exact, and never given twice.
    id: String,
    window: u32,
    index: u32,
    /// Whether its window is the session's current one.
    current: bool,
    /// Whether it is the active one of its window.
    active: bool,
}

impl Tmux {
    /// What panes of a session show.
    ///
    /// # Errors
    /// [`PaneError`].
    pub async fn screen(&self, session: &SessionId, address: PaneAddress) -> Result<Vec<Pane>, PaneError> {
        let places = shown(self.places(session).await?, address);
        if places.len() > MAX_PANES {
            return Err(PaneError::TooMany);
        }
        let mut panes = Vec::with_capacity(places.len());
        for place in places {
            // A pane that is not there any more is not shown.
            panes.extend(self.pane(&place).await?);
        }
        if panes.is_empty() { Err(PaneError::PaneUnknown) } else { Ok(panes) }
    }

    /// Types into one pane.
    ///
    /// # Errors
    /// [`PaneError`].
    pub async fn input(&self, session: &SessionId, input: &Input) -> Result<(), PaneError> {
        let places = self.places(session).await?;
        let place = typed_into(&places, input.address).ok_or(PaneError::PaneUnknown)?;
        self.typed(&place.id, input).await
    }

    /// Types into the pane that tmux calls `%<pane>`.
    ///
    /// # Errors
    /// [`PaneError`].
    pub async fn type_into(&self, pane: u32, text: &str, keys: Vec<Key>) -> Result<(), PaneError> {
        let input = Input { address: PaneAddress::default(), text: text.to_owned(), keys };
        self.typed(&format!("%{pane}"), &input).await
    }

    async fn typed(&self, pane: &str, input: &Input) -> Result<(), PaneError> {
        for command in typing(pane, input) {
            let taken = gone(self.run(&command).await).map_err(|_| PaneError::NotTyped)?;
            taken.ok_or(PaneError::PaneUnknown)?;
        }
        Ok(())
    }

    /// The directory of a session, in which its new windows begin.
    ///
    /// # Errors
    /// [`PaneError`].
    pub async fn directory(&self, session: &SessionId) -> Result<PathBuf, PaneError> {
        let target = self.sessions().await?.remove(session).ok_or(PaneError::SessionUnknown)?;
        // With the mark, because another server may have come since, with the same address.
        let format = format!("#{{{SESSION_OPTION}}} #{{session_path}}");
        let display = ["display-message", "-p", "-t", target.as_str(), &format].map(str::to_owned);
        let answer = gone(self.run(&display).await)?.ok_or(PaneError::SessionUnknown)?;
        parse_directory(&answer, session).ok_or(PaneError::SessionUnknown)
    }

    async fn places(&self, session: &SessionId) -> Result<Vec<Place>, PaneError> {
        let target = self.sessions().await?.remove(session).ok_or(PaneError::SessionUnknown)?;
        // With the mark, because another server may have come since, with the same address.
        let format = format!("{PLACE} #{{{SESSION_OPTION}}}");
        let list = ["list-panes", "-s", "-t", target.as_str(), "-F", &format].map(str::to_owned);
        let listing = gone(self.run(&list).await)?.ok_or(PaneError::SessionUnknown)?;
        Ok(parse_places(&listing, session))
    }

    async fn pane(&self, place: &Place) -> Result<Option<Pane>, TmuxError> {
        let Some(answer) = gone(self.run(&looking(&place.id)).await)? else { return Ok(None) };
        Ok(parse_pane(place, &answer))
    }
}

/// tmux knows one kind of failure for all that it does not find.
pub(super) fn gone(outcome: Result<String, CommandError>) -> Result<Option<String>, TmuxError> {
    match outcome {
        Ok(answer) => Ok(Some(answer)),
        Err(CommandError::Failed { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A name may hold any character, a line break too; tmux ends its answer with one of its own.
fn parse_directory(answer: &str, session: &SessionId) -> Option<PathBuf> {
    let (mark, path) = answer.strip_suffix('\n')?.split_once(' ')?;
    (mark == session.as_str()).then(|| PathBuf::from(path))
}

fn parse_places(listing: &str, session: &SessionId) -> Vec<Place> {
    let place = |line: &str| {
        let mut words = line.split(' ');
        let mut next = || words.next();
        let id = next()?.to_owned();
        let (window, index) = (next()?.parse().ok()?, next()?.parse().ok()?);
        let (current, active) = (next()? == "1", next()? == "1");
        (next()? == session.as_str()).then_some(Place { id, window, index, current, active })
    };
    listing.lines().filter_map(place).collect()
}

/// The panes that a screen is asked of.
fn shown(places: Vec<Place>, address: PaneAddress) -> Vec<Place> {
    let window = |place: &Place| match address {
        PaneAddress { window: Some(window), .. } => place.window == window,
        PaneAddress { pane: Some(_), .. } => place.current,
        PaneAddress { .. } => true,
    };
    let pane = |place: &Place| address.pane.is_none_or(|pane| place.index == pane);
    places.into_iter().filter(|place| window(place) && pane(place)).collect()
}

/// The one pane that input goes to.
fn typed_into(places: &[Place], address: PaneAddress) -> Option<&Place> {
    places.iter().find(|place| {
        address.window.map_or(place.current, |window| place.window == window)
            && address.pane.map_or(place.active, |pane| place.index == pane)
    })
}

/// One call that asks everything about a pane, so that text and cursor are of the same moment.
fn looking(id: &str) -> Vec<String> {
    let display = |format| ["display-message", "-p", "-t", id, format];
    let commands = [
        display(SHAPE).to_vec(),
        display("#{pane_title}").to_vec(),
        display("#{pane_current_command}").to_vec(),
        vec!["capture-pane", "-p", "-t", id],
        vec!["capture-pane", "-p", "-e", "-t", id],
    ];
    commands.join(&";").into_iter().map(str::to_owned).collect()
}

/// The answer to [`looking`]: three lines, and the pane's rows twice.
fn parse_pane(place: &Place, answer: &str) -> Option<Pane> {
    let mut lines = answer.split('\n');
    let mut shape = lines.next()?.split(' ');
    let mut number = || shape.next()?.parse::<u32>().ok();
    let (columns, rows, column, row) = (number()?, number()?, number()?, number()?);
    let visible = number()? != 0;
    let (title, command) = (lines.next()?.to_owned(), lines.next()?.to_owned());
    let rest: Vec<&str> = lines.collect();
    let (text, ansi) = rest.split_at_checked(rows as usize)?;
    Some(Pane {
        window: place.window,
        index: place.index,
        active: place.current && place.active,
        title,
        command,
        columns,
        rows,
        cursor: Cursor { column, row, visible },
        text: text.join("\n"),
        ansi: ansi.get(..rows as usize)?.join("\n"),
    })
}

/// The calls that type: the text in pieces, then the keys.
fn typing(id: &str, input: &Input) -> Vec<Vec<String>> {
    // In copy mode, keys would be commands of that mode.
    let leave = ["copy-mode", "-q", "-t", id].map(str::to_owned).to_vec();
    let send = |options: &[&str], what: Vec<String>| {
        let head = ["send-keys", "-t", id].into_iter().chain(options.iter().copied()).chain(["--"]);
        head.map(str::to_owned).chain(what.into_iter().map(word)).collect::<Vec<_>>()
    };
    let mut calls = vec![leave];
    calls.extend(pieces(&input.text).map(|piece| send(&["-l"], vec![piece.to_owned()])));
    if !input.keys.is_empty() {
        calls.push(send(&[], input.keys.iter().map(ToString::to_string).collect()));
    }
    calls
}

/// Cuts a text into pieces of at most [`CHUNK_BYTES`], between characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, left) = rest.split_at(rest.floor_char_boundary(CHUNK_BYTES));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> (SessionId, Vec<Place>) {
        let id = SessionId::random();
        let listing = format!(
            "%0 0 0 0 1 {id}\n%1 1 0 1 0 {id}\n%4 1 1 1 1 {id}\n%9 1 2 1 0 {}\n%7 x 2\n\n",
            SessionId::random()
        );
        let places = parse_places(&listing, &id);
        (id, places)
    }

    #[test]
    fn only_panes_of_the_marked_session_count() {
        let (_, places) = places();
        let ids: Vec<&str> = places.iter().map(|place| place.id.as_str()).collect();
        assert_eq!(ids, ["%0", "%1", "%4"]);
    }

    #[test]
    fn a_directory_is_that_of_the_marked_session() {
        let id = SessionId::random();
        let parsed = |answer: String| parse_directory(&answer, &id);
        assert_eq!(parsed(format!("{id} /a b\n c\n")), Some(PathBuf::from("/a b\n c")));
        assert_eq!(parsed(format!("{} /a\n", SessionId::random())), None);
        assert_eq!(parsed(" /a\n".to_owned()), None);
        assert_eq!(parsed(String::new()), None);
    }

    #[test]
    fn panes_are_found_by_window_and_index() {
        let (_, places) = places();
        let shown = |window, pane| {
            let found = shown(places.clone(), PaneAddress { window, pane });
            found.into_iter().map(|place| place.id).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(None, None), "%0 %1 %4");
        assert_eq!(shown(Some(0), None), "%0");
        assert_eq!(shown(None, Some(0)), "%1", "of the current window");
        assert_eq!(shown(Some(0), Some(0)), "%0");
        assert_eq!(shown(Some(2), None), "");
        let typed = |window, pane| {
            typed_into(&places, PaneAddress { window, pane }).map_or("", |place| place.id.as_str())
        };
        assert_eq!((typed(None, None), typed(None, Some(0)), typed(Some(0), None)), ("%4", "%1", "%0"));
        assert_eq!((typed(None, Some(2)), typed(Some(3), Some(0))), ("", ""));
    }

    #[test]
    fn a_panes_answer_is_taken_apart_by_its_height() {
        let (_, places) = places();
        let answer = "10 2 1 0 1\nmy title\nsh -x\n$ a\n\n\u{1b}[1m$\u{1b}[0m a\n\n";
        let pane = parse_pane(&places[2], answer).unwrap();
        assert_eq!((pane.title.as_str(), pane.command.as_str()), ("my title", "sh -x"));
        assert_eq!(pane.cursor, Cursor { column: 1, row: 0, visible: true });
        assert_eq!((pane.text.as_str(), pane.ansi.as_str()), ("$ a\n", "\u{1b}[1m$\u{1b}[0m a\n"));
        assert!(pane.active);
        assert_eq!(parse_pane(&places[2], "10 9 1 0 1\na\nb\nc\n"), None);
    }

    #[test]
    fn what_is_typed_is_never_an_option_or_a_command() {
        let keys = ["C-c", "Enter"].map(|key| key.parse().unwrap()).to_vec();
        let input = Input { address: PaneAddress::default(), text: "-t other;".into(), keys };
        let lines: Vec<String> = typing("%3", &input).iter().map(|call| call.join(" ")).collect();
        let expected =
            ["copy-mode -q -t %3", "send-keys -t %3 -l -- -t other\\;", "send-keys -t %3 -- C-c Enter"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn pieces_are_whole_characters_and_all_of_the_text() {
        let text = "é".repeat(CHUNK_BYTES);
        let all: Vec<&str> = pieces(&text).collect();
        assert!(all.len() == 2 && all.iter().all(|piece| piece.len() <= CHUNK_BYTES));
        assert_eq!(all.concat(), text);
        let odd = format!("a{text}");
        assert_eq!(pieces(&odd).collect::<String>(), odd);
        assert_eq!(pieces("").count(), 0);
    }
}
