//! The signatures that evidence and X.509 use: on aws-lc-rs, and on RustCrypto in WebAssembly, which aws-lc does not know. What both are asked is
//! the same, and tests hold their answers against each other.

#[cfg(not(target_arch = "wasm32"))]
mod aws_lc;
#[cfg(any(test, target_arch = "wasm32"))]
mod rust_crypto;

#[cfg(not(target_arch = "wasm32"))]
use aws_lc as library;
#[cfg(target_arch = "wasm32")]
use rust_crypto as library;

use der::asn1::{ObjectIdentifier, UintRef};
use der::{AnyRef, Decode, DecodeValue, FixedTag, Reader, SliceReader, Tag, TagMode, TagNumber, Tagged};
use sealwright_wire::cose;
use std::fmt;
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

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

/// How a certificate, a revocation list or a document is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// ecdsa-with-SHA256 (RFC 5758, 3.2), by a key on P-256.
    EcdsaSha256,
    /// ecdsa-with-SHA384 (RFC 5758, 3.2), by a key on P-384.
    EcdsaSha384,
    /// RSASSA-PSS (RFC 4055, 3.1) whose mask generation is of the same hash, and whose salt is as long as it.
    RsaPss(Hash),
    /// sha256WithRSAEncryption and its like (RFC 4055, 5).
    RsaPkcs1(Hash),
}

/// The hash of an RSA signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// The curve of an ECDSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// The curve that evidence uses with this algorithm of COSE, which itself leaves the choice (RFC 9053, 2.1).
    const fn of_cose(algorithm: cose::Algorithm) -> Option<Self> {
        match algorithm {
            cose::Algorithm::Es256 => Some(Self::P256),
            cose::Algorithm::Es384 => Some(Self::P384),
            cose::Algorithm::Es512 => Some(Self::P521),
            _ => None,
        }
    }

    /// The size of a coordinate, and of a scalar, in bytes.
    const fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// Whether these bytes have the shape of an uncompressed point.
    const fn fits(self, point: &[u8]) -> bool {
        matches!(point, [4, coordinates @ ..] if coordinates.len() / 2 == self.size() && coordinates.len().is_multiple_of(2))
    }
}

/// How an RSA signature is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Padding {
    /// RSASSA-PSS with a mask of the same hash and a salt as long as it.
    Pss,
    /// RSASSA-PKCS1-v1_5.
    Pkcs1,
}

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const PRIME256V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

impl Algorithm {
    /// The algorithm of an AlgorithmIdentifier in DER, if it is one of these with the parameters that it must have.
    pub(crate) fn from_der(identifier: &[u8]) -> Option<Self> {
        let AlgorithmIdentifierRef { oid, parameters } = AlgorithmIdentifierRef::from_der(identifier).ok()?;
        let none = parameters.is_none();
        let null = parameters.is_some_and(|parameters| parameters == AnyRef::NULL);
        match oid {
            ECDSA_SHA256 if none => Some(Self::EcdsaSha256),
            ECDSA_SHA384 if none => Some(Self::EcdsaSha384),
            RSA_SHA256 if null => Some(Self::RsaPkcs1(Hash::Sha256)),
            RSA_SHA384 if null => Some(Self::RsaPkcs1(Hash::Sha384)),
            RSA_SHA512 if null => Some(Self::RsaPkcs1(Hash::Sha512)),
            RSASSA_PSS => pss_hash(parameters?).map(Self::RsaPss),
            _ => None,
        }
    }
}

impl Hash {
    fn of(identifier: AlgorithmIdentifierRef<'_>) -> Option<Self> {
        // Absent and NULL parameters mean the same (RFC 4055, 2.1).
        if identifier.parameters.is_some_and(|parameters| parameters != AnyRef::NULL) {
            return None;
        }
        match identifier.oid {
            SHA256 => Some(Self::Sha256),
            SHA384 => Some(Self::Sha384),
            SHA512 => Some(Self::Sha512),
            _ => None,
        }
    }

