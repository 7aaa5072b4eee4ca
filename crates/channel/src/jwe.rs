//! Resources encrypted to the key that evidence binds: JWE as the key protocol uses it (RFC 7516, RFC 7518).
//!
//! To an elliptic-curve key: `ECDH-ES+A256KW` without `apu` and `apv` (RFC 7518, section 4.6), content `A256GCM`. To an RSA
//! key: `RSA-OAEP-256` (section 4.3). `RSA1_5` is refused: its padding can be used to decrypt by asking.

use crate::Secret;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    agreement::{self, ECDH_P256, ECDH_P521, ParsedPublicKey, PrivateKey, UnparsedPublicKey},
    digest,
    key_wrap::{AES_256, AesKek, KeyWrap},
    rand,
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents},
};
use sealwright_wire::{
    jws::{decode_base64url, encode_base64url},
    kbs::{
        A256GCM, ECDH_ES_A256KW, EphemeralKey, MAX_RESOURCE, ProtectedHeader, RSA_OAEP_256, Response, TeePubKey,
        point_from_jwk,
    },
};
use zeroize::Zeroizing;

const CEK_LEN: usize = 32;
const WRAPPED_CEK_LEN: usize = CEK_LEN + 8;
/// The largest RSA modulus that is accepted, in bytes: 8192 bits.
const MAX_MODULUS: usize = 1024;
/// The smallest RSA modulus that is accepted, in bits.
const MIN_MODULUS_BITS: usize = 2048;

