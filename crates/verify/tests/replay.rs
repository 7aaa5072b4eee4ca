//! Replay of logs: real machines' registers are reached exactly, and no log explains what was not measured.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod site;

use aws_lc_rs::digest;
use proptest::prelude::*;
use sealwright_verify::any::{self, Request, Root, Supplied};
use sealwright_verify::replay::{self, DataMatch, Error};
use sealwright_verify::verify;
use sealwright_wire::Evidence;
use sealwright_wire::aael::RuntimeEvent;
use sealwright_wire::cel::{self, Content, Encoding, Record, Register};
use sealwright_wire::ima;
use sealwright_wire::tcg2::{AlgorithmId, Log, Writer, event_type::*};
use serde_json::Value;
use site::{Site, at};
use std::fs;
use std::path::Path;

fn sha384(bytes: &[u8]) -> [u8; 48] {
    digest::digest(&digest::SHA384, bytes).as_ref().try_into().unwrap()
}

fn extend(register: [u8; 48], digest: &[u8]) -> [u8; 48] {
    sha384(&[&register, digest].concat())
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn unhex<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn rtmrs(answer: &Value) -> [[u8; 48]; 4] {
    ["rtmr0", "rtmr1", "rtmr2", "rtmr3"].map(|name| if answer[name].is_null() { [0; 48] } else { unhex(&answer[name]) })
}

/// A boot of one event per register and the registers that it leaves.
fn boot() -> (Writer, [[u8; 48]; 4]) {
    let mut writer = Writer::new(1, &[AlgorithmId::SHA384]).unwrap();
    let mut registers = [[0; 48]; 4];
    for (mr_index, text) in [(1, "firmware"), (2, "kernel"), (3, "command line"), (1, "more firmware")] {
        let digest = sha384(text.as_bytes());
        writer.event(mr_index, EV_EFI_ACTION, &[&digest], text.as_bytes()).unwrap();
        let register = &mut registers[mr_index as usize - 1];
        *register = extend(*register, &digest);
    }
    (writer, registers)
}

/// The boot with one runtime event behind it.
fn boot_with_runtime() -> (Vec<u8>, [[u8; 48]; 4]) {
    let (mut writer, mut registers) = boot();
    let data = RuntimeEvent::new("sealwright", "LoadModel", "{\"version\":1}").unwrap().to_data();
    writer.event(4, EV_EVENT_TAG, &[&sha384(&data)], &data).unwrap();
    registers[3] = extend(registers[3], &sha384(&data));
    (writer.into_area(1_000).unwrap(), registers)
}

#[test]
fn a_real_guests_log_and_ima_list_give_the_registers_of_its_quote() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/ccel/evidence-api");
    let answers = json(&folder.join("expected.json"));
    let (log, ima) = (fs::read(folder.join("ccel_data.bin")).unwrap(), fs::read(folder.join("ima_log.bin")).unwrap());
    let quoted = rtmrs(&answers["quote.bin"]);

    let replayed = replay::replay_with_ima(&log, &ima).unwrap();
    assert_eq!(replayed.ima_lines(), 1);
    for (mr_index, quoted) in (1..=3).zip(&quoted) {
        assert!(replayed.register(mr_index, AlgorithmId::SHA384).unwrap().equals(quoted), "MR index {mr_index}");
    }
    let before = replay::replay(&log).unwrap();
    let before_ima = rtmrs(&answers["ccel_data.bin"]["sha384_before_ima"]);
    assert_eq!(before.register(3, AlgorithmId::SHA384).unwrap().value(), before_ima[2]);
    assert_eq!(before.first_difference(AlgorithmId::SHA384, (1..).zip(quoted.iter().map(|r| &r[..]))).unwrap().0, 3);

    let checked = replay::check_tdx_logs(Some(&log), Some(&ima), None, &quoted).unwrap();
    assert_eq!(checked.enforced().collect::<Vec<_>>(), replay::RTMR_NAMES);
    assert_eq!((checked.events(), checked.ima_lines(), checked.runtime().len()), (98, 1, 0));
    assert!(checked.contradicted().is_empty(), "{:?}", checked.contradicted());
    let error = replay::check_tdx(&log, &quoted).unwrap_err();
    assert!(matches!(error, Error::Differs { register: "rtmr2", reached_after: None, .. }), "{error}");
}

