//! Tokens of Arm CCA: the public one is read, all generations are read back, and no cut or change makes the parser panic or read past a
//! length.

mod support;

use proptest::prelude::*;
use sealwright_wire::cca::{
    Component, Hash, Lifecycle, MAX_TOKEN, PlatformClaims, PlatformKey, PlatformProfile, RealmClaims, RealmProfile,
    Store, TAG_CMW, TAG_COLLECTION, Token, encode,
};
use sealwright_wire::cose::{Algorithm, Curve, Key, Sign1, protected_header};
use sealwright_wire::{Kind, Tee, reference};
use std::path::Path;

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join("cca").join(name)).unwrap()
}

#[test]
fn the_public_token_is_read_and_written_back() {
    let Some(folder) = support::vectors() else { return };
    let bytes = read(&folder, "cca-example-token.cbor");
    let token = Token::parse(&bytes).unwrap();
    let references: serde_json::Value = serde_json::from_slice(&read(&folder, "rvstore.json")).unwrap();
    let (platform, realm) = (&token.platform_claims, &token.realm_claims);
    let expected = &references["platform"][0];
    assert_eq!(platform.profile, PlatformProfile::Legacy);
    assert_eq!((platform.lifecycle, platform.lifecycle.name()), (Lifecycle(12_291), Some("secured")));
    assert_eq!(expected["implementation-id"], hex::encode(platform.implementation_id));
    assert_eq!(expected["platform-configuration"], hex::encode(platform.config));
    let components = expected["sw-components"].as_array().unwrap();
    assert_eq!(components.len(), platform.software_components.len());
    for (theirs, ours) in components.iter().zip(&platform.software_components) {
        assert_eq!(theirs["measurement-value"], hex::encode(ours.measurement_value));
        assert_eq!(theirs["signer-id"], hex::encode(ours.signer_id));
        assert_eq!(theirs["component-type"], ours.component_type.unwrap());
    }
    let expected = &references["realm"][0];
    assert_eq!(realm.profile, None);
    assert_eq!(expected["initial-measurement"], hex::encode(realm.initial_measurement));
    assert_eq!(expected["rak-hash-algorithm"], realm.public_key_hash_algorithm.name());
    assert_eq!(expected["personalization-value"], hex::encode(realm.personalization_value));
    for (theirs, ours) in
        expected["extensible-measurements"].as_array().unwrap().iter().zip(realm.extensible_measurements)
    {
        assert_eq!(*theirs, hex::encode(ours));
    }
    assert_eq!(realm.key().unwrap().curve, Curve::P384);
    // The vector's order of claims is not ours for the component, but what is written says the same.
    let (platform, realm) = (token.platform.encode().unwrap(), token.realm.encode().unwrap());
    assert_eq!(encode(&platform, &realm, TAG_COLLECTION).unwrap(), bytes);
    for len in 0..bytes.len() {
        let error = Token::parse(&bytes[..len]).unwrap_err();
        assert!(error.offset <= len, "cut at {len}: {error}");
    }
}

