//! A socket that plays systemd's part: it hears what the agent says of itself.

use std::io::ErrorKind;
use std::mem::take;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::agent::Agent;

/// The watchdog's limit; it is fed three times as often.
const LIMIT_USEC: &str = "900000";

/// How often the end is looked for.
const PATIENCE: Duration = Duration::from_millis(100);

pub struct Systemd {
    socket: String,
    heard: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Systemd {
    /// Listens for this agent. It is heard all the time, as systemd does: a full socket would stop the agent.
    pub fn of(agent: &Agent) -> Self {
        let path = agent.root().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (heard, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (hears, stopped) = (heard.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !stopped.load(Ordering::Relaxed) {
                match socket.recv(&mut buffer) {
                    Ok(length) => {
                        let text = String::from_utf8_lossy(&buffer[..length]);
                        hears.lock().unwrap().extend(text.lines().map(str::to_owned));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Self { socket: path.to_str().unwrap().to_owned(), heard, stop }
    }

    /// What an agent that it starts has in its environment.
    pub fn variables(&self) -> [(&str, &str); 2] {
        [("NOTIFY_SOCKET", &self.socket), ("WATCHDOG_USEC", LIMIT_USEC)]
    }

    /// What it was told since it was asked last, one line each.
    pub fn told(&self) -> Vec<String> {
        take(&mut self.heard.lock().unwrap())
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
