//! CSV reports and certificates: the public ones are read and written back to the same bytes with the fields that Hygon's own library sees, and
//! no cut or change makes a parser panic or loses a byte.

mod support;

use proptest::prelude::*;
use sealwright_wire::csv::{
    Body, CURVE_SM2, CaCertificate, Certificate, CertificateSignature, EXTENSION_MAGIC, HskCek, Policy, PublicKey,
    REPORT_SIZE, Report, Shape, Signature, Signer, SignerForm, TeeInfo, TeeInfoV1, TeeInfoV2, Usage, number,
};
use sealwright_wire::{Kind, Tee};
use std::fs;
use zerocopy::{FromZeros, IntoBytes};

#[test]
fn the_public_certificates_are_read_and_written_back() {
    let Some(vectors) = support::vectors() else { return };
    let read = |file: &str| fs::read(vectors.join("csv/csv-rs").join(file)).unwrap();
    let (hrk, hsk, cek) = (read("hrk.cert"), read("hsk.cert"), read("cek.cert"));
    let root = CaCertificate::parse(&hrk).unwrap();
    assert_eq!((root.usage(), root.user_id()), (Usage::HRK, b"HYGON-SSD-HRK".as_slice()));
    assert_eq!(root.key_id, root.signer_id);
    let signing = CaCertificate::parse(&hsk).unwrap();
    assert_eq!((signing.usage(), signing.user_id()), (Usage::HSK, b"HYGON-SSD-HSK".as_slice()));
    assert_eq!(signing.signer_id, root.key_id);
    let chip = Certificate::parse(&cek).unwrap();
    assert_eq!((chip.usage(), chip.user_id()), (Usage::CEK, b"HYGON-SSD-CEK".as_slice()));
    assert_eq!((chip.version.get(), chip.signer_id), (2, signing.key_id));
    assert_eq!(chip.signatures.each_ref().map(CertificateSignature::usage), [Some(Usage::HSK), None]);
    let both = read("hsk_cek.cert");
    let pair = HskCek::parse(&both).unwrap();
    assert_eq!((pair.hsk, pair.cek), (signing, chip));
    assert_eq!(pair.encode(), both);

    // The constructors make the same bytes from the fields.
    let mut made =
        CaCertificate::new(Usage::HSK, signing.key_id, root.key_id, signing.public_key, b"HYGON-SSD-HSK").unwrap();
    assert_eq!(made.signed(), signing.signed());
    made.signature = signing.signature;
    assert_eq!(made.as_bytes(), hsk);
    let mut made = Certificate::new(Usage::CEK, signing.key_id, chip.public_key, b"HYGON-SSD-CEK").unwrap();
    (made.api_major, made.api_minor) = (chip.api_major, chip.api_minor);
    assert_eq!(made.signed(), chip.signed());
    made.signatures[0] = CertificateSignature::new(Usage::HSK, chip.signatures[0].signature);
    assert_eq!(made.as_bytes(), cek);
    let (x, y) = chip.public_key.coordinates().unwrap();
    assert_eq!(PublicKey::new(&x, &y), chip.public_key);
    let (r, s) = signing.signature.numbers().unwrap();
    assert_eq!(Signature::new(&r, &s), signing.signature);
}

#[test]
fn the_public_report_is_unmasked() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = fs::read(vectors.join("csv/csv-rs/report.cert")).unwrap();
    let report = Report::parse(&bytes).unwrap();
    assert_eq!((report.shape, report.body.version(), report.body.anonce()), (Shape::Bare, 1, [0x9b, 0x42, 0x91, 0x12]));
    assert_eq!((report.raw, report.padding), (bytes.as_slice(), &[][..]));
    let info = report.tee_info();
    assert_eq!((info.user_pubkey_digest, info.vm_id, info.vm_version), ([0; 32], [0; 16], [0; 16]));
    assert_eq!((Usage(info.sig_usage.get()), info.sig_algo.get()), (Usage::PEK, 4));
    let policy = info.policy();
    assert_eq!((policy.0, policy.nodbg(), policy.es(), policy.api_minor()), (0x4000_0001, true, false, 0x40));
    assert_eq!(&info.report_data[..10], b"user data\0");
    assert_eq!(report.signer_form(), SignerForm::Firmware);
    let signer = report.plain_signer().unwrap();
    assert_eq!(signer.serial_number[..16], *b"NZA9T14052605\0\0\0");
    assert_eq!((signer.pek.usage(), signer.pek.user_id()), (Usage::PEK, b"HYGON-SSD-PEK".as_slice()));
    assert_eq!((signer.pek.version.get(), signer.pek.api_major, signer.pek.api_minor), (1, 1, 3));
    let usages = signer.pek.signatures.each_ref().map(CertificateSignature::usage);
    assert_eq!(usages, [Some(Usage::CEK), Some(Usage::OCA)]);
    // What the writer makes of the plain fields is what the firmware made.
    let Body::V1(body) = report.body else { panic!("version 1") };
    let mut made = TeeInfoV1::new(info, body.anonce);
    made.signature = body.signature;
    let mut made_signer = Signer::new(signer.pek, signer.serial_number, signer.reserved, body.anonce);
    assert_eq!(made_signer.authenticated(), report.signer.authenticated());
    made_signer.mac = signer.mac;
    let written = Report::encode(Shape::Bare, &Body::V1(&made), &made_signer).unwrap();
    assert_eq!((&written[..bytes.len()], written.len()), (bytes.as_slice(), REPORT_SIZE));
}

