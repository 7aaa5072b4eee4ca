//! Quotes: every public one is read and written back to the same bytes, the fields are those that other parsers saw, and no
//! cut or change makes the parser panic or read past a length.

mod support;

use proptest::prelude::*;
use sealwright_wire::quote::{self, Body, Builder, CertificationData, Header, Ppid, Quote};
use sealwright_wire::{Kind, Tee, sgx, tdx};
use std::fs;
use std::path::Path;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Every quote of the vectors: file, version, layout of its body, certification data type, bytes behind the signature data.
const QUOTES: [(&str, u16, &str, u16, usize); 14] = [
    ("sgx/dcap-qvl-sgx-quote/sgx_quote", 3, "sgx", 5, 0),
    ("sgx/intel-qvl/quote.dat", 3, "sgx", 1, 0),
    ("sgx/trustee-occlum/occlum_quote.dat", 3, "sgx", 5, 0),
    ("tdx/dcap-qvl-hex/quote-from-tappd.hex", 4, "td10", 5, 70),
    ("tdx/dcap-qvl-hex/tdx-quote.hex", 4, "td10", 5, 70),
    ("tdx/dcap-qvl-tdx-quote/tdx_quote", 4, "td10", 5, 70),
    ("tdx/dcap-qvl-tdx-quote-outdated/tdx_quote_outdated", 5, "td15", 5, 0),
    ("tdx/go-tdx-guest-v5/quote_v5_sample.dat", 5, "td15", 5, 0),
    ("tdx/intel-qvl-tdx/quote.dat", 4, "td10", 5, 0),
    ("tdx/simulated/q4", 4, "td10", 5, 0),
    ("tdx/simulated/q5", 5, "td15", 5, 0),
    ("tdx/trustee-tdx-quote-4/tdx_quote_4.dat", 4, "td10", 5, 0),
    ("tdx/trustee-tdx-quote-5/tdx_quote_5.dat", 5, "td15", 5, 0),
    ("../eventlog/ccel/evidence-api/quote.bin", 4, "td10", 5, 70),
];

fn read(vectors: &Path, file: &str) -> Vec<u8> {
    let bytes = fs::read(vectors.join("quote").join(file)).unwrap();
    if !file.ends_with(".hex") {
        return bytes;
    }
    let text = String::from_utf8(bytes).unwrap();
    hex::decode(text.trim().trim_start_matches("0x")).unwrap()
}

#[test]
fn every_public_quote_is_read_and_written_back() {
    let Some(vectors) = support::vectors() else { return };
    for (file, version, body, certification, trailing) in QUOTES {
        let bytes = read(&vectors, file);
        let quote = Quote::parse(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(quote.header.version.get(), version, "{file}");
        assert_eq!(quote.body.name(), body, "{file}");
        assert_eq!(quote.certification.kind(), certification, "{file}");
        assert_eq!(quote.trailing.len(), trailing, "{file}");
        assert_eq!(quote.tee(), if body == "sgx" { Tee::Sgx } else { Tee::Tdx }, "{file}");
        let written = Builder::from(&quote).encode().unwrap();
        assert_eq!(written, quote.without_trailing(), "{file}");
        assert_eq!(quote::signed_bytes(quote.header, &quote.body), quote.signed, "{file}");
    }
}

/// The bytes of a `name: [ ... ]` list in another parser's debug output.
fn listed(snapshot: &str, name: &str) -> Vec<u8> {
    let (_, after) = snapshot.split_once(&format!(" {name}: [")).unwrap_or_else(|| panic!("no {name}"));
    let (list, _) = after.split_once(']').unwrap();
    list.split(',').filter_map(|number| number.trim().parse().ok()).collect()
}

#[test]
fn a_tdx_quote_has_the_fields_that_dcap_qvl_saw() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = read(&vectors, "tdx/dcap-qvl-tdx-quote/tdx_quote");
    let snapshot = fs::read_to_string(vectors.join("quote/tdx/dcap-qvl-tdx-quote/parsed.snap")).unwrap();
    let quote = Quote::parse(&bytes).unwrap();
    let report = quote.body.td().unwrap();
    for (name, ours) in [
        ("user_data", quote.header.user_data.as_slice()),
        ("tee_tcb_svn", &report.tee_tcb_svn),
        ("mr_seam", &report.mr_seam),
        ("mr_signer_seam", &report.mr_signer_seam),
        ("seam_attributes", &report.seam_attributes),
        ("td_attributes", &report.td_attributes),
        ("xfam", &report.xfam),
        ("mr_td", &report.mr_td),
        ("mr_config_id", &report.mr_config_id),
        ("mr_owner", &report.mr_owner),
        ("mr_owner_config", &report.mr_owner_config),
        ("rt_mr0", &report.rt_mr[0]),
        ("rt_mr1", &report.rt_mr[1]),
        ("rt_mr2", &report.rt_mr[2]),
        ("rt_mr3", &report.rt_mr[3]),
        ("report_data", &report.report_data),
        ("ecdsa_signature", quote.signature),
        ("ecdsa_attestation_key", quote.attestation_key),
        ("qe_report", quote.qe_report.as_bytes()),
        ("qe_report_signature", quote.qe_report_signature),
        ("data", quote.qe_auth_data),
    ] {
        assert_eq!(listed(&snapshot, name), ours, "{name}");
    }
}

