//! Which algorithm identifiers and keys are taken, each with one thing wrong; and that a key verifies its own algorithms alone.

use super::*;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use der::Encode;

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const NULL: &[u8] = &[0x05, 0x00];

fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let mut bytes = vec![tag];
    match u8::try_from(contents.len()).unwrap() {
        short @ 0..=0x7f => bytes.push(short),
        long => bytes.extend([0x81, long]),
    }
    bytes.extend(contents);
    bytes
}

fn sequence(contents: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, contents)
}

/// An AlgorithmIdentifier; without parameters where these are empty.
fn identifier(oid: ObjectIdentifier, parameters: &[u8]) -> Vec<u8> {
    sequence(&[&oid.to_der().unwrap(), parameters])
}

/// RSASSA-PSS-params, each field as it stands behind its number.
#[derive(Clone)]
struct Pss {
    hash: Option<Vec<u8>>,
    mask: Option<Vec<u8>>,
    salt: Option<Vec<u8>>,
    trailer: Option<Vec<u8>>,
    behind: Vec<u8>,
}

impl Pss {
    fn of(hash: ObjectIdentifier, size: u8) -> Self {
        let hash = identifier(hash, NULL);
        Self {
            mask: Some(identifier(MGF1, &hash)),
            hash: Some(hash),
            salt: Some(vec![0x02, 0x01, size]),
            trailer: None,
            behind: Vec::new(),
        }
    }

    fn sha384() -> Self {
        Self::of(SHA384, 48)
    }

    fn contents(&self) -> Vec<u8> {
        let fields = [&self.hash, &self.mask, &self.salt, &self.trailer];
        let field = |(tag, field): (u8, &Option<Vec<u8>>)| field.as_ref().map(|field| tlv(tag, &[field]));
        let mut contents: Vec<u8> = (0xa0..).zip(fields).filter_map(field).flatten().collect();
        contents.extend(&self.behind);
        contents
    }

    fn read(&self) -> Option<Algorithm> {
        Algorithm::from_der(&identifier(RSASSA_PSS, &sequence(&[&self.contents()])))
    }
}

#[test]
fn pss_is_read_with_each_hash_and_with_its_trailer_field_or_without() {
    for (oid, size, hash) in [(SHA256, 32, Hash::Sha256), (SHA384, 48, Hash::Sha384), (SHA512, 64, Hash::Sha512)] {
        let expected = Some(Algorithm::RsaPss(hash));
        let plain = Pss::of(oid, size);
        assert_eq!(plain.read(), expected);
        assert_eq!(Pss { trailer: Some(vec![0x02, 0x01, 0x01]), ..plain.clone() }.read(), expected);
        // Parameters of a hash that are absent mean the same as NULL.
        let bare = identifier(oid, &[]);
        assert_eq!(Pss { hash: Some(bare.clone()), ..plain.clone() }.read(), expected);
        assert_eq!(Pss { mask: Some(identifier(MGF1, &bare)), ..plain }.read(), expected);
    }
}

#[test]
fn pss_parameters_that_are_wrong_in_any_way_are_refused() {
    let right = Pss::sha384();
    assert!(right.read().is_some());
    let refused = |what: &str, change: &dyn Fn(&mut Pss)| {
        let mut pss = right.clone();
        change(&mut pss);
        assert_eq!(pss.read(), None, "{what}");
    };
    let hash = |oid| identifier(oid, NULL);
    // What is left out is SHA-1, MGF1 with SHA-1, 20 bytes.
    refused("no hash", &|pss| pss.hash = None);
    refused("no mask", &|pss| pss.mask = None);
    refused("no salt", &|pss| pss.salt = None);
    refused("nothing", &|pss| (pss.hash, pss.mask, pss.salt) = (None, None, None));
    refused("SHA-1", &|pss| pss.hash = Some(hash(SHA1)));
    refused("a hash with parameters", &|pss| pss.hash = Some(identifier(SHA384, &[0x02, 0x01, 0x00])));
    refused("a hash that is none", &|pss| pss.hash = Some(NULL.to_vec()));
    refused("another hash than the mask's", &|pss| pss.hash = Some(hash(SHA512)));
    refused("another hash than the mask's and the salt's", &|pss| pss.hash = Some(hash(SHA256)));
    refused("a mask of another hash", &|pss| pss.mask = Some(identifier(MGF1, &hash(SHA256))));
    refused("a mask of SHA-1", &|pss| pss.mask = Some(identifier(MGF1, &hash(SHA1))));
    refused("a mask of no hash", &|pss| pss.mask = Some(identifier(MGF1, &[])));
    refused("a mask of NULL", &|pss| pss.mask = Some(identifier(MGF1, NULL)));
    refused("a mask of a hash with parameters", &|pss| {
        pss.mask = Some(identifier(MGF1, &identifier(SHA384, &[0x04, 0x00])));
    });
    refused("another mask than MGF1", &|pss| pss.mask = Some(identifier(RSASSA_PSS, &hash(SHA384))));
    for salt in [0, 20, 32, 47, 49, 64] {
        refused("a salt of another length", &|pss| pss.salt = Some(vec![0x02, 0x01, salt]));
    }
    refused("a salt of 304 bytes", &|pss| pss.salt = Some(vec![0x02, 0x02, 0x01, 0x30]));
    refused("a negative salt", &|pss| pss.salt = Some(vec![0x02, 0x01, 0xd0]));
    refused("a salt with a zero before it", &|pss| pss.salt = Some(vec![0x02, 0x02, 0x00, 0x30]));
    refused("a salt of another type", &|pss| pss.salt = Some(vec![0x04, 0x01, 0x30]));
    for trailer in [0x00, 0x02, 0xbc] {
        refused("another trailer", &|pss| pss.trailer = Some(vec![0x02, 0x01, trailer]));
    }
    refused("a trailer of another type", &|pss| pss.trailer = Some(NULL.to_vec()));
    refused("an empty trailer", &|pss| pss.trailer = Some(Vec::new()));
    refused("two values in one field", &|pss| pss.salt = Some(vec![0x02, 0x01, 0x30, 0x02, 0x01, 0x30]));
    refused("a fifth field", &|pss| pss.behind = tlv(0xa4, &[NULL]));
    refused("a field twice", &|pss| pss.behind = tlv(0xa2, &[&[0x02, 0x01, 0x30]]));
    refused("a byte behind", &|pss| pss.behind = vec![0]);
}