/// Why a resource could not be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key or message is malformed.
    #[error(transparent)]
    Format(#[from] sealwright_wire::Error),
    /// The key or message asks for an algorithm that is not offered.
    #[error("algorithm: expected {expected}, found {found}")]
    Algorithm {
        /// What is offered.
        expected: &'static str,
        /// What was asked for.
        found: String,
    },
    /// The point is not on its curve.
    #[error("tee-pubkey: the point is not on the curve {curve}")]
    OffCurve {
        /// The curve.
        curve: String,
    },
    /// The RSA key is unusable.
    #[error("tee-pubkey: {0}")]
    RsaKey(&'static str),
    /// The resource is longer than a response carries.
    #[error("the resource has {found} bytes, a response carries {MAX_RESOURCE}")]
    TooLong {
        /// Bytes of the resource.
        found: usize,
    },
    /// The message was not made for this key, or was altered.
    #[error("the resource does not decrypt: it is for another key, or was altered")]
    Decrypt,
    /// The cryptographic library refused.
    #[error("{0}")]
    Crypto(&'static str),
}

/// The ephemeral key of a client in its TEE. The private half lives in the cryptographic library alone, which wipes it.
pub struct TeeKey {
    private: PrivateKey,
    public: TeePubKey,
}

impl TeeKey {
    /// A fresh key of P-256.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn generate() -> Result<Self, Error> {
        let private = PrivateKey::generate(&ECDH_P256).map_err(|_| Error::Crypto("no key of P-256 can be made"))?;
        Self::from_private(private)
    }

    fn from_private(private: PrivateKey) -> Result<Self, Error> {
        let public = TeePubKey::from_p256_point(&point_of(&private)?)?;
        Ok(Self { private, public })
    }

    /// The public half, as the protocol sends it.
    pub const fn public(&self) -> &TeePubKey {
        &self.public
    }
}

fn point_of(private: &PrivateKey) -> Result<[u8; 65], Error> {
    let public = private.compute_public_key().map_err(|_| Error::Crypto("a key has no public half"))?;
    public.as_ref().try_into().map_err(|_| Error::Crypto("a key of P-256 has another form"))
}

/// A client's public key, checked: on its curve, or an RSA key of acceptable size.
pub struct RecipientKey(Recipient);

enum Recipient {
    P256(ParsedPublicKey),
    P521(ParsedPublicKey),
    Rsa(OaepPublicEncryptingKey),
}

impl RecipientKey {
    /// Checks a client's key.
    ///
    /// # Errors
    /// When the key is malformed, off its curve, too small, or for an algorithm that is not offered.
    pub fn new(key: &TeePubKey) -> Result<Self, Error> {
        match key {
            TeePubKey::EC { crv, alg, x, y } => {
                expect(ECDH_ES_A256KW, alg)?;
                Self::on_curve(crv, &point_from_jwk(crv, x, y)?)
            }
            TeePubKey::RSA { alg, n, e } => {
                expect(RSA_OAEP_256, alg)?;
                rsa_key(n, e).map(|key| Self(Recipient::Rsa(key)))
            }
        }
    }

    fn on_curve(crv: &str, point: &[u8]) -> Result<Self, Error> {
        let off_curve = || Error::OffCurve { curve: crv.to_owned() };
        let (algorithm, recipient): (_, fn(ParsedPublicKey) -> Recipient) =
            if crv == "P-521" { (&ECDH_P521, Recipient::P521) } else { (&ECDH_P256, Recipient::P256) };
        let parsed = ParsedPublicKey::try_from(UnparsedPublicKey::new(algorithm, point)).map_err(|_| off_curve())?;
        Ok(Self(recipient(parsed)))
    }
}

fn rsa_key(n: &str, e: &str) -> Result<OaepPublicEncryptingKey, Error> {
    let components =
        PublicKeyComponents { n: decode_base64url("n", n, MAX_MODULUS)?, e: decode_base64url("e", e, MAX_MODULUS)? };
    let unusable = |_| Error::RsaKey("modulus and exponent are no RSA key");
    let key: PublicEncryptingKey = components.try_into().map_err(unusable)?;
    if key.key_size_bits() < MIN_MODULUS_BITS {
        return Err(Error::RsaKey("an RSA key needs at least 2048 bits"));
    }
    let key = OaepPublicEncryptingKey::new(key).map_err(unusable)?;
    // Exponents below 3 and even numbers are noticed by the library when it encrypts; whoever sends them shall hear of it before any
    // secret is looked up for them.
    encrypt_to_rsa(&key, &[0; CEK_LEN]).map(|_| key)
}

fn encrypt_to_rsa(key: &OaepPublicEncryptingKey, cek: &[u8; CEK_LEN]) -> Result<Vec<u8>, Error> {
    let mut wrapped = vec![0; key.ciphertext_size()];
    key.encrypt(&OAEP_SHA256_MGF1SHA256, cek, &mut wrapped, None)
        .map_err(|_| Error::RsaKey("modulus and exponent are no RSA key: nothing can be encrypted to it"))?;
    Ok(wrapped)
}

fn expect(expected: &'static str, found: &str) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Algorithm { expected, found: found.chars().take(40).collect() })
}

/// Encrypts a resource to a client's key.
///
/// # Errors
/// When the resource is too long, or the system has no random bytes.
pub fn encrypt(resource: &[u8], to: &RecipientKey) -> Result<Response, Error> {
    if resource.len() > MAX_RESOURCE {
        return Err(Error::TooLong { found: resource.len() });
    }
    let mut cek = Zeroizing::new([0; CEK_LEN]);
    rand::fill(cek.as_mut_slice()).map_err(|_| Error::Crypto("the system has no random bytes"))?;
    let mut iv = [0; NONCE_LEN];
    rand::fill(&mut iv).map_err(|_| Error::Crypto("the system has no random bytes"))?;
    let (header, encrypted_key) = wrap(&cek, to)?;
    let protected = header.encode()?;
    let mut ciphertext = resource.to_vec();
    let tag = content_key(&cek)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(protected.as_bytes()), &mut ciphertext)
        .map_err(|_| Error::Crypto("the cipher refused the resource"))?;
    Ok(Response { protected, encrypted_key, iv: iv.to_vec(), ciphertext, tag: tag.as_ref().to_vec() })
}

/// Encrypts the content key to the client's key.
fn wrap(cek: &[u8; CEK_LEN], to: &RecipientKey) -> Result<(ProtectedHeader, Vec<u8>), Error> {
    match &to.0 {
        Recipient::P256(key) => wrap_by_agreement(cek, &ECDH_P256, "P-256", key),
        Recipient::P521(key) => wrap_by_agreement(cek, &ECDH_P521, "P-521", key),
        Recipient::Rsa(key) => {
            let header = ProtectedHeader { alg: RSA_OAEP_256.to_owned(), enc: A256GCM.to_owned(), epk: None };
            Ok((header, encrypt_to_rsa(key, cek)?))
        }
    }
}

