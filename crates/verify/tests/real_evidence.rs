//! The answers of `vectors/quote/expected.json`, and what must not change them: real evidence, signed by Intel.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

use sealwright_verify::{Anchor, AnchorKind, Anchors, Collateral, Error, Facts, Issue, Part, TcbStatus, verify};
use sealwright_wire::collateral::{Bundle, Signed, encode_pem_chain, pem_chain};
use sealwright_wire::quote::{Builder, CertificationData, Quote};
use sealwright_wire::{Evidence, time::UnixTime};
use std::path::Path;

/// One quote of the vectors with its collateral.
struct Case {
    quote: Vec<u8>,
    bundle: Bundle,
    at: UnixTime,
}

impl Case {
    fn load(folder: &Path, name: &str, quote: &str, collateral: &str) -> Self {
        let read = |file: &str| std::fs::read(folder.join("quote").join(name).join(file)).unwrap();
        let expected = std::fs::read(folder.join("quote/expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
        Self {
            quote: read(quote),
            bundle: Bundle::from_json(&read(collateral)).unwrap(),
            at: UnixTime(expected[name]["now"].as_u64().unwrap()),
        }
    }

    fn verify(&self, anchors: &Anchors, at: UnixTime) -> Result<Facts, Error> {
        let collateral = Collateral::verify(&self.bundle, anchors, at)?;
        verify(&Evidence::parse(&self.quote, None).map_err(Error::malformed_quote)?, &collateral, at)
    }
}

fn sgx(folder: &Path) -> Case {
    Case::load(folder, "sgx/dcap-qvl-sgx-quote", "sgx_quote", "collateral.json")
}

fn tdx(folder: &Path) -> Case {
    Case::load(folder, "tdx/dcap-qvl-tdx-quote", "tdx_quote", "collateral.json")
}

fn simulated(folder: &Path, quote: &str) -> (Case, Anchor) {
    let root = std::fs::read(folder.join("quote/tdx/simulated/root.der")).unwrap();
    (Case::load(folder, "tdx/simulated", quote, "col.json"), Anchor::from_certificate("simulated", &root).unwrap())
}

#[test]
fn real_sgx_quote_is_genuine_at_its_status() {
    let Some(folder) = support::vectors() else { return };
    let case = sgx(&folder);
    let facts = case.verify(&Anchors::vendor(), case.at).unwrap();
    assert_eq!(facts.tcb().unwrap().status, TcbStatus::ConfigurationAndSWHardeningNeeded);
    assert_eq!(facts.tcb().unwrap().advisories, ["INTEL-SA-00289", "INTEL-SA-00615"]);
    assert_eq!(facts.tcb().unwrap().fmspc.to_string(), "00a067110000");
    assert_eq!(facts.anchor().kind, AnchorKind::Vendor);
    assert_eq!(facts.anchor().name, "intel-sgx-root");
}

#[test]
fn real_tdx_quote_is_genuine_and_up_to_date() {
    let Some(folder) = support::vectors() else { return };
    let case = tdx(&folder);
    let facts = case.verify(&Anchors::vendor(), case.at).unwrap();
    assert_eq!(facts.tcb().unwrap().status, TcbStatus::UpToDate);
    assert!(facts.tcb().unwrap().advisories.is_empty());
    assert_eq!(facts.tcb().unwrap().fmspc.to_string(), "b0c06f000000");
    assert_eq!(facts.trailing_bytes(), 70);
}

#[test]
fn outdated_tdx_quote_has_no_matching_level() {
    let Some(folder) = support::vectors() else { return };
    let case = Case::load(&folder, "tdx/dcap-qvl-tdx-quote-outdated", "tdx_quote_outdated", "collateral.json");
    let error = case.verify(&Anchors::vendor(), case.at).unwrap_err();
    assert_eq!(error.code(), "tcb-not-supported", "{error}");
    assert!(matches!(error, Error::NotSupported { part: Part::TcbInfo, .. }));
    assert_eq!(error.expected().as_deref(), Some("SGX TCB component 8 >= 5"));
    assert_eq!(error.actual().as_deref(), Some("SGX TCB component 8 = 3"));
}

/// Both of Intel's lists have the number 1, and the later one revokes 13 certificates more.
#[test]
fn a_real_revocation_list_is_not_taken_back_by_an_earlier_one_of_the_same_number() {
    let Some(folder) = support::vectors() else { return };
    let later = Case::load(&folder, "tdx/dcap-qvl-tdx-quote-outdated", "tdx_quote_outdated", "collateral.json");
    let [earlier, later] = [tdx(&folder), later]
        .map(|case| Collateral::verify(&case.bundle, &Anchors::vendor(), case.at).unwrap().issue());
    assert_eq!(earlier.pck_crl.number, later.pck_crl.number);
    assert_eq!(later.taken_back(&earlier), None);
    let put_back = Issue { pck_crl: earlier.pck_crl, ..later };
    let text = put_back.taken_back(&later).unwrap();
    assert!(text.starts_with("its PCK CRL is number 0x1 of 2025-06-19"), "{text}");
}

#[test]
fn simulated_quotes_stand_and_fall_with_their_root() {
    let Some(folder) = support::vectors() else { return };
    for quote in ["q4", "q5"] {
        let (case, root) = simulated(&folder, quote);
        let facts = case.verify(&Anchors::none().with(root), case.at).unwrap();
        assert_eq!(facts.tcb().unwrap().status, TcbStatus::UpToDate, "{quote}");
        assert_eq!(facts.anchor().kind, AnchorKind::Configured, "{quote}");
        assert_eq!(case.verify(&Anchors::vendor(), case.at).unwrap_err().code(), "untrusted-root", "{quote}");
    }
}

/// Verifies with one byte of the quote changed, against collateral that was verified before.
fn with_byte(case: &Case, collateral: &Collateral, at: usize, mask: u8) -> Result<Facts, Error> {
    let mut quote = case.quote.clone();
    quote[at] ^= mask;
    verify(&Evidence::parse(&quote, None).map_err(Error::malformed_quote)?, collateral, case.at)
}

fn no_byte_can_be_changed(case: &Case, signed: usize) {
    let collateral = Collateral::verify(&case.bundle, &Anchors::vendor(), case.at).unwrap();
    for at in 0..signed {
        // The lowest bit, the bit that changes a letter's case, the bits between LF and CR, all bits.
        for mask in [0x01, 0x20, 0x07, 0xff] {
            let result = with_byte(case, &collateral, at, mask);
            let Err(error) = result else { panic!("byte {at} with mask {mask:#04x} is not noticed") };
            // The collateral is as the vendor sent it: whoever fetches it again has the same quote still.
            let blamed = ["collateral-signature", "malformed-collateral"].contains(&error.code());
            assert!(!blamed, "byte {at} with mask {mask:#04x}: {error}");
        }
    }
    for at in signed..case.quote.len() {
        assert!(with_byte(case, &collateral, at, 0xff).is_ok(), "byte {at} is padding");
    }
}

#[test]
fn what_a_platform_remembers_lets_no_changed_byte_pass() {
    let Some(folder) = support::vectors() else { return };
    let case = tdx(&folder);
    let collateral = Collateral::verify(&case.bundle, &Anchors::vendor(), case.at).unwrap();
    let evidence = Evidence::parse(&case.quote, None).unwrap();
    let platform = collateral.platform(evidence.quote.certification.data(), case.at).unwrap();
    let facts = platform.verify(&evidence, case.at).unwrap();
    for at in 0..4936 {
        let mut quote = case.quote.clone();
        quote[at] ^= 0x01;
        let result = Evidence::parse(&quote, None).map(|evidence| platform.verify(&evidence, case.at));
        assert!(!matches!(result, Ok(Ok(_))), "byte {at} is not noticed");
    }
    let again = platform.verify(&evidence, case.at).unwrap();
    assert_eq!(serde_json::to_value(again).unwrap(), serde_json::to_value(facts).unwrap());
}

#[test]
fn no_byte_up_to_the_end_of_an_sgx_quote_s_signature_data_can_be_changed() {
    let Some(folder) = support::vectors() else { return };
    no_byte_can_be_changed(&sgx(&folder), 4600);
}

#[test]
fn no_byte_up_to_the_end_of_a_tdx_quote_s_signature_data_can_be_changed() {
    let Some(folder) = support::vectors() else { return };
    no_byte_can_be_changed(&tdx(&folder), 4936);
}

#[test]
fn no_cut_of_a_quote_is_accepted() {
    let Some(folder) = support::vectors() else { return };
    for (case, signed) in [(sgx(&folder), 4600), (tdx(&folder), 4936)] {
        let collateral = Collateral::verify(&case.bundle, &Anchors::vendor(), case.at).unwrap();
        for len in 0..case.quote.len() {
            let accepted =
                Evidence::parse(&case.quote[..len], None).is_ok_and(|e| verify(&e, &collateral, case.at).is_ok());
            assert_eq!(accepted, len >= signed, "cut at {len}");
        }
    }
}

#[test]
fn evidence_is_refused_out_of_the_collateral_s_window() {
    let Some(folder) = support::vectors() else { return };
    for case in [sgx(&folder), tdx(&folder)] {
        let collateral = Collateral::verify(&case.bundle, &Anchors::vendor(), case.at).unwrap();
        let (from, until) = (collateral.valid_from(), collateral.expires());
        for at in [from, until] {
            case.verify(&Anchors::vendor(), at).unwrap();
        }
        let late = case.verify(&Anchors::vendor(), until.plus(1)).unwrap_err();
        assert_eq!(late.code(), "collateral-expired");
        assert!(late.to_string().contains(&until.to_string()), "{late}");
        let year = case.verify(&Anchors::vendor(), case.at.plus(366 * 86_400)).unwrap_err();
        assert_eq!(year.code(), "collateral-expired");
        let early = case.verify(&Anchors::vendor(), UnixTime(from.0 - 1)).unwrap_err();
        assert_eq!(early.code(), "collateral-not-yet-valid");
        // Nor is what was verified in time usable out of it.
        let quote = Evidence::parse(&case.quote, None).unwrap();
        assert_eq!(verify(&quote, &collateral, until.plus(1)).unwrap_err().code(), "collateral-expired");
    }
}

#[test]
fn real_evidence_is_refused_under_another_root() {
    let Some(folder) = support::vectors() else { return };
    let (_, other) = simulated(&folder, "q4");
    for case in [sgx(&folder), tdx(&folder)] {
        for anchors in [Anchors::none(), Anchors::none().with(other.clone())] {
            assert_eq!(case.verify(&anchors, case.at).unwrap_err().code(), "untrusted-root");
        }
        case.verify(&Anchors::none().with(other.clone()).with(Anchor::intel()), case.at).unwrap();
    }
}

#[test]
fn the_built_in_key_is_that_of_intel_s_root_certificate() {
    let Some(folder) = support::vectors() else { return };
    let der = std::fs::read(folder.join("quote/intel-root/TrustedRootCA.der")).unwrap();
    let anchor = Anchor::from_certificate("intel-sgx-root", &der).unwrap();
    assert_eq!(anchor, Anchor::intel(), "same key, so same kind and digest");
}

/// Verifies the TDX collateral with one part changed.
fn refused(case: &Case, name: &str, change: impl FnOnce(&mut Bundle)) {
    let mut bundle = case.bundle.clone();
    change(&mut bundle);
    assert!(Collateral::verify(&bundle, &Anchors::vendor(), case.at).is_err(), "{name} is not noticed");
}

/// The text with the lowest bit of one byte changed.
fn flipped(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] ^= 1;
    String::from_utf8(bytes).unwrap()
}

#[test]
fn no_byte_of_the_signed_documents_can_be_changed() {
    let Some(folder) = support::vectors() else { return };
    let case = tdx(&folder);
    for at in 0..64 {
        refused(&case, "TCB info signature", |bundle| bundle.tcb_info_signature[at] ^= 1);
        refused(&case, "QE identity signature", |bundle| bundle.qe_identity_signature[at] ^= 1);
    }
    for at in 0..case.bundle.tcb_info.len() {
        refused(&case, "TCB info", |bundle| bundle.tcb_info = flipped(&bundle.tcb_info, at));
    }
    for at in 0..case.bundle.qe_identity.len() {
        refused(&case, "QE identity", |bundle| bundle.qe_identity = flipped(&bundle.qe_identity, at));
    }
}

#[test]
fn no_byte_of_the_collateral_s_certificates_can_be_changed() {
    let Some(folder) = support::vectors() else { return };
    let case = tdx(&folder);
    for at in 0..case.bundle.pck_crl_issuer_chain.len() {
        let chain = flipped(&case.bundle.pck_crl_issuer_chain, at);
        refused(&case, "PCK CA chain", |bundle| bundle.pck_crl_issuer_chain = chain);
    }
    for at in 0..case.bundle.tcb_info_issuer_chain.len() {
        let chain = flipped(&case.bundle.tcb_info_issuer_chain, at);
        refused(&case, "TCB info chain", |bundle| bundle.tcb_info_issuer_chain = chain.clone());
        refused(&case, "QE identity chain", |bundle| bundle.qe_identity_issuer_chain = chain);
    }
}

#[test]
fn no_byte_of_the_revocation_lists_can_be_changed() {
    let Some(folder) = support::vectors() else { return };
    let case = tdx(&folder);
    for at in 0..case.bundle.root_ca_crl.len() {
        refused(&case, "root CRL", |bundle| bundle.root_ca_crl[at] ^= 1);
    }
    for at in 0..case.bundle.pck_crl.len() {
        refused(&case, "PCK CRL", |bundle| bundle.pck_crl[at] ^= 1);
        refused(&case, "a cut PCK CRL", |bundle| bundle.pck_crl.truncate(at));
    }
    refused(&case, "a byte behind the PCK CRL", |bundle| bundle.pck_crl.push(0));
}

#[test]
fn no_cut_of_a_certificate_is_an_anchor() {
    let Some(folder) = support::vectors() else { return };
    let der = std::fs::read(folder.join("quote/intel-root/TrustedRootCA.der")).unwrap();
    for len in 0..der.len() {
        assert!(Anchor::from_certificate("cut", &der[..len]).is_err(), "cut at {len}");
    }
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 0x01;
        assert!(Anchor::from_certificate("changed", &changed).is_err(), "byte {at} is not noticed");
    }
}

