//! A whole TEE in software: vendor roots, quoting, collateral, firmware and event log of a simulated machine, as a back end of
//! evidence. Runs on a desk; a production build can leave it out.
//!
//! The simulator is a TEE, not a bypass. A [`Site`] has a vendor with a root of its own, a platform that the vendor certified,
//! and trust domains that boot from real files; what comes out are the formats of the hardware (quotes of versions 3, 4 and 5
//! with full certificate chains, TCB info, identities, revocation lists, a measured-boot log), which the production verifier
//! checks like any other once it is given the site's root. Nobody trusts that root by default, every certificate below it
//! says [`ORGANISATION`], and no environment variable turns anything of this on.
//!
//! A [`tpm::Site`] is a manufacturer of TPMs with a root of its own, in the same way, and its machines quote what they booted.
//! [`snp`] does the same for AMD SEV-SNP: a vendor with a root of its own, platforms whose firmware is updated and configured, and
//! guests whose reports their VCEK or VLEK signs.
//!
//! # Keys
//! All keys are made when a site is founded, or when an SNP platform first needs one; they live in the memory of that process, are
//! never written, and are wiped with the site. A workload sees a machine through [`Td`] or, from another process, through a
//! [`Client`] on its Unix socket: it can ask for a quote over its own 64 bytes, extend RTMR3, read log and registers, and nothing
//! else. The operator's socket ([`Control`]) boots machines and plays the vendor: a TCB recovery, an update, a revocation.
//!
//! # What is simulated
//! A trust domain boots by the profile [`PROFILE`], a machine with a TPM like it, into PCRs. It measures with code of its own: this crate knows nothing of
//! `sealwright-predict`, so that a prediction that comes true says something.
//!
//! [`csv`] is another vendor with machines of another kind: chips and guests of Hygon CSV under a root of its own. [`az_vtpm`] puts Azure's paravisor
//! and its vTPM on the hardware of SEV-SNP and TDX.
//!
//! ```
//! use sealwright_evidence::Backend;
//! use sealwright_sim::{Site, TdConfig, files, system_clock};
//! let site = Site::found(system_clock())?;
//! let td = site.boot(&TdConfig::new("desk", files::generate("a kernel")))?;
//! let evidence = td.evidence(&[0x5a; 64])?;
//! let collateral = site.collateral(td.tee())?;
//! # assert!(evidence.quote.len() > 4000 && collateral.tcb_info.starts_with("{\"id\":\"TDX\""));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod address;
pub mod az_vtpm;
mod boot;
mod client;
pub mod csv;
mod error;
pub mod files;
mod firmware;
mod hob;
mod key;
mod listener;
mod measured;
mod mrtd;
mod pe;
mod platform;
pub mod protocol;
mod serve;
mod site;
pub mod snp;
mod tcb;
mod td;
pub mod tpm;
mod vendor;

pub use boot::{CCEL_AREA, PROFILE};
pub use client::{Client, Control};
pub use error::Error;
pub use files::BootFiles;
pub use measured::MAX_LOG;
pub use protocol::BootRequest;
pub use serve::{MAX_ACPI, MAX_FIRMWARE, MAX_INITRD, MAX_KERNEL, Server, Stop};
pub use site::{Clock, Enclave, MAX_TDS, SgxFormat, Site, Status, Td, TdStatus, fixed_clock, system_clock};
pub use tcb::FMSPC;
pub use td::{DEFAULT_RAM, MAX_NAME, QuoteFormat, TdConfig};
pub use vendor::ORGANISATION;

/// The name under which simulated machines present themselves as a back end of evidence.
pub const BACKEND: &str = "simulated TDX";

#[cfg(test)]
mod tests;
