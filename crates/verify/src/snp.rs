//! AMD SEV-SNP: a report is believed when AMD's root vouches for the key that signed it, and when report and certificate agree on the
//! machine (SEV Secure Nested Paging Firmware ABI Specification, 56860; Versioned Chip Endorsement Key Certificate and KDS Interface
//! Specification, 57230).
//!
//! ```text
//! ARK -> ASK  -> VCEK (derived from a secret of one chip, for one set of security versions)  -> report
//! ARK -> ASVK -> VLEK (given to a cloud provider, for one set of security versions)          -> report
//! ```
//!
//! What was verified once is a value that can be used again:
//!
//! - [`Collateral`] is a product line's root, the CA of one kind of key, and the root's revocation list;
//! - [`Vek`] is a key's certificate verified against it;
//! - [`Vek::verify`] then costs a report one signature. [`verify`] does all of it for a single report.
//!
//! AMD does not judge security versions: [`Facts::tcb`](crate::Facts::tcb) is `None`, the versions are claims, and what is recent enough
//! is for the policy to say.

mod claims;
mod collateral;
mod error;
pub(crate) mod roots;
mod vek;

pub use claims::{Cpuid, GuestPolicy, PlatformInfo, SnpClaims};
pub(crate) use collateral::root;
pub use collateral::{Collateral, Revocation};
pub use error::Error;
pub use vek::{Vek, verify};
