//! A gateway with thousands of terminals, of two boxes, on which nothing happens but the gateway's own pings.

use std::time::Duration;

use berth_tests::process::{Process, run, stdout};
use berth_tests::stack::write_agent_config;
use berth_tests::tmux::Tmux;
use berth_tests::{Client, Stack, programs, wait};
use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::idle::{echoing, open_idle};
use crate::line::Server;
use crate::report::Report;
use crate::rounds::Series;
use crate::starts::{cpu, megabytes};

/// Terminals, half of them of each box: for one, its agent would need more open files than a process may have.
const TERMINALS: usize = 9000;

/// File descriptors of the gateway then: to the browser and to the box.
const DESCRIPTORS: u64 = 2 * TERMINALS as u64 + 1000;

/// How long those at a session are told of each other after the last of them has come, and more.
const SETTLED: Duration = Duration::from_secs(5);

/// How long the processor time of nothing is watched: six pings of every terminal.
const SPAN: Duration = Duration::from_secs(60);

pub async fn measure(report: &mut Report) {
    eprintln!("Idle terminals: {TERMINALS}");
    let (_, most) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
        .expect("the limit of open files can be read");
    if most < DESCRIPTORS {
        eprintln!("  left out: a process may have {most} files open here, and {DESCRIPTORS} are needed");
        return;
    }
    let (stack, client, first) = echoing().await;
    let (_tmux, _agent, other) = second_box(&stack, &client, first.len()).await;
    let server = Server::Berth(client);
    let mut idle = JoinSet::new();
    for sessions in [&first, &other] {
        open_idle(&server, sessions, TERMINALS / 2, &mut idle).await;
    }
    tokio::time::sleep(SETTLED).await;
    let gateway = stack.gateway.pid();
    let before = cpu(gateway);
    tokio::time::sleep(SPAN).await;
    let percent = (cpu(gateway) - before) * 100.0 / SPAN.as_secs_f64();
    report.add("gateway MB, 9,000 terminals", megabytes(gateway));
    report.add("gateway CPU %, 9,000 terminals", Series(vec![percent]));
    assert!(idle.try_join_next().is_none(), "every terminal is still open");
}

/// Another box of the same gateway, with so many sessions. Its agent has to end before its tmux, or it would make that anew.
async fn second_box(stack: &Stack, client: &Client, count: usize) -> (Tmux, Process, Vec<String>) {
    let directory = stack.path("second");
    std::fs::create_dir_all(&directory).expect("a directory");
    write_agent_config(&directory, &programs::built("echo-ttyd"));
    let _ = stdout(&stack.gateway_verb(&["workspace", "create", "second"]));
    let config = directory.join("box-agent.toml").display().to_string();
    let enroll = ["enroll", "--token-file", "-", "--config", &config];
    let _ = stdout(&run(&programs::built("box-agent"), &enroll, &stack.token("second")));
    let arguments = ["run", "--config", &config];
    let mut agent = Process::new("box-agent", programs::built("box-agent"), &arguments, &directory);
    agent.start();
    let workspaces = client.get("/workspaces").await;
    let mut workspaces = workspaces["workspaces"].as_array().expect("workspaces").iter();
    let workspace = workspaces.find(|one| one["name"] == "second").expect("the second workspace");
    let sessions = format!("/workspaces/{}/sessions", workspace["id"].as_str().expect("an id"));
    let mut made = Vec::with_capacity(count);
    while made.len() < count {
        let body = json!({ "name": format!("idle-{}", made.len()) });
        let session = wait::until("the second box to take a session", async || {
            assert!(agent.is_running(), "the agent ended: {}", agent.log());
            let answer = client.call(Method::POST, &sessions, Some(body.clone())).await;
            answer.body["id"].as_str().map(str::to_owned)
        })
        .await;
        client.wait_for_session(&session, "running").await;
        made.push(session);
    }
    let tmux = Tmux::new(&directory.join("run/terminal/tmux.sock"));
    (tmux, agent, made)
}
