//! TPM structures: every public quote, signature, key and PCR file is read and written back to the same bytes, and no cut or change makes
//! a parser panic or read past a length.

mod support;

use proptest::prelude::*;
use sealwright_wire::Reader;
use sealwright_wire::reference::{Parts, ReferenceValues};
use sealwright_wire::tcg2::AlgorithmId;
use sealwright_wire::tpm::{
    self, Attest, Attributes, ClockInfo, Curve, Evidence, Key, Name, PcrSelection, PcrSelections, PcrValues, Public,
    Scheme, Signature, Symmetric, alg, tools,
};
use sealwright_wire::{Digest, Tee};
use std::fs;

/// Folder, message, signature, PCR file, nonce, selection, firmware version.
const QUOTES: [(&str, &str, &str, &str, &str, &str); 3] = [
    ("swtpm", "q.msg", "q.sig", "q.pcrs", "00112233445566778899aabbccddeeff", "sha256:0,1,2,10,16+sha1:16"),
    ("qemu-swtpm/ng", "quote.msg", "quote.sig", "quote.pcrs", "0123456789abcdef0123456789abcdef", BOTH),
    ("qemu-swtpm/ima", "quote.msg", "quote.sig", "quote.pcrs", "0123456789abcdef0123456789abcdef", BOTH),
];
const BOTH: &str = "sha1:0,1,2,3,4,5,6,7,8,9,10+sha256:0,1,2,3,4,5,6,7,8,9,10";

fn named(selections: &PcrSelections) -> String {
    let bank = |selection: &PcrSelection| {
        let pcrs: Vec<_> = selection.pcrs().map(|pcr| pcr.to_string()).collect();
        format!("{}:{}", selection.hash, pcrs.join(","))
    };
    selections.iter().map(bank).collect::<Vec<_>>().join("+")
}

#[test]
fn every_public_quote_is_read_and_written_back() {
    let Some(vectors) = support::vectors() else { return };
    for (folder, message, signature, pcrs, nonce, selection) in QUOTES {
        let read = |file: &str| fs::read(vectors.join("tpm-quote").join(folder).join(file)).unwrap();
        let (message, signature, pcrs) = (read(message), read(signature), read(pcrs));
        let attest = Attest::parse(&message).unwrap_or_else(|error| panic!("{folder}: {error}"));
        assert_eq!(hex::encode(attest.extra_data), nonce, "{folder}");
        assert_eq!(named(&attest.pcr_select), selection, "{folder}");
        assert_eq!(attest.firmware_version, 0x2019_1023_0016_3636, "{folder}");
        assert!(matches!(attest.qualified_signer, Name::Digest { algorithm: AlgorithmId::SHA256, .. }), "{folder}");
        assert_eq!(attest.encode().unwrap(), message, "{folder}");
        let parsed = Signature::parse(&signature).unwrap();
        assert_eq!((parsed.scheme(), parsed.hash()), ("ecdsa", AlgorithmId::SHA256), "{folder}");
        assert_eq!(parsed.encode().unwrap(), signature, "{folder}");
        let (selections, values) = tools::read_pcrs(&pcrs).unwrap();
        assert_eq!(selections, attest.pcr_select, "{folder}");
        assert_eq!(values.len(), selections.registers().count(), "{folder}");
        assert_eq!(tools::write_pcrs(&selections, &values).unwrap(), pcrs, "{folder}");
    }
}

#[test]
fn the_yaml_of_tpm2_pcrread_has_the_values_of_the_pcr_file() {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("tpm-quote/qemu-swtpm/ng");
    let yaml = fs::read_to_string(folder.join("pcrread.txt")).unwrap();
    let yaml = tools::read_yaml(&yaml).unwrap();
    let (_, values) = tools::read_pcrs(&fs::read(folder.join("quote.pcrs")).unwrap()).unwrap();
    for (hash, pcr, value) in values.iter().filter(|(_, pcr, _)| *pcr < 10) {
        assert_eq!(yaml.get(hash, pcr), Some(value), "{hash}:{pcr}");
    }
    assert_eq!(yaml.len(), 72, "24 PCRs of 3 banks");
    assert_eq!(tools::read_yaml(&tools::write_yaml(&yaml)).unwrap(), yaml);
}

