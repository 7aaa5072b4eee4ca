//! The routes.

use super::{
    Served,
    answer::{Found, Nothing},
    catalogue::{Catalogue, Wish},
    kds,
    metrics::{self, Metrics},
};
use crate::{Freshness, Item, PckCa, paper::Proof, pcs::Version};
use aws_lc_rs::rand;
use axum::{
    Router,
    extract::{MatchedPath, Query, Request, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use sealwright_wire::{Digest, Tee, collateral::Signed};
use std::sync::Arc;

/// Names each answer in both sides' logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// The longest URI of a revocation list that is read, in characters.
const MAX_URI: usize = 2048;
/// Shapes of `pckcert`'s parameters, in characters.
const MAX_QE_ID: usize = 260;
const CPU_SVN: usize = 32;
const PCE_SVN: usize = 4;
const PCE_ID: usize = 4;
const ENCRYPTED_PPID: usize = 768;

type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) served: Served,
    metrics: Arc<Metrics>,
}

impl Shared {
    fn catalogue(&self) -> Catalogue {
        let at = (self.served.clock)();
        Catalogue::of(self.served.store.library().editions(), &self.served.root, at)
    }
}

/// All routes.
pub(super) fn router(served: Served, metrics: Arc<Metrics>) -> Router {
    let shared = Shared { served, metrics };
    let observed = middleware::from_fn_with_state(shared.clone(), observed);
    sgx(Version::V3)
        .merge(sgx(Version::V4))
        .merge(kds::router())
        .route("/tdx/certification/v4/tcb", get(|State(shared), query| tcb(shared, query, Tee::Tdx, Version::V4)))
        .route("/tdx/certification/v4/qe/identity", get(|State(shared), query| qe_identity(shared, query, Tee::Tdx)))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(counters))
        .fallback(async || Nothing::NoRoute)
        .method_not_allowed_fallback(async || Nothing::NoRoute)
        .layer(observed)
        .with_state(shared)
}

fn sgx(version: Version) -> Router<Shared> {
    let route = |route: &str| format!("/sgx/certification/v{}/{route}", version.number());
    Router::new()
        .route(&route("pckcrl"), get(pck_crl))
        .route(&route("rootcacrl"), get(root_crl))
        .route(&route("crl"), get(crl))
        .route(&route("pckcert"), get(pck_cert))
        .route(&route("tcb"), get(move |State(shared), query| tcb(shared, query, Tee::Sgx, version)))
        .route(&route("qe/identity"), get(|State(shared), query| qe_identity(shared, query, Tee::Sgx)))
        .route(&route("qve/identity"), get(qve_identity))
}

