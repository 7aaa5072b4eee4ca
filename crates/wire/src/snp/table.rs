//! The certificates that a host hands out beside a report (56421, section "SNP Extended Guest Request"; configfs-tsm's `auxblob`).
//!
//! ```text
//! entries  GUID (16 bytes in the order in which it is written), u32 offset, u32 length; offsets count from the first entry
//! end      24 zero bytes
//! data     what the entries point to
//! ```
//!
//! The host writes it: nothing in it is to be believed before it is verified.

use super::zero;
use crate::{Error, Kind, Reader};

const FIELD: &str = "certificate table";
/// The most entries that are read; hosts write up to five.
pub const MAX_ENTRIES: usize = 64;
const ENTRY_LEN: usize = 24;

/// What the entries of a table are (56421, table "GUIDs for Certificates").
pub mod guid {
    /// The VCEK's certificate, 63da758d-e664-4564-adc5-f4b93be8accd.
    pub const VCEK: [u8; 16] =
        [0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd];
    /// The VLEK's certificate, a8074bc2-a25a-483e-aae6-39c045a0b8a1.
    pub const VLEK: [u8; 16] =
        [0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e, 0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1];
    /// The ASK's or ASVK's certificate, 4ab7b379-bbac-4fe4-a02f-05aef327c782.
    pub const ASK: [u8; 16] =
        [0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82];
    /// The ARK's certificate, c0b406a4-a803-4952-9743-3fb6014cd0ae.
    pub const ARK: [u8; 16] =
        [0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae];
    /// The revocation list, 92f81bc3-5811-4d3d-97ff-d19f88dc67ea.
    pub const CRL: [u8; 16] =
        [0x92, 0xf8, 0x1b, 0xc3, 0x58, 0x11, 0x4d, 0x3d, 0x97, 0xff, 0xd1, 0x9f, 0x88, 0xdc, 0x67, 0xea];
}

/// One entry of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What it is, see [`guid`]; hosts may add kinds of their own.
    pub guid: [u8; 16],
    /// The certificate, mostly in DER.
    pub data: &'a [u8],
}

/// A table, borrowed from its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateTable<'a> {
    /// The entries in their order.
    pub entries: Vec<Entry<'a>>,
}

impl<'a> CertificateTable<'a> {
    /// Reads a table. No bytes at all are an empty one, which is what a host without certificates hands out.
    ///
    /// # Errors
    /// When it has no end or more than [`MAX_ENTRIES`], when a GUID comes twice, or when an entry points into the entries or behind the
    /// input.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        let mut pointers: Vec<(usize, [u8; 16], usize, usize)> = Vec::new();
        let mut reader = Reader::new(input);
        while !input.is_empty() {
            let at = reader.offset();
            let guid = *reader.array::<16>("GUID")?;
            let offset = reader.len32("certificate offset")?;
            let length = reader.len32("certificate length")?;
            if guid == [0; 16] {
                zero(FIELD, at, input.get(at..reader.offset()).unwrap_or_default())?;
                break;
            }
            if pointers.len() == MAX_ENTRIES {
                return Err(Error::too_long(FIELD, at, MAX_ENTRIES, MAX_ENTRIES.saturating_add(1)));
            }
            if pointers.iter().any(|(_, other, ..)| *other == guid) {
                return Err(Error::unexpected("GUID", at, "each GUID once", hex::encode(guid)));
            }
            pointers.push((at, guid, offset, length));
        }
        let header = reader.offset();
        let entry = |(at, guid, offset, length)| Ok(Entry { guid, data: slice(input, header, at, offset, length)? });
        pointers.into_iter().map(entry).collect::<Result<_, _>>().map(|entries| Self { entries })
    }

    /// The entry of this kind.
    pub fn get(&self, guid: &[u8; 16]) -> Option<&'a [u8]> {
        self.entries.iter().find(|entry| entry.guid == *guid).map(|entry| entry.data)
    }

    /// Writes the table: entries, end, data in the order of the entries; nothing for an empty table.
    ///
    /// # Errors
    /// When there are more than [`MAX_ENTRIES`] or their data goes beyond 32-bit offsets.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        if self.entries.is_empty() {
            return Ok(Vec::new());
        }
        if self.entries.len() > MAX_ENTRIES {
            return Err(Error::too_long(FIELD, 0, MAX_ENTRIES, self.entries.len()));
        }
        let mut offset = self.entries.len().saturating_add(1).saturating_mul(ENTRY_LEN);
        let mut bytes = Vec::new();
        for Entry { guid, data } in &self.entries {
            bytes.extend(guid);
            bytes.extend(number(offset)?.to_le_bytes());
            bytes.extend(number(data.len())?.to_le_bytes());
            offset = offset.saturating_add(data.len());
        }
        bytes.extend([0; ENTRY_LEN]);
        self.entries.iter().for_each(|entry| bytes.extend(entry.data));
        Ok(bytes)
    }
}

/// What an entry at `at` points to: behind the `header`, and within the input.
fn slice(input: &[u8], header: usize, at: usize, offset: usize, length: usize) -> Result<&[u8], Error> {
    if offset < header {
        let field = "certificate offset";
        return Err(Error::unexpected(field, at.saturating_add(16), "a place behind the entries", offset));
    }
    let end = offset.saturating_add(length);
    input.get(offset..end).ok_or(Error {
        field: "certificate",
        offset,
        kind: Kind::Truncated { wanted: length, left: input.len().saturating_sub(offset) },
    })
}

fn number(value: usize) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::too_long(FIELD, 0, usize::try_from(u32::MAX).unwrap_or(usize::MAX), value))
}
