//! TCB levels: which one a platform meets, how module and quoting enclave weigh in, what TDX 1.5 adds, and what an event log
//! must explain.

mod site;

use sealwright_verify::{TcbStatus as S, verify};
use sealwright_wire::aael::RuntimeEvent;
use sealwright_wire::collateral::Component;
use sealwright_wire::tcg2::{AlgorithmId, Writer, event_type};
use sealwright_wire::{Evidence, tdx};
use site::{Report, Site, at, level, module_level, qe_level, time};
use zerocopy::FromZeros;

fn svn(minor: u8, major: u8, third: u8) -> [u8; 16] {
    let mut svn = [0; 16];
    (svn[0], svn[1], svn[2]) = (minor, major, third);
    svn
}

#[test]
fn the_highest_level_that_the_platform_meets_is_taken() {
    let mut site = Site::sgx();
    assert_eq!(site.status(), (S::UpToDate, vec![]));
    site.extension.tcb.pce_svn = 10;
    assert_eq!(site.status(), (S::OutOfDate, vec!["SA-P".to_owned()]), "PCESVN too low for the first");
    site.extension.tcb.pce_svn = 11;
    site.extension.tcb.components[0] = 4;
    assert_eq!(site.status().0, S::OutOfDate, "component 1 too low for the first");
    site.extension.tcb.components[2] = 1;
    assert_eq!(site.refusal(), "tcb-not-supported", "component 3 too low for all");
}

#[test]
fn the_refusal_names_what_is_too_low() {
    let mut site = Site::sgx();
    site.extension.tcb.pce_svn = 4;
    site.extension.tcb.components[2] = 1;
    let error = site.verify().unwrap_err();
    assert_eq!(error.code(), "tcb-not-supported");
    assert_eq!(error.expected().unwrap(), "SGX TCB component 3 >= 2, PCESVN >= 5");
    assert_eq!(error.actual().unwrap(), "SGX TCB component 3 = 1, PCESVN = 4");
    site.tcb_info.tcb_levels.clear();
    assert_eq!(site.refusal(), "tcb-not-supported");
}

#[test]
fn facts_say_what_to_update() {
    let mut site = Site::tdx();
    assert!(site.verify().unwrap().tcb().unwrap().below_highest.is_empty());
    site.extension.tcb.pce_svn = 5;
    site.td().tee_tcb_svn[0] = 3;
    site.qe_report.isv_svn.set(2);
    let facts = site.verify().unwrap();
    assert_eq!(
        facts.tcb().unwrap().below_highest,
        [
            "PCESVN is 5, the highest level needs 11",
            "TDX module ISVSVN is 3, the highest level needs 5",
            "QE ISVSVN is 2, the highest level needs 4",
        ]
    );
}

#[test]
fn the_order_of_the_document_does_not_matter() {
    for site in [Site::sgx(), Site::tdx()] {
        let mut reversed = site.clone();
        reversed.tcb_info.tcb_levels.reverse();
        reversed.qe_identity.tcb_levels.reverse();
        for module in &mut reversed.tcb_info.tdx_module_identities {
            module.tcb_levels = vec![module_level(0, S::OutOfDate, &[]), module_level(1, S::UpToDate, &[])];
        }
        assert_eq!(reversed.status(), (S::UpToDate, vec![]));
        assert!(reversed.verify().unwrap().tcb().unwrap().below_highest.is_empty());
    }
    // Levels that differ in their TDX components alone.
    let mut site = Site::tdx();
    site.td().tee_tcb_svn = svn(5, 0, 2);
    site.tcb_info.tcb_levels = vec![level(5, Some(1), 11, S::OutOfDate, &[]), level(5, Some(5), 11, S::UpToDate, &[])];
    assert_eq!(site.status().0, S::UpToDate);
}

#[test]
fn tdx_components_0_and_1_belong_to_the_module_identity() {
    // Component 0 far above what the platform has: ignored as long as the module has a major version.
    let mut site = Site::tdx();
    for level in &mut site.tcb_info.tcb_levels {
        level.tcb.tdxtcbcomponents.as_mut().unwrap()[0] = Component::new(200);
    }
    assert_eq!(site.status().0, S::UpToDate);
    site.td().tee_tcb_svn[1] = 0;
    assert_eq!(site.refusal(), "tcb-not-supported");
    // Component 2 counts in any case.
    let mut site = Site::tdx();
    site.td().tee_tcb_svn[2] = 1;
    assert_eq!(site.refusal(), "tcb-not-supported");
}

#[test]
fn an_outdated_module_makes_the_platform_outdated() {
    let mut site = Site::tdx();
    site.td().tee_tcb_svn[0] = 3;
    let facts = site.verify().unwrap();
    assert_eq!(facts.tcb().unwrap().status, S::OutOfDate);
    assert_eq!(facts.tcb().unwrap().platform_status, S::UpToDate);
    assert_eq!(facts.tcb().unwrap().module_status, Some(S::OutOfDate));
    assert_eq!(facts.tcb().unwrap().advisories, ["SA-M"]);
    site.tcb_info.tcb_levels[0].tcb_status = S::ConfigurationAndSWHardeningNeeded;
    assert_eq!(site.status().0, S::OutOfDateConfigurationNeeded);
}

