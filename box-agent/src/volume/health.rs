//! How the volume is while it is used: full, read-only, gone, grown, or with something below it that does not belong
//! there. All of that is told, and none of it ends the agent.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_daemon::exit::chain;
use nix::libc::{O_DIRECT, O_NOFOLLOW};
use nix::sys::statvfs::statvfs;
use tokio_util::sync::CancellationToken;

use super::device::Device;
use super::marker::STATE_DIR;
use super::superblock;
use super::tools::Tools;
use crate::host::mount;
use crate::host::mounts::Mount;
use crate::troubles::Troubles;

/// The parts that have trouble.
const VOLUME: &str = "volume";
const DISK: &str = "disk";

/// From how many percent on a disk is told to be full, highest first.
const LEVELS: [u64; 3] = [95, 90, 80];

/// How long a look may take before the device counts as hung.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is read past all caches, bytes: a sector of any disk.
const SECTOR: usize = 4096;

/// A device that is larger than its file system by less than this is full of it already, bytes.
pub(super) const GROWTH: u64 = 1 << 20;

/// A volume that is looked after.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Where it is.
    pub path: PathBuf,
    /// Its device, unless it is a directory.
    pub device: Option<Device>,
    /// Where trouble is told.
    pub troubles: Troubles,
}

/// What a look finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    /// Whether the device is there, and its first and last sectors can be read.
    unreadable: Option<String>,
    /// Whether the volume is mounted, if it is a device.
    unmounted: bool,
    /// Whether nothing can be written.
    read_only: bool,
    /// Why a small file can't be written.
    unwritable: Option<String>,
    /// What is mounted below and behind a network or a process.
    remote: Vec<String>,
    /// How full it is, percent of what users can have.
    full: u64,
    /// How many of its files are used up, percent.
    files: u64,
    /// Whether the space is that of a whole machine, of which the volume is only a directory: how much of it is used is
    /// not the workspace's affair, until there is none.
    shared: bool,
}

impl Watched {
    /// Looks at this pace until `stop`.
    pub async fn run(self, pause: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                // Cancel-safe: a look changes nothing that matters, and a file system that grows goes on growing.
                () = self.check() => {}
                () = stop.cancelled() => return,
            }
            tokio::select! {
                // Cancel-safe, both: a timer and a token.
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn check(&self) {
        let this = self.clone();
        let mut look = tokio::task::spawn_blocking(move || this.look());
        // What hangs in the kernel can't be ended: it is told, and waited for, so that one look hangs and not many.
        let facts = match tokio::time::timeout(PATIENCE, &mut look).await {
            Ok(looked) => looked,
            Err(_) => {
                let seconds = PATIENCE.as_secs();
                self.troubles.set(VOLUME, format!("the volume has not answered for {seconds} s"));
                look.await
            }
        };
        let Ok(facts) = facts else { return };
        tell(&self.troubles, VOLUME, volume(&facts, &self.path));
        let well = !facts.unmounted && facts.unreadable.is_none() && !facts.read_only;
        let small = match self.device.as_ref().filter(|_| well) {
            Some(device) => grow(device).await,
            None => None,
        };
        tell(&self.troubles, DISK, disk(&facts).or(small));
    }

    fn look(&self) -> Facts {
        let mut facts = Facts::default();
        let mounts = mount::mounts().unwrap_or_default();
        if let Some(device) = &self.device {
            let here = mounts.at(&self.path).filter(|mount| mount.number == device.number);
            facts.unmounted = here.is_none();
            facts.read_only = here.is_some_and(|mount| mount.read_only || mount.read_only_fs);
            facts.unreadable = if device.is_there() {
                ends(device).err().map(|error| error.to_string())
            } else {
                Some("the device is gone".into())
            };
        } else {
            facts.shared = true;
            facts.read_only =
                mounts.holding(&self.path).is_some_and(|mount| mount.read_only || mount.read_only_fs);
        }
        let described = |mount: &Mount| format!("{} ({})", mount.point.display(), mount.fs_type);
        facts.remote = mounts.below(&self.path).filter(|mount| mount.is_remote()).map(described).collect();
        // On what is not there, or can't be read, nothing more is asked: it would be the root disk, or hang.
        if facts.unmounted || facts.unreadable.is_some() {
            return facts;
        }
        facts.unwritable = write(&self.path).err().map(|error| error.to_string());
        if let Ok(stat) = statvfs(&self.path) {
            let used = stat.blocks().saturating_sub(stat.blocks_free());
            facts.full = percent(used, used + stat.blocks_available());
            facts.files = percent(stat.files().saturating_sub(stat.files_free()), stat.files());
        }
        facts
    }
}

fn tell(troubles: &Troubles, part: &'static str, sentence: Option<String>) {
    match sentence {
        Some(sentence) => troubles.set(part, sentence),
        None => troubles.clear(part),
    }
}

fn percent(part: u64, all: u64) -> u64 {
    if all == 0 { 0 } else { part.saturating_mul(100).div_ceil(all) }
}

/// What is to be said of the volume.
fn volume(facts: &Facts, path: &Path) -> Option<String> {
    if facts.unmounted {
        return Some(format!(
            "the volume is not mounted at {} any more: somebody unmounted it; restart the agent",
            path.display()
        ));
    }
    if let Some(why) = &facts.unreadable {
        return Some(format!(
            "the volume's device does not answer ({why}): what was not yet written may be lost; attach it again and \
             restart the machine"
        ));
    }
    if facts.read_only {
        return Some(
            "the volume is read-only, as after an error on the device: nothing can be saved; restart the machine, and \
             it is checked"
                .into(),
        );
    }
    if let Some(why) = facts.unwritable.as_ref().filter(|_| facts.full < 100) {
        return Some(format!("nothing can be written to the volume ({why})"));
    }
    let first = facts.remote.first()?;
    Some(format!(
        "{first} is mounted below the volume, and is behind a network or a process: it is in no backup, and can hang \
         whatever looks at it; unmount it"
    ))
}

/// What is to be said of its space.
fn disk(facts: &Facts) -> Option<String> {
    if facts.unmounted || facts.unreadable.is_some() {
        return None;
    }
    // A file system without a number of files has 0 of them.
    for (used, what) in [(facts.full, "space"), (facts.files, "number of files")] {
        if used >= 100 {
            return Some(format!(
                "the volume is full: all of its {what} is used, and programs fail to write; delete something, or make \
                 the volume larger"
            ));
        }
        if let Some(level) = LEVELS.iter().find(|level| used >= **level && !facts.shared) {
            return Some(format!("more than {level} % of the volume's {what} is used"));
        }
    }
    None
}

/// Reads the first and the last sector of a device from the device itself, past what the kernel remembers of it.
fn ends(device: &Device) -> io::Result<()> {
    let file = File::options().read(true).custom_flags(O_DIRECT).open(&device.node)?;
    // Such a read needs memory that begins where a sector could.
    let mut memory = vec![0; 2 * SECTOR];
    let begin = memory.as_ptr().align_offset(SECTOR).min(SECTOR);
    let last = (device.size / SECTOR as u64).saturating_sub(1) * SECTOR as u64;
    for offset in [0, last] {
        file.read_exact_at(&mut memory[begin..begin + SECTOR], offset)?;
    }
    Ok(())
}

/// Writes a small file and waits until it is on the device.
fn write(root: &Path) -> io::Result<()> {
    let path = root.join(STATE_DIR).join("alive");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).mode(0o600).custom_flags(O_NOFOLLOW).open(path)?;
    file.write_all(b".")?;
    file.sync_data()
}

