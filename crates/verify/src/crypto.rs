//! The two signature forms that Intel's evidence uses, on aws-lc-rs.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ParsedPublicKey, UnparsedPublicKey};
use std::fmt;

/// A point of P-256 in uncompressed form (SEC 1, 2.3.3): 0x04, x, y.
pub(crate) type Point = [u8; 65];

/// The point whose coordinates a quote gives.
pub(crate) fn point(coordinates: &[u8; 64]) -> Point {
    let mut point = [0x04; 65];
    if let Some(rest) = point.last_chunk_mut::<64>() {
        *rest = *coordinates;
    }
    point
}

/// ECDSA P-256 with SHA-256, signature in DER (certificates, revocation lists).
pub(crate) fn verify_der(key: &Point, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(message, signature).is_ok()
}

/// ECDSA P-256 with SHA-256, signature as (r, s) (quotes, TCB info, QE identity).
pub(crate) fn verify_fixed(key: &Point, message: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature).is_ok()
}

/// A P-256 key that verifies many (r, s) signatures: decoded and checked to be on the curve once.
pub(crate) struct FixedKey(ParsedPublicKey);

impl FixedKey {
    pub(crate) fn new(key: &Point) -> Option<Self> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).ok().map(Self)
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for FixedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FixedKey(P-256)")
    }
}
