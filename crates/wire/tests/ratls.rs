//! RA-TLS certificates and claims: two real certificates of other implementations, and what we write.

#[path = "support/mod.rs"]
mod support;

use der::{Decode, Encode};
use proptest::prelude::*;
use sealwright_wire::{
    Kind,
    kbs::Message,
    quote::Quote,
    ratls::{
        AttestRequest, AttestResponse, Certificate, CertificateEvidence, Claims, EvidenceKind, HashAlgorithm,
        HashEntry, MAX_CERTIFICATE, TaggedEvidence, report_data,
    },
};
use sha2::{Digest as _, Sha256};

fn real_certificates() -> Vec<(&'static str, Vec<u8>)> {
    let Some(folder) = support::vectors() else { return Vec::new() };
    ["gramine-cert.pem", "intel-sgxsdk-cert.pem"]
        .into_iter()
        .map(|name| {
            let pem = std::fs::read(folder.join("ratls").join(name)).unwrap();
            let (label, der) = der::pem::decode_vec(&pem).unwrap();
            assert_eq!(label, "CERTIFICATE");
            (name, der)
        })
        .collect()
}

fn tagged<'a>(name: &str, certificate: &Certificate<'a>) -> TaggedEvidence<'a> {
    let CertificateEvidence::Tagged(cbor) = certificate.evidence else { panic!("{name} has the extension") };
    TaggedEvidence::parse(cbor).unwrap()
}

#[test]
fn real_certificates_bind_their_key_and_claims() {
    for (name, der) in real_certificates() {
        let certificate = Certificate::parse(&der).unwrap();
        let evidence = tagged(name, &certificate);
        assert_eq!(evidence.kind, EvidenceKind::Quote, "{name}");
        let claims = Claims::parse(evidence.claims).unwrap();
        assert_eq!(claims.pubkey_hash.algorithm, HashAlgorithm::Sha256, "{name}");
        assert_eq!(claims.pubkey_hash.digest, Sha256::digest(certificate.spki).as_slice(), "{name}: key");
        assert_eq!((claims.nonce, claims.tls_exporter), (None, None), "{name}");
        assert_eq!((claims.receipt_key, claims.event_log), (None, None), "{name}");
        let quote = Quote::parse(evidence.evidence).unwrap();
        let expected = report_data(&Sha256::digest(evidence.claims).into());
        assert_eq!(quote.body.report_data(), &expected, "{name}: report data");
    }
}

#[test]
fn real_legacy_extensions_hold_quotes() {
    let quoted = |der: &[u8], oid: &str| {
        let other = x509_cert::Certificate::from_der(der).unwrap();
        let extensions = other.tbs_certificate().extensions().unwrap();
        let extension = extensions.iter().find(|extension| extension.extn_id.to_string() == oid).unwrap();
        *Quote::parse(extension.extn_value.as_bytes()).unwrap().body.report_data()
    };
    for (name, der) in real_certificates() {
        let certificate = Certificate::parse(&der).unwrap();
        if name == "gramine-cert.pem" {
            let expected = report_data(&Sha256::digest(certificate.spki).into());
            assert_eq!(quoted(&der, GRAMINE), expected, "Gramine's quote vouches for the key");
        } else {
            let claims = Sha256::digest(tagged(name, &certificate).claims).into();
            assert_eq!(quoted(&der, INTEL), report_data(&claims), "Intel's is the quote of the profile");
        }
    }
}

#[test]
fn the_key_is_the_one_that_another_parser_finds() {
    for (name, der) in real_certificates() {
        let other = x509_cert::Certificate::from_der(&der).unwrap();
        let spki = other.tbs_certificate().subject_public_key_info().to_der().unwrap();
        let certificate = Certificate::parse(&der).unwrap();
        assert_eq!(certificate.spki, spki, "{name}");
        let key = other.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes().unwrap();
        assert_eq!((certificate.key, key.len(), key[0]), (key, 97, 4), "{name}: a point of P-384");
    }
}

