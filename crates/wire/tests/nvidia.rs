//! Reports of GPUs: the public ones are read with the fields that another parser saw and written back, and no cut or change makes the
//! parser panic or read past a length.

mod support;

use proptest::prelude::*;
use sealwright_wire::nvidia::{
    Block, Builder, COMPOSITE_DEVICE_ID, CompositeDeviceId, Field, FieldKind, Report, Request, SIGNATURE_LEN,
};
use sealwright_wire::{Digest, Error, Kind};
use std::path::Path;

fn read(folder: &Path, name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(folder.join("nvidia").join(name)).unwrap();
    hex::decode(text.trim()).unwrap()
}

fn builder<'a>(report: &Report<'a>) -> Builder<'a> {
    let (blocks, fields) = (report.blocks.clone(), report.fields.clone());
    Builder { request: *report.request, blocks, nonce: *report.nonce, fields }
}

#[test]
fn public_reports_are_read_and_written_back() {
    let Some(folder) = support::vectors() else { return };
    for (name, driver, vbios, trailing) in [
        ("hopperAttestationReport.txt", "550.90.07", "96.00.9f.00.01", 0),
        ("hopper_coco_report1.txt", "580.95.05", "96.00.74.00.1a", 1),
    ] {
        let bytes = read(&folder, name);
        let report = Report::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((report.blocks.len(), report.trailing), (64, trailing), "{name}");
        assert!(report.blocks.iter().all(|block| block.sha384().is_some() && block.value_type == 1), "{name}");
        let field = |kind| *report.fields.iter().find(|field| field.kind == kind).unwrap();
        assert_eq!(field(FieldKind::DriverVersion).text(), Some(driver), "{name}");
        assert_eq!(field(FieldKind::VbiosVersion).vbios_version().as_deref(), Some(vbios), "{name}");
        assert_eq!(field(FieldKind::MeasurementCount).integers().unwrap().len(), 64, "{name}");
        assert!(report.fields.iter().all(|field| field.kind.name().is_some()), "{name}");
        let end = bytes.len() - trailing;
        let written = builder(&report).encode(|signed| {
            assert_eq!(signed, report.signed);
            *report.signature
        });
        assert_eq!(written.unwrap(), bytes[..end], "{name}");
        for len in 0..end {
            let error = Report::parse(&bytes[..len]).unwrap_err();
            assert!(error.offset <= len, "{name} cut at {len}: {error}");
        }
    }
}

#[test]
fn a_report_has_the_fields_that_trustee_saw() {
    let Some(folder) = support::vectors() else { return };
    let bytes = read(&folder, "hopperAttestationReport.txt");
    let claims = std::fs::read(folder.join("nvidia/hopperAttestationReport-claims.txt")).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let report = Report::parse(&bytes).unwrap();
    for block in &report.blocks {
        assert_eq!(claims["measurements"][block.index.to_string()], hex::encode(block.value), "{}", block.index);
    }
    let field = |kind| *report.fields.iter().find(|field| field.kind == kind).unwrap();
    let config = &claims["config"];
    assert_eq!(config["driver_version"], field(FieldKind::DriverVersion).text().unwrap());
    assert_eq!(config["vbios_version"], field(FieldKind::VbiosVersion).vbios_version().unwrap());
    for (name, kind) in [
        ("chip_sku", FieldKind::ChipSku),
        ("chip_sku_mod", FieldKind::ChipSkuMod),
        ("project", FieldKind::Project),
        ("project_sku", FieldKind::ProjectSku),
    ] {
        assert_eq!(config[name], field(kind).text().unwrap(), "{name}");
    }
    for (name, kind) in [
        ("board_id", FieldKind::BoardId),
        ("cpr_info", FieldKind::CprInfo),
        ("fwid", FieldKind::Fwid),
        ("gpu_info", FieldKind::GpuInfo),
        ("project_sku_mod", FieldKind::ProjectSkuMod),
    ] {
        assert_eq!(config[name], hex::encode(field(kind).data), "{name}");
    }
    for (index, count) in (1..).zip(field(FieldKind::MeasurementCount).integers().unwrap()) {
        assert_eq!(config["measurement_count"][format!("{index}")], count);
    }
}

