//! What can go wrong at a simulated site.

use std::{io, path::PathBuf};

/// Why a simulated site, one of its machines or one of its clients could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read, write, bind or connect.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb that the path follows.
        doing: &'static str,
        /// The file or socket.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A file that a machine was to boot is not what its format demands.
    #[error("{file} does not boot: {source}")]
    File {
        /// Which of the machine's files.
        file: &'static str,
        /// Where it is wrong.
        source: sealwright_wire::Error,
    },
    /// A value of the machine's configuration is out of its range.
    #[error("{field}: expected {expected}, found {found}")]
    Config {
        /// The configuration's field.
        field: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// The cryptographic library failed; it does so only when it runs out of memory or randomness.
    #[error("the cryptographic library could not {0}")]
    Crypto(&'static str),
    /// A certificate or revocation list could not be made.
    #[error("could not issue a certificate or revocation list: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A certificate or revocation list of the simulated AMD could not be written.
    #[error("could not write a certificate or revocation list in DER: {0}")]
    Der(#[from] der::Error),
    /// A signed statement could not be written as JSON.
    #[error("could not write a statement as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A structure of evidence cannot hold what it was to say.
    #[error("a structure of evidence cannot be written: {0}")]
    Structure(sealwright_wire::Error),
    /// No machine of this name runs at the site.
    #[error("no simulated machine is named {0:?}")]
    UnknownTd(String),
    /// A machine of this name runs already.
    #[error("a simulated machine named {0:?} runs already")]
    TdExists(String),
    /// The site runs as many machines as it may.
    #[error("the site runs {limit} machines already")]
    TooManyTds {
        /// [`crate::MAX_TDS`].
        limit: usize,
    },
    /// The site is coming to its end and boots nothing more.
    #[error("the simulated site is ending")]
    Ending,
    /// A runtime event is malformed.
    #[error("the runtime event cannot be recorded: {0}")]
    Event(sealwright_wire::Error),
    /// A structure of a TPM cannot be written.
    #[error("{structure} cannot be written: {source}")]
    Tpm {
        /// The structure's name in the specification.
        structure: &'static str,
        /// What is over its limit.
        source: sealwright_wire::Error,
    },
    /// The event log area has no room for the record; nothing was extended.
    #[error("the event log holds at most {limit} bytes and has no room for another {wanted}")]
    LogFull {
        /// The size of the log area in bytes.
        limit: usize,
        /// The size of the record in bytes.
        wanted: usize,
    },
    /// Another process listens on the socket, or something that is no socket lies in its place.
    #[error("{} is taken: {by}", path.display())]
    SocketTaken {
        /// The socket's path.
        path: PathBuf,
        /// What was found there.
        by: &'static str,
    },
    /// The other side of a socket broke the protocol of [`crate::protocol`].
    #[error("protocol: expected {expected}, found {found}")]
    Protocol {
        /// What the protocol demands here.
        expected: &'static str,
        /// What arrived.
        found: String,
    },
    /// The site refused the request.
    #[error("the simulated site refused: {message}")]
    Refused {
        /// A stable word for programs, see [`Error::code`].
        code: String,
        /// The reason for people.
        message: String,
    },
}

impl Error {
    /// A stable word for this kind of error, as the socket protocol carries it.
    pub fn code(&self) -> &str {
        match self {
            Self::Io { .. } => "io",
            Self::File { .. } => "bad-file",
            Self::Config { .. } => "bad-config",
            Self::Crypto(_) => "crypto",
            Self::Certificate(_) | Self::Der(_) => "certificate",
            Self::Json(_) => "json",
            Self::Structure(_) => "structure",
            Self::UnknownTd(_) => "unknown-td",
            Self::TdExists(_) => "td-exists",
            Self::TooManyTds { .. } => "too-many-tds",
            Self::Ending => "ending",
            Self::Event(_) => "bad-event",
            Self::Tpm { .. } => "tpm-structure",
            Self::LogFull { .. } => "log-full",
            Self::SocketTaken { .. } => "socket-taken",
            Self::Protocol { .. } => "bad-request",
            Self::Refused { code, .. } => code,
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn tpm(structure: &'static str) -> impl FnOnce(sealwright_wire::Error) -> Self {
        move |source| Self::Tpm { structure, source }
    }

    pub(crate) fn file(file: &'static str) -> impl FnOnce(sealwright_wire::Error) -> Self {
        move |source| Self::File { file, source }
    }
}
