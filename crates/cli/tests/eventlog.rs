//! `eventlog` on logs of every kind, and its YAML against what tpm2-tools prints.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod program;

use program::{Run, command, sealwright};
use sealwright_wire::cel::{Encoding, Log as Cel, Record};
use sealwright_wire::tcg2::{AlgorithmId, Guid, Log, Writer, event_type::*};
use sealwright_wire::tcg12;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use tempfile::NamedTempFile;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn yaml(log: &Path, build: &str, version: &str) -> Vec<u8> {
    let log = log.to_str().unwrap();
    let args = ["eventlog", "show", log, "--format", "yaml", "--tpm2-tools", build, "--eventlog-version", version];
    let run = command().args(args).output().unwrap();
    assert!(run.status.success(), "{log}: {}", String::from_utf8_lossy(&run.stderr));
    run.stdout
}

#[test]
fn yaml_is_that_of_tpm2_tools_to_the_byte() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/tpm/tpm2-tools");
    let mut compared = 0;
    for (name, answer) in json(&folder.join("expected.json")).as_object().unwrap() {
        let log = folder.join(answer["data_file"].as_str().unwrap_or(name));
        for (subfolder, build) in
            [("event-pretty", "efivar38"), ("event-pretty-39", "efivar39"), ("event-raw", "raw"), ("", "efivar38")]
        {
            let mut golden = folder.join(subfolder).join(format!("{name}.yaml"));
            if let Some(identical) = answer["identical_golden"][format!("{subfolder}/{name}.yaml")].as_str() {
                golden = folder.join(identical);
            }
            let Ok(golden) = fs::read_to_string(&golden) else { continue };
            let version = golden.lines().nth(1).unwrap().strip_prefix("version: ").unwrap();
            let ours = String::from_utf8(yaml(&log, build, version)).unwrap();
            let first = ours.lines().zip(golden.lines()).find(|(ours, golden)| ours != golden);
            assert_eq!(first, None, "{subfolder}/{name}");
            assert!(ours == golden, "{subfolder}/{name}: {} bytes, {} in the golden file", ours.len(), golden.len());
            compared += 1;
        }
    }
    assert_eq!(compared, 23);
}

#[test]
fn logs_of_every_kind_are_named_and_replayed() {
    let Some(vectors) = support::vectors() else { return };
    let folder = tempfile::tempdir().unwrap();
    let eventlog = vectors.join("eventlog");
    let ubuntu = fs::read(eventlog.join("tpm/google/ubuntu-2404-amd-sevsnp.bin")).unwrap();
    let log = Log::parse(&ubuntu).unwrap();
    let records: Vec<_> = log.events().zip(0..).map(|(event, number)| Record::from_event(number, &event)).collect();
    let expected =
        json(&eventlog.join("tpm/google/expected.json"))["ubuntu-2404-amd-sevsnp.bin"]["pcrs"]["sha256"].clone();
    let mut cases = vec![
        (eventlog.join("tpm/google/ubuntu-2404-amd-sevsnp.bin"), "TCG2 event log, sha1 + sha256 + sha384", true),
        (eventlog.join("tpm/tpm2-tools/event-uefi-sha1-log.bin"), "event log of TPM 1.2, sha1", false),
        (eventlog.join("tpm12/ebs_event_missing_eventlog"), "event log of TPM 1.2, sha1", false),
        (eventlog.join("tpm/keylime/mb_log.b64"), "TCG2 event log, sha256", false),
        (eventlog.join("ccel/trustee/CCEL_data"), "TCG2 event log, sha384, of a trust domain", false),
        (eventlog.join("ima/keylime/ima-log-sha256"), "IMA measurement list", false),
        (vectors.join("tpm-quote/qemu-swtpm/ng/ima_binary"), "IMA measurement list, binary", false),
    ];
    for (encoding, kind) in [
        (Encoding::Tlv, "canonical event log, CEL-TLV"),
        (Encoding::Json, "canonical event log, CEL-JSON"),
        (Encoding::JsonSeq, "canonical event log, CEL-JSON sequence"),
        (Encoding::Cbor, "canonical event log, CEL-CBOR"),
    ] {
        let path = folder.path().join(kind);
        fs::write(&path, Cel::encode(encoding, &records).unwrap()).unwrap();
        cases.push((path, kind, true));
    }
    for (path, kind, same) in cases {
        let path = path.to_str().unwrap();
        let shown = sealwright(&["eventlog", "show", "--json", path]);
        assert_eq!((shown.code, shown.json()["log"].as_str()), (0, Some(kind)), "{path} {}", shown.stderr);
        if !path.ends_with(".b64") {
            assert_eq!(sealwright(&["inspect", "--json", path]).json()["kind"], kind, "{path}");
        }
        let replayed = sealwright(&["eventlog", "replay", "--json", path]);
        assert_eq!((replayed.code, replayed.json()["log"].as_str()), (0, Some(kind)), "{path} {}", replayed.stderr);
        let registers = replayed.json()["registers"].as_array().unwrap().clone();
        assert!(!registers.is_empty(), "{path}");
        for register in registers.iter().filter(|register| same && register["algorithm"] == "sha256") {
            assert_eq!(register["value"], expected[register["index"].to_string()], "{path}");
        }
    }
    let table = eventlog.join("ccel/go-eventlog/CCEL.bin");
    let refused = sealwright(&["eventlog", "show", table.to_str().unwrap()]);
    assert!(refused.code == 3 && refused.stderr.contains("tables/data/CCEL"), "{}", refused.stderr);
}

