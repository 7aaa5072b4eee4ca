//! The answer, in a form that C can read.

use crate::failure::{Code, Failure, c_string};
use sealwright_verify::any;
use std::ffi::CString;

/// `sealwright_verdict`: what a C program reads of an [`any::Verdict`].
pub struct Verdict {
    pub(crate) genuine: bool,
    pub(crate) accepted: bool,
    pub(crate) simulated: Option<bool>,
    pub(crate) report_data: Option<Vec<u8>>,
    pub(crate) reason: Option<Reason>,
    pub(crate) json: CString,
}

pub(crate) struct Reason {
    pub(crate) code: CString,
    pub(crate) message: CString,
}

impl Verdict {
    pub(crate) fn new(verdict: &any::Verdict) -> Result<Self, Failure> {
        let json = serde_json::to_string(verdict).map_err(|error| Failure::new(Code::Internal, error.to_string()))?;
        let reason = |reason: &any::Reason| Reason { code: c_string(reason.code), message: c_string(&reason.message) };
        Ok(Self {
            genuine: verdict.genuine,
            accepted: verdict.accepted,
            simulated: verdict.simulated,
            report_data: verdict.facts.as_ref().map(|facts| facts.report_data().to_vec()),
            reason: verdict.reason.as_ref().map(reason),
            json: c_string(&json),
        })
    }
}