/// Gives each answer a name and counts it.
async fn observed(State(shared): State<Shared>, route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    shared.metrics.answered(route, response.status().as_u16());
    let mut id = [0; 16];
    if rand::fill(&mut id).is_ok()
        && let Ok(id) = HeaderValue::from_str(&hex::encode(id))
    {
        tracing::debug!(route, status = response.status().as_u16(), id = ?id, "answered");
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn pck_crl(State(shared): State<Shared>, query: Parameters) -> Result<Found, Nothing> {
    let query = parameters(query)?;
    let ca = query.get("ca").and_then(|ca| ca.parse().ok()).ok_or(Nothing::InvalidRequest)?;
    let der = query.get("encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("der"));
    shared.catalogue().pck_crl(ca, der)
}

/// In hex, as it always was.
async fn root_crl(State(shared): State<Shared>) -> Result<Found, Nothing> {
    let body = hex::encode(shared.catalogue().root_crl()?).into_bytes();
    Ok(Found { content_type: "application/pkix-crl", chain: None, body })
}

/// A list by the place where Intel publishes it, in DER: clients of version 4 ask so.
async fn crl(State(shared): State<Shared>, query: Parameters) -> Result<Found, Nothing> {
    let query = parameters(query)?;
    let uri = query.get("uri").filter(|uri| uri.len() <= MAX_URI).ok_or(Nothing::InvalidRequest)?;
    let body = match published(uri).ok_or(Nothing::InvalidRequest)? {
        Published::Root => shared.catalogue().root_crl()?,
        Published::Pck(ca) => shared.catalogue().pck_crl(ca, true)?.body,
    };
    Ok(Found { content_type: "application/pkix-crl", chain: None, body })
}

/// Whose list is published at a place.
#[derive(Debug, PartialEq, Eq)]
enum Published {
    Root,
    Pck(PckCa),
}

fn published(uri: &str) -> Option<Published> {
    let (host, path) = uri.strip_prefix("https://")?.split_once('/')?;
    let of_intel =
        |name: &str| host.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with(['.', '-']));
    if of_intel("certificates.trustedservices.intel.com") {
        return path.starts_with("IntelSGXRootCA.").then_some(Published::Root);
    }
    if !of_intel("api.trustedservices.intel.com") {
        return None;
    }
    let (version, query) = path.strip_prefix("sgx/certification/v")?.split_once("/pckcrl?")?;
    version.parse::<u8>().ok()?;
    let ca = query.split('&').find_map(|pair| pair.strip_prefix("ca="))?;
    Some(Published::Pck(ca.parse().ok()?))
}

/// Which platform a certificate would be for is known to Intel alone, who can decrypt its PPID; nobody registers platforms here.
async fn pck_cert(query: Parameters) -> Result<Found, Nothing> {
    let query = parameters(query)?;
    let length = |name| query.get(name).map(str::len);
    let shaped = length("qeid").is_some_and(|len| (1..=MAX_QE_ID).contains(&len))
        && length("cpusvn") == Some(CPU_SVN)
        && length("pcesvn") == Some(PCE_SVN)
        && length("pceid") == Some(PCE_ID)
        && length("encrypted_ppid").is_none_or(|len| len == ENCRYPTED_PPID);
    Err(if shaped { Nothing::PlatformUnknown } else { Nothing::InvalidRequest })
}

async fn tcb(shared: Shared, query: Parameters, tee: Tee, version: Version) -> Result<Found, Nothing> {
    let query = parameters(query)?;
    let fmspc: Digest<6> = query.get("fmspc").and_then(|text| text.parse().ok()).ok_or(Nothing::InvalidRequest)?;
    shared.catalogue().tcb_info(tee, &fmspc, version, wish(&query)?)
}

async fn qe_identity(shared: Shared, query: Parameters, tee: Tee) -> Result<Found, Nothing> {
    shared.catalogue().qe_identity(tee, wish(&parameters(query)?)?)
}

async fn qve_identity(State(shared): State<Shared>, query: Parameters) -> Result<Found, Nothing> {
    let wish = wish(&parameters(query)?)?;
    let (at, drawer) = ((shared.served.clock)(), shared.served.store.drawer());
    let held = drawer.get(&Item::IntelQveIdentity).filter(|paper| paper.holds(at)).ok_or(Nothing::NoCacheData)?;
    match &held.proof {
        Proof::QveIdentity { bundle, identity }
            if identity.anchor().sha256 == shared.served.root && wish.allows(identity.evaluation_number()) =>
        {
            let signed = Signed { document: &bundle.qve_identity, signature: bundle.qve_identity_signature };
            Ok(Found::identity(&signed, &bundle.qve_identity_issuer_chain))
        }
        _ => Err(Nothing::NoCacheData),
    }
}

/// Whether there is anything to hand out.
async fn ready(State(shared): State<Shared>) -> Response {
    let at = (shared.served.clock)();
    let holds = shared.served.store.drawer().papers().any(|filed| filed.paper.holds(at));
    if shared.catalogue().is_empty() && !holds {
        return (StatusCode::SERVICE_UNAVAILABLE, "no collateral that holds\n").into_response();
    }
    "ready\n".into_response()
}

async fn counters(State(shared): State<Shared>) -> Response {
    let at = (shared.served.clock)();
    let Served { store, upkeep, .. } = &shared.served;
    let bundles = store.standings(upkeep, at).into_iter().map(|standing| standing.freshness);
    let items = store.item_standings(upkeep, at).into_iter().map(|standing| standing.freshness);
    let text = shared.metrics.encode(&count(bundles), &count(items));
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

/// How many there are of each verdict.
fn count(verdicts: impl Iterator<Item = Freshness>) -> [(&'static str, usize); 4] {
    let verdicts: Vec<_> = verdicts.collect();
    [Freshness::Fresh, Freshness::Due, Freshness::Stale, Freshness::Expired]
        .map(|verdict| (verdict.name(), verdicts.iter().filter(|other| **other == verdict).count()))
}

/// A query's parameters. Of one that comes twice the first counts.
struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

fn parameters(query: Parameters) -> Result<Pairs, Nothing> {
    query.map(|Query(pairs)| Pairs(pairs)).map_err(|_| Nothing::InvalidRequest)
}

/// Which TCB evaluation is asked for: `update` and `tcbEvaluationDataNumber` exclude each other.
fn wish(query: &Pairs) -> Result<Wish, Nothing> {
    match (query.get("update"), query.get("tcbEvaluationDataNumber")) {
        (None, None) => Ok(Wish::Any),
        (Some(update), None) if update.eq_ignore_ascii_case("standard") => Ok(Wish::Any),
        (Some(update), None) if update.eq_ignore_ascii_case("early") => Ok(Wish::Early),
        (None, Some(number)) => number.parse().map(Wish::Number).map_err(|_| Nothing::InvalidRequest),
        _ => Err(Nothing::InvalidRequest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_known_by_where_intel_publishes_them() {
        let pck = |ca| Some(Published::Pck(ca));
        for (uri, list) in [
            ("https://certificates.trustedservices.intel.com/IntelSGXRootCA.der", Some(Published::Root)),
            ("https://sbx-certificates.trustedservices.intel.com/IntelSGXRootCA.crl", Some(Published::Root)),
            (
                "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
                pck(PckCa::Platform),
            ),
            ("https://api.trustedservices.intel.com/sgx/certification/v3/pckcrl?ca=processor", pck(PckCa::Processor)),
            ("http://certificates.trustedservices.intel.com/IntelSGXRootCA.der", None),
            ("https://certificates.trustedservices.intel.com.evil/IntelSGXRootCA.der", None),
            ("https://evilcertificates.trustedservices.intel.com/IntelSGXRootCA.der", None),
            ("https://certificates.trustedservices.intel.com/other", None),
            ("https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=root", None),
            ("https://api.trustedservices.intel.com/sgx/certification/vX/pckcrl?ca=platform", None),
            ("", None),
        ] {
            assert_eq!(published(uri), list, "{uri}");
        }
    }
}
