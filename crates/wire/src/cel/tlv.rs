//! Type, length, value (CEL 1.0, section 5.1).

use super::{
    Content, Record, TYPE_IMA_TEMPLATE, TYPE_PCCLIENT_STD, add_digest, no_encoding, one_register, type_name,
    type_number,
};
use crate::tcg2::AlgorithmId;
use crate::{Error, Reader};
use std::borrow::Cow;

const RECNUM: u8 = 0;
const PCR: u8 = 1;
const NV_INDEX: u8 = 2;
const DIGESTS: u8 = 3;
/// `PCCLIENT_STD`: event type and event data; `IMA_TEMPLATE`: template name and template data.
const FIRST: u8 = 0;
const SECOND: u8 = 1;

/// A type and a reader over the value.
fn tlv<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<(u8, Reader<'a>), Error> {
    let kind = reader.u8(field)?;
    let len = u32::from_be_bytes(*reader.array(field)?);
    Ok((kind, reader.sub(field, usize::try_from(len).unwrap_or(usize::MAX))?))
}

fn typed<'a>(reader: &mut Reader<'a>, field: &'static str, wanted: u8) -> Result<Reader<'a>, Error> {
    let at = reader.offset();
    match tlv(reader, field)? {
        (kind, value) if kind == wanted => Ok(value),
        (kind, _) => Err(Error::unexpected(field, at, "its own type", kind)),
    }
}

/// A big-endian number that fills its value.
fn number(value: &Reader<'_>, field: &'static str) -> Result<u64, Error> {
    let bytes = value.rest();
    if !matches!(bytes.len(), 1 | 2 | 4 | 8) {
        return Err(Error::unexpected(field, value.offset(), "1, 2, 4 or 8 bytes", bytes.len()));
    }
    Ok(bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

fn number32(value: &Reader<'_>, field: &'static str) -> Result<u32, Error> {
    let long = number(value, field)?;
    u32::try_from(long).map_err(|_| Error::unexpected(field, value.offset(), "32 bits", long))
}

/// A place between two records.
#[derive(Clone, Debug)]
pub(super) struct Reading<'a>(Reader<'a>);

impl<'a> Reading<'a> {
    pub(super) fn new(log: &'a [u8]) -> Self {
        Self(Reader::new(log))
    }

    pub(super) fn record(&mut self) -> Result<Option<Record<'a>>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        record(&mut self.0).map(Some)
    }
}

fn record<'a>(reader: &mut Reader<'a>) -> Result<Record<'a>, Error> {
    let recnum = number(&typed(reader, "CEL recnum", RECNUM)?, "CEL recnum")?;
    let at = reader.offset();
    let (kind, value) = tlv(reader, "CEL register")?;
    let index = number32(&value, "CEL register")?;
    let register = one_register(at, (kind == PCR).then_some(index), (kind == NV_INDEX).then_some(index))?;
    let mut nested = typed(reader, "CEL digests", DIGESTS)?;
    let mut digests = Vec::new();
    while !nested.is_empty() {
        let at = nested.offset();
        let (algorithm, digest) = tlv(&mut nested, "CEL digest")?;
        add_digest(&mut digests, at, AlgorithmId(u16::from(algorithm)), Cow::Borrowed(digest.rest()))?;
    }
    let (kind, value) = tlv(reader, "CEL content")?;
    Ok(Record { number: Some(recnum), register, digests, content: content(kind, value)? })
}

fn content(kind: u8, mut value: Reader<'_>) -> Result<Content<'_>, Error> {
    match kind {
        TYPE_PCCLIENT_STD => {
            let event_type =
                number32(&typed(&mut value, "PCCLIENT_STD event_type", FIRST)?, "PCCLIENT_STD event_type")?;
            let data = typed(&mut value, "PCCLIENT_STD event_data", SECOND)?.rest();
            value.finish("PCCLIENT_STD")?;
            Ok(Content::PcClient { event_type, data: Cow::Borrowed(data) })
        }
        TYPE_IMA_TEMPLATE => {
            let name = typed(&mut value, "IMA_TEMPLATE template_name", FIRST)?;
            let at = name.offset();
            let name = std::str::from_utf8(name.rest())
                .map_err(|error| Error::unexpected("IMA_TEMPLATE template_name", at, "text", error))?;
            let data = typed(&mut value, "IMA_TEMPLATE template_data", SECOND)?.rest();
            value.finish("IMA_TEMPLATE")?;
            Ok(Content::ImaTemplate { name: Cow::Borrowed(name), data: Cow::Borrowed(data) })
        }
        other => Ok(Content::Other { kind: type_name(other), data: Cow::Borrowed(value.rest()) }),
    }
}

pub(super) fn encode(records: &[Record<'_>]) -> Result<Vec<u8>, Error> {
    let mut log = Vec::new();
    for (place, record) in records.iter().enumerate() {
        let recnum = record.number.unwrap_or(place as u64);
        put(&mut log, RECNUM, &recnum.to_be_bytes())?;
        match record.register {
            super::Register::Pcr(pcr) => match u8::try_from(pcr) {
                Ok(pcr) => put(&mut log, PCR, &[pcr])?,
                Err(_) => put(&mut log, PCR, &pcr.to_be_bytes())?,
            },
            super::Register::NvIndex(index) => put(&mut log, NV_INDEX, &index.to_be_bytes())?,
        }
        let mut nested = Vec::new();
        for (algorithm, digest) in &record.digests {
            let algorithm = u8::try_from(algorithm.0).map_err(|_| no_encoding("an algorithm above 255"))?;
            put(&mut nested, algorithm, digest)?;
        }
        put(&mut log, DIGESTS, &nested)?;
        put_content(&mut log, &record.content)?;
    }
    Ok(log)
}

fn put_content(log: &mut Vec<u8>, content: &Content<'_>) -> Result<(), Error> {
    let mut nested = Vec::new();
    match content {
        Content::PcClient { event_type, data } => {
            put(&mut nested, FIRST, &event_type.to_be_bytes())?;
            put(&mut nested, SECOND, data)?;
            put(log, TYPE_PCCLIENT_STD, &nested)
        }
        Content::ImaTemplate { name, data } => {
            put(&mut nested, FIRST, name.as_bytes())?;
            put(&mut nested, SECOND, data)?;
            put(log, TYPE_IMA_TEMPLATE, &nested)
        }
        Content::Systemd(_) => Err(no_encoding("what systemd says")),
        Content::Other { kind, data } => put(log, type_number(kind).ok_or_else(|| no_encoding(kind))?, data),
    }
}

fn put(log: &mut Vec<u8>, kind: u8, value: &[u8]) -> Result<(), Error> {
    let len = u32::try_from(value.len())
        .map_err(|_| Error::too_long("CEL value", log.len(), u32::MAX as usize, value.len()))?;
    log.push(kind);
    log.extend_from_slice(&len.to_be_bytes());
    log.extend_from_slice(value);
    Ok(())
}
