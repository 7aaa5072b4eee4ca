//! Evidence of any kind with one file beside it: a length of two bytes (big-endian), so much of the file, then the evidence.
#![no_main]

use sealwright_verify::any::{Request, Root, Supplied, Verdict};
use sealwright_wire::time::UnixTime;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return };
    let (file, evidence) = rest.split_at(rest.len().min(u16::from_be_bytes(*length).into()));
    let mut supplied = Supplied::default();
    let _ = supplied.add(file);
    let named = vec![Root { name: "root", bytes: file }];
    for roots in [Vec::new(), named] {
        let request = Request {
            roots,
            event_log: Some(file),
            signature: Some(file),
            pcrs: Some(file),
            ..Request::new(&supplied, UnixTime(1_750_414_560))
        };
        let _ = Verdict::of(request.verify(evidence), None);
        let without_log = Request { event_log: None, ..request };
        let _ = Verdict::of(without_log.verify(evidence), None);
    }
});
