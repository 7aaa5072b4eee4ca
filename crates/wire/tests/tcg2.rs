//! TCG2 logs: real ones are read to the last byte, written ones are read back, broken ones are refused with the place.

mod support;

use proptest::prelude::*;
use sealwright_wire::tcg2::{AlgorithmId, Digested, Event, Guid, Log, MAX_LOG, Padding, TaggedEvent, UefiVariable};
use sealwright_wire::tcg2::{Writer, event_type};
use serde_json::Value;
use std::fs;
use std::path::Path;

const SHA384: &[AlgorithmId] = &[AlgorithmId::SHA384];

/// A log with a header, a variable event, an action and a runtime-like event, in an area with a padded tail.
fn sample() -> Vec<u8> {
    let mut writer = Writer::new(1, SHA384).unwrap();
    let variable = UefiVariable::encode(Guid::GLOBAL_VARIABLE, "SecureBoot", &[]);
    writer.event(1, event_type::EV_EFI_VARIABLE_DRIVER_CONFIG, &[&[1; 48]], &variable).unwrap();
    writer.event(2, event_type::EV_EFI_ACTION, &[&[2; 48]], b"Exit Boot Services Invocation").unwrap();
    writer.event(4, event_type::EV_EVENT_TAG, &[&[3; 48]], &TaggedEvent::encode(7, b"seven").unwrap()).unwrap();
    writer.into_area(600).unwrap()
}

fn le32(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap().to_le_bytes()
}

