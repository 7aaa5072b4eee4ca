//! The report of a guest of Azure with its quote, as JSON.

use crate::collateral::{encode_pem_chain, pem_chain};
use crate::tcg2::AlgorithmId;
use crate::tpm::{self, PcrValues};
use crate::{Error, Reader};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest evidence that is read, in bytes.
const MAX_JSON: usize = 1 << 20;

/// Evidence of kind `az-snp-vtpm` or `az-tdx-vtpm` as trustee's attester sends it, in any of its versions: the report, the vTPM's quote, and
/// what the hardware report needs to be verified. Nothing about it has been verified.
///
/// Source: confidential-containers/trustee, `deps/verifier/src/az_snp_vtpm` and `az_tdx_vtpm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Absent (version 0, bytes as lists of numbers) or 1.
    #[serde(default)]
    pub version: u32,
    /// The report, see [`Report::parse`](super::Report::parse); version 0 of SNP calls it `report`.
    #[serde(alias = "report", deserialize_with = "tpm::base64_or_numbers", serialize_with = "write_base64")]
    pub hcl_report: Vec<u8>,
    /// The quote; version 0 of SNP calls it `quote`.
    #[serde(alias = "quote")]
    pub tpm_quote: Quote,
    /// SNP: the certificate of the processor's key, in PEM (version 0) or base64 of DER; see [`Evidence::vcek_der`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcek: Option<String>,
    /// TDX: the quote over the same report data.
    #[serde(default, deserialize_with = "optional_bytes", serialize_with = "write_optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub td_quote: Option<Vec<u8>>,
}

/// The vTPM's quote: the attestation key signs with RSASSA and SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quote {
    /// The signature's bytes.
    #[serde(deserialize_with = "tpm::hex_or_numbers", serialize_with = "hex::serialize")]
    pub signature: Vec<u8>,
    /// `TPMS_ATTEST`.
    #[serde(deserialize_with = "tpm::hex_or_numbers", serialize_with = "hex::serialize")]
    pub message: Vec<u8>,
    /// PCR 0 to 23 of the SHA-256 bank.
    #[serde(deserialize_with = "tpm::pcr_list", serialize_with = "tpm::write_pcr_list")]
    pub pcrs: Vec<[u8; 32]>,
}

impl Evidence {
    /// The certificate of the processor's key in DER; `None` where the evidence has none.
    ///
    /// # Errors
    /// When it is neither one certificate in PEM nor base64 in either alphabet.
    pub fn vcek_der(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(text) = self.vcek.as_deref().map(str::trim) else { return Ok(None) };
        let unexpected = |offset| Error::unexpected("vcek", offset, "one certificate in PEM, or base64", text);
        if text.starts_with("-----") {
            let mut certificates = pem_chain("vcek", text.as_bytes())?;
            return if certificates.len() == 1 { Ok(certificates.pop()) } else { Err(unexpected(0)) };
        }
        let standard = text.replace('-', "+").replace('_', "/");
        STANDARD.decode(standard).map(Some).map_err(|_| unexpected(0))
    }

    /// Reads evidence.
    ///
    /// # Errors
    /// When it is over 1 MiB, or no JSON of this schema.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_JSON {
            return Err(Error::too_long("vTPM evidence", 0, MAX_JSON, json.len()));
        }
        let evidence: Self =
            serde_json::from_slice(json).map_err(|error| Error::json("vTPM evidence", json, &error))?;
        if evidence.version > 1 {
            return Err(Error::unexpected("vTPM evidence version", 0, "0 or 1", evidence.version));
        }
        Ok(evidence)
    }

    /// Writes evidence of version 1: bytes in base64url or hex.
    ///
    /// # Errors
    /// When the certificate is none that [`Evidence::vcek_der`] reads.
    pub fn to_json(&self) -> Result<String, Error> {
        let vcek = self.vcek_der()?.map(|der| URL_SAFE.encode(der));
        write(&Self { version: 1, vcek, ..self.clone() })
    }

    /// Writes evidence of version 0, as older attesters do and without a word about its version: bytes as lists of numbers, the certificate in PEM.
    /// That of TDX is known by its quote.
    ///
    /// # Errors
    /// When the certificate is none that [`Evidence::vcek_der`] reads.
    pub fn to_json_v0(&self) -> Result<String, Error> {
        let Self { hcl_report, tpm_quote, td_quote, .. } = self;
        let Quote { signature, message, pcrs } = tpm_quote;
        let quote = QuoteV0 { signature, message, pcrs };
        if let Some(td_quote) = td_quote {
            return write(&TdxV0 { tpm_quote: quote, hcl_report, td_quote });
        }
        let vcek = self.vcek_der()?.map(|der| encode_pem_chain(&[der]));
        write(&SnpV0 { quote, report: hcl_report, vcek })
    }
}

