//! The attestation report, its mask and its wrapper.

use super::{Certificate, Signature, Usage};
use crate::{Error, Reader, Tee};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The size of a report with its padding, as the device hands it out.
pub const REPORT_SIZE: usize = 4096;
/// The magic of a wrapper whose flags tell the report's version; it is also what a guest asks for such a report with.
pub const EXTENSION_MAGIC: [u8; 16] = *b"ATTESTATION_EXT\0";

/// What both versions of a report begin with (csv-rs `TeeInfoV1`, `TeeInfoV2`), 188 bytes. On the wire masked in version 1;
/// [`Report::tee_info`] gives it without the mask.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeeInfo {
    /// Digest of the public key of the session in which the owner launched the guest (offset 0x00).
    pub user_pubkey_digest: [u8; 32],
    /// The owner's name for the guest (0x20).
    pub vm_id: [u8; 16],
    /// The owner's version of the guest (0x30).
    pub vm_version: [u8; 16],
    /// 64 bytes of the guest's own choice (0x40).
    pub report_data: [u8; 64],
    /// The guest's nonce, which keys the signer's MAC (0x80).
    pub mnonce: [u8; 16],
    /// SM3 over the guest's initial contents: the launch digest (0x90).
    pub measure: [u8; 32],
    /// The guest's policy, see [`Policy`] (0xB0).
    pub policy: U32,
    /// What the key that signed is for: [`Usage::PEK`]; in version 1 not signed (0xB4).
    pub sig_usage: U32,
    /// [`super::ALGORITHM_SM2_SIGN`]; in version 1 not signed (0xB8).
    pub sig_algo: U32,
}

const _: () = assert!(size_of::<TeeInfo>() == 0xbc);

impl TeeInfo {
    /// The kind of environment that this structure describes.
    pub const TEE: Tee = Tee::Csv;

    /// The policy with names for its bits.
    pub const fn policy(&self) -> Policy {
        Policy(self.policy.get())
    }

    /// The same with the mask put on or, as that is the same, taken off.
    #[must_use]
    pub fn masked(mut self, anonce: [u8; 4]) -> Self {
        mask(self.as_mut_bytes(), anonce);
        self
    }
}

/// XORs each 4 bytes with the mask.
fn mask(bytes: &mut [u8], anonce: [u8; 4]) {
    for (byte, mask) in bytes.iter_mut().zip(anonce.iter().cycle()) {
        *byte ^= mask;
    }
}

/// TEE info of version 1 (csv-rs `TeeInfoV1`), 336 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeeInfoV1 {
    /// What the report says, masked (offset 0x00).
    pub masked: TeeInfo,
    /// The mask, a random number of the firmware's; not signed (0xBC).
    pub anonce: [u8; 4],
    /// Signature by the PEK over everything up to the policy, masked (0xC0).
    pub signature: Signature,
}

const _: () = assert!(size_of::<TeeInfoV1>() == 0x150);

impl TeeInfoV1 {
    /// A report that says this, masked and without its signature: to be signed by what [`Body::signed`] gives.
    pub fn new(info: TeeInfo, anonce: [u8; 4]) -> Self {
        Self { masked: info.masked(anonce), anonce, signature: Signature::new_zeroed() }
    }
}

/// TEE info of version 2 (csv-rs `TeeInfoV2`), 1168 bytes: of firmware with runtime registers (CSV3, from build 2337 on).
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeeInfoV2 {
    /// What version 1 says, without a mask (offset 0x000).
    pub info: TeeInfo,
    /// The firmware's build (0x0BC).
    pub build: U32,
    /// Version of the runtime registers, 1 so far (0x0C0).
    pub rtmr_version: U16,
    /// Reserved (0x0C2).
    pub reserved1: [u8; 14],
    /// RTMR0, which is the launch digest, to RTMR4: registers that only grow by SM3 extends (0x0D0).
    pub rtmr: [[u8; 32]; 5],
    /// Reserved (0x170).
    pub reserved2: [u8; 656],
    /// Signature by the PEK over everything before (0x400).
    pub signature: Signature,
}

const _: () = assert!(size_of::<TeeInfoV2>() == 0x490);