/// What a list of these lines is told as, in JSON and in text.
fn told(lines: &str) -> (Vec<Value>, String) {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), lines).unwrap();
    let path = file.path().to_str().unwrap();
    let shown = sealwright(&["eventlog", "show", "--json", path]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert_eq!(sealwright(&["inspect", "--json", path]).json()["fields"]["list"], shown.json()["list"]);
    (shown.json()["list"].as_array().unwrap().clone(), sealwright(&["eventlog", "show", path]).stdout)
}

/// The words of a line behind the template's name, as fields under these names.
fn assert_fields(line: &str, names: &[&str], told: &Value, text: &str) {
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!((&told["template_digest"], &told["template"]), (&words[1].into(), &words[2].into()));
    assert_eq!(words.len(), 3 + names.len(), "{line}");
    for (name, word) in names.iter().zip(&words[3..]) {
        assert_eq!(told[name], *word, "{name} of {line}");
        assert!(
            text.lines().any(|shown| shown.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim() == *word))
        );
    }
    assert_eq!(told.as_object().unwrap().len(), 4 + names.len(), "{told}");
}

#[test]
fn an_entry_of_the_kernels_list_is_shown_with_every_field_of_its_template() {
    let Some(vectors) = support::vectors() else { return };
    let names: [(&str, &[&str]); 6] = [
        ("ima", &["d", "n"]),
        ("ima-ng", &["d-ng", "n-ng"]),
        ("ima-sig-rsa", &["d-ng", "n-ng", "sig"]),
        ("ima-sig-ec", &["d-ng", "n-ng", "sig"]),
        ("ima-sig-missing", &["d-ng", "n-ng", "sig"]),
        ("ima-buf", &["d-ng", "n-ng", "buf"]),
    ];
    let entries = json(&vectors.join("eventlog/ima/keylime/entries.json"));
    assert_eq!(entries["valid"].as_object().unwrap().len(), names.len());
    for (entry, names) in names {
        let line = entries["valid"][entry]["line"].as_str().unwrap();
        let (list, text) = told(line);
        assert_fields(line, names, &list[0], &text);
    }
    let (zero, file) = ("0".repeat(40), "ab".repeat(32));
    for (fields, names) in [
        (
            format!("ima-modsig sha256:{file} /a 0302 sha256:{file} 3082"),
            &["d-ng", "n-ng", "sig", "d-modsig", "modsig"][..],
        ),
        (format!("ima-sigv2 verity:sha256:{file} /a 0302"), &["d-ngv2", "n-ng", "sig"]),
        (
            format!("evm-sig sha256:{file} /a 05 security.ima 21000000 0404 0 1000 33188"),
            &["d-ng", "n-ng", "evmsig", "xattrnames", "xattrlengths", "xattrvalues", "iuid", "igid", "imode"],
        ),
        (format!("ima-dep-cgn runc:sh /docker/1 sha256:{file} /a"), &["dep", "cgn", "d-ng", "n-ng"]),
        (format!("ima-cgpath runc:sh /docker/1 sha256:{file} /a"), &["dep", "cg-path", "d-ng", "n-ng"]),
    ] {
        let line = format!("10 {zero} {fields}");
        let (list, text) = told(&line);
        assert_fields(&line, names, &list[0], &text);
    }
}

