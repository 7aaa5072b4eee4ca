#![no_main]

use sealwright_wire::nvidia::{Builder, CompositeDeviceId, Report};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = CompositeDeviceId::from_der(input);
    // What parses must be written back and read as the same.
    if let Ok(report) = Report::parse(input) {
        let builder = Builder {
            request: *report.request,
            blocks: report.blocks.clone(),
            nonce: *report.nonce,
            fields: report.fields.clone(),
        };
        let written = builder.encode(|_| *report.signature).unwrap();
        let again = Report::parse(&written).unwrap();
        assert_eq!((again.blocks, again.fields, again.nonce), (report.blocks, report.fields, report.nonce));
    }
});
