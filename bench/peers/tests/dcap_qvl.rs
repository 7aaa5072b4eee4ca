//! The crate dcap-qvl 0.7.1, unmodified, against `sealwright-verify`: the same evidence, the same collateral, the same root
//! and time must give the same verdict, on real evidence, on our simulator's, and on a miniature site in which one thing at a
//! time is wrong. Where the two differ on purpose, the difference is stated here.

#[path = "../../../crates/verify/tests/site/mod.rs"]
mod site;
#[path = "../../../crates/wire/tests/support/mod.rs"]
mod support;

use dcap_qvl::{QuoteCollateralV3, verify::QuoteVerifier};
use sealwright_evidence::Backend;
use sealwright_sim::{Enclave, QuoteFormat, Site as Simulation, TdConfig, files, fixed_clock};
use sealwright_verify::{Anchor, AnchorKind, Anchors, Collateral, TcbStatus, verify};
use sealwright_wire::{Evidence, Tee, collateral::Bundle, time::UnixTime};
use site::{Cert, Certification, Key, Site, at};
use std::fs;
use std::path::{Path, PathBuf};

/// Status and advisories, or the reason of the refusal.
type Verdict = Result<(String, Vec<String>), String>;

fn ours(quote: &[u8], bundle: &Bundle, root: &[u8], at: UnixTime) -> Verdict {
    let anchors = Anchors::none().with(Anchor::from_certificate("root", root).map_err(|error| error.to_string())?);
    let evidence = Evidence::parse(quote, None).map_err(|error| error.to_string())?;
    let collateral = Collateral::verify(bundle, &anchors, at).map_err(|error| error.to_string())?;
    let facts = verify(&evidence, &collateral, at).map_err(|error| error.to_string())?;
    Ok((facts.tcb().unwrap().status.to_string(), facts.tcb().unwrap().advisories.clone()))
}

fn theirs(quote: &[u8], bundle: &Bundle, root: &[u8], at: UnixTime) -> Verdict {
    let collateral: QuoteCollateralV3 = serde_json::from_str(&bundle.to_json().unwrap()).unwrap();
    let report = QuoteVerifier::new(root.to_vec()).verify(quote, &collateral, at.0);
    report.map(|report| (report.status, report.advisory_ids)).map_err(|error| format!("{error:#}"))
}

/// Both verdicts must be the same: status and advisories, or a refusal.
fn agree(name: &str, quote: &[u8], bundle: &Bundle, root: &[u8], at: UnixTime) -> Verdict {
    let (ours, theirs) = (ours(quote, bundle, root, at), theirs(quote, bundle, root, at));
    match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{name}"),
        (Err(_), Err(_)) => {}
        _ => panic!("{name}: we say {ours:?}, dcap-qvl says {theirs:?}"),
    }
    ours
}

fn intel_root(vectors: &Path) -> Vec<u8> {
    fs::read(vectors.join("quote/intel-root/TrustedRootCA.der")).unwrap()
}

fn real(vectors: &Path, name: &str, quote: &str, collateral: &str) -> (Vec<u8>, Bundle, UnixTime) {
    let read = |file: PathBuf| fs::read(vectors.join("quote").join(file)).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&read("expected.json".into())).unwrap();
    let bundle = Bundle::from_json(&read(Path::new(name).join(collateral))).unwrap();
    (read(Path::new(name).join(quote)), bundle, UnixTime(expected[name]["now"].as_u64().unwrap()))
}

#[test]
fn real_evidence_gets_the_same_verdict() {
    let Some(vectors) = support::vectors() else { return };
    let root = intel_root(&vectors);
    for (name, quote, status) in [
        ("sgx/dcap-qvl-sgx-quote", "sgx_quote", Some("ConfigurationAndSWHardeningNeeded")),
        ("tdx/dcap-qvl-tdx-quote", "tdx_quote", Some("UpToDate")),
        ("tdx/dcap-qvl-tdx-quote-outdated", "tdx_quote_outdated", None),
    ] {
        let (quote, bundle, at) = real(&vectors, name, quote, "collateral.json");
        let verdict = agree(name, &quote, &bundle, &root, at);
        assert_eq!(verdict.ok().map(|(status, _)| status).as_deref(), status, "{name}");
        for later in [30, 366] {
            let at = at.plus(later * 86_400);
            agree(name, &quote, &bundle, &root, at).unwrap_err();
        }
    }
}

