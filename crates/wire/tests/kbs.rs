//! The key protocol's messages, checked against those of the crate that the real client is built from.

use kbs_types as peer;
use proptest::prelude::*;
use sealwright_wire::{
    Digest, Error, Kind, Tee,
    kbs::{
        A256GCM, Attestation, Challenge, ECDH_ES_A256KW, EphemeralKey, ErrorInformation, JsonText, Message,
        PrimaryEvidence, ProtectedHeader, Request, ResourcePath, Response, RuntimeData, TeeEvidence, TeePubKey, Token,
        point_from_jwk, report_data, report_data_preimage,
    },
};
use serde_json::{Value, json};

fn key() -> TeePubKey {
    let mut point = [7; 65];
    point[0] = 4;
    TeePubKey::from_p256_point(&point).unwrap()
}

fn attestation() -> Attestation {
    let evidence = PrimaryEvidence { quote: vec![1, 2, 3], event_log: Some(vec![4, 5]) };
    Attestation {
        init_data: None,
        runtime_data: RuntimeData { nonce: Challenge::new(&[9; 32]).nonce, tee_pubkey: key() },
        tee_evidence: TeeEvidence {
            primary_evidence: evidence.into_json(Tee::Tdx).unwrap(),
            additional_evidence: String::new(),
        },
    }
}

fn response() -> Response {
    let epk = EphemeralKey { crv: "P-256".into(), kty: "EC".into(), x: "AQ".into(), y: "Ag".into() };
    let header = ProtectedHeader { alg: ECDH_ES_A256KW.into(), enc: A256GCM.into(), epk: Some(epk) };
    Response {
        protected: header.encode().unwrap(),
        encrypted_key: vec![1; 40],
        iv: vec![2; 12],
        ciphertext: vec![3; 5],
        tag: vec![4; 16],
    }
}

#[test]
fn reads_what_the_real_client_writes() {
    let request = peer::Request {
        version: "0.4.0".into(),
        tee: peer::Tee::Tdx,
        extra_params: json!({ "supported-hash-algorithms": peer::HashAlgorithm::list_all() }),
    };
    let ours = Request::from_json(&serde_json::to_vec(&request).unwrap()).unwrap();
    assert!(ours.version_is_supported());
    assert_eq!(ours.tee().unwrap(), Tee::Tdx);

    let attestation = peer::Attestation {
        init_data: Some(peer::InitData { format: "toml".into(), body: "a = 1".into() }),
        runtime_data: peer::RuntimeData {
            nonce: "bm9uY2U=".into(),
            tee_pubkey: peer::TeePubKey::RSA { alg: "RSA-OAEP-256".into(), k_mod: "AQAB".into(), k_exp: "Aw".into() },
        },
        tee_evidence: peer::CompositeEvidence {
            primary_evidence: json!({ "quote": "AQID", "cc_eventlog": null, "extra": [1] }),
            additional_evidence: "{}".into(),
        },
    };
    let ours = Attestation::from_json(&serde_json::to_vec(&attestation).unwrap()).unwrap();
    assert_eq!(ours.init_data.unwrap().body, "a = 1");
    assert_eq!(
        ours.runtime_data.tee_pubkey,
        TeePubKey::RSA { alg: "RSA-OAEP-256".into(), n: "AQAB".into(), e: "Aw".into() }
    );
    let primary = PrimaryEvidence::from_json(Tee::Tdx, &ours.tee_evidence.primary_evidence).unwrap();
    assert_eq!(primary, PrimaryEvidence { quote: vec![1, 2, 3], event_log: None });
}

#[test]
fn the_real_client_reads_what_we_write() {
    let challenge: peer::Challenge = serde_json::from_slice(&Challenge::new(&[5; 32]).to_json().unwrap()).unwrap();
    assert_eq!(challenge.extra_params, "");
    assert_eq!(challenge.nonce.len(), 44);

    let ours = response();
    let theirs: peer::Response = serde_json::from_slice(&ours.to_json().unwrap()).unwrap();
    assert_eq!(theirs.encrypted_key, ours.encrypted_key);
    assert_eq!(theirs.ciphertext, ours.ciphertext);
    assert_eq!(theirs.protected.generate_aad().unwrap(), ours.protected.as_bytes(), "the header survives rewriting");

    let error = ErrorInformation { error_type: "denied".into(), detail: "no".into(), explanation: Some(json!({})) };
    let theirs: peer::ErrorInformation = serde_json::from_slice(&error.to_json().unwrap()).unwrap();
    assert_eq!((theirs.error_type.as_str(), theirs.detail.as_str()), ("denied", "no"));

    let request: peer::Request = serde_json::from_slice(&Request::new(Tee::Sgx).to_json().unwrap()).unwrap();
    assert_eq!(request.tee, peer::Tee::Sgx);
    let _: peer::Attestation = serde_json::from_slice(&attestation().to_json().unwrap()).unwrap();
}

