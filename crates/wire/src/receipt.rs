//! The inference receipt, version 1: a compact JWS ([`crate::jws`]) whose claims say which request a measured workload
//! answered, and how.
//!
//! ```text
//! header  {"alg":"ES256","typ":"sealwright-receipt+jwt","jwk":{"crv":"P-256","kty":"EC","x":..,"y":..,..}}
//! claims  {"evidence_sha384":hex, "iat":seconds, "jkt":thumbprint, "model":{"name":..,"sha384":hex,"version":N},
//!          "policy_sha384":hex (absent where no policy is known), "request_sha384":hex, "response_sha384":hex, "version":1}
//! ```
//!
//! The key in the header is worth nothing by itself. It counts because the evidence with the digest `evidence_sha384` has a
//! claim `receipt-key` ([`crate::ratls::Claims`]) that is the hash of this key; so a receipt is checked together with that
//! evidence, by `sealwright-channel`'s `receipt`.

use crate::{Digest, Error, jws, sealed::MAX_VERSION};
use serde::{Deserialize, Serialize};

/// The version of the claims.
pub const VERSION: u32 = 1;
/// The `typ` of the JWS header.
pub const TYPE: &str = "sealwright-receipt+jwt";
/// The longest claims that are read, in bytes.
pub const MAX_CLAIMS: usize = 4 << 10;

/// The model that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The name under which it was asked.
    pub name: String,
    /// SHA-384 of the whole sealed file: the digest that was extended into a runtime register before the key was asked for.
    pub sha384: Digest<48>,
    /// Its version.
    pub version: u64,
}

/// What a receipt states. All digests are SHA-384.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Digest of the quote, from its header to the end of its signature data, whose claims hold the key's hash.
    pub evidence_sha384: Digest<48>,
    /// When the answer was made, in seconds since 1970, by the workload's clock (a host can set it).
    pub iat: u64,
    /// The receipt key's thumbprint (RFC 7638, SHA-256, base64url).
    pub jkt: String,
    /// The model that answered.
    pub model: Model,
    /// Digest of the policy under which the broker released the model's key. `None` when the broker named none: then the member is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_sha384: Option<Digest<48>>,
    /// Digest of the request: the body's bytes over HTTP, the message's bytes over gRPC.
    pub request_sha384: Digest<48>,
    /// Digest of the response: the body's bytes over HTTP, the message's bytes over gRPC.
    pub response_sha384: Digest<48>,
    /// [`VERSION`].
    pub version: u32,
}

impl Receipt {
    /// Reads the claims of a receipt.
    ///
    /// # Errors
    /// When they are too long, no JSON of this shape, name a member twice, or have another version.
    pub fn from_json(claims: &[u8]) -> Result<Self, Error> {
        if claims.len() > MAX_CLAIMS {
            return Err(Error::too_long("receipt", 0, MAX_CLAIMS, claims.len()));
        }
        let members = jws::strict_object("receipt", claims)?;
        let version = members.get("version").unwrap_or(&serde_json::Value::Null);
        if *version != serde_json::json!(VERSION) {
            return Err(Error::unexpected("version", 0, "1", version));
        }
        serde_json::from_value(serde_json::Value::Object(members))
            .map_err(|error| Error::unexpected("receipt", 0, "the claims of this version", error))
    }

    /// Writes the claims as canonical JSON (RFC 8785).
    ///
    /// # Errors
    /// When the claims are too long (a name has no limit here), or a number is larger than JSON keeps exactly.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        if self.iat.max(self.model.version) > MAX_VERSION {
            let found = self.iat.max(self.model.version);
            return Err(Error::unexpected("receipt", 0, "numbers of at most 2^53 - 1", found));
        }
        let json = serde_json_canonicalizer::to_vec(self)
            .map_err(|error| Error::unexpected("receipt", 0, "a value that JSON can write", error))?;
        if json.len() > MAX_CLAIMS {
            return Err(Error::too_long("receipt", 0, MAX_CLAIMS, json.len()));
        }
        Ok(json)
    }
}
