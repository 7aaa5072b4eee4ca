//! Boots a machine from its files: what is measured, in which order, into which register, and what the log says about it.
//!
//! The order is that of the machine profile `sealwright-sim-1`: QEMU's direct boot of a kernel through OVMF and the Linux EFI
//! stub, with the kernel measured as the file is. MRTD is measured page by page, each page added and then extended.

use crate::{
    Error,
    files::BootFiles,
    firmware::{self, Section, kind},
    hob,
    measured::{Measured, Registers},
    mrtd, pe,
};
use sealwright_wire::{
    Digest,
    tcg2::{Guid, TaggedEvent, UefiVariable, event_type as ev},
};

/// The name of the profile that these machines boot by: firmware and virtual machine monitor.
pub const PROFILE: &str = "sealwright-sim-1";
/// The area of a CCEL, in bytes: the boot's records and 0xFF behind them.
pub const CCEL_AREA: usize = 65_536;
/// The most RAM that a machine may have, in bytes.
const MAX_RAM: u64 = 1 << 46;
/// The longest command line that is accepted, in bytes.
const MAX_COMMAND_LINE: usize = 64 << 10;
/// What OVMF adds to the command line when the machine has an initrd.
const INITRD_OPTION: &str = " initrd=initrd";
/// Where the kernel image lies in memory when the firmware measures it; stands in the log, measured nowhere.
const LOAD_ADDRESS: u64 = 0x100_0000;

/// A machine at the moment when its kernel takes over.
pub(crate) struct Booted {
    pub(crate) mrtd: Digest<48>,
    pub(crate) measured: Measured,
}

/// Boots `files` on a machine with `ram` bytes.
pub(crate) fn boot(files: &BootFiles, ram: u64) -> Result<Booted, Error> {
    check_ram(ram)?;
    check_command_line(&files.command_line)?;
    let sections = firmware::sections(&files.firmware).map_err(Error::file("firmware"))?;
    let mut measured = Measured::reset()?;
    firmware_start(&mut measured, &sections, ram)?;
    acpi_files(&mut measured, files)?;
    kernel_image(&mut measured, &files.kernel)?;
    boot_option(&mut measured)?;
    separators(&mut measured, [1, 4])?;
    kernel_stub(&mut measured, files)?;
    if measured.log().len() > CCEL_AREA {
        return Err(Error::LogFull { limit: CCEL_AREA, wanted: measured.log().len() });
    }
    Ok(Booted { mrtd: mrtd::mrtd(&sections), measured })
}

fn check_ram(ram: u64) -> Result<(), Error> {
    if ram.is_multiple_of(firmware::PAGE as u64) && ram <= MAX_RAM {
        return Ok(());
    }
    Err(Error::Config { field: "RAM size", expected: "a multiple of 4096, at most 64 TiB", found: ram.to_string() })
}

pub(crate) fn check_command_line(command_line: &str) -> Result<(), Error> {
    if command_line.len() <= MAX_COMMAND_LINE && !command_line.contains('\0') {
        return Ok(());
    }
    let found = format!("{} bytes", command_line.len());
    Err(Error::Config { field: "command line", expected: "at most 64 KiB of text without NUL", found })
}

