//! The production verifier on what a simulated site emits: believed under the site's own root, refused under any other, and
//! judged as the site's vendor says.

use sealwright_evidence::{Backend, Collected};
use sealwright_sim::{Enclave, FMSPC, ORGANISATION, QuoteFormat, SgxFormat, Site, Td, TdConfig, files, fixed_clock};
use sealwright_verify::{
    Anchor, AnchorKind, Anchors, Claims, Collateral, Error, Facts, Part, SIMULATION, TcbStatus, replay, verify,
};
use sealwright_wire::{
    Digest, Evidence, Tee,
    aael::RuntimeEvent,
    quote::Quote,
    tcg2::{AlgorithmId, Log},
    tdx::TdReport,
    time::UnixTime,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use zerocopy::{FromBytes, IntoBytes};

const NOW: UnixTime = UnixTime(1_795_132_800);
const DAY: u64 = 86_400;

fn site() -> Site {
    Site::found(fixed_clock(NOW)).unwrap()
}

fn boot(site: &Site, format: QuoteFormat) -> Td {
    let name = format!("{format:?}");
    site.boot(&TdConfig { quote: format, ..TdConfig::new(name, files::generate("kernel")) }).unwrap()
}

fn anchors(site: &Site) -> Anchors {
    Anchors::none().with(Anchor::from_certificate("the site", site.root()).unwrap())
}

fn judge(site: &Site, evidence: &Collected, at: UnixTime) -> Result<Facts, Error> {
    let collateral = Collateral::verify(&site.collateral(Tee::Tdx).unwrap(), &anchors(site), at)?;
    verify(&Evidence::parse(&evidence.quote, evidence.event_log.as_deref()).unwrap(), &collateral, at)
}

fn status(site: &Site, td: &Td) -> TcbStatus {
    judge(site, &td.evidence(&[0; 64]).unwrap(), NOW).unwrap().tcb().unwrap().status
}

#[test]
fn quotes_of_every_layout_are_believed_under_the_sites_root() {
    let site = site();
    for format in QuoteFormat::ALL {
        let td = boot(&site, format);
        let evidence = td.evidence(&[0x5a; 64]).unwrap();
        let facts = judge(&site, &evidence, NOW).unwrap();
        assert_eq!(facts.tcb().unwrap().status, TcbStatus::UpToDate, "{format:?}");
        assert_eq!(facts.tcb().unwrap().advisories, [""; 0]);
        assert_eq!(facts.tcb().unwrap().fmspc, Digest(FMSPC));
        assert_eq!(facts.report_data(), &[0x5a; 64]);
        assert_eq!(facts.quote_version(), Some(if format == QuoteFormat::V4 { 4 } else { 5 }));
        assert_eq!(facts.debug(), Some(false));
    }
}

#[test]
fn facts_say_that_the_anchor_is_a_simulation() {
    assert_eq!(ORGANISATION, SIMULATION);
    let site = site();
    let facts = judge(&site, &boot(&site, QuoteFormat::V4).evidence(&[0; 64]).unwrap(), NOW).unwrap();
    assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("the site", AnchorKind::Simulated));
}

#[test]
fn vendors_roots_do_not_vouch_for_a_simulation() {
    let site = site();
    for tee in [Tee::Tdx, Tee::Sgx] {
        let error = Collateral::verify(&site.collateral(tee).unwrap(), &Anchors::vendor(), NOW).unwrap_err();
        assert!(matches!(error, Error::UntrustedRoot { .. }), "{error}");
    }
}

#[test]
fn one_sites_root_does_not_vouch_for_another_site() {
    let (here, there) = (site(), site());
    let evidence = boot(&there, QuoteFormat::V4).evidence(&[0; 64]).unwrap();
    let error = Collateral::verify(&there.collateral(Tee::Tdx).unwrap(), &anchors(&here), NOW).unwrap_err();
    assert!(matches!(error, Error::UntrustedRoot { .. }), "{error}");
    // Nor with the collateral of the site that is trusted: the certificate was signed by another authority of the same name.
    let error = judge(&here, &evidence, NOW).unwrap_err();
    assert!(matches!(error, Error::Signature { part: Part::Pck, .. } | Error::UntrustedRoot { .. }), "{error}");
}

