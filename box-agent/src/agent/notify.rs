//! What systemd is told. Without systemd nobody listens, which is fine.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

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
/// ends the agent and starts it again.
pub(super) async fn watchdog(pulses: Pulses, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return stop.cancelled().await;
    };
    let pause = limit / FEEDS;
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let feed = async {
        loop {
            ticks.tick().await;
            let silent = pulses.silent(pause).await;
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
