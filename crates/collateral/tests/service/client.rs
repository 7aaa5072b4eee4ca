//! The client: what it takes and what it refuses.

use crate::{
    DAY, NOW, Vendor,
    canned::{Answer, Answers, Canned, another_digit, hex},
    client, local, serving, support,
};
use sealwright_collateral::{
    FetchError, Key, PckCa, Service, Wanted,
    pcs::{Config, Kind, Version},
};
use sealwright_verify::{Anchors, Collateral};
use sealwright_wire::{
    Tee,
    collateral::{Bundle, TcbInfo},
    quote::{Builder, CertificationData, Quote},
};
use std::{fs, time::Duration};

/// The outcome of asking a service that says this.
async fn fetched(vendor: &Vendor, answers: Answers) -> Result<Bundle, FetchError> {
    let service = Canned::serve(answers).await;
    let config = Config { timeout: Duration::from_millis(500), ..local(&service.url) };
    let fetched = Service::new(&config).unwrap().fetch(&vendor.wanted(Tee::Tdx), &vendor.anchors, NOW).await;
    fetched.map(|fetched| fetched.bundle().clone())
}

#[tokio::test]
async fn what_one_store_holds_another_one_gets_byte_for_byte() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.stocked();
    let service = client(&serving(vendor.served(store)).await);
    for tee in [Tee::Sgx, Tee::Tdx] {
        let fetched = service.fetch(&vendor.wanted(tee), &vendor.anchors, NOW).await.unwrap();
        assert_eq!(*fetched.bundle(), vendor.bundle(tee));
        assert_eq!(fetched.collateral().tee(), tee);
    }
}

#[tokio::test]
async fn real_collateral_comes_through_byte_for_byte() {
    let Some(vectors) = support::vectors() else { return };
    for case in ["sgx/dcap-qvl-sgx-quote", "tdx/dcap-qvl-tdx-quote", "tdx/dcap-qvl-tdx-quote-outdated"] {
        let json = fs::read(vectors.join("quote").join(case).join("collateral.json")).unwrap();
        let bundle = Bundle { pck_certificate_chain: None, ..Bundle::from_json(&json).unwrap() };
        // Each at a time of its own: the second before TCB info's successor.
        let at = TcbInfo::parse(&bundle.tcb_info).unwrap().issue_date.plus(10 * DAY);
        let Ok(collateral) = Collateral::verify(&bundle, &Anchors::vendor(), at) else { panic!("{case}") };
        let key = Key::of(&collateral);
        let service = Canned::serve(Answers::of(&bundle)).await;
        let fetched = client(&service.url).fetch(&Wanted::of(&key).unwrap(), &Anchors::vendor(), at).await.unwrap();
        assert_eq!(*fetched.bundle(), bundle, "{case}");
        assert_eq!(service.asked(), 4);
    }
}

#[tokio::test]
async fn an_honest_answer_is_taken_in_every_spelling() {
    let vendor = Vendor::found();
    let bundle = vendor.bundle(Tee::Tdx);
    let honest = Answers::of(&bundle);
    assert_eq!(fetched(&vendor, honest.clone()).await.unwrap(), bundle);
    let mut old_name = honest.clone();
    old_name.tcb.headers[0].0 = "sgx-tcb-info-issuer-chain".to_owned();
    let mut upper = honest.clone();
    upper.root_crl.body = format!("{}\n", hex(&bundle.root_ca_crl).to_uppercase()).into_bytes();
    for answers in [old_name, upper] {
        assert_eq!(fetched(&vendor, answers).await.unwrap(), bundle);
    }
}

#[tokio::test]
async fn intels_own_service_has_the_root_list_elsewhere_and_in_der() {
    let vendor = Vendor::found();
    let bundle = vendor.bundle(Tee::Tdx);
    let mut answers = Answers::of(&bundle);
    answers.root_crl.body.clone_from(&bundle.root_ca_crl);
    let service = Canned::serve(answers).await;
    let root_crl = format!("{}/rootcacrl.der", service.url);
    let config = Config { kind: Kind::Pcs { root_crl }, ..local(&service.url) };
    let fetched = Service::new(&config).unwrap().fetch(&vendor.wanted(Tee::Tdx), &vendor.anchors, NOW).await.unwrap();
    assert_eq!(*fetched.bundle(), bundle);
}

