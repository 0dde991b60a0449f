//! A loop device of the test's own, and an agent whose volume is on it. Everything is gone after the test: mounts,
//! devices, files.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;

use super::agent::{Agent, NO_GATEWAY};
use super::ca::Ca;
use super::gateway::Gateway;

const MIB: u64 = 1 << 20;

/// Puts this test's thread into a mount namespace of its own, so that no test sees or holds the mounts of another, and
/// none is left behind. Says whether there is root, without which nothing is mounted; CI has it.
pub fn root() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        assert!(std::env::var_os("CI").is_none(), "CI must run this test, which needs root");
        eprintln!("skipped: loop devices and mounts need root");
        return false;
    }
    // What this thread starts is in there, too; the process as a whole is not.
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    true
}

/// What is mounted for this test.
pub fn mountinfo() -> String {
    std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap()
}

/// Runs a program that must succeed.
pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}{stderr}");
    said
}

/// A loop device over a file.
pub struct Disk {
    file: PathBuf,
    pub device: String,
}

impl Disk {
    /// A blank one, of so many MiB.
    pub fn blank(file: &Path, mib: u64) -> Self {
        File::create(file).unwrap().set_len(mib * MIB).unwrap();
        Self::attach(file, &[])
    }

    /// One with an ext4.
    pub fn formatted(file: &Path, mib: u64, options: &[&str]) -> Self {
        let disk = Self::blank(file, mib);
        run("mkfs.ext4", &[&["-q"], options, &[&disk.device]].concat());
        disk
    }

    /// One over a file that is there.
    pub fn attach(file: &Path, options: &[&str]) -> Self {
        let file = file.to_owned();
        let args = [&["-f", "--show"], options, &[file.to_str().unwrap()]].concat();
        Self { device: run("losetup", &args).trim().to_owned(), file }
    }

    /// Takes the device away.
    pub fn detach(&self) {
        run("losetup", &["-d", &self.device]);
    }

    /// Gives it back.
    pub fn attach_again(&self) {
        run("losetup", &[&self.device, self.file.to_str().unwrap()]);
    }

    /// What is on the file, with what the kernel has not written yet.
    pub fn bytes(&self) -> Vec<u8> {
        run("sync", &[&self.device]);
        std::fs::read(&self.file).unwrap()
    }

    pub fn write_at(&self, offset: u64, bytes: &[u8]) {
        OpenOptions::new().write(true).open(&self.device).unwrap().write_all_at(bytes, offset).unwrap();
        run("sync", &[&self.device]);
    }

    /// Gives the backing file another size.
    pub fn resize_file(&self, mib: u64) {
        OpenOptions::new().write(true).open(&self.file).unwrap().set_len(mib * MIB).unwrap();
    }

    /// Where it is mounted.
    pub fn places(&self) -> Vec<PathBuf> {
        let number = run("lsblk", &["-dno", "MAJ:MIN", &self.device]);
        let mounts = mountinfo();
        let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        fields.filter(|fields| fields[2] == number.trim()).map(|fields| fields[4].into()).collect()
    }

    /// Mounts it somewhere for as long as `work` lasts.
    pub fn mounted<T>(&self, point: &Path, work: impl FnOnce(&Path) -> T) -> T {
        std::fs::create_dir_all(point).unwrap();
        run("mount", &[&self.device, point.to_str().unwrap()]);
        let outcome = work(point);
        run("umount", &[point.to_str().unwrap()]);
        outcome
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for place in self.places().iter().rev() {
            Command::new("umount").arg("-l").arg(place).status().unwrap();
        }
        Command::new("losetup").args(["-d", &self.device]).status().unwrap();
    }
}

/// An agent that is to have its volume on a device.
pub struct Box {
    pub agent: Agent,
}

impl Box {
    /// One whose settings name `source`, with more lines for the section of the volume.
    pub fn new(source: &str, more: &str) -> Self {
        Self::of(Agent::enrolled(Ca::new(), NO_GATEWAY), source, more)
    }

    /// The same for this agent.
    pub fn of(agent: Agent, source: &str, more: &str) -> Self {
        let this = Self { agent };
        this.agent.amend("[volume]\n", &format!("[volume]\nsource = \"{source}\"\n{more}\n"));
        this
    }

    /// One that has its volume on a new disk of so many MiB, and is ready.
    pub async fn started(mib: u64, more: &str) -> (Self, Disk) {
        let mut this = Self::new("/nowhere", &format!("new = true\n{more}"));
        let disk = Disk::blank(&this.file("disk"), mib);
        this.source("/nowhere", &disk.device);
        this.agent.start().await;
        (this, disk)
    }

    /// Ends the agent and leaves everything else as it is.
    pub fn stop(&mut self) {
        self.agent.end(Signal::SIGTERM);
    }

    /// The same, and unmounts the volume.
    pub fn stop_and_unmount(&mut self) {
        self.stop();
        run("umount", &[self.point().to_str().unwrap()]);
    }

    /// A file or directory of the test's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.agent.root().join(name)
    }

    pub fn point(&self) -> PathBuf {
        self.file("volume")
    }

    /// Names another source.
    pub fn source(&self, from: &str, to: &str) {
        self.agent.amend(&format!("source = \"{from}\""), &format!("source = \"{to}\""));
    }

    /// Runs the agent, which must end with this code and say all these words.
    pub fn fails(&self, words: &[&str]) -> String {
        let output = self.agent.verb(&["run"]);
        expect(&output, 73, words)
    }

    /// The line that `systemctl status` would show.
    pub fn status(&self) -> String {
        String::from_utf8(self.agent.verb(&["status"]).stdout).unwrap()
    }
}

/// Whether a program ended with this code and these words.
pub fn expect(output: &Output, code: i32, words: &[&str]) -> String {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said:?}");
    }
    said
}

impl Drop for Box {
    fn drop(&mut self) {
        self.agent.end(Signal::SIGTERM);
        self.agent.tmux(&["kill-server"]);
        // Deepest first; what is not mounted is no loss.
        let mounts = mountinfo();
        let root = self.agent.root().to_str().unwrap().to_owned();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        for point in points.filter(|point| point.starts_with(&root)).collect::<Vec<_>>().iter().rev() {
            Command::new("umount").args(["-l", point]).status().unwrap();
        }
        // An immutable directory can't be removed.
        Command::new("chattr").args(["-f", "-i"]).arg(self.point()).status().unwrap();
    }
}

/// A gateway, and a box of its that is not started yet, with a new disk that is looked at every second.
pub async fn linked() -> (Gateway, Box, Disk) {
    let ca = Ca::new();
    let gateway = Gateway::of(&ca).await;
    let this = Box::of(Agent::enrolled(ca, &gateway.address()), "/nowhere", "new = true\ncheck_secs = 1");
    let disk = Disk::blank(&this.file("disk"), 64);
    this.source("/nowhere", &disk.device);
    (gateway, this, disk)
}
