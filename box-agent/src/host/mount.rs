//! Mounts and unmounts, and says what is mounted.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::O_EXCL;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{Whence, lseek};

use super::mounts::Mounts;

/// What every mount of a volume has. A user's disk can come from anywhere, so no device file and no setuid program on
/// it is anything but a file.
const FLAGS: MsFlags = MsFlags::MS_NODEV.union(MsFlags::MS_NOSUID);

/// What is mounted, as this process sees it.
///
/// # Errors
/// When `/proc` is not there.
pub fn mounts() -> io::Result<Mounts> {
    Ok(Mounts::parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// Mounts a device's ext4 to be used. After an error in its structure nothing is written to it any more.
///
/// # Errors
/// As the kernel says.
pub fn ext4(device: &Path, point: &Path) -> io::Result<()> {
    Ok(mount(Some(device), point, Some("ext4"), FLAGS, Some("errors=remount-ro"))?)
}

/// Mounts a device's ext4 to be looked at: not even its journal is written back.
///
/// # Errors
/// As the kernel says.
pub fn ext4_untouched(device: &Path, point: &Path) -> io::Result<()> {
    let flags = FLAGS | MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC;
    Ok(mount(Some(device), point, Some("ext4"), flags, Some("noload"))?)
}

/// Lets an open directory be seen at another place, too.
///
/// # Errors
/// As the kernel says.
pub fn bind(directory: impl AsFd, point: &Path) -> io::Result<()> {
    // By handle: the path that led to it may lead elsewhere by now.
    let source = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
    Ok(mount(Some(source.as_str()), point, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
}

/// Takes a mount away, if nobody uses it.
///
/// # Errors
/// As the kernel says; `ResourceBusy` while somebody uses it.
pub fn unmount(point: &Path) -> io::Result<()> {
    Ok(umount2(point, MntFlags::UMOUNT_NOFOLLOW)?)
}

/// Opens a device for as long as nobody else has it: no mount in any namespace, no RAID, no other agent's look.
///
/// # Errors
/// `ResourceBusy` while somebody has it.
pub fn exclusive(device: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(O_EXCL).open(device)
}

/// A device's size, bytes.
///
/// # Errors
/// When it does not say.
pub fn size(device: &File) -> io::Result<u64> {
    Ok(u64::try_from(lseek(device, 0, Whence::SeekEnd)?).unwrap_or(0))
}
