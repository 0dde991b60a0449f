//! A box under a real systemd, with a block device as its volume.

use berth_tests::machine::{self, Disk, Machine};
use berth_tests::{Terminal, wait};

/// Hetzner's number of the volume.
const ID: u32 = 4711;

#[test]
fn a_volume_that_comes_late_is_mounted_for_everybody_and_comes_back_after_a_reboot() {
    machine::test(async |stack| {
        let disk = Disk::blank();
        let mut machine = Machine::with_volume(&disk, ID);
        machine.boot().await;
        machine.enroll(&stack, "main");
        let _ = machine.says(&["systemctl", "start", "--no-block", "box-agent.service"]);
        wait::until("the agent to wait for its volume", async || {
            let status = machine.property("box-agent.service", "StatusText");
            (status.contains("starting: volume") && status.contains("waiting for hcloud:4711")).then_some(())
        })
        .await;
        machine.attach(&disk, ID);
        let (client, session) = stack.client_and_session("work").await;
        assert_eq!(machine.property("box-agent.service", "ActiveState"), "active");
        let mut terminal = Terminal::open(&client, &session).await;
        terminal.type_text("echo $((6*7)) >~/answer; pwd; echo done-$((40+2))\r").await;
        terminal.read_until("done-42").await;
        machine.prints_phases();
        // Seen by a process that is not the agent's child.
        for (place, expected) in [("/mnt/workspace", ""), ("/home/claude", "[/user/home]")] {
            let source = machine.says(&["findmnt", "--noheadings", "--output", "SOURCE,FSTYPE", place]);
            let found: Vec<&str> = source.split_whitespace().collect();
            assert_eq!(found, [&format!("{}{expected}", disk.device()), "ext4"], "{place}");
        }
        for (path, rights) in [
            ("/mnt/workspace/system", "root root 700"),
            ("/mnt/workspace/user/home", "claude claude 755"),
            ("/mnt/workspace/user/home/answer", "claude claude 644"),
        ] {
            assert_eq!(machine.says(&["stat", "-c", "%U %G %a", path]), rights, "{path}");
        }
        assert_eq!(machine.says(&["box-agent", "layout", "check"]), "");
        // Without the volume nobody, not even root, writes to the disk below it.
        let _ = machine.says(&["systemctl", "stop", "box-agent.service", "box-tmux.service"]);
        let _ = machine.says(&["umount", "/home/claude", "/mnt/workspace"]);
        assert!(!machine.run(&["touch", "/mnt/workspace/astray"]).status.success());
        machine.reboot().await;
        client.wait_for_box("online").await;
        client.wait_for_session(&session, "running").await;
        assert_eq!(machine.says(&["cat", "/home/claude/answer"]), "42");
        assert_eq!(machine.says(&["systemctl", "--failed", "--plain", "--no-legend"]), "");
    });
}

#[test]
fn a_new_machine_takes_the_volume_over_and_one_of_another_workspace_does_not() {
    machine::test(async |stack| {
        let disk = Disk::blank();
        let mut first = Machine::with_volume(&disk, ID);
        first.boot().await;
        first.attach(&disk, ID);
        first.enroll(&stack, "main");
        first.start_agent();
        let (client, session) = stack.client_and_session("work").await;
        let _ = first.says(&["runuser", "-u", "claude", "--", "touch", "/home/claude/kept"]);
        first.power_off().await;

        let _ = berth_tests::process::stdout(&stack.gateway_verb(&["workspace", "create", "other"]));
        let mut stranger = Machine::with_volume(&disk, ID);
        stranger.boot().await;
        stranger.attach(&disk, ID);
        stranger.enroll(&stack, "other");
        assert!(!stranger.run(&["systemctl", "start", "box-agent.service"]).status.success());
        let journal = stranger.journal("box-agent.service");
        assert!(journal.contains("belongs to the workspace"), "{journal}");
        assert!(!stranger.run(&["mountpoint", "/mnt/workspace"]).status.success(), "it is mounted");
        drop(stranger);

        let mut second = Machine::with_volume(&disk, ID);
        second.boot().await;
        second.attach(&disk, ID);
        second.enroll(&stack, "main");
        second.start_agent();
        client.wait_for_session(&session, "running").await;
        assert_eq!(second.pane_pids(&session).len(), 3);
        let _ = second.says(&["stat", "/home/claude/kept"]);
    });
}

#[test]
fn a_suspend_names_the_users_process_that_holds_the_volume_and_then_lets_it_go() {
    machine::test(async |stack| {
        let disk = Disk::blank();
        let mut machine = Machine::with_volume(&disk, ID);
        machine.boot().await;
        machine.attach(&disk, ID);
        machine.enroll(&stack, "main");
        machine.start_agent();
        let (client, session) = stack.client_and_session("work").await;
        let mut terminal = Terminal::open(&client, &session).await;
        terminal.type_text("setsid sleep 4321 </dev/null >/dev/null 2>&1 & echo left-$((40+2))\r").await;
        terminal.read_until("left-42").await;
        // The shell goes on before what it has started has become another program.
        let pid = wait::until("the process", async || {
            let found = machine.run(&["pgrep", "--full", "^sleep 4321"]);
            found.status.success().then(|| String::from_utf8_lossy(&found.stdout).trim().to_owned())
        })
        .await;
        let refused = machine.run(&["box-agent", "suspend"]);
        let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("sleep (process {pid}, directory)")), "{said}");
        client.wait_for_session(&session, "running").await;
        let _ = machine.says(&["kill", &pid]);
        let _ = machine.says(&["box-agent", "suspend"]);
        for place in ["/mnt/workspace", "/home/claude"] {
            assert!(!machine.run(&["mountpoint", place]).status.success(), "{place} is mounted");
        }
        // What guards the agent must not take a suspension for a fault.
        assert_eq!(machine.property("box-agent.service", "NRestarts"), "0");
        let _ = machine.says(&["box-agent", "resume"]);
        client.wait_for_session(&session, "running").await;
        assert!(machine.run(&["mountpoint", "/home/claude"]).status.success());
    });
}
