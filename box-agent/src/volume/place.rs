//! Where a device is mounted, against where it belongs.

use std::path::{Path, PathBuf};

use crate::host::mounts::{Mounts, Number};

/// How it is at the place of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The device is mounted nowhere, and nothing is in its place.
    Free,
    /// The device is where it belongs: an agent before this one mounted it.
    Ours {
        /// Whether it can't be written to.
        read_only: bool,
    },
    /// The device is mounted here, and not where it belongs.
    Elsewhere(PathBuf),
    /// Something else is in its place; this kind of file system.
    Occupied(String),
}

/// How it is for this device and this place.
#[must_use]
pub fn place(mounts: &Mounts, device: Number, point: &Path) -> Place {
    match mounts.at(point) {
        Some(mount) if mount.number == device && mount.root == Path::new("/") => {
            Place::Ours { read_only: mount.read_only || mount.read_only_fs }
        }
        Some(mount) => Place::Occupied(mount.fs_type.clone()),
        None => match mounts.of(device).next() {
            Some(mount) => Place::Elsewhere(mount.point.clone()),
            None => Place::Free,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_where_it_belongs_or_the_place_is_told() {
        let root = "1 0 254:0 / / rw - ext4 /dev/vda rw\n";
        let point = Path::new("/mnt/w");
        let at =
            |lines: &str| place(&Mounts::parse(format!("{root}{lines}").as_bytes()), Number(8, 1), point);
        assert_eq!(at(""), Place::Free);
        assert_eq!(at("2 1 8:1 / /mnt/w rw - ext4 /dev/sda rw\n"), Place::Ours { read_only: false });
        assert_eq!(at("2 1 8:1 / /mnt/w ro - ext4 /dev/sda rw\n"), Place::Ours { read_only: true });
        let broken = "2 1 8:1 / /mnt/w rw - ext4 /dev/sda rw,emergency_ro\n";
        assert_eq!(at(broken), Place::Ours { read_only: true });
        let elsewhere = "2 1 8:1 / /mnt/HC_Volume_1 rw - ext4 /dev/sda rw\n";
        assert_eq!(at(elsewhere), Place::Elsewhere("/mnt/HC_Volume_1".into()));
        assert_eq!(at("2 1 8:2 / /mnt/w rw - xfs /dev/sdb rw\n"), Place::Occupied("xfs".into()));
        assert_eq!(
            at("2 1 8:1 /x /mnt/w rw - ext4 /dev/sda rw\n"),
            Place::Occupied("ext4".into()),
            "a part of it"
        );
    }
}
