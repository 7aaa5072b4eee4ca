//! A signed request: what the administrator's key vouches for, and how the broker checks it.
//!
//! `Authorization: Bearer` holds a compact JWS in the shape of DPoP (RFC 9449), of the type `sealwright-admin+jwt`, with the claims
//!
//! | claim | value |
//! |---|---|
//! | `aud` | the broker: SHA-256 of the `SubjectPublicKeyInfo` in its TLS certificate, base64url |
//! | `htm` | the request's method |
//! | `htu` | its path and query, exactly as in the request line |
//! | `iat` | when it was signed; good for [`WINDOW`] seconds |
//! | `jti` | 16 random bytes, base64url: good for one request |
//! | `digest` | SHA-256 of the body, base64url |
//!
//! The client takes `aud` from the connection on which it sends the request, so that it is right after the certificate was renewed, and so
//! that a broker which an administrator trusts less cannot pass a request on to another: that one has another TLS key.
//!
//! The algorithm is ES256 whatever the header says, and the key is one of the configuration whatever the header holds.

use aws_lc_rs::{digest, rand};
use sealwright_appraise::{SigningKey, VerifyingKey};
use sealwright_wire::{
    Digest,
    jws::{self, Compact, Header},
    time::UnixTime,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};
use subtle::ConstantTimeEq;

/// The `typ` of a signed request.
pub const TYPE: &str = "sealwright-admin+jwt";
/// For how many seconds a signed request is good, and by how many the two clocks may differ.
pub const WINDOW: u64 = 60;
/// The longest token that is read.
const MAX_TOKEN: usize = 16 << 10;
/// The longest `jti` that is remembered.
const MAX_JTI: usize = 64;
/// The most requests that are remembered at a time. Only an administrator fills this.
const MAX_REMEMBERED: usize = 65_536;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    aud: String,
    htm: String,
    htu: String,
    iat: u64,
    jti: String,
    digest: String,
}

/// A request that was not signed as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// No credentials at all.
    #[error("this needs an administrator's signature in `Authorization: Bearer`")]
    Missing,
    /// Not a signed request.
    #[error("the signed request cannot be read: {0}")]
    Malformed(String),
    /// A key that the configuration does not name.
    #[error("no administrator's key of this broker has the thumbprint {0}")]
    UnknownKey(String),
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
    /// Signed for another broker.
    #[error("signed for the broker with the TLS key {signed}, sent to the one with {here}")]
    OtherBroker {
        /// The broker that was meant.
        signed: String,
        /// This one.
        here: String,
    },
    /// Signed for another request.
    #[error("signed for {claim} {signed}, sent as {sent}")]
    OtherRequest {
        /// The claim that differs.
        claim: &'static str,
        /// What was signed.
        signed: String,
        /// What was sent.
        sent: String,
    },
    /// The body is not the signed one.
    #[error("the body is not the one that was signed")]
    OtherBody,
    /// Too old, or from the future.
    #[error("signed at {signed}, it is {now} here: more than {WINDOW} seconds apart")]
    Stale {
        /// When it was signed.
        signed: UnixTime,
        /// When it arrived.
        now: UnixTime,
    },
    /// It may have been used before this broker started.
    #[error("signed at {signed}; whether a request of before {from} was used is not known since this broker started")]
    BeforeStart {
        /// When it was signed.
        signed: UnixTime,
        /// From when on none was used before the start.
        from: UnixTime,
    },
    /// Seen before.
    #[error("this signed request was used before")]
    Replayed,
    /// More requests within the window than are remembered.
    #[error("more than {MAX_REMEMBERED} signed requests within {WINDOW} seconds")]
    TooMany,
}

/// The cryptographic library failed to sign.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the cryptographic library failed to sign the request")]
pub struct SignError;

