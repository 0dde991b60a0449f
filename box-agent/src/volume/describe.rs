//! Tells an operator all about the volume, and changes nothing.

use std::fmt::Write as _;

use super::error::VolumeError;
use super::find;
use super::marker::{Marker, Seen, look};
use super::open::{Looked, Opening};
use super::place::Place;
use super::probe::Content;
use berth_daemon::exit::chain;

impl Opening<'_> {
    /// All that can be seen, and whether the volume is mounted and this box's.
    ///
    /// # Errors
    /// [`VolumeError`], when it can't be looked at.
    pub async fn describe(&self) -> Result<(String, bool), VolumeError> {
        let settings = self.settings;
        let mut text =
            format!("source:      {}\npath:        {}\n", settings.source, settings.path.display());
        if !settings.source.is_device() {
            let seen = look(&settings.path)?;
            let fine = matches!(&seen, Seen::Marked(marker) if marker.workspace == *self.workspace);
            text.push_str(&marker(Some(&seen)));
            text.push_str(&verdict(fine, None));
            return Ok((text, fine));
        }
        let tools = self.tools()?;
        let Some(device) = find::find(&settings.source, &tools).await? else {
            text.push_str("device:      not there\n");
            return Ok((text, false));
        };
        let looked = self.look(device, &tools).await?;
        text.push_str(&shown(&looked));
        let refusal = self.refuse_place(&looked).and_then(|()| self.decide(&looked).map(drop)).err();
        let fine = refusal.is_none() && looked.found.mounted;
        text.push_str(&verdict(fine, refusal.as_ref()));
        Ok((text, fine))
    }
}

fn shown(looked: &Looked) -> String {
    let (device, found) = (&looked.device, &looked.found);
    let place = match &looked.place {
        Place::Free => "no".to_owned(),
        Place::Ours { read_only: false } => "yes".to_owned(),
        Place::Ours { read_only: true } => "yes, read-only".to_owned(),
        Place::Elsewhere(point) => format!("at {}", point.display()),
        Place::Occupied(fs_type) => format!("no: {fs_type} is in its place"),
    };
    let content = match &found.content {
        Content::Nothing if found.blank => "nothing (blank)".to_owned(),
        Content::Nothing => "data of an unknown kind".to_owned(),
        Content::Ext4 => "ext4".to_owned(),
        Content::Other(name) => name.clone(),
        Content::Ambiguous => "several things at once".to_owned(),
    };
    let mut text = format!(
        "device:      {}{}\nidentity:    {}\nsize:        {} bytes\nmounted:     {place}\n",
        device.node.display(),
        if device.read_only { " (read-only)" } else { "" },
        device.identity.as_deref().unwrap_or("none"),
        device.size,
    );
    if matches!(looked.place, Place::Free | Place::Ours { read_only: false }) {
        // Writing to a string can't fail.
        let _ = writeln!(text, "content:     {content}");
        text.push_str(&marker(found.seen.as_ref()));
    }
    text
}

fn marker(seen: Option<&Seen>) -> String {
    match seen {
        Some(Seen::Marked(Marker { workspace, incarnation, device, .. })) => format!(
            "workspace:   {workspace}\nincarnation: {incarnation}\nmarked on:   {}\n",
            device.as_deref().unwrap_or("not said")
        ),
        Some(Seen::Empty) => "marker:      none; empty\n".into(),
        Some(Seen::Files(entry)) => format!("marker:      none; it has \"{entry}\"\n"),
        None => "marker:      not known before a check\n".into(),
    }
}

fn verdict(fine: bool, refusal: Option<&VolumeError>) -> String {
    match refusal {
        Some(refusal) => format!("verdict:     refused: {}\n", chain(refusal)),
        None if fine => "verdict:     in order\n".into(),
        None => "verdict:     not in use; the agent would take it\n".into(),
    }
}
