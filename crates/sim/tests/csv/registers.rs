//! Runtime registers and the guest's log: what explains the registers, what does not, and what belongs to another report.

use super::{evidence, judge, report, running, sm3, verifier};
use sealwright_evidence::Backend;
use sealwright_sim::csv::{Guest, Layout};
use sealwright_sim::{Error as SimError, Site as Machine, TdConfig, files, system_clock};
use sealwright_wire::Digest;
use sealwright_wire::aael::RuntimeEvent;
use sealwright_wire::tcg2::event_type::{EV_EVENT_TAG, EV_IPL, EV_SEPARATOR};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

pub(super) fn event(content: &str) -> RuntimeEvent {
    RuntimeEvent::new("sealwright", "LoadModel", content).unwrap()
}

/// What a guest's firmware and kernel measure: one event for each register of the boot.
fn boot(guest: &Guest) {
    for rtmr in 1..=3 {
        guest.measure(rtmr, EV_SEPARATOR, &sm3(&[0; 4]), &[0; 4]).unwrap();
    }
}

#[test]
fn the_log_replays_to_the_registers_of_the_report() {
    let (site, chip, guest) = running();
    boot(&guest);
    guest.extend(&event("digits")).unwrap();
    let facts = evidence(&verifier(&site, &chip), &guest).unwrap();
    let log = facts.log().unwrap();
    assert_eq!(log.enforced().collect::<Vec<_>>(), ["rtmr1", "rtmr2", "rtmr3", "rtmr4"]);
    assert_eq!((log.events(), log.runtime()), (4, &[event("digits")][..]));
    let said = super::claims(&facts).extended.clone().unwrap();
    let registers = [said.rtmr0, said.rtmr1, said.rtmr2, said.rtmr3, said.rtmr4];
    assert_eq!(said.rtmr0, super::claims(&facts).measure);
    assert!(registers[1..].iter().all(|register| *register != Digest::ZERO));
    assert_eq!((said.build, said.rtmr_version), (2337, 1));
    let measurements = guest.measurements().unwrap();
    let values: Vec<_> = measurements.iter().map(|register| register.value.as_slice()).collect();
    assert_eq!(values, registers.each_ref().map(|register| register.0.as_slice()));
    let names: Vec<_> = measurements.iter().map(|register| (register.index, register.name)).collect();
    assert_eq!(names, [(0, "rtmr0"), (1, "rtmr1"), (2, "rtmr2"), (3, "rtmr3"), (4, "rtmr4")]);
}

#[test]
fn registers_grow_by_sm3_in_order() {
    let (_, _, guest) = running();
    let registers = || guest.measurements().unwrap();
    guest.extend_unrecorded(2, &[7; 32]).unwrap();
    let once = sm3(&[[0; 32], [7; 32]].concat());
    assert_eq!(registers()[2].value, once);
    guest.measure(2, EV_IPL, &[8; 32], b"x").unwrap();
    assert_eq!(registers()[2].value, sm3(&[once, [8; 32]].concat()));
    assert!([1, 3, 4].iter().all(|other| registers()[*other].value == [0; 32]));
    for wrong in [0, 5, 255] {
        let error = guest.extend_unrecorded(wrong, &[7; 32]).unwrap_err();
        assert!(matches!(error, SimError::Config { field: "rtmr", .. }), "{error}");
        let log = guest.event_log().unwrap();
        assert!(guest.measure(wrong, EV_IPL, &[7; 32], b"x").is_err());
        assert_eq!(guest.event_log().unwrap(), log);
    }
    assert_eq!(registers()[0].value, sm3(b"image"));
}

#[test]
fn a_log_older_than_the_report_is_noticed() {
    for rtmr in 1..=3u8 {
        let (site, chip, guest) = running();
        boot(&guest);
        let log = guest.event_log().unwrap().unwrap();
        guest.measure(rtmr, EV_SEPARATOR, &sm3(b"more"), b"more").unwrap();
        let error = judge(&verifier(&site, &chip), &report(&guest, Layout::ExtensionV2), Some(&log)).unwrap_err();
        assert_eq!(
            (error.code(), error.claim()),
            ("event-log-mismatch", ["rtmr1", "rtmr2", "rtmr3"][usize::from(rtmr) - 1])
        );
    }
    let (site, chip, guest) = running();
    guest.extend(&event("one")).unwrap();
    let log = guest.event_log().unwrap().unwrap();
    guest.extend(&event("two")).unwrap();
    let error = judge(&verifier(&site, &chip), &report(&guest, Layout::ExtensionV2), Some(&log)).unwrap_err();
    assert_eq!((error.code(), error.claim()), ("event-log-mismatch", "rtmr4"));
}

