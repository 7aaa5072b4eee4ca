//! The token: an Entity Attestation Result (draft-fv-rats-ear) as a JWT (RFC 7519) signed with ES256, with the names and in the
//! profile that Trustee's relying parties read.
//!
//! | claim | value |
//! |---|---|
//! | `eat_profile` | [`PROFILE`] |
//! | `iss`, `iat`, `exp` | the issuer's name; seconds since 1970, five minutes apart by default |
//! | `ear.verifier-id` | `developer`, `build` |
//! | `submods.cpu0` | the appraisal: |
//! | - `ear.status`, `ear.trustworthiness-vector` | tier and claims (AR4SI) |
//! | - `ear.appraisal-policy-id` | the policy's id |
//! | - `ear.veraison.annotated-evidence` | the verified facts, and `runtime_data_claims` with `tee-pubkey`, the key that the evidence binds |
//! | - `ear.sealwright.simulated` | true if the root is a simulation's |
//! | - `ear.sealwright.anchor` | the root: `name`, `kind`, `sha256` |
//! | - `ear.sealwright.policy-sha384` | digest of the policy's text |
//! | - `ear.sealwright.references` | names of the sets of reference values in force |
//! | - `ear.sealwright.reasons` | the checks: all of each that did not pass, code, outcome and claim of the others |

use crate::{Check, KeyError, Outcome, SigningKey, TrustVector, Verdict, VerifyingKey, key::ES256};
use sealwright_verify::AnchorId;
use sealwright_wire::{
    Digest, Error as WireError,
    jws::{self, EncodedHeader, Header},
    time::UnixTime,
};
use serde::Serialize;
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// The profile in `eat_profile`.
pub const PROFILE: &str = "tag:github.com,2024:confidential-containers/Trustee";
/// How long a token holds unless the issuer says otherwise, in seconds.
pub const LIFETIME: u64 = 300;
/// The label of the appraisal among `submods`: the first CPU.
pub(crate) const SUBMOD: &str = "cpu0";
/// The most bytes of claims that a token may have: what a JWS of this implementation's size can carry.
pub const MAX_CLAIMS: usize = jws::MAX_COMPACT / 2;

const DEVELOPER: &str = "https://github.com/sealwright/sealwright";
const BUILD: &str = concat!("sealwright ", env!("CARGO_PKG_VERSION"));

/// Why no token was issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The evidence was not made for this conversation, so the key beside it may be anybody's.
    #[error("no token is issued for evidence that does not bind this request")]
    NotBound,
    /// The runtime data do not name the environment's key.
    #[error("runtime data must be an object with the environment's key as `tee-pubkey`")]
    RuntimeData,
    /// The token would be longer than anybody reads.
    #[error("the claims have {found} bytes, a token may have {MAX_CLAIMS}")]
    TooLong {
        /// How long the claims are.
        found: usize,
    },
    /// The signature failed.
    #[error("the token cannot be signed: {0}")]
    Key(#[from] KeyError),
    /// The claims cannot be written.
    #[error("the token cannot be written: {0}")]
    Encoding(String),
}

/// Who issues tokens.
pub struct Issuer {
    name: String,
    key: SigningKey,
    header: EncodedHeader,
    lifetime: u64,
}

impl Issuer {
    /// An issuer with this name (the claim `iss`) and key. Tokens name the key by its thumbprint and show its public half.
    ///
    /// # Errors
    /// When the header cannot be written, which no key causes.
    pub fn new(name: impl Into<String>, key: SigningKey) -> Result<Self, WireError> {
        let header = Header {
            typ: Some("JWT".to_owned()),
            kid: Some(key.public().thumbprint()),
            jwk: Some(key.public().to_jwk()),
            ..Header::new(ES256)
        };
        Ok(Self { name: name.into(), header: header.encode()?, key, lifetime: LIFETIME })
    }

    /// The same issuer, with tokens that hold for so many seconds.
    #[must_use]
    pub const fn with_lifetime(mut self, seconds: u64) -> Self {
        self.lifetime = seconds;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key that its tokens are checked with.
    pub const fn public_key(&self) -> &VerifyingKey {
        self.key.public()
    }
}

/// A signed token. It has no `Debug`: whoever holds it can ask for resources.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: String,
    expires: UnixTime,
}

impl Token {
    /// The compact JWT.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The compact JWT.
    pub fn into_string(self) -> String {
        self.text
    }

    /// The first second at which it no longer holds.
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }
}

