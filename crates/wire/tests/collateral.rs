//! Collateral: bundles, signed documents and PEM chains of the vectors are read; what is written is read back; nothing that is
//! almost right is accepted.

mod support;

use proptest::prelude::*;
use sealwright_wire::collateral::{
    Bundle, Component, MAX_CERTIFICATES, MAX_JSON, QeId, QeIdentity, Signed, TcbInfo, TcbInfoId, TcbStatus,
    encode_pem_chain, pem_chain,
};
use sealwright_wire::{Kind, quote::Quote};
use std::fs;
use std::path::Path;

const BUNDLES: [&str; 4] = [
    "sgx/dcap-qvl-sgx-quote/collateral.json",
    "tdx/dcap-qvl-tdx-quote/collateral.json",
    "tdx/dcap-qvl-tdx-quote-outdated/collateral.json",
    "tdx/simulated/col.json",
];

fn bundle(vectors: &Path, file: &str) -> Bundle {
    Bundle::from_json(&fs::read(vectors.join("quote").join(file)).unwrap()).unwrap()
}

#[test]
fn public_bundles_are_read_and_written_back() {
    let Some(vectors) = support::vectors() else { return };
    for file in BUNDLES {
        let json = fs::read(vectors.join("quote").join(file)).unwrap();
        let bundle = bundle(&vectors, file);
        let original: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let mut written: serde_json::Value = serde_json::from_str(&bundle.to_json().unwrap()).unwrap();
        // Other writers say `null` where nothing is.
        for (key, value) in original.as_object().unwrap() {
            if value.is_null() {
                written[key] = serde_json::Value::Null;
            }
        }
        assert_eq!(written, original, "{file}");
    }
}

#[test]
fn signed_documents_say_what_their_text_says() {
    let Some(vectors) = support::vectors() else { return };
    for file in BUNDLES {
        let bundle = bundle(&vectors, file);
        let (info, identity) =
            (TcbInfo::parse(&bundle.tcb_info).unwrap(), QeIdentity::parse(&bundle.qe_identity).unwrap());
        // What we write is the same JSON as what Intel signed, up to order.
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(serde_json::to_value(&info).unwrap(), value(&bundle.tcb_info), "{file}");
        assert_eq!(serde_json::to_value(&identity).unwrap(), value(&bundle.qe_identity), "{file}");
    }
    let info = TcbInfo::parse(&bundle(&vectors, BUNDLES[1]).tcb_info).unwrap();
    assert_eq!((info.id, info.version, info.tcb_evaluation_data_number), (TcbInfoId::Tdx, 3, 17));
    assert_eq!(info.issue_date.to_string(), "2025-06-19T10:16:03Z");
    assert_eq!(info.module_identity(1).unwrap().tcb_levels[0].tcb.isvsvn, 4);
    assert!(info.module_identity(2).is_none());
    assert_eq!(info.tcb_levels[0].tcb.tdxtcbcomponents.as_ref().unwrap()[0].kind.as_deref(), Some("TDX Module"));
}

