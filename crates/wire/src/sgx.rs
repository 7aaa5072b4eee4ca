//! What an SGX enclave's report says, as it stands in quotes and as the quoting enclave's own report.

use crate::{Error, Reader, Tee};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The body of an enclave's report (Intel SDM volume 3D, "REPORT structure"; Intel SGX ECDSA QuoteLibReference DCAP API,
/// appendix A.4 "Enclave Report Body"), 384 bytes. The part of EREPORT's output that a quote carries and signs.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBody {
    /// CPUSVN: security versions of the processor, 16 components (offset 0x00).
    pub cpu_svn: [u8; 16],
    /// MISCSELECT: extended features recorded in the SSA frame (0x10).
    pub misc_select: U32,
    /// Reserved, zero (0x14).
    pub reserved1: [u8; 12],
    /// ISVEXTPRODID: extended product identity, with KSS (0x20).
    pub isv_ext_prod_id: [u8; 16],
    /// ATTRIBUTES, see [`Attributes`] (0x30).
    pub attributes: [u8; 16],
    /// MRENCLAVE: SHA-256 over how the enclave was built (0x40).
    pub mr_enclave: [u8; 32],
    /// Reserved, zero (0x60).
    pub reserved2: [u8; 32],
    /// MRSIGNER: SHA-256 of the modulus of the key that signed the enclave (0x80).
    pub mr_signer: [u8; 32],
    /// Reserved, zero (0xA0).
    pub reserved3: [u8; 32],
    /// CONFIGID, with KSS (0xC0).
    pub config_id: [u8; 64],
    /// ISVPRODID: product of this signer (0x100).
    pub isv_prod_id: U16,
    /// ISVSVN: security version of this product (0x102).
    pub isv_svn: U16,
    /// CONFIGSVN, with KSS (0x104).
    pub config_svn: U16,
    /// Reserved, zero (0x106).
    pub reserved4: [u8; 42],
    /// ISVFAMILYID, with KSS (0x130).
    pub isv_family_id: [u8; 16],
    /// REPORTDATA: 64 bytes of the enclave's own choice (0x140).
    pub report_data: [u8; 64],
}

const _: () = assert!(size_of::<ReportBody>() == 384);

impl ReportBody {
    /// The kind of environment that this structure describes.
    pub const TEE: Tee = Tee::Sgx;

    /// ATTRIBUTES with names for its bits.
    pub const fn attributes(&self) -> Attributes {
        Attributes(self.attributes)
    }
}

/// ATTRIBUTES (Intel SDM volume 3D, "ATTRIBUTES"): 64 flags, then XFRM, both little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(pub [u8; 16]);

impl Attributes {
    /// The enclave was initialized by EINIT (INIT, bit 0).
    pub const fn init(self) -> bool {
        self.flag(0)
    }

    /// The enclave can be read and written by a debugger (DEBUG, bit 1).
    pub const fn debug(self) -> bool {
        self.flag(1)
    }

    /// The enclave runs in 64-bit mode (MODE64BIT, bit 2).
    pub const fn mode64bit(self) -> bool {
        self.flag(2)
    }

    /// The enclave may have the provisioning key (PROVISIONKEY, bit 4).
    pub const fn provision_key(self) -> bool {
        self.flag(4)
    }

    /// The enclave may have the key of launch tokens (EINITTOKEN_KEY, bit 5).
    pub const fn einittoken_key(self) -> bool {
        self.flag(5)
    }

    /// Control-flow enforcement (CET, bit 6).
    pub const fn cet(self) -> bool {
        self.flag(6)
    }

    /// Key separation and sharing: CONFIGID and the longer identities of the product (KSS, bit 7).
    pub const fn kss(self) -> bool {
        self.flag(7)
    }

    /// The enclave's threads are told of asynchronous exits (AEX_NOTIFY, bit 10).
    pub const fn aex_notify(self) -> bool {
        self.flag(10)
    }

    /// XFRM: the extended features that are enabled inside, as XCR0 has them.
    pub const fn xfrm(self) -> [u8; 8] {
        let [_, _, _, _, _, _, _, _, xfrm @ ..] = self.0;
        xfrm
    }

    const fn flag(self, index: u32) -> bool {
        u128::from_le_bytes(self.0) & 1u128.rotate_left(index) != 0
    }
}

/// REPORT (Intel SDM volume 3D, "REPORT structure"), 432 bytes: what EREPORT writes. Its authentication code holds on the processor that
/// made it and for the enclave that it was made for; the quoting enclave turns it into a quote.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the code authenticates (offset 0x000).
    pub body: ReportBody,
    /// KEYID: the wear-out protection of the report key (0x180).
    pub key_id: [u8; 32],
    /// MAC: AES-CMAC over the body under the target's report key (0x1A0).
    pub mac: [u8; 16],
}

const _: () = assert!(size_of::<Report>() == 432);

impl Report {
    /// Reads a report: exactly its bytes, with zeros wherever the layout is reserved. Nothing else tells it from any 432 bytes.
    ///
    /// # Errors
    /// When the length is another, or a reserved field is not zero.
    pub fn parse(bytes: &[u8]) -> Result<&Self, Error> {
        let mut reader = Reader::new(bytes);
        let report: &Self = reader.structure("REPORT")?;
        reader.finish("REPORT")?;
        let body = &report.body;
        let reserved: [(usize, &[u8]); 4] =
            [(0x14, &body.reserved1), (0x60, &body.reserved2), (0xa0, &body.reserved3), (0x106, &body.reserved4)];
        match reserved.into_iter().find(|(_, field)| field.iter().any(|byte| *byte != 0)) {
            None => Ok(report),
            Some((at, field)) => Err(Error::unexpected("reserved field of REPORT", at, "zeros", hex::encode(field))),
        }
    }
}
