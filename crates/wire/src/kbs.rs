//! The key protocol's messages: CoCo's KBS protocol 0.4 (`/kbs/v0`), as its real client writes and reads them.
//!
//! ```text
//! GET  /kbs/v0/resource/repo/type/tag  -> 401 ErrorInformation           "attest first"
//! POST /kbs/v0/auth    Request         -> 200 Challenge, cookie kbs-session-id
//! POST /kbs/v0/attest  Attestation     -> 200 Token, same cookie
//! GET  /kbs/v0/resource/repo/type/tag  -> 200 Response (JWE, RFC 7516 flattened JSON)
//! ```
//!
//! What the evidence binds is [`report_data_preimage`]: its SHA-384 fills the first 48 bytes of the report data, the rest
//! is zero. This module has no cryptography; the keys of a [`TeePubKey`] are shaped here and checked where they are used.

pub(crate) mod encoding;
mod resource;
mod response;

pub use resource::{MAX_SEGMENT, ResourcePath};
pub use response::{A256GCM, ECDH_ES_A256KW, EphemeralKey, MAX_RESOURCE, ProtectedHeader, RSA_OAEP_256, Response};

use crate::{
    Digest, Error, Tee,
    jws::{decode_base64url, encode_base64url},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use encoding::{base64_standard, base64_standard_option};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer},
};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// The version that this implementation speaks, and the only one that the real client sends.
pub const VERSION: &str = "0.4.0";
/// The prefix of every route.
pub const PREFIX: &str = "/kbs/v0";
/// The cookie that names a session.
pub const SESSION_COOKIE: &str = "kbs-session-id";
/// The header in which our brokers say under which name their audit log has a request. The protocol knows of none.
pub const REQUEST_ID: &str = "x-request-id";
/// Bytes in a challenge's nonce.
pub const NONCE_LEN: usize = 32;

/// A JSON message of the protocol, with the most bytes that a peer may send for it.
pub trait Message: Serialize + DeserializeOwned {
    /// The message's name in errors.
    const NAME: &'static str;
    /// The longest text that is parsed, in bytes.
    const LIMIT: usize;

    /// Reads the message from JSON. Members that it does not know are ignored, as the real client expects.
    ///
    /// # Errors
    /// When the text is over [`Self::LIMIT`], no JSON, or lacks a member; the offset is the place in the text.
    fn from_json(text: &[u8]) -> Result<Self, Error> {
        if text.len() > Self::LIMIT {
            return Err(Error::too_long(Self::NAME, 0, Self::LIMIT, text.len()));
        }
        serde_json::from_slice(text).map_err(|error| Error::json(Self::NAME, text, &error))
    }

    /// Writes the message as compact JSON.
    ///
    /// # Errors
    /// When a member cannot be written as JSON, which no value made by this module causes.
    fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|error| Error::unexpected(Self::NAME, 0, "a value that JSON can write", error))
    }
}

/// `POST /auth`: which protocol and which kind of environment the client has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The protocol's version; see [`VERSION`] and [`Request::version_is_supported`].
    pub version: String,
    /// The environment's name as the client spells it; see [`Request::tee`].
    pub tee: String,
    /// Parameters of the environment or client, `""` or an object.
    #[serde(rename = "extra-params", default)]
    pub extra_params: Value,
}

impl Message for Request {
    const NAME: &'static str = "auth request";
    const LIMIT: usize = 64 << 10;
}

impl Request {
    /// What this implementation's client sends.
    pub fn new(tee: Tee) -> Self {
        let extra_params = serde_json::json!({ "supported-hash-algorithms": ["sha384"] });
        Self { version: VERSION.to_owned(), tee: tee.name().to_owned(), extra_params }
    }

