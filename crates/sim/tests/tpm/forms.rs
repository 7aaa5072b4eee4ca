//! The forms in which quotes travel.

use super::*;
use sealwright_wire::tpm::{self as wire, tools};

#[test]
fn firmware_versions_are_the_configurations() {
    let machine = machine(|config| config.firmware_version = 0x2019_1023_0016_3636);
    assert_eq!(claims(&machine).firmware_version.to_string(), "2019102300163636");
}

#[test]
fn banks_are_quoted_in_the_order_of_the_selection() {
    let machine = machine(|_| {});
    let (there, back) = (all_of(&BANKS), all_of(&BANKS).into_iter().rev().collect::<Vec<_>>());
    let digest = |selection: &[PcrSelection]| {
        let quote = machine.quote(selection, b"challenge").unwrap();
        judge(&machine, &quote).unwrap();
        wire::Attest::parse(&quote.message).unwrap().pcr_digest.to_vec()
    };
    assert_ne!(digest(&there), digest(&back));
}

#[test]
fn trustees_evidence_is_believed_when_its_key_is_enrolled() {
    let machine = machine(|config| config.ak.scheme = Scheme::RsaSsa);
    let json = machine.trustee_evidence(b"challenge").unwrap().to_json().unwrap();
    let parsed = wire::Evidence::from_json(json.as_bytes()).unwrap();
    let evidence = Evidence {
        message: &parsed.tpm_quote.message,
        signature: Signature::parse(&parsed.tpm_quote.signature).unwrap(),
        pcrs: &parsed.tpm_quote.values().unwrap(),
        key: AttestationKey::KeyInfo(&parsed.ak_public),
        event_log: Some(machine.event_log()),
        ima: Some(machine.ima_list()),
        cel: None,
    };
    let facts = tpm::verify(&evidence, &enrolled(&machine), NOW).unwrap();
    assert_eq!(unexplained(&facts), [""; 0]);
    assert_eq!(reason(tpm::verify(&evidence, &Anchors::vendor(), NOW)).0, "attestation-key-not-enrolled");
    let sha1 = self::machine(|config| {
        config.banks.truncate(1);
        config.firmware_banks.truncate(1);
    });
    assert!(sha1.trustee_evidence(b"").is_err(), "it has places for SHA-256 alone");
}

#[test]
fn files_of_tpm2_tools_hold_the_same_quote() {
    for scheme in Scheme::ALL {
        let machine = machine(|config| config.ak.scheme = scheme);
        let quote = quote(&machine);
        let (selection, pcrs) = tools::read_pcrs(&quote.pcr_file().unwrap()).unwrap();
        assert_eq!((&selection, &pcrs), (&quote.selection, &quote.pcrs));
        assert_eq!(tools::read_yaml(&quote.pcr_yaml()).unwrap(), pcrs);
        let plain = quote.plain_signature().unwrap();
        match Signature::parse(&quote.signature).unwrap() {
            Signature::RsaSsa { signature, .. } | Signature::RsaPss { signature, .. } => assert_eq!(plain, signature),
            Signature::Ecdsa { r, s, .. } => {
                let minimal = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
                assert_eq!(tools::plain_ecdsa(&plain).unwrap(), (minimal(r), minimal(s)));
            }
        }
        let case = Case { pcrs: &pcrs, ..Case::new(&quote, AttestationKey::KeyInfo(&[])) };
        let key_info = machine.ak_key_info().unwrap();
        Case { key: AttestationKey::KeyInfo(&key_info), ..case }.verify(&enrolled(&machine)).unwrap();
    }
}
