//! The identity of Intel's quote verification enclave: fetched, kept, carried over and served. No quote needs it.

use crate::{
    DAY, NOW, Vendor,
    canned::{Answer, Canned, another_digit, hex},
    client,
    keeping::UPKEEP,
    server::get,
    serving,
};
use sealwright_collateral::{Freshness, Item, Kept, Services, Store, exchange::Article, serve::Served};
use sealwright_wire::{
    Tee,
    collateral::{QveBundle, Signed},
    time::UnixTime,
};
use std::{fs, sync::Arc};

const ITEM: Item = Item::IntelQveIdentity;
const ROUTE: &str = "/sgx/certification/v4/qve/identity";

fn services(url: &str) -> Services {
    Services { intel: Some(client(url)), ..Services::default() }
}

async fn fetch(store: &Store, url: &str, at: UnixTime) -> Result<Kept, sealwright_collateral::RefreshError> {
    store.fetch_item(&services(url), &ITEM, &UPKEEP, at, 0.5).await
}

/// What a service says, each answer apart.
#[derive(Clone)]
struct Shop {
    identity: Answer,
    root_crl: Answer,
}

impl Shop {
    fn of(bundle: &QveBundle) -> Self {
        let signed = Signed { document: &bundle.qve_identity, signature: bundle.qve_identity_signature };
        let chain = [("SGX-Enclave-Identity-Issuer-Chain", bundle.qve_identity_issuer_chain.as_str())];
        Self {
            identity: Answer::new(&chain, signed.to_qe_identity_json()),
            root_crl: Answer::new(&[], hex(&bundle.root_ca_crl)),
        }
    }

    async fn open(self) -> Canned {
        Canned::play(Arc::new(
            move |target: &str, _| {
                if target.ends_with(ROUTE) { self.identity.clone() } else { self.root_crl.clone() }
            },
        ))
        .await
    }
}

fn article(vendor: &Vendor) -> Article {
    Article { item: ITEM, content: vendor.site.qve_identity().unwrap().to_json().unwrap().into_bytes() }
}

#[tokio::test]
async fn it_is_fetched_kept_and_served_byte_for_byte() {
    let vendor = Vendor::found();
    let bundle = vendor.site.qve_identity().unwrap();
    let (folder, store) = vendor.stocked();
    let intel = Shop::of(&bundle).open().await;
    assert_eq!(fetch(&store, &intel.url, NOW).await.unwrap(), Kept::New);
    assert_eq!(fetch(&store, &intel.url, NOW).await.unwrap(), Kept::Unchanged);
    let kept = QveBundle::from_json(&fs::read(folder.path().join(ITEM.file())).unwrap()).unwrap();
    assert_eq!(kept, bundle);
    let number = vendor.site.status().evaluation_number;
    let standings = store.item_standings(&UPKEEP, NOW);
    assert_eq!((standings[0].freshness, standings[0].evaluation_number), (Freshness::Fresh, Some(number)));

    let url = serving(vendor.served(store)).await;
    for route in [ROUTE.to_owned(), ROUTE.replace("v4", "v3"), format!("{ROUTE}?tcbEvaluationDataNumber={number}")] {
        let said = get(&url, &route).await;
        assert!(said.status == 200 && said.body == Shop::of(&bundle).identity.body, "{route}: {}", said.text());
        assert!(said.header("SGX-Enclave-Identity-Issuer-Chain").is_some());
    }
    for (query, status) in [("?update=early", 404), ("?tcbEvaluationDataNumber=1", 404), ("?update=soon", 400)] {
        assert_eq!(get(&url, &format!("{ROUTE}{query}")).await.status, status, "{query}");
    }
    let (_second, second) = vendor.store();
    assert_eq!(fetch(&second, &url, NOW).await.unwrap(), Kept::New);
    let (_third, third) = vendor.store();
    assert_eq!(third.import_item(&article(&vendor), NOW).unwrap(), Kept::New);
    assert_eq!((second.articles(), third.articles()), (vec![article(&vendor)], vec![article(&vendor)]));
}

/// Of another root, expired, or never there.
#[tokio::test]
async fn it_is_handed_out_while_it_holds_under_the_one_root() {
    let (vendor, other) = (Vendor::found(), Vendor::found());
    let (_folder, store) = vendor.stocked();
    let url = serving(vendor.served(store)).await;
    assert_eq!(get(&url, ROUTE).await.status, 404);
    let (_folder, store) = vendor.stocked();
    store.import_item(&article(&vendor), NOW).unwrap();
    let served = vendor.served(store);
    let foreign = Served { root: other.root(), ..served.clone() };
    let expired = Served { clock: Arc::new(|| NOW.plus(400 * DAY)), ..served };
    for served in [foreign, expired] {
        let url = serving(served).await;
        assert_eq!(get(&url, ROUTE).await.status, 404);
    }
}