#[test]
fn the_public_store_is_read() {
    let Some(folder) = support::vectors() else { return };
    let json = read(&folder, "tastore.json");
    let Store(entries) = Store::from_json(&json).unwrap();
    let bytes = read(&folder, "cca-example-token.cbor");
    let token = Token::parse(&bytes).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(&entries[0].instance_id.0, token.platform_claims.instance_id);
    assert_eq!(&entries[0].implementation_id.0, token.platform_claims.implementation_id);
    assert_eq!((entries[0].key.curve, entries[0].key.key().point().len()), (Curve::P384, 97));
    let text = String::from_utf8(json).unwrap();
    for (from, to) in [
        ("\"EC\"", "\"RSA\""),
        ("P-384", "P-256"),
        ("P-384", "secp256k1"),
        ("\"implementation-id\"", "\"implementation\""),
        ("7f454c46", "7f454c"),
        ("IShnxS4r", "IShnxS4"),
        ("\"pkey\"", "\"more\": 1, \"pkey\""),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(Store::from_json(text.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
    }
    // The same key by itself; the private one is nobody's to trust.
    assert_eq!(PlatformKey::from_json(&read(&folder, "cpak-pub.json")).unwrap(), entries[0].key);
    let error = PlatformKey::from_json(&read(&folder, "cpak-priv.json")).unwrap_err();
    assert!(error.to_string().contains("a private one"), "{error}");
    assert!(PlatformKey::from_json(text.as_bytes()).is_err() && PlatformKey::from_json(b"{}").is_err());
}

/// Everything that a claims set can hold, of one generation.
fn platform(profile: PlatformProfile) -> PlatformClaims<'static> {
    let newest = profile == PlatformProfile::V2;
    PlatformClaims {
        profile,
        challenge: &[1; 32],
        implementation_id: &[2; 32],
        instance_id: &[1; 33],
        config: &[4, 5],
        lifecycle: Lifecycle(0x3001),
        hash_algorithm: Hash::Sha384,
        software_components: vec![
            Component {
                component_type: Some("RMM"),
                measurement_value: &[6; 48],
                version: Some("1.0"),
                signer_id: &[7; 64],
                hash_algorithm: Some(Hash::Sha512),
            },
            Component {
                component_type: None,
                measurement_value: &[8; 32],
                version: None,
                signer_id: &[9; 32],
                hash_algorithm: None,
            },
        ],
        verification_service: Some("https://example.org"),
        manufacturing_config: newest.then_some(&[10][..]),
        peer_signers: newest.then_some(&[11][..]),
    }
}

fn realm(profile: Option<RealmProfile>, key: &[u8]) -> RealmClaims<'_> {
    let newest = profile == Some(RealmProfile::V2);
    RealmClaims {
        profile,
        challenge: &[12; 64],
        personalization_value: &[13; 64],
        initial_measurement: &[14; 32],
        extensible_measurements: [&[15; 32], &[16; 32], &[17; 32], &[18; 32]],
        hash_algorithm: Hash::Sha256,
        public_key: key,
        public_key_hash_algorithm: Hash::Sha256,
        mec_policy: newest.then_some("private"),
        instance_id: newest.then_some(&[1; 33]),
    }
}

fn signed(payload: &[u8]) -> Vec<u8> {
    let protected = protected_header(Algorithm::Es384).unwrap();
    let message = Sign1 {
        tagged: true,
        protected: &protected,
        algorithm: Algorithm::Es384,
        payload,
        payload_at: 0,
        signature: &[19; 96],
    };
    message.encode().unwrap()
}

fn token(platform: &PlatformClaims<'_>, realm: &RealmClaims<'_>, tag: u64) -> Vec<u8> {
    encode(&signed(&platform.encode().unwrap()), &signed(&realm.encode().unwrap()), tag).unwrap()
}

/// A key in the form of each generation.
fn keys() -> [(Option<RealmProfile>, Vec<u8>); 3] {
    let cose = Key { curve: Curve::P384, x: &[3; 48], y: &[4; 48] }.encode().unwrap();
    let point = [&[4][..], &[3; 48], &[4; 48]].concat();
    [(None, point), (Some(RealmProfile::V1), cose.clone()), (Some(RealmProfile::V2), cose)]
}

#[test]
fn every_generation_is_read_back() {
    let profiles = [PlatformProfile::Legacy, PlatformProfile::V1, PlatformProfile::V2];
    for (profile, (realm_profile, key)) in profiles.into_iter().zip(keys()) {
        for tag in [TAG_COLLECTION, TAG_CMW] {
            let (platform, realm) = (platform(profile), realm(realm_profile, &key));
            let bytes = token(&platform, &realm, tag);
            let parsed = Token::parse(&bytes).unwrap();
            assert_eq!(parsed.platform_claims, platform);
            assert_eq!(parsed.realm_claims, realm);
            assert_eq!(parsed.realm_claims.key().unwrap(), Key { curve: Curve::P384, x: &[3; 48], y: &[4; 48] });
        }
    }
}

/// The refusal of a token whose bytes were replaced at their first occurrence.
fn refused(from: &[u8], to: &[u8]) -> String {
    let [.., (_, key)] = keys();
    let (platform, realm) = (platform(PlatformProfile::V2), realm(Some(RealmProfile::V2), &key));
    let replaced = |claims: Vec<u8>| match claims.windows(from.len()).position(|window| window == from) {
        Some(at) => ([&claims[..at], to, &claims[at + from.len()..]].concat(), true),
        None => (claims, false),
    };
    let (platform, in_platform) = replaced(platform.encode().unwrap());
    let (realm, in_realm) = replaced(realm.encode().unwrap());
    assert!(in_platform || in_realm, "{from:02x?} is in neither");
    let bytes = encode(&signed(&platform), &signed(&realm), TAG_CMW).unwrap();
    Token::parse(&bytes).unwrap_err().to_string()
}

