//! Keys and those who vouch for them.

use super::*;
use sealwright_sim::{
    ORGANISATION,
    tpm::{AK_LIFE, AkCertificate},
};
use sealwright_verify::AnchorKind;
use sealwright_wire::tpm::Attributes;

#[test]
fn every_scheme_is_believed_under_its_anchor_and_no_other() {
    let (site, other) = (site(), site());
    for scheme in Scheme::ALL {
        let machine = site.machine(config(scheme)).unwrap();
        let (area, key_info) = (machine.ak_public().unwrap(), machine.ak_key_info().unwrap());
        let certificate = site.certify_ak(&machine).unwrap();
        let (chain, crls) = (certificate.chain(), &[]);
        let by_key = Anchors::none().with(Anchor::attestation_key("desk", &key_info).unwrap());
        let quote = quote(&machine);
        let certified = |public| AttestationKey::Certified { chain, public, crls };
        for (key, anchors, origin, area_from) in [
            (certified(Some(&area[..])), root(&site), "certificate", Some("evidence")),
            (certified(None), root(&site), "certificate", None),
            (AttestationKey::Public(&area), enrolled(&machine), "enrolled", Some("enrolment")),
            (AttestationKey::KeyInfo(&key_info), enrolled(&machine), "enrolled", Some("enrolment")),
            (AttestationKey::Public(&area), by_key.clone(), "enrolled", Some("evidence")),
            (AttestationKey::KeyInfo(&key_info), by_key.clone(), "enrolled", None),
        ] {
            let case = Case::new(&quote, key);
            let facts = case.verify(&anchors).unwrap_or_else(|error| panic!("{scheme:?}, {origin}: {error}"));
            assert_eq!(facts.report_data(), b"challenge");
            let claims = facts.claims().tpm().unwrap();
            assert_eq!((claims.ak_origin, claims.ak_attributes_from), (origin, area_from), "{scheme:?}");
            assert_eq!(claims.pcrs, machine.pcrs().unwrap());
            let refused = if origin == "certificate" { "untrusted-root" } else { "attestation-key-not-enrolled" };
            for strangers in [Anchors::none(), Anchors::vendor(), root(&other)] {
                assert_eq!(reason(case.verify(&strangers)).0, refused, "{scheme:?}");
            }
        }
    }
}

#[test]
fn facts_say_how_the_key_signs() {
    for (scheme, name, hash) in [
        (Scheme::RsaSsa, "rsassa", "sha256"),
        (Scheme::RsaPss, "rsapss", "sha256"),
        (Scheme::EcdsaP256, "ecdsa", "sha256"),
        (Scheme::EcdsaP384, "ecdsa", "sha384"),
    ] {
        let claims = claims(&machine(|config| config.ak.scheme = scheme));
        assert_eq!((claims.scheme, claims.hash.as_str()), (name, hash));
        assert!(claims.ak_attributes.unwrap().restricted);
    }
}

#[test]
fn facts_say_that_the_root_is_a_simulation() {
    assert_eq!(ORGANISATION, sealwright_verify::SIMULATION);
    let site = site();
    let machine = site.machine(config(Scheme::EcdsaP256)).unwrap();
    let certificate = site.certify_ak(&machine).unwrap();
    let quote = quote(&machine);
    let key = AttestationKey::Certified { chain: certificate.chain(), public: None, crls: &[] };
    let facts = Case::new(&quote, key).verify(&root(&site)).unwrap();
    assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("the site", AnchorKind::Simulated));
    // An enrolled key has no place for a name: whoever enrols it says so, and the log does.
    let area = machine.ak_public().unwrap();
    let anchor = Anchor::attestation_key_area("desk", &area).unwrap().simulated();
    let facts = Case::new(&quote, AttestationKey::Public(&area)).verify(&Anchors::none().with(anchor)).unwrap();
    assert_eq!(facts.anchor().kind, AnchorKind::Simulated);
    let name: Vec<u8> = ORGANISATION.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(machine.event_log().windows(name.len()).any(|window| window == name));
}

#[test]
fn authorities_of_every_kind_certify() {
    for kind in [KeyKind::Rsa, KeyKind::P256, KeyKind::P384] {
        let site = Site::found(kind, fixed_clock(NOW)).unwrap();
        let machine = site.machine(config(Scheme::EcdsaP384)).unwrap();
        let certificate = site.certify_ak(&machine).unwrap();
        let (quote, crls) = (quote(&machine), site.revocation_lists().unwrap());
        let key = AttestationKey::Certified { chain: certificate.chain(), public: None, crls: &crls };
        let facts = Case::new(&quote, key).verify(&root(&site)).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert!(facts.claims().tpm().unwrap().ak_revocation_checked, "{kind:?}");
    }
}

#[test]
fn a_certificate_expires_before_its_authority_and_lists_before_it() {
    let site = site();
    let machine = site.machine(config(Scheme::EcdsaP256)).unwrap();
    let certificate = site.certify_ak(&machine).unwrap();
    let (quote, lists) = (quote(&machine), site.revocation_lists().unwrap());
    let at = |at, crls| {
        let key = AttestationKey::Certified { chain: certificate.chain(), public: None, crls };
        Case { at, ..Case::new(&quote, key) }.verify(&root(&site))
    };
    assert_eq!(at(NOW, &[]).unwrap().collateral_expires(), NOW.plus(AK_LIFE));
    at(NOW.plus(AK_LIFE), &[]).unwrap();
    let expired = ("collateral-expired", "attestation key certificate");
    assert_eq!(reason(at(NOW.plus(AK_LIFE + 1), &[])), expired, "the key's, not the authority's");
    assert_eq!(reason(at(UnixTime(NOW.0 - 1), &[])).0, "collateral-not-yet-valid");
    assert!(at(NOW, &lists).unwrap().claims().tpm().unwrap().ak_revocation_checked);
    assert_eq!(reason(at(NOW.plus(31 * 86_400), &lists)).0, "collateral-expired");
}

