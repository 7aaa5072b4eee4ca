//! What an event says, by its type and the habits of those who write it.

use super::{Event, TaggedEvent, UefiVariable, event_type};
use crate::aael::RuntimeEvent;
use crate::uefi::{FirmwareBlob, ImageLoad, PartitionTable, utf16_text};

/// GRUB measures the text behind these words; the words themselves and the final NUL are only in the log. The forms without a colon are
/// those of Red Hat's GRUB before the upstream ones.
const GRUB_PREFIXES: [(&[u8], Grub); 5] = [
    (b"grub_cmd: ", Grub::Command),
    (b"kernel_cmdline: ", Grub::KernelCommandLine),
    (b"module_cmdline: ", Grub::ModuleCommandLine),
    (b"grub_cmd ", Grub::Command),
    (b"grub_kernel_cmdline ", Grub::KernelCommandLine),
];
/// What shim writes beside the lists that it measures (`mok.c` of shim; the digest is over the list, which the log does not hold).
const SHIM_LISTS: [&[u8]; 4] = [b"MokList", b"MokListX", b"MokSBState", b"MokListTrusted"];
/// The file by whose name td-shim and OVMF hand over a command line, and how long the name's field is.
const TD_PAYLOAD_INFO: &[u8; 16] = b"td_payload_info\0";

/// What GRUB measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grub {
    /// A command of its script.
    Command,
    /// The kernel's path and command line.
    KernelCommandLine,
    /// A module's path and command line.
    ModuleCommandLine,
}

