//! Health, readiness and metrics.

use super::{administration, refusal::Refusal};
use crate::{audit::Event, config, metrics, service::Service};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// Whether the process answers.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// Whether the broker can do its work: its database can be read.
pub(crate) async fn ready(State(service): State<Arc<Service>>) -> Result<&'static str, Refusal> {
    let vault = Arc::clone(&service.vault);
    let look =
        move || vault.probe().inspect_err(|error| tracing::error!(%error, "the database cannot be read")).is_ok();
    if service.readiness.ask(look).await {
        Ok("ready\n")
    } else {
        Err(Refusal::unavailable("the database cannot be read"))
    }
}

/// The counters, for whom the configuration says.
pub(crate) async fn metrics(State(service): State<Arc<Service>>, request: Request) -> Result<Response, Refusal> {
    match service.metrics_for {
        config::Metrics::Off => return Err(Refusal::not_found("there is no such route")),
        config::Metrics::Admin => {
            let request = administration::authorised(&service, request).await?;
            administration::give(&service, request.entry(&service, Event::MetricsGet, None), Ok(())).await?;
        }
        config::Metrics::Open => {}
    }
    let (challenged, attested) = service.sessions.counts(service.clock.now());
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE))];
    Ok((content_type, service.metrics.encode(challenged, attested)).into_response())
}