#[test]
fn the_simulated_vectors_get_the_same_verdict() {
    let Some(vectors) = support::vectors() else { return };
    let root = fs::read(vectors.join("quote/tdx/simulated/root.der")).unwrap();
    for file in ["q4", "q5"] {
        let (quote, bundle, at) = real(&vectors, "tdx/simulated", file, "col.json");
        agree(file, &quote, &bundle, &root, at).unwrap();
        agree(file, &quote, &bundle, &intel_root(&vectors), at).unwrap_err();
    }
}

#[test]
fn no_changed_byte_is_accepted_by_us_and_refused_by_them() {
    let Some(vectors) = support::vectors() else { return };
    let (quote, bundle, at) = real(&vectors, "tdx/dcap-qvl-tdx-quote", "tdx_quote", "collateral.json");
    let root = intel_root(&vectors);
    for place in (0..quote.len()).step_by(13) {
        let mut changed = quote.clone();
        changed[place] ^= 0x01;
        let (ours, theirs) = (ours(&changed, &bundle, &root, at), theirs(&changed, &bundle, &root, at));
        // They read PEM more freely; we refuse any change up to the end of the signature data.
        assert!(ours.is_err() || theirs.is_ok(), "byte {place}: {theirs:?}");
    }
}

/// The time at which the simulation runs.
fn now() -> UnixTime {
    UnixTime::parse_rfc3339("2026-11-20T12:00:00Z").unwrap()
}

#[test]
fn the_simulator_s_quotes_are_accepted_with_its_root_and_refused_with_intel_s() {
    let simulation = Simulation::found(fixed_clock(now())).unwrap();
    for format in QuoteFormat::ALL {
        let name = format!("{format:?}");
        let config = TdConfig { quote: format, ..TdConfig::new(name.as_str(), files::generate(&name)) };
        let td = simulation.boot(&config).unwrap();
        let quote = td.quote(&[0x5a; 64]).unwrap();
        judge(&simulation, &name, &quote, Tee::Tdx);
    }
    let enclave = Enclave { mr_enclave: [1; 32], mr_signer: [2; 32], isv_prod_id: 3, isv_svn: 4, debug: false };
    let quote = simulation.sgx_quote(&enclave, &[0x5a; 64]).unwrap();
    judge(&simulation, "SGX", &quote, Tee::Sgx);
}

/// One quote of the simulation under both roots.
/// At each status that the simulated vendor can give a platform.
#[test]
fn the_simulator_s_ratings_get_the_same_verdict() {
    let simulation = Simulation::found(fixed_clock(now())).unwrap();
    let td = simulation.boot(&TdConfig::new("td", files::generate("td"))).unwrap();
    let enclave = Enclave { mr_enclave: [1; 32], mr_signer: [2; 32], isv_prod_id: 3, isv_svn: 4, debug: false };
    for status in TcbStatus::ALL {
        if simulation.rate(status).is_err() {
            continue;
        }
        let quote = td.quote(&[0x5a; 64]).unwrap();
        let bundle = simulation.collateral(Tee::Tdx).unwrap();
        if status == TcbStatus::Revoked {
            // It has no facts about a revoked platform; we have, and say no.
            assert_eq!(ours(&quote, &bundle, simulation.root(), now()).unwrap().0, "Revoked");
            assert!(theirs(&quote, &bundle, simulation.root(), now()).unwrap_err().contains("Revoked"));
            continue;
        }
        let (found, _) = agree("TDX", &quote, &bundle, simulation.root(), now()).unwrap();
        assert_eq!(found, status.to_string());
        let bundle = simulation.collateral(Tee::Sgx).unwrap();
        // It knows SGX quotes of version 3 alone.
        let quote = simulation.sgx_quote(&enclave, &[0x5a; 64]).unwrap();
        let (found, _) = agree("SGX", &quote, &bundle, simulation.root(), now()).unwrap();
        assert_eq!(found, status.to_string());
    }
}

fn judge(simulation: &Simulation, name: &str, quote: &[u8], tee: Tee) {
    let bundle = simulation.collateral(tee).unwrap();
    let (status, _) = agree(name, quote, &bundle, simulation.root(), now()).unwrap();
    assert_eq!(status, "UpToDate", "{name}");
    let anchors = Anchors::vendor();
    assert_eq!(Collateral::verify(&bundle, &anchors, now()).unwrap_err().code(), "untrusted-root", "{name}");
    let collateral: QuoteCollateralV3 = serde_json::from_str(&bundle.to_json().unwrap()).unwrap();
    assert!(QuoteVerifier::new_prod().verify(quote, &collateral, now().0).is_err(), "{name}");
    let anchors = Anchors::none().with(Anchor::from_certificate("sim", simulation.root()).unwrap());
    let ours = Collateral::verify(&bundle, &anchors, now()).unwrap();
    assert_eq!(ours.anchor().kind, AnchorKind::Simulated, "{name}");
}

