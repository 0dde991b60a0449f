//! Where a volume comes from, as the settings name it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where udev puts the volumes of Hetzner Cloud.
const HCLOUD_PREFIX: &str = "/dev/disk/by-id/scsi-0HC_Volume_";

/// ext4 has room for a label of this many bytes.
const MAX_LABEL: usize = 16;

/// What a workspace volume is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// A directory of this machine, for development machines and containers.
    Directory,
    /// A volume of Hetzner Cloud, by its id.
    Hcloud(u64),
    /// A block device, or a link to one.
    Path(PathBuf),
    /// The file system with this label.
    Label(String),
    /// The file system with this UUID.
    Uuid(String),
}

/// A text that names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no volume: write directory, hcloud:<volume id>, the absolute path of a block device, \
     LABEL=<label> or UUID=<uuid>"
)]
pub struct InvalidSource(String);

impl Source {
    /// Whether it is a block device, and not a directory.
    #[must_use]
    pub fn is_device(&self) -> bool {
        *self != Self::Directory
    }

    /// The path that leads to the device, for those that have one.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Hcloud(id) => Some(format!("{HCLOUD_PREFIX}{id}").into()),
            Self::Path(path) => Some(path.clone()),
            Self::Directory | Self::Label(_) | Self::Uuid(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("directory"),
            Self::Hcloud(id) => write!(f, "hcloud:{id}"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Label(label) => write!(f, "LABEL={label}"),
            Self::Uuid(uuid) => write!(f, "UUID={uuid}"),
        }
    }
}

impl FromStr for Source {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, InvalidSource> {
        let source = if text == "directory" {
            Some(Self::Directory)
        } else if let Some(id) = text.strip_prefix("hcloud:") {
            hcloud(id).map(Self::Hcloud)
        } else if let Some(label) = text.strip_prefix("LABEL=") {
            // These alone mean the same to blkid, to udev and to whoever reads the settings.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            let good = !label.is_empty() && label.len() <= MAX_LABEL && label.bytes().all(plain);
            good.then(|| Self::Label(label.to_owned()))
        } else if let Some(uuid) = text.strip_prefix("UUID=") {
            let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
            (uuid.len() == 36 && uuid.bytes().all(plain)).then(|| Self::Uuid(uuid.to_ascii_lowercase()))
        } else {
            device_path(text).map(Self::Path)
        };
        source.ok_or_else(|| InvalidSource(text.to_owned()))
    }
}

/// An id as Hetzner writes it: no sign, no leading zero.
fn hcloud(id: &str) -> Option<u64> {
    let plain = id.bytes().all(|byte| byte.is_ascii_digit()) && !id.starts_with('0');
    plain.then(|| id.parse().ok()).flatten()
}

fn device_path(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let plain =
        !text.chars().any(char::is_control) && !path.components().any(|part| part.as_os_str() == "..");
    (plain && path.is_absolute() && path.file_name().is_some()).then(|| path.to_owned())
}

impl TryFrom<String> for Source {
    type Error = InvalidSource;

    fn try_from(text: String) -> Result<Self, InvalidSource> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_and_written_the_same() {
        let uuid = "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f";
        for text in ["directory", "hcloud:10000001", "/dev/sdb", "LABEL=berth-data", &format!("UUID={uuid}")]
        {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        let volume = "hcloud:10000001".parse::<Source>().unwrap();
        assert_eq!(volume.path().unwrap(), Path::new("/dev/disk/by-id/scsi-0HC_Volume_10000001"));
    }

    #[test]
    fn what_could_mean_two_things_or_nothing_is_refused() {
        for text in [
            "",
            "nfs",
            "dev/sdb",
            "/",
            "/dev/../etc",
            "/dev/sd\nb",
            "hcloud:",
            "hcloud:-1",
            "hcloud:+1",
            "hcloud:01",
            "hcloud:99999999999999999999",
            "LABEL=",
            "LABEL=a b",
            "LABEL=seventeen-letters",
            "LABEL=a\"b",
            "UUID=",
            "UUID=0a1b2c3d",
            "UUID=../../../../../../../etc/passwd/xxxxxxx",
        ] {
            assert!(text.parse::<Source>().is_err(), "{text:?}");
        }
    }
}