/// The value of `Authorization` for a request to the broker whose TLS key has this digest
/// ([`key_sha256`](sealwright_channel::tls::key_sha256)).
///
/// # Errors
/// When the cryptographic library fails.
pub fn authorization(
    key: &SigningKey,
    broker: &Digest<32>,
    method: &str,
    path_and_query: &str,
    body: &[u8],
    at: UnixTime,
) -> Result<String, SignError> {
    let mut jti = [0; 16];
    rand::fill(&mut jti).map_err(|_| SignError)?;
    let claims = Claims {
        aud: jws::encode_base64url(&broker.0),
        htm: method.to_owned(),
        htu: path_and_query.to_owned(),
        iat: at.0,
        jti: jws::encode_base64url(&jti),
        digest: body_digest(body),
    };
    let mut header = Header::new("ES256");
    header.typ = Some(TYPE.to_owned());
    header.kid = Some(key.public().thumbprint());
    let payload = serde_json::to_vec(&claims).map_err(|_| SignError)?;
    let input = header.encode().map_err(|_| SignError)?.signing_input(&payload);
    let signature = key.sign(input.as_bytes()).map_err(|_| SignError)?;
    Ok(format!("Bearer {}", jws::assemble(input, &signature)))
}

/// Whether a bearer token says that it is a signed request. Nothing about it is verified.
pub(crate) fn is_signed_request(token: &str) -> bool {
    Compact::parse(token).is_ok_and(|token| token.header().typ.as_deref() == Some(TYPE))
}

/// An administrator whose request is verified, but for its body.
pub(crate) struct Signed<'a> {
    verifier: &'a AdminVerifier,
    administrator: Administrator,
    claims: Claims,
}

/// Whoever signed a request that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    /// The name in the configuration.
    pub name: String,
    /// The key's thumbprint.
    pub thumbprint: String,
}

struct Known {
    name: String,
    key: VerifyingKey,
    thumbprint: String,
}

/// Checks signed requests.
pub(crate) struct AdminVerifier {
    administrators: Vec<Known>,
    audience: String,
    /// Older ones may have been used before this broker started.
    from: UnixTime,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    names: HashSet<String>,
    order: VecDeque<(UnixTime, String)>,
}

impl AdminVerifier {
    /// For these administrators of the broker with this TLS key, and requests that were signed at `from` or later.
    pub(crate) fn new(administrators: Vec<(String, VerifyingKey)>, broker: &Digest<32>, from: UnixTime) -> Self {
        let known = |(name, key): (String, VerifyingKey)| Known { name, thumbprint: key.thumbprint(), key };
        let administrators = administrators.into_iter().map(known).collect();
        Self { administrators, audience: jws::encode_base64url(&broker.0), from, seen: Mutex::default() }
    }

