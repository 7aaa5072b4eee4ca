//! The production verifier on what a simulated vendor of Hygon CSV emits: believed under the site's own HRK, refused under any other, and every
//! fact and refusal that a platform, its owner or its operator can bring about, brought about by operating it.

#[path = "csv/owner.rs"]
mod owner;
#[path = "csv/registers.rs"]
mod registers;

use registers::event;
use sealwright_evidence::Backend;
use sealwright_sim::Error as SimError;
use sealwright_sim::csv::{Chip, ChipConfig, DEFAULT_POLICY, Firmware, Guest, GuestConfig, Layout, Owner, Site};
use sealwright_verify::csv::Chip as Verifier;
use sealwright_verify::{Anchor, AnchorKind, Anchors, CsvClaims, Error, Facts, Part, SIMULATION};
use sealwright_wire::csv::{Body, CaCertificate, Certificate, HskCek, Policy, Report, SignerForm};
use sealwright_wire::tcg2::event_type::EV_SEPARATOR;
use sealwright_wire::{Digest, Tee, time::UnixTime};
use sm3::{Digest as _, Sm3};
use std::collections::BTreeSet;
use zerocopy::IntoBytes;

const NOW: UnixTime = UnixTime(1_795_132_800);
const SERIAL: &str = "SIMULATED-0001";
const DATA: [u8; 64] = [0x5a; 64];
const FORMS: [SignerForm; 2] = [SignerForm::Firmware, SignerForm::Restored];
/// The host may read the guest.
const DEBUGGABLE: Policy = Policy(DEFAULT_POLICY.0 & !1);
/// CSV without encrypted register state.
const NO_ES: Policy = Policy(DEFAULT_POLICY.0 & !0b100);
/// Migratable to chips of a newer generation: HSK_VERSION 4, CEK_VERSION 3, API 1.2, and the address space id shared.
const SENDABLE: Policy = Policy(0x0201_34b7);

fn chip(site: &Site) -> Chip {
    site.make_chip(&ChipConfig::new(SERIAL)).unwrap()
}

fn guest(site: &Site) -> Guest {
    chip(site).launch(&GuestConfig::new(b"image")).unwrap()
}

/// A site, its chip and a guest on it.
fn running() -> (Site, Chip, Guest) {
    let site = Site::found().unwrap();
    let chip = chip(&site);
    let guest = chip.launch(&GuestConfig::new(b"image")).unwrap();
    (site, chip, guest)
}

fn anchors(site: &Site) -> Anchors {
    Anchors::none().with(Anchor::from_certificate("the site", &site.hrk()).unwrap())
}

fn verifier(site: &Site, chip: &Chip) -> Verifier {
    Verifier::verify(&chip.hsk_cek(), &anchors(site)).unwrap().for_serial_number(SERIAL)
}

fn judge(verifier: &Verifier, report: &[u8], log: Option<&[u8]>) -> Result<Facts, Error> {
    verifier.verify_report(&Report::parse(report).unwrap(), log, NOW)
}

fn report(guest: &Guest, layout: Layout) -> Vec<u8> {
    guest.report(&DATA, layout, SignerForm::Firmware).unwrap()
}

fn evidence(verifier: &Verifier, guest: &Guest) -> Result<Facts, Error> {
    let evidence = guest.evidence(&DATA).unwrap();
    judge(verifier, &evidence.quote, evidence.event_log.as_deref())
}

fn claims(facts: &Facts) -> &CsvClaims {
    facts.claims().csv().unwrap()
}

fn sm3(data: &[u8]) -> [u8; 32] {
    Sm3::digest(data).into()
}

// Every report.

