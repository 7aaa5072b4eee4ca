//! TPM quotes: real ones are believed under their key alone, and everything that other verifiers forget to look at is refused.

mod machine;
#[path = "../../wire/tests/support/mod.rs"]
mod support;

use base64::Engine;
use machine::{Ak, Kind, Machine, at, registers};
use sealwright_verify::tpm::{AttestationKey, Evidence};
use sealwright_verify::{Anchor, AnchorKind, Anchors, Error, Facts, Part, replay, tpm};
use sealwright_wire::Tee;
use sealwright_wire::cel::{self, Encoding, Record};
use sealwright_wire::tcg2::{AlgorithmId, Log};
use sealwright_wire::tpm::{self as wire, Attributes, PcrSelection, PcrValues, Scheme, Signature, alg, tools};
use std::fs;
use std::path::Path;

const KINDS: [Kind; 5] = [Kind::RsaSsa, Kind::RsaSsa512, Kind::RsaPss, Kind::P256, Kind::P384];

// Real quotes.

/// The DER of a PEM file with one block.
fn pem(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD.decode(body).unwrap()
}

/// A quote of the vectors: key, message, signature, PCRs.
struct Real {
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
    pcrs: PcrValues,
    event_log: Option<Vec<u8>>,
    ima: Option<Vec<u8>>,
    cel: Option<Vec<u8>>,
}

impl Real {
    fn load(vectors: &Path, folder: &str, key: &str, stem: &str) -> Self {
        let folder = vectors.join("tpm-quote").join(folder);
        let read = |name: String| fs::read(folder.join(name)).unwrap();
        let (_, pcrs) = tools::read_pcrs(&read(format!("{stem}.pcrs"))).unwrap();
        let (message, signature) = (read(format!("{stem}.msg")), read(format!("{stem}.sig")));
        Self { key: pem(&folder.join(key)), message, signature, pcrs, event_log: None, ima: None, cel: None }
    }

    fn booted(vectors: &Path, name: &str, list: &str) -> Self {
        let folder = vectors.join("tpm-quote/qemu-swtpm").join(name);
        Self {
            event_log: Some(fs::read(folder.join("binary_bios_measurements")).unwrap()),
            ima: Some(fs::read(folder.join(list)).unwrap()),
            ..Self::load(vectors, &format!("qemu-swtpm/{name}"), "ak.pub", "quote")
        }
    }

    fn verify(&self, anchors: &Anchors) -> Result<Facts, Error> {
        let evidence = Evidence {
            message: &self.message,
            signature: Signature::parse(&self.signature)
                .map_err(|source| Error::Malformed { part: Part::TpmQuote, source })?,
            pcrs: &self.pcrs,
            key: AttestationKey::KeyInfo(&self.key),
            event_log: self.event_log.as_deref(),
            ima: self.ima.as_deref(),
            cel: self.cel.as_deref(),
        };
        tpm::verify(&evidence, anchors, at())
    }

    fn anchors(&self) -> Anchors {
        Anchors::none().with(Anchor::attestation_key("desk", &self.key).unwrap())
    }
}

#[test]
fn a_real_quote_is_believed_under_its_enrolled_key_alone() {
    let Some(vectors) = support::vectors() else { return };
    let real = Real::load(&vectors, "swtpm", "ak.pem", "q");
    let facts = real.verify(&real.anchors()).unwrap();
    assert_eq!(facts.tee(), Tee::Tpm);
    assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("desk", AnchorKind::Enrolled));
    assert_eq!(hex::encode(facts.report_data()), "00112233445566778899aabbccddeeff");
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!(json["tpm"]["pcr16"], "9851312028952521510e8eaab5be94e7dc24b5fc292b2e9781173cf11ffa9878");
    assert_eq!(json["tpm"]["banks"]["sha1"]["16"], "00629997206c7d587b4ed79aabc3db58c32e1492");
    assert_eq!(json["tpm"]["banks"]["sha256"].as_object().unwrap().len(), 5);
    assert_eq!(json["tpm"]["firmware_version"], "2019102300163636");
    assert_eq!(json["tpm"]["ak_origin"], "enrolled");
    assert_eq!(json["log"]["present"], false);
    assert!(facts.debug().is_none() && json.get("debug").is_none(), "a TPM has no bit that would say so");
    for anchors in [Anchors::none(), Anchors::vendor(), Machine::new(Kind::P256).anchors] {
        let error = real.verify(&anchors).unwrap_err();
        assert_eq!(error.code(), "attestation-key-not-enrolled", "{error}");
    }
}

