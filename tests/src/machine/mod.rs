//! A box as it will be: a Debian system with Berth's units, booted in a container by a real systemd, and a gateway
//! outside of it.
//!
//! ```text
//!  network namespace of the test
//!  test ─▶ gateway ◀─ link ─ box-agent ┐
//!     └── nsenter ─▶ systemctl, tmux … ┴─ systemd ◀─ systemd-nspawn ◀─ boot.sh ◀─ unshare
//! ```
//!
//! The machine need not run a systemd itself. The system is Berth's image as a directory, which `scripts/boot-test` makes
//! (`scripts/image build-tree`); booting one needs root.

mod bundle;
mod disk;
pub mod hetzner;
pub mod vm;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

pub use bundle::bundle;
pub use disk::Disk;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::network::Namespace;
use crate::process::{Process, descendant, run, stdout};
use crate::{Stack, programs, wait};

/// How long a boot may take on a busy machine.
pub const BOOT: Duration = Duration::from_mins(2);

/// How systemd-nspawn ends when the container reboots: whoever started it is to start it again.
const RESTART: i32 = 133;

/// A system that can be booted.
pub struct Machine {
    container: Process,
    directory: TempDir,
}

/// Runs a test with a gateway, on this thread, which is put into a network namespace of its own for good: every machine
/// has the same ports. Without root it is skipped; not by CI.
///
/// # Panics
/// When it can't be set up, or the test fails.
pub fn test(test: impl AsyncFnOnce(Stack)) {
    if !nix::unistd::Uid::effective().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI must run this test, which needs root");
        eprintln!("skipped: booting a system needs root");
        return;
    }
    Namespace::new().enter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { test(Stack::start_gateway().await).await });
}

impl Machine {
    /// A new machine that is enrolled by hand, and whose volume is a directory of its own.
    ///
    /// # Panics
    /// When there is no system to boot.
    #[must_use]
    pub fn plain() -> Self {
        Self::by_hand(&[])
    }

    /// The same with another system than Berth's image, as a directory.
    #[must_use]
    pub fn plain_of(tree: &Path) -> Self {
        Self::by_hand_of(tree, &[])
    }

    /// A new machine as a provider starts it, with user-data that cloud-init finds. A disk is there once
    /// [`Machine::attach`] says so.
    ///
    /// # Panics
    /// When there is no system to boot.
    #[must_use]
    pub fn fresh(user_data: &str, disk: Option<&Disk>) -> Self {
        let bind = disk.map(|disk| format!("--bind={}", disk.device()));
        let options: Vec<_> = bind.iter().map(String::as_str).collect();
        let machine = Self::with_options(&image(), &options);
        machine.put("var/lib/cloud/seed/nocloud/user-data", user_data);
        let name = machine.directory.path().file_name().unwrap_or_default().to_string_lossy();
        machine.put(
            "var/lib/cloud/seed/nocloud/meta-data",
            &format!("instance-id: {name}\nlocal-hostname: box\n"),
        );
        machine
    }

    /// A new machine that has a disk, and is to have it as the volume with this id of Hetzner's. It is there once
    /// [`Machine::attach`] says so.
    ///
    /// # Panics
    /// When there is no system to boot.
    #[must_use]
    pub fn with_volume(disk: &Disk, id: u32) -> Self {
        let machine = Self::by_hand(&[&format!("--bind={}", disk.device())]);
        machine.configure(&format!("[volume]\nsource = \"hcloud:{id}\"\nnew = true\n"));
        machine
    }

    /// Without cloud-init, and without the unit that waits for what it brings.
    fn by_hand(options: &[&str]) -> Self {
        Self::by_hand_of(&image(), options)
    }

    fn by_hand_of(tree: &Path, options: &[&str]) -> Self {
        let machine = Self::with_options(tree, options);
        machine.put("etc/cloud/cloud-init.disabled", "");
        machine.drop_in("box-provision.service", "[Unit]\nConditionPathExists=/nowhere\n");
        machine
    }

    fn with_options(tree: &Path, options: &[&str]) -> Self {
        let repository = programs::repository();
        let directory = tempfile::Builder::new().prefix("bm-").tempdir_in("/tmp").expect("a directory");
        std::fs::create_dir(directory.path().join("extra")).expect("a directory");
        let script = repository.join("tests/src/machine/boot.sh");
        let systemd = repository.join("systemd");
        let (agent, gateway) = (programs::built("box-agent"), programs::built("gateway"));
        let paths = [&script, tree, directory.path(), &systemd, &agent, &gateway].map(text);
        // With its first process a namespace of processes ends, and with unshare that first process.
        let mut arguments = vec!["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"];
        arguments.extend(paths.iter().map(String::as_str).chain(options.iter().copied()));
        let unshare = programs::on_path("unshare").expect("unshare (of util-linux)");
        let container = Process::new("machine", unshare, &arguments, directory.path());
        let machine = Self { container, directory };
        // The start's steps are in the journal then.
        machine.drop_in(
            "box-agent.service",
            "[Service]\nEnvironment=BOX_AGENT__LOG__LEVEL=info,box_agent=debug\n",
        );
        machine
    }

