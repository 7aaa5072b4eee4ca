//! SM2 keys (GB/T 32918), made when they are needed, never written anywhere.

use crate::{Error, ORGANISATION};
use aws_lc_rs::rand;
use sealwright_wire::csv::{PublicKey, Signature};
use sm2::SecretKey;
use sm2::dsa::{self, SigningKey, signature::Signer as _};
use sm2::elliptic_curve::point::AffineCoordinates;
use sm3::{Digest as _, Sm3};
use zeroize::Zeroizing;

/// How often a scalar is drawn. One draw in 2^32 is none.
const DRAWS: usize = 8;

/// An SM2 key pair that cannot be copied, printed or exported, with the id under which it signs. The scalar is wiped when the key is dropped. Each
/// signature makes a copy on the stack, because the library's signer, which wipes nothing, would keep one for the key's life.
pub(super) struct Key {
    secret: SecretKey,
    user_id: String,
}

impl Key {
    /// A key of the simulation's that signs as `role`.
    pub(super) fn generate(role: &str) -> Result<Self, Error> {
        let mut drawn = Zeroizing::new([0; 32]);
        for _ in 0..DRAWS {
            rand::fill(drawn.as_mut_slice()).map_err(|_| Error::Crypto("draw a key"))?;
            if let Ok(secret) = SecretKey::from_slice(drawn.as_slice()) {
                return Ok(Self { secret, user_id: format!("{ORGANISATION} {role}") });
            }
        }
        Err(Error::Crypto("make an SM2 key"))
    }

    /// The id under which it signs.
    pub(super) fn user_id(&self) -> &[u8] {
        self.user_id.as_bytes()
    }

    pub(super) fn public(&self) -> PublicKey {
        let key = self.secret.public_key();
        let point = key.as_affine();
        PublicKey::new(&point.x().into(), &point.y().into())
    }

    /// The signature over `message`, with its nonce by RFC 6979.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        let sign = || -> Result<dsa::Signature, dsa::signature::Error> {
            SigningKey::new(&self.user_id, &self.secret)?.try_sign(message)
        };
        let signature = sign().map_err(|_| Error::Crypto("sign with an SM2 key"))?;
        Ok(Signature::new(&signature.r_bytes().into(), &signature.s_bytes().into()))
    }
}

/// Random bytes that are no secret.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Error::Crypto("draw random bytes"))?;
    Ok(bytes)
}

/// SM3 over the parts in a row (GB/T 32905).
pub(super) fn sm3(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sm3::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}
