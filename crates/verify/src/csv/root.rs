//! The root of Hygon's PKI, and roots like it.

use crate::certificate::profile;
use crate::sm2::Key;
use crate::{Error, Part, SIMULATION};
use sealwright_wire::csv::{CaCertificate, Usage};

/// SubjectPublicKeyInfo of an SM2 key up to its point: id-ecPublicKey, sm2p256v1 (1.2.156.10197.1.301), a BIT STRING of 65 bytes. No X.509
/// certificate that is believed here has such a key, so that an anchor of this kind never stands above one.
#[rustfmt::skip]
const KEY_INFO: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d, 0x03, 0x42, 0x00, 0x04,
];

/// The built-in HRK, published as a certificate at <https://cert.hygon.cn/hrk> (SHA-256
/// 296efa97580464aca0ab5eefe42199ee05862182508d1629f29cf4dc175b10cd).
const HYGON_KEY_ID: [u8; 16] =
    [0x3a, 0xe8, 0x6a, 0x97, 0x01, 0x35, 0x5c, 0xce, 0x33, 0x3a, 0x58, 0x9d, 0xe2, 0x15, 0x83, 0xd7];
/// The point's x, big-endian.
#[rustfmt::skip]
const HYGON_X: [u8; 32] = [
    0xbe, 0x62, 0xe1, 0x4d, 0x62, 0xa4, 0xf1, 0x4c, 0xf3, 0xd7, 0x02, 0xdb, 0x09, 0x56, 0x3a, 0x75,
    0xc8, 0x09, 0x35, 0xe7, 0x85, 0xcd, 0x1f, 0x50, 0x2a, 0xf5, 0xf2, 0x1d, 0x92, 0xc2, 0xf6, 0x2d,
];
/// The point's y, big-endian.
#[rustfmt::skip]
const HYGON_Y: [u8; 32] = [
    0x3b, 0xab, 0x12, 0x3a, 0x57, 0xbb, 0x70, 0x15, 0x58, 0x4f, 0x8b, 0x97, 0x16, 0x4e, 0x95, 0x38,
    0x4a, 0x64, 0x0c, 0x10, 0xb9, 0xbe, 0x88, 0x47, 0x38, 0x74, 0x4d, 0x68, 0xb4, 0x1e, 0xb9, 0x46,
];
/// The id under which it signs.
const HYGON_USER_ID: &[u8] = b"HYGON-SSD-HRK";

/// A HRK: all that is needed of it to verify what it signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    key_id: [u8; 16],
    x: [u8; 32],
    y: [u8; 32],
    user_id: Vec<u8>,
}

impl Root {
    /// Hygon's own.
    pub(crate) fn hygon() -> Self {
        Self { key_id: HYGON_KEY_ID, x: HYGON_X, y: HYGON_Y, user_id: HYGON_USER_ID.to_vec() }
    }

    /// Reads a HRK's certificate, which its own key must have signed.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |source| Error::Malformed { part: Part::Hrk, source };
        let certificate = CaCertificate::parse(bytes).map_err(malformed)?;
        if certificate.usage() != Usage::HRK {
            return Err(profile(Part::Hrk, "key usage HRK", certificate.usage().to_string()));
        }
        if certificate.signer_id != certificate.key_id {
            let (expected, found) = (hex::encode(certificate.key_id), hex::encode(certificate.signer_id));
            return Err(Error::Issuer { part: Part::Hrk, expected, found });
        }
        let (x, y) = certificate.public_key.coordinates().unwrap_or_default();
        let root = Self { key_id: certificate.key_id, x, y, user_id: certificate.user_id().to_vec() };
        let key = root.key().ok_or_else(|| super::no_point(Part::Hrk, &certificate.public_key))?;
        super::check_signature(Part::Hrk, certificate.signed(), &certificate.signature, Part::Hrk, &key)?;
        Ok(root)
    }

    /// The key; `None` when it is no point of the curve.
    pub(crate) fn key(&self) -> Option<Key> {
        Key::new(&self.x, &self.y, &self.user_id)
    }

    /// The name by which an HSK refers to it.
    pub(crate) const fn key_id(&self) -> &[u8; 16] {
        &self.key_id
    }

    /// The key as SubjectPublicKeyInfo, by which anchors are told apart.
    pub(crate) fn key_info(&self) -> Vec<u8> {
        [KEY_INFO.as_slice(), &self.x, &self.y].concat()
    }

    /// Whether the id under which it signs is that of a simulated vendor. The id is part of every signature, so that it cannot be hidden.
    pub(crate) fn is_simulation(&self) -> bool {
        self.user_id.windows(SIMULATION.len()).any(|part| part == SIMULATION.as_bytes())
    }

    pub(crate) fn is_hygon(&self) -> bool {
        self.x == HYGON_X && self.y == HYGON_Y
    }
}