fn expected(folder: &Path) -> serde_json::Map<String, Value> {
    let text = fs::read(folder.join("expected.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap().as_object().unwrap().clone()
}

#[test]
fn real_logs_have_the_published_number_of_records() {
    let Some(vectors) = support::vectors() else { return };
    let mut seen = 0;
    for folder in ["ccel/evidence-api", "ccel/trustee", "ccel/unverified", "tpm/google", "tpm/tpm2-tools", "tpm/legacy"]
    {
        let folder = vectors.join("eventlog").join(folder);
        for (name, answer) in expected(&folder) {
            let Some(records) = answer["events"].as_u64() else { continue };
            let file = folder.join(answer["data_file"].as_str().unwrap_or(&name));
            let bytes = fs::read(&file).unwrap();
            let log = Log::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            let header = usize::from(log.spec_id().is_some());
            let without_header = answer["events_without_header_record"] == true;
            let counted = if without_header { log.event_count() } else { log.event_count() + header };
            assert_eq!(counted as u64, records, "{name}");
            assert_eq!(log.events().count(), log.event_count(), "{name}: the iterator sees what was counted");
            if let Some(end) = answer["log_ends_at_byte"].as_u64() {
                assert_eq!(log.used().len() as u64, end, "{name}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 20, "only {seen} logs");
}

#[test]
fn real_ccel_is_taken_apart_as_published() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = fs::read(vectors.join("eventlog/ccel/trustee/CCEL_data_ovmf")).unwrap();
    let log = Log::parse(&bytes).unwrap();
    assert_eq!(log.padding(), Padding::Ones);
    assert!(Log::has_header(&bytes) && !Log::has_header(&bytes[1..]) && !Log::has_header(&bytes[..40]));
    let spec_id = log.spec_id().unwrap();
    assert_eq!((spec_id.mr_index, spec_id.version, spec_id.uintn_size), (1, (2, 0), 2));
    assert_eq!(spec_id.banks.iter().map(|bank| bank.algorithm()).collect::<Vec<_>>(), SHA384);
    let first = log.events().next().unwrap();
    assert_eq!((first.index, first.offset, first.mr_index), (1, 65, 1));
    assert_eq!(event_type::name(first.event_type), Some("EV_EFI_HANDOFF_TABLES2"));
    let golden: Value =
        serde_json::from_slice(&fs::read(vectors.join("eventlog/ccel/trustee/CCEL_data_ovmf_out.json")).unwrap())
            .unwrap();
    let text = golden.to_string();
    for event in log.events() {
        let digest = hex::encode(event.digests.get(AlgorithmId::SHA384).unwrap());
        assert!(text.contains(&digest), "record {} is not in the published output", event.index);
    }
}

#[test]
fn a_log_of_zero_padding_ends_where_its_records_do() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = fs::read(vectors.join("eventlog/ccel/trustee/CCEL_data")).unwrap();
    let log = Log::parse(&bytes).unwrap();
    assert_eq!(
        (log.padding(), log.used().len(), log.spec_id().unwrap().vendor_info),
        (Padding::Zeros, 9822, &b"td-shim"[..])
    );
}

#[test]
fn a_header_whose_length_leaves_out_its_vendor_info_is_read_by_its_own_lengths() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = fs::read(vectors.join("eventlog/tpm/tpm2-tools/specid-vendordata.bin")).unwrap();
    let log = Log::parse(&bytes).unwrap();
    let spec_id = log.spec_id().unwrap();
    assert_eq!((spec_id.stated_size, spec_id.vendor_info), (37, &[0xde, 0xad, 0xbe, 0xef][..]));
    assert_eq!((log.event_count(), log.used().len()), (0, bytes.len()));
    let error = Log::parse(&bytes[..72]).unwrap_err();
    assert_eq!(error.to_string(), "TCG_EfiSpecIDEvent.vendorInfo at byte 69: needs 4 bytes, 3 are left");
    let mut half = bytes.clone();
    half[28] += 2;
    assert!(Log::parse(&half).is_err(), "a length that cuts the vendor's information in two is no length");
}

#[test]
fn a_header_whose_digest_is_not_zero_is_refused_with_the_place() {
    for place in 8..28 {
        let mut bytes = sample();
        bytes[place] ^= 0x40;
        let error = Log::parse(&bytes).unwrap_err().to_string();
        assert_eq!(error, format!("header digest at byte {place}: expected 20 bytes of zero, found 0x40"));
    }
}

#[test]
fn written_events_are_read_back() {
    let area = sample();
    let log = Log::parse(&area).unwrap();
    let events: Vec<Event<'_>> = log.events().collect();
    assert_eq!(events.iter().map(|event| event.mr_index).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(events.iter().map(|event| event.index).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(events[1].data, b"Exit Boot Services Invocation");
    assert_eq!(events[1].digests.get(AlgorithmId::SHA384), Some(&[2; 48][..]));
    assert_eq!(events[1].digests.get(AlgorithmId::SHA256), None);
    let variable = UefiVariable::parse(events[0].data).unwrap();
    assert_eq!((variable.name_text().as_str(), variable.data), ("SecureBoot", &[][..]));
    assert_eq!(variable.owner.to_string(), "8be4df61-93ca-11d2-aa0d-00e098032b8c");
    assert_eq!(TaggedEvent::parse(events[2].data), Ok(TaggedEvent { tag: 7, data: b"seven" }));
}

#[test]
fn a_log_can_be_resumed_behind_its_last_record() {
    let area = sample();
    let mut writer = Writer::resume(&Log::parse(&area).unwrap()).unwrap();
    writer.event(4, event_type::EV_EVENT_TAG, &[&[4; 48]], b"more").unwrap();
    let bytes = writer.into_bytes();
    let log = Log::parse(&bytes).unwrap();
    assert_eq!((log.event_count(), log.padding()), (4, Padding::None));
    assert!(bytes.starts_with(Log::parse(&area).unwrap().used()));
}

#[test]
fn the_writer_refuses_what_a_reader_would() {
    assert!(Writer::new(0, &[]).is_err());
    assert!(Writer::new(0, &[AlgorithmId(0x7777)]).is_err());
    let mut writer = Writer::new(0, SHA384).unwrap();
    let before = writer.as_bytes().to_vec();
    assert!(writer.event(1, 4, &[&[0; 32]], &[]).is_err(), "a digest of another size");
    assert!(writer.event(1, 4, &[], &[]).is_err(), "no digest");
    assert!(writer.event(1, 4, &[&[0; 48]], &vec![0; MAX_LOG]).is_err(), "more than a log may hold");
    assert_eq!(writer.as_bytes(), before, "a refused event leaves no trace");
    assert!(writer.into_area(10).is_err());
}

#[test]
fn every_cut_and_every_flip_is_an_error_or_another_log_but_no_panic() {
    let area = sample();
    let used = Log::parse(&area).unwrap().used().len();
    let ends: Vec<usize> = Log::parse(&area).unwrap().events().map(|event| event.offset).collect();
    for len in 0..used {
        let cut = Log::parse(&area[..len]);
        assert_eq!(cut.is_ok(), ends.contains(&len), "cut at {len}");
    }
    for place in 0..area.len() {
        for bit in 0..8 {
            let mut flipped = area.clone();
            flipped[place] ^= 1 << bit;
            if let Ok(log) = Log::parse(&flipped) {
                assert!(place < used, "a flip in the padding at {place} is seen");
                log.events().for_each(|event| drop(format!("{event:?} {:?}", event.digested())));
            }
        }
    }
}

#[test]
fn bytes_behind_the_padding_are_refused_with_their_place() {
    let mut area = sample();
    let last = area.len() - 1;
    area[last] = 0x41;
    let error = Log::parse(&area).unwrap_err();
    assert_eq!(error.to_string(), "padding at byte 599: expected the same byte to the end of the log, found 0x41");
}

#[test]
fn a_byte_anywhere_in_the_padding_is_found() {
    let mut area = sample();
    area.resize(area.len() + 200, 0xff);
    // The first eight are what tells padding from a record.
    let begin = Log::parse(&area).unwrap().used().len() + 8;
    for place in begin..area.len() {
        area[place] = 0xfe;
        assert_eq!(Log::parse(&area).unwrap_err().offset, place);
        area[place] = 0xff;
    }
}

#[test]
fn a_record_that_begins_like_padding_costs_one_look_and_is_refused() {
    let mut zeros = sample();
    let used = Log::parse(&zeros).unwrap().used().len();
    zeros.truncate(used);
    zeros.resize(MAX_LOG, 0);
    assert_eq!(Log::parse(&zeros).unwrap().padding(), Padding::Zeros);
    zeros[MAX_LOG - 1] = 1;
    assert_eq!(Log::parse(&zeros).unwrap_err().offset, MAX_LOG - 1);
    zeros.push(0);
    assert!(Log::parse(&zeros).unwrap_err().to_string().contains("over the limit"));
}

#[test]
fn ambiguous_or_absurd_records_are_refused() {
    let two = Writer::new(0, &[AlgorithmId::SHA1, AlgorithmId::SHA256]).unwrap().into_bytes();
    let record = |digests: &[(u16, usize)], len: u32| {
        let mut bytes = two.clone();
        bytes.extend_from_slice(&[8, 0, 0, 0, 4, 0, 0, 0]);
        bytes.extend_from_slice(&le32(digests.len()));
        for (algorithm, size) in digests {
            bytes.extend_from_slice(&algorithm.to_le_bytes());
            bytes.resize(bytes.len() + size, 9);
        }
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes
    };
    let why = |digests: &[(u16, usize)], len| Log::parse(&record(digests, len)).unwrap_err().to_string();
    assert!(Log::parse(&record(&[(4, 20), (11, 32)], 0)).is_ok());
    assert!(Log::parse(&record(&[(11, 32)], 0)).is_ok(), "a bank may be left out");
    assert!(why(&[], 0).contains("digest count"));
    assert!(why(&[(4, 20), (4, 20)], 0).contains("each bank once"));
    assert!(why(&[(4, 20), (12, 48)], 0).contains("a bank of the header"));
    assert!(why(&[(4, 20), (11, 32), (4, 20)], 0).contains("digest count"));
    assert!(why(&[(4, 20)], u32::MAX).contains("needs 4294967295 bytes"));
    for banks in [&[(11u16, 20u16)][..], &[(11, 32), (11, 32)], &[(0x99, 65)], &[(0x99, 0)], &[]] {
        let mut header = vec![0; 8];
        header[4] = 3;
        header.resize(28, 0);
        header.extend_from_slice(&le32(29 + 4 * banks.len()));
        header.extend_from_slice(b"Spec ID Event03\0\0\0\0\0\0\x02\0\x02");
        header.extend_from_slice(&le32(banks.len()));
        banks.iter().for_each(|(id, size)| header.extend([id.to_le_bytes(), size.to_le_bytes()].concat()));
        header.push(0);
        assert!(Log::parse(&header).is_err(), "{banks:?}");
    }
}

#[test]
fn only_measured_words_are_called_digested() {
    let digested = |event_type, data: &[u8]| {
        let mut writer = Writer::new(0, SHA384).unwrap();
        writer.event(1, event_type, &[&[0; 48]], data).unwrap();
        let bytes = writer.into_bytes();
        let log = Log::parse(&bytes).unwrap();
        match log.events().next().unwrap().digested() {
            Digested::Bytes(bytes) => vec![bytes.to_vec()],
            Digested::Either(one, other) => vec![one.to_vec(), other.to_vec()],
            Digested::Elsewhere => Vec::new(),
        }
    };
    assert_eq!(digested(event_type::EV_SEPARATOR, &[0; 4]), [[0; 4]]);
    let both = [&b"linux /vmlinuz"[..], b"linux /vmlinuz\0"];
    assert_eq!(digested(event_type::EV_IPL, b"grub_cmd: linux /vmlinuz\0"), both);
    assert_eq!(digested(event_type::EV_IPL, b"grub_kernel_cmdline linux /vmlinuz\0"), both);
    assert!(digested(event_type::EV_IPL, b"/boot/initrd.img\0").is_empty());
    assert!(digested(event_type::EV_EFI_BOOT_SERVICES_APPLICATION, b"path").is_empty());
    let boot = UefiVariable::encode(Guid::GLOBAL_VARIABLE, "BootOrder", &[0, 0]);
    assert_eq!(digested(event_type::EV_EFI_VARIABLE_BOOT, &boot), [vec![0, 0], boot.clone()]);
    let initrd = TaggedEvent::encode(TaggedEvent::LINUX_INITRD, b"Linux initrd\0").unwrap();
    assert!(digested(event_type::EV_EVENT_TAG, &initrd).is_empty());
}

#[test]
fn startup_locality_is_read_from_its_event_alone() {
    let mut writer = Writer::new(0, SHA384).unwrap();
    writer.event(0, event_type::EV_NO_ACTION, &[&[0; 48]], b"StartupLocality\0\x03").unwrap();
    writer.event(0, event_type::EV_NO_ACTION, &[&[0; 48]], b"StartupLocality\0").unwrap();
    writer.event(0, event_type::EV_ACTION, &[&[0; 48]], b"StartupLocality\0\x03").unwrap();
    let bytes = writer.into_bytes();
    let log = Log::parse(&bytes).unwrap();
    assert_eq!(log.events().map(|event| event.startup_locality()).collect::<Vec<_>>(), [Some(3), None, None]);
}

fn banks() -> impl Strategy<Value = Vec<AlgorithmId>> {
    let known = vec![AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SM3_256];
    proptest::sample::subsequence(known, 1..=4)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        banks in banks(),
        events in prop::collection::vec((0u32..24, 1u32..0x20, any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..20),
        padding in 0usize..100,
    ) {
        let mut writer = Writer::new(0, &banks).unwrap();
        for (mr_index, event_type, fill, data) in &events {
            let digests: Vec<Vec<u8>> = banks.iter().map(|bank| vec![*fill; bank.digest_size().unwrap()]).collect();
            let digests: Vec<&[u8]> = digests.iter().map(Vec::as_slice).collect();
            writer.event(*mr_index, *event_type, &digests, data).unwrap();
        }
        let size = writer.as_bytes().len() + padding;
        let area = writer.into_area(size).unwrap();
        let log = Log::parse(&area).unwrap();
        prop_assert_eq!(log.event_count(), events.len());
        prop_assert_eq!(log.used().len(), size - padding);
        for (event, (mr_index, event_type, fill, data)) in log.events().zip(&events) {
            prop_assert_eq!((event.mr_index, event.event_type, event.data), (*mr_index, *event_type, data.as_slice()));
            prop_assert_eq!(event.digests.iter().map(|(bank, _)| bank).collect::<Vec<_>>(), banks.clone());
            prop_assert!(event.digests.iter().all(|(_, digest)| digest.iter().all(|byte| byte == fill)));
        }
    }

    #[test]
    fn uefi_variables_round_trip(name in "[A-Za-z0-9]{0,20}", data in prop::collection::vec(any::<u8>(), 0..50)) {
        let bytes = UefiVariable::encode(Guid::IMAGE_SECURITY_DATABASE, &name, &data);
        let variable = UefiVariable::parse(&bytes).unwrap();
        prop_assert_eq!((variable.name_text(), variable.data), (name, data.as_slice()));
        for len in 0..bytes.len() {
            prop_assert!(UefiVariable::parse(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(log) = Log::parse(&bytes) {
            let digested: Vec<_> = log.events().map(|event| event.digested()).collect();
            prop_assert_eq!(digested.len(), log.event_count());
        }
    }
}
