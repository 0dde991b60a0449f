//! Network namespaces. A thread is in one, not a process; so what is to happen in another happens on a thread.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace; it is gone when nobody is in it and nothing holds it open.
#[derive(Clone)]
pub struct Namespace(Arc<File>);

impl Namespace {
    /// A new one with its loopback device switched on.
    ///
    /// # Panics
    /// When the kernel refuses, or `ip` is missing.
    pub(crate) fn new() -> Self {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a namespace");
            let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip (of iproute2)");
            assert!(up.success(), "loopback can't be switched on");
            File::open("/proc/thread-self/ns/net").expect("the namespace has a name")
        };
        Self(Arc::new(on_a_thread(make)))
    }

    /// Puts this thread into it.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub(crate) fn enter(&self) {
        setns(&*self.0, CloneFlags::CLONE_NEWNET).expect("a namespace can be entered");
    }

    /// Runs something in it.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            self.enter();
            work()
        })
    }

    /// Sends a datagram from it.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn send(&self, address: SocketAddr) {
        self.run(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
            socket.send_to(b"knock", address).expect("a datagram is sent");
        });
    }

    /// Connects from it.
    ///
    /// # Errors
    /// When nobody answers in time.
    pub async fn connect(
        &self,
        address: SocketAddr,
        limit: Duration,
    ) -> std::io::Result<tokio::net::TcpStream> {
        let namespace = self.clone();
        let connect = move || namespace.run(|| TcpStream::connect_timeout(&address, limit));
        let stream = tokio::task::spawn_blocking(connect).await.expect("connecting does not panic")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        tokio::net::TcpStream::from_std(stream)
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("the thread does not panic"))
}
