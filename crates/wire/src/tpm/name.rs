//! Names of TPM objects.

use crate::{Error, tcg2::AlgorithmId};

/// `TPM2B_NAME` (Table "Definition of TPM2B_NAME Structure"; Part 1, "Names"): of a key the hash algorithm and the hash of its public area,
/// of a hierarchy or PCR its handle, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// No name.
    Empty,
    /// A handle.
    Handle(u32),
    /// `nameAlg || H(...)`.
    Digest {
        /// The algorithm.
        algorithm: AlgorithmId,
        /// The digest, as long as the algorithm's.
        digest: &'a [u8],
    },
}

impl<'a> Name<'a> {
    /// The longest name, in bytes.
    pub const MAX: usize = 66;

    /// Reads the bytes behind the length of a `TPM2B_NAME`; `field` and `at` are what an error names.
    ///
    /// # Errors
    /// When it is neither empty, nor a handle, nor a digest of its algorithm's size.
    pub fn parse(field: &'static str, at: usize, bytes: &'a [u8]) -> Result<Self, Error> {
        if let Ok(handle) = <[u8; 4]>::try_from(bytes) {
            return Ok(Self::Handle(u32::from_be_bytes(handle)));
        }
        let Some((algorithm, digest)) = bytes.split_first_chunk::<2>() else {
            if bytes.is_empty() {
                return Ok(Self::Empty);
            }
            return Err(wrong(field, at, bytes));
        };
        let algorithm = AlgorithmId(u16::from_be_bytes(*algorithm));
        if algorithm.digest_size() != Some(digest.len()) {
            return Err(wrong(field, at, bytes));
        }
        Ok(Self::Digest { algorithm, digest })
    }

    /// The bytes behind the length.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Handle(handle) => handle.to_be_bytes().to_vec(),
            Self::Digest { algorithm, digest } => [algorithm.0.to_be_bytes().as_slice(), digest].concat(),
        }
    }
}

fn wrong(field: &'static str, at: usize, bytes: &[u8]) -> Error {
    Error::unexpected(field, at, "no name, a handle, or a hash algorithm with its digest", hex::encode(bytes))
}
