//! The library over Intel's real collateral and the simulated vendor's.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

use sealwright_collateral::{Error, Library, Report};
use sealwright_evidence::Backend;
use sealwright_sim::{Site, TdConfig, files, fixed_clock};
use sealwright_verify::{Anchor, Anchors, TcbStatus};
use sealwright_wire::{Evidence, Tee, collateral::Bundle, quote::Quote, time::UnixTime};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A second at which the SGX and the TDX collateral of the vectors are both valid.
const NOW: UnixTime = UnixTime(1_750_416_960);
const SGX: &str = "quote/sgx/dcap-qvl-sgx-quote";
const TDX: &str = "quote/tdx/dcap-qvl-tdx-quote";

/// The quote of a case: `.../dcap-qvl-tdx-quote/tdx_quote`.
fn quote(case: &Path) -> Vec<u8> {
    let name = case.file_name().unwrap().to_str().unwrap();
    fs::read(case.join(name.trim_start_matches("dcap-qvl-").replace('-', "_"))).unwrap()
}

fn shelve(folder: &Path, case: &Path, name: &str) {
    fs::copy(case.join("collateral.json"), folder.join(name)).unwrap();
}

fn open(folder: &Path) -> Library {
    Library::open(folder, Anchors::vendor(), NOW).unwrap().0
}

#[test]
fn real_quotes_find_their_collateral_among_others() {
    let Some(vectors) = support::vectors() else { return };
    let folder = tempfile::tempdir().unwrap();
    shelve(folder.path(), &vectors.join(SGX), "a.json");
    shelve(folder.path(), &vectors.join(TDX), "b.json");
    let library = open(folder.path());
    for (case, status) in [(SGX, TcbStatus::ConfigurationAndSWHardeningNeeded), (TDX, TcbStatus::UpToDate)] {
        let raw = quote(&vectors.join(case));
        let evidence = Evidence { quote: Quote::parse(&raw).unwrap(), event_log: None, ima: None, cel: None };
        let facts = library.verify(&evidence, NOW).unwrap();
        assert_eq!(facts.tcb().unwrap().status, status, "{case}");
    }
    let ages = library.ages(NOW);
    assert_eq!(ages.len(), 2);
    assert!(ages.iter().all(|age| age.seconds_left > 0 && age.anchor == "intel-sgx-root"));
}

#[test]
fn the_bundle_of_a_quote_is_the_file_that_was_verified_not_what_lies_there_now() {
    let Some(vectors) = support::vectors() else { return };
    let folder = tempfile::tempdir().unwrap();
    shelve(folder.path(), &vectors.join(SGX), "a.json");
    shelve(folder.path(), &vectors.join(TDX), "b.json");
    let library = open(folder.path());
    fs::write(folder.path().join("b.json"), "{}").unwrap();
    let raw = quote(&vectors.join(TDX));
    let bundle = library.bundle(&Quote::parse(&raw).unwrap()).unwrap();
    assert_eq!(bundle, fs::read(vectors.join(TDX).join("collateral.json")).unwrap());
}

#[test]
fn a_platform_is_verified_once_and_kept_until_the_collateral_changes() {
    let Some(vectors) = support::vectors() else { return };
    let folder = tempfile::tempdir().unwrap();
    shelve(folder.path(), &vectors.join(TDX), "a.json");
    let library = open(folder.path());
    let raw = quote(&vectors.join(TDX));
    let quote = Quote::parse(&raw).unwrap();
    let first = library.platform(&quote, NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &library.platform(&quote, NOW).unwrap()));
    library.reload(NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &library.platform(&quote, NOW).unwrap()));
    shelve(folder.path(), &vectors.join(SGX), "b.json");
    library.reload(NOW).unwrap();
    assert!(!Arc::ptr_eq(&first, &library.platform(&quote, NOW).unwrap()));
}

#[test]
fn missing_collateral_is_named_with_what_is_there_instead() {
    let Some(vectors) = support::vectors() else { return };
    let folder = tempfile::tempdir().unwrap();
    shelve(folder.path(), &vectors.join(SGX), "sgx.json");
    fs::write(folder.path().join("broken.json"), "{").unwrap();
    let library = open(folder.path());
    let raw = quote(&vectors.join(TDX));
    let error = library.collateral(&Quote::parse(&raw).unwrap()).unwrap_err();
    assert_eq!(error.code(), "collateral-missing");
    let text = error.to_string();
    assert!(text.contains("tdx on FMSPC b0c06f000000"), "{text}");
    let Error::Missing { held, .. } = error else { panic!("{text}") };
    for part in ["sgx on FMSPC 00a067110000", "broken.json"] {
        assert!(held.contains(part) && !text.contains(part), "{part} in {held}, {text}");
    }
}

