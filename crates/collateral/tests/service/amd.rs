//! AMD's service: what is taken from it, how it is kept, and the same service played by what is kept.

use crate::{
    DAY, NOW,
    canned::{Answer, Canned},
    keeping::UPKEEP,
    server::get,
    serving, support,
};
use sealwright_collateral::{
    Access, Clock, Endorser, FetchError, Freshness, Item, Kds, Kept, NoItem, Services, Standing, Store, Upkeep,
    exchange::{Article, Contents},
    serve::Served,
};
use sealwright_sim::{
    fixed_clock,
    snp::{GuestConfig, HostConfig, Platform, Vendor},
};
use sealwright_verify::{Anchor, Anchors, snp};
use sealwright_wire::{
    Digest,
    snp::{Bundle, Product, Report, SigningKey, Tcb},
    time::UnixTime,
};
use std::{
    fs,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};
use tempfile::TempDir;

static MILAN: LazyLock<Amd> = LazyLock::new(|| Amd::found(Product::Milan));
static TURIN: LazyLock<Amd> = LazyLock::new(|| Amd::found(Product::Turin));

/// A simulated AMD, one machine of its, and who trusts it.
struct Amd {
    vendor: Vendor,
    platform: Platform,
    anchors: Anchors,
}

/// What the service has.
#[derive(Clone)]
struct Shop {
    chain: Answer,
    crl: Answer,
    vcek: Answer,
}

impl Shop {
    fn to(&self, target: &str) -> Answer {
        let routes = [("/cert_chain", &self.chain), ("/crl", &self.crl), ("SPL=", &self.vcek)];
        let route = routes.iter().find(|(part, _)| target.contains(part));
        route.map_or_else(|| Answer::status(404, &[]), |(_, answer)| (*answer).clone())
    }

    async fn open(self) -> Canned {
        Canned::play(Arc::new(move |target: &str, _| self.to(target))).await
    }
}

impl Amd {
    fn found(product: Product) -> Self {
        let vendor = Vendor::found(fixed_clock(NOW), product).unwrap();
        let anchor = Anchor::from_certificate("amd", vendor.root_certificate()).unwrap();
        Self { platform: Platform::build(&vendor).unwrap(), vendor, anchors: Anchors::none().with(anchor) }
    }

    /// Another machine of the same vendor.
    fn beside(other: &Self) -> Self {
        let platform = Platform::build(&other.vendor).unwrap();
        Self { vendor: other.vendor.clone(), platform, anchors: other.anchors.clone() }
    }

    fn bundle(&self, kind: SigningKey) -> Bundle {
        self.vendor.bundle(kind).unwrap()
    }

    /// What an honest service has for this machine.
    fn shop(&self) -> Shop {
        let Bundle { cert_chain, crl } = self.bundle(SigningKey::Vcek);
        Shop {
            chain: Answer::new(&[], cert_chain),
            crl: Answer::new(&[], crl.unwrap()),
            vcek: Answer::new(&[], self.platform.vek().unwrap()),
        }
    }

    fn report(&self, version: u32) -> Vec<u8> {
        self.platform.launch(&GuestConfig::new([7; 48])).unwrap().report(&[1; 64], version).unwrap()
    }

    /// What a report of this machine needs: the authority, and the VCEK.
    fn items(&self) -> [Item; 2] {
        let report = self.report(5);
        Item::of_snp(Report::parse(&report).unwrap().body, None).unwrap().try_into().unwrap()
    }

    fn open(&self, folder: &Path, at: UnixTime) -> Store {
        Store::open(folder, self.anchors.clone(), at).unwrap().0
    }

    fn store(&self) -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = self.open(folder.path(), NOW);
        (folder, store)
    }

    /// A store with all that this machine's reports need.
    async fn stocked(&self) -> (TempDir, Store) {
        let (folder, store) = self.store();
        let shop = self.shop().open().await;
        for item in self.items() {
            assert_eq!(fetch(&store, &shop.url, &item, NOW).await.unwrap(), Kept::New);
        }
        (folder, store)
    }
}

