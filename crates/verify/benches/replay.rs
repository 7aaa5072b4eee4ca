//! What a relying party waits for before a log is explained: reading it and replaying all of its banks, and the kernel's list behind it. The
//! extends alone are measured beside them, because nothing can be faster than the hashes.

use aws_lc_rs::digest;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealwright_verify::hash::Hash;
use sealwright_verify::replay::{self, Boot, Replay};
use sealwright_wire::ima::Entry;
use sealwright_wire::tcg2::{AlgorithmId, Log, Writer, event_type::EV_EFI_ACTION};
use std::borrow::Cow;
use std::hint::black_box;

const BANKS: [AlgorithmId; 3] = [AlgorithmId::SHA1, AlgorithmId::SHA256, AlgorithmId::SHA384];
const EVENTS: u32 = 120;
const ENTRIES: usize = 1_000;

fn hash(algorithm: AlgorithmId, bytes: &[u8]) -> Vec<u8> {
    Hash::of(algorithm).expect("a known bank").digest(bytes).as_bytes().to_vec()
}

/// A log as long as a cloud machine's: 120 events in three banks, 45 kB.
fn log() -> Vec<u8> {
    let mut writer = Writer::new(0, &BANKS).expect("a header");
    for event in 0..EVENTS {
        let data = [event.to_le_bytes().as_slice(), &[0x5a; 230]].concat();
        let digests = BANKS.map(|bank| hash(bank, &data));
        let digests = digests.each_ref().map(Vec::as_slice);
        writer.event(event % 10, EV_EFI_ACTION, &digests, &data).expect("an event");
    }
    writer.into_bytes()
}

/// A list of `ima-ng` in binary form.
fn list() -> Vec<u8> {
    let mut list = Vec::new();
    for entry in 0..ENTRIES {
        let file = [b"sha256:\0".as_slice(), &[7; 32]].concat();
        let path = format!("/usr/lib/x86_64-linux-gnu/lib{entry}.so\0");
        let mut entry = Entry::new(10, "ima-ng", &[&file, path.as_bytes()]).expect("an entry");
        entry.template_digest = Cow::Owned(hash(AlgorithmId::SHA1, &entry.template_data()));
        entry.to_binary(&mut list);
    }
    list
}

/// `H(register || digest)` for every digest of the log, with nothing around it.
fn bare_extends(digests: &[(&'static digest::Algorithm, Vec<u8>)]) -> u8 {
    let mut registers = [[0; 64]; 3];
    let mut last = 0;
    for ((algorithm, stated), place) in digests.iter().zip([0, 1, 2].into_iter().cycle()) {
        let size = stated.len();
        let mut both = [0; 128];
        both[..size].copy_from_slice(&registers[place][..size]);
        both[size..2 * size].copy_from_slice(stated);
        let extended = digest::digest(algorithm, &both[..2 * size]);
        registers[place][..size].copy_from_slice(extended.as_ref());
        last ^= registers[place][0];
    }
    last
}

fn replay(criterion: &mut Criterion) {
    let (log, list) = (log(), list());
    let parsed = Log::parse(&log).expect("a log");
    let algorithm = |bank| match bank {
        AlgorithmId::SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        AlgorithmId::SHA256 => &digest::SHA256,
        _ => &digest::SHA384,
    };
    let digests = parsed.events().flat_map(|event| event.digests);
    let digests: Vec<_> = digests.map(|(bank, digest)| (algorithm(bank), digest.to_vec())).collect();

    let mut group = criterion.benchmark_group("event log");
    group.throughput(Throughput::Bytes(log.len() as u64));
    group.bench_function("bare extends", |bencher| bencher.iter(|| bare_extends(black_box(&digests))));
    group.bench_function("three banks replayed", |bencher| bencher.iter(|| replay::replay(black_box(&log)).is_ok()));
    group.bench_function("read", |bencher| bencher.iter(|| Log::parse(black_box(&log)).is_ok()));
    group.bench_function("boot told", |bencher| {
        bencher.iter(|| Boot::read(black_box(&parsed), AlgorithmId::SHA256, &[4, 7, 8, 9]));
    });
    group.throughput(Throughput::Bytes(list.len() as u64));
    group.bench_function("ima list joined", |bencher| {
        bencher.iter(|| Replay::of_banks(BANKS).join_ima(black_box(&list)).is_ok());
    });
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
