//! What is counted of previews.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The label of an error: one of [`super::Trouble`]'s stable words.
type Kind = [(&'static str, &'static str); 1];

/// Counters, shared by handle.
#[derive(Debug, Clone)]
pub struct Meters {
    /// Requests that were passed on to a dev server, or should have been.
    pub requests: Counter,
    /// Exchanges that go on, WebSockets among them.
    pub in_flight: Gauge,
    /// Bytes of bodies and WebSockets towards dev servers.
    pub inward_bytes: Counter,
    /// Bytes of bodies and WebSockets towards browsers.
    pub outward_bytes: Counter,
    /// From a request passed on to the head of its answer.
    pub answer_time: Histogram,
    errors: Family<Kind, Counter>,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            requests: Counter::default(),
            in_flight: Gauge::default(),
            inward_bytes: Counter::default(),
            outward_bytes: Counter::default(),
            // A millisecond to half a minute: files from memory, and pages that are compiled first.
            answer_time: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            errors: Family::default(),
        }
    }
}

impl Meters {
    /// A request had no answer of a dev server.
    pub fn failed(&self, kind: &'static str) {
        self.errors.get_or_create(&[("kind", kind)]).inc();
    }

    /// Makes them known to a scrape.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("preview_requests", "Requests for previews", self.requests.clone());
        registry.register("preview_in_flight", "Exchanges with dev servers now", self.in_flight.clone());
        registry.register("preview_inward_bytes", "Bytes towards dev servers", self.inward_bytes.clone());
        registry.register("preview_outward_bytes", "Bytes from dev servers", self.outward_bytes.clone());
        let help = "From a request passed on to the head of its answer";
        registry.register_with_unit("preview_answer", help, Unit::Seconds, self.answer_time.clone());
        let help = "Requests without an answer of a dev server, by kind";
        registry.register("preview_errors", help, self.errors.clone());
    }
}
