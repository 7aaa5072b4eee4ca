//! TCG2 event logs: what a TPM boot log, a CCEL and the runtime records behind it are made of.
//!
//! Source: TCG PC Client Platform Firmware Profile, sections "Event Logging" and "TCG_PCR_EVENT2". Everything is little-endian. The first
//! record has the shape of TCG 1.2 and names the banks; each record behind it has one digest per bank:
//!
//! ```text
//! header   u32 MR, u32 type = EV_NO_ACTION, 20 zero bytes, u32 length, "Spec ID Event03\0" and the table of banks
//! record   u32 MR, u32 type, u32 digests, (u16 algorithm, digest) per digest, u32 length, data
//! padding  0xFF to the end (CCEL), or zero to the end (td-shim), or nothing
//! ```
//!
//! A log whose first record is no header has records of TCG 1.2 only (SHA-1), see [`crate::tcg12`]. The *MR index* is a PCR's number in a TPM's log; in a CCEL it
//! is 0 for MRTD and `n + 1` for RTMR`n`, and is always given here as the log has it.
//!
//! [`Log::parse`] walks the whole log once and refuses what it cannot account for to the last byte; [`Log::events`] then borrows from it
//! without allocating and cannot fail. Nothing is hashed here.

mod algorithm;
mod content;
mod data;
pub mod event_type;
mod writer;

pub use algorithm::AlgorithmId;
pub use content::{Content, Grub};
pub use data::{Digested, Guid, TaggedEvent, UefiVariable, digested};
pub use writer::Writer;

use crate::{Error, Kind, Reader};
use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The longest log that is accepted, in bytes. Real ones are below 100 kB in an area of up to 1 MiB.
pub const MAX_LOG: usize = 16 << 20;
/// The most banks that a header may name.
pub const MAX_BANKS: usize = 16;
/// The longest digest that a header may name, in bytes.
pub const MAX_DIGEST: usize = 64;

const SPEC_ID: &[u8; 16] = b"Spec ID Event03\0";
const SHA1_BANK: &[Bank] = &[Bank { algorithm: U16::new(AlgorithmId::SHA1.0), digest_size: U16::new(20) }];

/// One bank of the header's table (`TCG_EfiSpecIdEventAlgorithmSize`).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Bank {
    algorithm: U16,
    digest_size: U16,
}

const _: () = assert!(size_of::<Bank>() == 4);

impl Bank {
    /// The bank's algorithm.
    pub fn algorithm(&self) -> AlgorithmId {
        AlgorithmId(self.algorithm.get())
    }

    /// The size of its digests in bytes.
    pub fn digest_size(&self) -> usize {
        usize::from(self.digest_size.get())
    }
}

/// The header record (`TCG_EfiSpecIDEvent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecId<'a> {
    /// The MR index that the header record names: 0 or 1, without meaning.
    pub mr_index: u32,
    /// 0 for clients, 1 for servers.
    pub platform_class: u32,
    /// Version of the profile: major, minor.
    pub version: (u8, u8),
    /// Errata of the profile.
    pub errata: u8,
    /// Size of UINTN: 1 for 32 bits, 2 for 64 bits.
    pub uintn_size: u8,
    /// The banks in which every event is logged.
    pub banks: &'a [Bank],
    /// What the vendor added.
    pub vendor_info: &'a [u8],
    /// The size of the structure as the record states it, in bytes. Some firmware leaves `vendorInfo` out of it; the structure's own
    /// lengths then say where the next record begins.
    pub stated_size: u32,
}

/// What follows the last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Nothing.
    None,
    /// 0xFF to the end, as a CCEL has.
    Ones,
    /// Zero to the end, as td-shim leaves it.
    Zeros,
}

/// A whole log, checked to its last byte.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    bytes: &'a [u8],
    spec_id: Option<SpecId<'a>>,
    first_event: usize,
    end: usize,
    events: usize,
    padding: Padding,
}

/// One record behind the header.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The record's number in the log; the header record, where there is one, is 0.
    pub index: usize,
    /// Where the record begins, in bytes from the start of the log.
    pub offset: usize,
    /// The register that it extends: a PCR's number, or in a CCEL 1 to 4 for RTMR0 to RTMR3.
    pub mr_index: u32,
    /// See [`event_type`].
    pub event_type: u32,
    /// One digest per bank.
    pub digests: Digests<'a>,
    /// What the event says about itself; its digest need not be over it, see [`Event::digested`].
    pub data: &'a [u8],
}

