//! The volume on real block devices: what is refused and left as it was, what is mended, and what is taken.

use std::os::unix::fs::symlink;

use crate::support::disk::{Box, Disk, mountinfo, root, run};
use crate::support::wait::until;

#[tokio::test]
async fn a_new_blank_device_is_formatted_mounted_and_found_again_after_a_restart() {
    if !root() {
        return;
    }
    let mut this = Box::new("/nowhere", "new = true");
    let disk = Disk::blank(&this.file("disk"), 64);
    this.source("/nowhere", &disk.device);
    this.agent.start().await;
    assert_eq!(disk.places(), [this.point()]);
    let mounts = mountinfo();
    let line = mounts.lines().find(|line| line.contains(this.point().to_str().unwrap())).unwrap();
    assert!(line.contains("nosuid,nodev") && line.contains("errors=remount-ro"), "{line}");
    let marker = std::fs::read_to_string(this.point().join("system/state/volume.json")).unwrap();
    assert!(marker.contains(&format!("\"loop:{}\"", this.file("disk").display())), "{marker}");
    std::fs::write(this.point().join("user/home/work"), "years").unwrap();

    this.agent.end(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(disk.places(), [this.point()], "what runs on it goes on");
    this.agent.start().await;
    assert_eq!(disk.places(), [this.point()], "it is not mounted twice");
    this.agent.end(nix::sys::signal::Signal::SIGTERM);
    run("umount", &[this.point().to_str().unwrap()]);
    this.agent.start().await;
    assert_eq!(std::fs::read_to_string(this.point().join("user/home/work")).unwrap(), "years");
    assert_eq!(std::fs::read_to_string(this.point().join("system/state/volume.json")).unwrap(), marker);
}

#[tokio::test]
async fn below_the_volume_nothing_can_be_written_while_it_is_away() {
    if !root() {
        return;
    }
    let mut this = Box::new("/nowhere", "new = true");
    let disk = Disk::blank(&this.file("disk"), 64);
    this.source("/nowhere", &disk.device);
    this.agent.start().await;
    this.agent.end(nix::sys::signal::Signal::SIGTERM);
    run("umount", &[this.point().to_str().unwrap()]);
    let error = std::fs::write(this.point().join("x"), "lost").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    assert_eq!(disk.places(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_device_that_does_not_come_is_named_when_its_time_is_up() {
    if !root() {
        return;
    }
    let this = Box::new("hcloud:999999999999", "deadline_secs = 1");
    this.fails(&["hcloud:999999999999 did not appear within 1 s", "attach it"]);
    // What is written meanwhile must not be lost below the volume later.
    let error = std::fs::write(this.point().join("astray"), "x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_device_that_comes_late_is_waited_for_and_told() {
    if !root() {
        return;
    }
    let mut this = Box::new("/nowhere", "new = true");
    let link = this.file("late");
    this.source("/nowhere", link.to_str().unwrap());
    let disk = Disk::blank(&this.file("disk"), 64);
    this.agent.launch();
    until("the wait to be told", async || this.status().contains("waiting for").then_some(())).await;
    symlink(&disk.device, &link).unwrap();
    until("the agent to be ready", async || this.agent.verb(&["status"]).status.success().then_some(()))
        .await;
    assert_eq!(disk.places(), [this.point()]);
}

#[tokio::test]
async fn a_label_and_a_hetzner_id_lead_to_the_device() {
    if !root() {
        return;
    }
    let id: u32 = fastrand_id();
    let mut this = Box::new("/nowhere", "new = true");
    let label = format!("b-{id}");
    let disk = Disk::formatted(&this.file("disk"), 64, &["-L", &label]);
    this.source("/nowhere", &format!("LABEL={label}"));
    this.agent.start().await;
    assert_eq!(disk.places(), [this.point()]);
    this.agent.end(nix::sys::signal::Signal::SIGTERM);
    run("umount", &[this.point().to_str().unwrap()]);

    let copy = this.file("copy");
    std::fs::copy(this.file("disk"), &copy).unwrap();
    let second = Disk::attach(&copy, &[]);
    let said = this.fails(&[&label, "several devices"]);
    assert!(said.contains(&disk.device) && said.contains(&second.device), "{said}");
}

/// A number that no other test has.
fn fastrand_id() -> u32 {
    std::process::id()
}

#[test]
fn a_blank_device_that_nobody_called_new_stays_as_it_is() {
    if !root() {
        return;
    }
    let this = Box::new("/nowhere", "");
    let disk = Disk::blank(&this.file("disk"), 16);
    this.source("/nowhere", &disk.device);
    this.fails(&[&disk.device, "is blank", "volume.new = true"]);
    assert!(disk.bytes().iter().all(|byte| *byte == 0));
}

#[test]
fn a_device_with_something_on_it_is_not_formatted_although_it_is_called_new() {
    if !root() {
        return;
    }
    let this = Box::new("/nowhere", "new = true");
    // Nothing that blkid knows: one byte in the middle, then other file systems and a partition table.
    let unknown = Disk::blank(&this.file("unknown"), 64);
    unknown.write_at(32768 * 1024, b"\x01");
    let swap = Disk::blank(&this.file("swap"), 16);
    run("mkswap", &[&swap.device]);
    let files = Disk::formatted(&this.file("files"), 64, &[]);
    files.mounted(&this.file("m"), |m| std::fs::write(m.join("thesis.txt"), "years").unwrap());
    let mut before = "/nowhere".to_owned();
    for (disk, words) in [(&unknown, "unknown kind"), (&swap, "holds swap"), (&files, "\"thesis.txt\"")] {
        let content = disk.bytes();
        this.source(&before, &disk.device);
        before.clone_from(&disk.device);
        this.fails(&[&disk.device, words]);
        assert!(disk.bytes() == content, "{words}: it was touched");
        assert!(disk.places().is_empty());
    }
}

#[test]
fn an_empty_file_system_that_nobody_called_new_is_not_marked() {
    if !root() {
        return;
    }
    let this = Box::new("/nowhere", "");
    let disk = Disk::formatted(&this.file("disk"), 64, &[]);
    this.source("/nowhere", &disk.device);
    let content = disk.bytes();
    this.fails(&["is empty and is no Berth volume"]);
    assert!(disk.bytes() == content);
}
