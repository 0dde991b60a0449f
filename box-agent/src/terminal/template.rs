//! Turns a template into the one list of tmux commands that makes a session.

use std::path::Path;

use berth_protocol::ids::SessionId;

use super::tmux::{SESSION_OPTION, word};
use crate::settings::{Pane, Template};

/// What each pane runs. It gets the pane's name and command as arguments, so nothing of them is ever code.
const PANE_SCRIPT: &str = include_str!("pane.sh");

/// The size of a session before a terminal attaches: enough for every pane of a template.
const COLUMNS: &str = "200";
const LINES: &str = "50";

/// The share of the width that the right column gets.
const RIGHT_COLUMN: &str = "40%";

/// The commands that make a session, as arguments of one call of tmux. The mark comes last: a session that has
/// it is whole.
#[must_use]
pub fn commands(id: &SessionId, template: &Template, directory: &Path) -> Vec<String> {
    let here = format!("={id}:");
    let directory = start_directory(directory);
    let panes = template.panes.len();
    let mut list = CommandList::default();
    for (index, pane) in template.panes.iter().enumerate() {
        match index {
            0 => list.add([
                "new-session",
                "-d",
                "-s",
                id.as_str(),
                "-n",
                "main",
                "-x",
                COLUMNS,
                "-y",
                LINES,
                "-c",
                &directory,
                "-e",
                &format!("BERTH_SESSION={id}"),
            ]),
            1 => list.add(["split-window", "-h", "-l", RIGHT_COLUMN, "-t", &here, "-c", &directory]),
            // The lowest pane of the column holds the room of all that are still to come.
            _ => {
                let to_come = panes - index;
                let share = format!("{}%", 100 * to_come / (to_come + 1));
                list.add(["split-window", "-v", "-l", &share, "-t", &here, "-c", &directory]);
            }
        }
        list.extend(pane_command(pane));
        list.add(["select-pane", "-t", &here, "-T", &title(&pane.name)]);
    }
    list.add(["select-pane", "-t", &format!("{here}.{{top-left}}")]);
    list.add(["set-option", "-t", &here, SESSION_OPTION, id.as_str()]);
    list.words
}

fn pane_command(pane: &Pane) -> impl Iterator<Item = String> {
    ["/bin/sh", "-c", PANE_SCRIPT, "pane", &pane.name]
        .map(str::to_owned)
        .into_iter()
        .chain(pane.command.iter().cloned())
}

/// tmux expands formats in a start directory.
fn start_directory(path: &Path) -> String {
    path.to_string_lossy().replace('#', "##")
}

/// tmux expands formats in a title too.
fn title(name: &str) -> String {
    name.replace('#', "##")
}

#[derive(Default)]
struct CommandList {
    words: Vec<String>,
}

impl CommandList {
    /// Begins a command.
    fn add<const N: usize>(&mut self, words: [&str; N]) {
        if !self.words.is_empty() {
            self.words.push(";".into());
        }
        self.extend(words.into_iter().map(str::to_owned));
    }

    /// Goes on with the command that was begun.
    fn extend(&mut self, words: impl IntoIterator<Item = String>) {
        self.words.extend(words.into_iter().map(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pane(name: &str, command: &[&str]) -> Pane {
        Pane { name: name.into(), command: command.iter().map(|word| (*word).into()).collect() }
    }

    /// The commands without the script, one per line.
    fn shown(panes: Vec<Pane>) -> String {
        let id: SessionId = "ses-aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
        let words = commands(&id, &Template { panes }, Path::new("/v/a#b"));
        words.join(" ").replace(PANE_SCRIPT, "SCRIPT").replace(id.as_str(), "ID").replace(" ; ", "\n")
    }

    #[test]
    fn three_panes_are_one_large_and_a_column_of_two() {
        let text = shown(vec![pane("agent", &["claude", "-c"]), pane("logs", &[]), pane("shell", &[])]);
        let expected = "\
new-session -d -s ID -n main -x 200 -y 50 -c /v/a##b -e BERTH_SESSION=ID /bin/sh -c SCRIPT pane agent claude -c
select-pane -t =ID: -T agent
split-window -h -l 40% -t =ID: -c /v/a##b /bin/sh -c SCRIPT pane logs
select-pane -t =ID: -T logs
split-window -v -l 50% -t =ID: -c /v/a##b /bin/sh -c SCRIPT pane shell
select-pane -t =ID: -T shell
select-pane -t =ID:.{top-left}
set-option -t =ID: @berth_session ID";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_column_is_shared_evenly() {
        let text = shown((0..5).map(|n| pane(&n.to_string(), &[])).collect());
        let shares: Vec<&str> =
            text.split(" -l ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
        assert_eq!(shares, ["40%", "75%", "66%", "50%"]);
    }

    #[test]
    fn no_word_of_a_command_ends_tmuxs_command() {
        let text = shown(vec![pane("x", &["sh", "-c", "true;", ";"])]);
        assert!(text.contains("sh -c true\\; \\;\nselect-pane"), "{text}");
    }

    #[test]
    fn the_script_is_no_prey_of_tmuxs_parser() {
        assert!(!PANE_SCRIPT.ends_with(';'));
    }
}
