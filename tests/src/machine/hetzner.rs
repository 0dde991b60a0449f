//! As much of Hetzner Cloud's API as Packer's builder asks, with one server that is there already: a machine of the
//! test's. What is asked is told. `tests/tests/boot/hetzner.rs` holds its answers against the types of a client that is made from
//! Hetzner's own description.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

const WHEN: &str = "2026-01-01T00:00:00+00:00";
const SERVER: u64 = 42;
const KEY: u64 = 7;

/// The stand-in. It listens for as long as the test's process lives.
pub struct Hetzner {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Hetzner {
    /// Starts it. `admit` is told each public key that a server is to admit.
    ///
    /// # Panics
    /// When it can't listen.
    #[must_use]
    pub fn start(admit: impl Fn(&str) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let heard = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Whoever hangs up in the middle has nothing to be told.
                let _ = answer(&stream, &heard, &admit);
            }
        });
        Self { address, asked }
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked since the last time, `METHOD /path`, with the bodies. Questions for actions are left out.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer(
    stream: &TcpStream,
    heard: &Mutex<Vec<(String, Value)>>,
    admit: &impl Fn(&str),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let question = format!("{method} {path}");
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header == "\r\n" {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(key) = body["public_key"].as_str() {
        admit(key);
    }
    let (status, said) = judge(&question, &body);
    if !question.starts_with("GET /actions/") {
        heard.lock().unwrap_or_else(PoisonError::into_inner).push((question, body));
    }
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    match said {
        // An answer without a body must not say what its body is.
        None => write!(stream, "\r\n"),
        Some(said) => {
            let said = said.to_string();
            let length = said.len();
            write!(stream, "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{said}")
        }
    }
}

/// Status and body for a question.
fn judge(question: &str, body: &Value) -> (&'static str, Option<Value>) {
    match question {
        "POST /ssh_keys" => (
            "201 Created",
            Some(json!({ "ssh_key": {
                "id": KEY, "name": body["name"], "public_key": body["public_key"], "fingerprint": "00", "labels": {},
                "created": WHEN,
            } })),
        ),
        "POST /servers" => {
            let next = json!([action(2, "start_server")]);
            let created = json!({
                "server": server(), "action": action(1, "create_server"), "next_actions": next, "root_password": null,
            });
            ("201 Created", Some(created))
        }
        "GET /servers/42" => ("200 OK", Some(json!({ "server": server() }))),
        "POST /servers/42/actions/shutdown" => {
            ("201 Created", Some(json!({ "action": action(3, "shutdown_server") })))
        }
        "POST /servers/42/actions/create_image" => (
            "201 Created",
            Some(json!({ "action": action(4, "create_image"), "image": {
                "id": 99, "type": "snapshot", "status": "creating", "name": null, "description": body["description"],
                "image_size": null, "disk_size": 40, "created": WHEN, "created_from": { "id": SERVER, "name": "image" },
                "bound_to": null, "os_flavor": "debian", "os_version": "13", "rapid_deploy": false,
                "architecture": "x86", "protection": { "delete": false }, "deprecated": null, "deleted": null,
                "labels": body["labels"],
            } })),
        ),
        "DELETE /servers/42" => ("200 OK", Some(json!({ "action": action(5, "delete_server") }))),
        "DELETE /ssh_keys/7" => ("204 No Content", None),
        _ => match question.strip_prefix("GET /actions/").and_then(|id| id.parse().ok()) {
            Some(id) => ("200 OK", Some(json!({ "action": action(id, "done") }))),
            None => {
                let error = json!({ "code": "not_found", "message": question, "details": null });
                ("404 Not Found", Some(json!({ "error": error })))
            }
        },
    }
}

fn action(id: u64, command: &str) -> Value {
    json!({
        "id": id, "command": command, "status": "success", "progress": 100, "started": WHEN, "finished": WHEN,
        "resources": [{ "id": SERVER, "type": "server" }], "error": null,
    })
}

fn server() -> Value {
    json!({
        "id": SERVER, "name": "image", "status": "running", "created": WHEN, "labels": {}, "volumes": [],
        "public_net": {
            "ipv4": { "id": 1, "ip": "127.0.0.1", "blocked": false, "dns_ptr": "image" },
            "ipv6": { "id": 2, "ip": "::1/64", "blocked": false, "dns_ptr": [] },
            "floating_ips": [], "firewalls": [],
        },
        "private_net": [], "server_type": server_type(), "location": location(), "datacenter": null, "image": null,
        "iso": null, "rescue_enabled": false, "locked": false, "backup_window": null, "outgoing_traffic": 0,
        "ingoing_traffic": 0, "included_traffic": 0, "primary_disk_size": 40, "placement_group": null,
        "load_balancers": [], "protection": { "delete": false, "rebuild": false },
    })
}

fn server_type() -> Value {
    json!({
        "id": 1, "name": "cx23", "description": "CX23", "architecture": "x86", "cores": 2, "cpu_type": "shared",
        "memory": 4, "disk": 40, "storage_type": "local", "deprecated": false, "deprecation": null, "prices": [],
        "locations": [{ "id": 1, "name": "fsn1", "deprecation": null }],
    })
}

fn location() -> Value {
    json!({
        "id": 1, "name": "fsn1", "description": "Falkenstein", "city": "Falkenstein", "country": "DE",
        "latitude": 50.5, "longitude": 12.4, "network_zone": "eu-central",
    })
}