/// A device path as Trustee has it, in the text form of the UEFI specification.
fn device_path(nodes: &Value) -> String {
    let node = |node: &Value| {
        let node = node.as_str().unwrap();
        let (kind, inside) = node.strip_suffix(')').unwrap().split_once('(').unwrap();
        match (kind, inside.split_once(',')) {
            ("ACPI", Some(("PNP0A03", uid))) => format!("PciRoot(0x{uid})"),
            ("Pci", Some((function, device))) => format!("Pci(0x{device},0x{function})"),
            ("VenMedia", Some((guid, ""))) => format!("VenMedia({})", guid.to_lowercase()),
            ("HD", _) => node.replace(inside, &inside.to_lowercase()).replace(",gpt,", ",GPT,"),
            ("File", _) => inside.to_owned(),
            other => panic!("{other:?}"),
        }
    };
    nodes.as_array().unwrap().iter().map(node).collect::<Vec<_>>().join("/")
}

/// A GUID whose bytes Trustee prints as they lie, in the text form of the UEFI specification.
fn guid(bytes: &Value) -> String {
    let bytes = hex::decode(bytes.as_str().unwrap().replace('-', "")).unwrap();
    Guid(bytes.try_into().unwrap()).to_string()
}

/// What a record says, as Trustee tells it and as it is told here.
fn assert_told(ours: &Value, theirs: &Value) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let bytes = |text: &Value| hex::encode(STANDARD.decode(text.as_str().unwrap()).unwrap());
    let (about, data) = (ours["about"].as_str().unwrap(), ours["data"].as_str().unwrap());
    assert_eq!(data, bytes(&theirs["event"]));
    let mut details = theirs["details"].as_object().unwrap().clone();
    if let Some(nodes) = details.remove("device_paths") {
        assert_eq!(about, device_path(&nodes));
    }
    if let Some(name) = details.remove("unicode_name") {
        let (owner, length) =
            (guid(&details.remove("variable_name").unwrap()), &details.remove("variable_data_length").unwrap());
        assert_eq!(about, format!("{} of {owner}, {length} bytes", name.as_str().unwrap()));
        assert_eq!(details.remove("unicode_name_length").unwrap(), name.as_str().unwrap().len());
        let content = bytes(&details.remove("variable_data").unwrap());
        assert!(data.ends_with(&content) && *length == content.len() / 2, "{about}");
    }
    if let Some(text) = details.remove("string") {
        let text = text.as_str().unwrap();
        let same = match text {
            // Data that is no text: a domain's HOB, and a table whose structure is not read here.
            "" | "TdxTable" => about == format!("{} bytes", data.len() / 2),
            // A part of the firmware has a place besides, where it is not td-shim's.
            _ if ours["type"] == "EV_EFI_PLATFORM_FIRMWARE_BLOB2" => about.starts_with(&format!("{text}, ")),
            // The name of the field that holds the command line is not among the words.
            _ => text.strip_prefix("td_payload_info ").unwrap_or(text) == about,
        };
        assert!(same, "{about}, Trustee has {text}");
    }
    assert!(details.is_empty(), "{details:?}");
}