fn access(url: &str) -> Access {
    Access {
        plain_http: true,
        timeout: Duration::from_millis(500),
        patience: Duration::from_secs(3),
        ..Access::to(url)
    }
}

fn services(url: &str) -> Services {
    Services { amd: Some(Kds::new(&access(url)).unwrap()), ..Services::default() }
}

async fn fetch(
    store: &Store,
    url: &str,
    item: &Item,
    at: UnixTime,
) -> Result<Kept, sealwright_collateral::RefreshError> {
    store.fetch_item(&services(url), item, &UPKEEP, at, 0.5).await
}

fn served(store: Store, at: UnixTime) -> Served {
    let clock: Clock = Arc::new(move || at);
    Served { store: Arc::new(store), root: Digest([0; 32]), upkeep: Upkeep::default(), clock }
}

fn freshness(store: &Store, at: UnixTime) -> Vec<Freshness> {
    store.item_standings(&UPKEEP, at).iter().map(|standing| standing.freshness).collect()
}

/// From the service into one store, from that one's server into another, and by file into a third: each byte is as it was signed.
#[tokio::test]
async fn what_a_report_needs_is_fetched_kept_and_served_byte_for_byte() {
    for amd in [&*MILAN, &*TURIN] {
        let (folder, store) = amd.stocked().await;
        let items = amd.items();
        let bundle = Bundle::from_json(&fs::read(folder.path().join(items[0].file())).unwrap()).unwrap();
        let vcek = fs::read(folder.path().join(items[1].file())).unwrap();
        assert_eq!((&bundle, &vcek), (&amd.bundle(SigningKey::Vcek), &amd.platform.vek().unwrap()));
        // What is kept is what a verifier takes.
        let collateral = snp::Collateral::verify(&bundle, &amd.anchors, snp::Revocation::Required, NOW).unwrap();
        let report = amd.report(5);
        assert!(snp::verify(&Report::parse(&report).unwrap(), &vcek, &collateral, NOW).is_ok());
        let articles = store.articles();
        let url = serving(served(store, NOW)).await;
        let product = amd.vendor.product().name();
        assert_eq!(get(&url, "/readyz").await.status, 200);
        let said = get(&url, &format!("/vcek/v1/{product}/cert_chain")).await;
        assert!(said.body == bundle.cert_chain.as_bytes(), "{}", said.status);
        let said = get(&url, &format!("/vcek/v1/{product}/crl")).await;
        assert_eq!((Some(said.body), said.status), (bundle.crl, 200));
        let (_other, second) = amd.store();
        for item in &items {
            assert_eq!(fetch(&second, &url, item, NOW).await.unwrap(), Kept::New);
        }
        assert_eq!(second.articles(), articles);
        let (_third, third) = amd.store();
        for article in &articles {
            assert_eq!(third.import_item(article, NOW).unwrap(), Kept::New);
            assert_eq!(third.import_item(article, NOW).unwrap(), Kept::Unchanged);
        }
        assert_eq!(third.articles(), articles);
        assert_eq!(freshness(&third, NOW), [Freshness::Fresh; 2]);
    }
}

