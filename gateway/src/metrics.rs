//! What the gateway counts.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::notifications;
use crate::preview;
use crate::relay::Meters;

/// A label with one of the relay's stable words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Why {
    /// The word.
    pub reason: &'static str,
}

use crate::boxes::Route;

/// The label of what is counted by route.
type ByRoute = [(&'static str, &'static str); 1];

fn by(route: Route) -> ByRoute {
    [("route", route.as_str())]
}

/// Counters and gauges that subsystems raise.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Requests answered on the front.
    pub requests: Counter,
    /// Terminals open now.
    pub terminals: Gauge,
    /// Terminals opened since the start.
    pub terminals_opened: Counter,
    /// Terminals that have ended, by reason: whatever is not the browser's own wish makes a page come again.
    pub terminals_closed: Family<Why, Counter>,
    /// Terminals of a client that had one at the same session before, by how that one ended.
    pub terminals_reconnected: Family<Why, Counter>,
    /// Messages of browsers that were refused, by reason; each ended its terminal.
    pub messages_refused: Family<Why, Counter>,
    /// What terminals count while they run.
    pub relay: Meters,
    /// What previews count.
    pub previews: preview::Meters,
    /// What notifications count.
    pub notifications: notifications::Meters,
    /// Links open now.
    pub links: Gauge,
    /// Links begun since the start: with one box, all but the first are reconnections.
    pub links_begun: Counter,
    /// Boxes that answer, by route.
    boxes_online: Family<ByRoute, Gauge>,
    /// Connections made with doors, by route.
    door_connections: Family<ByRoute, Counter>,
    /// Connections that boxes made and nobody waited for.
    pub dial_backs_dropped: Counter,
    /// Events stored.
    pub events: Counter,
    /// Sign-ins that succeeded.
    pub sign_ins: Counter,
}

impl Metrics {
    /// The registry that a scrape reads.
    #[must_use]
    pub fn registry(self: &Arc<Self>) -> Registry {
        let mut registry = Registry::with_prefix("gateway");
        registry.register("front_requests", "Requests answered on the front", self.requests.clone());
        registry.register("terminals_open", "Terminals open now", self.terminals.clone());
        registry.register("terminals_opened", "Terminals opened", self.terminals_opened.clone());
        registry.register("terminals_closed", "Terminals ended, by reason", self.terminals_closed.clone());
        let help = "Terminals of clients that came again, by how the one before had ended";
        registry.register("terminals_reconnected", help, self.terminals_reconnected.clone());
        let refused = self.messages_refused.clone();
        registry.register("terminal_messages_refused", "Messages of browsers refused, by reason", refused);
        let Meters { input_bytes, output_bytes, stalls, renewals, round_trip } = self.relay.clone();
        registry.register("terminal_input_bytes", "Terminal input relayed", input_bytes);
        registry.register("terminal_output_bytes", "Terminal output relayed", output_bytes);
        registry.register(
            "terminal_stalls",
            "Times a page fell so far behind that its box was not read",
            stalls,
        );
        let help =
            "Terminals attached anew after a stall, because what their clients were about to see was old";
        registry.register("terminal_renewals", help, renewals);
        let help = "From input passed on to the output that followed";
        registry.register_with_unit("terminal_round_trip", help, Unit::Seconds, round_trip);
        self.previews.register(&mut registry);
        self.notifications.register(&mut registry);
        registry.register("links_open", "Links of boxes open now", self.links.clone());
        registry.register("links_begun", "Links of boxes begun", self.links_begun.clone());
        let online = "Boxes that answer, by the way on which they do";
        registry.register("boxes_online", online, self.boxes_online.clone());
        let connections = "Connections made with doors of boxes, by the way that led there";
        registry.register("door_connections", connections, self.door_connections.clone());
        let dropped = "Connections that boxes dialled back and nobody waited for";
        registry.register("dial_backs_dropped", dropped, self.dial_backs_dropped.clone());
        registry.register("events_stored", "Events of boxes stored", self.events.clone());
        registry.register("sign_ins", "Sign-ins that succeeded", self.sign_ins.clone());
        registry
    }

    /// A box answers by another way than before; none means that it does not answer.
    pub fn box_route_changed(&self, before: Option<Route>, after: Option<Route>) {
        if let Some(route) = before {
            self.boxes_online.get_or_create(&by(route)).dec();
        }
        if let Some(route) = after {
            self.boxes_online.get_or_create(&by(route)).inc();
        }
    }

    /// A connection with a door was made.
    pub fn door_connection(&self, route: Route) {
        self.door_connections.get_or_create(&by(route)).inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn every_metric_is_in_the_readme() {
        let mut scrape = String::new();
        encode(&mut scrape, &Arc::new(Metrics::default()).registry()).unwrap();
        let names = scrape.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
        let names: Vec<_> = names.collect();
        assert!(names.len() > 15, "{names:?}");
        let readme = include_str!("../README.md");
        let missing: Vec<_> = names.iter().filter(|name| !readme.contains(**name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
