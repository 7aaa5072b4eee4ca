//! Logs of TPM 1.2: real ones have the published number of records, written ones are read back, broken ones are refused.

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use sealwright_wire::tcg2::{self, AlgorithmId, Padding, event_type::*};
use sealwright_wire::tcg12::{self, SpecId, Writer};
use serde_json::Value;
use std::fs;

/// A log with a Spec ID event of UEFI, an action and a separator.
fn sample() -> Vec<u8> {
    let spec_id =
        SpecId { efi: true, platform_class: 0, version: (1, 2), errata: 2, uintn_size: 2, vendor_info: b"vendor" };
    let mut writer = Writer::default();
    writer.event(0, EV_NO_ACTION, &[0; 20], &spec_id.encode().unwrap()).unwrap();
    writer.event(4, EV_EFI_ACTION, &[1; 20], b"Calling EFI Application from Boot Option").unwrap();
    writer.event(7, EV_SEPARATOR, &[2; 20], &[0; 4]).unwrap();
    writer.into_bytes()
}

#[test]
fn real_logs_have_the_published_number_of_records() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/tpm12");
    let expected: Value = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    for (name, answer) in expected.as_object().unwrap() {
        let bytes = fs::read(folder.join(name)).unwrap();
        let bytes = if name.ends_with(".json") {
            let dump: Value = serde_json::from_slice(&bytes).unwrap();
            STANDARD.decode(dump["Log"]["Raw"].as_str().unwrap()).unwrap()
        } else {
            bytes
        };
        if let Some(size) = answer["log_raw_size"].as_u64() {
            assert_eq!(bytes.len() as u64, size, "{name}");
        }
        let log = tcg12::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(log.event_count() as u64, answer["events"].as_u64().unwrap(), "{name}");
        assert!(log.events().all(|event| event.digests.iter().map(|(bank, _)| bank).eq([AlgorithmId::SHA1])), "{name}");
    }
}

#[test]
fn what_is_written_is_read_back_with_its_spec_id() {
    let bytes = sample();
    let log = tcg12::parse(&bytes).unwrap();
    let events: Vec<_> = log.events().collect();
    assert_eq!(events.iter().map(|event| event.index).collect::<Vec<_>>(), [0, 1, 2], "no record is a header");
    assert_eq!(events[2].digests.get(AlgorithmId::SHA1), Some(&[2; 20][..]));
    let spec_id = SpecId::from_record(&events[0]).unwrap().unwrap();
    assert_eq!((spec_id.efi, spec_id.version, spec_id.errata, spec_id.vendor_info), (true, (1, 2), 2, &b"vendor"[..]));
    assert!(SpecId::from_record(&events[1]).is_none());
    let bios = SpecId { efi: false, ..spec_id };
    assert!(bios.encode().unwrap().starts_with(b"Spec ID Event00\0"));
    assert!(SpecId { vendor_info: &[0; 256], ..spec_id }.encode().is_err());
}

#[test]
fn every_cut_and_every_flip_is_an_error_or_another_log_but_no_panic() {
    let bytes = sample();
    let ends: Vec<usize> = tcg12::parse(&bytes).unwrap().events().map(|event| event.offset).collect();
    for len in 0..bytes.len() {
        let cut = tcg12::parse(&bytes[..len]);
        assert_eq!(cut.is_ok(), len != 0 && ends.contains(&len), "cut at {len}");
    }
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << bit;
            if let Ok(log) = tcg12::parse(&flipped) {
                log.events().for_each(|event| drop((format!("{:?}", event.content()), SpecId::from_record(&event))));
            }
        }
    }
}

#[test]
fn a_spec_id_event_is_cut_at_no_byte() {
    let bytes = sample();
    let data = tcg12::parse(&bytes).unwrap().events().next().unwrap().data.to_vec();
    for len in 16..data.len() {
        let mut writer = Writer::default();
        writer.event(0, EV_NO_ACTION, &[0; 20], &data[..len]).unwrap();
        let event = tcg12::parse(writer.as_bytes()).unwrap().events().next().unwrap();
        assert!(SpecId::from_record(&event).unwrap().is_err(), "cut at {len}");
    }
}

#[test]
fn a_crypto_agile_log_is_none_of_tpm_1_2() {
    let agile = tcg2::Writer::new(0, &[AlgorithmId::SHA1]).unwrap().into_bytes();
    assert!(tcg12::parse(&agile).unwrap_err().to_string().contains("crypto-agile"));
}

#[test]
fn a_record_that_begins_with_zeros_is_no_padding() {
    // EV_PREBOOT_CERT in PCR 0: its first eight bytes are zero.
    let mut writer = Writer::default();
    writer.event(0, 0, &[7; 20], b"cert").unwrap();
    assert_eq!(tcg12::parse(writer.as_bytes()).unwrap().event_count(), 1);
    let mut agile = tcg2::Writer::new(0, &[AlgorithmId::SHA1]).unwrap();
    agile.event(0, 0, &[&[7; 20]], b"cert").unwrap();
    let padded = [agile.as_bytes(), &[0; 100]].concat();
    let log = tcg2::Log::parse(&padded).unwrap();
    assert_eq!((log.event_count(), log.padding()), (1, Padding::Zeros));
    let mut none = writer.into_bytes();
    none.resize(none.len() + 33, 0);
    assert_eq!(tcg12::parse(&none).unwrap().padding(), Padding::Zeros);
    *none.last_mut().unwrap() = 1;
    assert!(tcg12::parse(&none).unwrap_err().to_string().starts_with("padding at byte"));
}

proptest! {
    #[test]
    fn logs_round_trip(
        events in prop::collection::vec((0u32..24, 4u32..0x20, any::<[u8; 20]>(), prop::collection::vec(any::<u8>(), 0..40)), 1..20)
    ) {
        let mut writer = Writer::default();
        for (pcr, event_type, digest, data) in &events {
            writer.event(*pcr, *event_type, digest, data).unwrap();
        }
        let log = tcg12::parse(writer.as_bytes()).unwrap();
        prop_assert_eq!(log.event_count(), events.len());
        for (event, (pcr, event_type, digest, data)) in log.events().zip(&events) {
            prop_assert_eq!((event.mr_index, event.event_type, event.data), (*pcr, *event_type, data.as_slice()));
            prop_assert_eq!(event.digests.get(AlgorithmId::SHA1), Some(&digest[..]));
        }
    }
}
