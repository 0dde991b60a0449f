//! From the start of a program to its first answer, and what it takes when nothing happens.

use std::path::Path;
use std::time::{Duration, Instant};

use berth_tests::ports::Ports;
use berth_tests::process::Process;
use berth_tests::{Stack, programs};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peers::{Chain, Kind, Target};
use crate::report::Report;
use crate::rounds::{Series, order};

/// Between looks; a start takes milliseconds.
const LOOK: Duration = Duration::from_micros(200);

pub async fn measure(report: &mut Report, quick: bool) {
    eprintln!("Starts");
    let rounds = if quick { 5 } else { 15 };
    let mut stack = Stack::start_gateway().await;
    let ports = Ports::take(3);
    set_door_port(&stack.path("box-agent.toml"), ports.port(0));
    stack.enroll("main");
    stack.start_agent().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    report.add("agent MB, linked, no session", megabytes(stack.agent.pid()));
    report.add("gateway MB, one box", megabytes(stack.gateway.pid()));
    let span = Duration::from_secs(if quick { 10 } else { 60 });
    let (agent, gateway) = (cpu(stack.agent.pid()), cpu(stack.gateway.pid()));
    tokio::time::sleep(span).await;
    let percent = |before: f64, pid: Pid| Series(vec![(cpu(pid) - before) * 100.0 / span.as_secs_f64()]);
    report.add("agent CPU %, idle", percent(agent, stack.agent.pid()));
    report.add("gateway CPU %, one box, idle", percent(gateway, stack.gateway.pid()));
    for number in 0..10 {
        client.running_session(&format!("s{number}")).await;
    }
    report.add("agent MB, ten sessions", megabytes(stack.agent.pid()));

    let front = stack.origin().rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
    let mut chain = Chain::start(Kind::Nginx, &Target::Port(ports.port(1)), &stack.path("nginx")).await;
    let mut bare = bare_nginx(ports.port(2), &stack.path("bare"));
    let (mut gateways, mut fronts) = (Series::default(), Series::default());
    let (mut agents, mut nears) = (Series::default(), Series::default());
    let mut bares = Series::default();
    for round in 0..rounds {
        for side in order(round, 5) {
            // Whoever starts has the machine to itself: the others have done what they do after a start.
            stack.wait_for_agent().await;
            client.wait_for_box("online").await;
            match side {
                0 => {
                    stack.gateway.stop();
                    gateways.0.push(first_answer(&mut stack.gateway, front).await);
                }
                1 => {
                    chain.front.stop();
                    fronts.0.push(first_answer(&mut chain.front, chain.port).await);
                }
                2 => {
                    stack.agent.stop();
                    agents.0.push(first_connection(&mut stack.agent, ports.port(0)).await);
                }
                3 => {
                    chain.near.stop();
                    nears.0.push(first_connection(&mut chain.near, chain.near_port).await);
                }
                _ => {
                    bare.stop();
                    bares.0.push(first_answer(&mut bare, ports.port(2)).await);
                }
            }
        }
    }
    report.add("gateway start ms", gateways.clone());
    report.add("nginx start ms, for the gateway", fronts.clone());
    report.add("agent start ms", agents.clone());
    report.add("nginx start ms, for the agent", nears.clone());
    report.add("nginx start ms, bare", bares);
    report.add_beside("gateway start ms", &gateways, "nginx", &fronts);
    report.add_beside("agent start ms", &agents, "nginx", &nears);
}

/// The memory of one process, MB.
pub fn megabytes(pid: Pid) -> Series {
    Series(vec![berth_tests::process::resident(pid) as f64 / 1e6])
}

/// The processor time that a process has taken, seconds.
pub fn cpu(pid: Pid) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_thread = |text: &str| text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok());
    let sum: f64 = threads
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| of_thread(&text))
        .sum();
    sum.max(of_thread(&stat).unwrap_or_default()) / 1e9
}

fn set_door_port(config: &Path, port: u16) {
    let text = std::fs::read_to_string(config).expect("the agent's configuration");
    let found = "[door]\nlisten = \"127.0.0.1:0\"";
    assert!(text.contains(found), "{text}");
    let text = text.replace(found, &format!("[door]\nlisten = \"127.0.0.1:{port}\""));
    std::fs::write(config, text).expect("the configuration is written");
}

/// An nginx that can do nothing of what is asked of Berth, to see what a start takes at least.
fn bare_nginx(port: u16, directory: &Path) -> Process {
    std::fs::create_dir_all(directory).expect("a directory");
    let place = directory.display();
    let text = format!(
        "daemon off; worker_processes 1; pid {place}/pid; error_log {place}/error.log warn;\n\
         events {{ }}\nhttp {{ access_log off; client_body_temp_path {place}/b; proxy_temp_path {place}/p;\n\
         fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n\
         server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }} }}\n"
    );
    let config = directory.join("nginx.conf");
    std::fs::write(&config, text).expect("the configuration is written");
    let program = programs::on_path("nginx").unwrap_or_else(|| "/usr/sbin/nginx".into());
    let (config, log) = (config.display().to_string(), directory.join("start.log").display().to_string());
    Process::new("nginx", program, &["-c", &config, "-e", &log], directory)
}

/// Starts a program and waits for its first HTTP answer, milliseconds.
async fn first_answer(process: &mut Process, port: u16) -> f64 {
    let begun = Instant::now();
    process.start();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await
            && stream.write_all(request.as_bytes()).await.is_ok()
            && stream.read(&mut [0; 16]).await.is_ok_and(|read| read > 0)
        {
            return begun.elapsed().as_secs_f64() * 1000.0;
        }
        assert!(process.is_running(), "it ended: {}", process.log());
        tokio::time::sleep(LOOK).await;
    }
}

/// Starts the agent and waits until its door serves, milliseconds: TLS is answered only by whoever accepts.
async fn first_connection(process: &mut Process, port: u16) -> f64 {
    let begun = Instant::now();
    process.start();
    loop {
        // What is no TLS is answered by an alert.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await
            && stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.is_ok()
            && stream.read(&mut [0; 16]).await.is_ok_and(|read| read > 0)
        {
            return begun.elapsed().as_secs_f64() * 1000.0;
        }
        assert!(process.is_running(), "it ended: {}", process.log());
        tokio::time::sleep(LOOK).await;
    }
}
