//! AMD SEV-SNP in software: a vendor with a root of its own, platforms with a chip and a firmware, and the guests that run on them.
//!
//! ```text
//! Vendor    ARK -> ASK -> VCEK, ARK -> ASVK -> VLEK, the root's revocation list
//! Platform  one chip; the firmware's current, committed and reported versions; what the host has set; a loaded VLEK
//! Guest     what was measured and given at launch; its reports of versions 2 to 5
//! ```
//!
//! What an operator does to a machine is a method: [`Platform::install`], [`Platform::commit`], [`Platform::report_tcb`],
//! [`Platform::configure`], [`Platform::load_vlek`]; what the vendor does is [`Vendor::withdraw`]. As on hardware, a VCEK is of one chip and one
//! TCB, and a VLEK of one cloud and one TCB: other versions have another key, with another certificate. The simulated firmware refuses what real
//! firmware refuses, so that reports which contradict themselves are never signed.
//!
//! ```
//! use sealwright_sim::{snp::{GuestConfig, Platform, Vendor}, system_clock};
//! use sealwright_wire::snp::Product;
//! let vendor = Vendor::found(system_clock(), Product::Genoa)?;
//! let platform = Platform::build(&vendor)?;
//! let guest = platform.launch(&GuestConfig::new([0x4e; 48]))?;
//! let report = guest.report(&[0x5a; 64], 3)?;
//! let (collateral, vcek) = (platform.bundle()?, platform.vek()?);
//! # assert!(report.len() == 1184 && collateral.crl.is_some() && !vcek.is_empty());
//! # Ok::<(), sealwright_sim::Error>(())
//! ```

mod guest;
mod key;
mod platform;
mod vendor;
mod x509;

pub use guest::{Guest, GuestConfig};
pub use platform::{Firmware, HostConfig, Platform, Status};
pub use vendor::Vendor;