impl TeeInfoV2 {
    /// A report that says this, without its signature: to be signed by what [`Body::signed`] gives. RTMR0 becomes the launch digest.
    pub fn new(info: TeeInfo, build: u32, [rtmr1, rtmr2, rtmr3, rtmr4]: [[u8; 32]; 4]) -> Self {
        let rtmr = [info.measure, rtmr1, rtmr2, rtmr3, rtmr4];
        Self { info, build: U32::new(build), rtmr_version: U16::new(1), rtmr, ..Self::new_zeroed() }
    }
}

/// A guest's policy (csv-rs `GuestPolicy`): 32 bits that it was launched with and that travel with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy(pub u32);

impl Policy {
    /// Debugging of the guest is disallowed (NODBG, bit 0).
    pub const fn nodbg(self) -> bool {
        self.bit(0)
    }

    /// Sharing keys with other guests is disallowed (NOKS, bit 1).
    pub const fn noks(self) -> bool {
        self.bit(1)
    }

    /// CSV2 (encrypted register state) is required (ES, bit 2).
    pub const fn es(self) -> bool {
        self.bit(2)
    }

    /// Sending the guest to another platform is disallowed (NOSEND, bit 3).
    pub const fn nosend(self) -> bool {
        self.bit(3)
    }

    /// The guest stays on platforms of its domain (DOMAIN, bit 4).
    pub const fn domain(self) -> bool {
        self.bit(4)
    }

    /// The guest stays on platforms that are capable of CSV (CSV, bit 5).
    pub const fn csv(self) -> bool {
        self.bit(5)
    }

    /// The guest stays on platforms that are capable of CSV3 (CSV3, bit 6).
    pub const fn csv3(self) -> bool {
        self.bit(6)
    }

    /// Guests of the same user may share an address space id (ASID_REUSE, bit 7).
    pub const fn asid_reuse(self) -> bool {
        self.bit(7)
    }

    /// The lowest HSK version of a platform that the guest may be sent to (HSK_VERSION, bits 8 to 11).
    pub const fn hsk_version(self) -> u8 {
        self.byte(1) & 0xf
    }

    /// The lowest CEK version of a platform that the guest may be sent to (CEK_VERSION, bits 12 to 15).
    pub const fn cek_version(self) -> u8 {
        self.byte(1) >> 4
    }

    /// The lowest major firmware version of a platform that the guest may be sent to (API_MAJOR, bits 16 to 23).
    pub const fn api_major(self) -> u8 {
        self.byte(2)
    }

    /// The lowest minor firmware version of a platform that the guest may be sent to (API_MINOR, bits 24 to 31).
    pub const fn api_minor(self) -> u8 {
        self.byte(3)
    }

    const fn bit(self, index: u32) -> bool {
        self.0 & 1u32.rotate_left(index) != 0
    }

    const fn byte(self, index: usize) -> u8 {
        let [first, second, third, fourth] = self.0.to_le_bytes();
        match index {
            0 => first,
            1 => second,
            2 => third,
            _ => fourth,
        }
    }
}

/// The TEE info that a report signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Version 1, masked.
    V1(&'a TeeInfoV1),
    /// Version 2, with runtime registers.
    V2(&'a TeeInfoV2),
}

impl<'a> Body<'a> {
    /// Version of the layout: 1 or 2.
    pub const fn version(&self) -> u8 {
        match self {
            Self::V1(_) => 1,
            Self::V2(_) => 2,
        }
    }

    /// The mask; zeros in version 2, which has none.
    pub const fn anonce(&self) -> [u8; 4] {
        match self {
            Self::V1(body) => body.anonce,
            Self::V2(_) => [0; 4],
        }
    }

    /// The bytes that the PEK signs, as they stand in the report: up to the policy in version 1, all before the signature in version 2.
    pub fn signed(&self) -> &'a [u8] {
        match self {
            Self::V1(body) => body.as_bytes().get(..0xb4).unwrap_or_default(),
            Self::V2(body) => body.as_bytes().get(..0x400).unwrap_or_default(),
        }
    }

    /// The PEK's signature.
    pub const fn signature(&self) -> &'a Signature {
        match self {
            Self::V1(body) => &body.signature,
            Self::V2(body) => &body.signature,
        }
    }

    /// The whole structure as it stands in the report.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::V1(body) => body.as_bytes(),
            Self::V2(body) => body.as_bytes(),
        }
    }
}