/// What the firmware measures before it looks for something to boot: all into RTMR0.
fn firmware_start(measured: &mut Measured, sections: &[Section<'_>], ram: u64) -> Result<(), Error> {
    let hob = firmware::only(sections, kind::TD_HOB, "TD_HOB").map_err(Error::file("firmware"))?;
    let cfv = firmware::only(sections, kind::CFV, "CFV").map_err(Error::file("firmware"))?;
    let hob_bytes = hob::hand_off_blocks(sections, hob.gpa, ram)?;
    measured.measure(1, ev::EV_EFI_HANDOFF_TABLES2, &[&hob_bytes], &hand_off_tables(hob.gpa))?;
    measured.measure(1, ev::EV_EFI_PLATFORM_FIRMWARE_BLOB2, &[cfv.data], &firmware_blob(&cfv))?;
    secure_boot(measured)
}

/// The configuration of Secure Boot, which is off and has no keys.
pub(crate) fn secure_boot(measured: &mut impl Registers) -> Result<(), Error> {
    let variables = [
        (Guid::GLOBAL_VARIABLE, "SecureBoot"),
        (Guid::GLOBAL_VARIABLE, "PK"),
        (Guid::GLOBAL_VARIABLE, "KEK"),
        (Guid::IMAGE_SECURITY_DATABASE, "db"),
        (Guid::IMAGE_SECURITY_DATABASE, "dbx"),
    ];
    for (owner, name) in variables {
        measured.measure_data(7, ev::EV_EFI_VARIABLE_DRIVER_CONFIG, &UefiVariable::encode(owner, name, &[]))?;
    }
    separators(measured, [7])
}

/// UEFI_HANDOFF_TABLE_POINTERS2 with one table, the hand-off blocks.
fn hand_off_tables(gpa: u64) -> Vec<u8> {
    /// As OVMF's logs have it.
    const TD_HOB_GUID: [u8; 16] =
        [0xaf, 0x96, 0xbb, 0x93, 0xf2, 0xb9, 0xb8, 0x4e, 0x94, 0x62, 0xe0, 0xba, 0x74, 0x56, 0x42, 0x36];
    let mut data = b"\x09TdxTable\0".to_vec();
    data.extend_from_slice(&1u64.to_le_bytes());
    data.extend_from_slice(&TD_HOB_GUID);
    data.extend_from_slice(&gpa.to_le_bytes());
    data
}

/// UEFI_PLATFORM_FIRMWARE_BLOB2 of a firmware volume, named by the file system of its header.
pub(crate) fn firmware_blob(volume: &Section<'_>) -> Vec<u8> {
    let file_system = volume.data.get(16..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
    let name = Guid(file_system).to_string().to_uppercase();
    let mut data = format!("\x29Fv({name})\0").into_bytes();
    data.extend_from_slice(&volume.gpa.to_le_bytes());
    data.extend_from_slice(&(volume.data.len() as u64).to_le_bytes());
    data
}

pub(crate) fn acpi_files(measured: &mut impl Registers, files: &BootFiles) -> Result<(), Error> {
    for file in files.acpi.iter().flatten() {
        measured.measure(1, ev::EV_PLATFORM_CONFIG_FLAGS, &[file], b"ACPI DATA")?;
    }
    Ok(())
}

pub(crate) fn kernel_image(measured: &mut impl Registers, kernel: &[u8]) -> Result<(), Error> {
    let content = pe::hashed(kernel).map_err(Error::file("kernel"))?;
    // UEFI_IMAGE_LOAD_EVENT: address, length, link-time address, length of the device path, device path (its end node).
    let mut data = Vec::new();
    for word in [LOAD_ADDRESS, kernel.len() as u64, 0, 4] {
        data.extend_from_slice(&word.to_le_bytes());
    }
    data.extend_from_slice(&[0x7f, 0xff, 4, 0]);
    measured.measure(4, ev::EV_EFI_BOOT_SERVICES_APPLICATION, &content, &data)
}

/// The boot options, and the decision for one.
pub(crate) fn boot_option(measured: &mut impl Registers) -> Result<(), Error> {
    let variables: [(&str, &[u8]); 2] = [("BootOrder", &[0, 0]), ("Boot0000", &boot0000())];
    for (name, value) in variables {
        let data = UefiVariable::encode(Guid::GLOBAL_VARIABLE, name, value);
        // edk2 measures the value of a boot variable alone.
        measured.measure(1, ev::EV_EFI_VARIABLE_BOOT, &[value], &data)?;
    }
    measured.measure_data(4, ev::EV_EFI_ACTION, b"Calling EFI Application from Boot Option")
}

/// The end of the firmware's own measurements in these registers.
pub(crate) fn separators(measured: &mut impl Registers, pcrs: impl IntoIterator<Item = u32>) -> Result<(), Error> {
    pcrs.into_iter().try_for_each(|pcr| measured.measure_data(pcr, ev::EV_SEPARATOR, &[0; 4]))
}

/// EFI_LOAD_OPTION: active, no device path, its description.
fn boot0000() -> Vec<u8> {
    [&[1, 0, 0, 0, 0, 0], utf16("Sealwright").as_slice()].concat()
}

/// What the Linux EFI stub measures, its options and its initrd, and its leave of the firmware.
pub(crate) fn kernel_stub(measured: &mut impl Registers, files: &BootFiles) -> Result<(), Error> {
    let initrd_option = if files.initrd.is_some() { INITRD_OPTION } else { "" };
    let options = utf16(&format!("{}{initrd_option}", files.command_line));
    tagged(measured, TaggedEvent::LINUX_LOAD_OPTIONS, b"LOADED_IMAGE::LoadOptions\0", &options)?;
    if let Some(initrd) = &files.initrd {
        tagged(measured, TaggedEvent::LINUX_INITRD, b"Linux initrd\0", initrd)?;
    }
    for action in ["Exit Boot Services Invocation", "Exit Boot Services Returned with Success"] {
        measured.measure_data(5, ev::EV_EFI_ACTION, action.as_bytes())?;
    }
    Ok(())
}

fn tagged(measured: &mut impl Registers, tag: u32, description: &[u8], content: &[u8]) -> Result<(), Error> {
    let data = TaggedEvent::encode(tag, description).map_err(Error::Event)?;
    measured.measure(9, ev::EV_EVENT_TAG, &[content], &data)
}

/// UTF-16LE with a terminator.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}