#[tokio::test]
async fn hostile_answers_are_refused_each_with_its_reason() {
    type Spoil = fn(&mut Answers);
    let vendor = Vendor::found();
    let honest = Answers::of(&vendor.bundle(Tee::Tdx));
    let attempts: &[(&str, Spoil, &str)] = &[
        ("a body over the limit", |a| a.tcb.body = vec![b' '; 2 << 20], "collateral-service-too-long"),
        ("a list over the limit", |a| a.pck_crl.body = vec![0; 3 << 20], "collateral-service-too-long"),
        ("a body that never ends", |a| a.tcb.drip = Some(Duration::from_millis(50)), "collateral-service-timeout"),
        (
            "a head over the limit",
            |a| a.tcb.headers.push(("x".into(), "y".repeat(128 << 10))),
            "collateral-service-protocol",
        ),
        (
            "too many fields",
            |a| a.tcb.headers.extend((0..100).map(|i| (format!("x{i}"), String::new()))),
            "collateral-service-protocol",
        ),
        (
            "a redirect",
            |a| a.tcb = Answer::status(302, &[("location", "/sgx/certification/v4/tcb")]),
            "collateral-service-refused",
        ),
        ("a refusal", |a| a.qe_identity = Answer::status(404, &[]), "collateral-service-refused"),
        ("an empty success", |a| a.qe_identity = Answer::status(204, &[]), "collateral-service-refused"),
        ("no JSON", |a| a.tcb.body = b"<html>".to_vec(), "collateral-service-malformed"),
        ("another document", |a| a.tcb.body.clone_from(&a.qe_identity.body), "collateral-service-malformed"),
        (
            "a short signature",
            |a| {
                let at = a.tcb.body.len() - 4;
                a.tcb.body.drain(at..at + 2);
            },
            "collateral-service-malformed",
        ),
        ("no chain", |a| a.tcb.headers.clear(), "collateral-service-malformed"),
        (
            "two chains",
            |a| {
                let twice = a.tcb.headers[0].clone();
                a.tcb.headers.push(twice);
            },
            "collateral-service-malformed",
        ),
        ("half an escape", |a| a.pck_crl.headers[0].1.push_str("%2"), "collateral-service-malformed"),
        ("no hex", |a| a.root_crl.body = b"30820z".to_vec(), "collateral-service-malformed"),
        ("DER instead of hex", |a| a.root_crl.body.clone_from(&a.pck_crl.body), "collateral-service-malformed"),
        ("a chain of nothing", |a| a.tcb.headers[0].1.clear(), "malformed-collateral"),
        ("another CA's list", |a| a.root_crl.body = hex(&a.pck_crl.body).into_bytes(), "wrong-issuer"),
        (
            "a changed document",
            |a| {
                let at = find(&a.tcb.body, b"UpToDate");
                a.tcb.body[at] = b'u';
            },
            "collateral-signature",
        ),
        (
            "a changed signature",
            |a| {
                let at = a.qe_identity.body.len() - 3;
                another_digit(&mut a.qe_identity.body[at]);
            },
            "collateral-signature",
        ),
        ("a changed list", |a| *a.pck_crl.body.last_mut().unwrap() ^= 1, "collateral-signature"),
    ];
    for (name, spoil, code) in attempts {
        let mut answers = honest.clone();
        spoil(&mut answers);
        let error = fetched(&vendor, answers).await.expect_err(name);
        assert_eq!(error.code(), *code, "{name}: {error}");
        assert!(!error.remedy().is_empty() && !error.to_string().contains('\x1b'), "{name}: {error}");
    }
    let patience = Answer::status(429, &[("retry-after", "120")]);
    let error = fetched(&vendor, Answers { tcb: patience, ..honest }).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(120));
}

fn find(text: &[u8], what: &[u8]) -> usize {
    text.windows(what.len()).position(|window| window == what).unwrap()
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let vendor = Vendor::found();
    let honest = Answers::of(&vendor.bundle(Tee::Tdx));
    let target = Canned::serve(honest.clone()).await;
    let elsewhere = Answer::status(301, &[("location", &target.url)]);
    let error = fetched(&vendor, Answers { pck_crl: elsewhere, ..honest }).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 301, .. }), "{error}");
    assert_eq!(target.asked(), 0);
}

