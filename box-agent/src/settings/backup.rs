//! Settings of backups: where to, when, how much is kept.

use std::path::PathBuf;

use berth_protocol::backup::Repository;
use serde::{Deserialize, Serialize};

/// Backups of the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupSettings {
    /// restic: a name on `PATH` or a path.
    pub restic: PathBuf,
    /// restic's cache: never on the volume.
    pub cache: PathBuf,
    /// Where backups go, if this machine's operator says it; else the gateway does.
    pub repository: Option<Repository>,
    /// The keys of that repository can add and not delete.
    pub add_only: bool,
    /// The directory with the files of its credentials; systemd's when absent.
    pub credentials: Option<PathBuf>,
    /// The time zone of `at`, such as Europe/Berlin.
    pub zone: String,
    /// When the nightly backup is due, such as 03:15.
    pub at: String,
    /// It begins up to so much later, so that not all boxes begin at once.
    pub jitter_secs: u64,
    /// Patterns that are left out, besides caches and what can be built anew.
    pub exclude: Vec<String>,
    /// More directories of the volume, below `system`.
    pub also: Vec<String>,
    /// What is kept of the last days, weeks and months.
    pub keep: KeepSettings,
    /// How often space of forgotten snapshots is given back.
    pub prune_secs: u64,
    /// How often backups are read back.
    pub drill_secs: u64,
    /// How old the newest good backup may get before the user is told.
    pub promise_secs: u64,
    /// How long ago the last successful reading back may be before the user is told.
    pub unverified_secs: u64,
    /// How long a run may take.
    pub deadline_secs: u64,
    /// How long a backup before a suspension may take.
    pub suspend_deadline_secs: u64,
    /// How long the repository may take until it is open.
    pub open_deadline_secs: u64,
    /// How long nothing may go on before a run is given up.
    pub stall_secs: u64,
    /// How long new keys may be refused before that counts.
    pub new_keys_secs: u64,
    /// Pause between attempts with new keys.
    pub new_keys_pause_secs: u64,
    /// How long each of the user's hooks may take.
    pub hook_deadline_secs: u64,
    /// SQLite databases of the user are copied whole before each backup.
    pub databases: bool,
    /// How long that may take.
    pub databases_deadline_secs: u64,
    /// Bytes of one that is copied, at most.
    pub databases_max_bytes: u64,
    /// Memory that restic may use under systemd, as systemd writes it.
    pub memory_max: String,
}

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepSettings {
    /// The last of each day, for so many days.
    pub daily: u32,
    /// The last of each week.
    pub weekly: u32,
    /// The last of each month.
    pub monthly: u32,
}

impl Default for KeepSettings {
    fn default() -> Self {
        Self { daily: 7, weekly: 4, monthly: 6 }
    }
}

impl Default for BackupSettings {
    fn default() -> Self {
        Self {
            restic: "restic".into(),
            cache: "/var/cache/box-agent".into(),
            repository: None,
            add_only: false,
            credentials: None,
            zone: "UTC".into(),
            at: "03:15".into(),
            jitter_secs: 1800,
            exclude: Vec::new(),
            also: Vec::new(),
            keep: KeepSettings::default(),
            prune_secs: 604_800,
            drill_secs: 604_800,
            promise_secs: 93_600,
            unverified_secs: 1_209_600,
            deadline_secs: 21_600,
            suspend_deadline_secs: 600,
            open_deadline_secs: 120,
            stall_secs: 300,
            new_keys_secs: 180,
            new_keys_pause_secs: 5,
            hook_deadline_secs: 300,
            databases: true,
            databases_deadline_secs: 120,
            databases_max_bytes: 1 << 30,
            memory_max: "1G".into(),
        }
    }
}

impl BackupSettings {
    /// What is wrong with them, if something is.
    pub(super) fn check(&self, volume: &std::path::Path) -> Result<(), String> {
        if !self.cache.is_absolute() || self.cache.starts_with(volume) {
            let cache = self.cache.display();
            return Err(format!("backup.cache = \"{cache}\" is not an absolute path beside the volume"));
        }
        if let Some(path) = self.credentials.as_ref().filter(|path| !path.is_absolute()) {
            return Err(format!("backup.credentials = \"{}\" is not an absolute path", path.display()));
        }
        if let Some(repository) = &self.repository {
            repository.check().map_err(|error| format!("backup.repository: {error}"))?;
        }
        crate::backup::plan::schedule::Schedule::parse(&self.zone, &self.at)?;
        for pattern in &self.exclude {
            if pattern.is_empty() || pattern.starts_with('!') || pattern.contains(['\n', '\0']) {
                return Err(format!("backup.exclude has {pattern:?}, which is no pattern"));
            }
        }
        for path in &self.also {
            let plain = path.split('/').all(|word| !matches!(word, "" | "." | ".."));
            if !plain || !path.starts_with("system/") {
                return Err(format!("backup.also has {path:?}, which is no directory below system"));
            }
        }
        if self.keep.daily == 0 && self.keep.weekly == 0 && self.keep.monthly == 0 {
            return Err("backup.keep keeps nothing: keep at least one".into());
        }
        let digits = self.memory_max.trim_end_matches(['K', 'M', 'G']);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("backup.memory_max = \"{}\" is not a size such as 1G", self.memory_max));
        }
        for (key, seconds) in [
            ("prune_secs", self.prune_secs),
            ("drill_secs", self.drill_secs),
            ("promise_secs", self.promise_secs),
            ("unverified_secs", self.unverified_secs),
            ("deadline_secs", self.deadline_secs),
            ("suspend_deadline_secs", self.suspend_deadline_secs),
            ("open_deadline_secs", self.open_deadline_secs),
            ("stall_secs", self.stall_secs),
            ("new_keys_pause_secs", self.new_keys_pause_secs),
            ("hook_deadline_secs", self.hook_deadline_secs),
            ("databases_deadline_secs", self.databases_deadline_secs),
        ] {
            if !(1..=31_536_000).contains(&seconds) {
                return Err(format!("backup.{key} = {seconds} is not between 1 and 31536000"));
            }
        }
        if self.jitter_secs > 43_200 || self.new_keys_secs > 3600 {
            return Err(
                "backup.jitter_secs is more than 43200, or backup.new_keys_secs more than 3600".into()
            );
        }
        Ok(())
    }
}