impl Verdict {
    /// The token that says what was found, whether that affirms the environment or not. `runtime_data` is the object whose
    /// digest the evidence binds; its `tee-pubkey` is the key that secrets are sealed to.
    ///
    /// # Errors
    /// When the evidence does not bind this conversation, or the runtime data have no key.
    pub fn token(&self, issuer: &Issuer, issued_at: UnixTime, runtime_data: &Value) -> Result<Token, TokenError> {
        if !self.is_bound() {
            return Err(TokenError::NotBound);
        }
        if !runtime_data.get("tee-pubkey").is_some_and(Value::is_object) {
            return Err(TokenError::RuntimeData);
        }
        let expires = issued_at.plus(issuer.lifetime);
        let evidence = annotated_evidence(self.facts_json(), runtime_data)?;
        let claims = Claims {
            eat_profile: PROFILE,
            iss: &issuer.name,
            iat: issued_at.0,
            exp: expires.0,
            verifier: VerifierId { developer: DEVELOPER, build: BUILD },
            submods: Submods { cpu0: Appraisal::new(self, &evidence) },
        };
        let json = serde_json::to_vec(&claims).map_err(|error| encoding(&error))?;
        if json.len() > MAX_CLAIMS {
            return Err(TokenError::TooLong { found: json.len() });
        }
        let signing_input = issuer.header.signing_input(&json);
        let signature = issuer.key.sign(signing_input.as_bytes())?;
        Ok(Token { text: jws::assemble(signing_input, &signature), expires })
    }
}

fn encoding(error: &serde_json::Error) -> TokenError {
    TokenError::Encoding(error.to_string())
}

/// The facts with one member more. They are kept as text, so that nobody parses and prints them again for every token.
fn annotated_evidence(facts: &str, runtime_data: &Value) -> Result<Box<RawValue>, TokenError> {
    let runtime_data = to_raw_value(runtime_data).map_err(|error| encoding(&error))?;
    let members = facts.strip_prefix('{').and_then(|facts| facts.strip_suffix('}')).unwrap_or_default();
    let separator = if members.is_empty() { "" } else { "," };
    let text = format!(r#"{{{members}{separator}"runtime_data_claims":{}}}"#, runtime_data.get());
    RawValue::from_string(text).map_err(|error| encoding(&error))
}

#[derive(Serialize)]
struct Claims<'a> {
    eat_profile: &'static str,
    iss: &'a str,
    iat: u64,
    exp: u64,
    #[serde(rename = "ear.verifier-id")]
    verifier: VerifierId,
    submods: Submods<'a>,
}

#[derive(Serialize)]
struct VerifierId {
    developer: &'static str,
    build: &'static str,
}

#[derive(Serialize)]
struct Submods<'a> {
    cpu0: Appraisal<'a>,
}

#[derive(Serialize)]
struct Appraisal<'a> {
    #[serde(rename = "ear.status")]
    status: &'static str,
    #[serde(rename = "ear.trustworthiness-vector")]
    vector: &'a TrustVector,
    #[serde(rename = "ear.appraisal-policy-id")]
    policy_id: &'a str,
    #[serde(rename = "ear.veraison.annotated-evidence")]
    evidence: &'a RawValue,
    #[serde(rename = "ear.sealwright.simulated")]
    simulated: bool,
    #[serde(rename = "ear.sealwright.anchor")]
    anchor: &'a AnchorId,
    #[serde(rename = "ear.sealwright.policy-sha384")]
    policy_sha384: Digest<48>,
    #[serde(rename = "ear.sealwright.references")]
    references: &'a [String],
    #[serde(rename = "ear.sealwright.reasons")]
    reasons: Vec<Reason<'a>>,
}

impl<'a> Appraisal<'a> {
    fn new(verdict: &'a Verdict, evidence: &'a RawValue) -> Self {
        Self {
            status: verdict.status().name(),
            vector: verdict.vector(),
            policy_id: verdict.policy().id(),
            evidence,
            simulated: verdict.is_simulated(),
            anchor: verdict.anchor(),
            policy_sha384: verdict.policy().sha384(),
            references: verdict.references(),
            reasons: verdict.explanation().checks.iter().map(Reason::of).collect(),
        }
    }
}

/// A check as the token tells it: big tokens overflow the headers that they travel in.
#[derive(Serialize)]
#[serde(untagged)]
enum Reason<'a> {
    Whole(&'a Check),
    Short { code: &'a str, outcome: Outcome, claim: &'a str },
}

impl<'a> Reason<'a> {
    fn of(check: &'a Check) -> Self {
        match check.outcome {
            Outcome::Passed => Self::Short { code: &check.code, outcome: check.outcome, claim: &check.claim },
            Outcome::Failed | Outcome::NotReached => Self::Whole(check),
        }
    }
}
