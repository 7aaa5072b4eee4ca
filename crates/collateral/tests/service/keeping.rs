//! The store: what is kept, how fresh it is called, and when it asks again.

use crate::{
    DAY, NOW, Vendor,
    canned::{Answer, Answers, Canned},
    client, serving,
};
use sealwright_collateral::{BackOff, Error, Freshness, Kept, RefreshError, Services, Upkeep, keep};
use sealwright_wire::{Tee, collateral::Bundle, time::UnixTime};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub(crate) const UPKEEP: Upkeep = Upkeep {
    max_age: Duration::from_secs(DAY),
    stale_after: Duration::from_secs(3 * DAY),
    before_expiry: Duration::from_secs(2 * DAY),
    back_off: BackOff { first: Duration::from_secs(60), most: Duration::from_secs(3_600) },
};

#[tokio::test]
async fn what_is_fetched_is_kept_in_one_file_and_used() {
    let vendor = Vendor::found();
    let (folder, store) = vendor.store();
    let beside = vendor.open(folder.path(), NOW);
    let service = client(&Canned::serve(Answers::of(&vendor.bundle(Tee::Tdx))).await.url);
    let wanted = vendor.wanted(Tee::Tdx);
    assert_eq!(store.fetch(&service, &wanted, &UPKEEP, NOW, 0.5).await.unwrap(), Kept::New);
    let file = folder.path().join(wanted.file());
    assert_eq!(Bundle::from_json(&fs::read(&file).unwrap()).unwrap(), vendor.bundle(Tee::Tdx));
    // Another process that has this folder open knows as well.
    beside.library().reload(NOW).unwrap();
    assert_eq!(beside.standings(&UPKEEP, NOW)[0].from.as_deref(), Some(service.url()));
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(store.fetch(&service, &wanted, &UPKEEP, NOW.plus(9), 0.5).await.unwrap(), Kept::Unchanged);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before, "what is as good is not written again");
    let [standing] = &store.standings(&UPKEEP, NOW.plus(9))[..] else { panic!("one bundle") };
    assert_eq!((standing.wanted, standing.freshness), (wanted, Freshness::Fresh));
    assert_eq!((standing.fetched, standing.from.as_deref()), (NOW.plus(9), Some(service.url())));
    // The next process knows as much.
    assert_eq!(vendor.open(folder.path(), NOW).standings(&UPKEEP, NOW.plus(9)), std::slice::from_ref(standing));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "the bundle and two notes: {left:?}");
}

/// Fresh, due, stale, expired: by age where somebody fetched it, and never silently gone.
#[tokio::test]
async fn every_verdict_is_reached_and_nothing_vanishes() {
    let vendor = Vendor::found();
    let (folder, store) = vendor.store();
    let service = client(&Canned::serve(Answers::of(&vendor.bundle(Tee::Tdx))).await.url);
    store.fetch(&service, &vendor.wanted(Tee::Tdx), &UPKEEP, NOW, 0.5).await.unwrap();
    let expires = store.standings(&UPKEEP, NOW)[0].expires;
    for (at, verdict) in [
        (NOW, Freshness::Fresh),
        (NOW.plus(DAY + 1), Freshness::Due),
        (NOW.plus(3 * DAY + 1), Freshness::Stale),
        (expires.plus(1), Freshness::Expired),
    ] {
        // As it is seen by a process that has just started, and so refuses what has expired.
        for store in [&store, &vendor.open(folder.path(), at)] {
            let [standing] = &store.standings(&UPKEEP, at)[..] else { panic!("{verdict}: one bundle") };
            assert_eq!(standing.freshness, verdict, "{standing:?}");
        }
    }
    let lost = &vendor.open(folder.path(), expires.plus(1)).standings(&UPKEEP, expires.plus(1))[0];
    assert!(
        lost.refused.as_ref().unwrap().contains("expired") || lost.refused.as_ref().unwrap().contains("valid"),
        "{lost:?}"
    );
    fs::remove_file(folder.path().join(vendor.wanted(Tee::Tdx).file())).unwrap();
    store.library().reload(NOW).unwrap();
    let [gone] = &store.standings(&UPKEEP, NOW)[..] else { panic!("one bundle") };
    assert_eq!((gone.freshness, gone.evaluation_number), (Freshness::Stale, None));
}

