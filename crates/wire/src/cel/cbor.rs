//! CBOR (CEL 1.0, section 5.3; RFC 8949).

use super::{
    Content, Record, Register, Systemd, TYPE_IMA_TEMPLATE, TYPE_PCCLIENT_STD, add_digest, no_encoding, one_register,
    type_name, type_number,
};
use crate::tcg2::{AlgorithmId, event_type};
use crate::{Error, Kind, cbor};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use std::borrow::Cow;

/// The most members of a map that is looked through; records have six.
const MAX_MEMBERS: usize = 64;
const FIELD: &str = "canonical event log";

fn wrong(field: &'static str, decoder: &Decoder<'_>, error: &minicbor::decode::Error) -> Error {
    Error::unexpected(field, decoder.position(), "CBOR of its kind", error)
}

/// A key: a number of the TLV encoding, or a name of the JSON encoding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key<'a> {
    Number(u64),
    Name(&'a str),
}

impl Key<'_> {
    fn is(self, number: u64, name: &str) -> bool {
        match self {
            Key::Number(seen) => seen == number,
            Key::Name(seen) => seen == name,
        }
    }
}

fn key<'a>(decoder: &mut Decoder<'a>) -> Result<Key<'a>, Error> {
    let read = match decoder.datatype() {
        Ok(Type::String) => decoder.str().map(Key::Name),
        _ => decoder.u64().map(Key::Number),
    };
    read.map_err(|error| wrong("CEL key", decoder, &error))
}

/// Goes through the members of a map; `member` reads the value that follows its key.
fn map<'a>(
    field: &'static str,
    decoder: &mut Decoder<'a>,
    mut member: impl FnMut(Key<'a>, &mut Decoder<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    let at = decoder.position();
    let count = decoder.map().map_err(|error| wrong(field, decoder, &error))?;
    let mut seen = 0usize;
    while more(field, decoder, count, seen)? {
        if seen >= MAX_MEMBERS {
            return Err(Error::too_long(field, at, MAX_MEMBERS, seen.saturating_add(1)));
        }
        let key = key(decoder)?;
        member(key, decoder)?;
        seen = seen.saturating_add(1);
    }
    Ok(())
}

/// Whether another item follows in an array or a map of this length, or of none.
fn more(field: &'static str, decoder: &mut Decoder<'_>, count: Option<u64>, seen: usize) -> Result<bool, Error> {
    if let Some(count) = count {
        return Ok((seen as u64) < count);
    }
    match decoder.datatype() {
        Ok(Type::Break) => {
            decoder.set_position(decoder.position().saturating_add(1));
            Ok(false)
        }
        Ok(_) => Ok(true),
        Err(error) => Err(wrong(field, decoder, &error)),
    }
}

fn skip(decoder: &mut Decoder<'_>) -> Result<(), Error> {
    cbor::skip(decoder).map_err(|error| wrong("CEL member", decoder, &error))
}

/// A place between two records.
#[derive(Clone, Debug)]
pub(super) struct Reading<'a> {
    decoder: Decoder<'a>,
    /// Records one after another, in no array.
    bare: bool,
    count: Option<u64>,
    seen: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(log: &'a [u8]) -> Result<Self, Error> {
        let mut decoder = Decoder::new(log);
        let bare = !matches!(decoder.datatype(), Ok(Type::Array | Type::ArrayIndef));
        let count = if bare { None } else { decoder.array().map_err(|error| wrong(FIELD, &decoder, &error))? };
        Ok(Self { decoder, bare, count, seen: 0 })
    }

    pub(super) fn record(&mut self) -> Result<Option<Record<'a>>, Error> {
        let left = self.decoder.input().len().saturating_sub(self.decoder.position());
        let another = if self.bare { left > 0 } else { more(FIELD, &mut self.decoder, self.count, self.seen)? };
        if another {
            self.seen = self.seen.saturating_add(1);
            return record(&mut self.decoder).map(Some);
        }
        match self.decoder.input().len().saturating_sub(self.decoder.position()) {
            0 => Ok(None),
            left => Err(Error { field: FIELD, offset: self.decoder.position(), kind: Kind::Trailing { left } }),
        }
    }
}

