//! What is given at a launch is among the facts, and what the platform does not fulfil is not launched.

use super::*;
use sealwright_sim::snp::HostConfig;
use sealwright_verify::snp::Error as Reason;
use sealwright_wire::{
    Digest,
    collateral::encode_pem_chain,
    snp::{CertificateTable, GuestPolicy, PlatformInfo, guid},
};
use serde_json::Value;

#[test]
fn facts_are_what_was_given_at_launch() {
    let platform = platform();
    let config = GuestConfig {
        policy: GuestPolicy(GuestPolicy::RESERVED_ONE | 1 << 16 | 1 << 18 | 0x0120),
        guest_svn: 7,
        family_id: [0xfa; 16],
        image_id: [0x1a; 16],
        host_data: [0x40; 32],
        id_key_digest: [0x1d; 48],
        author_key_digest: Some([0xa0; 48]),
        report_id_ma: Some([0x3a; 32]),
        vmpl: 3,
        ..GuestConfig::new([0x4e; 48])
    };
    let (one, other) = (platform.launch(&config).unwrap(), platform.launch(&config).unwrap());
    let facts = claims(&one);
    assert_eq!((facts.guest_svn, facts.vmpl, facts.author_key_en), (7, 3, true));
    assert_eq!((facts.family_id, facts.image_id), (Digest([0xfa; 16]), Digest([0x1a; 16])));
    assert_eq!((facts.measurement, facts.host_data), (Digest([0x4e; 48]), Digest([0x40; 32])));
    assert_eq!((facts.id_key_digest, facts.author_key_digest), (Digest([0x1d; 48]), Digest([0xa0; 48])));
    assert_eq!(facts.report_id_ma, Digest([0x3a; 32]));
    assert_eq!((facts.policy.abi_major, facts.policy.abi_minor), (1, 0x20));
    assert_eq!(facts.report_id, claims(&one).report_id, "a guest's identity stays");
    assert_ne!(facts.report_id, claims(&other).report_id, "each guest has its own");
    let plain = claims(&guest(&platform));
    assert_eq!((plain.author_key_en, plain.report_id_ma), (false, Digest([0xff; 32])));
}

/// Names of the facts that are true.
fn set(facts: &Value) -> Vec<&str> {
    facts.as_object().unwrap().iter().filter(|(_, value)| **value == true).map(|(name, _)| name.as_str()).collect()
}

fn facts(fetched: &Fetched, guest: &Guest) -> Value {
    serde_json::to_value(fetched.verify(&guest.report(&[0; 64], 2).unwrap()).unwrap()).unwrap()
}

#[test]
fn each_bit_of_the_policy_is_a_fact() {
    let platform = platform();
    let fetched = Fetched::of(&platform);
    // Without SMT, and with what a policy can demand.
    let info = PlatformInfo(1 << 3 | 1 << 4);
    platform.configure(HostConfig { platform_info: info, ..platform.status().host });
    for (bit, name) in [
        (16, "smt"),
        (18, "migrate_ma"),
        (19, "debug"),
        (20, "single_socket"),
        (21, "cxl_allow"),
        (22, "mem_aes_256_xts"),
        (23, "rapl_dis"),
        (24, "ciphertext_hiding_dram"),
        (25, "page_swap_disable"),
    ] {
        let policy = GuestPolicy(GuestPolicy::RESERVED_ONE | 1 << bit);
        let guest = platform.launch(&GuestConfig { policy, ..GuestConfig::new([0; 48]) }).unwrap();
        let facts = facts(&fetched, &guest);
        assert_eq!(set(&facts["snp"]["policy"]), [name]);
        assert_eq!(facts["debug"], name == "debug");
    }
}

