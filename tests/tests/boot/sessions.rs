//! Sessions under a real systemd: their scopes, and what is kept of them over a reboot.

use berth_tests::machine::{self, Machine};
use berth_tests::{Client, Stack, Terminal, wait};

async fn ready(stack: &Stack, machine: &mut Machine) -> (Client, String) {
    machine.boot().await;
    machine.enroll(stack, "main");
    machine.start_agent();
    stack.client_and_session("work").await
}

/// Waits until there are panes in the session's current window, and all of them are in its scope.
async fn in_scope(machine: &Machine, session: &str) {
    let scope = format!("/berth.slice/berth-user.slice/berth-session-{session}.scope");
    wait::until("the panes in their scope", async || {
        let pids = machine.pane_pids(session);
        let group = |pid: &String| {
            let read = machine.run(&["cat", &format!("/proc/{pid}/cgroup")]);
            String::from_utf8_lossy(&read.stdout).into_owned()
        };
        (!pids.is_empty() && pids.iter().all(|pid| group(pid).contains(&scope))).then_some(())
    })
    .await;
}

#[test]
fn each_sessions_processes_are_in_a_scope_of_their_own() {
    machine::test(async |stack| {
        let mut machine = Machine::plain();
        let (client, session) = ready(&stack, &mut machine).await;
        let other = client.running_session("other").await;
        in_scope(&machine, &session).await;
        in_scope(&machine, &other).await;
        let unit = format!("berth-session-{session}.scope");
        for (property, value) in [
            ("Slice", "berth-user.slice"),
            ("OOMPolicy", "continue"),
            ("SendSIGHUP", "yes"),
            ("Delegate", "yes"),
        ] {
            assert_eq!(machine.property(&unit, property), value, "{property}");
        }
        // What a pane starts is there from the first.
        let mut terminal = Terminal::open(&client, &session).await;
        terminal.type_text("grep -c $BERTH_SESSION.scope /proc/self/cgroup | sed 's/^/found-/'\r").await;
        terminal.read_until("found-1").await;
        // A window that its user opens comes after, and so does what it started meanwhile.
        assert!(machine.tmux(&["new-window", "-t", &format!("={session}:"), "sleep 1000"]).status.success());
        in_scope(&machine, &session).await;
        // The server dies: the sessions come back, in their scopes.
        let _ = machine.says(&["systemctl", "kill", "--signal", "KILL", "box-tmux.service"]);
        wait::until("the end of the old panes", async || {
            let sleeps = machine.run(&["pgrep", "--full", "^sleep 1000"]);
            (!sleeps.status.success()).then_some(())
        })
        .await;
        in_scope(&machine, &session).await;
        in_scope(&machine, &other).await;
        wait::until("the trouble to be over", async || {
            let status = machine.property("box-agent.service", "StatusText");
            (!status.contains("trouble with sessions")).then_some(())
        })
        .await;
    });
}

#[test]
fn a_reboot_shows_where_the_user_was() {
    machine::test(async |stack| {
        let mut machine = Machine::plain();
        let (client, session) = ready(&stack, &mut machine).await;
        let mut terminal = Terminal::open(&client, &session).await;
        terminal.type_text("echo here-$((40+2))\r").await;
        terminal.read_until("here-42").await;
        machine.reboot().await;
        client.wait_for_box("online").await;
        client.wait_for_session(&session, "running").await;
        wait::until("the last screen", async || {
            let target = format!("={session}:.0");
            let screen = machine.tmux(&["capture-pane", "-p", "-S", "-100", "-t", &target]);
            let text = String::from_utf8_lossy(&screen.stdout).into_owned();
            (text.contains("here-42") && text.contains("── shown until")).then_some(())
        })
        .await;
    });
}
