//! Every check, shown by evidence in which exactly one thing is wrong: a site of our own making is accepted as it is and
//! refused with one field changed. Each thing that a verifier of the field was found to forget is here.

mod site;

use proptest::prelude::*;
use rcgen::CustomExtension;
use sealwright_verify::{Anchor, AnchorKind, Anchors, Collateral, Error, Part, SIMULATION, verify};
use sealwright_wire::collateral::{QeId, TcbInfoId, TcbStatus, encode_pem_chain};
use sealwright_wire::{Evidence, tdx};
use site::{Cert, Certification, Key, List, Report, Site, at, qe_level, time};
use std::rc::Rc;

/// The refusal of the TDX site after one change.
fn refused(change: impl FnOnce(&mut Site)) -> &'static str {
    let mut site = Site::tdx();
    change(&mut site);
    site.refusal()
}

#[test]
fn the_site_as_it_is_is_accepted() {
    for site in [Site::tdx(), Site::sgx()] {
        let facts = site.verify().unwrap();
        assert_eq!(facts.tcb().unwrap().status, TcbStatus::UpToDate);
        assert_eq!(facts.anchor().kind, AnchorKind::Configured);
        assert_eq!(facts.report_data(), &[0x5a; 64]);
        assert_eq!(facts.debug(), Some(false));
        assert_eq!(facts.tcb().unwrap().smt_enabled, Some(true));
        assert_eq!(facts.tcb().unwrap().evaluation_number, 17);
    }
}

// Roots and anchors.

#[test]
fn a_root_of_the_same_name_with_another_key_is_refused() {
    let (site, other) = (Site::tdx(), Site::tdx());
    let error = Collateral::verify(&site.bundle(), &other.anchors(), at()).unwrap_err();
    assert_eq!(error.code(), "untrusted-root");
    assert!(error.to_string().contains("(test)"), "{error}");
}

#[test]
fn a_simulation_s_root_is_simulated_whatever_it_was_declared_as() {
    let mut site = Site::tdx();
    site.root.organization = SIMULATION;
    site.root_crl = List { issuer: site.root.clone(), ..site.root_crl };
    assert_eq!(site.verify().unwrap().anchor().kind, AnchorKind::Simulated);
    // Configured by a certificate that hides it, with the same key: the root that vouches tells.
    let mut hidden = site.clone();
    hidden.root.organization = "Respectable";
    let anchor = Anchor::from_certificate("hidden", &hidden.root_der()).unwrap();
    assert_eq!(anchor.id().kind, AnchorKind::Configured);
    let collateral = Collateral::verify(&site.bundle(), &Anchors::none().with(anchor), at()).unwrap();
    assert_eq!(collateral.anchor().kind, AnchorKind::Simulated);
}

#[test]
fn an_anchor_can_be_declared_simulated_but_nothing_else() {
    let anchor = Anchor::from_certificate("mine", &Site::tdx().root_der()).unwrap();
    assert_eq!(anchor.id().kind, AnchorKind::Configured);
    assert_eq!(anchor.simulated().id().kind, AnchorKind::Simulated);
}

#[test]
fn an_anchor_must_be_a_self_signed_ca_named_as_such() {
    let site = Site::tdx();
    for der in [site.pck_ca.der(&site.root), site.signer.der(&site.root), site.pck.der(&site.pck_ca)] {
        assert!(Anchor::from_certificate("x", &der).is_err());
    }
    let impostor = Cert { key: Key::generate(), ..site.root.clone() };
    assert_eq!(Anchor::from_certificate("x", &site.root.der(&impostor)).unwrap_err().code(), "collateral-signature");
    let mut end_entity = site.root.clone();
    end_entity.is_ca = false;
    assert_eq!(Anchor::from_certificate("x", &end_entity.der(&end_entity)).unwrap_err().code(), "certificate-profile");
}

#[test]
fn a_renewed_root_with_the_same_key_is_the_same_anchor() {
    let site = Site::tdx();
    let mut renewed = site.clone();
    renewed.root.serial = 77;
    renewed.root.years = (2025, 2050);
    assert_ne!(site.root_der(), renewed.root_der());
    let collateral = Collateral::verify(&renewed.bundle(), &site.anchors(), at()).unwrap();
    let quote = site.quote();
    verify(&Evidence::parse(&quote, None).unwrap(), &collateral, at()).unwrap();
}

// Certificates.

#[test]
fn certificates_in_the_wrong_role_are_refused() {
    let profile = "certificate-profile";
    assert_eq!(refused(|site| site.signer.name = "Intel SGX PCK Certificate"), profile);
    assert_eq!(refused(|site| site.pck.name = "Intel SGX TCB Signing"), profile);
    assert_eq!(refused(|site| site.pck_ca.name = "Intel SGX PCK Platform"), profile);
    assert_eq!(refused(|site| site.pck_ca.is_ca = false), profile, "a PCK certificate cannot issue others");
}

