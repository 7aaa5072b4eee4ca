//! Every kind of log: real machines' registers are reached in every bank, and a boot's story is told from measured words alone.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use sealwright_verify::any;
use sealwright_verify::hash::Hash;
use sealwright_verify::replay::{self, Boot, Covered, DataMatch, Error, Numbering, Replay};
use sealwright_wire::cel::{self, Encoding, Record, Register};
use sealwright_wire::ima::{self, Entry};
use sealwright_wire::tcg2::{AlgorithmId, Guid, Log, UefiVariable, Writer, event_type::*};
use sealwright_wire::tcg12;
use sealwright_wire::uefi::{CERT_SHA256, CERT_X509, SignatureList};
use serde_json::Value;
use std::borrow::Cow;
use std::fs;
use std::path::Path;

/// Every register, as if a quote held them all.
const ALL: [u32; 24] = {
    let mut all = [0; 24];
    let mut index = 1;
    while index < 24 {
        all[index] = all[index - 1] + 1;
        index += 1;
    }
    all
};
const SHA1: AlgorithmId = AlgorithmId::SHA1;
const SHA256: AlgorithmId = AlgorithmId::SHA256;
const SHA384: AlgorithmId = AlgorithmId::SHA384;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn hash(algorithm: AlgorithmId, bytes: &[u8]) -> Vec<u8> {
    Hash::of(algorithm).unwrap().digest(bytes).as_bytes().to_vec()
}

fn extend(algorithm: AlgorithmId, register: &[u8], digest: &[u8]) -> Vec<u8> {
    hash(algorithm, &[register, digest].concat())
}

/// Compares the registers of an answer, bank by bank; says how many there were.
fn compare(name: &str, replayed: &Replay, banks: &Value) -> usize {
    let mut compared = 0;
    for (bank, pcrs) in banks.as_object().into_iter().flatten() {
        for (pcr, value) in pcrs.as_object().unwrap() {
            let bank = AlgorithmId::from_name(bank).unwrap();
            let register = replayed.register(pcr.parse().unwrap(), bank);
            let register = register.unwrap_or_else(|| panic!("{name}: no {bank} {pcr}"));
            assert_eq!(hex::encode(register.value()), *value, "{name} {bank} {pcr}");
            compared += 1;
        }
    }
    compared
}

#[test]
fn logs_of_tpm_1_2_replay_to_the_pcrs_that_were_read_with_them() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/tpm12");
    let mut compared = 0;
    for (name, answers) in json(&folder.join("expected.json")).as_object().unwrap() {
        let mut bytes = fs::read(folder.join(name)).unwrap();
        if name.ends_with(".json") {
            let dump: Value = serde_json::from_slice(&bytes).unwrap();
            bytes = STANDARD.decode(dump["Log"]["Raw"].as_str().unwrap()).unwrap();
        }
        let replayed = replay::replay(&bytes).unwrap();
        compared +=
            compare(name, &replayed, &answers["pcrs"]) + compare(name, &replayed, &answers["pcrs_recomputed_only"]);
        if let Some(published) = answers["pcrs_published"]["sha1"]["5"].as_str() {
            let five = replayed.register(5, SHA1).unwrap();
            assert!(!five.equals(&hex::decode(published).unwrap()), "{name}: events are missing, and that is seen");
        }
    }
    assert_eq!(compared, 24);
}

#[test]
fn a_log_in_base64_and_the_older_logs_replay_in_every_bank() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/tpm/keylime");
    let text: String = fs::read_to_string(folder.join("mb_log.b64")).unwrap().split_whitespace().collect();
    let replayed = replay::replay(&STANDARD.decode(text).unwrap()).unwrap();
    let answers = &json(&folder.join("expected.json"))["mb_log.b64"];
    assert_eq!(compare("mb_log", &replayed, &answers["pcrs_recomputed_only"]), 11);
}

/// The records of a dump that CCNP's tools print: register, type, digest, data.
fn dumped(text: &str) -> Vec<(u32, u32, Vec<u8>, Vec<u8>)> {
    let mut records: Vec<(u32, u32, Vec<u8>, Vec<u8>)> = Vec::new();
    let mut in_data = false;
    for line in text.lines().filter_map(|line| line.split_once("[INFO] ").map(|(_, line)| line)) {
        if line.starts_with("----") {
            records.push((0, 0, Vec::new(), Vec::new()));
        }
        let record = records.last_mut().unwrap();
        if let Some(index) = line.strip_prefix("IMR               : ") {
            record.0 = index.parse().unwrap();
        } else if let Some((_, kind)) = line.split_once(": 0x") {
            record.1 = u32::from_str_radix(kind.split(' ').next().unwrap(), 16).unwrap();
        } else if line.starts_with("Digest[") || line.starts_with("Event:") {
            in_data = line.starts_with("Event:");
        } else if let Some((_, dump)) = line.split_once("  ").filter(|(offset, _)| offset.len() == 8) {
            let hex = dump.get(..47).unwrap_or(dump).split(' ').map_while(|hex| u8::from_str_radix(hex, 16).ok());
            if in_data { record.3.extend(hex) } else { record.2.extend(hex) }
        }
    }
    records
}