    const fn size(self) -> u8 {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// RSASSA-PSS-params (RFC 4055, 3.1): one hash for message and mask, a salt of its length, and the one trailer field that there is,
/// which some vendors write out although it is the default.
fn pss_hash(parameters: AnyRef<'_>) -> Option<Hash> {
    parameters.tag().assert_eq(Tag::Sequence).ok()?;
    let mut reader = SliceReader::new(parameters.value()).ok()?;
    let hash: Option<AlgorithmIdentifierRef<'_>> = explicit(&mut reader, 0)?;
    let mask: Option<AlgorithmIdentifierRef<'_>> = explicit(&mut reader, 1)?;
    let salt: Option<u8> = explicit(&mut reader, 2)?;
    let trailer: Option<u8> = explicit(&mut reader, 3)?;
    reader.finish().ok()?;
    let (hash, mask) = (Hash::of(hash?)?, mask?);
    let of_mask = mask.parameters?.decode_as().ok().and_then(Hash::of);
    let sound =
        mask.oid == MGF1 && of_mask == Some(hash) && salt == Some(hash.size()) && matches!(trailer, None | Some(1));
    sound.then_some(hash)
}

/// The optional field of this number; `None` when it is malformed.
fn explicit<'a, T>(reader: &mut SliceReader<'a>, number: u32) -> Option<Option<T>>
where
    T: DecodeValue<'a> + FixedTag + 'a,
{
    reader.context_specific(TagNumber(number), TagMode::Explicit).ok()
}

/// A public key of X.509.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// A point of P-256.
    P256(Point),
    /// A point of P-384 in uncompressed form.
    P384([u8; 97]),
    /// An RSAPublicKey in DER (RFC 8017, A.1.1).
    Rsa(Vec<u8>),
}

/// What kind of key [`PublicKey`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    P256,
    P384,
    Rsa,
}

impl PublicKey {
    /// The key of a SubjectPublicKeyInfo in DER, if it is of one of these kinds.
    pub(crate) fn from_der(key_info: &[u8]) -> Option<Self> {
        let SubjectPublicKeyInfoRef { algorithm, subject_public_key } =
            SubjectPublicKeyInfoRef::from_der(key_info).ok()?;
        let bits = subject_public_key.as_bytes()?;
        match algorithm.oid {
            EC_PUBLIC_KEY => match (algorithm.parameters_oid().ok()?, bits.first()) {
                (PRIME256V1, Some(4)) => bits.try_into().ok().map(Self::P256),
                (SECP384R1, Some(4)) => bits.try_into().ok().map(Self::P384),
                _ => None,
            },
            RSA_ENCRYPTION if algorithm.parameters == Some(AnyRef::NULL) => Some(Self::Rsa(bits.to_vec())),
            _ => None,
        }
    }

    pub(crate) const fn kind(&self) -> KeyKind {
        match self {
            Self::P256(_) => KeyKind::P256,
            Self::P384(_) => KeyKind::P384,
            Self::Rsa(_) => KeyKind::Rsa,
        }
    }

    /// Whether this key made the signature, an ECDSA one in DER. A key of another kind than the algorithm's never did.
    pub(crate) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (self, algorithm) {
            (Self::P256(point), Algorithm::EcdsaSha256) => {
                library::verify_der(Curve::P256, Hash::Sha256, point, message, signature)
            }
            (Self::P384(point), Algorithm::EcdsaSha384) => {
                library::verify_der(Curve::P384, Hash::Sha384, point, message, signature)
            }
            (Self::Rsa(key), Algorithm::RsaPss(hash)) => verify_rsa(Padding::Pss, hash, key, message, signature),
            (Self::Rsa(key), Algorithm::RsaPkcs1(hash)) => verify_rsa(Padding::Pkcs1, hash, key, message, signature),
            _ => false,
        }
    }
}

/// By an RSAPublicKey in DER of 2048 to 8192 bits.
fn verify_rsa(padding: Padding, hash: Hash, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    // aws-lc would also take a key that is wrapped once more.
    rsa_components(key).is_some() && library::verify_rsa(padding, hash, key, message, signature)
}

