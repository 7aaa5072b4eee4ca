//! The identity of the quote verification enclave, with what vouches for it.

use super::parse_json;
use crate::Error;
use serde::{Deserialize, Serialize};

/// Everything by which the identity of Intel's quote verification enclave (QvE) is believed. No quote needs it: it is for those who have an
/// enclave verify quotes, and judge by it the report in which that enclave vouches for its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QveBundle {
    /// The root CA's revocation list, DER (hex in JSON).
    #[serde(with = "hex::serde")]
    pub root_ca_crl: Vec<u8>,
    /// Chain of the identity's signer, in PEM: the signer, then the root.
    pub qve_identity_issuer_chain: String,
    /// The identity, the exact text that was signed. See [`QeIdentity::parse`](super::QeIdentity::parse).
    pub qve_identity: String,
    /// ECDSA P-256 signature (r, s) over the identity (hex in JSON).
    #[serde(with = "hex::serde")]
    pub qve_identity_signature: [u8; 64],
}

impl QveBundle {
    /// Reads a bundle from its JSON. Members that are not known here are skipped.
    ///
    /// # Errors
    /// When it is over [`MAX_JSON`](super::MAX_JSON), no JSON, or lacks a member.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        parse_json("QvE identity bundle", json)
    }

    /// Writes the bundle's JSON, indented.
    ///
    /// # Errors
    /// Never with these members; JSON encoding is fallible by its interface.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|error| Error::json("QvE identity bundle", b"", &error))
    }
}