#[tokio::test]
async fn genuine_collateral_of_another_kind_or_root_or_time_is_not_what_was_asked_for() {
    let vendor = Vendor::found();
    let service = client(&Canned::serve(Answers::of(&vendor.bundle(Tee::Tdx))).await.url);
    let wanted = vendor.wanted(Tee::Tdx);
    for other in
        [vendor.wanted(Tee::Sgx), Wanted { fmspc: [9; 6].into(), ..wanted }, Wanted { ca: PckCa::Processor, ..wanted }]
    {
        let error = service.fetch(&other, &vendor.anchors, NOW).await.unwrap_err();
        assert_eq!(error.code(), "collateral-other", "{error}");
    }
    assert_eq!(service.fetch(&wanted, &Anchors::vendor(), NOW).await.unwrap_err().code(), "untrusted-root");
    let later = service.fetch(&wanted, &vendor.anchors, NOW.plus(400 * DAY)).await.unwrap_err();
    assert_eq!(later.code(), "collateral-expired");
}

#[tokio::test]
async fn nobody_there_is_said() {
    let error = client("http://127.0.0.1:1").fetch(&Vendor::found().wanted(Tee::Tdx), &Anchors::vendor(), NOW).await;
    assert_eq!(error.unwrap_err().code(), "collateral-service-unreachable");
}

#[tokio::test]
async fn what_a_version_has_not_is_not_asked_for() {
    let wanted = Wanted { tee: Tee::Snp, fmspc: [0; 6].into(), ca: PckCa::Platform };
    let answers = Canned::serve(Answers::of(&Vendor::found().bundle(Tee::Tdx))).await;
    for (version, tee) in [(Version::V3, Tee::Tdx), (Version::V4, Tee::Snp)] {
        let service = Service::new(&Config { version, ..local(&answers.url) }).unwrap();
        let error = service.fetch(&Wanted { tee, ..wanted }, &Anchors::vendor(), NOW).await.unwrap_err();
        assert_eq!(error.code(), "collateral-not-served", "{error}");
    }
}

/// A certificate is looked up by what the quote says of its platform, and one for other security versions is not taken.
#[tokio::test]
async fn a_pck_certificate_is_looked_up_for_quotes_that_carry_none() {
    let vendor = Vendor::found();
    let enclave =
        sealwright_sim::Enclave { mr_enclave: [1; 32], mr_signer: [2; 32], isv_prod_id: 3, isv_svn: 4, debug: false };
    let raw = vendor.site.sgx_quote(&enclave, &[0; 64]).unwrap();
    let quote = Quote::parse(&raw).unwrap();
    let CertificationData::PckChain(chain) = quote.certification else { panic!("no chain") };
    let end = "-----END CERTIFICATE-----\n";
    let text = String::from_utf8(chain.to_vec()).unwrap();
    let (leaf, issuers) = text.trim_end_matches('\0').split_at(text.find(end).unwrap() + end.len());
    let named = [&[7; 384][..], &[8; 16], &[9, 1], &[0, 0]].concat();
    let certification = CertificationData::parse(3, &named).unwrap();
    let rewritten = Builder { certification, ..Builder::from(&quote) }.encode().unwrap();
    let named = Quote::parse(&rewritten).unwrap();
    let mut answers = Answers::of(&vendor.bundle(Tee::Sgx));
    answers.pck_cert = Answer::new(&[("SGX-PCK-Certificate-Issuer-Chain", issuers), ("SGX-TCBm", &tcbm(9))], leaf);
    let service = client(&Canned::serve(answers.clone()).await.url);
    let found = service.pck_chain(&named).await.unwrap();
    assert_eq!(found, text.trim_end_matches('\0'));
    assert_eq!(service.pck_chain(&quote).await.unwrap_err().code(), "collateral-no-platform");
    answers.pck_cert.headers[1].1 = tcbm(8);
    let service = client(&Canned::serve(answers).await.url);
    assert_eq!(service.pck_chain(&named).await.unwrap_err().code(), "collateral-other");
}

/// CPUSVN and PCESVN, little-endian.
fn tcbm(pce_svn: u8) -> String {
    format!("{}{pce_svn:02X}01", "08".repeat(16))
}
