#![no_main]

use sealwright_verify::replay::Replay;
use sealwright_wire::ima;
use sealwright_wire::tcg2::AlgorithmId;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(lines) = ima::ascii(input) {
        lines.take_while(Result::is_ok).flatten().for_each(|entry| drop(entry.template_data()));
    }
    for digest_size in [20, 32, 48] {
        if let Ok(records) = ima::binary(input, digest_size) {
            records.take_while(Result::is_ok).flatten().for_each(|entry| {
                let mut line = Vec::new();
                let _ = entry.to_ascii(&mut line);
            });
        }
    }
    let _ = Replay::of_banks([AlgorithmId::SHA1, AlgorithmId::SHA256]).join_ima(input);
});
