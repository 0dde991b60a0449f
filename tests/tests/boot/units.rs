//! A box under a real systemd: what its units promise.

use std::time::Duration;

use berth_tests::machine::{self, Machine};
use berth_tests::{Client, Stack, Terminal, wait};

/// How long the agent may take for what it does itself: all but the steps that wait for other programs.
const OWN_SHARE: Duration = Duration::from_millis(100);

/// A box that is ready, with one session that runs.
async fn ready(stack: &Stack, machine: &mut Machine) -> (Client, String) {
    machine.boot().await;
    machine.enroll(stack, "main");
    machine.start_agent();
    stack.client_and_session("work").await
}

#[test]
fn a_box_is_nothing_before_its_enrolment_and_comes_up_after_it() {
    machine::test(async |stack| {
        let mut machine = Machine::plain();
        machine.boot().await;
        assert_eq!(machine.property("box-agent.service", "ActiveState"), "inactive");
        assert_eq!(machine.property("box-agent.service", "ConditionResult"), "no");
        machine.enroll(&stack, "main");
        machine.start_agent();
        let (client, session) = stack.client_and_session("work").await;
        assert_eq!(machine.property("box-agent.service", "ActiveState"), "active");
        let mut terminal = Terminal::open(&client, &session).await;
        terminal.type_text("echo $USER-$((40+2))-$HOME-$LANG\r").await;
        terminal.read_until("claude-42-").await;
        let status = machine.property("box-agent.service", "StatusText");
        assert_eq!(status, "ready: 1 session, 1 terminal; connected to the gateway");
        assert_eq!(machine.says(&["systemctl", "--failed", "--plain", "--no-legend"]), "");
        own_share_is_small(&machine);
    });
}

/// Prints what the start took. A figure that depends on the machine is told, and only a gross one is refused.
fn own_share_is_small(machine: &Machine) {
    let phases = machine.start_phases();
    assert!(phases.len() >= 6, "{phases:?}");
    let tools = ["volume", "tmux", "ttyd"];
    let own: Duration =
        phases.iter().filter(|(name, _)| !tools.contains(&name.as_str())).map(|(_, time)| *time).sum();
    for (name, time) in &phases {
        println!("    {name:<10} {time:?}");
    }
    println!("    own share  {own:?} (to be under {OWN_SHARE:?})");
    assert!(own < OWN_SHARE * 20, "{phases:?}");
}

#[test]
fn each_part_runs_as_its_user_and_is_reached_by_whom_it_is_for() {
    machine::test(async |stack| {
        let mut machine = Machine::plain();
        let (client, session) = ready(&stack, &mut machine).await;
        let mut terminal = Terminal::open(&client, &session).await;
        terminal.type_text("echo shown-$((40+2))\r").await;
        terminal.read_until("shown-42").await;
        for (part, user) in [
            ("/usr/bin/box-agent run", "root"),
            ("/bin/ttyd --writable", "claude"),
            ("tmux -u -N", "claude"),
            ("tmux -D", "claude"),
            ("/bin/bash -l", "claude"),
        ] {
            // A program that the agent is just starting as somebody is still called as the agent is.
            let processes = wait::until(&format!("{part} to be {user}'s alone"), async || {
                let all = machine.says(&["pgrep", "--full", "--", part]);
                (all == machine.says(&["pgrep", "--uid", user, "--full", "--", part])).then_some(all)
            })
            .await;
            for pid in processes.lines() {
                let score = machine.says(&["cat", &format!("/proc/{pid}/oom_score_adj")]);
                // The agent's own needs a right that not every machine gives to a container.
                assert!(
                    user == "root" || score == "0",
                    "{part} has {score}: it inherited the agent's protection"
                );
            }
        }
        let server = machine.property("box-tmux.service", "ControlGroup");
        assert_eq!(server, "/berth.slice/berth-user.slice/box-tmux.service");

        for (path, rights) in [
            ("/run/box", "root claude 750"),
            ("/run/box/agent.sock", "root claude 660"),
            ("/run/box/terminal", "claude claude 700"),
            ("/run/box-tmux", "claude claude 700"),
            ("/var/lib/box-agent", "root root 700"),
            ("/var/lib/box-agent/identity", "root root 700"),
            ("/home/claude", "claude claude 755"),
        ] {
            assert_eq!(machine.says(&["stat", "-c", "%U %G %a", path]), rights, "{path}");
        }
        let _ = machine.says(&["useradd", "--create-home", "stranger"]);
        for (user, admitted) in [("root", true), ("claude", true), ("stranger", false)] {
            let status = machine.run_as(user, &["box-agent", "status"]);
            assert_eq!(status.status.success(), admitted, "{user}: {status:?}");
            let tmux = machine.run_as(user, &["tmux", "-S", "/run/box-tmux/tmux.sock", "list-sessions"]);
            assert_eq!(tmux.status.success(), admitted, "{user}: {tmux:?}");
        }
        let secret = machine.run_as("claude", &["ls", "/var/lib/box-agent/identity"]);
        assert!(!secret.status.success(), "{secret:?}");
    });
}

