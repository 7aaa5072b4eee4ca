//! What a relying party waits for when it verifies a real TDX quote of version 4: everything the first time, the quote alone
//! once its platform is known, and dcap-qvl 0.7.1 (with ring, as its users run it) in the same process on the same bytes.
//!
//! Measured is the thread's processor time, so that other work on the machine weighs on both sides as little as can be.

#[path = "../../../crates/wire/tests/support/mod.rs"]
mod support;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dcap_qvl::{QuoteCollateralV3, quote::Quote as TheirQuote, verify::QuoteVerifier};
use sealwright_evidence::Backend;
use sealwright_peers::ThreadTime;
use sealwright_sim::{Enclave, QuoteFormat, Site, TdConfig, files, fixed_clock};
use sealwright_verify::{Anchor, Anchors, Collateral, P256_KEY_INFO, Platform, verify};
use sealwright_wire::collateral::{Bundle, pem_chain};
use sealwright_wire::quote::{Body, Quote};
use sealwright_wire::{Evidence, Tee, time::UnixTime};
use std::hint::black_box;
use std::thread;

/// Seconds since 1970 at which the evidence was fresh (`vectors/quote/expected.json`).
const AT: UnixTime = UnixTime(1_750_414_560);

fn benches(criterion: &mut Criterion<ThreadTime>) {
    let Some(vectors) = support::vectors() else { return };
    let folder = vectors.join("quote/tdx/dcap-qvl-tdx-quote");
    let (quote, json) = (std::fs::read(folder.join("tdx_quote")), std::fs::read(folder.join("collateral.json")));
    let (quote, json) = (quote.expect("the quote"), json.expect("the collateral"));
    ours(criterion, &quote, &json);
    floor(criterion, &quote);
    theirs(criterion, &quote, &json);
}

/// The two signatures of a quote whose platform is known, and nothing else: by the PCK key over the quoting enclave's report, by the
/// attestation key over the quote. The keys are decoded before, as a verified platform keeps them, but for the attestation key, which every
/// quote brings.
fn floor(criterion: &mut Criterion<ThreadTime>, quote: &[u8]) {
    let quote = Quote::parse(quote).expect("a quote");
    let chain = pem_chain("chain", quote.certification.data()).expect("a chain");
    let pck = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point_of(&chain[0])).expect("a key");
    let report = Body::Sgx(quote.qe_report).as_bytes();
    let attestation_key = [&[4][..], quote.attestation_key].concat();
    criterion.bench_function("verify/tdx-v4/its two signatures", |bencher| {
        bencher.iter(|| {
            pck.verify_sig(black_box(report), quote.qe_report_signature).expect("genuine");
            let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, black_box(&attestation_key)).expect("a key");
            key.verify_sig(black_box(quote.signed), quote.signature).expect("genuine");
        });
    });
}

/// The public key of a certificate with a key on P-256.
fn point_of(certificate: &[u8]) -> &[u8] {
    let at = certificate.windows(26).position(|window| window == P256_KEY_INFO).expect("a P-256 key") + 26;
    &certificate[at..at + 65]
}

