//! Opens a device as the volume: looks without touching anything, has it decided, and does what was decided.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_daemon::state::StateError;
use berth_protocol::ids::WorkspaceId;
use nix::unistd::Uid;

use super::device::Device;
use super::error::VolumeError;
use super::health::GROWTH;
use super::marker::{Marker, Seen, look};
use super::place::{Place, place};
use super::plan::{Found, Step, Wanted, plan};
use super::probe::Content;
use super::tools::Tools;
use super::{Volume, blank, find, memory, superblock};
use crate::host::mount;
use crate::settings::VolumeSettings;

/// What opening needs.
pub struct Opening<'a> {
    /// The settings.
    pub settings: &'a VolumeSettings,
    /// Whose volume.
    pub workspace: &'a WorkspaceId,
    /// Where this box remembers what it had.
    pub state_dir: &'a Path,
    /// Hears how it goes.
    pub tell: &'a (dyn Fn(String) + Sync),
}

/// A device that was looked at.
pub(super) struct Looked {
    pub(super) device: Device,
    pub(super) place: Place,
    pub(super) found: Found,
    /// The size of its file system, bytes.
    pub(super) size: u64,
}

impl Opening<'_> {
    /// Opens the volume that the settings name.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub async fn open(&self) -> Result<Volume, VolumeError> {
        let settings = self.settings;
        if !settings.source.is_device() {
            return Volume::open_directory(&settings.path, self.workspace);
        }
        let tools = self.tools()?;
        self.guard_point(&tools).await?;
        let deadline = Duration::from_secs(settings.deadline_secs);
        let device = find::wait(&settings.source, deadline, &tools, self.tell).await?;
        let mut looked = self.look(device, &tools).await?;
        if looked.place == (Place::Ours { read_only: true }) {
            // A look that was cut short, or an error on the device: either way it is begun anew.
            mount::unmount(&settings.path).map_err(|_| VolumeError::StuckReadOnly(settings.path.clone()))?;
            looked = self.look(looked.device, &tools).await?;
        }
        self.refuse_place(&looked)?;
        let steps = self.decide(&looked)?;
        let mounted = looked.found.mounted;
        for step in steps {
            self.act(step, &looked, &tools).await?;
        }
        let opened = self.settle(looked.device, &looked.found);
        if opened.is_err() && !mounted {
            // What is not used is not kept; if that fails, the error that led here is the one to tell.
            let _ = mount::unmount(&settings.path);
        }
        opened
    }

    /// The tools, for those who may use them.
    pub(super) fn tools(&self) -> Result<Tools, VolumeError> {
        if !Uid::effective().is_root() {
            return Err(VolumeError::NeedsRoot(self.settings.source.clone()));
        }
        Tools::find()
    }

    /// Looks at a device and its place, and changes nothing.
    pub(super) async fn look(&self, device: Device, tools: &Tools) -> Result<Looked, VolumeError> {
        let point = &self.settings.path;
        let unreadable = |source| VolumeError::Device { path: device.node.clone(), source };
        let mounts = mount::mounts().map_err(unreadable)?;
        let place = place(&mounts, device.number, point);
        let mounted = place == (Place::Ours { read_only: false });
        let mut found = Found {
            content: Content::Ext4,
            blank: false,
            read_only: device.read_only,
            mounted,
            seen: None,
            identity: device.identity.clone(),
        };
        let mut size = 0;
        match place {
            Place::Ours { read_only: false } => found.seen = Some(look(point)?),
            Place::Free => {
                // Held while it is looked at: a mount in another namespace can't be seen, but is in the way.
                let held = mount::exclusive(&device.node).map_err(|error| match error.kind() {
                    std::io::ErrorKind::ResourceBusy => VolumeError::Busy(device.node.clone()),
                    _ => unreadable(error),
                })?;
                found.content = tools.content(&device.node).await?;
                if found.content == Content::Nothing {
                    found.blank = blank::is_blank(&held, device.size).map_err(unreadable)?;
                }
                let superblock = superblock::read(&held).map_err(unreadable)?;
                drop(held);
                if let Some(superblock) = superblock.filter(|_| found.content == Content::Ext4) {
                    size = superblock.size;
                    found.seen = self.peek(&device, superblock.needs_recovery)?;
                }
            }
            Place::Ours { read_only: true } | Place::Elsewhere(_) | Place::Occupied(_) => {}
        }
        Ok(Looked { device, place, found, size })
    }

    /// What is on an ext4 that is not mounted, if that can be told without touching it.
    fn peek(&self, device: &Device, needs_recovery: bool) -> Result<Option<Seen>, VolumeError> {
        self.make_point()?;
        let point = &self.settings.path;
        if let Err(error) = mount::ext4_untouched(&device.node, point) {
            tracing::debug!(%error, "the volume can't be looked at before it is checked");
            return Ok(None);
        }
        let seen = look(point);
        mount::unmount(point).map_err(|source| VolumeError::Mount {
            device: device.node.clone(),
            point: point.clone(),
            source,
        })?;
        match seen {
            // What the journal holds is not seen yet; a marker that is there is believed all the same.
            Ok(Seen::Empty | Seen::Files(_)) | Err(_) if needs_recovery => Ok(None),
            seen => Ok(Some(seen?)),
        }
    }

    pub(super) fn refuse_place(&self, looked: &Looked) -> Result<(), VolumeError> {
        let point = self.settings.path.clone();
        match &looked.place {
            Place::Free | Place::Ours { .. } => Ok(()),
            Place::Elsewhere(elsewhere) => Err(VolumeError::MountedElsewhere {
                device: looked.device.node.clone(),
                point: elsewhere.clone(),
            }),
            Place::Occupied(fs_type) => Err(VolumeError::Occupied { point, fs_type: fs_type.clone() }),
        }
    }

    pub(super) fn decide(&self, looked: &Looked) -> Result<Vec<Step>, VolumeError> {
        let wanted = Wanted {
            workspace: self.workspace.clone(),
            new: self.settings.new,
            used_before: memory::used_before(self.state_dir, self.workspace),
        };
        plan(&wanted, &looked.found)
            .map_err(|refusal| VolumeError::Refused { device: looked.device.node.clone(), refusal })
    }

    async fn act(&self, step: Step, looked: &Looked, tools: &Tools) -> Result<(), VolumeError> {
        let node = &looked.device.node;
        match step {
            Step::Format => {
                (self.tell)(format!("formatting {}", node.display()));
                tools.format(node).await?;
                tracing::info!(device = %node.display(), "made a file system on a blank device");
            }
            Step::Check => {
                (self.tell)(format!("checking the file system on {}", node.display()));
                if tools.check(node).await? {
                    tracing::warn!(device = %node.display(), "the file system was mended");
                }
            }
            Step::Mount => self.mount(node)?,
            Step::Grow if looked.size + GROWTH <= looked.device.size => {
                (self.tell)(format!("growing the file system on {}", node.display()));
                self.grow(node, tools).await?;
            }
            // Said once the journal has been written back: see `settle`.
            Step::Grow | Step::Mark | Step::Name => {}
        }
        Ok(())
    }

    /// Lets the file system fill its device. That it does not is no reason to do without the volume.
    async fn grow(&self, node: &Path, tools: &Tools) -> Result<(), VolumeError> {
        let mut grown = tools.grow(node).await;
        // The kernel may lack the right (CAP_SYS_RESOURCE) or the way; nobody uses the volume yet, so there is another.
        if grown.is_err() && mount::unmount(&self.settings.path).is_ok() {
            grown = tools.grow_unmounted(node).await;
            self.mount(node)?;
        }
        match grown {
            Ok(()) => tracing::info!(device = %node.display(), "the file system fills its device again"),
            Err(error) => tracing::warn!(error = chain(&error), "the file system did not grow"),
        }
        Ok(())
    }

    pub(super) fn mount(&self, node: &Path) -> Result<(), VolumeError> {
        let point = &self.settings.path;
        mount::ext4(node, point).map_err(|source| VolumeError::Mount {
            device: node.to_owned(),
            point: point.clone(),
            source,
        })?;
        tracing::info!(device = %node.display(), point = %point.display(), "mounted the volume");
        Ok(())
    }

    /// Makes the place of the volume, and makes sure that nobody fills the root disk there while the volume is away, and
    /// takes that for the volume.
    pub(super) async fn guard_point(&self, tools: &Tools) -> Result<(), VolumeError> {
        let point = &self.settings.path;
        // What is mounted there, is above the place.
        if mount::mounts().is_ok_and(|mounts| mounts.at(point).is_some()) {
            return Ok(());
        }
        self.make_point()?;
        if let Err(error) = tools.immutable(point, true).await {
            tracing::warn!(
                error = chain(&error),
                "what is below the volume can be written to when it is away"
            );
        }
        Ok(())
    }

    fn make_point(&self) -> Result<(), VolumeError> {
        let path = &self.settings.path;
        let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
        let entries = made.and_then(|()| fs::read_dir(path)).map(Iterator::count);
        let entries = entries.map_err(|source| VolumeError::Point { path: path.clone(), source })?;
        if entries > 0 {
            tracing::warn!(path = %path.display(), entries, "files on the root disk are hidden below the volume");
        }
        Ok(())
    }

    /// Decides again on what is really there, now that it is mounted, and takes the volume.
    fn settle(&self, device: Device, before: &Found) -> Result<Volume, VolumeError> {
        let point = &self.settings.path;
        let seen = look(point)?;
        let found = Found { mounted: true, seen: Some(seen.clone()), ..before.clone() };
        let looked = Looked { device, place: Place::Free, found, size: 0 };
        for step in self.decide(&looked)? {
            let identity = looked.device.identity.clone();
            match (step, &seen) {
                (Step::Mark, _) => {
                    Marker::new(self.workspace.clone(), identity).write(point)?;
                    tracing::info!(path = %point.display(), workspace = %self.workspace, "made a new volume");
                }
                (Step::Name, Seen::Marked(marker)) => marker.clone().on(identity).write(point)?,
                _ => {}
            }
        }
        self.remember(looked.device.identity.as_deref())?;
        Volume::hold(point, Some(looked.device))
    }

    fn remember(&self, device: Option<&str>) -> Result<(), StateError> {
        memory::remember(self.state_dir, self.workspace, device)
    }
}
