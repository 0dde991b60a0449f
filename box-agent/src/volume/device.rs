//! A block device, and which one it is: what a provider calls it, so that a copy is told from the original.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::source::Source;
use crate::host::mounts::{Number, number};

/// Where the kernel describes devices by number.
const SYSFS: &str = "/sys/dev/block";

/// Attributes that tell a device from all others, best first, and what is said before them.
const ATTRIBUTES: [(&str, &str); 6] = [
    ("wwid", "wwid"),
    ("device/wwid", "wwid"),
    ("serial", "serial"),
    ("device/serial", "serial"),
    ("dm/uuid", "dm"),
    ("loop/backing_file", "loop"),
];

/// The longest identity that a marker takes.
const MAX_IDENTITY: usize = 256;

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its node, without links.
    pub node: PathBuf,
    /// Its number.
    pub number: Number,
    /// Its size, bytes.
    pub size: u64,
    /// Whether nothing can be written to it.
    pub read_only: bool,
    /// Which one it is, if that can be told.
    pub identity: Option<String>,
}

impl Device {
    /// Looks at the device that a path leads to, which the settings call `source`; nothing if there is none.
    ///
    /// # Errors
    /// When something else is there, or the kernel does not say.
    pub fn at(path: &Path, source: &Source) -> io::Result<Option<Self>> {
        let node = match path.canonicalize() {
            Ok(node) => node,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta = node.metadata()?;
        if !meta.file_type().is_block_device() {
            return Err(io::Error::other(format!("{} is not a block device", node.display())));
        }
        let number = number(meta.rdev());
        let attribute = |name: &str| read(number, name);
        let sectors = attribute("size").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        // A volume that is being attached or taken away has no size, and is as good as not there.
        if sectors == 0 {
            return Ok(None);
        }
        let read_only = attribute("ro").is_some_and(|text| text != "0");
        let identity = match source {
            Source::Hcloud(id) => Some(format!("hcloud:{id}")),
            _ => identity(attribute),
        };
        Ok(Some(Self { node, number, size: sectors * 512, read_only, identity }))
    }

    /// Whether the kernel still has it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        read(self.number, "size").is_some_and(|size| size != "0")
    }
}

fn read(Number(major, minor): Number, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("{SYSFS}/{major}:{minor}/{name}")).ok()?;
    Some(text.trim().to_owned())
}

/// Which device it is, from what the kernel says of it. A part of a disk is known by the disk and its number.
fn identity(attribute: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (above, part) = match attribute("partition") {
        Some(number) => ("../", format!(":part{number}")),
        None => ("", String::new()),
    };
    ATTRIBUTES.iter().find_map(|(name, kind)| {
        let value = attribute(&format!("{above}{name}"))?;
        // Disks pad their serials with blanks.
        let words: Vec<&str> = value.split_whitespace().collect();
        let identity = format!("{kind}:{}{part}", words.join(" "));
        let good =
            !words.is_empty() && identity.len() <= MAX_IDENTITY && !identity.chars().any(char::is_control);
        good.then_some(identity)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity_of(attributes: &[(&str, &str)]) -> Option<String> {
        identity(|name| attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_device_is_known_by_what_its_maker_calls_it() {
        let scsi = [("device/wwid", "t10.HC      Volume   10000001"), ("device/serial", "x")];
        assert_eq!(identity_of(&scsi).unwrap(), "wwid:t10.HC Volume 10000001");
        assert_eq!(identity_of(&[("serial", "abc")]).unwrap(), "serial:abc");
        assert_eq!(identity_of(&[("loop/backing_file", "/a.img")]).unwrap(), "loop:/a.img");
        assert_eq!(identity_of(&[("wwid", " "), ("dm/uuid", "LVM-x")]).unwrap(), "dm:LVM-x");
        let part = [("partition", "2"), ("../serial", "abc"), ("serial", "no")];
        assert_eq!(identity_of(&part).unwrap(), "serial:abc:part2");
        assert_eq!(identity_of(&[]), None);
    }

    #[test]
    fn what_is_no_block_device_is_no_volume() {
        let path = Path::new("/dev/null");
        let source = Source::Path(path.to_owned());
        assert!(Device::at(path, &source).unwrap_err().to_string().contains("/dev/null is not a block"));
        assert_eq!(Device::at(Path::new("/nowhere/sdb"), &source).unwrap(), None);
    }
}
