//! AMD SEV-SNP: the attestation report of a guest, the table of certificates that a host hands out with it, and what the certificates of
//! the signing keys say.
//!
//! Layouts: SEV Secure Nested Paging Firmware ABI Specification (AMD publication 56860), table "ATTESTATION_REPORT Structure", versions 2
//! to 5; Guest-Hypervisor Communication Block Standardization (56421), section "SNP Extended Guest Request"; Versioned Chip Endorsement Key
//! Certificate and KDS Interface Specification (57230). All integers are little-endian.
//!
//! Buffers of fixed size may hold bytes behind a report: these are kept in [`Report::trailing`], never interpreted.

mod bits;
mod bundle;
mod product;
mod table;
mod tcb;
mod vek;

pub use bits::{GuestPolicy, PlatformInfo, SignerInfo, SigningKey};
pub use bundle::Bundle;
pub use product::Product;
pub use table::{CertificateTable, Entry, MAX_ENTRIES, guid};
pub use tcb::{Tcb, TcbVersion, Tcbs};
pub use vek::{EXTENSIONS, HwId, VekExtensions};

use crate::{Error, Reader, Tee};
use serde::Serialize;
use std::ops::RangeInclusive;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The versions of the report that are read.
pub const VERSIONS: RangeInclusive<u32> = 2..=5;
/// The only signature algorithm: ECDSA P-384 with SHA-384 (56860, table "Signing Algorithm Encodings").
pub const ECDSA_P384_SHA384: u32 = 1;
/// The VMPL of a report that the host asked for (SNP_HV_REPORT_REQ): the guest had no part in it.
pub const VMPL_HOST: u32 = 0xffff_ffff;

/// The lowest VMPL of a guest, which is the highest number.
const VMPL_MAX: u32 = 3;
/// The version from which a report names the processor.
const CPUID_VERSION: u32 = 3;
/// The version from which a report has mitigation vectors.
const MIT_VECTOR_VERSION: u32 = 5;

/// Version of the firmware's ABI: three bytes, in the order of the report.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FirmwareVersion {
    /// BUILD (offset 0).
    pub build: u8,
    /// MINOR (1).
    pub minor: u8,
    /// MAJOR (2).
    pub major: u8,
}

impl FirmwareVersion {
    /// The version in the order in which versions are compared: major, minor, build.
    pub const fn ordered(self) -> (u8, u8, u8) {
        (self.major, self.minor, self.build)
    }
}

/// Signature of a report, 512 bytes (56860, table "Format for an ECDSA P-384 with SHA-384 Signature").
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// R, little-endian, zero-extended from 48 bytes (offset 0x000).
    pub r: [u8; 72],
    /// S, likewise (0x048).
    pub s: [u8; 72],
    /// Reserved, zero (0x090).
    pub reserved: [u8; 368],
}

const _: () = assert!(size_of::<Signature>() == 512);

impl Signature {
    /// The signature of R and S as other formats have them, one behind the other, big-endian.
    pub fn from_be_bytes(rs: &[u8; 96]) -> Self {
        let (r, s) = rs.split_at(48);
        Self { r: little_endian(r), s: little_endian(s), reserved: [0; 368] }
    }

    /// R and S one behind the other, 48 bytes each, big-endian. What is above them is zero in a parsed report.
    pub fn to_be_bytes(&self) -> [u8; 96] {
        let mut rs = [0; 96];
        let (r, s) = rs.split_at_mut(48);
        for (number, from) in [(r, &self.r), (s, &self.s)] {
            number.iter_mut().rev().zip(from).for_each(|(to, from)| *to = *from);
        }
        rs
    }
}

fn little_endian(number: &[u8]) -> [u8; 72] {
    let mut bytes = [0; 72];
    bytes.iter_mut().zip(number.iter().rev()).for_each(|(to, from)| *to = *from);
    bytes
}

