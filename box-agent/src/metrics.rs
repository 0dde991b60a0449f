//! What the agent counts, as Prometheus reads it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use berth_protocol::attention::Evidence;
use berth_protocol::backup::{BackupRun, Outcome, Work};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::notify::signal::Signal;
use crate::store::outbox::Fill;

/// Buckets of the time from a signal to its event, seconds.
const PUBLISHED_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// A family of counters or histograms by evidence.
type ByEvidence<T> = Family<[(&'static str, &'static str); 1], T>;

/// The agent's counters. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Requests read at the door.
    pub door_requests: Counter,
    /// Connections of the door that the agent dialled.
    pub door_dial_backs: Counter,
    /// Terminals attached.
    pub attachments: Gauge,
    /// Sessions of Berth that run.
    pub sessions: Gauge,
    /// Panes whose output is tapped.
    pub taps: Gauge,
    attention_signals: ByEvidence<Counter>,
    attention_published: AttentionSeconds,
    attention_dropped: Counter,
    tap_restarts: Counter,
    ready_seconds: Gauge<f64, AtomicU64>,
    phase_seconds: Family<[(&'static str, &'static str); 1], Gauge<f64, AtomicU64>>,
    ttyd_restarts: Counter,
    link_connected: Gauge,
    link_welcomes: Counter,
    link_reconnects: Counter,
    outbox_events: Gauge,
    outbox_bytes: Gauge,
    backup_runs: Family<[(&'static str, &'static str); 2], Counter>,
    backup_seconds: Family<[(&'static str, &'static str); 1], Gauge<f64, AtomicU64>>,
    backup_bytes: Gauge,
    backup_added_bytes: Gauge,
    backup_good_timestamp: Gauge,
    backup_verified_timestamp: Gauge,
    backup_alarms: Gauge,
}

impl Metrics {
    /// Names everything for Prometheus.
    #[must_use]
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("box_agent");
        let ready = "Time from start to READY, 0 before that";
        registry.register("ready_seconds", ready, self.ready_seconds.clone());
        let phases = "Time that each step of the start took";
        registry.register("start_phase_seconds", phases, self.phase_seconds.clone());
        let requests = "Requests read at the door, whatever was answered";
        registry.register("door_requests", requests, self.door_requests.clone());
        let dial_backs = "Connections of the door that the agent dialled because a gateway asked";
        registry.register("door_dial_backs", dial_backs, self.door_dial_backs.clone());
        let restarts = "Starts of ttyd after the first";
        registry.register("ttyd_restarts", restarts, self.ttyd_restarts.clone());
        registry.register("attachments", "Terminals attached to sessions", self.attachments.clone());
        registry.register("sessions", "Sessions of Berth that run", self.sessions.clone());
        registry.register(
            "link_connected",
            "1 while the link to the gateway is up",
            self.link_connected.clone(),
        );
        let reconnects = "Times that the link came up again";
        registry.register("link_reconnects", reconnects, self.link_reconnects.clone());
        let events = "Events that the gateway has not acknowledged";
        registry.register("outbox_events", events, self.outbox_events.clone());
        let signals = "Evidence that sessions need their user, by its kind";
        registry.register("attention_signals", signals, self.attention_signals.clone());
        let published = "Time from a signal to its event in the outbox, what waited on purpose included";
        registry.register("attention_published_seconds", published, self.attention_published.0.clone());
        let dropped =
            "Messages of panes and steps of the ledger that were dropped because there were too many";
        registry.register("attention_dropped", dropped, self.attention_dropped.clone());
        registry.register("taps", "Panes whose output is tapped", self.taps.clone());
        let restarts = "Taps that were put back after one had ended";
        registry.register("tap_restarts", restarts, self.tap_restarts.clone());
        let bytes = "Bytes of payload of those events";
        registry.register("outbox_bytes", bytes, self.outbox_bytes.clone());
        let runs = "Runs of backups that have ended, by what they were for and how they ended";
        registry.register("backup_runs", runs, self.backup_runs.clone());
        let took = "Time that the last run of each kind took";
        registry.register("backup_duration_seconds", took, self.backup_seconds.clone());
        registry.register("backup_bytes", "Bytes in the last snapshot", self.backup_bytes.clone());
        let added = "Bytes that the last snapshot added to the repository";
        registry.register("backup_added_bytes", added, self.backup_added_bytes.clone());
        let good = "When the newest good backup began, seconds since 1970; 0: there is none";
        registry.register("backup_good_timestamp_seconds", good, self.backup_good_timestamp.clone());
        let verified = "When a backup was last read back and found right, seconds since 1970; 0: never";
        registry.register(
            "backup_verified_timestamp_seconds",
            verified,
            self.backup_verified_timestamp.clone(),
        );
        registry.register(
            "backup_alarms",
            "Promises about backups that are broken now",
            self.backup_alarms.clone(),
        );
        registry
    }

    /// A run has ended.
    pub fn backup_ended(&self, work: Work, outcome: Outcome, run: &BackupRun) {
        let kind = match work {
            Work::Backup => "backup",
            Work::Restore => "restore",
            Work::Drill => "drill",
            Work::Export => "export",
            Work::Unknown => "unknown",
        };
        let how = match outcome {
            Outcome::Good => "good",
            Outcome::Partial => "partial",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::Lost => "lost",
            Outcome::Unknown => "unknown",
        };
        self.backup_runs.get_or_create(&[("work", kind), ("outcome", how)]).inc();
        let millis = run.ended_ms.unwrap_or(run.began_ms).saturating_sub(run.began_ms).max(0);
        self.backup_seconds.get_or_create(&[("work", kind)]).set(millis as f64 / 1000.0);
        if work == Work::Backup && run.snapshot.is_some() {
            self.backup_bytes.set(i64::try_from(run.bytes).unwrap_or(i64::MAX));
            self.backup_added_bytes.set(i64::try_from(run.added_bytes).unwrap_or(i64::MAX));
        }
    }

    /// What is known of backups now, in seconds since 1970, 0 for never.
    pub fn backup_times(&self, good: i64, verified: i64, alarms: usize) {
        self.backup_good_timestamp.set(good);
        self.backup_verified_timestamp.set(verified);
        self.backup_alarms.set(i64::try_from(alarms).unwrap_or(i64::MAX));
    }

    /// A step of the start is done.
    pub fn phase_took(&self, phase: &'static str, elapsed: Duration) {
        self.phase_seconds.get_or_create(&[("phase", phase)]).set(elapsed.as_secs_f64());
    }

    /// The start is done.
    pub fn ready_after(&self, elapsed: Duration) {
        self.ready_seconds.set(elapsed.as_secs_f64());
    }

    /// The gateway said welcome.
    pub fn link_welcomed(&self) {
        self.link_connected.set(1);
        if self.link_welcomes.inc() > 0 {
            self.link_reconnects.inc();
        }
    }

    /// ttyd was started again this often, by its supervisor's own count.
    pub fn ttyd_restarted(&self, times: u64) {
        self.ttyd_restarts.inner().store(times, Ordering::Relaxed);
    }

    /// A piece of evidence came.
    pub fn signal_of(&self, signal: &Signal) {
        if let Some(kind) = kind_of(signal) {
            self.attention_signals.get_or_create(&[("evidence", kind)]).inc();
        }
    }

    /// The user is told of something, so long after its signal.
    pub fn published(&self, evidence: Evidence, elapsed: Duration) {
        let kind = name_of(evidence);
        self.attention_published.0.get_or_create(&[("evidence", kind)]).observe(elapsed.as_secs_f64());
    }

    /// So much was dropped.
    pub fn attention_dropped(&self, count: u64) {
        self.attention_dropped.inc_by(count);
    }

    /// A tap was put back.
    pub fn tap_restarted(&self) {
        self.tap_restarts.inc();
    }

    /// The link is down.
    pub fn link_lost(&self) {
        self.link_connected.set(0);
    }

    /// The outbox changed.
    pub fn outbox_fill(&self, fill: Fill) {
        self.outbox_events.set(i64::try_from(fill.events).unwrap_or(i64::MAX));
        self.outbox_bytes.set(i64::try_from(fill.bytes).unwrap_or(i64::MAX));
    }
}

