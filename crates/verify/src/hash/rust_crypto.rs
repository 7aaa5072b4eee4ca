//! Hashes on RustCrypto, for WebAssembly; compiled elsewhere to be tested.

use super::Value;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};
use sha3::{Sha3_256, Sha3_384, Sha3_512};

/// A hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, clippy::upper_case_acronyms)] // as the other library names them
pub(super) enum Algorithm {
    SHA1,
    SHA256,
    SHA384,
    SHA512,
    SHA3_256,
    SHA3_384,
    SHA3_512,
}

impl Algorithm {
    /// The size of a digest in bytes.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::SHA1 => 20,
            Self::SHA256 | Self::SHA3_256 => 32,
            Self::SHA384 | Self::SHA3_384 => 48,
            Self::SHA512 | Self::SHA3_512 => 64,
        }
    }

    /// The digest of the bytes.
    pub(super) fn digest(self, bytes: &[u8]) -> impl AsRef<[u8]> + use<> {
        self.digest_parts(&[bytes])
    }

    /// The digest of the parts in a row.
    pub(super) fn digest_parts(self, parts: &[&[u8]]) -> impl AsRef<[u8]> + use<> {
        match self {
            Self::SHA1 => digest::<Sha1>(parts),
            Self::SHA256 => digest::<Sha256>(parts),
            Self::SHA384 => digest::<Sha384>(parts),
            Self::SHA512 => digest::<Sha512>(parts),
            Self::SHA3_256 => digest::<Sha3_256>(parts),
            Self::SHA3_384 => digest::<Sha3_384>(parts),
            Self::SHA3_512 => digest::<Sha3_512>(parts),
        }
    }
}

fn digest<D: Digest>(parts: &[&[u8]]) -> Value {
    let mut hash = D::new();
    parts.iter().for_each(|part| hash.update(part));
    Value::from(hash.finalize().as_ref())
}
