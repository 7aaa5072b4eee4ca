//! Each operation of a platform's operator and of the vendor, by what the verifier then says.

use super::*;
use proptest::{prelude::*, test_runner::TestRunner};
use sealwright_sim::snp::{Firmware, HostConfig};
use sealwright_verify::{Part, snp::Error as Reason};
use sealwright_wire::{
    Digest,
    snp::{FirmwareVersion, Tcb},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

const DAY: u64 = 86_400;

/// The next firmware.
fn newer(firmware: Firmware) -> Firmware {
    let tcb = firmware.tcb;
    Firmware {
        version: FirmwareVersion { build: firmware.version.build + 1, ..firmware.version },
        tcb: Tcb { snp: tcb.snp + 1, microcode: tcb.microcode + 2, ..tcb },
        mit_vector: firmware.mit_vector << 1 | 1,
    }
}

#[test]
fn an_update_is_reported_once_it_is_committed_and_then_has_another_key() {
    for product in [Product::Milan, Product::Turin] {
        let platform = Platform::build(&vendor(product)).unwrap();
        let (old, before) = (guest(&platform), Fetched::of(&platform));
        let first = platform.status().current;
        let second = newer(first);
        platform.install(second).unwrap();
        let facts = before.claims(&old);
        assert_eq!((facts.current_tcb, facts.current_version), (second.tcb, second.version));
        assert_eq!((facts.committed_tcb, facts.committed_version), (first.tcb, first.version));
        assert_eq!((facts.reported_tcb, facts.launch_tcb), (first.tcb, first.tcb));
        assert_eq!((facts.launch_mit_vector, facts.current_mit_vector), (Some(1), Some(3)));
        let facts = before.claims(&guest(&platform));
        assert_eq!((facts.launch_tcb, facts.launch_mit_vector), (second.tcb, Some(3)));
        platform.install(first).unwrap();
        assert_eq!(before.claims(&old).current_tcb, first.tcb, "what is not committed can be taken back");
        platform.install(second).unwrap();
        platform.commit();
        let facts = claims(&old);
        assert_eq!((facts.committed_tcb, facts.committed_version), (second.tcb, second.version));
        assert_eq!((facts.reported_tcb, facts.launch_tcb), (second.tcb, first.tcb));
        assert_eq!(
            before.refusal(&old).code(),
            "certified-tcb-mismatch",
            "the key is another, and the reason says why"
        );
        for below in [first, Firmware { tcb: first.tcb, ..second }, Firmware { version: first.version, ..second }] {
            assert_eq!(refused_field(&platform.install(below).unwrap_err()), "firmware");
        }
        assert_eq!(claims(&old), facts, "refused operations change nothing");
    }
}

#[test]
fn a_host_can_report_an_older_tcb_and_the_key_is_of_that() {
    let platform = platform();
    let (guest, first) = (guest(&platform), platform.status().current);
    let old = Fetched::of(&platform);
    let second = newer(first);
    platform.install(second).unwrap();
    assert_eq!(refused_field(&platform.report_tcb(second.tcb).unwrap_err()), "REPORTED_TCB", "not committed yet");
    platform.commit();
    let new = Fetched::of(&platform);
    platform.report_tcb(first.tcb).unwrap();
    let facts = old.claims(&guest);
    assert_eq!((facts.reported_tcb, facts.committed_tcb), (first.tcb, second.tcb));
    assert_eq!(new.refusal(&guest).code(), "certified-tcb-mismatch");
    platform.report_tcb(second.tcb).unwrap();
    assert_eq!(platform.vek().unwrap(), new.vek, "the same versions have the same key");
    assert_eq!(new.claims(&guest).reported_tcb, second.tcb);
    let foreign = Tcb { fmc: Some(0), ..second.tcb };
    assert_eq!(refused_field(&platform.report_tcb(foreign).unwrap_err()), "TCB_VERSION");
    let error = platform.install(Firmware { tcb: foreign, ..second }).unwrap_err();
    assert_eq!(refused_field(&error), "TCB_VERSION");
}

#[test]
fn masks_hide_the_chip_and_keep_the_firmware_from_signing() {
    let platform = platform();
    let (guest, host) = (guest(&platform), platform.status().host);
    let chip_id = claims(&guest).chip_id;
    platform.configure(HostConfig { mask_chip_id: true, ..host });
    let facts = claims(&guest);
    assert!(facts.mask_chip_id && facts.chip_id == Digest([0; 64]));
    assert_eq!(facts.hwid.map(|hwid| *hwid.chip_id()), Some(chip_id.0), "the certificate still names it");
    platform.configure(HostConfig { mask_chip_key: true, ..host });
    let error = Fetched::of(&platform).refusal(&guest);
    assert_eq!(error, Error::Snp(Reason::Unsigned { mask_chip_key: true }));
    platform.load_vlek(CLOUD);
    let facts = claims(&guest);
    assert!(facts.mask_chip_key && !facts.mask_chip_id && facts.chip_id == chip_id, "a VLEK signs all the same");
}

#[test]
fn a_certificate_of_another_kind_chip_cloud_or_product_does_not_do() {
    let [one, other] = [platform(), platform()];
    let (guest, vcek) = (guest(&one), Fetched::of(&one));
    assert_eq!(Fetched::of(&other).refusal(&guest).code(), "chip-id-mismatch");
    one.load_vlek(CLOUD);
    other.load_vlek(CLOUD);
    let vlek = Fetched::of(&other);
    assert_eq!(vlek.claims(&guest).csp_id.as_deref(), Some(CLOUD), "all of a cloud's machines share its key");
    assert_eq!(vcek.refusal(&guest), Error::Snp(Reason::SigningKey { expected: "VCEK", found: "VLEK" }));
    let mixed = Fetched { vek: vcek.vek.clone(), ..vlek.clone() };
    assert_eq!(mixed.refusal(&guest).code(), "certificate-profile");
    other.load_vlek("CN=other.example");
    assert_eq!(Fetched::of(&other).refusal(&guest).code(), "report-signature", "each cloud has its own key");
    one.unload_vlek();
    assert_eq!(vlek.refusal(&guest), Error::Snp(Reason::SigningKey { expected: "VLEK", found: "VCEK" }));
    assert_eq!(claims(&guest).csp_id, None);
    let turin = Platform::build(&vendor(Product::Turin)).unwrap();
    let error = Fetched { vek: vcek.vek, ..Fetched::of(&turin) }.refusal(&guest);
    assert!(matches!(error, Error::Issuer { part: Part::Vcek, .. }), "{error}");
    one.load_vlek("not ASCII: \u{fc}");
    assert!(matches!(guest.report(&[0; 64], 2), Err(SimError::File { .. })));
}

#[test]
fn a_withdrawn_authority_vouches_for_nothing_and_the_other_one_still_does() {
    let issue = |fetched: &Fetched| {
        let collateral = Collateral::verify(&fetched.bundle, &fetched.anchors, Revocation::Required, NOW);
        collateral.unwrap().crl_issue().unwrap()
    };
    for withdrawn in [SigningKey::Vcek, SigningKey::Vlek] {
        let platform = Platform::build(&vendor(Product::Genoa)).unwrap();
        let (guest, before) = (guest(&platform), Fetched::of(&platform));
        platform.vendor().withdraw(withdrawn).unwrap();
        let vcek = Fetched::of(&platform);
        platform.load_vlek(CLOUD);
        let vlek = Fetched::of(&platform);
        let refused = |fetched: &Fetched| {
            let error = fetched.verify(&guest.report(&[0; 64], 5).unwrap()).unwrap_err();
            assert!(matches!(error, Error::Revoked { part: Part::Ask, crl: Part::RootCrl, .. }), "{error}");
        };
        if withdrawn == SigningKey::Vlek {
            refused(&vlek);
            platform.unload_vlek();
            vcek.claims(&guest);
            assert!(issue(&vcek) > issue(&before), "the list has a higher number");
        } else {
            vlek.claims(&guest);
            assert!(issue(&vlek) > issue(&before), "the list has a higher number");
            platform.unload_vlek();
            refused(&vcek);
        }
        let list = platform.bundle().unwrap().crl;
        assert_eq!(refused_field(&platform.vendor().withdraw(SigningKey::None).unwrap_err()), "kind of key");
        assert_eq!(platform.bundle().unwrap().crl, list);
    }
}

#[test]
fn everything_is_valid_from_the_founding_and_no_longer_than_it_says() {
    let time = Arc::new(AtomicU64::new(NOW.0));
    let clock = Arc::clone(&time);
    let vendor = Vendor::found(Arc::new(move || UnixTime(clock.load(Ordering::Relaxed))), Product::Genoa).unwrap();
    let platform = Platform::build(&vendor).unwrap();
    let (guest, first) = (guest(&platform), Fetched::of(&platform));
    let report = guest.report(&[0; 64], 5).unwrap();
    let error = first.verify_at(&report, UnixTime(NOW.0 - 1)).unwrap_err();
    assert_eq!(error.code(), "collateral-not-yet-valid");
    let (last, day) = (NOW.plus(30 * DAY), NOW.plus(DAY));
    assert_eq!(first.verify_at(&report, last).unwrap().collateral_expires(), last);
    let error = first.verify_at(&report, last.plus(1)).unwrap_err();
    assert!(matches!(error, Error::Expired { part: Part::RootCrl, .. }), "{error}");
    for (at, reissued) in [(day, false), (day.plus(1), true)] {
        time.store(at.0, Ordering::Relaxed);
        assert_eq!(platform.bundle().unwrap() != first.bundle, reissued);
    }
    time.store(NOW.0, Ordering::Relaxed);
    platform.load_vlek(CLOUD);
    for (part, years) in [(Part::Vlek, 1), (Part::Vcek, 7)] {
        let (report, vek) = (guest.report(&[0; 64], 5).unwrap(), platform.vek().unwrap());
        let end = NOW.plus(years * 365 * DAY);
        time.store(end.0, Ordering::Relaxed);
        let fetched = Fetched { vek, ..Fetched::of(&platform) };
        fetched.verify_at(&report, end).unwrap();
        let error = fetched.verify_at(&report, end.plus(1)).unwrap_err();
        assert!(matches!(error, Error::Expired { part: of, .. } if of == part), "{error}");
        platform.unload_vlek();
    }
}

/// Whatever operators do, in whatever order: what the firmware then signs agrees with its certificate.
#[test]
fn no_operation_makes_a_report_that_contradicts_itself() {
    let vendor = vendor(Product::Turin);
    let version = (54..57u8, 20..23u8).prop_map(|(minor, build)| FirmwareVersion { build, minor, major: 1 });
    let tcb = (0..4u8, 3..7u8, 0..4u8, 21..25u8, 71..75u8).prop_map(|(fmc, boot_loader, tee, snp, microcode)| Tcb {
        fmc: Some(fmc),
        boot_loader,
        tee,
        snp,
        microcode,
    });
    let operations = prop::collection::vec((0..5u8, version, tcb, any::<bool>()), 1..24);
    let run = |operations: Vec<(u8, FirmwareVersion, Tcb, bool)>| {
        let platform = Platform::build(&vendor).unwrap();
        let guest = guest(&platform);
        for (operation, version, tcb, flag) in operations {
            let host = platform.status().host;
            match operation {
                0 => drop(platform.install(Firmware { version, tcb, mit_vector: 0 })),
                1 => platform.commit(),
                2 => drop(platform.report_tcb(tcb)),
                3 => platform.configure(HostConfig { mask_chip_id: flag, ..host }),
                _ if flag => platform.load_vlek(CLOUD),
                _ => platform.unload_vlek(),
            }
            let (status, facts) = (platform.status(), claims(&guest));
            prop_assert_eq!((facts.current_tcb, facts.reported_tcb), (status.current.tcb, status.reported_tcb));
        }
        Ok(())
    };
    TestRunner::new(ProptestConfig::with_cases(32)).run(&operations, run).unwrap();
}