#[test]
fn records_are_told_as_trustee_tells_them() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/ccel/trustee");
    let mut data_alone = 0;
    for name in ["CCEL_data", "CCEL_data_grub", "CCEL_data_ovmf"] {
        let shown = sealwright(&["eventlog", "show", "--json", folder.join(name).to_str().unwrap()]).json();
        let answer = json(&folder.join(format!("{name}_out.json")));
        let (ours, theirs) = (shown["events"].as_array().unwrap(), answer["uefi_event_logs"].as_array().unwrap());
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!((&ours["mr_index"], &ours["type"]), (&theirs["index"], &theirs["type_name"]));
            let digests = theirs["digests"].as_array().unwrap().iter();
            let digests: Vec<_> =
                digests.map(|digest| format!("sha384:{}", digest["digest"].as_str().unwrap())).collect();
            assert_eq!(ours["digests"], serde_json::json!(digests));
            assert_told(ours, theirs);
            // Trustee says no where the digest is over something else than the data whole, which is no lie of the log.
            match (theirs["digest_matches_event"].as_bool().unwrap(), ours["data_is_what_was_measured"].as_bool()) {
                (true, Some(true)) | (false, None) => {}
                (false, Some(true)) => data_alone += 1,
                other => panic!("{other:?} {ours}"),
            }
        }
    }
    assert_eq!(data_alone, 5, "boot variables, whose digest is over their data alone");
}

#[test]
fn a_log_without_the_registers_hash_is_not_held_against_a_quote() {
    let Some(vectors) = support::vectors() else { return };
    let log = vectors.join("eventlog/tpm/google/debian-10.bin");
    let quote = vectors.join("quote/tdx/dcap-qvl-tdx-quote/tdx_quote");
    let run = sealwright(&["eventlog", "replay", log.to_str().unwrap(), "--quote", quote.to_str().unwrap()]);
    assert!(run.code == 3 && run.stderr.contains("no sha384 bank"), "{}{}", run.stdout, run.stderr);
}

#[test]
fn the_kernels_list_is_replayed_behind_the_firmwares_log() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("tpm-quote/qemu-swtpm/ng");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let shown = fs::read_to_string(folder.join("sysfs_pcrs.txt")).unwrap();
    let log = path("binary_bios_measurements");
    for list in ["ima_ascii", "ima_binary"] {
        let run = sealwright(&["eventlog", "replay", "--json", &log, "--ima", &path(list)]);
        assert_eq!((run.code, run.json()["ima_lines"].as_u64()), (0, Some(56)), "{}", run.stderr);
        let registers = run.json()["registers"].as_array().unwrap().clone();
        assert_eq!(registers.len(), 30, "PCR 0 to 7, 9 and 10 in three banks");
        for register in registers {
            let (bank, index) = (register["algorithm"].as_str().unwrap(), &register["index"]);
            let line = shown.lines().find_map(|line| line.strip_prefix(&format!("{bank} {index} "))).unwrap();
            let which = if bank == "sha384" && *index == 10 { "value_if_padded" } else { "value" };
            assert_eq!(register[which].as_str().unwrap().to_uppercase(), line, "{bank} {index}");
        }
    }
    let alone = sealwright(&["eventlog", "replay", "--json", &path("ima_ascii")]);
    let registers = alone.json()["registers"].as_array().unwrap().clone();
    let named: Vec<_> = registers.iter().map(|register| register["register"].as_str().unwrap()).collect();
    assert_eq!(named, ["pcr10"; 4]);
}

#[test]
fn what_userspace_measured_is_joined() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut writer = Writer::new(0, &[AlgorithmId::SHA256]).unwrap();
    writer.event(11, EV_IPL, &[&[1; 32]], b"x").unwrap();
    fs::write(path("log"), writer.as_bytes()).unwrap();
    let record = format!(
        "\u{1e}{{\"pcr\":11,\"digests\":[{{\"hashAlg\":\"sha256\",\"digest\":\"{}\"}}],\"content_type\":\"systemd\",\
         \"content\":{{\"string\":\"ready\",\"eventType\":\"phase\"}}}}\n",
        "ab".repeat(32)
    );
    fs::write(path("measure.log"), record).unwrap();
    let run = sealwright(&["eventlog", "replay", "--json", &path("log"), "--cel", &path("measure.log")]);
    assert_eq!(run.json()["registers"][0]["events"], 2, "{}", run.stdout);
    let wrong = sealwright(&["eventlog", "replay", &path("log"), "--cel", &path("log")]);
    assert!(wrong.code == 3 && wrong.stderr.contains("no canonical event log"), "{}", wrong.stderr);
    let show = sealwright(&["eventlog", "show", "--json", &path("measure.log")]);
    assert_eq!(
        (&show.json()["events"][0]["type"], &show.json()["events"][0]["about"]),
        (&"systemd phase".into(), &"ready".into())
    );
}

