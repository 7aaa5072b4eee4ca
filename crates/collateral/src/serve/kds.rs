//! The routes of AMD's Key Distribution Service (57230, chapter "KDS Interface"), answered from what is kept.
//!
//! A product line has one root here, that under which the store keeps it, so that no answers of several are mixed up.

use super::{answer::Found, routes::Shared};
use crate::{
    Endorser, Hwid, Item,
    paper::{Paper, Proof},
};
use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sealwright_wire::snp::{Bundle, Product, Tcb};
use std::{collections::HashMap, sync::Arc};

/// Why there is nothing. AMD's service says so by its status; nobody reads the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// No such thing is here, or none that holds.
    NotFound,
    /// A parameter is missing or is no number from 0 to 255.
    BadRequest,
}

impl IntoResponse for Missing {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "404 - Not Found"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "400 - Bad Request"),
        };
        (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    }
}

/// All of them.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .merge(authority(Endorser::Vcek))
        .merge(authority(Endorser::Vlek))
        .route("/vcek/v1/{product}/{hwid}", get(vcek))
}

fn authority(endorser: Endorser) -> Router<Shared> {
    let route = |what: &str| format!("/{}/v1/{{product}}/{what}", endorser.name());
    let bundle = move |shared: &Shared, product: &str| bundle(shared, product, endorser);
    Router::new()
        .route(
            &route("cert_chain"),
            get(async move |State(shared): State<Shared>, Path(product): Path<String>| {
                let body = bundle(&shared, &product)?.cert_chain.into_bytes();
                Ok::<_, Missing>(Found { content_type: "application/x-pem-file", chain: None, body })
            }),
        )
        .route(
            &route("crl"),
            get(async move |State(shared): State<Shared>, Path(product): Path<String>| {
                let body = bundle(&shared, &product)?.crl.ok_or(Missing::NotFound)?;
                Ok::<_, Missing>(Found { content_type: "application/pkix-crl", chain: None, body })
            }),
        )
}

fn bundle(shared: &Shared, product: &str, endorser: Endorser) -> Result<Bundle, Missing> {
    let product = Product::from_name(product).ok_or(Missing::NotFound)?;
    match &held(shared, &Item::AmdAuthority { product, endorser })?.proof {
        Proof::Authority { bundle, .. } => Ok(bundle.clone()),
        Proof::Vcek { .. } | Proof::HygonChip | Proof::QveIdentity { .. } => Err(Missing::NotFound),
    }
}

async fn vcek(
    State(shared): State<Shared>,
    Path((product, hwid)): Path<(String, String)>,
    query: Result<Query<HashMap<String, String>>, QueryRejection>,
) -> Result<Found, Missing> {
    let product = Product::from_name(&product).ok_or(Missing::NotFound)?;
    let hwid: Hwid = hwid.parse().map_err(|_| Missing::NotFound)?;
    let Query(query) = query.map_err(|_| Missing::BadRequest)?;
    let spl = |name| query.get(name).and_then(|number| number.parse().ok()).ok_or(Missing::BadRequest);
    let fmc = if product == Product::Turin { Some(spl("fmcSPL")?) } else { None };
    let tcb =
        Tcb { fmc, boot_loader: spl("blSPL")?, tee: spl("teeSPL")?, snp: spl("snpSPL")?, microcode: spl("ucodeSPL")? };
    let body = held(&shared, &Item::AmdVcek { product, hwid, tcb })?.content.clone();
    Ok(Found { content_type: "application/pkix-cert", chain: None, body })
}

fn held(shared: &Shared, item: &Item) -> Result<Arc<Paper>, Missing> {
    let (at, drawer) = ((shared.served.clock)(), shared.served.store.drawer());
    drawer.get(item).filter(|paper| paper.holds(at)).cloned().ok_or(Missing::NotFound)
}