/// The miniature site's verdict, which both must give.
fn both(name: &str, site: &Site) -> Verdict {
    agree(name, &site.quote(), &site.bundle(), &site.root_der(), at())
}

#[test]
fn every_combination_of_statuses_converges_alike() {
    use TcbStatus as S;
    let platform = [
        S::UpToDate,
        S::SWHardeningNeeded,
        S::ConfigurationNeeded,
        S::ConfigurationAndSWHardeningNeeded,
        S::OutOfDate,
        S::OutOfDateConfigurationNeeded,
    ];
    let mut seen = std::collections::BTreeSet::new();
    for status in platform {
        for (module, module_status) in [(5, S::UpToDate), (3, S::OutOfDate)] {
            for (qe, qe_status) in [(4, S::UpToDate), (3, S::OutOfDate)] {
                let mut site = Site::tdx();
                site.tcb_info.tcb_levels[0].tcb_status = status;
                site.tcb_info.tcb_levels[0].advisory_ids = vec!["SA-1".to_owned()];
                site.td().tee_tcb_svn[0] = module;
                site.qe_report.isv_svn.set(qe);
                let name = format!("{status} with module {module_status} and QE {qe_status}");
                let (converged, mut advisories) = ours_sorted(&site);
                let (theirs, mut their_advisories) = theirs_of(&site);
                advisories.sort();
                their_advisories.sort();
                assert_eq!((&converged, advisories), (&theirs, their_advisories), "{name}");
                seen.insert(converged);
            }
        }
    }
    assert_eq!(seen.len(), platform.len(), "{seen:?}");
}

fn ours_sorted(site: &Site) -> (String, Vec<String>) {
    ours(&site.quote(), &site.bundle(), &site.root_der(), at()).unwrap()
}

fn theirs_of(site: &Site) -> (String, Vec<String>) {
    theirs(&site.quote(), &site.bundle(), &site.root_der(), at()).unwrap()
}

#[test]
fn relaunch_is_advised_alike() {
    use TcbStatus as S;
    let mut seen = std::collections::BTreeSet::new();
    for launch in [3, 5] {
        for now in [3, 5] {
            for status in [S::UpToDate, S::SWHardeningNeeded, S::ConfigurationNeeded, S::OutOfDate] {
                let mut svn2 = [0; 16];
                (svn2[0], svn2[1], svn2[2]) = (now, 1, 2);
                let mut site = Site::td15(svn2);
                site.td().tee_tcb_svn[0] = launch;
                site.tcb_info.tcb_levels[0].tcb_status = status;
                let (status, _) = both(&format!("{status}, module {launch} then {now}"), &site).unwrap();
                seen.insert(status);
            }
        }
    }
    assert!(seen.contains("TDRelaunchAdvised") && seen.contains("TDRelaunchAdvisedConfigurationNeeded"), "{seen:?}");
}

#[test]
fn levels_are_selected_alike() {
    for components in [[5, 2], [4, 2], [3, 2], [2, 2], [5, 1], [200, 200]] {
        for pce_svn in [4, 5, 10, 11, 300] {
            for module in [[5, 1], [5, 0], [3, 0], [2, 0], [1, 1], [9, 2]] {
                let mut site = Site::tdx();
                (site.extension.tcb.components[0], site.extension.tcb.components[2]) = (components[0], components[1]);
                site.extension.tcb.cpu_svn = site.extension.tcb.components;
                site.extension.tcb.pce_svn = pce_svn;
                (site.td().tee_tcb_svn[0], site.td().tee_tcb_svn[1]) = (module[0], module[1]);
                let _ = both(&format!("{components:?}, PCESVN {pce_svn}, module {module:?}"), &site);
            }
        }
    }
}

/// A change to the site.
type Change = fn(&mut Site);