#[test]
fn a_canonical_log_is_held_against_a_quote() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("tpm-quote/qemu-swtpm/ng");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let firmware = fs::read(path("binary_bios_measurements")).unwrap();
    let firmware = Log::parse(&firmware).unwrap();
    let records: Vec<_> = (0..).zip(firmware.events()).map(|(at, event)| Record::from_event(at, &event)).collect();
    let verify = |json: bool, records: &[Record<'_>]| {
        let cel = NamedTempFile::new().unwrap();
        fs::write(cel.path(), Cel::encode(Encoding::JsonSeq, records).unwrap()).unwrap();
        let words =
            ["verify", &path("quote.msg"), "--at", "1750414560", "--anchor", &path("ak.pub")].map(str::to_owned);
        let files = ["--signature", &path("quote.sig"), "--pcrs", &path("quote.pcrs"), "--cel"].map(str::to_owned);
        let cel = cel.path().to_str().unwrap().to_owned();
        let json = json.then(|| "--json".to_owned());
        sealwright(&[words.as_slice(), &files, &[cel], json.as_slice()].concat())
    };
    let run = verify(true, &records);
    let log = &run.json()["facts"]["log"];
    assert_eq!((run.code, &log["cel"]["records"]), (0, &Value::from(records.len())), "{}{}", run.stdout, run.stderr);
    assert_eq!(log["unexplained"], serde_json::json!(["pcr10"]));
    let told =
        format!("logs: 0 records of the event log and {} of the canonical log explain pcr0, pcr1", records.len());
    let run = verify(false, &records);
    assert!(run.stdout.contains(&told), "{}", run.stdout);
    let last = records.iter().rposition(Record::extends).unwrap();
    let run = verify(true, &records[..last]);
    assert_eq!((run.code, &run.json()["reason"]["code"]), (1, &"event-log-mismatch".into()), "{}", run.stderr);
    let report = vectors.join("appraise/nitro/aws.bin");
    let run = sealwright(&["verify", report.to_str().unwrap(), "--cel", &path("ima_ascii")]);
    assert!(run.code == 2 && run.stderr.contains("(--cel)"), "{}", run.stderr);
}