#[tokio::test]
async fn older_than_seen_is_refused_after_a_restart_too_and_what_was_there_stays() {
    let vendor = Vendor::found();
    let (folder, store) = vendor.store();
    let old = Canned::serve(Answers::of(&vendor.bundle(Tee::Tdx))).await;
    vendor.site.revoke_pck().unwrap();
    let new = Canned::serve(Answers::of(&vendor.bundle(Tee::Tdx))).await;
    let wanted = vendor.wanted(Tee::Tdx);
    store.fetch(&client(&new.url), &wanted, &UPKEEP, NOW, 0.5).await.unwrap();
    for store in [store, vendor.open(folder.path(), NOW)] {
        let error = store.fetch(&client(&old.url), &wanted, &UPKEEP, NOW, 0.5).await.unwrap_err();
        assert_eq!(error.code(), "collateral-taken-back", "{error}");
        let RefreshError::Keep(Error::TakenBack { what, .. }) = error else { panic!("{error}") };
        assert!(what.contains("CRL is number"), "{what}");
        let kept = Bundle::from_json(&fs::read(folder.path().join(wanted.file())).unwrap()).unwrap();
        assert_eq!(kept, vendor.bundle(Tee::Tdx));
    }
}

/// One bundle with a revocation, then another environment's from a service that does not know of it yet.
#[tokio::test]
async fn a_list_is_its_issuers_whichever_bundle_brings_the_older_one() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.store();
    let old = vendor.bundle(Tee::Sgx);
    vendor.site.revoke_pck().unwrap();
    store.import(&vendor.bundle(Tee::Tdx), NOW).unwrap();
    assert_eq!(store.import(&old, NOW).unwrap_err().code(), "collateral-taken-back");
    store.import(&vendor.bundle(Tee::Sgx), NOW).unwrap();
}

#[tokio::test]
async fn nothing_is_kept_of_what_does_not_hold() {
    let vendor = Vendor::found();
    let (folder, store) = vendor.store();
    let mut answers = Answers::of(&vendor.bundle(Tee::Tdx));
    *answers.pck_crl.body.last_mut().unwrap() ^= 1;
    let service = client(&Canned::serve(answers).await.url);
    let error = store.fetch(&service, &vendor.wanted(Tee::Tdx), &UPKEEP, NOW, 0.5).await.unwrap_err();
    assert_eq!(error.code(), "collateral-signature");
    assert!(store.standings(&UPKEEP, NOW).is_empty());
    assert!(!folder.path().join(vendor.wanted(Tee::Tdx).file()).exists());
    let forged = Bundle { tcb_info_signature: [1; 64], ..vendor.bundle(Tee::Tdx) };
    assert_eq!(store.import(&forged, NOW).unwrap_err().code(), "collateral-signature");
}