#[test]
fn the_log_of_a_container_replays_to_its_registers() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/cim");
    let name = "sample-output-for-container-eventlog.txt";
    let records = dumped(&fs::read_to_string(folder.join(name)).unwrap());
    let mut writer = Writer::new(0, &[SHA384]).unwrap();
    for (index, event_type, digest, data) in records.iter().filter(|(_, event_type, ..)| *event_type != EV_NO_ACTION) {
        writer.event(*index, *event_type, &[digest], data).unwrap();
    }
    let replayed = replay::replay(writer.as_bytes()).unwrap();
    let answers = json(&folder.join("expected.json"));
    assert_eq!(records.len() as u64, answers[name]["events"].as_u64().unwrap());
    for (register, value) in answers[name]["sha384"].as_object().unwrap() {
        let index = register.trim_start_matches("imr").parse().unwrap();
        assert_eq!(hex::encode(replayed.register(index, SHA384).unwrap().value()), *value, "{register}");
    }
    assert_eq!(replayed.registers().count(), 3);
}

/// PCR values as the kernel shows them.
fn shown(folder: &Path, bank: &str, pcr: u32) -> Vec<u8> {
    let text = fs::read_to_string(folder.join("sysfs_pcrs.txt")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{bank} {pcr} ")));
    hex::decode(line.unwrap()).unwrap()
}

#[test]
fn ima_behind_a_recorded_boot_gives_pcr_10_in_every_bank() {
    let Some(vectors) = support::vectors() else { return };
    for boot in ["ng", "ima"] {
        let folder = vectors.join("tpm-quote/qemu-swtpm").join(boot);
        let firmware = replay::replay(&fs::read(folder.join("binary_bios_measurements")).unwrap()).unwrap();
        for list in ["ima_ascii", "ima_binary"] {
            let list = fs::read(folder.join(list)).unwrap();
            let mut replayed = firmware.clone();
            replayed.join_ima(&list).unwrap();
            assert_eq!(replayed.ima_lines(), 56);
            for bank in [SHA1, SHA256] {
                assert!(
                    replayed.register(10, bank).unwrap().equals(&shown(&folder, bank.name().unwrap(), 10)),
                    "{boot} {bank}"
                );
            }
            // The kernel had no SHA-384: it extended what it had, padded with zeros.
            let sha384 = replayed.register(10, SHA384).unwrap();
            let seen = shown(&folder, "sha384", 10);
            assert!(!sha384.equals(&seen), "{boot}");
            assert_eq!(sha384.value_if_padded(), Some(&seen[..]), "{boot}");
            assert_eq!(replayed.register(10, SHA1).unwrap().value_if_padded(), None, "its own bank is not padded");
            assert_eq!(replayed.register(0, SHA384).unwrap().value_if_padded(), None, "no list extended it");
            let padded = Some(Covered { entries: 56, padded: true });
            assert_eq!(firmware.ima_covered(&list, 10, SHA384, &seen).unwrap(), padded);
        }
    }
}

#[test]
fn a_quote_covers_the_list_up_to_its_time() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("tpm-quote/qemu-swtpm/ng");
    let firmware = replay::replay(&fs::read(folder.join("binary_bios_measurements")).unwrap()).unwrap();
    let list = fs::read(folder.join("ima_binary")).unwrap();
    // TPML_PCR_SELECTION of 132 bytes, u32 lists, then lists of eight digests, each of two bytes size and 64 bytes.
    let quoted = fs::read(folder.join("quote.pcrs")).unwrap();
    let digest = |place: usize, size: usize| {
        let begin = 136 + place / 8 * 532 + 4 + place % 8 * 66 + 2;
        &quoted[begin..begin + size]
    };
    let covered = Some(Covered { entries: 54, padded: false });
    assert_eq!(firmware.ima_covered(&list, 10, SHA1, digest(10, 20)).unwrap(), covered);
    assert_eq!(firmware.ima_covered(&list, 10, SHA256, digest(21, 32)).unwrap(), covered);
    assert_eq!(firmware.ima_covered(&list, 10, SHA256, &[7; 32]).unwrap(), None);
    assert_eq!(firmware.ima_covered(&list, 10, AlgorithmId::SHA512, &[7; 64]).unwrap(), None, "no such bank");
    let nothing = Some(Covered { entries: 0, padded: false });
    assert_eq!(firmware.ima_covered(&list, 10, SHA256, &[0; 32]).unwrap(), nothing);
}