    /// Checks everything but the body, so that nobody else's body is read.
    pub(crate) fn verify<'a>(
        &'a self,
        token: &str,
        method: &str,
        path_and_query: &str,
        now: UnixTime,
    ) -> Result<Signed<'a>, AdminError> {
        if token.len() > MAX_TOKEN {
            return Err(AdminError::Malformed(format!("{} bytes, at most {MAX_TOKEN} are read", token.len())));
        }
        let token = Compact::parse(token).map_err(|error| AdminError::Malformed(error.to_string()))?;
        let administrator = self.signer(&token)?;
        let claims: Claims = serde_json::from_slice(token.payload())
            .map_err(|error| AdminError::Malformed(format!("claims: {error}")))?;
        if claims.aud != self.audience {
            return Err(AdminError::OtherBroker { signed: shown(&claims.aud), here: self.audience.clone() });
        }
        same("htm", &claims.htm, method)?;
        same("htu", &claims.htu, path_and_query)?;
        self.fresh(UnixTime(claims.iat), now)?;
        Ok(Signed { verifier: self, administrator, claims })
    }

    fn signer(&self, token: &Compact<'_>) -> Result<Administrator, AdminError> {
        let header = token.header();
        if header.typ.as_deref() != Some(TYPE) || header.alg != "ES256" {
            return Err(AdminError::Malformed(format!("expected alg ES256 and typ {TYPE} in its header")));
        }
        let kid = header.kid.as_deref().unwrap_or_default();
        let known = self.administrators.iter().find(|known| known.thumbprint == kid);
        let known = known
            .ok_or_else(|| AdminError::UnknownKey(kid.chars().filter(char::is_ascii_graphic).take(64).collect()))?;
        if !known.key.verifies(token.signing_input(), token.signature()) {
            return Err(AdminError::Signature);
        }
        Ok(Administrator { name: known.name.clone(), thumbprint: kid.to_owned() })
    }

    fn fresh(&self, signed: UnixTime, now: UnixTime) -> Result<(), AdminError> {
        if signed.0.abs_diff(now.0) > WINDOW {
            return Err(AdminError::Stale { signed, now });
        }
        // What was used before a restart is not remembered.
        if signed < self.from {
            return Err(AdminError::BeforeStart { signed, from: self.from });
        }
        Ok(())
    }

    fn remember(&self, claims: Claims, now: UnixTime) -> Result<(), AdminError> {
        if claims.jti.len() < 16 || claims.jti.len() > MAX_JTI {
            return Err(AdminError::Malformed(format!("expected 16 to {MAX_JTI} characters in `jti`")));
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was signed in the future stays good for two windows.
        while let Some((at, name)) = seen.order.front()
            && at.plus(2 * WINDOW) < now
        {
            let name = name.clone();
            seen.names.remove(&name);
            seen.order.pop_front();
        }
        if seen.names.contains(&claims.jti) {
            return Err(AdminError::Replayed);
        }
        if seen.names.len() >= MAX_REMEMBERED {
            return Err(AdminError::TooMany);
        }
        seen.names.insert(claims.jti.clone());
        seen.order.push_back((now, claims.jti));
        Ok(())
    }
}

impl Signed<'_> {
    /// When it was signed, by the client's clock.
    pub(crate) const fn at(&self) -> UnixTime {
        UnixTime(self.claims.iat)
    }

    /// Checks the body, and that the request was not used before.
    pub(crate) fn with_body(self, body: &[u8], now: UnixTime) -> Result<Administrator, AdminError> {
        if !bool::from(body_digest(body).as_bytes().ct_eq(self.claims.digest.as_bytes())) {
            return Err(AdminError::OtherBody);
        }
        self.verifier.remember(self.claims, now)?;
        Ok(self.administrator)
    }
}

fn same(claim: &'static str, signed: &str, sent: &str) -> Result<(), AdminError> {
    if signed == sent {
        return Ok(());
    }
    Err(AdminError::OtherRequest { claim, signed: shown(signed), sent: shown(sent) })
}

/// What a client sent, cut and escaped for whoever reads it.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_default).collect()
}