/// The digests of one event.
#[derive(Clone, Copy, Debug)]
pub struct Digests<'a> {
    bytes: &'a [u8],
    layout: Layout<'a>,
}

/// How digests are laid out: named per digest, or one SHA-1 as in TCG 1.2.
#[derive(Clone, Copy, Debug)]
struct Layout<'a> {
    banks: &'a [Bank],
    crypto_agile: bool,
}

impl<'a> Log<'a> {
    /// Reads a log: header, records, padding.
    ///
    /// # Errors
    /// When the log is longer than [`MAX_LOG`], a record is cut short, names a bank that the header does not have, has two digests of one
    /// bank or none, or when the bytes behind the last record are not padding.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_LOG {
            return Err(Error::too_long("event log", 0, MAX_LOG, bytes.len()));
        }
        let mut reader = Reader::new(bytes);
        let spec_id = SpecId::read(&mut reader)?;
        let mut log = Self { bytes, spec_id, first_event: reader.offset(), end: 0, events: 0, padding: Padding::None };
        let mut events = Events { reader, layout: log.layout(), index: log.first_index() };
        log.padding = loop {
            if let Some(padding) = padding(&events.reader, events.layout)? {
                break padding;
            }
            events.record()?;
            log.events = log.events.saturating_add(1);
        };
        log.end = events.reader.offset();
        Ok(log)
    }

    /// Whether the bytes begin with the header record of a crypto-agile log, whatever follows it.
    pub fn has_header(bytes: &[u8]) -> bool {
        let header = bytes.get(4..8).zip(bytes.get(32..));
        header.is_some_and(|(event_type, event)| {
            event_type == event_type::EV_NO_ACTION.to_le_bytes() && event.starts_with(SPEC_ID)
        })
    }

    /// The header record; `None` in a log of TCG 1.2.
    pub fn spec_id(&self) -> Option<&SpecId<'a>> {
        self.spec_id.as_ref()
    }

    /// The banks that the log has digests for.
    pub fn banks(&self) -> &'a [Bank] {
        self.layout().banks
    }

    /// The records behind the header, in order.
    pub fn events(&self) -> Events<'a> {
        let mut reader = Reader::new(self.used());
        // The same bytes were walked by `parse`, so that this cannot come short.
        let _header = reader.bytes("header record", self.first_event);
        Events { reader, layout: self.layout(), index: self.first_index() }
    }

    /// How many records there are behind the header.
    pub fn event_count(&self) -> usize {
        self.events
    }

    /// The log without its padding: header and records.
    pub fn used(&self) -> &'a [u8] {
        self.bytes.get(..self.end).unwrap_or(self.bytes)
    }

    /// What follows the last record.
    pub fn padding(&self) -> Padding {
        self.padding
    }

    fn layout(&self) -> Layout<'a> {
        match self.spec_id {
            Some(spec_id) => Layout { banks: spec_id.banks, crypto_agile: true },
            None => Layout { banks: SHA1_BANK, crypto_agile: false },
        }
    }

    fn first_index(&self) -> usize {
        usize::from(self.spec_id.is_some())
    }
}

/// The padding at the reader's place, or `None` where another record begins. Looks at each byte at most once in a whole walk, because
/// what begins like padding and is none is an error: no record begins with so many equal bytes.
fn padding(reader: &Reader<'_>, layout: Layout<'_>) -> Result<Option<Padding>, Error> {
    let (filler, kind) = match reader.rest() {
        [] => return Ok(Some(Padding::None)),
        rest if begins_with(rest, &[0xff; 8]) => (0xff, Padding::Ones),
        rest if begins_with(rest, layout.zeros_of_no_record()) => (0, Padding::Zeros),
        _ => return Ok(None),
    };
    let Some(place) = first_other(reader.rest(), filler) else { return Ok(Some(kind)) };
    let found = reader.rest().get(place).copied().unwrap_or_default();
    let offset = reader.offset().saturating_add(place);
    Err(Error::unexpected("padding", offset, "the same byte to the end of the log", format_args!("0x{found:02x}")))
}