#[test]
fn boot_aggregate_is_over_the_firmwares_registers() {
    let Some(vectors) = support::vectors() else { return };
    for (boot, bank) in [("ng", SHA256), ("ima", SHA1)] {
        let folder = vectors.join("tpm-quote/qemu-swtpm").join(boot);
        let firmware = replay::replay(&fs::read(folder.join("binary_bios_measurements")).unwrap()).unwrap();
        let list = fs::read(folder.join("ima_ascii")).unwrap();
        let first = ima::entries(&list).unwrap().next().unwrap().unwrap();
        let aggregate = firmware.boot_aggregate(bank).unwrap();
        assert_eq!(
            (first.path(), first.file_digest().unwrap().1),
            (Some(&b"boot_aggregate"[..]), aggregate.as_bytes())
        );
    }
    assert!(Replay::default().boot_aggregate(SHA256).is_none());
}

/// An entry of `ima-ng` for this path.
fn ima(pcr: u32, path: &str) -> Vec<u8> {
    let (file, name) = ([&b"sha256:\0"[..], &[7; 32]].concat(), [path.as_bytes(), b"\0"].concat());
    let mut entry = Entry::new(pcr, "ima-ng", &[&file, &name]).unwrap();
    entry.template_digest = Cow::Owned(hash(SHA1, &entry.template_data()));
    let mut list = Vec::new();
    entry.to_binary(&mut list);
    list
}

#[test]
fn ima_lines_that_lie_or_name_no_register_are_refused() {
    let honest = [ima(10, "/init"), ima(11, "/policy")].concat();
    let mut replayed = Replay::of_banks([SHA256, SHA1]);
    replayed.join_ima(&honest).unwrap();
    assert_eq!(replayed.registers().map(|register| register.mr_index()).collect::<Vec<_>>(), [10, 10, 11, 11]);
    let refuse = |list: &[u8]| Replay::of_banks([SHA256]).join_ima(list).unwrap_err();
    for place in 4..honest.len() {
        let mut flipped = honest.clone();
        flipped[place] ^= 0x10;
        let mut other = Replay::of_banks([SHA256, SHA1]);
        // The register's number is not hashed: the line then extends another register, or none.
        if other.join_ima(&flipped).is_ok() {
            assert!(other != replayed, "flip at {place}");
        }
    }
    let mut lie = honest.clone();
    let last = lie.len() - 2;
    lie[last] = b'x';
    assert!(matches!(refuse(&lie), Error::ImaDigest { line: 2, .. }), "{}", refuse(&lie));
    assert!(matches!(refuse(&ima(24, "/init")), Error::ImaRegister { line: 1, register: 24, .. }));
    assert!(matches!(refuse(&honest[..honest.len() - 1]), Error::Ima(_)));
    assert!(matches!(refuse(b"no list"), Error::Ima(_)));
}

#[test]
fn a_list_in_the_letters_of_base64_or_hex_is_no_such_text() {
    for list in [
        format!("10 {} ima {} /bin/ab\n", "0".repeat(40), "ab".repeat(20)),
        format!("2 {} d {}", "0".repeat(40), "ab".repeat(20)),
    ] {
        let letters: String = list.split_whitespace().collect();
        assert!(STANDARD.decode(&letters).is_ok() || hex::decode(&letters).is_ok(), "{letters}");
        assert!(ima::ascii(list.as_bytes()).unwrap().all(|entry| entry.is_ok()));
        assert_eq!(any::decoded(list.as_bytes()), list.as_bytes());
    }
}

#[test]
fn a_violation_extends_every_bank_with_ones() {
    let list = format!("10 {} ima-ng sha256:{} /changed\n", "0".repeat(40), "0".repeat(64));
    let mut replayed = Replay::of_banks([SHA1, SHA384]);
    replayed.join_ima(list.as_bytes()).unwrap();
    for bank in [SHA1, SHA384] {
        let size = bank.digest_size().unwrap();
        let register = replayed.register(10, bank).unwrap();
        assert_eq!(register.value(), extend(bank, &vec![0; size], &vec![0xff; size]));
    }
    let sha384 = replayed.register(10, SHA384).unwrap();
    assert_eq!(sha384.value_if_padded(), Some(sha384.value()), "a violation is not padded");
}

#[test]
fn published_ima_lists_replay_where_their_digests_recompute() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/ima/keylime");
    for (name, answers) in json(&folder.join("expected.json")).as_object().unwrap() {
        let list = fs::read(folder.join(name)).unwrap();
        let violation = |answer: &Value| answer["template_digest"].as_str().unwrap().bytes().all(|digit| digit == b'0');
        let recomputes =
            answers.as_array().unwrap().iter().all(|a| violation(a) || a["template_digest_recomputes"] == true);
        // SM3's digests were not recomputed by those who published the answers.
        if !name.contains("sm3") {
            assert_eq!(Replay::of_banks([SHA1]).join_ima(&list).is_ok(), recomputes, "{name}");
        }
    }
    let entries = json(&folder.join("entries.json"));
    for (name, answer) in entries["valid"].as_object().unwrap() {
        let line = answer["line"].as_str().unwrap();
        assert!(Replay::of_banks([SHA1]).join_ima(line.as_bytes()).is_ok(), "{name}");
    }
    for (name, line) in entries["invalid"].as_object().unwrap() {
        assert!(Replay::of_banks([SHA1]).join_ima(line.as_str().unwrap().as_bytes()).is_err(), "{name}");
    }
}