#[test]
fn an_outdated_quoting_enclave_makes_the_platform_outdated() {
    for mut site in [Site::tdx(), Site::sgx()] {
        site.qe_report.isv_svn.set(3);
        let facts = site.verify().unwrap();
        assert_eq!(facts.tcb().unwrap().status, S::OutOfDate);
        assert_eq!((facts.tcb().unwrap().platform_status, facts.tcb().unwrap().qe_status), (S::UpToDate, S::OutOfDate));
        assert_eq!(facts.tcb().unwrap().advisories, ["SA-Q"]);
    }
}

#[test]
fn revoked_is_never_anything_else() {
    let mut platform = Site::tdx();
    platform.tcb_info.tcb_levels[0].tcb_status = S::Revoked;
    let mut module = Site::tdx();
    module.tcb_info.tdx_module_identities[0].tcb_levels = vec![module_level(0, S::Revoked, &[])];
    let mut enclave = Site::sgx();
    enclave.qe_identity.tcb_levels = vec![qe_level(0, S::Revoked, &[])];
    let mut now = Site::td15(svn(2, 2, 2));
    let mut second = now.tcb_info.tdx_module_identities[0].clone();
    second.id = "TDX_02".to_owned();
    second.tcb_levels = vec![module_level(0, S::Revoked, &[])];
    now.tcb_info.tdx_module_identities.push(second);
    for site in [platform, module, enclave, now] {
        assert_eq!(site.status().0, S::Revoked);
    }
}

#[test]
fn advisories_of_all_parts_are_merged_without_repetition() {
    let mut site = Site::tdx();
    site.tcb_info.tcb_levels[0].advisory_ids = vec!["A".to_owned(), "B".to_owned()];
    site.qe_identity.tcb_levels[0].advisory_ids = vec!["B".to_owned(), "C".to_owned()];
    site.tcb_info.tdx_module_identities[0].tcb_levels[0].advisory_ids = vec!["C".to_owned(), "D".to_owned()];
    let (status, advisories) = site.status();
    assert_eq!(status, S::UpToDate, "advisories may come with UpToDate");
    assert_eq!(advisories, ["A", "B", "C", "D"]);
}

#[test]
fn the_oldest_date_counts() {
    let mut site = Site::tdx();
    assert_eq!(site.verify().unwrap().tcb().unwrap().date, time("2025-11-01T00:00:00Z"), "the module's");
    site.qe_identity.tcb_levels[0].tcb_date = time("2024-01-01T00:00:00Z");
    assert_eq!(site.verify().unwrap().tcb().unwrap().date, time("2024-01-01T00:00:00Z"), "the quoting enclave's");
}

#[test]
fn a_domain_launched_on_an_outdated_module_that_was_updated_should_be_launched_again() {
    let mut site = Site::td15(svn(5, 1, 2));
    site.td().tee_tcb_svn[0] = 3;
    let facts = site.verify().unwrap();
    assert_eq!(facts.tcb().unwrap().status, S::TDRelaunchAdvised);
    assert_eq!(facts.tcb().unwrap().current_status, Some(S::UpToDate));
    assert_eq!(facts.tcb().unwrap().module_status, Some(S::OutOfDate));
    site.tcb_info.tcb_levels[0].tcb_status = S::ConfigurationNeeded;
    assert_eq!(site.status().0, S::TDRelaunchAdvisedConfigurationNeeded);
}

#[test]
fn no_relaunch_is_advised_where_it_would_not_help() {
    // Still outdated now; and outdated for the quoting enclave's sake.
    let mut site = Site::td15(svn(3, 1, 2));
    site.td().tee_tcb_svn[0] = 3;
    assert_eq!(site.status().0, S::OutOfDate);
    let mut site = Site::td15(svn(5, 1, 2));
    site.td().tee_tcb_svn[0] = 3;
    site.qe_report.isv_svn.set(3);
    assert_eq!(site.status().0, S::OutOfDate);
}

#[test]
fn what_a_domain_runs_on_now_must_be_supported_too() {
    let mut site = Site::td15(svn(1, 1, 2));
    assert_eq!(site.refusal(), "tcb-not-supported", "module too old");
    site = Site::td15(svn(5, 3, 2));
    assert_eq!(site.refusal(), "tdx-module-mismatch", "no such module");
    site = Site::td15(svn(5, 1, 1));
    assert_eq!(site.refusal(), "tcb-not-supported", "platform too old");
}

