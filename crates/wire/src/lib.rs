//! Every byte format, read and written: quotes, TPM structures, event logs, IMA lists, collateral, certificates' extensions, reference
//! values, sealed files, receipts and the key protocol's messages. Runs anywhere.
//!
//! Pure: no I/O, no clock, no cryptography and no `unsafe`. Parsers borrow from their input, know every length once, cite
//! the specification on each field, and answer anything unexpected with an [`Error`] that names the field and its offset.
//! What the bytes are *worth* is not known here: that is `sealwright-verify`'s job.
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

mod cbor;
mod digest;
mod error;
mod evidence;
pub mod json;
mod reader;

pub mod aael;
pub mod acpi;
pub mod cca;
pub mod cel;
pub mod collateral;
pub mod cose;
pub mod csv;
pub mod hcl;
pub mod held_data;
pub mod ima;
pub mod jws;
pub mod kbs;
pub mod nitro;
pub mod nvidia;
pub mod pck;
pub mod quote;
pub mod ratls;
pub mod receipt;
pub mod reference;
pub mod sealed;
pub mod sev;
pub mod sgx;
pub mod snp;
pub mod tcg12;
pub mod tcg2;
pub mod tdx;
pub mod time;
pub mod tpm;
pub mod tpm12;
pub mod uefi;

pub use digest::{Digest, ParseDigestError};
pub use error::{Error, Kind};
pub use evidence::{Evidence, Tee};
pub use reader::Reader;
