//! Memory of what is open and idle: terminals, before and after output, and HTTP connections.
//!
//! Behind the door is a stand-in for ttyd, since a machine has too few pseudo-terminals for thousands of real
//! ones; the same stand-in is behind the peers.

use berth_tests::stack::write_agent_config;
use berth_tests::{Stack, programs};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::line::{Line, Server};
use crate::peers::{Chain, Kind, Target, resident};
use crate::report::Report;
use crate::rounds::Series;

/// Terminals that are open before anything is counted: what is made once is made by then.
const WARM: usize = 32;

/// Terminals through which a megabyte passes.
const TALKING: usize = 200;

/// The output of one message.
const PIECE: usize = 64 * 1024;

struct Growth {
    per_terminal: f64,
    after_output: f64,
}

pub async fn measure(report: &mut Report, quick: bool) {
    let counts: &[usize] = if quick { &[1000] } else { &[1000, 5000] };
    for count in counts {
        eprintln!("Idle terminals: {count}");
        let mut stack = Stack::start_gateway().await;
        write_agent_config(&stack.path(""), &programs::built("echo-ttyd"));
        stack.enroll("main");
        stack.start_agent().await;
        let (client, session) = stack.client_and_session("idle").await;
        let server = Server::Berth(client);
        let (gateway, agent) = (stack.gateway.pid(), stack.agent.pid());
        let ours = growth(&server, &session, *count, &[gateway, agent]).await;

        let socket = ttyd_socket(&stack);
        let nginx = Chain::start(Kind::Nginx, &Target::Socket(socket.clone()), &stack.path("nginx")).await;
        let pids = [nginx.front.pid(), nginx.near.pid()];
        let theirs = growth(&Server::Ttyd(nginx.port), &session, *count, &pids).await;
        drop(nginx);
        let haproxy = Chain::start(Kind::Haproxy, &Target::Socket(socket), &stack.path("haproxy")).await;
        let pids = [haproxy.front.pid(), haproxy.near.pid()];
        let others = growth(&Server::Ttyd(haproxy.port), &session, *count, &pids).await;
        drop(haproxy);

        // The targets are for the first count; more terminals are told beside it.
        let beside = if *count == counts[0] { String::new() } else { format!(", of {count}") };
        for (index, place) in ["gateway", "agent"].iter().enumerate() {
            let one = |growth: &Growth| Series(vec![growth.per_terminal]);
            let (berth, nginx, haproxy) = (one(&ours[index]), one(&theirs[index]), one(&others[index]));
            report.add(&format!("KB per idle terminal, {place}{beside}"), berth.clone());
            let after = Series(vec![ours[index].after_output]);
            report.add(&format!("KB per idle terminal after 1 MB, {place}{beside}"), after);
            report.add(&format!("KB per idle terminal, nginx for the {place}{beside}"), nginx.clone());
            report.add(&format!("KB per idle terminal, haproxy for the {place}{beside}"), haproxy);
            report.add(&format!("KB per idle terminal, {place} / nginx{beside}"), berth.ratios(&nginx));
        }
        if *count == counts[0] {
            let connections = http_growth(&stack, *count).await;
            report.add("KB per idle HTTP connection, gateway", Series(vec![connections]));
        }
    }
}

/// Where the agent's ttyd listens.
fn ttyd_socket(stack: &Stack) -> std::path::PathBuf {
    let directory = stack.path("run/terminal");
    let listed = std::fs::read_dir(&directory).expect("the agent's runtime directory").flatten();
    let found = listed
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ttyd")));
    found.expect("the socket of the agent's ttyd")
}

/// What `count` terminals add to each of these processes, KB each.
async fn growth(server: &Server, session: &str, count: usize, pids: &[Pid]) -> Vec<Growth> {
    let mut lines = Vec::with_capacity(count + WARM);
    for _ in 0..WARM {
        lines.push(Line::open(server, session).await);
        if let Some(line) = lines.last_mut() {
            echo(line, PIECE).await;
        }
    }
    let before: Vec<f64> = pids.iter().map(|pid| resident(*pid)).collect();
    for _ in 0..count {
        let mut line = Line::open(server, session).await;
        echo(&mut line, 16).await;
        lines.push(line);
    }
    let open: Vec<f64> = pids.iter().map(|pid| resident(*pid)).collect();
    for line in lines.iter_mut().skip(WARM).take(TALKING) {
        for _ in 0..1024 * 1024 / PIECE {
            echo(line, PIECE).await;
        }
    }
    let after: Vec<f64> = pids.iter().map(|pid| resident(*pid)).collect();
    let each = |now: f64, before: f64, among: usize| (now - before) / 1024.0 / among as f64;
    let growth = (0..pids.len()).map(|index| {
        let per_terminal = each(open[index], before[index], count);
        // Only those through which something passed can have grown.
        let grown = each(after[index], open[index], TALKING);
        Growth { per_terminal, after_output: per_terminal + grown }
    });
    growth.collect()
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
    (after - before) / 1024.0 / count as f64
}
