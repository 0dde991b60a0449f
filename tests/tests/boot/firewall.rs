//! The image's firewall, with a real kernel: what is reached from another network namespace, and what users reach.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use berth_tests::machine::image;
use berth_tests::network::{self, GATEWAY, Namespace};
use berth_tests::process::{run, stdout};
use berth_tests::programs;

/// How long an answer may take that must come, and one is waited for that must not.
const ANSWER: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(2);

const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Puts the image's rules into force in this namespace, or those that an operator has added to them.
fn load(more: &str) {
    let nft = programs::on_path("nft").expect("nft (of nftables)");
    let rules = image().join("usr/share/berth/firewall.nft");
    let _ = stdout(&run(&nft, &["-f", rules.to_str().expect("a plain path")], ""));
    if !more.is_empty() {
        let _ = stdout(&run(&nft, &["-f", "-"], more));
    }
}

fn listen(port: u16) -> TcpListener {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a port of this namespace")
}

async fn is_reached(far: &Namespace, port: u16, limit: Duration) -> bool {
    far.connect(SocketAddr::from((GATEWAY, port)), limit).await.is_ok()
}

/// Whether a datagram from outside comes in.
fn is_heard(far: &Namespace, port: u16, limit: Duration) -> bool {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a port of this namespace");
    socket.set_read_timeout(Some(limit)).expect("a limit");
    far.send(SocketAddr::from((GATEWAY, port)));
    socket.recv(&mut [0; 16]).is_ok()
}

#[test]
fn from_outside_only_the_door_answers() {
    network::joined(async |far| {
        let listeners = [22, 80, 7681, 7684, 8080].map(listen);
        for listener in &listeners {
            let port = listener.local_addr().expect("an address").port();
            assert!(is_reached(&far, port, ANSWER).await, "{port} is out of reach without any rule");
        }
        load("");
        assert!(is_reached(&far, 7681, ANSWER).await, "the door is shut");
        for port in [22, 80, 7684, 8080] {
            assert!(!is_reached(&far, port, SILENCE).await, "{port} answers");
        }
        // Twice makes no difference, and what an operator adds counts.
        load("add rule inet berth admitted tcp dport 22 accept");
        assert!(is_reached(&far, 22, ANSWER).await, "what the operator admits is out of reach");
        assert!(is_reached(&far, 7681, ANSWER).await, "the door is shut");
        assert!(!is_reached(&far, 80, SILENCE).await, "80 answers");
        // The machine reaches itself, whatever the port.
        let own = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, 8080));
        assert!(own.is_ok(), "{own:?}");
        // Tailscale's own packets come in; others of their kind don't.
        assert!(is_heard(&far, 41641, ANSWER), "Tailscale's packets are dropped");
        assert!(!is_heard(&far, 5353, SILENCE), "5353 is open");
    });
}

#[test]
fn only_root_asks_the_metadata_service() {
    network::joined(async |_| {
        let ip = programs::on_path("ip").expect("ip (of iproute2)");
        let _ = stdout(&run(&ip, &["address", "add", &format!("{METADATA}/32"), "dev", "lo"], ""));
        let _ = stdout(&run(&ip, &["address", "add", "fe80::a9fe:a9fe/128", "dev", "lo", "nodad"], ""));
        let _services =
            [listen(80), TcpListener::bind((Ipv6Addr::UNSPECIFIED, 81)).expect("a port of this namespace")];
        let asked = |user: &str, address: &str| {
            let setpriv = programs::on_path("setpriv").expect("setpriv (of util-linux)");
            let ask = format!(": </dev/tcp/{address}");
            run(&setpriv, &["--reuid", user, "--clear-groups", "timeout", "20", "bash", "-c", &ask], "")
                .status
                .success()
        };
        let places = [format!("{METADATA}/80"), "fe80::a9fe:a9fe%lo/81".to_owned()];
        for place in &places {
            assert!(asked("1000", place) && asked("0", place), "{place} is out of reach without any rule");
        }
        load("");
        for place in &places {
            assert!(asked("0", place), "root is refused at {place}, and with it cloud-init");
            assert!(!asked("1000", place), "a user is let in to {place}");
        }
        // Nothing else changes for a user.
        assert!(asked("1000", "127.0.0.1/80"));
    });
}
