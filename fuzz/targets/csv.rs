#![no_main]

use sealwright_verify::csv::Chip;
use sealwright_verify::{Anchors, replay};
use sealwright_wire::csv::{HskCek, Report};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(report) = Report::parse(input) {
        let _ = (report.plain_signer(), report.tee_info());
        // What parses is written back to the same bytes, padded as the device does it.
        if let Ok(written) = Report::encode(report.shape, &report.body, report.signer) {
            let wrapper = written.len() - sealwright_wire::csv::REPORT_SIZE;
            assert!(input.starts_with(&written[..wrapper + report.raw.len()]));
        }
    }
    if let Ok(pair) = HskCek::parse(input) {
        assert_eq!(pair.encode(), input);
        let _ = Chip::verify(input, &Anchors::vendor());
    }
    let _ = replay::check_csv(input, &[[0; 32]; 4]);
});