/// An attestation report as the firmware writes it (56860, table "ATTESTATION_REPORT Structure"), 1184 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestationReport {
    /// VERSION of this layout, see [`VERSIONS`] (offset 0x000).
    pub version: U32,
    /// GUEST_SVN: security version of the guest, from its ID block (0x004).
    pub guest_svn: U32,
    /// POLICY under which the guest was launched, see [`GuestPolicy`] (0x008).
    pub policy: U64,
    /// FAMILY_ID, from the ID block (0x010).
    pub family_id: [u8; 16],
    /// IMAGE_ID, from the ID block (0x020).
    pub image_id: [u8; 16],
    /// VMPL for which the report was made, 0 to 3, or [`VMPL_HOST`] (0x030).
    pub vmpl: U32,
    /// SIGNATURE_ALGO, [`ECDSA_P384_SHA384`] (0x034).
    pub signature_algo: U32,
    /// CURRENT_TCB: security versions of what runs now (0x038).
    pub current_tcb: TcbVersion,
    /// PLATFORM_INFO, see [`PlatformInfo`] (0x040).
    pub platform_info: U64,
    /// Which key signed, see [`SignerInfo`] (0x048).
    pub signer_info: U32,
    /// Reserved, zero (0x04C).
    pub reserved1: [u8; 4],
    /// REPORT_DATA: 64 bytes of the guest's own choice (0x050).
    pub report_data: [u8; 64],
    /// MEASUREMENT: SHA-384 over the guest's initial contents (0x090).
    pub measurement: [u8; 48],
    /// HOST_DATA: 32 bytes that the host gave at launch (0x0C0).
    pub host_data: [u8; 32],
    /// ID_KEY_DIGEST: SHA-384 of the key that signed the ID block, zero without one (0x0E0).
    pub id_key_digest: [u8; 48],
    /// AUTHOR_KEY_DIGEST: SHA-384 of the key that certified the ID key, see [`SignerInfo::author_key_en`] (0x110).
    pub author_key_digest: [u8; 48],
    /// REPORT_ID: identity of the guest, as long as it lives (0x140).
    pub report_id: [u8; 32],
    /// REPORT_ID_MA: identity of its migration agent, all ones without one (0x160).
    pub report_id_ma: [u8; 32],
    /// REPORTED_TCB: the security versions from which the signing key was derived (0x180).
    pub reported_tcb: TcbVersion,
    /// CPUID_FAM_ID: family of the processor, extended family added; from version 3 (0x188).
    pub cpuid_fam_id: u8,
    /// CPUID_MOD_ID: model, with its extension in the upper half; from version 3 (0x189).
    pub cpuid_mod_id: u8,
    /// CPUID_STEP: stepping; from version 3 (0x18A).
    pub cpuid_step: u8,
    /// Reserved, zero (0x18B).
    pub reserved2: [u8; 21],
    /// CHIP_ID: identity of the processor, zero where the host masks it; Turin uses the first 8 bytes (0x1A0).
    pub chip_id: [u8; 64],
    /// COMMITTED_TCB: security versions below which the firmware will not go again (0x1E0).
    pub committed_tcb: TcbVersion,
    /// CURRENT_BUILD, CURRENT_MINOR, CURRENT_MAJOR: the firmware that runs now (0x1E8).
    pub current: FirmwareVersion,
    /// Reserved, zero (0x1EB).
    pub reserved3: u8,
    /// COMMITTED_BUILD, COMMITTED_MINOR, COMMITTED_MAJOR (0x1EC).
    pub committed: FirmwareVersion,
    /// Reserved, zero (0x1EF).
    pub reserved4: u8,
    /// LAUNCH_TCB: CURRENT_TCB when the guest was launched or imported (0x1F0).
    pub launch_tcb: TcbVersion,
    /// LAUNCH_MIT_VECTOR: mitigations that were verified at launch; from version 5 (0x1F8).
    pub launch_mit_vector: U64,
    /// CURRENT_MIT_VECTOR: mitigations that are verified now; from version 5 (0x200).
    pub current_mit_vector: U64,
    /// Reserved, zero (0x208).
    pub reserved5: [u8; 152],
    /// SIGNATURE over all that is before it (0x2A0).
    pub signature: Signature,
}

/// How much of a report is signed: everything before its signature, in bytes.
pub const SIGNED_LEN: usize = 0x2a0;

const _: () = assert!(size_of::<AttestationReport>() == 1184);
const _: () = assert!(size_of::<AttestationReport>() == SIGNED_LEN.saturating_add(size_of::<Signature>()));

impl AttestationReport {
    /// The kind of environment that this structure describes.
    pub const TEE: Tee = Tee::Snp;

    /// POLICY with names for its bits.
    pub const fn guest_policy(&self) -> GuestPolicy {
        GuestPolicy(self.policy.get())
    }

    /// PLATFORM_INFO with names for its bits.
    pub const fn platform(&self) -> PlatformInfo {
        PlatformInfo(self.platform_info.get())
    }

    /// Which key signed, with names for its bits.
    pub const fn signer(&self) -> SignerInfo {
        SignerInfo(self.signer_info.get())
    }

    /// Family, model and stepping of the processor, where the version has them.
    pub const fn cpuid(&self) -> Option<(u8, u8, u8)> {
        if self.version.get() < CPUID_VERSION {
            return None;
        }
        Some((self.cpuid_fam_id, self.cpuid_mod_id, self.cpuid_step))
    }

