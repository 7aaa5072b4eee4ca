//! A simulated vendor of Hygon CSV: its root, its signing keys, chips, the platforms' owners, and guests whose reports the production verifier
//! checks like any other once it is given the vendor's HRK.
//!
//! The formats have no dates, no security versions that a list could withdraw and no revocation, so that a [`Site`] needs no clock and has no
//! TCB recovery. What an operator can do here is what one can do there: give a platform a new PEK or another owner, update its firmware,
//! launch guests under any policy, and the vendor can move to another HSK or HRK.
//!
//! # Where it says that it is simulated
//! Hygon's certificates have no names. Each has the id under which its key signs, and SM2 makes that id part of every signature: ids here begin
//! with [`ORGANISATION`](crate::ORGANISATION), by which a verifier knows the root for a simulation's, and which nobody can take off without
//! breaking the signatures. Key ids begin with `SIMULATED`, and the bytes of a report's signer block that nobody documents hold the
//! organisation too, until the guest's library wipes them. A report's body has no place for a name that is not its guest's own.
//!
//! ```
//! use sealwright_evidence::Backend;
//! use sealwright_sim::csv::{ChipConfig, GuestConfig, Layout, Site};
//! use sealwright_wire::csv::SignerForm;
//! let site = Site::found()?;
//! let chip = site.make_chip(&ChipConfig::new("SIMULATED-0001"))?;
//! let guest = chip.launch(&GuestConfig::new(b"an image"))?;
//! let report = guest.report(&[0x5a; 64], Layout::Bare, SignerForm::Firmware)?;
//! let evidence = guest.evidence(&[0x5a; 64])?;
//! # assert!(report.len() == 4096 && evidence.quote.len() == 4116 && chip.hsk_cek().len() == 2916 && site.hrk().len() == 832);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod authority;
mod chip;
mod guest;
mod key;
mod node;
mod registers;
mod report;
mod site;

pub use chip::{Chip, ChipConfig, FIRST_BUILD_WITH_REGISTERS, Firmware};
pub use guest::{DEFAULT_POLICY, Guest, GuestConfig};
pub use node::Owner;
pub use report::Layout;
pub use site::Site;

/// The name under which simulated guests present themselves as a back end of evidence.
pub const BACKEND: &str = "simulated CSV";
