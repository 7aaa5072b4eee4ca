//! TPM evidence as JSON.

use super::{Attest, PcrValues, Signature};
use crate::{Error, json, tcg2::AlgorithmId};
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The largest evidence that is read, in bytes.
const MAX_JSON: usize = 1 << 20;
/// How many PCRs travel: those of a PC client.
pub(crate) const PCRS: usize = 24;

/// Evidence of kind `tpm` as trustee's attester sends it: attestation key, quote, PCRs of the SHA-256 bank. Nothing about it has been
/// verified, and nothing in it says whose key that is.
///
/// ```json
/// { "ak_public": base64, "tpm_quote": { "signature": base64, "message": base64, "pcrs": [24 times 64 hex digits] } }
/// ```
///
/// Source: confidential-containers/trustee, `deps/verifier/src/tpm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// SubjectPublicKeyInfo of the attestation key in DER.
    #[serde(with = "base64_text")]
    pub ak_public: Vec<u8>,
    /// The quote.
    pub tpm_quote: QuoteParts,
}

/// A quote with its PCRs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteParts {
    /// `TPMT_SIGNATURE`, see [`Signature::parse`].
    #[serde(with = "base64_text")]
    pub signature: Vec<u8>,
    /// `TPMS_ATTEST`, see [`Attest::parse`].
    #[serde(with = "base64_text")]
    pub message: Vec<u8>,
    /// PCR 0 to 23 of the SHA-256 bank.
    #[serde(deserialize_with = "pcr_list", serialize_with = "write_pcr_list")]
    pub pcrs: Vec<[u8; 32]>,
}

impl Evidence {
    /// Reads evidence.
    ///
    /// # Errors
    /// When it is over 1 MiB, no JSON of this schema, or its quote or signature is none.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_JSON {
            return Err(Error::too_long("TPM evidence", 0, MAX_JSON, json.len()));
        }
        let evidence: Self = serde_json::from_slice(json).map_err(|error| Error::json("TPM evidence", json, &error))?;
        Attest::parse(&evidence.tpm_quote.message)?;
        Signature::parse(&evidence.tpm_quote.signature)?;
        Ok(evidence)
    }

    /// Writes evidence.
    ///
    /// # Errors
    /// Never for bytes; the serialiser's signature has it.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|error| Error::json("TPM evidence", &[], &error))
    }
}

impl QuoteParts {
    /// The PCRs as values of the SHA-256 bank.
    ///
    /// # Errors
    /// Never for 24 values; see [`PcrValues::insert`].
    pub fn values(&self) -> Result<PcrValues, Error> {
        PcrValues::of_bank(AlgorithmId::SHA256, self.pcrs.iter().map(<[u8; 32]>::as_slice))
    }
}

/// Base64 in either alphabet, with or without padding: attesters differ.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}

mod base64_text {
    use super::*;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode_base64(&text).ok_or_else(|| D::Error::custom("expected base64"))
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&general_purpose::STANDARD.encode(bytes))
    }
}

/// Bytes as text of one encoding, which the function knows, or as the list of numbers of older attesters.
struct TextOrNumbers(fn(&str) -> Option<Vec<u8>>, &'static str);

impl<'de> Visitor<'de> for TextOrNumbers {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} or a list of numbers", self.1)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        self.0(text).ok_or_else(|| E::custom(format_args!("expected {}", self.1)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(number) = numbers.next_element()? {
            bytes.push(number);
        }
        Ok(bytes)
    }
}

/// Hex, or a list of numbers.
pub(crate) fn hex_or_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_any(TextOrNumbers(|text| hex::decode(text).ok(), "hex digits"))
}

/// Base64, or a list of numbers.
pub(crate) fn base64_or_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_any(TextOrNumbers(decode_base64, "base64"))
}

/// 24 values of 32 bytes.
pub(crate) fn pcr_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 32]>, D::Error> {
    #[derive(Deserialize)]
    struct Value(#[serde(deserialize_with = "hex_or_numbers")] Vec<u8>);
    let values: Vec<Value> = json::at_most::<_, _, PCRS>(deserializer)?;
    let values: Option<Vec<_>> = values.into_iter().map(|Value(value)| value.try_into().ok()).collect();
    let values = values.filter(|values| values.len() == PCRS);
    values.ok_or_else(|| D::Error::custom("expected 24 PCRs of 32 bytes"))
}

/// Writes values as hex.
pub(crate) fn write_pcr_list<S: Serializer>(pcrs: &[[u8; 32]], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(pcrs.iter().map(hex::encode))
}