fn record<'a>(decoder: &mut Decoder<'a>) -> Result<Record<'a>, Error> {
    let at = decoder.position();
    let (mut number, mut pcr, mut nv_index, mut digests) = (None, None, None, None);
    let (mut kind, mut inside, mut content) = (None, None, None);
    map("CEL record", decoder, |key, decoder| {
        if key.is(0, "recnum") {
            once("CEL recnum", &mut number, decoder, |decoder| decoder.u64())
        } else if key.is(1, "pcr") {
            once("CEL pcr", &mut pcr, decoder, |decoder| decoder.u32())
        } else if key.is(2, "nv_index") {
            once("CEL nv_index", &mut nv_index, decoder, |decoder| decoder.u32())
        } else if key.is(3, "digests") {
            let at = decoder.position();
            let read = read_digests(decoder)?;
            set("CEL digests", at, &mut digests, read)
        } else if key == Key::Name("content_type") {
            let at = decoder.position();
            let read = content_type(decoder)?;
            set("CEL content_type", at, &mut kind, read)
        } else if key == Key::Name("content") {
            // The type may follow its content: looked at when the record is whole.
            let at = decoder.position();
            let ahead = decoder.clone();
            skip(decoder)?;
            set("CEL content", at, &mut inside, ahead)
        } else if let Key::Number(number) = key
            && let Ok(number) = u8::try_from(number)
        {
            let at = decoder.position();
            let read = read_content(type_name(number), decoder)?;
            set("CEL content", at, &mut content, read)
        } else {
            skip(decoder)
        }
    })?;
    if let (Some(kind), Some(mut inside)) = (kind, inside) {
        let read = read_content(kind, &mut inside)?;
        set("CEL content", at, &mut content, read)?;
    }
    let register = one_register(at, pcr, nv_index)?;
    let missing = |what| Error::unexpected("CEL record", at, what, "a record without");
    let digests = digests.ok_or_else(|| missing("digests"))?;
    Ok(Record { number, register, digests, content: content.ok_or_else(|| missing("content"))? })
}

fn set<T>(field: &'static str, at: usize, place: &mut Option<T>, value: T) -> Result<(), Error> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::unexpected(field, at, "each member once", "a second")),
    }
}

fn once<'a, T>(
    field: &'static str,
    place: &mut Option<T>,
    decoder: &mut Decoder<'a>,
    read: impl FnOnce(&mut Decoder<'a>) -> Result<T, minicbor::decode::Error>,
) -> Result<(), Error> {
    let at = decoder.position();
    let value = read(decoder).map_err(|error| wrong(field, decoder, &error))?;
    set(field, at, place, value)
}

fn content_type<'a>(decoder: &mut Decoder<'a>) -> Result<Cow<'a, str>, Error> {
    match key(decoder)? {
        Key::Name(name) => Ok(Cow::Borrowed(name)),
        Key::Number(number) => Ok(u8::try_from(number).map_or_else(|_| Cow::Owned(number.to_string()), type_name)),
    }
}

fn bytes<'a>(field: &'static str, decoder: &mut Decoder<'a>) -> Result<Cow<'a, [u8]>, Error> {
    decoder.bytes().map(Cow::Borrowed).map_err(|error| wrong(field, decoder, &error))
}

type Digests<'a> = Vec<(AlgorithmId, Cow<'a, [u8]>)>;

/// A map of algorithm and digest, or an array of maps with `hashAlg` and `digest`.
fn read_digests<'a>(decoder: &mut Decoder<'a>) -> Result<Digests<'a>, Error> {
    let mut digests = Vec::new();
    if matches!(decoder.datatype(), Ok(Type::Map | Type::MapIndef)) {
        map("CEL digests", decoder, |key, decoder| {
            let at = decoder.position();
            let algorithm = algorithm(key, at)?;
            add_digest(&mut digests, at, algorithm, bytes("CEL digest", decoder)?)
        })?;
        return Ok(digests);
    }
    let count = decoder.array().map_err(|error| wrong("CEL digests", decoder, &error))?;
    while more("CEL digests", decoder, count, digests.len())? {
        let at = decoder.position();
        let (mut named, mut digest) = (None, None);
        map("CEL digest", decoder, |member, decoder| {
            let at = decoder.position();
            if member.is(0, "hashAlg") {
                let read = algorithm(key(decoder)?, at)?;
                set("CEL hashAlg", at, &mut named, read)
            } else if member.is(1, "digest") {
                let read = bytes("CEL digest", decoder)?;
                set("CEL digest", at, &mut digest, read)
            } else {
                skip(decoder)
            }
        })?;
        let (Some(named), Some(digest)) = (named, digest) else {
            return Err(Error::unexpected("CEL digest", at, "hashAlg and digest", "one of them"));
        };
        add_digest(&mut digests, at, named, digest)?;
    }
    Ok(digests)
}

fn algorithm(key: Key<'_>, at: usize) -> Result<AlgorithmId, Error> {
    match key {
        Key::Name(name) => super::json::algorithm(name, at),
        Key::Number(number) => u16::try_from(number)
            .map(AlgorithmId)
            .map_err(|_| Error::unexpected("CEL hashAlg", at, "the number of a hash algorithm", number)),
    }
}