#[test]
fn no_byte_of_a_real_quote_can_be_changed() {
    let Some(vectors) = support::vectors() else { return };
    let real = Real::load(&vectors, "swtpm", "ak.pem", "q");
    let anchors = real.anchors();
    for at in 0..real.message.len() {
        let mut changed = Real::load(&vectors, "swtpm", "ak.pem", "q");
        changed.message[at] ^= 0x01;
        assert_eq!(changed.verify(&anchors).unwrap_err().code(), "quote-signature", "byte {at}");
    }
    for at in 0..real.signature.len() {
        let mut changed = Real::load(&vectors, "swtpm", "ak.pem", "q");
        changed.signature[at] ^= 0x01;
        assert!(changed.verify(&anchors).is_err(), "byte {at} of the signature");
    }
}

#[test]
fn a_real_boot_in_canonical_form_explains_the_quote_as_the_firmware_s_log_does() {
    let Some(vectors) = support::vectors() else { return };
    let mut real = Real::booted(&vectors, "ng", "ima_ascii");
    let firmware = real.event_log.take().unwrap();
    let log = Log::parse(&firmware).unwrap();
    let records: Vec<_> = (0..).zip(log.events()).map(|(number, event)| Record::from_event(number, &event)).collect();
    for encoding in [Encoding::Tlv, Encoding::Json, Encoding::JsonSeq, Encoding::Cbor] {
        real.cel = Some(cel::Log::encode(encoding, &records).unwrap());
        let facts = real.verify(&real.anchors()).unwrap();
        let log = facts.pcr_log().unwrap();
        let name = encoding.name();
        assert!((0..=7).all(|pcr| log.enforced().any(|name| name == replay::PCR_NAMES[pcr])), "{name}");
        let cel = log.cel().unwrap();
        assert_eq!((log.events(), cel.records, cel.records_behind), (0, records.len(), 0), "{name}");
        assert!(cel.contradicted.is_empty() && log.ima_lines() == 54, "{name}");
    }
    // Without its last event that extends, a register has another value.
    let last = records.iter().rposition(Record::extends).unwrap();
    real.cel = Some(cel::Log::encode(Encoding::Tlv, &records[..last]).unwrap());
    assert_eq!(real.verify(&real.anchors()).unwrap_err().code(), "event-log-mismatch");
    // What the firmware's log told before is not covered a second time.
    real.cel = Some(cel::Log::encode(Encoding::Tlv, &records).unwrap());
    real.event_log = Some(firmware.clone());
    let facts = real.verify(&real.anchors()).unwrap();
    let cel = facts.pcr_log().unwrap().cel().unwrap();
    assert_eq!((cel.records, cel.records_behind), (0, records.len()));
}

#[test]
fn trustee_s_evidence_is_believed_only_when_its_key_is_enrolled() {
    let Some(vectors) = support::vectors() else { return };
    let json = fs::read(vectors.join("tpm-quote/trustee/tpm_evidence.json")).unwrap();
    let parsed = wire::Evidence::from_json(&json).unwrap();
    let real = Real {
        key: parsed.ak_public.clone(),
        message: parsed.tpm_quote.message.clone(),
        signature: parsed.tpm_quote.signature.clone(),
        pcrs: parsed.tpm_quote.values().unwrap(),
        event_log: None,
        ima: None,
        cel: None,
    };
    let facts = real.verify(&real.anchors()).unwrap();
    assert_eq!(facts.claims().tpm().unwrap().scheme, "rsassa");
    assert_eq!(real.verify(&Anchors::vendor()).unwrap_err().code(), "attestation-key-not-enrolled");
}