#[test]
fn what_a_guest_extends_without_a_record_is_refused_or_unexplained() {
    for rtmr in 1..=4u8 {
        let (site, chip, guest) = running();
        boot(&guest);
        guest.extend_unrecorded(rtmr, &[9; 32]).unwrap();
        let judged = evidence(&verifier(&site, &chip), &guest);
        if rtmr < 4 {
            assert_eq!(judged.unwrap_err().code(), "event-log-mismatch", "rtmr{rtmr}");
        } else {
            assert_eq!(judged.unwrap().log().unwrap().unexplained().collect::<Vec<_>>(), ["rtmr4"]);
        }
    }
}

#[test]
fn a_record_that_is_not_what_was_measured_is_told() {
    // A runtime event under the digest of another.
    let (site, chip, guest) = running();
    guest.measure(4, EV_EVENT_TAG, &[9; 32], &event("x").to_data()).unwrap();
    assert_eq!(evidence(&verifier(&site, &chip), &guest).unwrap_err().code(), "runtime-event-mismatch");
    // A record of the boot whose kind says that its digest is over its data.
    let (site, chip, guest) = running();
    guest.measure(1, EV_SEPARATOR, &[9; 32], &[0; 4]).unwrap();
    let facts = evidence(&verifier(&site, &chip), &guest).unwrap();
    assert_eq!(facts.log().unwrap().contradicted().len(), 1);
    // A record of another kind among the runtime events.
    let (site, chip, guest) = running();
    guest.measure(4, EV_IPL, &sm3(b"x"), b"x").unwrap();
    let facts = evidence(&verifier(&site, &chip), &guest).unwrap();
    let log = facts.log().unwrap();
    assert_eq!((log.opaque_runtime(), log.unexplained().collect::<Vec<_>>()), (1, vec!["rtmr4"]));
}

#[test]
fn a_log_that_does_not_belong_to_the_report_is_refused() {
    let (site, chip, guest) = running();
    let verifier = verifier(&site, &chip);
    // Version 1 has no registers for it.
    let log = guest.event_log().unwrap().unwrap();
    for layout in [Layout::Bare, Layout::Legacy, Layout::ExtensionV1] {
        let error = judge(&verifier, &report(&guest, layout), Some(&log)).unwrap_err();
        assert_eq!((error.code(), error.claim()), ("unexpected-event-log", "event log"));
    }
    // The log of a trust domain has no SM3 digests.
    let machine = Machine::found(system_clock()).unwrap();
    let td = machine.boot(&TdConfig::new("td", files::generate("kernel"))).unwrap();
    let log = td.event_log().unwrap().unwrap();
    let error = judge(&verifier, &report(&guest, Layout::ExtensionV2), Some(&log)).unwrap_err();
    assert_eq!(error.code(), "event-log-no-bank");
    // A report without its log is believed, and says nothing about one.
    assert!(judge(&verifier, &report(&guest, Layout::ExtensionV2), None).unwrap().log().is_none());
}

#[test]
fn a_record_that_the_log_cannot_hold_extends_nothing() {
    let (site, chip, guest) = running();
    let huge = vec![0; 32 << 20];
    let error = guest.measure(1, EV_SEPARATOR, &[1; 32], &huge).unwrap_err();
    assert!(matches!(error, SimError::Event(_)), "{error}");
    evidence(&verifier(&site, &chip), &guest).unwrap();
    assert_eq!(guest.measurements().unwrap()[1].value, [0; 32]);
}

#[test]
fn evidence_and_log_are_of_one_moment() {
    let (site, chip, guest) = running();
    let verifier = verifier(&site, &chip);
    let quoted = AtomicBool::new(false);
    let measured = thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let mut measured = 0;
            while !quoted.load(Ordering::Relaxed) {
                guest.extend(&event("again")).unwrap();
                measured += 1;
                thread::sleep(Duration::from_micros(50));
            }
            measured
        });
        let judged: Vec<_> = (0..20).map(|_| evidence(&verifier, &guest)).collect();
        quoted.store(true, Ordering::Relaxed);
        judged.into_iter().for_each(|facts| drop(facts.unwrap()));
        busy.join().unwrap()
    });
    assert!(measured > 0);
    assert_eq!(evidence(&verifier, &guest).unwrap().log().unwrap().runtime().len(), measured);
}
