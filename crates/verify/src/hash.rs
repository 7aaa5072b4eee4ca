//! SHA-256 and SHA-384 as [`Digest`]s, and every hash of a TPM's banks; on aws-lc-rs, on RustCrypto for SM3, which aws-lc-rs lacks, and in
//! WebAssembly, which aws-lc does not know.

#[cfg(not(target_arch = "wasm32"))]
mod aws_lc;
#[cfg(any(test, target_arch = "wasm32"))]
mod rust_crypto;

#[cfg(not(target_arch = "wasm32"))]
use aws_lc::Algorithm;
#[cfg(target_arch = "wasm32")]
use rust_crypto::Algorithm;

use sealwright_wire::Digest;
use sealwright_wire::tcg2::{AlgorithmId, MAX_DIGEST};
use sm3::{Digest as _, Sm3};
use std::fmt;

/// SHA-256 over the parts in a row.
pub fn sha256(parts: &[&[u8]]) -> Digest<32> {
    Digest(hash(Algorithm::SHA256, parts))
}

/// SHA-384 over the parts in a row.
pub fn sha384(parts: &[&[u8]]) -> Digest<48> {
    Digest(hash(Algorithm::SHA384, parts))
}

fn hash<const N: usize>(algorithm: Algorithm, parts: &[&[u8]]) -> [u8; N] {
    // The callers above pair each algorithm with its length.
    <[u8; N]>::try_from(algorithm.digest_parts(parts).as_ref()).unwrap_or([0; N])
}

/// A digest or a register of any bank, without an allocation: up to [`MAX_DIGEST`] bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value {
    bytes: [u8; MAX_DIGEST],
    len: usize,
}

impl Value {
    /// `bytes`, and zero up to `len` where they are fewer; what is longer is cut. Both are at most [`MAX_DIGEST`].
    pub fn padded(bytes: &[u8], len: usize) -> Self {
        let len = len.min(MAX_DIGEST);
        let mut value = Self { bytes: [0; MAX_DIGEST], len };
        value.bytes.iter_mut().take(len).zip(bytes).for_each(|(place, byte)| *place = *byte);
        value
    }

    /// `len` times the same byte.
    pub fn filled(byte: u8, len: usize) -> Self {
        let mut value = Self::padded(&[], len);
        value.bytes.iter_mut().take(value.len).for_each(|place| *place = byte);
        value
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }

    /// Sets the last byte, as a TPM's startup does with PCR 0.
    pub(crate) fn set_last(&mut self, byte: u8) {
        if let Some(last) = self.len.checked_sub(1).and_then(|last| self.bytes.get_mut(last)) {
            *last = byte;
        }
    }
}

impl From<&[u8]> for Value {
    /// The first [`MAX_DIGEST`] bytes, which no digest exceeds.
    fn from(bytes: &[u8]) -> Self {
        Self::padded(bytes, bytes.len())
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of a bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(Implementation);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Implementation {
    Library(Algorithm),
    Sm3,
}

impl Hash {
    pub(crate) const SHA256: Self = Self(Implementation::Library(Algorithm::SHA256));
    pub(crate) const SHA384: Self = Self(Implementation::Library(Algorithm::SHA384));
    pub(crate) const SHA512: Self = Self(Implementation::Library(Algorithm::SHA512));

    /// The hash of this algorithm; `None` for one that is not known.
    pub fn of(algorithm: AlgorithmId) -> Option<Self> {
        Some(Self(match algorithm {
            AlgorithmId::SHA1 => Implementation::Library(Algorithm::SHA1),
            AlgorithmId::SHA256 => Implementation::Library(Algorithm::SHA256),
            AlgorithmId::SHA384 => Implementation::Library(Algorithm::SHA384),
            AlgorithmId::SHA512 => Implementation::Library(Algorithm::SHA512),
            AlgorithmId::SHA3_256 => Implementation::Library(Algorithm::SHA3_256),
            AlgorithmId::SHA3_384 => Implementation::Library(Algorithm::SHA3_384),
            AlgorithmId::SHA3_512 => Implementation::Library(Algorithm::SHA3_512),
            AlgorithmId::SM3_256 => Implementation::Sm3,
            _ => return None,
        }))
    }

    /// The size of a digest in bytes.
    pub fn size(self) -> usize {
        match self.0 {
            Implementation::Library(algorithm) => algorithm.size(),
            Implementation::Sm3 => 32,
        }
    }

    /// The digest of the bytes.
    pub fn digest(self, bytes: &[u8]) -> Value {
        match self.0 {
            Implementation::Library(algorithm) => Value::padded(algorithm.digest(bytes).as_ref(), self.size()),
            Implementation::Sm3 => Value::padded(&Sm3::digest(bytes), self.size()),
        }
    }

    /// `H(register || digest)`. Digests are at most [`MAX_DIGEST`] bytes; what is longer is not hashed.
    pub fn extend(self, register: &Value, digest: &[u8]) -> Value {
        let mut both = [0; 2 * MAX_DIGEST];
        let len = register.len.saturating_add(digest.len().min(MAX_DIGEST));
        let (head, tail) = both.split_at_mut(register.len.min(MAX_DIGEST));
        head.copy_from_slice(register.as_bytes());
        tail.iter_mut().zip(digest).for_each(|(place, byte)| *place = *byte);
        self.digest(both.get(..len).unwrap_or(&both))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_have_their_algorithms_lengths() {
        assert_eq!(
            sha256(&[b"a", b"bc"]).to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(sha384(&[b"abc"]).to_string().starts_with("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"));
    }

    #[test]
    fn banks_have_their_algorithms_hashes() {
        // GM/T 0004-2012, example 1.
        let sm3 = Hash::of(AlgorithmId::SM3_256).unwrap().digest(b"abc");
        assert_eq!(format!("{sm3:?}"), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
        for id in [0x04, 0x0b, 0x0c, 0x0d, 0x12, 0x27, 0x28, 0x29].map(AlgorithmId) {
            let hash = Hash::of(id).unwrap();
            assert_eq!(Some(hash.size()), id.digest_size(), "{id}");
            let (register, digest) = (hash.digest(b"register"), hash.digest(b"digest"));
            let both = [register.as_bytes(), digest.as_bytes()].concat();
            assert_eq!(hash.extend(&register, digest.as_bytes()), hash.digest(&both), "{id}");
        }
        assert!(Hash::of(AlgorithmId(0x7777)).is_none());
    }

    #[test]
    fn both_libraries_make_the_same_digests() {
        use rust_crypto::Algorithm as Other;
        let bytes: Vec<u8> = (0..=255).cycle().take(700).collect();
        for (ours, other) in [
            (Algorithm::SHA1, Other::SHA1),
            (Algorithm::SHA256, Other::SHA256),
            (Algorithm::SHA384, Other::SHA384),
            (Algorithm::SHA512, Other::SHA512),
            (Algorithm::SHA3_256, Other::SHA3_256),
            (Algorithm::SHA3_384, Other::SHA3_384),
            (Algorithm::SHA3_512, Other::SHA3_512),
        ] {
            assert_eq!(ours.size(), other.size());
            for len in 0..bytes.len() {
                let (head, tail) = bytes[..len].split_at(len / 3);
                let digest = ours.digest(&bytes[..len]);
                assert_eq!(digest.as_ref(), other.digest(&bytes[..len]).as_ref(), "{other:?} of {len} bytes");
                assert_eq!(digest.as_ref(), other.digest_parts(&[head, tail]).as_ref(), "{other:?} of {len} bytes");
                assert_eq!(digest.as_ref(), ours.digest_parts(&[head, tail]).as_ref());
            }
        }
    }
}
