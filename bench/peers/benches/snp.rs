//! What a relying party waits for when it verifies a real SEV-SNP report of a Milan machine: with the whole chain, and the report alone once
//! its key is known; beside the crate `sev` 8.0 without OpenSSL, in the same process on the same bytes.

#[path = "../../../crates/wire/tests/support/mod.rs"]
mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use sealwright_peers::ThreadTime;
use sealwright_verify::Anchors;
use sealwright_verify::snp::{Collateral, Revocation};
use sealwright_wire::snp::{Bundle, Report};
use sealwright_wire::time::UnixTime;
use sev::certs::snp::{Certificate, Chain, Verifiable, ca};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser;
use std::hint::black_box;

/// Seconds since 1970 at which the chain is valid.
const AT: UnixTime = UnixTime(1_750_414_560);

/// A report, its VCEK in DER, and the two CAs above it in PEM.
struct Sample {
    report: Vec<u8>,
    vcek: Vec<u8>,
    ask: String,
    ark: String,
}

impl Sample {
    fn read() -> Option<Self> {
        let folder = support::vectors()?.join("snp/sev");
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a text");
        let report = text("report_milan.hex").split_whitespace().collect::<String>();
        let byte = |at| u8::from_str_radix(&report[at..at + 2], 16).expect("hex");
        Some(Self {
            report: (0..report.len()).step_by(2).map(byte).collect(),
            vcek: std::fs::read(folder.join("vcek_milan.der")).expect("a certificate"),
            ask: text("roots/milan/ask.pem"),
            ark: text("roots/milan/ark.pem"),
        })
    }

    fn bundle(&self) -> Bundle {
        Bundle { cert_chain: format!("{}\n{}", self.ask.trim_end(), self.ark), crl: None }
    }

    /// The chain as their users read it.
    fn chain(&self) -> Chain {
        let pem = |text: &str| Certificate::from_pem(text.as_bytes()).expect("a certificate");
        let ca = ca::Chain { ark: pem(&self.ark), ask: pem(&self.ask) };
        Chain { ca, vek: Certificate::from_der(&self.vcek).expect("a certificate") }
    }
}

fn benches(criterion: &mut Criterion<ThreadTime>) {
    let Some(sample) = Sample::read() else { return };
    let mut group = criterion.benchmark_group("verify/snp");
    let (bundle, anchors) = (sample.bundle(), Anchors::vendor());
    let collateral = || Collateral::verify(black_box(&bundle), &anchors, Revocation::IfPresent, AT).expect("genuine");
    group.bench_function("sealwright chain and report", |bencher| {
        bencher.iter(|| {
            let vek = collateral().vek(black_box(&sample.vcek), AT).expect("genuine");
            vek.verify(&Report::parse(black_box(&sample.report)).expect("a report"), AT).expect("genuine")
        });
    });
    group.bench_function("sev chain and report", |bencher| {
        bencher.iter(|| {
            let report = AttestationReport::from_bytes(black_box(&sample.report)).expect("a report");
            (&black_box(&sample).chain(), &report).verify().expect("genuine");
        });
    });
    let vek = collateral().vek(&sample.vcek, AT).expect("genuine");
    group.bench_function("sealwright report", |bencher| {
        bencher.iter(|| vek.verify(&Report::parse(black_box(&sample.report)).expect("a report"), AT).expect("genuine"));
    });
    let known = sample.chain().vek;
    group.bench_function("sev report", |bencher| {
        bencher.iter(|| {
            let report = AttestationReport::from_bytes(black_box(&sample.report)).expect("a report");
            (&known, &report).verify().expect("genuine");
        });
    });
    group.finish();
}

criterion_group! {
    name = snp_benches;
    config = Criterion::default().with_measurement(ThreadTime);
    targets = benches
}
criterion_main!(snp_benches);