/// Modulus and public exponent of an RSAPublicKey in DER, big-endian without leading zeros.
fn rsa_components(key: &[u8]) -> Option<[&[u8]; 2]> {
    two_numbers(key)
}

/// The numbers of a SEQUENCE of two that are not negative, in DER and nothing behind: big-endian without leading zeros.
fn two_numbers(der: &[u8]) -> Option<[&[u8]; 2]> {
    let sequence = AnyRef::from_der(der).ok()?;
    sequence.tag().assert_eq(Tag::Sequence).ok()?;
    let mut reader = SliceReader::new(sequence.value()).ok()?;
    let (first, second) = (UintRef::decode(&mut reader).ok()?, UintRef::decode(&mut reader).ok()?);
    reader.finish().ok()?;
    Some([first.as_bytes(), second.as_bytes()])
}

/// An ECDSA signature as (r, s), by a key given as its uncompressed point.
pub(crate) fn verify_cose(algorithm: cose::Algorithm, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let curve = Curve::of_cose(algorithm).filter(|curve| curve.fits(point));
    curve.is_some_and(|curve| library::verify_fixed(curve, point, message, signature))
}

/// Whether this is an uncompressed point of the algorithm's curve.
pub(crate) fn is_point(algorithm: cose::Algorithm, point: &[u8]) -> bool {
    let curve = Curve::of_cose(algorithm).filter(|curve| curve.fits(point));
    curve.is_some_and(|curve| library::Key::new(curve, point).is_some())
}

/// ECDSA P-384 with SHA-384, signature as (r, s) (Nitro documents, reports of GPUs).
pub(crate) fn verify_p384(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    matches!(key, PublicKey::P384(point) if verify_cose(cose::Algorithm::Es384, point, message, signature))
}

/// How a TPM signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TpmScheme {
    RsaSsa,
    RsaPss,
    Ecdsa,
}

/// A TPM's signature, an ECDSA one in DER. Unlike X.509, a TPM pairs any hash with any curve. A PSS salt must be as long as the hash.
pub(crate) fn verify_tpm(key: &PublicKey, scheme: TpmScheme, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
    match (key, scheme, hash) {
        (PublicKey::Rsa(key), TpmScheme::RsaSsa, hash) => verify_rsa(Padding::Pkcs1, hash, key, message, signature),
        (PublicKey::Rsa(key), TpmScheme::RsaPss, hash) => verify_rsa(Padding::Pss, hash, key, message, signature),
        (_, TpmScheme::Ecdsa, Hash::Sha512) => false,
        (PublicKey::P256(point), TpmScheme::Ecdsa, hash) => {
            library::verify_der(Curve::P256, hash, point, message, signature)
        }
        (PublicKey::P384(point), TpmScheme::Ecdsa, hash) => {
            library::verify_der(Curve::P384, hash, point, message, signature)
        }
        _ => false,
    }
}

/// ECDSA P-256 with SHA-256, signature as (r, s) (quotes, TCB info, QE identity).
pub(crate) fn verify_fixed(key: &Point, message: &[u8], signature: &[u8; 64]) -> bool {
    library::verify_fixed(Curve::P256, key, message, signature)
}

/// A P-256 key that verifies many (r, s) signatures: decoded and checked to be on the curve once.
pub(crate) struct FixedKey(library::Key);

impl FixedKey {
    pub(crate) fn new(key: &Point) -> Option<Self> {
        library::Key::new(Curve::P256, key).map(Self)
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_fixed(message, signature)
    }
}

impl fmt::Debug for FixedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FixedKey(P-256)")
    }
}

/// A P-384 key that verifies many (r, s) signatures with SHA-384, likewise.
pub(crate) struct FixedKey384(library::Key);

impl FixedKey384 {
    pub(crate) fn new(key: &[u8; 97]) -> Option<Self> {
        library::Key::new(Curve::P384, key).map(Self)
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 96]) -> bool {
        self.0.verify_fixed(message, signature)
    }
}

impl fmt::Debug for FixedKey384 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FixedKey384(P-384)")
    }
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
