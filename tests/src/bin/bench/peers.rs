//! What people would put there instead: a proxy beside the gateway, TLS to a proxy beside the program, and the
//! program. The same number of hops as gateway and door, the same encryption between them.

use std::path::{Path, PathBuf};
use std::process::Command;

use berth_tests::ports::Ports;
use berth_tests::process::Process;
use berth_tests::{programs, wait};
use nix::unistd::Pid;

/// What a chain leads to.
#[derive(Debug, Clone)]
pub enum Target {
    /// A Unix socket.
    Socket(PathBuf),
    /// A port of this machine.
    Port(u16),
}

/// Two proxies in a row.
pub struct Chain {
    /// The one that clients talk to.
    pub front: Process,
    /// The one beside the target.
    pub near: Process,
    /// Where clients find it.
    pub port: u16,
    /// Where the first finds the second.
    pub near_port: u16,
    _ports: Ports,
}

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// nginx, with a worker.
    Nginx,
    /// haproxy, with a thread.
    Haproxy,
}

/// The name in the certificate.
const NAME: &str = "box.invalid";

/// A key and a certificate for the hop between two proxies, as both programs read them. Both ends show it, and believe it
/// alone: gateway and box prove who they are to each other, too.
fn certificate(directory: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    let (key, certificate) = (directory.join("peer.key"), directory.join("peer.crt"));
    let both = directory.join("peer.pem");
    let (key_text, certificate_text) = (made.signing_key.serialize_pem(), made.cert.pem());
    std::fs::write(&key, &key_text).expect("the key is written");
    std::fs::write(&certificate, &certificate_text).expect("the certificate is written");
    std::fs::write(&both, format!("{certificate_text}{key_text}")).expect("both are written");
    (key, certificate, both)
}

impl Chain {
    /// Starts both proxies and waits until they listen. What they write is below `directory`.
    pub async fn start(kind: Kind, target: &Target, directory: &Path) -> Self {
        std::fs::create_dir_all(directory).expect("a directory");
        let ports = Ports::take(2);
        let (front, near) = (ports.port(0), ports.port(1));
        let (key, certificate, both) = certificate(directory);
        let (front_process, near_process) = match kind {
            Kind::Nginx => {
                let listen = format!(
                    "listen 127.0.0.1:{near} ssl; ssl_certificate {0}; ssl_certificate_key {1}; ssl_verify_client on;\n\
                     ssl_client_certificate {0};",
                    certificate.display(),
                    key.display()
                );
                let server = match target {
                    Target::Socket(path) => format!("unix:{}", path.display()),
                    Target::Port(port) => format!("127.0.0.1:{port}"),
                };
                let second = nginx("near", directory, &listen, "http", &server);
                let listen = format!(
                    "listen 127.0.0.1:{front}; proxy_ssl_certificate {0}; proxy_ssl_certificate_key {1};\n\
                     proxy_ssl_verify on; proxy_ssl_trusted_certificate {0}; proxy_ssl_name {NAME};",
                    certificate.display(),
                    key.display()
                );
                (nginx("front", directory, &listen, "https", &format!("127.0.0.1:{near}")), second)
            }
            Kind::Haproxy => {
                let server = match target {
                    Target::Socket(path) => format!("unix@{}", path.display()),
                    Target::Port(port) => format!("127.0.0.1:{port}"),
                };
                let verify = format!("verify required ca-file {}", certificate.display());
                let bind =
                    format!("127.0.0.1:{near} ssl crt {} ssl-min-ver TLSv1.3 {verify}", both.display());
                let second = haproxy("near", directory, &bind, &server);
                let server = format!(
                    "127.0.0.1:{near} ssl crt {} ssl-min-ver TLSv1.3 {verify} verifyhost {NAME}",
                    both.display()
                );
                (haproxy("front", directory, &format!("127.0.0.1:{front}"), &server), second)
            }
        };
        let mut chain =
            Self { front: front_process, near: near_process, port: front, near_port: near, _ports: ports };
        chain.near.start();
        chain.front.start();
        for port in [near, front] {
            wait::until("a proxy to listen", async || {
                assert!(chain.front.is_running() && chain.near.is_running(), "{}", chain.front.log());
                tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
            })
            .await;
        }
        chain
    }
}