fn sample() -> Builder<'static> {
    let field = |kind, data| Field { kind, data };
    Builder {
        request: Request::new([7; 32]),
        blocks: vec![
            Block { index: 1, value_type: 1, value: &[1; 48] },
            Block { index: 2, value_type: 0x81, value: &[] },
        ],
        nonce: [8; 32],
        fields: vec![
            field(FieldKind::DriverVersion, b"550.90.07\0"),
            field(FieldKind::Other(77), b"\xff"),
            field(FieldKind::VbiosVersion, &[0, 0x9f, 0, 0x96, 1, 0, 0, 0]),
        ],
    }
}

fn encode(builder: &Builder<'_>) -> Vec<u8> {
    builder.encode(|_| [9; SIGNATURE_LEN]).unwrap()
}

fn refused(change: impl FnOnce(&mut Vec<u8>)) -> Error {
    let mut bytes = encode(&sample());
    change(&mut bytes);
    Report::parse(&bytes).unwrap_err()
}

/// Where the response begins, and its first block, and its opaque data's length.
const RESPONSE: usize = 37;
const BLOCK: usize = RESPONSE + 8;
const OPAQUE: usize = BLOCK + 55 + 7 + 32;

#[test]
fn what_is_written_is_read_back() {
    let bytes = encode(&sample());
    let report = Report::parse(&bytes).unwrap();
    assert_eq!(report.signed.len() + SIGNATURE_LEN, bytes.len());
    assert_eq!((report.blocks, report.fields), (sample().blocks, sample().fields));
    assert_eq!((report.request.nonce, *report.nonce), ([7; 32], [8; 32]));
    assert_eq!(report.signature, &[9; SIGNATURE_LEN]);
}

#[test]
fn what_is_not_supported_is_named() {
    for (at, value, message) in [
        (0, 0x12, "SPDMVersion of the request at byte 0: expected 0x11 (1.1), found 0x12"),
        (1, 0xe1, "RequestResponseCode of the request at byte 1: expected 0xe0 (GET_MEASUREMENTS), found 0xe1"),
        (2, 0x00, "Param1 of the request at byte 2: expected 1 (signature requested), found 0x00"),
        (3, 0x01, "Param2 of the request at byte 3: expected 0xff (all measurements), found 0x01"),
        (RESPONSE, 0x10, "SPDMVersion of the response at byte 37: expected 0x11 (1.1), found 0x10"),
        (
            RESPONSE + 1,
            0x7f,
            "RequestResponseCode of the response at byte 38: expected 0x60 (MEASUREMENTS), found 0x7f",
        ),
        (BLOCK, 0, "Index at byte 45: expected an index from 1, found 0"),
        (BLOCK + 1, 2, "MeasurementSpecification at byte 46: expected 1 (DMTF), found 0x02"),
        (BLOCK + 2, 50, "MeasurementSize at byte 47: expected 3 more than the value's size, found 50"),
        (BLOCK + 55, 1, "Index at byte 100: expected each index once, found 1"),
        (OPAQUE + 2, 77, "DataType at byte 155: expected each type once, found 77"),
    ] {
        assert_eq!(refused(|bytes| bytes[at] = value).to_string(), message);
    }
}

#[test]
fn lengths_must_add_up() {
    // One block less than the record has, one more, a record that ends inside a block.
    assert!(matches!(refused(|bytes| bytes[RESPONSE + 4] = 1).kind, Kind::Trailing { left: 7 }));
    assert!(matches!(refused(|bytes| bytes[RESPONSE + 4] = 3).kind, Kind::Truncated { .. }));
    assert!(matches!(refused(|bytes| bytes[RESPONSE + 5] -= 1).kind, Kind::Truncated { .. }));
    assert!(matches!(refused(|bytes| bytes[RESPONSE + 7] = 0xff).kind, Kind::Truncated { .. }));
    assert!(matches!(refused(|bytes| bytes[OPAQUE] -= 1).kind, Kind::Truncated { .. }));
    assert!(matches!(refused(|bytes| bytes.push(1)).kind, Kind::Trailing { left: 1 }));
    assert!(matches!(refused(|bytes| bytes.resize(70_000, 0)).kind, Kind::TooLong { .. }));
    let mut padded = encode(&sample());
    padded.extend([0; 3]);
    assert_eq!(Report::parse(&padded).unwrap().trailing, 3);
}

