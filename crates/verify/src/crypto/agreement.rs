//! aws-lc and RustCrypto give the same answers: to what is right, and to what is wrong in any way.

use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};
use proptest::prelude::*;
use serde::Deserialize;

const MESSAGE: &[u8] = b"message";

/// What both say.
fn both(what: &str, aws_lc: bool, rust_crypto: bool) -> bool {
    assert_eq!(aws_lc, rust_crypto, "{what}: aws-lc, RustCrypto");
    aws_lc
}

fn fixed(what: &str, curve: Curve, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let kept = both(
        what,
        aws_lc::Key::new(curve, point).is_some_and(|key| key.verify_fixed(message, signature)),
        rust_crypto::Key::new(curve, point).is_some_and(|key| key.verify_fixed(message, signature)),
    );
    let once = both(
        what,
        aws_lc::verify_fixed(curve, point, message, signature),
        rust_crypto::verify_fixed(curve, point, message, signature),
    );
    both(what, kept, once)
}

fn in_der(what: &str, curve: Curve, hash: Hash, point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    both(
        what,
        aws_lc::verify_der(curve, hash, point, message, signature),
        rust_crypto::verify_der(curve, hash, point, message, signature),
    )
}

fn is_on(what: &str, curve: Curve, point: &[u8]) -> bool {
    both(what, aws_lc::Key::new(curve, point).is_some(), rust_crypto::Key::new(curve, point).is_some())
}

/// A curve with its order and its prime (SEC 2), and a key on it.
struct Site {
    curve: Curve,
    order: Vec<u8>,
    prime: Vec<u8>,
    pair: EcdsaKeyPair,
    algorithm: &'static EcdsaSigningAlgorithm,
}

impl Site {
    fn all() -> [Self; 3] {
        let site = |curve, algorithm, order: &str, prime: &str| Self {
            curve,
            order: hex::decode(order).unwrap(),
            prime: hex::decode(prime).unwrap(),
            pair: EcdsaKeyPair::generate(algorithm).unwrap(),
            algorithm,
        };
        [
            site(
                Curve::P256,
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
                "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
            ),
            site(
                Curve::P384,
                &ECDSA_P384_SHA384_FIXED_SIGNING,
                "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
                "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
            ),
            site(
                Curve::P521,
                &ECDSA_P521_SHA512_FIXED_SIGNING,
                &format!("01{}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", "ff".repeat(32)),
                &format!("01{}", "ff".repeat(65)),
            ),
        ]
    }

    fn point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn sign(&self) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), MESSAGE).unwrap().as_ref().to_vec()
    }
}

/// `first - second` of numbers of one length.
fn minus(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut digits: Vec<u8> = first
        .iter()
        .zip(second)
        .rev()
        .map(|(a, b)| {
            let digit = i16::from(*a) - i16::from(*b) - borrow;
            borrow = i16::from(digit < 0);
            u8::try_from(digit.rem_euclid(256)).unwrap()
        })
        .collect();
    digits.reverse();
    digits
}

/// `number - 1`, of a number that does not end in zero.
fn less_one(number: &[u8]) -> Vec<u8> {
    let mut less = number.to_vec();
    *less.last_mut().unwrap() -= 1;
    less
}

/// An INTEGER of DER that is not negative.
fn integer(number: &[u8]) -> Vec<u8> {
    let digits = &number[number.iter().position(|digit| *digit != 0).unwrap_or(number.len() - 1)..];
    let sign: &[u8] = if digits[0] >= 0x80 { &[0] } else { &[] };
    tlv(0x02, &[sign, digits])
}

fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let len = u8::try_from(contents.len()).unwrap();
    let head = if len < 0x80 { vec![tag, len] } else { vec![tag, 0x81, len] };
    [head, contents].concat()
}

#[test]
fn every_curve_s_signatures_are_believed_with_r_and_s_in_range_alone() {
    for site in Site::all() {
        let (curve, size, point) = (site.curve, site.curve.size(), site.point());
        let signature = site.sign();
        let (r, s) = signature.split_at(size);
        assert!(fixed("right", curve, point, MESSAGE, &signature));
        let mirrored = [r, &minus(&site.order, s)].concat();
        assert!(fixed("the other s", curve, point, MESSAGE, &mirrored));
        assert!(!fixed("another message", curve, point, b"massage", &signature));
        let other = EcdsaKeyPair::generate(site.algorithm).unwrap();
        assert!(!fixed("another key", curve, other.public_key().as_ref(), MESSAGE, &signature));
        let one = [vec![0; size - 1], vec![1]].concat();
        for number in
            [vec![0; size], one, site.order.clone(), less_one(&site.order), site.prime.clone(), vec![0xff; size]]
        {
            assert!(!fixed("an r of the edge", curve, point, MESSAGE, &[&number, s].concat()));
            assert!(!fixed("an s of the edge", curve, point, MESSAGE, &[r, &number].concat()));
            assert!(!fixed("both of the edge", curve, point, MESSAGE, &[number.clone(), number].concat()));
        }
        for len in (0..signature.len()).step_by(7) {
            assert!(!fixed("cut", curve, point, MESSAGE, &signature[..len]));
        }
        assert!(!fixed("a byte behind", curve, point, MESSAGE, &[&signature, &[0][..]].concat()));
        assert!(!fixed("wider", curve, point, MESSAGE, &[&[0], r, &[0], s].concat()));
    }
}