#[test]
fn certificates_of_the_wrong_issuer_are_refused() {
    let stranger = || Cert { key: Key::generate(), ..Site::tdx().pck_ca };
    // Same name, other key; other name; the right CA for something else.
    assert_eq!(refused(|site| site.pck_issuer = Some(stranger())), "pck-chain-signature");
    assert_eq!(refused(|site| site.pck_issuer = Some(site.root.clone())), "wrong-issuer");
    assert_eq!(refused(|site| site.signer_issuer = Some(site.pck_ca.clone())), "wrong-issuer");
    assert_eq!(
        refused(|site| site.signer_issuer = Some(Cert { key: Key::generate(), ..site.root.clone() })),
        "collateral-signature"
    );
}

#[test]
fn unknown_critical_extensions_are_refused_and_others_are_not() {
    let extension = |critical| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(critical);
        extension
    };
    assert_eq!(refused(|site| site.pck.extensions.push(extension(true))), "certificate-profile");
    assert_eq!(refused(|site| site.pck_ca.extensions.push(extension(true))), "certificate-profile");
    assert_eq!(refused(|site| site.signer.extensions.push(extension(true))), "certificate-profile");
    let mut site = Site::tdx();
    site.pck.extensions.push(extension(false));
    site.verify().unwrap();
}

#[test]
fn a_pck_certificate_without_its_extension_is_refused() {
    let site = Site::tdx();
    let chain = [site.pck.der(&site.pck_ca), site.pck_ca.der(&site.root), site.root_der()];
    let certification = Certification::Text(encode_pem_chain(&chain).into_bytes());
    let error = Site { certification, ..site }.verify().unwrap_err();
    assert!(matches!(error, Error::Profile { part: Part::Pck, .. }), "{error}");
}

#[test]
fn chains_of_another_length_are_refused() {
    let site = Site::tdx();
    let (pck, ca) = (site.pck.der(&site.pck_ca), site.pck_ca.der(&site.root));
    for chain in [vec![pck.clone(), ca.clone()], vec![pck, ca, site.root_der(), site.root_der()]] {
        let certification = Certification::Text(encode_pem_chain(&chain).into_bytes());
        assert_eq!(Site { certification, ..site.clone() }.refusal(), "chain-length");
    }
}

#[test]
fn a_chain_that_is_no_pem_is_refused() {
    for text in [&b""[..], b"-----BEGIN CERTIFICATE-----\n", b"no chain", &[0x30; 100]] {
        let certification = Certification::Text(text.to_vec());
        assert_eq!(Site { certification, ..Site::tdx() }.refusal(), "malformed-pck-chain");
    }
}

// Revocation.

#[test]
fn revoked_certificates_are_refused() {
    for (list, serial, part) in [("root", 2, Part::PckCa), ("root", 3, Part::TcbSigner), ("pck", 4, Part::Pck)] {
        let mut site = Site::tdx();
        match list {
            "root" => site.root_crl.revoked.extend([0xd0, serial]),
            _ => site.pck_crl.revoked.extend([0xd0, serial]),
        }
        let error = site.verify().unwrap_err();
        assert!(matches!(&error, Error::Revoked { part: found, .. } if *found == part), "{error}");
        assert_eq!(error.code(), "certificate-revoked");
    }
}

#[test]
fn revocation_lists_of_another_issuer_are_refused() {
    // Of the wrong CA, signed by a stranger under the right name, root's list in place of the PCK CA's.
    let processor = Cert { name: "Intel SGX PCK Processor CA", ..Site::tdx().pck_ca };
    assert_eq!(refused(|site| site.pck_crl.issuer = processor), "wrong-issuer");
    let stranger = |cert: &Cert| Cert { key: Key::generate(), ..cert.clone() };
    assert_eq!(refused(|site| site.pck_crl.issuer = stranger(&site.pck_ca)), "collateral-signature");
    assert_eq!(refused(|site| site.root_crl.issuer = stranger(&site.root)), "collateral-signature");
    assert_eq!(refused(|site| site.pck_crl.issuer = site.root.clone()), "wrong-issuer");
    assert_eq!(refused(|site| site.root_crl.issuer = site.pck_ca.clone()), "wrong-issuer");
}

#[test]
fn a_list_for_another_ca_than_the_quote_s_is_refused() {
    // The platform's certificate was issued by a second CA below the same root; the collateral knows the first one.
    let site = Site::tdx();
    let mut other = site.clone();
    other.pck_ca = Cert { name: "Intel SGX PCK Processor CA", serial: 22, key: Key::generate(), ..site.pck_ca.clone() };
    let collateral = site.collateral().unwrap();
    let quote = other.quote();
    let error = verify(&Evidence::parse(&quote, None).unwrap(), &collateral, at()).unwrap_err();
    assert!(matches!(error, Error::Issuer { part: Part::PckCrl, .. }), "{error}");
    assert!(error.to_string().contains("Processor"), "{error}");
}