#[test]
fn a_platform_verified_once_serves_its_own_quotes_only() {
    let Some(folder) = support::vectors() else { return };
    let (case, other) = (tdx(&folder), sgx(&folder));
    let quote = Evidence::parse(&case.quote, None).unwrap();
    let collateral = Collateral::verify(&case.bundle, &Anchors::vendor(), case.at).unwrap();
    let platform = collateral.platform(quote.quote.certification.data(), case.at).unwrap();
    let facts = platform.verify(&quote, case.at).unwrap();
    let once = verify(&quote, &collateral, case.at).unwrap();
    assert_eq!(serde_json::to_value(&facts).unwrap(), serde_json::to_value(&once).unwrap());
    let foreign = Evidence::parse(&other.quote, None).unwrap();
    assert_eq!(platform.verify(&foreign, case.at).unwrap_err().code(), "other-platform");
    assert_eq!(platform.verify(&quote, platform.expires().plus(1)).unwrap_err().code(), "collateral-expired");
}

#[test]
fn facts_have_the_keys_that_policies_read() {
    let Some(folder) = support::vectors() else { return };
    let case = tdx(&folder);
    let facts = serde_json::to_value(case.verify(&Anchors::vendor(), case.at).unwrap()).unwrap();
    assert_eq!(facts["tee"], "tdx");
    assert_eq!(facts["anchor"]["kind"], "vendor");
    assert_eq!(facts["at"], "2025-06-20T10:16:00Z");
    assert_eq!(facts["tcb"]["status"], "UpToDate");
    assert_eq!(facts["tcb"]["evaluation_number"], 17);
    assert_eq!(facts["tcb"]["module_status"], "UpToDate");
    assert_eq!(facts["tcb"]["date"], "2024-03-13T00:00:00Z");
    assert_eq!(facts["collateral_expires"], "2025-07-19T10:00:35Z");
    assert_eq!(facts["debug"], false);
    assert_eq!(facts["tdx"]["body"], "td10");
    assert_eq!(facts["tdx"]["sept_ve_disable"], true);
    assert_eq!(facts["tdx"]["servtd_ext"], false);
    assert_eq!(facts["log"]["present"], false);
    assert_eq!(facts["tdx"]["mrtd"].as_str().unwrap().len(), 96);
    let sgx = sgx(&folder);
    let facts = serde_json::to_value(sgx.verify(&Anchors::vendor(), sgx.at).unwrap()).unwrap();
    assert_eq!(facts["sgx"]["mr_enclave"].as_str().unwrap().len(), 64);
    assert_eq!(
        (&facts["sgx"]["init"], &facts["sgx"]["mode64bit"]),
        (&true.into(), &true.into()),
        "every 64-bit enclave"
    );
    assert!(facts.get("tdx").is_none());
}

