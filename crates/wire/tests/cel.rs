//! Canonical event logs: every encoding tells the same, what another program wrote is read, broken ones are refused.

mod support;

use proptest::prelude::*;
use sealwright_wire::cel::{Content, Encoding, Log, MAX_LOG, Record, Register, Systemd};
use sealwright_wire::tcg2::{self, AlgorithmId, event_type::*};
use std::borrow::Cow;
use std::fs;

const ALL: [Encoding; 4] = [Encoding::Tlv, Encoding::Json, Encoding::JsonSeq, Encoding::Cbor];

fn record(number: u64, register: Register, content: Content<'static>) -> Record<'static> {
    let digests = vec![
        (AlgorithmId::SHA1, Cow::Owned(vec![1; 20])),
        (AlgorithmId::SHA256, Cow::Owned(vec![u8::try_from(number).unwrap(); 32])),
    ];
    Record { number: Some(number), register, digests, content }
}

fn sample() -> Vec<Record<'static>> {
    let event = Content::PcClient { event_type: EV_SEPARATOR, data: Cow::Borrowed(&[0; 4]) };
    let odd = Content::PcClient { event_type: 0x1234_5678, data: Cow::Borrowed(b"data") };
    let ima = Content::ImaTemplate { name: "ima-ng".into(), data: Cow::Borrowed(b"\x01\0\0\0a") };
    vec![
        record(0, Register::Pcr(7), event),
        record(1, Register::Pcr(300), odd),
        record(2, Register::Pcr(10), ima),
        record(3, Register::NvIndex(0x0180_0001), Content::PcClient { event_type: EV_IPL, data: Cow::Borrowed(b"") }),
    ]
}

#[test]
fn every_encoding_tells_the_same() {
    for encoding in ALL {
        let bytes = Log::encode(encoding, &sample()).unwrap();
        assert_eq!(Encoding::of(&bytes), Some(encoding));
        let log = Log::parse(&bytes).unwrap_or_else(|error| panic!("{}: {error}", encoding.name()));
        assert_eq!((log.encoding(), log.records().collect()), (encoding, sample()));
    }
}

#[test]
fn a_record_has_the_bytes_of_the_specification() {
    let tlv = Log::encode(Encoding::Tlv, &sample()[..1]).unwrap();
    let expected = [
        "00 00000008 0000000000000000",
        "01 00000001 07",
        "03 0000003e",
        "04 00000014 0101010101010101010101010101010101010101",
        "0b 00000020 0000000000000000000000000000000000000000000000000000000000000000",
        "05 00000012 00 00000004 00000004 01 00000004 00000000",
    ];
    assert_eq!(hex::encode(&tlv), expected.concat().replace(' ', ""));
    let json = Log::encode(Encoding::Json, &sample()[..1]).unwrap();
    let expected = format!(
        "[{{\"recnum\":0,\"pcr\":7,\"digests\":[{{\"hashAlg\":\"sha1\",\"digest\":\"{}\"}},{{\"hashAlg\":\"sha256\",\"digest\":\"{}\"}}],\
         \"content_type\":\"pcclient_std\",\"content\":{{\"event_type\":\"EV_SEPARATOR\",\"event_data\":\"00000000\"}}}}]",
        "01".repeat(20),
        "00".repeat(32)
    );
    assert_eq!(String::from_utf8(json).unwrap(), expected);
}

#[test]
fn numbers_of_other_widths_are_read() {
    // Some writers have 32-bit numbers for the record and the PCR.
    let bytes = hex::decode(
        "00000000040000002a 010000000400000008 0300000019 0400000014 0101010101010101010101010101010101010101 0900000002 6162"
            .replace(' ', ""),
    )
    .unwrap();
    let log = Log::parse(&bytes).unwrap();
    let [record] = &log.records().collect::<Vec<_>>()[..] else { panic!("one record") };
    assert_eq!((record.number, record.register), (Some(42), Register::Pcr(8)));
    assert_eq!(record.content, Content::Other { kind: "9".into(), data: Cow::Borrowed(b"ab") });
    assert_eq!(Log::encode(Encoding::Tlv, std::slice::from_ref(record)).unwrap().len(), bytes.len() + 1);
    assert!(
        Log::encode(Encoding::JsonSeq, std::slice::from_ref(record)).is_err(),
        "bytes of a vendor's TLV are no JSON"
    );
}

