//! What a session is to be like, and the one list of tmux commands that makes it so.

use std::path::{Path, PathBuf};

use berth_protocol::ids::SessionId;

use super::tmux::{PANE_OPTION, SESSION_OPTION, word};
use crate::settings::{Template, start_directory};

/// The size of a session before a terminal attaches: enough for every pane of a template.
pub const SIZE: (u16, u16) = (200, 50);

/// The share of the width that the right column gets.
const RIGHT_COLUMN: &str = "40%";

/// Bytes of all words of a list: tmux's messages to itself end at 16 KiB.
const MAX_BYTES: usize = 14 * 1024;

/// A session to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blueprint {
    /// Where its new windows begin.
    pub directory: PathBuf,
    /// Columns and lines, until a terminal attaches.
    pub size: (u16, u16),
    /// Its windows: at least one.
    pub windows: Vec<WindowPlan>,
    /// Which of them is shown.
    pub current: usize,
}

/// A window to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowPlan {
    /// Its name; tmux names it by what runs in it when absent.
    pub name: Option<String>,
    /// Its panes: at least one.
    pub panes: Vec<PanePlan>,
    /// Which of them is active.
    pub active: usize,
    /// tmux's description of an arrangement that the panes had before; they are a large one and a column without.
    pub layout: Option<String>,
}

/// A pane to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PanePlan {
    /// Which pane of its template it is; a pane that its user made is none.
    pub mark: Option<String>,
    /// Its title.
    pub title: String,
    /// Where it begins.
    pub directory: PathBuf,
    /// A file with what it showed last.
    pub screen: Option<PathBuf>,
    /// What it runs; a shell when empty.
    pub command: Vec<String>,
}

/// What every pane needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The script that is each pane's first process.
    pub script: PathBuf,
    /// The file with the workspace's variables.
    pub environment: PathBuf,
    /// The scope that the panes wait for.
    pub scope: Option<String>,
}

impl Blueprint {
    /// A session as its template says, in a home directory.
    #[must_use]
    pub fn fresh(template: &Template, home: &Path) -> Self {
        let directory = start_directory(template.directory.as_deref(), home);
        let pane = |pane: &crate::settings::Pane| PanePlan {
            mark: Some(pane.name.clone()),
            title: pane.name.clone(),
            directory: pane
                .directory
                .as_deref()
                .map_or_else(|| directory.clone(), |own| start_directory(Some(own), home)),
            screen: None,
            command: pane.command.clone(),
        };
        let panes = template.panes.iter().map(pane).collect();
        let window = WindowPlan { name: Some("main".into()), panes, active: 0, layout: None };
        Self { directory, size: SIZE, windows: vec![window], current: 0 }
    }

    /// The commands that make it, as arguments of one call of tmux. The mark comes last: a session that has it is
    /// whole. Of one that is too large for a call, the last panes are left out.
    #[must_use]
    pub fn commands(&self, id: &SessionId, around: &Surroundings) -> Vec<String> {
        let mut plan = self.clone();
        loop {
            let words = plan.all_commands(id, around);
            if words.iter().map(|word| word.len() + 1).sum::<usize>() <= MAX_BYTES || !plan.leave_out_one() {
                return words;
            }
        }
    }

    /// Leaves out the last pane, if another is left.
    fn leave_out_one(&mut self) -> bool {
        if self.windows.iter().map(|window| window.panes.len()).sum::<usize>() <= 1 {
            return false;
        }
        if let Some(last) = self.windows.last_mut() {
            last.panes.pop();
            last.active = last.active.min(last.panes.len().saturating_sub(1));
            last.layout.get_or_insert_default().clear();
        }
        self.windows.retain(|window| !window.panes.is_empty());
        self.current = self.current.min(self.windows.len() - 1);
        true
    }

    fn all_commands(&self, id: &SessionId, around: &Surroundings) -> Vec<String> {
        let here = format!("={id}:");
        let directory = literal(&self.directory.to_string_lossy());
        let mut list = CommandList::default();
        for (number, window) in self.windows.iter().enumerate() {
            let panes = window.panes.len();
            for (index, pane) in window.panes.iter().enumerate() {
                match (number, index) {
                    (0, 0) => self.begin_session(&mut list, id, around),
                    (_, 0) => list.add(["new-window", "-t", &here]),
                    (_, 1) if window.layout.is_none() => {
                        list.add(["split-window", "-h", "-l", RIGHT_COLUMN, "-t", &here]);
                    }
                    // The lowest pane of the column holds the room of all that are still to come.
                    _ if window.layout.is_none() => {
                        let to_come = panes - index;
                        let share = format!("{}%", 100 * to_come / (to_come + 1));
                        list.add(["split-window", "-v", "-l", &share, "-t", &here]);
                    }
                    _ => list.add(["split-window", "-t", &here]),
                }
                if let (0, Some(name)) = (index, &window.name) {
                    list.extend(["-n".into(), literal(name)]);
                }
                list.extend(["-c".into(), directory.clone()]);
                list.extend(first_process(pane, &around.script));
                if window.layout.is_some() && index > 0 {
                    // Evenly, so that there is room for the next.
                    list.add(["select-layout", "-t", &here, "tiled"]);
                }
                list.add(["select-pane", "-t", &here, "-T", &literal(&pane.title)]);
                if let Some(mark) = &pane.mark {
                    list.add(["set-option", "-p", "-t", &here, PANE_OPTION, mark]);
                }
            }
            // The last one is active now, and counting goes round.
            if panes > 1 && window.active + 1 < panes {
                list.add(["select-pane", "-t", &format!("{here}.+{}", window.active + 1)]);
            }
        }
        if self.windows.len() > 1 {
            list.add(["select-window", "-t", &format!("{here}^")]);
            (0..self.current).for_each(|_| list.add(["next-window", "-t", &here]));
        }
        list.add(["set-option", "-t", &here, SESSION_OPTION, id.as_str()]);
        list.words
    }

    fn begin_session(&self, list: &mut CommandList, id: &SessionId, around: &Surroundings) {
        let (columns, lines) = (self.size.0.to_string(), self.size.1.to_string());
        list.add(["new-session", "-d", "-s", id.as_str(), "-x", &columns, "-y", &lines]);
        // Only the file's name: what is in it must not be told by show-environment.
        let environment = around.environment.display();
        list.extend(["-e".into(), format!("BERTH_SESSION={id}")]);
        list.extend(["-e".into(), format!("BERTH_ENVIRONMENT={environment}")]);
        list.extend(around.scope.iter().flat_map(|scope| ["-e".into(), format!("BERTH_SCOPE={scope}")]));
    }
}

/// The script gets everything as arguments, so nothing of it is ever code.
fn first_process(pane: &PanePlan, script: &Path) -> impl Iterator<Item = String> {
    let screen = pane.screen.as_deref().unwrap_or(Path::new(""));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let fixed = ["/bin/sh".to_owned(), text(script), pane.mark.clone().unwrap_or_default()];
    fixed.into_iter().chain([text(&pane.directory), text(screen)]).chain(pane.command.iter().cloned())
}

/// tmux expands formats in names, titles and start directories.
fn literal(text: &str) -> String {
    text.replace('#', "##")
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
mod tests;
