//! What can go wrong with a request, and how each protocol says so.

use http::StatusCode;
use tonic::Code;

/// Why a request got no prediction. Messages name the place, what was expected and what was found; they never hold
/// tensor values, which may be secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such model, version or label. The text is the selector as TensorFlow Serving prints it, e.g. `Latest(digits)`.
    #[error("Servable not found for request: {0}")]
    NotFound(String),
    /// The model exists but cannot answer (yet, or any more).
    #[error("{model}: expected a model that is available, found it {state}")]
    NotAvailable {
        /// The selector, e.g. `Specific(digits, 2)`.
        model: String,
        /// The state it is in, e.g. `loading`.
        state: String,
    },
    /// The request says something that the model or the protocol does not allow.
    #[error("{place}: expected {expected}, found {found}")]
    Invalid {
        /// Which part of the request, e.g. ``input `pixels` ``.
        place: String,
        /// What the model or protocol allows there.
        expected: String,
        /// What was there.
        found: String,
    },
    /// The request is larger than this server takes.
    #[error("{what}: expected at most {limit}, found {found}")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The size found, saturated where it does not fit.
        found: u64,
    },
    /// The body is compressed in a way that this server does not know.
    #[error("content-encoding: expected `gzip`, `deflate` or `identity`, found {0}")]
    Encoding(String),
    /// The protocol has such a call, but this server does not do it.
    #[error("{place}: not supported: {reason}")]
    Unsupported {
        /// The call or parameter.
        place: String,
        /// Why, and what to use instead.
        reason: &'static str,
    },
    /// Inference on a connection whose client has not verified this server yet.
    #[error(
        "this connection has not finished the attestation exchange; expected the client to verify this server's evidence \
         before it sends a tensor: connect through `sealwright query`"
    )]
    Unattested,
    /// As much is there as the limits allow.
    #[error("this server has {most} {what} already; try again later")]
    Overloaded {
        /// Of what.
        what: &'static str,
        /// How much it takes at once.
        most: usize,
    },
    /// As much is there of this client's address as the limits allow one.
    #[error("this address has {most} {what} already, which is its share; try again later")]
    Share {
        /// Of what.
        what: &'static str,
        /// How much it may have at once.
        most: usize,
    },
    /// The answer was not there in time.
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
    /// The runtime refused to load or run the model, or panicked.
    #[error("{model}: the runtime failed: {problem}")]
    Runtime {
        /// Which model.
        model: String,
        /// What the runtime said.
        problem: String,
    },
    /// There is an answer, and it cannot be sent: it broke off before it was whole, or there is never room for it.
    #[error("the answer cannot be sent: {0}")]
    Answer(String),
    /// A receipt was asked for and cannot be given.
    #[error("no receipt for this answer: {0}")]
    Receipt(String),
}

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(place: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Invalid { place: place.into(), expected: expected.into(), found: found.into() }
    }

    /// A stable name for metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not-found",
            Self::NotAvailable { .. } => "not-available",
            Self::Invalid { .. } => "invalid-request",
            Self::TooLarge { .. } => "too-large",
            Self::Encoding(_) => "encoding",
            Self::Unsupported { .. } => "unsupported",
            Self::Unattested => "unattested",
            Self::Overloaded { .. } => "overloaded",
            Self::Share { .. } => "share",
            Self::Timeout(_) => "timeout",
            Self::Runtime { .. } => "runtime",
            Self::Answer(_) => "answer",
            Self::Receipt(_) => "receipt",
        }
    }

    /// The status of an HTTP answer.
    #[must_use]
    pub const fn http_status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::NotAvailable { .. } | Self::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Share { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unsupported { .. } => StatusCode::NOT_IMPLEMENTED,
            Self::Unattested => StatusCode::FORBIDDEN,
            Self::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Runtime { .. } | Self::Answer(_) | Self::Receipt(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code of a gRPC answer.
    #[must_use]
    pub const fn grpc_code(&self) -> Code {
        match self {
            Self::NotFound(_) => Code::NotFound,
            Self::NotAvailable { .. } | Self::Overloaded { .. } => Code::Unavailable,
            Self::Invalid { .. } => Code::InvalidArgument,
            Self::TooLarge { .. } | Self::Share { .. } => Code::ResourceExhausted,
            Self::Encoding(_) | Self::Unsupported { .. } => Code::Unimplemented,
            Self::Unattested => Code::FailedPrecondition,
            Self::Timeout(_) => Code::DeadlineExceeded,
            Self::Runtime { .. } | Self::Answer(_) | Self::Receipt(_) => Code::Internal,
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        Self::new(error.grpc_code(), error.to_string())
    }
}
