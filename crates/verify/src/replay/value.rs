//! The value of a register of any bank.

use sealwright_wire::tcg2::MAX_DIGEST;
use std::fmt;

/// What a register holds, or a digest: as many bytes as its bank's hash gives. Text form: lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RegisterValue {
    bytes: [u8; MAX_DIGEST],
    len: usize,
}

impl RegisterValue {
    /// What a register of `len` bytes holds before the first extend.
    pub(super) fn zero(len: usize) -> Self {
        Self { bytes: [0; MAX_DIGEST], len: len.min(MAX_DIGEST) }
    }
}

impl From<&[u8]> for RegisterValue {
    /// The first 64 bytes, which no digest exceeds.
    fn from(value: &[u8]) -> Self {
        let mut this = Self::zero(value.len());
        for (place, byte) in this.bytes.iter_mut().zip(value) {
            *place = *byte;
        }
        this
    }
}

impl AsRef<[u8]> for RegisterValue {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

impl fmt::Display for RegisterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RegisterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
