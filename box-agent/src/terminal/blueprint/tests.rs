use super::*;
use crate::settings::Pane;

fn pane(name: &str, command: &[&str]) -> Pane {
    let command = command.iter().map(|word| (*word).into()).collect();
    Pane { name: name.into(), command, ..Pane::default() }
}

fn around() -> Surroundings {
    Surroundings { script: "/r/pane.sh".into(), environment: "/r/env".into(), scope: None }
}

/// The commands, one per line.
fn lines(blueprint: &Blueprint) -> String {
    let id: SessionId = "ses-aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
    blueprint.commands(&id, &around()).join(" ").replace(id.as_str(), "ID").replace(" ; ", "\n")
}

fn fresh(panes: Vec<Pane>) -> String {
    lines(&Blueprint::fresh(&Template { directory: None, panes }, Path::new("/v/a#b")))
}

#[test]
fn three_panes_are_one_large_and_a_column_of_two() {
    let text = fresh(vec![pane("agent", &["claude", "-c"]), pane("logs", &[]), pane("shell", &[])]);
    let expected = "\
new-session -d -s ID -x 200 -y 50 -e BERTH_SESSION=ID -e BERTH_ENVIRONMENT=/r/env -n main -c /v/a##b/projects \
/bin/sh /r/pane.sh agent /v/a#b/projects  claude -c
select-pane -t =ID: -T agent
set-option -p -t =ID: @berth_pane agent
split-window -h -l 40% -t =ID: -c /v/a##b/projects /bin/sh /r/pane.sh logs /v/a#b/projects \n\
select-pane -t =ID: -T logs
set-option -p -t =ID: @berth_pane logs
split-window -v -l 50% -t =ID: -c /v/a##b/projects /bin/sh /r/pane.sh shell /v/a#b/projects \n\
select-pane -t =ID: -T shell
set-option -p -t =ID: @berth_pane shell
select-pane -t =ID:.+1
set-option -t =ID: @berth_session ID";
    assert_eq!(text, expected);
}

#[test]
fn a_column_is_shared_evenly() {
    let text = fresh((0..5).map(|n| pane(&n.to_string(), &[])).collect());
    let shares: Vec<&str> = text.split(" -l ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
    assert_eq!(shares, ["40%", "75%", "66%", "50%"]);
}

#[test]
fn no_word_of_a_command_ends_tmuxs_command() {
    let text = fresh(vec![pane("x", &["sh", "-c", "true;", ";"])]);
    assert!(text.contains("sh -c true\\; \\;\nselect-pane"), "{text}");
}

#[test]
fn panes_begin_where_their_template_or_they_themselves_say() {
    let mut other = pane("b", &[]);
    other.directory = Some("~/notes".into());
    let template = Template { directory: Some("app".into()), panes: vec![pane("a", &[]), other] };
    let blueprint = Blueprint::fresh(&template, Path::new("/h"));
    assert_eq!(blueprint.directory, Path::new("/h/projects/app"));
    let begins: Vec<_> = blueprint.windows[0].panes.iter().map(|pane| pane.directory.clone()).collect();
    assert_eq!(begins, [Path::new("/h/projects/app"), Path::new("/h/notes")]);
}

fn window(name: Option<&str>, panes: usize, active: usize) -> WindowPlan {
    let panes = (0..panes).map(|n| PanePlan { directory: format!("/d{n}").into(), ..PanePlan::default() });
    WindowPlan { name: name.map(Into::into), panes: panes.collect(), active, layout: Some("ab,1".into()) }
}

#[test]
fn windows_with_an_arrangement_are_made_evenly_and_shown_as_they_were() {
    let windows = vec![window(None, 2, 1), window(Some("#{x}"), 3, 0), window(None, 1, 0)];
    let mut blueprint = Blueprint { directory: "/p".into(), size: (80, 24), windows, current: 1 };
    blueprint.windows[1].panes[2].title = "#(t)".into();
    blueprint.windows[1].panes[2].screen = Some("/r/s".into());
    let text = lines(&blueprint);
    let expected = "\
new-session -d -s ID -x 80 -y 24 -e BERTH_SESSION=ID -e BERTH_ENVIRONMENT=/r/env -c /p /bin/sh /r/pane.sh  /d0 \n\
select-pane -t =ID: -T \n\
split-window -t =ID: -c /p /bin/sh /r/pane.sh  /d1 \n\
select-layout -t =ID: tiled
select-pane -t =ID: -T \n\
new-window -t =ID: -n ##{x} -c /p /bin/sh /r/pane.sh  /d0 \n\
select-pane -t =ID: -T \n\
split-window -t =ID: -c /p /bin/sh /r/pane.sh  /d1 \n\
select-layout -t =ID: tiled
select-pane -t =ID: -T \n\
split-window -t =ID: -c /p /bin/sh /r/pane.sh  /d2 /r/s
select-layout -t =ID: tiled
select-pane -t =ID: -T ##(t)
select-pane -t =ID:.+1
new-window -t =ID: -c /p /bin/sh /r/pane.sh  /d0 \n\
select-pane -t =ID: -T \n\
select-window -t =ID:^
next-window -t =ID:
set-option -t =ID: @berth_session ID";
    assert_eq!(text, expected);
}

#[test]
fn what_is_too_large_for_one_call_loses_its_last_panes() {
    let mut windows = vec![window(None, 16, 3), window(None, 16, 15)];
    for pane in windows.iter_mut().flat_map(|window| &mut window.panes) {
        pane.directory = "/d".repeat(500).into();
    }
    let blueprint = Blueprint { directory: "/p".into(), size: SIZE, windows, current: 1 };
    let words = blueprint.commands(&SessionId::random(), &around());
    let bytes: usize = words.iter().map(|word| word.len() + 1).sum();
    assert!(bytes <= MAX_BYTES && bytes > MAX_BYTES - 2048, "{bytes}");
    assert_eq!(words.last().map(String::len), Some(SessionId::random().as_str().len()), "the mark is there");
}
