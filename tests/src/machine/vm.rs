//! A box with a kernel of its own, in QEMU: for what a container can't show, such as limits of memory, and a machine at
//! Hetzner.
//!
//! ```text
//!  network namespace of the test
//!  test ─▶ gateway ◀─ link ─ box-agent ─ systemd ─ Linux ─ qemu ◀─ vm.sh ◀─ unshare
//!     └─ metadata ◀─ cloud-init ┘
//! ```
//!
//! All that is asked of it goes through Berth itself. Its system is made by `scripts/test --long`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use berth_protocol::enroll::EnrollmentToken;
use tempfile::TempDir;

use super::text;
use crate::process::{Process, stdout};
use crate::{Client, Exec, Stack, programs, wait};

/// How long it may take for anything: without hardware that helps, it is some thirty times slower than a machine.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// Where a virtual machine finds its host.
const HOST: &str = "10.0.2.2";

/// The network where cloud-init has no say.
const NETWORK: &str = "[Match]\nType=ether\n[Network]\nDHCP=ipv4\n";

/// A virtual machine that runs.
pub struct Vm {
    qemu: Process,
    directory: TempDir,
}

impl Vm {
    /// Boots one with so many MiB of memory as the box of the stack's workspace `main`, by user-data, and waits until it
    /// is online. `None` where there is no QEMU.
    ///
    /// # Panics
    /// When there is no system to boot, or it does not come up.
    pub async fn boot(stack: &Stack, memory: u32) -> Option<(Self, Client)> {
        let user_data = user_data(stack, &[]);
        let extra = [
            ("var/lib/cloud/seed/nocloud/user-data", user_data.as_str()),
            ("var/lib/cloud/seed/nocloud/meta-data", "instance-id: vm\nlocal-hostname: box\n"),
            ("etc/cloud/cloud.cfg.d/99-network.cfg", "network: {config: disabled}\n"),
            ("etc/systemd/network/any.network", NETWORK),
        ];
        let mut vm = Self::start(memory, &extra, &[])?;
        let client = vm.online(stack).await;
        Some((vm, client))
    }

    /// Starts one as it comes out of the image, with files put over it and more options of QEMU's. `None` where there is
    /// no QEMU.
    ///
    /// # Panics
    /// When there is no system to boot.
    #[must_use]
    pub fn start(memory: u32, extra: &[(&str, &str)], options: &[&str]) -> Option<Self> {
        if !cfg!(target_arch = "x86_64") || programs::on_path("qemu-system-x86_64").is_none() {
            eprintln!("skipped: it takes an x86_64 and qemu-system-x86_64");
            return None;
        }
        let repository = programs::repository();
        let tree = repository.join(".tools/vm-tree");
        assert!(tree.is_dir(), "{} is not there: run scripts/test --long, which makes it", tree.display());
        let directory = tempfile::Builder::new().prefix("vm-").tempdir_in("/tmp").expect("a directory");
        std::fs::create_dir(directory.path().join("extra")).expect("a directory");
        for (place, text) in extra {
            let place = directory.path().join("extra").join(place);
            std::fs::create_dir_all(place.parent().expect("a file is in a directory")).expect("a directory");
            std::fs::write(place, text).expect("a file");
        }
        let script = repository.join("tests/src/machine/vm.sh");
        let paths =
            [&script, &tree, directory.path(), &repository.join("systemd"), &programs::built("box-agent")];
        let paths = paths.map(|path: &Path| text(path));
        let memory = memory.to_string();
        let mut arguments = vec!["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"];
        arguments
            .extend(paths.iter().map(String::as_str).chain([memory.as_str()]).chain(options.iter().copied()));
        let unshare = programs::on_path("unshare").expect("unshare (of util-linux)");
        let mut qemu = Process::new("vm", unshare, &arguments, directory.path());
        qemu.start();
        Some(Self { qemu, directory })
    }

    /// Waits until the stack's workspace has it as its box.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn online(&mut self, stack: &Stack) -> Client {
        let client = stack.client().await;
        wait::within(PATIENCE, "the box in the virtual machine", async || {
            assert!(self.qemu.is_running(), "the virtual machine ended: {}", self.qemu.log());
            let workspaces = client.get("/workspaces").await;
            (workspaces["workspaces"][0]["box"]["state"] == "online").then_some(())
        })
        .await;
        client
    }

    /// Plugs a device in while it runs.
    ///
    /// # Panics
    /// When QEMU refuses.
    pub fn plug(&self, device: &serde_json::Value) {
        let stream = UnixStream::connect(self.directory.path().join("qmp")).expect("QEMU's socket");
        let mut answers = BufReader::new(stream.try_clone().expect("the socket"));
        let mut ask = |command: &str, arguments: &serde_json::Value| {
            let question = serde_json::json!({ "execute": command, "arguments": arguments });
            (&stream).write_all(format!("{question}\n").as_bytes()).expect("QEMU listens");
            loop {
                let mut line = String::new();
                assert!(answers.read_line(&mut line).expect("QEMU answers") > 0, "QEMU hung up");
                let answer: serde_json::Value = serde_json::from_str(&line).expect("JSON");
                assert!(answer.get("error").is_none(), "{command}: {answer}");
                // Before it come its greeting, and events.
                if answer.get("return").is_some() {
                    return;
                }
            }
        };
        ask("qmp_capabilities", &serde_json::json!({}));
        ask("device_add", device);
    }

    /// What its kernel and its services wrote to the console.
    #[must_use]
    pub fn console(&self) -> String {
        self.qemu.log()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        if self.qemu.is_running() {
            self.qemu.kill();
        }
    }
}

/// User-data for the workspace `main` that is of use in the virtual machine.
///
/// # Panics
/// When the gateway prints none.
#[must_use]
pub fn user_data(stack: &Stack, more: &[&str]) -> String {
    let printed = stdout(&stack.gateway_verb(&[&["workspace", "user-data", "main"], more].concat()));
    let (_, rest) = printed.split_once("\"token\": \"").expect("a token");
    let encoded = rest.split_once('"').expect("its end").0;
    let mut token: EnrollmentToken = encoded.parse().expect("a token");
    let (_, port) = token.link_address.rsplit_once(':').expect("a host and a port");
    token.link_address = format!("{HOST}:{port}");
    printed.replace(encoded, &token.encode())
}

/// What a script says that the box runs as the user of the terminals.
///
/// # Panics
/// When it fails.
pub async fn says(client: &Client, script: &str) -> String {
    let said = Exec::sh(client, script).await;
    assert_eq!(said.exit["code"], 0, "{script}: {said:?}");
    said.text().trim().to_owned()
}
