//! How the box is doing, as an event every minute.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_daemon::exit::chain;
use berth_protocol::event::{Restarts, StartPhase, Telemetry};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::boot;
use crate::events::Events;
use crate::host::machine::{CpuTimes, disk, memory};
use crate::supervise::driver::Report;

/// The first event comes soon after the start, so that an operator sees a new box at once.
const FIRST_AFTER: Duration = Duration::from_secs(2);

/// The others follow at this pace.
const PERIOD: Duration = Duration::from_mins(1);

/// What telemetry tells of.
pub struct Sources {
    /// The workspace volume.
    pub volume: PathBuf,
    /// Where the times of this boot are kept.
    pub runtime_dir: PathBuf,
    /// How long each step of the start took.
    pub start_phases: Vec<StartPhase>,
    /// How ttyd is.
    pub ttyd: watch::Receiver<Report>,
}

/// Publishes until `stop`.
pub async fn run(events: Events, sources: Sources, stop: CancellationToken) {
    let mut cpu = CpuTimes::read().unwrap_or_default();
    let mut pause = FIRST_AFTER;
    let mut boot = None;
    loop {
        tokio::select! {
            // Cancel-safe, both: a timer and a token.
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = PERIOD;
        if boot.is_none() {
            boot = boot::phases(&sources.runtime_dir).await;
        }
        let published = match measure(&sources, boot.as_deref().unwrap_or_default(), &mut cpu) {
            Ok(telemetry) => {
                let payload = serde_json::to_value(telemetry).unwrap_or_default();
                events.publish(Telemetry::KIND, payload).await.map_err(|error| chain(&error))
            }
            Err(error) => Err(chain(&error)),
        };
        if let Err(error) = published {
            tracing::warn!(error, "failed to report how the box is doing");
        }
    }
}

fn measure(sources: &Sources, boot: &[StartPhase], last: &mut CpuTimes) -> io::Result<Telemetry> {
    let cpu = CpuTimes::read()?;
    let cpu_percent = cpu.percent_since(std::mem::replace(last, cpu));
    let (memory, disk) = (memory()?, disk(Path::new(&sources.volume))?);
    Ok(Telemetry {
        cpu_percent,
        memory_used_bytes: memory.used_bytes,
        memory_total_bytes: memory.total_bytes,
        disk_used_bytes: disk.used_bytes,
        disk_total_bytes: disk.total_bytes,
        start_phases: [boot, &sources.start_phases].concat(),
        restarts: vec![Restarts { program: "ttyd".into(), count: sources.ttyd.borrow().restarts }],
    })
}
