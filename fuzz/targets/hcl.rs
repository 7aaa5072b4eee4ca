#![no_main]

use sealwright_wire::hcl::{Evidence, Report, RuntimeClaims};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    // What parses must be written back to the same bytes, but for the zeros at its end.
    if let Ok(report) = Report::parse(input) {
        assert_eq!(report.encode().as_deref().ok(), input.get(..input.len() - report.padding));
        let _ = RuntimeClaims::parse(report.claims);
    }
    if let Ok(claims) = RuntimeClaims::parse(input) {
        let _ = claims.attestation_key();
    }
    let _ = Evidence::from_json(input);
});
