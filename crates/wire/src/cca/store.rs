//! A store of platforms' keys as Veraison's tools write it: JSON, one entry per platform.

use crate::cose::{Curve, Key};
use crate::{Digest, Error};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

const FIELD: &str = "CCA trust anchor store";
/// The largest store that is read, in bytes.
const MAX_STORE: usize = 4 << 20;

/// A store: `[{ "pkey": JWK, "implementation-id": hex, "instance-id": hex }]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store(pub Vec<Entry>);

/// The key of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which kind of platform.
    pub implementation_id: Digest<32>,
    /// Which platform.
    pub instance_id: Digest<33>,
    /// The curve of its key (CPAK).
    pub curve: Curve,
    /// First coordinate, as long as the curve has it.
    pub x: Vec<u8>,
    /// Second coordinate, likewise.
    pub y: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct JsonEntry {
    pkey: Jwk,
    implementation_id: Digest<32>,
    instance_id: Digest<33>,
}

/// A public key (RFC 7518, section 6.2.1). What else it says of itself, as its name or use, is not looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
}

impl Store {
    /// Reads a store.
    ///
    /// # Errors
    /// When it is no JSON of this form, or a key is none on P-256, P-384 or P-521.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_STORE {
            return Err(Error::too_long(FIELD, 0, MAX_STORE, json.len()));
        }
        let entries: Vec<JsonEntry> = serde_json::from_slice(json).map_err(|error| Error::json(FIELD, json, &error))?;
        entries.into_iter().map(Entry::new).collect::<Result<_, _>>().map(Self)
    }
}

impl Entry {
    fn new(json: JsonEntry) -> Result<Self, Error> {
        let JsonEntry { pkey, implementation_id, instance_id } = json;
        let curve = match (pkey.kty.as_str(), pkey.crv.as_str()) {
            ("EC", "P-256") => Curve::P256,
            ("EC", "P-384") => Curve::P384,
            ("EC", "P-521") => Curve::P521,
            (kty, crv) => {
                let found = format!("{kty} {crv}");
                return Err(Error::unexpected("pkey", 0, "kty EC, crv P-256, P-384 or P-521", found));
            }
        };
        let coordinate = |field, text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == curve.width());
            bytes.ok_or_else(|| Error::unexpected(field, 0, "base64url of a coordinate of the curve's length", text))
        };
        let (x, y) = (coordinate("x", &pkey.x)?, coordinate("y", &pkey.y)?);
        Ok(Self { implementation_id, instance_id, curve, x, y })
    }

    /// The platform's key.
    pub fn key(&self) -> Key<'_> {
        Key { curve: self.curve, x: &self.x, y: &self.y }
    }
}
