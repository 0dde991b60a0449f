//! Memory of what is open and idle: terminals, before and after output, and HTTP connections.
//!
//! Behind the door is a stand-in for ttyd, since a machine has too few pseudo-terminals for thousands of real
//! ones; the same stand-in is behind the peers.

use std::path::PathBuf;

use berth_tests::process::{Process, anonymous, resident};
use berth_tests::stack::write_agent_config;
use berth_tests::{Client, Stack, programs, wait};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::line::{Line, Server};
use crate::peers::{Chain, Kind, Target, with_children};
use crate::report::Report;
use crate::rounds::Series;

/// Terminals that are open before anything is counted: what is made once is made by then.
const WARM: usize = 32;

/// Terminals through which a megabyte passes.
const TALKING: usize = 200;

/// Sessions that terminals are of, in turns: few people look at one.
const SESSIONS: usize = 50;

/// The output of one message.
const PIECE: usize = 64 * 1024;

/// What one terminal adds to a process, KB.
struct Growth {
    resident: f64,
    heap: f64,
    after_output: f64,
}

pub async fn measure(report: &mut Report, quick: bool) {
    let counts: &[usize] = if quick { &[1000] } else { &[1000, 5000] };
    for count in counts {
        eprintln!("Idle terminals: {count}");
        let (stack, client, sessions) = echoing().await;
        let server = Server::Berth(client);
        let (gateway, agent) = (stack.gateway.pid(), stack.agent.pid());
        let ours = growth(&server, &sessions, *count, &[gateway, agent]).await;

        let (_stand_in, socket) = stand_in(&stack).await;
        let nginx = Chain::start(Kind::Nginx, &Target::Socket(socket.clone()), &stack.path("nginx")).await;
        let pids = [nginx.front.pid(), nginx.near.pid()];
        let theirs = growth(&Server::Ttyd(nginx.port), &sessions, *count, &pids).await;
        drop(nginx);
        let haproxy = Chain::start(Kind::Haproxy, &Target::Socket(socket), &stack.path("haproxy")).await;
        let pids = [haproxy.front.pid(), haproxy.near.pid()];
        let others = growth(&Server::Ttyd(haproxy.port), &sessions, *count, &pids).await;
        drop(haproxy);

        // The targets are for the first count; more terminals are told beside it.
        let beside = if *count == counts[0] { String::new() } else { format!(", of {count}") };
        for (index, place) in ["gateway", "agent"].iter().enumerate() {
            let one = |value: f64| Series(vec![value]);
            let (berth, nginx) = (one(ours[index].resident), one(theirs[index].resident));
            report.add(&format!("KB per idle terminal, {place}{beside}"), berth.clone());
            report.add(&format!("KB of heap per idle terminal, {place}{beside}"), one(ours[index].heap));
            let after = one(ours[index].after_output);
            report.add(&format!("KB per idle terminal after 1 MB, {place}{beside}"), after);
            report.add(&format!("KB per idle terminal, nginx for the {place}{beside}"), nginx.clone());
            let haproxy = one(others[index].resident);
            report.add(&format!("KB per idle terminal, haproxy for the {place}{beside}"), haproxy);
            report.add(&format!("KB per idle terminal, {place} / nginx{beside}"), berth.ratios(&nginx));
        }
        if *count == counts[0] {
            // Another gateway: one that had terminals has their memory left, and would seem to need none.
            let connections = http_growth(&Stack::start_gateway().await, *count).await;
            report.add("KB per idle HTTP connection, gateway", Series(vec![connections]));
        }
    }
}

/// A box whose terminals give back what they get.
pub async fn echoing() -> (Stack, Client, Vec<String>) {
    let mut stack = Stack::start_gateway().await;
    write_agent_config(&stack.path(""), &programs::built("echo-ttyd"));
    stack.enroll("main");
    stack.start_agent().await;
    let (client, session) = stack.client_and_session("idle").await;
    let mut sessions = vec![session];
    while sessions.len() < SESSIONS {
        sessions.push(client.running_session(&format!("idle-{}", sessions.len())).await);
    }
    (stack, client, sessions)
}