fn body_digest(body: &[u8]) -> String {
    jws::encode_base64url(digest::digest(&digest::SHA256, body).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_000_000);
    const BROKER: Digest<32> = Digest([1; 32]);
    const PATH: &str = "/kbs/v0/resource/a/b/c?expect=1";

    fn verifier() -> (SigningKey, AdminVerifier) {
        let key = SigningKey::generate().unwrap();
        let known = vec![("ada".to_owned(), *key.public())];
        (key, AdminVerifier::new(known, &BROKER, UnixTime(NOW.0 - 10)))
    }

    fn token(key: &SigningKey, at: UnixTime) -> String {
        authorization(key, &BROKER, "POST", PATH, b"body", at).unwrap().strip_prefix("Bearer ").unwrap().to_owned()
    }

    fn check(verifier: &AdminVerifier, token: &str) -> Result<Administrator, AdminError> {
        verifier.verify(token, "POST", PATH, NOW)?.with_body(b"body", NOW)
    }

    #[test]
    fn a_signed_request_is_good_once() {
        let (key, verifier) = verifier();
        let token = token(&key, NOW);
        let administrator = check(&verifier, &token).unwrap();
        assert_eq!(
            (administrator.name.as_str(), administrator.thumbprint.as_str()),
            ("ada", &*key.public().thumbprint())
        );
        assert_eq!(check(&verifier, &token), Err(AdminError::Replayed));
    }

    #[test]
    fn another_method_path_body_or_key_is_refused() {
        let (key, verifier) = verifier();
        let signed = token(&key, NOW);
        let refused = |method, path| verifier.verify(&signed, method, path, NOW).map(|_| ()).unwrap_err();
        assert!(matches!(refused("GET", PATH), AdminError::OtherRequest { claim: "htm", .. }));
        let without_query = "/kbs/v0/resource/a/b/c";
        assert!(matches!(refused("POST", without_query), AdminError::OtherRequest { claim: "htu", .. }));
        let request = verifier.verify(&signed, "POST", PATH, NOW).unwrap();
        assert_eq!(request.with_body(b"other", NOW), Err(AdminError::OtherBody));
        let other = SigningKey::generate().unwrap();
        let foreign = token(&other, NOW);
        assert_eq!(check(&verifier, &foreign), Err(AdminError::UnknownKey(other.public().thumbprint())));
    }

    #[test]
    fn a_request_for_another_broker_is_refused_whatever_else_is_right() {
        let (key, verifier) = verifier();
        let known = vec![("ada".to_owned(), *key.public())];
        let other = AdminVerifier::new(known, &Digest([2; 32]), UnixTime(NOW.0 - 10));
        let signed = token(&key, NOW);
        let error = check(&other, &signed).unwrap_err();
        let [signed_for, here] = [BROKER, Digest([2; 32])].map(|broker| jws::encode_base64url(&broker.0));
        assert_eq!(error, AdminError::OtherBroker { signed: signed_for, here });
        assert!(check(&verifier, &signed).is_ok());
    }

    #[test]
    fn too_old_too_early_and_before_the_start_are_refused() {
        let (key, verifier) = verifier();
        let at = |at: u64| check(&verifier, &token(&key, UnixTime(at)));
        assert!(matches!(at(NOW.0 - WINDOW - 1), Err(AdminError::Stale { .. })));
        assert!(matches!(at(NOW.0 + WINDOW + 1), Err(AdminError::Stale { .. })));
        assert!(matches!(at(NOW.0 - 11), Err(AdminError::BeforeStart { .. })));
        assert!(at(NOW.0 - 10).is_ok());
        assert!(at(NOW.0 + WINDOW).is_ok());
    }

    /// Pitfall 9 of other brokers: the algorithm taken from the token's own header.
    #[test]
    fn the_headers_algorithm_is_not_believed() {
        let (key, verifier) = verifier();
        let good = token(&key, NOW);
        let payload = good.split('.').nth(1).unwrap();
        for (alg, signature) in [("none", "AA"), ("HS256", &*"A".repeat(43)), ("ES384", &*"A".repeat(128))] {
            let mut header = Header::new(alg);
            header.typ = Some(TYPE.to_owned());
            header.kid = Some(key.public().thumbprint());
            let header = jws::encode_base64url(&serde_json::to_vec(&header).unwrap());
            let forged = format!("{header}.{payload}.{signature}");
            assert!(matches!(check(&verifier, &forged), Err(AdminError::Malformed(_))), "{alg}");
        }
    }

    #[test]
    fn flip_each_character_cut_at_each_length() {
        let (key, verifier) = verifier();
        let good = token(&key, NOW);
        for at in 0..good.len() {
            assert!(check(&verifier, &good[..at]).is_err(), "cut at {at}");
            let mut flipped = good.clone().into_bytes();
            flipped[at] ^= 1;
            let Ok(flipped) = String::from_utf8(flipped) else { continue };
            assert!(check(&verifier, &flipped).is_err(), "character {at} flipped");
        }
        assert!(check(&verifier, &good).is_ok());
    }

    #[test]
    fn used_names_are_forgotten_when_their_window_is_over() {
        let (key, verifier) = verifier();
        for n in 0..10 {
            let now = NOW.plus(n * 3 * WINDOW);
            let token = token(&key, now);
            verifier.verify(&token, "POST", PATH, now).unwrap().with_body(b"body", now).unwrap();
        }
        assert_eq!(verifier.seen.lock().unwrap().names.len(), 1);
    }
}
