//! Resources on their way to a client: JWE as the protocol uses it.

use super::{Message, encoding::base64_url};
use crate::{
    Error,
    jws::{MAX_HEADER, decode_base64url, encode_base64url},
};
use serde::{Deserialize, Serialize};

/// The longest resource that a [`Response`] carries, in bytes of cleartext.
pub const MAX_RESOURCE: usize = 4 << 20;
/// The key agreement of a [`Response`] to an elliptic-curve key (RFC 7518, section 4.6).
pub const ECDH_ES_A256KW: &str = "ECDH-ES+A256KW";
/// The key encryption of a [`Response`] to an RSA key (RFC 7518, section 4.3).
pub const RSA_OAEP_256: &str = "RSA-OAEP-256";
/// The content encryption of a [`Response`] (RFC 7518, section 5.3).
pub const A256GCM: &str = "A256GCM";

/// The public key that the sender of a [`Response`] made for it (RFC 7518, section 4.6.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EphemeralKey {
    /// The curve's name.
    pub crv: String,
    /// `EC`.
    pub kty: String,
    /// The point's x coordinate, base64url without padding.
    pub x: String,
    /// The point's y coordinate, base64url without padding.
    pub y: String,
}

/// The protected header of a [`Response`]. The order of its members is part of the protocol: the real client authenticates
/// the header as it writes it itself, `alg`, `enc`, then the others, and fails on any other order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProtectedHeader {
    /// How the content key is encrypted.
    pub alg: String,
    /// How the content is encrypted.
    pub enc: String,
    /// The sender's key, with key agreement only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epk: Option<EphemeralKey>,
}

impl ProtectedHeader {
    /// The header as a [`Response`] carries it: base64url of compact JSON. Its ASCII bytes are what the content authenticates.
    ///
    /// # Errors
    /// When the JSON cannot be written, which no value of this type causes.
    pub fn encode(&self) -> Result<String, Error> {
        let json = serde_json::to_vec(self)
            .map_err(|error| Error::unexpected("protected", 0, "a value that JSON can write", error))?;
        Ok(encode_base64url(&json))
    }
}

/// A resource, encrypted to the client's key: a JWE in flattened JSON (RFC 7516, section 7.2.2) without `aad`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// [`ProtectedHeader::encode`], exactly as the sender wrote it.
    pub protected: String,
    /// The content key, encrypted.
    #[serde(with = "base64_url")]
    pub encrypted_key: Vec<u8>,
    /// The initialisation vector.
    #[serde(with = "base64_url")]
    pub iv: Vec<u8>,
    /// The encrypted resource.
    #[serde(with = "base64_url")]
    pub ciphertext: Vec<u8>,
    /// The authentication tag.
    #[serde(with = "base64_url")]
    pub tag: Vec<u8>,
}

impl Message for Response {
    const NAME: &'static str = "resource response";
    /// Base64 of [`MAX_RESOURCE`], and room for the other members.
    const LIMIT: usize = MAX_RESOURCE / 3 * 4 + (64 << 10);
}

impl Response {
    /// The protected header, parsed.
    ///
    /// # Errors
    /// When it is no base64url of such a header.
    pub fn header(&self) -> Result<ProtectedHeader, Error> {
        let json = decode_base64url("protected", &self.protected, MAX_HEADER)?;
        serde_json::from_slice(&json).map_err(|error| Error::json("protected", &json, &error))
    }
}