fn nginx(name: &'static str, directory: &Path, listen: &str, scheme: &str, server: &str) -> Process {
    let home = directory.join(name);
    std::fs::create_dir_all(&home).expect("a directory");
    let place = home.display();
    // Workers of another user could not reach the target's socket.
    let user = if nix::unistd::Uid::effective().is_root() { "user root;" } else { "" };
    let text = format!(
        "daemon off; worker_processes 1; worker_rlimit_nofile 60000; {user}\n\
         pid {place}/pid; error_log {place}/error.log warn;\n\
         events {{ worker_connections 30000; }}\n\
         http {{\n\
           access_log off; keepalive_requests 1000000000; tcp_nodelay on; server_tokens off;\n\
           client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/f;\n\
           uwsgi_temp_path {place}/u; scgi_temp_path {place}/s; client_max_body_size 0;\n\
           map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}\n\
           upstream next {{ server {server}; keepalive 64; keepalive_requests 1000000000; }}\n\
           server {{ {listen} ssl_protocols TLSv1.3;\n\
             location = /healthz {{ return 204; }}\n\
             location / {{ proxy_pass {scheme}://next; proxy_http_version 1.1; proxy_ssl_protocols TLSv1.3;\n\
               proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;\n\
               proxy_set_header Host $host; proxy_read_timeout 1h; proxy_max_temp_file_size 0; }} }}\n\
         }}\n"
    );
    let config = home.join("nginx.conf");
    std::fs::write(&config, text).expect("the configuration is written");
    let program = programs::on_path("nginx").unwrap_or_else(|| "/usr/sbin/nginx".into());
    let error_log = home.join("start.log");
    let arguments = [
        "-c",
        &config.display().to_string(),
        "-p",
        &home.display().to_string(),
        "-e",
        &error_log.display().to_string(),
    ]
    .map(str::to_owned);
    Process::new("nginx", program, &arguments.each_ref().map(String::as_str), &home)
}

fn haproxy(name: &'static str, directory: &Path, bind: &str, server: &str) -> Process {
    let home = directory.join(name);
    std::fs::create_dir_all(&home).expect("a directory");
    let text = format!(
        "global\n  maxconn 9000\n  nbthread 1\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n  timeout tunnel 1h\n\
           option http-keep-alive\n  http-reuse always\n\
         frontend f\n  bind {bind}\n  default_backend b\n\
         backend b\n  server s {server}\n"
    );
    let config = home.join("haproxy.cfg");
    std::fs::write(&config, text).expect("the configuration is written");
    let program = programs::on_path("haproxy").unwrap_or_else(|| "/usr/sbin/haproxy".into());
    Process::new("haproxy", program, &["-db", "-f", &config.display().to_string()], &home)
}

/// The memory of a program and of what it has started, bytes, as `of` counts it for one process.
pub fn with_children(pid: Pid, of: impl Fn(Pid) -> u64) -> f64 {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = listed.split_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw));
    let children: u64 = children.map(&of).sum();
    (of(pid) + children) as f64
}

/// A ttyd that shows a session of this tmux, named in the URL; on a Unix socket, or on a port of this machine.
pub fn ttyd(at: &Target, tmux: &Path, directory: &Path) -> Process {
    let place = match at {
        Target::Socket(path) => vec!["-i".to_owned(), path.display().to_string()],
        Target::Port(port) => vec!["-i".into(), "127.0.0.1".into(), "-p".into(), port.to_string()],
    };
    let fixed = ["--writable", "--url-arg", "-P", "300"].map(str::to_owned);
    let shown = ["tmux", "-N", "-S", &tmux.display().to_string(), "attach-session", "-t"].map(str::to_owned);
    let arguments: Vec<String> = fixed.into_iter().chain(place).chain(shown).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    std::fs::create_dir_all(directory).expect("a directory");
    Process::new("ttyd", programs::ttyd(), &arguments, directory)
}

/// Runs a program of this machine and returns what it writes.
pub fn said(program: &str, arguments: &[String]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} did not start: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