/// Lets the file system fill a device that has become larger. What is returned is to be told.
async fn grow(device: &Device) -> Option<String> {
    let node = device.node.clone();
    let look = move || -> io::Result<(u64, u64)> {
        let file = File::open(node)?;
        Ok((mount::size(&file)?, superblock::read(&file)?.map_or(u64::MAX, |superblock| superblock.size)))
    };
    let (device_size, size) = tokio::task::spawn_blocking(look).await.ok()?.ok()?;
    if size.saturating_add(GROWTH) > device_size {
        return None;
    }
    let grown = match Tools::find() {
        Ok(tools) => tools.grow(&device.node).await,
        Err(error) => Err(error),
    };
    match grown {
        Ok(()) => {
            tracing::info!(from = size, to = device_size, "the file system fills its device again");
            None
        }
        Err(error) => Some(format!(
            "the volume's device has grown, and its file system could not while it is used ({}): `box-agent suspend` \
             and `box-agent resume` grow it",
            chain(&error)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worst_is_told() {
        let path = Path::new("/mnt/w");
        let fine = Facts { full: 50, files: 1, ..Facts::default() };
        assert_eq!((volume(&fine, path), disk(&fine)), (None, None));
        let remote = Facts { remote: vec!["/mnt/w/user/s3 (fuse.s3fs)".into()], ..fine.clone() };
        assert!(volume(&remote, path).unwrap().contains("/mnt/w/user/s3 (fuse.s3fs) is mounted below"));
        let stuck = Facts { unwritable: Some("EIO".into()), ..remote };
        assert!(volume(&stuck, path).unwrap().contains("(EIO)"));
        let read_only = Facts { read_only: true, ..stuck };
        assert!(volume(&read_only, path).unwrap().contains("read-only"));
        let gone = Facts { unreadable: Some("the device is gone".into()), ..read_only };
        assert!(volume(&gone, path).unwrap().contains("the device is gone"));
        let unmounted = Facts { unmounted: true, ..gone };
        assert!(volume(&unmounted, path).unwrap().contains("not mounted at /mnt/w"));
        assert_eq!(disk(&Facts { full: 99, ..unmounted }), None, "that would be the root disk's");
    }

    #[test]
    fn a_disk_is_told_to_be_full_in_steps() {
        let said = |full, files| disk(&Facts { full, files, ..Facts::default() }).unwrap_or_default();
        assert_eq!(said(79, 79), "");
        for (full, level) in [(80, "80 %"), (89, "80 %"), (90, "90 %"), (95, "95 %"), (99, "95 %")] {
            assert!(said(full, 0).contains(level), "{full}");
        }
        assert!(said(100, 0).contains("all of its space is used"));
        let machine = |full| disk(&Facts { full, shared: true, ..Facts::default() });
        assert!(machine(99).is_none() && machine(100).is_some(), "a directory has the machine's space");
        assert!(said(0, 91).contains("90 % of the volume's number of files"));
        let full = Facts { full: 100, unwritable: Some("ENOSPC".into()), ..Facts::default() };
        assert_eq!(volume(&full, Path::new("/")), None, "one trouble is told once");
        assert_eq!((percent(0, 0), percent(1, 3), percent(3, 3)), (0, 34, 100));
    }
}