#[test]
fn claims_must_be_there_once_and_of_their_size() {
    // Each label that must be there becomes one that nobody knows.
    for label in [10u16, 265, 256, 2394, 2395, 2396, 2399, 2401, 2402] {
        let head = if label == 10 { vec![0x0a, 0x58] } else { [&[0x19][..], &label.to_be_bytes()].concat() };
        let other = if label == 10 { vec![0x0b, 0x58] } else { vec![0x19, 0x7f, 0xff] };
        let error = refused(&head, &other);
        assert!(error.contains(&format!("({label})")), "{label}: {error}");
    }
    for label in [44_235u16, 44_236, 44_237, 44_238, 44_239, 44_240, 44_243] {
        let head = [&[0x19][..], &label.to_be_bytes()].concat();
        let error = refused(&head, &[0x19, 0x7f, 0xff]);
        assert!(error.contains(&format!("({label})")), "{label}: {error}");
    }
    for (from, to, reason) in [
        (&b"cca_platform#2.0.0"[..], &b"cca_platform#3.0.0"[..], "a known platform profile"),
        (b"realm#2.0.0", b"realm#1.9.0", "a known realm profile"),
        (b"\x67private", b"\x67privat!", "private or shared"),
        (b"\x19\x09\x5b\x19\x30\x01", b"\x19\x09\x5b\x19\x31\x01", "a state of the lifecycle"),
        (b"\x19\x09\x5a\x01", b"\x19\x09\x5a\x02", "expected 1, found 2"),
        (b"\x67sha-384", b"\x67sha-385", "sha-256, sha-384 or sha-512"),
        (b"\x19\x09\x61\x42\x04\x05", b"\x19\x09\x5b\x19\x30\x01", "each key once"),
        (b"\x58\x21\x01", b"\x58\x21\x02", "begins with 0x01"),
        (b"\x58\x30\x06", b"\x58\x2f\x06", "32, 48 or 64 bytes"),
        (b"\x58\x40\x0d", b"\x58\x3f\x0d", "fixed length"),
    ] {
        let error = refused(from, to);
        assert!(error.contains(reason), "{error}");
    }
    let mut empty = platform(PlatformProfile::V1);
    empty.software_components.clear();
    let [(_, key), ..] = keys();
    let error = Token::parse(&token(&empty, &realm(None, &key), TAG_COLLECTION)).unwrap_err();
    assert!(error.to_string().contains("at least one component"), "{error}");
}

#[test]
fn collections_have_two_tokens_and_nothing_else() {
    let [(_, key), ..] = keys();
    let platform = signed(&platform(PlatformProfile::Legacy).encode().unwrap());
    let realm = signed(&realm(None, &key).encode().unwrap());
    let good = encode(&platform, &realm, TAG_COLLECTION).unwrap();
    Token::parse(&good).unwrap();
    assert_eq!(good[..7], [0xd9, 0x01, 0x8f, 0xa2, 0x19, 0xac, 0xca]);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Token::parse(&bytes).unwrap_err().to_string()
    };
    assert!(changed(2, 0x90).contains("tag 399 or 907"));
    assert!(changed(6, 0xcb).contains("the keys 44234 and 44241"));
    assert!(changed(6, 0xd1).contains("each key once"));
    let trailing = [good.as_slice(), &[0]].concat();
    assert!(matches!(Token::parse(&trailing).unwrap_err().kind, Kind::Trailing { left: 1 }));
    assert!(matches!(Token::parse(&vec![0; MAX_TOKEN + 1]).unwrap_err().kind, Kind::TooLong { .. }));
    let alone = [&[0xd9, 0x01, 0x8f, 0xa1], &good[4..7], &good[7..10 + platform.len()]].concat();
    assert!(Token::parse(&alone).unwrap_err().to_string().contains("a realm token (44241)"));
    // A wrapper may name its type, and must name its records' format.
    let wrapped = encode(&platform, &realm, TAG_CMW).unwrap();
    assert_eq!(wrapped[..11], [0xd9, 0x03, 0x8b, 0xa2, 0x19, 0xac, 0xca, 0x82, 0x19, 0x01, 0x07]);
    let typed = [&[0xd9, 0x03, 0x8b, 0xa3], &b"\x68__cmwc_t\x61x"[..], &wrapped[4..]].concat();
    Token::parse(&typed).unwrap();
    let named = [&[0xd9, 0x03, 0x8b, 0xa3], &b"\x68__other_\x61x"[..], &wrapped[4..]].concat();
    assert!(Token::parse(&named).unwrap_err().to_string().contains("__cmwc_t"));
    let mut format = wrapped;
    format[10] = 0x08;
    assert!(Token::parse(&format).unwrap_err().to_string().contains("content format 263"));
}

