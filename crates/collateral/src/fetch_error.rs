//! Why there is no collateral from a service.

use crate::http;
use sealwright_wire::Error as WireError;

/// Why there is no collateral from a service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There was no answer.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The service says no, or sends elsewhere, where nobody follows.
    #[error("{url} answers {status}{}: {said}", again(*retry_after))]
    Status {
        /// What was asked for.
        url: String,
        /// The status code.
        status: u16,
        /// How many seconds the service wants to be left alone, if it says so.
        retry_after: Option<u64>,
        /// The beginning of what it says, printable characters alone.
        said: String,
    },
    /// A header field is missing, comes twice, or is no percent-encoded text.
    #[error("{url}: header field {name}: {reason}")]
    Header {
        /// What was asked for.
        url: String,
        /// The field.
        name: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The body is not in its format.
    #[error("{url}: {source}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        #[source]
        source: WireError,
    },
    /// This service has no such thing.
    #[error("version {version} of the service has nothing for {what}")]
    NotServed {
        /// What was wanted.
        what: String,
        /// The version of its interface.
        version: u8,
    },
    /// The quote does not say by what its certificate could be looked up.
    #[error("the quote's certification data does not name a PCK certificate that a service could look up: {0}")]
    NoPlatform(&'static str),
    /// Nobody was named who could be asked.
    #[error("no service was named that hands out the {0}")]
    NoService(String),
    /// The answer is genuine, and about something else.
    #[error("asked for {wanted}, the answer is for {found}")]
    Other {
        /// What was asked for.
        wanted: String,
        /// What came.
        found: String,
    },
    /// The answer is not believed.
    #[error(transparent)]
    Verify(#[from] sealwright_verify::Error),
}

impl FetchError {
    /// The reason as a stable word for programs: kebab-case, never reused for another meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Http(error) => error.code(),
            Self::Status { .. } => "collateral-service-refused",
            Self::Header { .. } | Self::Answer { .. } => "collateral-service-malformed",
            Self::NotServed { .. } => "collateral-not-served",
            Self::NoPlatform(_) => "collateral-no-platform",
            Self::NoService(_) => "collateral-no-service",
            Self::Other { .. } => "collateral-other",
            Self::Verify(error) => error.code(),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Http(http::Error::Url { .. }) => "give the base URL of the service, https://host[:port]",
            Self::Http(http::Error::Tls { .. } | http::Error::Roots(_)) => {
                "give the CA that issued the service's certificate"
            }
            Self::Http(_) => "see that the service can be reached from here, and try again",
            Self::Status { status: 404 | 461 | 462, .. } => {
                "see that what was asked for is that of the machine, and that the service knows it"
            }
            Self::Status { .. } => "try again later; a service that sends elsewhere must be named by its final URL",
            Self::Header { .. } | Self::Answer { .. } => {
                "see that the URL is that of a service of this kind, and of this version"
            }
            Self::NotServed { .. } => "ask version 4 of the service",
            Self::NoPlatform(_) => "name FMSPC, CA and kind of environment instead of the quote",
            Self::NoService(_) => "name the vendor's service, or a cache of it",
            Self::Other { .. } => "do not use this service: it answers with what nobody asked for",
            Self::Verify(error) => error.remedy(),
        }
    }

    /// How many seconds the service wants to be left alone, if it says so.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn again(retry_after: Option<u64>) -> String {
    retry_after.map_or_else(String::new, |seconds| format!(" and wants to be asked again in {seconds} s"))
}
