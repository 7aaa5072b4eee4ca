//! Requests that cannot be judged, by the argument that is at fault.

use pyo3::PyErr;
use sealwright_verify::TcbStatus;
use sealwright_verify::any::{self, Error, Log, Missing};

/// Python's class, which is defined in Python.
mod python {
    pyo3::import_exception!(sealwright._errors, RequestError);
}

/// Why a request cannot be judged.
#[derive(Debug)]
pub(crate) struct RequestError {
    argument: &'static str,
    message: String,
}

impl RequestError {
    pub(crate) fn new(argument: &'static str, message: String) -> Self {
        Self { argument, message }
    }
}

impl From<Error> for RequestError {
    fn from(error: Error) -> Self {
        let argument = match &error {
            Error::Missing { missing: Missing::Signature, .. } => "signature",
            Error::Missing { missing: Missing::Pcrs, .. } => "pcrs",
            Error::Missing { missing: Missing::AttestationKey, .. } | Error::Root { .. } => "roots",
            Error::Missing { missing: Missing::EventLog, .. } | Error::UnusedLog { log: Log::Event, .. } => "event_log",
            Error::Missing { .. } => "collateral",
            Error::UnusedLog { log: Log::Ima, .. } => "ima",
            Error::UnusedLog { log: Log::Canonical, .. } => "cel",
            _ => "evidence",
        };
        Self::new(argument, error.to_string())
    }
}

impl From<RequestError> for PyErr {
    fn from(RequestError { argument, message }: RequestError) -> Self {
        python::RequestError::new_err((message, argument))
    }
}

/// The worst TCB status that is good enough.
pub(crate) fn demand(name: &str) -> Result<TcbStatus, RequestError> {
    any::demand(name).map_err(|error| RequestError::new("require", error.to_string()))
}