#[test]
fn pss_parameters_of_another_shape_are_refused() {
    let Pss { hash, mask, salt, .. } = Pss::sha384();
    let [hash, mask, salt] = [hash, mask, salt].map(Option::unwrap);
    let read = |parameters: &[u8]| Algorithm::from_der(&identifier(RSASSA_PSS, parameters));
    let fields = [tlv(0xa0, &[&hash]), tlv(0xa1, &[&mask]), tlv(0xa2, &[&salt])];
    assert!(read(&sequence(&[&fields.concat()])).is_some());
    assert_eq!(read(&[]), None, "no parameters");
    assert_eq!(read(NULL), None, "NULL");
    assert_eq!(read(&tlv(0x31, &[&fields.concat()])), None, "a SET");
    assert_eq!(read(&tlv(0x04, &[&fields.concat()])), None, "an OCTET STRING");
    let [first, second, third] = &fields;
    assert_eq!(read(&sequence(&[second, first, third])), None, "another order");
    assert_eq!(read(&sequence(&[&hash, &mask, &salt])), None, "no numbers");
    assert_eq!(read(&sequence(&[first, second, &tlv(0x82, &[&[0x30]])])), None, "an implicit number");
    let whole = identifier(RSASSA_PSS, &sequence(&[&fields.concat()]));
    for len in 0..whole.len() {
        assert_eq!(Algorithm::from_der(&whole[..len]), None, "cut at {len}");
    }
    for at in 0..whole.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= mask;
            // The hash is named twice and its size once, so that no one byte makes it another.
            assert_eq!(Algorithm::from_der(&changed), None, "byte {at}, mask {mask:#04x}");
        }
    }
    assert_eq!(Algorithm::from_der(&[whole.as_slice(), &[0]].concat()), None, "a byte behind");
}

#[test]
fn other_algorithms_are_read_with_the_parameters_that_they_must_have() {
    for (oid, algorithm, right, wrong) in [
        (ECDSA_SHA256, Algorithm::EcdsaSha256, &[][..], NULL),
        (ECDSA_SHA384, Algorithm::EcdsaSha384, &[], NULL),
        (RSA_SHA256, Algorithm::RsaPkcs1(Hash::Sha256), NULL, &[]),
        (RSA_SHA384, Algorithm::RsaPkcs1(Hash::Sha384), NULL, &[]),
        (RSA_SHA512, Algorithm::RsaPkcs1(Hash::Sha512), NULL, &[]),
    ] {
        assert_eq!(Algorithm::from_der(&identifier(oid, right)), Some(algorithm));
        assert_eq!(Algorithm::from_der(&identifier(oid, wrong)), None);
        assert_eq!(Algorithm::from_der(&identifier(oid, &sequence(&[]))), None);
    }
    // sha1WithRSAEncryption, ecdsa-with-SHA512, rsaEncryption.
    for other in ["1.2.840.113549.1.1.5", "1.2.840.10045.4.3.4", "1.2.840.113549.1.1.1"] {
        for parameters in [&[][..], NULL] {
            assert_eq!(Algorithm::from_der(&identifier(ObjectIdentifier::new_unwrap(other), parameters)), None);
        }
    }
}

fn ec(algorithm: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    EcdsaKeyPair::generate(algorithm).unwrap()
}

/// SubjectPublicKeyInfo of a point.
fn point_info(curve: ObjectIdentifier, point: &[u8]) -> Vec<u8> {
    sequence(&[&identifier(EC_PUBLIC_KEY, &curve.to_der().unwrap()), &tlv(0x03, &[&[0], point])])
}

