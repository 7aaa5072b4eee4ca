//! Canonical Event Logs: one form for what firmware, kernel and userspace measured.
//!
//! Source: TCG Canonical Event Log Format (CEL) 1.0, sections 4 ("Information model") and 5 ("Encodings"); for the userspace log of systemd
//! (`/run/log/systemd/tpm2-measure.log`) its "TPM2 PCR Measurements" page: JSON records without numbers in a sequence of RFC 7464.
//!
//! ```text
//! record   number, register (PCR or NV index), digests, content type, content
//! TLV      u8 type, u32 length (big-endian), value; digests and contents are nested
//! JSON     [{"recnum", "pcr", "digests": [{"hashAlg", "digest": hex}], "content_type", "content"}, ...]
//! JSON-SEQ 0x1E {record} 0x0A ...
//! CBOR     [{0: number, 1: pcr, 3: {algorithm: digest}, content type: content}, ...]
//! ```
//!
//! Integers of the TLV encoding have one, two, four or eight bytes: writers differ. No public sample of the CBOR encoding is known to us; it
//! is read with the numbers of the TLV encoding or with the names of the JSON encoding as keys, and written with the numbers.
//!
//! Nothing is hashed here. Members of JSON and CBOR records that are not known are passed over: they are not measured.

mod cbor;
mod json;
mod tlv;

use crate::tcg2::{AlgorithmId, Event, event_type};
use crate::{Error, ima};
use std::borrow::Cow;

/// The longest log that is accepted, in bytes.
pub const MAX_LOG: usize = 16 << 20;
/// The most digests of one record.
pub const MAX_DIGESTS: usize = 16;

const RECORD_SEPARATOR: u8 = 0x1e;

/// How a log is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Type, length, value.
    Tlv,
    /// A JSON array of records.
    Json,
    /// A sequence of JSON records (RFC 7464), as systemd writes it.
    JsonSeq,
    /// A CBOR array of records.
    Cbor,
}

impl Encoding {
    /// The encoding that these bytes begin like; `None` when like none.
    pub fn of(log: &[u8]) -> Option<Self> {
        match log {
            [RECORD_SEPARATOR, ..] => Some(Self::JsonSeq),
            // A number of one to eight bytes: type 0, length.
            [0, 0, 0, 0, 1 | 2 | 4 | 8, ..] => Some(Self::Tlv),
            // An array of records, or records one after another; text of JSON begins with neither.
            [0x80..=0x9b | 0x9f | 0xa1..=0xb7 | 0xbf, ..] => Some(Self::Cbor),
            _ if log.trim_ascii_start().starts_with(b"[") => Some(Self::Json),
            _ => None,
        }
    }

    /// The encoding's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tlv => "CEL-TLV",
            Self::Json => "CEL-JSON",
            Self::JsonSeq => "CEL-JSON sequence",
            Self::Cbor => "CEL-CBOR",
        }
    }
}

/// What a record extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Register {
    /// A PCR, by its number (or a confidential guest's register, in the numbering of its log).
    Pcr(u32),
    /// An index of the TPM's non-volatile memory.
    NvIndex(u32),
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The record's number; systemd leaves it out.
    pub number: Option<u64>,
    /// What it extended.
    pub register: Register,
    /// With what, one digest per bank.
    pub digests: Vec<(AlgorithmId, Cow<'a, [u8]>)>,
    /// What it says about itself.
    pub content: Content<'a>,
}

/// What a record says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// An event of the firmware (`PCCLIENT_STD`, content type 5).
    PcClient {
        /// See [`crate::tcg2::event_type`].
        event_type: u32,
        /// The event's data.
        data: Cow<'a, [u8]>,
    },
    /// A measurement of Linux IMA (`IMA_TEMPLATE`, content type 7).
    ImaTemplate {
        /// The template's name or format string.
        name: Cow<'a, str>,
        /// The fields, each behind its u32 length: what the template digest is over.
        data: Cow<'a, [u8]>,
    },
    /// A measurement of systemd.
    Systemd(Systemd<'a>),
    /// Anything else: management records (`CEL`, 4), `IMA_TLV` (8), a vendor's type.
    Other {
        /// The type's name, or its number.
        kind: Cow<'a, str>,
        /// The content as its encoding has it.
        data: Cow<'a, [u8]>,
    },
}