#[test]
fn new_files_are_picked_up_and_those_that_are_gone_are_not_used() {
    let Some(vectors) = support::vectors() else { return };
    let folder = tempfile::tempdir().unwrap();
    let library = open(folder.path());
    let raw = quote(&vectors.join(TDX));
    let quote = Quote::parse(&raw).unwrap();
    assert!(matches!(library.collateral(&quote), Err(Error::Missing { .. })));
    shelve(folder.path(), &vectors.join(TDX), "a.json");
    assert_eq!(library.reload(NOW).unwrap().held, 1);
    assert!(library.collateral(&quote).is_ok());
    fs::remove_file(folder.path().join("a.json")).unwrap();
    assert_eq!(library.reload(NOW).unwrap().held, 0);
    assert!(matches!(library.platform(&quote, NOW), Err(Error::Missing { .. })));
}

#[test]
fn collateral_out_of_its_time_or_under_another_root_is_not_used_and_the_report_says_why() {
    let Some(vectors) = support::vectors() else { return };
    let folder = tempfile::tempdir().unwrap();
    shelve(folder.path(), &vectors.join(TDX), "a.json");
    let refused = |anchors, at| {
        let (_, report) = Library::open(folder.path(), anchors, at).unwrap();
        assert_eq!(report.held, 0);
        report.refused[0].1.clone()
    };
    assert!(refused(Anchors::vendor(), NOW.plus(366 * 86_400)).contains("expired"));
    assert!(refused(Anchors::vendor(), UnixTime(NOW.0 - 366 * 86_400)).contains("valid from"));
    assert!(refused(Anchors::none(), NOW).contains("trusted"));
}

#[test]
fn a_quote_under_another_root_hears_of_its_root_and_not_of_missing_collateral() {
    let Some(vectors) = support::vectors() else { return };
    let folder = tempfile::tempdir().unwrap();
    let quote = fs::read(vectors.join("quote/tdx/simulated/q4")).unwrap();
    let error = open(folder.path()).collateral(&Quote::parse(&quote).unwrap()).unwrap_err();
    assert_eq!(error.code(), "untrusted-root", "{error}");
}

#[test]
fn what_expires_while_it_is_kept_is_refused_when_it_is_used() {
    let Some(vectors) = support::vectors() else { return };
    let folder = tempfile::tempdir().unwrap();
    shelve(folder.path(), &vectors.join(TDX), "a.json");
    let library = open(folder.path());
    let raw = quote(&vectors.join(TDX));
    let quote = Quote::parse(&raw).unwrap();
    library.platform(&quote, NOW).unwrap();
    let late = NOW.plus(366 * 86_400);
    assert_eq!(library.platform(&quote, late).unwrap_err().code(), "collateral-expired");
    assert!(library.ages(late)[0].seconds_left < 0);
    assert_eq!(library.reload(late).unwrap().held, 0);
}

/// Whoever can write the folder, but not sign for the vendor, can still put yesterday's files back.
#[test]
fn a_rollback_to_a_lower_evaluation_number_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::found(fixed_clock(NOW)).unwrap();
    let anchors = Anchors::none().with(Anchor::from_certificate("site", site.root()).unwrap());
    let put = |name: &str| {
        let json = site.collateral(Tee::Tdx).unwrap().to_json().unwrap();
        fs::write(folder.path().join(name), &json).unwrap();
        json
    };
    let old = put("a.json");
    let (library, _) = Library::open(folder.path(), anchors, NOW).unwrap();
    let number = |library: &Library| library.ages(NOW).first().map(|age| age.evaluation_number);
    let before = number(&library).unwrap();
    site.age_tcb().unwrap();
    put("a.json");
    library.reload(NOW).unwrap();
    assert_eq!(number(&library), Some(before + 1));
    // Beside the newer one the older is passed over; in its place it is refused.
    fs::write(folder.path().join("b.json"), &old).unwrap();
    assert_eq!(library.reload(NOW).unwrap().refused[0].0, "b.json");
    assert_eq!(number(&library), Some(before + 1));
    fs::remove_file(folder.path().join("a.json")).unwrap();
    let report = library.reload(NOW).unwrap();
    assert_eq!(report.held, 0);
    assert!(report.refused[0].1.contains("lower than"), "{}", report.refused[0].1);
}

