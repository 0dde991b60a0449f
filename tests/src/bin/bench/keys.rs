//! Terminals: how long a key takes to be seen, alone and beside a flood, and how much output gets through.

use std::time::{Duration, Instant};

use berth_tests::ports::Ports;
use berth_tests::{Stack, wait};
use tokio::net::{TcpStream, UnixStream};

use crate::line::{Line, Server};
use crate::peers::{Chain, Kind, Target, ttyd};
use crate::report::Report;
use crate::rounds::{Series, order};

/// The echo of a key may come in two pieces; the second must not be taken for the next key's.
const PIECES: Duration = Duration::from_millis(2);

/// What is typed in turns: the kernel's echo of the second takes the first away, so lines never grow.
const KEYS: [&[u8]; 2] = [b"x", b"\x7f"];

struct Side {
    name: &'static str,
    server: Server,
}

#[derive(Default)]
struct Figures {
    p50: Series,
    p99: Series,
    flooded_p50: Series,
    flooded_p99: Series,
    bulk: Series,
}

pub async fn measure(report: &mut Report, quick: bool) {
    eprintln!("Terminals");
    let (rounds, keys) = if quick { (7, 100) } else { (25, 500) };
    let (flooded_rounds, flooded_keys) = if quick { (4, keys) } else { (11, keys) };
    // How fast tmux is differs from second to second: of many short rounds, and nothing between one side and the next, a
    // ratio varies less than of few long ones.
    let (bulk_rounds, flood) =
        if quick { (4, Duration::from_millis(500)) } else { (41, Duration::from_secs(1)) };
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("keys").await;
    let other = client.running_session("flood").await;
    run_in(&stack, &session, "exec cat").await;

    let ports = Ports::take(1);
    let socket = stack.path("peer-ttyd.sock");
    let tmux = stack.path("run/terminal/tmux.sock");
    let mut alone = ttyd(&Target::Port(ports.port(0)), &tmux, &stack.path("ttyd-alone"));
    let mut shared = ttyd(&Target::Socket(socket.clone()), &tmux, &stack.path("ttyd-shared"));
    alone.start();
    shared.start();
    wait::until("ttyd alone to listen", async || TcpStream::connect(("127.0.0.1", ports.port(0))).await.ok())
        .await;
    wait::until("ttyd to listen", async || UnixStream::connect(&socket).await.ok()).await;
    let target = Target::Socket(socket);
    let nginx = Chain::start(Kind::Nginx, &target, &stack.path("nginx")).await;
    let haproxy = Chain::start(Kind::Haproxy, &target, &stack.path("haproxy")).await;
    let sides = [
        Side { name: "berth", server: Server::Berth(client) },
        Side { name: "nginx", server: Server::Ttyd(nginx.port) },
        Side { name: "haproxy", server: Server::Ttyd(haproxy.port) },
        Side { name: "ttyd", server: Server::Ttyd(ports.port(0)) },
    ];

    let mut figures: Vec<Figures> = sides.iter().map(|_| Figures::default()).collect();
    // Nothing else happens in tmux meanwhile: one server has both sessions, and a flood keeps it busy whoever looks.
    for round in 0..rounds {
        for index in order(round, sides.len()) {
            let mut line = Line::open(&sides[index].server, &session).await;
            line.drawn().await;
            let echo = echoes(&mut line, keys).await;
            figures[index].p50.0.push(echo.median());
            figures[index].p99.0.push(echo.quantile(0.99));
            line.close().await;
        }
    }
    run_in(&stack, &other, "exec yes 0123456789012345678901234567890123456789").await;
    for round in 0..flooded_rounds {
        for index in order(round, sides.len()) {
            let (side, figures) = (&sides[index], &mut figures[index]);
            let mut line = Line::open(&side.server, &session).await;
            line.drawn().await;
            let mut flooding = Line::open(&side.server, &other).await;
            let flooder = tokio::spawn(async move {
                loop {
                    flooding.output().await;
                }
            });
            let echo = echoes(&mut line, flooded_keys).await;
            figures.flooded_p50.0.push(echo.median());
            figures.flooded_p99.0.push(echo.quantile(0.99));
            flooder.abort();
            line.close().await;
        }
    }
    for round in 0..bulk_rounds {
        for index in order(round, sides.len()) {
            let rate = throughput(&sides[index].server, &other, flood).await;
            figures[index].bulk.0.push(rate);
        }
    }

    for (side, figures) in sides.iter().zip(&figures) {
        report.add(&format!("keystroke p50 ms, {}", side.name), figures.p50.clone());
        report.add(&format!("keystroke p99 ms, {}", side.name), figures.p99.clone());
        report.add(&format!("keystroke p50 ms beside a flood, {}", side.name), figures.flooded_p50.clone());
        report.add(&format!("keystroke p99 ms beside a flood, {}", side.name), figures.flooded_p99.clone());
        report.add(&format!("terminal bulk MB/s, {}", side.name), figures.bulk.clone());
    }
    for (side, theirs) in sides.iter().zip(&figures).skip(1) {
        let ours = &figures[0];
        report.add_beside("keystroke p50", &ours.p50, side.name, &theirs.p50);
        report.add_beside("keystroke p99", &ours.p99, side.name, &theirs.p99);
        let (our_p99, their_p99) = (&ours.flooded_p99, &theirs.flooded_p99);
        report.add_beside("keystroke p99 beside a flood", our_p99, side.name, their_p99);
        report.add_beside("terminal bulk MB/s", &ours.bulk, side.name, &theirs.bulk);
    }
}

/// Runs a program in the place of a session's shell.
async fn run_in(stack: &Stack, session: &str, command: &str) {
    let target = format!("={session}:");
    let typed = stack.tmux.run(&["send-keys", "-t", &target, command, "Enter"]);
    assert!(typed.is_some(), "tmux takes keys");
    let program = command.split(' ').nth(1).unwrap_or_default().to_owned();
    wait::until("the program to run", async || {
        (stack.tmux.says(session, "#{pane_current_command}") == program).then_some(())
    })
    .await;
}

/// How long each of so many keys takes until it is seen, milliseconds.
async fn echoes(line: &mut Line, keys: usize) -> Series {
    let mut taken = Series::default();
    for key in KEYS.iter().cycle().take(keys) {
        let begun = Instant::now();
        line.input(key).await;
        line.output().await;
        taken.0.push(begun.elapsed().as_secs_f64() * 1000.0);
        line.settle(PIECES).await;
    }
    taken
}

/// Output of a flooding session in so much time, MB/s.
async fn throughput(server: &Server, session: &str, limit: Duration) -> f64 {
    let mut line = Line::open(server, session).await;
    line.output().await;
    let begun = Instant::now();
    let mut bytes = 0;
    while begun.elapsed() < limit {
        bytes += line.output().await;
    }
    let rate = bytes as f64 / begun.elapsed().as_secs_f64() / 1e6;
    line.close().await;
    rate
}