#[test]
fn sm3_banks_are_replayed() {
    let mut writer = Writer::new(1, &[AlgorithmId::SM3_256]).unwrap();
    writer.event(1, EV_SEPARATOR, &[&hash(AlgorithmId::SM3_256, &[0; 4])], &[0; 4]).unwrap();
    let replayed = replay::replay(writer.as_bytes()).unwrap();
    let digest = hash(AlgorithmId::SM3_256, &[0; 4]);
    let register = replayed.register(1, AlgorithmId::SM3_256).unwrap();
    assert_eq!(register.value(), extend(AlgorithmId::SM3_256, &[0; 32], &digest));
    let log = Log::parse(writer.as_bytes()).unwrap();
    assert_eq!(replay::data_matches_digest(&log.events().next().unwrap()), DataMatch::Yes);
    assert_eq!(Numbering::of(&log), Numbering::CcMr);
}

#[test]
fn digests_of_zeros_are_counted_and_one_that_is_absent_hides_its_register() {
    let mut writer = Writer::new(0, &[SHA1, SHA256]).unwrap();
    writer.event(7, EV_SEPARATOR, &[&[0; 20], &hash(SHA256, &[0; 4])], &[0; 4]).unwrap();
    let replayed = replay::replay(writer.as_bytes()).unwrap();
    assert_eq!(
        replayed.register(7, SHA1).unwrap().zero_digests(),
        1,
        "firmware writes zeros into a bank that is not in use"
    );
    assert_eq!(replayed.register(7, SHA256).unwrap().zero_digests(), 0);
    let mut bytes = writer.into_bytes();
    bytes.extend([7, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 11, 0]);
    bytes.extend([3; 32]);
    bytes.extend([0; 4]);
    let replayed = replay::replay(&bytes).unwrap();
    assert!(replayed.register(7, SHA1).is_none() && replayed.register(7, SHA256).is_some());
    assert!(replayed.boot_aggregate(SHA1).is_none());
}

#[test]
fn several_attempts_to_boot_and_notes_between_them_replay() {
    let mut writer = Writer::new(0, &[SHA256]).unwrap();
    let calling = b"Calling EFI Application from Boot Option";
    let returning = b"Returning from EFI Application from Boot Option";
    let mut pcr4 = vec![0; 32];
    for text in [&calling[..], returning, calling] {
        writer.event(u32::MAX, EV_NO_ACTION, &[&[0; 32]], b"a note").unwrap();
        writer.event(4, EV_EFI_ACTION, &[&hash(SHA256, text)], text).unwrap();
        pcr4 = extend(SHA256, &pcr4, &hash(SHA256, text));
    }
    for _ in 0..2 {
        writer.event(4, EV_SEPARATOR, &[&hash(SHA256, &[0; 4])], &[0; 4]).unwrap();
        pcr4 = extend(SHA256, &pcr4, &hash(SHA256, &[0; 4]));
    }
    let replayed = replay::replay(writer.as_bytes()).unwrap();
    assert_eq!(replayed.register(4, SHA256).unwrap().value(), pcr4);
    let boot = Boot::read(&Log::parse(writer.as_bytes()).unwrap(), SHA256, &ALL);
    assert_eq!((boot.attempts, boot.unmeasured.len()), (2, 0));
}

#[test]
fn a_canonical_log_of_a_boot_replays_as_the_boot_does() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = fs::read(vectors.join("eventlog/tpm/google/ubuntu-2404-amd-sevsnp.bin")).unwrap();
    let log = Log::parse(&bytes).unwrap();
    let records: Vec<_> = log.events().zip(0..).map(|(event, number)| Record::from_event(number, &event)).collect();
    let expected = replay::replay(&bytes).unwrap();
    for encoding in [Encoding::Tlv, Encoding::Json, Encoding::JsonSeq, Encoding::Cbor] {
        let bytes = cel::Log::encode(encoding, &records).unwrap();
        let cel = cel::Log::parse(&bytes).unwrap();
        assert_eq!(replay::replay_cel(&cel).unwrap(), expected, "{}", encoding.name());
        let matching = |wanted| cel.records().filter(|record| replay::cel_matches_digest(record) == wanted).count();
        assert!(matching(DataMatch::Yes) > 50 && matching(DataMatch::No) == 0);
    }
}