#[test]
fn the_yaml_of_other_tools_is_read_from_its_section_on() {
    let text =
        "---\nquoted: ff544347\npcrs:\n  sha1:\n    0  : 0x".to_owned() + &"0A".repeat(20) + "\ncalcDigest: 00\n";
    let values = tools::read_yaml(&text).unwrap();
    assert_eq!(values.get(AlgorithmId::SHA1, 0), Some([0x0a; 20].as_slice()));
    for (text, message) in [
        ("", "PCR YAML at byte 0: expected at least one value, found none"),
        ("  md5:\n", "PCR YAML at byte 0: expected a bank, or a PCR and its value, found md5:"),
        ("0 : 0x00\n", "PCR YAML at byte 0: expected a bank before its values, found 0 : 0x00"),
        (
            "sha1:\n0 : 0x00\n",
            "PCR value at byte 6: expected the digest size of the bank, found 1 bytes for PCR 0 of sha1",
        ),
    ] {
        assert_eq!(tools::read_yaml(text).unwrap_err().to_string(), message);
    }
    let twice = text.replace("calcDigest: 00", &format!("    0 : 0x{}", "00".repeat(20)));
    assert!(tools::read_yaml(&twice).unwrap_err().to_string().contains("sha1:0 twice"));
}

#[test]
fn trustees_evidence_is_read_and_written_back() {
    let Some(vectors) = support::vectors() else { return };
    let json = fs::read(vectors.join("tpm-quote/trustee/tpm_evidence.json")).unwrap();
    let evidence = Evidence::from_json(&json).unwrap();
    let attest = Attest::parse(&evidence.tpm_quote.message).unwrap();
    assert_eq!(
        named(&attest.pcr_select),
        format!("sha256:{}", (0..24).map(|n| n.to_string()).collect::<Vec<_>>().join(","))
    );
    assert_eq!(Signature::parse(&evidence.tpm_quote.signature).unwrap().scheme(), "rsassa");
    assert_eq!(evidence.tpm_quote.values().unwrap().len(), 24);
    assert_eq!(Evidence::from_json(evidence.to_json().unwrap().as_bytes()).unwrap(), evidence);
    for (from, to) in [("\"ak_public\"", "\"ak\""), ("\"pcrs\": [", "\"pcrs\": [\"00\",")] {
        let text = String::from_utf8(json.clone()).unwrap();
        let wrong = text.replace(from, to);
        let compact = text.replace(&from.replace(": ", ":"), &to.replace(": ", ":"));
        let changed = if wrong == text { compact } else { wrong };
        assert_ne!(changed, text);
        assert!(Evidence::from_json(changed.as_bytes()).is_err(), "{to}");
    }
}

/// A quote over both strong banks.
fn sample_attest() -> Vec<u8> {
    let digest = [7; 32];
    let selections =
        vec![PcrSelection::new(AlgorithmId::SHA256, [0, 7, 23]), PcrSelection::new(AlgorithmId::SHA384, [4])];
    let attest = Attest {
        qualified_signer: Name::Digest { algorithm: AlgorithmId::SHA256, digest: &digest },
        extra_data: b"challenge",
        clock_info: ClockInfo { clock: 1, reset_count: 2, restart_count: 3, safe: true },
        firmware_version: 4,
        pcr_select: PcrSelections::new(selections).unwrap(),
        pcr_digest: &[9; 32],
    };
    attest.encode().unwrap()
}