#[tokio::test]
async fn what_is_due_is_asked_for_and_after_failures_not_at_once_again() {
    let vendor = Vendor::found();
    let (folder, store) = vendor.stocked();
    let failing = Answers { tcb: Answer::status(503, &[]), ..Answers::of(&vendor.bundle(Tee::Tdx)) };
    let failing = Canned::serve(failing).await;
    let service = client(&failing.url);
    assert!(store.refresh(&service, &UPKEEP, NOW, || 1.0).await.is_empty(), "nothing is due");
    let due = NOW.plus(DAY + 1);
    let refreshed = store.refresh(&service, &UPKEEP, due, || 1.0).await;
    assert_eq!(refreshed.len(), 2);
    assert!(refreshed.iter().all(|one| one.outcome.as_ref().unwrap_err().code() == "collateral-service-refused"));
    let asked = failing.asked();
    // Also by the next process.
    let store = vendor.open(folder.path(), due);
    for (after, again) in [(0, 0), (59, 0), (60, 2), (60 + 119, 0), (60 + 120, 2)] {
        assert_eq!(store.refresh(&service, &UPKEEP, due.plus(after), || 1.0).await.len(), again, "after {after} s");
    }
    assert!(failing.asked() > asked);
    assert!(store.standings(&UPKEEP, due).iter().all(|standing| standing.failures == 3));
    let patient = Answer::status(429, &[("retry-after", "1000")]);
    let patient = Canned::serve(Answers { pck_crl: patient, ..Answers::of(&vendor.bundle(Tee::Tdx)) }).await;
    let at = due.plus(7_200);
    store.refresh(&client(&patient.url), &UPKEEP, at, || 0.0).await;
    assert!(store.standings(&UPKEEP, at).iter().all(|standing| standing.next_attempt == Some(at.plus(1000))));
    // One answer, and all is forgotten.
    let (_other, stocked) = vendor.stocked();
    let honest = client(&serving(vendor.served(stocked)).await);
    let refreshed = store.refresh(&honest, &UPKEEP, at.plus(1000), || 1.0).await;
    assert!(refreshed.iter().all(|one| one.outcome.is_ok()), "{refreshed:?}");
    for standing in store.standings(&UPKEEP, at.plus(1000)) {
        assert_eq!((standing.failures, standing.next_attempt, standing.freshness), (0, None, Freshness::Fresh));
    }
}

#[tokio::test]
async fn a_certificate_that_came_with_a_bundle_survives_its_renewal() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.store();
    let chain = Some("for quotes without one".to_owned());
    let bundle = Bundle { pck_certificate_chain: chain.clone(), ..vendor.bundle(Tee::Tdx) };
    store.import(&bundle, NOW).unwrap();
    vendor.site.age_tcb().unwrap();
    let service = client(&Canned::serve(Answers::of(&vendor.bundle(Tee::Tdx))).await.url);
    assert_eq!(store.fetch(&service, &vendor.wanted(Tee::Tdx), &UPKEEP, NOW, 0.5).await.unwrap(), Kept::New);
    let kept = fs::read(store.library().folder().join(vendor.wanted(Tee::Tdx).file())).unwrap();
    assert_eq!(Bundle::from_json(&kept).unwrap(), Bundle { pck_certificate_chain: chain, ..vendor.bundle(Tee::Tdx) });
}

#[tokio::test]
async fn leftovers_of_a_crash_are_passed_over_and_notes_that_are_not_understood_are_an_error() {
    let vendor = Vendor::found();
    let (folder, _) = vendor.stocked();
    fs::write(folder.path().join(".new-abc"), "{").unwrap();
    assert_eq!(vendor.open(folder.path(), NOW).standings(&UPKEEP, NOW).len(), 2);
    for text in ["", "{}", r#"{"version": 2, "bundles": []}"#] {
        fs::write(folder.path().join(".fetched.json"), text).unwrap();
        let error = sealwright_collateral::Store::open(folder.path(), vendor.anchors.clone(), NOW).unwrap_err();
        assert_eq!(error.code(), "collateral-seen", "{text}: {error}");
    }
}

/// The task that keeps a store fresh: with a clock of its own, and a service that has something newer.
#[tokio::test]
async fn a_keeper_renews_what_is_due() {
    let vendor = Vendor::found();
    let (_folder, store) = vendor.stocked();
    let (store, time) = (Arc::new(store), Arc::new(AtomicU64::new(NOW.0)));
    vendor.site.age_tcb().unwrap();
    let (_other, newer) = vendor.stocked();
    let service = client(&serving(vendor.served(newer)).await);
    let clock = {
        let time = Arc::clone(&time);
        Arc::new(move || UnixTime(time.load(Ordering::SeqCst)))
    };
    let services = Services { intel: Some(service), ..Services::default() };
    let keeping = tokio::spawn(keep(Arc::clone(&store), services, UPKEEP, Duration::from_millis(20), clock, || 0.5));
    let number = || store.standings(&UPKEEP, NOW)[0].evaluation_number.unwrap();
    let before = number();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(number(), before, "nothing is due yet");
    time.store(NOW.0 + DAY + 1, Ordering::SeqCst);
    tokio::time::timeout(Duration::from_secs(20), async {
        while number() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    keeping.abort();
}