#[test]
fn reports_of_every_layout_form_and_policy_are_believed_under_the_sites_root_alone() {
    let (site, other) = (Site::found().unwrap(), Site::found().unwrap());
    let chip = chip(&site);
    let verifier = verifier(&site, &chip);
    for policy in [DEFAULT_POLICY, DEBUGGABLE, NO_ES, SENDABLE, Policy(0)] {
        let guest = chip.launch(&GuestConfig { policy, ..GuestConfig::new(b"image") }).unwrap();
        for layout in Layout::ALL {
            for form in FORMS {
                let bytes = guest.report(&DATA, layout, form).unwrap();
                let parsed = Report::parse(&bytes).unwrap();
                assert_eq!((parsed.shape, parsed.body.version()), (layout.shape(), layout.version()));
                let facts = judge(&verifier, &bytes, None).unwrap();
                assert_eq!((facts.tee(), facts.report_data()), (Tee::Csv, &DATA[..]));
                assert_eq!((facts.debug(), facts.trailing_bytes()), (Some(!policy.nodbg()), 0), "{policy:?}");
                let said = claims(&facts);
                assert_eq!((said.version, said.signer_mac), (layout.version(), form == SignerForm::Firmware));
                assert_policy(said, policy);
            }
        }
    }
    for anchors in [Anchors::vendor(), Anchors::none(), anchors(&other)] {
        let error = Verifier::verify(&chip.hsk_cek(), &anchors).unwrap_err();
        assert_eq!(error.code(), "untrusted-root", "{error}");
    }
}

fn assert_policy(said: &CsvClaims, policy: Policy) {
    let bits = [said.policy.nodbg, said.policy.noks, said.policy.es, said.policy.nosend];
    assert_eq!(bits, [policy.nodbg(), policy.noks(), policy.es(), policy.nosend()], "{policy:?}");
    let bits = [said.policy.domain, said.policy.csv, said.policy.csv3, said.policy.asid_reuse];
    assert_eq!(bits, [policy.domain(), policy.csv(), policy.csv3(), policy.asid_reuse()], "{policy:?}");
    let least = [said.policy.hsk_version, said.policy.cek_version, said.policy.api_major, said.policy.api_minor];
    let asked = [policy.hsk_version(), policy.cek_version(), policy.api_major(), policy.api_minor()];
    assert_eq!(least, asked, "{policy:?}");
}

#[test]
fn a_report_says_what_the_owner_said_at_launch() {
    let (site, chip, _) = running();
    let config = GuestConfig {
        vm_id: [2; 16],
        vm_version: [3; 16],
        user_pubkey_digest: Digest([1; 32]),
        ..GuestConfig::new(b"another image")
    };
    let guest = chip.launch(&config).unwrap();
    for layout in Layout::ALL {
        let facts = judge(&verifier(&site, &chip), &report(&guest, layout), None).unwrap();
        let said = claims(&facts);
        assert_eq!(said.measure, Digest(sm3(b"another image")));
        let names = (said.vm_id, said.vm_version, said.user_pubkey_digest);
        assert_eq!(names, (Digest([2; 16]), Digest([3; 16]), Digest([1; 32])));
        assert_eq!((said.serial_number.as_str(), said.chip_id.as_deref()), (SERIAL, Some(SERIAL)));
        assert_eq!(said.pek_api, Firmware::default().api);
    }
}

#[test]
fn masks_and_nonces_are_fresh_and_nothing_of_a_masked_report_is_in_the_clear() {
    let (_, _, guest) = running();
    let reports: Vec<_> = (0..8).map(|_| report(&guest, Layout::Bare)).collect();
    let parsed: Vec<_> = reports.iter().map(|bytes| Report::parse(bytes).unwrap()).collect();
    let masks: BTreeSet<_> = parsed.iter().map(|report| report.body.anonce()).collect();
    let nonces: BTreeSet<_> = parsed.iter().map(|report| report.tee_info().mnonce).collect();
    assert_eq!((masks.len(), nonces.len()), (8, 8));
    for (bytes, report) in reports.iter().zip(&parsed) {
        assert_eq!((report.signer_form(), report.tee_info().report_data), (SignerForm::Firmware, DATA));
        for plain in [SIMULATION.as_bytes(), SERIAL.as_bytes(), &DATA[..8]] {
            assert!(!contains(bytes, plain), "{}", plain.escape_ascii());
        }
    }
}

#[test]
fn every_changed_byte_of_a_simulated_report_is_refused() {
    let (site, chip, guest) = running();
    let verifier = verifier(&site, &chip);
    for layout in [Layout::Bare, Layout::ExtensionV2] {
        let bytes = report(&guest, layout);
        let parsed = Report::parse(&bytes).unwrap();
        let start = parsed.raw.as_ptr().addr() - bytes.as_ptr().addr();
        for place in (start..start + parsed.raw.len()).step_by(11) {
            let mut changed = bytes.clone();
            changed[place] ^= 0x10;
            assert!(judge(&verifier, &changed, None).is_err(), "{layout:?}, byte {place}");
        }
    }
}

