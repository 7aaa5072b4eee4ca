//! Certificates, revocation lists and keys, as roots and as what comes beside evidence.
#![no_main]

use sealwright_verify::{Anchor, any::Supplied, pem};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = Supplied::default().add(input);
    let certificate = pem::certificate(input);
    let _ = Anchor::from_certificate("root", &certificate);
    let _ = Anchor::tpm_ca("ca", &certificate);
    let _ = Anchor::attestation_key("key", &pem::public_key(input));
    let _ = Anchor::attestation_key_area("area", input);
    let _ = pem::revocation_list(input);
});
