//! Security versions (56860, section "TCB Version").

use super::{AttestationReport, Product};
use crate::Error;
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const FIELD: &str = "TCB_VERSION";

/// A TCB_VERSION as it stands in a report: what its bytes mean is for the product to say.
///
/// | byte | Milan, Genoa | Turin |
/// |---|---|---|
/// | 0 | BOOT_LOADER | FMC |
/// | 1 | TEE | BOOT_LOADER |
/// | 2 | reserved | TEE |
/// | 3 | reserved | SNP |
/// | 4, 5 | reserved | reserved |
/// | 6 | SNP | reserved |
/// | 7 | MICROCODE | MICROCODE |
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcbVersion(pub [u8; 8]);

/// The security versions of one platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tcb {
    /// FMC: the first mutable code; from Turin on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fmc: Option<u8>,
    /// BOOT_LOADER: the secure processor's boot loader.
    pub boot_loader: u8,
    /// TEE: the secure processor's operating system.
    pub tee: u8,
    /// SNP: the SNP firmware.
    pub snp: u8,
    /// MICROCODE: the lowest patch level of all cores.
    pub microcode: u8,
}

impl TcbVersion {
    /// Reads the bytes as the product encodes them.
    ///
    /// # Errors
    /// When a byte that it reserves is not zero; the offset counts from the first byte of the eight.
    pub fn decode(self, product: Product) -> Result<Tcb, Error> {
        let bytes = self.0;
        match product {
            Product::Milan | Product::Genoa => {
                let [boot_loader, tee, reserved @ .., snp, microcode] = bytes;
                super::zero(FIELD, 2, &reserved)?;
                Ok(Tcb { fmc: None, boot_loader, tee, snp, microcode })
            }
            Product::Turin => {
                let [fmc, boot_loader, tee, snp, reserved @ .., microcode] = bytes;
                super::zero(FIELD, 4, &reserved)?;
                Ok(Tcb { fmc: Some(fmc), boot_loader, tee, snp, microcode })
            }
        }
    }
}

impl Tcb {
    /// The versions by the names of the specification; a component that the product does not have is 0.
    pub const fn components(&self) -> [(&'static str, u8); 5] {
        let fmc = match self.fmc {
            Some(fmc) => fmc,
            None => 0,
        };
        [
            ("FMC", fmc),
            ("BOOT_LOADER", self.boot_loader),
            ("TEE", self.tee),
            ("SNP", self.snp),
            ("MICROCODE", self.microcode),
        ]
    }

    /// Writes the bytes as the product encodes them; an FMC that it does not have is left out.
    pub const fn encode(&self, product: Product) -> TcbVersion {
        let Self { boot_loader, tee, snp, microcode, .. } = *self;
        let [(_, fmc), ..] = self.components();
        TcbVersion(match product {
            Product::Milan | Product::Genoa => [boot_loader, tee, 0, 0, 0, 0, snp, microcode],
            Product::Turin => [fmc, boot_loader, tee, snp, 0, 0, 0, microcode],
        })
    }
}

/// The security versions of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcbs {
    /// CURRENT_TCB: what runs now.
    pub current: Tcb,
    /// REPORTED_TCB: from which the signing key was derived.
    pub reported: Tcb,
    /// COMMITTED_TCB: below which the firmware will not go again.
    pub committed: Tcb,
    /// LAUNCH_TCB: what ran when the guest was launched or imported.
    pub launch: Tcb,
}

impl Tcbs {
    pub(super) fn of(report: &AttestationReport, product: Product) -> Result<Self, Error> {
        let read = |version: TcbVersion, at| version.decode(product).map_err(|error| error.at(at));
        Ok(Self {
            current: read(report.current_tcb, 0x038)?,
            reported: read(report.reported_tcb, 0x180)?,
            committed: read(report.committed_tcb, 0x1e0)?,
            launch: read(report.launch_tcb, 0x1f0)?,
        })
    }
}