#[test]
fn real_evidence_is_written_as_it_was_read() {
    for (name, der) in real_certificates() {
        let certificate = Certificate::parse(&der).unwrap();
        let CertificateEvidence::Tagged(cbor) = certificate.evidence else { panic!("{name}") };
        let evidence = TaggedEvidence::parse(cbor).unwrap();
        assert_eq!(evidence.encode().unwrap(), cbor, "{name}");
        assert_eq!(Claims::parse(evidence.claims).unwrap().encode().unwrap(), evidence.claims, "{name}");
    }
}

#[test]
fn real_certificates_cut_or_flipped_never_panic() {
    for (name, der) in real_certificates() {
        for length in 0..der.len() {
            assert!(Certificate::parse(&der[..length]).is_err(), "{name} cut at {length}");
        }
        for at in 0..der.len() {
            let mut flipped = der.clone();
            flipped[at] ^= 0x41;
            if let Ok(Certificate { evidence: CertificateEvidence::Tagged(cbor), .. }) = Certificate::parse(&flipped) {
                let _ = TaggedEvidence::parse(cbor).map(|evidence| Claims::parse(evidence.claims).map(drop));
            }
        }
    }
}

/// DER by hand: tag, length, content.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82][..], &length[..], &content].concat().to_vec_shortest()
}

/// DER demands the shortest length.
trait Shortest {
    fn to_vec_shortest(self) -> Vec<u8>;
}

impl Shortest for Vec<u8> {
    fn to_vec_shortest(mut self) -> Vec<u8> {
        match (self[2], self[3]) {
            (0, low @ 0..=127) => drop(self.splice(1..4, [low])),
            (0, low) => drop(self.splice(1..4, [0x81, low])),
            _ => {}
        }
        self
    }
}

/// SubjectPublicKeyInfo of no algorithm.
fn spki() -> Vec<u8> {
    tlv(0x30, &[&tlv(0x30, &[]), b"\x03\x04\x00key"])
}

fn certificate(extensions: &[(&str, &[u8])]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = extensions
        .iter()
        .map(|(oid, value)| {
            let oid = const_oid::ObjectIdentifier::new_unwrap(oid).to_der().unwrap();
            tlv(0x30, &[&oid, &[1, 1, 0xff], &tlv(4, &[value])])
        })
        .collect();
    let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
    let empty = tlv(0x30, &[]);
    let (version, serial) = (tlv(0xa0, &[&[2, 1, 2]]), [2, 1, 1]);
    let extensions = tlv(0xa3, &[&tlv(0x30, &list)]);
    let tbs = tlv(0x30, &[&version, &serial, &empty, &empty, &empty, &empty, &spki(), &extensions]);
    tlv(0x30, &[&tbs, &empty, &[3, 2, 0, 1]])
}

const TAGGED: &str = "2.23.133.5.4.9";
const GRAMINE: &str = "0.6.9.42.840.113741.1337.6";
const RATS_TLS: &str = "1.2.840.113741.1337.6";
const INTEL: &str = "1.2.840.113741.1.13.1";
const OPEN_ENCLAVE: &str = "1.2.840.113556.10.1.1";

#[test]
fn the_profile_wins_over_what_came_before_it() {
    for extensions in [[(GRAMINE, &b"old"[..]), (TAGGED, b"new")], [(TAGGED, b"new"), (INTEL, b"old")]] {
        let der = certificate(&extensions);
        let found = Certificate::parse(&der).unwrap();
        assert_eq!(found.evidence, CertificateEvidence::Tagged(b"new"));
        assert_eq!((found.spki, found.key), (&spki()[..], &b"key"[..]));
    }
    for oid in [GRAMINE, RATS_TLS, INTEL, OPEN_ENCLAVE] {
        let der = certificate(&[("2.5.29.19", b"\x30\x00"), (oid, b"old")]);
        let CertificateEvidence::Legacy { oid: found, quote } = Certificate::parse(&der).unwrap().evidence else {
            panic!("a legacy extension")
        };
        assert_eq!((found.to_string().as_str(), quote), (oid, &b"old"[..]));
    }
    let der = certificate(&[("2.5.29.19", b"\x30\x00")]);
    assert_eq!(Certificate::parse(&der).unwrap().evidence, CertificateEvidence::Absent);
}

