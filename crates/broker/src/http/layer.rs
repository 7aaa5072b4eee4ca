//! What holds for every request: a name by which it is found again, a count, a place.

use super::refusal::Refusal;
use crate::{metrics::Answered, service::Service};
use aws_lc_rs::rand;
use axum::{
    extract::{MatchedPath, Request, State},
    http::{Extensions, HeaderValue, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sealwright_channel::peers::Peer;
use sealwright_wire::kbs::REQUEST_ID;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

/// A place among all that is worked on, given back when dropped.
pub(super) type Place = OwnedSemaphorePermit;

/// How long a request waits for a place before it is turned away.
const PATIENCE: Duration = Duration::from_secs(1);

/// A request's name: 16 hex digits, made here. What a client sends in its place is not used.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

impl RequestId {
    fn random() -> Self {
        let mut id = [0; 8];
        // Without random bytes no challenge is made either; a name of zeros only makes the log harder to read.
        let _ = rand::fill(&mut id);
        Self(hex::encode(id).into())
    }
}

/// Names the request, and counts and logs its answer. The log has the route's template: a path may name a secret.
pub(crate) async fn observed(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::random();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = known_method(request.method());
    request.extensions_mut().insert(id.clone());
    let span = tracing::info_span!("request", id = &*id.0, method, route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    service.metrics.answered(&Answered { route, method, status }, elapsed.as_secs_f64());
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    span.in_scope(|| tracing::info!(status, micros = elapsed.as_micros(), "answered"));
    response
}

/// A label must not be whatever a client chose to send.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Whose request it is. The server says so of every connection.
pub(super) fn peer(extensions: &Extensions) -> Peer {
    extensions.get::<Peer>().copied().unwrap_or_default()
}

/// Lets so many requests of one peer through at a time. What was begun is finished whether or not somebody still waits for the answer: work
/// on another thread is not called off when its client goes away, so the place may not be given back before, and what is on record as
/// done is done.
pub(crate) async fn bounded(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let Ok(place) = service.requests.take(peer(request.extensions()), 1) else {
        service.metrics.turned_away("requests-of-peer");
        return Refusal::too_often(1).into_response();
    };
    let work = async move {
        let _place = place;
        next.run(request).await
    };
    let answer = tokio::spawn(work.in_current_span()).await;
    answer.unwrap_or_else(|error| Refusal::internal(&error).into_response())
}

/// Waits a moment for a place among all that is worked on. It is asked for when a request has come whole, so that nobody keeps one by
/// sending slowly.
pub(super) async fn place(service: &Service) -> Result<Place, Refusal> {
    let place = Arc::clone(&service.places).acquire_owned();
    // Without a place in time, or when the broker is about to stop.
    tokio::time::timeout(PATIENCE, place).await.ok().and_then(Result::ok).ok_or_else(|| {
        service.metrics.turned_away("requests");
        Refusal::busy()
    })
}
