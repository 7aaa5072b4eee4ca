//! Hygon CSV: what the public certificates are worth, and every check, shown by evidence in which exactly one thing is wrong. What verifiers of
//! the field leave out is here: the debug bit, the binding of chip and report, the MAC over the signer, the owner's signature.

mod chip;

use chip::{Ca, Key, Node, Site, at};
use sealwright_verify::csv::Chip;
use sealwright_verify::{Anchor, AnchorKind, Anchors, CsvClaims, CsvError, CsvOwner, Error, Facts, Part, SIMULATION};
use sealwright_wire::aael::RuntimeEvent;
use sealwright_wire::csv::{Report, TeeInfoV1, Usage};
use sealwright_wire::tcg2::{AlgorithmId, Log, Writer, event_type};
use sealwright_wire::{Digest, Tee, time::UnixTime};
use sm3::{Digest as _, Sm3};
use std::fs;
use std::path::{Path, PathBuf};
use zerocopy::{FromBytes, IntoBytes};

fn claims(facts: &Facts) -> &CsvClaims {
    facts.claims().csv().unwrap()
}

/// The refusal after one change: its code, and the part or claim that it names.
fn refused(site: Site, change: impl FnOnce(&mut Site)) -> (&'static str, &'static str) {
    let mut site = site;
    change(&mut site);
    let error = site.refusal();
    assert!(!error.remedy().is_empty());
    (error.code(), error.claim())
}

/// Every byte of the TEE info, of the serial number and what follows it, and every seventh of the PEK's certificate between them: a step that no
/// field's size is a multiple of.
fn places(signer: usize) -> impl Iterator<Item = usize> {
    let pek = 2084;
    (0..signer).chain((signer..signer + pek).step_by(7)).chain(signer + pek..signer + pek + 128)
}

// A skipped test has nowhere else to say so.
#[allow(clippy::print_stderr)]
fn vectors() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SEALWRIGHT_VECTORS") {
        let folder = PathBuf::from(named);
        assert!(folder.is_dir(), "SEALWRIGHT_VECTORS names {}, which is no folder", folder.display());
        return Some(folder);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no vectors");
    None
}

// What is public.

#[test]
fn the_public_chain_is_hygon_s() {
    let Some(vectors) = vectors() else { return };
    let read = |file: &str| fs::read(vectors.join("csv/csv-rs").join(file)).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&read("expected.json")).unwrap();
    assert_eq!(expected["hsk"], "signed by hrk, accept");
    let hsk_cek = read("hsk_cek.cert");
    let chip = Chip::verify(&hsk_cek, &Anchors::vendor()).unwrap();
    assert_eq!((chip.anchor().name.as_str(), chip.anchor().kind), ("hygon-hrk", AnchorKind::Vendor));
    // The certificate that Hygon publishes is the built-in key's, and signed by it.
    let hrk = read("hrk.cert");
    assert_eq!(
        sealwright_verify::hash::sha256(&[&hrk]).to_string(),
        "296efa97580464aca0ab5eefe42199ee05862182508d1629f29cf4dc175b10cd"
    );
    let published = Anchor::from_certificate("published", &hrk).unwrap();
    assert_eq!((published.id().kind, published.id().sha256), (AnchorKind::Vendor, Anchor::hygon().id().sha256));
    let error = Chip::verify(&hsk_cek, &Anchors::none()).unwrap_err();
    assert_eq!((error.code(), error.expected().unwrap()), ("untrusted-root", "none".to_owned()));
}

