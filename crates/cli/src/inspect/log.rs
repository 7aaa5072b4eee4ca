//! Event logs, record by record.

use crate::fields::{Fields, Rows, Value};
use sealwright_verify::replay::{DataMatch, data_matches_digest};
use sealwright_wire::aael::RuntimeEvent;
use sealwright_wire::acpi::Ccel;
use sealwright_wire::tcg2::event_type::{self, EV_NO_ACTION};
use sealwright_wire::tcg2::{AlgorithmId, Content, Event, Log, TaggedEvent};
use sealwright_wire::uefi::FileNames;
use std::ops::RangeInclusive;

/// RTMR0 to RTMR3 as a log counts them.
const RTMR_INDEXES: RangeInclusive<u32> = 1..=4;
/// Longest description of a record, in characters.
const DESCRIPTION: usize = 120;

/// Whether the first record is one that begins a log: an EV_NO_ACTION with a Spec ID.
pub(super) fn looks_like_tcg2(bytes: &[u8]) -> bool {
    let event_type = bytes.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    event_type == Some(EV_NO_ACTION) && bytes.get(32..40) == Some(b"Spec ID ")
}

/// What the log is called, with its banks.
pub(super) fn kind(log: &Log<'_>) -> String {
    let banks: Vec<_> = log.banks().iter().map(|bank| bank.algorithm().to_string()).collect();
    match log.spec_id() {
        Some(_) => format!("TCG2 event log, {}", banks.join(" + ")),
        None => "event log of TPM 1.2, sha1".to_owned(),
    }
}

/// The log's header and records.
pub(crate) fn events(log: &Log<'_>) -> Fields {
    Fields::new()
        .with("records", log.event_count())
        .with("bytes_used", log.used().len())
        .with("padding", format!("{:?}", log.padding()))
        .with("events", Rows::new(log.used(), log.event_count(), records))
}

/// The records of a log that was read before.
fn records(bytes: &[u8]) -> Box<dyn Iterator<Item = Value> + '_> {
    let log = Log::parse(bytes).ok();
    let tdx = log.as_ref().is_some_and(is_tdx);
    Box::new(log.into_iter().flat_map(|log| log.events()).map(move |event| record(tdx, &event).into()))
}

/// A log with one SHA-384 bank whose events extend MR indexes 1 to 4 is a trust domain's.
pub(crate) fn is_tdx(log: &Log<'_>) -> bool {
    let extends_rtmr = |event: &Event<'_>| event.event_type == EV_NO_ACTION || RTMR_INDEXES.contains(&event.mr_index);
    let sha384 = log.banks().iter().all(|bank| bank.algorithm() == AlgorithmId::SHA384);
    sha384 && log.events().all(|event| extends_rtmr(&event))
}

/// What a register is called: those of a trust domain have names, a TPM's have numbers.
pub(crate) fn register_name(tdx: bool, mr_index: u32) -> String {
    match mr_index.checked_sub(1) {
        None if tdx => "mrtd".to_owned(),
        Some(rtmr) if tdx => format!("rtmr{rtmr}"),
        _ => format!("pcr{mr_index}"),
    }
}

fn record(tdx: bool, event: &Event<'_>) -> Fields {
    let digests = event.digests.iter().map(|(algorithm, digest)| format!("{algorithm}:{}", hex::encode(digest)));
    Fields::new()
        .with("index", event.index)
        .with("offset", event.offset)
        .with("mr_index", event.mr_index)
        .with("register", register_name(tdx, event.mr_index))
        .with(
            "type",
            event_type::name(event.event_type).map_or_else(|| format!("{:#x}", event.event_type), str::to_owned),
        )
        .with("digests", digests.collect::<Vec<_>>())
        .with("data", Value::Bytes(event.data.to_vec()))
        .with_some("data_is_what_was_measured", is_measured(data_matches_digest(event)))
        .with("about", describe(event))
}

/// Whether what a record says is what its digests are over; `None` where they are over something that the log does not hold.
pub(super) const fn is_measured(data: DataMatch) -> Option<bool> {
    match data {
        DataMatch::Yes => Some(true),
        DataMatch::No => Some(false),
        DataMatch::NotApplicable => None,
    }
}

/// What a record says about itself, in one line.
fn describe(event: &Event<'_>) -> String {
    if let Some(Ok(runtime)) = RuntimeEvent::from_record(event) {
        return format!("{} {} {}", runtime.domain(), runtime.operation(), runtime.content());
    }
    match event.content() {
        Content::Variable(variable) => {
            format!("{} of {}, {} bytes", variable.name_text(), variable.owner, variable.data.len())
        }
        Content::Image(image) => {
            let path = image.device_path().text(FileNames::Bare).filter(|path| !path.is_empty());
            path.unwrap_or_else(|| format!("image of {} bytes", image.length))
        }
        Content::PartitionTable(table) => format!("disk {}, {} partitions", table.disk(), table.number_of_partitions),
        Content::FirmwareBlob(blob) => {
            let named = blob.description.and_then(printable).map_or_else(String::new, |name| format!("{name}, "));
            format!("{named}{} bytes at {:#x}", blob.length, blob.base)
        }
        Content::Separator(value) => format!("{value:#x}"),
        Content::StartupLocality(locality) => format!("startup locality {locality}"),
        Content::Section(text) | Content::Utf16(text) => text.chars().take(DESCRIPTION).collect(),
        Content::Payload(command_line) => described(command_line),
        Content::Initrd | Content::LoadOptions | Content::Tagged(_) => {
            described(TaggedEvent::parse(event.data).map_or(event.data, |tagged| tagged.data))
        }
        _ => described(event.data),
    }
}

/// The data as text, or its length.
pub(super) fn described(data: &[u8]) -> String {
    printable(data).unwrap_or_else(|| format!("{} bytes", data.len()))
}

/// The data as text, when it is text.
fn printable(data: &[u8]) -> Option<String> {
    let data = data.strip_suffix(b"\0").unwrap_or(data);
    let text = std::str::from_utf8(data).ok()?;
    let fits = !text.is_empty() && !text.chars().any(char::is_control);
    fits.then(|| text.chars().take(DESCRIPTION).collect())
}

/// The fields of the ACPI table.
pub(super) fn ccel_table(table: &Ccel) -> Fields {
    Fields::new()
        .with("length", table.length.get())
        .with("revision", table.revision)
        .with("cc_type", table.cc_type)
        .with("cc_subtype", table.cc_subtype)
        .with("log_area_minimum_length", table.log_area_length.get())
        .hex("log_area_start_address", table.log_area_address.get().to_be_bytes())
}
