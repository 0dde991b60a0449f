//! What systemd is told. Without systemd nobody listens, which is fine.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use super::disk::Gauge;
use crate::pulse::Pulses;

/// How often the watchdog is fed within its limit: one answer that comes late does no harm yet.
const FEEDS: u32 = 3;

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "failed to notify systemd");
    }
}

/// The line that `systemctl status` shows.
pub(super) fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// The start takes longer than usual, and goes on: it is not to be ended for that.
pub(super) fn extend(by: Duration) {
    let micros = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(micros)]);
}

/// The start is done.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The end has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Feeds the watchdog, when systemd has one for us, for as long as every loop in `pulses` answers. Otherwise systemd
/// ends the agent and starts it again. That would not help loops of the disk's thread which wait for a disk: such a
/// process does not even end, and terminals would.
pub(super) async fn watchdog(pulses: Pulses, of_disk: Pulses, gauge: Gauge, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return stop.cancelled().await;
    };
    let pause = limit / FEEDS;
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let feed = async {
        loop {
            ticks.tick().await;
            let (mut silent, waiting) = tokio::join!(pulses.silent(pause), of_disk.silent(pause));
            if !gauge.is_stuck() {
                silent.extend(waiting);
            } else if !waiting.is_empty() {
                tracing::warn!(parts = waiting.join(", "), "parts of the agent wait for the volume");
            }
            if silent.is_empty() {
                tell(&[NotifyState::Watchdog]);
            } else {
                tracing::error!(
                    parts = silent.join(", "),
                    "parts of the agent do not answer; the watchdog is not fed"
                );
            }
        }
    };
    tokio::select! {
        // Cancel-safe: nothing is kept.
        () = feed => {}
        () = stop.cancelled() => {}
    }
}