#[test]
fn an_object_identifier_inside_another_extension_is_not_found() {
    let inner = tlv(0x30, &[b"\x06\x06\x67\x81\x05\x05\x04\x09", &tlv(4, &[b"planted"])]);
    let der = certificate(&[("2.5.29.14", &inner)]);
    assert_eq!(Certificate::parse(&der).unwrap().evidence, CertificateEvidence::Absent);
}

#[test]
fn hostile_certificates_are_refused() {
    for oid in [TAGGED, GRAMINE, RATS_TLS, INTEL, OPEN_ENCLAVE] {
        let twice = certificate(&[(oid, b"a"), (oid, b"b")]);
        assert!(Certificate::parse(&twice).unwrap_err().to_string().contains("found two"), "{oid}");
    }
    let mut trailing = certificate(&[(TAGGED, b"a")]);
    trailing.push(0);
    assert!(Certificate::parse(&trailing).is_err());
    let huge = vec![0x30; MAX_CERTIFICATE + 1];
    assert!(matches!(Certificate::parse(&huge).unwrap_err().kind, Kind::TooLong { .. }));
}

fn claims() -> Claims<'static> {
    Claims {
        pubkey_hash: HashEntry::sha256(&[1; 32]),
        nonce: Some(&[2; 32]),
        tls_exporter: Some(&[3; 32]),
        receipt_key: Some(HashEntry { algorithm: HashAlgorithm::Sha512, digest: &[4; 64] }),
        event_log: Some(HashEntry::sha256(&[5; 32])),
    }
}

#[test]
fn claims_are_written_in_deterministic_order() {
    let written = claims().encode().unwrap();
    let names: Vec<usize> = ["nonce", "pubkey-hash", "receipt-key", "tls-exporter", "event-log-hash"]
        .iter()
        .map(|name| written.windows(name.len()).position(|window| window == name.as_bytes()).unwrap())
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(written[0], 0xa5);
    assert_eq!(Claims::parse(&written).unwrap(), claims());
}

#[test]
fn claims_of_others_are_skipped() {
    let hash = [&[0x58, 36, 0x82, 1, 0x58, 32][..], &[9; 32]].concat();
    let mut cbor = vec![0xa3];
    cbor.extend_from_slice(b"\x6bpubkey-hash");
    cbor.extend_from_slice(&hash);
    cbor.extend_from_slice(b"\x63etc\x82\xa1\x01\x02\x9f\x01\xff");
    cbor.extend_from_slice(b"\x05\xf6");
    let found = Claims::parse(&cbor).unwrap();
    assert_eq!((found.pubkey_hash.digest, found.nonce), (&[9; 32][..], None));
}

#[test]
fn hostile_claims_are_refused() {
    let hash = [&b"\x6bpubkey-hash"[..], &[0x58, 36, 0x82, 1, 0x58, 32], &[9; 32]].concat();
    let cases: [(&str, Vec<u8>); 9] = [
        ("empty", vec![]),
        ("no key hash", vec![0xa0]),
        ("not a map", vec![0x80]),
        ("indefinite map", [&[0xbf][..], &hash, &[0xff]].concat()),
        ("a claim twice", [&[0xa2][..], &hash, &hash].concat()),
        ("trailing", [&[0xa1][..], &hash, &[0]].concat()),
        ("absurd count", [&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], &hash].concat()),
        ("unknown hash algorithm", [&b"\xa1\x6bpubkey-hash\x43\x82\x02\x40"[..]].concat()),
        ("short hash", [&b"\xa1\x6bpubkey-hash\x43\x82\x01\x40"[..]].concat()),
    ];
    for (case, cbor) in cases {
        assert!(Claims::parse(&cbor).is_err(), "{case}");
    }
}

