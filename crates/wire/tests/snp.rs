//! SEV-SNP: real reports, certificates' extensions and tables are read to the values that others saw and written back byte for byte; what
//! a version reserves is refused; no cut or change makes a parser panic or read past a length.

mod support;

use der::{Decode, asn1::ObjectIdentifier};
use proptest::prelude::*;
use sealwright_wire::snp::{
    AttestationReport, Bundle, CertificateTable, EXTENSIONS, Entry, GuestPolicy, HwId, MAX_ENTRIES, Product, Report,
    SIGNED_LEN, Signature, SigningKey, Tcb, TcbVersion, VMPL_HOST, VekExtensions, guid,
};
use std::fs;
use std::path::Path;
use x509_cert::Certificate;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

fn read(vectors: &Path, file: &str) -> Vec<u8> {
    let bytes = fs::read(vectors.join("snp").join(file)).unwrap();
    if !file.ends_with(".hex") {
        return bytes;
    }
    hex::decode(String::from_utf8(bytes).unwrap().trim()).unwrap()
}

/// The least that a report of this version must have.
fn report(version: u32) -> AttestationReport {
    let mut report = AttestationReport::new_zeroed();
    report.version.set(version);
    report.policy.set(GuestPolicy::RESERVED_ONE);
    report.signature_algo.set(1);
    report
}

#[test]
fn real_reports_are_read_to_what_others_saw_and_written_back() {
    let Some(vectors) = support::vectors() else { return };
    for (file, guest_svn, policy, current, reported, firmware, chip_id) in [
        ("trustee/test-report.bin", 4, 0x3_001f, "03000000000008ce", "0300000000000873", (1, 52, 4), "c38427a3"),
        ("go-sev-guest/attestation.bin", 0, 0xb_0000, "0200000000000544", "0200000000000544", (1, 49, 3), "3ac3fe21"),
        ("sev/report_milan.hex", 0, 0x3_0000, "0300000000000873", "0300000000000873", (1, 52, 4), "d49554ec"),
    ] {
        let bytes = read(&vectors, file);
        let report = Report::parse(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        let body = report.body;
        assert_eq!(body.version.get(), 2, "{file}");
        assert_eq!(body.guest_svn.get(), guest_svn, "{file}");
        assert_eq!(body.policy.get(), policy, "{file}");
        assert_eq!(hex::encode(body.current_tcb.0), current, "{file}");
        assert_eq!(hex::encode(body.reported_tcb.0), reported, "{file}");
        assert_eq!(body.current.ordered(), firmware, "{file}");
        assert_eq!(hex::encode(&body.chip_id[..4]), chip_id, "{file}");
        assert_eq!(body.signer().signing_key(), SigningKey::Vcek, "{file}");
        assert_eq!(body.report_id_ma, [0xff; 32], "{file}");
        assert_eq!((body.cpuid(), body.mit_vectors()), (None, None), "{file}");
        assert!(report.trailing.is_empty(), "{file}");
        assert_eq!(body.encode().unwrap(), bytes, "{file}");
        assert_eq!(report.signed(), &bytes[..SIGNED_LEN], "{file}");
        assert_eq!(body.signed(), report.signed(), "{file}");
    }
}

#[test]
fn a_real_report_s_versions_are_those_of_its_product() {
    let Some(vectors) = support::vectors() else { return };
    let bytes = read(&vectors, "trustee/test-report.bin");
    let tcbs = Report::parse(&bytes).unwrap().body.tcbs(Product::Milan).unwrap();
    assert_eq!(tcbs.reported, Tcb { fmc: None, boot_loader: 3, tee: 0, snp: 8, microcode: 0x73 });
    assert_eq!(tcbs.current.microcode, 0xce);
    // Read as another product's, the same bytes have something where that product has nothing.
    let error = Report::parse(&bytes).unwrap().body.tcbs(Product::Turin).unwrap_err();
    assert_eq!(error.to_string(), "TCB_VERSION at byte 62: expected zero, found 0x08");
}

#[test]
fn each_product_encodes_versions_its_own_way() {
    let version = TcbVersion([1, 2, 3, 4, 0, 0, 0, 8]);
    let turin = Tcb { fmc: Some(1), boot_loader: 2, tee: 3, snp: 4, microcode: 8 };
    assert_eq!(version.decode(Product::Turin), Ok(turin));
    assert!(version.decode(Product::Milan).is_err());
    let version = TcbVersion([1, 2, 0, 0, 0, 0, 7, 8]);
    let genoa = Tcb { fmc: None, boot_loader: 1, tee: 2, snp: 7, microcode: 8 };
    for product in [Product::Milan, Product::Genoa] {
        assert_eq!(version.decode(product), Ok(genoa));
        assert_eq!(genoa.encode(product), version);
    }
    assert!(version.decode(Product::Turin).is_err());
    assert_eq!(turin.encode(Product::Turin), TcbVersion([1, 2, 3, 4, 0, 0, 0, 8]));
    for (product, reserved) in [(Product::Milan, 2..6), (Product::Turin, 4..7)] {
        for at in 0..8 {
            let mut bytes = [0; 8];
            bytes[at] = 1;
            let error = TcbVersion(bytes).decode(product).err();
            assert_eq!(error.map(|error| error.offset), reserved.contains(&at).then_some(at), "{product:?} {at}");
        }
    }
}

#[test]
fn what_a_version_reserves_must_be_zero_and_what_it_has_is_free() {
    for version in 2..=5 {
        let bytes = report(version).encode().unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            let free = match at {
                // VERSION, POLICY's bit 17 and its upper half, VMPL, SIGNATURE_ALGO, PLATFORM_INFO, the signer.
                0x00..=0x03 | 0x0b..=0x0f | 0x30..=0x37 | 0x40..=0x4f => false,
                0x188..=0x18a => version >= 3,
                0x18b..=0x19f | 0x1eb | 0x1ef => false,
                0x1f8..=0x207 => version >= 5,
                0x208..=0x29f => false,
                0x2d0..=0x2e7 | 0x318..=0x49f => false,
                _ => true,
            };
            let parsed = Report::parse(&changed);
            assert_eq!(parsed.is_ok(), free, "version {version}, byte {at:#x}: {:?}", parsed.err());
            if let Ok(parsed) = parsed {
                assert_ne!(parsed.body, &report(version), "byte {at:#x} carries no meaning");
            }
        }
    }
}

