#![no_main]

use sealwright_verify::replay::{self, Boot};
use sealwright_wire::tcg2::{AlgorithmId, Log};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(log) = Log::parse(input) {
        assert_eq!(log.events().count(), log.event_count());
        Boot::read(&log, AlgorithmId::SHA256, &[1, 4, 7, 8]);
    }
    let _ = replay::replay(input);
});