#[test]
fn the_log_replays_to_the_registers_of_the_quote() {
    let site = site();
    let td = boot(&site, QuoteFormat::V4);
    td.extend(&RuntimeEvent::new("sealwright", "LoadModel", "{\"name\":\"model\"}").unwrap()).unwrap();
    let evidence = td.evidence(&[0; 64]).unwrap();
    let log = evidence.event_log.as_deref().unwrap();
    let quote = Quote::parse(&evidence.quote).unwrap();
    let rtmrs = quote.body.td().unwrap().rt_mr;
    let replayed = replay::check_tdx(log, &rtmrs).unwrap();
    assert_eq!(replayed.enforced().collect::<Vec<_>>(), ["rtmr0", "rtmr1", "rtmr2", "rtmr3"]);
    assert_eq!(replayed.runtime()[0].operation(), "LoadModel");
    assert!(replayed.contradicted().is_empty(), "the log's words are what was measured, wherever a verifier can tell");
    let registers = td.measurements().unwrap();
    let values: Vec<_> = registers.iter().map(|register| (register.name, register.value.as_slice())).collect();
    let names = ["mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"];
    let quoted = [quote.body.td().unwrap().mr_td].into_iter().chain(rtmrs);
    assert_eq!(
        values,
        names.into_iter().zip(quoted.collect::<Vec<_>>().iter().map(|v| v.as_slice())).collect::<Vec<_>>()
    );
}

#[test]
fn a_record_changed_in_the_log_is_noticed() {
    let site = site();
    let td = boot(&site, QuoteFormat::V4);
    let evidence = td.evidence(&[0; 64]).unwrap();
    let log = evidence.event_log.clone().unwrap();
    let offsets: Vec<_> = Log::parse(&log).unwrap().events().map(|event| event.offset + 14).collect();
    for offset in offsets {
        let mut changed = evidence.clone();
        changed.event_log.as_mut().unwrap()[offset + 1] ^= 1;
        let error = judge(&site, &changed, NOW).unwrap_err();
        assert!(matches!(error, Error::EventLog { .. }), "digest at {offset}: {error}");
    }
}

#[test]
fn every_byte_of_a_quote_counts() {
    let site = site();
    let collateral = Collateral::verify(&site.collateral(Tee::Tdx).unwrap(), &anchors(&site), NOW).unwrap();
    for format in [QuoteFormat::V5Td15, QuoteFormat::V5Td15Ex] {
        let evidence = boot(&site, format).evidence(&[7; 64]).unwrap();
        let genuine = Evidence::parse(&evidence.quote, None).unwrap();
        verify(&genuine, &collateral, NOW).unwrap();
        // All of the header, body and signatures, and samples of the certificates behind them.
        let certificates = evidence.quote.windows(10).position(|window| window == b"-----BEGIN").unwrap();
        for at in (0..certificates).chain((certificates..evidence.quote.len()).step_by(41)) {
            let mut quote = evidence.quote.clone();
            quote[at] ^= 1;
            let refused =
                Evidence::parse(&quote, None).map_or(true, |evidence| verify(&evidence, &collateral, NOW).is_err());
            assert!(refused, "byte {at} of {format:?}");
        }
    }
}

