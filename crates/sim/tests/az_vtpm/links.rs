//! One link of the chain is wrong: another's, or changed on the way.

use super::{
    NONCE, NOW, Party, config, judged, platform, refusal, site, snp_guest, snp_hardware, td, tdx_guest, used, vendor,
};
use sealwright_sim::{
    Error as SimError, QuoteFormat,
    az_vtpm::{Guest, GuestConfig, Hardware},
    snp::Platform,
    tpm::{AkTemplate, KeyKind, MachineConfig, Scheme},
};
use sealwright_verify::{
    Anchor, Anchors, Error,
    az_vtpm::{self, Evidence},
    snp::{Collateral, Revocation},
};
use sealwright_wire::{
    hcl::{self, Report},
    snp::{Product, Report as SnpReport, SigningKey, Tcb},
    tcg2::AlgorithmId,
};

/// Where the kind of the hardware's report and the hash of the claims stand, and where the claims begin.
const REPORT_TYPE: usize = 0x4c8;
const HASH_TYPE: usize = 0x4cc;
const CLAIMS: usize = 0x4d4;

/// A change to evidence.
type Change = fn(&mut hcl::Evidence, &hcl::Evidence);

/// Evidence in which this was changed, with pieces of another guest's on the same hardware.
fn changed(guest: &Guest, other: &Guest, change: Change) -> &'static str {
    let (mut evidence, other) = (guest.evidence(NONCE).unwrap(), other.evidence(NONCE).unwrap());
    let party = Party::of(guest);
    party.judge(&evidence).unwrap();
    change(&mut evidence, &other);
    refusal(party.judge(&evidence))
}

/// The report of the first with the claims of the second.
fn with_claims_of(evidence: &mut hcl::Evidence, other: &hcl::Evidence) {
    let (report, other) = (Report::parse(&evidence.hcl_report).unwrap(), Report::parse(&other.hcl_report).unwrap());
    evidence.hcl_report = Report { claims: other.claims, ..report }.encode().unwrap();
}

#[test]
fn on_either_hardware_a_wrong_link_is_refused_by_its_own_word() {
    let (platform, site) = (platform(), site());
    let pairs = [
        [snp_guest(&platform), snp_guest(&platform)],
        [tdx_guest(&site, "one", QuoteFormat::V4), tdx_guest(&site, "two", QuoteFormat::V4)],
    ];
    let cases: [(&str, Change, &str); 13] = [
        ("claims of another report", with_claims_of, "hcl-binding"),
        ("a claim that was changed", |e, _| e.hcl_report[CLAIMS + 40] ^= 1, "hcl-binding"),
        ("claims under another hash", |e, _| e.hcl_report[HASH_TYPE] = 2, "hcl-binding"),
        ("claims under no hash", |e, _| e.hcl_report[HASH_TYPE] = 4, "malformed-evidence"),
        ("another machine's quote", |e, other| e.tpm_quote = other.tpm_quote.clone(), "quote-signature"),
        ("a report of no hardware", |e, _| e.hcl_report[REPORT_TYPE] = 1, "hcl-no-hardware"),
        ("a report of a trusted launch", |e, _| e.hcl_report[REPORT_TYPE] = 3, "hcl-no-hardware"),
        (
            "another signature",
            |e, other| e.tpm_quote.signature.clone_from(&other.tpm_quote.signature),
            "quote-signature",
        ),
        ("a signature that was changed", |e, _| e.tpm_quote.signature[100] ^= 1, "quote-signature"),
        ("a quote that was changed", |e, _| e.tpm_quote.message[60] ^= 1, "quote-signature"),
        ("a PCR that was changed", |e, _| e.tpm_quote.pcrs[4][31] ^= 1, "pcr-digest-mismatch"),
        ("PCRs in another order", |e, _| e.tpm_quote.pcrs.swap(4, 5), "pcr-digest-mismatch"),
        ("no report", |e, _| e.hcl_report.truncate(CLAIMS), "malformed-evidence"),
    ];
    for [guest, other] in &pairs {
        for (name, change, code) in cases {
            assert_eq!(changed(guest, other, change), code, "{name} on {:?}", guest.hardware());
        }
    }
    let [[snp, other], [tdx, another]] = &pairs;
    let call_it: Change = |evidence, _| evidence.hcl_report[REPORT_TYPE] ^= 2 ^ 4;
    assert_eq!(changed(snp, other, call_it), "hcl-no-quote", "a trust domain's report needs one");
    assert_eq!(changed(tdx, another, call_it), "hcl-other-hardware-report");
}