/// The place of the first byte that is not `filler`. Looks at a block at a time, which the compiler makes a few wide instructions: in a log's area
/// of 1 MiB nearly everything is padding.
fn first_other(bytes: &[u8], filler: u8) -> Option<usize> {
    const BLOCK: usize = 64;
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let is_filled = |block: &&[u8; BLOCK]| block.iter().fold(0, |others, byte| others | (byte ^ filler)) == 0;
    let filled = blocks.iter().take_while(is_filled).count().saturating_mul(BLOCK);
    let other = bytes.get(filled..)?.iter().position(|byte| *byte != filler)?;
    Some(filled.saturating_add(other))
}

/// Whether `rest` begins with `filler`, or is shorter and all of it.
fn begins_with(rest: &[u8], filler: &[u8]) -> bool {
    rest.iter().zip(filler).all(|(byte, filler)| byte == filler)
}

impl<'a> SpecId<'a> {
    /// Reads the header record if the log begins with one; consumes nothing otherwise.
    fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, Error> {
        let mut ahead = reader.clone();
        let mr_index = ahead.u32("header MR index")?;
        let event_type = ahead.u32("header event type")?;
        let digest_at = ahead.offset();
        let digest = ahead.array::<20>("header digest")?;
        let len = ahead.len32("header event size")?;
        if event_type != event_type::EV_NO_ACTION || !ahead.rest().starts_with(SPEC_ID) {
            return Ok(None);
        }
        if let Some(place) = digest.iter().position(|byte| *byte != 0) {
            let found = format_args!("0x{:02x}", digest.get(place).copied().unwrap_or_default());
            return Err(Error::unexpected("header digest", digest_at.saturating_add(place), "20 bytes of zero", found));
        }
        let mut event = ahead.sub("TCG_EfiSpecIDEvent", len)?;
        event.array::<16>("TCG_EfiSpecIDEvent.signature")?;
        let spec_id = Self {
            mr_index,
            stated_size: u32::try_from(len).unwrap_or(u32::MAX),
            platform_class: event.u32("TCG_EfiSpecIDEvent.platformClass")?,
            version: {
                let minor = event.u8("TCG_EfiSpecIDEvent.specVersionMinor")?;
                (event.u8("TCG_EfiSpecIDEvent.specVersionMajor")?, minor)
            },
            errata: event.u8("TCG_EfiSpecIDEvent.specErrata")?,
            uintn_size: event.u8("TCG_EfiSpecIDEvent.uintnSize")?,
            banks: Self::read_banks(&mut event)?,
            vendor_info: {
                let len = usize::from(event.u8("TCG_EfiSpecIDEvent.vendorInfoSize")?);
                let left_out = event.is_empty();
                let holder = if left_out { &mut ahead } else { &mut event };
                holder.bytes("TCG_EfiSpecIDEvent.vendorInfo", len)?
            },
        };
        event.finish("TCG_EfiSpecIDEvent")?;
        *reader = ahead;
        Ok(Some(spec_id))
    }

    fn read_banks(event: &mut Reader<'a>) -> Result<&'a [Bank], Error> {
        const FIELD: &str = "TCG_EfiSpecIDEvent.digestSizes";
        let at = event.offset();
        let count = event.len32("TCG_EfiSpecIDEvent.numberOfAlgorithms")?;
        if count == 0 || count > MAX_BANKS {
            return Err(Error::unexpected("TCG_EfiSpecIDEvent.numberOfAlgorithms", at, "1 to 16 banks", count));
        }
        let at = event.offset();
        let bytes = event.bytes(FIELD, count.saturating_mul(size_of::<Bank>()))?;
        let Ok(banks) = <[Bank]>::ref_from_bytes(bytes) else {
            return Err(Error { field: FIELD, offset: at, kind: Kind::Truncated { wanted: count, left: bytes.len() } });
        };
        for (place, bank) in banks.iter().enumerate() {
            let size = bank.digest_size();
            let right = bank.algorithm().digest_size().map_or(size != 0 && size <= MAX_DIGEST, |known| known == size);
            if !right {
                let found = format_args!("{size} bytes for {}", bank.algorithm());
                return Err(Error::unexpected(FIELD, at, "the digest size of the algorithm", found));
            }
            if banks.iter().take(place).any(|earlier| earlier.algorithm == bank.algorithm) {
                return Err(Error::unexpected(FIELD, at, "each algorithm once", bank.algorithm()));
            }
        }
        Ok(banks)
    }
}

/// Iterates over the records of a log.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    reader: Reader<'a>,
    layout: Layout<'a>,
    index: usize,
}

