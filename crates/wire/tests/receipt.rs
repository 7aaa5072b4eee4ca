//! The claims of receipts, and their keys.

use proptest::prelude::*;
use sealwright_wire::{
    Digest,
    receipt::{MAX_CLAIMS, Model, Receipt},
};

fn receipt() -> Receipt {
    Receipt {
        evidence_sha384: Digest([1; 48]),
        iat: 1_795_000_000,
        jkt: "thumb".into(),
        model: Model { name: "wine".into(), sha384: Digest([2; 48]), version: 1 },
        policy_sha384: Some(Digest([3; 48])),
        request_sha384: Digest([4; 48]),
        response_sha384: Digest([5; 48]),
        version: 1,
    }
}

#[test]
fn claims_are_written_canonically() {
    let text = String::from_utf8(receipt().to_json().unwrap()).unwrap();
    assert!(text.starts_with(r#"{"evidence_sha384":"0101"#), "{text}");
    assert!(text.ends_with(r#"0505","version":1}"#), "{text}");
    assert_eq!(Receipt::from_json(text.as_bytes()).unwrap(), receipt());
}

#[test]
fn other_versions_and_members_are_refused() {
    let text = String::from_utf8(receipt().to_json().unwrap()).unwrap();
    let cases = [
        (
            "version 2",
            text.replace(r#""version":1}"#, r#""version":2}"#).replacen(r#"05","version":1"#, r#"05","version":2"#, 1),
        ),
        ("no version", text.replace(r#"05","version":1"#, r#"05""#)),
        ("more", text.replacen('{', r#"{"more":1,"#, 1)),
        ("twice", text.replacen('{', r#"{"iat":1,"#, 1)),
        ("short digest", text.replacen("01", "", 1)),
        ("text time", text.replace("1795000000", r#""1795000000""#)),
        ("no object", "[]".into()),
    ];
    for (case, altered) in cases {
        assert_ne!(altered, text, "{case}");
        assert!(Receipt::from_json(altered.as_bytes()).is_err(), "{case}");
    }
}

#[test]
fn what_cannot_be_read_is_not_written() {
    let mut long = receipt();
    long.model.name = "n".repeat(MAX_CLAIMS);
    assert!(long.to_json().is_err());
    let mut inexact = receipt();
    inexact.model.version = (1 << 53) + 1;
    assert!(inexact.to_json().is_err());
}

#[test]
fn each_length_cut_and_each_byte_flipped() {
    let text = receipt().to_json().unwrap();
    for length in 0..text.len() {
        assert!(Receipt::from_json(&text[..length]).is_err(), "cut at {length}");
    }
    for at in 0..text.len() {
        for mask in [0x01, 0x20, 0x80] {
            let mut flipped = text.clone();
            flipped[at] ^= mask;
            let _ = Receipt::from_json(&flipped);
        }
    }
}

proptest! {
    #[test]
    fn round_trip(iat in 0u64..1 << 53, version in 0u64..1 << 53, name in "\\PC{0,60}", digest in any::<[u8; 16]>()) {
        let mut ours = receipt();
        ours.iat = iat;
        ours.model.version = version;
        ours.model.name = name;
        ours.request_sha384.0[..16].copy_from_slice(&digest);
        prop_assert_eq!(Receipt::from_json(&ours.to_json().unwrap()).unwrap(), ours);
    }
}