/// Evidence of an SEV-SNP guest in version 0.
#[derive(Serialize)]
struct SnpV0<'a> {
    quote: QuoteV0<'a>,
    report: &'a [u8],
    #[serde(skip_serializing_if = "Option::is_none")]
    vcek: Option<String>,
}

/// Evidence of a trust domain in version 0.
#[derive(Serialize)]
struct TdxV0<'a> {
    tpm_quote: QuoteV0<'a>,
    hcl_report: &'a [u8],
    td_quote: &'a [u8],
}

/// A quote in version 0.
#[derive(Serialize)]
struct QuoteV0<'a> {
    signature: &'a [u8],
    message: &'a [u8],
    pcrs: &'a [[u8; 32]],
}

fn write(evidence: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(evidence).map_err(|error| Error::json("vTPM evidence", &[], &error))
}

impl Quote {
    /// Reads a quote by itself, as the `az-cvm-vtpm` crates keep it: as JSON, or as bincode writes the same structure (each list behind its length in
    /// 64 bits, little-endian).
    ///
    /// # Errors
    /// When it is over 1 MiB, or neither.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_JSON {
            return Err(Error::too_long("vTPM quote", 0, MAX_JSON, bytes.len()));
        }
        match bytes.trim_ascii_start() {
            text @ [b'{', ..] => serde_json::from_slice(text).map_err(|error| Error::json("vTPM quote", text, &error)),
            _ => Self::from_bincode(bytes),
        }
    }

    fn from_bincode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let signature = counted(&mut reader, "vTPM quote signature")?.to_vec();
        let message = counted(&mut reader, "vTPM quote message")?.to_vec();
        let at = reader.offset();
        let count = reader.u64("vTPM quote pcrs")?;
        if count != tpm::PCRS as u64 {
            return Err(Error::unexpected("vTPM quote pcrs", at, "24 PCRs", count));
        }
        let pcrs = (0..count).map(|_| reader.array("vTPM quote PCR").copied()).collect::<Result<_, _>>()?;
        reader.finish("vTPM quote")?;
        Ok(Self { signature, message, pcrs })
    }

    /// The signature as the TPM's structure.
    pub fn signature(&self) -> tpm::Signature<'_> {
        tpm::Signature::RsaSsa { hash: AlgorithmId::SHA256, signature: &self.signature }
    }

    /// The PCRs as values of the SHA-256 bank.
    ///
    /// # Errors
    /// Never for 24 values; see [`PcrValues::insert`].
    pub fn values(&self) -> Result<PcrValues, Error> {
        PcrValues::of_bank(AlgorithmId::SHA256, self.pcrs.iter().map(<[u8; 32]>::as_slice))
    }
}

/// Bytes behind their length.
fn counted<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8], Error> {
    let (at, left) = (reader.offset(), reader.rest().len());
    let len = reader.u64(field)?;
    let len = usize::try_from(len).map_err(|_| Error::too_long(field, at, left, usize::MAX))?;
    reader.bytes(field, len)
}

fn optional_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    tpm::base64_or_numbers(deserializer).map(Some)
}

fn write_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&URL_SAFE.encode(bytes))
}

fn write_optional<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.as_ref().map(|bytes| URL_SAFE.encode(bytes)).serialize(serializer)
}
