//! Nitro documents: every public one is read, and no cut or change makes the parser panic or read past a length.

mod support;

use proptest::prelude::*;
use sealwright_wire::cose::{Algorithm, Sign1};
use sealwright_wire::nitro::{Document, MAX_DOCUMENT, MAX_FIELD, Statement};
use sealwright_wire::{Digest, Error, Kind};

/// Every document of the vectors: file, registers, certificates of the bundle, then the lengths of public key, user data and nonce.
const DOCUMENTS: [(&str, usize, usize, [Option<usize>; 3]); 6] = [
    ("aws.bin", 16, 4, [Some(64), None, None]),
    ("custom-root.bin", 16, 1, [Some(4), Some(3), None]),
    ("custom-root_pcr16.bin", 17, 1, [Some(4), Some(3), None]),
    ("debug-mode.bin", 16, 4, [Some(19), Some(13), None]),
    ("dstack-debug.cose", 16, 4, [None, Some(64), None]),
    ("nonce-256.bin", 16, 4, [None, None, Some(256)]),
];

#[test]
fn every_public_document_is_read() {
    let Some(folder) = support::vectors() else { return };
    for (name, pcrs, cabundle, [public_key, user_data, nonce]) in DOCUMENTS {
        let bytes = std::fs::read(folder.join("appraise/nitro").join(name)).unwrap();
        let document = Document::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let statement = &document.statement;
        assert_eq!(document.message.algorithm, Algorithm::Es384, "{name}");
        assert!(!document.message.tagged, "{name}");
        assert_eq!(document.message.signature.len(), 96, "{name}");
        assert_eq!((statement.pcrs.len(), statement.cabundle.len()), (pcrs, cabundle), "{name}");
        assert_eq!(statement.public_key.map(<[u8]>::len), public_key, "{name}");
        assert_eq!(statement.user_data.map(<[u8]>::len), user_data, "{name}");
        assert_eq!(statement.nonce.map(<[u8]>::len), nonce, "{name}");
        // Documents with a map of definite length are written back byte for byte.
        let definite = document.message.payload[0] == 0xa9;
        assert_eq!(definite, !name.starts_with("dstack"), "{name}");
        assert_eq!(statement.encode().unwrap() == document.message.payload, definite, "{name}");
        assert_eq!(document.message.encode().unwrap(), bytes, "{name}");
        for len in 0..bytes.len() {
            assert!(Document::parse(&bytes[..len]).is_err(), "{name} cut at {len}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x21;
            if let Ok(document) = Document::parse(&changed) {
                assert!(document.message.encode().is_ok(), "{name}: byte {at}");
            }
        }
    }
}

fn statement() -> Statement<'static> {
    Statement {
        module_id: "i-1-enc1",
        timestamp: 1_734_075_478_960,
        pcrs: (0..16).map(|index| (index, Digest([index; 48]))).collect(),
        certificate: b"leaf",
        cabundle: vec![b"root", b"issuer"],
        public_key: None,
        user_data: Some(b""),
        nonce: Some(&[9; 4]),
    }
}

fn document(statement: &Statement<'_>) -> Vec<u8> {
    statement.document(|_| [3; 96]).unwrap()
}

/// A document around this payload.
fn around(payload: &[u8]) -> Vec<u8> {
    let protected = [0xa1, 0x01, 0x38, 0x22];
    let message = Sign1 {
        tagged: true,
        protected: &protected,
        algorithm: Algorithm::Es384,
        payload,
        payload_at: 0,
        signature: &[3; 96],
    };
    message.encode().unwrap()
}

fn refused(payload: &[u8]) -> Error {
    Document::parse(&around(payload)).unwrap_err()
}

/// Replaces the first occurrence.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = document(&statement());
    let parsed = Document::parse(&bytes).unwrap();
    assert_eq!(parsed.statement, statement());
    assert_eq!(bytes[..6], [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22]);
    let tagged = around(parsed.message.payload);
    assert_eq!(Document::parse(&tagged).unwrap().statement, statement());
    let signed = parsed.message.signed_bytes().unwrap();
    assert!(signed.starts_with(b"\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40\x59"));
    assert!(signed.ends_with(parsed.message.payload));
}

#[test]
fn a_map_of_indefinite_length_and_unknown_members_are_read() {
    let payload = statement().encode().unwrap();
    let indefinite = [&[0xbf], &payload[1..], b"\x63new\x82\x01\xa1\x02\x03\x05\xf6", &[0xff]].concat();
    assert_eq!(Document::parse(&around(&indefinite)).unwrap().statement, statement());
    let open = [&[0xbf], &payload[1..]].concat();
    assert!(matches!(refused(&open).kind, Kind::Unexpected { .. }), "a map without its end");
}

