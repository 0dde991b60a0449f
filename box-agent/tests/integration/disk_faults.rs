//! What goes wrong with disks: damaged, read-only, full, gone, mounted elsewhere.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use berth_protocol::ids::SessionId;
use berth_protocol::link::{FromAgent, FromGateway};
use nix::mount::{MsFlags, mount};

use crate::support::agent::desired_of;
use crate::support::disk::{Box, Disk, expect, linked, root, run};
use crate::support::door::Terminal;
use crate::support::systemd::Systemd;
use crate::support::wait::until;

/// Waits until the agent, which goes on, tells of trouble with these words.
async fn told(this: &Box, words: &str) {
    until(words, async || this.status().contains(words).then_some(())).await;
    expect(&this.agent.verb(&["status"]), 0, &["ready: "]);
}

/// Whether this process may grow a mounted file system: the right to more than its share of resources.
fn may_grow() -> bool {
    const CAP_SYS_RESOURCE: u64 = 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(rights.trim(), 16).unwrap() & 1 << CAP_SYS_RESOURCE != 0
}

/// Whether the superblock says that the journal is to be written back.
fn needs_recovery(disk: &Disk) -> bool {
    disk.bytes()[1024 + 96] & 4 != 0
}

#[tokio::test]
async fn a_volume_that_was_torn_off_is_checked_and_comes_back() {
    if !root() {
        return;
    }
    let (mut this, disk) = Box::started(64, "").await;
    let mut file = File::create(this.point().join("user/home/work")).unwrap();
    file.write_all(b"years").unwrap();
    file.sync_all().unwrap();
    // What a power cut leaves behind: the disk as it is now, with everything that was not written back missing.
    let torn = std::fs::read(this.file("disk")).unwrap();
    drop(file);
    this.stop_and_unmount();
    OpenOptions::new().write(true).open(&disk.device).unwrap().write_all(&torn).unwrap();
    assert!(needs_recovery(&disk));
    this.agent.start().await;
    assert!(this.agent.log().contains("checking the file system"));
    assert_eq!(std::fs::read_to_string(this.point().join("user/home/work")).unwrap(), "years");
    this.stop_and_unmount();
    assert!(!needs_recovery(&disk));
}

#[tokio::test]
async fn small_damage_is_mended_before_the_volume_is_used() {
    if !root() {
        return;
    }
    let (mut this, disk) = Box::started(64, "").await;
    std::fs::write(this.point().join("user/home/work"), "years").unwrap();
    this.stop_and_unmount();
    // What the kernel notes when it finds an error, and a count that is wrong.
    run("debugfs", &["-w", "-R", "ssv state 2", &disk.device]);
    run("debugfs", &["-w", "-R", "ssv free_blocks_count 1", &disk.device]);
    this.agent.start().await;
    assert!(this.agent.log().contains("the file system was mended"));
    assert_eq!(std::fs::read_to_string(this.point().join("user/home/work")).unwrap(), "years");
}

#[tokio::test]
async fn a_volume_that_needs_a_hand_is_refused_with_what_to_do() {
    if !root() {
        return;
    }
    let (mut this, disk) = Box::started(64, "").await;
    this.stop_and_unmount();
    run("debugfs", &["-w", "-R", "clri <2>", &disk.device]);
    this.fails(&["needs a hand (e2fsck ended with 4", "make a copy", &format!("`e2fsck {}`", disk.device)]);
    assert!(disk.places().is_empty());
}

#[tokio::test]
async fn a_read_only_device_is_refused() {
    if !root() {
        return;
    }
    let (mut this, disk) = Box::started(64, "").await;
    this.stop_and_unmount();
    run("losetup", &["-d", &disk.device]);
    let read_only = Disk::attach(&this.file("disk"), &["-r"]);
    this.source(&disk.device.clone(), &read_only.device);
    std::mem::forget(disk);
    this.fails(&[&read_only.device, "is read-only: attach it writable"]);
}

