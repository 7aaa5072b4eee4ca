//! The native half of the Python package `sealwright`, whose other half (`python/sealwright`) has the types and the documentation.
//!
//! What goes in is bytes and numbers, what comes out is a verdict as JSON. Python's lock is not held while evidence is verified: what is borrowed
//! meanwhile is `bytes`, which nobody can change.

#![forbid(unsafe_code)]

mod error;
mod files;

use error::RequestError;
use files::Files;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use sealwright_verify::any::{Kind, Request, Verdict};
use sealwright_verify::nitro::Freshness;
use sealwright_verify::snp::Revocation;
use sealwright_wire::time::UnixTime;

/// What `sealwright` is made of.
#[pymodule]
mod _sealwright {
    #[pymodule_export]
    use super::{kind, verify};

    #[pymodule_export]
    #[allow(non_upper_case_globals)] // Python's name
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// What kind of evidence these bytes are, in words; `None` when it is none that can be verified here.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // what Python handed over
fn kind(py: Python<'_>, evidence: PyBackedBytes) -> Option<&'static str> {
    py.detach(|| Kind::of_text(&evidence).map(|(kind, _)| kind.name()))
}

/// The verdict on evidence as JSON.
#[pyfunction]
#[pyo3(signature = (evidence, *, collateral, roots, at, event_log, ima, cel, signature, pcrs, key, vtpm_quote, td_quote, require, without_crl, max_age))]
#[allow(clippy::too_many_arguments)] // Python names them
fn verify(
    py: Python<'_>,
    evidence: PyBackedBytes,
    collateral: Vec<PyBackedBytes>,
    roots: Option<Vec<(String, PyBackedBytes)>>,
    at: u64,
    event_log: Option<PyBackedBytes>,
    ima: Option<PyBackedBytes>,
    cel: Option<PyBackedBytes>,
    signature: Option<PyBackedBytes>,
    pcrs: Option<PyBackedBytes>,
    key: Option<PyBackedBytes>,
    vtpm_quote: Option<PyBackedBytes>,
    td_quote: Option<PyBackedBytes>,
    require: Option<String>,
    without_crl: bool,
    max_age: Option<u64>,
) -> PyResult<String> {
    let files = Files { collateral, roots, event_log, ima, cel, signature, pcrs, key, vtpm_quote, td_quote };
    let verdict = py.detach(move || -> Result<Verdict, RequestError> {
        let demanded = require.as_deref().map(error::demand).transpose()?;
        let supplied = files.supplied()?;
        let default = Freshness::default();
        let request = Request {
            revocation: if without_crl { Revocation::IfPresent } else { Revocation::Required },
            freshness: Freshness { max_age: max_age.unwrap_or(default.max_age), ..default },
            ..files.request(&supplied, UnixTime(at))?
        };
        Ok(Verdict::of(request.verify(&evidence), demanded)?)
    })?;
    serde_json::to_string(&verdict).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}
