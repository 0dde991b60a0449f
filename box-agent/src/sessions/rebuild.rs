//! From the picture of a lost session to the plan of the one that takes its place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::picture::{PanePicture, Picture, WindowPicture};
use crate::settings::Template;
use crate::terminal::blueprint::{Blueprint, PanePlan, SIZE, WindowPlan};

/// What becomes of a picture. `template` is the session's, if this box has it; `screens` are the files with what
/// panes showed last, by the panes' addresses.
///
/// A pane of the template runs what resumes its work, or its command; a pane that the user made is a shell again.
#[must_use]
pub fn rebuild(
    picture: &Picture,
    template: Option<&Template>,
    home: &Path,
    screens: &BTreeMap<String, PathBuf>,
) -> Blueprint {
    let projects = home.join("projects");
    let directory = if picture.directory.as_os_str().is_empty() { &projects } else { &picture.directory };
    let mut taken = Vec::new();
    let mut pane = |pane: &PanePicture| PanePlan {
        mark: pane.template_pane.clone(),
        title: pane.title.clone(),
        directory: pane.directory.as_ref().unwrap_or(directory).clone(),
        screen: screens.get(&pane.id).cloned(),
        command: resumed(pane.template_pane.as_deref(), template, &mut taken),
    };
    let window = |window: &WindowPicture| WindowPlan {
        name: window.name.clone(),
        active: window.panes.iter().position(|pane| pane.active).unwrap_or_default(),
        panes: window.panes.iter().map(&mut pane).collect(),
        layout: Some(window.layout.clone()),
    };
    Blueprint {
        directory: directory.clone(),
        size: picture.windows.first().and_then(|window| size(&window.layout)).unwrap_or(SIZE),
        windows: picture.windows.iter().map(window).collect(),
        current: picture.windows.iter().position(|window| window.current).unwrap_or_default(),
    }
}

/// What a pane of the template runs. Of panes with the same name each is `taken` once.
fn resumed(name: Option<&str>, template: Option<&Template>, taken: &mut Vec<usize>) -> Vec<String> {
    let panes = template.iter().flat_map(|template| template.panes.iter().enumerate());
    let found = panes.filter(|(_, pane)| Some(pane.name.as_str()) == name);
    let Some((index, pane)) = found.into_iter().find(|(index, _)| !taken.contains(index)) else {
        return Vec::new();
    };
    taken.push(index);
    if pane.resume.is_empty() { pane.command.clone() } else { pane.resume.clone() }
}

/// Columns and lines of an arrangement, which begins with a check sum: `b25f,200x50,0,0{…`.
fn size(layout: &str) -> Option<(u16, u16)> {
    let (columns, lines) = layout.split(',').nth(1)?.split_once('x')?;
    let within = |text: &str| text.parse().ok().filter(|size| (10..=1000).contains(size));
    Some((within(columns)?, within(lines)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::picture::tests::servers;
    use crate::settings::Pane;
    use crate::terminal::survey::tests::{pane, session, window};

    fn template() -> Template {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let agent = Pane {
            name: "agent".into(),
            command: words(&["claude"]),
            resume: words(&["claude", "-c"]),
            ..Pane::default()
        };
        let logs = |n| Pane { name: "logs".into(), command: words(&["tail", n]), ..Pane::default() };
        Template { directory: None, panes: vec![agent, logs("1"), logs("2")] }
    }

    fn picture(marks: &[Option<&str>]) -> Picture {
        let panes = marks.iter().enumerate().map(|(number, mark)| {
            let mut seen = pane(&format!("%{number}"));
            seen.mark = mark.map(Into::into);
            seen.active = number == 1;
            seen
        });
        let mut seen = session("s", vec![window("@0", panes.collect()), window("@1", vec![pane("%9")])]);
        seen.windows[0].current = false;
        seen.windows[1].panes[0].directory = Some("/h/x".into());
        Picture::of(&seen, &servers()[0])
    }

    #[test]
    fn panes_of_the_template_go_on_and_others_are_shells() {
        let picture = picture(&[Some("logs"), Some("agent"), None, Some("logs"), Some("logs"), Some("gone")]);
        let screens = BTreeMap::from([("%1".to_owned(), PathBuf::from("/r/1"))]);
        let plan = rebuild(&picture, Some(&template()), Path::new("/h"), &screens);
        let commands: Vec<String> = plan.windows[0].panes.iter().map(|pane| pane.command.join(" ")).collect();
        assert_eq!(commands, ["tail 1", "claude -c", "", "tail 2", "", ""]);
        assert_eq!((plan.windows[0].active, plan.current, plan.size), (1, 1, (100, 30)));
        assert_eq!(plan.windows[0].panes[1].screen.as_deref(), Some(Path::new("/r/1")));
        assert_eq!(plan.windows[1].panes[0].directory, Path::new("/h/x"));
        assert_eq!(plan.windows[0].panes[0].directory, Path::new("/h/projects"));
    }

    #[test]
    fn without_its_template_a_session_comes_back_with_shells() {
        let plan = rebuild(&picture(&[Some("agent")]), None, Path::new("/h"), &BTreeMap::new());
        assert!(plan.windows.iter().flat_map(|window| &window.panes).all(|pane| pane.command.is_empty()));
    }

    #[test]
    fn a_size_that_makes_no_sense_is_not_taken() {
        assert_eq!(size("b25f,200x50,0,0{1,2}"), Some((200, 50)));
        for text in ["", "b25f", "b25f,x", "b25f,0x50,0,0", "b25f,99999x50,0", "b25f,-1x50"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