#[test]
fn a_partial_revocation_list_is_refused() {
    assert_eq!(refused(|site| site.pck_crl.partial = true), "certificate-profile");
    assert_eq!(refused(|site| site.root_crl.partial = true), "certificate-profile");
}

// Dates.

#[test]
fn anything_expired_is_refused_and_named() {
    let expired = |part: Part, change: &dyn Fn(&mut Site)| {
        let mut site = Site::tdx();
        change(&mut site);
        let error = site.verify().unwrap_err();
        assert!(matches!(&error, Error::Expired { part: found, .. } if *found == part), "{part}: {error}");
    };
    expired(Part::RootCa, &|site| site.root.years.1 = 2026);
    expired(Part::PckCa, &|site| site.pck_ca.years.1 = 2026);
    expired(Part::Pck, &|site| site.pck.years.1 = 2026);
    expired(Part::TcbSigner, &|site| site.signer.years.1 = 2026);
    expired(Part::RootCrl, &|site| site.root_crl.years = (2025, 2026));
    expired(Part::PckCrl, &|site| site.pck_crl.years = (2025, 2026));
    expired(Part::TcbInfo, &|site| site.tcb_info.next_update = time("2026-06-15T11:59:59Z"));
    expired(Part::QeIdentity, &|site| site.qe_identity.next_update = time("2026-06-15T11:59:59Z"));
}

#[test]
fn anything_from_the_future_is_refused_and_named() {
    let early = |part: Part, change: &dyn Fn(&mut Site)| {
        let mut site = Site::tdx();
        change(&mut site);
        let error = site.verify().unwrap_err();
        assert!(matches!(&error, Error::NotYetValid { part: found, .. } if *found == part), "{part}: {error}");
    };
    early(Part::RootCa, &|site| site.root.years.0 = 2027);
    early(Part::PckCa, &|site| site.pck_ca.years.0 = 2027);
    early(Part::Pck, &|site| site.pck.years.0 = 2027);
    early(Part::TcbSigner, &|site| site.signer.years.0 = 2027);
    early(Part::RootCrl, &|site| site.root_crl.years = (2027, 2028));
    early(Part::PckCrl, &|site| site.pck_crl.years = (2027, 2028));
    early(Part::TcbInfo, &|site| site.tcb_info.issue_date = time("2026-06-15T12:00:01Z"));
    early(Part::QeIdentity, &|site| site.qe_identity.issue_date = time("2026-06-15T12:00:01Z"));
}

#[test]
fn the_message_says_how_long_ago() {
    let mut site = Site::tdx();
    site.tcb_info.next_update = time("2026-06-12T12:00:00Z");
    let error = site.verify().unwrap_err();
    assert_eq!(error.to_string(), "TCB info expired at 2026-06-12T12:00:00Z, 3 days before 2026-06-15T12:00:00Z");
    assert_eq!(error.expected().as_deref(), Some("a time up to 2026-06-12T12:00:00Z"));
    assert_eq!(error.actual().as_deref(), Some("2026-06-15T12:00:00Z"));
    assert!(!error.remedy().is_empty());
}

// Signed documents.

#[test]
fn documents_signed_by_another_key_are_refused() {
    let mut bundle = Site::tdx().bundle();
    let stranger = Key::generate();
    bundle.tcb_info_signature = stranger.sign(bundle.tcb_info.as_bytes());
    let site = Site::tdx();
    let mut ours = site.bundle();
    ours.tcb_info_signature = bundle.tcb_info_signature;
    let error = Collateral::verify(&ours, &site.anchors(), at()).unwrap_err();
    assert!(matches!(error, Error::Signature { part: Part::TcbInfo, .. }), "{error}");
    let mut ours = site.bundle();
    ours.qe_identity_signature = stranger.sign(ours.qe_identity.as_bytes());
    let error = Collateral::verify(&ours, &site.anchors(), at()).unwrap_err();
    assert!(matches!(error, Error::Signature { part: Part::QeIdentity, .. }), "{error}");
}

#[test]
fn the_same_json_in_other_words_is_refused() {
    let site = Site::tdx();
    let mut bundle = site.bundle();
    bundle.tcb_info = bundle.tcb_info.replacen(',', ", ", 1);
    let error = Collateral::verify(&bundle, &site.anchors(), at()).unwrap_err();
    assert!(matches!(error, Error::Signature { part: Part::TcbInfo, .. }), "{error}");
}

