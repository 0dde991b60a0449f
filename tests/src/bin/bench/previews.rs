//! Previews: requests and downloads, through gateway and door and through the peers.

use std::path::Path;

use berth_tests::ports::Ports;
use berth_tests::process::Process;
use berth_tests::{Preview, Stack, programs, wait};
use tokio::net::TcpStream;

use crate::peers::{Chain, Kind, Target, said};
use crate::report::Report;
use crate::rounds::{Series, order};

/// The page of one request, bytes.
const SMALL: usize = 1024;

/// A download, bytes.
const LARGE: usize = 100 * 1000 * 1000;

/// Downloads one after another that are timed together: one takes a tenth of a second, in which it matters most on which
/// processor whose program happens to be.
const DOWNLOADS: usize = 5;

struct Side {
    name: &'static str,
    port: u16,
    headers: Vec<String>,
}

#[derive(Default)]
struct Figures {
    rate: Series,
    p50: Series,
    p99: Series,
    bulk: Series,
}

pub async fn measure(report: &mut Report, quick: bool) {
    eprintln!("Previews");
    let (rounds, seconds) = if quick { (6, 1) } else { (15, 2) };
    let stack = Stack::start().await;
    let client = stack.client().await;
    client.wait_for_box("online").await;
    let ports = Ports::take(1);
    let upstream = ports.port(0);
    let _server = serve(upstream, &stack.path("upstream")).await;
    let preview = Preview::open(&client, upstream).await;
    let front = preview.authority().rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
    let cookie = preview.cookie.clone().unwrap_or_default();
    let nginx = Chain::start(Kind::Nginx, &Target::Port(upstream), &stack.path("nginx")).await;
    let haproxy = Chain::start(Kind::Haproxy, &Target::Port(upstream), &stack.path("haproxy")).await;
    let headers = vec![format!("Host: {}", preview.authority()), format!("Cookie: {cookie}")];
    let sides = [
        Side { name: "berth", port: front, headers },
        Side { name: "nginx", port: nginx.port, headers: Vec::new() },
        Side { name: "haproxy", port: haproxy.port, headers: Vec::new() },
        Side { name: "direct", port: upstream, headers: Vec::new() },
    ];

    let mut figures: Vec<Figures> = sides.iter().map(|_| Figures::default()).collect();
    for round in 0..rounds {
        for index in order(round, sides.len()) {
            requests(&sides[index], seconds, &mut figures[index]);
            figures[index].bulk.0.push(download(&sides[index]));
        }
    }
    for (side, figures) in sides.iter().zip(&figures) {
        report.add(&format!("preview requests/s, {}", side.name), figures.rate.clone());
        report.add(&format!("preview p50 ms, {}", side.name), figures.p50.clone());
        report.add(&format!("preview p99 ms, {}", side.name), figures.p99.clone());
        report.add(&format!("preview bulk MB/s, {}", side.name), figures.bulk.clone());
    }
    for (side, theirs) in sides.iter().zip(&figures).skip(1) {
        report.add_beside("preview requests/s", &figures[0].rate, side.name, &theirs.rate);
        report.add_beside("preview bulk MB/s", &figures[0].bulk, side.name, &theirs.bulk);
    }
}

/// A server of files, as fast as they come.
async fn serve(port: u16, directory: &Path) -> Process {
    let (files, temporary) = (directory.join("files"), directory.join("temporary"));
    for path in [&files, &temporary] {
        std::fs::create_dir_all(path).expect("a directory");
    }
    std::fs::write(files.join("small"), vec![b'x'; SMALL]).expect("a file");
    std::fs::write(files.join("large"), vec![b'x'; LARGE]).expect("a file");
    let (files, place) = (files.display(), temporary.display());
    let user = if nix::unistd::Uid::effective().is_root() { "user root;" } else { "" };
    let text = format!(
        "daemon off; worker_processes 1; {user} pid {place}/pid; error_log {place}/error.log warn;\n\
         events {{ worker_connections 4000; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;\n\
           client_body_temp_path {place}/b; proxy_temp_path {place}/p; fastcgi_temp_path {place}/f;\n\
           uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n\
           server {{ listen 127.0.0.1:{port}; root {files}; }} }}\n"
    );
    let config = directory.join("nginx.conf");
    std::fs::write(&config, text).expect("the configuration is written");
    let program = programs::on_path("nginx").unwrap_or_else(|| "/usr/sbin/nginx".into());
    let (config, log) = (config.display().to_string(), temporary.join("start.log").display().to_string());
    let mut server = Process::new("upstream", program, &["-c", &config, "-e", &log], directory);
    server.start();
    wait::until("the upstream to listen", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    server
}

fn arguments(side: &Side, path: &str, before: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
    for header in &side.headers {
        all.extend(["-H".to_owned(), header.clone()]);
    }
    all.push(format!("http://127.0.0.1:{}/{path}", side.port));
    all
}

/// A load of requests for a small page.
fn requests(side: &Side, seconds: u32, figures: &mut Figures) {
    let duration = format!("{seconds}s");
    let options = ["-t", "1", "-c", "32", "-d", &duration, "--latency"];
    let text = said("wrk", &arguments(side, "small", &options));
    assert!(!text.contains("Non-2xx"), "{}: {text}", side.name);
    let after = |label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
        line.map(str::trim).unwrap_or_default().to_owned()
    };
    figures.rate.0.push(after("Requests/sec:").parse().unwrap_or(f64::NAN));
    figures.p50.0.push(millis(&after("50%")));
    figures.p99.0.push(millis(&after("99%")));
}

/// What wrk writes for a time: `512.00us`, `1.20ms`, `1.01s`.
fn millis(text: &str) -> f64 {
    let number = |end: &str| text.strip_suffix(end).and_then(|number| number.parse::<f64>().ok());
    let found = number("us").map(|micros| micros / 1000.0).or_else(|| number("ms"));
    found.or_else(|| number("s").map(|seconds| seconds * 1000.0)).unwrap_or(f64::NAN)
}

/// Some downloads over one connection, MB/s.
fn download(side: &Side) -> f64 {
    let options = ["-sS", "--fail", "--noproxy", "*", "-o", "/dev/null", "-w", "%{time_total}\n"];
    let path = format!("large?[1-{DOWNLOADS}]");
    let text = said("curl", &arguments(side, &path, &options));
    let seconds: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(seconds.len(), DOWNLOADS, "{}: {text}", side.name);
    (DOWNLOADS * LARGE) as f64 / seconds.iter().sum::<f64>() / 1e6
}
