//! Keys of AMD's kinds: RSA-4096 for its authorities, P-384 for what signs reports. Made at the start or when they are first needed, never
//! written anywhere.

use crate::Error;
use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PSS_SHA384, RsaKeyPair},
};

/// The key of a certificate authority. As with the site's other keys, the private part lives in AWS-LC's heap alone, which AWS-LC wipes when it
/// frees it.
pub(super) struct CaKey(RsaKeyPair);

impl CaKey {
    pub(super) fn generate() -> Result<Self, Error> {
        RsaKeyPair::generate(KeySize::Rsa4096).map(Self).map_err(|_| Error::Crypto("make an RSA key"))
    }

    /// SubjectPublicKeyInfo in DER.
    pub(super) fn key_info(&self) -> Result<Vec<u8>, Error> {
        key_info(self.0.public_key())
    }

    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(&RSA_PSS_SHA384, &SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| Error::Crypto("sign with an RSA key"))
    }
}

/// The key of a VCEK or VLEK, wiped as those of authorities are.
pub(super) struct VekKey(EcdsaKeyPair);

impl VekKey {
    pub(super) fn generate() -> Result<Self, Error> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING);
        pair.map(Self).map_err(|_| Error::Crypto("make a P-384 key"))
    }

    /// SubjectPublicKeyInfo in DER.
    pub(super) fn key_info(&self) -> Result<Vec<u8>, Error> {
        key_info(self.0.public_key())
    }

    /// ECDSA over the SHA-384 of `message`, as r then s, 48 bytes each, big-endian.
    pub(super) fn sign(&self, message: &[u8]) -> Result<[u8; 96], Error> {
        let signature =
            self.0.sign(&SystemRandom::new(), message).map_err(|_| Error::Crypto("sign with a P-384 key"))?;
        signature.as_ref().try_into().map_err(|_| Error::Crypto("write a signature in 96 bytes"))
    }
}

fn key_info(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Result<Vec<u8>, Error> {
    let info = key.as_der().map_err(|_| Error::Crypto("write a public key"))?;
    Ok(info.as_ref().to_vec())
}