fn pek() -> Certificate {
    let mut pek = Certificate::new(Usage::PEK, [0; 16], PublicKey::new(&[1; 32], &[2; 32]), b"HYGON-SSD-PEK").unwrap();
    pek.signatures =
        [Usage::CEK, Usage::OCA].map(|by| CertificateSignature::new(by, Signature::new(&[3; 32], &[4; 32])));
    pek
}

fn info() -> TeeInfo {
    let mut info = TeeInfo::new_zeroed();
    (info.report_data, info.measure, info.mnonce) = ([5; 64], [6; 32], [7; 16]);
    info.policy.set(0x1203_4545);
    info.sig_usage.set(Usage::PEK.0);
    info.sig_algo.set(4);
    info
}

/// One report of each version and shape, in both forms of the signer.
fn samples() -> Vec<(Vec<u8>, Shape, u8, SignerForm)> {
    let anonce = [9, 8, 7, 6];
    let mut serial_number = [0; 64];
    serial_number[..3].copy_from_slice(b"SIM");
    let firmware = Signer::new(pek(), serial_number, [10; 32], anonce);
    let v1 = TeeInfoV1::new(info(), anonce);
    let v2 = TeeInfoV2::new(info(), 2337, [[11; 32], [12; 32], [13; 32], [14; 32]]);
    let without_mask = Signer::new(pek(), serial_number, [10; 32], [0; 4]);
    let mut samples = Vec::new();
    for shape in [Shape::Bare, Shape::Legacy, Shape::Extension] {
        for (form, signer) in [(SignerForm::Firmware, firmware), (SignerForm::Restored, firmware.restored(anonce))] {
            samples.push((Report::encode(shape, &Body::V1(&v1), &signer).unwrap(), shape, 1, form));
        }
    }
    let bytes = Report::encode(Shape::Extension, &Body::V2(&v2), &without_mask).unwrap();
    samples.push((bytes, Shape::Extension, 2, SignerForm::Restored));
    samples
}

#[test]
fn every_version_and_shape_is_read_back() {
    for (bytes, shape, version, form) in samples() {
        let report = Report::parse(&bytes).unwrap();
        assert_eq!((report.shape, report.body.version(), report.signer_form()), (shape, version, form));
        assert_eq!(report.tee_info(), info());
        assert_eq!(TeeInfo::TEE, Tee::Csv);
        let signer = report.plain_signer().unwrap();
        assert_eq!((signer.pek, &signer.serial_number[..4]), (pek(), b"SIM\0".as_slice()));
        assert_eq!(report.raw.len() + report.padding.len(), REPORT_SIZE);
        assert_eq!(Report::encode(shape, &report.body, report.signer).unwrap(), bytes);
        if let Body::V2(body) = report.body {
            assert_eq!((body.build.get(), body.rtmr_version.get()), (2337, 1));
            assert_eq!(body.rtmr, [[6; 32], [11; 32], [12; 32], [13; 32], [14; 32]]);
            assert_eq!((report.body.signed().len(), report.body.anonce()), (0x400, [0; 4]));
        } else {
            assert_eq!((report.body.signed().len(), report.body.anonce()), (0xb4, [9, 8, 7, 6]));
            assert_ne!(report.body.signed(), &info().as_bytes()[..0xb4], "what is signed is masked");
        }
    }
}

#[test]
fn policy_bits_have_their_names() {
    type Bit = fn(Policy) -> bool;
    let bits: [(Bit, u32); 8] = [
        (Policy::nodbg, 0),
        (Policy::noks, 1),
        (Policy::es, 2),
        (Policy::nosend, 3),
        (Policy::domain, 4),
        (Policy::csv, 5),
        (Policy::csv3, 6),
        (Policy::asid_reuse, 7),
    ];
    for (bit, place) in bits {
        for other in 0..32 {
            assert_eq!(bit(Policy(1 << other)), other == place, "bit {other}");
        }
    }
    let policy = Policy(0x3412_cd00);
    let numbers = [policy.hsk_version(), policy.cek_version(), policy.api_major(), policy.api_minor()];
    assert_eq!(numbers, [0xd, 0xc, 0x12, 0x34]);
}

