//! What becomes of a box whose memory runs out, on a kernel of its own.

use std::time::Instant;

use berth_tests::machine::vm::{PATIENCE, Vm, says};
use berth_tests::{Client, Stack, Terminal, machine, wait};

/// MiB. With less, what the slice may not have is less than the rest of a system needs, and the limit is never reached.
const MEMORY: u32 = 2048;

/// What must be the same afterwards: the programs' and the panes' process ids.
const ALIVE: &str = "systemctl show --property MainPID,NRestarts box-agent.service box-tmux.service && \
    tmux -N -S /run/box-tmux/tmux.sock list-panes -a -F '#{session_name} #{window_id} #{pane_id} #{pane_pid}'";

#[test]
#[ignore = "long: scripts/test --long"]
fn what_takes_all_memory_is_ended_and_reported_and_nothing_else_ends() {
    machine::test(async |stack| {
        let begun = Instant::now();
        let Some((vm, client)) = Vm::boot(&stack, MEMORY).await else { return };
        println!("    online after {:?}", begun.elapsed());
        let (greedy, other) = (running(&client, "greedy").await, running(&client, "other").await);
        limits_are_set(&client).await;
        let before = says(&client, ALIVE).await;
        assert!(before.contains(&greedy) && before.contains(&other), "{before}");

        let mut terminal = Terminal::open_again(&client, &greedy, PATIENCE).await;
        let hungry = Instant::now();
        terminal.type_text("tail /dev/zero; echo ended-$?\r").await;
        let message = said_of(&client, &greedy).await;
        println!("    {message:?} after {:?}", hungry.elapsed());
        println!("{}", kernel_lines(&vm.console()));
        assert!(
            message.starts_with("tail (process ") && message.ends_with("was ended: memory ran out"),
            "{message}"
        );
        let told = event(&stack).await;
        assert_eq!((&told["session"], &told["process"]), (&greedy.as_str().into(), &"tail".into()), "{told}");

        assert_eq!(says(&client, ALIVE).await, before);
        // Compressed memory is there, and none of it was the program's.
        let swaps = says(&client, "awk 'NR > 1 { print $1 }' /proc/swaps").await;
        assert_eq!(swaps, "/dev/zram0");
        assert_eq!(
            says(&client, "cat /sys/fs/cgroup/berth.slice/berth-user.slice/memory.swap.peak").await,
            "0"
        );
        // A page that nobody looks at loses its place; a new one is shown what stands there.
        for session in [&greedy, &other] {
            let mut terminal = Terminal::open_again(&client, session, PATIENCE).await;
            if *session == greedy {
                terminal.read_until("ended-137").await;
            }
            terminal.type_text("echo goes-on-$((40+2))\r").await;
            terminal.read_until("goes-on-42").await;
        }
        assert_eq!(says(&client, "systemctl --failed --plain --no-legend").await, "");
    });
}

async fn running(client: &Client, name: &str) -> String {
    let id = client.create_session(name).await;
    wait::within(PATIENCE, "the session to run", async || {
        (client.get(&format!("/sessions/{id}")).await["state"] == "running").then_some(())
    })
    .await;
    id
}

/// The units' limits are the kernel's.
async fn limits_are_set(client: &Client) {
    let berth = "/sys/fs/cgroup/berth.slice";
    let read = async |file: &str| -> u64 {
        says(client, &format!("cat {berth}/{file}")).await.parse().expect("a number of bytes")
    };
    for file in ["memory.min", "box-agent.service/memory.min"] {
        assert_eq!(read(file).await, 64 << 20, "{file}");
    }
    assert_eq!(read("berth-user.slice/memory.swap.max").await, 0);
    let total = says(client, "awk '/^MemTotal/ { print $2 }' /proc/meminfo").await;
    let total = total.parse::<u64>().expect("a number") << 10;
    for (property, file, percent) in [("MemoryHigh", "memory.high", 90), ("MemoryMax", "memory.max", 92)] {
        let set = read(&format!("berth-user.slice/{file}")).await;
        let shown = says(client, &format!("systemctl show --value -p {property} berth-user.slice")).await;
        assert_eq!(shown, set.to_string(), "{property}");
        let wanted = total * percent / 100;
        assert!(set.abs_diff(wanted) < 1 << 20, "{property} is {set}, {wanted} was wanted");
    }
}

/// The message that a session has got.
async fn said_of(client: &Client, session: &str) -> String {
    let path = format!("/sessions/{session}");
    wait::within(PATIENCE, "the session's message", async || {
        client.get(&path).await["message"].as_str().map(str::to_owned)
    })
    .await
}

/// The one report of a process that was ended.
async fn event(stack: &Stack) -> serde_json::Value {
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).expect("the store");
    let sql = "SELECT payload FROM events WHERE kind = 'out_of_memory'";
    let payload: String =
        wait::within(PATIENCE, "the event", async || store.query_row(sql, [], |row| row.get(0)).ok()).await;
    serde_json::from_str(&payload).expect("JSON")
}

/// What the kernel said of it.
fn kernel_lines(console: &str) -> String {
    let telling = |line: &&str| line.contains("oom-kill") || line.contains("Killed process");
    console.lines().filter(telling).collect::<Vec<_>>().join("\n")
}
