//! What a verifier needs beside a report and the certificate of the key that signed it.

use crate::Error;
use crate::collateral::parse_json;
use serde::{Deserialize, Serialize};

/// What AMD's key distribution service hands out for a product line and a kind of key (57230, chapter "KDS Interface"): below
/// `/vcek/v1/{product}/` for VCEKs, below `/vlek/v1/{product}/` for VLEKs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// `cert_chain`: the CA of the keys (ASK or ASVK), then the root (ARK), in PEM.
    pub cert_chain: String,
    /// `crl`: the root's revocation list, DER (hex in JSON). Whether a chain without one is believed is the verifier's choice.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_hex")]
    pub crl: Option<Vec<u8>>,
}

impl Bundle {
    /// Reads a bundle from its JSON. Members that are not known here are skipped.
    ///
    /// # Errors
    /// When it is over [`crate::collateral::MAX_JSON`], no JSON, or lacks a member.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        parse_json("SNP collateral bundle", json)
    }

    /// Writes the bundle's JSON, indented.
    ///
    /// # Errors
    /// Never with these members; JSON encoding is fallible by its interface.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|error| Error::json("SNP collateral bundle", b"", &error))
    }
}

mod optional_hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[allow(clippy::ref_option)] // as serde calls it
    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_str(&hex::encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| hex::decode(text).map_err(|_| D::Error::custom("expected hex digits"))).transpose()
    }
}