#[test]
fn keys_are_points_in_uncompressed_form_or_rsa_keys() {
    let (p256, p384) = (ec(&ECDSA_P256_SHA256_ASN1_SIGNING), ec(&ECDSA_P384_SHA384_ASN1_SIGNING));
    let (small, large) = (p256.public_key().as_ref(), p384.public_key().as_ref());
    let kind = |info: &[u8]| PublicKey::from_der(info).map(|key| key.kind());
    assert_eq!(kind(&point_info(PRIME256V1, small)), Some(KeyKind::P256));
    assert_eq!(kind(&point_info(SECP384R1, large)), Some(KeyKind::P384));
    assert_eq!(kind(&point_info(SECP384R1, small)), None, "a point of another size");
    assert_eq!(kind(&point_info(PRIME256V1, large)), None);
    assert_eq!(kind(&point_info(SECP384R1, &large[..96])), None);
    let compressed = [&[2 + (large[96] & 1)], &large[1..49]].concat();
    assert_eq!(kind(&point_info(SECP384R1, &compressed)), None, "in compressed form");
    let hybrid = [&[6 + (large[96] & 1)], &large[1..]].concat();
    assert_eq!(kind(&point_info(SECP384R1, &hybrid)), None, "in hybrid form");
    assert_eq!(kind(&point_info(ObjectIdentifier::new_unwrap("1.3.132.0.35"), large)), None, "on P-521");
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let info: PublicKeyX509Der<'_> = rsa.public_key().as_der().unwrap();
    assert_eq!(kind(info.as_ref()), Some(KeyKind::Rsa));
    let at = info.as_ref().windows(2).position(|pair| pair == NULL).unwrap();
    let mut other = info.as_ref().to_vec();
    other[at] = 0x04;
    assert_eq!(kind(&other), None, "with other parameters than NULL");
}

/// Every algorithm, so that each key can be tried with all of them.
const ALL: [Algorithm; 8] = [
    Algorithm::EcdsaSha256,
    Algorithm::EcdsaSha384,
    Algorithm::RsaPss(Hash::Sha256),
    Algorithm::RsaPss(Hash::Sha384),
    Algorithm::RsaPss(Hash::Sha512),
    Algorithm::RsaPkcs1(Hash::Sha256),
    Algorithm::RsaPkcs1(Hash::Sha384),
    Algorithm::RsaPkcs1(Hash::Sha512),
];

/// The signature verifies under the algorithm by which it was made, and under no other; not with a byte changed.
fn made_by(key: &PublicKey, made: Algorithm, message: &[u8], signature: &[u8]) {
    for algorithm in ALL {
        assert_eq!(key.verify(algorithm, message, signature), algorithm == made, "{made:?} taken for {algorithm:?}");
    }
    assert!(!key.verify(made, b"another message", signature), "{made:?}");
    let mut changed = signature.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    assert!(!key.verify(made, message, &changed), "{made:?}");
}

#[test]
fn a_signature_is_of_the_algorithm_that_made_it() {
    let (message, random) = (b"message", SystemRandom::new());
    for (pair, curve, made) in [
        (ec(&ECDSA_P256_SHA256_ASN1_SIGNING), PRIME256V1, Algorithm::EcdsaSha256),
        (ec(&ECDSA_P384_SHA384_ASN1_SIGNING), SECP384R1, Algorithm::EcdsaSha384),
    ] {
        let key = PublicKey::from_der(&point_info(curve, pair.public_key().as_ref())).unwrap();
        made_by(&key, made, message, pair.sign(&random, message).unwrap().as_ref());
    }
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let info: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let key = PublicKey::from_der(info.as_ref()).unwrap();
    let encodings: [(&'static dyn RsaEncoding, Algorithm); 6] = [
        (&RSA_PSS_SHA256, Algorithm::RsaPss(Hash::Sha256)),
        (&RSA_PSS_SHA384, Algorithm::RsaPss(Hash::Sha384)),
        (&RSA_PSS_SHA512, Algorithm::RsaPss(Hash::Sha512)),
        (&RSA_PKCS1_SHA256, Algorithm::RsaPkcs1(Hash::Sha256)),
        (&RSA_PKCS1_SHA384, Algorithm::RsaPkcs1(Hash::Sha384)),
        (&RSA_PKCS1_SHA512, Algorithm::RsaPkcs1(Hash::Sha512)),
    ];
    for (encoding, made) in encodings {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &random, message, &mut signature).unwrap();
        made_by(&key, made, message, &signature);
    }
}

#[test]
fn a_kept_key_verifies_as_often_as_it_is_asked_and_is_on_its_curve() {
    let pair = ec(&ECDSA_P384_SHA384_FIXED_SIGNING);
    let point: [u8; 97] = pair.public_key().as_ref().try_into().unwrap();
    let key = FixedKey384::new(&point).unwrap();
    let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
    let signature: [u8; 96] = signature.as_ref().try_into().unwrap();
    for _ in 0..2 {
        assert!(key.verify(b"message", &signature));
        assert!(!key.verify(b"massage", &signature));
    }
    let mut off = point;
    off[96] ^= 1;
    assert!(FixedKey384::new(&off).is_none());
}