/// A site, a folder beside it, and what the library remembers between its lives.
struct Rollback {
    site: Site,
    folder: tempfile::TempDir,
    memory: tempfile::TempDir,
}

impl Rollback {
    fn new() -> Self {
        let site = Site::found(fixed_clock(NOW)).unwrap();
        Self { site, folder: tempfile::tempdir().unwrap(), memory: tempfile::tempdir().unwrap() }
    }

    fn bundle(&self) -> Bundle {
        self.site.collateral(Tee::Tdx).unwrap()
    }

    fn put(&self, bundle: &Bundle) {
        fs::write(self.folder.path().join("a.json"), bundle.to_json().unwrap()).unwrap();
    }

    fn seen(&self) -> PathBuf {
        self.memory.path().join("seen.json")
    }

    fn open(&self) -> (Library, Report) {
        let anchors = Anchors::none().with(Anchor::from_certificate("site", self.site.root()).unwrap());
        Library::open_remembering(self.folder.path(), anchors, &self.seen(), NOW).unwrap()
    }

    /// Puts one bundle after the other, the last of which must be refused for its `part`: at once, and by the next process as well.
    fn refuses_the_last(&self, bundles: &[&Bundle], part: &str) {
        let (library, _) = self.open();
        let (last, accepted) = bundles.split_last().unwrap();
        for bundle in accepted {
            self.put(bundle);
            assert_eq!(library.reload(NOW).unwrap().refused, [], "{part}");
        }
        self.put(last);
        let report = library.reload(NOW).unwrap();
        drop(library);
        for report in [report, self.open().1] {
            assert_eq!(report.held, 0, "{part}");
            assert!(report.refused[0].1.contains(part), "{part} in {}", report.refused[0].1);
        }
    }
}

/// Parts of collateral are signed each for itself, so that somebody may mix them.
#[test]
fn no_part_of_a_bundle_is_ever_taken_back_not_even_by_a_restart() {
    for part in ["TCB info", "QE identity", "root CA CRL", "PCK CRL"] {
        let rollback = Rollback::new();
        let old = rollback.bundle();
        rollback.site.age_tcb().unwrap();
        let new = rollback.bundle();
        let mut mixed = old.clone();
        match part {
            "TCB info" => (mixed.tcb_info, mixed.tcb_info_signature) = (new.tcb_info, new.tcb_info_signature),
            "QE identity" => {
                (mixed.qe_identity, mixed.qe_identity_signature) = (new.qe_identity, new.qe_identity_signature);
            }
            "root CA CRL" => mixed.root_ca_crl = new.root_ca_crl,
            _ => mixed.pck_crl = new.pck_crl,
        }
        rollback.refuses_the_last(&[&old, &mixed, &old], part);
    }
}

#[test]
fn a_revocation_is_not_taken_back_by_the_bundle_of_before() {
    let rollback = Rollback::new();
    let old = rollback.bundle();
    rollback.site.revoke_pck().unwrap();
    rollback.refuses_the_last(&[&old, &rollback.bundle(), &old], "CRL");
}

#[test]
fn another_sites_numbers_do_not_count_and_a_forgotten_past_is_begun_anew() {
    let mut rollback = Rollback::new();
    let old = rollback.bundle();
    rollback.site.age_tcb().unwrap();
    rollback.put(&rollback.bundle());
    assert_eq!(rollback.open().1.held, 1);
    let site = std::mem::replace(&mut rollback.site, Site::found(fixed_clock(NOW)).unwrap());
    rollback.put(&rollback.bundle());
    assert_eq!(rollback.open().1.refused, []);
    rollback.site = site;
    rollback.put(&old);
    assert_eq!(rollback.open().1.held, 0);
    fs::remove_file(rollback.seen()).unwrap();
    assert_eq!(rollback.open().1.held, 1);
}