#[test]
fn the_public_report_verifies_from_hygon_s_root_down() {
    let Some(vectors) = vectors() else { return };
    let read = |file: &str| fs::read(vectors.join("csv/csv-rs").join(file)).unwrap();
    let chip = Chip::verify(&read("hsk_cek.cert"), &Anchors::vendor()).unwrap().for_serial_number("NZA9T14052605");
    let bytes = read("report.cert");
    let facts = chip.verify_report(&Report::parse(&bytes).unwrap(), None, at()).unwrap();
    assert_eq!((facts.anchor().kind, facts.debug(), facts.trailing_bytes()), (AnchorKind::Vendor, Some(false), 0));
    assert!(facts.report_data().starts_with(b"user data\0"));
    let said = claims(&facts);
    let measure = "1178dadbf826ec7a07444ba358376d81c312cb53d703f9da83b26c1eee2ea052";
    assert_eq!((said.version, said.measure.to_string().as_str()), (1, measure));
    assert_eq!((said.serial_number.as_str(), said.chip_id.as_deref()), ("NZA9T14052605", Some("NZA9T14052605")));
    assert_eq!((said.signer_mac, said.owner, said.pek_api), (true, CsvOwner::Unverified, [1, 3]));
    assert_eq!((said.policy.nodbg, said.policy.es, said.policy.api_minor), (true, false, 0x40));
    // As the firmware made it every byte of it counts.
    for place in places(0x150) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let report = Report::parse(&changed).unwrap();
        assert!(chip.verify_report(&report, None, at()).is_err(), "byte {place}");
    }
}

#[test]
fn a_flipped_byte_of_the_public_chain_is_refused_unless_nobody_signs_it() {
    let Some(vectors) = vectors() else { return };
    let hsk_cek = fs::read(vectors.join("csv/csv-rs/hsk_cek.cert")).unwrap();
    let anchors = Anchors::vendor();
    for at in (0..hsk_cek.len()).step_by(5) {
        let mut changed = hsk_cek.clone();
        changed[at] ^= 1;
        // Behind the HSK's signature; behind the CEK's signature, and the place for a second one.
        let first = 832 + 0x414;
        let unsigned = (0x2d0..832).contains(&at) || (first + 152..first + 520).contains(&at) || at >= first + 520;
        assert_eq!(Chip::verify(&changed, &anchors).is_ok(), unsigned, "byte {at}");
    }
}

// A chip of our own making.

#[test]
fn the_site_as_it_is_is_accepted() {
    let facts = Site::v1().verify().unwrap();
    assert_eq!(
        (facts.tee(), facts.anchor().name.as_str(), facts.anchor().kind),
        (Tee::Csv, "test", AnchorKind::Configured)
    );
    assert_eq!((facts.at(), facts.debug(), facts.trailing_bytes()), (at(), Some(false), 0));
    assert_eq!((facts.report_data(), facts.quote_version()), (&[0x5a; 64][..], None));
    assert!(facts.tcb().is_none() && facts.log().is_none());
    assert_eq!(facts.collateral_expires().to_string(), "9999-12-31T23:59:59Z");
    let said = claims(&facts);
    assert_eq!((said.version, said.measure, said.mnonce), (1, Digest([0x6b; 32]), Digest([0x7c; 16])));
    assert_eq!(
        (said.vm_id, said.vm_version, said.user_pubkey_digest),
        (Digest([2; 16]), Digest([3; 16]), Digest([1; 32]))
    );
    assert_eq!((said.serial_number.as_str(), &said.chip_id, said.signer_mac), ("TEST0001", &None, true));
    assert_eq!(
        (said.owner, said.anonce, said.pek_api),
        (CsvOwner::Unverified, Some(Digest([0x9b, 0x42, 0x91, 0x12])), [1, 0])
    );
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!(json["tee"], "csv");
    let policy = serde_json::json!({
        "nodbg": true, "noks": false, "es": true, "nosend": false, "domain": false, "csv": false, "csv3": true, "asid_reuse": false,
        "hsk_version": 4, "cek_version": 3, "api_major": 1, "api_minor": 2,
    });
    assert_eq!(json["csv"]["policy"], policy);
    assert_eq!(json["csv"]["certificates_expire"], false);
    assert_eq!(json["csv"]["certificates_revocable"], false);
    assert_eq!(json["csv"]["owner"], "unverified");
    assert_eq!(json["log"]["present"], false);
    assert!(json["csv"].get("rtmr0").is_none() && json["csv"].get("chip_id").is_none());
}

#[test]
fn a_report_of_version_2_states_its_registers() {
    let mut site = Site::v2();
    site.rtmr = Some([site.info.measure, [1; 32], [2; 32], [3; 32], [4; 32]]);
    let facts = site.verify().unwrap();
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!((claims(&facts).version, claims(&facts).anonce), (2, None));
    assert_eq!(json["csv"]["rtmr0"], "6b".repeat(32));
    assert_eq!(json["csv"]["rtmr4"], "04".repeat(32));
    assert_eq!((&json["csv"]["build"], &json["csv"]["rtmr_version"]), (&2337.into(), &1.into()));
}

