//! A box under a real systemd: what its units promise.

use berth_tests::machine;

#[test]
fn a_box_gets_ready_after_it_was_enrolled() {
    machine::test(async |stack, mut machine| {
        machine.boot().await;
        assert_eq!(machine.property("box-agent.service", "ActiveState"), "inactive", "it is no box yet");
        assert_eq!(machine.property("box-tmux.service", "ActiveState"), "active");
        machine.enroll(&stack).await;
        assert_eq!(machine.property("box-agent.service", "ActiveState"), "active");
        println!(
            "{}",
            machine.says(&["systemctl", "status", "--no-pager", "box-agent", "box-tmux", "box.target"])
        );
        println!("{}", machine.says(&["box-agent", "status"]));
        let client = stack.client().await;
        client.wait_for_box("online").await;
        let session = client.running_session("work").await;
        println!("{session}");
        println!("{}", machine.says(&["ps", "-eo", "user,pid,ppid,cgroup,args"]));
        assert_eq!(machine.says(&["systemctl", "--failed", "--plain", "--no-legend"]), "");
    });
}
