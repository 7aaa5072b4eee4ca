#![no_main]

use sealwright_wire::{
    tpm::{Attest, Evidence, Public, Signature, dump::Dump, tools},
    tpm12::QuoteInfo,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    // What parses must be written back to the same bytes.
    if let Ok(attest) = Attest::parse(input) {
        assert_eq!(attest.encode().as_deref(), Ok(input));
    }
    if let Ok(signature) = Signature::parse(input) {
        assert_eq!(signature.encode().as_deref(), Ok(input));
    }
    if let Ok(public) = Public::parse(input) {
        assert_eq!(public.encode().ok().as_deref(), Public::without_size(input).ok());
        let _ = public.key_info();
    }
    if let Ok((selections, values)) = tools::read_pcrs(input) {
        assert_eq!(values.len(), selections.registers().count());
    }
    let _ = Evidence::from_json(input);
    let _ = Dump::from_json(input);
    let _ = QuoteInfo::parse(input);
    let _ = std::str::from_utf8(input).map(tools::read_yaml);
});