fn wrap_by_agreement(
    cek: &[u8; CEK_LEN],
    algorithm: &'static agreement::Algorithm,
    crv: &str,
    to: &ParsedPublicKey,
) -> Result<(ProtectedHeader, Vec<u8>), Error> {
    let ephemeral = PrivateKey::generate(algorithm).map_err(|_| Error::Crypto("no ephemeral key can be made"))?;
    let public = ephemeral.compute_public_key().map_err(|_| Error::Crypto("a key has no public half"))?;
    let (x, y) = public.as_ref()[1..].split_at(public.as_ref().len() / 2);
    let epk =
        EphemeralKey { crv: crv.to_owned(), kty: "EC".to_owned(), x: encode_base64url(x), y: encode_base64url(y) };
    let to = UnparsedPublicKey::new(algorithm, to.as_ref());
    let kek = agreement::agree(&ephemeral, to, Error::Crypto("the keys do not agree"), |shared| {
        Ok(concat_kdf(shared, ECDH_ES_A256KW, b"", b"", 256))
    })?;
    let mut wrapped = vec![0; WRAPPED_CEK_LEN];
    AesKek::new(&AES_256, kek.as_slice())
        .and_then(|kek| kek.wrap(cek, &mut wrapped).map(drop))
        .map_err(|_| Error::Crypto("the content key cannot be wrapped"))?;
    let header = ProtectedHeader { alg: ECDH_ES_A256KW.to_owned(), enc: A256GCM.to_owned(), epk: Some(epk) };
    Ok((header, wrapped))
}

/// Decrypts a resource that was encrypted to this key.
///
/// # Errors
/// When the message is malformed, uses another algorithm, or does not authenticate under this key.
pub fn decrypt(response: &Response, key: &TeeKey) -> Result<Secret, Error> {
    let header = response.header()?;
    expect(ECDH_ES_A256KW, &header.alg)?;
    expect(A256GCM, &header.enc)?;
    let cek = unwrap(&header, &response.encrypted_key, key)?;
    let nonce = Nonce::try_assume_unique_for_key(&response.iv).map_err(|_| Error::Decrypt)?;
    let mut resource = Zeroizing::new(vec![0; response.ciphertext.len()]);
    content_key(&cek)?
        .open_separate_gather(
            nonce,
            Aad::from(response.protected.as_bytes()),
            &response.ciphertext,
            &response.tag,
            &mut resource,
        )
        .map_err(|_| Error::Decrypt)?;
    Ok(resource.into())
}

fn unwrap(header: &ProtectedHeader, encrypted: &[u8], key: &TeeKey) -> Result<Zeroizing<[u8; CEK_LEN]>, Error> {
    let missing = || Error::Format(sealwright_wire::Error::unexpected("epk", 0, "the sender's key", "none"));
    let epk = header.epk.as_ref().ok_or_else(missing)?;
    expect("EC", &epk.kty)?;
    expect("P-256", &epk.crv)?;
    let point = UnparsedPublicKey::new(&ECDH_P256, point_from_jwk(&epk.crv, &epk.x, &epk.y)?);
    let off_curve = Error::OffCurve { curve: epk.crv.clone() };
    let kek = agreement::agree(&key.private, point, off_curve, |shared| {
        Ok(concat_kdf(shared, ECDH_ES_A256KW, b"", b"", 256))
    })?;
    if encrypted.len() != WRAPPED_CEK_LEN {
        return Err(Error::Decrypt);
    }
    let mut cek = Zeroizing::new([0; CEK_LEN]);
    AesKek::new(&AES_256, kek.as_slice())
        .and_then(|kek| kek.unwrap(encrypted, cek.as_mut_slice()).map(drop))
        .map_err(|_| Error::Decrypt)?;
    Ok(cek)
}

fn content_key(cek: &[u8; CEK_LEN]) -> Result<LessSafeKey, Error> {
    let key = UnboundKey::new(&AES_256_GCM, cek).map_err(|_| Error::Crypto("the content key cannot be used"))?;
    Ok(LessSafeKey::new(key))
}

