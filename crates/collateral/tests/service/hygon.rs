//! Hygon's service: what is taken from it, and how it is kept.

use crate::{
    DAY, NOW,
    canned::{Answer, Canned},
    keeping::UPKEEP,
    support,
};
use sealwright_collateral::{Access, Freshness, Hygon, Item, Kept, RefreshError, SerialNumber, Services, Store};
use sealwright_sim::csv::{Chip, ChipConfig, GuestConfig, Layout, Site};
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::csv::{Report, SignerForm};
use std::{fs, sync::Arc, time::Duration};
use tempfile::TempDir;

const SERIAL: &str = "SIMULATED-0001";

struct Maker {
    site: Site,
    anchors: Anchors,
}

impl Maker {
    fn found() -> Self {
        let site = Site::found().unwrap();
        let anchors = Anchors::none().with(Anchor::from_certificate("hygon", &site.hrk()).unwrap());
        Self { site, anchors }
    }

    fn chip(&self) -> Chip {
        self.site.make_chip(&ChipConfig::new(SERIAL)).unwrap()
    }

    fn store(&self) -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path(), self.anchors.clone(), NOW).unwrap();
        (folder, store)
    }
}

fn report(chip: &Chip, layout: Layout) -> Vec<u8> {
    let guest = chip.launch(&GuestConfig::new(b"image")).unwrap();
    guest.report(&[5; 64], layout, SignerForm::Firmware).unwrap()
}

fn services(url: &str) -> Services {
    let access = Access { plain_http: true, timeout: Duration::from_millis(500), ..Access::to(url) };
    Services { hygon: Some(Hygon::new(&access).unwrap()), ..Services::default() }
}

/// A service that has this for the one chip, and nothing for any other.
async fn shop(answer: Answer) -> Canned {
    Canned::play(Arc::new(move |target: &str, _| {
        if target == format!("/hsk_cek?snumber={SERIAL}") { answer.clone() } else { Answer::status(404, &[]) }
    }))
    .await
}

async fn fetch_for(store: &Store, url: &str, report: &[u8]) -> Result<Kept, RefreshError> {
    let report = Report::parse(report).unwrap();
    let serial_number = SerialNumber::of_report(&report).unwrap();
    store.fetch_chip_of(&services(url), &report, &serial_number, &UPKEEP, NOW, 0.5).await
}

fn item() -> Item {
    Item::HygonChip { serial_number: SERIAL.parse().unwrap() }
}

#[tokio::test]
async fn the_certificates_of_a_report_s_chip_are_fetched_and_kept_byte_for_byte() {
    let maker = Maker::found();
    let chip = maker.chip();
    let service = shop(Answer::new(&[], chip.hsk_cek())).await;
    for layout in Layout::ALL {
        let (folder, store) = maker.store();
        assert_eq!(fetch_for(&store, &service.url, &report(&chip, layout)).await.unwrap(), Kept::New);
        assert_eq!(fs::read(folder.path().join(item().file())).unwrap(), chip.hsk_cek());
        let (_other, far) = maker.store();
        for article in store.articles() {
            assert_eq!(far.import_item(&article, NOW).unwrap(), Kept::New);
        }
        assert_eq!(far.articles(), store.articles());
    }
}

/// Nothing in a CEK names its chip: the report tells, and later the key that was kept.
#[tokio::test]
async fn another_chip_s_certificates_are_refused_by_the_report_and_by_what_is_kept() {
    let maker = Maker::found();
    let (chip, other) = (maker.chip(), maker.chip());
    let honest = shop(Answer::new(&[], chip.hsk_cek())).await;
    let mixed_up = shop(Answer::new(&[], other.hsk_cek())).await;
    let (folder, store) = maker.store();
    let error = fetch_for(&store, &mixed_up.url, &report(&chip, Layout::ExtensionV2)).await.unwrap_err();
    assert!(error.code().ends_with("signature"), "{}: {error}", error.code());
    assert!(store.articles().is_empty());
    store.fetch_item(&services(&honest.url), &item(), &UPKEEP, NOW, 0.5).await.unwrap();
    let again = store.fetch_item(&services(&mixed_up.url), &item(), &UPKEEP, NOW, 0.5).await;
    assert_eq!(again.unwrap_err().code(), "collateral-other-chip");
    assert_eq!(fs::read(folder.path().join(item().file())).unwrap(), chip.hsk_cek());
}

/// Hygon signs its HSKs anew under a new root: the CEK is still the chip's.
#[tokio::test]
async fn certificates_that_were_signed_anew_take_the_place_of_the_former_ones() {
    let maker = Maker::found();
    let chip = maker.chip();
    let former = shop(Answer::new(&[], chip.hsk_cek())).await;
    maker.site.renew_hrk().unwrap();
    let anchors = maker.anchors.clone().with(Anchor::from_certificate("renewed", &maker.site.hrk()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), anchors, NOW).unwrap();
    for (service, anchor) in [(former, "hygon"), (shop(Answer::new(&[], chip.hsk_cek())).await, "renewed")] {
        let kept = store.fetch_item(&services(&service.url), &item(), &UPKEEP, NOW, 0.5).await.unwrap();
        let [standing] = &store.item_standings(&UPKEEP, NOW)[..] else { panic!("one item") };
        assert_eq!((kept, standing.anchor.as_deref()), (Kept::New, Some(anchor)));
    }
    assert_eq!(fs::read(folder.path().join(item().file())).unwrap(), chip.hsk_cek());
}

