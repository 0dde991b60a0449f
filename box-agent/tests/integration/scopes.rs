//! Scopes, with systemd's program played by a script that notes what it is asked. What systemd itself does with it is
//! shown by the boot test.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use berth_protocol::ids::SessionId;
use box_agent::host::account::Account;
use box_agent::host::runtime::RuntimeDir;
use box_agent::sessions::scopes::Scopes;
use box_agent::settings::{Pane, Template};
use box_agent::terminal::blueprint::Blueprint;
use box_agent::terminal::tmux::Tmux;
use nix::unistd::Uid;

use crate::support::programs::on_path;
use crate::support::wait::until;

struct Box {
    dir: tempfile::TempDir,
    tmux: Tmux,
}

impl Box {
    /// `script`: what the program does after it has noted its arguments in `$calls`.
    async fn new(script: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("scope-").tempdir_in("/tmp").unwrap();
        let account = Account::find(None, dir.path().to_owned(), Some(Path::new("/bin/sh"))).unwrap();
        let runtime = RuntimeDir::open(&dir.path().join("run"), None, &account).unwrap();
        let env = account.environment(|name| std::env::var_os(name));
        let tmux = Tmux::new(on_path("tmux").expect("tmux is installed"), &runtime, account, env);
        tmux.prepare().await.unwrap();
        let boxed = Self { dir, tmux };
        let calls = boxed.calls();
        let text =
            format!("#!/bin/sh\ncalls={}\nprintf '%s\\n' \"$*\" >>$calls\n{script}\n", calls.display());
        std::fs::write(boxed.busctl(), text).unwrap();
        std::fs::set_permissions(boxed.busctl(), std::fs::Permissions::from_mode(0o755)).unwrap();
        boxed
    }

    fn busctl(&self) -> PathBuf {
        self.dir.path().join("busctl")
    }

    fn calls(&self) -> PathBuf {
        self.dir.path().join("calls")
    }

    fn called(&self) -> Vec<String> {
        std::fs::read_to_string(self.calls()).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn scopes(&self) -> Scopes {
        Scopes::by(self.busctl(), Uid::effective())
    }

    async fn create(&self, id: &SessionId, scopes: &Scopes) {
        let pane = |name: &str| Pane { name: name.into(), ..Pane::default() };
        let template = Template { directory: None, panes: vec![pane("a"), pane("b")] };
        let blueprint = Blueprint::fresh(&template, self.dir.path());
        let around = self.tmux.surroundings(scopes.awaited(id));
        self.tmux.create(id, &blueprint.commands(id, &around)).await.unwrap();
    }

    fn drive(&self, args: &[&str]) -> String {
        let socket = self.dir.path().join("run/terminal/tmux.sock");
        let output = std::process::Command::new("tmux").arg("-S").arg(socket).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the shell of the first pane answers.
    async fn works(&self, id: &SessionId) {
        let target = format!("={id}:.0");
        self.drive(&["send-keys", "-t", &target, "echo works-$((6*7)) [$BERTH_SCOPE]", "Enter"]);
        until("the pane's shell", async || {
            self.drive(&["capture-pane", "-p", "-t", &target]).contains("works-42 []").then_some(())
        })
        .await;
    }
}

impl Drop for Box {
    fn drop(&mut self) {
        self.drive(&["kill-server"]);
    }
}

#[tokio::test]
async fn panes_are_put_into_their_sessions_scope_and_wait_no_longer_than_a_moment() {
    let boxed = Box::new("").await;
    let (id, mut scopes) = (SessionId::random(), boxed.scopes());
    boxed.create(&id, &scopes).await;
    let survey = boxed.tmux.survey().await.unwrap();
    scopes.place(&survey).await.unwrap();
    let calls = boxed.called();
    assert!(calls[0].contains(&format!("StartTransientUnit ssa(sv)a(sa(sv)) berth-session-{id}.scope fail")));
    // Only the panes' first processes, which stay: what they start may be gone before systemd looks.
    let pids: Vec<String> = survey[&id].panes().map(|pane| pane.pid.to_string()).collect();
    assert!(calls[0].contains(&format!(" PIDs au 2 {} Slice", pids.join(" "))), "{}", calls[0]);
    assert!(calls[1..].iter().all(|call| call.contains("AttachProcessesToUnit")), "{calls:?}");
    // This script moves nothing: the panes begin all the same.
    boxed.works(&id).await;
}

#[tokio::test]
async fn an_older_systemd_and_a_scope_that_is_there_are_no_failures() {
    let boxed = Box::new(
        "case $* in\n*OOMPolicy*) echo 'Cannot set property OOMPolicy, or unknown property.' >&2; exit 1 ;;\n\
         *StartTransientUnit*) echo 'Unit x.scope was already loaded or has a fragment file.' >&2; exit 1 ;;\nesac",
    )
    .await;
    let (id, mut scopes) = (SessionId::random(), boxed.scopes());
    boxed.create(&id, &scopes).await;
    let survey = boxed.tmux.survey().await.unwrap();
    scopes.place(&survey).await.unwrap();
    let verbs = |calls: &[String]| {
        let verb = |call: &String| {
            ["OOMPolicy", "StartTransientUnit", "AttachProcessesToUnit"]
                .into_iter()
                .find(|word| call.contains(word))
                .unwrap_or_default()
        };
        calls.iter().map(verb).collect::<Vec<_>>()
    };
    assert_eq!(verbs(&boxed.called())[..3], ["OOMPolicy", "StartTransientUnit", "AttachProcessesToUnit"]);
    let before = boxed.called().len();
    scopes.place(&survey).await.unwrap();
    assert_eq!(verbs(&boxed.called())[before..before + 2], ["StartTransientUnit", "AttachProcessesToUnit"]);
}

#[tokio::test]
async fn a_failure_is_told_tried_again_later_and_keeps_no_pane_waiting() {
    let boxed = Box::new("echo 'Access denied' >&2; exit 1").await;
    let (id, later, mut scopes) = (SessionId::random(), SessionId::random(), boxed.scopes());
    boxed.create(&id, &scopes).await;
    let survey = boxed.tmux.survey().await.unwrap();
    let error = scopes.place(&survey).await.unwrap_err();
    assert!(error.contains(id.as_str()) && error.contains("Access denied"), "{error}");
    assert_eq!(scopes.place(&survey).await.unwrap_err(), error, "it is still so");
    assert_eq!(boxed.called().len(), 1, "it was tried again at once");
    boxed.works(&id).await;
    assert_eq!(scopes.awaited(&later), None);
    boxed.create(&later, &scopes).await;
    boxed.works(&later).await;
}

#[tokio::test]
async fn a_pane_that_ends_meanwhile_does_not_keep_the_others_out() {
    let boxed =
        Box::new("[ $(wc -l <$calls) -gt 1 ] || { echo 'Call failed: No such process' >&2; exit 1; }").await;
    let (id, mut scopes) = (SessionId::random(), boxed.scopes());
    boxed.create(&id, &scopes).await;
    let survey = boxed.tmux.survey().await.unwrap();
    let [first, second] = [0, 1].map(|index| survey[&id].panes().nth(index).unwrap().clone());
    boxed.drive(&["kill-pane", "-t", &first.id]);
    until("the end of the pane", async || {
        (!std::path::Path::new(&format!("/proc/{}", first.pid)).exists()).then_some(())
    })
    .await;
    scopes.place(&survey).await.unwrap();
    for call in &boxed.called()[..2] {
        assert!(call.contains(&format!(" PIDs au 1 {} Slice", second.pid)), "{call}");
    }
}
