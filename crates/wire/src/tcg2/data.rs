//! What events carry: the structures of the data field that verifiers and predictors read and write.

use super::{Event, content, event_type};
use crate::{Error, Reader};
use std::fmt;

/// The signature of the event that says at which locality the TPM was started (PC Client Profile, `EFI_STARTUP_LOCALITY`).
const STARTUP_LOCALITY: &[u8; 16] = b"StartupLocality\0";
/// A GUID in its binary form: first three fields little-endian. Text form: 8-4-4-4-12 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// `EFI_GLOBAL_VARIABLE`, the owner of `SecureBoot`, `PK`, `KEK`, `BootOrder` and `Boot####`.
    pub const GLOBAL_VARIABLE: Self =
        Self([0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c]);
    /// `EFI_IMAGE_SECURITY_DATABASE_GUID`, the owner of `db` and `dbx`.
    pub const IMAGE_SECURITY_DATABASE: Self =
        Self([0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f]);
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, node @ ..] = self.0;
        let (a, b) = (u32::from_le_bytes([a0, a1, a2, a3]), u16::from_le_bytes([b0, b1]));
        write!(f, "{a:08x}-{b:04x}-{:04x}-{d0:02x}{d1:02x}-", u16::from_le_bytes([c0, c1]))?;
        node.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `UEFI_VARIABLE_DATA`: GUID, u64 name length in characters, u64 data length, UTF-16LE name, data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UefiVariable<'a> {
    /// The variable's owner.
    pub owner: Guid,
    /// The name in UTF-16LE, without a terminator.
    pub name: &'a [u8],
    /// The variable's data.
    pub data: &'a [u8],
}

impl<'a> UefiVariable<'a> {
    /// Reads the structure; nothing may follow it.
    ///
    /// # Errors
    /// When a length is not that of the field it announces.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let owner = Guid(*reader.array("UEFI_VARIABLE_DATA.VariableName")?);
        let at = reader.offset();
        let characters = reader.u64("UEFI_VARIABLE_DATA.UnicodeNameLength")?;
        let name_bytes = characters.checked_mul(2).and_then(|bytes| usize::try_from(bytes).ok());
        let name_bytes = name_bytes.ok_or_else(|| {
            Error::unexpected("UEFI_VARIABLE_DATA.UnicodeNameLength", at, "a length that fits in memory", characters)
        })?;
        let at = reader.offset();
        let data_len = reader.u64("UEFI_VARIABLE_DATA.VariableDataLength")?;
        let data_len = usize::try_from(data_len).map_err(|_| {
            Error::unexpected("UEFI_VARIABLE_DATA.VariableDataLength", at, "a length that fits in memory", data_len)
        })?;
        let name = reader.bytes("UEFI_VARIABLE_DATA.UnicodeName", name_bytes)?;
        let data = reader.bytes("UEFI_VARIABLE_DATA.VariableData", data_len)?;
        reader.finish("UEFI_VARIABLE_DATA")?;
        Ok(Self { owner, name, data })
    }

    /// The name as text; characters that are no text become U+FFFD.
    pub fn name_text(&self) -> String {
        let units = self.name.chunks_exact(2).filter_map(|unit| unit.try_into().ok().map(u16::from_le_bytes));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }

    /// Writes the structure for a variable called `name`.
    pub fn encode(owner: Guid, name: &str, data: &[u8]) -> Vec<u8> {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut bytes = owner.0.to_vec();
        bytes.extend_from_slice(&((name.len() / 2) as u64).to_le_bytes());
        bytes.extend_from_slice(&(data.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&name);
        bytes.extend_from_slice(data);
        bytes
    }
}

/// `TCG_PCClientTaggedEvent`: u32 tag, u32 length, data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaggedEvent<'a> {
    /// Who wrote the event.
    pub tag: u32,
    /// What it says.
    pub data: &'a [u8],
}

impl<'a> TaggedEvent<'a> {
    /// The Linux stub's event for an initrd: the digest is over the file, the data is its description.
    pub const LINUX_INITRD: u32 = 0x8f3b_22ec;
    /// The Linux stub's event for the load options: the digest is over the UTF-16LE command line with its terminator.
    pub const LINUX_LOAD_OPTIONS: u32 = 0x8f3b_22ed;

    /// Reads one tagged event; nothing may follow it.
    ///
    /// # Errors
    /// When the length is not that of the data.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(input);
        let tag = reader.u32("taggedEventID")?;
        let len = reader.len32("taggedEventDataSize")?;
        let data = reader.bytes("taggedEventData", len)?;
        reader.finish("TCG_PCClientTaggedEvent")?;
        Ok(Self { tag, data })
    }

    /// Writes one tagged event.
    ///
    /// # Errors
    /// When the data is longer than 32 bits can say.
    pub fn encode(tag: u32, data: &[u8]) -> Result<Vec<u8>, Error> {
        let len = super::len32("taggedEventDataSize", data.len())?;
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(data);
        Ok(bytes)
    }
}

/// Which bytes an event's digest is over, as far as the record itself holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digested<'a> {
    /// The digest is over these bytes.
    Bytes(&'a [u8]),
    /// Firmware differs: the digest is over the first or over the second.
    Either(&'a [u8], &'a [u8]),
    /// The digest is over something that is not in the log (an image, a file, a firmware volume).
    Elsewhere,
}

impl<'a> Event<'a> {
    /// The locality at which the TPM was started, if this is the event that says so. PCR 0 then starts at this value.
    pub fn startup_locality(&self) -> Option<u8> {
        if self.event_type != event_type::EV_NO_ACTION || self.mr_index != 0 {
            return None;
        }
        match self.data.strip_prefix(STARTUP_LOCALITY) {
            Some([locality]) => Some(*locality),
            _ => None,
        }
    }

    /// Which bytes of this record its digests are over. Only from these may a verifier believe what the data says.
    pub fn digested(&self) -> Digested<'a> {
        digested(self.event_type, self.data)
    }
}

/// Which bytes of an event's data its digests are over, by the event's type.
pub fn digested(event_type: u32, data: &[u8]) -> Digested<'_> {
    use event_type::*;
    match event_type {
        EV_SEPARATOR | EV_ACTION | EV_EFI_ACTION | EV_S_CRTM_VERSION => Digested::Bytes(data),
        EV_EFI_VARIABLE_DRIVER_CONFIG | EV_EFI_VARIABLE_AUTHORITY | EV_EFI_VARIABLE_BOOT2 | EV_EFI_GPT_EVENT => {
            Digested::Bytes(data)
        }
        // The profile says "the whole structure"; edk2 hashes the variable's data alone.
        EV_EFI_VARIABLE_BOOT => match UefiVariable::parse(data) {
            Ok(variable) => Digested::Either(variable.data, data),
            Err(_) => Digested::Bytes(data),
        },
        EV_EVENT_TAG => match TaggedEvent::parse(data) {
            Ok(TaggedEvent { tag: crate::aael::TAG, .. }) => Digested::Bytes(data),
            _ => Digested::Elsewhere,
        },
        EV_IPL => content::grub(data).map_or(Digested::Elsewhere, |(_, with, without)| Digested::Either(without, with)),
        _ => Digested::Elsewhere,
    }
}
