#![no_main]

use sealwright_wire::acpi::Ccel;
use sealwright_wire::quote::{Builder, Quote};
use sealwright_wire::sgx::Report;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = (Report::parse(input), Ccel::parse(input));
    // What parses must be written back to the same bytes.
    if let Ok(quote) = Quote::parse(input) {
        assert_eq!(Builder::from(&quote).encode().as_deref(), Ok(quote.without_trailing()));
    }
});