#[test]
fn points_are_taken_on_their_curve_alone() {
    let sites = Site::all();
    for site in &sites {
        let (curve, size, point) = (site.curve, site.curve.size(), site.point());
        assert!(curve.fits(point) && is_on("right", curve, point));
        let (x, y) = point[1..].split_at(size);
        let join = |x: &[u8], y: &[u8]| [&[4], x, y].concat();
        assert!(is_on("the other y", curve, &join(x, &minus(&site.prime, y))));
        let zero = vec![0; size];
        for (what, wrong) in [
            ("y of no point", join(x, &less_one_or_more(y))),
            ("x and y changed", join(y, x)),
            ("x of the prime", join(&site.prime, y)),
            ("y of the prime", join(x, &site.prime)),
            ("zeros", join(&zero, &zero)),
            ("x of all ones", join(&vec![0xff; size], y)),
        ] {
            assert!(!is_on(what, curve, &wrong), "{curve:?}: {what}");
        }
        // What has another shape is asked of neither library.
        for (what, wrong) in [
            ("compressed", [&[2 + (y[size - 1] & 1)], x].concat()),
            ("hybrid", [&[6 + (y[size - 1] & 1)], x, y].concat()),
            ("infinity", vec![0]),
            ("nothing", vec![]),
            ("cut", point[..point.len() - 1].to_vec()),
            ("a byte behind", [point, &[0]].concat()),
            ("bare", point[1..].to_vec()),
        ] {
            assert!(!curve.fits(&wrong), "{curve:?}: {what}");
        }
        for other in sites.iter().filter(|other| other.curve != curve) {
            assert!(!other.curve.fits(point));
        }
    }
}

/// Another number near this one.
fn less_one_or_more(number: &[u8]) -> Vec<u8> {
    let mut other = number.to_vec();
    *other.last_mut().unwrap() ^= 1;
    other
}

#[test]
fn signatures_in_der_are_believed_in_their_one_encoding_alone() {
    for (curve, hash) in
        [Curve::P256, Curve::P384].into_iter().flat_map(|curve| [(curve, Hash::Sha256), (curve, Hash::Sha384)])
    {
        let (point, signature) = signed(curve, hash);
        let point = point.as_slice();
        let (r, s) = signature.split_at(curve.size());
        let right = tlv(0x30, &[&integer(r), &integer(s)]);
        let judge = |what: &str, signature: &[u8]| in_der(what, curve, hash, point, MESSAGE, signature);
        assert!(judge("right", &right));
        for other in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            assert_eq!(in_der("a hash", curve, other, point, MESSAGE, &right), other == hash);
        }
        let (first, second) = (integer(r), integer(s));
        let zeros = |number: &[u8]| tlv(0x02, &[&[0, 0], number]);
        let content = [&first[..], &second].concat();
        let size = u8::try_from(content.len()).unwrap();
        for (what, wrong) in [
            ("zeros before r", tlv(0x30, &[&zeros(r), &second])),
            ("zeros before s", tlv(0x30, &[&first, &zeros(s)])),
            ("a third number", tlv(0x30, &[&first, &second, &[2, 1, 1]])),
            ("one number", tlv(0x30, &[&first])),
            ("no number", tlv(0x30, &[])),
            ("a byte behind", [&right[..], &[0]].concat()),
            ("a length of indefinite form", [&[0x30, 0x80], &content[..], &[0, 0]].concat()),
            ("a long length", [&[0x30, 0x82, 0, size], &content[..]].concat()),
            ("a set", tlv(0x31, &[&first, &second])),
            ("(r, s)", signature.clone()),
            ("r of zero", tlv(0x30, &[&[2, 1, 0], &second])),
            ("r of no bytes", tlv(0x30, &[&[2, 0], &second])),
            ("s of zero", tlv(0x30, &[&first, &[2, 1, 0]])),
            ("a negative s", tlv(0x30, &[&first, &[2, 1, 0x81]])),
            ("r as bits", tlv(0x30, &[&tlv(0x03, &[&[0], r]), &second])),
            ("nothing", vec![]),
        ] {
            assert!(!judge(what, &wrong), "{curve:?} {hash:?}: {what}");
        }
        for len in (0..right.len()).step_by(5) {
            assert!(!judge("cut", &right[..len]));
        }
        for at in 0..16.min(right.len()) {
            for mask in [0x01, 0x80] {
                let mut changed = right.clone();
                changed[at] ^= mask;
                assert!(!judge("changed", &changed), "{curve:?} {hash:?}: byte {at}");
            }
        }
    }
}