#[test]
fn the_log_of_systemd_is_read() {
    let line = |pcr: u32, digest: &str, said: &str| {
        format!(
            "\u{1e}{{\"pcr\":{pcr},\"digests\":[{{\"hashAlg\":\"sha256\",\"digest\":\"{digest}\"}}],\"content_type\":\"systemd\",\"content\":{said}}}\n"
        )
    };
    let phase = "{\"string\":\"enter-initrd\",\"bootId\":\"4d29c5bca8a94e4aa55f7b1f76d3e4b1\",\"timestamp\":1732000,\"eventType\":\"phase\"}";
    let text = line(11, &"ab".repeat(32), phase)
        + &line(15, &"cd".repeat(32), "{\"string\":\"cryptsetup:root:uuid\",\"new\":[1]}");
    let log = Log::parse(text.as_bytes()).unwrap();
    assert_eq!((log.encoding(), log.record_count()), (Encoding::JsonSeq, 2));
    let said = Systemd {
        text: Some("enter-initrd".into()),
        event_type: Some("phase".into()),
        boot_id: Some("4d29c5bca8a94e4aa55f7b1f76d3e4b1".into()),
        timestamp: Some(1_732_000),
    };
    let first = log.records().next().unwrap();
    assert_eq!((first.number, first.register), (None, Register::Pcr(11)));
    assert_eq!(first.content, Content::Systemd(said));
    assert_eq!(first.digest(AlgorithmId::SHA256), Some(&[0xab; 32][..]));
    let written = Log::encode(Encoding::JsonSeq, &[first]).unwrap();
    assert_eq!(written, line(11, &"ab".repeat(32), phase).into_bytes());
    let cut = &text.as_bytes()[..text.len() - 4];
    let error = Log::parse(cut).unwrap_err();
    assert!(error.offset > 200, "a record that was cut short is refused with its place: {error}");
    assert_eq!(Log::parse(b"\x1e\x1e \n").unwrap().record_count(), 0, "empty elements are passed over");
}

#[test]
fn what_another_program_wrote_of_a_log_is_its_log() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("eventlog/tpm/tpm2-tools");
    // Records of CEL-JSON that were printed as YAML: a list of maps, one member a line.
    let yaml = fs::read_to_string(folder.join("event-moklisttrusted-hex.yaml")).unwrap();
    let mut json = String::from("[");
    for record in yaml.trim_start_matches("---\n").split("\n- content").filter(|record| !record.is_empty()) {
        let member = |name: &str| {
            let line = record.lines().find_map(|line| line.split_once(&format!("{name}: ")).map(|(_, value)| value));
            line.unwrap_or_else(|| panic!("{name} in {record}")).trim_matches('\'').to_owned()
        };
        if !json.ends_with('[') {
            json.push(',');
        }
        json.push_str(&format!(
            "{{\"recnum\":{},\"pcr\":{},\"digests\":[{{\"hashAlg\":\"{}\",\"digest\":\"{}\"}}],\"content_type\":\"pcclient_std\",\
             \"content\":{{\"event_type\":\"{}\",\"event_data\":\"{}\"}}}}",
            member("recnum"),
            member("pcr"),
            member("hashAlg"),
            member("digest"),
            member("event_type"),
            member("event_data"),
        ));
    }
    json.push(']');
    let cel = Log::parse(json.as_bytes()).unwrap();
    let binary = fs::read(folder.join("event-moklisttrusted.bin")).unwrap();
    let log = tcg2::Log::parse(&binary).unwrap();
    let mut same = 0;
    for event in log.events() {
        let converted = Record::from_event(0, &event);
        let found = cel.records().any(|record| {
            (record.register, &record.digests, &record.content)
                == (converted.register, &converted.digests, &converted.content)
        });
        assert!(found, "record {} of the firmware's log", event.index);
        same += 1;
    }
    assert_eq!((same, cel.record_count()), (96, 97), "the header is a record too");
    assert!(!cel.records().next().unwrap().extends());
}

#[test]
fn every_cut_and_every_flip_is_an_error_or_another_log_but_no_panic() {
    for encoding in ALL {
        let bytes = Log::encode(encoding, &sample()).unwrap();
        for len in 0..bytes.len() {
            if let Ok(log) = Log::parse(&bytes[..len]) {
                assert!(log.record_count() < 4 || encoding == Encoding::JsonSeq, "{} cut at {len}", encoding.name());
                assert_eq!(
                    log.records().collect::<Vec<_>>(),
                    sample()[..log.record_count()],
                    "{} cut at {len}",
                    encoding.name()
                );
            }
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[place] ^= 1 << bit;
                if let Ok(log) = Log::parse(&flipped) {
                    drop(Log::encode(encoding, &log.records().collect::<Vec<_>>()));
                }
            }
        }
    }
}