/// Ten thousand quotes of several kinds and platforms that are known, by one thread and by two.
fn many(criterion: &mut Criterion) {
    const QUOTES: usize = 10_000;
    let site = Site::found(fixed_clock(AT)).expect("a site");
    let anchors = Anchors::none().with(Anchor::from_certificate("site", site.root()).expect("a root"));
    let of = |tee| Collateral::verify(&site.collateral(tee).expect("collateral"), &anchors, AT).expect("genuine");
    let (tdx, sgx) = (of(Tee::Tdx), of(Tee::Sgx));
    let enclave = Enclave { mr_enclave: [1; 32], mr_signer: [2; 32], isv_prod_id: 3, isv_svn: 4, debug: false };
    let mut quotes = vec![(&sgx, site.sgx_quote(&enclave, &[9; 64]).expect("a quote"))];
    for (name, quote) in [("one", QuoteFormat::V4), ("two", QuoteFormat::V5Td15)] {
        let config = TdConfig { quote, ..TdConfig::new(name, files::generate(name)) };
        let td = site.boot(&config).expect("a machine");
        quotes.push((&tdx, td.quote(&[1; 64]).expect("a quote")));
    }
    let known: Vec<_> = quotes
        .iter()
        .map(|(collateral, quote)| {
            let chain = Quote::parse(quote).expect("a quote").certification.data();
            (collateral.platform(chain, AT).expect("genuine"), quote)
        })
        .collect();
    let share = |count: usize| {
        for (platform, quote) in known.iter().cycle().take(count) {
            let evidence = Evidence::parse(black_box(quote), None).expect("a quote");
            black_box(platform.verify(&evidence, AT).expect("genuine"));
        }
    };
    let mut group = criterion.benchmark_group("verify/10,000 mixed quotes");
    group.sample_size(10);
    group.bench_function("one thread", |bencher| bencher.iter(|| share(QUOTES)));
    group.bench_function("two threads", |bencher| {
        bencher.iter(|| thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(|| share(QUOTES / 2))))));
    });
    group.finish();
}

fn ours(criterion: &mut Criterion<ThreadTime>, quote: &[u8], json: &[u8]) {
    let bundle = Bundle::from_json(json).expect("a bundle");
    let mut group = criterion.benchmark_group("verify/tdx-v4");
    group.bench_function("sealwright parse", |bencher| bencher.iter(|| Quote::parse(black_box(quote)).is_ok()));
    let collateral = Collateral::verify(&bundle, &Anchors::vendor(), AT).expect("genuine");
    let chain = Quote::parse(quote).expect("a quote").certification.data();
    let platform = || collateral.platform(chain, AT).expect("genuine");
    let judge = |platform: &Platform| {
        let evidence = Evidence::parse(black_box(quote), None).expect("a quote");
        platform.verify(&evidence, AT).expect("genuine")
    };
    // The platform has seen a quote: the quoting enclave's bytes are the same, the quote's own signature is checked.
    let known = platform();
    group.bench_function("sealwright warm", |bencher| bencher.iter(|| judge(&known)));
    // The platform has seen no quote yet: the quoting enclave's signature is checked beside the quote's own.
    group.bench_function("sealwright warm, first quote", |bencher| {
        bencher.iter_batched(platform, |platform| (judge(&platform), platform), BatchSize::SmallInput);
    });
    group.bench_function("sealwright new platform", |bencher| {
        bencher.iter(|| {
            let evidence = Evidence::parse(black_box(quote), None).expect("a quote");
            verify(&evidence, &collateral, AT).expect("genuine")
        });
    });
    group.bench_function("sealwright cold", |bencher| {
        bencher.iter(|| {
            let evidence = Evidence::parse(black_box(quote), None).expect("a quote");
            let collateral = Collateral::verify(&bundle, &Anchors::vendor(), AT).expect("genuine");
            verify(&evidence, &collateral, AT).expect("genuine")
        });
    });
    group.finish();
}

fn theirs(criterion: &mut Criterion<ThreadTime>, quote: &[u8], json: &[u8]) {
    let collateral: QuoteCollateralV3 = serde_json::from_slice(json).expect("a bundle");
    let verifier = QuoteVerifier::new_prod();
    let mut group = criterion.benchmark_group("verify/tdx-v4");
    // Next to our cold run, with which it is compared.
    group.bench_function("dcap-qvl", |bencher| {
        bencher.iter(|| verifier.verify(black_box(quote), &collateral, AT.0).expect("genuine"));
    });
    group.bench_function("dcap-qvl parse", |bencher| bencher.iter(|| TheirQuote::parse(black_box(quote)).is_ok()));
    group.finish();
}

criterion_group! {
    name = verify_benches;
    config = Criterion::default().with_measurement(ThreadTime);
    targets = benches
}
criterion_group!(many_benches, many);
criterion_main!(verify_benches, many_benches);
