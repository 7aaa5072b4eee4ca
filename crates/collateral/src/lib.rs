//! Fetches, keeps, bundles and serves vendors' certificates, CRLs, TCB info and identities. Runs beside whoever verifies.
//!
//! A [`Library`] is a folder of bundles, one JSON file for each platform model and kind of environment, in the shape that
//! [`sealwright_wire::collateral::Bundle`] describes. What it hands out has been verified against the anchors that it was opened with:
//! [`Collateral`](sealwright_verify::Collateral) for a quote, and [`Platform`](sealwright_verify::Platform)s, each verified once and kept for the next
//! quote that carries the same certificates. It fetches nothing and has no clock: every call that needs the time is told.
//!
//! A [`Store`] is a library that fills itself from [`Services`], Intel's ([`pcs`]) or caches of it, and says how fresh each bundle is. Beside the
//! bundles it keeps what AMD ([`kds`]) and Hygon ([`hygon`]) hand out, an [`Item`] in a file of its own. [`serve`] hands out what a store holds to
//! everybody who speaks the protocol of Intel's caches, or AMD's.
#![forbid(unsafe_code)]

mod atomic;
mod cabinet;
pub mod exchange;
mod fetch_error;
mod folder;
mod freshness;
pub mod http;
pub mod hygon;
mod item;
pub mod kds;
mod keeper;
mod key;
mod library;
mod lookup;
mod newest;
mod origin;
mod paper;
pub mod pcs;
mod percent;
mod platforms;
mod seen;
pub mod serve;
mod services;
mod shelf;
mod store;
mod wanted;

pub use cabinet::MAX_ITEMS;
pub use fetch_error::FetchError;
pub use freshness::{BackOff, Freshness, Upkeep};
pub use hygon::Hygon;
pub use item::{Endorser, Hwid, Item, NoItem, SerialNumber};
pub use kds::Kds;
pub use keeper::{Clock, keep};
pub use key::Key;
pub use library::{Age, Library, MAX_FILES, Report};
pub use lookup::{LookupError, lookup};
pub use origin::Access;
pub use paper::FetchedItem;
pub use pcs::{Fetched, Service};
pub use services::Services;
pub use store::{Kept, RefreshError, Refreshed, Standing, Store};
pub use wanted::{PckCa, Wanted};

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
    #[error("{}: more than {most} files", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// How many may be there.
        most: usize,
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
    /// A file of the folder cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What was offered takes back what was seen.
    #[error("collateral for {wanted} is refused: {what}, which was seen before")]
    TakenBack {
        /// What it is for.
        wanted: String,
        /// Which part is older than which, in words.
        what: String,
    },
    /// What was offered is of another chip than what is there under its name.
    #[error("the {item} is refused: its key is not that of the one which is kept")]
    OtherChip {
        /// What it is said to be.
        item: Item,
    },
    /// A VCEK came without the CA that issued it.
    #[error("a VCEK is refused: the {item} is not kept, or holds no longer")]
    NoAuthority {
        /// What it would stand on.
        item: Item,
    },
    /// An item is not what it is said to be.
    #[error("the {item} is refused: it is the {found}")]
    OtherItem {
        /// What it is said to be.
        item: Item,
        /// What it is.
        found: Item,
    },
    /// What was written is not used beside what else is there.
    #[error("{} is not used: {reason}", path.display())]
    NotUsed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The CA that certifies these platforms is none that a service could be asked about.
    #[error("collateral for {key}: the CA is neither the processor nor the platform CA")]
    UnknownCa {
        /// What it is for.
        key: Key,
    },
    /// A bundle cannot be written as JSON.
    #[error("collateral for {wanted}: {source}")]
    Encode {
        /// What it is for.
        wanted: Wanted,
        /// What is wrong.
        #[source]
        source: sealwright_wire::Error,
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
            Self::Write { .. } => "collateral-write",
            Self::TakenBack { .. } => "collateral-taken-back",
            Self::OtherChip { .. } => "collateral-other-chip",
            Self::NoAuthority { .. } => "collateral-no-authority",
            Self::OtherItem { .. } => "collateral-other",
            Self::NotUsed { .. } => "collateral-not-used",
            Self::UnknownCa { .. } => "collateral-unknown-ca",
            Self::Encode { .. } => "collateral-encode",
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
            Self::Write { .. } => "make the folder writable for whoever fetches, on a disk that is not full",
            Self::TakenBack { .. } => {
                "ask a service that is up to date: this one would take back a TCB recovery or a revocation"
            }
            Self::OtherChip { .. } => {
                "a chip keeps its key: find out which of the two is the chip's, and take the file away if it is the new one"
            }
            Self::NoAuthority { .. } => "fetch or import it first",
            Self::OtherItem { .. } => "carry the file over once more, as it was written",
            Self::NotUsed { .. } => "take away the other file of the folder that is for the same platform",
            Self::UnknownCa { .. } => "put the bundle into a library's folder by hand",
            Self::Encode { .. } => "report this: every bundle can be written",
            Self::Verify(error) => error.remedy(),
        }
    }
}
