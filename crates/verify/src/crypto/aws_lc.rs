//! Signatures on aws-lc-rs.

use super::{Curve, Hash, Padding};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, EcdsaVerificationAlgorithm,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};

/// (r, s) signatures, with the hash that is as long as the curve's scalars; SHA-512 for P-521.
const fn fixed(curve: Curve) -> &'static EcdsaVerificationAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED,
    }
}

fn verify(by: &'static dyn VerificationAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(by, key).verify(message, signature).is_ok()
}

/// A key on a curve, decoded.
pub(super) struct Key(ParsedPublicKey);

impl Key {
    /// The key whose uncompressed point this is; `None` when it is not on the curve.
    pub(super) fn new(curve: Curve, point: &[u8]) -> Option<Self> {
        ParsedPublicKey::new(fixed(curve), point).ok().map(Self)
    }

    /// Whether it made this (r, s).
    pub(super) fn verify_fixed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

/// Whether the key of this uncompressed point made this (r, s).
pub(super) fn verify_fixed(curve: Curve, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    verify(fixed(curve), point, message, signature)
}

/// The same of a signature in DER. No evidence pairs SHA-512 or P-521 with that form.
pub(super) fn verify_der(curve: Curve, hash: Hash, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let by = match (curve, hash) {
        (Curve::P256, Hash::Sha256) => &ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Hash::Sha384) => &ECDSA_P256_SHA384_ASN1,
        (Curve::P384, Hash::Sha256) => &ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Hash::Sha384) => &ECDSA_P384_SHA384_ASN1,
        (Curve::P521, _) | (_, Hash::Sha512) => return false,
    };
    verify(by, point, message, signature)
}

/// Whether the RSAPublicKey in DER, of 2048 to 8192 bits, made this signature.
pub(super) fn verify_rsa(padding: Padding, hash: Hash, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let by: &'static dyn VerificationAlgorithm = match (padding, hash) {
        (Padding::Pss, Hash::Sha256) => &RSA_PSS_2048_8192_SHA256,
        (Padding::Pss, Hash::Sha384) => &RSA_PSS_2048_8192_SHA384,
        (Padding::Pss, Hash::Sha512) => &RSA_PSS_2048_8192_SHA512,
        (Padding::Pkcs1, Hash::Sha256) => &RSA_PKCS1_2048_8192_SHA256,
        (Padding::Pkcs1, Hash::Sha384) => &RSA_PKCS1_2048_8192_SHA384,
        (Padding::Pkcs1, Hash::Sha512) => &RSA_PKCS1_2048_8192_SHA512,
    };
    verify(by, key, message, signature)
}