#[test]
fn a_qe_identity_chain_of_its_own_is_verified() {
    let site = Site::tdx();
    let mut bundle = site.bundle();
    let second = Cert { serial: 33, key: Key::generate(), ..site.signer.clone() };
    bundle.qe_identity_issuer_chain = encode_pem_chain(&[second.der(&site.root), site.root_der()]);
    bundle.qe_identity_signature = second.key.sign(bundle.qe_identity.as_bytes());
    Collateral::verify(&bundle, &site.anchors(), at()).unwrap();
    let revoked = Site { root_crl: List { revoked: vec![33], ..site.root_crl.clone() }, ..site.clone() };
    bundle.root_ca_crl = revoked.bundle().root_ca_crl;
    let error = Collateral::verify(&bundle, &site.anchors(), at()).unwrap_err();
    assert!(matches!(error, Error::Revoked { part: Part::QeIdentitySigner, .. }), "{error}");
    let stranger = Cert { key: Key::generate(), ..site.root.clone() };
    bundle.qe_identity_issuer_chain = encode_pem_chain(&[second.der(&stranger), stranger.der(&stranger)]);
    assert_eq!(Collateral::verify(&bundle, &site.anchors(), at()).unwrap_err().code(), "untrusted-root");
}

#[test]
fn statuses_that_only_verification_can_give_are_refused_in_documents() {
    assert_eq!(
        refused(|site| site.tcb_info.tcb_levels[0].tcb_status = TcbStatus::TDRelaunchAdvised),
        "malformed-collateral"
    );
    let module = |site: &mut Site| {
        site.tcb_info.tdx_module_identities[0].tcb_levels[0].tcb_status = TcbStatus::ConfigurationNeeded;
    };
    assert_eq!(refused(module), "malformed-collateral");
    assert_eq!(
        refused(|site| site.qe_identity.tcb_levels[0].tcb_status = TcbStatus::SWHardeningNeeded),
        "malformed-collateral"
    );
}

#[test]
fn an_unknown_way_of_comparing_levels_is_refused() {
    assert_eq!(refused(|site| site.tcb_info.tcb_type = 1), "malformed-collateral");
}

// Collateral of something else.

#[test]
fn collateral_of_another_platform_or_environment_is_refused() {
    let mismatch = "collateral-mismatch";
    assert_eq!(refused(|site| site.tcb_info.fmspc[0] ^= 1), mismatch);
    assert_eq!(refused(|site| site.tcb_info.pce_id[1] ^= 1), mismatch, "PCEID");
    assert_eq!(refused(|site| site.qe_identity.id = QeId::Qe), mismatch);
    assert_eq!(refused(|site| site.qe_identity.id = QeId::Qve), mismatch);
    let (tdx, sgx) = (Site::tdx(), Site::sgx());
    for (quote, collateral) in [(&tdx, &sgx), (&sgx, &tdx)] {
        let bytes = quote.quote();
        let evidence = Evidence::parse(&bytes, None).unwrap();
        let error = verify(&evidence, &collateral.collateral().unwrap(), at()).unwrap_err();
        assert!(matches!(error, Error::CollateralMismatch { field: "id", .. }), "{error}");
    }
}

#[test]
fn the_mismatch_names_both_values() {
    let mut site = Site::tdx();
    site.tcb_info.fmspc = [1; 6];
    let error = site.verify().unwrap_err();
    assert_eq!(error.to_string(), "fmspc of the TCB info is 010101010101, the evidence needs 50806f000000");
}

#[test]
fn tcb_info_of_version_2_serves_sgx_alone() {
    let mut site = Site::sgx();
    site.tcb_info.version = 2;
    site.verify().unwrap();
    assert_eq!(refused(|site| site.tcb_info.version = 2), "collateral-mismatch");
    let mut site = Site::sgx();
    site.qe_identity.version = 3;
    assert_eq!(site.refusal(), "collateral-mismatch");
    let mut site = Site::tdx();
    site.qe_identity.version = 3;
    site.verify().unwrap();
}

// The quote itself.

#[test]
fn a_quote_of_another_vendor_s_enclave_is_refused() {
    assert_eq!(refused(|site| site.header.qe_vendor_id[0] ^= 1), "qe-vendor");
}

#[test]
fn signatures_by_other_keys_are_refused() {
    assert_eq!(refused(|site| site.quote_signer = Some(Key::generate())), "quote-signature");
    assert_eq!(refused(|site| site.quote_signer = Some(Rc::clone(&site.pck.key))), "quote-signature");
    assert_eq!(refused(|site| site.qe_signer = Some(Key::generate())), "qe-report-signature");
    assert_eq!(refused(|site| site.qe_signer = Some(Rc::clone(&site.attestation))), "qe-report-signature");
    // No points of the curve.
    for point in [[0; 64], [1; 64], [0xff; 64]] {
        assert_eq!(refused(|site| site.attestation_point = Some(point)), "quote-signature");
    }
}