/// Under hardware that is genuine, but not this paravisor's.
#[test]
fn another_report_of_the_hardware_vouches_for_nothing() {
    let (platform, site) = (platform(), site());
    let snp = [snp_guest(&platform), snp_guest(&platform)];
    let tdx = [tdx_guest(&site, "one", QuoteFormat::V4), tdx_guest(&site, "two", QuoteFormat::V4)];
    let swap_report: Change = |evidence, other| {
        let report = Report::parse(&evidence.hcl_report).unwrap();
        let hardware_report = Report::parse(&other.hcl_report).unwrap().hardware_report;
        evidence.hcl_report = Report { hardware_report, ..report }.encode().unwrap();
    };
    assert_eq!(changed(&snp[0], &snp[1], swap_report), "hcl-binding");
    let swap_quote: Change = |evidence, other| evidence.td_quote.clone_from(&other.td_quote);
    assert_eq!(changed(&tdx[0], &tdx[1], swap_quote), "hcl-binding");
    // The whole report of another guest is in order, and names another key.
    let swap_all: Change = |evidence, other| {
        evidence.hcl_report.clone_from(&other.hcl_report);
        evidence.td_quote.clone_from(&other.td_quote);
    };
    assert_eq!(changed(&snp[0], &snp[1], swap_all), "quote-signature");
    assert_eq!(changed(&tdx[0], &tdx[1], swap_all), "quote-signature");
    // A trust domain's quote beside the report of an SEV-SNP guest, whose root is trusted as well.
    let mut party = Party::of_site(&site);
    party.roots.push(platform.vendor().root_certificate().to_vec());
    let mut evidence = snp[0].evidence(NONCE).unwrap();
    evidence.td_quote = tdx[0].td_quote().unwrap();
    assert_eq!(refusal(party.judge(&evidence)), "hcl-other-hardware-report");
    // And a trust domain's report without a quote, which nobody elsewhere can hold against anything.
    let mut evidence = tdx[0].evidence(NONCE).unwrap();
    evidence.td_quote = None;
    assert_eq!(refusal(party.judge(&evidence)), "hcl-no-quote");
    evidence.hcl_report[REPORT_TYPE] = 3;
    evidence.hcl_report[0x20..0x4c0].fill(0);
    assert_eq!(refusal(party.judge(&evidence)), "hcl-no-hardware", "as machines are that have none");
}

#[test]
fn a_key_that_the_claims_do_not_name_signs_in_vain_until_they_name_it() {
    let site = site();
    for mut guest in [snp_guest(&platform()), tdx_guest(&site, "td", QuoteFormat::V4)] {
        judged(&guest);
        guest.vtpm_mut().create_ak(AkTemplate::new(Scheme::RsaSsa)).unwrap();
        let party = Party::of(&guest);
        assert_eq!(refusal(party.judge(&guest.evidence(NONCE).unwrap())), "quote-signature");
        guest.renew_report().unwrap();
        judged(&guest);
    }
}

#[test]
fn pcrs_of_another_time_than_the_quote_s_are_refused() {
    let mut guest = snp_guest(&platform());
    let quoted = guest.evidence(NONCE).unwrap();
    guest.vtpm_mut().extend(14, b"later").unwrap();
    let later = guest.evidence(NONCE).unwrap();
    let party = Party::of(&guest);
    for (one, other) in [(&quoted, &later), (&later, &quoted)] {
        let mut evidence = one.clone();
        evidence.tpm_quote.pcrs.clone_from(&other.tpm_quote.pcrs);
        assert_eq!(refusal(party.judge(&evidence)), "pcr-digest-mismatch");
    }
}

/// Only what runs at VMPL 0 is the paravisor: above it a guest chooses what a report says.
#[test]
fn a_report_from_above_the_paravisor_is_refused() {
    let platform = platform();
    for vmpl in 1..=3 {
        let guest = Guest::boot(snp_hardware(&platform, vmpl, 3), config()).unwrap();
        assert_eq!(refusal(Party::of(&guest).judge(&guest.evidence(NONCE).unwrap())), "hcl-vmpl");
    }
}