/// What systemd writes for a phase of the boot.
fn phase(text: &str) -> String {
    let digests = [SHA1, SHA256]
        .map(|bank| format!("{{\"hashAlg\":\"{bank}\",\"digest\":\"{}\"}}", hex::encode(hash(bank, text.as_bytes()))));
    format!(
        "\u{1e}{{\"pcr\":11,\"digests\":[{}],\"content_type\":\"systemd\",\"content\":{{\"string\":\"{text}\",\"eventType\":\"phase\"}}}}\n",
        digests.join(",")
    )
}

#[test]
fn what_systemd_measured_is_joined_behind_the_firmware() {
    let mut writer = Writer::new(0, &[SHA1, SHA256]).unwrap();
    writer.event(11, EV_IPL, &[&[1; 20], &[2; 32]], b"x").unwrap();
    let mut replayed = replay::replay(writer.as_bytes()).unwrap();
    let text = phase("enter-initrd") + &phase("leave-initrd");
    let log = cel::Log::parse(text.as_bytes()).unwrap();
    assert!(log.records().all(|record| replay::cel_matches_digest(&record) == DataMatch::Yes));
    replayed.join_cel(&log).unwrap();
    let mut value = extend(SHA256, &[0; 32], &[2; 32]);
    for text in ["enter-initrd", "leave-initrd"] {
        value = extend(SHA256, &value, &hash(SHA256, text.as_bytes()));
    }
    assert_eq!(replayed.register(11, SHA256).unwrap().value(), value);
    let lie = phase("enter-initrd").replace("enter-initrd\"", "ready\"");
    let lie = cel::Log::parse(lie.as_bytes()).unwrap();
    let lie = lie.records().next().unwrap();
    assert_eq!(replay::cel_matches_digest(&lie), DataMatch::NotApplicable, "a secret has a name of its own");
}

#[test]
fn records_that_no_register_confirms_are_refused_or_counted() {
    let record = |register| Record {
        number: None,
        register,
        digests: vec![(SHA256, Cow::Owned(vec![1; 32]))],
        content: cel::Content::Systemd(cel::Systemd::default()),
    };
    let replayed = |records: &[Record<'_>]| {
        let bytes = cel::Log::encode(Encoding::JsonSeq, records).unwrap();
        replay::replay_cel(&cel::Log::parse(&bytes).unwrap())
    };
    let error = replayed(&[record(Register::Pcr(24))]).unwrap_err();
    assert!(matches!(error, Error::NoRegister { record: 0, mr_index: 24, .. }));
    let some = replayed(&[record(Register::NvIndex(24)), record(Register::Pcr(23))]).unwrap();
    assert_eq!((some.nv_records(), some.registers().count()), (1, 1));
    let mut two = record(Register::Pcr(5));
    two.digests.push((SHA384, Cow::Owned(vec![1; 48])));
    let some = replayed(&[record(Register::Pcr(5)), two]).unwrap();
    assert!(some.register(5, SHA384).is_none(), "a record leaves the bank out");
    let ima = cel::Content::ImaTemplate { name: "ima-ng".into(), data: Cow::Borrowed(b"fields") };
    let digests = vec![(SHA1, Cow::Owned(hash(SHA1, b"fields"))), (SHA384, Cow::Owned(vec![0; 48]))];
    let padded = Record { content: ima, digests, ..record(Register::Pcr(10)) };
    assert_eq!(replay::cel_matches_digest(&padded), DataMatch::Yes, "SHA-1's own bank says so");
}

fn log_of(path: &str) -> Option<Vec<u8>> {
    Some(fs::read(support::vectors()?.join("eventlog").join(path)).unwrap())
}

fn boot_of(bytes: &[u8], bank: AlgorithmId) -> Boot {
    Boot::read(&Log::parse(bytes).unwrap(), bank, &ALL)
}

#[test]
fn real_logs_tell_secure_boot_and_its_keys() {
    let answers = [
        ("tpm/google/ubuntu-2104-no-secure-boot.bin", SHA256, Some(false)),
        ("tpm/google/ubuntu-2404-amd-sevsnp.bin", SHA256, Some(false)),
        ("tpm/google/cos-101-amd-sev.bin", SHA256, Some(true)),
        ("tpm/tpm2-tools/event-moklisttrusted.bin", SHA256, Some(true)),
        ("tpm/tpm2-tools/event-arch-linux.bin", SHA1, Some(false)),
        ("tpm/legacy/coreos_36_shielded_vm_no_secure_boot_eventlog", SHA256, Some(false)),
        ("tpm/legacy/sb_cert_eventlog", SHA256, Some(true)),
        ("ccel/evidence-api/ccel_data.bin", SHA384, Some(false)),
        ("tpm/tpm2-tools/event.bin", SHA256, None),
    ];
    for (path, bank, secure_boot) in answers {
        let Some(bytes) = log_of(path) else { return };
        assert_eq!(boot_of(&bytes, bank).secure_boot, secure_boot, "{path}");
    }
    let bytes = log_of("tpm/google/cos-101-amd-sev.bin").unwrap();
    let boot = boot_of(&bytes, SHA256);
    let db = boot.keys.db.unwrap();
    assert!(db.iter().all(|key| key.kind == "x509" && key.digest.len() == 64) && !db.is_empty(), "{db:?}");
    let (pk, dbx) = (boot.keys.pk.unwrap(), boot.keys.dbx.unwrap());
    assert!(pk.len() == 1 && dbx.iter().all(|key| key.kind == "sha256" || key.kind == "x509"), "{pk:?} {dbx:?}");
    assert!(boot.unmeasured.is_empty(), "{:?}", boot.unmeasured);
}

