//! TPM 2.0: what a quote is made of, what signed it, and the files and messages in which both travel.
//!
//! Source: TCG, "Trusted Platform Module Library, Part 2: Structures", revision 1.59; tables are cited by their titles, which later
//! revisions keep. Everything is big-endian. A `TPM2B` is a 16-bit length and so many bytes.
//!
//! | structure | here |
//! |---|---|
//! | `TPMS_ATTEST` with `TPMS_QUOTE_INFO` | [`Attest`], written by [`Attest::encode`] |
//! | `TPMT_SIGNATURE` | [`Signature`] |
//! | `TPMT_PUBLIC`, `TPM2B_PUBLIC` | [`Public`] |
//! | `TPML_PCR_SELECTION`, PCR values | [`PcrSelections`], [`PcrValues`] |
//! | `TPML_DIGEST` | [`read_digests`], [`write_digests`] |
//! | `TPM2B_NAME` | [`Name`] |
//! | files of `tpm2-tools` | [`tools`] |
//! | trustee's `tpm` evidence | [`Evidence`] |
//!
//! A quote says nothing about the values of PCRs but the hash over them: the values travel beside it, and only what the quote selects is
//! covered by it.

mod attest;
pub mod dump;
mod evidence;
mod name;
mod pcr;
mod public;
mod signature;
pub mod tools;

pub use attest::{Attest, ClockInfo, GENERATED_VALUE, ST_ATTEST_QUOTE};
pub use evidence::{Evidence, QuoteParts};
pub(crate) use evidence::{PCRS, base64_or_numbers, hex_or_numbers, pcr_list, write_pcr_list};
pub use name::Name;
pub use pcr::{MAX_PCR, PcrSelection, PcrSelections, PcrValues, read_digests, write_digests};
pub(crate) use public::rsa_key_info;
pub use public::{Attributes, Curve, Key, Public, Scheme, Symmetric};
pub use signature::Signature;

use crate::Error;

/// The longest digest, in bytes (Table "TPMU_HA": SHA-512).
pub const MAX_DIGEST: usize = 64;
/// The longest RSA key or signature, in bytes: 4096 bits.
pub const MAX_RSA: usize = 512;
/// The longest coordinate of a point, in bytes: that of P-521.
pub const MAX_ECC: usize = 66;

/// `TPM_ALG_ID` (Table "Definition of (UINT16) TPM_ALG_ID Constants") of what is no hash; hashes are [`crate::tcg2::AlgorithmId`].
pub mod alg {
    /// RSA.
    pub const RSA: u16 = 0x0001;
    /// AES.
    pub const AES: u16 = 0x0006;
    /// None.
    pub const NULL: u16 = 0x0010;
    /// SM4.
    pub const SM4: u16 = 0x0013;
    /// RSASSA-PKCS1-v1_5.
    pub const RSASSA: u16 = 0x0014;
    /// RSAES-PKCS1-v1_5, which has no hash.
    pub const RSAES: u16 = 0x0015;
    /// RSASSA-PSS.
    pub const RSAPSS: u16 = 0x0016;
    /// RSAES-OAEP.
    pub const OAEP: u16 = 0x0017;
    /// ECDSA.
    pub const ECDSA: u16 = 0x0018;
    /// ECDAA, the one scheme that has a count.
    pub const ECDAA: u16 = 0x001a;
    /// Keys on elliptic curves.
    pub const ECC: u16 = 0x0023;
    /// Camellia.
    pub const CAMELLIA: u16 = 0x0026;
    /// Cipher feedback mode.
    pub const CFB: u16 = 0x0043;
}

/// Writes a `TPM2B`.
fn write_sized(out: &mut Vec<u8>, field: &'static str, bytes: &[u8], limit: usize) -> Result<(), Error> {
    let len = u16::try_from(bytes.len()).ok().filter(|_| bytes.len() <= limit);
    let len = len.ok_or_else(|| Error::too_long(field, out.len(), limit, bytes.len()))?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}