/// What the extended report of TDX 1.5 adds: who the domain is, and on what it was launched.
#[test]
fn an_extended_report_s_own_fields_are_facts_of_the_domain_and_of_its_launch() {
    let site = site();
    let domains = ["one", "another"].map(|name| {
        let config = TdConfig { quote: QuoteFormat::V5Td15Ex, ..TdConfig::new(name, files::generate("kernel")) };
        site.boot(&config).unwrap()
    });
    let facts = |td: &Td| judge(&site, &td.evidence(&[0; 64]).unwrap(), NOW).unwrap();
    let claims = |td: &Td| facts(td).claims().tdx().unwrap().clone();
    let launched = claims(&domains[0]);
    let extended = launched.extended.clone().unwrap();
    assert_eq!(launched.body, "td15ex");
    assert_eq!(extended.init_tee_tcb_svn, launched.tee_tcb_svn);
    assert_eq!(Some(extended.init_tee_tcb_svn), launched.tee_tcb_svn2);
    assert_eq!(extended.init_tee_fmspc.0, [FMSPC.as_slice(), &[0; 6]].concat()[..]);
    assert_eq!((extended.vm_id, extended.dev_info), (0, Digest([0; 48])), "no partition, no device");
    assert_eq!(extended.init_service_td_hash, extended.cur_service_td_hash);
    assert!(!launched.attribute_bits.servtd_ext);
    let other = claims(&domains[1]).extended.unwrap();
    assert_ne!(extended.td_id, other.td_id, "two domains, and nothing else tells them apart");
    assert_eq!(other.init_cpu_svn, extended.init_cpu_svn);

    // The platform goes on, and what was true at the launch stays.
    site.age_tcb().unwrap();
    site.update_platform().unwrap();
    let later = claims(&domains[0]);
    assert_eq!(later.extended.as_ref(), Some(&extended));
    assert_ne!(later.tee_tcb_svn2, Some(extended.init_tee_tcb_svn));
    assert_eq!(facts(&domains[0]).tcb().unwrap().status, TcbStatus::TDRelaunchAdvised);

    let json = serde_json::to_value(facts(&domains[0])).unwrap();
    assert_eq!(json["tdx"]["td_id"], extended.td_id.to_string());
    let without = boot(&site, QuoteFormat::V5Td15);
    assert_eq!(claims(&without).extended, None);
    assert!(serde_json::to_value(facts(&without)).unwrap()["tdx"].get("td_id").is_none());
}

/// A body has the length of its type: neither a shorter one nor a longer one is taken for another.
#[test]
fn a_body_that_calls_itself_another_is_refused() {
    let site = site();
    let formats = [QuoteFormat::V5Td10, QuoteFormat::V5Td15, QuoteFormat::V5Td15Ex];
    let kinds = [(2_u16, 584_u32), (3, 648), (4, 885)];
    for (format, own) in formats.into_iter().zip(kinds) {
        let evidence = boot(&site, format).evidence(&[0; 64]).unwrap();
        assert_eq!(evidence.quote[48..50], own.0.to_le_bytes(), "{format:?}");
        for (kind, size) in kinds.into_iter().chain([(1, 384), (5, 885)]).filter(|other| *other != own) {
            for size in [size, own.1] {
                let mut quote = evidence.quote.clone();
                quote[48..50].copy_from_slice(&kind.to_le_bytes());
                quote[50..54].copy_from_slice(&size.to_le_bytes());
                let refused = Evidence::parse(&quote, None)
                    .map_or(true, |evidence| judge(&site, &collected(evidence.quote.raw), NOW).is_err());
                assert!(refused, "{format:?} as {kind} of {size} bytes");
            }
        }
    }
}

fn collected(quote: &[u8]) -> Collected {
    Collected { quote: quote.to_vec(), event_log: None }
}

/// A quoting service takes a report from whoever brings it, and knows those of its platform.
#[test]
fn a_report_becomes_a_quote_on_its_own_platform_alone() {
    let (here, there) = (site(), site());
    let td = boot(&here, QuoteFormat::V4);
    let report = td.td_report(&[0x5a; 64]);
    for format in [QuoteFormat::V4, QuoteFormat::V5Td10, QuoteFormat::V5Td15] {
        let quote = here.quote_report(&report, format).unwrap();
        let facts = judge(&here, &collected(&quote), NOW).unwrap();
        assert_eq!(facts.report_data(), [0x5a; 64], "{format:?}");
    }
    assert_eq!(here.quote_report(&report, QuoteFormat::V5Td15Ex).unwrap_err().code(), "bad-config");
    assert_eq!(there.quote_report(&report, QuoteFormat::V4).unwrap_err().code(), "bad-config");
    let bytes = report.as_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        let changed = TdReport::read_from_bytes(&changed).unwrap();
        assert_eq!(here.quote_report(&changed, QuoteFormat::V4).unwrap_err().code(), "bad-config", "byte {at}");
    }
}

