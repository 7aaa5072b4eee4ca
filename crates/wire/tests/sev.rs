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
