//! What the vendor says of the hardware's security versions is what the guest's facts say.

use super::{NONCE, Party, claims, judged, platform, refusal, site, snp_guest, tdx_guest};
use sealwright_sim::QuoteFormat;
use sealwright_verify::{TcbStatus, any::Verdict};
use sealwright_wire::snp::Tcb;

#[test]
fn every_status_of_a_trust_domain_s_platform_is_its_guest_s() {
    let site = site();
    let guests = [QuoteFormat::V4, QuoteFormat::V5Td10, QuoteFormat::V5Td15]
        .map(|quote| tdx_guest(&site, &format!("{quote:?}"), quote));
    for status in TcbStatus::ALL {
        if matches!(status, TcbStatus::TDRelaunchAdvised | TcbStatus::TDRelaunchAdvisedConfigurationNeeded) {
            continue;
        }
        site.rate(status).unwrap();
        for guest in &guests {
            let facts = judged(guest);
            let tcb = facts.tcb().unwrap();
            assert_eq!((tcb.status, tcb.advisories.is_empty()), (status, status == TcbStatus::UpToDate), "{status}");
            let verdict = Verdict::of(Ok(facts), Some(TcbStatus::UpToDate)).unwrap();
            assert_eq!((verdict.genuine, verdict.accepted), (true, status == TcbStatus::UpToDate), "{status}");
        }
    }
}

/// An updated platform whose guests were launched before, and one that its vendor has given up.
#[test]
fn a_relaunch_is_advised_and_a_forgotten_platform_is_not_supported() {
    let site = site();
    let mut guest = tdx_guest(&site, "td", QuoteFormat::V5Td15);
    let status = |guest: &_| judged(guest).tcb().unwrap().status;
    site.age_tcb().unwrap();
    assert_eq!(status(&guest), TcbStatus::OutOfDate);
    site.update_platform().unwrap();
    // The report that the paravisor lays out tells of the platform as it was.
    assert_eq!(status(&guest), TcbStatus::OutOfDate);
    guest.renew_report().unwrap();
    assert_eq!(status(&guest), TcbStatus::TDRelaunchAdvised);
    site.rate(TcbStatus::ConfigurationNeeded).unwrap();
    assert_eq!(status(&guest), TcbStatus::TDRelaunchAdvisedConfigurationNeeded);
    assert_eq!(status(&tdx_guest(&site, "new", QuoteFormat::V5Td15)), TcbStatus::ConfigurationNeeded);
    site.age_tcb().unwrap();
    site.forget_old_levels().unwrap();
    assert_eq!(refusal(Party::of(&guest).judge(&guest.evidence(NONCE).unwrap())), "tcb-not-supported");
}

#[test]
fn a_revoked_certificate_of_the_platform_is_refused_until_it_has_another() {
    let site = site();
    let guest = tdx_guest(&site, "td", QuoteFormat::V4);
    site.revoke_pck().unwrap();
    assert_eq!(refusal(Party::of(&guest).judge(&guest.evidence(NONCE).unwrap())), "certificate-revoked");
    site.update_platform().unwrap();
    judged(&guest);
}

/// AMD judges no security versions: they are facts, and a policy's business.
#[test]
fn security_versions_of_an_snp_guest_s_platform_are_facts() {
    let platform = platform();
    let guest = snp_guest(&platform);
    let facts = judged(&guest);
    assert_eq!(facts.tcb(), None);
    let reported = platform.status().reported_tcb;
    assert_eq!(claims(&facts).hardware.claims().snp().unwrap().reported_tcb, reported);
    let verdict = Verdict::of(Ok(facts), Some(TcbStatus::UpToDate)).unwrap();
    assert_eq!((verdict.genuine, verdict.accepted), (true, false), "no status meets no demand");
    platform.report_tcb(Tcb { microcode: reported.microcode - 1, ..reported }).unwrap();
    let facts = judged(&snp_guest(&platform));
    let snp = claims(&facts).hardware.claims().snp().unwrap().clone();
    assert_eq!(snp.reported_tcb.microcode, reported.microcode - 1);
}