#[test]
fn a_message_names_the_key_or_the_certificate_that_a_signature_is_not_of() {
    let mut site = Site::tdx();
    site.quote_signer = Some(Key::generate());
    let error = site.verify().unwrap_err();
    assert_eq!(error.to_string(), "signature of the quote does not verify under the attestation key");
    let mut site = Site::tdx();
    site.qe_signer = Some(Key::generate());
    let error = site.verify().unwrap_err();
    assert_eq!(error.to_string(), "signature of the QE report does not verify under the PCK certificate");
}

#[test]
fn an_attestation_key_that_the_qe_does_not_bind_is_refused() {
    assert_eq!(refused(|site| site.qe_report_data = Some([0; 64])), "qe-report-data");
    let mut site = Site::tdx();
    let mut data = sealwright_wire::quote::Quote::parse(&site.quote()).unwrap().qe_report.report_data;
    site.qe_report_data = Some(data);
    site.verify().unwrap();
    data[63] = 1;
    site.qe_report_data = Some(data);
    assert_eq!(site.refusal(), "qe-report-data", "the rest must be zero");
}

#[test]
fn a_platform_verifies_every_attestation_key_that_it_has_not_seen() {
    let site = Site::tdx();
    let platform = site.collateral().unwrap().platform(&site.chain(), at()).unwrap();
    let verify = |site: &Site| {
        let quote = site.quote();
        platform.verify(&Evidence::parse(&quote, None).unwrap(), at()).map(|facts| facts.tcb().unwrap().status)
    };
    verify(&site).unwrap();
    let second = Site { attestation: Key::generate(), ..site.clone() };
    assert_eq!(verify(&second), Ok(TcbStatus::UpToDate), "another key that the enclave vouches for");
    let unbound = Site { qe_report_data: Some([0; 64]), ..second.clone() };
    assert_eq!(verify(&unbound).unwrap_err().code(), "qe-report-data");
    let stranger = Site { qe_signer: Some(Key::generate()), ..second };
    assert_eq!(verify(&stranger).unwrap_err().code(), "qe-report-signature");
    let auth = Site { qe_auth_data: vec![7; 32], qe_signer: Some(Key::generate()), ..site };
    assert_eq!(verify(&auth).unwrap_err().code(), "qe-report-signature");
}

#[test]
fn authentication_data_may_have_any_length() {
    for len in [0, 1, 32, 33, 1000] {
        Site { qe_auth_data: vec![3; len], ..Site::tdx() }.verify().unwrap();
    }
}

#[test]
fn sgx_quotes_of_every_version_are_verified() {
    for version in [3, 4, 5] {
        let mut site = Site::sgx();
        site.header.version.set(version);
        let facts = site.verify().unwrap();
        assert_eq!(facts.quote_version(), Some(version));
        assert_eq!(facts.claims().sgx().unwrap().mr_enclave.0, [1; 32]);
    }
}

#[test]
fn a_quote_without_a_chain_says_what_is_needed() {
    for kind in [1, 2, 3, 7] {
        let site = Site { certification: Certification::Type(kind), ..Site::tdx() };
        let error = site.verify().unwrap_err();
        assert_eq!(error, Error::CertificationData { kind });
        assert!(error.remedy().contains("pck_certificate_chain"));
        let chain = String::from_utf8(site.chain()).unwrap();
        Site { bundle_chain: Some(chain), ..site }.verify().unwrap();
    }
}

#[test]
fn a_quote_that_names_its_platform_is_believed_of_that_platform_only() {
    for (kind, ppid) in [(1, 16), (2, 256), (3, 384)] {
        let site = Site::tdx();
        let site = Site { bundle_chain: Some(String::from_utf8(site.chain()).unwrap()), ..site };
        let with = |data| Site { certification: Certification::Data(kind, data), ..site.clone() };
        let data = site.certification_data(kind);
        // The first quoting enclaves left PCEID out.
        with(data[..data.len() - 2].to_vec()).verify().unwrap();
        for at in 0..data.len() {
            let mut other = data.clone();
            other[at] ^= 1;
            match with(other).verify() {
                // An encrypted PPID is Intel's to read.
                Ok(_) => assert!(kind > 1 && at < ppid, "type {kind}, byte {at}"),
                Err(error) => assert_eq!(error.code(), "collateral-mismatch", "type {kind}, byte {at}"),
            }
        }
    }
}

