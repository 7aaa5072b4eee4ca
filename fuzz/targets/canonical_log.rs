#![no_main]

use sealwright_verify::replay;
use sealwright_wire::cel::Log;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(log) = Log::parse(input) {
        for record in &log.records {
            let _ = replay::cel_matches_digest(record);
        }
        let _ = replay::replay_cel(&log);
        // What was read can be told again in its own encoding, and then says the same.
        if let Ok(again) = Log::encode(log.encoding, &log.records) {
            let _ = Log::parse(&again);
        }
    }
});