#[test]
fn the_debug_bit_is_a_fact_of_its_own() {
    for site in [Site::v1(), Site::v2()] {
        let mut site = site;
        site.info.policy.set(0x44);
        let facts = site.verify().unwrap();
        assert!(facts.debug() == Some(true) && !claims(&facts).policy.nodbg);
    }
}

#[test]
fn every_byte_of_a_report_is_vouched_for() {
    for site in [Site::v1(), Site::v2()] {
        let bytes = site.report();
        let chip = site.chip().unwrap().for_serial_number("TEST0001");
        let good = Report::parse(&bytes).unwrap();
        chip.verify_report(&good, None, at()).unwrap();
        let (start, end) = (good.raw.as_ptr().addr() - bytes.as_ptr().addr(), good.raw.len());
        for place in places(end - 2212) {
            let mut changed = bytes.clone();
            changed[start + place] ^= 0x10;
            let report = Report::parse(&changed).unwrap();
            assert!(chip.verify_report(&report, None, at()).is_err(), "byte {place} of {end}");
        }
    }
}

#[test]
fn a_report_without_its_mac_is_vouched_for_where_a_signature_covers_it() {
    let site = Site { restored: true, ..Site::v1() };
    let bytes = site.report();
    let chip = site.chip().unwrap().for_serial_number("TEST0001");
    // The PEK's first signature ends, the place for the second begins and ends; then serial number, reserved bytes, MAC.
    let (pek, end) = (0x150, 0x150 + 2084);
    let free = |place: usize| (pek + 0x414 + 152..end).contains(&place) || (end + 96..end + 128).contains(&place);
    for place in places(pek) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x10;
        let Ok(facts) = chip.verify_report(&Report::parse(&changed).unwrap(), None, at()) else { continue };
        assert!(free(place), "byte {place}");
        assert!(!claims(&facts).signer_mac);
    }
}

#[test]
fn what_follows_the_signer_is_counted_unless_it_is_padding() {
    let site = Site::v1();
    let mut bytes = site.report();
    let padding = bytes.len() - 2548;
    *bytes.last_mut().unwrap() = 1;
    let report = Report::parse(&bytes).unwrap();
    let facts = site.chip().unwrap().verify_report(&report, None, at()).unwrap();
    assert_eq!(facts.trailing_bytes(), padding);
    let padded = site.verify().unwrap();
    assert_eq!(facts.evidence_sha384(), padded.evidence_sha384(), "padding does not name the evidence");
    assert_eq!(padded.evidence_sha384(), sealwright_verify::hash::sha384(&[&bytes[..2548]]));
}

// Roots.

#[test]
fn a_root_with_the_same_key_id_and_another_key_is_refused() {
    let site = Site::v1();
    let mut other = site.clone();
    other.hrk = Ca::new(Usage::HRK, Key::new("TEST-HRK", 77), 0x11, 0x11);
    let error = Chip::verify(&site.hsk_cek(), &other.anchors()).unwrap_err();
    assert_eq!(error, Error::Signature { part: Part::Hsk, signer: "HRK certificate" });
    assert_eq!(error.code(), "csv-chain-signature");
    // Beside the right one it does no harm.
    let both = other.anchors().with(Anchor::from_certificate("right", &site.hrk()).unwrap());
    assert_eq!(Chip::verify(&site.hsk_cek(), &both).unwrap().anchor().name, "right");
}

#[test]
fn a_root_that_is_not_named_is_refused() {
    let site = Site::v1();
    let error = Chip::verify(&site.hsk_cek(), &Anchors::vendor()).unwrap_err();
    let Error::Csv(CsvError::UnknownRoot { key_id, trusted }) = &error else { panic!("{error}") };
    assert_eq!((key_id.as_str(), trusted.as_str()), ("11".repeat(16).as_str(), "hygon-hrk"));
    assert_eq!(
        (error.code(), error.claim(), error.actual()),
        ("untrusted-root", "HRK certificate", Some("11".repeat(16)))
    );
}

