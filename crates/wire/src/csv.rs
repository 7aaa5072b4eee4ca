//! Hygon CSV: attestation reports and the certificates behind them. Everything is little-endian, the numbers of SM2 too.
//!
//! Source: Hygon's own library csv-rs (`api::guest::types`, `certs`), which is the published definition of these formats, and the attestation
//! evidence of machines. A report comes in one of three shapes, see [`Report::parse`]:
//!
//! ```text
//! report     TEE info (version 1: 0x150 bytes, version 2: 0x490 bytes), signer 0x8A4 bytes, padding up to 4096 bytes
//! wrapper    "ATTESTATION_EXT\0" or 16 zero bytes, u32 flags, report of 4096 bytes
//! ```
//!
//! The firmware masks a report of version 1: each 4 bytes of the TEE info before `anonce`, and of the signer before its MAC, are XORed with
//! `anonce`. It signs the masked TEE info and authenticates the masked signer. `anonce` itself is **not** signed: whoever carries the report can
//! change it, which changes the same bits in every 4 bytes of every field. No field of version 1 means anything unless another of them, in
//! practice the launch digest, is held against a value that is known. Version 2 has no mask.
//!
//! Chain: HRK, HSK (both [`CaCertificate`]), CEK, PEK (both [`Certificate`]), report.

mod certificate;
mod report;

pub use certificate::{CaCertificate, Certificate, CertificateSignature, HskCek, PublicKey, Signature, Usage, number};
pub use report::{
    Body, EXTENSION_MAGIC, Policy, REPORT_SIZE, Report, ReportRequest, RequestExtension, Shape, Signer, SignerForm,
    TeeInfo, TeeInfoV1, TeeInfoV2,
};

/// The curve's number in public keys: SM2 with 256 bits.
pub const CURVE_SM2: u32 = 3;
/// The algorithm's number in certificates and reports: SM2 signatures with SM3.
pub const ALGORITHM_SM2_SIGN: u32 = 4;
/// The algorithm's number in certificates: SM2 key exchange.
pub const ALGORITHM_SM2_EXCHANGE: u32 = 5;
