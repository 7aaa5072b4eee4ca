//! Every answer that is no success: `{type, detail}` as the key protocol has it, and the explanation beside where there is one.

use crate::admin::AdminError;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sealwright_appraise::Explanation;
use sealwright_wire::kbs::{ErrorInformation, Message};
use std::fmt::Display;

/// In front of every `type`.
const TYPE: &str = "urn:sealwright:error:";

/// Why a request is refused. The detail is for the one who asked: nothing in it says more than they may know.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    explanation: Option<Box<Explanation>>,
    retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, detail: &dyn Display) -> Self {
        Self { status, kind, detail: detail.to_string(), explanation: None, retry_after: None }
    }

    /// 401: whoever attests (again) may ask again. Nothing else is a 401, because clients answer it by attesting.
    pub(crate) fn attest_first(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "attest-first", &detail)
    }

    /// 403: judged, and refused.
    pub(crate) fn denied(explanation: Explanation) -> Self {
        let mut refusal = Self::new(StatusCode::FORBIDDEN, "denied", &explanation.headline);
        refusal.explanation = Some(Box::new(explanation));
        refusal
    }

    /// 403: not an administrator's request. The explanation has one check, of this error.
    pub(crate) fn not_administrator(error: &AdminError, explanation: Explanation) -> Self {
        let remedy = explanation.checks.first().map(|check| check.remedy.as_str()).unwrap_or_default();
        let mut refusal =
            Self::new(StatusCode::FORBIDDEN, "administrator-required", &format_args!("{error}: {remedy}"));
        refusal.explanation = Some(Box::new(explanation));
        refusal
    }

    /// 400: not a message of the protocol.
    pub(crate) fn malformed(detail: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", &detail)
    }

    /// 400: a version of the protocol that is not spoken here.
    pub(crate) fn version(found: &str) -> Self {
        let found: String = found.chars().take(32).flat_map(char::escape_default).collect();
        let detail = format!("expected version 0.4.x of the key protocol, found {found:?}");
        Self::new(StatusCode::BAD_REQUEST, "unsupported-version", &detail)
    }

    /// 404: only for those who may know what is there.
    pub(crate) fn not_found(detail: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", &detail)
    }

    /// 405.
    pub(crate) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", &"this route does not know this method")
    }

    /// 408: the body did not arrive in time.
    pub(crate) fn slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", &"the request's body did not arrive in time")
    }

    /// 409: somebody else changed it first.
    pub(crate) fn conflict(detail: impl Display) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", &detail)
    }

    /// 413.
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &format!("at most {limit} bytes are read here"))
    }

    /// 429: this peer asks too often.
    pub(crate) fn too_often(seconds: u64) -> Self {
        let detail = format!("too many requests from this address; come back in {seconds} s");
        let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", &detail);
        refusal.retry_after = Some(seconds);
        refusal
    }

    /// 503: nothing is wrong with the request; try again later.
    pub(crate) fn unavailable(detail: &str) -> Self {
        let mut refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &detail);
        refusal.retry_after = Some(1);
        refusal
    }

    /// 503: others keep the broker busy.
    pub(crate) fn busy() -> Self {
        Self::unavailable("the broker has as much to do as it may; come back later")
    }

    /// 500: our fault. The error goes into the log; the client is told the request's name, by which it is found there.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "request failed");
        let detail = "the broker failed; its log has the reason under this answer's x-request-id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", &detail)
    }
}

impl From<crate::storage::VaultError> for Refusal {
    fn from(error: crate::storage::VaultError) -> Self {
        match error {
            crate::storage::VaultError::Store(conflict @ crate::storage::StoreError::Conflict { .. }) => {
                Self::conflict(conflict)
            }
            error => Self::internal(&error),
        }
    }
}

impl From<crate::audit::AuditError> for Refusal {
    fn from(error: crate::audit::AuditError) -> Self {
        tracing::error!(%error, "a decision could not be recorded, so it was not carried out");
        Self::unavailable("the decision could not be recorded in the audit log, so it was not carried out")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let explanation = self.explanation.and_then(|explanation| serde_json::to_value(explanation).ok());
        let error_type = format!("{TYPE}{}", self.kind);
        let body = ErrorInformation { error_type, detail: self.detail, explanation }.to_json().unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