#[test]
fn a_quote_with_its_pck_certificate_alone_is_verified_under_the_collateral_s_issuers() {
    let site = Site { certification: Certification::Type(4), ..Site::tdx() };
    assert_eq!(site.verify().unwrap().tcb().unwrap().status, TcbStatus::UpToDate);
    // Whatever chain the bundle brings: the quote's own certificate decides.
    let other = String::from_utf8(Site::tdx().chain()).unwrap();
    Site { bundle_chain: Some(other), ..site.clone() }.verify().unwrap();
    let mut revoked = site.clone();
    revoked.pck.serial = 44;
    revoked.pck_crl.revoked.push(44);
    assert_eq!(revoked.refusal(), "certificate-revoked");
    let chain = Site { certification: Certification::Data(4, site.chain()), ..site.clone() };
    assert_eq!(chain.refusal(), "chain-length", "a chain is of type 5");
    let none = Site { certification: Certification::Data(4, Vec::new()), ..site };
    assert_eq!(none.refusal(), "malformed-pck-chain");
}

/// A platform manifest is for the registration of a platform: the PCK chain comes beside it, and its key must have signed.
#[test]
fn a_quote_with_a_platform_manifest_is_believed_under_the_chain_of_its_platform_alone() {
    let site = Site { certification: Certification::Data(7, vec![0xa5; 200]), ..Site::tdx() };
    assert_eq!(site.refusal(), "no-pck-chain");
    let chain = |site: &Site| Some(String::from_utf8(site.chain()).unwrap());
    let with_chain = Site { bundle_chain: chain(&site), ..site.clone() };
    assert_eq!(with_chain.verify().unwrap().tcb().unwrap().status, TcbStatus::UpToDate);
    let stranger = Site { pck: Cert { key: Key::generate(), ..site.pck.clone() }, ..site.clone() };
    assert_eq!(Site { bundle_chain: chain(&stranger), ..site }.refusal(), "qe-report-signature");
}

#[test]
fn a_chain_in_the_bundle_never_overrides_the_quote_s() {
    let site = Site::tdx();
    // The bundle's chain is of another platform, and of a stranger: the quote's own chain decides.
    for other in [Site::tdx(), Site { pck: Cert { key: Key::generate(), ..site.pck.clone() }, ..site.clone() }] {
        let chain = String::from_utf8(other.chain()).unwrap();
        let facts = Site { bundle_chain: Some(chain), ..site.clone() }.verify().unwrap();
        assert_eq!(facts.tcb().unwrap().status, TcbStatus::UpToDate);
    }
    // A revoked platform cannot hide behind a good chain in the bundle.
    let good = String::from_utf8(site.chain()).unwrap();
    let mut revoked = Site { bundle_chain: Some(good), ..site };
    revoked.pck.serial = 44;
    revoked.pck_crl.revoked.push(44);
    assert_eq!(revoked.refusal(), "certificate-revoked");
}

#[test]
fn a_platform_without_a_chain_in_its_quotes_is_served_by_the_bundle_s_only() {
    let site = Site { certification: Certification::Type(1), ..Site::tdx() };
    let chain = site.chain();
    let quote = site.quote();
    let evidence = Evidence::parse(&quote, None).unwrap();
    let bare = site.collateral().unwrap();
    let platform = bare.platform(&chain, at()).unwrap();
    assert_eq!(platform.verify(&evidence, at()).unwrap_err().code(), "other-platform");
}

// The quoting enclave.

#[test]
fn a_quoting_enclave_that_is_not_intel_s_is_refused() {
    let mismatch = "qe-identity-mismatch";
    assert_eq!(refused(|site| site.qe_report.mr_signer[0] ^= 1), mismatch);
    assert_eq!(refused(|site| site.qe_report.isv_prod_id.set(1)), mismatch);
    assert_eq!(refused(|site| site.qe_report.misc_select.set(1)), mismatch);
    assert_eq!(refused(|site| site.qe_report.attributes[0] |= 0x02), mismatch, "debug");
    assert_eq!(refused(|site| site.qe_report.attributes[7] = 1), mismatch);
    // Bits outside the masks do not count.
    let mut site = Site::tdx();
    site.qe_report.attributes[0] |= 0x04;
    site.qe_report.attributes[15] = 0xff;
    site.verify().unwrap();
}

#[test]
fn a_debug_quoting_enclave_is_refused_even_where_the_mask_would_let_it_pass() {
    let debug = |site: &mut Site| {
        site.qe_identity.attributes_mask[0] = 0xf9;
        site.qe_report.attributes[0] |= 0x02;
    };
    assert_eq!(refused(debug), "qe-identity-mismatch");
}

#[test]
fn identity_bits_outside_the_mask_never_match() {
    // As in Intel's library: the masked report is compared with the identity as it stands.
    assert_eq!(refused(|site| site.qe_identity.attributes[15] = 1), "qe-identity-mismatch");
}

