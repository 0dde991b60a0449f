//! A machine of one's own: installed from a bundle or from a package, upgraded, and rid of Berth again.

use std::path::{Path, PathBuf};

use berth_tests::machine::{self, Machine, bundle};
use berth_tests::process::stdout;
use berth_tests::{Client, Stack, Terminal, programs, wait};

/// Without anything of Berth's: a machine like any other, on which programs that a box needs are installed.
fn bare(machine: &Machine) {
    let _ = machine.says(&["/opt/berth/scripts/uninstall"]);
    is_gone(machine);
}

/// Runs the bundle's `scripts/install` as an administrator would: with nothing of the test's environment.
fn install(machine: &Machine, options: &[&str], input: &str) -> std::process::Output {
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let command = ["env", "--ignore-environment", path, "/opt/berth/scripts/install"];
    machine.run_with(&[&command, options].concat(), input)
}

/// Nothing of Berth's is left but the workspace and its user.
fn is_gone(machine: &Machine) {
    for path in [
        "/usr/bin/box-agent",
        "/usr/lib/systemd/system/box-agent.service",
        "/usr/lib/systemd/system/berth.slice",
        "/usr/share/berth/tmux.conf",
        "/etc/box-agent",
        "/etc/systemd/system/multi-user.target.wants/box.target",
        "/var/lib/box-agent",
    ] {
        assert!(!machine.run(&["test", "-e", path]).status.success(), "{path} is left");
    }
    assert!(!machine.run(&["pgrep", "--exact", "tmux: server"]).status.success(), "tmux runs");
    assert_eq!(machine.says(&["systemctl", "--failed", "--plain", "--no-legend"]), "");
    assert_eq!(machine.says(&["id", "--user", "claude"]), "1000");
}

/// A session in which somebody works, and its panes' processes.
async fn at_work(stack: &Stack, machine: &Machine) -> (Client, String, Vec<String>) {
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.type_text("echo $((6*7)) >~/answer; echo done-$((40+2))\r").await;
    terminal.read_until("done-42").await;
    let panes = machine.pane_pids(&session);
    assert_eq!(panes.len(), 3);
    (client, session, panes)
}

/// The agent is another one, and the session's programs are the same.
async fn goes_on(machine: &Machine, client: &Client, session: &str, panes: &[String], agent: &str) {
    assert_ne!(machine.property("box-agent.service", "MainPID"), agent, "the agent was not started anew");
    client.wait_for_box("online").await;
    client.wait_for_session(session, "running").await;
    let _ = Terminal::open_again(client, session, wait::PATIENCE).await;
    assert_eq!(machine.pane_pids(session), panes);
}

/// From the bundle, and back to what the machine was.
async fn installed_upgraded_and_rid_of_berth(stack: Stack, mut machine: Machine) {
    machine.add("opt", &bundle().path().join("berth"));
    machine.boot().await;
    bare(&machine);
    let early = install(&machine, &[], "");
    let said = String::from_utf8_lossy(&early.stderr).into_owned();
    assert_eq!(early.status.code(), Some(78), "{said}");
    assert!(said.contains("a box needs a token"), "{said}");
    let _ = stdout(&install(&machine, &["--token-file", "-"], &stack.token("main")));
    let (client, session, panes) = at_work(&stack, &machine).await;

    let agent = machine.property("box-agent.service", "MainPID");
    let _ = stdout(&install(&machine, &[], ""));
    goes_on(&machine, &client, &session, &panes, &agent).await;

    let _ = machine.says(&["/opt/berth/scripts/uninstall"]);
    is_gone(&machine);
    assert_eq!(machine.says(&["cat", "/mnt/workspace/user/home/answer"]), "42");
}

#[test]
fn a_machine_of_ones_own_is_installed_upgraded_and_rid_of_berth() {
    machine::test(async |stack| installed_upgraded_and_rid_of_berth(stack, Machine::plain()).await);
}

#[test]
#[ignore = "needs Debian 12 as a directory: scripts/image debian-12-tree; scripts/test --long makes it"]
fn so_is_one_with_debian_12() {
    machine::test(async |stack| {
        let machine = Machine::plain_of(&machine::debian_12());
        // The machine has no network: what the script fetches where the distribution has no ttyd is there already.
        let ttyd = programs::ttyd();
        let prefix =
            ttyd.parent().and_then(Path::parent).expect("a directory").canonicalize().expect("its place");
        machine.add("opt/berth/.tools", &prefix);
        installed_upgraded_and_rid_of_berth(stack, machine).await;
    });
}

#[test]
#[ignore = "needs packages of scripts/deb, in the directory that BERTH_TEST_DEBS names"]
fn an_upgrade_of_the_package_keeps_sessions() {
    machine::test(async |stack| {
        let Some(packages) = std::env::var_os("BERTH_TEST_DEBS").map(PathBuf::from) else {
            eprintln!("skipped: BERTH_TEST_DEBS names no packages of scripts/deb");
            return;
        };
        let mut machine = Machine::plain();
        machine.add("opt", &bundle().path().join("berth"));
        machine.add("opt/packages", &packages);
        machine.boot().await;
        bare(&machine);
        let deb = machine.says(&["sh", "-c", "ls /opt/packages/*/berth-box-agent_*.deb"]);
        let _ = machine.says(&["dpkg", "--install", &deb]);
        machine.enroll(&stack, "main");
        let _ = machine.says(&["systemctl", "start", "box.target"]);
        let (client, session, panes) = at_work(&stack, &machine).await;
        let agent = machine.property("box-agent.service", "MainPID");
        // A package's own version again takes the same steps as a newer one.
        let _ = machine.says(&["dpkg", "--install", &deb]);
        goes_on(&machine, &client, &session, &panes, &agent).await;
        let refused = machine.run(&["/opt/berth/scripts/uninstall"]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("apt-get purge"), "{refused:?}");
        let _ = machine.says(&["dpkg", "--purge", "berth-box-agent"]);
        is_gone(&machine);
        assert_eq!(machine.says(&["cat", "/mnt/workspace/user/home/answer"]), "42");

        // The gateway's, too: it starts when its settings are there, and its store stays.
        let deb = machine.says(&["sh", "-c", "ls /opt/packages/*/berth-gateway_*.deb"]);
        let _ = machine.says(&["dpkg", "--install", &deb]);
        let _ = machine.says(&["systemctl", "start", "berth-gateway.service"]);
        let _ = machine.says(&["test", "-s", "/var/lib/berth-gateway/gateway.db"]);
        let _ = machine.says(&["dpkg", "--purge", "berth-gateway"]);
        let _ = machine.says(&["test", "-s", "/var/lib/berth-gateway/gateway.db"]);
    });
}