#[test]
fn an_sgx_quote_has_the_fields_that_dcap_qvl_saw() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = read(&vectors, "sgx/dcap-qvl-sgx-quote/sgx_quote");
    let snapshot = fs::read_to_string(vectors.join("quote/sgx/dcap-qvl-sgx-quote/parsed.snap")).unwrap();
    let quote = Quote::parse(&bytes).unwrap();
    let report = quote.body.sgx().unwrap();
    for (name, ours) in [
        ("cpu_svn", report.cpu_svn.as_slice()),
        ("attributes", &report.attributes),
        ("mr_enclave", &report.mr_enclave),
        ("mr_signer", &report.mr_signer),
        ("report_data", &report.report_data),
        ("ecdsa_signature", quote.signature),
        ("ecdsa_attestation_key", quote.attestation_key),
        ("qe_report", quote.qe_report.as_bytes()),
        ("qe_report_signature", quote.qe_report_signature),
        ("data", quote.qe_auth_data),
    ] {
        assert_eq!(listed(&snapshot, name), ours, "{name}");
    }
    assert_eq!((quote.header.qe_svn.get(), quote.header.pce_svn.get()), (10, 15));
}

#[test]
fn a_debug_domain_has_the_attributes_that_trustee_saw() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = read(&vectors, "tdx/trustee-tdx-quote-4/tdx_quote_4.dat");
    let claims = fs::read(vectors.join("quote/tdx/trustee-tdx-quote-4/parse_tdx_claims_expected.json")).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let quote = Quote::parse(&bytes).unwrap();
    let report = quote.body.td().unwrap();
    let attributes = report.attributes();
    for (name, ours) in [
        ("debug", attributes.debug()),
        ("key_locker", attributes.kl()),
        ("perfmon", attributes.perfmon()),
        ("protection_keys", attributes.pks()),
        ("septve_disable", attributes.sept_ve_disable()),
    ] {
        assert_eq!(claims["td_attributes"][name], ours, "{name}");
    }
    for (name, ours) in [
        ("mr_td", report.mr_td.as_slice()),
        ("mr_seam", &report.mr_seam),
        ("rtmr_0", &report.rt_mr[0]),
        ("rtmr_1", &report.rt_mr[1]),
        ("tcb_svn", &report.tee_tcb_svn),
        ("xfam", &report.xfam),
        ("report_data", &report.report_data),
    ] {
        assert_eq!(claims["quote"]["body"][name], hex::encode(ours), "{name}");
    }
}

#[test]
fn a_td_report_has_its_parts() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = fs::read(vectors.join("quote/tdx/tdreport/tdreport_for_test.dat")).unwrap();
    let report = tdx::TdReport::ref_from_bytes(&bytes).unwrap();
    assert_eq!(report.mac.report_type.to_bytes()[0], tdx::ReportMac::TYPE_TDX);
    assert_eq!(report.mac.reserved1, [0; 12]);
    assert_eq!(report.reserved, [0; 17]);
    assert_eq!(report.as_bytes(), bytes);
}

/// A quote of our own making; nothing in it is signed.
fn sample(version: u16, body: Body<'_>) -> Vec<u8> {
    let mut header = Header::new_zeroed();
    header.version.set(version);
    header.att_key_type.set(quote::KEY_TYPE_ECDSA_P256);
    header.tee_type.set(if body.tee() == Tee::Tdx { quote::TEE_TYPE_TDX } else { quote::TEE_TYPE_SGX });
    header.qe_vendor_id = quote::VENDOR_INTEL;
    let builder = Builder {
        header: &header,
        body,
        signature: &[1; 64],
        attestation_key: &[2; 64],
        qe_report: &sgx::ReportBody::new_zeroed(),
        qe_report_signature: &[3; 64],
        qe_auth_data: &[4; 5],
        certification: CertificationData::PckChain(b"chain"),
    };
    builder.encode().unwrap()
}

