//! What a caller has beside the evidence.

use crate::error::RequestError;
use pyo3::pybacked::PyBackedBytes;
use sealwright_verify::any::{Request, Root, Supplied};
use sealwright_wire::time::UnixTime;

/// Bytes by what they are.
pub(crate) struct Files {
    pub(crate) collateral: Vec<PyBackedBytes>,
    pub(crate) roots: Option<Vec<(String, PyBackedBytes)>>,
    pub(crate) event_log: Option<PyBackedBytes>,
    pub(crate) ima: Option<PyBackedBytes>,
    pub(crate) cel: Option<PyBackedBytes>,
    pub(crate) signature: Option<PyBackedBytes>,
    pub(crate) pcrs: Option<PyBackedBytes>,
    pub(crate) key: Option<PyBackedBytes>,
    pub(crate) vtpm_quote: Option<PyBackedBytes>,
    pub(crate) td_quote: Option<PyBackedBytes>,
}

impl Files {
    /// The collateral, sorted by what it is.
    pub(crate) fn supplied(&self) -> Result<Supplied, RequestError> {
        let mut supplied = Supplied::default();
        for (index, bytes) in self.collateral.iter().enumerate() {
            supplied.add(bytes).map_err(|error| {
                RequestError::new("collateral", format!("collateral[{index}] is no collateral: {error}"))
            })?;
        }
        Ok(supplied)
    }

    /// With all of it.
    pub(crate) fn request<'a>(&'a self, supplied: &'a Supplied, at: UnixTime) -> Result<Request<'a>, RequestError> {
        Ok(Request {
            roots: self.roots()?,
            event_log: self.event_log.as_deref(),
            ima: self.ima.as_deref(),
            cel: self.cel.as_deref(),
            signature: self.signature.as_deref(),
            pcrs: self.pcrs.as_deref(),
            key: self.key.as_deref(),
            vtpm_quote: self.vtpm_quote.as_deref(),
            td_quote: self.td_quote.as_deref(),
            ..Request::new(supplied, at)
        })
    }

    /// A request without roots trusts the vendors, which is not what somebody wants who looked for roots and found none.
    fn roots(&self) -> Result<Vec<Root<'_>>, RequestError> {
        match &self.roots {
            Some(roots) if roots.is_empty() => {
                let message = "no root is named: with None the vendors' are trusted";
                Err(RequestError::new("roots", message.to_owned()))
            }
            Some(roots) => Ok(roots.iter().map(|(name, bytes)| Root { name, bytes }).collect()),
            None => Ok(Vec::new()),
        }
    }
}
