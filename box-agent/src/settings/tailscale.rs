//! What the settings say of the tailnet.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The longest name of a machine.
const MAX_NAME_BYTES: usize = 63;

/// The box's place in a tailnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TailscaleSettings {
    /// Whether the box joins one.
    pub enabled: bool,
    /// Tailscale's program: a name on `PATH` or a path.
    pub program: PathBuf,
    /// A file with the key to join with.
    pub auth_key_file: Option<PathBuf>,
    /// The name in the tailnet; the machine's when absent.
    pub hostname: Option<String>,
    /// Tags that the machine asks for.
    pub tags: Vec<String>,
    /// Whether Tailscale's own SSH is switched on.
    pub ssh: bool,
    /// The daemon's systemd unit, to be started once the volume is there.
    pub unit: Option<String>,
}

impl Default for TailscaleSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            program: "tailscale".into(),
            auth_key_file: None,
            hostname: None,
            tags: Vec::new(),
            ssh: false,
            unit: None,
        }
    }
}

impl TailscaleSettings {
    /// Finds what can't be meant. These values become arguments of a program.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(file) = self.auth_key_file.as_ref().filter(|file| !file.is_absolute()) {
            return Err(format!("tailscale.auth_key_file = \"{}\" is not an absolute path", file.display()));
        }
        if let Some(name) = self.hostname.as_ref().filter(|name| !is_label(name)) {
            return Err(format!(
                "tailscale.hostname = \"{name}\" is no name of a machine: use letters, digits and -, at most \
                 {MAX_NAME_BYTES}"
            ));
        }
        if let Some(tag) = self.tags.iter().find(|tag| !tag.strip_prefix("tag:").is_some_and(is_label)) {
            return Err(format!("tailscale.tags has \"{tag}\": a tag looks like tag:box"));
        }
        let is_unit = |unit: &str| {
            unit.ends_with(".service")
                && unit.chars().all(|c| c.is_ascii_alphanumeric() || ".-_@".contains(c))
                && !unit.starts_with('-')
        };
        match self.unit.as_ref().filter(|unit| !is_unit(unit)) {
            Some(unit) => {
                Err(format!("tailscale.unit = \"{unit}\" is no name of a service: use tailscaled.service"))
            }
            None => Ok(()),
        }
    }
}

fn is_label(name: &str) -> bool {
    let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    letters && !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_another_argument_is_refused_by_name() {
        let fine = TailscaleSettings {
            auth_key_file: Some("/run/key".into()),
            hostname: Some("box-1".into()),
            tags: vec!["tag:box".into()],
            unit: Some("tailscaled.service".into()),
            ..TailscaleSettings::default()
        };
        assert_eq!(fine.check(), Ok(()));
        let bad = [
            TailscaleSettings { auth_key_file: Some("key".into()), ..fine.clone() },
            TailscaleSettings { hostname: Some("a b".into()), ..fine.clone() },
            TailscaleSettings { hostname: Some(String::new()), ..fine.clone() },
            TailscaleSettings { tags: vec!["box,tag:x".into()], ..fine.clone() },
            TailscaleSettings { unit: Some("--now".into()), ..fine.clone() },
        ];
        for (settings, key) in bad.iter().zip(["auth_key_file", "hostname", "hostname", "tags", "unit"]) {
            assert!(settings.check().unwrap_err().contains(key), "{settings:?}");
        }
    }
}