#[test]
fn what_the_manufacturer_withdraws_is_refused_by_those_who_look() {
    let site = site();
    let machine = site.machine(config(Scheme::EcdsaP256)).unwrap();
    let (old, new) = (site.certify_ak(&machine).unwrap(), site.certify_ak(&machine).unwrap());
    let quote = quote(&machine);
    let with = |certificate: &AkCertificate, crls: &[Vec<u8>]| {
        let key = AttestationKey::Certified { chain: certificate.chain(), public: None, crls };
        Case::new(&quote, key).verify(&root(&site))
    };
    let before = site.revocation_lists().unwrap();
    site.revoke(&old);
    let after = site.revocation_lists().unwrap();
    with(&old, &before).unwrap();
    assert!(!with(&old, &[]).unwrap().claims().tpm().unwrap().ak_revocation_checked, "nobody looked");
    assert_eq!(reason(with(&old, &after)).0, "certificate-revoked");
    with(&new, &after).unwrap();
    site.revoke_ca().unwrap();
    assert_eq!(reason(with(&new, &site.revocation_lists().unwrap())).0, "certificate-revoked");
    let elsewhere = self::site().revocation_lists().unwrap();
    assert_eq!(reason(with(&new, &elsewhere)).0, "collateral-signature", "lists of another site of the same name");
}

#[test]
fn an_endorsement_key_vouches_for_no_quote() {
    let site = site();
    let machine = site.machine(config(Scheme::EcdsaP256)).unwrap();
    let quote = quote(&machine);
    let key = AttestationKey::Certified { chain: machine.ek_certificate(), public: None, crls: &[] };
    assert_eq!(reason(Case::new(&quote, key).verify(&root(&site))).0, "certificate-profile");
    let error = Anchor::attestation_key_area("ek", &machine.ek_public().unwrap()).unwrap_err();
    assert_eq!(error.code(), "attestation-key-attributes");
}

#[test]
fn keys_that_are_no_attestation_keys_are_refused_however_they_are_trusted() {
    let site = site();
    let mut machine = site.machine(config(Scheme::EcdsaP256)).unwrap();
    // Keys that TPMs make and quote with: not restricted, able to decrypt, that may be duplicated, and imported ones.
    for (bits, name) in [
        (0x0004_0032, "restricted"),
        (0x0006_0032, "restricted"),
        (0x0005_0030, "fixedTPM"),
        (0x0005_0020, "fixedTPM"),
        (0x0005_0012, "sensitiveDataOrigin"),
    ] {
        let attributes = Attributes(bits);
        machine.create_ak(AkTemplate { attributes, ..AkTemplate::new(Scheme::EcdsaP256) }).unwrap();
        let (area, key_info) = (machine.ak_public().unwrap(), machine.ak_key_info().unwrap());
        let error = Anchor::attestation_key_area("desk", &area).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        let by_key = Anchors::none().with(Anchor::attestation_key("desk", &key_info).unwrap());
        let certificate = site.certify_ak(&machine).unwrap();
        let certified = AttestationKey::Certified { chain: certificate.chain(), public: Some(&area), crls: &[] };
        let quote = quote(&machine);
        for (key, anchors) in [(AttestationKey::Public(&area), by_key), (certified, root(&site))] {
            let error = Case::new(&quote, key).verify(&anchors).unwrap_err();
            assert_eq!(error.code(), "attestation-key-attributes", "{bits:#x}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn a_new_key_is_not_the_one_that_was_vouched_for() {
    let site = site();
    let mut machine = site.machine(config(Scheme::EcdsaP256)).unwrap();
    let (certificate, anchors) = (site.certify_ak(&machine).unwrap(), enrolled(&machine));
    let old_area = machine.ak_public().unwrap();
    machine.create_ak(AkTemplate::new(Scheme::EcdsaP256)).unwrap();
    let (area, quote) = (machine.ak_public().unwrap(), quote(&machine));
    let certified = |public| AttestationKey::Certified { chain: certificate.chain(), public, crls: &[] };
    for (key, anchors, code) in [
        (AttestationKey::Public(&area), &anchors, "attestation-key-not-enrolled"),
        (AttestationKey::Public(&old_area), &anchors, "quote-signature"),
        (certified(None), &root(&site), "quote-signature"),
        (certified(Some(&area[..])), &root(&site), "attestation-key-mismatch"),
    ] {
        assert_eq!(reason(Case::new(&quote, key).verify(anchors)).0, code);
    }
}

#[test]
fn no_byte_of_a_quote_can_be_changed() {
    let machine = machine(|_| {});
    let quote = quote(&machine);
    for at in 0..quote.message.len() {
        let mut changed = quote.clone();
        changed.message[at] ^= 1;
        assert_eq!(reason(judge(&machine, &changed)).0, "quote-signature", "byte {at}");
    }
}