/// One signature of each scheme.
fn sample_signatures() -> Vec<Vec<u8>> {
    let (signature, hash) = ([5; 256].as_slice(), AlgorithmId::SHA256);
    [
        Signature::RsaSsa { hash, signature },
        Signature::RsaPss { hash: AlgorithmId::SHA512, signature },
        Signature::Ecdsa { hash: AlgorithmId::SHA1, r: &[1; 32], s: &[2; 31] },
    ]
    .map(|signature| signature.encode().unwrap())
    .to_vec()
}

/// An attestation key of each kind, a storage key, and one of a scheme with a count; both forms of the first.
fn sample_publics() -> Vec<Vec<u8>> {
    let scheme = |algorithm, count| Some(Scheme { algorithm, hash: Some(AlgorithmId::SHA256), count });
    let rsa = Public {
        name_alg: AlgorithmId::SHA256,
        attributes: Attributes::ATTESTATION_KEY,
        auth_policy: &[],
        symmetric: None,
        scheme: scheme(alg::RSASSA, None),
        key: Key::Rsa { bits: 2048, exponent: 0, modulus: &[0xa5; 256] },
    };
    let key = Key::Ecc { curve: Curve::NIST_P256, kdf: None, x: &[1; 32], y: &[2; 31] };
    let symmetric = Some(Symmetric { algorithm: alg::AES, key_bits: 128, mode: alg::CFB });
    let publics = [
        rsa,
        Public { key, scheme: scheme(alg::ECDSA, None), ..rsa },
        Public { symmetric, scheme: None, auth_policy: &[3; 32], ..rsa },
        Public { key, scheme: scheme(alg::ECDAA, Some(5)), ..rsa },
        Public { scheme: Some(Scheme { algorithm: alg::RSAES, hash: None, count: None }), ..rsa },
    ];
    let mut bytes: Vec<_> = publics.iter().map(|public| public.encode().unwrap()).collect();
    bytes.push(rsa.encode_sized().unwrap());
    bytes
}

fn sample_pcr_file() -> Vec<u8> {
    let mut values = PcrValues::new();
    for pcr in 0..11 {
        values.insert(AlgorithmId::SHA256, pcr, &[u8::try_from(pcr).unwrap(); 32]).unwrap();
    }
    values.insert(AlgorithmId::SHA1, 3, &[3; 20]).unwrap();
    let selections = vec![PcrSelection::new(AlgorithmId::SHA256, 0..11), PcrSelection::new(AlgorithmId::SHA1, [3])];
    tools::write_pcrs(&PcrSelections::new(selections).unwrap(), &values).unwrap()
}

/// Reads, and writes back what it read.
type Parser = fn(&[u8]) -> Option<Vec<u8>>;

/// Bytes of our own making for every parser.
fn parsers() -> Vec<(Vec<u8>, Parser)> {
    fn attest(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(Attest::parse(bytes).ok()?.encode().unwrap())
    }
    fn signature(bytes: &[u8]) -> Option<Vec<u8>> {
        Some(Signature::parse(bytes).ok()?.encode().unwrap())
    }
    fn public(bytes: &[u8]) -> Option<Vec<u8>> {
        let public = Public::parse(bytes).ok()?;
        let sized = Public::without_size(bytes).unwrap().len() != bytes.len();
        Some(if sized { public.encode_sized() } else { public.encode() }.unwrap())
    }
    fn digests(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(bytes);
        let digests = tpm::read_digests(&mut reader).ok()?;
        reader.finish("digests").ok()?;
        let mut out = Vec::new();
        tpm::write_digests(&mut out, &digests).unwrap();
        Some(out)
    }
    let mut list = Vec::new();
    tpm::write_digests(&mut list, &[&[1; 20], &[2; 64], &[]]).unwrap();
    let mut all: Vec<(Vec<u8>, Parser)> = vec![(sample_attest(), attest), (list, digests)];
    all.extend(sample_signatures().into_iter().map(|bytes| (bytes, signature as Parser)));
    all.extend(sample_publics().into_iter().map(|bytes| (bytes, public as Parser)));
    all
}