#[tokio::test]
async fn a_service_that_asks_for_patience_is_waited_for_and_not_for_ever() {
    let amd = &*MILAN;
    let shop = amd.shop();
    let busy = move |seconds: &'static str, times: usize| {
        let shop = shop.clone();
        Canned::play(Arc::new(move |target: &str, before| {
            if before < times { Answer::status(429, &[("retry-after", seconds)]) } else { shop.to(target) }
        }))
    };
    let (_folder, store) = amd.store();
    let [authority, _] = amd.items();
    let service = busy("1", 2).await;
    assert_eq!(fetch(&store, &service.url, &authority, NOW).await.unwrap(), Kept::New);
    assert_eq!(service.asked(), 4, "chain and list, and two times in vain");
    // Longer than the client waits: the store comes back when it may.
    let service = busy("1000", 1).await;
    let due = NOW.plus(DAY + 1);
    let refreshed = store.refresh_items(&services(&service.url), &UPKEEP, due, || 0.0).await;
    let error = refreshed[0].outcome.as_ref().unwrap_err();
    assert_eq!((error.code(), error.retry_after()), ("collateral-service-refused", Some(1000)));
    assert!(error.to_string().contains("answers 429 and wants to be asked again in 1000 s"), "{error}");
    let [Standing { failures: 1, next_attempt: Some(next), .. }] = &store.item_standings(&UPKEEP, due)[..] else {
        panic!("one failure")
    };
    assert_eq!(*next, due.plus(1000));
    assert!(store.refresh_items(&services(&service.url), &UPKEEP, due.plus(999), || 0.0).await.is_empty());
    let refreshed = store.refresh_items(&services(&service.url), &UPKEEP, due.plus(1000), || 0.0).await;
    assert!(matches!(refreshed[0].outcome, Ok(Kept::Unchanged)), "{refreshed:?}");
    assert_eq!(freshness(&store, due.plus(1000)), [Freshness::Fresh]);
    // Whoever says nothing of when is not waited for, and neither is an end that never comes.
    for (header, asked) in [(&[][..], 1), (&[("retry-after", "0")][..], 4)] {
        let answer = Answer::status(429, header);
        let service = Canned::play(Arc::new(move |_: &str, _| answer.clone())).await;
        let error = fetch(&store, &service.url, &authority, NOW).await.unwrap_err();
        assert_eq!((error.code(), service.asked()), ("collateral-service-refused", asked), "{error}");
    }
}

