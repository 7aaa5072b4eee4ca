//! Reports of Azure's paravisor: the public ones are read and written back, and no cut or change makes the parser panic.

mod support;

use proptest::prelude::*;
use sealwright_wire::hcl::{self, Evidence, Header, Jwk, Quote, Report, ReportType, RuntimeClaims};
use sealwright_wire::tcg2::AlgorithmId;
use sealwright_wire::tpm::{Attest, Attributes, Key, Public};
use std::fs;
use std::path::Path;
use zerocopy::FromZeros;

fn read(vectors: &Path, file: &str) -> Vec<u8> {
    fs::read(vectors.join("vtpm").join(file)).unwrap()
}

#[test]
fn public_reports_are_read_and_written_back() {
    let Some(vectors) = support::vectors() else { return };
    for (file, version, report_type, secure_boot, id) in [
        ("az-snp-vtpm/hcl-report.bin", 1, ReportType::Snp, true, "911B0EF8-9DBA-48B0-B275-4E4DF2D39252"),
        ("az-tdx-vtpm/hcl-report.bin", 2, ReportType::Tdx, true, "6332533D-5649-4D02-8AA7-8F64B7C3EE21"),
    ] {
        let bytes = read(&vectors, file);
        let report = Report::parse(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!((report.header.version.get(), report.report_type), (version, report_type), "{file}");
        assert_eq!(report.hash, AlgorithmId::SHA256, "{file}");
        assert_eq!(report.encode().unwrap(), bytes[..bytes.len() - report.padding], "{file}");
        let claims = RuntimeClaims::parse(report.claims).unwrap();
        assert_eq!(claims.vm_configuration.secure_boot, Some(secure_boot), "{file}");
        assert_eq!(claims.vm_configuration.vm_unique_id.as_deref(), Some(id), "{file}");
        assert_eq!(claims.user_data, [0; 64], "{file}");
        assert_eq!(claims.to_json().unwrap().as_bytes(), report.claims, "{file}: as the paravisor writes them");
        assert_eq!(claims.attestation_key().unwrap().len(), 294, "{file}: RSA 2048");
    }
}

#[test]
fn evidence_is_read_in_each_version() {
    let Some(vectors) = support::vectors() else { return };
    for (file, report_type) in [
        ("az-snp-vtpm/evidence-v0.json", ReportType::Snp),
        ("az-snp-vtpm/evidence-v1.json", ReportType::Snp),
        ("az-tdx-vtpm/evidence-v0.json", ReportType::Tdx),
    ] {
        let evidence = Evidence::from_json(&read(&vectors, file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(Report::parse(&evidence.hcl_report).unwrap().report_type, report_type, "{file}");
        assert_eq!(Attest::parse(&evidence.tpm_quote.message).unwrap().extra_data, b"challenge", "{file}");
        assert_eq!(evidence.tpm_quote.values().unwrap().len(), 24, "{file}");
        assert_eq!(evidence.vcek.is_some(), report_type == ReportType::Snp, "{file}");
        assert_eq!(evidence.td_quote.is_some(), report_type == ReportType::Tdx, "{file}");
        let written = Evidence::from_json(evidence.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(written.vcek_der().unwrap(), evidence.vcek_der().unwrap(), "{file}");
        assert_eq!(written, Evidence { version: 1, vcek: written.vcek.clone(), ..evidence.clone() }, "{file}");
        let old = Evidence::from_json(evidence.to_json_v0().unwrap().as_bytes()).unwrap();
        assert_eq!(old.vcek_der().unwrap(), evidence.vcek_der().unwrap(), "{file}");
        assert_eq!(old, Evidence { version: 0, vcek: old.vcek.clone(), ..evidence }, "{file}");
    }
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for file in ["az-snp-vtpm/evidence-v0.json", "az-tdx-vtpm/evidence-v0.json"] {
        let text = String::from_utf8(read(&vectors, file)).unwrap();
        let evidence = Evidence::from_json(text.as_bytes()).unwrap();
        assert_eq!(json(&evidence.to_json_v0().unwrap()), json(&text), "{file}, as trustee writes it");
    }
    let text = String::from_utf8(read(&vectors, "az-snp-vtpm/evidence-v1.json")).unwrap();
    let evidence = Evidence::from_json(text.as_bytes()).unwrap();
    assert_eq!(json(&evidence.to_json().unwrap()), json(&text), "as trustee writes it");
    let no_certificate = Evidence { vcek: Some("no base64!".into()), ..evidence };
    assert!(no_certificate.to_json().is_err() && no_certificate.to_json_v0().is_err());
    assert!(Evidence::from_json(text.replace("\"version\": 1", "\"version\": 2").as_bytes()).is_err());
}

/// In PEM and in base64 it is the same certificate.
#[test]
fn the_certificate_of_the_processor_s_key_is_read_in_both_forms() {
    let Some(vectors) = support::vectors() else { return };
    let of = |file| Evidence::from_json(&read(&vectors, file)).unwrap();
    let (pem, base64) = (of("az-snp-vtpm/evidence-v0.json"), of("az-snp-vtpm/evidence-v1.json"));
    assert!(pem.vcek.as_deref().unwrap().starts_with("-----BEGIN"));
    let der = pem.vcek_der().unwrap().unwrap();
    assert_eq!(der[..2], [0x30, 0x82]);
    assert_eq!(base64.vcek_der().unwrap(), Some(der));
    let twice = Evidence { vcek: pem.vcek.as_ref().map(|text| format!("{}\n{text}", text.trim())), ..pem };
    assert!(twice.vcek_der().is_err());
    assert!(Evidence { vcek: Some("no base64!".into()), ..base64 }.vcek_der().is_err());
}

const CLAIMS: &str = r#"{"keys":[{"kid":"HCLAkPub","key_ops":["sign"],"kty":"RSA","e":"AQAB","n":"qR7LqAABDczZ"}],
"vm-configuration":{"secure-boot":true,"new-thing":1},"user-data":""}"#;

fn sample() -> Vec<u8> {
    let mut header = Header::new_zeroed();
    header.version.set(2);
    hcl::encode(&header, &[7; hcl::HARDWARE_REPORT], ReportType::Snp, AlgorithmId::SHA256, b"{\"claims\":1}").unwrap()
}

#[test]
fn every_cut_is_refused_and_zeros_may_follow() {
    let bytes = sample();
    for len in 0..bytes.len() {
        assert!(Report::parse(&bytes[..len]).is_err(), "cut at {len}");
    }
    let mut padded = bytes.clone();
    padded.extend([0; 50]);
    assert_eq!(Report::parse(&padded).unwrap().padding, 50);
    padded.push(1);
    assert!(Report::parse(&padded).unwrap_err().to_string().contains("expected zeros to the end"));
}

#[test]
fn a_changed_byte_is_refused_or_kept() {
    let bytes = sample();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x01;
        if let Ok(report) = Report::parse(&changed) {
            assert_eq!(report.encode().unwrap(), changed, "byte {at}");
        }
    }
    for (at, value, message) in [
        (0, b'X', "HCL report signature at byte 0: expected HCLA, found 58434c41"),
        (4, 3, "HCL report version at byte 4: expected 1 or 2, found 3"),
        (8, 1, "report size at byte 8: expected the sum of the sizes that it covers, found 1025"),
        (1216, 1, "data size at byte 1216: expected the sum of the sizes that it covers, found 1"),
        (1220, 2, "HCL request data version at byte 1220: expected 1, found 2"),
        (1224, 9, "HCL report type at byte 1224: expected 1 (VBS), 2 (SNP), 3 (TVM) or 4 (TDX), found 9"),
        (1228, 4, "report data hash type at byte 1228: expected 1 (SHA-256), 2 (SHA-384) or 3 (SHA-512), found 4"),
        (1234, 2, "variable data size at byte 1232: 131084 is over the limit of 65536"),
    ] {
        let mut changed = bytes.clone();
        changed[at] = value;
        assert_eq!(Report::parse(&changed).unwrap_err().to_string(), message);
    }
}

#[test]
fn claims_are_read_strictly_where_it_matters() {
    let user_data = "00".repeat(64);
    let claims = CLAIMS.replace("\"user-data\":\"\"", &format!("\"user-data\":\"{user_data}\""));
    let parsed = RuntimeClaims::parse(claims.as_bytes()).unwrap();
    assert_eq!(parsed.vm_configuration.console_enabled, None);
    parsed.attestation_key().unwrap();
    for (from, to, message) in [
        ("\"keys\":[", "\"keys\":[],\"keys\":[", "duplicate field"),
        ("\"secure-boot\":true", "\"secure-boot\":true,\"secure-boot\":false", "duplicate field"),
        ("\"secure-boot\":true", "\"secure-boot\":\"true\"", "expected a boolean"),
        (user_data.as_str(), "00", "expected 64 bytes in hex"),
        (
            "{\"kid\"",
            "{\"kid\":\"HCLAkPub\",\"key_ops\":[],\"kty\":\"RSA\",\"e\":\"\",\"n\":\"\"},{\"kid\"",
            "each key once",
        ),
    ] {
        let changed = claims.replacen(from, to, 1);
        assert_ne!(changed, claims);
        let error = RuntimeClaims::parse(changed.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    for (from, to) in
        [("HCLAkPub", "HCLEkPub"), ("\"sign\"", "\"encrypt\""), ("\"RSA\"", "\"EC\""), ("\"AQAB\"", "\"A!\"")]
    {
        let changed = claims.replacen(from, to, 1);
        assert!(RuntimeClaims::parse(changed.as_bytes()).unwrap().attestation_key().is_err(), "{to}");
    }
}

/// A key in its JSON is the key that was written, without zeros that the exponent would begin with.
#[test]
fn a_key_is_written_as_it_is_read() {
    for (exponent, text) in [(65_537, "AQAB"), (3, "Aw"), (0x8000_0001, "gAAAAQ")] {
        let mut modulus = [0x5a; 256];
        modulus[0] = 0xc3;
        let keys = vec![Jwk::rsa("HCLAkPub", "sign", &modulus, exponent)];
        assert_eq!(keys[0].e, text);
        let claims = RuntimeClaims { keys, vm_configuration: Default::default(), user_data: vec![0xab; 64] };
        let json = claims.to_json().unwrap();
        assert!(json.ends_with(&format!("\"user-data\":\"{}\"}}", "AB".repeat(64))), "{json}");
        let read = RuntimeClaims::parse(json.as_bytes()).unwrap();
        assert_eq!(read, claims);
        let area = Public {
            name_alg: AlgorithmId::SHA256,
            attributes: Attributes::ATTESTATION_KEY,
            auth_policy: &[],
            symmetric: None,
            scheme: None,
            key: Key::Rsa { bits: 2048, exponent, modulus: &modulus },
        };
        assert_eq!(read.attestation_key().unwrap(), area.key_info().unwrap());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = Report::parse(&bytes);
        let _ = RuntimeClaims::parse(&bytes);
        let _ = Evidence::from_json(&bytes);
    }

    #[test]
    fn a_written_report_is_read_back(claims in proptest::collection::vec(any::<u8>(), 0..500), kind in 0usize..4, hash in 0usize..3) {
        let report_type = [ReportType::Vbs, ReportType::Snp, ReportType::Tvm, ReportType::Tdx][kind];
        let hash = [AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SHA512][hash];
        let mut header = Header::new_zeroed();
        header.version.set(1);
        let bytes = hcl::encode(&header, &[3; hcl::HARDWARE_REPORT], report_type, hash, &claims).unwrap();
        let report = Report::parse(&bytes).unwrap();
        prop_assert_eq!((report.report_type, report.hash, report.claims), (report_type, hash, claims.as_slice()));
    }
}

/// A quote by itself, in the two forms in which the crates for Azure's vTPMs keep it.
#[test]
fn a_quote_by_itself_is_the_same_in_both_forms() {
    let Some(vectors) = support::vectors() else { return };
    for folder in ["az-snp-vtpm", "az-tdx-vtpm"] {
        let [bincode, json] =
            ["quote.bin", "tpm-quote-v1.json"].map(|file| read(&vectors, &format!("{folder}/{file}")));
        let quote = Quote::parse(&bincode).unwrap();
        assert_eq!(Quote::parse(&json).unwrap(), quote, "{folder}");
        assert_eq!(Attest::parse(&quote.message).unwrap().extra_data, b"challenge", "{folder}");
        for end in 0..bincode.len() {
            assert!(Quote::parse(&bincode[..end]).is_err(), "{folder}: cut at {end}");
        }
        assert!(Quote::parse(&[bincode, vec![0]].concat()).is_err(), "{folder}");
    }
}

#[test]
fn a_length_beyond_the_quote_is_refused_before_anything_is_kept() {
    for length in [u64::MAX, 1 << 40, 9] {
        let bytes = [&length.to_le_bytes()[..], &[0; 8]].concat();
        assert!(Quote::parse(&bytes).is_err(), "{length}");
    }
}