#[test]
fn refusals_name_field_place_and_rule() {
    let why = |change: &dyn Fn(&mut AttestationReport)| {
        let mut changed = report(5);
        change(&mut changed);
        assert_eq!(changed.encode().unwrap_err(), Report::parse(changed.as_bytes()).unwrap_err());
        changed.encode().unwrap_err().to_string()
    };
    assert_eq!(why(&|report| report.version.set(1)), "VERSION at byte 0: expected 2 to 5, found 1");
    assert_eq!(why(&|report| report.version.set(6)), "VERSION at byte 0: expected 2 to 5, found 6");
    let policy = "POLICY at byte 8: expected reserved bit 17 one, reserved bits 26 to 63 zero, found";
    assert_eq!(why(&|report| report.policy.set(0)), format!("{policy} 0x0"));
    assert_eq!(why(&|report| report.policy.set(0x402_0000)), format!("{policy} 0x4020000"));
    let vmpl = "VMPL at byte 48: expected 0 to 3, or 0xffffffff for the host, found 4";
    assert_eq!(why(&|report| report.vmpl.set(4)), vmpl);
    let algorithm = "SIGNATURE_ALGO at byte 52: expected 1 (ECDSA P-384 with SHA-384), found 2";
    assert_eq!(why(&|report| report.signature_algo.set(2)), algorithm);
    let info = "PLATFORM_INFO at byte 64: expected reserved bits 6 and 8 to 63 zero, found 0x40";
    assert_eq!(why(&|report| report.platform_info.set(0x40)), info);
    let key = "SIGNING_KEY at byte 72: expected 0 (VCEK), 1 (VLEK) or 7 (none), found 2";
    assert_eq!(why(&|report| report.signer_info.set(2 << 2)), key);
    let wide = "SIGNATURE.S above 384 bits at byte 792: expected zero, found 0x01";
    assert_eq!(why(&|report| report.signature.s[48] = 1), wide);
}