#[test]
fn real_logs_tell_kernel_initrd_and_command_line() {
    let Some(bytes) = log_of("tpm/google/ubuntu-2404-amd-sevsnp.bin") else { return };
    let boot = boot_of(&bytes, SHA256);
    let kernel = boot.kernel.clone().unwrap();
    assert_eq!(kernel.path.as_deref(), Some("/vmlinuz-6.8.0-1010-gcp"));
    assert_eq!(kernel.digest.as_ref().unwrap().len(), 64);
    assert!(boot.command_lines[0].starts_with("/vmlinuz-6.8.0-1010-gcp root=PARTUUID="));
    assert_eq!((boot.attempts, boot.exit_boot_services, boot.disk.is_some()), (1, true, true));
    let bytes = log_of("ccel/evidence-api/ccel_data.bin").unwrap();
    let boot = boot_of(&bytes, SHA384);
    assert_eq!(boot.kernel.unwrap().path.as_deref(), Some("/boot/vmlinuz-6.2.16-v5.2.mvp42-generic"));
    assert_eq!(boot.initrds[0].path.as_deref(), Some("/boot/initrd.img-6.2.16-v5.2.mvp42-generic"));
    let bytes = log_of("../tpm-quote/qemu-swtpm/ng/binary_bios_measurements").unwrap();
    let boot = boot_of(&bytes, SHA256);
    assert_eq!((boot.initrds.len(), boot.command_line_digests.len()), (1, 1), "Linux' stub measures both");
    assert_eq!(boot.initrds[0].path, None, "and names no file");
    assert!(boot.kernel.is_some() && boot.command_lines.is_empty());
    // Of systemd-boot, in UTF-16 whose terminator was measured whole and logged in half.
    let bytes = log_of("tpm/google/arch-linux-workstation.bin").unwrap();
    let boot = boot_of(&bytes, SHA256);
    assert_eq!(boot.command_lines.len(), 1);
    assert!(boot.command_lines[0].ends_with("rw intel_iommu=on iommu=pt l1tf=off"), "{:?}", boot.command_lines);
}

