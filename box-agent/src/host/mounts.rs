//! What is mounted where, as `/proc/self/mountinfo` says it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};

/// File systems behind a network or a process: a lock, a rename or a flush there is not what a database and Git rely
/// on, and a server that does not answer hangs whoever asks.
const REMOTE: [&str; 17] = [
    "fuse",
    "fuseblk",
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "virtiofs",
    "ceph",
    "afs",
    "coda",
    "lustre",
    "glusterfs",
    "beegfs",
    "orangefs",
    "vboxsf",
];

/// Options of a file system that nothing can be written to, the last two after an error.
const NOT_WRITABLE: [&[u8]; 3] = [b"ro", b"emergency_ro", b"shutdown"];

/// A device's number, major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub u32, pub u32);

/// A device number as `stat` has it.
#[must_use]
pub fn number(device: u64) -> Number {
    let part = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Number(part(major(device)), part(minor(device)))
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The device.
    pub number: Number,
    /// Which part of its file system.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// The kind of file system, such as `ext4`.
    pub fs_type: String,
    /// Whether nothing can be written through this mount.
    pub read_only: bool,
    /// Whether nothing can be written to the file system at all, by any mount.
    pub read_only_fs: bool,
}

impl Mount {
    /// Whether its files are behind a network or a process.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.fs_type.starts_with("fuse.") || REMOTE.contains(&self.fs_type.as_str())
    }
}

/// All mounts that this process sees, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// Reads `/proc/self/mountinfo`. Lines that are not understood are left out.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        Self(text.split(|byte| *byte == b'\n').filter_map(parse_line).collect())
    }

    /// What is seen at exactly this path: the last that was mounted there.
    #[must_use]
    pub fn at(&self, point: &Path) -> Option<&Mount> {
        self.0.iter().rev().find(|mount| mount.point == point)
    }

    /// Every mount of a device.
    pub fn of(&self, number: Number) -> impl Iterator<Item = &Mount> {
        self.0.iter().filter(move |mount| mount.number == number)
    }

    /// Every mount somewhere below a path.
    pub fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Mount> {
        self.0.iter().filter(move |mount| mount.point != path && mount.point.starts_with(path))
    }

    /// The mount that a path's files are on.
    #[must_use]
    pub fn holding(&self, path: &Path) -> Option<&Mount> {
        // Of mounts at the same place the last one counts, and that is what max_by_key returns.
        let holds = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        holds.max_by_key(|mount| mount.point.components().count())
    }
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    // 36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda rw,errors=continue
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let (major, minor) = std::str::from_utf8(fields.get(2)?).ok()?.split_once(':')?;
    let is_read_only =
        |options: &[u8]| options.split(|byte| *byte == b',').any(|option| NOT_WRITABLE.contains(&option));
    Some(Mount {
        number: Number(major.parse().ok()?, minor.parse().ok()?),
        root: unescaped(fields.get(3)?),
        point: unescaped(fields.get(4)?),
        fs_type: String::from_utf8_lossy(fields.get(dash + 1)?).into_owned(),
        read_only: is_read_only(fields.get(5)?),
        read_only_fs: is_read_only(fields.get(dash + 3)?),
    })
}

/// The kernel writes blank, tab, newline and backslash as a backslash and three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = || u8::from_str_radix(std::str::from_utf8(after.get(..3)?).ok()?, 8).ok();
        match (byte, octal()) {
            (b'\\', Some(escaped)) => {
                path.push(escaped);
                rest = &after[3..];
            }
            _ => {
                path.push(byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n\
        40 27 8:16 / /mnt/workspace rw,nosuid,nodev,relatime shared:7 - ext4 /dev/sdb rw,errors=remount-ro\n\
        41 27 8:16 /user/home /home/claude rw - ext4 /dev/sdb rw\n\
        42 40 0:50 / /mnt/workspace/user/projects/s3 rw master:3 shared:1 - fuse.s3fs s3fs rw\n\
        43 40 0:51 / /mnt/workspace/user/a\\040b\\134c ro - nfs4 host:/x ro\n\
        44 40 8:32 / /mnt/workspace rw - ext4 /dev/sdc ro\n\
        rubbish\n";

    #[test]
    fn the_last_mount_at_a_place_is_the_one_that_is_seen() {
        let mounts = Mounts::parse(TEXT);
        let seen = mounts.at(Path::new("/mnt/workspace")).unwrap();
        assert_eq!((seen.number, seen.read_only, seen.read_only_fs), (Number(8, 32), false, true));
        assert_eq!(mounts.at(Path::new("/mnt")), None);
        assert_eq!(mounts.holding(Path::new("/mnt/workspace/system")).unwrap().number, Number(8, 32));
        assert_eq!(mounts.holding(Path::new("/mnt/workspaces")).unwrap().number, Number(254, 0));
    }

    #[test]
    fn a_device_is_found_at_each_of_its_places() {
        let mounts = Mounts::parse(TEXT);
        let places: Vec<_> = mounts.of(Number(8, 16)).map(|mount| mount.point.as_path()).collect();
        assert_eq!(places, [Path::new("/mnt/workspace"), Path::new("/home/claude")]);
        assert_eq!(mounts.of(Number(8, 16)).nth(1).unwrap().root, Path::new("/user/home"));
    }

    #[test]
    fn what_is_behind_a_network_or_a_process_is_known_below_a_volume() {
        let mounts = Mounts::parse(TEXT);
        let remote: Vec<_> = mounts.below(Path::new("/mnt/workspace")).filter(|m| m.is_remote()).collect();
        assert_eq!(remote.len(), 2);
        assert_eq!(remote[0].fs_type, "fuse.s3fs");
        assert_eq!(remote[1].point, Path::new("/mnt/workspace/user/a b\\c"));
        assert!(!mounts.at(Path::new("/")).unwrap().is_remote());
    }
}
