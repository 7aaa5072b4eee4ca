//! The broker's face: routes, and what holds for all of them.

mod administration;
mod body;
mod cookie;
mod layer;
mod operations;
mod protocol;
pub(crate) mod record;
pub(crate) mod refusal;
mod rest;

use crate::{admin::OWN_PREFIX, service::Service};
use axum::{Router, middleware, routing};
use refusal::Refusal;
use sealwright_wire::kbs::PREFIX;
use std::sync::Arc;

/// All routes over one service.
pub(crate) fn router(service: &Arc<Service>) -> Router {
    let bounded = middleware::from_fn_with_state(Arc::clone(service), layer::bounded);
    let observed = middleware::from_fn_with_state(Arc::clone(service), layer::observed);
    let read = middleware::from_fn_with_state(Arc::clone(service), rest::read);
    protocol_routes()
        .merge(administration_routes())
        .route_layer(bounded)
        .route("/healthz", routing::get(operations::health))
        .route("/readyz", routing::get(operations::ready))
        .route("/metrics", routing::get(operations::metrics))
        .fallback(|| async { Refusal::not_found("there is no such route") })
        .method_not_allowed_fallback(|| async { Refusal::method() })
        .layer(observed)
        .layer(read)
        .with_state(Arc::clone(service))
}

/// A route of the key protocol. Routes are not nested: a nested one sees another path than the one that was signed.
fn kbs(route: &str) -> String {
    format!("{PREFIX}/{route}")
}

fn protocol_routes() -> Router<Arc<Service>> {
    Router::new()
        .route(&kbs("auth"), routing::post(protocol::auth))
        .route(&kbs("attest"), routing::post(protocol::attest))
        .route(
            &kbs("resource/{*path}"),
            routing::get(protocol::resource)
                .post(administration::put_secret)
                .put(administration::put_secret)
                .delete(administration::delete_secret),
        )
}

fn administration_routes() -> Router<Arc<Service>> {
    Router::new()
        .route(&kbs("resource"), routing::get(administration::list_secrets))
        .route(
            &kbs("attestation-policy"),
            routing::get(administration::attestation_policy)
                .post(administration::set_attestation_policy)
                .delete(administration::reset_attestation_policy),
        )
        .route(
            &kbs("resource-policy"),
            routing::get(administration::resource_policies)
                .post(administration::set_resource_policy)
                .delete(administration::reset_resource_policy),
        )
        .route(&kbs("reference-value"), routing::get(administration::list_references))
        .route(
            &kbs("reference-value/{name}"),
            routing::get(administration::get_reference)
                .post(administration::set_reference)
                .delete(administration::delete_reference),
        )
        .route(&format!("{OWN_PREFIX}/audit"), routing::get(administration::audit))
}
