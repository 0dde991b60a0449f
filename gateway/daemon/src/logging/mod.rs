//! Logs: journald with fields, readable lines on a terminal, or JSON lines.

mod journal;

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use systemd_journal_logger::JournalLog;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use journal::JournalLayer;

/// The shape of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Journald when systemd started the program, else readable lines.
    #[default]
    Auto,
    /// Readable lines on standard error.
    Pretty,
    /// JSON lines on standard error.
    Json,
    /// Journald, with fields such as `REQUEST_ID`.
    Journal,
}

/// The `[log]` section of every program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// The shape of the lines.
    pub format: LogFormat,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,gateway=debug`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".into() }
    }
}

/// Why logging can't begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not understood.
    #[error("log.level = \"{0}\" is not a filter: use error, warn, info, debug or trace")]
    Level(String),
    /// No journal is there.
    #[error(
        "failed to reach journald: choose log.format = \"pretty\" or \"json\" where systemd does not run"
    )]
    Journal(#[source] std::io::Error),
    /// Logging was begun before.
    #[error("logging was begun before")]
    Twice,
}

/// Begins logging for the whole process.
///
/// # Errors
/// [`LogError`].
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&settings.level).map_err(|_| LogError::Level(settings.level.clone()))?;
    let registry = tracing_subscriber::registry().with(filter);
    let lines = || tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let format = match settings.format {
        LogFormat::Auto if systemd_journal_logger::connected_to_journal() => LogFormat::Journal,
        LogFormat::Auto => LogFormat::Pretty,
        chosen => chosen,
    };
    match format {
        LogFormat::Journal => {
            let journal = JournalLog::new().map_err(LogError::Journal)?;
            registry.with(JournalLayer::new(journal)).try_init()
        }
        LogFormat::Json => registry.with(lines().json().flatten_event(true)).try_init(),
        LogFormat::Pretty | LogFormat::Auto => {
            let colours = std::io::stderr().is_terminal();
            registry.with(lines().with_ansi(colours).with_target(false)).try_init()
        }
    }
    .map_err(|_| LogError::Twice)
}
