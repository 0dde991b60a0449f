//! Settings of previews: their hosts, and their bounds.

use serde::{Deserialize, Serialize};

use crate::preview::{ON_ONE_MACHINE, Template};

/// Dev servers of boxes, each with an origin of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreviewSettings {
    /// The hosts, with `{preview}` and `{workspace}`; on a loopback console below `localhost` when absent, and
    /// otherwise there are no previews.
    pub host: Option<String>,
    /// The lowest port that can be published.
    pub lowest_port: u16,
    /// How long a dev server may take to begin an answer, seconds.
    pub answer_secs: u64,
    /// Exchanges with one preview at the same time.
    pub in_flight: u16,
}

impl Default for PreviewSettings {
    fn default() -> Self {
        Self { host: None, lowest_port: 1024, answer_secs: 120, in_flight: 256 }
    }
}

impl PreviewSettings {
    /// The template of hosts, if there are to be previews.
    #[must_use]
    pub fn template(&self, on_one_machine: bool) -> Option<Template> {
        let host = self.host.as_deref().or(on_one_machine.then_some(ON_ONE_MACHINE))?;
        // Checked when the settings were read.
        host.parse().ok()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(host) = &self.host {
            host.parse::<Template>()
                .map_err(|error| format!("preview.host = \"{host}\" makes no hosts: {error}"))?;
        }
        for (name, value) in [
            ("lowest_port", u64::from(self.lowest_port)),
            ("answer_secs", self.answer_secs),
            ("in_flight", u64::from(self.in_flight)),
        ] {
            if value == 0 {
                return Err(format!("preview.{name} = 0: use 1 or more"));
            }
        }
        Ok(())
    }
}