// Where it says what it is.

#[test]
fn facts_say_that_the_anchor_is_a_simulation() {
    let (site, chip, guest) = running();
    let facts = evidence(&verifier(&site, &chip), &guest).unwrap();
    assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("the site", AnchorKind::Simulated));
    assert_eq!(Backend::name(&guest), "simulated CSV");
}

#[test]
fn every_certificate_says_that_it_is_a_simulation_s() {
    let (site, chip, guest) = running();
    let owner = Owner::found("of a fleet").unwrap();
    let says = |id: &[u8]| assert!(id.starts_with(SIMULATION.as_bytes()), "{}", id.escape_ascii());
    let hrk = site.hrk();
    let hsk_cek = chip.hsk_cek();
    let pair = HskCek::parse(&hsk_cek).unwrap();
    for certificate in [CaCertificate::parse(&hrk).unwrap(), pair.hsk] {
        says(certificate.user_id());
        assert!(certificate.key_id.starts_with(b"SIMULATED-"));
    }
    for certificate in [chip.pek(), owner.oca(), chip.owner().unwrap().oca()] {
        says(Certificate::parse(&certificate).unwrap().user_id());
    }
    says(pair.cek.user_id());
    for layout in Layout::ALL {
        let bytes = report(&guest, layout);
        let signer = Report::parse(&bytes).unwrap().plain_signer().unwrap();
        says(signer.pek.user_id());
        says(&signer.reserved);
    }
}

