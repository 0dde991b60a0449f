//! Logs and metrics: what an operator finds.

use std::time::Duration;

use berth_protocol::ids::ClientId;
use berth_tests::metrics::{scrape, wait_for_metric};
use berth_tests::process::{Process, kill_child, run};
use berth_tests::raw::{BINARY, CLOSE, START, TEXT, frame, header};
use berth_tests::{Raw, Stack, Terminal, programs, wait};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_request_has_the_same_id_in_both_logs() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    let line = wait::until("the gateway to log the terminal", async || {
        stack.gateway.log().lines().find(|line| line.contains("terminal opened")).map(str::to_owned)
    })
    .await;
    let id = line.split("request_id=").nth(1).unwrap();
    let id = &id[..id.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap()];
    assert!(id.starts_with("req-"), "{line}");
    wait::until("the agent to log the same request", async || stack.agent.log().contains(id).then_some(()))
        .await;
}

#[tokio::test]
async fn both_programs_have_metrics_on_loopback() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    for (file, metrics) in [
        ("gateway/addresses.json", ["gateway_terminals_open 1", "gateway_links_open 1"]),
        ("run/addresses.json", ["box_agent_link_connected 1", "box_agent_attachments 1"]),
    ] {
        let addresses: Value = serde_json::from_slice(&std::fs::read(stack.path(file)).unwrap()).unwrap();
        let address = addresses["metrics"].as_str().unwrap();
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        for metric in metrics {
            wait::until(metric, async || {
                let answer =
                    berth_tests::client::plain().get(format!("http://{address}/metrics")).send().await;
                let text = answer.ok()?.bytes().await.ok()?;
                String::from_utf8(text.to_vec()).ok()?.contains(metric).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn terminals_are_counted_while_they_run() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    terminal.type_text("echo counted-$((40+2))\r").await;
    terminal.read_until("counted-42").await;
    wait_for_metric(&stack, "gateway_terminal_input_bytes_total", |bytes| bytes == 23.0).await;
    wait_for_metric(&stack, "gateway_terminal_output_bytes_total", |bytes| bytes > 100.0).await;
    wait_for_metric(&stack, "gateway_terminal_round_trip_seconds_count", |count| count >= 1.0).await;
    wait_for_metric(&stack, "gateway_terminal_stalls_total", |count| count == 0.0).await;
    assert!(!scrape(&stack).await.unwrap().contains("gateway_terminals_closed_total{"), "none has ended");
}

#[tokio::test]
async fn a_page_that_draws_nothing_is_counted_as_stalled() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let mut page = Raw::started(&client, &session).await;
    page.read_until("\u{1b}").await;
    assert!(page.acknowledge().await);
    assert!(page.type_text("seq 1000000000\r").await);
    page.read_until_quiet(Duration::from_millis(500)).await;
    wait_for_metric(&stack, "gateway_terminal_stalls_total", |count| count == 1.0).await;
}

#[tokio::test]
async fn clients_that_come_again_are_counted_by_what_ended_before() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    let other = client.running_session("other").await;
    let count = |reason: &str| format!("gateway_terminals_reconnected_total{{reason=\"{reason}\"}}");
    // Every call is another client, unless it says which one it is.
    let tab = json!({"client": ClientId::random()});
    let open = async |session: &str| {
        let mut terminal = Terminal::open_as(&client, session, Some(tab.clone()), (100, 30)).await;
        terminal.read_until("\u{1b}").await;
        terminal
    };
    let first = open(&session).await;
    drop(Terminal::open(&client, &session).await);
    drop(open(&other).await);
    assert!(
        !scrape(&stack).await.unwrap().contains("gateway_terminals_reconnected_total{"),
        "nobody came again"
    );
    let second = open(&session).await;
    wait_for_metric(&stack, &count("unnoticed"), |count| count == 1.0).await;
    drop(first);
    drop(second);
    let lost = "gateway_terminals_closed_total{reason=\"browser_lost\"}";
    wait_for_metric(&stack, lost, |count| count == 4.0).await;
    let mut third = open(&session).await;
    wait_for_metric(&stack, &count("browser_lost"), |count| count == 1.0).await;
    kill_child(stack.agent.pid(), "ttyd");
    third.read_until_closed().await;
    wait_for_metric(&stack, "gateway_terminals_open", |open| open == 0.0).await;
    // Somebody else finds out that the box is back.
    Terminal::open_again(&client, &other, wait::PATIENCE).await;
    let _fourth = open(&session).await;
    wait_for_metric(&stack, &count("box_lost"), |count| count == 1.0).await;
}

#[tokio::test]
async fn ends_and_refusals_are_counted_by_reason() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    for (bytes, refused) in [
        (frame(BINARY, b"9"), "unknown_type"),
        (frame(BINARY, START), "started_twice"),
        (frame(TEXT, b"{"), "json"),
        (vec![0], "frame"),
        (header(BINARY, 1 << 30), "too_long"),
    ] {
        let mut hostile = Raw::started(&client, &session).await;
        assert!(hostile.send(&[&bytes[..], &[0; 8]].concat()).await);
        hostile.read_until_closed().await;
        let name = format!("gateway_terminal_messages_refused_total{{reason=\"{refused}\"}}");
        wait_for_metric(&stack, &name, |count| count == 1.0).await;
    }
    let name = "gateway_terminals_closed_total{reason=\"browser_violation\"}";
    wait_for_metric(&stack, name, |count| count == 5.0).await;

    let mut closes = Raw::started(&client, &session).await;
    assert!(closes.send(&frame(CLOSE, b"")).await);
    wait_for_metric(&stack, "gateway_terminals_closed_total{reason=\"browser_closed\"}", |n| n == 1.0).await;
    drop(Raw::started(&client, &session).await);
    wait_for_metric(&stack, "gateway_terminals_closed_total{reason=\"browser_lost\"}", |n| n == 1.0).await;
    let mut boxed = Raw::started(&client, &session).await;
    boxed.read_until("\u{1b}").await;
    kill_child(stack.agent.pid(), "ttyd");
    wait_for_metric(&stack, "gateway_terminals_closed_total{reason=\"box_lost\"}", |n| n == 1.0).await;
    wait_for_metric(&stack, "gateway_terminals_open", |open| open == 0.0).await;
}

