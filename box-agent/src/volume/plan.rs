//! Decides what is to be done with a device, from what is wanted and what was found. Touches nothing.
//!
//! Whatever is not exactly as expected is refused: the disk may be somebody's only copy.

use berth_protocol::ids::WorkspaceId;

use super::marker::Seen;
use super::probe::Content;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose volume.
    pub workspace: WorkspaceId,
    /// Whether the settings say that the volume is new.
    pub new: bool,
    /// Whether this box has used a volume before: what was new then is not new any more.
    pub used_before: bool,
}

/// What was found on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What blkid says of it.
    pub content: Content,
    /// Whether every place that was looked at holds zeros. Only asked where blkid finds nothing.
    pub blank: bool,
    /// Whether nothing can be written to it.
    pub read_only: bool,
    /// Whether it is mounted where it belongs already, and can be written to.
    pub mounted: bool,
    /// What is on it, if it has a file system and that could be seen without touching it.
    pub seen: Option<Seen>,
    /// Which device it is, if that can be told.
    pub identity: Option<String>,
}

/// One thing to do, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make a file system.
    Format,
    /// Check the file system, and mend what can be mended without a question.
    Check,
    /// Mount it.
    Mount,
    /// Let the file system fill the device.
    Grow,
    /// Write the marker of a new volume.
    Mark,
    /// Write into the marker which device it is: an older agent did not.
    Name,
}

/// Why the device is not used. Each is said with its remedy by [`super::error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing can be written to it.
    ReadOnly,
    /// It is blank, and nobody said that it is new.
    Blank,
    /// It is blank, but this box has used a volume before, which this can't be.
    Replaced,
    /// blkid finds nothing, and yet there are bytes that say something.
    Unknown,
    /// Something else is on it.
    Other(String),
    /// Several things are on it at once.
    Ambiguous,
    /// It is another workspace's.
    OtherWorkspace(WorkspaceId),
    /// It is a copy, or was moved.
    OtherDevice {
        /// The device that its marker names.
        marked: String,
        /// The device that it is on.
        found: Option<String>,
    },
    /// It has no marker, but this entry.
    Files(String),
    /// It has no marker and nothing on it, and nobody said that it is new.
    Unmarked,
}

/// The steps for a device.
///
/// # Errors
/// [`Refusal`]; nothing may be done then.
pub fn plan(wanted: &Wanted, found: &Found) -> Result<Vec<Step>, Refusal> {
    if found.mounted {
        return Ok(marks(wanted, found)?.into_iter().collect());
    }
    if found.read_only {
        return Err(Refusal::ReadOnly);
    }
    match &found.content {
        Content::Nothing if !found.blank => Err(Refusal::Unknown),
        Content::Nothing if wanted.used_before => Err(Refusal::Replaced),
        Content::Nothing if !wanted.new => Err(Refusal::Blank),
        Content::Nothing => Ok(vec![Step::Format, Step::Mount, Step::Mark]),
        Content::Other(name) => Err(Refusal::Other(name.clone())),
        Content::Ambiguous => Err(Refusal::Ambiguous),
        Content::Ext4 => {
            let marks = marks(wanted, found)?;
            Ok([Step::Check, Step::Mount, Step::Grow].into_iter().chain(marks).collect())
        }
    }
}

