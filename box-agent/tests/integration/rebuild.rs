//! Lost sessions come back: as they were, where they were, with what they showed.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use berth_protocol::control::{Input, PaneAddress};
use berth_protocol::ids::SessionId;
use box_agent::sessions::screens::save;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::agent::{Agent, NO_GATEWAY, desired};
use crate::support::ca::Ca;
use crate::support::door::Terminal;
use crate::support::wait::until;

/// An agent whose template tells a first start from a later one.
async fn agent_with(session: &SessionId) -> Agent {
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.set_templates(
        "[templates.default]\npanes = [{ name = \"agent\", command = [\"echo\", \"first-start\"], \
         resume = [\"echo\", \"taken-up-again\"] }, { name = \"logs\" }]\n",
    );
    agent.remember(&desired(1, &[session])).await;
    agent.start().await;
    agent
}

/// The tmux server.
fn server(agent: &Agent) -> Pid {
    Pid::from_raw(agent.tmux(&["display-message", "-p", "#{pid}"]).trim().parse().unwrap())
}

/// The text of a pane, by its place in the session's windows.
fn screen(agent: &Agent, session: &SessionId, place: &str) -> String {
    agent.tmux(&[
        "capture-pane",
        "-p",
        "-J",
        "-S",
        "-100",
        "-t",
        &format!("{}{place}", target(agent, session)),
    ])
}

/// tmux's address of a session, whatever it is called.
fn target(agent: &Agent, session: &SessionId) -> String {
    let listing = agent.tmux(&["list-sessions", "-F", "#{@berth_session} #{session_id}"]);
    let found = listing.lines().find_map(|line| line.strip_prefix(session.as_str()));
    format!("{}:", found.unwrap_or_default().trim())
}

async fn see(agent: &Agent, session: &SessionId, place: &str, text: &str) -> String {
    until(&format!("{text:?} at {place}"), async || {
        let screen = screen(agent, session, place);
        screen.contains(text).then_some(screen)
    })
    .await
}

fn type_line(agent: &Agent, session: &SessionId, place: &str, line: &str) {
    let target = format!("{}{place}", target(agent, session));
    agent.tmux(&["send-keys", "-t", &target, "-l", line]);
    agent.tmux(&["send-keys", "-t", &target, "Enter"]);
}

fn kept(agent: &Agent, path: &str) -> PathBuf {
    agent.root().join("volume/system/state").join(path)
}

/// Waits until the picture of a session has all these words.
async fn pictured(agent: &Agent, session: &SessionId, words: &[&str]) {
    let file = kept(agent, &format!("sessions/{session}.json"));
    until(&format!("a picture with {words:?}"), async || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        words.iter().all(|word| text.contains(word)).then_some(())
    })
    .await;
}

async fn lost_and_rebuilt(agent: &Agent, session: &SessionId) {
    let old = server(agent);
    kill(old, Signal::SIGKILL).unwrap();
    until("the session in a new server", async || {
        (agent.sessions() == [session.to_string()] && server(agent) != old).then_some(())
    })
    .await;
}

const SHAPE: &str = "#{window_index} #{window_name} #{window_active} #{pane_index} #{pane_active} #{pane_title} \
                     #{pane_left} #{pane_top} #{pane_width} #{pane_height} #{@berth_pane}";

fn shape(agent: &Agent, session: &SessionId) -> String {
    agent.tmux(&["list-panes", "-s", "-t", &target(agent, session), "-F", SHAPE])
}