/// Histograms of the time from a signal to its event.
#[derive(Debug, Clone)]
struct AttentionSeconds(ByEvidence<Histogram>);

impl Default for AttentionSeconds {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(PUBLISHED_BUCKETS)))
    }
}

/// What a signal counts as; what comes all the time counts as nothing.
fn kind_of(signal: &Signal) -> Option<&'static str> {
    match signal {
        Signal::Hook(_) => Some(name_of(Evidence::Hook)),
        Signal::Notice { .. } => Some(name_of(Evidence::Notice)),
        Signal::Bell { .. } => Some(name_of(Evidence::Bell)),
        Signal::Progress(_) => Some(name_of(Evidence::Progress)),
        Signal::Screen(seen) => seen.prompt.is_some().then_some(name_of(Evidence::Prompt)),
        Signal::Referee(seen) => seen.prompt.is_some().then_some(name_of(Evidence::Screen)),
        _ => None,
    }
}

fn name_of(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Hook => "hook",
        Evidence::Notice => "notice",
        Evidence::Progress => "progress",
        Evidence::Prompt => "prompt",
        Evidence::Bell => "bell",
        Evidence::Title => "title",
        Evidence::Screen => "screen",
        Evidence::Process => "process",
        Evidence::Silence => "silence",
        Evidence::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn names_are_as_documented() {
        let metrics = Metrics::default();
        metrics.link_welcomed();
        metrics.link_lost();
        metrics.link_welcomed();
        metrics.door_requests.inc();
        metrics.outbox_fill(Fill { events: 3, bytes: 70 });
        metrics.phase_took("volume", Duration::from_millis(500));
        metrics.ready_after(Duration::from_millis(250));
        metrics.signal_of(&Signal::Bell { lone: false });
        metrics.signal_of(&Signal::Output);
        metrics.published(Evidence::Bell, Duration::from_millis(7));
        let mut text = String::new();
        encode(&mut text, &metrics.registry()).unwrap();
        for line in [
            "box_agent_ready_seconds 0.25",
            "box_agent_start_phase_seconds{phase=\"volume\"} 0.5",
            "box_agent_door_requests_total 1",
            "box_agent_door_dial_backs_total 0",
            "box_agent_ttyd_restarts_total 0",
            "box_agent_link_connected 1",
            "box_agent_link_reconnects_total 1",
            "box_agent_attachments 0",
            "box_agent_attention_signals_total{evidence=\"bell\"} 1",
            "box_agent_attention_published_seconds_count{evidence=\"bell\"} 1",
            "box_agent_attention_published_seconds_bucket{le=\"0.01\",evidence=\"bell\"} 1",
            "box_agent_attention_dropped_total 0",
            "box_agent_taps 0",
            "box_agent_tap_restarts_total 0",
            "box_agent_outbox_events 3",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line} is not in\n{text}");
        }
    }
}
