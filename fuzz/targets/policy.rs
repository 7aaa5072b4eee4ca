#![no_main]

use sealwright_appraise::{Evaluator, Kind, Policy, Unconfined};

// Compiled and looked through only: a policy may run for as long as it likes, which is why services give each its own process and time.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for kind in [Kind::Attestation, Kind::Release] {
        if let Ok(policy) = Policy::new(kind, "fuzzed", text) {
            let _ = Unconfined.check(&policy);
        }
    }
});
