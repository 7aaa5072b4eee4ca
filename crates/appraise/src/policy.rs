//! A policy: its text, its name and the digest that tokens and the audit log record.

mod limits;

pub use limits::{MAX_EXPONENT, MAX_NESTING};

use sealwright_verify::hash::sha384;
use sealwright_wire::Digest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest policy text that is accepted, in bytes.
pub const MAX_POLICY: usize = 256 * 1024;
/// The longest policy id that is accepted, in characters.
pub const MAX_ID: usize = 64;

const DEFAULT_ATTESTATION: &str = include_str!("../policies/attestation.rego");
const DEFAULT_RELEASE: &str = include_str!("../policies/release.rego");

/// What a policy decides. Text form: lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What is claimed of an environment: `data.policy.trust_claims` over its facts.
    Attestation,
    /// Whether a resource goes to an environment: `data.policy.allow` over its token.
    Release,
}

impl Kind {
    /// The rule that such a policy must have in its package `policy`.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Attestation => "trust_claims",
            Self::Release => "allow",
        }
    }
}

/// Why a text is not taken as a policy. Whether it is *sound* is seen when it is checked ([`crate::Evaluator::check`]).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The id is not one.
    #[error("a policy id has 1 to {MAX_ID} of a-z, A-Z, 0-9, '_', '-' and '.', found {found:?}")]
    Id {
        /// What was given, cut short.
        found: String,
    },
    /// Brackets and braces nest too deep.
    #[error("brackets and braces of a policy nest at most {MAX_NESTING} deep, those of this one {found}")]
    TooDeep {
        /// How deep they nest.
        found: usize,
    },
    /// A number has too large an exponent.
    #[error("a number in a policy has at most the exponent {MAX_EXPONENT}, one of this one {found}")]
    Exponent {
        /// The largest that it has.
        found: u32,
    },
    /// The text is too long.
    #[error("a policy has at most {MAX_POLICY} bytes, this one has {found}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
}

/// A policy in Rego v1, in the package `policy`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    kind: Kind,
    id: Arc<str>,
    text: Arc<str>,
    sha384: Digest<48>,
}

impl Policy {
    /// A policy that somebody wrote.
    ///
    /// # Errors
    /// When the id has other characters than letters, digits, `_`, `-` and `.`, either is too long, or the text nests too deep or
    /// has a number with too large an exponent.
    pub fn new(kind: Kind, id: &str, text: &str) -> Result<Self, PolicyError> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(word) {
            return Err(PolicyError::Id { found: id.chars().take(MAX_ID).collect() });
        }
        if text.len() > MAX_POLICY {
            return Err(PolicyError::TooLong { found: text.len() });
        }
        limits::check(text)?;
        Ok(Self::made_of(kind, id, text))
    }

    /// The built-in attestation policy: affirms up-to-date vendor hardware that runs what the reference values say, and
    /// refuses what it does not know.
    pub fn default_attestation() -> Self {
        Self::made_of(Kind::Attestation, "default", DEFAULT_ATTESTATION)
    }

    /// The built-in release policy: a resource goes to an affirmed environment that has shown the runtime events which the
    /// resource requires.
    pub fn default_release() -> Self {
        Self::made_of(Kind::Release, "default", DEFAULT_RELEASE)
    }

    /// What it decides.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The name that its owner gave it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-384 of its text.
    pub const fn sha384(&self) -> Digest<48> {
        self.sha384
    }

    /// Whether its text is the built-in one, which was written with this program and may run inside it.
    pub fn is_built_in(&self) -> bool {
        *self.text
            == *match self.kind {
                Kind::Attestation => DEFAULT_ATTESTATION,
                Kind::Release => DEFAULT_RELEASE,
            }
    }

    fn made_of(kind: Kind, id: &str, text: &str) -> Self {
        Self { kind, id: id.into(), text: text.into(), sha384: sha384(&[text.as_bytes()]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_named_and_has_the_digest_of_its_text() {
        let policy = Policy::new(Kind::Release, "team-a.release_1", "package policy").unwrap();
        assert_eq!((policy.id(), policy.text()), ("team-a.release_1", "package policy"));
        // From `printf 'package policy' | openssl dgst -sha384`.
        assert_eq!(
            policy.sha384().to_string(),
            "5ce8113e3728214ed82bdaf8a92423a3099f2bb2b69bb54638243f2464aadf4a06e09db998e918d754b833bb3022cf2d"
        );
        assert!(!policy.is_built_in());
        assert!(Policy::default_attestation().is_built_in() && Policy::default_release().is_built_in());
    }

    #[test]
    fn refuses_names_and_texts_that_are_none() {
        for id in ["", "a b", "../x", "ä", &"x".repeat(MAX_ID + 1)] {
            assert!(matches!(Policy::new(Kind::Release, id, ""), Err(PolicyError::Id { .. })), "{id}");
        }
        let long = "#".repeat(MAX_POLICY + 1);
        assert_eq!(Policy::new(Kind::Release, "x", &long), Err(PolicyError::TooLong { found: MAX_POLICY + 1 }));
    }
}
