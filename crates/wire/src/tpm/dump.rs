//! What go-attestation's tool dumps of a machine: the quote of its TPM, of 1.2 or of 2.0, with what belongs to it.

use crate::{
    Error, collateral, json,
    kbs::encoding::{base64_standard, base64_standard_option},
};
use serde::Deserialize;

/// The most PCRs that are read: 24 of each bank.
const MAX_PCRS: usize = 5 * 24;

/// A dump. Nothing about it has been verified, and nothing in it says whose key the attestation key is.
///
/// Source: google/go-attestation, `attest/attest-tool/internal` (`Dump`), as Go writes it in JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct Dump {
    /// What does not change.
    #[serde(rename = "Static")]
    pub machine: Machine,
    /// The attestation key.
    #[serde(rename = "AK")]
    pub key: AttestationKey,
    /// The quote.
    #[serde(rename = "Quote")]
    pub quote: Quote,
    /// The PCRs and the log.
    #[serde(rename = "Log")]
    pub log: Log,
}

/// What does not change of a machine.
#[derive(Clone, Debug, Deserialize)]
pub struct Machine {
    /// The endorsement key in PEM.
    #[serde(rename = "EKPem", default, with = "base64_standard_option")]
    pub endorsement_key: Option<Vec<u8>>,
}

/// An attestation key, and how it was made.
#[derive(Clone, Debug, Deserialize)]
pub struct AttestationKey {
    /// `TPM_PUBKEY` of TPM 1.2, `TPMT_PUBLIC` of TPM 2.0.
    #[serde(rename = "Public", with = "base64_standard")]
    pub public: Vec<u8>,
    /// `TPMS_CREATION_DATA`, of TPM 2.0.
    #[serde(rename = "CreateData", default, with = "base64_standard_option")]
    pub creation_data: Option<Vec<u8>>,
    /// `TPMS_ATTEST` over it.
    #[serde(rename = "CreateAttestation", default, with = "base64_standard_option")]
    pub creation_attestation: Option<Vec<u8>>,
    /// `TPMT_SIGNATURE` of that.
    #[serde(rename = "CreateSignature", default, with = "base64_standard_option")]
    pub creation_signature: Option<Vec<u8>>,
}

/// A quote.
#[derive(Clone, Debug, Deserialize)]
pub struct Quote {
    /// What the verifier asked with.
    #[serde(rename = "Nonce", default, with = "base64_standard_option")]
    pub nonce: Option<Vec<u8>>,
    /// `TPM_QUOTE_INFO` of TPM 1.2 ([`QuoteInfo`](crate::tpm12::QuoteInfo)), `TPMS_ATTEST` of TPM 2.0 ([`Attest`](super::Attest)).
    #[serde(rename = "Quote", with = "base64_standard")]
    pub message: Vec<u8>,
    /// Of TPM 1.2 the signature by itself, of TPM 2.0 a `TPMT_SIGNATURE`.
    #[serde(rename = "Signature", with = "base64_standard")]
    pub signature: Vec<u8>,
}

/// PCRs, and the log that explains them.
#[derive(Clone, Debug, Deserialize)]
pub struct Log {
    /// The PCRs, in any order.
    #[serde(rename = "PCRs", deserialize_with = "json::at_most::<_, _, MAX_PCRS>")]
    pub pcrs: Vec<Pcr>,
    /// The firmware's log.
    #[serde(rename = "Raw", with = "base64_standard")]
    pub raw: Vec<u8>,
}

/// A register.
#[derive(Clone, Debug, Deserialize)]
pub struct Pcr {
    /// Its number.
    #[serde(rename = "Index")]
    pub index: u32,
    /// Its value, as long as its bank's digests.
    #[serde(rename = "Digest", with = "base64_standard")]
    pub digest: Vec<u8>,
}

impl Dump {
    /// Reads a dump. Members that are not known here are skipped.
    ///
    /// # Errors
    /// When it is over [`MAX_JSON`](collateral::MAX_JSON), no JSON, or lacks a member.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        collateral::parse_json("go-attestation dump", json)
    }
}
