//! Quotes of TPM 1.2. Nothing here verifies them, because they stand on SHA-1 alone: they are read so that whoever has one is told what it is.
//!
//! Source: TCG, TPM Main, Part 2 TPM Structures, specification version 1.2, revision 116.

use crate::Error;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// What a TPM 1.2 signs over its PCRs (`TPM_QUOTE_INFO`, section 11.3).
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct QuoteInfo {
    /// `version`: 1.1.0.0 (`TPM_STRUCT_VER`).
    pub version: [u8; 4],
    /// `fixed`: `QUOT`.
    pub fixed: [u8; 4],
    /// `digestValue`: SHA-1 of the selected PCRs (`TPM_PCR_COMPOSITE`).
    pub digest_value: [u8; 20],
    /// `externalData`: the verifier's nonce, or its SHA-1.
    pub external_data: [u8; 20],
}

impl QuoteInfo {
    const VERSION: [u8; 4] = [1, 1, 0, 0];
    const FIXED: [u8; 4] = *b"QUOT";

    /// Reads a quote, which is all of the bytes.
    ///
    /// # Errors
    /// When it has another length, version or fixed text.
    pub fn parse(bytes: &[u8]) -> Result<&Self, Error> {
        let Ok(info) = Self::ref_from_bytes(bytes) else {
            return Err(Error::unexpected("TPM_QUOTE_INFO", 0, "48 bytes", bytes.len()));
        };
        if info.version != Self::VERSION {
            return Err(Error::unexpected("TPM_QUOTE_INFO.version", 0, "01010000", hex::encode(info.version)));
        }
        if info.fixed != Self::FIXED {
            return Err(Error::unexpected("TPM_QUOTE_INFO.fixed", 4, "QUOT", hex::encode(info.fixed)));
        }
        Ok(info)
    }
}