/// The stand-in for ttyd, for the peers: the agent ends its own together with the terminals that it showed.
async fn stand_in(stack: &Stack) -> (Process, PathBuf) {
    let directory = stack.path("stand-in");
    std::fs::create_dir_all(&directory).expect("a directory");
    let socket = directory.join("ttyd.sock");
    let arguments = ["--interface", socket.to_str().expect("a plain path")];
    let mut process = Process::new("echo-ttyd", programs::built("echo-ttyd"), &arguments, &directory);
    process.start();
    wait::until("the stand-in to listen", async || UnixStream::connect(&socket).await.ok()).await;
    (process, socket)
}

/// What `count` terminals add to each of these processes, KB each.
async fn growth(server: &Server, sessions: &[String], count: usize, pids: &[Pid]) -> Vec<Growth> {
    // A peer's work is done by a process that it has started. What the agent starts, ttyd above all, is not the agent.
    let one = |pid: Pid, of: fn(Pid) -> u64| match server {
        Server::Berth(_) => of(pid) as f64,
        Server::Ttyd(_) => with_children(pid, of),
    };
    let all = |of: fn(Pid) -> u64| pids.iter().map(|pid| one(*pid, of)).collect::<Vec<f64>>();
    let mut idle = JoinSet::new();
    for number in 0..WARM {
        let mut line = Line::open(server, &sessions[number % sessions.len()]).await;
        echo(&mut line, PIECE).await;
        idle.spawn(line.idle());
    }
    let (before, heap_before) = (all(resident), all(anonymous));
    open_idle(server, sessions, count - TALKING, &mut idle).await;
    let mut talking = Vec::with_capacity(TALKING);
    for number in 0..TALKING {
        let mut line = Line::open(server, &sessions[number % sessions.len()]).await;
        echo(&mut line, 16).await;
        talking.push(line);
    }
    let (open, heap) = (all(resident), all(anonymous));
    for line in &mut talking {
        for _ in 0..1024 * 1024 / PIECE {
            echo(line, PIECE).await;
        }
    }
    let after = all(resident);
    assert!(idle.try_join_next().is_none(), "every terminal is still open");
    let each = |now: f64, before: f64, among: usize| (now - before) / 1024.0 / among as f64;
    let growth = (0..pids.len()).map(|index| {
        let per_terminal = each(open[index], before[index], count);
        // Only those through which something passed can have grown.
        let grown = each(after[index], open[index], TALKING);
        Growth {
            resident: per_terminal,
            heap: each(heap[index], heap_before[index], count),
            after_output: per_terminal + grown,
        }
    });
    growth.collect()
}

/// Opens so many terminals that are seen to work, and of which nothing more is asked.
pub async fn open_idle(server: &Server, sessions: &[String], count: usize, idle: &mut JoinSet<()>) {
    for number in 0..count {
        let mut line = Line::open(server, &sessions[number % sessions.len()]).await;
        echo(&mut line, 16).await;
        idle.spawn(line.idle());
    }
}

/// Sends input and reads its echo.
async fn echo(line: &mut Line, size: usize) {
    // A message has at most 64 KiB behind its type byte.
    line.input(&vec![b'x'; size]).await;
    let mut left = size as u64;
    while left > 0 {
        left = left.saturating_sub(line.output().await);
    }
}

/// What an HTTP connection that is kept open adds to the gateway, KB.
async fn http_growth(stack: &Stack, count: usize) -> f64 {
    let authority = stack.origin().trim_start_matches("http://").to_owned();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let open = async |count: usize| {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let mut stream = TcpStream::connect(&authority).await.expect("the gateway listens");
            stream.write_all(request.as_bytes()).await.expect("the gateway reads");
            let mut answer = [0; 1024];
            assert!(stream.read(&mut answer).await.is_ok_and(|read| read > 0), "the gateway answers");
            streams.push(stream);
        }
        streams
    };
    let warm = open(WARM).await;
    let before = resident(stack.gateway.pid());
    let streams = open(count).await;
    let after = resident(stack.gateway.pid());
    drop((warm, streams));
    (after.saturating_sub(before)) as f64 / 1024.0 / count as f64
}