/// What is wrong with the hardware's own report is said by its own words.
#[test]
fn a_report_that_the_processor_s_key_does_not_vouch_for_is_refused() {
    let (platform, other) = (platform(), platform());
    let guest = snp_guest(&platform);
    let party = Party::of(&guest);
    let evidence = guest.evidence(NONCE).unwrap();
    let strange = hcl::Evidence { vcek: snp_guest(&other).evidence(NONCE).unwrap().vcek, ..evidence.clone() };
    assert_eq!(refusal(party.judge(&strange)), "chip-id-mismatch");
    let mut changed = evidence.clone();
    changed.hcl_report[0x20 + 0x90] ^= 1;
    assert_eq!(refusal(party.judge(&changed)), "report-signature");

    // The platform's owner updates it: the report of before is of a key for another TCB.
    let mut firmware = platform.status().current;
    firmware.tcb = Tcb { snp: firmware.tcb.snp + 1, ..firmware.tcb };
    platform.install(firmware).unwrap();
    platform.commit();
    let stale = guest.evidence(NONCE).unwrap();
    assert_ne!(stale.vcek, evidence.vcek);
    assert_eq!(refusal(party.judge(&stale)), "certified-tcb-mismatch");
    party.judge(&evidence).unwrap();

    let mut host = platform.status().host;
    host.mask_chip_key = true;
    platform.configure(host);
    let unsigned = snp_guest(&platform).evidence(NONCE).unwrap();
    assert_eq!(refusal(party.judge(&unsigned)), "unsigned-report");
}

#[test]
fn a_withdrawn_authority_and_a_missing_list_are_refused() {
    let platform = Platform::build(&vendor(Product::Milan)).unwrap();
    for kind in [SigningKey::Vcek, SigningKey::Vlek] {
        if kind == SigningKey::Vlek {
            platform.load_vlek("CN=cloud.example");
        }
        let guest = snp_guest(&platform);
        let evidence = guest.evidence(NONCE).unwrap();
        judged(&guest);
        platform.vendor().withdraw(kind).unwrap();
        assert_eq!(refusal(Party::of(&guest).judge(&evidence)), "certificate-revoked");
        let mut party = Party { supplied: Default::default(), ..Party::of(&guest) };
        party.supplied.add(platform.bundle().unwrap().cert_chain.as_bytes()).unwrap();
        assert_eq!(refusal(party.judge(&evidence)), "no-revocation-list");
    }
}

/// With the hardware's facts made once, each byte that something vouches for.
#[test]
fn no_byte_of_a_guest_s_evidence_can_be_changed() {
    let platform = platform();
    let guest = snp_guest(&platform);
    let evidence = guest.evidence(NONCE).unwrap();
    let anchors = Anchors::none().with(Anchor::from_certificate("sim", platform.vendor().root_certificate()).unwrap());
    let collateral = Collateral::verify(&platform.bundle().unwrap(), &anchors, Revocation::Required, NOW).unwrap();
    let vek = collateral.vek(&platform.vek().unwrap(), NOW).unwrap();
    let verify = |evidence: &hcl::Evidence| -> Result<(), Error> {
        let malformed = |source| Error::Malformed { part: sealwright_verify::Part::HclReport, source };
        let report = Report::parse(&evidence.hcl_report).map_err(malformed)?;
        let hardware = SnpReport::parse(report.hardware_report).map_err(malformed)?;
        let hardware = vek.verify(&hardware, NOW)?;
        let pcrs = evidence.tpm_quote.values().map_err(malformed)?;
        let evidence = Evidence {
            hcl_report: &evidence.hcl_report,
            message: &evidence.tpm_quote.message,
            signature: evidence.tpm_quote.signature(),
            pcrs: &pcrs,
            event_log: None,
            ima: None,
            cel: None,
        };
        az_vtpm::verify(&evidence, hardware).map(drop)
    };
    verify(&evidence).unwrap();
    let refused = |change: &dyn Fn(&mut hcl::Evidence), what: &str| {
        let mut changed = evidence.clone();
        change(&mut changed);
        assert!(verify(&changed).is_err(), "{what}");
    };
    // Of the paravisor's own header, signature and sizes alone are held against something: nobody signs it.
    for at in (0..4).chain(8..12).chain(0x20..evidence.hcl_report.len()) {
        refused(&|evidence| evidence.hcl_report[at] ^= 1, &format!("byte {at} of the report"));
    }
    for at in 0..evidence.tpm_quote.message.len() {
        refused(&|evidence| evidence.tpm_quote.message[at] ^= 1, &format!("byte {at} of the quote"));
    }
    for at in 0..evidence.tpm_quote.signature.len() {
        refused(&|evidence| evidence.tpm_quote.signature[at] ^= 1, &format!("byte {at} of the signature"));
    }
    for pcr in 0..24 {
        for at in 0..32 {
            refused(&|evidence| evidence.tpm_quote.pcrs[pcr][at] ^= 1, &format!("byte {at} of PCR {pcr}"));
        }
    }
    for len in [0, 4, 32, CLAIMS - 1, CLAIMS, used(&evidence) - 1] {
        refused(&|evidence| evidence.hcl_report.truncate(len), &format!("cut at {len}"));
    }
}

