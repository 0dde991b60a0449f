//! The agent's settings: what the TOML file, `BOX_AGENT__…` variables and flags may say.
//!
//! `box-agent/config.reference.toml` is the commented reference; a test below holds it to this type.

mod backup;
mod notify;
mod tailscale;
mod template;
mod volume;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use berth_daemon::config::{self, ConfigError, Sources};
use berth_daemon::logging::LogSettings;
use berth_daemon::metrics::check_loopback;
use serde::{Deserialize, Serialize};

pub use backup::{BackupSettings, KeepSettings};
pub use notify::NotifySettings;
pub use tailscale::TailscaleSettings;
pub use template::{Pane, Template, start_directory};
pub use volume::{LayoutSettings, SuspendSettings, VolumeSettings};

/// The commented reference: every key with its default.
pub const REFERENCE: &str = include_str!("../../config.reference.toml");

/// Prefix of environment variables.
pub const ENV_PREFIX: &str = "BOX_AGENT";

/// The file that is read when none is named and this one exists.
pub const DEFAULT_FILE: &str = "/etc/box-agent/config.toml";

/// The template of sessions that name no other.
pub const DEFAULT_TEMPLATE: &str = "default";

/// A Unix socket's path has room for 107 bytes; the longest name that the agent adds leaves this much.
const MAX_SOCKET_PATH_BYTES: usize = 100;

/// All settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the box's identity is kept: on the root disk, never on the volume.
    pub state_dir: PathBuf,
    /// Where sockets are made.
    pub runtime_dir: PathBuf,
    /// The workspace volume.
    pub volume: VolumeSettings,
    /// The tree on it.
    pub layout: LayoutSettings,
    /// Backups of the volume.
    pub backup: BackupSettings,
    /// What is done before the volume is let go.
    pub suspend: SuspendSettings,
    /// What gateways reach.
    pub door: DoorSettings,
    /// The connection to the gateway.
    pub link: LinkSettings,
    /// The programs behind a terminal.
    pub terminal: TerminalSettings,
    /// What sessions are made of, by name.
    pub templates: BTreeMap<String, Template>,
    /// What users are told of sessions, and how that is known.
    pub notify: NotifySettings,
    /// The box's place in a tailnet.
    pub tailscale: TailscaleSettings,
    /// Prometheus text.
    pub metrics: MetricsSettings,
    /// Logs.
    pub log: LogSettings,
}

/// What gateways reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoorSettings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Public address that the gateway should dial; the link's own local address when absent.
    pub public_ip: Option<IpAddr>,
    /// Address in the tailnet, dialled second.
    pub tailscale_ip: Option<IpAddr>,
}

/// The connection to the gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkSettings {
    /// `host:port` of the gateway's link listener; the one of the enrolment when absent.
    pub address: Option<String>,
}

/// The programs behind a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TerminalSettings {
    /// ttyd: a name on `PATH` or a path.
    pub ttyd: PathBuf,
    /// tmux: a name on `PATH` or a path.
    pub tmux: PathBuf,
    /// The shell of panes; the user's, `/bin/bash` or `/bin/sh` when absent.
    pub shell: Option<PathBuf>,
    /// Who terminals run as; the agent's own user when absent.
    pub user: Option<String>,
    /// Where a tmux server that something else starts has its socket; the agent starts one when absent.
    pub tmux_directory: Option<PathBuf>,
}

/// Prometheus text on loopback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSettings {
    /// Address to listen on: loopback only.
    pub listen: SocketAddr,
}

impl Default for Settings {
    fn default() -> Self {
        let pane = |name: &str| Pane { name: name.into(), ..Pane::default() };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let agent =
            Pane { command: words(&["claude"]), resume: words(&["claude", "--continue"]), ..pane("agent") };
        let panes = vec![agent, pane("logs"), pane("shell")];
        Self {
            state_dir: "/var/lib/box-agent".into(),
            runtime_dir: "/run/box".into(),
            volume: VolumeSettings::default(),
            layout: LayoutSettings::default(),
            backup: BackupSettings::default(),
            suspend: SuspendSettings::default(),
            door: DoorSettings::default(),
            link: LinkSettings::default(),
            terminal: TerminalSettings::default(),
            templates: BTreeMap::from([(DEFAULT_TEMPLATE.to_owned(), Template { directory: None, panes })]),
            notify: NotifySettings::default(),
            tailscale: TailscaleSettings::default(),
            metrics: MetricsSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Default for DoorSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([0, 0, 0, 0], 7681)), public_ip: None, tailscale_ip: None }
    }
}

impl Default for TerminalSettings {
    fn default() -> Self {
        Self { ttyd: "ttyd".into(), tmux: "tmux".into(), shell: None, user: None, tmux_directory: None }
    }
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7684)) }
    }
}

impl Settings {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// [`ConfigError`], for the first problem found.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let settings: Self = config::load(sources)?;
        settings.check().map_err(ConfigError::Invalid)?;
        Ok(settings)
    }

    /// The home directory of terminals: where the settings say, else where it lies on the volume.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.layout.home.clone().unwrap_or_else(|| crate::volume::home(&self.volume.path))
    }

    fn check(&self) -> Result<(), String> {
        check_loopback(self.metrics.listen).map_err(|error| error.to_string())?;
        let directories = [("state_dir", &self.state_dir), ("runtime_dir", &self.runtime_dir)];
        let foreign = self.terminal.tmux_directory.iter().map(|path| ("terminal.tmux_directory", path));
        for (key, path) in directories.into_iter().chain(foreign) {
            // The agent's children have other working directories, so a relative path would mean two places.
            if !path.is_absolute() {
                return Err(format!("{key} = \"{}\" is not an absolute path", path.display()));
            }
        }
        // The longest name of a socket in it.
        let longest = self.runtime_dir.as_os_str().len() + "/terminal/ttyd.sock".len();
        if longest > MAX_SOCKET_PATH_BYTES {
            return Err(format!(
                "runtime_dir = \"{}\" is too long for the sockets in it ({longest} bytes, at most \
                 {MAX_SOCKET_PATH_BYTES}): choose a shorter one, such as /run/box",
                self.runtime_dir.display()
            ));
        }
        volume::check(&self.volume, &self.layout, &self.suspend)?;
        self.backup.check(&self.volume.path)?;
        self.tailscale.check()?;
        self.notify.check()?;
        let home = self.home();
        self.templates.iter().try_for_each(|(name, template)| template.check(name, &home))
    }
}

#[cfg(test)]
mod tests;
