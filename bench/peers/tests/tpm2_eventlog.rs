//! The program `tpm2_eventlog` of tpm2-tools, unmodified, against `sealwright eventlog show --format yaml`: the same
//! real, damaged and simulated logs, and what either makes of them, to the byte. Skipped where the program is not
//! installed (Debian: `tpm2-tools`). Ours prints what tpm2-tools 5.8 prints; what older releases print otherwise has a
//! name here and is asserted, and so is every difference that is meant. Debian 12 has 5.4.

mod programs;
#[path = "../../../crates/wire/tests/support/mod.rs"]
mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use programs::{folder, installed};
use sealwright_sim::tpm as sim;
use sealwright_sim::{files, fixed_clock};
use sealwright_wire::tcg2::{AlgorithmId, Event, Log, Writer, event_type::*};
use sealwright_wire::tcg12;
use sealwright_wire::time::UnixTime;
use sealwright_wire::tpm::tools;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What earlier releases of the tool print otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Former {
    /// Before 5.6: a string is a block of lines, each in quotation marks, without the last line feed.
    Blocks,
    /// Before 5.6: EV_NO_ACTION extends its register, and PCR 0 starts at zero whatever the log says.
    NoActionExtends,
    /// Before 5.6: EV_EFI_HCRTM_EVENT has no name.
    NamelessHcrtm,
    /// Before 5.8: the description of a firmware volume lacks its last byte.
    CutDescription,
}

/// What becomes of a log in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Both print it, and alike.
    Alike,
    /// Neither prints it.
    Neither,
    /// We print it, the tool refuses it or falls over it.
    OursAlone,
    /// The tool prints it, we refuse it.
    TheirsAlone,
    /// Both print it, and not alike.
    OtherWords,
}

/// The tool that is installed.
#[derive(Clone, Copy, Debug)]
struct Tool {
    release: (u32, u32),
    /// How it was built: `--tpm2-tools` of our command.
    build: &'static str,
}

impl Tool {
    fn find(folder: &Path) -> Option<Self> {
        if !installed(&["tpm2_eventlog"]) {
            return None;
        }
        let output = Command::new("tpm2_eventlog").arg("--version").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let version = text.split("version=\"").nth(1).unwrap_or_else(|| panic!("no version in {text:?}"));
        let mut numbers = version.split(|letter: char| !letter.is_ascii_digit());
        let mut number = || numbers.next().and_then(|digits| digits.parse().ok());
        let release = (number().expect("a major version"), number().expect("a minor version"));
        let log = of_one_image();
        let printed = Self { release, build: "" }.prints(folder, &log, "1").expect("a log that every release reads");
        let build = ["raw", "efivar38", "efivar39"].into_iter().find(|build| {
            let ours = ours(folder, &log, "1", build).expect("a log");
            ours.lines().filter(|line| line.contains("DevicePath: ")).all(|line| printed.contains(line))
        });
        let build = build.unwrap_or_else(|| panic!("none of the builds that we know prints {printed}"));
        Some(Self { release, build })
    }

    fn is_before(self, major: u32, minor: u32) -> bool {
        self.release < (major, minor)
    }