#[test]
fn the_simulation_cannot_be_hidden_by_renaming_its_root() {
    let (site, chip, _) = running();
    let hrk = site.hrk();
    let mut renamed = *CaCertificate::parse(&hrk).unwrap();
    renamed.user_id[..10].copy_from_slice(b"HYGON-SSD-");
    let error = Anchor::from_certificate("x", renamed.as_bytes()).unwrap_err();
    assert_eq!(error, Error::Signature { part: Part::Hrk, signer: Part::Hrk.name() });
    let declared = Anchor::from_certificate("hygon-hrk", &hrk).unwrap();
    let verified = Verifier::verify(&chip.hsk_cek(), &Anchors::none().with(declared)).unwrap();
    assert_eq!(verified.anchor().kind, AnchorKind::Simulated);
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

// The vendor.

#[test]
fn a_chip_of_another_hsk_is_believed_under_the_same_root() {
    let (site, first, old) = running();
    site.renew_hsk().unwrap();
    let second = chip(&site);
    let new = second.launch(&GuestConfig::new(b"image")).unwrap();
    let (of_first, of_second) = (first.hsk_cek(), second.hsk_cek());
    let (one, two) = (HskCek::parse(&of_first).unwrap(), HskCek::parse(&of_second).unwrap());
    assert_ne!(one.hsk.key_id, two.hsk.key_id);
    assert_eq!(one.hsk.signer_id, two.hsk.signer_id);
    evidence(&verifier(&site, &first), &old).unwrap();
    evidence(&verifier(&site, &second), &new).unwrap();
    // Certificates of the two chips mixed up.
    let mixed = HskCek { hsk: two.hsk, cek: one.cek }.encode();
    let error = Verifier::verify(&mixed, &anchors(&site)).unwrap_err();
    assert_eq!((error.code(), error.claim()), ("wrong-issuer", "CEK certificate"));
}

#[test]
fn a_cek_that_does_not_name_its_hsk_is_held_against_the_one_beside_it() {
    let site = Site::found().unwrap();
    let chip = site.make_chip(&ChipConfig { cek_names_hsk: false, ..ChipConfig::new(SERIAL) }).unwrap();
    let guest = chip.launch(&GuestConfig::new(b"image")).unwrap();
    evidence(&verifier(&site, &chip), &guest).unwrap();
    let own = chip.hsk_cek();
    let own = HskCek::parse(&own).unwrap();
    assert_eq!((own.cek.version.get(), own.cek.signer_id), (1, [0; 16]));
    site.renew_hsk().unwrap();
    let other = site.make_chip(&ChipConfig::new("SIMULATED-0002")).unwrap().hsk_cek();
    let mixed = HskCek { hsk: HskCek::parse(&other).unwrap().hsk, cek: own.cek }.encode();
    let error = Verifier::verify(&mixed, &anchors(&site)).unwrap_err();
    assert_eq!(error, Error::Signature { part: Part::Cek, signer: Part::Hsk.name() });
}

#[test]
fn after_the_root_is_renewed_who_trusts_the_former_one_believes_nothing_new() {
    let (site, chip, guest) = running();
    site.renew_hsk().unwrap();
    let later = self::chip(&site);
    let (former, fetched) = (anchors(&site), chip.hsk_cek());
    site.renew_hrk().unwrap();
    for chip in [&chip, &later] {
        let error = Verifier::verify(&chip.hsk_cek(), &former).unwrap_err();
        assert_eq!(error, Error::Signature { part: Part::Hsk, signer: Part::Hrk.name() });
        Verifier::verify(&chip.hsk_cek(), &anchors(&site)).unwrap();
    }
    evidence(&verifier(&site, &chip), &guest).unwrap();
    // What was fetched before is signed by the root of before.
    evidence(&Verifier::verify(&fetched, &former).unwrap(), &guest).unwrap();
    assert_eq!(Verifier::verify(&fetched, &anchors(&site)).unwrap_err().code(), "csv-chain-signature");
    // A relying party that has both lives through the change.
    let both = former.with(Anchor::from_certificate("renewed", &site.hrk()).unwrap());
    assert_eq!(Verifier::verify(&chip.hsk_cek(), &both).unwrap().anchor().name, "renewed");
}

#[test]
fn an_hsk_is_no_anchor() {
    let (_, chip, _) = running();
    let pair = chip.hsk_cek();
    let error = Anchor::from_certificate("x", &pair[..size_of::<CaCertificate>()]).unwrap_err();
    assert!(matches!(error, Error::Profile { part: Part::Hrk, .. }), "{error}");
}

// The chip.

#[test]
fn reports_of_another_chip_are_refused() {
    let (site, chip, guest) = running();
    let neighbour = site.make_chip(&ChipConfig::new("SIMULATED-0002")).unwrap();
    let there = neighbour.launch(&GuestConfig::new(b"image")).unwrap();
    // The certificates of the one, the report of the other.
    let error = evidence(&verifier(&site, &chip), &there).unwrap_err();
    assert_eq!(error, Error::Signature { part: Part::Pek, signer: Part::Cek.name() });
    // The certificates that the report's chip has, asked for under another number.
    let misnamed = Verifier::verify(&chip.hsk_cek(), &anchors(&site)).unwrap().for_serial_number("SIMULATED-0002");
    let error = evidence(&misnamed, &guest).unwrap_err();
    let found = (error.code(), error.expected(), error.actual());
    assert_eq!(found, ("other-chip", Some("SIMULATED-0002".to_owned()), Some(SERIAL.to_owned())));
    // Without a name nobody can tell, and the facts say so.
    let unnamed = Verifier::verify(&chip.hsk_cek(), &anchors(&site)).unwrap();
    let facts = evidence(&unnamed, &guest).unwrap();
    assert_eq!((claims(&facts).serial_number.as_str(), &claims(&facts).chip_id), (SERIAL, &None));
}

#[test]
fn a_chip_that_was_never_given_a_number_makes_no_evidence() {
    let site = Site::found().unwrap();
    for text in ["", "SIMULATED 0001", "SIMULATED-\u{e9}", "\0SIMULATED"] {
        let chip = site.make_chip(&ChipConfig::new(text)).unwrap();
        let guest = chip.launch(&GuestConfig::new(b"image")).unwrap();
        let verifier = Verifier::verify(&chip.hsk_cek(), &anchors(&site)).unwrap();
        for layout in Layout::ALL {
            let error = judge(&verifier, &report(&guest, layout), None).unwrap_err();
            assert!(matches!(error, Error::Profile { part: Part::CsvReport, .. }), "{text:?}: {error}");
        }
    }
    let full = site.make_chip(&ChipConfig::new("A".repeat(64))).unwrap();
    let guest = full.launch(&GuestConfig::new(b"image")).unwrap();
    let verifier = Verifier::verify(&full.hsk_cek(), &anchors(&site)).unwrap().for_serial_number(&"A".repeat(64));
    evidence(&verifier, &guest).unwrap();
    for length in [65, 4096] {
        let error = site.make_chip(&ChipConfig::new("A".repeat(length))).unwrap_err();
        assert!(matches!(error, SimError::Config { field: "serial number", .. }), "{error}");
    }
}

#[test]
fn a_new_pek_signs_what_comes_after_it_and_takes_nothing_back() {
    let (site, chip, guest) = running();
    let verifier = verifier(&site, &chip);
    for layout in Layout::ALL {
        let (before, pek) = (report(&guest, layout), chip.pek());
        chip.update_pek().unwrap();
        assert_ne!(chip.pek(), pek);
        let after = report(&guest, layout);
        let carried = |bytes: &[u8]| Report::parse(bytes).unwrap().plain_signer().unwrap().pek;
        assert_ne!(carried(&before).public_key, carried(&after).public_key);
        // One verifier, which remembers the first PEK that it saw.
        for bytes in [&before, &after, &before] {
            judge(&verifier, bytes, None).unwrap();
        }
    }
}

#[test]
fn a_pek_tells_the_firmware_that_it_was_made_with() {
    let (site, chip, guest) = running();
    let verifier = verifier(&site, &chip);
    let said = || {
        let facts = judge(&verifier, &report(&guest, Layout::ExtensionV2), None).unwrap();
        (claims(&facts).pek_api, claims(&facts).extended.as_ref().unwrap().build)
    };
    assert_eq!(said(), ([1, 4], 2337));
    chip.update_firmware(Firmware { api: [1, 5], build: 2400 });
    assert_eq!(said(), ([1, 4], 2400));
    chip.update_pek().unwrap();
    assert_eq!(said(), ([1, 5], 2400));
}

#[test]
fn firmware_without_registers_has_reports_of_version_1_alone() {
    let site = Site::found().unwrap();
    let firmware = Firmware { api: [1, 3], build: 2336 };
    let chip = site.make_chip(&ChipConfig { firmware, ..ChipConfig::new(SERIAL) }).unwrap();
    let guest = chip.launch(&GuestConfig::new(b"image")).unwrap();
    let refused =
        |error: SimError| assert!(matches!(error, SimError::Config { field: "firmware build", .. }), "{error}");
    refused(guest.report(&DATA, Layout::ExtensionV2, SignerForm::Firmware).unwrap_err());
    refused(guest.measure(1, EV_SEPARATOR, &[1; 32], &[0; 4]).unwrap_err());
    refused(guest.extend_unrecorded(4, &[1; 32]).unwrap_err());
    assert!(guest.extend(&event("x")).is_err());
    assert_eq!((guest.event_log().unwrap(), guest.measurements().unwrap().len()), (None, 0));
    let facts = evidence(&verifier(&site, &chip), &guest).unwrap();
    assert_eq!((claims(&facts).version, claims(&facts).pek_api), (1, [1, 3]));
    assert!(facts.log().is_none());
    chip.update_firmware(Firmware::default());
    assert_eq!(claims(&evidence(&verifier(&site, &chip), &guest).unwrap()).version, 2);
}

// One chip, many guests.

#[test]
fn copies_are_one_guest_and_other_guests_are_others() {
    let (site, chip, guest) = running();
    let neighbour = chip.launch(&GuestConfig::new(b"image")).unwrap();
    guest.clone().extend(&event("x")).unwrap();
    let events = |guest: &Guest| evidence(&verifier(&site, &chip), guest).unwrap().log().unwrap().events();
    assert_eq!((events(&guest), events(&neighbour)), (1, 0));
    let other = self::guest(&Site::found().unwrap());
    assert_eq!(evidence(&verifier(&site, &chip), &other).unwrap_err().code(), "csv-chain-signature");
}

#[test]
fn time_changes_nothing_and_nothing_expires() {
    let (site, chip, guest) = running();
    let bytes = report(&guest, Layout::Bare);
    let report = Report::parse(&bytes).unwrap();
    assert!(matches!(report.body, Body::V1(_)));
    for at in [UnixTime(0), NOW, UnixTime(200_000_000_000)] {
        let facts = verifier(&site, &chip).verify_report(&report, None, at).unwrap();
        assert!(!claims(&facts).certificates_expire && !claims(&facts).certificates_revocable);
        assert_eq!((facts.at(), facts.tcb()), (at, None));
        assert_eq!(facts.collateral_expires().to_string(), "9999-12-31T23:59:59Z");
    }
}