#[test]
fn a_host_s_report_is_told_from_a_guest_s() {
    let mut host = report(3);
    host.vmpl.set(VMPL_HOST);
    assert_eq!(Report::parse(&host.encode().unwrap()).unwrap().body.vmpl.get(), VMPL_HOST);
}

#[test]
fn cuts_are_refused_and_what_follows_is_kept() {
    let bytes = report(2).encode().unwrap();
    for len in 0..bytes.len() {
        assert!(Report::parse(&bytes[..len]).is_err(), "cut at {len}");
    }
    let padded = [bytes.as_slice(), &[7; 70]].concat();
    let parsed = Report::parse(&padded).unwrap();
    assert_eq!(parsed.trailing, [7; 70]);
    assert_eq!(parsed.without_trailing(), bytes);
}

#[test]
fn numbers_of_a_signature_turn_around() {
    let mut rs = [0; 96];
    rs.iter_mut().zip(1..).for_each(|(byte, number)| *byte = number);
    let signature = Signature::from_be_bytes(&rs);
    assert_eq!((signature.r[0], signature.r[47], signature.r[48]), (48, 1, 0));
    assert_eq!((signature.s[0], signature.s[47], signature.s[71]), (96, 49, 0));
    assert_eq!(signature.to_be_bytes(), rs);
}

// Certificates.

/// The AMD extensions of a certificate: OID and value, in the order of the certificate.
fn extensions(der: &[u8]) -> Vec<(ObjectIdentifier, Vec<u8>)> {
    let certificate = Certificate::from_der(der).unwrap();
    let all = certificate.tbs_certificate().extensions().unwrap();
    let ours = all.iter().filter(|extension| EXTENSIONS.contains(&extension.extn_id));
    ours.map(|extension| (extension.extn_id, extension.extn_value.as_bytes().to_vec())).collect()
}

fn parse(list: &[(ObjectIdentifier, Vec<u8>)]) -> Result<VekExtensions, sealwright_wire::Error> {
    VekExtensions::read(|id| list.iter().find(|(other, _)| *other == id).map(|(_, value)| value.as_slice()))
}

#[test]
fn real_certificates_are_read_to_what_others_saw_and_written_back() {
    let Some(vectors) = support::vectors() else { return };
    for (file, (boot_loader, snp, microcode), hwid) in [
        ("trustee/test-vcek.der", (3, 8, 0x73), "c38427a3"),
        ("trustee/test-vcek-invalid-legacy.der", (3, 10, 169), "00010203"),
        ("trustee/test-vcek-invalid-new.der", (0, 0, 30), "00010203"),
        ("go-sev-guest/vcek.testcer", (2, 5, 0x44), "3ac3fe21"),
        ("sev/vcek_milan.der", (3, 8, 0x73), "d49554ec"),
    ] {
        let list = extensions(&read(&vectors, file));
        let parsed = parse(&list).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(parsed.product_name, "Milan-B0", "{file}");
        assert_eq!(Product::from_product_name(&parsed.product_name), Some(Product::Milan), "{file}");
        assert_eq!(parsed.tcb, Tcb { fmc: None, boot_loader, tee: 0, snp, microcode }, "{file}");
        assert_eq!(parsed.reserved_spl, [Some(0); 4], "{file}");
        let id = parsed.hwid.unwrap();
        assert_eq!((hex::encode(&id.as_bytes()[..4]).as_str(), id.as_bytes().len()), (hwid, 64), "{file}");
        assert_eq!(parsed.csp_id, None, "{file}");
        assert_eq!(parsed.to_extensions().unwrap(), list, "{file}");
    }
}