#[test]
fn a_tcb_recovery_makes_the_platform_out_of_date_until_it_is_updated_and_its_machines_rebooted() {
    let site = site();
    let [td10, td15, td15ex] =
        [QuoteFormat::V4, QuoteFormat::V5Td15, QuoteFormat::V5Td15Ex].map(|format| boot(&site, format));
    let before = site.status();
    assert_eq!(site.age_tcb().unwrap(), before.evaluation_number + 1);
    let facts = judge(&site, &td10.evidence(&[0; 64]).unwrap(), NOW).unwrap();
    assert_eq!(facts.tcb().unwrap().status, TcbStatus::OutOfDate);
    assert_eq!(facts.tcb().unwrap().evaluation_number, before.evaluation_number + 1);
    assert_eq!(facts.tcb().unwrap().advisories, ["SEALWRIGHT-SIM-SA-00003"]);
    assert_eq!(status(&site, &td15), TcbStatus::OutOfDate);
    assert_eq!(status(&site, &td15ex), TcbStatus::OutOfDate);
    assert!(!site.status().platform_up_to_date);

    site.update_platform().unwrap();
    assert!(site.status().platform_up_to_date);
    assert_eq!(status(&site, &td10), TcbStatus::OutOfDate, "it was launched before the update, and cannot say more");
    assert_eq!(status(&site, &td15), TcbStatus::TDRelaunchAdvised, "TDX 1.5 tells launch and present apart");
    assert_eq!(status(&site, &td15ex), TcbStatus::TDRelaunchAdvised, "so does its extension");
    for (td, format) in [(td15, QuoteFormat::V5Td15), (td15ex, QuoteFormat::V5Td15Ex)] {
        site.stop(td.machine()).unwrap();
        assert_eq!(status(&site, &boot(&site, format)), TcbStatus::UpToDate);
    }
}

/// All that TCB info can say of a platform, and what verifiers make of it.
#[test]
fn every_status_of_a_platform_is_reached() {
    let site = site();
    let tds = QuoteFormat::ALL.map(|format| boot(&site, format));
    let first = site.status().evaluation_number;
    for (count, status) in (1..).zip(TcbStatus::ALL) {
        if matches!(status, TcbStatus::TDRelaunchAdvised | TcbStatus::TDRelaunchAdvisedConfigurationNeeded) {
            assert!(site.rate(status).is_err(), "{status}");
            continue;
        }
        site.rate(status).unwrap();
        assert!(site.status().evaluation_number > first && site.status().evaluation_number <= first + count);
        for td in &tds {
            let facts = judge(&site, &td.evidence(&[0; 64]).unwrap(), NOW).unwrap();
            let tcb = facts.tcb().unwrap();
            let said = (tcb.status, tcb.advisories.is_empty());
            assert_eq!(said, (status, status == TcbStatus::UpToDate), "{status} of {}", td.machine());
        }
        let collateral = Collateral::verify(&site.collateral(Tee::Sgx).unwrap(), &anchors(&site), NOW).unwrap();
        for format in [SgxFormat::V3, SgxFormat::V4, SgxFormat::V5] {
            let quote = site.sgx_quote_as(format, &enclave(), &[0; 64]).unwrap();
            let facts = verify(&Evidence::parse(&quote, None).unwrap(), &collateral, NOW).unwrap();
            assert_eq!(facts.tcb().unwrap().status, status, "{format:?}");
        }
    }
}

/// An updated platform whose machines were launched before, and one that its vendor has given up.
#[test]
fn a_relaunch_is_advised_and_a_forgotten_platform_is_not_supported() {
    let site = site();
    let tds = [QuoteFormat::V5Td15, QuoteFormat::V5Td15Ex].map(|format| boot(&site, format));
    let old = boot(&site, QuoteFormat::V4);
    site.age_tcb().unwrap();
    site.update_platform().unwrap();
    tds.iter().for_each(|td| assert_eq!(status(&site, td), TcbStatus::TDRelaunchAdvised));
    site.rate(TcbStatus::ConfigurationNeeded).unwrap();
    tds.iter().for_each(|td| assert_eq!(status(&site, td), TcbStatus::TDRelaunchAdvisedConfigurationNeeded));
    site.age_tcb().unwrap();
    assert_eq!(status(&site, &old), TcbStatus::OutOfDate);
    site.forget_old_levels().unwrap();
    for td in tds.iter().chain([&old]) {
        let error = judge(&site, &td.evidence(&[0; 64]).unwrap(), NOW).unwrap_err();
        assert_eq!(error.code(), "tcb-not-supported", "{error}");
    }
}

fn enclave() -> Enclave {
    Enclave { mr_enclave: [1; 32], mr_signer: [2; 32], isv_prod_id: 3, isv_svn: 4, debug: false }
}

