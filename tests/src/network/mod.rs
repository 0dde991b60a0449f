//! Two network namespaces joined by a link of the tests' own, which delays, drops and cuts packets.
//!
//! ```text
//!  namespace of the client            the test's process             namespace of gateway and box
//!  page ─▶ TCP ─▶ tun 10.99.0.2 ─▶ loss, delay, cut ─▶ tun 10.99.0.1 ─▶ TCP ─▶ gateway
//! ```
//!
//! What the link holds is IP packets, so TCP on both sides does what it does on a bad network: it retransmits,
//! backs off and gives up. A proxy that held a TCP connection's bytes would show none of that, and kernels may
//! lack `netem`. Making namespaces and devices needs root, and `ip` to switch loopback on.
//!
//! | module | what |
//! |---|---|
//! | `namespace` | a network namespace, and running something in it |
//! | `link` | the two devices, and the weather between them |
//! | `page` | a terminal's page that reconnects as the real one does |

mod link;
mod namespace;
mod page;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

pub use link::{Link, Weather};
pub use namespace::Namespace;
pub use page::Page;

use crate::{Client, Stack};

/// The gateway's address on the link.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// The client's address on the link.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

/// A stack whose only client is at the other end of a bad network.
pub struct Network {
    /// Gateway and box.
    pub stack: Stack,
    /// What lies between.
    pub link: Link,
    /// Where the client is.
    pub far: Namespace,
}

/// The address on the link of the gateway that a client uses.
///
/// # Panics
/// When its origin has no port.
#[must_use]
pub fn gateway_of(client: &Client) -> SocketAddr {
    let port = client.origin().rsplit(':').next().and_then(|port| port.parse().ok());
    (GATEWAY, port.expect("the origin has a port")).into()
}

/// Runs a test on this thread, which is put into a namespace of its own for good. Without root, or without TUN devices,
/// it is skipped; not by CI.
///
/// # Panics
/// When a namespace or the link can't be made, or the test fails.
pub fn test(test: impl AsyncFnOnce(Network)) {
    linked(async |link, far| {
        let mut stack = Stack::start().await;
        // Where the link leads to, too; browsers still call it what they did.
        stack.gateway.stop();
        let listen = stack.origin().replace("http://127.0.0.1", "0.0.0.0");
        stack.gateway.set_env("BERTH_GATEWAY__FRONT__LISTEN", &listen);
        let origin = stack.origin().to_owned();
        stack.gateway.set_env("BERTH_GATEWAY__FRONT__PUBLIC_URL", &origin);
        // Plain http from beyond the gateway's machine is taken from proxies alone, so the client passes for one.
        let file = stack.path("gateway.toml");
        let settings = std::fs::read_to_string(&file).expect("settings");
        let trusting = settings.replace("[front]\n", &format!("[front]\ntrusted_proxies = [\"{CLIENT}\"]\n"));
        std::fs::write(&file, trusting).expect("the settings are written");
        stack.gateway.start();
        stack.wait_for_gateway().await;
        test(Network { stack, link, far }).await;
    });
}

/// The same without a stack: the test has the other namespace, and a link in fine weather.
///
/// # Panics
/// When a namespace or the link can't be made, or the test fails.
pub fn joined(test: impl AsyncFnOnce(Namespace)) {
    linked(async |_link, far| test(far).await);
}

fn linked(test: impl AsyncFnOnce(Link, Namespace)) {
    if !nix::unistd::Uid::effective().is_root() || !Path::new("/dev/net/tun").exists() {
        let ci = std::env::var_os("CI").is_some();
        assert!(!ci, "CI must run this test, which needs root and /dev/net/tun");
        eprintln!("skipped: network namespaces need root, and a link needs /dev/net/tun");
        return;
    }
    let (near, far) = (Namespace::new(), Namespace::new());
    let link = Link::join((&near, GATEWAY), (&far, CLIENT));
    near.enter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(test(link, far));
}

impl Network {
    /// A client near the gateway, for what is not to be tested, and a session with a single visible pane.
    ///
    /// # Panics
    /// When there is none before long.
    pub async fn client_and_session(&self) -> (Client, String) {
        let (client, session) = self.stack.client_and_session("work").await;
        let zoomed = self.stack.tmux.run(&["resize-pane", "-Z", "-t", &format!("={session}:")]);
        assert!(zoomed.is_some(), "the pane can't be zoomed");
        (client, session)
    }
}
