//! What a relying party waits for before an event log is explained: read and replayed, all banks of it, beside eventlog-rs 0.1.7, which
//! replays the first bank alone and takes that for SHA-384.

#[path = "../../../crates/wire/tests/support/mod.rs"]
mod support;

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, digest};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use eventlog_rs::Eventlog;
use sealwright_peers::ThreadTime;
use sealwright_verify::replay;
use sealwright_wire::tcg2::{AlgorithmId, Writer, event_type::EV_EFI_ACTION};
use std::hint::black_box;

const BANKS: [(AlgorithmId, &Algorithm); 3] =
    [(AlgorithmId::SHA384, &SHA384), (AlgorithmId::SHA256, &SHA256), (AlgorithmId::SHA1, &SHA1_FOR_LEGACY_USE_ONLY)];
const EVENTS: u32 = 120;

/// A log as long as a cloud machine's: 120 events in three banks, with SHA-384 first.
fn three_banks() -> Vec<u8> {
    let mut writer = Writer::new(0, &BANKS.map(|(bank, _)| bank)).expect("a header");
    for event in 0..EVENTS {
        let data = [event.to_le_bytes().as_slice(), &[0x5a; 230]].concat();
        let digests = BANKS.map(|(_, hash)| digest(hash, &data));
        let digests: Vec<&[u8]> = digests.iter().map(AsRef::as_ref).collect();
        writer.event(event % 10, EV_EFI_ACTION, &digests, &data).expect("an event");
    }
    writer.into_bytes()
}

fn benches(criterion: &mut Criterion<ThreadTime>) {
    let Some(vectors) = support::vectors() else { return };
    let ccel = std::fs::read(vectors.join("eventlog/ccel/trustee/CCEL_data")).expect("a log");
    for (name, log) in [("three banks", three_banks()), ("a real CCEL", ccel)] {
        let mut group = criterion.benchmark_group(format!("event log/{name}"));
        group.throughput(Throughput::Bytes(log.len() as u64));
        group.bench_function("sealwright", |bencher| {
            bencher.iter(|| replay::replay(black_box(&log)).expect("a log"));
        });
        group.bench_function("eventlog-rs", |bencher| {
            bencher.iter(|| {
                let theirs = Eventlog::try_from(black_box(&log).clone()).expect("a log");
                theirs.replay_measurement_registry()
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = eventlog_benches;
    config = Criterion::default().with_measurement(ThreadTime);
    targets = benches
}
criterion_main!(eventlog_benches);