#[test]
fn published_ccels_replay_to_their_published_registers() {
    let Some(vectors) = support::vectors() else { return };
    for (folder, answer) in [("trustee", "sha384"), ("unverified", "replay")] {
        let folder = vectors.join("eventlog/ccel").join(folder);
        for (name, answers) in json(&folder.join("expected.json")).as_object().unwrap() {
            let log = fs::read(folder.join(name)).unwrap();
            let checked = replay::check_tdx(&log, &rtmrs(&answers[answer])).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(checked.unexplained().count(), 0, "{name}");
            assert!(checked.contradicted().is_empty(), "{name}: {:?}", checked.contradicted());
        }
    }
}

#[test]
fn tpm_logs_replay_in_every_bank_to_the_published_pcrs() {
    let Some(vectors) = support::vectors() else { return };
    let mut compared = 0;
    for folder in ["google", "tpm2-tools", "legacy"] {
        let folder = vectors.join("eventlog/tpm").join(folder);
        for (name, answers) in json(&folder.join("expected.json")).as_object().unwrap() {
            let file = folder.join(answers["data_file"].as_str().unwrap_or(name));
            for set in ["pcrs", "pcrs_recomputed_only"] {
                for (bank, pcrs) in answers[set].as_object().into_iter().flatten() {
                    let replayed = replay::replay(&fs::read(&file).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
                    for (pcr, value) in pcrs.as_object().unwrap() {
                        let bank = AlgorithmId::from_name(bank).unwrap();
                        let register = replayed.register(pcr.parse().unwrap(), bank).unwrap();
                        assert_eq!(hex::encode(register.value()), *value, "{name} {bank} {pcr}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 300, "only {compared} registers");
}

#[test]
fn a_recorded_boot_gives_the_pcrs_that_its_vtpm_showed() {
    let Some(vectors) = support::vectors() else { return };
    for boot in ["ng", "ima"] {
        let folder = vectors.join("tpm-quote/qemu-swtpm").join(boot);
        let replayed = replay::replay(&fs::read(folder.join("binary_bios_measurements")).unwrap()).unwrap();
        let shown = fs::read_to_string(folder.join("sysfs_pcrs.txt")).unwrap();
        let mut compared = 0;
        for line in shown.lines() {
            let [bank, pcr, value] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
            let register = replayed.register(pcr.parse().unwrap(), AlgorithmId::from_name(bank).unwrap());
            if let Some(register) = register {
                assert_eq!(hex::encode_upper(register.value()), value, "{boot} {bank} {pcr}");
                compared += 1;
            }
        }
        assert_eq!(compared, 27, "PCR 0 to 7 and 9 in three banks");
    }
}

#[test]
fn data_of_real_events_is_what_their_digests_say() {
    let Some(vectors) = support::vectors() else { return };
    let (mut yes, mut other) = (0, 0);
    for path in
        ["ccel/evidence-api/ccel_data.bin", "ccel/trustee/CCEL_data_grub", "tpm/google/ubuntu-2404-amd-sevsnp.bin"]
    {
        let bytes = fs::read(vectors.join("eventlog").join(path)).unwrap();
        for event in Log::parse(&bytes).unwrap().events() {
            match replay::data_matches_digest(&event) {
                DataMatch::Yes => yes += 1,
                DataMatch::NotApplicable => other += 1,
                DataMatch::No => {
                    panic!("{path}: record {}: {:x} {}", event.index, event.event_type, event.data.escape_ascii())
                }
            }
        }
    }
    assert!(yes > 100 && other > 50, "{yes} yes, {other} not applicable");
}

#[test]
fn boot_registers_are_enforced_and_runtime_registers_where_records_are() {
    let (writer, registers) = boot();
    let bytes = writer.into_bytes();
    let checked = replay::check_tdx(&bytes, &registers).unwrap();
    assert_eq!(checked.enforced().collect::<Vec<_>>(), replay::RTMR_NAMES, "a zero RTMR3 is explained by no record");
    for register in 0..3 {
        let mut other = registers;
        other[register][7] ^= 1;
        let error = replay::check_tdx(&bytes, &other).unwrap_err();
        assert!(
            matches!(error, Error::Differs { register: name, .. } if name == replay::RTMR_NAMES[register]),
            "{error}"
        );
    }
    let mut extended = registers;
    extended[3][0] = 1;
    let checked = replay::check_tdx(&bytes, &extended).unwrap();
    assert_eq!(checked.unexplained().collect::<Vec<_>>(), ["rtmr3"]);

    let (bytes, registers) = boot_with_runtime();
    assert_eq!(replay::check_tdx(&bytes, &registers).unwrap().runtime()[0].operation(), "LoadModel");
    for value in [[0; 48], [9; 48]] {
        let quoted = [registers[0], registers[1], registers[2], value];
        let error = replay::check_tdx(&bytes, &quoted).unwrap_err();
        assert!(
            matches!(error, Error::Differs { register: "rtmr3", .. }),
            "records that the register does not confirm: {error}"
        );
    }
}

/// A canonical log of records that name registers by their MR index.
fn canonical(records: &[(u32, Content<'static>, [u8; 48])]) -> Vec<u8> {
    let record = |(register, content, digest): &(u32, Content<'static>, [u8; 48])| Record {
        number: None,
        register: Register::Pcr(*register),
        digests: vec![(AlgorithmId::SHA384, digest.to_vec().into())],
        content: content.clone(),
    };
    cel::Log::encode(Encoding::Tlv, &records.iter().map(record).collect::<Vec<_>>()).unwrap()
}

#[test]
fn what_a_guest_measured_at_run_time_is_explained_by_its_canonical_log() {
    let (writer, mut registers) = boot();
    let log = writer.into_bytes();
    let data = RuntimeEvent::new("sealwright", "LoadModel", "1").unwrap().to_data();
    let said = Content::PcClient { event_type: EV_EVENT_TAG, data: data.clone().into() };
    let cel = canonical(&[(4, said.clone(), sha384(&data))]);
    registers[3] = extend(registers[3], &sha384(&data));
    let check = |cel: &[u8], registers| replay::check_tdx_logs(Some(&log), None, Some(cel), registers);
    let checked = check(&cel, &registers).unwrap();
    assert_eq!(checked.enforced().collect::<Vec<_>>(), replay::RTMR_NAMES);
    assert_eq!((checked.runtime()[0].operation(), checked.cel().unwrap().records), ("LoadModel", 1));
    assert_eq!(serde_json::to_value(&checked).unwrap()["cel"]["records"], 1);
    // Alone it does not explain what the firmware measured, and without it nobody knows what RTMR3 holds.
    let error = replay::check_tdx_logs(None, None, Some(&cel), &registers).unwrap_err();
    assert!(matches!(error, Error::Differs { register: "rtmr0", .. }), "{error}");
    assert_eq!(replay::check_tdx(&log, &registers).unwrap().unexplained().collect::<Vec<_>>(), ["rtmr3"]);
    // Twice is once too often; other words than were measured; registers that there are not; another bank.
    let twice = canonical(&[(4, said.clone(), sha384(&data)), (4, said.clone(), sha384(&data))]);
    assert!(matches!(check(&twice, &registers), Err(Error::Differs { register: "rtmr3", .. })));
    let other = RuntimeEvent::new("sealwright", "LoadModel", "2").unwrap().to_data();
    let lie = Content::PcClient { event_type: EV_EVENT_TAG, data: other.into() };
    let lie = canonical(&[(4, lie, sha384(&data))]);
    assert!(matches!(check(&lie, &registers), Err(Error::RuntimeData { record: 0, .. })));
    for register in [0, 5, 17] {
        let error = check(&canonical(&[(register, said.clone(), sha384(&data))]), &registers).unwrap_err();
        assert!(matches!(error, Error::NoRegister { record: 0, .. }), "{register}: {error}");
    }
    let unsaid = canonical(&[(4, Content::Other { kind: "80".into(), data: [].as_slice().into() }, sha384(&data))]);
    let checked = check(&unsaid, &registers).unwrap();
    assert_eq!((checked.opaque_runtime(), checked.unexplained().collect::<Vec<_>>()), (1, vec!["rtmr3"]));
}

#[test]
fn a_real_guest_s_log_in_canonical_form_gives_the_registers_of_its_quote() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/ccel/evidence-api");
    let quoted = rtmrs(&json(&folder.join("expected.json"))["quote.bin"]);
    let (log, list) = (fs::read(folder.join("ccel_data.bin")).unwrap(), fs::read(folder.join("ima_log.bin")).unwrap());
    let log = Log::parse(&log).unwrap();
    let mut records: Vec<_> =
        (0..).zip(log.events()).map(|(number, event)| Record::from_event(number, &event)).collect();
    let line = ima::entries(&list).unwrap().next().unwrap().unwrap();
    let digest = vec![(AlgorithmId::SHA384, line.template_digest.clone())];
    records.push(Record { register: Register::Pcr(3), ..Record::from_ima(98, &line, digest) });
    for encoding in [Encoding::Tlv, Encoding::Json, Encoding::Cbor] {
        let cel = cel::Log::encode(encoding, &records).unwrap();
        let checked = replay::check_tdx_logs(None, None, Some(&cel), &quoted).unwrap();
        assert_eq!(checked.enforced().collect::<Vec<_>>(), replay::RTMR_NAMES, "{}", encoding.name());
        assert_eq!((checked.events(), checked.cel().unwrap().records), (0, 99));
    }
}

#[test]
fn claims_are_stated_as_json() {
    let (bytes, registers) = boot_with_runtime();
    let json = serde_json::to_value(replay::check_tdx(&bytes, &registers).unwrap()).unwrap();
    let expected = serde_json::json!({
        "present": true, "enforced": ["rtmr0", "rtmr1", "rtmr2", "rtmr3"], "unexplained": [], "events": 5, "ima_lines": 0,
        "opaque_runtime": 0, "contradicted": [],
        "runtime": [{"domain": "sealwright", "operation": "LoadModel", "content": "{\"version\":1}"}],
    });
    assert_eq!(json, expected);
}

#[test]
fn a_runtime_event_that_was_not_measured_is_refused() {
    let data = |version: u8| RuntimeEvent::new("sealwright", "LoadModel", &format!("{version}")).unwrap().to_data();
    let (mut writer, mut registers) = boot();
    writer.event(4, EV_EVENT_TAG, &[&sha384(&data(1))], &data(2)).unwrap();
    registers[3] = extend(registers[3], &sha384(&data(1)));
    let error = replay::check_tdx(writer.as_bytes(), &registers).unwrap_err();
    assert!(matches!(error, Error::RuntimeData { record: 5, .. }), "the register is right, the words are not: {error}");
}

#[test]
fn a_runtime_event_of_no_known_form_is_counted_and_a_broken_one_refused() {
    let (mut writer, mut registers) = boot();
    writer.event(4, EV_EVENT_TAG, &[&[5; 48]], b"something else").unwrap();
    registers[3] = extend(registers[3], &[5; 48]);
    let checked = replay::check_tdx(writer.as_bytes(), &registers).unwrap();
    assert_eq!((checked.opaque_runtime(), checked.runtime().len()), (1, 0));
    assert_eq!(checked.unexplained().collect::<Vec<_>>(), ["rtmr3"], "the value is right, what it means is not known");
    let broken = [b"LEAA".as_slice(), &3u32.to_le_bytes(), b"a b"].concat();
    writer.event(4, EV_EVENT_TAG, &[&sha384(&broken)], &broken).unwrap();
    registers[3] = extend(registers[3], &sha384(&broken));
    assert!(matches!(replay::check_tdx(writer.as_bytes(), &registers), Err(Error::RuntimeEvent { record: 6, .. })));
}

#[test]
fn words_of_a_boot_event_that_were_not_measured_are_pointed_at() {
    let (mut writer, mut registers) = boot();
    writer.event(1, EV_EFI_ACTION, &[&sha384(b"one thing")], b"another thing").unwrap();
    registers[0] = extend(registers[0], &sha384(b"one thing"));
    assert_eq!(replay::check_tdx(writer.as_bytes(), &registers).unwrap().contradicted(), [5]);
}

#[test]
fn a_log_that_is_newer_than_the_quote_is_refused_with_the_record() {
    let (bytes, registers) = boot_with_runtime();
    let mut writer = Writer::resume(&Log::parse(&bytes).unwrap()).unwrap();
    let data = RuntimeEvent::new("sealwright", "LoadModel", "later").unwrap().to_data();
    writer.event(4, EV_EVENT_TAG, &[&sha384(&data)], &data).unwrap();
    let error = replay::check_tdx(writer.as_bytes(), &registers).unwrap_err();
    assert!(matches!(error, Error::Differs { register: "rtmr3", reached_after: Some(5), events: 2, .. }), "{error}");
    assert!(error.to_string().contains("newer than the quote"), "{error}");
}

#[test]
fn events_that_no_register_confirms_are_refused() {
    for mr_index in [0, 5, 23, 24, u32::MAX] {
        let (mut writer, registers) = boot();
        writer.event(mr_index, EV_EFI_ACTION, &[&[1; 48]], b"hidden").unwrap();
        let error = replay::check_tdx(writer.as_bytes(), &registers).unwrap_err();
        assert!(matches!(error, Error::NoRegister { record: 5, .. }), "{mr_index}: {error}");
        assert_eq!(replay::replay(writer.as_bytes()).is_err(), mr_index > 23);
    }
    let (mut writer, registers) = boot();
    writer.event(u32::MAX, EV_NO_ACTION, &[&[0; 48]], b"a note").unwrap();
    writer.event(0, EV_NO_ACTION, &[&[0; 48]], b"another").unwrap();
    assert!(replay::check_tdx(writer.as_bytes(), &registers).is_ok(), "what extends nothing may name anything");
}

#[test]
fn a_bank_is_never_mixed_with_another_and_never_skipped() {
    let mut writer = Writer::new(1, &[AlgorithmId::SHA256, AlgorithmId::SHA384]).unwrap();
    writer.event(1, EV_SEPARATOR, &[&[1; 32], &[2; 48]], &[0; 4]).unwrap();
    let mut bytes = writer.into_bytes();
    let replayed = replay::replay(&bytes).unwrap();
    assert_eq!(replayed.register(1, AlgorithmId::SHA384).unwrap().value(), extend([0; 48], &[2; 48]));
    assert_eq!(replayed.registers().count(), 2);
    // A second event, with a SHA-256 digest only.
    bytes.extend([1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 11, 0]);
    bytes.extend([3; 32]);
    bytes.extend([0; 4]);
    let replayed = replay::replay(&bytes).unwrap();
    assert!(replayed.register(1, AlgorithmId::SHA384).is_none(), "an event is missing in this bank");
    assert_eq!(replayed.register(1, AlgorithmId::SHA256).unwrap().events(), 2);
    let error = replay::check_tdx(&bytes, &[extend([0; 48], &[2; 48]), [0; 48], [0; 48], [0; 48]]).unwrap_err();
    assert!(matches!(error, Error::NoDigest { record: 2, algorithm: AlgorithmId::SHA384 }), "{error}");
    let sha256 = Writer::new(1, &[AlgorithmId::SHA256]).unwrap().into_bytes();
    assert!(matches!(replay::check_tdx(&sha256, &[[0; 48]; 4]), Err(Error::NoBank(_))));
}

#[test]
fn banks_without_a_hash_are_named_and_not_guessed() {
    // A header that names an algorithm of nobody, with digests of 32 bytes.
    let mut bytes = Writer::new(0, &[AlgorithmId::SM3_256]).unwrap().into_bytes();
    let unknown = 0x0099u16.to_le_bytes();
    bytes[60..62].copy_from_slice(&unknown);
    bytes.extend([0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0]);
    bytes.extend(unknown);
    bytes.extend([1; 32]);
    bytes.extend([4, 0, 0, 0, 0, 0, 0, 0]);
    let replayed = replay::replay(&bytes).unwrap();
    assert_eq!((replayed.unsupported_banks(), replayed.registers().count()), (&[AlgorithmId(0x99)][..], 0));
    let event = Log::parse(&bytes).unwrap().events().next().unwrap();
    assert_eq!(replay::data_matches_digest(&event), DataMatch::NotApplicable);
}

#[test]
fn pcr_0_starts_at_the_startup_locality() {
    let log = |events: &[(u32, &[u8])]| -> Result<Vec<u8>, Error> {
        let mut writer = Writer::new(0, &[AlgorithmId::SHA384]).unwrap();
        for (event_type, data) in events {
            writer.event(0, *event_type, &[&[7; 48]], data).unwrap();
        }
        let replayed = replay::replay(writer.as_bytes())?;
        Ok(replayed.register(0, AlgorithmId::SHA384).unwrap().value().to_vec())
    };
    let from = |last: u8| {
        let mut initial = [0; 48];
        initial[47] = last;
        extend(initial, &[7; 48]).to_vec()
    };
    let (locality3, locality4) = (&b"StartupLocality\0\x03"[..], &b"StartupLocality\0\x04"[..]);
    assert_eq!(log(&[(EV_SEPARATOR, b"")]).unwrap(), from(0));
    assert_eq!(log(&[(EV_NO_ACTION, locality3), (EV_SEPARATOR, b"")]).unwrap(), from(3));
    assert_eq!(log(&[(EV_EFI_HCRTM_EVENT, b"HCRTM")]).unwrap(), from(4));
    assert_eq!(log(&[(EV_NO_ACTION, locality3), (EV_NO_ACTION, locality3), (EV_SEPARATOR, b"")]).unwrap(), from(3));
    let error = log(&[(EV_NO_ACTION, locality3), (EV_NO_ACTION, locality4), (EV_SEPARATOR, b"")]).unwrap_err();
    assert_eq!(error, Error::StartupLocality { record: 2 });
}

/// An IMA list of files with these names, in the SHA-384 form of a patched kernel, and the digests of its lines.
fn ima_list(pcr: u32, names: &[&str]) -> (String, Vec<[u8; 48]>) {
    let mut list = String::new();
    let mut digests = Vec::new();
    for name in names {
        let file = [&b"sha384:\0"[..], &sha384(name.as_bytes())].concat();
        let path = [name.as_bytes(), b"\0"].concat();
        let mut data = Vec::new();
        for field in [&file, &path] {
            data.extend(u32::try_from(field.len()).unwrap().to_le_bytes());
            data.extend(field);
        }
        digests.push(sha384(&data));
        let (template, file) = (hex::encode(sha384(&data)), hex::encode(sha384(name.as_bytes())));
        list.push_str(&format!("{pcr:2} {template} ima-ng sha384:{file} {name}\n"));
    }
    (list, digests)
}

#[test]
fn ima_lines_extend_rtmr2_up_to_what_the_quote_covers() {
    let (writer, mut registers) = boot();
    let (list, digests) = ima_list(10, &["boot_aggregate", "/init", "/bin/a b", "/later"]);
    for digest in &digests[..3] {
        registers[2] = extend(registers[2], digest);
    }
    let checked = replay::check_tdx_logs(Some(writer.as_bytes()), Some(list.as_bytes()), None, &registers).unwrap();
    assert_eq!((checked.ima_lines(), checked.registers()[2].events), (3, 4), "the last line is newer than the quote");
    let swapped = format!("{}\n{}\n", list.lines().nth(1).unwrap(), list.lines().next().unwrap());
    let error =
        replay::check_tdx_logs(Some(writer.as_bytes()), Some(swapped.as_bytes()), None, &registers).unwrap_err();
    assert!(matches!(error, Error::Differs { register: "rtmr2", .. }), "{error}");
}

/// The same in a quote, of evidence as it lies in files.
#[test]
fn a_quote_is_explained_by_its_log_and_the_list_together() {
    let (writer, mut registers) = boot();
    let (list, digests) = ima_list(10, &["boot_aggregate", "/init"]);
    for digest in &digests {
        registers[2] = extend(registers[2], digest);
    }
    let mut site = Site::tdx();
    site.td().rt_mr = registers;
    let mut supplied = Supplied::default();
    supplied.add(site.bundle().to_json().unwrap().as_bytes()).unwrap();
    let (root, quote) = (site.root_der(), site.quote());
    let request = Request { roots: vec![Root { name: "site", bytes: &root }], ..Request::new(&supplied, at()) };
    let both = Request { event_log: Some(writer.as_bytes()), ima: Some(list.as_bytes()), ..request.clone() };
    let facts = both.verify(&quote).unwrap();
    assert_eq!(facts.log().unwrap().enforced().collect::<Vec<_>>(), replay::RTMR_NAMES);
    // Each alone explains it no more.
    let any::Error::Refused { error, .. } = (Request { ima: None, ..both.clone() }).verify(&quote).unwrap_err() else {
        panic!("refused")
    };
    assert_eq!(error.code(), "event-log-mismatch");
    let error = Request { event_log: None, ..both.clone() }.verify(&quote).unwrap_err();
    assert_eq!(error, any::Error::Missing { kind: any::Kind::Quote, missing: any::Missing::EventLog });
    let alone = Evidence { ima: Some(list.as_bytes()), ..Evidence::parse(&quote, None).unwrap() };
    let error = verify(&alone, &site.collateral().unwrap(), at()).unwrap_err();
    assert_eq!((error.code(), error.claim()), ("malformed-event-log", "event log"), "{error}");
    let other = list.replace("/init", "/evil");
    let error = Request { ima: Some(other.as_bytes()), ..both }.verify(&quote).unwrap_err();
    assert!(matches!(error, any::Error::Refused { .. }), "{error}");
}

#[test]
fn ima_violations_extend_with_ones() {
    let (writer, registers) = boot();
    let zero = "0".repeat(96);
    let list = format!("10 {zero} ima-ng sha384:{zero} /changed\n");
    let replayed = replay::replay_with_ima(writer.as_bytes(), list.as_bytes()).unwrap();
    assert_eq!(replayed.register(3, AlgorithmId::SHA384).unwrap().value(), extend(registers[2], &[0xff; 48]));
}

#[test]
fn ima_lines_that_lie_or_belong_elsewhere_are_refused() {
    let (writer, _) = boot();
    let refuse = |list: &str| replay::replay_with_ima(writer.as_bytes(), list.as_bytes()).unwrap_err();
    let (list, _) = ima_list(10, &["/usr/bin/true"]);
    assert!(matches!(refuse(&list.replace("true", "false")), Error::ImaDigest { line: 1, .. }));
    assert!(matches!(refuse(&ima_list(11, &["/init"]).0), Error::ImaRegister { line: 1, register: 11, .. }));
    assert!(matches!(refuse("no list"), Error::Ima(_)));
    let sha1 = format!("10 {} ima-ng sha1:{} /init\n", "ab".repeat(20), "cd".repeat(20));
    assert!(matches!(refuse(&sha1), Error::ImaDigest { line: 1, .. }), "a SHA-1 list cannot extend a SHA-384 register");
}

#[test]
fn every_flip_and_cut_of_a_log_is_refused_or_told() {
    let (area, registers) = boot_with_runtime();
    let used = Log::parse(&area).unwrap().used().len();
    for len in 0..used {
        let cut = replay::check_tdx(&area[..len], &registers);
        assert!(cut.is_err() || cut.unwrap().unexplained().eq(["rtmr3"]), "cut at {len}");
    }
    let honest = replay::check_tdx(&area, &registers).unwrap();
    for place in 0..area.len() {
        let mut flipped = area.clone();
        flipped[place] ^= 0x10;
        if let Ok(checked) = replay::check_tdx(&flipped, &registers) {
            // The kind of a record is not measured: a flip there hides the event's words, and is told.
            let hidden = checked.unexplained().eq(["rtmr3"]) && checked.runtime().is_empty();
            assert!(hidden || checked.runtime() == honest.runtime(), "flip at {place} changes no claim");
            assert!(hidden || checked.enforced().count() == 4, "flip at {place}");
        }
    }
}

proptest! {
    #[test]
    fn a_written_log_replays_to_what_was_extended(
        events in prop::collection::vec((1u32..=4, prop::collection::vec(any::<u8>(), 0..30)), 0..30)
    ) {
        let mut writer = Writer::new(1, &[AlgorithmId::SHA384]).unwrap();
        let mut registers = [[0; 48]; 4];
        for (mr_index, data) in &events {
            writer.event(*mr_index, EV_SEPARATOR, &[&sha384(data)], data).unwrap();
            let register = &mut registers[*mr_index as usize - 1];
            *register = extend(*register, &sha384(data));
        }
        let checked = replay::check_tdx(writer.as_bytes(), &registers).unwrap();
        prop_assert_eq!(checked.registers().map(|register| register.replayed.to_string()), registers.map(hex::encode));
        let opaque = events.iter().filter(|(mr_index, _)| *mr_index == 4).count();
        prop_assert_eq!((checked.events(), checked.opaque_runtime()), (events.len(), opaque));
        prop_assert!(checked.contradicted().is_empty());
    }
}