#[test]
fn a_simulation_s_root_is_simulated_whatever_it_was_declared_as() {
    let mut site = Site::v1();
    let id = format!("{SIMULATION} HRK");
    site.hrk = Ca::new(Usage::HRK, Key::new(&id, 1), 0x11, 0x11);
    assert_eq!(site.verify().unwrap().anchor().kind, AnchorKind::Simulated);
    // A certificate of the same key that hides it is another signer to SM2: the id is part of what is signed.
    let hidden = Site::v1();
    assert_eq!(Anchor::from_certificate("hidden", &hidden.hrk()).unwrap().id().kind, AnchorKind::Configured);
    let error = Chip::verify(&site.hsk_cek(), &hidden.anchors()).unwrap_err();
    assert_eq!(error.code(), "csv-chain-signature");
}

#[test]
fn an_anchor_must_be_a_hrk_signed_by_itself() {
    let site = Site::v1();
    let code = |bytes: &[u8]| Anchor::from_certificate("x", bytes).unwrap_err().code();
    assert_eq!(code(site.hrk.signed_by(&site.hsk.key).as_bytes()), "csv-chain-signature");
    assert_eq!(code(site.hsk.signed_by(&site.hsk.key).as_bytes()), "certificate-profile");
    let mut cross = site.hrk.clone();
    cross.certificate.signer_id = [9; 16];
    assert_eq!(code(cross.signed_by(&cross.key).as_bytes()), "wrong-issuer");
    let mut broken = site.hrk();
    broken[0] = 9;
    assert_eq!(code(&broken), "malformed-collateral");
    let mut nowhere = site.hrk.clone();
    nowhere.certificate.public_key.y = nowhere.certificate.public_key.x;
    assert_eq!(code(nowhere.signed_by(&nowhere.key).as_bytes()), "certificate-profile");
}

#[test]
fn anchors_of_one_pki_never_stand_above_another() {
    // The HRK among the anchors has no X.509 chain, and Intel's root no HSK.
    let site = Site::v1();
    let intel = Anchors::none().with(Anchor::intel());
    assert_eq!(Chip::verify(&site.hsk_cek(), &intel).unwrap_err().code(), "untrusted-root");
    let ids: Vec<_> = Anchors::vendor().iter().map(|anchor| anchor.id().clone()).collect();
    assert!(ids.iter().all(|id| id.kind == AnchorKind::Vendor));
    assert_eq!(ids.iter().filter(|id| id.name == "hygon-hrk").count(), 1);
}

// Certificates.

#[test]
fn certificates_of_another_usage_are_refused() {
    let profile = |claim| ("certificate-profile", claim);
    for usage in [Usage::HRK, Usage::CEK, Usage(7)] {
        assert_eq!(refused(Site::v1(), |site| site.hsk.certificate.key_usage.set(usage.0)), profile("HSK certificate"));
    }
    for usage in [Usage::HSK, Usage::PEK, Usage::OCA, Usage::PDH] {
        assert_eq!(refused(Site::v1(), |site| site.cek.certificate.key_usage.set(usage.0)), profile("CEK certificate"));
    }
    // Without a mask, so that the usage is not what tells the signer's form.
    for usage in [Usage::HSK, Usage::CEK, Usage::OCA, Usage::PDH] {
        assert_eq!(refused(Site::v2(), |site| site.pek.certificate.key_usage.set(usage.0)), profile("PEK certificate"));
    }
    assert_eq!(refused(Site::v1(), |site| site.cek.certificate.algorithm.set(5)), profile("CEK certificate"));
    assert_eq!(refused(Site::v1(), |site| site.pek.certificate.algorithm.set(5)), profile("PEK certificate"));
}

#[test]
fn certificates_of_the_wrong_issuer_are_refused() {
    let signature = |claim| ("csv-chain-signature", claim);
    let stranger = |id: &str| Key::new(id, 99);
    // The same names, another key.
    assert_eq!(refused(Site::v1(), |site| site.hsk_signer = Some(stranger("TEST-HRK"))), signature("HSK certificate"));
    assert_eq!(refused(Site::v1(), |site| site.cek.signers[0].1 = stranger("TEST-HSK")), signature("CEK certificate"));
    assert_eq!(refused(Site::v1(), |site| site.pek.signers[0].1 = stranger("TEST-CEK")), signature("PEK certificate"));
    // The right key, under another id.
    assert_eq!(
        refused(Site::v1(), |site| site.hsk_signer = Some(Key { id: "OTHER".into(), ..site.hrk.key.clone() })),
        signature("HSK certificate")
    );
    // Key ids that do not belong together.
    assert_eq!(
        refused(Site::v1(), |site| site.cek.certificate.signer_id = [0x33; 16]),
        ("wrong-issuer", "CEK certificate")
    );
    assert_eq!(
        refused(Site::v1(), |site| site.hsk.certificate.signer_id = [0x33; 16]),
        ("untrusted-root", "HRK certificate")
    );
}