#[test]
fn a_real_boot_log_and_ima_list_explain_the_quote_that_is_older_than_the_list() {
    let Some(vectors) = support::vectors() else { return };
    for (name, list, lines, behind) in [
        ("ng", "ima_ascii", None, None),
        ("ima", "ima_ascii", Some(54), Some(2)),
        ("ima", "ima_binary", Some(54), Some(2)),
    ] {
        let real = Real::booted(&vectors, name, list);
        let facts = real.verify(&real.anchors()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let log = facts.pcr_log().unwrap();
        assert_eq!((log.events(), log.events_behind()), (24, 0), "{name}");
        assert_eq!(log.enforced().count(), 11, "{name}: {log:?}");
        assert_eq!(log.unexplained().count(), 0, "{name}");
        assert!(log.ima_lines() > 0);
        if let (Some(lines), Some(behind)) = (lines, behind) {
            assert_eq!((log.ima_lines(), log.ima_lines_behind()), (lines, behind), "{name} {list}");
        }
        assert!(log.ima_padded().is_empty());
        let json = serde_json::to_value(&facts).unwrap();
        assert_eq!(json["log"]["present"], true);
        assert_eq!(json["log"]["enforced"][10], "pcr10");
    }
}

#[test]
fn without_its_list_pcr_10_is_unexplained_and_a_log_of_another_boot_is_refused() {
    let Some(vectors) = support::vectors() else { return };
    let mut real = Real::booted(&vectors, "ng", "ima_ascii");
    let list = real.ima.take();
    let facts = real.verify(&real.anchors()).unwrap();
    assert_eq!(facts.pcr_log().unwrap().unexplained().collect::<Vec<_>>(), ["pcr10"]);
    let changed_log = {
        let mut log = real.event_log.clone().unwrap();
        // A digest of the first record behind the header.
        log[110] ^= 1;
        log
    };
    let whole = real.event_log.replace(changed_log);
    assert_eq!(real.verify(&real.anchors()).unwrap_err().code(), "event-log-mismatch");
    real.event_log = whole;
    real.ima = list.map(|list| list.split_inclusive(|byte| *byte == b'\n').take(10).collect::<Vec<_>>().concat());
    let error = real.verify(&real.anchors()).unwrap_err();
    assert_eq!((error.code(), error.claim()), ("event-log-mismatch", "pcr10"), "{error}");
    // Only the IMA list: PCR 0 to 9 are told by nobody.
    let mut real = Real::booted(&vectors, "ng", "ima_ascii");
    real.event_log = None;
    let facts = real.verify(&real.anchors()).unwrap();
    assert_eq!(facts.pcr_log().unwrap().enforced().filter(|name| *name == "pcr10").count(), 1);
    assert!(facts.pcr_log().unwrap().unexplained().any(|name| name == "pcr0"));
}

// Machines of our own making.

#[test]
fn every_kind_of_key_signs() {
    for kind in KINDS {
        let machine = Machine::new(kind);
        let facts = machine.verify().unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(facts.report_data(), b"challenge");
        assert_eq!(facts.anchor().kind, AnchorKind::Enrolled);
        let claims = facts.claims().tpm().unwrap();
        assert_eq!((claims.clock, claims.reset_count, claims.restart_count, claims.safe), (1000, 2, 3, true));
        assert_eq!(claims.pcr(7), Some([8; 32].as_slice()));
        assert_eq!(claims.pcr(1), None, "what the quote does not select is no fact");
        let attributes = claims.ak_attributes.unwrap();
        assert!(attributes.restricted && attributes.sign && attributes.fixed_tpm && !attributes.decrypt);
        assert_eq!(claims.ak_attributes_from, Some("enrolment"));
        assert!(claims.ak_name.as_deref().unwrap().starts_with("000b"));
    }
}

#[test]
fn a_quote_signed_by_another_key_is_refused() {
    for kind in [Kind::P256, Kind::P384] {
        let mut machine = Machine::new(kind);
        machine.signer = Some(Ak::new(kind));
        assert_eq!(machine.refusal(), "quote-signature", "{kind:?}");
    }
    // A signature of RSA under a scheme that the key does not have.
    let mut machine = Machine::new(Kind::RsaSsa);
    machine.scheme = alg::RSAPSS;
    machine.area_scheme = Some(Some(Scheme { algorithm: alg::RSASSA, hash: Some(AlgorithmId::SHA256), count: None }));
    assert_eq!(machine.refusal(), "attestation-key-scheme");
    let mut machine = Machine::new(Kind::P256);
    machine.area_scheme = Some(Some(Scheme { algorithm: alg::ECDSA, hash: Some(AlgorithmId::SHA384), count: None }));
    machine.anchors = Anchors::none().with(Anchor::attestation_key_area("machine", &machine.area()).unwrap());
    assert_eq!(machine.refusal(), "attestation-key-scheme");
}

#[test]
fn a_key_with_the_attributes_of_another_is_not_enrolled_and_not_believed() {
    for (bits, name) in [
        (0x0004_0032, "restricted"),
        (0x0001_0032, "sign"),
        (0x0007_0032, "decrypt"),
        (0x0005_0030, "fixedTPM"),
        (0x0005_0022, "fixedParent"),
        (0x0005_0012, "sensitiveDataOrigin"),
    ] {
        let mut machine = Machine::new(Kind::P256);
        machine.attributes = Attributes(bits);
        let error = Anchor::attestation_key_area("machine", &machine.area()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        // Enrolled by its key alone, which says nothing of attributes.
        machine.anchors = Anchors::none().with(Anchor::attestation_key("machine", &machine.key_info()).unwrap());
        let error = machine.verify().unwrap_err();
        assert_eq!(error.code(), "attestation-key-attributes");
        assert!(error.to_string().contains(name), "{error}");
    }
    let mut machine = Machine::new(Kind::P256);
    for scheme in [None, Some(Scheme { algorithm: alg::ECDAA, hash: Some(AlgorithmId::SHA256), count: Some(1) })] {
        machine.area_scheme = Some(scheme);
        assert_eq!(machine.refusal(), "attestation-key-scheme");
    }
}

#[test]
fn an_enrolled_area_is_not_exchanged_for_another_of_the_same_key() {
    let mut machine = Machine::new(Kind::P256);
    machine.attributes = Attributes(0x0005_0072);
    assert_eq!(machine.refusal(), "attestation-key-mismatch");
    // Named by the key alone, the enrolled area holds.
    let facts = machine.verify_with(AttestationKey::KeyInfo(&machine.key_info())).unwrap();
    assert!(!facts.claims().tpm().unwrap().ak_attributes.unwrap().user_with_auth);
    machine.anchors = Anchors::none().with(Anchor::attestation_key("machine", &machine.key_info()).unwrap());
    let facts = machine.verify().unwrap();
    assert_eq!(facts.claims().tpm().unwrap().ak_attributes_from, Some("evidence"));
    let facts = machine.verify_with(AttestationKey::KeyInfo(&machine.key_info())).unwrap();
    assert_eq!(facts.claims().tpm().unwrap().ak_attributes, None);
}

/// A change to the message.
type Change = fn(&mut Vec<u8>);

#[test]
fn what_a_restricted_key_would_never_sign_is_refused() {
    let cases: [(&str, Change); 4] = [
        ("another magic", |message| message[0] = 0),
        ("another type", |message| message[5] = 0x17),
        ("a byte more", |message| message.push(0)),
        ("cut short", |message| message.truncate(100)),
    ];
    for (name, change) in cases {
        let mut machine = Machine::new(Kind::P256);
        machine.message = change;
        assert_eq!(machine.refusal(), "malformed-evidence", "{name}");
    }
}

#[test]
fn a_sha_1_signature_is_refused() {
    let mut machine = Machine::new(Kind::P256);
    machine.hash = AlgorithmId::SHA1;
    machine.anchors = Anchors::none().with(Anchor::attestation_key_area("machine", &machine.area()).unwrap());
    assert_eq!(machine.refusal(), "weak-quote-hash");
}

#[test]
fn pcr_values_must_be_those_of_the_quote() {
    let mut machine = Machine::new(Kind::P256);
    let (hash, mut values) = (AlgorithmId::SHA256, PcrValues::new());
    machine.sent = Some(values.clone());
    assert_eq!(machine.refusal(), "pcr-missing");
    // Another value, in either bank.
    for bank in [AlgorithmId::SHA256, AlgorithmId::SHA384] {
        let mut values = PcrValues::new();
        for (hash, pcr, value) in registers().iter() {
            let mut value = value.to_vec();
            if (hash, pcr) == (bank, 7) {
                value[0] ^= 1;
            }
            values.insert(hash, pcr, &value).unwrap();
        }
        machine.sent = Some(values);
        let error = machine.verify().unwrap_err();
        assert_eq!(error.code(), "pcr-digest-mismatch", "{bank}");
        assert!(error.expected().is_some() && error.actual().is_some());
    }
    // One that the quote does not select may be anything, and is no fact.
    for (hash, pcr, value) in registers().iter() {
        let other = vec![0xee; value.len()];
        values.insert(hash, pcr, if pcr == 5 { &other } else { value }).unwrap();
    }
    machine.sent = Some(values);
    let facts = machine.verify().unwrap();
    assert_eq!(facts.claims().tpm().unwrap().pcrs.get(hash, 5), None);
    machine.sent = None;
    machine.pcr_digest = Some(vec![0; 32]);
    assert_eq!(machine.refusal(), "pcr-digest-mismatch");
}

/// What CVE-2024-29039 was in another verifier: the values hash to the quote's digest, but are said to be of other registers.
#[test]
fn values_of_selected_registers_cannot_pass_for_others() {
    let mut machine = Machine::new(Kind::P256);
    machine.select = vec![PcrSelection::new(AlgorithmId::SHA256, [0, 7, 23])];
    let mut file = machine.pcr_file();
    machine.sent = Some(tools::read_pcrs(&file).unwrap().1);
    machine.verify().unwrap();
    // The file's own selection: PCR 8 in place of PCR 7.
    assert_eq!(file[7..10], [0x81, 0x00, 0x80]);
    (file[7], file[8]) = (0x01, 0x01);
    let (_, values) = tools::read_pcrs(&file).unwrap();
    assert_eq!(values.get(AlgorithmId::SHA256, 8), Some([8; 32].as_slice()));
    machine.sent = Some(values);
    assert_eq!(machine.refusal(), "pcr-missing");
}

#[test]
fn the_digest_goes_bank_by_bank_in_the_quote_s_order() {
    let mut machine = Machine::new(Kind::P256);
    machine.verify().unwrap();
    let straight = machine.message_bytes();
    machine.select.reverse();
    machine.verify().unwrap();
    assert_ne!(straight, machine.message_bytes());
    let digest = straight[straight.len() - 32..].to_vec();
    machine.pcr_digest = Some(digest);
    assert_eq!(machine.refusal(), "pcr-digest-mismatch", "the digest of the other order");
    machine.pcr_digest = None;
    machine.select = vec![];
    let facts = machine.verify().unwrap();
    assert!(facts.claims().tpm().unwrap().pcrs.is_empty(), "a quote over nothing says nothing");
    machine.select = vec![PcrSelection { hash: AlgorithmId(0x99), size: 3, bits: 1 }];
    machine.pcr_digest = Some(vec![0; 32]);
    assert_eq!(machine.refusal(), "pcr-missing", "a bank of unknown size");
}

#[test]
fn an_enrolled_key_is_no_root_and_a_root_no_enrolled_key() {
    let machine = Machine::new(Kind::P256);
    let enrolled = machine.anchors.iter().next().unwrap().clone();
    assert_eq!(enrolled.id().kind, AnchorKind::Enrolled);
    assert_eq!(enrolled.simulated().id().kind, AnchorKind::Simulated);
    for key_info in [[].as_slice(), &[0x30; 40]] {
        assert!(Anchor::attestation_key("nonsense", key_info).is_err());
        assert!(Anchor::attestation_key_area("nonsense", key_info).is_err());
    }
}