/// Who signed the report (csv-rs `TeeInfoSigner`), 2212 bytes; masked as [`SignerForm`] says.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The PEK's certificate (offset 0x000).
    pub pek: Certificate,
    /// The chip's serial number in ASCII, padded with zeros (0x824).
    pub serial_number: [u8; 64],
    /// Not documented; not zero in the firmware's form (0x864).
    pub reserved: [u8; 32],
    /// HMAC-SM3 over everything before, in the firmware's form, keyed by the guest's nonce without mask (0x884). The key stands in the report:
    /// this tells damage, not forgery.
    pub mac: [u8; 32],
}

const _: () = assert!(size_of::<Signer>() == 2212);

impl Signer {
    /// The signer in the firmware's form without its MAC: to be authenticated by what [`authenticated`](Self::authenticated) gives.
    pub fn new(pek: Certificate, serial_number: [u8; 64], reserved: [u8; 32], anonce: [u8; 4]) -> Self {
        Self { pek, serial_number, reserved, mac: [0; 32] }.masked(anonce)
    }

    /// The same with the mask put on or taken off everything but the MAC.
    #[must_use]
    pub fn masked(mut self, anonce: [u8; 4]) -> Self {
        for part in [self.pek.as_mut_bytes(), &mut self.serial_number, &mut self.reserved] {
            // Each part has a multiple of 4 bytes, so that the mask begins anew with each.
            mask(part, anonce);
        }
        self
    }

    /// The bytes that the MAC covers, when this is the firmware's form.
    pub fn authenticated(&self) -> &[u8] {
        self.as_bytes().get(..0x884).unwrap_or_default()
    }

    /// The form into which csv-rs brings a report before it hands it on: no mask, and zeros for `reserved`, so that nobody can check the MAC.
    #[must_use]
    pub fn restored(self, anonce: [u8; 4]) -> Self {
        Self { reserved: [0; 32], ..self.masked(anonce) }
    }
}

/// How the signer stands in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerForm {
    /// As the firmware made it: masked in version 1.
    Firmware,
    /// As csv-rs leaves it: without mask, `reserved` zeroed.
    Restored,
}

/// How a report is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Not at all, as the device hands it out; such a report is of version 1.
    Bare,
    /// In a wrapper of zeros, which csv-rs makes where it asked for a report of version 1.
    Legacy,
    /// In a wrapper with [`EXTENSION_MAGIC`], whose flags are 0 for version 1 and 1 for version 2.
    Extension,
}

/// An attestation report, parsed and borrowed from its bytes. Nothing about it has been verified.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// How it is wrapped.
    pub shape: Shape,
    /// What is signed.
    pub body: Body<'a>,
    /// Who signed it, as it stands in the report.
    pub signer: &'a Signer,
    /// What follows the signer: padding, or anything at all. Nothing vouches for it.
    pub padding: &'a [u8],
    /// TEE info and signer in a row: the bytes that name this evidence.
    pub raw: &'a [u8],
    /// Where `raw` begins in the input.
    offset: usize,
}

/// magic, flags and report.
const WRAPPED_SIZE: usize = 16 + 4 + REPORT_SIZE;