fn read_content<'a>(kind: Cow<'a, str>, decoder: &mut Decoder<'a>) -> Result<Content<'a>, Error> {
    let begin = decoder.position();
    let (mut number, mut name, mut data) = (None, None, None);
    match &*kind {
        "pcclient_std" => {
            map("PCCLIENT_STD", decoder, |member, decoder| {
                let at = decoder.position();
                if member.is(0, "event_type") {
                    let read = match key(decoder)? {
                        Key::Number(number) => u32::try_from(number).ok(),
                        Key::Name(name) => event_type::from_name(name),
                    };
                    let wrong = || Error::unexpected("PCCLIENT_STD event_type", at, "an event type", "another value");
                    set("PCCLIENT_STD event_type", at, &mut number, read.ok_or_else(wrong)?)
                } else if member.is(1, "event_data") {
                    let read = bytes("PCCLIENT_STD event_data", decoder)?;
                    set("PCCLIENT_STD event_data", at, &mut data, read)
                } else {
                    skip(decoder)
                }
            })?;
            match (number, data) {
                (Some(event_type), Some(data)) => Ok(Content::PcClient { event_type, data }),
                _ => Err(Error::unexpected("PCCLIENT_STD", begin, "event_type and event_data", "one of them")),
            }
        }
        "ima_template" => {
            map("IMA_TEMPLATE", decoder, |member, decoder| {
                let at = decoder.position();
                if member.is(0, "template_name") {
                    let read = decoder.str().map_err(|error| wrong("IMA_TEMPLATE template_name", decoder, &error))?;
                    set("IMA_TEMPLATE template_name", at, &mut name, Cow::Borrowed(read))
                } else if member.is(1, "template_data") {
                    let read = bytes("IMA_TEMPLATE template_data", decoder)?;
                    set("IMA_TEMPLATE template_data", at, &mut data, read)
                } else {
                    skip(decoder)
                }
            })?;
            match (name, data) {
                (Some(name), Some(data)) => Ok(Content::ImaTemplate { name, data }),
                _ => Err(Error::unexpected("IMA_TEMPLATE", begin, "template_name and template_data", "one of them")),
            }
        }
        "systemd" => systemd(decoder).map(Content::Systemd),
        _ => {
            skip(decoder)?;
            let data = decoder.input().get(begin..decoder.position()).unwrap_or_default();
            Ok(Content::Other { kind, data: Cow::Borrowed(data) })
        }
    }
}

fn systemd<'a>(decoder: &mut Decoder<'a>) -> Result<Systemd<'a>, Error> {
    let mut said = Systemd::default();
    map("systemd content", decoder, |member, decoder| {
        let place = match member {
            Key::Name("string") => &mut said.text,
            Key::Name("eventType") => &mut said.event_type,
            Key::Name("bootId") => &mut said.boot_id,
            Key::Name("timestamp") => {
                return once("systemd timestamp", &mut said.timestamp, decoder, |decoder| decoder.u64());
            }
            _ => return skip(decoder),
        };
        once("systemd content", place, decoder, |decoder| decoder.str().map(Cow::Borrowed))
    })?;
    Ok(said)
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

pub(super) fn encode(records: &[Record<'_>]) -> Result<Vec<u8>, Error> {
    let mut encoder = Encoder::new(Vec::new());
    let all = encoder.array(records.len() as u64).map(|_| ());
    check(all)?;
    for (place, record) in records.iter().enumerate() {
        let head = encode_head(&mut encoder, record.number.unwrap_or(place as u64), record);
        check(head)?;
        encode_content(&mut encoder, &record.content)?;
    }
    Ok(encoder.into_writer())
}

fn check(written: Written) -> Result<(), Error> {
    written.map_err(|_| no_encoding("what cannot be written"))
}

fn encode_head(encoder: &mut Encoder<Vec<u8>>, number: u64, record: &Record<'_>) -> Written {
    encoder.map(4)?.u8(0)?.u64(number)?;
    match record.register {
        Register::Pcr(pcr) => encoder.u8(1)?.u32(pcr)?,
        Register::NvIndex(index) => encoder.u8(2)?.u32(index)?,
    };
    encoder.u8(3)?.map(record.digests.len() as u64)?;
    for (algorithm, digest) in &record.digests {
        encoder.u16(algorithm.0)?.bytes(digest)?;
    }
    Ok(())
}

fn encode_content(encoder: &mut Encoder<Vec<u8>>, content: &Content<'_>) -> Result<(), Error> {
    match content {
        Content::PcClient { event_type, data } => {
            check(two(encoder, TYPE_PCCLIENT_STD, |encoder| encoder.u32(*event_type)?.u8(1)?.bytes(data).map(|_| ())))
        }
        Content::ImaTemplate { name, data } => {
            check(two(encoder, TYPE_IMA_TEMPLATE, |encoder| encoder.str(name)?.u8(1)?.bytes(data).map(|_| ())))
        }
        Content::Systemd(_) => Err(no_encoding("what systemd says")),
        Content::Other { kind, data } => {
            let number = type_number(kind).ok_or_else(|| no_encoding(kind))?;
            check(encoder.u8(number).map(|_| ()))?;
            encoder.writer_mut().extend_from_slice(data);
            Ok(())
        }
    }
}

fn two(encoder: &mut Encoder<Vec<u8>>, kind: u8, members: impl FnOnce(&mut Encoder<Vec<u8>>) -> Written) -> Written {
    encoder.u8(kind)?.map(2)?.u8(0)?;
    members(encoder)
}