#[test]
fn a_quoting_enclave_below_every_level_is_refused() {
    let error = {
        let mut site = Site::tdx();
        site.qe_report.isv_svn.set(1);
        site.verify().unwrap_err()
    };
    assert!(matches!(error, Error::NotSupported { part: Part::QeIdentity, .. }), "{error}");
    assert_eq!(refused(|site| site.qe_identity.tcb_levels.clear()), "tcb-not-supported");
    assert_eq!(
        refused(|site| site.qe_identity.tcb_levels = vec![qe_level(9, TcbStatus::UpToDate, &[])]),
        "tcb-not-supported"
    );
}

// The TDX module.

#[test]
fn a_tdx_module_that_tcb_info_does_not_describe_is_refused() {
    let mismatch = "tdx-module-mismatch";
    assert_eq!(refused(|site| site.td().tee_tcb_svn[1] = 2), mismatch, "no identity for major version 2");
    assert_eq!(refused(|site| site.tcb_info.tdx_module_identities.clear()), mismatch, "no identity at all");
    assert_eq!(refused(|site| site.td().mr_signer_seam[0] = 1), mismatch);
    assert_eq!(refused(|site| site.td().seam_attributes[0] = 1), mismatch);
    assert_eq!(refused(|site| site.tcb_info.tdx_module_identities[0].mrsigner[0] = 1), mismatch);
    // Attributes must be zero even where the identity names them.
    let both = |site: &mut Site| {
        site.td().seam_attributes[0] = 1;
        site.tcb_info.tdx_module_identities[0].attributes[0] = 1;
    };
    assert_eq!(refused(both), mismatch);
    assert_eq!(refused(|site| site.td().tee_tcb_svn[0] = 1), "tcb-not-supported", "below the module's lowest level");
}

#[test]
fn a_module_of_major_version_0_is_judged_by_the_plain_module_entry() {
    let mut site = Site::tdx();
    site.td().tee_tcb_svn[1] = 0;
    let facts = site.verify().unwrap();
    assert_eq!(facts.tcb().unwrap().module_status, None);
    site.tcb_info.tdx_module.as_mut().unwrap().mrsigner[0] = 1;
    assert_eq!(site.refusal(), "tdx-module-mismatch");
}

#[test]
fn the_identity_s_name_is_read_in_either_case() {
    let mut site = Site::tdx();
    site.tcb_info.tdx_module_identities[0].id = "tdx_01".to_owned();
    site.verify().unwrap();
}

// What is a fact, not a refusal.

#[test]
fn debug_is_a_fact() {
    for (byte, bits) in [(0, 0x01), (0, 0x10), (0, 0x40)] {
        let mut site = Site::tdx();
        site.td().td_attributes[byte] |= bits;
        assert_eq!(site.verify().unwrap().debug(), Some(true), "{bits:#04x}");
    }
    let mut site = Site::sgx();
    site.enclave().attributes[0] = 0x02;
    assert_eq!(site.verify().unwrap().debug(), Some(true));
}

/// The name of each bit, and its number (Intel TDX Module ABI Specification, "ATTRIBUTES").
const TD_ATTRIBUTES: [(&str, usize); 13] = [
    ("debug", 0),
    ("hgs_plus_prof", 4),
    ("perf_prof", 5),
    ("pmt_prof", 6),
    ("icssd", 16),
    ("servtd_ext", 17),
    ("lass", 27),
    ("sept_ve_disable", 28),
    ("migratable", 29),
    ("pks", 30),
    ("kl", 31),
    ("tpa", 62),
    ("perfmon", 63),
];

/// The same of an enclave's (Intel SDM volume 3D, "ATTRIBUTES").
const SGX_ATTRIBUTES: [(&str, usize); 8] = [
    ("init", 0),
    ("debug", 1),
    ("mode64bit", 2),
    ("provision_key", 4),
    ("einittoken_key", 5),
    ("cet", 6),
    ("kss", 7),
    ("aex_notify", 10),
];

