#![no_main]

use sealwright_verify::replay;
use sealwright_wire::cel::Log;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(log) = Log::parse(input) {
        let records: Vec<_> = log.records().collect();
        for record in &records {
            let _ = replay::cel_matches_digest(record);
        }
        assert_eq!(records.len(), log.record_count());
        let _ = replay::replay_cel(&log);
        // What was read can be told again in its own encoding, and then says the same.
        if let Ok(again) = Log::encode(log.encoding(), &records) {
            let _ = Log::parse(&again);
        }
    }
});
