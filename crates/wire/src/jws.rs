//! JSON Web Signature in its compact form (RFC 7515): split, decoded and put together. No cryptography: whether the
//! signature holds, and under whose key, is the caller's question.
//!
//! This reader is stricter than the RFC asks, because every ambiguity here is somebody's forged token: one spelling per
//! byte string (no padding, no stray bits, no line breaks), no member twice, no `crit`, no unsecured form, and a limit on
//! every length. What the header says about keys (`jwk`, `x5c`, `jku`, `x5u`) is carried, never believed.

use crate::Error;
use base64::{DecodeError, Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, map::Entry};
use std::{cell::Cell, fmt};

/// The longest compact JWS that is read, in characters. Proxies cut HTTP headers well below this.
pub const MAX_COMPACT: usize = 128 * 1024;
/// The longest decoded header that is read, in bytes: room for a chain of certificates in `x5c`.
pub const MAX_HEADER: usize = 16 * 1024;
/// The longest decoded signature that is read, in bytes: room for RSA-8192.
pub const MAX_SIGNATURE: usize = 1024;
/// How deep arrays and objects may nest in a header or a claim set.
pub const MAX_DEPTH: usize = 32;

/// What the values of any object may cost in memory, in bytes. To it comes so much for each byte of its text: a document of nothing but the
/// smallest objects would take a hundred times its length.
const COST_BASE: usize = 4 << 10;
/// For each byte of a claim set, which is held once.
const COST_OF_CLAIMS: usize = 10;
/// For each byte of a header, whose members are sorted out, and for that are there twice.
const COST_OF_HEADER: usize = 4;
/// How many elements an array has places for from its first on.
const FIRST_ELEMENTS: usize = 4;
/// For an element behind these: an array grows by doubling.
const COST_OF_ELEMENT: usize = 2 * size_of::<Value>();
/// For an object: a node of a tree, with places for eleven members.
const COST_OF_OBJECT: usize = 640;
/// How many members an object's first node has places for.
const NODE: usize = 11;
/// For a member behind these: nodes are half full.
const COST_OF_MEMBER: usize = 128;

/// The JOSE header (RFC 7515, section 4.1), with the members that nobody here knows kept in [`Header::other`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The signature algorithm as RFC 7518 spells it, for instance `ES256`.
    pub alg: String,
    /// The media type of the whole object, for instance `JWT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// The media type of the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cty: Option<String>,
    /// Which key signed, in words that signer and reader agreed on before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The signer's public key (RFC 7517) by the signer's own word: good for a display, never for verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwk: Option<Map<String, Value>>,
    /// The signer's certificates in padded base64 DER, leaf first, by the signer's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x5c: Option<Vec<String>>,
    /// Where the signer says that its key set is. Not to be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jku: Option<String>,
    /// Where the signer says that its certificates are. Not to be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x5u: Option<String>,
    /// Every other member.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A header in its base64url form, ready to stand before any number of payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedHeader(String);

/// A compact JWS taken apart. Nothing about it is verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Compact<'a> {
    header: Header,
    payload: Vec<u8>,
    signature: Vec<u8>,
    signing_input: &'a [u8],
}

impl Header {
    /// A header with this algorithm and nothing else.
    pub fn new(alg: impl Into<String>) -> Self {
        Self { alg: alg.into(), ..Self::default() }
    }

    /// Reads a header's JSON text.
    ///
    /// # Errors
    /// When it is over [`MAX_HEADER`], no JSON object, names a member twice, gives a registered member another type than
    /// its RFC, lacks `alg`, or holds `crit` (RFC 7515, section 4.1.11: no extension is understood here).
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        const FIELD: &str = "JWS header";
        if json.len() > MAX_HEADER {
            return Err(Error::too_long(FIELD, 0, MAX_HEADER, json.len()));
        }
        let members = object_within(FIELD, json, COST_OF_HEADER)?;
        if members.contains_key("crit") {
            return Err(Error::unexpected(FIELD, 0, "no critical extension", "a member `crit`"));
        }
        serde_json::from_value(Value::Object(members))
            .map_err(|error| Error::unexpected(FIELD, 0, "the members of RFC 7515, section 4.1", error))
    }

    /// The header as it stands in a compact JWS.
    ///
    /// # Errors
    /// When [`Header::parse`] would refuse it, for instance because `other` repeats a registered member.
    pub fn encode(&self) -> Result<EncodedHeader, Error> {
        let json = serde_json::to_vec(self).map_err(|error| Error::unexpected("JWS header", 0, "JSON", error))?;
        Self::parse(&json)?;
        Ok(EncodedHeader(encode_base64url(&json)))
    }
}

impl EncodedHeader {
    /// The bytes to sign for `payload`: `BASE64URL(header) "." BASE64URL(payload)` (RFC 7515, section 5.1).
    pub fn signing_input(&self, payload: &[u8]) -> String {
        let mut text = String::with_capacity(self.0.len().saturating_add(payload.len().saturating_mul(3) / 2));
        text.push_str(&self.0);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut text);
        text
    }
}

/// The compact JWS of a signing input and the signature over it.
pub fn assemble(mut signing_input: String, signature: &[u8]) -> String {
    signing_input.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut signing_input);
    signing_input
}