/// Concat KDF with SHA-256, one round (RFC 7518, section 4.6.2). Shorter keys are the beginning of the result.
fn concat_kdf(shared: &[u8], algorithm: &str, apu: &[u8], apv: &[u8], key_bits: u32) -> Zeroizing<[u8; 32]> {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&1u32.to_be_bytes());
    hash.update(shared);
    for part in [algorithm.as_bytes(), apu, apv] {
        // All three are constants of this module or its tests.
        hash.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(&key_bits.to_be_bytes());
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(hash.finish().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::{
        encoding::AsDer,
        rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey},
    };

    fn private(d: &str) -> PrivateKey {
        PrivateKey::from_private_key(&ECDH_P256, &decode_base64url("d", d, 32).unwrap()).unwrap()
    }

    /// RFC 7518, appendix C.
    #[test]
    fn key_agreement_of_the_rfc() {
        let alice = private("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo");
        let bob = point_from_jwk(
            "P-256",
            "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
            "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
        );
        let bob = UnparsedPublicKey::new(&ECDH_P256, bob.unwrap());
        let derived =
            agreement::agree(&alice, bob, (), |shared| Ok(concat_kdf(shared, "A128GCM", b"Alice", b"Bob", 128)));
        assert_eq!(encode_base64url(&derived.unwrap()[..16]), "VqqN6vgjbSBcIijNcacQGg");
    }

    /// Made with jwcrypto 1.5 for this key: `ECDH-ES+A256KW`, `A256GCM`.
    const KNOWN_KEY: &str = "i2hUfufgBSnH_HJ_I2Ah4RxhOMEMj5MLgyLMEBd5lfE";
    const KNOWN: [&str; 5] = [
        "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJlcGsiOnsiY3J2IjoiUC0yNTYiLCJrdHkiOiJFQyIsIngiOiI2LS1tZU5N\
         bmdLSWNiYU9idU9OSXpydW1pNF9VRnV1TGVRWTI4eUhvb0NzIiwieSI6Inp4Q3ZJMmxiM3RVS1hrZVZhZmpVamxrOGVScktXQWszWWs1NklEM0cy\
         STAifX0",
        "5qRoEn-Bb7-B4DjxOO3a85Zj4wxRwFUFHfEZOgVjubjVcNrJGBrbhQ",
        "s8F2V4fTu4sEjBNk",
        "ChQg22dE5KC4LRHTAqgZjTnTGX0hCw",
        "WVLkotXuyW8ZT2pCU7zXcQ",
    ];

    fn known() -> (Response, TeeKey) {
        let [protected, encrypted_key, iv, ciphertext, tag] = KNOWN;
        let bytes = |text| decode_base64url("part", text, 4096).unwrap();
        let response = Response {
            protected: protected.to_owned(),
            encrypted_key: bytes(encrypted_key),
            iv: bytes(iv),
            ciphertext: bytes(ciphertext),
            tag: bytes(tag),
        };
        (response, TeeKey::from_private(private(KNOWN_KEY)).unwrap())
    }

    #[test]
    fn what_another_implementation_encrypted_is_decrypted() {
        let (response, key) = known();
        assert_eq!(decrypt(&response, &key).unwrap().expose(), b"a secret of the broker");
    }

    #[test]
    fn what_is_encrypted_is_decrypted_by_that_key_alone() {
        let key = TeeKey::generate().unwrap();
        for resource in [&b""[..], b"r", &[7; 5000]] {
            let response = encrypt(resource, &RecipientKey::new(key.public()).unwrap()).unwrap();
            assert_eq!(decrypt(&response, &key).unwrap().expose(), resource);
            let other = TeeKey::generate().unwrap();
            assert!(matches!(decrypt(&response, &other), Err(Error::Decrypt)));
        }
    }

    #[test]
    fn the_header_is_written_as_the_real_client_rewrites_it() {
        let key = TeeKey::generate().unwrap();
        let response = encrypt(b"r", &RecipientKey::new(key.public()).unwrap()).unwrap();
        let header = decode_base64url("protected", &response.protected, 4096).unwrap();
        let header = String::from_utf8(header).unwrap();
        let begin = r#"{"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{"crv":"P-256","kty":"EC","x":""#;
        assert!(header.starts_with(begin), "{header}");
        assert_eq!((response.encrypted_key.len(), response.iv.len(), response.tag.len()), (40, 12, 16));
    }

    #[test]
    fn any_flipped_byte_is_refused() {
        let (good, key) = known();
        let flip = |bytes: &mut [u8], at: usize| bytes[at] ^= 1;
        for at in 0..good.encrypted_key.len() {
            let mut response = good.clone();
            flip(&mut response.encrypted_key, at);
            assert!(decrypt(&response, &key).is_err(), "encrypted key, byte {at}");
        }
        for at in 0..12 {
            let mut response = good.clone();
            flip(&mut response.iv, at);
            assert!(decrypt(&response, &key).is_err(), "iv, byte {at}");
        }
        for at in 0..good.ciphertext.len() {
            let mut response = good.clone();
            flip(&mut response.ciphertext, at);
            assert!(decrypt(&response, &key).is_err(), "ciphertext, byte {at}");
        }
        for at in 0..16 {
            let mut response = good.clone();
            flip(&mut response.tag, at);
            assert!(decrypt(&response, &key).is_err(), "tag, byte {at}");
        }
        for at in 0..good.protected.len() {
            let mut protected = good.protected.clone().into_bytes();
            flip(&mut protected, at);
            let response = Response { protected: String::from_utf8(protected).unwrap(), ..good.clone() };
            assert!(decrypt(&response, &key).is_err(), "protected, byte {at}");
        }
    }

    #[test]
    fn shortened_parts_are_refused() {
        let (good, key) = known();
        for response in [
            Response { encrypted_key: good.encrypted_key[..32].to_vec(), ..good.clone() },
            Response { encrypted_key: Vec::new(), ..good.clone() },
            Response { iv: good.iv[..11].to_vec(), ..good.clone() },
            Response { iv: [&good.iv[..], &[0]].concat(), ..good.clone() },
            Response { tag: good.tag[..12].to_vec(), ..good.clone() },
            Response { tag: Vec::new(), ..good.clone() },
            Response { ciphertext: Vec::new(), ..good.clone() },
        ] {
            assert!(decrypt(&response, &key).is_err());
        }
    }

    #[test]
    fn other_algorithms_are_refused() {
        let TeePubKey::EC { crv, x, y, .. } = TeeKey::generate().unwrap().public().clone() else { panic!("an EC key") };
        for alg in ["ECDH-ES", "ECDH-ES+A128KW", "dir", ""] {
            let key = TeePubKey::EC { crv: crv.clone(), alg: alg.to_owned(), x: x.clone(), y: y.clone() };
            assert!(matches!(RecipientKey::new(&key), Err(Error::Algorithm { .. })), "{alg}");
        }
        let key = TeePubKey::RSA { alg: "RSA1_5".to_owned(), n: "AQAB".to_owned(), e: "AQAB".to_owned() };
        assert!(matches!(RecipientKey::new(&key), Err(Error::Algorithm { .. })));
        let (good, key) = known();
        for (alg, enc) in [("ECDH-ES+A256KW", "A128GCM"), ("RSA-OAEP-256", "A256GCM"), ("dir", "A256GCM")] {
            let header = ProtectedHeader { alg: alg.to_owned(), enc: enc.to_owned(), epk: None };
            let response = Response { protected: header.encode().unwrap(), ..good.clone() };
            assert!(matches!(decrypt(&response, &key), Err(Error::Algorithm { .. })), "{alg} {enc}");
        }
    }

    #[test]
    fn points_off_the_curve_are_refused() {
        let TeePubKey::EC { crv, alg, x, .. } = TeeKey::generate().unwrap().public().clone() else {
            panic!("an EC key")
        };
        for y in [[0; 32], [1; 32], [0xff; 32]] {
            let key = TeePubKey::EC { crv: crv.clone(), alg: alg.clone(), x: x.clone(), y: encode_base64url(&y) };
            assert!(matches!(RecipientKey::new(&key), Err(Error::OffCurve { .. })));
        }
        let zero = encode_base64url(&[0; 32]);
        let key = TeePubKey::EC { crv, alg, x: zero.clone(), y: zero };
        assert!(
            matches!(RecipientKey::new(&key), Err(Error::OffCurve { .. })),
            "the point at infinity has no such form"
        );
    }

    #[test]
    fn p521_keys_get_a_p521_ephemeral_key() {
        let client = PrivateKey::generate(&ECDH_P521).unwrap();
        let public = client.compute_public_key().unwrap();
        let (x, y) = public.as_ref()[1..].split_at(66);
        let (x, y) = (encode_base64url(x), encode_base64url(y));
        let key = TeePubKey::EC { crv: "P-521".to_owned(), alg: ECDH_ES_A256KW.to_owned(), x, y };
        let response = encrypt(b"resource", &RecipientKey::new(&key).unwrap()).unwrap();
        let epk = response.header().unwrap().epk.unwrap();
        let point = point_from_jwk(&epk.crv, &epk.x, &epk.y).unwrap();
        let kek = agreement::agree(&client, UnparsedPublicKey::new(&ECDH_P521, point), (), |shared| {
            Ok(concat_kdf(shared, ECDH_ES_A256KW, b"", b"", 256))
        });
        let mut cek = [0; 32];
        AesKek::new(&AES_256, kek.unwrap().as_slice()).unwrap().unwrap(&response.encrypted_key, &mut cek).unwrap();
        assert_eq!(open(&response, &cek), b"resource");
    }

    #[test]
    fn rsa_keys_get_oaep() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let der = private.public_key().as_der().unwrap();
        let der: &[u8] = der.as_ref();
        // A SubjectPublicKeyInfo of RSA-2048 with exponent 65537 ends in modulus (256 bytes), 02 03 01 00 01.
        let n = &der[der.len() - 261..der.len() - 5];
        let key = TeePubKey::RSA { alg: RSA_OAEP_256.to_owned(), n: encode_base64url(n), e: "AQAB".to_owned() };
        let response = encrypt(b"resource", &RecipientKey::new(&key).unwrap()).unwrap();
        assert_eq!(response.header().unwrap().epk, None);
        let private = OaepPrivateDecryptingKey::new(private).unwrap();
        let mut cek = vec![0; private.min_output_size()];
        let cek = private.decrypt(&OAEP_SHA256_MGF1SHA256, &response.encrypted_key, &mut cek, None).unwrap();
        assert_eq!(open(&response, &(*cek).try_into().unwrap()), b"resource");
        for n in [&n[..128], &[], &[0xff; 1025]] {
            let key = TeePubKey::RSA { alg: RSA_OAEP_256.to_owned(), n: encode_base64url(n), e: "AQAB".to_owned() };
            assert!(RecipientKey::new(&key).is_err(), "{} bytes", n.len());
        }
        let even = [&n[..255], &[n[255] & 0xfe]].concat();
        for (n, e) in
            [(n, &[1][..]), (n, &[2]), (n, &[]), (n, &[0]), (n, &[1, 0, 0]), (n, &[1; 9]), (&even, &[1, 0, 1])]
        {
            let key = TeePubKey::RSA { alg: RSA_OAEP_256.to_owned(), n: encode_base64url(n), e: encode_base64url(e) };
            assert!(matches!(RecipientKey::new(&key), Err(Error::RsaKey(_))), "exponent {e:?}");
        }
    }

    fn open(response: &Response, cek: &[u8; 32]) -> Vec<u8> {
        let nonce = Nonce::try_assume_unique_for_key(&response.iv).unwrap();
        let mut out = vec![0; response.ciphertext.len()];
        let aad = Aad::from(response.protected.as_bytes());
        let key = content_key(cek).unwrap();
        key.open_separate_gather(nonce, aad, &response.ciphertext, &response.tag, &mut out).unwrap();
        out
    }

    #[test]
    fn a_resource_over_the_limit_is_refused() {
        let key = RecipientKey::new(TeeKey::generate().unwrap().public()).unwrap();
        assert!(matches!(encrypt(&vec![0; MAX_RESOURCE + 1], &key), Err(Error::TooLong { .. })));
    }
}