#[test]
fn sessions_live_on_when_the_agent_is_restarted_crashes_hangs_or_is_replaced() {
    machine::test(async |stack| {
        let mut machine = Machine::plain();
        // The watchdog's thirty seconds would be the test's, too.
        machine.drop_in("box-agent.service", "[Service]\nWatchdogSec=2s\nTimeoutAbortSec=1s\n");
        let (client, session) = ready(&stack, &mut machine).await;
        let (panes, server) = (machine.pane_pids(&session), machine.property("box-tmux.service", "MainPID"));
        assert_eq!(panes.len(), 3);
        let agent = || machine.property("box-agent.service", "MainPID");
        let signal = |signal: &str| machine.says(&["kill", "-s", signal, &agent()]);
        let ways: [(&str, &dyn Fn() -> String); 4] = [
            ("a restart", &|| machine.says(&["systemctl", "restart", "box-agent"])),
            ("a crash", &|| signal("KILL")),
            ("a hang", &|| signal("STOP")),
            ("an upgrade", &|| {
                let upgrade = "cp /usr/bin/box-agent /usr/bin/new && mv /usr/bin/new /usr/bin/box-agent";
                machine.says(&["sh", "-c", &format!("{upgrade} && systemctl restart box-agent")])
            }),
        ];
        for (way, act) in ways {
            let before = agent();
            act();
            wait::until(way, async || {
                let up = machine.property("box-agent.service", "ActiveState") == "active";
                (up && agent() != before).then_some(())
            })
            .await;
            client.wait_for_box("online").await;
            client.wait_for_session(&session, "running").await;
            let _ = Terminal::open_again(&client, &session, wait::PATIENCE).await;
            assert_eq!(machine.pane_pids(&session), panes, "{way}");
            assert_eq!(machine.property("box-tmux.service", "MainPID"), server, "{way}");
        }
        let journal = machine.journal("box-agent.service");
        assert!(journal.contains("Watchdog timeout (limit 2s)"), "{journal}");
    });
}

#[test]
fn sessions_are_made_again_after_a_reboot_and_without_a_gateway() {
    machine::test(async |mut stack| {
        let mut machine = Machine::plain();
        let (client, session) = ready(&stack, &mut machine).await;
        stack.gateway.stop();
        machine.reboot().await;
        assert_eq!(machine.property("box-agent.service", "ActiveState"), "active");
        assert_eq!(machine.pane_pids(&session).len(), 3);
        let status = machine.property("box-agent.service", "StatusText");
        assert!(status.starts_with("ready: 1 session, 0 terminals; no connection"), "{status}");
        stack.gateway.start();
        stack.wait_for_gateway().await;
        client.wait_for_box("online").await;
        // So are those of a tmux server that was killed.
        let _ = machine.says(&["systemctl", "kill", "--signal", "KILL", "box-tmux.service"]);
        wait::until("the sessions again", async || (machine.pane_pids(&session).len() == 3).then_some(()))
            .await;
        let _ = Terminal::open_again(&client, &session, wait::PATIENCE).await;
        assert_eq!(machine.says(&["systemctl", "--failed", "--plain", "--no-legend"]), "");
    });
}

#[test]
fn the_units_are_well_formed_and_sandboxed() {
    machine::test(async |_| {
        let mut machine = Machine::plain();
        machine.boot().await;
        let units = ["box.target", "box-agent.service", "box-tmux.service", "berth-gateway.service"];
        let verified = machine.run(&[&["systemd-analyze", "--man=no", "verify"], &units[..]].concat());
        assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
        for (unit, most) in [("box-agent.service", 5.0), ("berth-gateway.service", 2.0)] {
            let report = machine.says(&["systemd-analyze", "security", "--no-pager", unit]);
            let verdict = report.lines().last().unwrap_or_default();
            let exposure = verdict.split(": ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
            let exposure: f32 = exposure.unwrap_or_else(|| panic!("{verdict}"));
            println!("    {unit}: exposure {exposure}");
            assert!(exposure <= most, "{report}");
        }
        for unit in ["box-agent.service", "box-tmux.service"] {
            assert_eq!(machine.property(unit, "OOMPolicy"), "continue", "{unit}");
        }
        assert_eq!(machine.property("box-tmux.service", "Slice"), "berth-user.slice");
        assert_eq!(machine.property("berth-user.slice", "MemorySwapMax"), "0");
    });
}

#[test]
fn the_gateway_serves_from_its_sandbox() {
    machine::test(async |_| {
        let mut machine = Machine::plain();
        machine.boot().await;
        let _ = machine.says(&["systemctl", "start", "berth-gateway.service"]);
        let link = machine.run_as("berth-gateway", &["gateway", "sign-in-link"]);
        let link = berth_tests::process::stdout(&link);
        // The network is the test's, too.
        let client = Client::sign_in("http://127.0.0.1:7391", &link).await;
        client.get("/workspaces").await;
        let state = machine.says(&["stat", "-c", "%U %a", "/var/lib/berth-gateway"]);
        assert_eq!(state, "berth-gateway 700");
    });
}
