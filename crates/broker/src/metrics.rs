//! What the broker counts. No label holds a resource's path, a peer's address or anything about a workload.

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// The content type of [`Metrics::encode`] (OpenMetrics 1.0).
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An answered request.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Answered {
    /// The route's template, never its path.
    pub(crate) route: String,
    /// One of the methods that some route knows, or `other`.
    pub(crate) method: &'static str,
    /// The status code.
    pub(crate) status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Decision {
    decision: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Folder {
    folder: &'static str,
}

/// The broker's counters.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Histogram,
    decisions: Family<Decision, Counter>,
    turned_away: Family<Reason, Counter>,
    refused_files: Family<Folder, Gauge>,
    sessions: Family<State, Gauge>,
    connections: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("sealwright_broker");
        let requests = Family::default();
        registry.register("requests", "Answered requests", requests.clone());
        let seconds = Histogram::new(exponential_buckets(0.000_25, 2.0, 16));
        registry.register_with_unit("request_duration", "Time to an answer", Unit::Seconds, seconds.clone());
        let decisions = Family::default();
        registry.register("decisions", "Appraisals of evidence, and releases of secrets", decisions.clone());
        let turned_away = Family::default();
        registry.register("turned_away", "Connections and requests over a limit", turned_away.clone());
        let refused_files = Family::default();
        registry.register("refused_files", "Files of a folder that cannot be used", refused_files.clone());
        let sessions = Family::default();
        registry.register("sessions", "Sessions by state", sessions.clone());
        let connections = Gauge::default();
        registry.register("connections", "Open connections", connections.clone());
        Self { registry, requests, seconds, decisions, turned_away, refused_files, sessions, connections }
    }

    pub(crate) fn answered(&self, labels: &Answered, seconds: f64) {
        self.requests.get_or_create(labels).inc();
        self.seconds.observe(seconds);
    }

    /// `decision` is `attest` or `release`.
    pub(crate) fn decided(&self, decision: &'static str, yes: bool) {
        let verdict = if yes { "yes" } else { "no" };
        self.decisions.get_or_create(&Decision { decision, verdict }).inc();
    }

    pub(crate) fn turned_away(&self, reason: &'static str) {
        self.turned_away.get_or_create(&Reason { reason }).inc();
    }

    /// How many files of a folder, `collateral` or `references`, could not be used at the last look.
    pub(crate) fn refused_files(&self, folder: &'static str, count: usize) {
        self.refused_files.get_or_create(&Folder { folder }).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// The text of all counters. `challenged` and `attested` are the numbers of sessions now.
    pub(crate) fn encode(&self, challenged: usize, attested: usize) -> String {
        for (state, count) in [("challenged", challenged), ("attested", attested)] {
            self.sessions.get_or_create(&State { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

/// Counts as open until dropped.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