fn vlek() -> VekExtensions {
    VekExtensions {
        struct_version: 1,
        product_name: "Turin".to_owned(),
        tcb: Tcb { fmc: Some(1), boot_loader: 127, tee: 128, snp: 255, microcode: 0 },
        reserved_spl: [Some(0), None, Some(7), None],
        hwid: None,
        csp_id: Some("CN=cloud.example".to_owned()),
    }
}

/// The place of hwID in [`EXTENSIONS`].
const HWID: usize = 11;

fn with_hwid(value: &[u8]) -> Result<HwId, sealwright_wire::Error> {
    let mut list = vlek().to_extensions().unwrap();
    list.push((EXTENSIONS[HWID], value.to_vec()));
    parse(&list).map(|parsed| parsed.hwid.unwrap())
}

/// An identity is told from its DER by length alone: its own first bytes may look like a header.
#[test]
fn an_identity_that_begins_like_der_is_taken_as_it_is() {
    for (first, shorter) in [(0x02, 2), (0x04, 2), (0x30, 2), (0x04, 0)] {
        for len in [8, 64] {
            let mut id = vec![0x5a; len];
            id[0] = first;
            id[1] = u8::try_from(len - shorter).unwrap();
            assert_eq!(with_hwid(&id).unwrap(), HwId::new(&id, false).unwrap());
            let wrapped = [&[0x04, u8::try_from(len).unwrap()], id.as_slice()].concat();
            let read = with_hwid(&wrapped).unwrap();
            assert_eq!(read, HwId::new(&id, true).unwrap());
            assert_eq!(read.as_bytes(), id);
        }
    }
}

#[test]
fn identities_of_another_length_are_refused() {
    for len in 0..130 {
        let right = [8, 64].contains(&len);
        assert_eq!(with_hwid(&vec![1; len]).is_ok(), right, "{len} bytes");
        assert_eq!(HwId::new(&vec![1; len], false).is_ok(), right, "{len} bytes");
    }
    // An INTEGER, an OCTET STRING that says another length than it has.
    assert!(with_hwid(&[&[0x02, 0x40], &[1; 64][..]].concat()).is_err());
    assert!(with_hwid(&[&[0x04, 0x3f], &[1; 64][..]].concat()).is_err());
}

#[test]
fn a_short_identity_is_a_chip_id_with_zeros_behind_it() {
    let id = HwId::new(&[9; 8], false).unwrap();
    assert_eq!(id.chip_id()[..8], [9; 8]);
    assert_eq!(id.chip_id()[8..], [0; 56]);
}

#[test]
fn missing_values_and_values_of_another_type_are_named() {
    let list = vlek().to_extensions().unwrap();
    let optional = |id: &ObjectIdentifier| {
        let id = id.to_string();
        ["3.4", "3.6", "3.9", "5"].iter().any(|arc| id == format!("1.3.6.1.4.1.3704.1.{arc}"))
    };
    for at in 0..list.len() {
        let mut fewer = list.clone();
        let (id, value) = fewer.remove(at);
        match parse(&fewer) {
            Ok(parsed) => assert!(optional(&id) && parsed != vlek(), "{id} may be missing"),
            Err(error) => assert!(error.to_string().ends_with(&format!("found no {id}")), "{error}"),
        }
        for wrong in [&[][..], &[0x05, 0x00], &[0x02, 0x01, 0xff], &[0x02, 0x02, 0x01, 0x00], &[0x0c, 0x01, b'x']] {
            let mut changed = list.clone();
            changed[at].1 = wrong.to_vec();
            assert!(parse(&changed).is_err(), "{id} is {wrong:02x?}");
        }
        for len in 0..value.len() {
            let mut cut = list.clone();
            cut[at].1.truncate(len);
            assert!(parse(&cut).is_err(), "{id} cut at {len}");
        }
        for place in 0..value.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut changed = list.clone();
                changed[at].1[place] ^= mask;
                if let Ok(parsed) = parse(&changed) {
                    assert_ne!(parsed, vlek(), "byte {place} of {id} carries no meaning");
                }
            }
        }
    }
}

