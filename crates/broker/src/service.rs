//! What every request handler works with.

use crate::{
    admin::{AdminVerifier, Horizon},
    audit::Audit,
    clock::Clock,
    config,
    grant::Release,
    http::refusal::Refusal,
    judge::Judge,
    metrics::Metrics,
    policies::Policies,
    rate::RateLimit,
    readiness::Readiness,
    references::References,
    secrets::Secrets,
    session::Sessions,
    storage::Vault,
};
use sealwright_appraise::{Issuer, TokenVerifier};
use sealwright_channel::peers::Shared;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The broker's parts.
pub(crate) struct Service {
    pub(crate) clock: Clock,
    pub(crate) limits: config::Limits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) metrics_for: config::Metrics,
    /// The requests of each peer that are read or worked on.
    pub(crate) requests: Shared,
    /// The bytes of bodies that are held.
    pub(crate) bodies: Shared,
    /// What is worked on.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) auth_rate: RateLimit,
    /// How often whoever has shown nothing yet is refused with a line in the audit log.
    pub(crate) refusals: RateLimit,
    pub(crate) readiness: Readiness,
    pub(crate) sessions: Sessions<Arc<str>>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) audit: Audit,
    pub(crate) administrators: AdminVerifier,
    pub(crate) horizon: Horizon,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) policies: Arc<Policies>,
    pub(crate) references: Arc<References>,
    pub(crate) judge: Judge,
    pub(crate) release: Release,
    pub(crate) issuer: Issuer,
    pub(crate) token_verifier: TokenVerifier,
    /// For how many seconds a token, and the session that it came with, is good.
    pub(crate) lifetime: u64,
}

impl Service {
    /// Runs what may wait for the disk or for another process on a thread that may.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let service = Arc::clone(self);
        let span = tracing::Span::current();
        let done = tokio::task::spawn_blocking(move || span.in_scope(|| work(&service))).await;
        done.map_err(|error| Refusal::internal(&error))
    }

    /// Waits until nothing is worked on any more, and lets nothing be begun after that. Whoever went away without waiting for the answer is
    /// worked for all the same.
    pub(crate) async fn finish(&self) {
        let all = u32::try_from(self.limits.requests).unwrap_or(u32::MAX);
        if tokio::time::timeout(self.limits.shutdown_timeout, self.places.acquire_many(all)).await.is_err() {
            tracing::warn!("requests were still under way when the time to finish was over");
        }
        self.places.close();
    }
}