    /// Whether the version is one of 0.4.x: patch versions and build names do not change the messages.
    pub fn version_is_supported(&self) -> bool {
        let (numbers, _build) = self.version.split_once('+').unwrap_or((&self.version, ""));
        let Some(patch) = numbers.strip_prefix("0.4.") else {
            return false;
        };
        (1..=9).contains(&patch.len()) && patch.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// The kind of environment.
    ///
    /// # Errors
    /// When the name is none that this implementation verifies.
    pub fn tee(&self) -> Result<Tee, Error> {
        let name: StrDeserializer<'_, serde::de::value::Error> = self.tee.as_str().into_deserializer();
        match Tee::deserialize(name) {
            Ok(tee @ (Tee::Sgx | Tee::Tdx)) => Ok(tee),
            _ => Err(Error::unexpected("tee", 0, PROTOCOL_TEES, &self.tee)),
        }
    }
}

/// The answer to [`Request`]: the nonce that the evidence must bind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Base64 of [`NONCE_LEN`] random bytes. The text itself is what is hashed.
    pub nonce: String,
    /// `""`, or an object that may select a hash algorithm. The real client demands that the member is there.
    #[serde(rename = "extra-params", default)]
    pub extra_params: Value,
}

impl Message for Challenge {
    const NAME: &'static str = "challenge";
    const LIMIT: usize = 64 << 10;
}

impl Challenge {
    /// A challenge with this nonce, and SHA-384 as the hash (the default, so nothing is selected).
    pub fn new(nonce: &[u8; NONCE_LEN]) -> Self {
        Self { nonce: STANDARD.encode(nonce), extra_params: Value::String(String::new()) }
    }

    /// Refuses a challenge that selects another hash than SHA-384.
    ///
    /// # Errors
    /// When `extra-params` names another algorithm.
    pub fn require_sha384(&self) -> Result<(), Error> {
        match self.extra_params.get("selected-hash-algorithm").map(|name| name.as_str().unwrap_or_default()) {
            None | Some("sha384") => Ok(()),
            Some(name) => Err(Error::unexpected("selected-hash-algorithm", 0, "sha384", name)),
        }
    }
}

/// The client's ephemeral public key, a JWK (RFC 7517). All values are base64url without padding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty", try_from = "Jwk")]
pub enum TeePubKey {
    /// RFC 7518, section 6.2.
    EC {
        /// The curve: `P-256`, or `P-521`.
        crv: String,
        /// [`ECDH_ES_A256KW`].
        alg: String,
        /// The point's x coordinate, as many bytes as the field has.
        x: String,
        /// The point's y coordinate, as many bytes as the field has.
        y: String,
    },
    /// RFC 7518, section 6.3.
    RSA {
        /// [`RSA_OAEP_256`].
        alg: String,
        /// The modulus, big-endian.
        n: String,
        /// The public exponent, big-endian.
        e: String,
    },
}

/// The members of any JWK that is accepted. What serde offers for a tagged enum would hold all of the object's other members in memory, many
/// times as large as their text, before it looked at the tag.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    alg: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl TryFrom<Jwk> for TeePubKey {
    type Error = String;

    fn try_from(jwk: Jwk) -> Result<Self, String> {
        let member = |name: &str, value: Option<String>| value.ok_or_else(|| format!("missing field `{name}`"));
        let Jwk { kty, alg, crv, x, y, n, e } = jwk;
        match kty.as_str() {
            "EC" => Ok(Self::EC { crv: member("crv", crv)?, alg, x: member("x", x)?, y: member("y", y)? }),
            "RSA" => Ok(Self::RSA { alg, n: member("n", n)?, e: member("e", e)? }),
            other => Err(format!("kty: expected EC or RSA, found {:?}", other.chars().take(16).collect::<String>())),
        }
    }
}

