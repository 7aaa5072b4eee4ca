//! Hashes on aws-lc-rs.

use aws_lc_rs::digest;

/// A hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Algorithm(&'static digest::Algorithm);

impl Algorithm {
    pub(super) const SHA1: Self = Self(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    pub(super) const SHA256: Self = Self(&digest::SHA256);
    pub(super) const SHA384: Self = Self(&digest::SHA384);
    pub(super) const SHA512: Self = Self(&digest::SHA512);
    pub(super) const SHA3_256: Self = Self(&digest::SHA3_256);
    pub(super) const SHA3_384: Self = Self(&digest::SHA3_384);
    pub(super) const SHA3_512: Self = Self(&digest::SHA3_512);

    /// The size of a digest in bytes.
    pub(super) fn size(self) -> usize {
        self.0.output_len()
    }

    /// The digest of the bytes.
    pub(super) fn digest(self, bytes: &[u8]) -> impl AsRef<[u8]> + use<> {
        digest::digest(self.0, bytes)
    }

    /// The digest of the parts in a row.
    pub(super) fn digest_parts(self, parts: &[&[u8]]) -> impl AsRef<[u8]> + use<> {
        let mut context = digest::Context::new(self.0);
        parts.iter().for_each(|part| context.update(part));
        context.finish()
    }
}
