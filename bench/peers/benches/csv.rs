//! What a relying party waits for when it verifies a real report of a Hygon CSV guest whose chip it knows: the PEK's signature and the report's,
//! both of SM2, and a MAC of SM3; beside as many bare SM2 verifications of OpenSSL's, as `openssl speed` measures them in the same minute.

#[path = "../../../crates/wire/tests/support/mod.rs"]
mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use sealwright_peers::ThreadTime;
use sealwright_verify::{Anchors, csv::Chip};
use sealwright_wire::csv::Report;
use sealwright_wire::time::UnixTime;
use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

const AT: UnixTime = UnixTime(1_750_414_560);
/// Signatures in a report.
const SIGNATURES: u32 = 2;

/// How long OpenSSL takes for a verification, in processor time; `None` where it is not installed or has no SM2.
fn openssl() -> Option<Duration> {
    let output = Command::new("openssl").args(["speed", "-mr", "-seconds", "1", "sm2"]).output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    // +F7:index:bits:curve:signatures per second:verifications per second
    let line = printed.lines().find(|line| line.starts_with("+F7:"))?;
    let per_second: f64 = line.rsplit(':').next()?.parse().ok()?;
    Some(Duration::from_secs_f64(1.0 / per_second))
}

fn benches(criterion: &mut Criterion<ThreadTime>) {
    let Some(vectors) = support::vectors() else { return };
    let read = |name: &str| std::fs::read(vectors.join("csv/csv-rs").join(name)).expect("a file");
    let (report, hsk_cek) = (read("report.cert"), read("hsk_cek.cert"));
    let chip = Chip::verify(&hsk_cek, &Anchors::vendor()).expect("genuine");
    let mut group = criterion.benchmark_group("verify/csv");
    group.bench_function("sealwright report", |bencher| {
        bencher.iter(|| {
            let report = Report::parse(black_box(&report)).expect("a report");
            chip.verify_report(&report, None, AT).expect("genuine")
        });
    });
    group.sample_size(10);
    if openssl().is_some() {
        group.bench_function("openssl, two signatures", |bencher| {
            bencher.iter_custom(|iterations| {
                let each = openssl().expect("measured before") * SIGNATURES;
                each.saturating_mul(u32::try_from(iterations).unwrap_or(u32::MAX))
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = csv_benches;
    config = Criterion::default().with_measurement(ThreadTime);
    targets = benches
}
criterion_main!(csv_benches);
