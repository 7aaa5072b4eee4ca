//! What logs and lists explain, and banks that they do not.

use super::*;
use sealwright_verify::hash::Hash;
use sealwright_verify::replay::{self, Boot};
use sealwright_wire::cel::{self, Content, Encoding, Record, Register, Systemd};
use sealwright_wire::tcg2::{Log, event_type::EV_EFI_ACTION};

#[test]
fn log_and_list_explain_every_register() {
    let mut machine = machine(|_| {});
    machine.open("/usr/bin/init", b"init").unwrap();
    let facts = judged(&machine);
    let log = facts.pcr_log().unwrap();
    assert_eq!(unexplained(&facts), [""; 0]);
    assert_eq!(log.enforced().count(), 24);
    assert_eq!((log.events_behind(), log.ima_lines(), log.ima_lines_behind()), (0, 2, 0), "the aggregate and a file");
    assert!(log.ima_padded().is_empty() && log.contradicted().is_empty());
    let extended: Vec<_> = log.registers().iter().filter(|pcr| pcr.events > 0).map(|pcr| pcr.pcr).collect();
    assert_eq!(extended, [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]);
    // The list as records says the same.
    let quote = quote(&machine);
    let facts = judge_with(&machine, &quote, Some(machine.event_log()), Some(machine.ima_records())).unwrap();
    assert_eq!(unexplained(&facts), [""; 0]);
}

/// A change to what a machine boots from.
type Change = fn(&mut files::BootFiles);

#[test]
fn every_file_of_the_boot_is_in_its_register() {
    let booted = |change: Change| machine(|config| change(&mut config.files)).pcrs().unwrap();
    let plain = booted(|_| {});
    let changes: [(Change, u32); 5] = [
        (|files| files.firmware[0x2_0000] ^= 1, 0),
        (|files| files.acpi = Some([vec![1], vec![2], vec![3]]), 1),
        (|files| files.kernel[0x2000] ^= 1, 4),
        (|files| files.command_line.push_str(" init=/bin/sh"), 9),
        (|files| files.initrd = None, 9),
    ];
    for (change, pcr) in changes {
        let other = booted(change);
        for bank in BANKS {
            let differing: Vec<_> = (0..10).filter(|at| plain.get(bank, *at) != other.get(bank, *at)).collect();
            assert_eq!(differing, [pcr], "{bank}");
        }
    }
}

#[test]
fn without_its_list_or_log_a_register_is_unexplained() {
    let machine = machine(|_| {});
    let quote = quote(&machine);
    let facts = judge_with(&machine, &quote, Some(machine.event_log()), None).unwrap();
    assert_eq!(unexplained(&facts), ["pcr10"]);
    let facts = judge_with(&machine, &quote, None, Some(machine.ima_list())).unwrap();
    assert!(facts.pcr_log().unwrap().enforced().any(|name| name == "pcr10"));
    assert_eq!(unexplained(&facts), ["pcr0", "pcr1", "pcr2", "pcr3", "pcr4", "pcr5", "pcr6", "pcr7", "pcr9"]);
    assert!(judge_with(&machine, &quote, None, None).unwrap().pcr_log().is_none());
}

#[test]
fn what_is_measured_behind_the_quote_is_counted_and_not_believed() {
    let mut machine = machine(|_| {});
    let quote = quote(&machine);
    machine.measure(4, EV_EFI_ACTION, b"kexec", b"kexec").unwrap();
    machine.open("/usr/bin/later", b"later").unwrap();
    let facts = judge(&machine, &quote).unwrap();
    let log = facts.pcr_log().unwrap();
    assert_eq!((log.events_behind(), log.ima_lines(), log.ima_lines_behind()), (1, 1, 1));
    assert_eq!(unexplained(&facts), [""; 0]);
}

#[test]
fn a_quote_that_is_newer_than_log_or_list_is_refused() {
    let mut machine = machine(|_| {});
    let (log, list) = (machine.event_log().to_vec(), machine.ima_list().to_vec());
    machine.open("/usr/bin/later", b"later").unwrap();
    let quoted = quote(&machine);
    let mismatch = |pcr| ("event-log-mismatch", pcr);
    assert_eq!(reason(judge_with(&machine, &quoted, Some(&log), Some(&list))), mismatch("pcr10"));
    machine.measure(4, EV_EFI_ACTION, b"kexec", b"kexec").unwrap();
    let quoted = quote(&machine);
    assert_eq!(reason(judge_with(&machine, &quoted, Some(&log), Some(machine.ima_list()))), mismatch("pcr4"));
    judge(&machine, &quoted).unwrap();
}

#[test]
fn what_nobody_recorded_is_refused_below_pcr_10_and_unexplained_above() {
    let mut machine = machine(|_| {});
    for pcr in [11, 14, 16, 23] {
        machine.extend(pcr, b"untold").unwrap();
    }
    assert_eq!(unexplained(&judged(&machine)), ["pcr11", "pcr14", "pcr16", "pcr23"]);
    machine.reset_pcr(16).unwrap();
    assert_eq!(unexplained(&judged(&machine)), ["pcr11", "pcr14", "pcr23"]);
    machine.extend(8, b"untold").unwrap();
    assert_eq!(reason(judge(&machine, &quote(&machine))), ("event-log-mismatch", "pcr8"));
}