#[test]
fn a_revoked_certificate_is_refused_until_the_platform_has_another() {
    let site = site();
    let td = boot(&site, QuoteFormat::V4);
    site.revoke_pck().unwrap();
    assert!(site.status().pck_revoked);
    let error = judge(&site, &td.evidence(&[0; 64]).unwrap(), NOW).unwrap_err();
    assert!(matches!(error, Error::Revoked { part: Part::Pck, crl: Part::PckCrl, .. }), "{error}");
    site.update_platform().unwrap();
    assert!(!site.status().pck_revoked);
    assert_eq!(status(&site, &td), TcbStatus::UpToDate);
}

#[test]
fn a_debug_machine_says_so() {
    let site = site();
    let config = TdConfig { debug: true, ..TdConfig::new("debug", files::generate("kernel")) };
    let production = boot(&site, QuoteFormat::V4);
    let debug = site.boot(&config).unwrap();
    let facts = judge(&site, &debug.evidence(&[0; 64]).unwrap(), NOW).unwrap();
    assert_eq!(facts.debug(), Some(true));
    assert_eq!(debug.measurements().unwrap(), production.measurements().unwrap(), "nothing else tells them apart");
}

#[test]
fn another_kernel_shows_in_rtmr1_alone() {
    let site = site();
    let mut config = TdConfig::new("other", files::generate("kernel"));
    config.files.kernel = files::kernel("another kernel");
    let [here, other] =
        [boot(&site, QuoteFormat::V4), site.boot(&config).unwrap()].map(|td| td.measurements().unwrap());
    let differ: Vec<_> = here.iter().zip(&other).filter(|(a, b)| a != b).map(|(a, _)| a.name).collect();
    assert_eq!(differ, ["rtmr1"]);
}

#[test]
fn collateral_is_valid_for_thirty_days_and_issued_anew_when_asked_for_later() {
    let now = Arc::new(Mutex::new(NOW));
    let clock = Arc::clone(&now);
    let site = Site::found(Arc::new(move || *clock.lock().unwrap())).unwrap();
    let td = boot(&site, QuoteFormat::V4);
    let evidence = td.evidence(&[0; 64]).unwrap();
    let bundle = site.collateral(Tee::Tdx).unwrap();
    let check = |at: UnixTime| Collateral::verify(&bundle, &anchors(&site), at).map(drop);
    check(NOW).unwrap();
    check(NOW.plus(30 * DAY)).unwrap();
    assert!(matches!(check(NOW.plus(30 * DAY + 1)), Err(Error::Expired { .. })));
    assert!(matches!(check(UnixTime(NOW.0 - 1)), Err(Error::NotYetValid { .. })));
    *now.lock().unwrap() = NOW.plus(40 * DAY);
    judge(&site, &evidence, NOW.plus(40 * DAY)).unwrap();
    assert_eq!(site.collateral(Tee::Tdx).unwrap(), site.collateral(Tee::Tdx).unwrap(), "not issued anew each time");
}

#[test]
fn sgx_quotes_are_believed_with_sgx_collateral_and_no_other() {
    let site = site();
    let mut enclave = Enclave { mr_enclave: [1; 32], mr_signer: [2; 32], isv_prod_id: 3, isv_svn: 4, debug: false };
    let bundle = site.collateral(Tee::Sgx).unwrap();
    let collateral = Collateral::verify(&bundle, &anchors(&site), NOW).unwrap();
    let judge = |quote: &[u8]| verify(&Evidence::parse(quote, None).unwrap(), &collateral, NOW);
    let facts = judge(&site.sgx_quote(&enclave, &[9; 64]).unwrap()).unwrap();
    assert_eq!(
        (facts.tcb().unwrap().status, facts.debug(), facts.quote_version()),
        (TcbStatus::UpToDate, Some(false), Some(3))
    );
    let Claims::Sgx(claims) = facts.claims() else { panic!("an enclave's claims") };
    assert_eq!((claims.mr_enclave, claims.mr_signer), (Digest([1; 32]), Digest([2; 32])));
    assert_eq!((claims.isv_prod_id, claims.isv_svn), (3, 4));
    enclave.debug = true;
    assert_eq!(judge(&site.sgx_quote(&enclave, &[9; 64]).unwrap()).unwrap().debug(), Some(true));
    let tdx = boot(&site, QuoteFormat::V4).evidence(&[0; 64]).unwrap();
    assert!(matches!(judge(&tdx.quote), Err(Error::CollateralMismatch { .. })));
    site.age_tcb().unwrap();
    let aged = Collateral::verify(&site.collateral(Tee::Sgx).unwrap(), &anchors(&site), NOW).unwrap();
    let quote = site.sgx_quote(&enclave, &[9; 64]).unwrap();
    let facts = verify(&Evidence::parse(&quote, None).unwrap(), &aged, NOW).unwrap();
    assert_eq!(facts.tcb().unwrap().status, TcbStatus::OutOfDate);
}