    /// Adds to the agent's settings as the image has them.
    fn configure(&self, more: &str) {
        let image = programs::repository().join("systemd/box-agent.toml");
        let text = std::fs::read_to_string(image).expect("the image's settings") + more;
        self.put("etc/box-agent/config.toml", &text);
    }

    /// Puts a directory, with all that is in it, into one of the machine's, before it boots.
    ///
    /// # Panics
    /// When it can't be copied.
    pub fn add(&self, place: &str, directory: &Path) {
        let place = self.directory.path().join("extra").join(place);
        std::fs::create_dir_all(&place).expect("a directory");
        let copied = run(Path::new("/bin/cp"), &["-a", &text(directory), &text(place)], "");
        let _ = stdout(&copied);
    }

    /// Puts a file into the machine, before it boots.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn put(&self, place: &str, text: &str) {
        let place = self.directory.path().join("extra").join(place);
        std::fs::create_dir_all(place.parent().expect("a file is in a directory")).expect("a directory");
        std::fs::write(place, text).expect("a file");
    }

    /// Runs a script in the machine's system before it boots for the first time, as a build of an image would.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn prepare(&self, script: &str) {
        std::fs::write(self.directory.path().join("prepare.sh"), script).expect("a file");
    }

    /// Lets a disk appear as udev would let it, now and at each boot from now on: under the name that Hetzner's volume
    /// with this id has.
    pub fn attach(&self, disk: &Disk, id: u32) {
        let (rules, device) = ("/etc/tmpfiles.d/disk.conf", disk.device());
        let rule = format!("L /dev/disk/by-id/scsi-0HC_Volume_{id} - - - - {device}");
        let _ = stdout(&self.run_with(&["tee", rules], &rule));
        let _ = self.says(&["systemd-tmpfiles", "--create", rules]);
    }

    /// Begins to boot it.
    pub fn start(&mut self) {
        self.container.start();
    }

    /// What it has written to its console.
    #[must_use]
    pub fn console(&self) -> String {
        self.container.log()
    }

    /// Boots it and waits until everything that is to start has started.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn boot(&mut self) {
        self.start();
        self.wait_for_boot().await;
    }

    /// Waits until its systemd has nothing more to start.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn wait_for_boot(&mut self) {
        wait::within(BOOT, "the machine to be up", async || {
            assert!(self.container.is_running(), "the machine ended: {}", self.container.log());
            let state = self.try_run(&["systemctl", "is-system-running"])?;
            // A unit that failed is the test's to judge.
            ["running", "degraded"].contains(&String::from_utf8_lossy(&state.stdout).trim()).then_some(())
        })
        .await;
    }

    /// The machine's first process, once there is one.
    fn init(&self) -> Option<Pid> {
        descendant(self.container.pid(), "systemd")
    }

    /// Runs a program in it, as root; `None` while there is no system to run it in.
    fn try_run(&self, command: &[&str]) -> Option<Output> {
        let init = self.init()?.to_string();
        let nsenter = programs::on_path("nsenter").expect("nsenter (of util-linux)");
        Some(run(&nsenter, &[&["--target", &init, "--all", "--"], command].concat(), ""))
    }

    /// Runs a program in it, as root.
    ///
    /// # Panics
    /// When the machine does not run.
    #[must_use]
    pub fn run(&self, command: &[&str]) -> Output {
        self.run_with(command, "")
    }

    /// Runs a program in it, as root, with something to read.
    ///
    /// # Panics
    /// When the machine does not run.
    #[must_use]
    pub fn run_with(&self, command: &[&str], input: &str) -> Output {
        let init = self.init().expect("the machine runs").to_string();
        let nsenter = programs::on_path("nsenter").expect("nsenter (of util-linux)");
        run(&nsenter, &[&["--target", &init, "--all", "--"], command].concat(), input)
    }

    /// What a program in it says, which must succeed.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn says(&self, command: &[&str]) -> String {
        stdout(&self.run(command))
    }

    /// Runs a program in it as one of its users.
    #[must_use]
    pub fn run_as(&self, user: &str, command: &[&str]) -> Output {
        self.run(&[&["runuser", "-u", user, "--"], command].concat())
    }

    /// A file of the machine, as this test can open it.
    ///
    /// # Panics
    /// When the machine does not run.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        let init = self.init().expect("the machine runs");
        Path::new("/proc").join(init.to_string()).join("root").join(inside.trim_start_matches('/'))
    }

    /// One property of a unit, if the machine is up so far.
    #[must_use]
    pub fn try_property(&self, unit: &str, name: &str) -> Option<String> {
        let said = self.try_run(&["systemctl", "show", "--value", "--property", name, unit])?;
        said.status.success().then(|| String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    /// One property of a unit.
    #[must_use]
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.says(&["systemctl", "show", "--value", "--property", name, unit])
    }

    /// Makes it a box of a workspace of the stack's. The agent is not started.
    pub fn enroll(&self, stack: &Stack, workspace: &str) {
        let token = stack.token(workspace);
        let _ = stdout(&self.run_with(&["box-agent", "enroll", "--token-file", "-"], &token));
    }

    /// Starts the agent and waits until it is ready.
    pub fn start_agent(&self) {
        let _ = self.says(&["systemctl", "start", "box-agent.service"]);
    }

    /// Adds to a unit's settings, before the first boot.
    pub fn drop_in(&self, unit: &str, text: &str) {
        self.put(&format!("etc/systemd/system/{unit}.d/{}.conf", text.len()), text);
    }

    /// Reboots it and waits until it is up again.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn reboot(&mut self) {
        // It may be gone before the answer.
        let _ = self.run(&["systemctl", "reboot"]);
        let status = self.container.ended().await;
        assert_eq!(
            status.code(),
            Some(RESTART),
            "the machine did not ask for a reboot: {}",
            self.container.log()
        );
        self.boot().await;
    }

    /// Shuts it down for good.
    ///
    /// # Panics
    /// When it does not go down cleanly.
    pub async fn power_off(mut self) {
        let _ = self.run(&["systemctl", "poweroff"]);
        let status = self.container.ended().await;
        assert!(status.success(), "{status}: {}", self.container.log());
    }

    /// Drives its tmux server, as the user of the terminals.
    #[must_use]
    pub fn tmux(&self, command: &[&str]) -> Output {
        self.run_as("claude", &[&["tmux", "-N", "-S", "/run/box-tmux/tmux.sock"], command].concat())
    }

    /// The process ids of a session's panes, in order; none when there is no such session.
    #[must_use]
    pub fn pane_pids(&self, session: &str) -> Vec<String> {
        let listed = self.tmux(&["list-panes", "-t", &format!("={session}:"), "-F", "#{pane_pid}"]);
        String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect()
    }

    /// Prints how long each step of the agent's last start took.
    pub fn prints_phases(&self) {
        for (name, time) in self.start_phases() {
            println!("    {name:<10} {time:?}");
        }
    }

    /// How long each step of the agent's last start took.
    ///
    /// # Panics
    /// When its journal does not say so.
    #[must_use]
    pub fn start_phases(&self) -> Vec<(String, Duration)> {
        let invocation = self.property("box-agent.service", "InvocationID");
        let field = format!("_SYSTEMD_INVOCATION_ID={invocation}");
        let journal = self.says(&["journalctl", "--output", "json", &field]);
        let entries = journal.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let phase = |entry: serde_json::Value| {
            let millis = entry["MILLIS"].as_str()?.parse().ok()?;
            Some((entry["STEP"].as_str()?.to_owned(), Duration::from_millis(millis)))
        };
        entries.filter_map(phase).collect()
    }

    /// What its journal has of a unit.
    #[must_use]
    pub fn journal(&self, unit: &str) -> String {
        self.says(&["journalctl", "--no-pager", "--output", "cat", "--unit", unit])
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(output) =
                self.try_run(&["journalctl", "--no-pager", "--lines", "200", "--unit", "box-*"])
        {
            eprintln!("--- journal of the machine ---\n{}", String::from_utf8_lossy(&output.stdout));
        }
        if self.container.is_running() {
            self.container.kill();
        }
        let name = self.directory.path().file_name().unwrap_or_default();
        for hierarchy in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"] {
            remove_groups(&Path::new(hierarchy).join(name));
        }
    }
}

/// Berth's image, as a directory.
///
/// # Panics
/// When it has not been made.
#[must_use]
pub fn image() -> PathBuf {
    let tree = programs::repository().join(".tools/box-tree");
    assert!(tree.is_dir(), "{} is not there: run scripts/boot-test, which makes it", tree.display());
    tree
}

/// Debian 12 as a directory, with the packages that a box needs and nothing of Berth's.
///
/// # Panics
/// When it has not been made.
#[must_use]
pub fn debian_12() -> PathBuf {
    let tree = programs::repository().join(".tools/debian-12-tree");
    assert!(tree.is_dir(), "{} is not there: run scripts/image debian-12-tree", tree.display());
    tree
}

/// Removes a control group and those below it: they are directories whose files the kernel keeps.
fn remove_groups(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    // It is busy until the kernel has buried its last process.
    for _ in 0..100 {
        if !group.exists() || std::fs::remove_dir(group).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    eprintln!("{} is left", group.display());
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().expect("a plain path").to_owned()
}
