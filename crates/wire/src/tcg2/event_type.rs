//! Event types of the TCG PC Client Platform Firmware Profile, table "Event Types".

/// Power-on self test code, as a text or a firmware volume's base and length.
pub const EV_POST_CODE: u32 = 0x1;
/// Says something and extends nothing: the header record, `StartupLocality`, SP 800-155 references.
pub const EV_NO_ACTION: u32 = 0x3;
/// The border between firmware and what it starts: four bytes, zero unless an error is reported.
pub const EV_SEPARATOR: u32 = 0x4;
/// A string that names an action.
pub const EV_ACTION: u32 = 0x5;
/// A tag, a length and data: the Linux stub's and the runtime's events.
pub const EV_EVENT_TAG: u32 = 0x6;
/// Contents of the core root of trust.
pub const EV_S_CRTM_CONTENTS: u32 = 0x7;
/// Version of the core root of trust.
pub const EV_S_CRTM_VERSION: u32 = 0x8;
/// Flags of the platform's configuration, and OVMF's fw_cfg files.
pub const EV_PLATFORM_CONFIG_FLAGS: u32 = 0xa;
/// What the boot loader measures.
pub const EV_IPL: u32 = 0xd;
/// A UEFI variable that configures Secure Boot.
pub const EV_EFI_VARIABLE_DRIVER_CONFIG: u32 = 0x8000_0001;
/// A UEFI boot variable.
pub const EV_EFI_VARIABLE_BOOT: u32 = 0x8000_0002;
/// An application that the firmware loaded, as its PE digest.
pub const EV_EFI_BOOT_SERVICES_APPLICATION: u32 = 0x8000_0003;
/// A driver that the firmware loaded from an adapter, as its PE digest.
pub const EV_EFI_BOOT_SERVICES_DRIVER: u32 = 0x8000_0004;
/// A driver that stays after the boot, as its PE digest.
pub const EV_EFI_RUNTIME_SERVICES_DRIVER: u32 = 0x8000_0005;
/// The partition table.
pub const EV_EFI_GPT_EVENT: u32 = 0x8000_0006;
/// A string that names an action of the firmware.
pub const EV_EFI_ACTION: u32 = 0x8000_0007;
/// A firmware volume: base and length.
pub const EV_EFI_PLATFORM_FIRMWARE_BLOB: u32 = 0x8000_0008;
/// A firmware volume: description, base and length.
pub const EV_EFI_PLATFORM_FIRMWARE_BLOB2: u32 = 0x8000_000a;
/// Tables handed to the operating system: description and a list of them.
pub const EV_EFI_HANDOFF_TABLES2: u32 = 0x8000_000b;
/// A UEFI boot variable, digest over the whole structure.
pub const EV_EFI_VARIABLE_BOOT2: u32 = 0x8000_000c;
/// The partition table with the GUIDs of disk and partitions left out.
pub const EV_EFI_GPT_EVENT2: u32 = 0x8000_000d;
/// The hardware root of trust measured before the firmware; PCR 0 then starts at 4.
pub const EV_EFI_HCRTM_EVENT: u32 = 0x8000_0010;
/// The certificate or hash that allowed an image.
pub const EV_EFI_VARIABLE_AUTHORITY: u32 = 0x8000_00e0;

const NAMES: [(u32, &str); 40] = [
    (0x0, "EV_PREBOOT_CERT"),
    (EV_POST_CODE, "EV_POST_CODE"),
    (0x2, "EV_UNUSED"),
    (EV_NO_ACTION, "EV_NO_ACTION"),
    (EV_SEPARATOR, "EV_SEPARATOR"),
    (EV_ACTION, "EV_ACTION"),
    (EV_EVENT_TAG, "EV_EVENT_TAG"),
    (EV_S_CRTM_CONTENTS, "EV_S_CRTM_CONTENTS"),
    (EV_S_CRTM_VERSION, "EV_S_CRTM_VERSION"),
    (0x9, "EV_CPU_MICROCODE"),
    (EV_PLATFORM_CONFIG_FLAGS, "EV_PLATFORM_CONFIG_FLAGS"),
    (0xb, "EV_TABLE_OF_DEVICES"),
    (0xc, "EV_COMPACT_HASH"),
    (EV_IPL, "EV_IPL"),
    (0xe, "EV_IPL_PARTITION_DATA"),
    (0xf, "EV_NONHOST_CODE"),
    (0x10, "EV_NONHOST_CONFIG"),
    (0x11, "EV_NONHOST_INFO"),
    (0x12, "EV_OMIT_BOOT_DEVICE_EVENTS"),
    (0x13, "EV_POST_CODE2"),
    (0x8000_0000, "EV_EFI_EVENT_BASE"),
    (EV_EFI_VARIABLE_DRIVER_CONFIG, "EV_EFI_VARIABLE_DRIVER_CONFIG"),
    (EV_EFI_VARIABLE_BOOT, "EV_EFI_VARIABLE_BOOT"),
    (EV_EFI_BOOT_SERVICES_APPLICATION, "EV_EFI_BOOT_SERVICES_APPLICATION"),
    (EV_EFI_BOOT_SERVICES_DRIVER, "EV_EFI_BOOT_SERVICES_DRIVER"),
    (EV_EFI_RUNTIME_SERVICES_DRIVER, "EV_EFI_RUNTIME_SERVICES_DRIVER"),
    (EV_EFI_GPT_EVENT, "EV_EFI_GPT_EVENT"),
    (EV_EFI_ACTION, "EV_EFI_ACTION"),
    (EV_EFI_PLATFORM_FIRMWARE_BLOB, "EV_EFI_PLATFORM_FIRMWARE_BLOB"),
    (0x8000_0009, "EV_EFI_HANDOFF_TABLES"),
    (EV_EFI_PLATFORM_FIRMWARE_BLOB2, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"),
    (EV_EFI_HANDOFF_TABLES2, "EV_EFI_HANDOFF_TABLES2"),
    (EV_EFI_VARIABLE_BOOT2, "EV_EFI_VARIABLE_BOOT2"),
    (EV_EFI_GPT_EVENT2, "EV_EFI_GPT_EVENT2"),
    (EV_EFI_HCRTM_EVENT, "EV_EFI_HCRTM_EVENT"),
    (EV_EFI_VARIABLE_AUTHORITY, "EV_EFI_VARIABLE_AUTHORITY"),
    (0x8000_00e1, "EV_EFI_SPDM_FIRMWARE_BLOB"),
    (0x8000_00e2, "EV_EFI_SPDM_FIRMWARE_CONFIG"),
    (0x8000_00e3, "EV_EFI_SPDM_DEVICE_POLICY"),
    (0x8000_00e4, "EV_EFI_SPDM_DEVICE_AUTHORITY"),
];

/// The event type with this name.
pub fn from_name(name: &str) -> Option<u32> {
    NAMES.iter().find(|(_, known)| *known == name).map(|(event_type, _)| *event_type)
}

/// The name that the specification gives to an event type, or `None`.
pub fn name(event_type: u32) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == event_type).map(|(_, name)| *name)
}