impl<'a> Events<'a> {
    fn record(&mut self) -> Result<Event<'a>, Error> {
        let offset = self.reader.offset();
        let mr_index = self.reader.u32("record MR index")?;
        let event_type = self.reader.u32("record event type")?;
        let digests = self.layout.read(&mut self.reader)?;
        let len = self.reader.len32("record event size")?;
        let data = self.reader.bytes("record event data", len)?;
        let index = self.index;
        self.index = index.saturating_add(1);
        Ok(Event { index, offset, mr_index, event_type, digests, data })
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        self.record().ok()
    }
}

impl<'a> Layout<'a> {
    /// Zeros with which no record begins. The first eight bytes may be zero: EV_PREBOOT_CERT in PCR 0. A count of digests is never zero,
    /// and a record of TCG 1.2 with neither digest nor data says nothing.
    fn zeros_of_no_record(&self) -> &'static [u8] {
        if self.crypto_agile { &[0; 12] } else { &[0; 32] }
    }

    fn read(&self, reader: &mut Reader<'a>) -> Result<Digests<'a>, Error> {
        if !self.crypto_agile {
            return Ok(Digests { bytes: reader.bytes("record digest", 20)?, layout: *self });
        }
        let at = reader.offset();
        let count = reader.len32("record digest count")?;
        if count == 0 || count > self.banks.len() {
            return Err(Error::unexpected("record digest count", at, "one digest per bank of the header", count));
        }
        let begin = reader.clone();
        for _ in 0..count {
            self.read_digest(reader, &begin)?;
        }
        let len = reader.offset().saturating_sub(begin.offset());
        Ok(Digests { bytes: begin.rest().get(..len).unwrap_or_default(), layout: *self })
    }

    /// Reads one digest; `begin` is where the digests of the event begin.
    fn read_digest(&self, reader: &mut Reader<'a>, begin: &Reader<'a>) -> Result<(), Error> {
        let at = reader.offset();
        let earlier = begin.rest().get(..at.saturating_sub(begin.offset())).unwrap_or_default();
        let algorithm = AlgorithmId(reader.u16("record digest algorithm")?);
        let Some(size) = self.size_of(algorithm) else {
            return Err(Error::unexpected("record digest algorithm", at, "a bank of the header", algorithm));
        };
        if (Digests { bytes: earlier, layout: *self }).get(algorithm).is_some() {
            return Err(Error::unexpected("record digest algorithm", at, "each bank once", algorithm));
        }
        reader.bytes("record digest", size).map(|_| ())
    }

    fn size_of(&self, algorithm: AlgorithmId) -> Option<usize> {
        self.banks.iter().find(|bank| bank.algorithm() == algorithm).map(Bank::digest_size)
    }
}

impl<'a> Digests<'a> {
    /// The digests in the order of the record.
    pub fn iter(&self) -> DigestIter<'a> {
        DigestIter { rest: self.bytes, layout: self.layout }
    }

    /// The digest of one bank, if the event has it.
    pub fn get(&self, algorithm: AlgorithmId) -> Option<&'a [u8]> {
        self.iter().find(|(bank, _)| *bank == algorithm).map(|(_, digest)| digest)
    }
}

impl<'a> IntoIterator for Digests<'a> {
    type Item = (AlgorithmId, &'a [u8]);
    type IntoIter = DigestIter<'a>;

    fn into_iter(self) -> DigestIter<'a> {
        self.iter()
    }
}

/// Iterates over the digests of an event.
#[derive(Clone, Debug)]
pub struct DigestIter<'a> {
    rest: &'a [u8],
    layout: Layout<'a>,
}

impl<'a> Iterator for DigestIter<'a> {
    type Item = (AlgorithmId, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (algorithm, rest) = if self.layout.crypto_agile {
            let (algorithm, rest) = self.rest.split_first_chunk::<2>()?;
            (AlgorithmId(u16::from_le_bytes(*algorithm)), rest)
        } else {
            (AlgorithmId::SHA1, self.rest)
        };
        let (digest, rest) = rest.split_at_checked(self.layout.size_of(algorithm)?)?;
        self.rest = rest;
        Some((algorithm, digest))
    }
}

/// A length as the 32 bits that the format has for it.
fn len32(field: &'static str, len: usize) -> Result<u32, Error> {
    u32::try_from(len).map_err(|_| Error::too_long(field, 0, u32::MAX as usize, len))
}