// The host's table.

fn table() -> CertificateTable<'static> {
    let entries = vec![
        Entry { guid: guid::VCEK, data: b"vcek" },
        Entry { guid: guid::ASK, data: b"ask" },
        Entry { guid: [7; 16], data: b"something of the host's" },
    ];
    CertificateTable { entries }
}

#[test]
fn a_table_is_read_back_and_its_entries_are_found() {
    let bytes = table().encode().unwrap();
    assert_eq!(bytes[..24], [&guid::VCEK[..], &[96, 0, 0, 0, 4, 0, 0, 0]].concat());
    let read = CertificateTable::parse(&bytes).unwrap();
    assert_eq!(read, table());
    assert_eq!(read.get(&guid::VCEK), Some(&b"vcek"[..]));
    assert_eq!(read.get(&guid::VLEK), None);
    // Pages are handed out whole.
    let padded = [bytes.as_slice(), &[0; 4000]].concat();
    assert_eq!(CertificateTable::parse(&padded).unwrap(), table());
    assert_eq!(CertificateTable::parse(&[]).unwrap(), CertificateTable::default());
    assert_eq!(CertificateTable::parse(&[0; 24]).unwrap(), CertificateTable::default());
    assert!(CertificateTable::default().encode().unwrap().is_empty());
}

#[test]
fn tables_that_point_elsewhere_are_refused() {
    let bytes = table().encode().unwrap();
    let why = |at: usize, value: u32| {
        let mut changed = bytes.clone();
        changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
        CertificateTable::parse(&changed).map(|_| ()).map_err(|error| error.to_string())
    };
    let behind = "certificate offset at byte 16: expected a place behind the entries, found 95";
    assert_eq!(why(16, 95).unwrap_err(), behind);
    assert_eq!(why(20, 31).unwrap_err(), "certificate at byte 96: needs 31 bytes, 30 are left");
    assert_eq!(why(20, 30), Ok(()));
    assert!(why(16, u32::MAX).is_err() && why(20, u32::MAX).is_err());
    assert!(why(88, 1).is_err(), "an end that is not all zero");
    let mut twice = bytes.clone();
    twice[24..40].copy_from_slice(&guid::VCEK);
    assert!(CertificateTable::parse(&twice).unwrap_err().to_string().contains("each GUID once"));
}

#[test]
fn a_table_of_any_length_is_read_or_refused() {
    let bytes = table().encode().unwrap();
    for len in 1..bytes.len() {
        assert!(CertificateTable::parse(&bytes[..len]).is_err(), "cut at {len}");
    }
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            if let Ok(read) = CertificateTable::parse(&changed) {
                assert_ne!(read, table(), "byte {at} carries no meaning");
            }
        }
    }
    let many = |count: usize| {
        let entry = |number: usize| Entry { guid: (number as u128 + 1).to_le_bytes(), data: &[] };
        CertificateTable { entries: (0..count).map(entry).collect() }
    };
    let full = many(MAX_ENTRIES).encode().unwrap();
    assert_eq!(CertificateTable::parse(&full).unwrap(), many(MAX_ENTRIES));
    assert!(many(MAX_ENTRIES + 1).encode().is_err());
    let endless: Vec<u8> = (1..=100u128).flat_map(|number| [&number.to_le_bytes()[..], &[0; 8]].concat()).collect();
    assert!(CertificateTable::parse(&endless).unwrap_err().to_string().contains("over the limit of 64"));
}