/// What systemd says of a measurement (`content_type` "systemd").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Systemd<'a> {
    /// What was measured, in words; the digest is over them for phases, file systems and machine ids, over a secret for volume keys.
    pub text: Option<Cow<'a, str>>,
    /// `phase`, `filesystem`, `volume-key`, `machine-id` and others.
    pub event_type: Option<Cow<'a, str>>,
    /// Which boot it was, as 32 hex digits.
    pub boot_id: Option<Cow<'a, str>>,
    /// When, in microseconds of the clock since boot.
    pub timestamp: Option<u64>,
}

/// Numbers of content types, and what JSON calls them (CEL 1.0, section 4.5).
const CONTENT_TYPES: [(u8, &str); 4] =
    [(4, "cel"), (TYPE_PCCLIENT_STD, "pcclient_std"), (TYPE_IMA_TEMPLATE, "ima_template"), (8, "ima_tlv")];
const TYPE_PCCLIENT_STD: u8 = 5;
const TYPE_IMA_TEMPLATE: u8 = 7;

impl<'a> Record<'a> {
    /// The digest of one bank, if the record has it.
    pub fn digest(&self, algorithm: AlgorithmId) -> Option<&[u8]> {
        self.digests.iter().find(|(bank, _)| *bank == algorithm).map(|(_, digest)| digest.as_ref())
    }

    /// Whether the record extended its register: events of the firmware that only say something did not.
    pub fn extends(&self) -> bool {
        !matches!(self.content, Content::PcClient { event_type: event_type::EV_NO_ACTION, .. })
    }

    /// The record of an event of a firmware's log.
    pub fn from_event(number: u64, event: &Event<'a>) -> Self {
        let digests = event.digests.iter().map(|(bank, digest)| (bank, Cow::Borrowed(digest))).collect();
        let content = Content::PcClient { event_type: event.event_type, data: Cow::Borrowed(event.data) };
        Self { number: Some(number), register: Register::Pcr(event.mr_index), digests, content }
    }

    /// The record of an entry of an IMA list, with the digests that extended the banks.
    pub fn from_ima(number: u64, entry: &ima::Entry<'a>, digests: Vec<(AlgorithmId, Cow<'a, [u8]>)>) -> Self {
        let (name, data) = (Cow::Borrowed(entry.template), Cow::Owned(entry.template_data()));
        let content = Content::ImaTemplate { name, data };
        Self { number: Some(number), register: Register::Pcr(entry.pcr), digests, content }
    }
}

/// A whole log, checked to its last byte.
///
/// [`Log::parse`] reads every record once and keeps none; [`Log::records`] then reads them again, one at a time. A record in memory is up to
/// twenty times as long as the shortest one in a log.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
    records: usize,
}

impl<'a> Log<'a> {
    /// Reads a log in the encoding that it begins like.
    ///
    /// # Errors
    /// When it begins like none, is longer than [`MAX_LOG`], a record is cut short, has no register, two digests of one bank or a digest of
    /// another size than its algorithm has.
    pub fn parse(log: &'a [u8]) -> Result<Self, Error> {
        if log.len() > MAX_LOG {
            return Err(Error::too_long("canonical event log", 0, MAX_LOG, log.len()));
        }
        let Some(encoding) = Encoding::of(log) else {
            let found = hex::encode(log.get(..8).unwrap_or(log));
            return Err(Error::unexpected("canonical event log", 0, "TLV, JSON, a JSON sequence or CBOR", found));
        };
        if encoding == Encoding::Json {
            json::check_array(log)?;
        }
        let mut reading = Reading::new(encoding, log)?;
        let mut records = 0usize;
        while reading.record()?.is_some() {
            records = records.saturating_add(1);
        }
        Ok(Self { bytes: log, encoding, records })
    }

    /// What it was read from.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How it was encoded.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How many records it has.
    pub fn record_count(&self) -> usize {
        self.records
    }