#[tokio::test]
async fn a_session_whose_server_was_killed_has_its_windows_panes_and_directories_again() {
    let session = SessionId::random();
    let agent = agent_with(&session).await;
    let projects = agent.root().join("volume/user/home/projects");
    let (app, gone) = (projects.join("app # one"), projects.join("gone/deep"));
    std::fs::create_dir_all(&app).unwrap();
    std::fs::create_dir_all(&gone).unwrap();
    see(&agent, &session, ".0", "first-start").await;
    let target = target(&agent, &session);
    agent.tmux(&["split-window", "-v", "-l", "7", "-t", &format!("{target}.1")]);
    agent.tmux(&["select-pane", "-t", &format!("{target}.1"), "-T", "my ##{title} $(x)"]);
    agent.tmux(&["new-window", "-t", &target, "-n", "second"]);
    type_line(&agent, &session, "0.1", &format!("cd '{}'", app.display()));
    type_line(&agent, &session, "1.0", &format!("cd '{}'", gone.display()));
    pictured(&agent, &session, &["app # one", "gone/deep", "second", "my #{title} $(x)"]).await;
    let before = shape(&agent, &session);
    std::fs::remove_dir(&gone).unwrap();

    lost_and_rebuilt(&agent, &session).await;
    until("the same shape", async || (shape(&agent, &session) == before).then_some(())).await;
    see(&agent, &session, "0.0", "taken-up-again").await;
    assert!(!screen(&agent, &session, "0.0").contains("first-start"), "nothing was kept of the screen yet");
    for (place, directory) in [("0.1", app.as_path()), ("1.0", gone.parent().unwrap())] {
        type_line(&agent, &session, place, "echo \"at [$(pwd)]\" $BERTH_SESSION");
        let expected = format!("at [{}] {session}", directory.canonicalize().unwrap().display());
        see(&agent, &session, place, &expected).await;
    }
}

