//! TPM 2.0 in software: a manufacturer, and machines whose TPMs quote what they booted.
//!
//! A [`Site`] is a manufacturer with a root of its own, which says [`ORGANISATION`](crate::ORGANISATION) as every certificate below it does. It
//! makes a [`Machine`], certifies its endorsement key, and its attestation key when somebody asks for that
//! ([`Site::certify_ak`]); a relying party may instead enrol [`Machine::ak_public`] and believe no certificate at all. An enrolled key has no
//! place for a name: whoever enrols one of these declares the anchor to be a simulation's.
//!
//! A machine measures its boot into PCR 0 to 9 and a log in crypto-agile form, and what its kernel measures (IMA) into PCR 10 and a list. Its
//! operator reboots it, suspends it, cuts its power, extends PCRs with a record and without one, and asks for quotes. What
//! it may be told to do wrong is what machines do wrong: firmware that measures in some banks only, kernels that fill up SHA-1, keys
//! with the attributes of other keys.
//!
//! Keys live in AWS-LC's heap alone, which AWS-LC wipes when it frees it; nothing writes them anywhere.
//!
//! ```
//! use sealwright_sim::{files, system_clock, tpm};
//! use sealwright_wire::{tcg2::AlgorithmId, tpm::PcrSelection};
//! let site = tpm::Site::found(tpm::KeyKind::P256, system_clock())?;
//! let machine = site.machine(tpm::MachineConfig::new(files::generate("a kernel")))?;
//! let quote = machine.quote(&[PcrSelection::new(AlgorithmId::SHA256, 0..10)], b"challenge")?;
//! let certificate = site.certify_ak(&machine)?;
//! # assert!(quote.message.starts_with(b"\xffTCG") && certificate.chain().len() == 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: TCG, "Trusted Platform Module Library", Part 1 and Part 2; TCG PC Client Platform TPM Profile and Firmware Profile; TCG EK Credential
//! Profile.

mod boot;
mod hash;
mod ima;
mod key;
mod machine;
mod object;
mod pcr;
mod quote;
mod site;
mod timer;

pub(crate) use hash::Hash;
pub use key::{KeyKind, Scheme};
pub use machine::{Machine, MachineConfig};
pub use object::AkTemplate;
pub use pcr::PCRS;
pub use quote::Quote;
pub use site::{AK_LIFE, AkCertificate, Site};

#[cfg(test)]
mod tests;
