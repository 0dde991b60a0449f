//! Why a volume can't be used, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_daemon::state::StateError;
use berth_protocol::ids::WorkspaceId;

use super::marker::MarkerError;
use super::plan::Refusal;
use super::source::Source;

/// Why a volume can't be used.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// It is another workspace's.
    #[error(
        "the volume {path} belongs to the workspace {found}, but this box is enrolled for {wanted}: set \
         volume.path to the right volume, enrol this box for that workspace, or make the volume this workspace's \
         with `box-agent volume adopt`"
    )]
    OtherWorkspace {
        /// The volume.
        path: PathBuf,
        /// Whose it is.
        found: WorkspaceId,
        /// Whose it should be.
        wanted: WorkspaceId,
    },
    /// Another agent uses it.
    #[error(
        "the volume {0} is in use by another agent: stop that one, or set volume.path to a volume of this agent's own"
    )]
    InUse(PathBuf),
    /// It is a directory with something else in it.
    #[error(
        "{path} is not empty (it has \"{entry}\") and is no Berth volume: set volume.path to an empty or a new \
         directory"
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// One of its entries.
        entry: String,
    },
    /// The marker can't be read.
    #[error(transparent)]
    Marker(#[from] MarkerError),
    /// It can't be written.
    #[error(transparent)]
    Unwritable(#[from] StateError),
    /// Only root can mount.
    #[error(
        "only root can mount the volume {0}: run the agent as root, or set volume.source to \"directory\""
    )]
    NeedsRoot(Source),
    /// The device did not appear.
    #[error(
        "the volume {wanted} did not appear within {} s: attach it to this machine, or set volume.source right",
        .deadline.as_secs()
    )]
    Missing {
        /// The volume.
        wanted: Source,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// Several devices answer to the name.
    #[error("{wanted} is on several devices ({found}): name one by its path in volume.source")]
    Several {
        /// The volume.
        wanted: Source,
        /// The devices.
        found: String,
    },
    /// The device can't be looked at.
    #[error("failed to look at {path}")]
    Device {
        /// The device, or what was taken for one.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The device is mounted at another place.
    #[error(
        "the device {device} is mounted at {point} already: unmount it there, and keep it out of /etc/fstab and of \
         the provider's automatic mounts"
    )]
    MountedElsewhere {
        /// The device.
        device: PathBuf,
        /// Where it is.
        point: PathBuf,
    },
    /// Somebody has the device.
    #[error(
        "the device {0} is in use, but not mounted here: stop what has it (a container, a RAID, fsck; see `lsof` and \
         `lsblk`)"
    )]
    Busy(PathBuf),
    /// Something else is mounted where the volume belongs.
    #[error(
        "something else ({fs_type}) is mounted at {point}: unmount it, or set volume.path to another place"
    )]
    Occupied {
        /// The place.
        point: PathBuf,
        /// What is there.
        fs_type: String,
    },
    /// It was mounted, but can't be written to any more.
    #[error(
        "the volume at {0} is mounted read-only, as after an error on the device, and is in use: end what uses it \
         (see `fuser -vm`), or restart the machine; it is checked before it is mounted again"
    )]
    StuckReadOnly(PathBuf),
    /// Its files are behind a network or a process.
    #[error(
        "{path} is on a {fs_type} file system, which is behind a network or a process and is no place for a \
         workspace: use a block device or a local directory"
    )]
    Remote {
        /// The volume.
        path: PathBuf,
        /// The kind of file system.
        fs_type: String,
    },
    /// The device is left alone.
    #[error("{}", explain(.device, .refusal))]
    Refused {
        /// The device.
        device: PathBuf,
        /// Why.
        refusal: Refusal,
    },
    /// The file system is damaged.
    #[error(
        "the file system on {device} needs a hand (e2fsck ended with {code}: {said}): make a copy of the volume if \
         you can, then run `e2fsck {device}` and start the agent again"
    )]
    Damaged {
        /// The device.
        device: PathBuf,
        /// The exit code of e2fsck.
        code: i32,
        /// What it said.
        said: String,
    },
    /// It can't be mounted.
    #[error("failed to mount {device} at {point}: the kernel's log (`dmesg`) may say more")]
    Mount {
        /// The device.
        device: PathBuf,
        /// The place.
        point: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The place for it can't be made.
    #[error("failed to make {path}, where the volume is to be mounted")]
    Point {
        /// The place.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// A program is missing.
    #[error("{program} was not found: install the package {package}")]
    MissingTool {
        /// The program.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// A program can't be started.
    #[error("failed to start {program}")]
    ToolNotStarted {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed on {path}: {said}")]
    ToolFailed {
        /// The program.
        program: &'static str,
        /// What it worked on.
        path: PathBuf,
        /// What it said.
        said: String,
    },
}

/// What is to be done about a refusal.
fn explain(device: &Path, refusal: &Refusal) -> String {
    let device = device.display();
    match refusal {
        Refusal::ReadOnly => format!("the device {device} is read-only: attach it writable"),
        Refusal::Blank => format!(
            "the device {device} is blank: if it is a new volume, set volume.new = true and it is formatted; if it \
             should hold a workspace, it is the wrong device"
        ),
        Refusal::Replaced => format!(
            "the device {device} is empty, but this box has used a volume already, so it is the wrong device or \
             was wiped: attach the right one, or confirm with `box-agent volume forget` that the other is gone"
        ),
        Refusal::Unknown => format!(
            "the device {device} holds data of an unknown kind and is left alone: name the right device, or wipe \
             this one yourself (`blkdiscard -z {device}`) if nobody needs it"
        ),
        Refusal::Other(name) => format!(
            "the device {device} holds {name}, not ext4, and is left alone: name the right device, or wipe this one \
             yourself if nobody needs it"
        ),
        Refusal::Ambiguous => format!(
            "the device {device} has signatures of several things at once (`wipefs {device}` shows them) and is \
             left alone: name the right device, or remove the wrong signature"
        ),
        Refusal::OtherWorkspace(found) => format!(
            "the volume on {device} belongs to the workspace {found} and not to this box's: attach the right one, \
             or make this one the workspace's with `box-agent volume adopt`"
        ),
        Refusal::OtherDevice { marked, found } => format!(
            "the volume on {device} is a copy, or was moved: its marker says that it is on {marked}, and this is {}. \
             Make sure that the other one is not in use, then accept this one with `box-agent volume adopt`",
            found.as_deref().unwrap_or("a device without a name")
        ),
        Refusal::Files(entry) => format!(
            "the file system on {device} has files (\"{entry}\") and is no Berth volume: name the right device, or \
             make it one with `box-agent volume adopt`"
        ),
        Refusal::Unmarked => format!(
            "the file system on {device} is empty and is no Berth volume: set volume.new = true if it is a new one, \
             or make it one with `box-agent volume adopt`"
        ),
    }
}