#[test]
fn a_tpm_s_quote_is_compared_with_the_replay() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("tpm-quote/qemu-swtpm/ng");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let quoted = ["--quote".to_owned(), path("quote.msg"), "--pcrs".to_owned(), path("quote.pcrs")];
    let replay = |more: &[String]| {
        let words = ["eventlog", "replay", "--json"].map(str::to_owned).to_vec();
        sealwright(&[words, vec![path("binary_bios_measurements")], more.to_vec()].concat())
    };
    let differing = |run: &Run| {
        let differing = run.json()["differing"].as_array().unwrap().clone();
        let text = |register: &Value, member: &str| register[member].as_str().unwrap().to_owned();
        differing.iter().map(|found| (text(found, "register"), text(found, "algorithm"))).collect::<Vec<_>>()
    };
    // Nothing but the kernel's list tells of PCR 10.
    let run = replay(&quoted);
    let pcr10 = ["sha1", "sha256"].map(|bank| ("pcr10".to_owned(), bank.to_owned()));
    assert_eq!((run.code, differing(&run)), (1, pcr10.to_vec()), "{}", run.stderr);
    assert!(run.json()["differing"][0].get("replayed").is_none());
    // Two lines of it are behind the quote.
    let list = fs::read_to_string(path("ima_ascii")).unwrap();
    let covered = NamedTempFile::new().unwrap();
    fs::write(covered.path(), list.lines().take(54).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let ima = |list: &str| [quoted.as_slice(), &["--ima".to_owned(), list.to_owned()]].concat();
    assert_eq!(differing(&replay(&ima(&path("ima_ascii")))), pcr10);
    let run = replay(&ima(covered.path().to_str().unwrap()));
    assert_eq!((run.code, &run.json()["explains_the_quote"]), (0, &Value::Bool(true)), "{}{}", run.stdout, run.stderr);
    // Values that are not the quote's, none, and a quote that has no PCRs.
    let with = |words: &[&str]| replay(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    assert_eq!(with(&["--quote", &path("quote.msg"), "--pcrs", &path("pcrread.txt")]).code, 3);
    assert_eq!(with(&["--quote", &path("quote.msg")]).code, 2);
    let of_td = vectors.join("eventlog/ccel/evidence-api/quote.bin");
    assert_eq!(with(&["--quote", of_td.to_str().unwrap(), "--pcrs", &path("quote.pcrs")]).code, 2);
    // Evidence that carries them is of another machine.
    let azure = vectors.join("vtpm/az-snp-vtpm/evidence-v1.json");
    let run = with(&["--quote", azure.to_str().unwrap()]);
    assert!(run.code == 1 && differing(&run).contains(&("pcr0".to_owned(), "sha256".to_owned())), "{}", run.stderr);
}

#[test]
fn the_boot_is_told_from_what_was_measured() {
    let Some(vectors) = support::vectors() else { return };
    let log = vectors.join("eventlog/tpm/google/ubuntu-2404-amd-sevsnp.bin");
    let run = sealwright(&["eventlog", "show", "--boot", "--json", log.to_str().unwrap()]);
    let told = run.json();
    assert_eq!(
        (told["bank"].as_str(), &told["boot"]["secure_boot"]),
        (Some("sha384"), &Value::Bool(false)),
        "{}",
        run.stderr
    );
    assert_eq!(told["boot"]["kernel"]["path"], "/vmlinuz-6.8.0-1010-gcp");
    assert!(told["boot"]["command_lines"][0].as_str().unwrap().contains("root=PARTUUID="));
    let list = vectors.join("eventlog/ima/keylime/ima-log-sha256");
    assert_eq!(sealwright(&["eventlog", "show", "--boot", list.to_str().unwrap()]).code, 3);
    let yaml = sealwright(&["eventlog", "show", "--format", "yaml", list.to_str().unwrap()]);
    assert!(yaml.code == 3 && yaml.stderr.contains("IMA measurement list"), "{}", yaml.stderr);
    assert_eq!(sealwright(&["eventlog", "show", "--json", "--format", "yaml", log.to_str().unwrap()]).code, 2);
}

#[test]
fn yaml_of_hostile_words_is_yaml_and_steers_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let hostile = "a\u{1b}[2J\u{202e}\u{9b}\u{e0041}\"\\\u{7f}\nb";
    let mut writer = Writer::new(0, &[AlgorithmId::SHA1]).unwrap();
    for event_type in [EV_IPL, EV_EFI_ACTION, EV_POST_CODE] {
        writer.event(4, event_type, &[&[0; 20]], hostile.as_bytes()).unwrap();
    }
    // Structures that are none, a register that no TPM has.
    for event_type in [EV_EFI_GPT_EVENT, EV_EFI_VARIABLE_BOOT, EV_EFI_PLATFORM_FIRMWARE_BLOB2, EV_S_CRTM_CONTENTS] {
        writer.event(30, event_type, &[&[0; 20]], b"\xffshort").unwrap();
    }
    fs::write(&path, writer.as_bytes()).unwrap();
    for version in ["1", "2"] {
        let text = String::from_utf8(yaml(&path, "efivar38", version)).unwrap();
        assert!(text.chars().all(|letter| !letter.is_control() || letter == '\n'), "{text:?}");
        assert!(!text.contains('\u{202e}') && !text.contains('\u{e0041}'), "{text:?}");
        assert!(text.contains("String: \"a\\e[2J\\u202e\\x9b\\U000e0041\\\"\\\\\\x7f\\n\\\n      b\"\n"), "{text}");
        assert_eq!(text.matches("Event: \"ff73686f7274\"").count(), 4, "{text}");
        assert!(text.ends_with("pcrs:\n"), "what cannot be replayed has no registers: {text}");
    }
}

