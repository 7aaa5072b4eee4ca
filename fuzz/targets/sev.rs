#![no_main]

use sealwright_wire::sev::{CaCertificate, Certificate, looks_like_ca};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(certificate) = Certificate::parse(input) {
        let _ = (certificate.usage().name(), certificate.algorithm().name());
    }
    if let Ok(certificate) = CaCertificate::parse(input) {
        assert!(looks_like_ca(input));
        let _ = certificate.usage().name();
    }
});