#[test]
fn a_chain_that_leaves_out_a_link_is_refused() {
    // A CEK signed by the root itself, a PEK by the HSK or by its own key.
    let profile = |claim| ("certificate-profile", claim);
    let by_root = |site: &mut Site| site.cek.signers = vec![(Usage::HRK, site.hrk.key.clone())];
    assert_eq!(refused(Site::v1(), by_root), profile("CEK certificate"));
    let by_hsk = |site: &mut Site| site.pek.signers = vec![(Usage::HSK, site.hsk.key.clone())];
    assert_eq!(refused(Site::v1(), by_hsk), profile("PEK certificate"));
    let by_itself = |site: &mut Site| site.pek.signers = vec![(Usage::CEK, site.pek.key.clone())];
    assert_eq!(refused(Site::v1(), by_itself), ("csv-chain-signature", "PEK certificate"));
    let by_owner_alone = |site: &mut Site| drop(site.pek.signers.remove(0));
    assert_eq!(refused(Site::v1(), by_owner_alone), profile("PEK certificate"));
    assert_eq!(refused(Site::v1(), |site| site.pek.signers.clear()), profile("PEK certificate"));
}

#[test]
fn signatures_may_stand_in_either_place_but_once() {
    let mut site = Site::v1();
    site.pek.signers.reverse();
    site.verify().unwrap();
    let twice = |site: &mut Site| site.pek.signers[1].0 = Usage::CEK;
    assert_eq!(refused(Site::v1(), twice), ("certificate-profile", "PEK certificate"));
    let mut other = Site::v1();
    let mut pek = other.pek.signed();
    pek.signatures[0].algorithm.set(9);
    other.pek.certificate = pek;
    other.pek.signers.clear();
    assert_eq!(other.refusal().code(), "certificate-profile");
}

#[test]
fn a_key_that_is_no_point_is_refused() {
    let nowhere = |key: &mut sealwright_wire::csv::PublicKey| key.y = key.x;
    let profile = |claim| ("certificate-profile", claim);
    assert_eq!(refused(Site::v1(), |site| nowhere(&mut site.hsk.certificate.public_key)), profile("HSK certificate"));
    assert_eq!(refused(Site::v1(), |site| nowhere(&mut site.cek.certificate.public_key)), profile("CEK certificate"));
    assert_eq!(refused(Site::v1(), |site| nowhere(&mut site.pek.certificate.public_key)), profile("PEK certificate"));
}

// The platform's owner.

#[test]
fn a_named_owner_must_have_signed_the_pek() {
    let site = Site::v1();
    let oca = site.oca.signed();
    let report = site.report();
    let report = Report::parse(&report).unwrap();
    let owned = |oca: &[u8]| site.chip().unwrap().for_owner(oca);
    let facts = owned(oca.as_bytes()).unwrap().verify_report(&report, None, at()).unwrap();
    assert_eq!(claims(&facts).owner, CsvOwner::Verified);

    let mut without = site.clone();
    without.pek.signers.truncate(1);
    assert_eq!(claims(&without.verify().unwrap()).owner, CsvOwner::None);
    let bytes = without.report();
    let chip = without.chip().unwrap().for_owner(oca.as_bytes()).unwrap();
    let error = chip.verify_report(&Report::parse(&bytes).unwrap(), None, at()).unwrap_err();
    assert!(matches!(error, Error::Profile { part: Part::Pek, .. }), "{error}");

    let stranger = Key::new("TEST-OCA", 66);
    let other = Node::new(Usage::OCA, stranger.clone(), 0, vec![(Usage::OCA, stranger.clone())]);
    let chip = owned(other.signed().as_bytes()).unwrap();
    let error = chip.verify_report(&report, None, at()).unwrap_err();
    assert_eq!(error, Error::Signature { part: Part::Pek, signer: "OCA certificate" });

    // What was accepted without an owner does not stay accepted when one is named.
    let chip = site.chip().unwrap();
    chip.verify_report(&report, None, at()).unwrap();
    assert!(chip.for_owner(other.signed().as_bytes()).unwrap().verify_report(&report, None, at()).is_err());

    // Who is none.
    let code = |node: &Node| owned(node.signed().as_bytes()).unwrap_err().code();
    assert_eq!(code(&site.pek), "certificate-profile");
    assert_eq!(
        code(&Node { signers: vec![(Usage::OCA, site.cek.key.clone())], ..other.clone() }),
        "csv-chain-signature"
    );
    assert_eq!(code(&Node { signers: Vec::new(), ..other }), "certificate-profile");
    assert_eq!(owned(&[0; 3]).unwrap_err().code(), "malformed-collateral");
}