#[test]
fn a_bundle_is_read_back_with_and_without_a_list() {
    for crl in [None, Some(vec![0x30, 0x00])] {
        let bundle = Bundle { cert_chain: "PEM".to_owned(), crl };
        assert_eq!(Bundle::from_json(bundle.to_json().unwrap().as_bytes()), Ok(bundle));
    }
    for json in [&b"{}"[..], br#"{"cert_chain":"","crl":"zz"}"#, br#"{"cert_chain":1}"#, b""] {
        assert!(Bundle::from_json(json).is_err());
    }
}

proptest! {
    #[test]
    fn any_report_survives_the_round_trip(bytes in prop::collection::vec(any::<u8>(), 1184), version in 2u32..=5) {
        // Any bytes, but for what the version fixes.
        let mut any = *AttestationReport::ref_from_bytes(&bytes).unwrap();
        let least = report(version);
        any.version = least.version;
        any.policy.set(any.policy.get() & 0x3ff_ffff | GuestPolicy::RESERVED_ONE);
        any.vmpl.set(any.vmpl.get() & 3);
        any.signature_algo = least.signature_algo;
        any.platform_info.set(any.platform_info.get() & 0xbf);
        any.signer_info.set(any.signer_info.get() & 7);
        any.reserved1 = least.reserved1;
        if version < 3 {
            (any.cpuid_fam_id, any.cpuid_mod_id, any.cpuid_step) = (0, 0, 0);
        }
        if version < 5 {
            (any.launch_mit_vector, any.current_mit_vector) = (least.launch_mit_vector, least.current_mit_vector);
        }
        (any.reserved2, any.reserved3, any.reserved4, any.reserved5) = ([0; 21], 0, 0, [0; 152]);
        any.signature = Signature::from_be_bytes(&any.signature.to_be_bytes());
        let written = any.encode().unwrap();
        let read = Report::parse(&written).unwrap();
        prop_assert_eq!(read.body, &any);
        prop_assert_eq!(read.body.cpuid().is_some(), version >= 3);
        prop_assert_eq!(read.body.mit_vectors().is_some(), version >= 5);
    }

    #[test]
    fn any_extensions_survive_the_round_trip(
        struct_version: u8, product_name in "[ -~]{0,20}", fmc: Option<u8>, versions: [u8; 4],
        reserved_spl: [Option<u8>; 4], hwid: Option<[u8; 64]>, short: bool, octet_string: bool,
        csp_id in prop::option::of("[ -~]{0,40}"),
    ) {
        let [boot_loader, tee, snp, microcode] = versions;
        let hwid = hwid.map(|id| HwId::new(if short { &id[..8] } else { &id }, octet_string).unwrap());
        let tcb = Tcb { fmc, boot_loader, tee, snp, microcode };
        let extensions = VekExtensions { struct_version, product_name, tcb, reserved_spl, hwid, csp_id };
        prop_assert_eq!(parse(&extensions.to_extensions().unwrap()), Ok(extensions));
    }

    #[test]
    fn any_versions_survive_the_round_trip(fmc: u8, versions: [u8; 4]) {
        let [boot_loader, tee, snp, microcode] = versions;
        for product in Product::ALL {
            let fmc = (product == Product::Turin).then_some(fmc);
            let tcb = Tcb { fmc, boot_loader, tee, snp, microcode };
            prop_assert_eq!(tcb.encode(product).decode(product), Ok(tcb));
        }
    }

    #[test]
    fn any_table_survives_the_round_trip(
        data in prop::collection::btree_map(any::<[u8; 16]>(), prop::collection::vec(any::<u8>(), 0..90), 0..9),
    ) {
        let entries = data.iter().filter(|(guid, _)| **guid != [0; 16]);
        let entries = entries.map(|(guid, data)| Entry { guid: *guid, data }).collect();
        let table = CertificateTable { entries };
        let written = table.encode().unwrap();
        prop_assert_eq!(CertificateTable::parse(&written), Ok(table));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        let _ = Report::parse(&bytes);
        let _ = CertificateTable::parse(&bytes);
        let _ = parse(&[(EXTENSIONS[HWID], bytes)]);
    }
}
