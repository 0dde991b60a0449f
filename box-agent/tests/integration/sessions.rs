//! Sessions in the real tmux, without agent and gateway: made whole, made once, found by their mark.

use std::path::Path;

use berth_protocol::ids::SessionId;
use box_agent::host::account::Account;
use box_agent::host::runtime::RuntimeDir;
use box_agent::settings::{Pane, Template};
use box_agent::terminal::blueprint::Blueprint;
use box_agent::terminal::tmux::Tmux;

use crate::support::programs::on_path;
use crate::support::wait::until;

struct Server {
    dir: tempfile::TempDir,
    tmux: Tmux,
}

impl Server {
    async fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("tmux-").tempdir_in("/tmp").unwrap();
        let tmux = agent_in(dir.path());
        tmux.prepare().await.unwrap();
        Self { dir, tmux }
    }

    fn next_agent(&self) -> Tmux {
        agent_in(self.dir.path())
    }

    fn drive(&self, args: &[&str]) -> String {
        let socket = self.dir.path().join("run/terminal/tmux.sock");
        let output = std::process::Command::new("tmux").arg("-S").arg(socket).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    async fn create(&self, id: &SessionId, panes: Vec<Pane>) -> bool {
        self.tmux.create(id, &self.commands(id, panes)).await.is_ok()
    }

    fn commands(&self, id: &SessionId, panes: Vec<Pane>) -> Vec<String> {
        let template = Template { panes, ..Template::default() };
        Blueprint::fresh(&template, self.dir.path()).commands(id, &self.tmux.surroundings(None))
    }

    async fn screen_with(&self, id: &SessionId, pane: usize, text: &str) {
        let target = format!("={id}:.{pane}");
        let what = format!("{text:?} on the screen");
        until(&what, async || {
            let screen = self.drive(&["capture-pane", "-p", "-J", "-t", &target]);
            screen.contains(text).then_some(())
        })
        .await;
    }
}

/// tmux as an agent has it that starts now.
fn agent_in(dir: &Path) -> Tmux {
    let account = Account::find(None, dir.to_owned(), Some(Path::new("/bin/sh"))).unwrap();
    let runtime = RuntimeDir::open(&dir.join("run"), None, &account).unwrap();
    let env = account.environment(|name| std::env::var_os(name));
    Tmux::new(on_path("tmux").expect("tmux is installed"), &runtime, account, env)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.drive(&["kill-server"]);
    }
}

fn pane(name: &str, command: &[&str]) -> Pane {
    let command = command.iter().map(|word| (*word).into()).collect();
    Pane { name: name.into(), command, ..Pane::default() }
}

#[tokio::test]
async fn three_panes_with_the_first_large_and_active() {
    let server = Server::new().await;
    let id = SessionId::random();
    assert!(server.create(&id, vec![pane("agent", &[]), pane("logs", &[]), pane("shell", &[])]).await);
    let format = "#{pane_title} #{pane_left} #{?pane_at_top,top,} #{pane_active} #{pane_width}";
    let listing = server.drive(&["list-panes", "-t", &format!("={id}:"), "-F", format]);
    assert_eq!(listing, "agent 0 top 1 119\nlogs 120 top 0 80\nshell 120  0 80\n");
}

#[tokio::test]
async fn a_command_runs_is_missed_or_ends_and_a_shell_is_always_left() {
    let server = Server::new().await;
    let id = SessionId::random();
    let panes = vec![
        pane("missing", &["no-such-program"]),
        pane("short", &["sh", "-c", "echo \"got $1\"; exit 3;", "x", "a b;"]),
        pane("long", &["cat"]),
    ];
    assert!(server.create(&id, panes).await);
    server.screen_with(&id, 0, "no-such-program is not installed on this box.").await;
    server.screen_with(&id, 1, "got a b;").await;
    server.screen_with(&id, 1, "short has ended (status 3).").await;
    // Ctrl-C ends the command and not the pane.
    server.drive(&["send-keys", "-t", &format!("={id}:.2"), "line", "Enter"]);
    server.screen_with(&id, 2, "line\nline").await;
    server.drive(&["send-keys", "-t", &format!("={id}:.2"), "C-c"]);
    server.screen_with(&id, 2, "long has ended (status 130).").await;
    for index in ["0", "1", "2"] {
        server.drive(&[
            "send-keys",
            "-t",
            &format!("={id}:.{index}"),
            "echo $BERTH_SESSION-$((6*7))",
            "Enter",
        ]);
        server.screen_with(&id, index.parse().unwrap(), &format!("{id}-42")).await;
    }
}

#[tokio::test]
async fn a_session_is_made_once_and_a_second_attempt_leaves_it_alone() {
    let server = Server::new().await;
    let id = SessionId::random();
    assert!(server.create(&id, vec![pane("a", &[])]).await);
    let before = server.tmux.sessions().await.unwrap();
    assert!(!server.create(&id, vec![pane("a", &[])]).await);
    assert_eq!(server.tmux.sessions().await.unwrap(), before);
}