/// What an event says. The words are in the log beside the digest; whether they were measured is [`Event::digested`]'s answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content<'a> {
    /// A UEFI variable: the state of Secure Boot, its keys, the boot order, an authority that allowed an image.
    Variable(UefiVariable<'a>),
    /// An image that the firmware loaded; the digest is that of the PE file.
    Image(ImageLoad<'a>),
    /// The partition table of the disk that was booted from.
    PartitionTable(PartitionTable<'a>),
    /// A part of the firmware.
    FirmwareBlob(FirmwareBlob<'a>),
    /// The border between firmware and what it starts: zero (or the profile's alternatives) unless an error is reported.
    Separator(u32),
    /// A string that names an action.
    Action(&'a str),
    /// The locality at which the TPM was started.
    StartupLocality(u8),
    /// A command or a command line of GRUB, without its terminator.
    Grub(Grub, &'a [u8]),
    /// A file that the boot loader read, by its path; the digest is over the file.
    File(&'a str),
    /// A list of shim's, by its name; the digest is over the list.
    ShimList(&'a str),
    /// A section of a unified kernel image, by its name: systemd-stub measures the name with its terminator, then the section.
    Section(String),
    /// Text in UTF-16: the command line that systemd's boot loader or stub hands over, or the name of what it measured.
    Utf16(String),
    /// Linux's stub: an initrd; the digest is over the file.
    Initrd,
    /// Linux's stub: the load options; the digest is over the command line in UTF-16 with its terminator, which the log does not hold.
    LoadOptions,
    /// The command line of a payload that td-shim starts.
    Payload(&'a [u8]),
    /// A runtime event.
    Runtime(RuntimeEvent),
    /// A tag of someone else and its data.
    Tagged(TaggedEvent<'a>),
    /// Text.
    Text(&'a str),
    /// Anything else, also what its type's structure does not fit.
    Opaque,
}

impl<'a> Event<'a> {
    /// What the event says. Data that does not fit the structure of its type is [`Content::Opaque`], never an error: its digest still
    /// extended the register.
    pub fn content(&self) -> Content<'a> {
        use event_type::*;
        match self.event_type {
            EV_NO_ACTION => self.startup_locality().map_or(Content::Opaque, Content::StartupLocality),
            EV_SEPARATOR => <[u8; 4]>::try_from(self.data)
                .map_or(Content::Opaque, |bytes| Content::Separator(u32::from_le_bytes(bytes))),
            EV_ACTION | EV_EFI_ACTION => text(self.data).map_or(Content::Opaque, Content::Action),
            EV_EFI_VARIABLE_DRIVER_CONFIG
            | EV_EFI_VARIABLE_BOOT
            | EV_EFI_VARIABLE_BOOT2
            | EV_EFI_VARIABLE_AUTHORITY => UefiVariable::parse(self.data).map_or(Content::Opaque, Content::Variable),
            EV_EFI_BOOT_SERVICES_APPLICATION | EV_EFI_BOOT_SERVICES_DRIVER | EV_EFI_RUNTIME_SERVICES_DRIVER => {
                ImageLoad::parse(self.data).map_or(Content::Opaque, Content::Image)
            }
            EV_EFI_GPT_EVENT | EV_EFI_GPT_EVENT2 => {
                PartitionTable::parse(self.data).map_or(Content::Opaque, Content::PartitionTable)
            }
            EV_EFI_PLATFORM_FIRMWARE_BLOB | EV_S_CRTM_CONTENTS | EV_POST_CODE => {
                FirmwareBlob::parse(self.data).map_or_else(|_| self.words(), Content::FirmwareBlob)
            }
            EV_EFI_PLATFORM_FIRMWARE_BLOB2 => {
                FirmwareBlob::parse2(self.data).map_or(Content::Opaque, Content::FirmwareBlob)
            }
            EV_EVENT_TAG => self.tagged(),
            EV_IPL => self.loader(),
            EV_PLATFORM_CONFIG_FLAGS => payload(self.data).map_or_else(|| self.words(), Content::Payload),
            _ => self.words(),
        }
    }

    fn tagged(&self) -> Content<'a> {
        if let Some(Ok(event)) = RuntimeEvent::from_record(self) {
            return Content::Runtime(event);
        }
        match TaggedEvent::parse(self.data) {
            Ok(TaggedEvent { tag: TaggedEvent::LINUX_INITRD, .. }) => Content::Initrd,
            Ok(TaggedEvent { tag: TaggedEvent::LINUX_LOAD_OPTIONS, .. }) => Content::LoadOptions,
            Ok(tagged) => Content::Tagged(tagged),
            // Some versions of the stub write the words alone.
            Err(_) if self.data == b"LOADED_IMAGE::LoadOptions\0" => Content::LoadOptions,
            Err(_) if self.data == b"Linux initrd\0" => Content::Initrd,
            Err(_) => self.words(),
        }
    }

    fn loader(&self) -> Content<'a> {
        if let Some((kind, _, text)) = grub(self.data) {
            return Content::Grub(kind, text);
        }
        if let Some(text) = utf16(self.data) {
            return if text.starts_with('.') { Content::Section(text) } else { Content::Utf16(text) };
        }
        match text(self.data) {
            Some(name) if SHIM_LISTS.contains(&name.as_bytes()) => Content::ShimList(name),
            Some(path) if path.starts_with('/') || path.starts_with('(') => Content::File(path),
            Some(text) => Content::Text(text),
            None => Content::Opaque,
        }
    }

    fn words(&self) -> Content<'a> {
        text(self.data).map_or(Content::Opaque, Content::Text)
    }
}

/// What GRUB measured of an event's data: the text with and without its terminator.
pub(super) fn grub(data: &[u8]) -> Option<(Grub, &[u8], &[u8])> {
    let found = GRUB_PREFIXES.iter().find_map(|(prefix, kind)| Some((*kind, data.strip_prefix(*prefix)?)));
    found.map(|(kind, text)| (kind, text, text.strip_suffix(b"\0").unwrap_or(text)))
}

/// The data as text of one or more lines, without its terminator.
fn text(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data.strip_suffix(b"\0").unwrap_or(data)).ok()?;
    let printable = |c: char| !c.is_control() || c.is_ascii_whitespace();
    (!text.is_empty() && text.chars().all(printable)).then_some(text)
}

/// Text in UTF-16LE; told from text in ASCII by the zero in every character's second byte. Logs of systemd-boot have been seen that lack the last
/// byte of its terminator.
fn utf16(data: &[u8]) -> Option<String> {
    let data = if data.len().is_multiple_of(2) { data } else { data.strip_suffix(b"\0")? };
    let units = data.chunks_exact(2);
    if data.len() < 4 || !units.remainder().is_empty() {
        return None;
    }
    let latin = units.clone().filter(|unit| matches!(unit, [low, 0] if *low != 0)).count();
    if latin.saturating_mul(2) < units.len() {
        return None;
    }
    let text = utf16_text(data);
    let whole = text.encode_utf16().count().saturating_add(1) >= units.len();
    (whole && !text.is_empty() && !text.chars().any(|c| c.is_control() && c != '\n')).then_some(text)
}

/// The command line in the event of td-shim: name, u32 length, text.
fn payload(data: &[u8]) -> Option<&[u8]> {
    let (len, text) = data.strip_prefix(TD_PAYLOAD_INFO)?.split_first_chunk::<4>()?;
    let text = text.get(..usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    text.split(|byte| *byte == 0).next()
}
