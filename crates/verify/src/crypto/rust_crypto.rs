//! Signatures on RustCrypto, for WebAssembly; compiled elsewhere to be tested.

use super::{Curve, Hash, Padding, rsa_components, two_numbers};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, PublicKey as RsaKey};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Sizes of RSA keys, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key on a curve, decoded.
pub(super) enum Key {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
}

impl Key {
    /// The key whose uncompressed point this is; `None` when it is not on the curve.
    pub(super) fn new(curve: Curve, point: &[u8]) -> Option<Self> {
        if !curve.fits(point) {
            return None;
        }
        match curve {
            Curve::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self::P256),
            Curve::P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self::P384),
            Curve::P521 => p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self::P521),
        }
    }

    /// Whether it made this (r, s), with the hash that is as long as the curve's scalars; SHA-512 for P-521.
    pub(super) fn verify_fixed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::P256(_) => self.verify_prehash(&Sha256::digest(message), signature),
            Self::P384(_) => self.verify_prehash(&Sha384::digest(message), signature),
            Self::P521(_) => self.verify_prehash(&Sha512::digest(message), signature),
        }
    }

    fn verify_prehash(&self, hash: &[u8], signature: &[u8]) -> bool {
        // A signature is read when r and s are of the scalars' size, not zero and below the order.
        match self {
            Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()),
            Self::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()),
            Self::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()),
        }
    }
}

/// Whether the key of this uncompressed point made this (r, s).
pub(super) fn verify_fixed(curve: Curve, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    Key::new(curve, point).is_some_and(|key| key.verify_fixed(message, signature))
}

/// The same of a signature in DER. No evidence pairs SHA-512 or P-521 with that form.
pub(super) fn verify_der(curve: Curve, hash: Hash, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    if curve == Curve::P521 || hash == Hash::Sha512 {
        return false;
    }
    let (Some(key), Some(signature)) = (Key::new(curve, point), fixed_of_der(curve, signature)) else { return false };
    key.verify_prehash(&digest(hash, message), &signature)
}

/// (r, s) of an ECDSA-Sig-Value (RFC 3279, 2.2.3).
fn fixed_of_der(curve: Curve, der: &[u8]) -> Option<Vec<u8>> {
    let mut fixed = Vec::with_capacity(curve.size().saturating_mul(2));
    for number in two_numbers(der)? {
        let padding = curve.size().checked_sub(number.len())?;
        fixed.extend(std::iter::repeat_n(0, padding));
        fixed.extend_from_slice(number);
    }
    Some(fixed)
}

/// Whether the RSAPublicKey in DER, of 2048 to 8192 bits, made this signature.
pub(super) fn verify_rsa(padding: Padding, hash: Hash, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Some(key) = rsa_key(key) else { return false };
    let salt = usize::from(hash.size());
    let digest = digest(hash, message);
    let verified = match (padding, hash) {
        (Padding::Pss, Hash::Sha256) => key.verify(Pss::<Sha256>::new_with_salt(salt), &digest, signature),
        (Padding::Pss, Hash::Sha384) => key.verify(Pss::<Sha384>::new_with_salt(salt), &digest, signature),
        (Padding::Pss, Hash::Sha512) => key.verify(Pss::<Sha512>::new_with_salt(salt), &digest, signature),
        (Padding::Pkcs1, Hash::Sha256) => key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, signature),
        (Padding::Pkcs1, Hash::Sha384) => key.verify(Pkcs1v15Sign::new::<Sha384>(), &digest, signature),
        (Padding::Pkcs1, Hash::Sha512) => key.verify(Pkcs1v15Sign::new::<Sha512>(), &digest, signature),
    };
    verified.is_ok()
}

/// A key that aws-lc takes as well: its modulus and its exponent odd, the exponent above 1 and of at most 33 bits.
fn rsa_key(key: &[u8]) -> Option<RsaKey> {
    let [modulus, exponent] = rsa_components(key)?;
    // Before anything is computed of it.
    if modulus.len() > RSA_BITS.end() / 8 || exponent.len() > 5 {
        return None;
    }
    let (modulus, exponent) = (BoxedUint::from_be_slice_vartime(modulus), BoxedUint::from_be_slice_vartime(exponent));
    RsaKey::new_with_size_limits(modulus, exponent, RSA_BITS).ok()
}

fn digest(hash: Hash, message: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => Sha256::digest(message).to_vec(),
        Hash::Sha384 => Sha384::digest(message).to_vec(),
        Hash::Sha512 => Sha512::digest(message).to_vec(),
    }
}