/// They have no dates: what is old is what nobody asked for again.
#[tokio::test]
async fn without_dates_age_alone_makes_due_and_stale_and_nothing_expires() {
    let maker = Maker::found();
    let service = shop(Answer::new(&[], maker.chip().hsk_cek())).await;
    let (folder, store) = maker.store();
    store.fetch_item(&services(&service.url), &item(), &UPKEEP, NOW, 0.5).await.unwrap();
    for (at, verdict) in [
        (NOW, Freshness::Fresh),
        (NOW.plus(DAY + 1), Freshness::Due),
        (NOW.plus(3 * DAY + 1), Freshness::Stale),
        (NOW.plus(90_000 * DAY), Freshness::Stale),
    ] {
        let [standing] = &store.item_standings(&UPKEEP, at)[..] else { panic!("one item") };
        assert_eq!((standing.freshness, standing.expires.to_string().as_str()), (verdict, "9999-12-31T23:59:59Z"));
    }
    let due = NOW.plus(DAY + 1);
    assert!(store.refresh_items(&Services::default(), &UPKEEP, due, || 0.5).await.is_empty(), "nobody to ask");
    let refreshed = store.refresh_items(&services(&service.url), &UPKEEP, due, || 0.5).await;
    assert!(matches!(refreshed[0].outcome, Ok(Kept::Unchanged)), "{refreshed:?}");
    assert_eq!(store.item_standings(&UPKEEP, due)[0].freshness, Freshness::Fresh);
    // By hand, under a name that is none of a chip's.
    fs::rename(folder.path().join(item().file()), folder.path().join("hygon/a b.cert")).unwrap();
    let report = store.reload(due).unwrap();
    assert!(report.refused[0].1.contains("letters, digits"), "{report:?}");
    assert_eq!(store.item_standings(&UPKEEP, due)[0].freshness, Freshness::Stale, "what is gone is not forgotten");
}

#[tokio::test]
async fn hostile_answers_of_hygon_s_are_refused_each_with_its_reason() {
    let maker = Maker::found();
    let pair = maker.chip().hsk_cek();
    let changed = |at: usize| {
        let mut changed = pair.clone();
        changed[at] ^= 1;
        changed
    };
    for (name, answer, code) in [
        ("oversized", Answer::new(&[], vec![0; 2917]), "collateral-service-too-long"),
        ("cut by the service", Answer::new(&[], &pair[..2915]), "malformed-collateral"),
        (
            "cut by the connection",
            Answer { withheld: 1, ..Answer::new(&[], &pair[..2915]) },
            "collateral-service-protocol",
        ),
        ("a page", Answer::new(&[], "<html>"), "malformed-collateral"),
        ("a changed HSK", Answer::new(&[], changed(0x1e0)), "csv-chain-signature"),
        ("a changed CEK", Answer::new(&[], changed(832 + 0x1c0)), "csv-chain-signature"),
        ("another root's", Answer::new(&[], Maker::found().chip().hsk_cek()), "untrusted-root"),
        ("nothing", Answer::status(404, &[]), "collateral-service-refused"),
    ] {
        let (_folder, store) = maker.store();
        let service = shop(answer).await;
        let error = store.fetch_item(&services(&service.url), &item(), &UPKEEP, NOW, 0.5).await.expect_err(name);
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(store.articles().is_empty(), "{name}");
    }
    let (_folder, store) = maker.store();
    let error = store.fetch_item(&Services::default(), &item(), &UPKEEP, NOW, 0.5).await.unwrap_err();
    assert_eq!(error.code(), "collateral-no-service");
}

#[tokio::test]
async fn a_real_chip_s_certificates_are_those_of_its_real_report() {
    let Some(vectors) = support::vectors() else { return };
    let read = |file: &str| fs::read(vectors.join("csv/csv-rs").join(file)).unwrap();
    let (pair, report) = (read("hsk_cek.cert"), read("report.cert"));
    let service = Canned::play(Arc::new(move |target: &str, _| {
        assert_eq!(target, "/hsk_cek?snumber=NZA9T14052605");
        Answer::new(&[], pair.clone())
    }))
    .await;
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), Anchors::vendor(), NOW).unwrap();
    assert_eq!(fetch_for(&store, &service.url, &report).await.unwrap(), Kept::New);
    assert_eq!(fs::read(folder.path().join("hygon/NZA9T14052605.cert")).unwrap(), read("hsk_cek.cert"));
}