#[tokio::test]
async fn hostile_answers_are_refused_each_with_its_reason_and_nothing_is_kept() {
    type Spoil = fn(&mut Shop, &Amd);
    let amd = Amd::beside(&MILAN);
    let attempts: &[(&str, Spoil, &str)] = &[
        ("a chain over the limit", |s, _| s.chain.body = vec![b'-'; 64 << 10], "collateral-service-too-long"),
        ("a list over the limit", |s, _| s.crl.body = vec![0; 2 << 20], "collateral-service-too-long"),
        ("a certificate over the limit", |s, _| s.vcek.body = vec![0; 64 << 10], "collateral-service-too-long"),
        ("a body that never ends", |s, _| s.crl.drip = Some(Duration::from_millis(50)), "collateral-service-timeout"),
        ("a body cut by the connection", |s, _| s.vcek.withheld = 9, "collateral-service-protocol"),
        ("a list cut by the service", |s, _| s.crl.body.truncate(200), "malformed-collateral"),
        ("a certificate cut by the service", |s, _| s.vcek.body.truncate(200), "malformed-vek"),
        ("a chain cut by the service", |s, _| s.chain.body.truncate(200), "malformed-collateral"),
        ("a chain of one", |s, _| s.chain.body = cut_after_first(&s.chain.body), "chain-length"),
        ("no text", |s, _| s.chain.body = vec![0xff; 9], "collateral-service-malformed"),
        ("a page", |s, _| s.vcek.body = b"<html>".to_vec(), "malformed-vek"),
        ("an empty page", |s, _| s.vcek.body.clear(), "malformed-vek"),
        ("a redirect", |s, _| s.vcek = Answer::status(302, &[("location", "/")]), "collateral-service-refused"),
        ("nothing", |s, _| s.vcek = Answer::status(404, &[]), "collateral-service-refused"),
        ("no list", |s, _| s.crl = Answer::status(404, &[]), "collateral-service-refused"),
        ("a list as PEM", |s, _| s.crl.body = b"-----BEGIN X509 CRL-----".to_vec(), "malformed-collateral"),
        ("a changed list", |s, _| *s.crl.body.last_mut().unwrap() ^= 1, "collateral-signature"),
        ("a changed certificate", |s, _| *s.vcek.body.last_mut().unwrap() ^= 1, "vek-signature"),
        ("another line's root", |s, _| s.chain = TURIN.shop().chain, "untrusted-root"),
        ("another line's list", |s, _| s.crl = TURIN.shop().crl, "wrong-issuer"),
        ("another line's chip", |s, _| s.vcek = TURIN.shop().vcek, "wrong-issuer"),
        (
            "the authority of VLEKs",
            |s, _| s.chain.body = MILAN.bundle(SigningKey::Vlek).cert_chain.into_bytes(),
            "collateral-other",
        ),
        (
            "another chip",
            |s, _| s.vcek.body = Platform::build(&MILAN.vendor).unwrap().vek().unwrap(),
            "collateral-other",
        ),
        ("another TCB", |s, amd| s.vcek.body = of_older_tcb(amd), "collateral-other"),
    ];
    let mut wrong = Vec::new();
    for (name, spoil, code) in attempts {
        let mut shop = amd.shop();
        spoil(&mut shop, &amd);
        let (folder, store) = amd.store();
        let service = shop.open().await;
        let error = fetch(&store, &service.url, &amd.items()[1], NOW).await.expect_err(name);
        if error.code() != *code {
            wrong.push(format!("{name}: {} instead of {code}: {error}", error.code()));
        }
        assert!(!error.to_string().contains('\x1b'), "{name}: {error}");
        let kept = folder.path().join(amd.items()[1].file());
        assert!(!kept.exists() && freshness(&store, NOW).len() < 2, "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn cut_after_first(chain: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(chain.to_vec()).unwrap();
    let end = "-----END CERTIFICATE-----\n";
    text.as_bytes()[..text.find(end).unwrap() + end.len()].to_vec()
}

/// The VCEK of the same chip at another TCB.
fn of_older_tcb(amd: &Amd) -> Vec<u8> {
    let present = amd.platform.status().reported_tcb;
    amd.platform.report_tcb(Tcb { snp: present.snp - 1, ..present }).unwrap();
    let vek = amd.platform.vek().unwrap();
    amd.platform.report_tcb(present).unwrap();
    vek
}

/// A root of the same name, which somebody else made: the certificates hang together, and are nobody's.
#[tokio::test]
async fn another_root_and_another_product_than_was_asked_for_are_refused() {
    let (amd, other) = (&*MILAN, Amd::found(Product::Milan));
    let service = other.shop().open().await;
    let (_folder, store) = amd.store();
    let [authority, _] = amd.items();
    assert_eq!(fetch(&store, &service.url, &authority, NOW).await.unwrap_err().code(), "untrusted-root");
    // Both trusted, and the service mixes up the lines.
    let both = MILAN.anchors.iter().chain(TURIN.anchors.iter()).cloned().fold(Anchors::none(), Anchors::with);
    let service = TURIN.shop().open().await;
    let kds = Kds::new(&access(&service.url)).unwrap();
    let error = kds.authority(Product::Milan, Endorser::Vcek, &both, NOW).await.unwrap_err();
    assert!(matches!(&error, FetchError::Other { found, .. } if found.contains("Turin")), "{error}");
}

/// A CRL's age has its words; a VCEK has none, and is nobody's to use while its CA's list has expired.
#[tokio::test]
async fn staleness_is_a_verdict_and_a_vcek_is_as_good_as_the_list_above_it() {
    let amd = &*MILAN;
    let (folder, store) = amd.stocked().await;
    let expires = store.item_standings(&UPKEEP, NOW)[0].expires;
    use Freshness::{Due, Expired, Fresh, Stale};
    for (at, verdicts) in [
        (NOW, [Fresh, Fresh]),
        (NOW.plus(DAY + 1), [Due, Fresh]),
        (NOW.plus(3 * DAY + 1), [Stale, Fresh]),
        (expires, [Stale, Fresh]),
        // As the store knows that looked before, and as one knows that looks now.
        (expires.plus(1), [Expired, Fresh]),
    ] {
        assert_eq!(freshness(&store, at), verdicts, "{at}");
    }
    let late = amd.open(folder.path(), expires.plus(1));
    let [authority, vcek] = &late.item_standings(&UPKEEP, expires.plus(1))[..] else { panic!("two items") };
    assert_eq!((authority.freshness, vcek.freshness), (Expired, Stale));
    for standing in [authority, vcek] {
        let reason = standing.refused.as_ref().unwrap();
        assert!(reason.contains("valid until") || reason.contains("expired") || reason.contains("no CA"), "{reason}");
    }
    let product = amd.vendor.product().name();
    let url = serving(served(late, expires.plus(1))).await;
    for route in ["cert_chain", "crl"] {
        assert_eq!(get(&url, &format!("/vcek/v1/{product}/{route}")).await.status, 404, "{route}");
    }
    assert_eq!(get(&url, "/readyz").await.status, 503);
    // The service has a newer list by then: the CA is asked for, the VCEK is not.
    let clock = Arc::new(Mutex::new(NOW));
    let now = Arc::clone(&clock);
    let vendor = Vendor::found(Arc::new(move || *now.lock().unwrap()), Product::Milan).unwrap();
    let anchor = Anchor::from_certificate("amd", vendor.root_certificate()).unwrap();
    let amd = Amd { platform: Platform::build(&vendor).unwrap(), vendor, anchors: Anchors::none().with(anchor) };
    let (folder, _) = amd.stocked().await;
    *clock.lock().unwrap() = expires.plus(1);
    let store = amd.open(folder.path(), expires.plus(1));
    assert_eq!(freshness(&store, expires.plus(1)), [Expired, Stale]);
    let service = amd.shop().open().await;
    let refreshed = store.refresh_items(&services(&service.url), &UPKEEP, expires.plus(1), || 0.5).await;
    assert!(matches!(&refreshed[..], [one] if one.outcome.is_ok()), "{refreshed:?}");
    assert_eq!((service.asked(), freshness(&store, expires.plus(1))), (2, vec![Fresh, Fresh]));
}

#[tokio::test]
async fn an_older_list_never_comes_back_not_even_after_a_restart() {
    let amd = Amd::found(Product::Milan);
    let old = amd.shop().open().await;
    amd.vendor.withdraw(SigningKey::Vlek).unwrap();
    let new = amd.shop().open().await;
    let (folder, store) = amd.store();
    let [authority, vcek] = amd.items();
    fetch(&store, &new.url, &authority, NOW).await.unwrap();
    for store in [store, amd.open(folder.path(), NOW)] {
        let error = fetch(&store, &old.url, &authority, NOW).await.unwrap_err();
        assert_eq!(error.code(), "collateral-taken-back", "{error}");
        assert_eq!(fetch(&store, &new.url, &authority, NOW).await.unwrap(), Kept::Unchanged);
        fetch(&store, &old.url, &vcek, NOW).await.unwrap();
    }
    // Somebody puts the older file back by hand.
    let (other, _) = amd.store();
    let anew = amd.open(other.path(), NOW);
    fetch(&anew, &old.url, &authority, NOW).await.unwrap();
    fs::copy(other.path().join(authority.file()), folder.path().join(authority.file())).unwrap();
    let (_, report) = Store::open(folder.path(), amd.anchors.clone(), NOW).unwrap();
    let reasons: Vec<_> = report.refused.iter().map(|(_, reason)| reason.as_str()).collect();
    assert!(reasons[0].contains("older than") && reasons[1].contains("no CA"), "{reasons:?}");
    // The CA of VCEKs itself is withdrawn: nothing below it is taken any more.
    amd.vendor.withdraw(SigningKey::Vcek).unwrap();
    let error = fetch(&anew, &amd.shop().open().await.url, &authority, NOW).await.unwrap_err();
    assert_eq!(error.code(), "certificate-revoked", "{error}");
}

#[tokio::test]
async fn what_is_not_here_is_a_404_as_amd_s_service_gives_it() {
    let amd = &*MILAN;
    let (_folder, store) = amd.stocked().await;
    let url = serving(served(store, NOW)).await;
    let Item::AmdVcek { hwid, tcb: Tcb { boot_loader, tee, snp, microcode, .. }, .. } = &amd.items()[1] else {
        panic!("a VCEK")
    };
    let (hwid, upper) = (hwid.to_string(), hwid.to_string().to_uppercase());
    let versions = format!("blSPL={boot_loader}&teeSPL={tee}&snpSPL={snp}&ucodeSPL={microcode}");
    let padded = format!("ucodeSPL={microcode:03}&snpSPL={snp:03}&teeSPL={tee:02}&blSPL={boot_loader:02}");
    let other = hwid.replace(|digit: char| digit != '0', "1");
    for (target, status) in [
        (format!("/vcek/v1/Milan/{hwid}?{versions}"), 200),
        (format!("/vcek/v1/Milan/{upper}?{padded}"), 200),
        (format!("/vcek/v1/Milan/{hwid}?{}", versions.replace("snpSPL=", "snpSPL=1")), 404),
        (format!("/vcek/v1/Milan/{hwid}?{versions}0"), 400),
        (format!("/vcek/v1/Milan/{other}?{versions}"), 404),
        (format!("/vcek/v1/Milan/{}?{versions}", &hwid[..16]), 404),
        (format!("/vcek/v1/Milan/..%2f..?{versions}"), 404),
        (format!("/vcek/v1/Genoa/{hwid}?{versions}"), 404),
        (format!("/vcek/v1/Turin/{hwid}?{versions}"), 400),
        (format!("/vcek/v1/Milan/{hwid}"), 400),
        (format!("/vcek/v1/Milan/{hwid}?blSPL=256&{versions}"), 200),
        (format!("/vcek/v1/Milan/{hwid}?{}", versions.replace("snpSPL=", "snpSPL=x")), 400),
        (format!("/vcek/v1/Milan/{hwid}?{}", versions.replace("snpSPL", "spl")), 400),
        ("/vcek/v1/Rome/cert_chain".to_owned(), 404),
        ("/vcek/v1/milan/crl".to_owned(), 404),
        ("/vcek/v1/Genoa/crl".to_owned(), 404),
        ("/vlek/v1/Milan/crl".to_owned(), 404),
        ("/vlek/v1/Milan/cert_chain".to_owned(), 404),
        ("/vcek/v2/Milan/cert_chain".to_owned(), 404),
    ] {
        let said = get(&url, &target).await;
        assert_eq!(said.status, status, "{target}: {}", String::from_utf8_lossy(&said.body));
    }
    let text = get(&url, "/metrics").await.text().to_owned();
    for line in [
        r#"sealwright_collateral_items{freshness="fresh"} 2"#,
        r#"sealwright_collateral_requests_total{route="/vcek/v1/{product}/{hwid}",status="200"} 3"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains(&hwid[..16]), "metrics name no chip");
}

#[tokio::test]
async fn a_vlek_s_report_needs_its_authority_alone_and_a_masked_chip_names_nothing() {
    let amd = Amd::beside(&MILAN);
    let items = |version, product| {
        let report = amd.report(version);
        Item::of_snp(Report::parse(&report).unwrap().body, product)
    };
    let [authority, vcek] = amd.items();
    assert_eq!(items(2, Some(Product::Milan)).unwrap(), [authority.clone(), vcek]);
    assert_eq!(items(2, None).unwrap_err().code(), "collateral-no-product");
    assert_eq!(items(3, Some(Product::Turin)).unwrap_err().code(), "collateral-other-product");
    let host = amd.platform.status().host;
    amd.platform.configure(HostConfig { mask_chip_id: true, ..host });
    assert_eq!(items(5, None).unwrap_err(), NoItem::NoChip);
    amd.platform.configure(HostConfig { mask_chip_key: true, ..host });
    assert_eq!(items(5, None).unwrap_err(), NoItem::Unsigned);
    amd.platform.configure(host);
    amd.platform.load_vlek("cloud");
    let of_vlek = Item::AmdAuthority { product: Product::Milan, endorser: Endorser::Vlek };
    assert_eq!(items(5, None).unwrap(), std::slice::from_ref(&of_vlek));
    let Bundle { cert_chain, crl } = amd.bundle(SigningKey::Vlek);
    let shop = Shop { chain: Answer::new(&[], cert_chain), crl: Answer::new(&[], crl.unwrap()), ..amd.shop() };
    let (_folder, store) = amd.store();
    assert_eq!(fetch(&store, &shop.open().await.url, &of_vlek, NOW).await.unwrap(), Kept::New);
    let url = serving(served(store, NOW)).await;
    assert_eq!(get(&url, "/vlek/v1/Milan/cert_chain").await.status, 200);
    assert_eq!(get(&url, "/vcek/v1/Milan/cert_chain").await.status, 404);
}

#[tokio::test]
async fn an_item_that_travelled_is_what_it_is_said_to_be_or_is_refused() {
    let amd = &*MILAN;
    let (_folder, store) = amd.stocked().await;
    let contents = Contents { bundles: Vec::new(), items: store.articles() };
    let [authority, vcek] = &contents.items[..] else { panic!("two items") };
    let (folder, far) = amd.store();
    assert_eq!(far.import_item(vcek, NOW).unwrap_err().code(), "collateral-no-authority");
    let vlek = Item::AmdAuthority { product: Product::Milan, endorser: Endorser::Vlek };
    let passed_off = Article { item: vlek, ..authority.clone() };
    assert_eq!(far.import_item(&passed_off, NOW).unwrap_err().code(), "collateral-other");
    far.import_item(authority, NOW).unwrap();
    let Item::AmdVcek { product, tcb, .. } = vcek.item else { panic!("a VCEK") };
    let other = Item::AmdVcek { product, tcb, hwid: "11".repeat(64).parse().unwrap() };
    let passed_off = Article { item: other, ..vcek.clone() };
    assert_eq!(far.import_item(&passed_off, NOW).unwrap_err().code(), "collateral-other");
    let mut changed = vcek.clone();
    *changed.content.last_mut().unwrap() ^= 1;
    assert!(far.import_item(&changed, NOW).is_err());
    assert_eq!(fs::read_dir(folder.path().join("amd")).unwrap().count(), 1, "the CA alone");
}

/// AMD's own files: the service's chain as it publishes it, and reports of real machines. No revocation list of AMD's is among the vectors, so that
/// the chain alone is refused.
#[tokio::test]
async fn real_reports_ask_for_their_real_certificates_and_a_chain_without_a_list_is_refused() {
    let Some(vectors) = support::vectors() else { return };
    let read = |file: &str| fs::read(vectors.join("snp").join(file)).unwrap();
    let report = read("trustee/test-report.bin");
    let report = Report::parse(&report).unwrap();
    let items = Item::of_snp(report.body, Some(Product::Milan)).unwrap();
    let chain = read("go-sev-guest/ask_ark_milan.pem");
    let shop = Shop {
        chain: Answer::new(&[], chain.clone()),
        crl: Answer::status(404, &[]),
        vcek: Answer::new(&[], read("trustee/test-vcek.der")),
    };
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), Anchors::vendor(), NOW).unwrap();
    let error = fetch(&store, &shop.clone().open().await.url, &items[0], NOW).await.unwrap_err();
    assert_eq!(error.code(), "collateral-service-refused", "{error}");
    let forged = Shop { crl: MILAN.shop().crl, ..shop };
    let error = fetch(&store, &forged.open().await.url, &items[0], NOW).await.unwrap_err();
    assert_eq!(error.code(), "wrong-issuer", "{error}");
    // The certificate that the report asks for is the one which is published with it.
    let bundle = Bundle { cert_chain: String::from_utf8(chain).unwrap(), crl: None };
    let collateral = snp::Collateral::verify(&bundle, &Anchors::vendor(), snp::Revocation::IfPresent, NOW).unwrap();
    let vek = collateral.vek(&read("trustee/test-vcek.der"), NOW).unwrap();
    let Item::AmdVcek { hwid, tcb, .. } = &items[1] else { panic!("a VCEK") };
    assert_eq!((hwid.to_string(), tcb), (vek.extensions().hwid.unwrap().to_string(), &vek.extensions().tcb));
}