/// What a file system's marker needs, if the volume is this box's.
fn marks(wanted: &Wanted, found: &Found) -> Result<Option<Step>, Refusal> {
    match &found.seen {
        Some(Seen::Marked(marker)) => {
            if marker.workspace != wanted.workspace {
                return Err(Refusal::OtherWorkspace(marker.workspace.clone()));
            }
            match &marker.device {
                None if found.identity.is_some() => Ok(Some(Step::Name)),
                Some(marked) if found.identity.as_ref() != Some(marked) => {
                    Err(Refusal::OtherDevice { marked: marked.clone(), found: found.identity.clone() })
                }
                _ => Ok(None),
            }
        }
        Some(Seen::Files(entry)) => Err(Refusal::Files(entry.clone())),
        Some(Seen::Empty) if wanted.used_before => Err(Refusal::Replaced),
        // A start that was cut short between the file system and the marker.
        Some(Seen::Empty) if wanted.new => Ok(Some(Step::Mark)),
        Some(Seen::Empty) => Err(Refusal::Unmarked),
        // Its journal has to be written back first; it is looked at again when it is mounted.
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::marker::Marker;
    use super::*;

    fn wanted(new: bool) -> Wanted {
        Wanted { workspace: WorkspaceId::random(), new, used_before: false }
    }

    fn found(content: Content) -> Found {
        let identity = Some("hcloud:1".to_owned());
        Found { content, blank: false, read_only: false, mounted: false, seen: None, identity }
    }

    fn marked(wanted: &Wanted, device: Option<&str>) -> Found {
        let marker = Marker::new(wanted.workspace.clone(), device.map(str::to_owned));
        Found { seen: Some(Seen::Marked(marker)), ..found(Content::Ext4) }
    }

    #[test]
    fn only_what_is_new_and_blank_is_formatted() {
        let contents = [Content::Nothing, Content::Ext4, Content::Other("xfs".into()), Content::Ambiguous];
        let mut formatted = 0;
        for content in contents {
            for bits in 0..32u32 {
                let bit = |n: u32| bits & (1 << n) != 0;
                let wanted = Wanted { used_before: bit(0), ..wanted(bit(1)) };
                let found = Found {
                    blank: bit(2),
                    read_only: bit(3),
                    mounted: bit(4),
                    seen: Some(Seen::Empty),
                    ..found(content.clone())
                };
                if plan(&wanted, &found).is_ok_and(|steps| steps.contains(&Step::Format)) {
                    assert!(wanted.new && !wanted.used_before && found.blank);
                    assert!(!found.read_only && !found.mounted && content == Content::Nothing);
                    formatted += 1;
                }
            }
        }
        assert_eq!(formatted, 1);
    }

    #[test]
    fn a_volume_of_this_box_is_checked_mounted_and_grown() {
        let wanted = wanted(true);
        let steps = [Step::Check, Step::Mount, Step::Grow];
        assert_eq!(plan(&wanted, &marked(&wanted, Some("hcloud:1"))).unwrap(), steps);
        let named = [&steps[..], &[Step::Name]].concat();
        assert_eq!(plan(&wanted, &marked(&wanted, None)).unwrap(), named, "an older agent's marker");
        let mounted = Found { mounted: true, ..marked(&wanted, Some("hcloud:1")) };
        assert_eq!(plan(&wanted, &mounted).unwrap(), []);
    }

    #[test]
    fn a_start_that_was_cut_short_is_finished_and_a_stranger_is_not_marked() {
        let empty = Found { seen: Some(Seen::Empty), ..found(Content::Ext4) };
        let steps = [Step::Check, Step::Mount, Step::Grow, Step::Mark];
        assert_eq!(plan(&wanted(true), &empty).unwrap(), steps);
        assert_eq!(plan(&wanted(false), &empty), Err(Refusal::Unmarked));
        let used = Wanted { used_before: true, ..wanted(true) };
        assert_eq!(plan(&used, &empty), Err(Refusal::Replaced));
        let files = Found { seen: Some(Seen::Files("thesis".into())), ..found(Content::Ext4) };
        assert_eq!(plan(&wanted(true), &files), Err(Refusal::Files("thesis".into())));
    }

    #[test]
    fn copies_and_other_workspaces_are_refused_also_when_mounted() {
        let wanted = wanted(true);
        for mounted in [false, true] {
            let copy = Found { mounted, ..marked(&wanted, Some("hcloud:2")) };
            let refusal = Refusal::OtherDevice { marked: "hcloud:2".into(), found: Some("hcloud:1".into()) };
            assert_eq!(plan(&wanted, &copy), Err(refusal));
            let nameless = Found { identity: None, ..copy };
            assert!(matches!(plan(&wanted, &nameless), Err(Refusal::OtherDevice { found: None, .. })));
            let other = Wanted { workspace: WorkspaceId::random(), ..wanted.clone() };
            let theirs = Found { mounted, ..marked(&other, Some("hcloud:1")) };
            assert_eq!(plan(&wanted, &theirs), Err(Refusal::OtherWorkspace(other.workspace)));
        }
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        for (content, refusal) in [
            (Content::Nothing, Refusal::Unknown),
            (Content::Other("xfs".into()), Refusal::Other("xfs".into())),
            (Content::Ambiguous, Refusal::Ambiguous),
        ] {
            assert_eq!(plan(&wanted(true), &found(content)), Err(refusal));
        }
        let blank = Found { blank: true, ..found(Content::Nothing) };
        assert_eq!(plan(&wanted(false), &blank), Err(Refusal::Blank));
        let wanted = wanted(true);
        let read_only = Found { read_only: true, ..marked(&wanted, Some("hcloud:1")) };
        assert_eq!(plan(&wanted, &read_only), Err(Refusal::ReadOnly));
    }
}