#[test]
fn quote_and_log_are_of_one_moment_whatever_others_measure() {
    const EVENTS: usize = 1500;
    let site = site();
    let td = boot(&site, QuoteFormat::V4);
    let writing = AtomicUsize::new(3);
    let event = |writer, round| RuntimeEvent::new("test", "Event", &format!("{writer}.{round}")).unwrap();
    thread::scope(|scope| {
        for writer in 0..3 {
            let (td, writing) = (&td, &writing);
            scope.spawn(move || {
                (0..EVENTS).for_each(|round| td.extend(&event(writer, round)).unwrap());
                writing.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while writing.load(Ordering::SeqCst) > 0 {
            let evidence = td.evidence(&[0; 64]).unwrap();
            let rtmrs = Quote::parse(&evidence.quote).unwrap().body.td().unwrap().rt_mr;
            let replayed = replay::check_tdx(evidence.event_log.as_deref().unwrap(), &rtmrs).unwrap();
            assert_eq!(replayed.unexplained().count(), 0);
        }
    });
    let facts = judge(&site, &td.evidence(&[0; 64]).unwrap(), NOW).unwrap();
    assert_eq!(facts.log().unwrap().runtime().len(), 3 * EVENTS);
}

#[test]
fn a_full_log_refuses_events_before_it_extends() {
    let site = site();
    let td = boot(&site, QuoteFormat::V4);
    let event = RuntimeEvent::new("test", "Event", &"x".repeat(16_000)).unwrap();
    let measured = std::iter::repeat_with(|| td.extend(&event)).take_while(Result::is_ok).count();
    assert!((50..80).contains(&measured), "{measured} events of 16 kB in 1 MiB");
    let error = td.extend(&event).unwrap_err();
    assert!(error.to_string().contains("the event log holds at most 1048576 bytes"), "{error}");
    let evidence = td.evidence(&[0; 64]).unwrap();
    let facts = judge(&site, &evidence, NOW).unwrap();
    assert_eq!(facts.log().unwrap().runtime().len(), measured);
    // What fits still goes in.
    td.extend(&RuntimeEvent::new("test", "Event", "small").unwrap()).unwrap();
}

#[test]
fn a_boot_log_has_the_one_bank_of_tdx() {
    let site = site();
    let log = boot(&site, QuoteFormat::V4).event_log().unwrap().unwrap();
    let log = Log::parse(&log).unwrap();
    assert_eq!(log.banks().iter().map(|bank| bank.algorithm()).collect::<Vec<_>>(), [AlgorithmId::SHA384]);
    assert_eq!((log.event_count(), log.spec_id().unwrap().mr_index), (18, 1));
}

#[test]
fn machines_have_names_of_their_own_and_a_limit() {
    let site = site();
    let config = |name: &str| TdConfig::new(name, files::generate("kernel"));
    let _one = site.boot(&config("one")).unwrap();
    assert_eq!(site.boot(&config("one")).unwrap_err().code(), "td-exists");
    for name in ["", "a b", "../x", "a/b", "\u{e9}", &"x".repeat(65)] {
        assert_eq!(site.boot(&config(name)).unwrap_err().code(), "bad-config", "{name:?}");
    }
    assert_eq!(site.td("two").unwrap_err().code(), "unknown-td");
    assert_eq!(site.stop("two").unwrap_err().code(), "unknown-td");
    (1..sealwright_sim::MAX_TDS).for_each(|number| drop(site.boot(&config(&number.to_string())).unwrap()));
    assert_eq!(site.boot(&config("more")).unwrap_err().code(), "too-many-tds");
    site.stop("one").unwrap();
    site.boot(&config("more")).unwrap();
}
