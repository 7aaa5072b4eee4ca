//! ECDSA P-256 keys: the private ones that sign tokens and receipts (ES256, RFC 7518, section 3.4), and the public ones that
//! check them.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
    },
};
use der::pem;
use sealwright_verify::{P256_KEY_INFO, hash::sha256};
use sealwright_wire::jws::{decode_base64url, encode_base64url};
use serde_json::{Map, Value};
use std::fmt;
use zeroize::Zeroizing;

/// The algorithm's name in JOSE headers.
pub const ES256: &str = "ES256";

const PRIVATE_LABEL: &str = "PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";
/// The longest key file that is read, in bytes.
const MAX_PEM: usize = 4096;
/// Why bytes are no key. It never says anything about the key itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes are not in the format.
    #[error("expected {expected}")]
    Format {
        /// What the format is.
        expected: &'static str,
    },
    /// The point of a public key is not on the curve.
    #[error("the public key is no point of the curve P-256")]
    Point,
    /// The cryptographic library failed to make a key or a signature.
    #[error("the cryptographic library failed to {0}")]
    Library(&'static str),
}

/// A private key for ES256. It is wiped from memory when dropped, and has no `Debug`.
#[derive(Clone)]
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public: VerifyingKey,
}

impl SigningKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// When there is none.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Self::of_pair(pair.map_err(|_| KeyError::Library("generate a key"))?)
    }

    /// The key in a PKCS#8 document (RFC 5208), unencrypted, in DER.
    ///
    /// # Errors
    /// When it is no such document or no P-256 key.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        Self::of_pair(
            pair.map_err(|_| KeyError::Format { expected: "an unencrypted PKCS#8 document with a P-256 key" })?,
        )
    }

    /// The key in a PKCS#8 document in PEM (`BEGIN PRIVATE KEY`).
    ///
    /// # Errors
    /// When it is no such document or no P-256 key.
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, KeyError> {
        let der = Zeroizing::new(from_pem(text, PRIVATE_LABEL, "PEM with the label PRIVATE KEY")?);
        Self::from_pkcs8_der(&der)
    }

    /// The key as a PKCS#8 document in DER.
    ///
    /// # Errors
    /// When the library cannot write it.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = self.pair.to_pkcs8v1().map_err(|_| KeyError::Library("write the key"))?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The key as a PKCS#8 document in PEM.
    ///
    /// # Errors
    /// When the library cannot write it.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        Ok(Zeroizing::new(to_pem(PRIVATE_LABEL, &self.to_pkcs8_der()?)?))
    }

    /// The public half.
    pub const fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// The signature of a message: R and S, 32 bytes each, big-endian.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeyError> {
        let failed = KeyError::Library("sign");
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| failed.clone())?;
        signature.as_ref().try_into().map_err(|_| failed)
    }

    fn of_pair(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let public = VerifyingKey::from_sec1(pair.public_key().as_ref())?;
        Ok(Self { pair, public })
    }
}

/// A public key for ES256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey {
    /// Uncompressed: 04, X, Y.
    point: [u8; 65],
}

impl VerifyingKey {
    /// The key with this point in SEC 1's uncompressed form: 04, X, Y.
    ///
    /// # Errors
    /// When it has another form, or the point is not on the curve.
    pub fn from_sec1(point: &[u8]) -> Result<Self, KeyError> {
        let expected = "65 bytes that begin with 04 (SEC 1, uncompressed)";
        let point: [u8; 65] = point.try_into().map_err(|_| KeyError::Format { expected })?;
        if point.first() != Some(&4) {
            return Err(KeyError::Format { expected });
        }
        aws_lc_rs::signature::ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeyError::Point)?;
        Ok(Self { point })
    }

    /// The key in a SubjectPublicKeyInfo (RFC 5480) in DER.
    ///
    /// # Errors
    /// When it is not that of a P-256 key with an uncompressed point on the curve.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let expected = "SubjectPublicKeyInfo of a P-256 key";
        Self::from_sec1(der.strip_prefix(&P256_KEY_INFO).ok_or(KeyError::Format { expected })?)
    }

    /// The key in a SubjectPublicKeyInfo in PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// As [`VerifyingKey::from_spki_der`].
    pub fn from_spki_pem(text: &str) -> Result<Self, KeyError> {
        Self::from_spki_der(&from_pem(text, PUBLIC_LABEL, "PEM with the label PUBLIC KEY")?)
    }

    /// The key in a JWK (RFC 7517) with `kty` EC and `crv` P-256.
    ///
    /// # Errors
    /// When it is another kind of key, a coordinate has not 32 bytes, or the point is not on the curve.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, KeyError> {
        let expected = "a JWK with kty EC, crv P-256 and 32 bytes each of x and y";
        let wrong = || KeyError::Format { expected };
        let text = |name| jwk.get(name).and_then(Value::as_str).ok_or_else(wrong);
        if text("kty")? != "EC" || text("crv")? != "P-256" || jwk.contains_key("d") {
            return Err(wrong());
        }
        let mut point = vec![4];
        for name in ["x", "y"] {
            let coordinate = decode_base64url("JWK", text(name)?, 32).map_err(|_| wrong())?;
            if coordinate.len() != 32 {
                return Err(wrong());
            }
            point.extend(coordinate);
        }
        Self::from_sec1(&point)
    }

    /// The point in SEC 1's uncompressed form.
    pub const fn sec1(&self) -> &[u8; 65] {
        &self.point
    }

    /// The key as SubjectPublicKeyInfo in DER.
    pub fn to_spki_der(&self) -> Vec<u8> {
        [&P256_KEY_INFO[..], &self.point[..]].concat()
    }

    /// The key as SubjectPublicKeyInfo in PEM.
    ///
    /// # Errors
    /// Never for a key; the encoder's signature has it.
    pub fn to_spki_pem(&self) -> Result<String, KeyError> {
        to_pem(PUBLIC_LABEL, &self.to_spki_der())
    }

    /// The key as a JWK: `alg`, `crv`, `kid`, `kty`, `use`, `x`, `y`.
    pub fn to_jwk(&self) -> Map<String, Value> {
        let [x, y] = self.coordinates();
        [
            ("kty", "EC"),
            ("crv", "P-256"),
            ("alg", ES256),
            ("use", "sig"),
            ("x", &x),
            ("y", &y),
            ("kid", &self.thumbprint()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
    }

    /// The JWK's thumbprint (RFC 7638, SHA-256), base64url: the name by which tokens call the key.
    pub fn thumbprint(&self) -> String {
        let [x, y] = self.coordinates();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        encode_base64url(&sha256(&[canonical.as_bytes()]).0)
    }

    /// Whether `signature` (R and S) is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.point).verify(message, signature).is_ok()
    }

    fn coordinates(&self) -> [String; 2] {
        let (x, y) = self.point.split_at(33);
        [x.get(1..).unwrap_or_default(), y].map(encode_base64url)
    }
}

