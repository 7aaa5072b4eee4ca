#![no_main]

use sealwright_wire::cca::{Store, Token};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = Store::from_json(input);
    if let Ok(token) = Token::parse(input) {
        let _ = token.realm_claims.key();
        token.platform_claims.encode().unwrap();
        token.realm_claims.encode().unwrap();
    }
});
