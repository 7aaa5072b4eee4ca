//! Requests that cannot be judged, by the argument that is at fault.

use pyo3::PyErr;
use sealwright_verify::TcbStatus;
use sealwright_verify::any::{self, Beside, Error, Missing};

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
            Error::Missing { missing, .. } => match missing {
                Missing::Signature => "signature",
                Missing::Pcrs => "pcrs",
                Missing::AttestationKey => "roots",
                Missing::EventLog => "event_log",
                Missing::VtpmQuote => "vtpm_quote",
                Missing::TdQuote => "td_quote",
                _ => "collateral",
            },
            Error::Unused { beside, .. } => match beside {
                Beside::EventLog => "event_log",
                Beside::Ima => "ima",
                Beside::Cel => "cel",
                Beside::Signature => "signature",
                Beside::Pcrs => "pcrs",
                Beside::Key => "key",
                Beside::VtpmQuote => "vtpm_quote",
                Beside::TdQuote => "td_quote",
                Beside::OtherCollateral | Beside::OtherList => "collateral",
            },
            Error::Root { .. } => "roots",
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