impl TeePubKey {
    fn canonical(&self) -> CanonicalKey<'_> {
        match self {
            Self::EC { alg, crv, x, y } => CanonicalKey::Ec { alg: Some(alg), crv, kty: "EC", x, y },
            Self::RSA { alg, n, e } => CanonicalKey::Rsa { alg: Some(alg), e, kty: "RSA", n },
        }
    }

    /// The JSON whose SHA-256 is the key's thumbprint: the required members in the order of their names (RFC 7638, section 3).
    ///
    /// # Errors
    /// When the JSON cannot be written, which no value that was parsed here causes.
    pub fn thumbprint_preimage(&self) -> Result<Vec<u8>, Error> {
        let mut key = self.canonical();
        match &mut key {
            CanonicalKey::Ec { alg, .. } | CanonicalKey::Rsa { alg, .. } => *alg = None,
        }
        serde_json::to_vec(&key)
            .map_err(|error| Error::unexpected("tee-pubkey", 0, "a value that JSON can write", error))
    }

    /// The JWK of a P-256 point, given as SEC 1 writes it uncompressed: `04 || x || y`.
    ///
    /// # Errors
    /// When the point is not uncompressed.
    pub fn from_p256_point(point: &[u8; 65]) -> Result<Self, Error> {
        let [4, coordinates @ ..] = point else {
            return Err(Error::unexpected("tee-pubkey", 0, "an uncompressed point", "another first byte"));
        };
        let (x, y) = coordinates.split_at_checked(32).unwrap_or((coordinates, &[]));
        Ok(Self::EC {
            crv: "P-256".to_owned(),
            alg: ECDH_ES_A256KW.to_owned(),
            x: encode_base64url(x),
            y: encode_base64url(y),
        })
    }
}

/// A point in SEC 1's uncompressed form from the coordinates of a JWK. Whether it is on the curve is not known here.
///
/// # Errors
/// When the curve is unknown, or a coordinate has another length than the curve's field.
pub fn point_from_jwk(crv: &str, x: &str, y: &str) -> Result<Vec<u8>, Error> {
    let len = match crv {
        "P-256" => 32,
        "P-521" => 66,
        other => return Err(Error::unexpected("crv", 0, "P-256 or P-521", other)),
    };
    let mut point = vec![4];
    for (field, text) in [("x", x), ("y", y)] {
        let coordinate = decode_base64url(field, text, len)?;
        if coordinate.len() != len {
            return Err(Error::unexpected(field, 0, "as many bytes as the field has", coordinate.len()));
        }
        point.extend_from_slice(&coordinate);
    }
    Ok(point)
}

/// What the client generated for this session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeData {
    /// [`Challenge::nonce`], unchanged.
    pub nonce: String,
    /// The key to which the resource will be encrypted.
    #[serde(rename = "tee-pubkey")]
    pub tee_pubkey: TeePubKey,
}

/// JSON as its text. A tree of values takes up to a hundred times the memory of the text that it was read from, and whoever sends the text chooses
/// how much; this takes as much as the text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// The text of a value.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn of(value: &impl Serialize) -> Result<Self, Error> {
        to_raw_value(value)
            .map(Self)
            .map_err(|error| Error::unexpected("json", 0, "a value that JSON can write", error))
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for JsonText {}

/// The evidence of the environment and of its devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeeEvidence {
    /// What the members are depends on the environment; see [`PrimaryEvidence`].
    pub primary_evidence: JsonText,
    /// JSON text of the devices' evidence, or empty.
    #[serde(default)]
    pub additional_evidence: String,
}

/// Initialisation data that the host injected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitData {
    /// How `body` is written.
    pub format: String,
    /// The data.
    pub body: String,
}

/// `POST /attest`: the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Attestation {
    /// Initialisation data, where the environment has any.
    pub init_data: Option<InitData>,
    /// What the evidence binds.
    pub runtime_data: RuntimeData,
    /// The evidence.
    pub tee_evidence: TeeEvidence,
}

impl Message for Attestation {
    const NAME: &'static str = "attestation";
    const LIMIT: usize = 2 << 20;
}

impl Attestation {
    /// [`report_data_preimage`] of this message.
    ///
    /// # Errors
    /// As [`report_data_preimage`].
    pub fn report_data_preimage(&self) -> Result<Vec<u8>, Error> {
        report_data_preimage(&self.runtime_data, &self.tee_evidence.additional_evidence)
    }
}

/// The canonical JSON (RFC 8785) of `{"additional-evidence", "nonce", "tee-pubkey"}`, whose SHA-384 the evidence carries.
///
/// # Errors
/// When the JSON cannot be written, which no value that was parsed here causes.
pub fn report_data_preimage(runtime_data: &RuntimeData, additional_evidence: &str) -> Result<Vec<u8>, Error> {
    let bound =
        Bound { additional_evidence, nonce: &runtime_data.nonce, tee_pubkey: runtime_data.tee_pubkey.canonical() };
    serde_json::to_vec(&bound)
        .map_err(|error| Error::unexpected("runtime-data", 0, "a value that JSON can write", error))
}

