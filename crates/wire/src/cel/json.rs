//! JSON (CEL 1.0, section 5.2), and the sequence of it that systemd appends to (RFC 7464).

use super::{Content, MAX_DIGESTS, RECORD_SEPARATOR, Record, Register, Systemd, add_digest, no_encoding, one_register};
use crate::tcg2::{AlgorithmId, event_type};
use crate::{Error, json};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A record to be written.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    recnum: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pcr: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nv_index: Option<u32>,
    digests: Vec<JsonDigest<'a>>,
    content_type: Cow<'a, str>,
    content: Box<RawValue>,
}

/// A record as it is read.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(default)]
    recnum: Option<u64>,
    #[serde(default)]
    pcr: Option<u32>,
    #[serde(default)]
    nv_index: Option<u32>,
    #[serde(borrow, deserialize_with = "json::at_most::<_, _, MAX_DIGESTS>")]
    digests: Vec<JsonDigest<'a>>,
    #[serde(borrow)]
    content_type: Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
struct JsonDigest<'a> {
    #[serde(borrow, rename = "hashAlg")]
    hash_alg: Cow<'a, str>,
    #[serde(borrow)]
    digest: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct JsonPcClient<'a> {
    #[serde(borrow)]
    event_type: EventType<'a>,
    #[serde(borrow, default)]
    event_data: Cow<'a, str>,
}

/// The specification's name, or the number.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum EventType<'a> {
    Number(u32),
    #[serde(borrow)]
    Name(Cow<'a, str>),
}

#[derive(Serialize, Deserialize)]
struct JsonImaTemplate<'a> {
    #[serde(borrow)]
    template_name: Cow<'a, str>,
    #[serde(borrow)]
    template_data: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct JsonSystemd<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    string: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "bootId", skip_serializing_if = "Option::is_none")]
    boot_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(borrow, default, rename = "eventType", skip_serializing_if = "Option::is_none")]
    event_type: Option<Cow<'a, str>>,
}

/// Whether the log is an array, whatever of.
pub(super) fn check_array(log: &[u8]) -> Result<(), Error> {
    from_json::<Values>("canonical event log", log, 0).map(|Values| ())
}

/// An array of values of which none is kept.
struct Values;

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self)
    }
}

impl<'de> Visitor<'de> for Values {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<&RawValue>()?.is_some() {}
        Ok(self)
    }
}

/// A place in an array before a record.
#[derive(Clone, Debug)]
pub(super) struct Array<'a> {
    log: &'a [u8],
    place: usize,
}

impl<'a> Array<'a> {
    /// The beginning of an array that [`check_array`] has seen.
    pub(super) fn new(log: &'a [u8]) -> Self {
        let bracket = log.iter().position(|byte| *byte == b'[');
        Self { log, place: bracket.map_or(log.len(), |place| place.saturating_add(1)) }
    }

    pub(super) fn record(&mut self) -> Result<Option<Record<'a>>, Error> {
        let rest = self.log.get(self.place..).unwrap_or_default();
        let gap = rest.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b',').count();
        let (at, rest) = (self.place.saturating_add(gap), rest.get(gap..).unwrap_or_default());
        if rest.is_empty() || rest.starts_with(b"]") {
            return Ok(None);
        }
        let raw = <&RawValue>::deserialize(&mut serde_json::Deserializer::from_slice(rest))
            .map_err(|error| Error::json("canonical event log", rest, &error).at(at))?;
        self.place = at.saturating_add(raw.get().len());
        record(raw.get().as_bytes(), at).map(Some)
    }
}

/// A place in a sequence, whose records are each behind a record separator. One that is cut short is refused: where something was lost,
/// registers cannot be explained.
#[derive(Clone, Debug)]
pub(super) struct Sequence<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Sequence<'a> {
    pub(super) fn new(log: &'a [u8]) -> Self {
        Self { rest: log, offset: 0 }
    }

    pub(super) fn record(&mut self) -> Result<Option<Record<'a>>, Error> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|byte| *byte == RECORD_SEPARATOR).unwrap_or(self.rest.len());
            let (text, behind) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
            let at = self.offset;
            self.rest = behind.get(1..).unwrap_or_default();
            self.offset = at.saturating_add(end).saturating_add(1);
            if !text.trim_ascii().is_empty() {
                return record(text, at).map(Some);
            }
        }
        Ok(None)
    }
}

fn from_json<'a, T: Deserialize<'a>>(field: &'static str, text: &'a [u8], base: usize) -> Result<T, Error> {
    serde_json::from_slice(text).map_err(|error| Error::json(field, text, &error).at(base))
}

fn record(text: &[u8], base: usize) -> Result<Record<'_>, Error> {
    let json: Read<'_> = from_json("CEL record", text, base)?;
    let register = one_register(base, json.pcr, json.nv_index)?;
    let mut digests = Vec::new();
    for digest in json.digests {
        let algorithm = algorithm(&digest.hash_alg, base)?;
        add_digest(&mut digests, base, algorithm, Cow::Owned(unhex("CEL digest", &digest.digest, base)?))?;
    }
    let content = content(json.content_type, json.content, base)?;
    Ok(Record { number: json.recnum, register, digests, content })
}