#[test]
fn what_is_written_is_read_back_and_every_cut_or_addition_is_refused() {
    for (bytes, parse) in parsers() {
        assert_eq!(parse(&bytes).as_ref(), Some(&bytes));
        for len in 0..bytes.len() {
            assert_eq!(parse(&bytes[..len]), None, "cut at {len}");
        }
        assert_eq!(parse(&[bytes.as_slice(), &[0]].concat()), None, "one byte more");
    }
    let file = sample_pcr_file();
    for len in 0..file.len() {
        assert!(tools::read_pcrs(&file[..len]).is_err(), "cut at {len}");
    }
    assert!(tools::read_pcrs(&[file.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn a_changed_byte_never_panics_and_is_never_lost() {
    for (bytes, parse) in parsers() {
        for at in 0..bytes.len() {
            for mask in [0x01, 0x04, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= mask;
                if let Some(written) = parse(&changed) {
                    assert_eq!(written, changed, "byte {at}");
                }
            }
        }
    }
    let file = sample_pcr_file();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x01;
        if let Ok((selections, values)) = tools::read_pcrs(&changed) {
            assert_eq!(values.len(), selections.registers().count(), "byte {at}");
        }
    }
}

#[test]
fn what_is_no_quote_is_named() {
    let bytes = sample_attest();
    for (at, value, message) in [
        (0, 0xfe, "TPMS_ATTEST.magic at byte 0: expected TPM_GENERATED_VALUE (0xff544347), found 0xfe544347"),
        (5, 0x17, "TPMS_ATTEST.type at byte 4: expected TPM_ST_ATTEST_QUOTE (0x8018), found 0x8017"),
        (6, 1, "TPMS_ATTEST.qualifiedSigner at byte 6: 290 is over the limit of 66"),
        (69, 2, "TPMS_CLOCK_INFO.safe at byte 69: expected YES (1) or NO (0), found 2"),
        (81, 99, "TPML_PCR_SELECTION.count at byte 78: 99 is over the limit of 16"),
        (84, 5, "TPMS_PCR_SELECTION.sizeofSelect at byte 84: expected 1 to 4 bytes, found 5"),
        (89, 0x0b, "TPMS_PCR_SELECTION.hash at byte 88: expected each bank once, found sha256"),
    ] {
        let mut changed = bytes.clone();
        changed[at] = value;
        assert_eq!(Attest::parse(&changed).unwrap_err().to_string(), message);
    }
    for (bytes, at, value, message) in [
        (
            &sample_signatures()[0],
            1,
            0x1b,
            "TPMT_SIGNATURE.sigAlg at byte 0: expected RSASSA, RSAPSS or ECDSA, found 0x001b",
        ),
        (
            &sample_signatures()[0],
            3,
            0x10,
            "TPMT_SIGNATURE.hash at byte 2: expected SHA-1, SHA-256, SHA-384 or SHA-512, found 0x0010",
        ),
    ] {
        let mut changed = bytes.clone();
        changed[at] = value;
        assert_eq!(Signature::parse(&changed).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_key_has_the_attributes_and_the_encoding_of_x509() {
    let bits = Attributes::ATTESTATION_KEY;
    assert!(
        bits.restricted() && bits.sign() && bits.fixed_tpm() && bits.fixed_parent() && bits.sensitive_data_origin()
    );
    assert!(!bits.decrypt() && !bits.user_with_auth() && !bits.no_da());
    let publics = sample_publics();
    let rsa = Public::parse(&publics[0]).unwrap().key_info().unwrap();
    assert!(rsa.ends_with(&[0x02, 0x03, 0x01, 0x00, 0x01]), "exponent zero means 65537");
    let ecc = Public::parse(&publics[1]).unwrap().key_info().unwrap();
    assert_eq!(ecc[26..], [[4; 1].as_slice(), &[1; 32], &[0], &[2; 31]].concat(), "a short coordinate is filled up");
    let mut reserved = publics[0].clone();
    reserved[7] |= 1;
    assert!(Public::parse(&reserved).unwrap_err().to_string().contains("no reserved bit"));
    let mut bits = publics[0].clone();
    bits[17] ^= 8;
    assert!(Public::parse(&bits).is_err(), "key bits must be those of the modulus");
}

#[test]
fn a_swtpm_key_is_read_from_its_pem() {
    let Some(vectors) = support::vectors() else { return };
    let pem = fs::read_to_string(vectors.join("tpm-quote/swtpm/ak.pem")).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
    let point = &der[27..];
    let publics = sample_publics();
    let public = Public::parse(&publics[1]).unwrap();
    let key = Key::Ecc { curve: Curve::NIST_P256, kdf: None, x: &point[..32], y: &point[32..] };
    assert_eq!(Public { key, ..public }.key_info().unwrap(), der);
}

#[test]
fn plain_signatures_are_der() {
    let signature = Signature::Ecdsa { hash: AlgorithmId::SHA256, r: &[0x80, 1], s: &[0, 2] };
    let plain = tools::plain_signature(&signature).unwrap();
    assert_eq!(hex::encode(&plain), "3008020300800102".to_owned() + "0102");
    assert_eq!(tools::plain_ecdsa(&plain).unwrap(), (vec![0x80, 1], vec![2]));
    assert!(tools::plain_ecdsa(&plain[1..]).is_err());
}

#[test]
fn pcrs_of_the_sha256_bank_are_reference_values() {
    let mut parts = Parts::empty(Tee::Tpm);
    parts.values.insert("pcr23".to_owned(), vec![Digest([1; 32]).into()]);
    assert!(ReferenceValues::new(parts.clone()).is_ok());
    parts.values.insert("pcr24".to_owned(), vec![Digest([1; 32]).into()]);
    assert!(ReferenceValues::new(parts.clone()).is_err());
    parts.values.remove("pcr24");
    parts.values.insert("pcr07".to_owned(), vec![Digest([1; 32]).into()]);
    assert!(ReferenceValues::new(parts.clone()).is_err(), "a number has one spelling");
    parts.values.remove("pcr07");
    parts.tee = Tee::AzSnpVtpm;
    assert!(ReferenceValues::new(parts.clone()).is_ok(), "a vTPM has the same");
    parts.tee = Tee::Tdx;
    assert!(ReferenceValues::new(parts.clone()).is_err());
    parts.tee = Tee::Tpm;
    parts.values.insert("pcr0".to_owned(), vec![Digest([1; 20]).into()]);
    assert!(ReferenceValues::new(parts).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..1024)) {
        let _ = Attest::parse(&bytes);
        let _ = Signature::parse(&bytes);
        let _ = Public::parse(&bytes);
        let _ = tools::read_pcrs(&bytes);
        let _ = Evidence::from_json(&bytes);
        let _ = tools::read_yaml(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_written_quote_is_read_back(
        extra in proptest::collection::vec(any::<u8>(), 0..66),
        digest in proptest::collection::vec(any::<u8>(), 0..64),
        numbers in (any::<u64>(), any::<u32>(), any::<u32>(), any::<bool>(), any::<u64>()),
        bits in proptest::collection::vec(0u32..0x0100_0000, 0..4),
        handle in any::<u32>(),
    ) {
        let banks = [AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SHA512];
        let select = banks.into_iter().zip(bits).map(|(hash, bits)| PcrSelection { hash, size: 3, bits }).collect();
        let (clock, reset_count, restart_count, safe, firmware_version) = numbers;
        let attest = Attest {
            qualified_signer: Name::Handle(handle),
            extra_data: &extra,
            clock_info: ClockInfo { clock, reset_count, restart_count, safe },
            firmware_version,
            pcr_select: PcrSelections::new(select).unwrap(),
            pcr_digest: &digest,
        };
        let bytes = attest.encode().unwrap();
        prop_assert_eq!(Attest::parse(&bytes).unwrap(), attest);
    }
}
