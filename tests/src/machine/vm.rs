//! A box with a kernel of its own, in QEMU: for what a container can't show, such as limits of memory.
//!
//! ```text
//!  network namespace of the test
//!  test ─▶ gateway ◀─ link ─ box-agent ─ systemd ─ Linux ─ qemu ◀─ vm.sh ◀─ unshare
//! ```
//!
//! All that is asked of it goes through Berth itself. Its system is made by `scripts/test --long`.

use std::path::Path;
use std::time::Duration;

use berth_protocol::enroll::EnrollmentToken;
use tempfile::TempDir;

use super::text;
use crate::process::Process;
use crate::{Client, Exec, Stack, programs, wait};

/// How long it may take for anything: without hardware that helps, it is some thirty times slower than a machine.
pub const PATIENCE: Duration = Duration::from_mins(6);

/// Where a virtual machine finds its host.
const HOST: &str = "10.0.2.2";

/// Enrols the box once, before the agent looks whether it is.
const ENROLMENT: &str = "[Unit]\nWants=network-online.target\nAfter=network-online.target\n\
    Before=box-agent.service\n[Service]\nType=oneshot\n\
    ExecStart=/usr/bin/box-agent enroll --token-file /root/token\nStandardError=journal+console\n\
    [Install]\nWantedBy=box.target\n";

const NETWORK: &str = "[Match]\nType=ether\n[Network]\nDHCP=ipv4\n";

/// A virtual machine that runs.
pub struct Vm {
    qemu: Process,
    _directory: TempDir,
}

impl Vm {
    /// Boots one with so many MiB of memory as the box of the stack's workspace `main`, and waits until it is online.
    /// `None` where there is no QEMU.
    ///
    /// # Panics
    /// When there is no system to boot, or it does not come up.
    pub async fn boot(stack: &Stack, memory: u32) -> Option<(Self, Client)> {
        if !cfg!(target_arch = "x86_64") || programs::on_path("qemu-system-x86_64").is_none() {
            eprintln!("skipped: it takes an x86_64 and qemu-system-x86_64");
            return None;
        }
        let repository = programs::repository();
        let tree = repository.join(".tools/vm-tree");
        assert!(tree.is_dir(), "{} is not there: run scripts/test --long, which makes it", tree.display());
        let directory = tempfile::Builder::new().prefix("vm-").tempdir_in("/tmp").expect("a directory");
        let put = |place: &str, text: &str| {
            let place = directory.path().join("extra").join(place);
            std::fs::create_dir_all(place.parent().expect("a file is in a directory")).expect("a directory");
            std::fs::write(place, text).expect("a file");
        };
        put("root/token", &token(stack));
        put("etc/systemd/system/enrolment.service", ENROLMENT);
        put("etc/systemd/network/any.network", NETWORK);
        let script = repository.join("tests/src/machine/vm.sh");
        let paths =
            [&script, &tree, directory.path(), &repository.join("systemd"), &programs::built("box-agent")];
        let paths = paths.map(|path: &Path| text(path));
        let memory = memory.to_string();
        let mut arguments = vec!["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"];
        arguments.extend(paths.iter().map(String::as_str).chain([memory.as_str()]));
        let unshare = programs::on_path("unshare").expect("unshare (of util-linux)");
        let mut qemu = Process::new("vm", unshare, &arguments, directory.path());
        qemu.start();
        let mut vm = Self { qemu, _directory: directory };
        let client = stack.client().await;
        wait::within(PATIENCE, "the box in the virtual machine", async || {
            assert!(vm.qemu.is_running(), "the virtual machine ended: {}", vm.qemu.log());
            let workspaces = client.get("/workspaces").await;
            (workspaces["workspaces"][0]["box"]["state"] == "online").then_some(())
        })
        .await;
        Some((vm, client))
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

/// An enrolment token that is of use in the virtual machine.
fn token(stack: &Stack) -> String {
    let mut token: EnrollmentToken = stack.token("main").parse().expect("a token");
    let (_, port) = token.link_address.rsplit_once(':').expect("a host and a port");
    token.link_address = format!("{HOST}:{port}");
    token.encode()
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
