//! A log of any kind: which it is, and its records.

use super::log;
use crate::fields::{Fields, Rows, Value};
use anyhow::{Context, Result, bail};
use sealwright_verify::replay;
use sealwright_wire::cel::{self, Content, Encoding, Record, Register};
use sealwright_wire::ima::{self, Entry, Field, Form};
use sealwright_wire::tcg2::{Log, event_type};

/// Longest text of a record, in characters.
const DESCRIPTION: usize = 120;

/// A log that was read whole.
#[derive(Debug)]
pub(crate) enum AnyLog<'a> {
    /// A firmware's: TCG2, CCEL or TPM 1.2.
    Firmware(Log<'a>),
    /// The kernel's list of IMA.
    Ima(List<'a>),
    /// A canonical event log.
    Canonical(cel::Log<'a>),
}

/// A list of IMA of which every entry was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a> {
    bytes: &'a [u8],
    form: Form,
    entries: usize,
}

impl<'a> List<'a> {
    fn parse(form: Form, bytes: &'a [u8]) -> Result<Self, sealwright_wire::Error> {
        let entries = ima::entries(bytes)?.try_fold(0usize, |count, entry| entry.map(|_| count + 1))?;
        Ok(Self { bytes, form, entries })
    }

    /// The first entry.
    pub(crate) fn first(&self) -> Option<Entry<'a>> {
        ima::entries(self.bytes).ok()?.next()?.ok()
    }
}

impl<'a> AnyLog<'a> {
    /// Reads a log of whichever kind it is.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self> {
        if Log::has_header(bytes) {
            return Ok(Self::Firmware(Log::parse(bytes)?));
        }
        if matches!(Encoding::of(bytes), Some(Encoding::Json | Encoding::JsonSeq)) {
            return Ok(Self::Canonical(cel::Log::parse(bytes)?));
        }
        if bytes.starts_with(b"CCEL") {
            bail!(
                "this is the ACPI table that says where the log is; the log is in /sys/firmware/acpi/tables/data/CCEL"
            );
        }
        if let Some(found) = Self::recognise(bytes) {
            return Ok(found);
        }
        if let Some(form) = Form::of(bytes).filter(|_| !bytes.is_empty()) {
            return Ok(Self::Ima(List::parse(form, bytes).context("IMA list")?));
        }
        match Log::parse(bytes) {
            // Whoever calls it a log is believed as far as its records go: types have numbers that nobody named.
            Ok(log) if log.event_count() > 0 => Ok(Self::Firmware(log)),
            Ok(_) => bail!("no records"),
            Err(error) => bail!(
                "neither a header of TCG2, nor an IMA list, nor a canonical event log; as records of TPM 1.2: {error}"
            ),
        }
    }

    /// The log, where these bytes are one to their end. What has a header of TCG2 is told apart before.
    pub(super) fn recognise(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        if let Some(form) = Form::of(bytes)
            && let Ok(list) = List::parse(form, bytes)
        {
            return Some(Self::Ima(list));
        }
        if let Ok(log) = cel::Log::parse(bytes) {
            return (log.record_count() > 0).then_some(Self::Canonical(log));
        }
        // Nothing tells these records from other bytes but that they end where the file does, and name registers that there are.
        let log = Log::parse(bytes).ok().filter(|log| log.event_count() > 0)?;
        let known = |event_type| event_type::name(event_type).is_some();
        log.events()
            .all(|event| event.mr_index < replay::MAX_REGISTERS && known(event.event_type))
            .then_some(Self::Firmware(log))
    }

    /// What it is, in words.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Firmware(log) if log::is_tdx(log) && log.event_count() > 0 => {
                format!("{}, of a trust domain", log::kind(log))
            }
            Self::Firmware(log) => log::kind(log),
            Self::Ima(List { form: Form::Ascii, .. }) => "IMA measurement list".to_owned(),
            Self::Ima(List { form: Form::Binary { .. }, .. }) => "IMA measurement list, binary".to_owned(),
            Self::Canonical(log) => format!("canonical event log, {}", log.encoding().name()),
        }
    }

    /// Its records, in order.
    pub(crate) fn fields(&self) -> Fields {
        match self {
            Self::Firmware(log) => log::events(log),
            Self::Ima(List { bytes, entries, .. }) => {
                Fields::new().with("entries", *entries).with("list", Rows::new(*bytes, *entries, ima_entries))
            }
            Self::Canonical(log) => {
                let rows = Rows::new(log.bytes(), log.record_count(), canonical_records);
                Fields::new().with("records", log.record_count()).with("events", rows)
            }
        }
    }
}

/// The entries of a list that was read before.
fn ima_entries(bytes: &[u8]) -> Box<dyn Iterator<Item = Value> + '_> {
    Box::new(ima::entries(bytes).into_iter().flatten().map_while(Result::ok).map(|entry| ima_entry(&entry).into()))
}

fn ima_entry(entry: &Entry<'_>) -> Fields {
    let fields = Fields::new()
        .with("pcr", entry.pcr)
        .with("template", entry.template)
        .hex("template_digest", &entry.template_digest)
        .with("violation", entry.is_violation());
    entry.fields.iter().fold(fields, |fields, field| fields.with(field.name, ima_field(field)))
}

/// A field as the ASCII list has it.
fn ima_field(field: &Field<'_>) -> String {
    let mut text = Vec::new();
    match field.to_ascii(&mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => hex::encode(&field.data),
    }
}

/// The records of a log that was read before.
fn canonical_records(bytes: &[u8]) -> Box<dyn Iterator<Item = Value> + '_> {
    let records = cel::Log::parse(bytes).into_iter().flat_map(|log| log.records()).enumerate();
    Box::new(records.map(|(place, record)| canonical(place, &record).into()))
}

fn canonical(place: usize, record: &Record<'_>) -> Fields {
    let digests = record.digests.iter().map(|(algorithm, digest)| format!("{algorithm}:{}", hex::encode(digest)));
    let register = match record.register {
        Register::Pcr(pcr) => format!("pcr{pcr}"),
        Register::NvIndex(index) => format!("nv{index:#010x}"),
    };
    let (kind, about) = said(&record.content);
    Fields::new()
        .with("index", place)
        .with_some("number", record.number)
        .with("register", register)
        .with("type", kind)
        .with("digests", digests.collect::<Vec<_>>())
        .with_some("content_is_what_was_measured", log::is_measured(replay::cel_matches_digest(record)))
        .with("about", about)
}

/// The type of a record and what it says, in one line.
fn said(content: &Content<'_>) -> (String, String) {
    match content {
        Content::PcClient { event_type, data } => {
            let name = event_type::name(*event_type);
            (name.map_or_else(|| format!("{event_type:#x}"), str::to_owned), log::described(data))
        }
        Content::ImaTemplate { name, data } => (format!("ima_template {name}"), format!("{} bytes", data.len())),
        Content::Systemd(said) => {
            let kind =
                said.event_type.as_deref().map_or_else(|| "systemd".to_owned(), |kind| format!("systemd {kind}"));
            (kind, said.text.as_deref().unwrap_or_default().chars().take(DESCRIPTION).collect())
        }
        Content::Other { kind, data } => (kind.clone().into_owned(), log::described(data)),
    }
}