#[test]
fn images_are_those_that_upstream_names() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/tpm/google");
    let mut compared = 0;
    for (name, answers) in json(&folder.join("expected.json")).as_object().unwrap() {
        for (bank, digests) in answers["efi_app_digests"].as_object().into_iter().flatten() {
            let bytes = fs::read(folder.join(name)).unwrap();
            let boot = boot_of(&bytes, AlgorithmId::from_name(bank).unwrap());
            for digest in digests.as_array().unwrap() {
                let digest = digest.as_str().unwrap();
                assert!(boot.images.iter().any(|image| image.digest.as_deref() == Some(digest)), "{name} {bank}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 20, "{compared}");
}

/// A log of one bank in a TPM's numbering, one event after another.
fn tpm(events: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(0, &[SHA256]).unwrap();
    for (pcr, event_type, data) in events {
        writer.event(*pcr, *event_type, &[&hash(SHA256, data)], data).unwrap();
    }
    writer.into_bytes()
}

fn secure_boot(on: u8) -> Vec<u8> {
    UefiVariable::encode(Guid::GLOBAL_VARIABLE, "SecureBoot", &[on])
}

#[test]
fn secure_boot_is_believed_before_the_separator_in_its_register_and_if_measured() {
    const CONFIG: u32 = EV_EFI_VARIABLE_DRIVER_CONFIG;
    let (on, off) = (secure_boot(1), secure_boot(0));
    let separator = (7, EV_SEPARATOR, &[0; 4][..]);
    let told = |events: &[(u32, u32, &[u8])]| boot_of(&tpm(events), SHA256).secure_boot;
    assert_eq!(told(&[(7, CONFIG, &on), separator]), Some(true));
    assert_eq!(told(&[(7, CONFIG, &off), separator]), Some(false));
    assert_eq!(told(&[separator, (7, CONFIG, &on)]), None, "behind the separator anyone can measure it");
    assert_eq!(told(&[(7, CONFIG, &off), separator, (7, CONFIG, &on)]), Some(false));
    assert_eq!(told(&[(5, CONFIG, &on), separator]), None, "another register");
    assert_eq!(told(&[(7, EV_EFI_VARIABLE_BOOT2, &on), separator]), None, "another type");
    assert_eq!(told(&[(7, CONFIG, &on), (7, CONFIG, &off)]), None, "both");
    let other = UefiVariable::encode(Guid::IMAGE_SECURITY_DATABASE, "SecureBoot", &[1]);
    assert_eq!(told(&[(7, CONFIG, &other)]), None, "another owner's variable");
    let mut writer = Writer::new(0, &[SHA256]).unwrap();
    writer.event(7, CONFIG, &[&hash(SHA256, &off)], &on).unwrap();
    let boot = boot_of(writer.as_bytes(), SHA256);
    assert_eq!((boot.secure_boot, &boot.unmeasured[..]), (None, &[1][..]), "the words are not what was measured");
    assert_eq!(boot_of(writer.as_bytes(), SHA384).secure_boot, None, "no such bank");
}

#[test]
fn a_register_that_no_quote_holds_tells_nothing() {
    // PCR 16 can be reset by anybody: a log may claim of it what it likes.
    let line = b"/vmlinuz init=/evil";
    let mut writer = Writer::new(0, &[SHA256]).unwrap();
    writer.event(7, EV_EFI_VARIABLE_DRIVER_CONFIG, &[&hash(SHA256, &secure_boot(1))], &secure_boot(1)).unwrap();
    writer.event(16, EV_IPL, &[&hash(SHA256, line)], &[b"kernel_cmdline: ", &line[..]].concat()).unwrap();
    let log = Log::parse(writer.as_bytes()).unwrap();
    let boot = Boot::read(&log, SHA256, &[0, 4, 7, 8]);
    assert_eq!((boot.secure_boot, boot.command_lines.len()), (Some(true), 0));
    assert_eq!(Boot::read(&log, SHA256, &[16]).command_lines.len(), 1);
    assert_eq!(Boot::read(&log, SHA256, &[]), Boot::default());
}

#[test]
fn a_bank_that_lies_does_not_speak_for_another() {
    let (on, off) = (secure_boot(1), secure_boot(0));
    let mut writer = Writer::new(0, &[SHA1, SHA256]).unwrap();
    writer.event(7, EV_EFI_VARIABLE_DRIVER_CONFIG, &[&hash(SHA1, &off), &hash(SHA256, &on)], &on).unwrap();
    assert_eq!(boot_of(writer.as_bytes(), SHA256).secure_boot, Some(true), "the quoted bank is SHA-256");
    assert_eq!(boot_of(writer.as_bytes(), SHA1).secure_boot, None, "the quoted bank is SHA-1");
}

#[test]
fn keys_of_a_damaged_database_are_not_half_told() {
    let list = SignatureList::encode(CERT_SHA256, &[(Guid([1; 16]), &[2; 32])]).unwrap();
    let certificate = SignatureList::encode(CERT_X509, &[(Guid([1; 16]), b"certificate")]).unwrap();
    let database = |data: &[u8]| UefiVariable::encode(Guid::IMAGE_SECURITY_DATABASE, "dbx", data);
    let told = |data: &[u8]| boot_of(&tpm(&[(7, EV_EFI_VARIABLE_DRIVER_CONFIG, &database(data))]), SHA256).keys.dbx;
    let keys = told(&[list.clone(), certificate].concat()).unwrap();
    assert_eq!(keys.iter().map(|key| key.kind.as_str()).collect::<Vec<_>>(), ["sha256", "x509"]);
    assert_eq!(
        (keys[0].digest.as_str(), keys[1].digest.clone()),
        ("02".repeat(32).as_str(), hex::encode(hash(SHA256, b"certificate")))
    );
    assert_eq!(told(&[&list[..], &list[..40]].concat()), None);
    assert_eq!(told(&[]), Some(Vec::new()), "an empty database is one");
}

#[test]
fn sections_of_a_unified_kernel_are_named_by_what_was_measured() {
    let utf16 = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut writer = Writer::new(0, &[SHA256]).unwrap();
    for (name, contents) in [(".linux", &b"kernel"[..]), (".initrd", b"initrd")] {
        writer.event(11, EV_IPL, &[&hash(SHA256, format!("{name}\0").as_bytes())], &utf16(name)).unwrap();
        writer.event(11, EV_IPL, &[&hash(SHA256, contents)], &utf16(name)).unwrap();
    }
    let line = utf16("quiet");
    writer.event(12, EV_IPL, &[&hash(SHA256, &line)], &line).unwrap();
    writer.event(12, EV_IPL, &[&hash(SHA256, b"a credential")], &utf16("Credentials initrd")).unwrap();
    // Contents under a name that was not measured before them.
    writer.event(11, EV_IPL, &[&hash(SHA256, b"evil")], &utf16(".linux")).unwrap();
    let boot = boot_of(writer.as_bytes(), SHA256);
    let names: Vec<_> =
        boot.sections.iter().map(|section| (section.name.as_str(), section.digest.clone().unwrap())).collect();
    assert_eq!(
        names,
        [(".linux", hex::encode(hash(SHA256, b"kernel"))), (".initrd", hex::encode(hash(SHA256, b"initrd")))]
    );
    assert_eq!((boot.command_lines, boot.unmeasured), (vec!["quiet".to_owned()], vec![7]));
}

#[test]
fn numbering_is_told_from_what_is_measured_where() {
    let Some(ccel) = log_of("ccel/trustee/CCEL_data_ovmf") else { return };
    assert_eq!(Numbering::of(&Log::parse(&ccel).unwrap()), Numbering::CcMr);
    for path in ["tpm/google/ubuntu-2404-amd-sevsnp.bin", "tpm/legacy/crypto_agile_eventlog"] {
        assert_eq!(Numbering::of(&Log::parse(&log_of(path).unwrap()).unwrap()), Numbering::Pcr, "{path}");
    }
    let mut writer = Writer::new(0, &[SHA384]).unwrap();
    writer.event(7, EV_SEPARATOR, &[&[0; 48]], &[0; 4]).unwrap();
    assert_eq!(Numbering::of(&Log::parse(writer.as_bytes()).unwrap()), Numbering::Pcr, "a guest has no register 7");
}

#[test]
fn every_flip_of_a_log_changes_a_register_or_what_is_believed() {
    let (on, line) = (secure_boot(1), b"kernel_cmdline: /vmlinuz quiet");
    let mut writer = Writer::new(0, &[SHA256]).unwrap();
    writer.event(7, EV_EFI_VARIABLE_DRIVER_CONFIG, &[&hash(SHA256, &on)], &on).unwrap();
    writer.event(7, EV_SEPARATOR, &[&hash(SHA256, &[0; 4])], &[0; 4]).unwrap();
    writer.event(8, EV_IPL, &[&hash(SHA256, b"/vmlinuz quiet")], line).unwrap();
    let bytes = writer.into_bytes();
    let (honest, boot) = (replay::replay(&bytes).unwrap(), boot_of(&bytes, SHA256));
    assert_eq!((boot.secure_boot, &boot.command_lines[..]), (Some(true), &["/vmlinuz quiet".to_owned()][..]));
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << bit;
            let Ok(log) = Log::parse(&flipped) else { continue };
            let Ok(replayed) = replay::replay_parsed(&log) else { continue };
            if replayed != honest {
                continue;
            }
            let told = Boot::read(&log, SHA256, &ALL);
            assert!(told.secure_boot != Some(false), "flip at {place}");
            assert!(told.command_lines.is_empty() || told.command_lines == boot.command_lines, "flip at {place}");
        }
    }
}

proptest! {
    #[test]
    fn every_bank_of_a_written_log_replays(
        events in prop::collection::vec((0u32..24, prop::collection::vec(any::<u8>(), 0..30)), 0..20)
    ) {
        let banks = [SHA1, SHA256, SHA384, AlgorithmId::SHA512, AlgorithmId::SM3_256];
        let mut writer = Writer::new(0, &banks).unwrap();
        let mut old = tcg12::Writer::default();
        let mut expected = vec![vec![None::<Vec<u8>>; 24]; banks.len()];
        for (pcr, data) in &events {
            let digests: Vec<_> = banks.iter().map(|bank| hash(*bank, data)).collect();
            writer.event(*pcr, EV_SEPARATOR, &digests.iter().map(Vec::as_slice).collect::<Vec<_>>(), data).unwrap();
            old.event(*pcr, EV_SEPARATOR, &digests[0].clone().try_into().unwrap(), data).unwrap();
            for ((bank, registers), digest) in banks.iter().zip(&mut expected).zip(&digests) {
                let register = registers[*pcr as usize].get_or_insert_with(|| vec![0; digest.len()]);
                *register = extend(*bank, register, digest);
            }
        }
        let replayed = replay::replay(writer.as_bytes()).unwrap();
        let legacy = if events.is_empty() { Replay::default() } else { replay::replay(old.as_bytes()).unwrap() };
        for (bank, registers) in banks.iter().zip(&expected) {
            for (pcr, value) in (0..).zip(registers) {
                let seen = replayed.register(pcr, *bank).map(|register| register.value().to_vec());
                prop_assert_eq!(&seen, value);
                if *bank == SHA1 {
                    prop_assert_eq!(&legacy.register(pcr, SHA1).map(|register| register.value().to_vec()), value);
                }
            }
        }
    }
}