#[test]
fn what_was_seen_must_be_readable_and_kept_before_new_collateral_is_used() {
    let rollback = Rollback::new();
    let anchors = Anchors::none().with(Anchor::from_certificate("site", rollback.site.root()).unwrap());
    let open = |seen: &Path| Library::open_remembering(rollback.folder.path(), anchors.clone(), seen, NOW);
    fs::write(rollback.seen(), "[{}]").unwrap();
    assert_eq!(open(&rollback.seen()).unwrap_err().code(), "collateral-seen");
    let nowhere = rollback.memory.path().join("nowhere/seen.json");
    let (library, _) = open(&nowhere).unwrap();
    rollback.put(&rollback.bundle());
    assert_eq!(library.reload(NOW).unwrap_err().code(), "collateral-seen");
    assert_eq!(library.ages(NOW), []);
}

/// A revocation changes no evaluation number; what was verified before must not outlive it.
#[test]
fn a_platform_that_was_verified_before_its_revocation_is_not_handed_out_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::found(fixed_clock(NOW)).unwrap();
    let td = site.boot(&TdConfig::new("td", files::generate("kernel"))).unwrap();
    let anchors = Anchors::none().with(Anchor::from_certificate("site", site.root()).unwrap());
    let put = || {
        let json = site.collateral(Tee::Tdx).unwrap().to_json().unwrap();
        fs::write(folder.path().join("a.json"), json).unwrap();
    };
    put();
    let (library, _) = Library::open(folder.path(), anchors, NOW).unwrap();
    let raw = td.quote(&[0; 64]).unwrap();
    let quote = Quote::parse(&raw).unwrap();
    library.platform(&quote, NOW).unwrap();
    site.revoke_pck().unwrap();
    put();
    library.reload(NOW).unwrap();
    assert_eq!(library.platform(&quote, NOW).unwrap_err().code(), "certificate-revoked");
}

#[test]
fn a_folder_that_is_not_there_is_an_error_and_other_files_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("README.md"), "not collateral").unwrap();
    fs::write(folder.path().join(".hidden.json"), "not collateral").unwrap();
    let (_, report) = Library::open(folder.path(), Anchors::vendor(), NOW).unwrap();
    assert_eq!((report.held, report.refused.len()), (0, 0));
    let missing = folder.path().join("missing");
    assert!(matches!(Library::open(&missing, Anchors::vendor(), NOW), Err(Error::Folder { .. })));
}

/// A list of revocations is its CA's, not one platform's: here the same CA certifies for both kinds of environment.
#[test]
fn a_revocation_is_not_taken_back_by_another_environments_bundle() {
    let rollback = Rollback::new();
    let td = rollback.site.boot(&TdConfig::new("td", files::generate("kernel"))).unwrap();
    let raw = td.quote(&[0; 64]).unwrap();
    let quote = Quote::parse(&raw).unwrap();
    let old = [Tee::Tdx, Tee::Sgx].map(|tee| rollback.site.collateral(tee).unwrap());
    rollback.site.revoke_pck().unwrap();
    let new = [Tee::Tdx, Tee::Sgx].map(|tee| rollback.site.collateral(tee).unwrap());
    let put = |bundles: [&Bundle; 2]| {
        for (bundle, name) in bundles.into_iter().zip(["tdx.json", "sgx.json"]) {
            fs::write(rollback.folder.path().join(name), bundle.to_json().unwrap()).unwrap();
        }
    };
    // Only the other environment's bundle has the revocation: it holds for both, as long as it is there.
    put([&old[0], &new[1]]);
    let (library, report) = rollback.open();
    assert_eq!((report.held, &report.refused[..]), (2, &[][..]));
    assert_eq!(library.platform(&quote, NOW).unwrap_err().code(), "certificate-revoked");
    // What is handed out for a receipt is what was judged with.
    let judged = Bundle::from_json(&library.bundle(&quote).unwrap()).unwrap();
    assert_eq!((&judged.pck_crl, &judged.tcb_info), (&new[1].pck_crl, &old[0].tcb_info));
    // Afterwards no bundle of before is used, wherever it stands.
    put([&old[0], &old[1]]);
    for library in [library, rollback.open().0] {
        let report = library.reload(NOW).unwrap();
        assert_eq!((report.held, report.refused.len()), (0, 2), "{report:?}");
        assert!(report.refused.iter().all(|(_, reason)| reason.contains("CRL is number 0x1 of")), "{report:?}");
        assert_eq!(library.platform(&quote, NOW).unwrap_err().code(), "collateral-missing");
    }
    put([&new[0], &old[1]]);
    let (library, report) = rollback.open();
    assert_eq!((report.held, &report.refused[..]), (2, &[][..]));
    assert_eq!(library.platform(&quote, NOW).unwrap_err().code(), "certificate-revoked");
}
