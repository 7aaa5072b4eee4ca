//! RA-TLS certificates of other makers: real ones, and ones of our own making whose quote is verified, too.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod site;

use base64::{Engine, engine::general_purpose::STANDARD};
use der::{Encode, asn1::OctetString};
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData};
use sealwright_verify::any::{self, Kind, Missing, Request, Root, Supplied};
use sealwright_verify::ratls::check_certificate;
use sealwright_verify::{Error, RatlsError, hash, verify};
use sealwright_wire::Evidence;
use sealwright_wire::ratls::{Claims, EvidenceKind, HashAlgorithm, HashEntry, TaggedEvidence, report_data};
use site::{Site, at};

const TAGGED: &[u64] = &[2, 23, 133, 5, 4, 9];
const GRAMINE: &[u64] = &[0, 6, 9, 42, 840, 113_741, 1337, 6];
const RATS_TLS: &[u64] = &[1, 2, 840, 113_741, 1337, 6];
const INTEL: &[u64] = &[1, 2, 840, 113_741, 1, 13, 1];
const OPEN_ENCLAVE: &[u64] = &[1, 2, 840, 113_556, 10, 1, 1];

#[test]
fn real_certificates_are_bound_to_their_quotes() {
    let Some(folder) = support::vectors() else { return };
    for name in ["gramine-cert.pem", "intel-sgxsdk-cert.pem"] {
        let pem = std::fs::read(folder.join("ratls").join(name)).unwrap();
        let der = sealwright_wire::collateral::pem_chain(name, &pem).unwrap().remove(0);
        let bound = check_certificate(&der).unwrap();
        assert!(bound.claims.is_some(), "{name}");
        assert!(bound.quote.body.sgx().unwrap().attributes().debug(), "{name}: a policy must refuse it");
        // Another key in the same certificate: nothing that was signed by an enclave has changed.
        let at = der.windows(bound.spki.len()).position(|window| window == bound.spki).unwrap();
        let mut other = der.clone();
        other[at + 60] ^= 1;
        let error = check_certificate(&other).unwrap_err();
        assert!(matches!(error, Error::Ratls(RatlsError::OtherKey { .. })), "{name}: {error}");
        // Without the profile's extension, Gramine's own form is left, and Intel's says nothing of the key.
        let oid = [0x06, 0x06, 0x67, 0x81, 0x05, 0x05, 0x04, 0x09];
        let at = der.windows(8).position(|window| window == oid).unwrap();
        let mut legacy = der.clone();
        legacy[at + 7] = 0x08;
        match check_certificate(&legacy) {
            Ok(bound) => assert!(name.starts_with("gramine") && bound.claims.is_none(), "{name}"),
            Err(error) => {
                assert!(matches!(&error, Error::Ratls(RatlsError::Unnamed { .. })), "{name}: {error}");
                assert!(name.starts_with("intel"), "{name}: {error}");
            }
        }
    }
}

/// Of a key by which Azure's attestation service signed tokens: its `kid` is the report data, too.
#[test]
fn a_real_key_of_azure_s_attestation_service_is_bound_to_its_quote() {
    let Some(folder) = support::vectors() else { return };
    let keys = std::fs::read(folder.join("appraise/tokens/maa/certs-2020.json")).unwrap();
    let keys: serde_json::Value = serde_json::from_slice(&keys).unwrap();
    let der = STANDARD.decode(keys["keys"][0]["x5c"][0].as_str().unwrap()).unwrap();
    let bound = check_certificate(&der).unwrap();
    assert_eq!(STANDARD.encode(&bound.quote.body.report_data()[..32]), keys["keys"][0]["kid"].as_str().unwrap());
    assert!(bound.claims.is_none());
    let at = der.windows(bound.spki.len()).position(|window| window == bound.spki).unwrap();
    let mut other = der.clone();
    other[at + 60] ^= 1;
    assert!(matches!(refused(&other), RatlsError::OtherReportData { of: "certificate's key", .. }));
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    hash::sha256(&[bytes]).0
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()
}

/// An enclave's quote with this report data, and the site that made it.
fn quote(data: [u8; 64]) -> (Site, Vec<u8>) {
    let mut site = Site::sgx();
    site.enclave().report_data = data;
    let quote = site.quote();
    (site, quote)
}