    /// What the tool prints of a log that it reads to its end.
    fn prints(self, folder: &Path, log: &[u8], version: &str) -> Option<String> {
        fs::write(folder.join("log"), log).unwrap();
        let arguments = ["--eventlog-version", version, "log"];
        let output = Command::new("tpm2_eventlog").current_dir(folder).args(arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What of our text this release prints otherwise, and the text that it should then print.
    fn expected(self, folder: &Path, log: &[u8], version: &str, ours: &str) -> (Vec<Former>, String) {
        let all = [
            (Former::Blocks, self.is_before(5, 6)),
            (Former::NoActionExtends, self.is_before(5, 6)),
            (Former::NamelessHcrtm, self.is_before(5, 6)),
            (Former::CutDescription, self.is_before(5, 8)),
        ];
        let (mut differences, mut text) = (Vec::new(), ours.to_owned());
        for (former, _) in all.into_iter().filter(|(_, is_so)| *is_so) {
            let changed = match former {
                Former::Blocks => with_blocks(&text),
                Former::NoActionExtends => {
                    let registers = self::ours(folder, &everything_extends(log), version, self.build).unwrap();
                    [events(&text), registers_of(&registers)].concat()
                }
                Former::NamelessHcrtm => text
                    .replace("EventType: EV_EFI_HCRTM_EVENT\n", "EventType: Unknown event type\n")
                    .replace("  Event: |-\n    HCRTM\n", "  Event: \"484352544d\"\n"),
                Former::CutDescription => with_cut_descriptions(&text),
            };
            if changed != text {
                differences.push(former);
                text = changed;
            }
        }
        (differences, text)
    }

    fn fate(self, folder: &Path, log: &[u8], version: &str) -> Fate {
        match (ours(folder, log, version, self.build), self.prints(folder, log, version)) {
            (Some(ours), Some(theirs)) if self.expected(folder, log, version, &ours).1 == theirs => Fate::Alike,
            (Some(_), Some(_)) => Fate::OtherWords,
            (Some(_), None) => Fate::OursAlone,
            (None, Some(_)) => Fate::TheirsAlone,
            (None, None) => Fate::Neither,
        }
    }
}

/// Our program, built as the README builds it.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let arguments = ["build", "--release", "--locked", "--message-format", "json-render-diagnostics"];
        let output = Command::new(env!("CARGO")).current_dir(workspace).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let executable = |line| serde_json::from_slice::<serde_json::Value>(line).unwrap()["executable"].clone();
        let built = messages.filter_map(|line| executable(line).as_str().map(PathBuf::from)).next_back();
        built.expect("a program")
    })
}