#[test]
fn each_bit_of_the_attributes_is_one_fact() {
    let set = |claims: &serde_json::Value, names: &[(&'static str, usize)]| {
        let is_set = |(name, _): &&(&str, usize)| claims[name].as_bool().unwrap();
        names.iter().filter(is_set).map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let one = |names: &[(&'static str, usize)], bit: usize| {
        names.iter().filter(|(_, number)| *number == bit).map(|(name, _)| *name).collect::<Vec<_>>()
    };
    for bit in 0..64 {
        let mut site = Site::tdx();
        site.td().td_attributes = (1u64 << bit).to_le_bytes();
        let facts = serde_json::to_value(site.verify().unwrap()).unwrap();
        assert_eq!(set(&facts["tdx"], &TD_ATTRIBUTES), one(&TD_ATTRIBUTES, bit), "bit {bit}");
        let mut site = Site::sgx();
        site.enclave().attributes[..8].copy_from_slice(&(1u64 << bit).to_le_bytes());
        site.enclave().attributes[8..].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let facts = serde_json::to_value(site.verify().unwrap()).unwrap();
        assert_eq!(set(&facts["sgx"], &SGX_ATTRIBUTES), one(&SGX_ATTRIBUTES, bit), "bit {bit}");
        assert_eq!(facts["sgx"]["xfrm"], "0102030405060708");
        assert_eq!(facts["debug"], bit == 1);
    }
}

#[test]
fn service_domains_are_facts() {
    let mut site = Site::td15([5, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    if let Report::Td15(report) = &mut site.report {
        report.mr_service_td = [8; 48];
    }
    let facts = site.verify().unwrap();
    assert_eq!(facts.claims().tdx().unwrap().mr_service_td.unwrap().0, [8; 48]);
    assert_eq!(facts.claims().tdx().unwrap().body, "td15");
}

/// Service domains that are bound after launch, and devices.
#[test]
fn the_extended_report_s_fields_are_facts_and_others_have_none() {
    const EXTENDED: [(&str, &str); 10] = [
        ("vm_id", "1"),
        ("td_id", "02"),
        ("dev_info", "03"),
        ("init_service_td_hash", "04"),
        ("init_service_td_attributes", "05"),
        ("init_cpu_svn", "06"),
        ("init_tee_tcb_svn", "07"),
        ("init_tee_fmspc", "08"),
        ("cur_service_td_hash", "09"),
        ("cur_service_td_attributes", "0a"),
    ];
    let svn = [5, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut site = Site::td15(svn);
    let Report::Td15(base) = &site.report else { unreachable!() };
    let mut report = tdx::ReportBody15Ex {
        base: **base,
        vm_id: 1,
        td_id: [2; 32],
        dev_info: [3; 48],
        init_service_td_hash: [4; 48],
        init_service_td_attributes: [5; 8],
        init_cpu_svn: [6; 16],
        init_tee_tcb_svn: [7; 16],
        init_tee_fmspc: [8; 12],
        cur_service_td_hash: [9; 48],
        cur_service_td_attributes: [10; 8],
    };
    report.base.base.td_attributes[2] = 0x02;
    site.report = Report::Td15Ex(Box::new(report));
    let facts = serde_json::to_value(site.verify().unwrap()).unwrap();
    assert_eq!(facts["tdx"]["servtd_ext"], true);
    for (name, byte) in EXTENDED {
        let text = facts["tdx"][name].to_string();
        let digits = text.trim_matches('"');
        assert!(!digits.is_empty() && digits.len().is_multiple_of(byte.len()), "{name} is {text}");
        assert_eq!(digits, byte.repeat(digits.len() / byte.len()), "{name}");
    }
    for mut site in [Site::tdx(), Site::td15(svn)] {
        let facts = serde_json::to_value(site.verify().unwrap()).unwrap();
        assert_eq!(facts["tdx"]["servtd_ext"], false);
        assert!(EXTENDED.iter().all(|(name, _)| facts["tdx"].get(name).is_none()), "{facts}");
        site.td().td_attributes[2] = 0x02;
        assert_eq!(serde_json::to_value(site.verify().unwrap()).unwrap()["tdx"]["servtd_ext"], true);
    }
}

#[test]
fn bytes_behind_the_signature_data_are_reported_and_change_nothing() {
    let site = Site::tdx();
    let mut quote = site.quote();
    let collateral = site.collateral().unwrap();
    let bare = verify(&Evidence::parse(&quote, None).unwrap(), &collateral, at()).unwrap();
    quote.extend([0xaa; 39]);
    let padded = verify(&Evidence::parse(&quote, None).unwrap(), &collateral, at()).unwrap();
    assert_eq!(padded.trailing_bytes(), 39);
    assert_eq!(bare.evidence_sha384(), padded.evidence_sha384());
}

#[test]
fn tcb_info_says_sgx_when_it_says_nothing() {
    assert_eq!(TcbInfoId::default(), TcbInfoId::Sgx);
}

proptest! {
    #[test]
    fn any_bytes_as_certificates_and_lists_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Anchor::from_certificate("x", &bytes).is_err());
        let site = Site::tdx();
        let bundle = sealwright_wire::collateral::Bundle { pck_crl: bytes, ..site.bundle() };
        prop_assert!(Collateral::verify(&bundle, &site.anchors(), at()).is_err());
    }

    #[test]
    fn a_list_whose_bytes_are_shuffled_is_refused(from in 0usize..200, to in 0usize..200) {
        let site = Site::tdx();
        let mut bundle = site.bundle();
        prop_assume!(bundle.pck_crl[from] != bundle.pck_crl[to]);
        bundle.pck_crl.swap(from, to);
        prop_assert!(Collateral::verify(&bundle, &site.anchors(), at()).is_err());
    }
}