#[test]
fn a_response_holds_the_document_as_it_stands() {
    let signed = Signed { document: r#"{ "a" : [1.0, "\u00e9"]}"#, signature: [0xab; 64] };
    let json = format!(r#"{{"tcbInfo":{{ "a" : [1.0, "\u00e9"]}},"signature":"{}"}}"#, "ab".repeat(64));
    assert_eq!(signed.to_tcb_info_json(), json);
    assert_eq!(Signed::tcb_info(json.as_bytes()), Ok(signed.clone()));
    let json = json.replace("tcbInfo", "enclaveIdentity");
    assert_eq!(signed.to_qe_identity_json(), json);
    assert_eq!(Signed::qe_identity(json.as_bytes()), Ok(signed));
}

#[test]
fn intel_s_responses_keep_the_exact_text_that_was_signed() {
    let Some(vectors) = support::vectors() else { return };
    for (folder, id, version) in [("sgx/intel-qvl", TcbInfoId::Sgx, 2), ("tdx/intel-qvl-tdx", TcbInfoId::Tdx, 3)] {
        let read = |file: &str| fs::read(vectors.join("quote").join(folder).join(file)).unwrap();
        let json = read("tcbInfo.json");
        let signed = Signed::tcb_info(&json).unwrap();
        assert!(json.starts_with(format!("{{\"tcbInfo\":{}", signed.document).as_bytes()), "{folder}");
        assert_eq!(Signed::tcb_info(signed.to_tcb_info_json().as_bytes()), Ok(signed.clone()), "{folder}");
        let info = TcbInfo::parse(signed.document).unwrap();
        assert_eq!((info.id, info.version), (id, version), "{folder}");
        let json = read("qeIdentity.json");
        let signed = Signed::qe_identity(&json).unwrap();
        assert_eq!(Signed::qe_identity(signed.to_qe_identity_json().as_bytes()), Ok(signed.clone()), "{folder}");
        let identity = QeIdentity::parse(signed.document).unwrap();
        assert_eq!(identity.id, if id == TcbInfoId::Sgx { QeId::Qe } else { QeId::TdQe }, "{folder}");
        assert!(Signed::tcb_info(&json).is_err(), "{folder}: the other kind");
    }
    let json = fs::read(vectors.join("quote/tdx/go-tdx-guest-v5/sample_tcbinfo_response_v5.json")).unwrap();
    let info = TcbInfo::parse(Signed::tcb_info(&json).unwrap().document).unwrap();
    assert_eq!(hex::encode(info.fmspc), "90c06f000000");
}

#[test]
fn version_2_names_its_components_one_by_one() {
    let components: Vec<_> = (1..=16).map(|n| format!("\"sgxtcbcomp{n:02}svn\":{n}")).collect();
    let json = |components: &str| {
        format!(
            "{{\"version\":2,\"issueDate\":\"2019-09-05T07:47:07Z\",\"nextUpdate\":\"2029-09-05T07:47:07Z\",\
             \"fmspc\":\"00707F000000\",\"pceId\":\"0000\",\"tcbType\":0,\"tcbEvaluationDataNumber\":3,\"tcbLevels\":[\
             {{\"tcb\":{{{components},\"pcesvn\":3}},\"tcbDate\":\"2019-09-01T00:00:00Z\",\"tcbStatus\":\"UpToDate\"}}]}}"
        )
    };
    let info = TcbInfo::parse(&json(&components.join(","))).unwrap();
    let level = &info.tcb_levels[0];
    assert_eq!(level.tcb.sgxtcbcomponents[15], Component::new(16));
    assert_eq!((level.tcb.pcesvn, level.tcb_status, info.id), (3, TcbStatus::UpToDate, TcbInfoId::Sgx));
    assert!(TcbInfo::parse(&json(&components[1..].join(","))).is_err(), "15 components");
}

#[test]
fn damaged_json_is_refused_with_its_place() {
    let Some(vectors) = support::vectors() else { return };
    let bundle = bundle(&vectors, BUNDLES[1]);
    let text = &bundle.tcb_info;
    for len in 0..text.len() {
        assert!(TcbInfo::parse(&text[..len]).is_err(), "cut at {len}");
    }
    let at = text.find("UpToDate").unwrap();
    let error = TcbInfo::parse(&text.replacen("UpToDate", "Fine", 1)).unwrap_err();
    assert!(error.to_string().contains("unknown variant `Fine`"), "{error}");
    assert!((at..at + 8).contains(&error.offset), "{error}");
    for (from, to) in [
        ("\"version\":3", "\"version\":4"),
        ("\"fmspc\":\"B0C06F000000\"", "\"fmspc\":\"B0C06F0000\""),
        ("2025-06-19T10:16:03Z", "2025-06-31T10:16:03Z"),
        ("\"tdxModule\":", "\"module\":"),
        ("\"tdxtcbcomponents\":", "\"components\":"),
        ("\"svn\":2,", "\"svn\":-2,"),
        ("\"svn\":2,", "\"svn\":70000,"),
    ] {
        assert!(TcbInfo::parse(&text.replacen(from, to, 1)).is_err(), "{from} -> {to}");
    }
    let identity = &bundle.qe_identity;
    for (from, to) in [("TD_QE", "PCE"), ("\"version\":2", "\"version\":1"), ("\"isvprodid\":2", "\"isvprodid\":\"2\"")]
    {
        assert!(QeIdentity::parse(&identity.replacen(from, to, 1)).is_err(), "{from} -> {to}");
    }
}

#[test]
fn an_oversized_document_is_refused_before_it_is_read() {
    let huge = vec![b' '; MAX_JSON + 1];
    assert!(matches!(Bundle::from_json(&huge).unwrap_err().kind, Kind::TooLong { limit: MAX_JSON, .. }));
}

#[test]
fn a_bundle_without_a_member_or_with_odd_hex_is_refused() {
    let Some(vectors) = support::vectors() else { return };
    let json = bundle(&vectors, BUNDLES[1]).to_json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    for key in value.as_object().unwrap().keys() {
        let mut without = value.clone();
        without.as_object_mut().unwrap().remove(key);
        assert!(Bundle::from_json(without.to_string().as_bytes()).is_err(), "without {key}");
    }
    for (key, text) in [("tcb_info_signature", "00"), ("pck_crl", "0g"), ("root_ca_crl", "000")] {
        let mut odd = value.clone();
        odd[key] = text.into();
        assert!(Bundle::from_json(odd.to_string().as_bytes()).is_err(), "{key} = {text}");
    }
}

#[test]
fn chains_of_real_quotes_are_read_and_written_back() {
    let Some(vectors) = support::vectors() else { return };
    for file in ["sgx/dcap-qvl-sgx-quote/sgx_quote", "sgx/trustee-occlum/occlum_quote.dat", "tdx/simulated/q5"] {
        let bytes = fs::read(vectors.join("quote").join(file)).unwrap();
        let pem = Quote::parse(&bytes).unwrap().certification.data().to_vec();
        let chain = pem_chain("chain", &pem).unwrap();
        assert_eq!(chain.len(), 3, "{file}");
        assert_eq!(encode_pem_chain(&chain).as_bytes(), pem.strip_suffix(b"\0").unwrap_or(&pem), "{file}");
    }
}

/// Three "certificates" whose last lines have every length of base64 padding.
fn chain() -> (Vec<Vec<u8>>, Vec<u8>) {
    let certificates = vec![vec![1; 100], vec![2; 95], vec![3; 96]];
    let mut pem = encode_pem_chain(&certificates).into_bytes();
    pem.push(0);
    (certificates, pem)
}

#[test]
fn no_byte_of_a_chain_can_be_changed_unnoticed() {
    let (certificates, pem) = chain();
    assert_eq!(pem_chain("chain", &pem).unwrap(), certificates);
    for at in 0..pem.len() {
        for value in 0..=255 {
            let mut changed = pem.clone();
            changed[at] = value;
            if value != pem[at] {
                assert_ne!(
                    pem_chain("chain", &changed).ok().as_ref(),
                    Some(&certificates),
                    "byte {at} as {value:#04x}"
                );
            }
        }
    }
}

#[test]
fn a_chain_may_end_without_its_last_line_end_but_not_earlier() {
    let (certificates, pem) = chain();
    for len in 0..pem.len() {
        let complete = len + 2 >= pem.len();
        assert_eq!(pem_chain("chain", &pem[..len]).is_ok_and(|read| read == certificates), complete, "cut at {len}");
    }
}

#[test]
fn line_ends_of_windows_are_read() {
    let (certificates, pem) = chain();
    let text = String::from_utf8(pem).unwrap().replace('\n', "\r\n");
    assert_eq!(pem_chain("chain", text.as_bytes()).unwrap(), certificates);
}

#[test]
fn too_many_certificates_are_refused() {
    let pem = encode_pem_chain(&vec![vec![0; 10]; MAX_CERTIFICATES + 1]);
    assert!(matches!(pem_chain("chain", pem.as_bytes()).unwrap_err().kind, Kind::TooLong { .. }));
    assert!(pem_chain("chain", b"").is_err(), "no certificate at all");
}

proptest! {
    #[test]
    fn any_chain_survives_the_round_trip(
        chain in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 1..MAX_CERTIFICATES),
    ) {
        let pem = encode_pem_chain(&chain);
        prop_assert_eq!(pem_chain("chain", pem.as_bytes()).unwrap(), chain);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-A-Za-z0-9+/=\n\r\0 ]{0,400}") {
        let _ = pem_chain("chain", text.as_bytes());
        let _ = TcbInfo::parse(&text);
        let _ = Bundle::from_json(text.as_bytes());
    }
}