// The report.

#[test]
fn a_report_of_another_key_is_refused() {
    for site in [Site::v1(), Site::v2()] {
        let other = Key::new("TEST-PEK", 50);
        assert_eq!(refused(site.clone(), |site| site.report_signer = Some(other)), ("report-signature", "CSV report"));
        // The same key under another id.
        let renamed = Key { id: "TEST-CEK".into(), ..site.pek.key.clone() };
        assert_eq!(refused(site, |site| site.report_signer = Some(renamed)), ("report-signature", "CSV report"));
    }
}

#[test]
fn a_report_signed_otherwise_is_refused() {
    for site in [Site::v1(), Site::v2()] {
        let profile = ("certificate-profile", "CSV report");
        assert_eq!(refused(site.clone(), |site| site.info.sig_usage.set(Usage::PDH.0)), profile);
        assert_eq!(refused(site, |site| site.info.sig_algo.set(5)), profile);
    }
}

#[test]
fn the_mac_over_the_signer_is_checked_here() {
    let mismatch = ("signer-mac-mismatch", "report signer");
    assert_eq!(refused(Site::v1(), |site| site.mac_key = [0; 16]), mismatch);
    // A nonce under its mask is another key.
    let masked = |site: &mut Site| site.mac_key = site.info.masked(site.anonce).mnonce;
    assert_eq!(refused(Site::v1(), masked), mismatch);
    assert_eq!(refused(Site::v2(), |site| site.mac_key = [0; 16]), mismatch);
    // Where the guest's library has wiped what the MAC covers, the facts say that it was not checked.
    for site in [Site::v1(), Site::v2()] {
        assert!(claims(&site.verify().unwrap()).signer_mac);
        let facts = Site { restored: true, ..site }.verify().unwrap();
        assert!(!claims(&facts).signer_mac);
        assert_eq!(claims(&facts).serial_number, "TEST0001");
    }
}

#[test]
fn a_report_of_another_chip_is_refused() {
    let site = Site::v1();
    let bytes = site.report();
    let report = Report::parse(&bytes).unwrap();
    let chip = |serial_number| site.chip().unwrap().for_serial_number(serial_number);
    let facts = chip("TEST0001").verify_report(&report, None, at()).unwrap();
    assert_eq!(claims(&facts).chip_id.as_deref(), Some("TEST0001"));
    for other in ["TEST0002", "TEST000", "TEST00011", ""] {
        let error = chip(other).verify_report(&report, None, at()).unwrap_err();
        assert_eq!(
            (error.code(), error.actual().as_deref(), error.expected().as_deref()),
            ("other-chip", Some("TEST0001"), Some(other))
        );
    }
    // A PEK of another chip under a serial number that was copied.
    let mut copied = site.clone();
    copied.cek.key = Key::new("TEST-CEK", 44);
    copied.pek.signers[0].1 = copied.cek.key.clone();
    let bytes = copied.report();
    let error = chip("TEST0001").verify_report(&Report::parse(&bytes).unwrap(), None, at()).unwrap_err();
    assert_eq!(error.code(), "csv-chain-signature");
}