/// What our program prints of a log.
fn ours(folder: &Path, log: &[u8], version: &str, build: &str) -> Option<String> {
    fs::write(folder.join("log"), log).unwrap();
    let arguments =
        ["eventlog", "show", "--format", "yaml", "--tpm2-tools", build, "--eventlog-version", version, "log"];
    let output = Command::new(program()).current_dir(folder).args(arguments).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The text up to its registers.
fn events(text: &str) -> &str {
    text.strip_suffix(registers_of(text)).unwrap()
}

/// The registers at the end of the text.
fn registers_of(text: &str) -> &str {
    let at = text.rfind("\npcrs:\n").unwrap_or_else(|| panic!("no registers in {text}"));
    &text[at + 1..]
}

/// The log as it would be if no event were of a type that extends nothing, or says what PCR 0 starts with.
fn everything_extends(log: &[u8]) -> Vec<u8> {
    let mut changed = log.to_vec();
    for event in Log::parse(log).unwrap().events() {
        if matches!(event.event_type, EV_NO_ACTION | EV_EFI_HCRTM_EVENT) {
            changed[event.offset + 4..event.offset + 8].copy_from_slice(&EV_ACTION.to_le_bytes());
        }
    }
    changed
}

/// Strings in YAML's escapes as blocks of quoted lines.
fn with_blocks(text: &str) -> String {
    let mut lines = text.lines();
    let mut blocks = String::new();
    while let Some(line) = lines.next() {
        let Some((indent, string)) = line.split_once("String: \"").filter(|(indent, _)| indent.trim().is_empty())
        else {
            blocks += &format!("{line}\n");
            continue;
        };
        blocks += &format!("{indent}String: |-\n");
        // A line that goes on ends with an escaped line feed, and with a backslash that takes YAML's own away.
        let mut part = string;
        while let Some(line) = part.strip_suffix("\\n\\") {
            blocks += &format!("{indent}  \"{}\"\n", in_a_block(line));
            part = lines.next().unwrap().trim_start();
        }
        let last = part.strip_suffix('"').unwrap();
        blocks += &format!("{indent}  \"{}\"\n", in_a_block(last.strip_suffix("\\n").unwrap_or(last)));
    }
    blocks
}

/// A line of a string, escaped as a block has it.
fn in_a_block(line: &str) -> String {
    line.replace("\\x20", " ").replace("\\\"", "\"").replace('\t', "\\t").replace('\'', "\\'")
}

/// Descriptions of firmware volumes without their last byte.
fn with_cut_descriptions(text: &str) -> String {
    let cut = |line: &str| match line.trim_start().strip_prefix("BlobDescription: \"") {
        Some(_) => format!("{}\"\n", &line[..line.len() - 3]),
        None => format!("{line}\n"),
    };
    text.lines().map(cut).collect()
}

fn read(vectors: &Path, file: &str) -> Vec<u8> {
    let bytes = fs::read(vectors.join(file)).unwrap();
    if file.ends_with(".b64") {
        let letters: Vec<_> = bytes.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        return STANDARD.decode(letters).unwrap();
    }
    if file.ends_with(".json") {
        let dump: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        return STANDARD.decode(dump["Log"]["Raw"].as_str().unwrap()).unwrap();
    }
    bytes
}

/// A log with one event whose data has a device path.
fn of_one_image() -> Vec<u8> {
    let name: Vec<u8> = "\\a.efi\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = u16::try_from(4 + name.len()).unwrap().to_le_bytes();
    let path = [&[4, 4], &length[..], &name, &[0x7f, 0xff, 4, 0]].concat();
    let numbers = [0, 1, 0, u64::try_from(path.len()).unwrap()].map(u64::to_le_bytes).concat();
    let mut writer = Writer::new(0, &[AlgorithmId::SHA256]).unwrap();
    writer.event(4, EV_EFI_BOOT_SERVICES_APPLICATION, &[&[1; 32]], &[numbers, path].concat()).unwrap();
    writer.into_bytes()
}

/// The real logs that the tool reads, with what releases before ours print otherwise.
const REAL: [(&str, &[Former]); 27] = [
    ("eventlog/tpm/google/arch-linux-workstation.bin", &[Former::Blocks]),
    ("eventlog/tpm/google/cos-101-amd-sev.bin", &[Former::Blocks]),
    ("eventlog/tpm/google/cos-85-amd-sev.bin", &[Former::Blocks]),
    ("eventlog/tpm/google/debian-10.bin", &[]),
    ("eventlog/tpm/google/eventlogwithsp800155.bin", &[Former::Blocks, Former::NoActionExtends]),
    ("eventlog/tpm/google/ubuntu-1804-amd-sev.bin", &[Former::Blocks]),
    ("eventlog/tpm/google/ubuntu-2104-no-dbx.bin", &[Former::Blocks]),
    ("eventlog/tpm/google/ubuntu-2104-no-secure-boot.bin", &[Former::Blocks]),
    ("eventlog/tpm/google/ubuntu-2404-amd-sevsnp.bin", &[Former::Blocks]),
    ("eventlog/tpm/keylime/mb_log.b64", &[Former::Blocks]),
    ("eventlog/tpm/legacy/coreos_36_shielded_vm_no_secure_boot_eventlog", &[Former::Blocks]),
    ("eventlog/tpm/legacy/crypto_agile_eventlog", &[]),
    ("eventlog/tpm/legacy/sb_cert_eventlog", &[]),
    ("eventlog/tpm/tpm2-tools/event-arch-linux.bin", &[Former::Blocks]),
    ("eventlog/tpm/tpm2-tools/event-bootorder.bin", &[Former::Blocks]),
    ("eventlog/tpm/tpm2-tools/event-moklisttrusted.bin", &[Former::Blocks]),
    ("eventlog/tpm/tpm2-tools/event-uefi-sha1-log.bin", &[]),
    ("eventlog/tpm/tpm2-tools/event-uefiaction.bin", &[]),
    ("eventlog/tpm/tpm2-tools/event-uefivar.bin", &[]),
    ("eventlog/tpm/tpm2-tools/event.bin", &[]),
    ("eventlog/tpm/tpm2-tools/specid-vendordata.bin", &[]),
    ("eventlog/tpm12/ebs_event_missing_eventlog", &[]),
    ("eventlog/tpm12/linux_tpm12.json", &[]),
    ("eventlog/tpm12/windows_gcp_shielded_vm.json", &[]),
    ("predict/boot-uki/binary_bios_measurements", &[Former::Blocks]),
    ("tpm-quote/qemu-swtpm/ima/binary_bios_measurements", &[]),
    ("tpm-quote/qemu-swtpm/ng/binary_bios_measurements", &[]),
];

/// Asserts that both print a log alike, but for these differences of releases before ours.
fn assert_alike(tool: Tool, folder: &Path, name: &str, log: &[u8], of_5_4: &[Former]) {
    for version in ["1", "2"] {
        let ours = ours(folder, log, version, tool.build).unwrap_or_else(|| panic!("{name} is read by us"));
        let theirs = tool.prints(folder, log, version).unwrap_or_else(|| panic!("{name} is read by the tool"));
        let (differences, expected) = tool.expected(folder, log, version, &ours);
        let first = expected.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
        assert_eq!(first, None, "{name}, version {version}");
        assert!(expected == theirs, "{name}, version {version}: {} bytes, theirs {}", expected.len(), theirs.len());
        if tool.release == (5, 4) {
            assert_eq!(differences, of_5_4, "{name}, version {version}");
        }
        let registers_differ = differences.contains(&Former::NoActionExtends);
        assert_eq!(registers_of(&ours) != registers_of(&theirs), registers_differ, "{name}, version {version}");
    }
}

#[test]
fn real_logs_are_printed_alike_with_every_event_and_register() {
    let folder = folder("real-logs");
    let (Some(vectors), Some(tool)) = (support::vectors(), Tool::find(&folder)) else { return };
    for (file, of_5_4) in REAL {
        assert_alike(tool, &folder, file, &read(&vectors, file), of_5_4);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn where_the_registers_differ_ours_are_those_that_were_published() {
    let folder = folder("published");
    let (Some(vectors), Some(tool)) = (support::vectors(), Tool::find(&folder)) else { return };
    let log = read(&vectors, "eventlog/tpm/google/eventlogwithsp800155.bin");
    let published = fs::read(vectors.join("eventlog/tpm/google/expected.json")).unwrap();
    let published: serde_json::Value = serde_json::from_slice(&published).unwrap();
    let value = published["eventlogwithsp800155.bin"]["pcrs"]["sha256"]["0"].as_str().unwrap();
    let holds = |text: &str| {
        let values = tools::read_yaml(registers_of(text)).unwrap();
        values.get(AlgorithmId::SHA256, 0).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(holds(&ours(&folder, &log, "1", tool.build).unwrap()), value);
    let theirs = tool.prints(&folder, &log, "1").unwrap();
    assert_eq!(holds(&theirs) == value, !tool.is_before(5, 6), "{:?}", tool.release);
    fs::remove_dir_all(folder).unwrap();
}

/// A trust domain's log as a TPM's would be: its header names register 0, and it ends with its last record.
fn as_of_a_tpm(log: &[u8]) -> Vec<u8> {
    let mut used = Log::parse(log).unwrap().used().to_vec();
    used[..4].fill(0);
    used
}

#[test]
fn logs_of_trust_domains_are_read_by_us_alone_and_alike_once_they_pass_for_a_tpm_s() {
    let folder = folder("domains");
    let (Some(vectors), Some(tool)) = (support::vectors(), Tool::find(&folder)) else { return };
    let logs: [(&str, &[Former]); 6] = [
        ("evidence-api/ccel_data.bin", &[Former::Blocks, Former::CutDescription]),
        ("trustee/CCEL_data", &[Former::CutDescription]),
        ("trustee/CCEL_data_grub", &[Former::Blocks, Former::CutDescription]),
        ("trustee/CCEL_data_ovmf", &[Former::CutDescription]),
        ("unverified/CCEL_unpadded.data.bin", &[Former::CutDescription]),
        ("unverified/event_log.bin", &[Former::CutDescription]),
    ];
    for (file, of_5_4) in logs {
        let log = read(&vectors, &format!("eventlog/ccel/{file}"));
        assert_eq!(tool.fate(&folder, &log, "1"), Fate::OursAlone, "{file}");
        assert_alike(tool, &folder, file, &as_of_a_tpm(&log), of_5_4);
    }
    // The ACPI table that says where the log is, over which releases before 5.8 fall.
    assert_eq!(tool.fate(&folder, &read(&vectors, "eventlog/ccel/go-eventlog/CCEL.bin"), "1"), Fate::Neither);
    fs::remove_dir_all(folder).unwrap();
}

/// Where the parts of a record are.
struct Places {
    record: usize,
    count: usize,
    digests: Vec<usize>,
    size: usize,
    data: usize,
}

fn places(event: &Event<'_>) -> Places {
    let (record, count) = (event.offset, event.offset + 8);
    let (mut digests, mut size) = (Vec::new(), count + 4);
    for (_, digest) in event.digests {
        digests.push(size);
        size += 2 + digest.len();
    }
    Places { record, count, digests, size, data: size + 4 }
}

/// The log with other bytes at a place.
fn with(log: &[u8], place: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = log.to_vec();
    changed[place..place + bytes.len()].copy_from_slice(bytes);
    changed
}

#[test]
fn a_damaged_log_has_the_fate_that_is_written_here() {
    let folder = folder("damaged");
    let (Some(vectors), Some(tool)) = (support::vectors(), Tool::find(&folder)) else { return };
    let log = read(&vectors, "tpm-quote/qemu-swtpm/ng/binary_bios_measurements");
    let parsed = Log::parse(&log).unwrap();
    let event = parsed.events().nth(3).unwrap();
    assert_eq!((event.event_type, event.digests.iter().count()), (EV_EFI_VARIABLE_DRIVER_CONFIG, 3));
    let at = places(&event);
    let header_banks = 32 + 28;
    let with_number = |place, number: u32| with(&log, place, &number.to_le_bytes());
    let followed_by = |bytes: &[u8]| [&log, bytes].concat();

    let cases = [
        ("as it is", log.clone(), Fate::Alike),
        // Cut: only between two records does nothing but the registers tell.
        ("cut between two records", log[..at.record].to_vec(), Fate::Alike),
        ("cut in a record's head", log[..at.record + 6].to_vec(), Fate::Neither),
        ("cut in a digest", log[..at.digests[1] + 5].to_vec(), Fate::Neither),
        ("cut in an event", log[..at.data + 5].to_vec(), Fate::Neither),
        ("cut in the header", log[..40].to_vec(), Fate::Neither),
        ("nothing", Vec::new(), Fate::Neither),
        // Changed bytes that leave the structure as it was: neither claims to know better than the registers.
        ("another byte of an event", with(&log, at.data + 3, &[0x77]), Fate::Alike),
        ("another byte of a digest", with(&log, at.digests[1] + 5, &[0x77]), Fate::Alike),
        // Numbers that lie.
        ("a digest more than there are", with_number(at.count, 4), Fate::Neither),
        ("a digest less than there are", with_number(at.count, 2), Fate::Neither),
        ("no digest", with_number(at.count, 0), Fate::Neither),
        ("four billion digests", with_number(at.count, u32::MAX), Fate::Neither),
        ("an event of four billion bytes", with_number(at.size, u32::MAX), Fate::Neither),
        ("an algorithm that nobody knows", with(&log, at.digests[0], &[0x99, 0]), Fate::Neither),
        // The header.
        ("the header has a digest", with(&log, 8, &[1]), Fate::Neither),
        ("the header names no bank", with_number(header_banks - 4, 0), Fate::Neither),
        ("the header names register 7", with(&log, 0, &[7]), Fate::OursAlone),
        ("the header is of another specification", with(&log, 32, b"X"), Fate::TheirsAlone),
        ("the header lies about the size of SHA-1", with(&log, header_banks + 2, &[21, 0]), Fate::TheirsAlone),
        ("the header names an unknown bank for SHA-1", with(&log, header_banks, &[0x99, 0]), Fate::TheirsAlone),
        // Registers.
        ("an event extends register 24", with_number(at.record, 24), Fate::OtherWords),
        ("an event extends register 40", with_number(at.record, 40), Fate::OursAlone),
        // Behind the last record.
        ("padding of ones", followed_by(&[0xff; 100]), Fate::OursAlone),
        ("padding of zeros", followed_by(&[0; 100]), Fate::OursAlone),
        ("padding of zeros, of a length that makes records of 16", followed_by(&[0; 96]), Fate::OtherWords),
        ("three bytes more", followed_by(&[1, 2, 3]), Fate::Neither),
    ];
    for (name, log, fate) in cases {
        assert_eq!(tool.fate(&folder, &log, "1"), fate, "{name}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// A log of two banks with these events, and a separator in PCR 0 behind them.
fn written(events: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(0, &[AlgorithmId::SHA1, AlgorithmId::SHA256]).unwrap();
    for (pcr, event_type, data) in events.iter().chain(&[(0, EV_SEPARATOR, &[0; 4][..])]) {
        let digest = if *event_type == EV_NO_ACTION { 0 } else { 0x22 };
        writer.event(*pcr, *event_type, &[&[digest; 20], &[digest; 32]], data).unwrap();
    }
    writer.into_bytes()
}

/// A log of two banks, whose events extend PCR 0 with these digests.
fn with_digests(events: &[&[(AlgorithmId, usize)]]) -> Vec<u8> {
    let mut log = Writer::new(0, &[AlgorithmId::SHA256, AlgorithmId::SHA384]).unwrap().into_bytes();
    for digests in events {
        log.extend([0, EV_SEPARATOR, u32::try_from(digests.len()).unwrap()].map(u32::to_le_bytes).as_flattened());
        for (algorithm, size) in *digests {
            log.extend(algorithm.0.to_le_bytes());
            log.resize(log.len() + size, 0x33);
        }
        log.extend([4, 0, 0, 0, 0, 0, 0, 0]);
    }
    log
}

/// A variable, whose lengths need not be those of its name and its data.
fn variable(name: &str, name_length: u64, data_length: u64, data: &[u8]) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [&[0x5a; 16][..], &name_length.to_le_bytes(), &data_length.to_le_bytes(), &name, data].concat()
}

/// A log of TPM 1.2 with these records, the first of which is not EV_NO_ACTION if `begun`.
fn of_tpm_1_2(begun: bool, records: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut writer = tcg12::Writer::default();
    for (pcr, event_type, data) in [(0, EV_S_CRTM_VERSION, &b"1"[..])].iter().filter(|_| begun).chain(records) {
        let digest = if *event_type == EV_NO_ACTION { 0 } else { 0x22 };
        writer.event(*pcr, *event_type, &[digest; 20], data).unwrap();
    }
    writer.into_bytes()
}

#[test]
fn what_no_real_log_here_has_gets_the_fate_that_is_written_here() {
    let folder = folder("written");
    let Some(tool) = Tool::find(&folder) else { return };
    let locality = b"StartupLocality\0\x03";
    let spec_id =
        tcg12::SpecId { efi: true, platform_class: 0, version: (1, 2), errata: 2, uintn_size: 2, vendor_info: b"" };
    let spec_id = spec_id.encode().unwrap();
    let (short, endless) = (variable("db", 2, 50, b"abc"), variable("db", 2, 1 << 63, b"abc"));
    let db = variable("vendor_db", 9, 20, &[b'x'; 20]);
    let before = |major, minor, fate| if tool.is_before(major, minor) { fate } else { Fate::Alike };
    let (sha256, sha384, sha512) = (AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SHA512);
    let both = [(sha256, 32), (sha384, 48)];
    let volume = [&b"\x06volume"[..], &[0; 16]].concat();

    let cases = [
        // Where PCR 0 starts.
        ("a locality before PCR 0's first event", written(&[(0, EV_NO_ACTION, locality)]), Fate::Alike),
        (
            "a locality behind PCR 0's first event",
            written(&[(0, EV_SEPARATOR, &[0; 4]), (0, EV_NO_ACTION, locality)]),
            if tool.is_before(5, 6) { Fate::Alike } else { Fate::OtherWords },
        ),
        ("H-CRTM", written(&[(0, EV_EFI_HCRTM_EVENT, b"HCRTM")]), Fate::Alike),
        // Events that extend nothing.
        ("a reference behind the header", written(&[(0, EV_NO_ACTION, b"SP800-155 Event\0 and more")]), Fate::Alike),
        ("one that names no register", written(&[(u32::MAX, EV_NO_ACTION, &[1; 40])]), Fate::OursAlone),
        // Digests.
        ("a bank that no event has", with_digests(&[&[(sha256, 32)]]), Fate::Alike),
        ("a bank that one event has", with_digests(&[&both, &[(sha256, 32)]]), Fate::OtherWords),
        ("a bank that the header does not name", with_digests(&[&[(sha256, 32), (sha512, 64)]]), Fate::TheirsAlone),
        ("two digests of one bank", with_digests(&[&[(sha384, 48), (sha384, 48)]]), Fate::TheirsAlone),
        // Variables.
        ("a variable shorter than it says", written(&[(7, EV_EFI_VARIABLE_DRIVER_CONFIG, &short)]), Fate::OursAlone),
        ("a boot variable shorter than it says", written(&[(1, EV_EFI_VARIABLE_BOOT2, &short)]), Fate::OtherWords),
        ("a boot variable without an end", written(&[(1, EV_EFI_VARIABLE_BOOT2, &endless)]), Fate::OursAlone),
        ("vendor_db", written(&[(7, EV_EFI_VARIABLE_AUTHORITY, &db)]), before(5, 8, Fate::OtherWords)),
        // Other structures that are none.
        ("a volume", written(&[(0, EV_EFI_PLATFORM_FIRMWARE_BLOB2, &volume)]), Fate::Alike),
        ("a volume cut short", written(&[(0, EV_EFI_PLATFORM_FIRMWARE_BLOB2, &volume[..9])]), Fate::OtherWords),
        ("a blob of three bytes", written(&[(0, EV_EFI_PLATFORM_FIRMWARE_BLOB, b"abc")]), Fate::OursAlone),
        ("an image of three bytes", written(&[(4, EV_EFI_BOOT_SERVICES_APPLICATION, b"abc")]), Fate::OursAlone),
        ("partitions of three bytes", written(&[(5, EV_EFI_GPT_EVENT, b"abc")]), Fate::OursAlone),
        // Words.
        ("a control character", written(&[(8, EV_IPL, b"a\x01b")]), Fate::OtherWords),
        ("quotation marks and lines", written(&[(8, EV_IPL, b"'a' \"b\"\n\tc\td\\ \n")]), Fate::Alike),
        // Types.
        ("a type that nobody knows", written(&[(1, 0x1305, b"abcd")]), Fate::Alike),
        // TPM 1.2.
        ("TPM 1.2, a type that nobody knows", of_tpm_1_2(true, &[(8, 0x1305, b"abcd")]), Fate::Alike),
        ("TPM 1.2, EV_NO_ACTION", of_tpm_1_2(true, &[(0, EV_NO_ACTION, b"abcd")]), Fate::Alike),
        ("TPM 1.2, Spec ID first", of_tpm_1_2(false, &[(0, EV_NO_ACTION, &spec_id)]), Fate::OursAlone),
        ("TPM 1.2, register 24", of_tpm_1_2(true, &[(24, EV_SEPARATOR, &[0; 4])]), Fate::OtherWords),
    ];
    for (name, log, fate) in cases {
        assert_eq!(tool.fate(&folder, &log, "2"), fate, "{name}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_simulator_s_log_is_replayed_to_its_registers_and_printed_alike() {
    let folder = folder("simulated-log");
    let Some(tool) = Tool::find(&folder) else { return };
    let clock = fixed_clock(UnixTime::parse_rfc3339("2026-06-15T12:00:00Z").unwrap());
    let site = sim::Site::found(sim::KeyKind::P256, clock).unwrap();
    let machine = site.machine(sim::MachineConfig::new(files::generate("peers"))).unwrap();
    let log = machine.event_log();
    let replayed = tools::read_yaml(&tool.prints(&folder, log, "1").unwrap()).unwrap();
    let held = machine.pcrs().unwrap();
    for bank in [AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384] {
        for pcr in [0, 1, 2, 3, 4, 5, 6, 7, 9] {
            assert!(
                replayed.get(bank, pcr).is_some() && replayed.get(bank, pcr) == held.get(bank, pcr),
                "{bank}:{pcr}"
            );
        }
    }
    assert_eq!(tool.fate(&folder, log, "1"), Fate::Alike);
    fs::remove_dir_all(folder).unwrap();
}
