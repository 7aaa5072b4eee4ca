//! A log in the YAML that `tpm2_eventlog` of tpm2-tools prints, so that what reads its output can read ours.
//!
//! It is equal to the byte for what that tool can read. Where the tool stops in the middle (a register above 23, a variable that is not as
//! its name says), this goes on and prints the data in hex. What a terminal would obey is written as YAML's escapes, or shown.

mod variable;

use crate::args::Tpm2Tools;
use sealwright_appraise::is_plain;
use sealwright_verify::replay::{self, MAX_REGISTERS};
use sealwright_wire::tcg2::{AlgorithmId, Event, Log, SpecId, event_type::*};
use sealwright_wire::uefi::{DevicePath, FileNames, FirmwareBlob, ImageLoad, PartitionTable};
use std::fmt::Display;
use std::io;

/// The order of banks in the tool's list of registers.
const BANKS: [AlgorithmId; 5] =
    [AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SHA512, AlgorithmId::SM3_256];
/// The most bytes that the tool prints in hex of an event without a structure.
const HEX_MAX: usize = 1024;
/// The types that the tool has no name for, though the specification has.
const UNKNOWN_THERE: [u32; 7] = [0x13, 0x8000_0000, 0x8000_000d, 0x8000_00e1, 0x8000_00e2, 0x8000_00e3, 0x8000_00e4];

/// Writes the whole document, an event at a time.
pub(super) fn document(out: &mut dyn io::Write, log: &Log<'_>, build: Tpm2Tools, version: u8) -> io::Result<()> {
    let mut yaml = Yaml { out, written: Ok(()), build, version };
    yaml.line(format_args!("---\nversion: {version}\nevents:"));
    if let Some(spec_id) = log.spec_id() {
        yaml.spec_id(spec_id);
    }
    for event in log.events() {
        yaml.event(log, &event);
    }
    yaml.registers(log);
    yaml.written
}

struct Yaml<'w> {
    out: &'w mut dyn io::Write,
    /// The first error of writing, behind which nothing is written.
    written: io::Result<()>,
    build: Tpm2Tools,
    version: u8,
}