#[tokio::test]
async fn what_can_not_be_made_whole_is_not_made() {
    let server = Server::new().await;
    let (id, other) = (SessionId::random(), SessionId::random());
    assert!(server.create(&other, vec![pane("a", &[])]).await);
    let mut list = server.commands(&id, vec![pane("a", &[]), pane("b", &[])]);
    list.extend([";", "split-window", "-t", "=nowhere:"].map(str::to_owned));
    // The failing command comes before the mark, as any that fails does.
    let mark = list.iter().rposition(|word| word == "set-option").unwrap();
    let (made, rest) = list.split_at(mark);
    let reordered: Vec<String> = made.iter().chain(&rest[6..]).cloned().collect();
    assert!(server.tmux.create(&id, &reordered).await.is_err());
    let names = server.drive(&["list-sessions", "-F", "#{session_name}"]);
    assert_eq!(names.trim(), other.as_str(), "half a session was left");
}

#[tokio::test]
async fn a_renamed_session_is_still_itself_and_a_namesake_is_not() {
    let server = Server::new().await;
    let (id, other) = (SessionId::random(), SessionId::random());
    assert!(server.create(&id, vec![pane("a", &[])]).await);
    assert!(server.create(&other, vec![pane("a", &[])]).await);
    server.drive(&["rename-session", "-t", &format!("={id}:"), "mine"]);
    // Somebody makes a session with the free name and no mark.
    server.drive(&["new-session", "-d", "-s", id.as_str()]);
    assert_eq!(server.tmux.sessions().await.unwrap().len(), 2);
    server.tmux.end(&id).await.unwrap();
    server.tmux.end(&id).await.unwrap();
    let mut names: Vec<String> =
        server.drive(&["list-sessions", "-F", "#{session_name}"]).lines().map(str::to_owned).collect();
    names.sort();
    let mut expected = vec![id.to_string(), other.to_string()];
    expected.sort();
    assert_eq!(names, expected, "the namesake or another session was ended");
}

#[tokio::test]
async fn without_a_server_there_are_no_sessions() {
    let server = Server::new().await;
    assert!(server.tmux.sessions().await.unwrap().is_empty());
    let id = SessionId::random();
    assert!(server.create(&id, vec![pane("a", &[])]).await);
    server.drive(&["kill-server"]);
    assert!(server.tmux.sessions().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_server_without_its_socket_is_found_again_and_keeps_its_work() {
    let server = Server::new().await;
    let (id, other) = (SessionId::random(), SessionId::random());
    assert!(server.create(&id, vec![pane("a", &[]), pane("b", &[])]).await);
    let sessions = server.tmux.sessions().await.unwrap();
    let panes = || server.drive(&["list-panes", "-a", "-F", "#{pid} #{pane_pid}"]);
    let before = panes();
    let socket = server.dir.path().join("run/terminal/tmux.sock");

    std::fs::remove_file(&socket).unwrap();
    assert!(!server.create(&other, vec![pane("a", &[])]).await, "a second server was started");
    assert_eq!(server.tmux.sessions().await.unwrap(), sessions);
    assert_eq!(panes(), before);

    // The agent that comes next knows it too.
    std::fs::remove_file(&socket).unwrap();
    assert_eq!(server.next_agent().sessions().await.unwrap(), sessions);
    assert_eq!(panes(), before);

    // Without its directory it can't have a socket; that is no reason to take it for gone.
    let (run, away) = (server.dir.path().join("run"), server.dir.path().join("away"));
    std::fs::rename(&run, &away).unwrap();
    let error = server.tmux.sessions().await.unwrap_err().to_string();
    assert!(error.contains("nothing answers at"), "{error}");
    std::fs::rename(&away, &run).unwrap();
    assert_eq!(server.tmux.sessions().await.unwrap(), sessions);
    assert_eq!(panes(), before);
}

#[tokio::test]
async fn a_later_process_with_the_servers_id_is_left_alone() {
    let server = Server::new().await;
    assert!(server.create(&SessionId::random(), vec![pane("a", &[])]).await);
    assert_eq!(server.tmux.sessions().await.unwrap().len(), 1);
    server.drive(&["kill-server"]);
    assert!(server.tmux.sessions().await.unwrap().is_empty());
    // SIGUSR1 would end it.
    let mut innocent = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let file = server.dir.path().join("run/tmux-server.json");
    let mut known: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    known["pid"] = innocent.id().into();
    std::fs::write(&file, known.to_string()).unwrap();
    let sessions = server.next_agent().sessions().await;
    let ended = innocent.try_wait().unwrap();
    innocent.kill().unwrap();
    innocent.wait().unwrap();
    assert_eq!((sessions.unwrap().len(), ended), (0, None));
}

#[tokio::test]
async fn the_users_own_configuration_has_the_last_word() {
    let server = Server::new().await;
    std::fs::write(server.dir.path().join(".tmux.conf"), "set -g history-limit 777\n").unwrap();
    assert!(server.create(&SessionId::random(), vec![pane("a", &[])]).await);
    assert_eq!(server.drive(&["show-options", "-gv", "history-limit"]).trim(), "777");
    assert_eq!(server.drive(&["show-options", "-gv", "mouse"]).trim(), "on");
}
