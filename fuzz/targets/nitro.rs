#![no_main]

use sealwright_wire::cose::{Key, Sign1};
use sealwright_wire::nitro::Document;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = Key::parse(input);
    // What parses must be written back and read as the same.
    if let Ok(message) = Sign1::parse(input) {
        let written = message.encode().unwrap();
        let again = Sign1::parse(&written).unwrap();
        assert_eq!(
            (again.protected, again.payload, again.signature),
            (message.protected, message.payload, message.signature)
        );
    }
    if let Ok(document) = Document::parse(input) {
        let written = document.statement.document(|_| [0; 96]).unwrap();
        assert_eq!(Document::parse(&written).unwrap().statement, document.statement);
    }
});
