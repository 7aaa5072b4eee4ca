//! What the server counts. No label holds an address or what machines somebody has.

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The content type of [`Metrics::encode`] (OpenMetrics 1.0).
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    /// The route's template, never its query.
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Verdict {
    freshness: &'static str,
}

/// The server's counters.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    bundles: Family<Verdict, Gauge>,
    items: Family<Verdict, Gauge>,
    turned_away: Counter,
    connections: Gauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("sealwright_collateral");
        let requests = Family::default();
        registry.register("requests", "Answered requests", requests.clone());
        let bundles = Family::default();
        registry.register("bundles", "Bundles by how fresh they are", bundles.clone());
        let items = Family::default();
        registry.register("items", "Items of AMD's and Hygon's by how fresh they are", items.clone());
        let turned_away = Counter::default();
        registry.register("turned_away", "Connections over a limit", turned_away.clone());
        let connections = Gauge::default();
        registry.register("connections", "Open connections", connections.clone());
        Self { registry, requests, bundles, items, turned_away, connections }
    }

    pub(super) fn answered(&self, route: &str, status: u16) {
        self.requests.get_or_create(&Answered { route: route.to_owned(), status }).inc();
    }

    pub(super) fn turned_away(&self) {
        self.turned_away.inc();
    }

    pub(super) fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// The text of all counters, with how many bundles and items there are of each freshness.
    pub(super) fn encode(&self, bundles: &[(&'static str, usize)], items: &[(&'static str, usize)]) -> String {
        for (family, counts) in [(&self.bundles, bundles), (&self.items, items)] {
            for &(freshness, count) in counts {
                family.get_or_create(&Verdict { freshness }).set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// Counts as open until dropped.
pub(super) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