#[test]
fn cuts_and_changes_never_panic_and_are_never_lost() {
    let bytes = encode(&sample());
    for len in 0..bytes.len() {
        let error = Report::parse(&bytes[..len]).unwrap_err();
        assert!(matches!(error.kind, Kind::Truncated { .. }), "cut at {len}: {error}");
    }
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            if let Ok(report) = Report::parse(&changed) {
                let mut written = builder(&report).encode(|_| *report.signature).unwrap();
                // Reserved bytes of the response's header are signed as they are, and mean nothing.
                written[RESPONSE + 2..RESPONSE + 4].copy_from_slice(&changed[RESPONSE + 2..RESPONSE + 4]);
                assert_eq!(written, changed, "byte {at}");
            }
        }
    }
}

#[test]
fn kinds_of_fields_are_told_by_their_numbers() {
    for number in 0..=u16::MAX {
        assert_eq!(FieldKind::from_number(number).number(), number);
    }
    let field = |data| Field { kind: FieldKind::ChipSku, data };
    assert_eq!(field(b"882\0\0").text(), Some("882"));
    assert_eq!(field(b"a\nb").text(), None);
    assert_eq!(field(&[0xff]).text(), None);
    assert_eq!(field(&[0; 7]).vbios_version(), None);
    assert_eq!(field(&[0; 5]).integers(), None);
}

#[test]
fn the_device_s_extension_names_firmware_and_issuer() {
    let Some(folder) = support::vectors() else { return };
    let expected = std::fs::read(folder.join("nvidia/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
    let pem = std::fs::read(folder.join("nvidia/hopper_signing_cert.pem")).unwrap();
    let (_, der) = der::pem::decode_vec(&pem).unwrap();
    let certificate = <x509_cert::Certificate as der::Decode>::from_der(&der).unwrap();
    let extensions = certificate.tbs_certificate().extensions().unwrap();
    let extension = extensions.iter().find(|extension| extension.extn_id == COMPOSITE_DEVICE_ID).unwrap();
    let value = extension.extn_value.as_bytes();
    let id = CompositeDeviceId::from_der(value).unwrap();
    assert_eq!(expected["fwid_of_hopper_signing_cert"], id.fwid.to_string());
    assert_eq!(id.to_der().unwrap(), value);
    for len in 0..value.len() {
        assert!(CompositeDeviceId::from_der(&value[..len]).is_err(), "cut at {len}");
    }
    for at in 0..value.len() {
        let mut changed = value.to_vec();
        changed[at] ^= 1;
        if let Ok(other) = CompositeDeviceId::from_der(&changed) {
            assert_eq!(other.to_der().unwrap(), changed, "byte {at}");
        }
    }
}

#[test]
fn a_device_s_extension_of_another_kind_is_refused() {
    let good = CompositeDeviceId { device_id: &[0x30, 0], fwid: Digest([1; 48]) }.to_der().unwrap();
    assert_eq!(good[..5], [0x30, 68, 2, 1, 1]);
    CompositeDeviceId::from_der(&good).unwrap();
    for (at, value) in [(0, 0x31), (1, 67), (4, 2), (20, 0x01), (21, 0x05)] {
        let mut changed = good.clone();
        changed[at] = value;
        assert!(CompositeDeviceId::from_der(&changed).is_err(), "byte {at}");
    }
}

proptest! {
    #[test]
    fn reports_round_trip(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..40),
        fields in prop::collection::btree_map(any::<u16>(), prop::collection::vec(any::<u8>(), 0..60), 0..20),
        nonces in any::<([u8; 32], [u8; 32])>(),
        zeros in 0usize..9,
    ) {
        let field = |(number, data): (&u16, &'static [u8])| Field { kind: FieldKind::from_number(*number), data };
        // Leaked for the test's brevity.
        let fields = fields.iter().map(|(number, data)| field((number, data.clone().leak()))).collect();
        let blocks = (1..).zip(&values).map(|(index, value)| Block { index, value_type: 1, value }).collect();
        let builder = Builder { request: Request::new(nonces.0), blocks, nonce: nonces.1, fields };
        let mut bytes = encode(&builder);
        bytes.resize(bytes.len() + zeros, 0);
        let report = Report::parse(&bytes).unwrap();
        prop_assert_eq!(report.blocks, builder.blocks);
        prop_assert_eq!(report.fields, builder.fields);
        prop_assert_eq!(report.trailing, zeros);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Report::parse(&bytes);
        let _ = CompositeDeviceId::from_der(&bytes);
    }
}