#[test]
fn one_wrong_thing_is_refused_by_both() {
    let changes: [(&str, Change); 24] = [
        ("FMSPC", |site| site.tcb_info.fmspc[0] ^= 1),
        ("vendor of the QE", |site| site.header.qe_vendor_id[0] ^= 1),
        ("quote signer", |site| site.quote_signer = Some(Key::generate())),
        ("QE report signer", |site| site.qe_signer = Some(Key::generate())),
        ("QE report data", |site| site.qe_report_data = Some([0; 64])),
        ("QE MRSIGNER", |site| site.qe_report.mr_signer[0] ^= 1),
        ("QE product", |site| site.qe_report.isv_prod_id.set(1)),
        ("QE attributes", |site| site.qe_report.attributes[7] = 1),
        ("QE debug", |site| site.qe_report.attributes[0] |= 2),
        ("QE too old", |site| site.qe_report.isv_svn.set(1)),
        ("module signer", |site| site.td().mr_signer_seam[0] = 1),
        ("module attributes", |site| site.td().seam_attributes[0] = 1),
        ("module version", |site| site.td().tee_tcb_svn[1] = 2),
        ("revoked PCK", |site| site.pck_crl.revoked.push(site.pck.serial)),
        ("revoked PCK CA", |site| site.root_crl.revoked.push(site.pck_ca.serial)),
        ("revoked TCB signer", |site| site.root_crl.revoked.push(site.signer.serial)),
        ("expired root CRL", |site| site.root_crl.years = (2025, 2026)),
        ("expired PCK CRL", |site| site.pck_crl.years = (2025, 2026)),
        ("expired PCK", |site| site.pck.years.1 = 2026),
        ("expired TCB info", |site| site.tcb_info.next_update = site::time("2026-06-15T11:59:59Z")),
        ("expired QE identity", |site| site.qe_identity.next_update = site::time("2026-06-15T11:59:59Z")),
        ("TCB info from the future", |site| site.tcb_info.issue_date = site::time("2026-06-15T12:00:01Z")),
        ("PCK of a stranger", |site| site.pck_issuer = Some(Cert { key: Key::generate(), ..site.pck_ca.clone() })),
        ("no chain", |site| site.certification = Certification::Type(1)),
    ];
    both("as it is", &Site::tdx()).unwrap();
    for (name, change) in changes {
        let mut site = Site::tdx();
        change(&mut site);
        both(name, &site).unwrap_err();
    }
}

#[test]
fn what_dcap_qvl_lets_pass_and_we_do_not() {
    let cases: [(&str, Change); 3] = [
        ("a PCK certificate directly below the root", |site| site.pck_issuer = Some(site.root.clone())),
        ("TCB info of another PCEID", |site| site.tcb_info.pce_id[1] ^= 1),
        ("a chain in the bundle for a revoked platform's quote", |site| {
            site.bundle_chain = Some(String::from_utf8(site.chain()).unwrap());
            // The quote's own chain is another certificate of the same key, which is revoked.
            site.pck.serial = 44;
            site.pck_crl.revoked.push(44);
        }),
    ];
    for (name, change) in cases {
        let mut site = Site::tdx();
        change(&mut site);
        let (quote, bundle, root) = (site.quote(), site.bundle(), site.root_der());
        assert!(
            theirs(&quote, &bundle, &root, at()).is_ok(),
            "{name}: dcap-qvl refuses this now, move it to the others"
        );
        assert!(ours(&quote, &bundle, &root, at()).is_err(), "{name}");
    }
}

#[test]
fn what_we_verify_and_dcap_qvl_does_not() {
    let cases: [(&str, Change); 5] = [
        ("no authentication data", |site| site.qe_auth_data.clear()),
        ("long authentication data", |site| site.qe_auth_data = vec![1; 100]),
        ("a debug domain (a fact for the policy)", |site| site.td().td_attributes[0] = 1),
        ("a domain without SEPT_VE_DISABLE (a fact for the policy)", |site| site.td().td_attributes = [0; 8]),
        ("a revoked level (a status)", |site| site.tcb_info.tcb_levels[0].tcb_status = TcbStatus::Revoked),
    ];
    for (name, change) in cases {
        let mut site = Site::tdx();
        change(&mut site);
        let (quote, bundle, root) = (site.quote(), site.bundle(), site.root_der());
        assert!(
            theirs(&quote, &bundle, &root, at()).is_err(),
            "{name}: dcap-qvl accepts this now, move it to the others"
        );
        assert!(ours(&quote, &bundle, &root, at()).is_ok(), "{name}");
    }
    for version in [4, 5] {
        let mut site = Site::sgx();
        site.header.version.set(version);
        let (quote, bundle, root) = (site.quote(), site.bundle(), site.root_der());
        assert!(theirs(&quote, &bundle, &root, at()).is_err(), "SGX in version {version}");
        assert!(ours(&quote, &bundle, &root, at()).is_ok(), "SGX in version {version}");
    }
}