#[test]
fn the_extended_report_of_tdx_1_5_is_judged_alike() {
    let mut site = Site::td15(svn(5, 1, 2));
    let Report::Td15(base) = &site.report else { unreachable!() };
    let mut report = tdx::ReportBody15Ex::new_zeroed();
    report.base = **base;
    report.td_id = [6; 32];
    site.report = Report::Td15Ex(Box::new(report));
    let facts = site.verify().unwrap();
    assert_eq!(facts.claims().tdx().unwrap().body, "td15ex");
    assert_eq!(facts.tcb().unwrap().current_status, Some(S::UpToDate));
    site.td().tee_tcb_svn[0] = 3;
    assert_eq!(site.status().0, S::TDRelaunchAdvised);
}

/// A boot log that extends RTMR0 once, and with a runtime event.
fn log(runtime: bool) -> Vec<u8> {
    let mut writer = Writer::new(1, &[AlgorithmId::SHA384]).unwrap();
    writer.event(1, event_type::EV_SEPARATOR, &[&sha384(&[0; 4])], &[0; 4]).unwrap();
    if runtime {
        let data = event().to_data();
        writer.event(4, event_type::EV_EVENT_TAG, &[&sha384(&data)], &data).unwrap();
    }
    writer.into_area(4096).unwrap()
}

fn event() -> RuntimeEvent {
    RuntimeEvent::new("sealwright", "LoadModel", r#"{"name":"iris"}"#).unwrap()
}

fn sha384(data: &[u8]) -> [u8; 48] {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, data).as_ref().try_into().unwrap()
}

/// A register that was extended once.
fn extended(digest: [u8; 48]) -> [u8; 48] {
    sha384(&[[0; 48], digest].concat())
}

#[test]
fn a_log_that_explains_the_registers_becomes_a_fact() {
    let mut site = Site::tdx();
    site.td().rt_mr[0] = extended(sha384(&[0; 4]));
    site.td().rt_mr[3] = extended(sha384(&event().to_data()));
    let facts = site.verify_with_log(Some(&log(true))).unwrap();
    let replayed = facts.log().unwrap();
    assert_eq!(replayed.enforced().collect::<Vec<_>>(), ["rtmr0", "rtmr1", "rtmr2", "rtmr3"]);
    assert_eq!(replayed.runtime(), [event()]);
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!(json["log"]["present"], true);
    assert_eq!(json["log"]["runtime"][0]["operation"], "LoadModel");
    assert!(site.verify().unwrap().log().is_none());
}

#[test]
fn a_log_of_another_boot_is_refused() {
    let mut site = Site::tdx();
    site.td().rt_mr[0] = [1; 48];
    let error = site.verify_with_log(Some(&log(false))).unwrap_err();
    assert_eq!((error.code(), error.claim()), ("event-log-mismatch", "rtmr0"));
    assert_eq!(error.expected().unwrap(), "01".repeat(48));
    assert_eq!(error.actual().unwrap(), hex::encode(extended(sha384(&[0; 4]))));
    let mut site = Site::tdx();
    site.td().rt_mr[0] = extended(sha384(&[0; 4]));
    site.verify_with_log(Some(&log(false))).unwrap();
    let error = site.verify_with_log(Some(&log(true))).unwrap_err();
    assert_eq!(error.claim(), "rtmr3", "the log tells of an event that was never measured");
}

#[test]
fn an_unexplained_rtmr3_is_reported() {
    let mut site = Site::tdx();
    site.td().rt_mr[0] = extended(sha384(&[0; 4]));
    site.td().rt_mr[3] = [9; 48];
    let facts = site.verify_with_log(Some(&log(false))).unwrap();
    assert_eq!(facts.log().unwrap().unexplained().collect::<Vec<_>>(), ["rtmr3"]);
}

#[test]
fn a_broken_log_and_a_log_beside_sgx_are_refused() {
    assert_eq!(Site::tdx().verify_with_log(Some(b"log")).unwrap_err().code(), "malformed-event-log");
    assert_eq!(Site::sgx().verify_with_log(Some(&log(false))).unwrap_err().code(), "unexpected-event-log");
}

#[test]
fn verified_values_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<sealwright_verify::Collateral>();
    shared::<sealwright_verify::Platform>();
    shared::<sealwright_verify::Facts>();
    shared::<sealwright_verify::Error>();
}

#[test]
fn collateral_says_what_it_is_for() {
    let site = Site::tdx();
    let collateral = site.collateral().unwrap();
    assert_eq!(collateral.fmspc().to_string(), "50806f000000");
    assert_eq!(collateral.tee().name(), "tdx");
    assert_eq!(collateral.evaluation_number(), 17);
    assert!(collateral.pck_ca().contains("Platform"));
    assert_eq!(
        (collateral.valid_from(), collateral.expires()),
        (time("2026-06-02T00:00:00Z"), time("2026-07-01T00:00:00Z"))
    );
    let platform = collateral.platform(&site.chain(), at()).unwrap();
    assert_eq!(platform.pck().fmspc, site.extension.fmspc);
    let quote = site.quote();
    let evidence = Evidence::parse(&quote, None).unwrap();
    assert!(platform.covers(&evidence.quote));
    assert_eq!(platform.collateral().anchor(), collateral.anchor());
    verify(&evidence, &collateral, at()).unwrap();
}