impl<'a> Report<'a> {
    /// Parses a report: 4116 bytes are a wrapper; up to 4096 are a report of version 1, with or without its padding.
    ///
    /// # Errors
    /// When the wrapper has another magic or other flags, or the input is too short or too long.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        if input.len() == WRAPPED_SIZE || input.starts_with(&EXTENSION_MAGIC) {
            return Self::unwrap(reader);
        }
        if input.len() > REPORT_SIZE {
            return Err(Error::too_long("attestation report", 0, REPORT_SIZE, input.len()));
        }
        Self::read(&mut reader, Shape::Bare, 0)
    }

    fn unwrap(mut reader: Reader<'a>) -> Result<Self, Error> {
        const ZEROS: [u8; 16] = [0; 16];
        let magic = *reader.array::<16>("wrapper magic")?;
        let at = reader.offset();
        let flags = reader.u32("wrapper flags")?;
        let shape = match (magic, flags) {
            (EXTENSION_MAGIC, 0 | 1) => Shape::Extension,
            (EXTENSION_MAGIC, _) => {
                return Err(Error::unexpected("wrapper flags", at, "0 (version 1) or 1 (version 2)", flags));
            }
            (ZEROS, 0) => Shape::Legacy,
            (ZEROS, _) => return Err(Error::unexpected("wrapper flags", at, "0 under a magic of zeros", flags)),
            _ => return Err(Error::unexpected("wrapper magic", 0, "ATTESTATION_EXT or zeros", hex::encode(magic))),
        };
        let mut report = reader.sub("attestation report", REPORT_SIZE)?;
        reader.finish("wrapper")?;
        Self::read(&mut report, shape, flags)
    }

    fn read(reader: &mut Reader<'a>, shape: Shape, flags: u32) -> Result<Self, Error> {
        let (all, offset) = (reader.rest(), reader.offset());
        let body = match flags {
            0 => Body::V1(reader.structure("TEE info (version 1)")?),
            _ => Body::V2(reader.structure("TEE info (version 2)")?),
        };
        let signer = reader.structure("TEE info signer")?;
        let padding = reader.rest();
        let raw = all.get(..all.len().saturating_sub(padding.len())).unwrap_or(all);
        Ok(Self { shape, body, signer, padding, raw, offset })
    }

    /// What the report says, without the mask.
    pub fn tee_info(&self) -> TeeInfo {
        match self.body {
            Body::V1(body) => body.masked.masked(body.anonce),
            Body::V2(body) => body.info,
        }
    }

    /// How the signer stands in this report. The two differ where there is a mask: a PEK's usage reads as such in one of them only.
    pub fn signer_form(&self) -> SignerForm {
        let restored = self.body.anonce() == [0; 4] || self.signer.pek.usage() == Usage::PEK;
        if restored { SignerForm::Restored } else { SignerForm::Firmware }
    }

    /// Who signed it, without the mask.
    ///
    /// # Errors
    /// When the PEK's certificate is none.
    pub fn plain_signer(&self) -> Result<Signer, Error> {
        let plain = match self.signer_form() {
            SignerForm::Firmware => self.signer.masked(self.body.anonce()),
            SignerForm::Restored => *self.signer,
        };
        let at = self.offset.saturating_add(self.body.as_bytes().len());
        plain.pek.check().map_err(|error| error.at(at))?;
        Ok(plain)
    }

    /// Puts a report together: 4096 bytes, wrapped as `shape` says. The version must be one that the shape can hold.
    ///
    /// # Errors
    /// When `shape` holds version 1 only and this is version 2.
    pub fn encode(shape: Shape, body: &Body<'_>, signer: &Signer) -> Result<Vec<u8>, Error> {
        let mut report = [body.as_bytes(), signer.as_bytes()].concat();
        report.resize(REPORT_SIZE, 0);
        let (magic, flags) = match (shape, body) {
            (Shape::Bare, Body::V1(_)) => return Ok(report),
            (Shape::Legacy, Body::V1(_)) => ([0; 16], 0u32),
            (Shape::Extension, Body::V1(_)) => (EXTENSION_MAGIC, 0),
            (Shape::Extension, Body::V2(_)) => (EXTENSION_MAGIC, 1),
            (Shape::Bare | Shape::Legacy, Body::V2(_)) => {
                return Err(Error::unexpected("wrapper magic", 0, "ATTESTATION_EXT around version 2", "another shape"));
            }
        };
        Ok([magic.as_slice(), &flags.to_le_bytes(), &report].concat())
    }
}

/// What a guest writes into the device's buffer to ask for a report (csv-rs `ReportReq`), 112 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportRequest {
    /// What the report's `report_data` is to be (offset 0x00).
    pub report_data: [u8; 64],
    /// The nonce that keys the signer's MAC (0x40).
    pub mnonce: [u8; 16],
    /// SM3 over both (0x50).
    pub hash: [u8; 32],
}

const _: () = assert!(size_of::<ReportRequest>() == 112);

/// What follows a [`ReportRequest`] of a guest that asks for another version (csv-rs `ReportReqExt`), 20 bytes.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestExtension {
    /// [`EXTENSION_MAGIC`] (offset 0x00).
    pub magic: [u8; 16],
    /// 0 for version 1, 1 for version 2 (0x10).
    pub flags: U32,
}

const _: () = assert!(size_of::<RequestExtension>() == 20);