#[test]
fn version_2_needs_its_wrapper() {
    let v2 = TeeInfoV2::new(info(), 0, [[0; 32]; 4]);
    let signer = Signer::new(pek(), [0; 64], [0; 32], [0; 4]);
    for shape in [Shape::Bare, Shape::Legacy] {
        assert!(Report::encode(shape, &Body::V2(&v2), &signer).is_err());
    }
}

#[test]
fn every_cut_of_a_report_is_refused() {
    for (bytes, shape, ..) in samples() {
        let needed = Report::parse(&bytes).unwrap().raw.len();
        for len in 0..bytes.len() {
            let parsed = Report::parse(&bytes[..len]);
            match shape {
                // Only padding may be missing.
                Shape::Bare => assert_eq!(parsed.is_ok(), len >= needed, "cut at {len}"),
                // Nothing tells a wrapper of zeros that is cut from a report, but what is found there is none.
                Shape::Legacy => assert!(parsed.is_err() || parsed.unwrap().plain_signer().is_err(), "cut at {len}"),
                Shape::Extension => {
                    let kind = parsed.unwrap_err().kind;
                    let unknown = len < EXTENSION_MAGIC.len();
                    assert!(unknown || matches!(kind, Kind::Truncated { .. }), "cut at {len}");
                }
            }
        }
    }
}

#[test]
fn a_changed_byte_of_a_report_never_panics_and_is_never_lost() {
    for (bytes, shape, ..) in samples() {
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= mask;
                let Ok(report) = Report::parse(&changed) else {
                    assert!(shape != Shape::Bare && at < 20, "byte {at}");
                    continue;
                };
                let _ = (report.plain_signer(), report.tee_info());
                let wrapper = changed.len() - REPORT_SIZE;
                let written =
                    [&changed[..wrapper], report.body.as_bytes(), report.signer.as_bytes(), report.padding].concat();
                assert_eq!(written, changed, "byte {at}");
            }
        }
    }
}

#[test]
fn what_is_no_report_is_named() {
    let wrapped = |magic: [u8; 16], flags: u32| [&magic[..], &flags.to_le_bytes(), &[0; REPORT_SIZE]].concat();
    for (bytes, message) in [
        (wrapped(EXTENSION_MAGIC, 2), "wrapper flags at byte 16: expected 0 (version 1) or 1 (version 2), found 2"),
        (wrapped([0; 16], 1), "wrapper flags at byte 16: expected 0 under a magic of zeros, found 1"),
        (
            wrapped([1; 16], 0),
            "wrapper magic at byte 0: expected ATTESTATION_EXT or zeros, found 01010101010101010101010101010101",
        ),
        (vec![0; 4097], "attestation report at byte 0: 4097 is over the limit of 4096"),
        ([wrapped(EXTENSION_MAGIC, 1), vec![0]].concat(), "wrapper at byte 4116: 1 bytes left over"),
        (vec![0; 10], "TEE info (version 1) at byte 0: needs 336 bytes, 10 are left"),
        (vec![0; 400], "TEE info signer at byte 336: needs 2212 bytes, 64 are left"),
    ] {
        assert_eq!(Report::parse(&bytes).unwrap_err().to_string(), message);
    }
    let bytes = wrapped(EXTENSION_MAGIC, 1);
    let error = Report::parse(&bytes).unwrap().plain_signer().unwrap_err();
    assert_eq!(error.to_string(), "certificate version at byte 1188: expected 1 or 2, found 0");
}

