//! Answers as the cache that clients know gives them: statuses, sentences, content types and header fields are its own
//! (PCCS, `constants/pccs_status_code.js` and `controllers/`).

use crate::percent;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sealwright_wire::collateral::Signed;

/// Why there is nothing. Each has the status and the sentence by which clients know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// A parameter is missing or has another shape.
    InvalidRequest,
    /// No collateral is here, or none that holds.
    NoCacheData,
    /// No PCK certificate of this platform is here.
    PlatformUnknown,
    /// The route is none of this server's.
    NoRoute,
    /// The answer cannot be put together.
    Internal,
}

impl Nothing {
    const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::NoCacheData | Self::NoRoute => 404,
            Self::PlatformUnknown => 461,
            Self::Internal => 500,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::InvalidRequest => "Invalid request parameters.",
            Self::NoCacheData => "No cache data for this platform.",
            Self::PlatformUnknown => "The platform was not found in the cache.",
            Self::NoRoute => "There is no such route.",
            Self::Internal => "Internal server error occurred.",
        }
    }
}

impl IntoResponse for Nothing {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], self.sentence()).into_response()
    }
}

/// Collateral, and the chain of whoever signed it.
pub(super) struct Found {
    pub(super) content_type: &'static str,
    /// The header field for the chain and the chain in PEM, where there is one.
    pub(super) chain: Option<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Found {
    /// The identity of an enclave of Intel's.
    pub(super) fn identity(signed: &Signed<'_>, issuers: &str) -> Self {
        let chain = Some(("SGX-Enclave-Identity-Issuer-Chain", issuers.to_owned()));
        Self { content_type: "application/json", chain, body: signed.to_qe_identity_json().into_bytes() }
    }
}

impl IntoResponse for Found {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some((name, chain)) = self.chain {
            // Encoded it is plain ASCII.
            let Ok(value) = HeaderValue::from_str(&percent::encode(&chain)) else {
                return Nothing::Internal.into_response();
            };
            // A name that is lower-case here goes over the wire so; field names have no case (RFC 9110, section 5.1).
            let Ok(name) = header::HeaderName::from_bytes(name.as_bytes()) else {
                return Nothing::Internal.into_response();
            };
            headers.insert(name, value);
        }
        response
    }
}
