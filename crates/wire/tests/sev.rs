//! Certificates of SEV from before SEV-SNP: the public ones are read for what they are, and no cut or change makes a parser panic.

mod support;

use proptest::prelude::*;
use sealwright_wire::Kind;
use sealwright_wire::sev::{CaCertificate, Certificate, looks_like_ca};
use std::fs;

#[test]
fn the_public_certificates_of_platforms_are_read() {
    let Some(vectors) = support::vectors() else { return };
    for platform in ["naples", "rome"] {
        for (file, usage, algorithm, signers) in [
            ("oca.cert", "OCA", "ECDSA with SHA-256", ["OCA", "none"]),
            ("cek.cert", "CEK", "ECDSA with SHA-256", ["ASK", "none"]),
            ("pek.cert", "PEK", "ECDSA with SHA-256", ["OCA", "CEK"]),
            ("pdh.cert", "PDH", "ECDH with SHA-256", ["PEK", "none"]),
        ] {
            let bytes = fs::read(vectors.join("snp/sev").join(platform).join(file)).unwrap();
            let certificate = Certificate::parse(&bytes).unwrap();
            assert_eq!(certificate.usage().name(), Some(usage), "{platform}/{file}");
            assert_eq!(certificate.algorithm().name(), Some(algorithm), "{platform}/{file}");
            let found =
                certificate.signatures.map(|signature| sealwright_wire::sev::Usage(signature.usage.get()).name());
            assert_eq!(found, signers.map(Some), "{platform}/{file}");
        }
    }
}

#[test]
fn a_ca_certificate_without_its_signature_is_refused() {
    let Some(vectors) = support::vectors() else { return };
    let read = |file: &str| fs::read(vectors.join("snp/sev/naples").join(file)).unwrap();
    let cut = read("ark.cert.bad");
    assert!(looks_like_ca(&cut));
    let error = CaCertificate::parse(&cut).err().unwrap();
    assert_eq!(error.kind, Kind::Truncated { wanted: 256, left: 0 }, "{error}");
    let whole = [cut, read("ark.cert.sig")].concat();
    let root = CaCertificate::parse(&whole).unwrap();
    assert_eq!((root.usage().name(), root.modulus.len()), (Some("ARK"), 256));
    assert_eq!(root.header.key_id, root.header.certifying_id);
    assert!(CaCertificate::parse(&[whole, vec![0]].concat()).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2200), version in any::<bool>()) {
        if version && let Some(start) = bytes.first_chunk_mut::<4>() {
            *start = [1, 0, 0, 0];
        }
        let _ = Certificate::parse(&bytes);
        if let Ok(certificate) = CaCertificate::parse(&bytes) {
            prop_assert_eq!(certificate.modulus.len(), certificate.signature.len());
        }
    }
}

/// Found by fuzzing: a header with sizes of nothing passed for a whole certificate.
#[test]
fn a_certificate_of_no_size_or_for_another_key_is_none() {
    let mut header = [0; 0x40];
    header[0] = 1;
    assert!(CaCertificate::parse(&header).is_err() && !looks_like_ca(&header));
    let of = |usage: u16, bits: u16| {
        let mut bytes = header.to_vec();
        bytes[0x24..0x26].copy_from_slice(&usage.to_le_bytes());
        bytes[0x3c..0x3e].copy_from_slice(&bits.to_le_bytes());
        bytes.extend(vec![0; 2 * usize::from(bits / 8)]);
        bytes
    };
    for (usage, bits, good) in
        [(0, 2048, true), (0x13, 4096, true), (0x13, 1024, false), (0x13, 3072, false), (0x1004, 2048, false)]
    {
        let bytes = of(usage, bits);
        assert_eq!((CaCertificate::parse(&bytes).is_ok(), looks_like_ca(&bytes)), (good, good), "{usage:#x}, {bits}");
    }
}