/// What systemd writes of a measurement.
fn systemd(pcr: u32, text: &'static str) -> Record<'static> {
    let digests = BANKS.map(|bank| (bank, Hash::of(bank).unwrap().digest(text.as_bytes()).as_bytes().to_vec().into()));
    let content = Content::Systemd(Systemd { text: Some(text.into()), ..Systemd::default() });
    Record { number: None, register: Register::Pcr(pcr), digests: digests.to_vec(), content }
}

#[test]
fn what_systemd_measured_and_wrote_down_is_explained() {
    let mut machine = machine(|_| {});
    let phases = [(11, "enter-initrd"), (15, "machine-id"), (11, "leave-initrd")];
    for (pcr, text) in phases {
        machine.extend(pcr, text.as_bytes()).unwrap();
    }
    assert_eq!(unexplained(&judged(&machine)), ["pcr11", "pcr15"]);
    let records = phases.map(|(pcr, text)| systemd(pcr, text));
    let quoted = quote(&machine);
    let area = machine.ak_public().unwrap();
    let judge = |records: &[Record<'_>]| {
        let cel = cel::Log::encode(Encoding::JsonSeq, records).unwrap();
        let (event_log, ima) = (Some(machine.event_log()), Some(machine.ima_list()));
        let case = Case { event_log, ima, cel: Some(&cel), ..Case::new(&quoted, AttestationKey::Public(&area)) };
        case.verify(&enrolled(&machine))
    };
    let facts = judge(&records).unwrap();
    assert_eq!(unexplained(&facts), [""; 0]);
    assert_eq!(facts.pcr_log().unwrap().cel().unwrap().records, 3);
    let [first, second, third] = records;
    let mismatch = ("event-log-mismatch", "pcr11");
    assert_eq!(reason(judge(&[third.clone(), second.clone(), first.clone()])), mismatch, "in another order");
    assert_eq!(reason(judge(&[first.clone(), second.clone()])), mismatch, "one is left out");
    assert_eq!(reason(judge(&[first, second, systemd(11, "sysinit")])), mismatch, "another phase");
}

#[test]
fn one_bank_does_not_hide_behind_another() {
    for bank in BANKS {
        let mut machine = machine(|_| {});
        let digest = vec![1; bank.digest_size().unwrap()];
        machine.extend_bank(11, bank, &digest).unwrap();
        assert_eq!(unexplained(&judged(&machine)), ["pcr11"], "{bank}");
        machine.extend_bank(10, bank, &digest).unwrap();
        assert_eq!(reason(judge(&machine, &quote(&machine))), ("event-log-mismatch", "pcr10"), "{bank}");
        machine.extend_bank(4, bank, &digest).unwrap();
        assert_eq!(reason(judge(&machine, &quote(&machine))), ("event-log-mismatch", "pcr4"), "{bank}");
    }
}

#[test]
fn a_kernel_that_fills_up_sha_1_explains_pcr_10_in_sha_1_alone() {
    let mut machine = machine(|config| config.ima_padded = true);
    machine.open("/usr/bin/init", b"init").unwrap();
    let facts = judged(&machine);
    assert_eq!(facts.pcr_log().unwrap().ima_padded(), &BANKS[1..]);
    assert_eq!(unexplained(&facts), ["pcr10"]);
}

#[test]
fn a_violation_is_in_list_and_register() {
    let mut machine = machine(|_| {});
    machine.open_while_written("/var/log/messages").unwrap();
    machine.open("/usr/bin/init", b"init").unwrap();
    let facts = judged(&machine);
    assert_eq!((facts.pcr_log().unwrap().ima_lines(), unexplained(&facts)), (3, vec![]));
    let list = String::from_utf8(machine.ima_list().to_vec()).unwrap();
    assert!(list.lines().nth(1).unwrap().starts_with("10 0000000000000000000000000000000000000000 ima-ng sha256:00"));
    let (quote, lines) = (quote(&machine), list.replace("/usr/bin/init", "/usr/bin/evil"));
    assert_eq!(reason(judge_with(&machine, &quote, None, Some(lines.as_bytes()))).0, "malformed-event-log");
}

#[test]
fn a_list_of_another_register_explains_none() {
    let mut machine = machine(|config| config.ima_pcr = 11);
    let facts = judged(&machine);
    let log = facts.pcr_log().unwrap();
    assert_eq!((log.ima_lines(), log.ima_lines_behind(), unexplained(&facts)), (0, 1, vec!["pcr11"]));
    machine.extend(10, b"untold").unwrap();
    let refused = judge(&machine, &quote(&machine)).map(drop).unwrap_err();
    assert!(refused.to_string().contains("line 1 extends register 11, expected 10"), "{refused}");
}

#[test]
fn pcr_0_starts_at_the_locality_that_the_log_states() {
    let at_0 = machine(|_| {});
    for locality in [3, 4] {
        // The same files: only the start differs, and at 4 what the processor measured.
        let machine = machine(|config| config.startup_locality = locality);
        assert_eq!(unexplained(&judged(&machine)), [""; 0]);
        let refused = judge_with(&machine, &quote(&machine), Some(at_0.event_log()), None);
        assert_eq!(reason(refused), ("event-log-mismatch", "pcr0"), "{locality}");
    }
}

#[test]
fn words_that_were_not_measured_are_named() {
    let mut machine = machine(|_| {});
    machine.measure(5, EV_EFI_ACTION, b"what was measured", b"what is said").unwrap();
    let facts = judged(&machine);
    let records = Log::parse(machine.event_log()).unwrap().event_count();
    assert_eq!(facts.pcr_log().unwrap().contradicted(), [records]);
}

#[test]
fn the_log_tells_the_boot() {
    let machine = machine(|_| {});
    let facts = judged(&machine);
    let confirmed: Vec<_> = facts.pcr_log().unwrap().registers().iter().map(|register| register.pcr).collect();
    let boot = Boot::read(&Log::parse(machine.event_log()).unwrap(), AlgorithmId::SHA256, &confirmed);
    assert_eq!((boot.attempts, boot.exit_boot_services, boot.images.len(), boot.initrds.len()), (1, true, 1, 1));
    assert_eq!(boot.boot_options[0].description, "Sealwright");
    assert_eq!(boot.command_line_digests.len(), 1);
    assert!(boot.unmeasured.is_empty(), "{:?}", boot.unmeasured);
}

#[test]
fn a_dynamic_launch_is_explained_where_it_measured() {
    let mut machine = machine(|_| {});
    machine.launch(EV_EFI_ACTION, b"measured launch environment").unwrap();
    let facts = judged(&machine);
    assert!(facts.pcr_log().unwrap().enforced().any(|name| name == "pcr17"));
    // Nothing tells that PCR 18 to 22 are zero now and not what they start with.
    assert_eq!(unexplained(&facts), ["pcr18", "pcr19", "pcr20", "pcr21", "pcr22"]);
    machine.reboot().unwrap();
    assert_eq!(unexplained(&judged(&machine)), [""; 0]);
}

#[test]
fn a_bank_that_the_firmware_leaves_out_is_explained_by_nothing() {
    let machine = machine(|config| config.firmware_banks.truncate(1));
    let quoted = |banks: &[AlgorithmId]| machine.quote(&all_of(banks), b"").unwrap();
    // A log in SHA-1 against the registers of SHA-256, which anybody may extend to what they like.
    let refused = judge(&machine, &quoted(&[AlgorithmId::SHA256]));
    assert!(matches!(refused, Err(Error::EventLog { ref source }) if matches!(**source, replay::Error::NoBank(_))));
    let quote = quoted(&BANKS);
    let facts = judge_with(&machine, &quote, Some(machine.event_log()), None).unwrap();
    assert_eq!(facts.pcr_log().unwrap().enforced().count(), 0, "SHA-1 alone explains nothing");
    let facts = judge(&machine, &quoted(&[AlgorithmId::SHA1])).unwrap();
    assert_eq!(facts.pcr_log().unwrap().enforced().count(), 0);
    // Where the firmware leaves out one strong bank of two, the other one explains.
    let machine = self::machine(|config| config.firmware_banks.truncate(2));
    assert_eq!(unexplained(&judged(&machine)), [""; 0]);
    let quote = machine.quote(&all_of(&[AlgorithmId::SHA384]), b"").unwrap();
    assert_eq!(reason(judge(&machine, &quote)).0, "event-log-no-bank");
}

#[test]
fn a_bank_that_the_tpm_lacks_is_not_quoted() {
    let machine = machine(|config| {
        config.banks.truncate(2);
        config.firmware_banks.truncate(2);
    });
    let quote = quote(&machine);
    let facts = judge(&machine, &quote).unwrap();
    let pcrs = &facts.claims().tpm().unwrap().pcrs;
    assert_eq!((pcrs.len(), pcrs.get(AlgorithmId::SHA384, 0)), (48, None));
    // A quote of that bank alone is signed, and says nothing.
    let quote = machine.quote(&all_of(&[AlgorithmId::SHA384]), b"challenge").unwrap();
    let facts = judge_with(&machine, &quote, None, None).unwrap();
    assert!(facts.claims().tpm().unwrap().pcrs.is_empty());
}

#[test]
fn values_must_be_there_and_of_the_quotes_moment() {
    let mut machine = machine(|_| {});
    let quote = quote(&machine);
    let area = machine.ak_public().unwrap();
    let mut sha256 = PcrValues::new();
    for (bank, pcr, value) in quote.pcrs.iter().filter(|(bank, ..)| *bank == AlgorithmId::SHA256) {
        sha256.insert(bank, pcr, value).unwrap();
    }
    machine.extend(16, b"between quoting and reading").unwrap();
    for (pcrs, code) in [(&sha256, "pcr-missing"), (&machine.pcrs().unwrap(), "pcr-digest-mismatch")] {
        let case = Case { pcrs, ..Case::new(&quote, AttestationKey::Public(&area)) };
        assert_eq!(reason(case.verify(&enrolled(&machine))).0, code);
    }
}