#[test]
fn a_serial_number_must_be_one() {
    let profile = ("certificate-profile", "CSV report");
    assert_eq!(refused(Site::v1(), |site| site.serial_number = [0; 64]), profile);
    assert_eq!(refused(Site::v1(), |site| site.serial_number[3] = 0xff), profile);
    assert_eq!(refused(Site::v1(), |site| site.serial_number[3] = b' '), profile);
    assert_eq!(refused(Site::v1(), |site| site.serial_number[63] = b'X'), profile, "behind the padding");
    let mut full = Site::v1();
    full.serial_number = [b'A'; 64];
    assert_eq!(claims(&full.verify().unwrap()).serial_number, "A".repeat(64));
}

#[test]
fn a_pek_that_is_none_is_malformed_evidence() {
    let (code, claim) = refused(Site::v1(), |site| site.pek.certificate.version.set(7));
    assert_eq!((code, claim), ("malformed-evidence", "CSV report"));
    let error = Chip::verify(&[0; 2916], &Anchors::vendor()).unwrap_err();
    assert_eq!(error.code(), "malformed-collateral");
    assert_eq!(error.claim(), "HSK certificate");
    let mut pair = Site::v1().hsk_cek();
    pair.pop();
    let error = Chip::verify(&pair, &Anchors::vendor()).unwrap_err();
    assert_eq!((error.code(), error.claim()), ("malformed-collateral", "CEK certificate"));
}

/// The mask is not signed: with another one the report still verifies, says that it is no debug guest, and everything else changes with it. That is
/// how the firmware made it; a policy that knows the launch digest is not deceived.
#[test]
fn another_mask_cannot_leave_the_launch_digest_as_it_was() {
    let mut site = Site::v1();
    site.info.policy.set(0);
    site.restored = true;
    let honest = site.verify().unwrap();
    assert_eq!(honest.debug(), Some(true));
    let mut bytes = site.report();
    let (body, _) = TeeInfoV1::mut_from_prefix(&mut bytes).unwrap();
    body.anonce[0] ^= 1;
    for field in [&mut body.masked.sig_usage, &mut body.masked.sig_algo] {
        field.set(field.get() ^ 1);
    }
    let report = Report::parse(&bytes).unwrap();
    let facts = site.chip().unwrap().verify_report(&report, None, at()).unwrap();
    assert_eq!(facts.debug(), Some(false));
    assert_ne!(claims(&facts).measure, claims(&honest).measure);
    assert_ne!(facts.report_data(), honest.report_data());
}

// Registers and logs.