/// What the evidence binds. Objects of texts alone, with their members in the order of their names, are canonical as `serde_json` writes
/// them: it escapes what RFC 8785 escapes, in the same way.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Bound<'a> {
    additional_evidence: &'a str,
    nonce: &'a str,
    tee_pubkey: CanonicalKey<'a>,
}

/// The members of a JWK in the order of their names.
#[derive(Serialize)]
#[serde(untagged)]
enum CanonicalKey<'a> {
    Ec {
        #[serde(skip_serializing_if = "Option::is_none")]
        alg: Option<&'a str>,
        crv: &'a str,
        kty: &'static str,
        x: &'a str,
        y: &'a str,
    },
    Rsa {
        #[serde(skip_serializing_if = "Option::is_none")]
        alg: Option<&'a str>,
        e: &'a str,
        kty: &'static str,
        n: &'a str,
    },
}

/// The report data that carries a SHA-384 digest: the digest, then zeros.
pub fn report_data(digest: &Digest<48>) -> [u8; 64] {
    let mut data = [0; 64];
    for (to, from) in data.iter_mut().zip(digest.0) {
        *to = from;
    }
    data
}

/// The kinds of environment whose evidence this protocol carries here.
const PROTOCOL_TEES: &str = "a kind that is verified here: sgx, tdx";

/// The members of [`TeeEvidence::primary_evidence`] of a TDX domain or an SGX enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryEvidence {
    /// The quote's bytes.
    pub quote: Vec<u8>,
    /// TDX: the CCEL with runtime records in the same encoding behind it. Never there for SGX.
    pub event_log: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct TdxMembers {
    #[serde(with = "base64_standard")]
    quote: Vec<u8>,
    #[serde(default, with = "base64_standard_option")]
    cc_eventlog: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct SgxMembers {
    #[serde(with = "base64_standard")]
    quote: Vec<u8>,
}

impl PrimaryEvidence {
    /// Reads the members that this kind of environment has; others are ignored.
    ///
    /// # Errors
    /// When a member is missing or no base64.
    pub fn from_json(tee: Tee, json: &JsonText) -> Result<Self, Error> {
        let malformed = |error: serde_json::Error| {
            Error::unexpected("primary_evidence", 0, "an object whose `quote` is base64", error)
        };
        match tee {
            Tee::Sgx => {
                let SgxMembers { quote } = serde_json::from_str(json.get()).map_err(malformed)?;
                Ok(Self { quote, event_log: None })
            }
            Tee::Tdx => {
                let TdxMembers { quote, cc_eventlog } = serde_json::from_str(json.get()).map_err(malformed)?;
                Ok(Self { quote, event_log: cc_eventlog })
            }
            other => Err(Error::unexpected("tee", 0, PROTOCOL_TEES, other.name())),
        }
    }

    /// Writes the members that this kind of environment has.
    ///
    /// # Errors
    /// When the protocol is not spoken for this kind here.
    pub fn into_json(self, tee: Tee) -> Result<JsonText, Error> {
        let Self { quote, event_log } = self;
        match tee {
            Tee::Sgx => JsonText::of(&SgxMembers { quote }),
            Tee::Tdx => JsonText::of(&TdxMembers { quote, cc_eventlog: event_log }),
            other => Err(Error::unexpected("tee", 0, PROTOCOL_TEES, other.name())),
        }
    }
}

/// The answer to [`Attestation`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// An EAR as compact JWT. Whoever holds it can ask for resources, so it is never printed.
    pub token: String,
}

impl Message for Token {
    const NAME: &'static str = "attestation token";
    const LIMIT: usize = 1 << 20;
}

/// The body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInformation {
    /// A stable word or URI for the kind of failure.
    #[serde(rename = "type")]
    pub error_type: String,
    /// One sentence about this failure.
    pub detail: String,
    /// Which checks were made, and what failed: ours, unknown to the protocol and ignored by its client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Value>,
}

impl Message for ErrorInformation {
    const NAME: &'static str = "error information";
    const LIMIT: usize = 1 << 20;
}