impl Yaml<'_> {
    fn line(&mut self, line: impl Display) {
        self.put(line);
        self.put('\n');
    }

    fn put(&mut self, text: impl Display) {
        if self.written.is_ok() {
            self.written = write!(self.out, "{text}");
        }
    }

    fn spec_id(&mut self, spec_id: &SpecId<'_>) {
        let SpecId { mr_index, platform_class, version: (major, minor), errata, uintn_size, banks, .. } = spec_id;
        self.line(format_args!("- EventNum: 0\n  PCRIndex: {mr_index}\n  EventType: EV_NO_ACTION"));
        self.line(format_args!("  Digest: \"{}\"\n  EventSize: {}", "0".repeat(40), spec_id.stated_size));
        self.line(format_args!("  SpecID:\n  - Signature: Spec ID Event03\n    platformClass: {platform_class}"));
        self.line(format_args!(
            "    specVersionMinor: {minor}\n    specVersionMajor: {major}\n    specErrata: {errata}"
        ));
        self.line(format_args!(
            "    uintnSize: {uintn_size}\n    numberOfAlgorithms: {}\n    Algorithms:",
            banks.len()
        ));
        for (place, bank) in banks.iter().enumerate() {
            let (algorithm, size) = (bank.algorithm(), bank.digest_size());
            self.line(format_args!(
                "    - Algorithm[{place}]:\n      algorithmId: {algorithm}\n      digestSize: {size}"
            ));
        }
        self.line(format_args!("    vendorInfoSize: {}", spec_id.vendor_info.len()));
        if !spec_id.vendor_info.is_empty() {
            self.line(format_args!("    vendorInfo: \"{}\"", hex::encode(spec_id.vendor_info)));
        }
    }

    fn event(&mut self, log: &Log<'_>, event: &Event<'_>) {
        // The tool does not number the records of TPM 1.2.
        if log.spec_id().is_some() {
            self.line(format_args!("- EventNum: {}", event.index));
        }
        let known = name(event.event_type).filter(|_| !UNKNOWN_THERE.contains(&event.event_type));
        let name = known.unwrap_or("Unknown event type");
        self.line(format_args!("  PCRIndex: {}\n  EventType: {name}", event.mr_index));
        self.line(format_args!("  DigestCount: {}\n  Digests:", event.digests.iter().count()));
        for (algorithm, digest) in event.digests {
            self.line(format_args!("  - AlgorithmId: {algorithm}\n    Digest: \"{}\"", hex::encode(digest)));
        }
        self.line(format_args!("  EventSize: {}", event.data.len()));
        if !event.data.is_empty() && !self.data(event) {
            self.hex(event.data);
        }
    }

    /// The data by its structure; whether it has the one of its type.
    fn data(&mut self, event: &Event<'_>) -> bool {
        let data = event.data;
        match event.event_type {
            EV_EFI_VARIABLE_DRIVER_CONFIG
            | EV_EFI_VARIABLE_BOOT
            | EV_EFI_VARIABLE_BOOT2
            | EV_EFI_VARIABLE_AUTHORITY => self.variable(event),
            EV_POST_CODE if data.len() != 16 => self.block(data),
            EV_EFI_ACTION | EV_EFI_HCRTM_EVENT => self.block(data),
            EV_POST_CODE | EV_S_CRTM_CONTENTS | EV_EFI_PLATFORM_FIRMWARE_BLOB => {
                self.blob(data.get(..16).and_then(|data| FirmwareBlob::parse(data).ok()))
            }
            EV_EFI_PLATFORM_FIRMWARE_BLOB2 => self.blob(FirmwareBlob::parse2(data).ok()),
            EV_IPL => {
                self.line("  Event:");
                self.quoted("    ", "String", data);
                true
            }
            EV_EFI_BOOT_SERVICES_APPLICATION | EV_EFI_BOOT_SERVICES_DRIVER | EV_EFI_RUNTIME_SERVICES_DRIVER => {
                self.image(data)
            }
            EV_EFI_GPT_EVENT if self.version == 2 => self.partitions(data),
            EV_NO_ACTION if self.version == 2 => self.startup_locality(event),
            _ => false,
        }
    }

    fn hex(&mut self, data: &[u8]) {
        self.line(format_args!("  Event: \"{}\"", hex::encode(data.get(..HEX_MAX).unwrap_or(data))));
    }

    /// Text as a block; the tool ends it at a NUL, and leaves it as it is.
    fn block(&mut self, data: &[u8]) -> bool {
        let text = data.split(|byte| *byte == 0).next().unwrap_or_default();
        self.line("  Event: |-");
        self.put("    ");
        for character in String::from_utf8_lossy(text).chars() {
            match character {
                '\n' | '\t' => self.put(character),
                _ if is_plain(character) => self.put(character),
                _ => self.put(character.escape_debug()),
            }
        }
        self.put('\n');
        true
    }

    fn blob(&mut self, blob: Option<FirmwareBlob<'_>>) -> bool {
        let Some(FirmwareBlob { description, base, length }) = blob else { return false };
        self.line("  Event:");
        if let Some(description) = description {
            self.line(format_args!("    BlobDescriptionSize: {}", description.len()));
            self.line(format_args!("    BlobDescription: \"{}\"", hex::encode(description)));
        }
        self.line(format_args!("    BlobBase: {base:#x}\n    BlobLength: {length:#x}"));
        true
    }

    fn image(&mut self, data: &[u8]) -> bool {
        let Ok(image) = ImageLoad::parse(data) else { return false };
        let ImageLoad { location, length, link_time_address, device_path_length, rest } = image;
        self.line(format_args!(
            "  Event:\n    ImageLocationInMemory: {location:#x}\n    ImageLengthInMemory: {length}"
        ));
        self.line(format_args!("    ImageLinkTimeAddress: {link_time_address:#x}"));
        self.line(format_args!("    LengthOfDevicePath: {device_path_length}"));
        self.device_path("    ", image.device_path(), rest);
        true
    }

    /// A device path as the build prints it: as text, or `raw` where it cannot be read.
    fn device_path(&mut self, indent: &str, path: DevicePath<'_>, raw: &[u8]) {
        let text = match self.build {
            Tpm2Tools::Efivar38 => path.text(FileNames::Called),
            Tpm2Tools::Efivar39 => path.text(FileNames::Bare),
            Tpm2Tools::Raw => None,
        };
        let text = text.unwrap_or_else(|| hex::encode(raw));
        self.put(format_args!("{indent}DevicePath: '"));
        self.plain(&text);
        self.line("'");
    }

    /// Text of which what a terminal would obey is shown.
    fn plain(&mut self, text: &str) {
        for character in text.chars() {
            if is_plain(character) {
                self.put(character);
            } else {
                self.put(character.escape_debug());
            }
        }
    }

    fn partitions(&mut self, data: &[u8]) -> bool {
        let Ok(table) = PartitionTable::parse(data) else { return false };
        let header = table.header;
        self.line("  Event:\n    Header:");
        self.put("      Signature: \"");
        self.plain(&String::from_utf8_lossy(&header.signature));
        self.line("\"");
        self.line(format_args!("      Revision: {:#x}\n      HeaderSize: {}", header.revision, header.header_size));
        self.line(format_args!("      HeaderCRC32: {:#x}\n      MyLBA: {:#x}", header.header_crc32, header.my_lba));
        self.line(format_args!("      AlternateLBA: {:#x}", header.alternate_lba));
        self.line(format_args!("      FirstUsableLBA: {:#x}", header.first_usable_lba));
        self.line(format_args!("      LastUsableLBA: {:#x}\n      DiskGUID: {}", header.last_usable_lba, table.disk()));
        self.line(format_args!("      PartitionEntryLBA: {:#x}", header.partition_entry_lba));
        self.line(format_args!("      NumberOfPartitionEntry: {}", header.number_of_partition_entries));
        self.line(format_args!("      SizeOfPartitionEntry: {}", header.size_of_partition_entry));
        self.line(format_args!("      PartitionEntryArrayCRC32: {:#x}", header.partition_entry_array_crc32));
        self.line(format_args!("    NumberOfPartitions: {}\n    Partitions:", table.number_of_partitions));
        for partition in table.partitions() {
            self.line(format_args!("    - PartitionTypeGUID: {}", partition.partition_type()));
            self.line(format_args!("      UniquePartitionGUID: {}", partition.unique()));
            self.line(format_args!("      StartingLBA: {:#x}", partition.starting_lba));
            self.line(format_args!(
                "      EndingLBA: {:#x}\n      Attributes: {:#x}",
                partition.ending_lba, partition.attributes
            ));
            self.put("      PartitionName: \"");
            self.plain(&partition.name());
            self.line("\"");
        }
        true
    }

    fn startup_locality(&mut self, event: &Event<'_>) -> bool {
        let Some(locality) = event.startup_locality() else { return false };
        self.line(format_args!("  Event:\n    StartupLocality: {locality}"));
        true
    }

    /// Text between double quotes with YAML's escapes, a line for each of its own.
    fn quoted(&mut self, indent: &str, field: &str, data: &[u8]) {
        self.put(format_args!("{indent}{field}: \""));
        for (place, line) in data.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if place > 0 {
                self.put(format_args!("\\\n{indent}  "));
            }
            let mut leading = true;
            for character in String::from_utf8_lossy(line).chars() {
                self.escaped(character, leading);
                leading &= character == ' ' || character == '\t';
            }
        }
        self.line("\"");
    }

    fn escaped(&mut self, character: char, leading: bool) {
        match character {
            '\0' => self.put("\\0"),
            '\x07' => self.put("\\a"),
            '\x08' => self.put("\\b"),
            '\t' if leading => self.put("\\t"),
            '\t' => self.put('\t'),
            '\x0b' => self.put("\\v"),
            '\x0c' => self.put("\\f"),
            '\n' => self.put("\\n"),
            '\r' => self.put("\\r"),
            '\x1b' => self.put("\\e"),
            '\\' => self.put("\\\\"),
            '"' => self.put("\\\""),
            ' ' if leading => self.put("\\x20"),
            _ if is_plain(character) => self.put(character),
            _ => match u32::from(character) {
                code @ ..=0xff => self.put(format_args!("\\x{code:02x}")),
                code @ 0x100..=0xffff => self.put(format_args!("\\u{code:04x}")),
                code => self.put(format_args!("\\U{code:08x}")),
            },
        }
    }

    /// The registers that the log leads to. The tool counts a register as used by an event of TCG2 that extends nothing.
    fn registers(&mut self, log: &Log<'_>) {
        self.line("pcrs:");
        let Ok(replayed) = replay::replay_parsed(log) else { return };
        let counts = |event: &Event<'_>| log.spec_id().is_some() || event.event_type != EV_NO_ACTION;
        let locality = log.events().find_map(|event| event.startup_locality()).unwrap_or(0);
        let extended: Vec<_> =
            log.events().filter(|event| event.event_type != EV_NO_ACTION).map(|event| event.mr_index).collect();
        for bank in BANKS.into_iter().filter(|bank| log.banks().iter().any(|of_log| of_log.algorithm() == *bank)) {
            let mut used = [false; MAX_REGISTERS as usize];
            for event in log.events().filter(|event| counts(event) && event.digests.get(bank).is_some()) {
                if let Some(used) = usize::try_from(event.mr_index).ok().and_then(|index| used.get_mut(index)) {
                    *used = true;
                }
            }
            let untouched = |pcr| {
                let mut zero = vec![0; bank.digest_size().unwrap_or_default()];
                if let (0, Some(last)) = (pcr, zero.last_mut()) {
                    *last = locality;
                }
                zero
            };
            // Where an event leaves the bank out, nobody knows what its register holds.
            let value = |pcr| match replayed.register(pcr, bank) {
                Some(register) => Some(register.value().to_vec()),
                None => (!extended.contains(&pcr)).then(|| untouched(pcr)),
            };
            let used = (0u32..).zip(used).filter(|(_, used)| *used);
            let values: Vec<_> = used.filter_map(|(pcr, _)| Some((pcr, value(pcr)?))).collect();
            if !values.is_empty() {
                self.line(format_args!("  {bank}:"));
            }
            for (pcr, value) in values {
                self.line(format_args!("    {pcr:<2} : 0x{}", hex::encode(value)));
            }
        }
    }
}