/// Intel's own samples: certificates, lists and documents as single files, with a root of their own. The chains of one of
/// them begin with the root.
fn intel_sample(folder: &Path, root_first: bool) -> (Vec<u8>, Bundle, Anchors) {
    let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
    let text = |file: &str| {
        let mut certificates = pem_chain("sample", &read(file)).unwrap();
        if root_first {
            certificates.reverse();
        }
        encode_pem_chain(&certificates)
    };
    let (tcb_info, qe_identity) = (read("tcbInfo.json"), read("qeIdentity.json"));
    let (tcb_info, qe_identity) = (Signed::tcb_info(&tcb_info).unwrap(), Signed::qe_identity(&qe_identity).unwrap());
    let bundle = Bundle {
        pck_crl_issuer_chain: text("pckSignChain.pem"),
        root_ca_crl: read("rootCaCrl.der"),
        pck_crl: read("intermediateCaCrl.der"),
        tcb_info_issuer_chain: text("tcbSignChain.pem"),
        tcb_info: tcb_info.document.to_owned(),
        tcb_info_signature: tcb_info.signature,
        qe_identity_issuer_chain: text("tcbSignChain.pem"),
        qe_identity: qe_identity.document.to_owned(),
        qe_identity_signature: qe_identity.signature,
        pck_certificate_chain: Some(text("pckCert.pem") + &text("pckSignChain.pem")),
    };
    let root = pem_chain("root", &read("trustedRootCaCert.pem")).unwrap().remove(0);
    let anchor = Anchor::from_certificate("intel-sample", &root).unwrap();
    (read("quote.dat"), bundle, Anchors::none().with(anchor))
}

