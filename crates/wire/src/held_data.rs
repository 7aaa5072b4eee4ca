//! An SGX quote with the data that its enclave held: the enclave puts the data's SHA-256 into the quote's report data, and hands out both.
//!
//! Two JSON documents carry the pair: the request to Microsoft Azure Attestation, and what the quote generators of its samples write. In either the
//! quote may stand behind the header of the Open Enclave SDK.
//!
//! Sources: Azure Attestation REST API 2020-10-01 and 2018-09-01-preview, "Attest Sgx Enclave"; Azure-Samples/microsoft-azure-attestation,
//! `sgx.attest.sample`, `genquotes`; openenclave/openenclave, `include/openenclave/internal/report.h` (`oe_report_header_t`).

use crate::{Error, Reader};
use base64::{
    Engine, alphabet::URL_SAFE, engine::DecodePaddingMode, engine::GeneralPurpose, engine::GeneralPurposeConfig,
};
use serde::{Deserialize, Deserializer, de::Error as _};

/// The largest document that is read, in bytes.
const MAX_JSON: usize = 1 << 20;

/// The quote behind the header of an Open Enclave report, which is of version 1, says that the report is remote evidence of SGX (type 2), and how
/// long the quote is. `None` where there is no such header, or the length is another.
pub fn open_enclave_quote(bytes: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    let version = reader.u32("oe_report_header_t.version").ok()?;
    let report_type = reader.u32("oe_report_header_t.report_type").ok()?;
    let size = reader.u64("oe_report_header_t.report_size").ok()?;
    let whole = u64::try_from(reader.rest().len()) == Ok(size);
    (version == 1 && report_type == 2 && whole).then_some(reader.rest())
}

/// A quote, the data that its enclave held, and what the document says of the quote beside. Nothing about it has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldData {
    /// The quote, without a header.
    pub quote: Vec<u8>,
    /// The data.
    pub data: Vec<u8>,
    /// What the document says of the quote beside; requests say nothing.
    pub stated: Option<Stated>,
}

/// What a generator says of its quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// `MrEnclaveHex`.
    pub mr_enclave: [u8; 32],
    /// `MrSignerHex`.
    pub mr_signer: [u8; 32],
    /// `ProductIdHex`: 16 bytes, of which a quote has the first two, little-endian.
    pub product_id: u128,
    /// `SecurityVersion`.
    pub security_version: u64,
}

/// What the samples' generators write. `Type` and `Attributes` are words of the SDK that made the quote and not of the quote.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Generated {
    #[serde(rename = "Type")]
    _sdk_type: Option<u32>,
    #[serde(with = "hex::serde")]
    mr_enclave_hex: [u8; 32],
    #[serde(with = "hex::serde")]
    mr_signer_hex: [u8; 32],
    #[serde(with = "hex::serde")]
    product_id_hex: [u8; 16],
    security_version: u64,
    #[serde(rename = "Attributes")]
    _sdk_attributes: Option<u64>,
    #[serde(with = "hex::serde")]
    quote_hex: Vec<u8>,
    #[serde(with = "hex::serde")]
    enclave_held_data_hex: Vec<u8>,
}

/// The request of the preview.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct PreviewRequest {
    #[serde(deserialize_with = "base64url")]
    quote: Vec<u8>,
    #[serde(deserialize_with = "base64url")]
    enclave_held_data: Vec<u8>,
}

/// The request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AttestSgxEnclaveRequest {
    #[serde(deserialize_with = "base64url")]
    quote: Vec<u8>,
    runtime_data: RuntimeData,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RuntimeData {
    #[serde(deserialize_with = "base64url")]
    data: Vec<u8>,
    /// `Binary` or `JSON`: how the service is to put it into its token.
    #[serde(rename = "dataType")]
    _data_type: Option<String>,
}

impl HeldData {
    /// Reads any of the documents.
    ///
    /// # Errors
    /// When it is over 1 MiB, or JSON of none of the schemas.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        const FIELD: &str = "quote with held data";
        if json.len() > MAX_JSON {
            return Err(Error::too_long(FIELD, 0, MAX_JSON, json.len()));
        }
        // One after the other: serde would keep a value of any shape until it knows which document it is of.
        if let Ok(request) = serde_json::from_slice::<PreviewRequest>(json) {
            return Ok(Self::new(request.quote, request.enclave_held_data, None));
        }
        if let Ok(request) = serde_json::from_slice::<AttestSgxEnclaveRequest>(json) {
            return Ok(Self::new(request.quote, request.runtime_data.data, None));
        }
        let document: Generated = serde_json::from_slice(json).map_err(|error| Error::json(FIELD, json, &error))?;
        let stated = Stated {
            mr_enclave: document.mr_enclave_hex,
            mr_signer: document.mr_signer_hex,
            product_id: u128::from_le_bytes(document.product_id_hex),
            security_version: document.security_version,
        };
        Ok(Self::new(document.quote_hex, document.enclave_held_data_hex, Some(stated)))
    }

    fn new(quote: Vec<u8>, data: Vec<u8>, stated: Option<Stated>) -> Self {
        let quote = open_enclave_quote(&quote).map(<[u8]>::to_vec).unwrap_or(quote);
        Self { quote, data, stated }
    }
}

/// RFC 4648, section 5, with padding or without.
fn base64url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = String::deserialize(deserializer)?;
    GeneralPurpose::new(&URL_SAFE, config).decode(text).map_err(|_| D::Error::custom("expected base64url"))
}
