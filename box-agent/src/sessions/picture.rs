//! The picture of a session: what it takes to rebuild it when it is lost, kept on the volume.
//!
//! A session is lost when the tmux server in which it was seen last is gone: it died, the machine was started
//! again, or the volume came to another one. One that is missing while its server lives was closed by its user, unless
//! it was set aside for a suspension.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::host::process::Process;
use crate::terminal::survey::{SeenPane, SeenSession, SeenWindow};

/// The version of pictures that this build draws.
pub const VERSION: u32 = 1;

/// Panes of one picture, in all windows: more are not rebuilt.
const MAX_PANES: usize = 32;

/// Characters of a name or a title.
const MAX_TEXT: usize = 200;

/// Bytes of a directory and of a layout: tmux takes no longer ones from us.
const MAX_BYTES: usize = 1024;

/// A session as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// [`VERSION`].
    pub version: u32,
    /// The tmux server that it was seen in.
    pub server: Process,
    /// Its name in tmux.
    pub name: String,
    /// Where its new windows began.
    pub directory: PathBuf,
    /// Whether it was then ended for a suspension: it is to be rebuilt, although its server may live on.
    #[serde(default)]
    pub set_aside: bool,
    /// Its windows.
    pub windows: Vec<WindowPicture>,
}

/// One window of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowPicture {
    /// Its name, unless tmux chose it.
    pub name: Option<String>,
    /// tmux's description of how its panes were arranged.
    pub layout: String,
    /// Whether the session showed it.
    pub current: bool,
    /// Its panes.
    pub panes: Vec<PanePicture>,
}

/// One pane of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanePicture {
    /// tmux's address of it: the name of its last screen.
    pub id: String,
    /// Which pane of the template it was; a pane that its user made was none.
    pub template_pane: Option<String>,
    /// Where it was, if that could be told.
    pub directory: Option<PathBuf>,
    /// Its title.
    pub title: String,
    /// Whether it was the active one of its window.
    pub active: bool,
}

impl Picture {
    /// What is kept of a session that was seen in this server.
    #[must_use]
    pub fn of(session: &SeenSession, server: &Process) -> Self {
        let mut room = MAX_PANES;
        let mut windows: Vec<_> = session.windows.iter().map(|window| window_of(window, &mut room)).collect();
        windows.retain(|window| !window.panes.is_empty());
        Self {
            version: VERSION,
            server: server.clone(),
            name: short(&session.name),
            directory: path(&session.directory).unwrap_or_default(),
            set_aside: false,
            windows,
        }
    }

    /// Whether the session, which is not there, was lost rather than closed; `server` is the one that lives now.
    #[must_use]
    pub fn is_lost(&self, server: Option<&Process>) -> bool {
        self.set_aside || server != Some(&self.server)
    }

    /// The same without what may change all the time, such as a title in which a program counts.
    #[must_use]
    pub fn without_titles(&self) -> Self {
        let mut picture = self.clone();
        for window in &mut picture.windows {
            window.name = None;
            window.panes.iter_mut().for_each(|pane| pane.title.clear());
        }
        picture
    }
}

fn window_of(window: &SeenWindow, room: &mut usize) -> WindowPicture {
    let panes: Vec<_> = window.panes.iter().take(*room).map(pane_of).collect();
    *room -= panes.len();
    // Half of an arrangement means nothing.
    let whole = panes.len() == window.panes.len() && window.layout.len() <= MAX_BYTES;
    WindowPicture {
        name: (!window.automatic).then(|| short(&window.name)),
        layout: if whole { window.layout.clone() } else { String::new() },
        current: window.current,
        panes,
    }
}

fn pane_of(pane: &SeenPane) -> PanePicture {
    PanePicture {
        id: pane.id.clone(),
        template_pane: pane.mark.as_deref().map(short),
        directory: pane.directory.as_deref().and_then(path),
        title: short(&pane.title),
        active: pane.active,
    }
}

/// An absolute path of a bearable length.
fn path(text: &str) -> Option<PathBuf> {
    (text.starts_with('/') && text.len() <= MAX_BYTES && !text.contains('\0')).then(|| PathBuf::from(text))
}

/// A text for tmux: short, and without what it would not take.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::terminal::survey::tests::{pane, session, window};

    /// A server, and another.
    pub fn servers() -> [Process; 2] {
        let server = |pid| serde_json::json!({ "boot_id": "b", "pid": pid, "started": 1 });
        [7, 8].map(|pid| serde_json::from_value(server(pid)).unwrap())
    }

    #[test]
    fn a_session_is_lost_with_its_server_and_closed_without() {
        let [server, other] = servers();
        let picture = Picture::of(&session("s", vec![]), &server);
        assert!(picture.is_lost(None) && picture.is_lost(Some(&other)));
        assert!(!picture.is_lost(Some(&server)));
    }

    #[test]
    fn what_a_user_chose_is_kept_within_bounds() {
        let mut seen = session("na\u{1b}me", vec![window("@1", vec![pane("%1"), pane("%2")])]);
        seen.windows[0].panes[0].title = format!("{}\u{7}", "é".repeat(1000));
        seen.windows[0].panes[0].directory = Some("relative".into());
        seen.windows[0].panes[1].directory = Some(format!("/{}", "d".repeat(2000)));
        let picture = Picture::of(&seen, &servers()[0]);
        assert_eq!(picture.name, "name");
        let panes = &picture.windows[0].panes;
        assert_eq!(panes[0].title, "é".repeat(MAX_TEXT));
        assert_eq!((&panes[0].directory, &panes[1].directory), (&None, &None));
    }

    #[test]
    fn more_panes_than_are_kept_leave_no_half_arrangement() {
        let windows = (0..3).map(|n| window(&format!("@{n}"), (0..15).map(|_| pane("%1")).collect()));
        let picture = Picture::of(&session("s", windows.collect()), &servers()[0]);
        let kept: Vec<_> =
            picture.windows.iter().map(|window| (window.panes.len(), window.layout.is_empty())).collect();
        assert_eq!(kept, [(15, false), (15, false), (2, true)]);
    }

    #[test]
    fn a_picture_is_read_as_it_was_written() {
        let picture = Picture::of(&session("s", vec![window("@1", vec![pane("%1")])]), &servers()[0]);
        let text = serde_json::to_vec(&picture).unwrap();
        assert_eq!(serde_json::from_slice::<Picture>(&text).unwrap(), picture);
    }
}