#[test]
fn each_bit_of_the_platform_is_a_fact() {
    let platform = platform();
    let (fetched, guest, host) = (Fetched::of(&platform), guest(&platform), platform.status().host);
    for (bit, name) in [
        (0, "smt_en"),
        (1, "tsme_en"),
        (2, "ecc_en"),
        (3, "rapl_dis"),
        (4, "ciphertext_hiding_dram_en"),
        (5, "alias_check_complete"),
        (7, "tio_en"),
    ] {
        platform.configure(HostConfig { platform_info: PlatformInfo(1 << bit), ..host });
        assert_eq!(set(&facts(&fetched, &guest)["snp"]["platform_info"]), [name]);
    }
    platform.configure(HostConfig { platform_info: PlatformInfo(1 << 6), ..host });
    assert!(matches!(guest.report(&[0; 64], 2), Err(SimError::File { .. })), "a reserved bit");
}

#[test]
fn a_policy_that_the_platform_does_not_fulfil_is_not_launched() {
    let platform = platform();
    let host = platform.status().host;
    let launch = |(info, policy, report_id_ma): (u64, u64, Option<[u8; 32]>)| {
        platform.configure(HostConfig { platform_info: PlatformInfo(info), ..host });
        let policy = GuestPolicy(GuestPolicy::RESERVED_ONE | policy);
        platform.launch(&GuestConfig { policy, report_id_ma, ..GuestConfig::new([0; 48]) })
    };
    let agent = Some([1; 32]);
    for (fulfilled, not) in [
        ((1, 1 << 16, None), (1, 0, None)),
        ((1 << 3, 1 << 23, None), (0, 1 << 23, None)),
        ((1 << 4, 1 << 24, None), (0, 1 << 24, None)),
        ((0, 0x0137, None), (0, 0x0138, None)),
        ((0, 0x0137, None), (0, 0x0200, None)),
        ((0, 1 << 18, agent), (0, 0, agent)),
    ] {
        launch(fulfilled).unwrap();
        assert_eq!(refused_field(&launch(not).unwrap_err()), "POLICY", "{not:x?}");
    }
    for malformed in [
        GuestConfig { policy: GuestPolicy(1 << 16), ..GuestConfig::new([0; 48]) },
        GuestConfig { vmpl: 4, ..GuestConfig::new([0; 48]) },
    ] {
        assert!(matches!(platform.launch(&malformed), Err(SimError::File { .. })), "{malformed:?}");
    }
}

#[test]
fn what_the_host_asked_for_is_not_the_guests_word() {
    let platform = platform();
    let report = guest(&platform).host_report(5).unwrap();
    assert_eq!(Fetched::of(&platform).verify(&report).unwrap_err(), Error::Snp(Reason::HostReport));
}

#[test]
fn extended_reports_bring_their_certificates_and_no_revocation_list() {
    let platform = platform();
    let guest = guest(&platform);
    for of_vek in [guid::VCEK, guid::VLEK] {
        if of_vek == guid::VLEK {
            platform.load_vlek(CLOUD);
        }
        let (report, table) = guest.extended_report(&[0x5a; 64], 4).unwrap();
        let table = CertificateTable::parse(&table).unwrap();
        let of = |guid| table.get(guid).unwrap();
        assert_eq!((table.entries.len(), of(&guid::ARK)), (3, platform.vendor().root_certificate()));
        let bundle = Bundle { cert_chain: encode_pem_chain(&[of(&guid::ASK), of(&guid::ARK)]), crl: None };
        let fetched = Fetched { bundle, vek: of(&of_vek).to_vec(), ..Fetched::of(&platform) };
        let error = fetched.verify(&report).unwrap_err();
        assert_eq!(error, Error::Snp(Reason::NoRevocationList { product: "Genoa" }));
        let collateral = Collateral::verify(&fetched.bundle, &fetched.anchors, Revocation::IfPresent, NOW).unwrap();
        let facts = collateral.vek(&fetched.vek, NOW).unwrap().verify(&Report::parse(&report).unwrap(), NOW).unwrap();
        assert_eq!(facts.report_data(), &[0x5a; 64]);
        assert!(!facts.claims().snp().unwrap().revocation_checked);
    }
}
