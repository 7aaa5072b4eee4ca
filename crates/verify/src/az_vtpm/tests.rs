//! What can only be shown with hardware facts that a test makes up: reports of SEV-SNP, and the public evidence, whose hardware's certificates
//! are checked elsewhere.

#[path = "../../../wire/tests/support/mod.rs"]
mod support;

use super::{Evidence, verify};
use crate::{AnchorId, AnchorKind, Claims, Error, Facts, hash};
use sealwright_wire::hcl::{self, Report};
use sealwright_wire::quote::{Body, Quote};
use sealwright_wire::{Digest, Tee, tdx, time::UnixTime};
use std::fs;
use zerocopy::FromZeros;

/// Facts as the verifier of the hardware report makes them.
fn hardware(tee: Tee, report_data: &[u8], report: &[u8]) -> Facts {
    Facts {
        tee,
        anchor: AnchorId { name: "test".into(), kind: AnchorKind::Configured, sha256: Digest([1; 32]) },
        at: UnixTime(1_781_524_800),
        collateral_expires: UnixTime(1_881_524_800),
        tcb: None,
        debug: Some(false),
        report_data: report_data.to_vec(),
        evidence_sha384: hash::sha384(&[report]),
        quote_version: None,
        trailing_bytes: 0,
        claims: Claims::new(&Body::Td10(&tdx::ReportBody10::new_zeroed())),
        log: None,
    }
}

/// Public evidence and the facts of its hardware.
fn public(file: &str) -> Option<(hcl::Evidence, Facts)> {
    let folder = support::vectors()?.join("vtpm");
    let evidence = hcl::Evidence::from_json(&fs::read(folder.join(file)).unwrap()).unwrap();
    let report = Report::parse(&evidence.hcl_report).unwrap();
    let facts = match &evidence.td_quote {
        None => hardware(Tee::Snp, &report.hardware_report[0x50..0x90], report.hardware_report),
        Some(quote) => {
            let quote = Quote::parse(quote).unwrap();
            hardware(Tee::Tdx, quote.body.report_data(), quote.without_trailing())
        }
    };
    Some((evidence, facts))
}

fn verified(evidence: &hcl::Evidence, hardware: Facts) -> Result<Facts, Error> {
    let pcrs = evidence.tpm_quote.values().unwrap();
    let evidence = Evidence {
        hcl_report: &evidence.hcl_report,
        message: &evidence.tpm_quote.message,
        signature: evidence.tpm_quote.signature(),
        pcrs: &pcrs,
        event_log: None,
        ima: None,
        cel: None,
    };
    verify(&evidence, hardware)
}

#[test]
fn public_evidence_has_the_answers_that_are_published() {
    for (file, tee, pcr0) in [
        (
            "az-snp-vtpm/evidence-v0.json",
            Tee::AzSnpVtpm,
            "e15c44796beabf46abcec7c57e590942041e47497e4ec27571c8b7664f48dced",
        ),
        (
            "az-snp-vtpm/evidence-v1.json",
            Tee::AzSnpVtpm,
            "e15c44796beabf46abcec7c57e590942041e47497e4ec27571c8b7664f48dced",
        ),
        (
            "az-tdx-vtpm/evidence-v0.json",
            Tee::AzTdxVtpm,
            "782b20b10f55cc46e2142cc2145d548698073e5beb82752c8d7f9279f0d8a273",
        ),
    ] {
        let Some((evidence, hardware)) = public(file) else { return };
        let facts = verified(&evidence, hardware).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!((facts.tee(), facts.report_data()), (tee, b"challenge".as_slice()), "{file}");
        let json = serde_json::to_value(&facts).unwrap();
        let claims = &json[tee.name()];
        assert_eq!(claims["pcr0"], pcr0, "{file}");
        assert_eq!(claims["vm_configuration"]["secure-boot"], true, "{file}");
        assert_eq!(claims["user_data"], "00".repeat(64), "{file}");
        assert_eq!(claims["ak_origin"], "paravisor", "{file}");
        assert_eq!(claims["hardware"]["anchor"]["name"], "test", "{file}");
        assert_eq!(facts.anchor().name, "test", "{file}");
    }
}

#[test]
fn no_byte_of_the_public_evidence_can_be_changed() {
    for file in ["az-snp-vtpm/evidence-v1.json", "az-tdx-vtpm/evidence-v0.json"] {
        let Some((evidence, hardware)) = public(file) else { return };
        let report = Report::parse(&evidence.hcl_report).unwrap();
        let used = evidence.hcl_report.len() - report.padding;
        for at in 1216..used {
            let mut changed = evidence.clone();
            changed.hcl_report[at] ^= 0x01;
            let error = verified(&changed, hardware.clone()).unwrap_err().code();
            // Before the binding holds, nobody reads the claims.
            let expected = if at < 1236 { "malformed-evidence" } else { "hcl-binding" };
            assert!(error == expected || (at < 1236 && error.starts_with("hcl-")), "byte {at} of {file}: {error}");
        }
        for at in 0..evidence.tpm_quote.message.len() {
            let mut changed = evidence.clone();
            changed.tpm_quote.message[at] ^= 0x01;
            assert_eq!(verified(&changed, hardware.clone()).unwrap_err().code(), "quote-signature", "byte {at}");
        }
        for pcr in 0..24 {
            let mut changed = evidence.clone();
            changed.tpm_quote.pcrs[pcr][0] ^= 0x01;
            let error = verified(&changed, hardware.clone())
                .map(|facts| facts.claims().tpm().unwrap().pcr(u32::try_from(pcr).unwrap()).is_some());
            assert!(matches!(error, Err(_) | Ok(false)), "PCR {pcr}");
        }
    }
}

#[test]
fn a_report_of_the_guest_itself_is_refused() {
    let Some((evidence, _)) = public("az-snp-vtpm/evidence-v1.json") else { return };
    for vmpl in [1, 2, 3, 0x0100_0000] {
        let mut evidence = evidence.clone();
        evidence.hcl_report[0x50..0x54].copy_from_slice(&u32::to_le_bytes(vmpl));
        let report = Report::parse(&evidence.hcl_report).unwrap();
        let hardware = hardware(Tee::Snp, &report.hardware_report[0x50..0x90], report.hardware_report);
        assert_eq!(verified(&evidence, hardware).unwrap_err().code(), "hcl-vmpl", "{vmpl}");
    }
}

#[test]
fn facts_of_another_report_or_kind_vouch_for_nothing() {
    let Some((evidence, facts)) = public("az-snp-vtpm/evidence-v1.json") else { return };
    let other = Facts { evidence_sha384: Digest([0; 48]), ..facts.clone() };
    assert_eq!(verified(&evidence, other).unwrap_err().code(), "hcl-other-hardware-report");
    for tee in [Tee::Tdx, Tee::Tpm, Tee::AzSnpVtpm, Tee::Csv] {
        let other = Facts { tee, ..facts.clone() };
        assert_eq!(verified(&evidence, other).unwrap_err().code(), "hcl-other-hardware-report", "{tee:?}");
    }
    let mut data = facts.report_data.clone();
    data[63] = 1;
    let other = Facts { report_data: data, ..facts.clone() };
    assert_eq!(verified(&evidence, other).unwrap_err().code(), "hcl-binding", "the rest must be zero");
    for kind in [1, 3] {
        let mut unbacked = evidence.clone();
        unbacked.hcl_report[1224] = kind;
        assert_eq!(verified(&unbacked, facts.clone()).unwrap_err().code(), "hcl-no-hardware");
    }
}
