//! Evidence, collateral and a point in time make [`Facts`]: signatures, chains, revocation lists, TCB levels, event-log
//! replay. Runs anywhere that a relying party decides.
//!
//! Pure: no I/O, no clock, no network. The time, the collateral and the roots to be trusted are arguments, so a verdict can
//! be repeated years later. What this crate says is what the hardware's vendor vouches for; whether that is *good enough*
//! is the policy's business (`sealwright-appraise`).
//!
//! What was verified once is a value that can be used again:
//!
//! - [`Collateral`] holds everything that does not depend on a quote: the root, the CRLs, TCB info and QE identity, with the
//!   window of time in which all of it is valid;
//! - [`Platform`] is a PCK certificate chain verified against it;
//! - [`Platform::verify`] then costs a quote its own two signatures, or one where the quoting enclave is known from an earlier
//!   quote. [`verify`] does all of it for a single quote.
//!
//! Evidence of other vendors has values of its own: [`snp`].
//!
//! Each value refuses to be used at a time outside its window.
//!
//! A TPM's quote needs no collateral but the origin of its key: [`tpm::verify`]. Behind a paravisor, whose vTPM the hardware vouches for, the
//! hardware's facts come first: [`az_vtpm::verify`].
//!
//! Where the kind of evidence is not known beforehand, [`any`] tells it.
//!
//! ```no_run
//! use sealwright_verify::{Anchors, Collateral, verify};
//! use sealwright_wire::{Evidence, collateral::Bundle, time::UnixTime};
//!
//! let at = UnixTime::parse_rfc3339("2025-06-20T10:16:00Z")?;
//! let bundle = Bundle::from_json(&std::fs::read("collateral.json")?)?;
//! let collateral = Collateral::verify(&bundle, &Anchors::vendor(), at)?;
//! let quote = std::fs::read("quote")?;
//! let facts = verify(&Evidence::parse(&quote, None)?, &collateral, at)?;
//! assert_eq!(facts.debug(), Some(false), "{:?} under {}", facts.tcb().map(|tcb| tcb.status), facts.anchor().name);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod anchor;
pub mod any;
pub mod az_vtpm;
pub mod cca;
mod certificate;
mod chain;
mod collateral;
mod crl;
mod crypto;
pub mod csv;
mod error;
mod facts;
pub mod hash;
pub mod held_data;
mod issue;
pub mod nitro;
pub mod nvidia;
pub mod pem;
mod platform;
mod qe;
mod qve;
pub mod ratls;
pub mod replay;
mod sm2;
pub mod snp;
mod tcb;
mod tdx;
pub mod tpm;
mod window;

pub use anchor::{Anchor, AnchorId, AnchorKind, Anchors, SIMULATION};
pub use az_vtpm::AzVtpmClaims;
pub use cca::{CcaClaims, CcaComponent, CcaError};
pub use certificate::P256_KEY_INFO;
pub use collateral::Collateral;
pub use csv::{CsvClaims, CsvError, CsvExtendedClaims, CsvOwner, CsvPolicy};
pub use error::{Error, Part};
pub use facts::{Claims, Facts, SgxAttributes, SgxClaims, Tcb, TdAttributes, TdxClaims, TdxExtendedClaims};
pub use held_data::HeldDataError;
pub use issue::{CrlIssue, CrlNumber, Issue};
pub use nitro::NitroClaims;
pub use nvidia::{NvidiaClaims, NvidiaError};
pub use platform::{Platform, verify};
pub use qve::QveIdentity;
pub use ratls::RatlsError;
pub use sealwright_wire::collateral::TcbStatus;
pub use tpm::TpmClaims;