/// One sample of each version and body.
fn samples() -> Vec<Vec<u8>> {
    let enclave = sgx::ReportBody::new_zeroed();
    let (td10, td15) = (tdx::ReportBody10::new_zeroed(), tdx::ReportBody15::new_zeroed());
    let td15ex = tdx::ReportBody15Ex::new_zeroed();
    vec![
        sample(3, Body::Sgx(&enclave)),
        sample(4, Body::Sgx(&enclave)),
        sample(4, Body::Td10(&td10)),
        sample(5, Body::Sgx(&enclave)),
        sample(5, Body::Td10(&td10)),
        sample(5, Body::Td15(&td15)),
        sample(5, Body::Td15Ex(&td15ex)),
    ]
}

#[test]
fn every_version_and_body_is_read_back() {
    let expected = [(3, "sgx"), (4, "sgx"), (4, "td10"), (5, "sgx"), (5, "td10"), (5, "td15"), (5, "td15ex")];
    for (bytes, (version, body)) in samples().iter().zip(expected) {
        let quote = Quote::parse(bytes).unwrap();
        assert_eq!((quote.header.version.get(), quote.body.name()), (version, body));
        assert_eq!((quote.signature, quote.attestation_key), (&[1; 64], &[2; 64]));
        assert_eq!((quote.qe_report_signature, quote.qe_auth_data), (&[3; 64], [4; 5].as_slice()));
        assert_eq!(quote.certification, CertificationData::PckChain(b"chain"));
        assert_eq!(quote.raw, bytes);
    }
}

#[test]
fn a_body_must_exist_in_its_version() {
    let header = |version: u16, tee: u32| {
        let mut header = Header::new_zeroed();
        header.version.set(version);
        header.att_key_type.set(quote::KEY_TYPE_ECDSA_P256);
        header.tee_type.set(tee);
        header
    };
    let (enclave, td15) = (sgx::ReportBody::new_zeroed(), tdx::ReportBody15::new_zeroed());
    for (header, body) in [
        (header(4, quote::TEE_TYPE_TDX), Body::Td15(&td15)),
        (header(4, quote::TEE_TYPE_TDX), Body::Sgx(&enclave)),
        (header(5, quote::TEE_TYPE_SGX), Body::Td15(&td15)),
        (header(3, quote::TEE_TYPE_TDX), Body::Sgx(&enclave)),
        (header(6, quote::TEE_TYPE_SGX), Body::Sgx(&enclave)),
    ] {
        let builder = Builder {
            header: &header,
            body,
            signature: &[0; 64],
            attestation_key: &[0; 64],
            qe_report: &enclave,
            qe_report_signature: &[0; 64],
            qe_auth_data: &[],
            certification: CertificationData::PckChain(b""),
        };
        assert!(builder.encode().is_err(), "version {} with {}", header.version, body.name());
    }
}

#[test]
fn every_cut_is_refused_as_truncated_and_names_its_place() {
    for bytes in samples() {
        for len in 0..bytes.len() {
            let error = Quote::parse(&bytes[..len]).unwrap_err();
            assert!(matches!(error.kind, Kind::Truncated { .. }), "cut at {len}: {error}");
            assert!(error.offset <= len, "cut at {len}: {error}");
        }
    }
}

#[test]
fn a_changed_byte_never_panics_and_is_never_lost() {
    for bytes in samples() {
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= mask;
                if let Ok(quote) = Quote::parse(&changed) {
                    let written = Builder::from(&quote).encode().unwrap();
                    assert_eq!(written, quote.without_trailing(), "byte {at}");
                }
            }
        }
    }
}

#[test]
fn lengths_inside_the_signature_data_must_add_up() {
    let bytes = &samples()[0];
    let auth_len = 48 + 384;
    let mut longer = bytes.clone();
    longer.push(0);
    longer[auth_len] += 1;
    let error = Quote::parse(&longer).unwrap_err();
    assert_eq!(error.kind, Kind::Trailing { left: 1 }, "{error}");
    let mut padded = bytes.clone();
    padded.extend([7; 70]);
    let quote = Quote::parse(&padded).unwrap();
    assert_eq!(quote.trailing, [7; 70]);
    assert_eq!(quote.without_trailing(), bytes);
}

