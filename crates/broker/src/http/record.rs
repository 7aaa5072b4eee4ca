//! Refusals of whoever has shown nothing yet. They are decisions too, and on record; but anybody can bring them about, so an address that
//! is refused more often than the log should hold is turned away instead.

use super::{
    layer::{RequestId, peer},
    refusal::Refusal,
};
use crate::{
    admin::shown,
    audit::{Decided, Entry, Event},
    service::Service,
};
use axum::http::request::Parts;
use sealwright_appraise::Explanation;
use std::time::Instant;

/// How many such refusals of one address are recorded in a second, in the long run.
pub(crate) const PER_SECOND: u32 = 1;
/// How many are recorded at once.
pub(crate) const BURST: u32 = 100;

/// Records a refusal, so that it may be answered.
pub(super) async fn refused(
    service: &Service,
    head: &Parts,
    event: Event,
    explanation: &Explanation,
) -> Result<(), Refusal> {
    if let Err(wait) = service.refusals.take(peer(&head.extensions), Instant::now()) {
        service.metrics.turned_away("refusals");
        return Err(Refusal::too_often(wait.as_secs().saturating_add(1)));
    }
    let mut entry = Entry::new(service.clock.now(), event, Decided::No).explained(explanation);
    entry.request = request_id(head);
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    entry.resource = Some(shown(&format!("{} {target}", head.method)));
    service.audit.record(entry).await?;
    Ok(())
}

/// The request's name, as entries have it.
pub(super) fn request_id(head: &Parts) -> Option<String> {
    head.extensions.get::<RequestId>().map(|id| id.0.to_string())
}