/// By thumbprint: that is how tokens and configuration name it.
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKey").field(&self.thumbprint()).finish()
    }
}

fn from_pem(text: &str, label: &str, expected: &'static str) -> Result<Vec<u8>, KeyError> {
    let wrong = |_| KeyError::Format { expected };
    if text.len() > MAX_PEM {
        return Err(KeyError::Format { expected });
    }
    match pem::decode_vec(text.as_bytes()).map_err(wrong)? {
        (found, der) if found == label => Ok(der),
        (_, der) => {
            drop(Zeroizing::new(der));
            Err(KeyError::Format { expected })
        }
    }
}

fn to_pem(label: &'static str, der: &[u8]) -> Result<String, KeyError> {
    pem::encode_string(label, pem::LineEnding::LF, der).map_err(|_| KeyError::Library("write PEM"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515, appendix A.3.1.
    const RFC7515_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    const RFC7515_TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    fn jwk(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn verifies_the_example_of_rfc_7515() {
        let key = VerifyingKey::from_jwk(&jwk(RFC7515_KEY)).unwrap();
        let token = sealwright_wire::jws::Compact::parse(RFC7515_TOKEN).unwrap();
        assert!(key.verifies(token.signing_input(), token.signature()));
        let mut signature = token.signature().to_vec();
        for at in 0..signature.len() {
            signature[at] ^= 1;
            assert!(!key.verifies(token.signing_input(), &signature), "byte {at}");
            signature[at] ^= 1;
        }
        assert!(!key.verifies(token.signing_input(), &signature[..63]));
    }

    #[test]
    fn a_key_survives_every_form() {
        let key = SigningKey::generate().unwrap();
        let signature = key.sign(b"message").unwrap();
        let [der, pem] = [
            SigningKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()),
            SigningKey::from_pkcs8_pem(&key.to_pkcs8_pem().unwrap()),
        ];
        for again in [der.unwrap(), pem.unwrap()] {
            assert_eq!(again.public(), key.public());
        }
        let public = key.public();
        for again in [
            VerifyingKey::from_sec1(public.sec1()),
            VerifyingKey::from_spki_der(&public.to_spki_der()),
            VerifyingKey::from_spki_pem(&public.to_spki_pem().unwrap()),
            VerifyingKey::from_jwk(&public.to_jwk()),
        ] {
            assert!(again.unwrap().verifies(b"message", &signature));
        }
        assert_eq!(format!("{public:?}"), format!("VerifyingKey({:?})", public.thumbprint()));
    }

    #[test]
    fn refuses_what_is_no_p256_key() {
        let good = *SigningKey::generate().unwrap().public().sec1();
        let mut off_curve = good;
        off_curve[64] ^= 1;
        assert_eq!(VerifyingKey::from_sec1(&off_curve), Err(KeyError::Point));
        for wrong in [&good[..64], &good[1..], &[&[2][..], &good[1..]].concat(), &[]] {
            assert!(matches!(VerifyingKey::from_sec1(wrong), Err(KeyError::Format { .. })));
        }
        for wrong in [
            RFC7515_KEY.replace("P-256", "P-384"),
            RFC7515_KEY.replace("EC", "RSA"),
            RFC7515_KEY.replace("\"f83", "\""),
            RFC7515_KEY.replace("f83O", "f83P"),
            RFC7515_KEY.replace("\"kty\"", "\"d\":\"AA\",\"kty\""),
            "{}".to_owned(),
        ] {
            assert!(VerifyingKey::from_jwk(&jwk(&wrong)).is_err(), "{wrong}");
        }
        assert!(SigningKey::from_pkcs8_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_err());
        assert!(SigningKey::from_pkcs8_der(&[]).is_err());
        assert!(SigningKey::from_pkcs8_pem(&"A".repeat(MAX_PEM + 1)).is_err());
        let public = SigningKey::generate().unwrap().public().to_spki_pem().unwrap();
        assert!(SigningKey::from_pkcs8_pem(&public).is_err(), "the label is part of the format");
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        // Computed with python: base64url(sha256 of the canonical JWK).
        let key = VerifyingKey::from_jwk(&jwk(RFC7515_KEY)).unwrap();
        assert_eq!(key.thumbprint(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
    }
}
