//! Keeps, bundles and hands out vendors' certificates, CRLs, TCB info and identities. Runs beside whoever verifies.
//!
//! A [`Library`] is a folder of bundles, one JSON file for each platform model and kind of environment, in the shape that
//! [`sealwright_wire::collateral::Bundle`] describes. What it hands out has been verified against the anchors that it was opened with:
//! [`Collateral`](sealwright_verify::Collateral) for a quote, and [`Platform`](sealwright_verify::Platform)s, each verified once and kept for the next
//! quote that carries the same certificates. It fetches nothing and has no clock: every call that needs the time is told.
#![forbid(unsafe_code)]

mod key;
mod library;
mod newest;
mod platforms;
mod seen;
mod shelf;

pub use key::Key;
pub use library::{Age, Library, MAX_FILES, Report};

use sealwright_wire::Tee;
use std::{io, path::PathBuf};

/// Why there is no collateral for a quote, or no library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder cannot be read.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// More files than are read.
    #[error("{}: more than {MAX_FILES} files", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// What was seen before cannot be read, or not kept.
    #[error("what was seen of collateral, in {}: {source}", path.display())]
    Seen {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No bundle is for this quote's platform.
    #[error("no collateral for {wanted}")]
    Missing {
        /// What the quote needs.
        wanted: Key,
        /// What is there instead, in words. It names others' machines, so it is not for whoever sent the quote.
        held: String,
    },
    /// The quote carries no certificates, and not exactly one bundle brings some for its kind of environment.
    #[error("the {} quote carries no PCK certificate chain, and {found} bundles bring one for it", tee.name())]
    NoChain {
        /// The kind of environment.
        tee: Tee,
        /// How many bundles bring a chain.
        found: usize,
    },
    /// The quote's certificates or signatures are not believed.
    #[error(transparent)]
    Verify(#[from] sealwright_verify::Error),
}

impl Error {
    /// The reason as a stable word for programs: kebab-case, never reused for another meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "collateral-folder",
            Self::TooMany { .. } => "collateral-too-many",
            Self::Seen { .. } => "collateral-seen",
            Self::Missing { .. } => "collateral-missing",
            Self::NoChain { .. } => "collateral-no-chain",
            Self::Verify(error) => error.code(),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "make the folder, readable for whoever verifies",
            Self::TooMany { .. } => "keep the bundles of machines that you do not have elsewhere",
            Self::Seen { .. } => {
                "let whoever verifies write the file and its folder; to begin anew, and to accept older collateral once more, move it away"
            }
            Self::Missing { .. } => {
                "put this platform's bundle into the folder: fetch TCB info for the FMSPC above, with its CRLs and QE identity, from the \
                 vendor's service; for a simulated machine, copy the collateral that it publishes"
            }
            Self::NoChain { .. } => {
                "put the platform's PCK certificate chain into its bundle as pck_certificate_chain, or configure the platform's quote \
                 provider to embed it"
            }
            Self::Verify(error) => error.remedy(),
        }
    }
}
