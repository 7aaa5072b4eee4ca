//! Intel's collateral: what a verifier needs beside the quote, gathered in one JSON document, and the two signed JSON
//! documents in it.
//!
//! Sources: Intel SGX and Intel TDX Provisioning Certification Service API, version 4 ("TCB Info V3", "Enclave Identity V2");
//! the bundle is the shape that the field's verifiers exchange (`tcb_info`, `qe_identity` and so on, CRLs and signatures in
//! hex). Signatures cover the documents' exact text, so it is kept as it came.

mod chain;
mod hex_upper;
mod qe_identity;
mod qve;
mod status;
mod tcb_info;

pub(crate) use chain::encode_pem;
pub use chain::{MAX_CERTIFICATES, encode_pem_chain, pem_chain};
pub use qe_identity::{QeId, QeIdentity, QeTcb, QeTcbLevel};
pub use qve::QveBundle;
pub use status::{ParseStatusError, TcbStatus};
pub use tcb_info::{
    Component, Tcb, TcbInfo, TcbInfoId, TcbLevel, TdxModule, TdxModuleIdentity, TdxModuleLevel, TdxModuleTcb,
};

use crate::Error;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// Largest bundle or signed document that is read, in bytes. Real bundles have under 20 KB.
pub const MAX_JSON: usize = 4 << 20;
/// The most levels that a document may rate, and the most identities of modules. Real ones have about twenty.
pub const MAX_LEVELS: usize = 1024;
/// The most advisories of a level. Real ones have up to about twenty.
pub const MAX_ADVISORIES: usize = 256;

/// Everything beside the quote that its verification needs: certificates, revocation lists and two signed documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Chain of the CA that issued PCK certificates, in PEM: that CA, then the root.
    pub pck_crl_issuer_chain: String,
    /// The root CA's revocation list, DER (hex in JSON).
    #[serde(with = "hex::serde")]
    pub root_ca_crl: Vec<u8>,
    /// The PCK CA's revocation list, DER (hex in JSON).
    #[serde(with = "hex::serde")]
    pub pck_crl: Vec<u8>,
    /// Chain of the TCB info's signer, in PEM: the signer, then the root.
    pub tcb_info_issuer_chain: String,
    /// TCB info, the exact text that was signed. See [`TcbInfo::parse`].
    pub tcb_info: String,
    /// ECDSA P-256 signature (r, s) over the TCB info (hex in JSON).
    #[serde(with = "hex::serde")]
    pub tcb_info_signature: [u8; 64],
    /// Chain of the QE identity's signer, in PEM: the signer, then the root.
    pub qe_identity_issuer_chain: String,
    /// QE identity, the exact text that was signed. See [`QeIdentity::parse`].
    pub qe_identity: String,
    /// ECDSA P-256 signature (r, s) over the QE identity (hex in JSON).
    #[serde(with = "hex::serde")]
    pub qe_identity_signature: [u8; 64],
    /// PCK certificate chain for a quote that carries none, in PEM: PCK certificate, PCK CA, root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pck_certificate_chain: Option<String>,
}

impl Bundle {
    /// Reads a bundle from its JSON. Members that are not known here are skipped.
    ///
    /// # Errors
    /// When it is over [`MAX_JSON`], no JSON, or lacks a member.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        parse_json("collateral bundle", json)
    }

    /// Writes the bundle's JSON, indented.
    ///
    /// # Errors
    /// Never with these members; JSON encoding is fallible by its interface.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|error| Error::json("collateral bundle", b"", &error))
    }
}

/// A signed document as Intel's service returns it: `{"tcbInfo": {...}, "signature": "hex"}`, or the same with
/// `enclaveIdentity`. The inner text is kept as it stands, because the signature is over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The exact text of the inner document.
    pub document: &'a str,
    /// ECDSA P-256 signature (r, s) over it.
    pub signature: [u8; 64],
}

#[derive(Deserialize)]
struct SignedTcbInfo<'a> {
    #[serde(borrow, rename = "tcbInfo")]
    document: &'a RawValue,
    #[serde(with = "hex::serde")]
    signature: [u8; 64],
}

#[derive(Deserialize)]
struct SignedEnclaveIdentity<'a> {
    #[serde(borrow, rename = "enclaveIdentity")]
    document: &'a RawValue,
    #[serde(with = "hex::serde")]
    signature: [u8; 64],
}

impl<'a> Signed<'a> {
    /// Splits a TCB info response into its document and signature.
    ///
    /// # Errors
    /// When it has another shape or is over [`MAX_JSON`].
    pub fn tcb_info(json: &'a [u8]) -> Result<Self, Error> {
        let SignedTcbInfo { document, signature } = parse_json("TCB info response", json)?;
        Ok(Self { document: document.get(), signature })
    }

    /// Splits a QE identity response into its document and signature.
    ///
    /// # Errors
    /// When it has another shape or is over [`MAX_JSON`].
    pub fn qe_identity(json: &'a [u8]) -> Result<Self, Error> {
        let SignedEnclaveIdentity { document, signature } = parse_json("QE identity response", json)?;
        Ok(Self { document: document.get(), signature })
    }

    /// Writes a TCB info response, as [`Signed::tcb_info`] reads it. The document stands in it byte for byte.
    pub fn to_tcb_info_json(&self) -> String {
        self.to_json("tcbInfo")
    }

    /// Writes a QE identity response, as [`Signed::qe_identity`] reads it. The document stands in it byte for byte.
    pub fn to_qe_identity_json(&self) -> String {
        self.to_json("enclaveIdentity")
    }

    /// By hand, because a serializer would be free to write another text than the one that was signed.
    fn to_json(&self, member: &str) -> String {
        format!(r#"{{"{member}":{},"signature":"{}"}}"#, self.document, hex::encode(self.signature))
    }
}

/// Parses `json` of bounded size; the error names `field` and the place.
pub(crate) fn parse_json<'a, T: Deserialize<'a>>(field: &'static str, json: &'a [u8]) -> Result<T, Error> {
    if json.len() > MAX_JSON {
        return Err(Error::too_long(field, 0, MAX_JSON, json.len()));
    }
    serde_json::from_slice(json).map_err(|error| Error::json(field, json, &error))
}

/// As [`parse_json`], for types that keep nothing of the input.
fn parse_document<T: DeserializeOwned>(field: &'static str, json: &str) -> Result<T, Error> {
    parse_json(field, json.as_bytes())
}
