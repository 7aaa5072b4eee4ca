//! Signing keys of TPMs and of their manufacturer.

use super::hash::Hash;
use crate::Error;
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
    },
};
use rcgen::SignatureAlgorithm;
use sealwright_wire::tpm::{self as wire, Curve, Signature, alg, tools};

/// The bits of an RSA key.
const RSA_BITS: u16 = 2048;
/// Where the modulus lies in an RSAPublicKey of [`RSA_BITS`] bits in DER: behind two tags with lengths and the sign's zero.
const MODULUS: std::ops::Range<usize> = 9..265;

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with 2048 bits.
    Rsa,
    /// ECC on P-256.
    P256,
    /// ECC on P-384.
    P384,
}

/// How an attestation key signs: the scheme of its public area with its hash, and the kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSsa,
    /// RSASSA-PSS with SHA-256 and a salt as long.
    RsaPss,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RsaSsa, Self::RsaPss, Self::EcdsaP256, Self::EcdsaP384];

    /// The kind of key that signs so.
    pub const fn kind(self) -> KeyKind {
        match self {
            Self::RsaSsa | Self::RsaPss => KeyKind::Rsa,
            Self::EcdsaP256 => KeyKind::P256,
            Self::EcdsaP384 => KeyKind::P384,
        }
    }

    pub(super) const fn hash(self) -> Hash {
        match self {
            Self::RsaSsa | Self::RsaPss | Self::EcdsaP256 => Hash::SHA256,
            Self::EcdsaP384 => Hash::SHA384,
        }
    }

    /// As the key's public area states it.
    pub(super) const fn stated(self) -> wire::Scheme {
        let algorithm = match self {
            Self::RsaSsa => alg::RSASSA,
            Self::RsaPss => alg::RSAPSS,
            Self::EcdsaP256 | Self::EcdsaP384 => alg::ECDSA,
        };
        wire::Scheme { algorithm, hash: Some(self.hash().id()), count: None }
    }

    /// How the message is padded by an RSA key; a key on a curve does not ask.
    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::RsaPss => &RSA_PSS_SHA256,
            Self::RsaSsa | Self::EcdsaP256 | Self::EcdsaP384 => &RSA_PKCS1_SHA256,
        }
    }

    /// `TPMT_SIGNATURE` of `key` over `message`.
    pub(super) fn sign(self, key: &Key, message: &[u8]) -> Result<Vec<u8>, Error> {
        let hash = self.hash().id();
        let signature = key.sign(self.encoding(), message)?;
        let encoded = match self {
            Self::RsaSsa => Signature::RsaSsa { hash, signature: &signature }.encode(),
            Self::RsaPss => Signature::RsaPss { hash, signature: &signature }.encode(),
            Self::EcdsaP256 | Self::EcdsaP384 => {
                tools::plain_ecdsa(&signature).and_then(|(r, s)| Signature::Ecdsa { hash, r: &r, s: &s }.encode())
            }
        };
        encoded.map_err(Error::tpm("TPMT_SIGNATURE"))
    }
}

/// A key pair that cannot be copied, printed or exported. The private part lives in AWS-LC's heap alone, see [`crate::key::Key`].
pub(super) enum Key {
    Rsa(Box<RsaKeyPair>),
    Ecc(EcdsaKeyPair, Curve),
}

impl Key {
    pub(super) fn generate(kind: KeyKind) -> Result<Self, Error> {
        let ecc = |algorithm: &'static EcdsaSigningAlgorithm, curve| {
            EcdsaKeyPair::generate(algorithm).map(|pair| Self::Ecc(pair, curve))
        };
        let key = match kind {
            KeyKind::Rsa => RsaKeyPair::generate(KeySize::Rsa2048).map(|pair| Self::Rsa(Box::new(pair))),
            KeyKind::P256 => ecc(&ECDSA_P256_SHA256_ASN1_SIGNING, Curve::NIST_P256),
            KeyKind::P384 => ecc(&ECDSA_P384_SHA384_ASN1_SIGNING, Curve::NIST_P384),
        };
        key.map_err(|_| Error::Crypto("make a key"))
    }

    /// Signs by RSA with this encoding, or by ECDSA with the hash of the curve's size; the latter's two numbers are in DER.
    fn sign(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Crypto("sign with a TPM's key");
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Self::Ecc(pair, _) => Ok(pair.sign(&SystemRandom::new(), message).map_err(failed)?.as_ref().to_vec()),
        }
    }

    /// The key as a public area has it.
    pub(super) fn public(&self) -> Result<wire::Key<'_>, Error> {
        match self {
            Self::Rsa(pair) => {
                let modulus = pair.public_key().as_ref().get(MODULUS);
                let modulus = modulus.ok_or(Error::Crypto("make an RSA key of 2048 bits"))?;
                Ok(wire::Key::Rsa { bits: RSA_BITS, exponent: 0, modulus })
            }
            Self::Ecc(pair, curve) => {
                // The library gives the uncompressed SEC1 form: 04, x, y.
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                Ok(wire::Key::Ecc { curve: *curve, kdf: None, x, y })
            }
        }
    }
}

impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ecc(pair, _) => pair.public_key().as_ref(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
            Self::Ecc(_, Curve::NIST_P384) => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Ecc(..) => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Self::sign(self, &RSA_PKCS1_SHA256, message).map_err(|_| rcgen::Error::RingUnspecified)
    }
}
