//! What a TPM alone can get wrong.

use sealwright_wire::{Digest, tcg2::AlgorithmId};

/// Why a TPM's quote is not believed, where no reason that all evidence shares fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The attestation key is not among those that the relying party enrolled.
    #[error("attestation key with SHA-256 {sha256} is not enrolled ({enrolled})")]
    NotEnrolled {
        /// SHA-256 of its SubjectPublicKeyInfo.
        sha256: Digest<32>,
        /// Names of the keys that are enrolled.
        enrolled: String,
    },
    /// The public area in the evidence is not the one that was enrolled, though the key is the same.
    #[error("public area of the attestation key is not the one that was enrolled")]
    OtherArea,
    /// The public area in the evidence is not of the certified key.
    #[error("public area is of the key with SHA-256 {found}, the certificate of the key with {expected}")]
    OtherKey {
        /// SHA-256 of the certified key's SubjectPublicKeyInfo.
        expected: Digest<32>,
        /// That of the public area's key.
        found: Digest<32>,
    },
    /// The key is no attestation key.
    #[error("attribute {name} of the attestation key is {}, expected {}", state(!*.wanted), state(*.wanted))]
    Attribute {
        /// The attribute's name in `TPMA_OBJECT`.
        name: &'static str,
        /// Whether it must be set.
        wanted: bool,
    },
    /// The key does not sign, or did not sign, with the one scheme that it has.
    #[error("signature scheme is {found}, expected {expected}")]
    Scheme {
        /// The key's scheme, or those that an attestation key may have.
        expected: String,
        /// The scheme that was found.
        found: String,
    },
    /// The quote was hashed with an algorithm for which collisions can be made.
    #[error("quote is signed over a digest of {found}, expected SHA-256, SHA-384 or SHA-512")]
    WeakHash {
        /// The algorithm.
        found: AlgorithmId,
    },
    /// The quote selects a PCR whose value did not come with it.
    #[error("quote selects PCR {pcr} of the {bank} bank, whose value is missing")]
    MissingPcr {
        /// The bank.
        bank: AlgorithmId,
        /// The PCR's number.
        pcr: u32,
    },
    /// The PCR values are not those that the quote is over.
    #[error("PCR values hash to {found}, the quote has {expected}")]
    PcrDigest {
        /// The quote's digest, in hex.
        expected: String,
        /// The values' digest, in hex.
        found: String,
    },
}

const fn state(set: bool) -> &'static str {
    if set { "set" } else { "clear" }
}

impl Error {
    /// The reason as a stable word, see [`crate::Error::code`].
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotEnrolled { .. } => "attestation-key-not-enrolled",
            Self::OtherArea | Self::OtherKey { .. } => "attestation-key-mismatch",
            Self::Attribute { .. } => "attestation-key-attributes",
            Self::Scheme { .. } => "attestation-key-scheme",
            Self::WeakHash { .. } => "weak-quote-hash",
            Self::MissingPcr { .. } => "pcr-missing",
            Self::PcrDigest { .. } => "pcr-digest-mismatch",
        }
    }

    /// What was being judged.
    pub const fn claim(&self) -> &'static str {
        match self {
            Self::NotEnrolled { .. } | Self::OtherArea | Self::OtherKey { .. } | Self::Attribute { .. } => {
                "attestation key"
            }
            Self::Scheme { .. } | Self::WeakHash { .. } => "TPM quote",
            Self::MissingPcr { .. } | Self::PcrDigest { .. } => "PCRs",
        }
    }

    /// What was wanted, when it is a value.
    pub fn expected(&self) -> Option<String> {
        match self {
            Self::NotEnrolled { enrolled, .. } => Some(enrolled.clone()),
            Self::OtherArea => None,
            Self::OtherKey { expected, .. } => Some(expected.to_string()),
            Self::Attribute { name, wanted } => Some(format!("{name} {}", state(*wanted))),
            Self::Scheme { expected, .. } | Self::PcrDigest { expected, .. } => Some(expected.clone()),
            Self::WeakHash { .. } => Some("sha256, sha384 or sha512".to_owned()),
            Self::MissingPcr { bank, pcr } => Some(format!("a value of {bank}:{pcr}")),
        }
    }

    /// What was found, when it is a value.
    pub fn actual(&self) -> Option<String> {
        match self {
            Self::NotEnrolled { sha256, .. } => Some(sha256.to_string()),
            Self::OtherArea | Self::MissingPcr { .. } => None,
            Self::OtherKey { found, .. } => Some(found.to_string()),
            Self::Attribute { name, wanted } => Some(format!("{name} {}", state(!*wanted))),
            Self::Scheme { found, .. } | Self::PcrDigest { found, .. } => Some(found.clone()),
            Self::WeakHash { found } => Some(found.to_string()),
        }
    }

    /// What the reader can do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NotEnrolled { .. } => {
                "enrol this key as an anchor once it is certain (by credential activation, or at the machine) that it is an attestation \
                 key of the machine's TPM; or send its certificate, and name the CA above it as an anchor"
            }
            Self::OtherArea | Self::OtherKey { .. } => {
                "send the public area of the key that signed the quote, exactly as the TPM gave it out"
            }
            Self::Attribute { .. } | Self::Scheme { .. } => {
                "quote with an attestation key: one that the TPM made itself, restricted, for signing alone, fixed to TPM and parent, and \
                 with a signing scheme of its own"
            }
            Self::WeakHash { .. } => "make the attestation key with a scheme of SHA-256 or longer",
            Self::MissingPcr { .. } => "send the values of all PCRs that the quote selects, in all of its banks",
            Self::PcrDigest { .. } => {
                "the PCRs were read at another time than the quote, or changed: read them again and quote again, until both agree"
            }
        }
    }
}
