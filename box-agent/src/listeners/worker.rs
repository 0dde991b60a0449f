//! Looks again and again what listens. A look is one short question to the kernel; who listens is looked for only when
//! a socket came or went.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use berth_protocol::ports::{MAX_NAME_CHARS, MAX_PORTS, ObservedPort, ObservedPorts};
use nix::unistd::Uid;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::diag;
use super::naming::kind;
use super::table::{Listener, listeners};

/// Time between looks: a new port is shown within two seconds.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The kernel's tables.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// Looks for what listens.
pub struct Lookout {
    /// Whose programs count.
    pub uid: Uid,
    /// Ports of the agent itself.
    pub own_ports: Vec<u16>,
    /// What listens, for everybody who wants to know; nothing until the first look.
    pub found: watch::Sender<Option<ObservedPorts>>,
}

impl Lookout {
    /// Looks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut known: Option<Vec<Listener>> = None;
        loop {
            let (uid, own) = (self.uid, self.own_ports.clone());
            // Looking for processes takes a moment.
            let looked = tokio::task::spawn_blocking(move || {
                let now = look(uid, &own);
                if known.as_ref() == Some(&now) { (now, None) } else { (now.clone(), Some(named(&now, uid))) }
            });
            let Ok((now, changed)) = looked.await else { return };
            known = Some(now);
            if let Some(changed) = changed {
                self.found.send_if_modified(|said| {
                    let differs = said.as_ref() != Some(&changed);
                    *said = Some(changed);
                    differs
                });
            }
            tokio::select! {
                // Cancel-safe, both: a timer and a token.
                () = tokio::time::sleep(LOOK_PAUSE) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// What listens now, by port; of one that listens twice, for IPv4 and IPv6, only one.
fn look(uid: Uid, own_ports: &[u16]) -> Vec<Listener> {
    let mut found = diag::listeners(uid.as_raw()).unwrap_or_else(|error| {
        tracing::trace!(%error, "the kernel can't be asked what listens: reading its tables");
        let tables = TABLES.iter().filter_map(|table| std::fs::read_to_string(table).ok());
        tables.flat_map(|table| listeners(&table, uid.as_raw())).collect()
    });
    found.retain(|listener| !own_ports.contains(&listener.port));
    found.sort_unstable();
    found.dedup_by_key(|listener| listener.port);
    found.truncate(MAX_PORTS);
    found
}

fn named(found: &[Listener], uid: Uid) -> ObservedPorts {
    let owners = owners(found, uid);
    let port = |listener: &Listener| {
        let (process, kind) = owners.get(&listener.inode).cloned().unwrap_or_default();
        ObservedPort { port: listener.port, process, kind }
    };
    ObservedPorts { ports: found.iter().map(port).collect() }
}

/// Name and kind of the processes that hold these sockets, as far as they can be looked at.
fn owners(found: &[Listener], uid: Uid) -> BTreeMap<u64, (Option<String>, Option<String>)> {
    use std::os::unix::fs::MetadataExt;
    let mut owners = BTreeMap::new();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let path = process.path();
        let own = process.metadata().is_ok_and(|about| about.uid() == uid.as_raw());
        if !own || owners.len() == found.len() {
            continue;
        }
        for socket in std::fs::read_dir(path.join("fd")).into_iter().flatten().flatten() {
            let Some(inode) = std::fs::read_link(socket.path()).ok().as_deref().and_then(inode) else {
                continue;
            };
            if found.iter().any(|listener| listener.inode == inode) {
                owners.entry(inode).or_insert_with(|| about(&path));
            }
        }
    }
    owners
}

/// The number in `socket:[4711]`.
fn inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn about(process: &Path) -> (Option<String>, Option<String>) {
    let name = std::fs::read_to_string(process.join("comm")).ok();
    let name = name.map(|name| name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect());
    let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let words: Vec<String> =
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    (name, kind(&words).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_is_reported_with_its_process_and_forgotten_when_it_closes() {
        let stop = CancellationToken::new();
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = watch::Sender::new(None);
        let mut seen = found.subscribe();
        let own_ports = vec![own.local_addr().unwrap().port()];
        let lookout = Lookout { uid: Uid::effective(), own_ports: own_ports.clone(), found };
        let task = tokio::spawn(lookout.run(stop.clone()));
        let has = |said: &Option<ObservedPorts>, port| {
            said.as_ref().is_some_and(|said| said.ports.iter().any(|known| known.port == port))
        };
        let said = seen.wait_for(|said| has(said, port)).await.unwrap().clone().unwrap();
        let listed = said.ports.iter().find(|known| known.port == port).unwrap();
        assert!(listed.process.is_some(), "{listed:?}");
        assert!(!has(&Some(said), own_ports[0]), "the agent's own port is shown");
        drop(socket);
        seen.wait_for(|said| !has(said, port)).await.unwrap();
        stop.cancel();
        task.await.unwrap();
    }
}
