//! Reboots, suspensions and the clock.

use super::*;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A machine under a clock that can be moved, and the mover.
fn timed() -> (Machine, impl Fn(u64)) {
    let seconds = Arc::new(AtomicU64::new(NOW.0));
    let clock = Arc::clone(&seconds);
    let site = Site::found(KeyKind::P256, Arc::new(move || UnixTime(clock.load(Ordering::Relaxed)))).unwrap();
    let machine = site.machine(config(Scheme::EcdsaP256)).unwrap();
    let pass = move |by| {
        seconds.fetch_add(by, Ordering::Relaxed);
    };
    (machine, pass)
}

#[test]
fn counters_tell_reboots_from_suspensions() {
    let (mut machine, pass) = timed();
    let counters = |machine: &Machine| {
        let claims = claims(machine);
        (claims.clock, claims.reset_count, claims.restart_count, claims.safe)
    };
    assert_eq!(counters(&machine), (0, 0, 0, true));
    pass(10);
    machine.suspend();
    assert_eq!(counters(&machine), (10_000, 0, 1, true));
    pass(5);
    machine.hibernate().unwrap();
    assert_eq!(counters(&machine), (15_000, 0, 2, true));
    machine.reboot().unwrap();
    assert_eq!(counters(&machine), (15_000, 1, 0, true));
    machine.suspend();
    machine.reboot().unwrap();
    assert_eq!(counters(&machine), (15_000, 2, 0, true));
}

#[test]
fn the_clock_is_not_safe_behind_a_loss_of_power_until_it_is_written() {
    let (mut machine, pass) = timed();
    pass(7);
    let before = claims(&machine);
    machine.lose_power().unwrap();
    let behind = claims(&machine);
    assert!(before.safe && !behind.safe);
    assert!(behind.clock < before.clock, "it shows again what it showed before");
    assert_eq!((before.reset_count, behind.reset_count), (0, 1));
    pass(4);
    assert!(!claims(&machine).safe);
    pass(1);
    let written = claims(&machine);
    assert!(written.safe && written.clock > before.clock);
}

#[test]
fn registers_outlive_a_suspension_and_no_boot() {
    let mut machine = machine(|_| {});
    let fresh = machine.pcrs().unwrap();
    machine.open("/usr/bin/init", b"init").unwrap();
    machine.extend(23, b"application").unwrap();
    let used = machine.pcrs().unwrap();
    machine.suspend();
    assert_eq!(machine.pcrs().unwrap(), used);
    for boot in [Machine::reboot, Machine::hibernate, Machine::lose_power] {
        machine.open("/usr/bin/init", b"init").unwrap();
        boot(&mut machine).unwrap();
        assert_eq!(machine.pcrs().unwrap(), fresh);
        judged(&machine);
    }
}

#[test]
fn a_log_of_another_boot_explains_nothing_but_the_same_boot() {
    let mut machine = machine(|_| {});
    let (log, before) = (machine.event_log().to_vec(), claims(&machine));
    machine.reboot().unwrap();
    let quoted = quote(&machine);
    let facts = judge_with(&machine, &quoted, Some(&log), None).unwrap();
    let behind = facts.claims().tpm().unwrap();
    assert_eq!(behind.pcrs, before.pcrs);
    assert_ne!(behind.reset_count, before.reset_count, "only the counter tells the boots apart");
    machine.reboot_from(files::generate("another kernel")).unwrap();
    let quoted = quote(&machine);
    assert_eq!(reason(judge_with(&machine, &quoted, Some(&log), None)).0, "event-log-mismatch");
    judge(&machine, &quoted).unwrap();
}