fn sm3(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sm3::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// A boot with one event for each register.
fn booted() -> Site {
    let mut writer = Writer::new(1, &[AlgorithmId::SM3_256]).unwrap();
    let mut site = Site::v2();
    let registers = site.rtmr.as_mut().unwrap();
    for mr_index in 1..=3u32 {
        let data = [u8::try_from(mr_index).unwrap(); 9];
        writer.event(mr_index, event_type::EV_SEPARATOR, &[&sm3(&[&data])], &data).unwrap();
        registers[mr_index as usize] = sm3(&[&[0; 32], &sm3(&[&data])]);
    }
    site.event_log = Some(writer.into_area(4096).unwrap());
    site
}

#[test]
fn rtmr0_must_be_the_launch_digest() {
    let change = |site: &mut Site| site.rtmr.as_mut().unwrap()[0][0] ^= 1;
    assert_eq!(refused(Site::v2(), change), ("launch-register-mismatch", "rtmr0"));
}

#[test]
fn a_log_must_explain_the_registers() {
    let facts = booted().verify().unwrap();
    let log = facts.log().unwrap();
    assert_eq!(log.enforced().collect::<Vec<_>>(), ["rtmr1", "rtmr2", "rtmr3", "rtmr4"]);
    assert_eq!(log.events(), 3);
    for register in 1..=3 {
        let change = |site: &mut Site| site.rtmr.as_mut().unwrap()[register][5] ^= 1;
        assert_eq!(refused(booted(), change), ("event-log-mismatch", ["rtmr1", "rtmr2", "rtmr3"][register - 1]));
    }
    let sha256 = Writer::new(1, &[AlgorithmId::SHA256]).unwrap().into_bytes();
    assert_eq!(refused(Site::v2(), |site| site.event_log = Some(sha256)).0, "event-log-no-bank");
}

#[test]
fn what_ran_after_boot_is_told_by_rtmr4_s_events() {
    let event = RuntimeEvent::new("sealwright", "LoadModel", "digits").unwrap();
    let data = event.to_data();
    let with_event = |digest: [u8; 32]| {
        let mut site = booted();
        let mut writer = Writer::resume(&Log::parse(site.event_log.as_ref().unwrap()).unwrap()).unwrap();
        writer.event(4, event_type::EV_EVENT_TAG, &[&digest], &data).unwrap();
        site.event_log = Some(writer.into_bytes());
        site.rtmr.as_mut().unwrap()[4] = sm3(&[&[0; 32], &digest]);
        site
    };
    let facts = with_event(sm3(&[&data])).verify().unwrap();
    let log = facts.log().unwrap();
    assert_eq!((log.runtime(), log.unexplained().count()), (&[event][..], 0));
    // The register is right, the words are not.
    assert_eq!(refused(with_event([9; 32]), |_| ()).0, "runtime-event-mismatch");
    // The register tells of more than the log.
    assert_eq!(
        refused(with_event(sm3(&[&data])), |site| site.rtmr.as_mut().unwrap()[4][0] ^= 1),
        ("event-log-mismatch", "rtmr4")
    );
    let mut silent = booted();
    silent.rtmr.as_mut().unwrap()[4] = [9; 32];
    assert_eq!(silent.verify().unwrap().log().unwrap().unexplained().collect::<Vec<_>>(), ["rtmr4"]);
    // There is no fifth.
    let mut writer = Writer::new(1, &[AlgorithmId::SM3_256]).unwrap();
    writer.event(5, event_type::EV_SEPARATOR, &[&[1; 32]], &[0; 4]).unwrap();
    assert_eq!(refused(Site::v2(), |site| site.event_log = Some(writer.into_bytes())).0, "malformed-event-log");
}

#[test]
fn version_1_has_no_registers_for_a_log() {
    let log = booted().event_log;
    assert_eq!(refused(Site::v1(), |site| site.event_log = log), ("unexpected-event-log", "event log"));
}

// One chip, many reports.

#[test]
fn a_chip_serves_many_reports_and_is_not_deceived_by_what_it_knows() {
    let site = Site::v1();
    let chip = site.chip().unwrap();
    let verify = |site: &Site| {
        let bytes = site.report();
        let report = Report::parse(&bytes).unwrap();
        chip.verify_report(&report, None, at())
    };
    for round in 0..3 {
        let mut next = site.clone();
        next.info.report_data = [round; 64];
        assert_eq!(verify(&next).unwrap().report_data(), [round; 64]);
    }
    // A forgery under the remembered PEK, then another PEK, then the remembered one again.
    let forged = Site { report_signer: Some(Key::new("TEST-PEK", 50)), ..site.clone() };
    assert_eq!(verify(&forged).unwrap_err().code(), "report-signature");
    let mut renewed = site.clone();
    renewed.pek = Node::new(Usage::PEK, Key::new("TEST-PEK", 51), 0, site.pek.signers.clone());
    verify(&renewed).unwrap();
    let mut foreign = renewed.clone();
    foreign.pek.signers[0].1 = Key::new("TEST-CEK", 52);
    assert_eq!(verify(&foreign).unwrap_err().code(), "csv-chain-signature");
    verify(&site).unwrap();
}

#[test]
fn a_refused_report_leaves_nothing_behind() {
    // The first PEK that the chip sees is genuine, the report is not: the next report of that PEK is judged like the first.
    let site = Site::v1();
    let chip = site.chip().unwrap();
    let forged = Site { report_signer: Some(Key::new("TEST-PEK", 50)), ..site.clone() }.report();
    assert!(chip.verify_report(&Report::parse(&forged).unwrap(), None, at()).is_err());
    let bytes = site.report();
    chip.verify_report(&Report::parse(&bytes).unwrap(), None, at()).unwrap();
}

#[test]
fn time_is_stated_and_changes_nothing() {
    let site = Site::v1();
    let bytes = site.report();
    let report = Report::parse(&bytes).unwrap();
    let chip = site.chip().unwrap();
    for at in [UnixTime(0), at(), UnixTime(200_000_000_000)] {
        assert_eq!(chip.verify_report(&report, None, at).unwrap().at(), at);
    }
}