#[test]
fn certificates_are_refused_by_field() {
    let hsk = CaCertificate::new(Usage::HSK, [1; 16], [2; 16], PublicKey::new(&[1; 32], &[2; 32]), b"id").unwrap();
    let change = |at: usize, value: u8| {
        let mut bytes = hsk.as_bytes().to_vec();
        bytes[at] = value;
        CaCertificate::parse(&bytes).unwrap_err().to_string()
    };
    assert_eq!(change(0, 2), "certificate version at byte 0: expected 1, found 2");
    assert_eq!(change(0x40, 1), "public key curve at byte 64: expected 3 (SM2), found 1");
    assert_eq!(change(0x44 + 32, 1), "public key at byte 64: expected coordinates of 256 bits, found a larger number");
    assert_eq!(change(0xd4, 255), "user id size at byte 212: 255 is over the limit of 254");
    let bytes = pek();
    let change = |at: usize, value: u8| {
        let mut bytes = bytes.as_bytes().to_vec();
        bytes[at] = value;
        HskCek::parse(&[hsk.as_bytes(), &bytes].concat()).unwrap_err().to_string()
    };
    assert_eq!(change(0, 3), "certificate version at byte 832: expected 1 or 2, found 3");
    assert_eq!(change(0x10, 1), "public key curve at byte 848: expected 3 (SM2), found 1");
    assert_eq!(
        change(0x14 + 72 + 71, 1),
        "public key at byte 848: expected coordinates of 256 bits, found a larger number"
    );
    assert_eq!(change(0xa5, 1), "user id size at byte 996: 269 is over the limit of 254");
    assert!(Certificate::new(Usage::PEK, [0; 16], pek().public_key, &[b'a'; 255]).is_err());
    assert!(CaCertificate::new(Usage::HSK, [0; 16], [0; 16], pek().public_key, &[b'a'; 255]).is_err());
}

#[test]
fn every_cut_of_a_certificate_is_refused_and_nothing_may_follow() {
    let hsk = CaCertificate::new(Usage::HSK, [1; 16], [2; 16], PublicKey::new(&[1; 32], &[2; 32]), b"id").unwrap();
    let cek = pek();
    let pair = HskCek { hsk: &hsk, cek: &cek }.encode();
    for len in 0..pair.len() {
        assert!(matches!(HskCek::parse(&pair[..len]).unwrap_err().kind, Kind::Truncated { .. }), "cut at {len}");
    }
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    assert_eq!(HskCek::parse(&longer(&pair)).unwrap_err().kind, Kind::Trailing { left: 1 });
    assert_eq!(CaCertificate::parse(&longer(hsk.as_bytes())).unwrap_err().kind, Kind::Trailing { left: 1 });
    assert_eq!(Certificate::parse(&longer(cek.as_bytes())).unwrap_err().kind, Kind::Trailing { left: 1 });
    for at in 0..pair.len() {
        let mut changed = pair.clone();
        changed[at] ^= 0xff;
        if let Ok(parsed) = HskCek::parse(&changed) {
            assert_eq!(parsed.encode(), changed, "byte {at}");
        }
    }
}

#[test]
fn an_unused_place_holds_no_signature() {
    assert_eq!(CertificateSignature::none().usage(), None);
    assert_eq!(CertificateSignature::new_zeroed().usage(), None, "zeros are no signature of a HRK");
    assert_eq!(CertificateSignature::new(Usage::OCA, Signature::new_zeroed()).usage(), Some(Usage::OCA));
    assert_eq!(Usage::OCA.to_string(), "OCA");
    assert_eq!(Usage(0x77).to_string(), "0x77");
    assert_eq!(PublicKey::new(&[0; 32], &[0; 32]).curve.get(), CURVE_SM2);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..4200)) {
        if let Ok(report) = Report::parse(&bytes) {
            let _ = (report.plain_signer(), report.tee_info());
        }
        let _ = (HskCek::parse(&bytes), Certificate::parse(&bytes), CaCertificate::parse(&bytes));
    }

    #[test]
    fn a_mask_comes_off_as_it_was_put_on(
        anonce in any::<[u8; 4]>(),
        measure in any::<[u8; 32]>(),
        policy in any::<u32>(),
        serial in "[A-Z0-9]{1,64}",
        reserved in any::<[u8; 32]>(),
    ) {
        let mut info = info();
        info.measure = measure;
        info.policy.set(policy);
        let mut serial_number = [0; 64];
        serial_number[..serial.len()].copy_from_slice(serial.as_bytes());
        let signer = Signer::new(pek(), serial_number, reserved, anonce);
        let body = TeeInfoV1::new(info, anonce);
        let bytes = Report::encode(Shape::Bare, &Body::V1(&body), &signer).unwrap();
        let report = Report::parse(&bytes).unwrap();
        prop_assert_eq!(report.tee_info(), info);
        let plain = report.plain_signer().unwrap();
        prop_assert_eq!((plain.pek, plain.serial_number, plain.reserved), (pek(), serial_number, reserved));
        prop_assert_eq!(plain.masked(anonce), signer);
    }

    #[test]
    fn numbers_are_turned_around(value in any::<[u8; 32]>(), place in 32usize..72, byte in 1u8..) {
        let signature = Signature::new(&value, &[0; 32]);
        prop_assert_eq!(number(&signature.r), Some(value));
        prop_assert_eq!(signature.r[0], value[31]);
        let mut larger = signature.r;
        larger[place] = byte;
        prop_assert_eq!(number(&larger), None);
    }
}