/// A log with a bank of SHA-1 and one of SHA-256, in which PCR 7 was extended twice, the second time in SHA-256 alone.
fn of_a_bank_left_out() -> Vec<u8> {
    let mut writer = Writer::new(0, &[AlgorithmId::SHA1, AlgorithmId::SHA256]).unwrap();
    for pcr in [4, 7] {
        writer.event(pcr, EV_SEPARATOR, &[&[1; 20], &[2; 32]], &[0; 4]).unwrap();
    }
    let mut log = writer.into_bytes();
    log.extend([7, EV_SEPARATOR, 1].iter().flat_map(|number: &u32| number.to_le_bytes()));
    log.extend(AlgorithmId::SHA256.0.to_le_bytes());
    log.extend([3; 32]);
    log.extend([4, 0, 0, 0, 0, 0, 0, 0]);
    log
}

#[test]
fn yaml_names_no_register_that_an_event_does_not_account_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, of_a_bank_left_out()).unwrap();
    let text = String::from_utf8(yaml(&path, "efivar38", "1")).unwrap();
    let (_, registers) = text.split_once("pcrs:\n").unwrap();
    let named: Vec<_> = registers.lines().map(|line| line.split(" : ").next().unwrap().trim()).collect();
    assert_eq!(named, ["sha1:", "4", "sha256:", "4", "7"], "{registers}");
}

#[test]
fn records_of_tpm_1_2_with_a_type_that_nobody_named_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut writer = tcg12::Writer::default();
    writer.event(0, EV_S_CRTM_VERSION, &[1; 20], b"1").unwrap().event(8, 0x1305, &[2; 20], b"2").unwrap();
    fs::write(&path, writer.as_bytes()).unwrap();
    let shown = sealwright(&["eventlog", "show", "--json", path.to_str().unwrap()]);
    assert_eq!((shown.code, shown.json()["log"].as_str()), (0, Some("event log of TPM 1.2, sha1")), "{}", shown.stderr);
    assert_eq!(shown.json()["events"][1]["type"], "0x1305");
    let text = String::from_utf8(yaml(&path, "efivar38", "1")).unwrap();
    assert!(text.contains("  EventType: Unknown event type\n"), "{text}");
    fs::write(&path, [0; 64]).unwrap();
    let none = sealwright(&["eventlog", "show", path.to_str().unwrap()]);
    assert!(none.code == 3 && none.stderr.contains("no records"), "{}", none.stderr);
}

/// The most memory that the program has held when it has printed its first mebibyte, in bytes. It waits there, because nobody reads on.
fn held(args: &[&str]) -> usize {
    let mut child = command().args(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = vec![0; 1 << 20];
    child.stdout.as_mut().unwrap().read_exact(&mut printed).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    most.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn printing_a_log_of_the_smallest_records_costs_at_most_sixteen_times_its_length() {
    let firmware = |times: usize| {
        let spec_id = [b"Spec ID Event03\0", &[0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 0x77, 0x77, 1, 0, 0][..]].concat();
        let header = [&[0, 0, 0, 0, 3, 0, 0, 0][..], &[0; 20], &[33, 0, 0, 0], &spec_id].concat();
        let record = [0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0x77, 0x77, 1, 0, 0, 0, 0];
        [header, record.repeat(times)].concat()
    };
    let list = |times| format!("0 {} n \n", "0".repeat(40)).repeat(times).into_bytes();
    let canonical = |times| [&[0x9f][..], &[0xa3, 1, 0, 3, 0xa0, 4, 0].repeat(times), &[0xff]].concat();
    let folder = tempfile::tempdir().unwrap();
    let (long, short) = (folder.path().join("long"), folder.path().join("short"));
    let (long_log, short_log) = (long.to_str().unwrap(), short.to_str().unwrap());
    let all: [&[&str]; 5] = [
        &["eventlog", "show"],
        &["eventlog", "show", "--json"],
        &["inspect"],
        &["inspect", "--json"],
        &["eventlog", "show", "--format", "yaml"],
    ];
    let logs: [(&dyn Fn(usize) -> Vec<u8>, _); 3] = [(&firmware, 5), (&list, 4), (&canonical, 4)];
    for (log, commands) in logs {
        let bytes = log(200_000);
        fs::write(&long, &bytes).unwrap();
        fs::write(&short, log(16_000)).unwrap();
        for command in &all[..commands] {
            let more = held(&[command, &[long_log][..]].concat()) - held(&[command, &[short_log][..]].concat());
            assert!(more <= 16 * bytes.len(), "{command:?}: {more} bytes for {}", bytes.len());
        }
    }
}