/// A TDREPORT holds on its own machine alone. Elsewhere it is carried along, no fact is taken from it, and what is believed is the quote.
#[test]
fn a_trust_domain_s_report_is_carried_and_its_quote_believed() {
    let guest = tdx_guest(&site(), "td", QuoteFormat::V4);
    let (party, evidence) = (Party::of(&guest), guest.evidence(NONCE).unwrap());
    let genuine = party.judge(&evidence).unwrap();
    for at in (0x20..CLAIMS - 20).step_by(7).chain([0x20, 0xa0, 0x230]) {
        let mut changed = evidence.clone();
        changed.hcl_report[at] ^= 1;
        let facts = party.judge(&changed).unwrap();
        assert_eq!(facts.claims(), genuine.claims(), "byte {at}");
        assert_ne!(facts.evidence_sha384(), genuine.evidence_sha384(), "it is other evidence all the same");
    }
    for at in (CLAIMS - 20..evidence.hcl_report.len()).step_by(3) {
        let mut changed = evidence.clone();
        changed.hcl_report[at] ^= 1;
        refusal(party.judge(&changed));
    }
    let mut quote = evidence.td_quote.clone().unwrap();
    for at in (0..700).step_by(13) {
        quote[at] ^= 1;
        refusal(party.judge(&hcl::Evidence { td_quote: Some(quote.clone()), ..evidence.clone() }));
        quote[at] ^= 1;
    }
}

/// A paravisor refuses what it could not report.
#[test]
fn a_guest_that_no_report_could_tell_of_does_not_boot() {
    let refused = |change: &dyn Fn(&mut GuestConfig)| {
        let mut config = config();
        change(&mut config);
        let error = Guest::boot(snp_hardware(&platform(), 0, 3), config).unwrap_err();
        let SimError::Config { field, .. } = error else { panic!("{error}") };
        field
    };
    for version in [0, 3] {
        assert_eq!(refused(&|config| config.version = version), "HCL report version");
    }
    for hash in [AlgorithmId::SHA1, AlgorithmId::SM3_256] {
        assert_eq!(refused(&|config| config.hash = hash), "hash of the claims");
    }
    for scheme in [Scheme::RsaPss, Scheme::EcdsaP256, Scheme::EcdsaP384] {
        assert_eq!(refused(&|config| config.vtpm.ak = AkTemplate::new(scheme)), "keys of the vTPM");
    }
    for kind in [KeyKind::P256, KeyKind::P384] {
        assert_eq!(refused(&|config| config.vtpm.ek = kind), "keys of the vTPM");
    }
    let long = |config: &mut GuestConfig| config.vm_configuration.root_cert_thumbprint = Some("x".repeat(300));
    assert_eq!(refused(&long), "runtime claims");

    let site = site();
    let mut guest = tdx_guest(&site, "td", QuoteFormat::V4);
    let report = guest.hcl_report().to_vec();
    guest.vtpm_mut().create_ak(AkTemplate::new(Scheme::EcdsaP256)).unwrap();
    guest.renew_report().unwrap_err();
    assert_eq!(guest.hcl_report(), report, "the former report stays");
    let extended = Hardware::Tdx { td: td(&site, "extended"), quote: QuoteFormat::V5Td15Ex };
    let error = Guest::boot(extended, config()).unwrap().evidence(NONCE).unwrap_err();
    assert!(matches!(error, SimError::Config { field: "quote layout", .. }), "{error}");
    let banks = vec![AlgorithmId::SHA384];
    let vtpm = MachineConfig { firmware_banks: banks.clone(), banks, ..config().vtpm };
    let guest = Guest::boot(snp_hardware(&platform(), 0, 3), GuestConfig { vtpm, ..config() }).unwrap();
    assert!(matches!(guest.evidence(NONCE), Err(SimError::Config { field: "PCR banks", .. })));
}