#[test]
fn realm_keys_are_in_their_generation_s_form() {
    let [(_, point), (_, cose), _] = keys();
    assert!(realm(None, &cose).key().is_err());
    assert!(realm(Some(RealmProfile::V1), &point).key().is_err());
    assert!(realm(None, &point[..96]).key().is_err());
    let compressed = [&[3][..], &point[1..]].concat();
    assert!(realm(None, &compressed).key().is_err());
    for (from, to) in [
        (&[0x01, 0x02][..], &[0x01, 0x01][..]),
        (&[0x20, 0x02], &[0x20, 0x06]),
        (&[0x20, 0x02], &[0x20, 0x01]),
        (&[0x21, 0x58], &[0x22, 0x58]),
    ] {
        let at = cose.windows(2).position(|window| window == from).unwrap();
        let changed = [&cose[..at], to, &cose[at + 2..]].concat();
        assert!(Key::parse(&changed).is_err(), "{to:02x?}");
    }
}

#[test]
fn cuts_and_changes_never_panic() {
    let [.., (profile, key)] = keys();
    let bytes = token(&platform(PlatformProfile::V2), &realm(profile, &key), TAG_CMW);
    for len in 0..bytes.len() {
        let error = Token::parse(&bytes[..len]).unwrap_err();
        assert!(error.offset <= len, "cut at {len}: {error}");
    }
    for at in 0..bytes.len() {
        for mask in [0x01, 0x20, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            if let Ok(parsed) = Token::parse(&changed) {
                let again = token(&parsed.platform_claims, &parsed.realm_claims, TAG_CMW);
                let again = Token::parse(&again).unwrap();
                assert_eq!(again.platform_claims, parsed.platform_claims, "byte {at}");
                assert_eq!(again.realm_claims, parsed.realm_claims, "byte {at}");
            }
        }
    }
}

#[test]
fn hashes_of_realms_have_any_width_of_a_hash_as_reference_values() {
    for (claim, len, good) in
        [("rim", 32, true), ("rim", 48, true), ("rem3", 64, true), ("rim", 33, false), ("rem4", 32, false)]
    {
        let mut parts = reference::Parts::empty(Tee::Cca);
        parts.values.insert(claim.into(), vec![reference::Value::from(&vec![1; len][..])]);
        assert_eq!(reference::ReferenceValues::new(parts).is_ok(), good, "{claim} of {len} bytes");
    }
    assert!(reference::is_hash(Tee::Cca, "rim") && !reference::is_hash(Tee::Tdx, "rim"));
}

proptest! {
    #[test]
    fn tokens_round_trip(
        challenge in prop::collection::vec(any::<u8>(), 48),
        ids in any::<([u8; 32], [u8; 32])>(),
        config in prop::collection::vec(any::<u8>(), 0..40),
        state in prop::sample::select(vec![0x00u16, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60]),
        low in any::<u8>(),
        rim in prop::collection::vec(any::<u8>(), 64),
        count in 1usize..20,
    ) {
        let instance_id: [u8; 33] = [&[1][..], &ids.1].concat().try_into().unwrap();
        let base = platform(PlatformProfile::V1);
        let platform = PlatformClaims {
            challenge: &challenge,
            implementation_id: &ids.0,
            instance_id: &instance_id,
            config: &config,
            lifecycle: Lifecycle(state << 8 | u16::from(low)),
            software_components: vec![base.software_components[0]; count],
            ..base
        };
        prop_assert_eq!(platform.lifecycle.is_secured(), state == 0x30);
        let [_, (profile, key), _] = keys();
        let realm = RealmClaims { initial_measurement: &rim, ..realm(profile, &key) };
        let bytes = token(&platform, &realm, TAG_COLLECTION);
        let parsed = Token::parse(&bytes).unwrap();
        prop_assert_eq!(parsed.platform_claims, platform);
        prop_assert_eq!(parsed.realm_claims, realm);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Token::parse(&bytes);
        let _ = Key::parse(&bytes);
        let _ = (Store::from_json(&bytes), PlatformKey::from_json(&bytes));
        let around = encode(&signed(&bytes), &signed(&bytes), TAG_COLLECTION).unwrap();
        let _ = Token::parse(&around);
    }
}