/// A key's uncompressed point and its (r, s) over the message, by RustCrypto: aws-lc-rs does not sign with each pair of curve and hash.
fn signed(curve: Curve, hash: Hash) -> (Vec<u8>, Vec<u8>) {
    use p256::ecdsa::signature::hazmat::PrehashSigner;
    let digest = match hash {
        Hash::Sha256 => crate::hash::sha256(&[MESSAGE]).0.to_vec(),
        _ => crate::hash::sha384(&[MESSAGE]).0.to_vec(),
    };
    let secret = vec![0x42; curve.size()];
    if curve == Curve::P256 {
        let key = p256::ecdsa::SigningKey::from_slice(&secret).unwrap();
        let signature: p256::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
        (key.verifying_key().to_sec1_point(false).as_bytes().to_vec(), signature.to_bytes().to_vec())
    } else {
        let key = p384::ecdsa::SigningKey::from_slice(&secret).unwrap();
        let signature: p384::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
        (key.verifying_key().to_sec1_point(false).as_bytes().to_vec(), signature.to_bytes().to_vec())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_signature_or_key_gets_one_answer(curve in 0..3usize, changes in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..3), what in 0..3) {
        let site = &Site::all()[curve];
        let (mut signature, mut point, mut message) = (site.sign(), site.point().to_vec(), MESSAGE.to_vec());
        let changed = match what { 0 => &mut signature, 1 => &mut point, _ => &mut message };
        let before = changed.clone();
        for (at, mask) in changes {
            *at.get_mut(changed) ^= mask;
        }
        let same = *changed == before;
        if site.curve.fits(&point) {
            let on = is_on("changed", site.curve, &point);
            prop_assert_eq!(fixed("changed", site.curve, &point, &message, &signature), same);
            prop_assert!(on || !same);
        }
    }
}

/// One line of the table that `tests/data/rsa.py` writes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RsaCase {
    what: String,
    good: bool,
    padding: String,
    hash: String,
    #[serde(deserialize_with = "hex::deserialize")]
    key: Vec<u8>,
    #[serde(deserialize_with = "hex::deserialize")]
    signature: Vec<u8>,
}

#[test]
fn rsa_signatures_are_believed_in_their_one_form_by_keys_of_2048_to_8192_bits() {
    let cases: Vec<RsaCase> = serde_json::from_str(include_str!("../../tests/data/rsa.json")).unwrap();
    for case in &cases {
        let padding = if case.padding == "pss" { Padding::Pss } else { Padding::Pkcs1 };
        let made = match case.hash.as_str() {
            "sha256" => Hash::Sha256,
            "sha384" => Hash::Sha384,
            _ => Hash::Sha512,
        };
        for (padding, hash, message) in [Padding::Pss, Padding::Pkcs1]
            .into_iter()
            .flat_map(|padding| [Hash::Sha256, Hash::Sha384, Hash::Sha512].map(|hash| (padding, hash, MESSAGE)))
            .chain([(padding, made, &b"massage"[..])])
        {
            let answer = verify_rsa(padding, hash, &case.key, message, &case.signature);
            assert_eq!(
                rust_crypto::verify_rsa(padding, hash, &case.key, message, &case.signature),
                answer,
                "{}: {padding:?} {hash:?}",
                case.what
            );
        }
        assert_eq!(
            verify_rsa(padding, made, &case.key, MESSAGE, &case.signature),
            case.good,
            "{padding:?}: {}",
            case.what
        );
        assert!(!verify_rsa(padding, made, &case.key, b"massage", &case.signature), "{}", case.what);
    }
    let good = |padding: &str| cases.iter().filter(|case| case.good && case.padding == padding).count();
    assert!(good("pss") >= 10 && good("pkcs1") >= 10);
}

#[test]
fn an_rsa_key_or_signature_changed_in_any_byte_gets_one_answer() {
    let cases: Vec<RsaCase> = serde_json::from_str(include_str!("../../tests/data/rsa.json")).unwrap();
    let case = |padding: &str| cases.iter().find(|case| case.good && case.padding == padding).unwrap();
    for (case, padding) in [(case("pss"), Padding::Pss), (case("pkcs1"), Padding::Pkcs1)] {
        let judge = |key: &[u8], signature: &[u8]| {
            let rust_crypto = rust_crypto::verify_rsa(padding, Hash::Sha256, key, MESSAGE, signature);
            both("changed", verify_rsa(padding, Hash::Sha256, key, MESSAGE, signature), rust_crypto)
        };
        assert_eq!(case.hash, "sha256");
        for at in 0..case.key.len() {
            let mut key = case.key.clone();
            key[at] ^= 1 << (at % 8);
            assert!(!judge(&key, &case.signature), "byte {at} of the key");
        }
        for at in (0..case.signature.len()).step_by(11) {
            let mut signature = case.signature.clone();
            signature[at] ^= 1 << (at % 8);
            assert!(!judge(&case.key, &signature), "byte {at} of the signature");
        }
    }
}