#[tokio::test]
async fn after_a_reboot_a_session_shows_where_it_was_and_goes_on() {
    let session = SessionId::random();
    let mut agent = agent_with(&session).await;
    see(&agent, &session, ".0", "first-start").await;
    type_line(&agent, &session, ".1", "printf '\\033[31mred\\033[0m-%s\\n' word; printf '\\033]0;x\\007'");
    see(&agent, &session, ".1", "red-word").await;
    // The machine stops: the agent first, then everything else, and what is in memory is gone.
    let old = server(&agent);
    assert_eq!(agent.end(Signal::SIGTERM), Some(0));
    kill(old, Signal::SIGKILL).unwrap();
    std::fs::remove_dir_all(agent.root().join("run")).unwrap();
    agent.start().await;

    let text = see(&agent, &session, ".0", "taken-up-again").await;
    let order = ["first-start", "── shown until 20", "taken-up-again"].map(|word| text.find(word).unwrap());
    assert!(order.is_sorted(), "{text}");
    see(&agent, &session, ".1", "── shown until 20").await;
    let colours = agent.tmux(&["capture-pane", "-p", "-e", "-t", &format!("{}.1", target(&agent, &session))]);
    assert!(colours.contains("\u{1b}[31mred"), "{colours:?}");
    // What was handed over was read once and is gone.
    let shelf = agent.root().join("run/screens").join(session.as_str());
    until("the hand-over to be empty", async || {
        (std::fs::read_dir(&shelf).unwrap().count() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_session_of_another_user_than_root_comes_back_in_the_same_way() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root runs terminals as another user");
        return;
    }
    let session = SessionId::random();
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.amend("[terminal]\n", "[terminal]\nuser = \"nobody\"\n");
    agent.set_templates(
        "[templates.default]\npanes = [{ name = \"agent\", command = [\"id\", \"-un\"], \
         resume = [\"echo\", \"taken-up-again\"] }]\n",
    );
    agent.remember(&desired(1, &[&session])).await;
    for open in [agent.root().to_owned(), agent.root().join("volume")] {
        std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    agent.start().await;
    see(&agent, &session, ".0", "nobody").await;
    let old = server(&agent);
    assert_eq!(agent.end(Signal::SIGTERM), Some(0));
    kill(old, Signal::SIGKILL).unwrap();
    std::fs::remove_dir_all(agent.root().join("run")).unwrap();
    agent.start().await;
    let text = see(&agent, &session, ".0", "taken-up-again").await;
    assert!(text.contains("nobody") && text.contains("── shown until 20"), "{text}");
    let shelf = agent.root().join("run/screens").join(session.as_str());
    until("the hand-over to be read", async || {
        (std::fs::read_dir(&shelf).unwrap().count() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_of_a_screen_is_private_and_ends_with_the_session() {
    let (session, other) = (SessionId::random(), SessionId::random());
    let mut agent = agent_with(&session).await;
    see(&agent, &session, ".0", "first-start").await;
    agent.end(Signal::SIGTERM);
    let screens = kept(&agent, "screens").join(session.as_str());
    let files: Vec<_> = std::fs::read_dir(&screens).unwrap().flatten().collect();
    assert!(!files.is_empty());
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    // While the agent is away the session is buried, and another one wanted.
    let mut state = desired(2, &[&other]);
    state.tombstones = vec![session.clone()];
    agent.remember(&state).await;
    agent.start().await;
    until("the end of what was kept", async || {
        let picture = kept(&agent, &format!("sessions/{session}.json"));
        (!screens.exists() && !picture.exists() && agent.sessions() == [other.to_string()]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_suspend_has_kept_comes_back_also_in_a_server_that_lived_on() {
    let session = SessionId::random();
    let mut agent = agent_with(&session).await;
    see(&agent, &session, ".0", "first-start").await;
    type_line(&agent, &session, ".1", "cd /usr/share && echo $((6*7))-words; echo '#{x}'");
    see(&agent, &session, ".1", "42-words").await;
    // Not the agent's own, which keeps at its pace: a suspend comes from elsewhere.
    save(&agent.tmux_of_another_agent(), &kept(&agent, "")).await.unwrap();
    let picture = std::fs::read_to_string(kept(&agent, &format!("sessions/{session}.json"))).unwrap();
    assert!(picture.contains("/usr/share"), "{picture}");
    let files = std::fs::read_dir(kept(&agent, "screens").join(session.as_str())).unwrap().flatten();
    let texts: Vec<String> = files.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect();
    assert_eq!(texts.len(), 2);
    for words in ["first-start", "42-words\n#{x}"] {
        assert!(texts.iter().any(|text| text.contains(words)), "{texts:?}");
    }
    // The agent leaves, the sessions end, and their server lives on when the agent comes back.
    agent.tmux(&["new-session", "-d", "-s", "by-hand"]);
    agent.end(Signal::SIGTERM);
    agent.tmux(&["kill-session", "-t", &target(&agent, &session)]);
    agent.start().await;
    see(&agent, &session, ".0", "taken-up-again").await;
    see(&agent, &session, ".1", "42-words").await;
}

#[tokio::test]
async fn a_session_that_its_user_closed_is_made_anew() {
    let (session, other) = (SessionId::random(), SessionId::random());
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.set_templates("[templates.default]\npanes = [{ name = \"a\" }]\n");
    agent.remember(&desired(1, &[&session, &other])).await;
    agent.start().await;
    let place = target(&agent, &session);
    agent.tmux(&["split-window", "-t", &place]);
    pictured(&agent, &session, &["%2"]).await;
    agent.tmux(&["kill-session", "-t", &place]);
    until("the session with one pane", async || {
        let panes = agent.tmux(&["list-panes", "-t", &target(&agent, &session), "-F", "x"]);
        (panes == "x\n" && agent.sessions().len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_renamed_session_is_reached_and_rebuilt_under_its_new_name() {
    let session = SessionId::random();
    let agent = agent_with(&session).await;
    let name = "mine #{x} $(y)";
    agent.tmux(&["rename-session", "-t", &target(&agent, &session), "mine ##{x} $(y)"]);
    pictured(&agent, &session, &[name]).await;
    let mut terminal = Terminal::open(&agent, &session, "editor").await;
    terminal.type_text("echo m$((6*7))m\r").await;
    terminal.see("m42m").await;
    let tmux = agent.tmux_of_another_agent();
    let screens = tmux.screen(&session, PaneAddress::default()).await.unwrap();
    assert_eq!(screens.len(), 2);
    let input = Input { address: PaneAddress::default(), text: "echo t$((6*7))t\n".into(), keys: vec![] };
    tmux.input(&session, &input).await.unwrap();
    terminal.see("t42t").await;

    lost_and_rebuilt(&agent, &session).await;
    let named = async || {
        let listing = agent.tmux(&["list-sessions", "-F", "#{session_name}|#{@berth_session}"]);
        (listing == format!("{name}|{session}\n")).then_some(())
    };
    until("the session under its user's name", named).await;
    Terminal::open(&agent, &session, "viewer").await;
}

#[tokio::test]
async fn what_the_environment_holds_reaches_every_pane_and_is_not_told_by_tmux() {
    let session = SessionId::random();
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    agent.remember(&desired(1, &[&session])).await;
    let secrets = agent.root().join("run/secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::set_permissions(agent.root().join("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let hostile = "$(touch /tmp/never) `x` \"; #{pane_id}";
    std::fs::write(secrets.join("environment.sh"), format!("export SECRET_WORD='{hostile}'\n")).unwrap();
    agent.start().await;
    let place = target(&agent, &session);
    agent.tmux(&["split-window", "-t", &format!("{place}.2")]);
    agent.tmux(&["new-window", "-t", &place]);
    for place in ["0.1", "0.3", "1.0"] {
        type_line(&agent, &session, place, "clear; printf '[%s]\\n' \"$SECRET_WORD\"");
        see(&agent, &session, place, &format!("[{hostile}]")).await;
    }
    for scope in [vec!["show-environment", "-g"], vec!["show-environment", "-t", &place]] {
        let shown = agent.tmux(&scope);
        assert!(!shown.is_empty() && !shown.contains("touch") && !shown.contains("SECRET_WORD"), "{shown}");
    }
    // A file that is broken costs variables, not panes.
    std::fs::write(secrets.join("environment.sh"), "export A='\n(((").unwrap();
    agent.tmux(&["new-window", "-t", &place]);
    type_line(&agent, &session, "2.0", "echo still-$((6*7))");
    see(&agent, &session, "2.0", "still-42").await;
    lost_and_rebuilt(&agent, &session).await;
    type_line(&agent, &session, "0.1", "echo again-$((6*7))");
    see(&agent, &session, "0.1", "again-42").await;
}

#[tokio::test]
async fn a_hostile_name_in_the_desired_state_is_only_a_name() {
    let session = SessionId::random();
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    let mut state = desired(1, &[&session]);
    state.sessions[0].name =
        "\u{1b}]0;x\u{7}\n#{pane_id} #(touch x) $(touch x) `touch x`; kill-server".into();
    agent.remember(&state).await;
    agent.start().await;
    assert_eq!(agent.sessions(), [session.to_string()]);
    lost_and_rebuilt(&agent, &session).await;
    assert_eq!(agent.tmux(&["list-sessions", "-F", "#{session_name}"]).trim(), session.as_str());
}

#[tokio::test]
async fn the_agent_lists_its_sessions() {
    let (session, other) = (SessionId::random(), SessionId::random());
    let mut agent = Agent::enrolled(Ca::new(), NO_GATEWAY);
    let mut state = desired(1, &[&session, &other]);
    state.sessions[0].name = "wo\u{1b}[31mrk".into();
    state.sessions[1].template = "nowhere".into();
    agent.remember(&state).await;
    agent.start().await;
    let _terminal = Terminal::open(&agent, &session, "editor").await;
    let listed = until("the terminal in the list", async || {
        let output = agent.verb(&["sessions", "--json"]);
        let sessions: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        (sessions[0]["attachments"] == 1 || sessions[1]["attachments"] == 1).then_some(sessions)
    })
    .await;
    let find = |id: &SessionId| listed.iter().find(|one| one["id"] == id.as_str()).unwrap();
    assert_eq!((&find(&session)["state"], &find(&session)["panes"]), (&"running".into(), &3.into()));
    assert!(find(&session)["idle_secs"].as_u64().unwrap() < 30);
    assert_eq!(find(&other)["state"], "failed");
    assert!(find(&other)["message"].as_str().unwrap().contains("no template \"nowhere\""));
    let text = String::from_utf8(agent.verb(&["sessions"]).stdout).unwrap();
    assert!(text.contains("wo\u{fffd}[31mrk") && !text.contains('\u{1b}'), "{text}");
    agent.end(Signal::SIGTERM);
    assert_eq!(agent.verb(&["sessions"]).status.code(), Some(1));
}