#[tokio::test]
async fn a_device_that_is_mounted_elsewhere_or_held_is_refused() {
    if !root() {
        return;
    }
    let (mut this, disk) = Box::started(64, "").await;
    this.stop_and_unmount();
    let elsewhere = this.file("elsewhere");
    disk.mounted(&elsewhere, |point| {
        this.fails(&[&disk.device, "is mounted at", point.to_str().unwrap(), "/etc/fstab"]);
    });
    run("mount", &["-t", "tmpfs", "tmpfs", this.point().to_str().unwrap()]);
    this.fails(&["something else (tmpfs) is mounted at", "unmount it"]);
    run("umount", &[this.point().to_str().unwrap()]);
    this.agent.start().await;
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_agent_goes_on() {
    if !root() {
        return;
    }
    let (gateway, mut this, _disk) = linked().await;
    this.agent.start().await;
    let mut link = gateway.welcome().await;
    let large = this.point().join("user/home/large");
    let fill = {
        let large = large.clone();
        move || {
            let mut file = File::create(large).unwrap();
            // Root may use what is kept back for it, too: not a block is left.
            let error = (0..).find_map(|_| file.write_all(&[7; 1 << 12]).err()).unwrap();
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
            file.sync_all().unwrap();
        }
    };
    let filled = async {
        tokio::task::spawn_blocking(fill).await.unwrap();
        told(&this, "the volume is full: all of its space is used").await;
    };
    tokio::select! {
        () = filled => {}
        // Answers heartbeats meanwhile.
        () = link.find("the end of the link", |_| None) => {}
    }
    expect(&this.agent.verb(&["layout", "check"]), 0, &[]);

    // More than the database has room for. It is not acted on, and asked for again, over the same link.
    let session = SessionId::random();
    let mut snapshot = desired_of(&gateway.incarnation, 1, &[&session]);
    snapshot.tombstones = (0..10_000).map(|_| SessionId::random()).collect();
    link.send(&FromGateway::Snapshot(snapshot.clone())).await;
    let again = |message| matches!(message, FromAgent::WantSnapshot).then_some(());
    link.find("a request for what could not be kept", again).await;
    std::fs::remove_file(large).unwrap();
    link.send(&FromGateway::Snapshot(snapshot)).await;
    until("the end of the trouble", async || (!this.status().contains("trouble")).then_some(())).await;
    until("the session", async || (this.agent.sessions() == [session.to_string()]).then_some(())).await;
}

/// A file system on which whoever writes waits, until this is dropped.
struct Frozen(PathBuf);

impl Frozen {
    fn new(point: &Path) -> Self {
        run("fsfreeze", &["-f", point.to_str().unwrap()]);
        Self(point.to_owned())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        run("fsfreeze", &["-u", self.0.to_str().unwrap()]);
    }
}

#[tokio::test]
async fn a_volume_that_hangs_stops_no_terminal() {
    if !root() {
        return;
    }
    let (gateway, mut this, _disk) = linked().await;
    let systemd = Systemd::of(&this.agent);
    this.agent.launch_with(&systemd.variables());
    let ready = || this.agent.verb(&["status"]).status.success().then_some(());
    until("the agent to be ready", async || ready()).await;
    let mut link = gateway.welcome_with(5000).await;
    let session = SessionId::random();
    link.send(&FromGateway::Snapshot(desired_of(&gateway.incarnation, 1, &[&session]))).await;
    told(&this, "ready: 1 session").await;
    let mut terminal = Terminal::open(&this.agent, &session, "editor").await;
    let missing = link.event().await;

    let frozen = Frozen::new(&this.point());
    // Its picture is kept on the volume.
    this.agent.tmux(&["new-window", "-d", "-t", &format!("={session}:")]);
    let waits = || this.agent.thread_state("disk") == Some('D');
    let stuck = until("the agent to wait for the disk", async || waits().then_some(()));
    tokio::select! {
        () = stuck => {}
        () = link.find("the end of the link", |_| None) => {}
    }
    terminal.type_text("echo $((6 * 7))-seen\r").await;
    terminal.see("42-seen").await;
    Terminal::open(&this.agent, &session, "editor").await;
    // The database is on it, too: what can't be kept is asked for again, with the next heartbeat.
    let mut snapshot = desired_of(&gateway.incarnation, 2, &[&session, &SessionId::random()]);
    link.send(&FromGateway::Snapshot(snapshot.clone())).await;
    let again = |message| matches!(message, FromAgent::WantSnapshot).then_some(());
    link.find("a request for what could not be kept", again).await;
    link.send(&FromGateway::Gap { stream: missing.stream.clone(), stored: missing.seq - 1 }).await;
    tokio::select! {
        () = told(&this, "the volume has not answered for 20 s") => {}
        // Answers heartbeats meanwhile.
        () = link.find("the end of the link", |_| None) => {}
    }
    let fed = || systemd.told().contains(&"WATCHDOG=1".to_owned()).then_some(());
    fed();
    until("the watchdog to be fed", async || fed()).await;
    assert!(waits(), "the disk was waited for all the time");

    drop(frozen);
    until("the disk to go on", async || (!waits()).then_some(())).await;
    while link.event().await != missing {}
    terminal.type_text("echo $((7 * 8))-seen\r").await;
    terminal.see("56-seen").await;
    snapshot.version.generation = 3;
    link.send(&FromGateway::Snapshot(snapshot)).await;
    until("the other session", async || (this.agent.sessions().len() == 2).then_some(())).await;
}

#[tokio::test]
async fn a_device_that_is_gone_is_told_and_the_agent_goes_on() {
    if !root() {
        return;
    }
    let (this, disk) = Box::started(64, "check_secs = 1").await;
    disk.resize_file(0);
    told(&this, "the volume's device does not answer").await;
    disk.resize_file(64);
    run("losetup", &["-c", &disk.device]);
}

#[tokio::test]
async fn a_volume_that_became_read_only_is_told() {
    if !root() {
        return;
    }
    let (mut this, disk) = Box::started(64, "check_secs = 1").await;
    // The kernel does so itself when it finds an error on the device.
    let trigger = format!("/sys/fs/ext4/{}/trigger_fs_error", disk.device.trim_start_matches("/dev/"));
    std::fs::write(trigger, "test").unwrap();
    told(&this, "the volume is read-only, as after an error").await;
    // Nothing uses it any more: the next start checks it and mounts it anew.
    this.stop();
    this.agent.start().await;
    assert_eq!(disk.places(), [this.point()]);
    assert!(!this.status().contains("read-only"), "{}", this.status());
    std::fs::write(this.point().join("user/home/work"), "years").unwrap();
}

#[tokio::test]
async fn a_device_that_grew_is_filled_at_the_start_and_while_it_is_used() {
    if !root() {
        return;
    }
    let (mut this, disk) = Box::started(64, "check_secs = 1").await;
    let blocks = |this: &Box| nix::sys::statvfs::statvfs(&this.point()).unwrap().blocks();
    let grow = |mib: u64| {
        disk.resize_file(mib);
        run("losetup", &["-c", &disk.device]);
    };
    let first = blocks(&this);
    grow(128);
    if may_grow() {
        until("the file system to grow", async || (blocks(&this) > first + first / 2).then_some(())).await;
    } else {
        told(&this, "its file system could not while it is used").await;
        expect(&this.agent.verb(&["suspend"]), 0, &[]);
        expect(&this.agent.verb(&["resume"]), 0, &[]);
        assert!(blocks(&this) > first + first / 2);
    }
    let second = blocks(&this);
    this.stop_and_unmount();
    grow(192);
    this.agent.start().await;
    assert!(blocks(&this) > second + first / 2);
}

#[tokio::test]
async fn what_is_behind_a_process_is_no_volume_and_is_told_below_one() {
    if !root() {
        return;
    }
    // A FUSE without anybody behind it: whoever touches it hangs for ever.
    let fuse = |point: &Path| {
        std::fs::create_dir_all(point).unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse").unwrap();
        let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        mount(Some("s3fs"), point, Some("fuse.s3fs"), MsFlags::empty(), Some(data.as_str())).unwrap();
        device
    };
    if !Path::new("/dev/fuse").exists() {
        eprintln!("skipped: there is no /dev/fuse");
        return;
    }
    let (mut this, _disk) = Box::started(64, "check_secs = 1").await;
    let below = this.point().join("user/projects/bucket");
    let device = fuse(&below);
    told(&this, &format!("{} (fuse.s3fs) is mounted below the volume", below.display())).await;
    run("umount", &["-l", below.to_str().unwrap()]);
    drop(device);
    this.stop_and_unmount();

    let this = Box::new("directory", "");
    let device = fuse(&this.point());
    this.fails(&["is on a fuse.s3fs file system", "use a block device"]);
    run("umount", &["-l", this.point().to_str().unwrap()]);
    drop(device);
}

#[tokio::test]
async fn a_look_that_was_cut_short_is_begun_anew() {
    if !root() {
        return;
    }
    let (mut this, disk) = Box::started(64, "").await;
    this.stop_and_unmount();
    // As an agent leaves it that is killed while it looks at the marker.
    run("mount", &["-o", "ro,noload", &disk.device, this.point().to_str().unwrap()]);
    this.agent.start().await;
    assert_eq!(disk.places(), [this.point()]);
    std::fs::write(this.point().join("user/home/work"), "years").unwrap();

    // The same, but somebody is in there.
    this.stop_and_unmount();
    run("mount", &["-o", "ro,noload", &disk.device, this.point().to_str().unwrap()]);
    let inside = File::open(this.point().join("user/home/work")).unwrap();
    this.fails(&["is mounted read-only", "fuser -vm", "restart the machine"]);
    drop(inside);
}