#[test]
fn report_data_hashes_what_the_real_client_hashes() {
    let ours = attestation();
    let theirs: peer::Attestation = serde_json::from_slice(&ours.to_json().unwrap()).unwrap();
    let members = json!({
        "tee-pubkey": theirs.runtime_data.tee_pubkey,
        "nonce": theirs.runtime_data.nonce,
        "additional-evidence": theirs.tee_evidence.additional_evidence,
    });
    let expected = serde_json_canonicalizer::to_vec(&members).unwrap();
    assert_eq!(ours.report_data_preimage().unwrap(), expected);
    let text = String::from_utf8(expected).unwrap();
    assert!(text.starts_with(r#"{"additional-evidence":"","nonce":"CQkJ"#), "{text}");
    assert!(text.contains(r#""tee-pubkey":{"alg":"ECDH-ES+A256KW","crv":"P-256","kty":"EC","x":"#), "{text}");
}

proptest! {
    /// Whatever a client writes into its texts, the canonical JSON is that of a general canonicaliser.
    #[test]
    fn report_data_preimages_are_canonical(texts in proptest::collection::vec(any::<String>(), 6), rsa in any::<bool>()) {
        let [nonce, additional, alg, crv, x, y] = texts.try_into().unwrap();
        let tee_pubkey = if rsa { TeePubKey::RSA { alg, n: x, e: y } } else { TeePubKey::EC { crv, alg, x, y } };
        let members = json!({ "tee-pubkey": tee_pubkey, "nonce": nonce, "additional-evidence": additional });
        let expected = serde_json_canonicalizer::to_vec(&members).unwrap();
        let data = RuntimeData { nonce, tee_pubkey };
        prop_assert_eq!(report_data_preimage(&data, &additional).unwrap(), expected);
        let mut required = json!(data.tee_pubkey);
        required.as_object_mut().unwrap().remove("alg");
        let expected = serde_json_canonicalizer::to_vec(&required).unwrap();
        prop_assert_eq!(data.tee_pubkey.thumbprint_preimage().unwrap(), expected);
    }
}

#[test]
fn report_data_is_the_digest_and_zeros() {
    let data = report_data(&Digest([0xab; 48]));
    assert_eq!(data[..48], [0xab; 48]);
    assert_eq!(data[48..], [0; 16]);
}

#[test]
fn versions() {
    for (version, supported) in [
        ("0.4.0", true),
        ("0.4.1", true),
        ("0.4.0+build", true),
        ("0.4", false),
        ("0.4.", false),
        ("0.4.x", false),
        ("0.4.1-rc", false),
        ("0.40.0", false),
        ("0.3.0", false),
        ("1.0.0", false),
        ("", false),
    ] {
        let request = Request { version: version.into(), ..Request::new(Tee::Tdx) };
        assert_eq!(request.version_is_supported(), supported, "{version}");
    }
}

#[test]
fn an_unknown_environment_is_named() {
    let request = Request { tee: "sample".into(), ..Request::new(Tee::Tdx) };
    assert_eq!(
        request.tee().unwrap_err().to_string(),
        "tee at byte 0: expected a kind that is verified here: sgx, tdx, found sample"
    );
}

#[test]
fn a_challenge_for_another_hash_is_refused() {
    let mut challenge = Challenge::new(&[0; 32]);
    assert_eq!(challenge.require_sha384(), Ok(()));
    challenge.extra_params = json!({ "selected-hash-algorithm": "sha384" });
    assert_eq!(challenge.require_sha384(), Ok(()));
    challenge.extra_params = json!({ "selected-hash-algorithm": "sm3" });
    assert!(challenge.require_sha384().is_err());
}

#[test]
fn resource_paths() {
    let path = ResourcePath::parse_uri("kbs:///default/model-key/v1.0_a").unwrap();
    assert_eq!((path.repository(), path.kind(), path.tag()), ("default", "model-key", "v1.0_a"));
    assert_eq!(path.uri(), "kbs:///default/model-key/v1.0_a");
    let long = format!("a/b/{}", "c".repeat(129));
    for hostile in [
        "",
        "a",
        "a/b",
        "a/b/c/d",
        "a//c",
        "/a/b/c",
        "a/b/c/",
        "a/b/..",
        "../b/c",
        "a/./c",
        "a/.b/c",
        "a/%2e%2e/c",
        "a/b%2fc/d",
        "a/b/c\0",
        "a/b/ç",
        "a/b/c d",
        "a/b/c?x=1",
        "a/b/c#f",
        "a\\b/c/d",
        "a/b/\u{ff0e}",
        &long,
    ] {
        assert!(ResourcePath::parse(hostile).is_err(), "{hostile:?}");
        assert!(ResourcePath::parse_uri(&format!("kbs:///{hostile}")).is_err(), "{hostile:?}");
    }
    for uri in ["kbs://host/a/b/c", "kbs:a/b/c", "https:///a/b/c", "KBS:///a/b/c", "a/b/c"] {
        assert!(ResourcePath::parse_uri(uri).is_err(), "{uri}");
    }
}

#[test]
fn points_need_a_known_curve_and_whole_coordinates() {
    let TeePubKey::EC { crv, x, y, .. } = key() else { panic!("an EC key") };
    assert_eq!(point_from_jwk(&crv, &x, &y).unwrap().len(), 65);
    assert!(point_from_jwk("P-384", &x, &y).is_err());
    assert!(point_from_jwk(&crv, &x[..40], &y).is_err(), "a short coordinate");
    assert!(point_from_jwk(&crv, &format!("{x}="), &y).is_err(), "padding");
}

#[test]
fn sgx_evidence_has_no_event_log() {
    let value = json!({ "quote": "AQID", "cc_eventlog": "AQID" });
    assert_eq!(PrimaryEvidence::from_json(Tee::Sgx, &JsonText::of(&value).unwrap()).unwrap().event_log, None);
    assert_eq!(
        PrimaryEvidence::from_json(Tee::Tdx, &JsonText::of(&json!({ "quote": 5 })).unwrap()).unwrap_err().field,
        "primary_evidence"
    );
    for quote in ["AQI", "AQID\n", "AQ-_"] {
        assert!(
            PrimaryEvidence::from_json(Tee::Sgx, &JsonText::of(&json!({ "quote": quote })).unwrap()).is_err(),
            "{quote:?}"
        );
    }
}

#[test]
fn errors_say_where() {
    let error = Request::from_json(b"{\n  \"version\": 4}").unwrap_err();
    assert_eq!((error.field, error.offset), ("auth request", 15), "{error}");
    let huge = vec![b' '; Request::LIMIT + 1];
    let error = Request::from_json(&huge).unwrap_err();
    assert_eq!(error.kind, Kind::TooLong { limit: Request::LIMIT, found: huge.len() });
    let deep = format!("{{\"version\":\"0.4.0\",\"tee\":\"tdx\",\"extra-params\":{}", "[".repeat(60_000));
    assert!(Request::from_json(deep.as_bytes()).is_err());
}

fn never_panics<M: Message>(message: &M) {
    let text = message.to_json().unwrap();
    let check = |bytes: &[u8]| -> Result<(), Error> { M::from_json(bytes).map(drop) };
    check(&text).unwrap();
    for length in 0..text.len() {
        assert!(check(&text[..length]).is_err(), "cut at {length}");
    }
    for at in 0..text.len() {
        for mask in [0x01, 0x20, 0x80, 0xff] {
            let mut flipped = text.clone();
            flipped[at] ^= mask;
            let _ = check(&flipped);
        }
    }
}

#[test]
fn each_byte_flipped_and_each_length_cut() {
    never_panics(&Request::new(Tee::Tdx));
    never_panics(&Challenge::new(&[3; 32]));
    never_panics(&attestation());
    never_panics(&Token { token: "a.b.c".into() });
    never_panics(&ErrorInformation { error_type: "t".into(), detail: "d".into(), explanation: None });
    never_panics(&response());
    let text = response().protected;
    for at in 0..text.len() {
        for mask in [0x01, 0x80] {
            let mut flipped = text.clone().into_bytes();
            flipped[at] ^= mask;
            let protected = String::from_utf8_lossy(&flipped).into_owned();
            let _ = Response { protected, ..response() }.header();
        }
    }
}

#[test]
fn a_protected_header_with_more_members_is_refused() {
    let base64 = |value: &Value| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let with = json!({ "alg": "ECDH-ES+A256KW", "enc": "A256GCM", "crit": ["zip"], "zip": "DEF" });
    assert!(Response { protected: base64(&with), ..response() }.header().is_err());
    let without = json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM" });
    assert_eq!(Response { protected: base64(&without), ..response() }.header().unwrap().epk, None);
}

proptest! {
    #[test]
    fn round_trips(quote in prop::collection::vec(any::<u8>(), 0..300), log in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
                   nonce in any::<[u8; 32]>(), text in "\\PC*") {
        let primary = PrimaryEvidence { quote, event_log: log };
        let ours = Attestation {
            init_data: None,
            runtime_data: RuntimeData { nonce: Challenge::new(&nonce).nonce, tee_pubkey: key() },
            tee_evidence: TeeEvidence { primary_evidence: primary.clone().into_json(Tee::Tdx).unwrap(), additional_evidence: text },
        };
        let again = Attestation::from_json(&ours.to_json().unwrap()).unwrap();
        prop_assert_eq!(&again, &ours);
        prop_assert_eq!(PrimaryEvidence::from_json(Tee::Tdx, &again.tee_evidence.primary_evidence).unwrap(), primary);
        prop_assert_eq!(
            report_data_preimage(&again.runtime_data, &again.tee_evidence.additional_evidence).unwrap(),
            ours.report_data_preimage().unwrap()
        );
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
        let _ = Attestation::from_json(&bytes);
        if let Ok(path) = ResourcePath::parse(&text) {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
