//! Platforms' keys as Veraison's tools write them, in JSON: one by itself, or a store of them with one entry per platform.

use crate::cose::{Curve, Key};
use crate::{Digest, Error};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, de::IgnoredAny};

const FIELD: &str = "CCA platform keys";
/// The longest file that is read, in bytes.
const MAX_FILE: usize = 4 << 20;

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
    /// Its key.
    pub key: PlatformKey,
}

/// The public key of a platform (CPAK).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformKey {
    /// Its curve.
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
    /// The secret of a private key.
    #[serde(default)]
    d: Option<IgnoredAny>,
}

impl Store {
    /// Reads a store.
    ///
    /// # Errors
    /// When it is no JSON of this form, or a key is none on P-256, P-384 or P-521.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        let entries: Vec<JsonEntry> = read(json)?;
        entries.into_iter().map(Entry::new).collect::<Result<_, _>>().map(Self)
    }
}

impl Entry {
    fn new(json: JsonEntry) -> Result<Self, Error> {
        let JsonEntry { pkey, implementation_id, instance_id } = json;
        Ok(Self { implementation_id, instance_id, key: PlatformKey::new(&pkey)? })
    }
}

impl PlatformKey {
    /// Reads a JSON Web Key.
    ///
    /// # Errors
    /// When it is none, is none on P-256, P-384 or P-521, or a private one.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        Self::new(&read(json)?)
    }

    fn new(jwk: &Jwk) -> Result<Self, Error> {
        let curve = match (jwk.kty.as_str(), jwk.crv.as_str()) {
            ("EC", "P-256") => Curve::P256,
            ("EC", "P-384") => Curve::P384,
            ("EC", "P-521") => Curve::P521,
            (kty, crv) => {
                let found = format!("{kty} {crv}");
                return Err(Error::unexpected("platform key", 0, "kty EC, crv P-256, P-384 or P-521", found));
            }
        };
        if jwk.d.is_some() {
            return Err(Error::unexpected("platform key", 0, "a public key", "a private one"));
        }
        let coordinate = |field, text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == curve.width());
            bytes.ok_or_else(|| Error::unexpected(field, 0, "base64url of a coordinate of the curve's length", text))
        };
        let (x, y) = (coordinate("x", &jwk.x)?, coordinate("y", &jwk.y)?);
        Ok(Self { curve, x, y })
    }

    /// As signatures are verified with it.
    pub fn key(&self) -> Key<'_> {
        Key { curve: self.curve, x: &self.x, y: &self.y }
    }
}

fn read<T: for<'de> Deserialize<'de>>(json: &[u8]) -> Result<T, Error> {
    if json.len() > MAX_FILE {
        return Err(Error::too_long(FIELD, 0, MAX_FILE, json.len()));
    }
    serde_json::from_slice(json).map_err(|error| Error::json(FIELD, json, &error))
}