#[test]
fn what_is_not_supported_is_named() {
    let bytes = &samples()[6];
    for (at, value, message) in [
        (0, 2, "quote version at byte 0: expected 3, 4 or 5, found 2"),
        (2, 3, "attestation key type at byte 2: expected 2 (ECDSA P-256), found 3"),
        (4, 0x82, "TEE type at byte 4: expected 0 (SGX) or 0x81 (TDX), found 0x82"),
        (48, 9, "body type at byte 48: expected 1 (SGX), 2, 3 or 4 (TDX 1.0, 1.5, 1.5ex), found 9"),
        (50, 1, "body size at byte 50: expected the size of its body type, found 769"),
    ] {
        let mut changed = bytes.clone();
        changed[at] = value;
        assert_eq!(Quote::parse(&changed).unwrap_err().to_string(), message);
    }
}

#[test]
fn an_enclave_s_report_is_as_long_as_it_is_and_zero_where_it_is_reserved() {
    let mut report = sgx::Report::new_zeroed();
    report.body.mr_enclave = [7; 32];
    report.mac = [9; 16];
    let bytes = report.as_bytes().to_vec();
    assert_eq!(sgx::Report::parse(&bytes), Ok(&report));
    for len in 0..bytes.len() {
        assert!(sgx::Report::parse(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert!(sgx::Report::parse(&[&bytes[..], &[0]].concat()).is_err());
    let reserved = |at| matches!(at, 0x14..0x20 | 0x60..0x80 | 0xa0..0xc0 | 0x106..0x130);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x41;
        assert_eq!(sgx::Report::parse(&flipped).is_err(), reserved(at), "byte {at}");
    }
}

#[test]
fn a_platform_s_identity_has_the_length_of_its_type() {
    for (kind, ppid) in [(1, 16), (2, 256), (3, 384)] {
        let data: Vec<u8> = (0u8..=255).cycle().take(ppid + 20).collect();
        for len in 0..=data.len() {
            let read = CertificationData::parse(kind, &data[..len]);
            assert_eq!(read.is_ok(), len == ppid + 18 || len == ppid + 20, "type {kind}, {len} bytes");
        }
        let CertificationData::Platform(id) = CertificationData::parse(kind, &data).unwrap() else { panic!("{kind}") };
        let read = match id.ppid {
            Ppid::Plain(ppid) => ppid.as_slice(),
            Ppid::Rsa2048(encrypted) => encrypted,
            Ppid::Rsa3072(encrypted) => encrypted,
        };
        assert_eq!(read, &data[..ppid]);
        assert_eq!(id.cpu_svn, &data[ppid..ppid + 16]);
        assert_eq!(id.pce_svn.to_le_bytes(), data[ppid + 16..ppid + 18]);
        assert_eq!(id.pce_id.unwrap(), &data[ppid + 18..]);
        let longer = [&data[..], &[0]].concat();
        assert_eq!(CertificationData::parse(kind, &longer).unwrap_err().offset, ppid + 20);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = Quote::parse(&bytes);
    }

    #[test]
    fn a_built_quote_is_read_back(
        report in proptest::array::uniform32(any::<u8>()),
        auth in proptest::collection::vec(any::<u8>(), 0..100),
        chain in proptest::collection::vec(any::<u8>(), 0..300),
        kind in 4u16..9,
        trailing in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut body = tdx::ReportBody15::new_zeroed();
        body.base.mr_td[..32].copy_from_slice(&report);
        let mut header = Header::new_zeroed();
        header.version.set(5);
        header.att_key_type.set(quote::KEY_TYPE_ECDSA_P256);
        header.tee_type.set(quote::TEE_TYPE_TDX);
        let certification = CertificationData::parse(kind, &chain).unwrap();
        let builder = Builder {
            header: &header,
            body: Body::Td15(&body),
            signature: &[9; 64],
            attestation_key: &[8; 64],
            qe_report: &sgx::ReportBody::new_zeroed(),
            qe_report_signature: &[7; 64],
            qe_auth_data: &auth,
            certification,
        };
        let mut bytes = builder.encode().unwrap();
        let end = bytes.len();
        bytes.extend(&trailing);
        let quote = Quote::parse(&bytes).unwrap();
        prop_assert_eq!(quote.body, Body::Td15(&body));
        prop_assert_eq!(quote.qe_auth_data, &auth);
        prop_assert_eq!(quote.certification, certification);
        prop_assert_eq!(quote.trailing, &trailing);
        prop_assert_eq!(quote.without_trailing(), &bytes[..end]);
    }
}