fn certificate(key: &KeyPair, oid: &[u64], value: &[u8]) -> Vec<u8> {
    let mut params = CertificateParams::new(vec!["peer.test".into()]).unwrap();
    params.custom_extensions = vec![CustomExtension::from_oid_content(oid, value.to_vec())];
    params.self_signed(key).unwrap().der().to_vec()
}

/// A certificate of the profile, whose claims name `named`.
fn tagged(key: &KeyPair, named: &[u8], kind: EvidenceKind, data: Option<[u8; 64]>) -> Vec<u8> {
    let hash = HashEntry { algorithm: HashAlgorithm::Sha256, digest: &sha256(named) };
    let claims = Claims { pubkey_hash: hash, nonce: None, tls_exporter: None, receipt_key: None, event_log: None };
    let claims = claims.encode().unwrap();
    let (_, quote) = quote(data.unwrap_or(report_data(&sha256(&claims))));
    let evidence = TaggedEvidence { kind, evidence: &quote, claims: &claims }.encode().unwrap();
    certificate(key, TAGGED, &evidence)
}

fn refused(certificate: &[u8]) -> RatlsError {
    match check_certificate(certificate) {
        Err(Error::Ratls(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_quote_in_a_legacy_certificate_is_verified_as_any_other() {
    for (oid, padding) in [(GRAMINE, 0), (RATS_TLS, 3000)] {
        let key = key();
        let spki = key.subject_public_key_info();
        let (site, mut bytes) = quote(report_data(&sha256(&spki)));
        bytes.resize(bytes.len() + padding, 0);
        let certificate = certificate(&key, oid, &bytes);
        let bound = check_certificate(&certificate).unwrap();
        assert_eq!(bound.spki, spki);
        let evidence = Evidence { quote: bound.quote, event_log: None, ima: None, cel: None };
        let facts = verify(&evidence, &site.collateral().unwrap(), at()).unwrap();
        assert_eq!(facts.report_data(), report_data(&sha256(&spki)));
        assert_eq!(facts.trailing_bytes(), padding);
    }
}

#[test]
fn a_quote_in_open_enclave_s_form_vouches_for_the_key_s_text() {
    let (mine, other) = (key(), key());
    let text = |key: &KeyPair| [key.public_key_pem().as_bytes(), b"\0"].concat();
    let (_, bytes) = quote(report_data(&sha256(&text(&mine))));
    let length = u64::try_from(bytes.len()).unwrap();
    let header = [&[1, 0, 0, 0, 2, 0, 0, 0], &length.to_le_bytes()[..]].concat();
    let of_azure = OctetString::new(bytes.as_slice()).unwrap().to_der().unwrap();
    for value in [[header.as_slice(), &bytes].concat(), of_azure, bytes.clone()] {
        let mine = certificate(&mine, OPEN_ENCLAVE, &value);
        assert_eq!(check_certificate(&mine).unwrap().quote.without_trailing(), bytes);
        assert!(matches!(refused(&certificate(&other, OPEN_ENCLAVE, &value)), RatlsError::OtherReportData { .. }));
    }
    // Without the text's last byte, and of the key as others hash it.
    let spki = mine.subject_public_key_info();
    for hashed in [mine.public_key_pem().as_bytes(), &spki] {
        let (_, bytes) = quote(report_data(&sha256(hashed)));
        assert!(matches!(refused(&certificate(&mine, OPEN_ENCLAVE, &bytes)), RatlsError::OtherReportData { .. }));
    }
    // A header that tells another length is none.
    let cut = [&header, &bytes[1..]].concat();
    assert_eq!(check_certificate(&certificate(&mine, OPEN_ENCLAVE, &cut)).unwrap_err().code(), "malformed-evidence");
}

#[test]
fn a_quote_for_another_key_vouches_for_none() {
    let (mine, other) = (key(), key());
    let (_, bytes) = quote(report_data(&sha256(&other.subject_public_key_info())));
    for oid in [GRAMINE, RATS_TLS] {
        let error = refused(&certificate(&mine, oid, &bytes));
        assert!(matches!(error, RatlsError::OtherReportData { of: "certificate's key", .. }), "{error}");
    }
    // More than the hash in the report data, and the hash of the point alone.
    let mut longer = report_data(&sha256(&mine.subject_public_key_info()));
    longer[63] = 1;
    for data in [longer, report_data(&sha256(mine.public_key_raw()))] {
        let error = refused(&certificate(&mine, RATS_TLS, &quote(data).1));
        assert!(matches!(error, RatlsError::OtherReportData { .. }), "{error}");
    }
    // Intel's form from before the profile names nothing that a certificate has.
    let (_, bytes) = quote(report_data(&sha256(&mine.subject_public_key_info())));
    assert!(matches!(refused(&certificate(&mine, INTEL, &bytes)), RatlsError::Unnamed { .. }));
}

#[test]
fn rsa_keys_are_hashed_with_or_without_what_stands_around_them() {
    let rsa = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let pkcs8 = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&rsa).unwrap();
    let key = KeyPair::try_from(pkcs8.as_ref()).unwrap();
    let (whole, bare) = (key.subject_public_key_info(), key.public_key_raw().to_vec());
    for (oid, hashed, good) in
        [(RATS_TLS, &whole, true), (RATS_TLS, &bare, true), (GRAMINE, &whole, true), (GRAMINE, &bare, false)]
    {
        let (_, bytes) = quote(report_data(&sha256(hashed)));
        assert_eq!(check_certificate(&certificate(&key, oid, &bytes)).is_ok(), good);
    }
}

#[test]
fn a_certificate_of_the_profile_is_bound_by_its_claims() {
    let (mine, other) = (key(), key());
    let spki = mine.subject_public_key_info();
    let good = tagged(&mine, &spki, EvidenceKind::Quote, None);
    assert!(check_certificate(&good).unwrap().claims.is_some());
    let error = refused(&tagged(&mine, &other.subject_public_key_info(), EvidenceKind::Quote, None));
    assert!(matches!(error, RatlsError::OtherKey { .. }), "{error}");
    let error = refused(&tagged(&mine, &spki, EvidenceKind::Quote, Some(report_data(&sha256(&spki)))));
    assert!(matches!(error, RatlsError::OtherReportData { of: "claims", .. }), "{error}");
    assert_eq!(refused(&tagged(&mine, &spki, EvidenceKind::TeeReport, None)), RatlsError::NotAQuote);
}

#[test]
fn certificates_without_usable_evidence_are_refused() {
    let key = key();
    assert_eq!(refused(&certificate(&key, &[1, 2, 3], b"x")), RatlsError::NoEvidence);
    let error = check_certificate(&certificate(&key, RATS_TLS, b"no quote")).unwrap_err();
    assert_eq!(error.code(), "malformed-evidence");
    let error = check_certificate(&certificate(&key, TAGGED, b"no evidence")).unwrap_err();
    assert_eq!((error.code(), error.claim()), ("malformed-evidence", "RA-TLS certificate"));
    let error = check_certificate(b"no certificate").unwrap_err();
    assert_eq!(error.code(), "malformed-evidence");
    assert_eq!(Error::from(RatlsError::NoEvidence).code(), "ratls-unbound");
}

/// The certificate, its quote and the collateral, as they lie in files.
#[test]
fn a_certificate_is_evidence_as_any_other() {
    let (mine, other) = (key(), key());
    let (site, bytes) = quote(report_data(&sha256(&mine.subject_public_key_info())));
    let mut supplied = Supplied::default();
    supplied.add(site.bundle().to_json().unwrap().as_bytes()).unwrap();
    let root = site.root_der();
    let request = Request { roots: vec![Root { name: "site", bytes: &root }], ..Request::new(&supplied, at()) };
    let der = certificate(&mine, RATS_TLS, &bytes);
    let pem = sealwright_wire::collateral::encode_pem_chain(&[&der]);
    for form in [der.as_slice(), pem.as_bytes(), hex::encode(&der).as_bytes()] {
        assert_eq!(Kind::of_text(form), Some((Kind::Ratls, der.clone())));
        assert!(request.verify(form).unwrap().tcb().is_some());
    }
    let stolen = certificate(&other, RATS_TLS, &bytes);
    let any::Error::Refused { error, .. } = request.verify(&stolen).unwrap_err() else { panic!("refused") };
    assert_eq!(error.code(), "ratls-unbound");
    let nothing = Supplied::default();
    let error = Request::new(&nothing, at()).verify(&der).unwrap_err();
    assert_eq!(error, any::Error::Missing { kind: Kind::Ratls, missing: Missing::IntelCollateral });
    let pck = sealwright_wire::collateral::pem_chain("chain", &site.chain()).unwrap().remove(0);
    // Certificates without evidence are none, and neither are those whose extension of the same name is Intel's word on a platform.
    for other in [certificate(&mine, &[1, 2, 3], b"x"), pck] {
        assert_eq!(Kind::of(&other), None);
    }
}