    /// Mitigation vectors at launch and now, where the version has them.
    pub const fn mit_vectors(&self) -> Option<(u64, u64)> {
        if self.version.get() < MIT_VECTOR_VERSION {
            return None;
        }
        Some((self.launch_mit_vector.get(), self.current_mit_vector.get()))
    }

    /// The four sets of security versions, read as this product encodes them.
    ///
    /// # Errors
    /// When a byte that the product's encoding reserves is not zero.
    pub fn tcbs(&self, product: Product) -> Result<Tcbs, Error> {
        Tcbs::of(self, product)
    }

    /// The bytes that are signed.
    pub fn signed(&self) -> &[u8] {
        self.as_bytes().get(..SIGNED_LEN).unwrap_or_default()
    }

    /// The report's bytes, once it is one that [`Report::parse`] reads: what a firmware (or a test) writes.
    ///
    /// # Errors
    /// As [`Report::parse`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        Ok(self.as_bytes().to_vec())
    }

    fn check(&self) -> Result<(), Error> {
        let version = self.version.get();
        if !VERSIONS.contains(&version) {
            return Err(Error::unexpected("VERSION", 0, "2 to 5", version));
        }
        self.guest_policy().check().map_err(|error| error.at(0x008))?;
        let vmpl = self.vmpl.get();
        if vmpl > VMPL_MAX && vmpl != VMPL_HOST {
            return Err(Error::unexpected("VMPL", 0x030, "0 to 3, or 0xffffffff for the host", vmpl));
        }
        let algorithm = self.signature_algo.get();
        if algorithm != ECDSA_P384_SHA384 {
            return Err(Error::unexpected("SIGNATURE_ALGO", 0x034, "1 (ECDSA P-384 with SHA-384)", algorithm));
        }
        self.platform().check().map_err(|error| error.at(0x040))?;
        self.signer().check().map_err(|error| error.at(0x048))?;
        self.check_reserved(version)
    }

    /// What this version reserves must be zero.
    fn check_reserved(&self, version: u32) -> Result<(), Error> {
        zero("reserved", 0x04c, &self.reserved1)?;
        if version < CPUID_VERSION {
            zero("reserved before version 3", 0x188, &[self.cpuid_fam_id, self.cpuid_mod_id, self.cpuid_step])?;
        }
        zero("reserved", 0x18b, &self.reserved2)?;
        zero("reserved", 0x1eb, &[self.reserved3])?;
        zero("reserved", 0x1ef, &[self.reserved4])?;
        if version < MIT_VECTOR_VERSION {
            zero("reserved before version 5", 0x1f8, self.launch_mit_vector.as_bytes())?;
            zero("reserved before version 5", 0x200, self.current_mit_vector.as_bytes())?;
        }
        zero("reserved", 0x208, &self.reserved5)?;
        zero("SIGNATURE.R above 384 bits", 0x2d0, self.signature.r.get(48..).unwrap_or_default())?;
        zero("SIGNATURE.S above 384 bits", 0x318, self.signature.s.get(48..).unwrap_or_default())?;
        zero("SIGNATURE reserved", 0x330, &self.signature.reserved)
    }
}

/// Refuses bytes of which one is not zero; `at` is where they begin.
fn zero(field: &'static str, at: usize, bytes: &[u8]) -> Result<(), Error> {
    let Some(place) = bytes.iter().position(|byte| *byte != 0) else { return Ok(()) };
    let found = bytes.get(place).copied().unwrap_or_default();
    Err(Error::unexpected(field, at.saturating_add(place), "zero", format_args!("0x{found:02x}")))
}

/// A report, parsed and borrowed from its bytes. Nothing about it has been verified.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The fields.
    pub body: &'a AttestationReport,
    /// What follows the report: padding, or anything at all.
    pub trailing: &'a [u8],
}

impl<'a> Report<'a> {
    /// Parses a report of version 2 to 5.
    ///
    /// # Errors
    /// When the input ends early, when the version, VMPL or signature algorithm is not one of the layout above, when a bit or byte that
    /// the version reserves has another value than the specification gives it, or when R or S has more than 384 bits.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let body = reader.structure::<AttestationReport>("ATTESTATION_REPORT")?;
        body.check()?;
        Ok(Self { body, trailing: reader.rest() })
    }

    /// The bytes that are signed.
    pub fn signed(&self) -> &'a [u8] {
        self.body.as_bytes().get(..SIGNED_LEN).unwrap_or_default()
    }

    /// The report without what follows it: the bytes that name this evidence.
    pub fn without_trailing(&self) -> &'a [u8] {
        self.body.as_bytes()
    }
}