#[test]
fn tags_name_the_evidence() {
    for (kind, head) in [
        (EvidenceKind::Quote, [0xd9, 0xea, 0x60]),
        (EvidenceKind::TeeReport, [0xd9, 0xea, 0x61]),
        (EvidenceKind::LegacySgxReport, [0xd9, 0xea, 0x62]),
    ] {
        let written = TaggedEvidence { kind, evidence: b"e", claims: b"c" }.encode().unwrap();
        assert_eq!(written, [&head[..], b"\x82\x41e\x41c"].concat());
        assert_eq!(TaggedEvidence::parse(&written).unwrap().kind, kind);
    }
    for bad in [
        &b"\xd9\xea\x63\x82\x41e\x41c"[..],
        b"\x82\x41e\x41c",
        b"\xd9\xea\x60\x83\x41e\x41c\x41d",
        b"\xd9\xea\x60\x9f\x41e\x41c\xff",
    ] {
        assert!(TaggedEvidence::parse(bad).is_err(), "{bad:02x?}");
    }
}

#[test]
fn evidence_and_claims_cut_or_flipped_never_panic() {
    let claims = claims().encode().unwrap();
    let written = TaggedEvidence { kind: EvidenceKind::Quote, evidence: &[7; 300], claims: &claims }.encode().unwrap();
    for length in 0..written.len() {
        assert!(TaggedEvidence::parse(&written[..length]).is_err(), "cut at {length}");
    }
    for length in 0..claims.len() {
        assert!(Claims::parse(&claims[..length]).is_err(), "claims cut at {length}");
    }
    for at in 0..claims.len() {
        for value in 0..=255 {
            let mut altered = claims.clone();
            altered[at] = value;
            let _ = Claims::parse(&altered);
        }
    }
}

#[test]
fn exchange_messages() {
    let request = AttestRequest { nonce: vec![1; 32] };
    let again = AttestRequest::from_json(&request.to_json().unwrap()).unwrap();
    assert_eq!(again.nonce().unwrap(), &[1; 32]);
    assert!(AttestRequest { nonce: vec![1; 31] }.nonce().is_err());
    for log in [None, Some(vec![1, 2])] {
        let response = AttestResponse { evidence: vec![3], event_log: log };
        assert_eq!(AttestResponse::from_json(&response.to_json().unwrap()).unwrap(), response);
    }
    let unlogged = AttestResponse::from_json(br#"{"evidence":"AQ=="}"#).unwrap();
    assert_eq!(unlogged, AttestResponse { evidence: vec![1], event_log: None });
    assert!(AttestResponse::from_json(br#"{"evidence":"AQ==","evidence":"AQ=="}"#).is_err());
    assert!(AttestRequest::from_json(br#"{"nonce":"AQ==","more":1}"#).is_err());
}

proptest! {
    #[test]
    fn round_trips(evidence in prop::collection::vec(any::<u8>(), 0..400), key in any::<[u8; 32]>(),
                   nonce in prop::option::of(prop::collection::vec(any::<u8>(), 0..80)),
                   exporter in prop::option::of(any::<[u8; 32]>()), receipt in prop::option::of(any::<[u8; 32]>()), log in prop::option::of(any::<[u8; 32]>())) {
        let claims = Claims {
            pubkey_hash: HashEntry::sha256(&key),
            nonce: nonce.as_deref(),
            tls_exporter: exporter.as_ref().map(<[u8; 32]>::as_slice),
            receipt_key: receipt.as_ref().map(HashEntry::sha256),
            event_log: log.as_ref().map(HashEntry::sha256),
        };
        let cbor = claims.encode().unwrap();
        prop_assert_eq!(Claims::parse(&cbor).unwrap(), claims);
        let tagged = TaggedEvidence { kind: EvidenceKind::Quote, evidence: &evidence, claims: &cbor };
        let written = tagged.encode().unwrap();
        prop_assert_eq!(TaggedEvidence::parse(&written).unwrap(), tagged);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Certificate::parse(&bytes);
        let _ = TaggedEvidence::parse(&bytes);
        let _ = Claims::parse(&bytes);
    }
}