#[test]
fn intel_s_sgx_sample_is_accepted() {
    let Some(folder) = support::vectors() else { return };
    // TCB info of version 2, no authentication data, certification data of type 1, masks that cover everything.
    let (quote, bundle, anchors) = intel_sample(&folder.join("quote/sgx/intel-qvl"), false);
    let at = UnixTime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let evidence = Evidence::parse(&quote, None).unwrap();
    let facts = verify(&evidence, &Collateral::verify(&bundle, &anchors, at).unwrap(), at).unwrap();
    assert_eq!(facts.anchor().kind, AnchorKind::Configured);
    assert_eq!(facts.tcb().unwrap().status, TcbStatus::UpToDate);
    let without = Bundle { pck_certificate_chain: None, ..bundle };
    let error = verify(&evidence, &Collateral::verify(&without, &anchors, at).unwrap(), at).unwrap_err();
    assert_eq!(error, Error::CertificationData { kind: 1 });
}

#[test]
fn intel_s_tdx_sample_has_another_module() {
    let Some(folder) = support::vectors() else { return };
    let (quote, bundle, anchors) = intel_sample(&folder.join("quote/tdx/intel-qvl-tdx"), true);
    let at = UnixTime::parse_rfc3339("2023-01-01T00:00:00Z").unwrap();
    let collateral = Collateral::verify(&bundle, &anchors, at).unwrap();
    // The sample's chain is raw DER in place of PEM; nothing signs it, so it can be put in order.
    let quote = Quote::parse(&quote).unwrap();
    let pem = bundle.pck_certificate_chain.as_deref().unwrap();
    let builder = Builder { certification: CertificationData::PckChain(pem.as_bytes()), ..Builder::from(&quote) };
    let quote = builder.encode().unwrap();
    let error = verify(&Evidence::parse(&quote, None).unwrap(), &collateral, at).unwrap_err();
    assert_eq!(error.code(), "tdx-module-mismatch", "{error}");
}