pub(super) fn algorithm(name: &str, base: usize) -> Result<AlgorithmId, Error> {
    let number = || name.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok()).map(AlgorithmId);
    AlgorithmId::from_name(&name.to_ascii_lowercase())
        .or_else(number)
        .ok_or_else(|| Error::unexpected("CEL hashAlg", base, "the name of a hash algorithm", name))
}

fn unhex(field: &'static str, text: &str, base: usize) -> Result<Vec<u8>, Error> {
    hex::decode(text).map_err(|_| Error::unexpected(field, base, "hex digits", text))
}

fn content<'a>(kind: Cow<'a, str>, raw: &'a RawValue, base: usize) -> Result<Content<'a>, Error> {
    let text = raw.get().as_bytes();
    match &*kind {
        "pcclient_std" => {
            let json: JsonPcClient<'a> = from_json("PCCLIENT_STD", text, base)?;
            let event_type = event_type_of(&json.event_type, base)?;
            let data = Cow::Owned(unhex("PCCLIENT_STD event_data", &json.event_data, base)?);
            Ok(Content::PcClient { event_type, data })
        }
        "ima_template" => {
            let json: JsonImaTemplate<'a> = from_json("IMA_TEMPLATE", text, base)?;
            let data = Cow::Owned(unhex("IMA_TEMPLATE template_data", &json.template_data, base)?);
            Ok(Content::ImaTemplate { name: json.template_name, data })
        }
        "systemd" => {
            let JsonSystemd { string, boot_id, timestamp, event_type } = from_json("systemd content", text, base)?;
            Ok(Content::Systemd(Systemd { text: string, event_type, boot_id, timestamp }))
        }
        _ => Ok(Content::Other { kind, data: Cow::Borrowed(text) }),
    }
}

fn event_type_of(json: &EventType<'_>, base: usize) -> Result<u32, Error> {
    match json {
        EventType::Number(number) => Ok(*number),
        EventType::Name(name) => {
            let number = || name.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
            event_type::from_name(name)
                .or_else(number)
                .ok_or_else(|| Error::unexpected("PCCLIENT_STD event_type", base, "the name of an event type", name))
        }
    }
}

pub(super) fn encode_array(records: &[Record<'_>]) -> Result<Vec<u8>, Error> {
    let records: Vec<_> = records
        .iter()
        .enumerate()
        .map(|(place, record)| encode(record, Some(record.number.unwrap_or(place as u64))))
        .collect::<Result<_, _>>()?;
    serde_json::to_vec(&records).map_err(|error| Error::json("canonical event log", &[], &error))
}

pub(super) fn encode_sequence(records: &[Record<'_>]) -> Result<Vec<u8>, Error> {
    let mut log = Vec::new();
    for record in records {
        log.push(RECORD_SEPARATOR);
        serde_json::to_writer(&mut log, &encode(record, record.number)?)
            .map_err(|error| Error::json("CEL record", &[], &error))?;
        log.push(b'\n');
    }
    Ok(log)
}

fn encode<'r>(record: &'r Record<'_>, recnum: Option<u64>) -> Result<Written<'r>, Error> {
    let (pcr, nv_index) = match record.register {
        Register::Pcr(pcr) => (Some(pcr), None),
        Register::NvIndex(index) => (None, Some(index)),
    };
    let digests = record.digests.iter().map(|(algorithm, digest)| JsonDigest {
        hash_alg: Cow::Owned(algorithm.to_string()),
        digest: Cow::Owned(hex::encode(digest)),
    });
    let (content_type, content) = encode_content(&record.content)?;
    Ok(Written { recnum, pcr, nv_index, digests: digests.collect(), content_type, content })
}

fn encode_content<'r>(content: &'r Content<'_>) -> Result<(Cow<'r, str>, Box<RawValue>), Error> {
    let raw =
        |json: Result<Box<RawValue>, serde_json::Error>| json.map_err(|error| Error::json("CEL content", &[], &error));
    match content {
        Content::PcClient { event_type, data } => {
            let name = event_type::name(*event_type);
            let event_type = name.map_or(EventType::Number(*event_type), |name| EventType::Name(Cow::Borrowed(name)));
            let json = JsonPcClient { event_type, event_data: Cow::Owned(hex::encode(data)) };
            Ok((Cow::Borrowed("pcclient_std"), raw(serde_json::value::to_raw_value(&json))?))
        }
        Content::ImaTemplate { name, data } => {
            let json =
                JsonImaTemplate { template_name: Cow::Borrowed(name), template_data: Cow::Owned(hex::encode(data)) };
            Ok((Cow::Borrowed("ima_template"), raw(serde_json::value::to_raw_value(&json))?))
        }
        Content::Systemd(said) => {
            let json = JsonSystemd {
                string: said.text.as_deref().map(Cow::Borrowed),
                boot_id: said.boot_id.as_deref().map(Cow::Borrowed),
                timestamp: said.timestamp,
                event_type: said.event_type.as_deref().map(Cow::Borrowed),
            };
            Ok((Cow::Borrowed("systemd"), raw(serde_json::value::to_raw_value(&json))?))
        }
        Content::Other { kind, data } => {
            let text = std::str::from_utf8(data).map_err(|_| no_encoding(kind))?;
            Ok((Cow::Borrowed(kind), raw(RawValue::from_string(text.to_owned()))?))
        }
    }
}