    /// Its records in order.
    pub fn records(&self) -> Records<'a> {
        // The same bytes were read by `parse`, so that this does not fail.
        Records(Reading::new(self.encoding, self.bytes).ok())
    }

    /// Writes records in an encoding.
    ///
    /// # Errors
    /// When a record's content cannot be told in it: contents of [`Content::Other`] have no second encoding, what systemd says has JSON alone.
    pub fn encode(encoding: Encoding, records: &[Record<'_>]) -> Result<Vec<u8>, Error> {
        match encoding {
            Encoding::Tlv => tlv::encode(records),
            Encoding::Json => json::encode_array(records),
            Encoding::JsonSeq => json::encode_sequence(records),
            Encoding::Cbor => cbor::encode(records),
        }
    }
}

/// Iterates over the records of a log.
#[derive(Clone, Debug)]
pub struct Records<'a>(Option<Reading<'a>>);

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.record().ok()?
    }
}

/// A place between two records.
#[derive(Clone, Debug)]
enum Reading<'a> {
    Tlv(tlv::Reading<'a>),
    Array(json::Array<'a>),
    Sequence(json::Sequence<'a>),
    Cbor(cbor::Reading<'a>),
}

impl<'a> Reading<'a> {
    fn new(encoding: Encoding, log: &'a [u8]) -> Result<Self, Error> {
        Ok(match encoding {
            Encoding::Tlv => Self::Tlv(tlv::Reading::new(log)),
            Encoding::Json => Self::Array(json::Array::new(log)),
            Encoding::JsonSeq => Self::Sequence(json::Sequence::new(log)),
            Encoding::Cbor => Self::Cbor(cbor::Reading::new(log)?),
        })
    }

    /// The next record; `None` where the log ends as it should.
    fn record(&mut self) -> Result<Option<Record<'a>>, Error> {
        match self {
            Self::Tlv(reading) => reading.record(),
            Self::Array(reading) => reading.record(),
            Self::Sequence(reading) => reading.record(),
            Self::Cbor(reading) => reading.record(),
        }
    }
}

/// Adds a digest to those of a record, at `at` in the log.
fn add_digest<'a>(
    digests: &mut Vec<(AlgorithmId, Cow<'a, [u8]>)>,
    at: usize,
    algorithm: AlgorithmId,
    digest: Cow<'a, [u8]>,
) -> Result<(), Error> {
    const FIELD: &str = "CEL digest";
    if digests.len() >= MAX_DIGESTS {
        return Err(Error::too_long("CEL digests", at, MAX_DIGESTS, digests.len().saturating_add(1)));
    }
    if digests.iter().any(|(bank, _)| *bank == algorithm) {
        return Err(Error::unexpected(FIELD, at, "each bank once", algorithm));
    }
    let right = algorithm.digest_size().map_or(!digest.is_empty() && digest.len() <= 64, |size| size == digest.len());
    if !right {
        let found = format_args!("{} bytes for {algorithm}", digest.len());
        return Err(Error::unexpected(FIELD, at, "the digest size of the algorithm", found));
    }
    digests.push((algorithm, digest));
    Ok(())
}

/// The one register that a record names.
fn one_register(at: usize, pcr: Option<u32>, nv_index: Option<u32>) -> Result<Register, Error> {
    match (pcr, nv_index) {
        (Some(pcr), None) => Ok(Register::Pcr(pcr)),
        (None, Some(index)) => Ok(Register::NvIndex(index)),
        _ => Err(Error::unexpected(
            "CEL register",
            at,
            "a PCR or an NV index",
            if pcr.is_some() { "both" } else { "neither" },
        )),
    }
}

/// The name of a content type, or its number.
fn type_name(number: u8) -> Cow<'static, str> {
    let known = CONTENT_TYPES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| Cow::Owned(number.to_string()), |(_, name)| Cow::Borrowed(*name))
}

/// The number of a content type.
fn type_number(name: &str) -> Option<u8> {
    CONTENT_TYPES
        .iter()
        .find(|(_, known)| *known == name)
        .map_or_else(|| name.parse().ok(), |(number, _)| Some(*number))
}

fn no_encoding(what: &str) -> Error {
    Error::unexpected("CEL content", 0, "a content that this encoding has", what)
}