#[tokio::test]
async fn what_does_not_hold_is_refused_each_with_its_reason_and_nothing_is_kept() {
    type Spoil = fn(&mut Shop, &Vendor);
    let vendor = Vendor::found();
    let attempts: &[(&str, Spoil, &str)] = &[
        ("no identity", |s, _| s.identity = Answer::status(404, &[]), "collateral-service-refused"),
        ("no list", |s, _| s.root_crl = Answer::status(404, &[]), "collateral-service-refused"),
        ("a page", |s, _| s.identity.body = b"<html>".to_vec(), "collateral-service-malformed"),
        ("no chain", |s, _| s.identity.headers.clear(), "collateral-service-malformed"),
        ("an endless document", |s, _| s.identity.body = vec![b' '; 2 << 20], "collateral-service-too-long"),
        ("a changed document", |s, _| change(&mut s.identity.body, b"isvprodid"), "collateral-signature"),
        ("a changed list", |s, _| another_digit(s.root_crl.body.last_mut().unwrap()), "collateral-signature"),
        (
            "the identity of the quoting enclave",
            |s, vendor| {
                let bundle = vendor.bundle(Tee::Sgx);
                let signed = Signed { document: &bundle.qe_identity, signature: bundle.qe_identity_signature };
                s.identity.body = signed.to_qe_identity_json().into_bytes();
            },
            "collateral-mismatch",
        ),
        ("another vendor's", |s, _| *s = Shop::of(&Vendor::found().site.qve_identity().unwrap()), "untrusted-root"),
        (
            "another vendor's list",
            |s, _| s.root_crl = Shop::of(&Vendor::found().site.qve_identity().unwrap()).root_crl,
            "collateral-signature",
        ),
    ];
    for (name, spoil, code) in attempts {
        let mut shop = Shop::of(&vendor.site.qve_identity().unwrap());
        spoil(&mut shop, &vendor);
        let (_folder, store) = vendor.store();
        let error = fetch(&store, &shop.open().await.url, NOW).await.unwrap_err();
        assert_eq!(error.code(), *code, "{name}: {error}");
        assert!(store.articles().is_empty(), "{name}");
    }
    let (_folder, store) = vendor.store();
    let shop = Shop::of(&vendor.site.qve_identity().unwrap()).open().await;
    let error = fetch(&store, &shop.url, NOW.plus(400 * DAY)).await.unwrap_err();
    assert_eq!(error.code(), "collateral-expired");
    let error = store.fetch_item(&Services::default(), &ITEM, &UPKEEP, NOW, 0.5).await.unwrap_err();
    assert_eq!(error.code(), "collateral-no-service");
}

/// Changes one digit of a member's value.
fn change(text: &mut [u8], member: &[u8]) {
    let place = text.windows(member.len()).position(|window| window == member).unwrap() + member.len() + 2;
    text[place] ^= 1;
}

/// A recovery and a revocation that have arrived stay, also after a restart.
#[tokio::test]
async fn an_older_one_than_was_seen_is_refused() {
    let vendor = Vendor::found();
    let old = article(&vendor);
    vendor.site.age_tcb().unwrap();
    let newer = article(&vendor);
    let (folder, store) = vendor.store();
    assert_eq!(store.import_item(&old, NOW).unwrap(), Kept::New);
    assert_eq!(store.import_item(&newer, NOW).unwrap(), Kept::New);
    let error = store.import_item(&old, NOW).unwrap_err();
    assert_eq!(error.code(), "collateral-taken-back");
    assert!(error.to_string().contains("its TCB evaluation data number is 17, lower than 18"), "{error}");
    drop(store);
    fs::write(folder.path().join(ITEM.file()), &old.content).unwrap();
    let store = vendor.open(folder.path(), NOW);
    assert!(store.articles().is_empty());
    let standing = &store.item_standings(&UPKEEP, NOW)[0];
    assert!(standing.refused.as_ref().unwrap().contains("lower than 18"), "{standing:?}");
    // The same evaluation with an older list.
    let list = QveBundle::from_json(&old.content).unwrap().root_ca_crl;
    let mixed = QveBundle { root_ca_crl: list, ..QveBundle::from_json(&newer.content).unwrap() };
    let error = store.import_item(&Article { item: ITEM, content: mixed.to_json().unwrap().into() }, NOW).unwrap_err();
    assert!(error.to_string().contains("its revocation list is number 0x1"), "{error}");
    assert_eq!(store.import_item(&newer, NOW).unwrap(), Kept::New);
}
