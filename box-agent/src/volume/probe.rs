//! What is on a device, as `blkid -p -o export` says it.

/// What a device holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing that blkid knows.
    Nothing,
    /// An ext4 file system.
    Ext4,
    /// Something else, by name: another file system, a partition table, a part of a RAID.
    Other(String),
    /// Several things at once.
    Ambiguous,
}

/// Exit code of blkid: nothing was found, or the device can't be read.
const NOTHING: i32 = 2;

/// Exit code of blkid: several things were found.
const AMBIVALENT: i32 = 8;

/// What blkid's answer means, if it is one. A complaint goes with no good answer: blkid has the same code for an
/// empty device and for one that it could not read.
#[must_use]
pub fn content(code: Option<i32>, said: &str, complaint: &str) -> Option<Content> {
    match code {
        Some(0) => found(said),
        Some(NOTHING) if said.trim().is_empty() && complaint.trim().is_empty() => Some(Content::Nothing),
        Some(AMBIVALENT) => Some(Content::Ambiguous),
        _ => None,
    }
}

fn found(said: &str) -> Option<Content> {
    let value = |name: &str| {
        said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).filter(|v| !v.is_empty())
    };
    match (value("TYPE"), value("PTTYPE")) {
        (Some("ext4"), None) => Some(Content::Ext4),
        (Some("ext4"), Some(_)) => Some(Content::Ambiguous),
        (Some(other), _) => Some(Content::Other(other.to_owned())),
        (None, Some(table)) => Some(Content::Other(format!("a partition table ({table})"))),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_blkid_are_understood() {
        let ext4 = "DEVNAME=/dev/loop0\nUUID=fa\nVERSION=1.0\nTYPE=ext4\nUSAGE=filesystem\n";
        let gpt = "DEVNAME=/dev/sda\nPTUUID=ab\nPTTYPE=gpt\n";
        let both = "DEVNAME=/dev/sda\nTYPE=ext4\nPTTYPE=dos\n";
        let raid = "DEVNAME=/dev/sda\nTYPE=linux_raid_member\nUSAGE=raid\n";
        for (code, said, complaint, means) in [
            (Some(0), ext4, "", Some(Content::Ext4)),
            (Some(0), raid, "", Some(Content::Other("linux_raid_member".into()))),
            (Some(0), gpt, "", Some(Content::Other("a partition table (gpt)".into()))),
            (Some(0), both, "", Some(Content::Ambiguous)),
            (Some(0), "", "", None),
            (Some(2), "", "", Some(Content::Nothing)),
            (Some(2), "", "blkid: error: /dev/sda: Input/output error\n", None),
            (Some(8), "", "", Some(Content::Ambiguous)),
            (Some(4), "", "usage", None),
            (None, "", "", None),
        ] {
            assert_eq!(content(code, said, complaint), means, "{code:?} {said:?}");
        }
    }
}