#[test]
fn members_must_be_there_once_and_within_their_limits() {
    let payload = statement().encode().unwrap();
    for name in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"] {
        let other = replaced(&payload, name.as_bytes(), &vec![b'x'; name.len()]);
        let error = refused(&other).to_string();
        assert!(error.contains(&format!("the member {name}")), "{error}");
    }
    let twice = [&[0xaa], &payload[1..], b"\x66digest\x66SHA384"].concat();
    assert!(refused(&twice).to_string().contains("each key once"));
    assert!(refused(&replaced(&payload, b"SHA384", b"SHA256")).to_string().contains("expected SHA384"));
    let trailing = [payload.as_slice(), &[0]].concat();
    assert!(matches!(refused(&trailing).kind, Kind::Trailing { left: 1 }));
    let with = |change: &dyn Fn(&mut Statement<'_>)| {
        let mut statement = statement();
        change(&mut statement);
        Document::parse(&document(&statement)).unwrap_err().to_string()
    };
    assert!(with(&|statement| statement.pcrs.clear()).contains("1 to 32 registers"));
    assert!(with(&|statement| statement.pcrs[1].0 = 32).contains("index from 0 to 31"));
    assert!(with(&|statement| statement.pcrs[1].0 = 0).contains("each register once"));
    assert!(with(&|statement| statement.timestamp = 0).contains("a time"));
    assert!(with(&|statement| statement.module_id = "").contains("a name"));
    assert!(with(&|statement| statement.certificate = b"").contains("at least one byte"));
    assert!(with(&|statement| statement.cabundle.clear()).contains("at least one certificate"));
    assert!(with(&|statement| statement.cabundle = vec![b"x"; 9]).contains("limit of 8"));
    assert!(with(&|statement| statement.public_key = Some(b"")).contains("at least one byte"));
    assert!(with(&|statement| statement.nonce = Some(&[0; MAX_FIELD + 1])).contains("limit of 1024"));
    assert!(Document::parse(&vec![0; MAX_DOCUMENT + 1]).unwrap_err().to_string().contains("limit of 16384"));
    let short = replaced(&payload, &[&[0x58, 48][..], &[1; 48]].concat(), &[&[0x58, 32][..], &[1; 32]].concat());
    assert!(refused(&short).to_string().contains("fixed length"));
}

#[test]
fn headers_must_say_how_the_message_is_signed_and_nothing_else_that_matters() {
    let payload = [0x41, 0x00];
    let message = |protected: &[u8], unprotected: &[u8]| {
        let mut bytes = vec![0x84, 0x40 | u8::try_from(protected.len()).unwrap()];
        bytes.extend(protected);
        bytes.extend(unprotected);
        bytes.extend(payload);
        bytes.extend([0x41, 0x07]);
        Sign1::parse(&bytes).map(|message| message.algorithm).map_err(|error| error.to_string())
    };
    assert_eq!(message(&[0xa1, 0x01, 0x26], &[0xa0]), Ok(Algorithm::Es256));
    assert_eq!(message(&[0xa1, 0x01, 0x38, 0x23], &[0xa1, 0x04, 0x41, 0x01]), Ok(Algorithm::Es512));
    for (protected, unprotected, reason) in [
        (&[0xa0][..], &[0xa0][..], "the parameter alg"),
        (&[], &[0xa1, 0x01, 0x26], "CBOR"),
        (&[0xa1, 0x01, 0x26], &[0xa1, 0x01, 0x26], "in the protected header only"),
        (&[0xa1, 0x01, 0x27], &[0xa0], "-7 (ES256)"),
        (&[0xa1, 0x01, 0x05], &[0xa0], "-7 (ES256)"),
        (&[0xa2, 0x01, 0x26, 0x01, 0x26], &[0xa0], "each key once"),
        (&[0xa2, 0x01, 0x26, 0x02, 0x81, 0x03], &[0xa0], "must be understood"),
        (&[0xa1, 0x01, 0x26, 0x00], &[0xa0], "left over"),
        (&[0xa1, 0x01, 0x26], &[0x80], "CBOR"),
    ] {
        let error = message(protected, unprotected).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    for bytes in [
        &b"\xd1\x84\x43\xa1\x01\x26\xa0\x41\x00\x41\x07"[..],
        b"\x83\x43\xa1\x01\x26\xa0\x41\x00",
        b"\x84\x43\xa1\x01\x26\xa0\xf6\x41\x07",
    ] {
        assert!(Sign1::parse(bytes).is_err(), "another tag, another shape, a detached payload");
    }
}

#[test]
fn cuts_and_changes_never_panic_and_never_pass_for_the_same() {
    let bytes = document(&statement());
    for len in 0..bytes.len() {
        let error = Document::parse(&bytes[..len]).unwrap_err();
        assert!(error.offset <= len, "cut at {len}: {error}");
    }
    for at in 0..bytes.len() {
        for mask in [0x01, 0x20, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            if let Ok(document) = Document::parse(&changed) {
                let again = document.message.encode().unwrap();
                assert_eq!(Document::parse(&again).unwrap().statement, document.statement, "byte {at}");
            }
        }
    }
}

proptest! {
    #[test]
    fn statements_round_trip(
        module_id in "[ -~]{1,60}",
        timestamp in 1..u64::MAX,
        pcrs in prop::collection::btree_map(0u8..32, prop::array::uniform32(any::<u8>()), 1..33),
        certificate in prop::collection::vec(any::<u8>(), 1..1024),
        cabundle in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..9),
        user_data in prop::option::of(prop::collection::vec(any::<u8>(), 0..1024)),
        public_key in prop::option::of(prop::collection::vec(any::<u8>(), 1..1024)),
    ) {
        let wide = |half: &[u8; 32]| { let mut value = [0; 48]; value[..32].copy_from_slice(half); Digest(value) };
        let statement = Statement {
            module_id: &module_id,
            timestamp,
            pcrs: pcrs.iter().map(|(index, value)| (*index, wide(value))).collect(),
            certificate: &certificate,
            cabundle: cabundle.iter().map(Vec::as_slice).collect(),
            public_key: public_key.as_deref(),
            user_data: user_data.as_deref(),
            nonce: None,
        };
        let bytes = document(&statement);
        prop_assert_eq!(Document::parse(&bytes).unwrap().statement, statement);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Document::parse(&bytes);
        let _ = Document::parse(&around(&bytes));
    }
}