#[test]
fn ambiguous_or_absurd_records_are_refused() {
    let json =
        |text: &str| Log::parse(text.as_bytes()).map(|log| log.record_count()).map_err(|error| error.to_string());
    let digest = |alg: &str, digest: &str| format!("{{\"hashAlg\":\"{alg}\",\"digest\":\"{digest}\"}}");
    let of = |registers: &str, digests: &str| {
        format!("[{{{registers}\"digests\":[{digests}],\"content_type\":\"x\",\"content\":1}}]")
    };
    let sha1 = digest("sha1", &"00".repeat(20));
    assert_eq!(json(&of("\"pcr\":1,", &sha1)), Ok(1));
    assert!(json(&of("", &sha1)).unwrap_err().contains("found neither"));
    assert!(json(&of("\"pcr\":1,\"nv_index\":2,", &sha1)).unwrap_err().contains("found both"));
    assert!(json(&of("\"pcr\":1,\"pcr\":2,", &sha1)).unwrap_err().contains("duplicate"));
    assert!(json(&of("\"pcr\":1,", &format!("{sha1},{sha1}"))).unwrap_err().contains("each bank once"));
    assert!(json(&of("\"pcr\":1,", &digest("sha256", &"00".repeat(20)))).unwrap_err().contains("20 bytes for sha256"));
    assert!(json(&of("\"pcr\":1,", &digest("sha77", "00"))).unwrap_err().contains("hash algorithm"));
    assert!(json(&of("\"pcr\":1,", &digest("sha1", "zz"))).unwrap_err().contains("hex digits"));
    let wrong =
        "[{\"pcr\":1,\"digests\":[],\"content_type\":\"pcclient_std\",\"content\":{\"event_type\":\"EV_NONE\"}}]";
    assert!(json(wrong).unwrap_err().contains("event type"));
    assert!(json("no log").unwrap_err().contains("TLV, JSON"));
    assert!(Log::parse(&vec![b'['; MAX_LOG + 1]).unwrap_err().to_string().contains("over the limit"));
    let deep = "[".repeat(100_000);
    assert!(json(&deep).is_err());
    assert!(Log::parse(&vec![0x81; 100_000]).is_err());
    assert!(Log::parse(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err(), "a length is not believed");
}

#[test]
fn cbor_with_names_is_read_whatever_the_order_of_its_members() {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    encoder.begin_array().unwrap().begin_map().unwrap();
    encoder.str("content").unwrap().map(2).unwrap();
    encoder.str("event_data").unwrap().bytes(b"abc").unwrap().str("event_type").unwrap().str("EV_IPL").unwrap();
    encoder.str("digests").unwrap().array(1).unwrap().map(2).unwrap();
    encoder.str("digest").unwrap().bytes(&[7; 32]).unwrap().str("hashAlg").unwrap().str("sha256").unwrap();
    encoder.str("content_type").unwrap().str("pcclient_std").unwrap().str("pcr").unwrap().u8(8).unwrap();
    encoder.str("unknown").unwrap().array(1).unwrap().u8(1).unwrap().end().unwrap().end().unwrap();
    let bytes = encoder.into_writer();
    let log = Log::parse(&bytes).unwrap();
    let [record] = &log.records().collect::<Vec<_>>()[..] else { panic!("one record") };
    assert_eq!((record.number, record.register), (None, Register::Pcr(8)));
    assert_eq!(record.content, Content::PcClient { event_type: EV_IPL, data: Cow::Borrowed(b"abc") });
    let trailing = [&bytes[..], b"\0"].concat();
    assert!(Log::parse(&trailing).unwrap_err().to_string().contains("left over"));
}

fn contents() -> impl Strategy<Value = Content<'static>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (any::<u32>(), bytes()).prop_map(|(event_type, data)| Content::PcClient { event_type, data: data.into() }),
        ("[a-z|-]{1,20}", bytes())
            .prop_map(|(name, data)| Content::ImaTemplate { name: name.into(), data: data.into() }),
    ]
}

proptest! {
    #[test]
    fn logs_round_trip(
        records in prop::collection::vec((any::<u64>(), any::<u32>(), any::<bool>(), any::<u8>(), contents()), 0..8)
    ) {
        let records: Vec<_> = records.into_iter().map(|(number, index, nv, fill, content)| Record {
            number: Some(number),
            register: if nv { Register::NvIndex(index) } else { Register::Pcr(index) },
            digests: vec![(AlgorithmId::SM3_256, Cow::Owned(vec![fill; 32])), (AlgorithmId::SHA384, Cow::Owned(vec![fill; 48]))],
            content,
        }).collect();
        for encoding in ALL {
            let bytes = Log::encode(encoding, &records).unwrap();
            if records.is_empty() && matches!(encoding, Encoding::Tlv | Encoding::JsonSeq) {
                continue;
            }
            prop_assert_eq!(&Log::parse(&bytes).unwrap().records().collect::<Vec<_>>(), &records);
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), first in 0usize..4) {
        let heads: [&[u8]; 4] = [&[0, 0, 0, 0, 8], b"[", b"\x1e{", &[0x81, 0xa4]];
        drop(Log::parse(&bytes).map(|log| log.record_count()));
        drop(Log::parse(&[heads[first], &bytes].concat()).map(|log| log.record_count()));
    }
}