#[tokio::test]
async fn json_lines_are_written_on_demand() {
    let mut stack = Stack::start_gateway().await;
    stack.gateway.stop();
    stack.gateway.set_env("BERTH_GATEWAY__LOG__FORMAT", "json");
    stack.gateway.start();
    stack.wait_for_gateway().await;
    let line = wait::until("a line of JSON", async || {
        let log = stack.gateway.log();
        log.lines().find(|line| line.starts_with('{') && line.contains("gateway serves")).map(str::to_owned)
    })
    .await;
    let parsed: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(parsed["level"], "INFO");
}

/// Becomes a journald with a /run of its own, in a mount namespace of its own.
const JOURNALD: &str = "
    set -e
    mount -t tmpfs tmpfs /run
    mkdir -p /run/systemd/journal /run/log/journal
    exec /lib/systemd/systemd-journald";

/// A real journald, and whoever is started in its mount namespace.
struct Journal {
    journald: Process,
    _directory: tempfile::TempDir,
}

impl Journal {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let unshare = programs::on_path("unshare").unwrap();
        let mut journald =
            Process::new("journald", unshare, &["--mount", "sh", "-c", JOURNALD], directory.path());
        journald.start();
        let process = std::path::PathBuf::from(format!("/proc/{}", journald.pid()));
        wait::until("journald to listen", async || {
            assert!(journald.is_running(), "journald ended: {}", journald.log());
            // Before it became journald, the machine's own /run may still be there.
            let name = std::fs::read_to_string(process.join("comm")).ok()?;
            let listens = process.join("root/run/systemd/journal/socket").exists();
            (name.starts_with("systemd-journal") && listens).then_some(())
        })
        .await;
        Self { journald, _directory: directory }
    }

    /// A program of ours that logs to this journal.
    fn logged(&self, name: &'static str, verb: &str, stack: &Stack) -> Process {
        let (program, config) = (programs::built(name), stack.path(&format!("{name}.toml")));
        let namespace = self.namespace();
        let arguments = [
            &namespace,
            program.to_str().unwrap(),
            verb,
            "--config",
            config.to_str().unwrap(),
            "--log-format",
            "journal",
            // What everybody has who sets nothing.
            "--log-level",
            "info",
        ];
        let nsenter = programs::on_path("nsenter").unwrap();
        Process::new(name, nsenter, &arguments, stack.path("").as_path())
    }

    /// What `journalctl` finds.
    fn find(&self, field: &str) -> Vec<Value> {
        let namespace = self.namespace();
        let journalctl = [&namespace, "journalctl", "-D", "/run/log/journal", "-o", "json", field];
        let output = run(&programs::on_path("nsenter").unwrap(), &journalctl, "");
        let lines = output.stdout.split(|byte| *byte == b'\n');
        lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// Waits for both programs' records of one request.
    async fn wait_for_both(&self, id: &str) {
        wait::until("both programs' records of one request", async || {
            let entries = self.find(&format!("REQUEST_ID={id}"));
            let from = |program| entries.iter().any(|entry| entry["SYSLOG_IDENTIFIER"] == program);
            (from("gateway") && from("box-agent")).then_some(())
        })
        .await;
    }

    fn namespace(&self) -> String {
        format!("--mount=/proc/{}/ns/mnt", self.journald.pid())
    }
}

#[tokio::test]
async fn the_journal_finds_a_request_by_its_id() {
    if !nix::unistd::Uid::effective().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI must run this test, which needs root");
        eprintln!("skipped: a journald of one's own needs root");
        return;
    }
    let journal = Journal::start().await;
    let mut stack = Stack::start_gateway().await;
    stack.enroll("main");
    stack.gateway.stop();
    stack.gateway = journal.logged("gateway", "serve", &stack);
    stack.gateway.start();
    stack.wait_for_gateway().await;
    stack.agent = journal.logged("box-agent", "run", &stack);
    stack.start_agent().await;

    let answer =
        berth_tests::client::plain().get(format!("{}/api/v1/me", stack.origin())).send().await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let entry = wait::until("the journal to have the request", async || {
        journal.find(&format!("REQUEST_ID={id}")).into_iter().next()
    })
    .await;
    assert_eq!(entry["PATH"], "/api/v1/me", "{entry}");
    assert_eq!(entry["STATUS"], "401", "{entry}");
    assert_eq!(entry["SYSLOG_IDENTIFIER"], "gateway", "{entry}");

    let (client, session) = stack.client_and_session("work").await;
    let mut terminal = Terminal::open(&client, &session).await;
    terminal.read_until("\u{1b}").await;
    let id = wait::until("the journal to have the terminal", async || {
        let entries = journal.find("SYSLOG_IDENTIFIER=gateway");
        let opened = entries.iter().find(|entry| entry["MESSAGE"] == "terminal opened")?;
        opened["REQUEST_ID"].as_str().map(str::to_owned)
    })
    .await;
    journal.wait_for_both(&id).await;

    let path = format!("/sessions/{session}/input");
    let typed = client.request(Method::POST, &path).json(&json!({ "text": "true" })).send().await.unwrap();
    assert_eq!(typed.status(), 204);
    journal.wait_for_both(typed.headers()["x-request-id"].to_str().unwrap()).await;
}
