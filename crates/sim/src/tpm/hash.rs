//! Hashes by the numbers that the TCG gives them.

use crate::Error;
use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use sealwright_wire::tcg2::AlgorithmId;

/// A hash of PCR banks, names and signatures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash {
    id: AlgorithmId,
    algorithm: &'static Algorithm,
}

impl Hash {
    pub(super) const SHA1: Self = Self { id: AlgorithmId::SHA1, algorithm: &SHA1_FOR_LEGACY_USE_ONLY };
    pub(super) const SHA256: Self = Self { id: AlgorithmId::SHA256, algorithm: &SHA256 };
    pub(super) const SHA384: Self = Self { id: AlgorithmId::SHA384, algorithm: &SHA384 };
    const SHA512: Self = Self { id: AlgorithmId::SHA512, algorithm: &SHA512 };

    /// The hash of this number, for the bank of which `field` speaks.
    pub(crate) fn of(field: &'static str, id: AlgorithmId) -> Result<Self, Error> {
        let known = [Self::SHA1, Self::SHA256, Self::SHA384, Self::SHA512].into_iter().find(|hash| hash.id == id);
        known.ok_or_else(|| Error::Config { field, expected: "sha1, sha256, sha384 or sha512", found: id.to_string() })
    }

    pub(super) const fn id(self) -> AlgorithmId {
        self.id
    }

    /// The size of its digests in bytes.
    pub(super) fn size(self) -> usize {
        self.algorithm.output_len()
    }

    /// The digest of the parts in a row.
    pub(crate) fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut hash = Context::new(self.algorithm);
        parts.iter().for_each(|part| hash.update(part));
        hash.finish().as_ref().to_vec()
    }
}