impl<'a> Compact<'a> {
    /// Takes a compact JWS apart.
    ///
    /// # Errors
    /// When it is over [`MAX_COMPACT`], is not three parts of strict base64url, has an unacceptable header
    /// ([`Header::parse`]) or has no signature. No error repeats payload or signature: a token may be a credential.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        const SHAPE: &str = "three parts separated by dots";
        if text.len() > MAX_COMPACT {
            return Err(Error::too_long("compact JWS", 0, MAX_COMPACT, text.len()));
        }
        let parts = |found: &str| Error::unexpected("compact JWS", 0, SHAPE, found);
        let (signing_input, signature) = text.rsplit_once('.').ok_or_else(|| parts("no dot"))?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(|| parts("one dot"))?;
        if payload.contains('.') {
            return Err(parts("more than two dots"));
        }
        let payload_at = header.len().saturating_add(1);
        let signature_at = signing_input.len().saturating_add(1);
        if signature.is_empty() {
            return Err(Error::unexpected("JWS signature", signature_at, "a signature", "an unsecured JWS"));
        }
        Ok(Self {
            header: Header::parse(&decode_base64url("JWS header", header, MAX_HEADER)?)?,
            payload: decode_base64url("JWS payload", payload, MAX_COMPACT).map_err(|error| error.at(payload_at))?,
            signature: decode_base64url("JWS signature", signature, MAX_SIGNATURE)
                .map_err(|error| error.at(signature_at))?,
            signing_input: signing_input.as_bytes(),
        })
    }

    /// The header, by the word of whoever made this object.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The payload's bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signature's bytes. For ES256 these are R and S, 32 bytes each (RFC 7518, section 3.4).
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// What the signature is over.
    pub const fn signing_input(&self) -> &'a [u8] {
        self.signing_input
    }

    /// The payload as a JWT claim set (RFC 7519).
    ///
    /// # Errors
    /// When the payload is no JSON object, or names a member twice at any depth.
    pub fn claims(&self) -> Result<Map<String, Value>, Error> {
        strict_object("JWT claims", &self.payload)
    }
}

/// The base64url form without padding (RFC 7515, section 2).
pub fn encode_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text without padding. Each byte string has exactly one text that is accepted.
///
/// # Errors
/// When the text decodes to more than `limit` bytes, holds another character, or has stray bits in its last one.
pub fn decode_base64url(field: &'static str, text: &str, limit: usize) -> Result<Vec<u8>, Error> {
    const ALPHABET: &str = "base64url without padding";
    let length = text.len().saturating_mul(3) / 4;
    if length > limit {
        return Err(Error::too_long(field, 0, limit, length));
    }
    URL_SAFE_NO_PAD.decode(text).map_err(|error| match error {
        DecodeError::InvalidByte(at, byte) => Error::unexpected(field, at, ALPHABET, format_args!("byte {byte:#04x}")),
        DecodeError::InvalidLastSymbol(at, _) => Error::unexpected(field, at, ALPHABET, "stray bits at the end"),
        DecodeError::InvalidLength(length) => Error::unexpected(field, length, ALPHABET, "a lone last character"),
        DecodeError::InvalidPadding => Error::unexpected(field, 0, ALPHABET, "padding"),
    })
}

/// The JSON object (RFC 8259) in `json`, read so that two readers cannot understand it differently.
///
/// # Errors
/// When the bytes are no JSON object and nothing else, nest deeper than [`MAX_DEPTH`], name a member twice at any
/// depth, or consist of so many small values that they would take more than about ten times their length in memory.
pub fn strict_object(field: &'static str, json: &[u8]) -> Result<Map<String, Value>, Error> {
    object_within(field, json, COST_OF_CLAIMS)
}

/// As [`strict_object`], with another price of a byte.
fn object_within(field: &'static str, json: &[u8], per_byte: usize) -> Result<Map<String, Value>, Error> {
    const OBJECT: &str = "a JSON object that names no member twice";
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let left = Cell::new(json.len().saturating_mul(per_byte).saturating_add(COST_BASE));
    let value = Strict { depth: MAX_DEPTH, left: &left }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Error::unexpected(field, 0, OBJECT, error))?;
    match value {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Error::unexpected(field, 0, OBJECT, "another JSON value"))
        }
    }
}

/// Reads any JSON value, refusing what `serde_json::Value` would silently mend: members that come twice.
#[derive(Clone, Copy)]
struct Strict<'b> {
    depth: usize,
    /// What values may still cost, in bytes.
    left: &'b Cell<usize>,
}

impl Strict<'_> {
    fn pay<E: serde::de::Error>(self, cost: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(cost);
        self.left.set(left.unwrap_or_default());
        left.map(|_| ()).ok_or_else(|| E::custom("more small values than its length allows"))
    }

    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        depth
            .map(|depth| Self { depth, ..self })
            .ok_or_else(|| E::custom(format_args!("nested deeper than {MAX_DEPTH}")))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            match array.len() {
                0 => self.pay(FIRST_ELEMENTS.saturating_mul(size_of::<Value>()))?,
                elements if elements >= FIRST_ELEMENTS => self.pay(COST_OF_ELEMENT)?,
                _ => {}
            }
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match object.len() {
                0 => self.pay(COST_OF_OBJECT)?,
                members if members >= NODE => self.pay(COST_OF_MEMBER)?,
                _ => {}
            }
            match object.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(members.next_value_seed(inner)?);
                }
                Entry::Occupied(place) => {
                    return Err(serde::de::Error::custom(format_args!("member `{}` comes twice", place.key())));
                }
            }
        }
        Ok(Value::Object(object))
    }
}
