#![no_main]

use sealwright_appraise::{SigningKey, TokenVerifier};
use sealwright_wire::{
    jws::{self, Header},
    time::UnixTime,
};
use std::sync::LazyLock;

const NOW: UnixTime = UnixTime(1_795_132_800);

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().expect("random bytes"));

// Claims of a trusted issuer that has lost its mind: whatever they are, the signature is good.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(header) = Header::new("ES256").encode() else { return };
    let signing_input = header.signing_input(input);
    let Ok(signature) = KEY.sign(signing_input.as_bytes()) else { return };
    let verifier = TokenVerifier::new().trusting("issuer", *KEY.public());
    if let Ok(token) = verifier.verify(&jws::assemble(signing_input, &signature), NOW) {
        let _ = (token.tee_pubkey(), token.policy_id(), token.anchor(), token.reasons(), token.is_simulated());
    }
});
