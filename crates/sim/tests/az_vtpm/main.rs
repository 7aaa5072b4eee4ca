//! The production verifier on what simulated guests of Azure emit: believed under the roots of the simulated hardware and under no other, at every
//! status of it, and refused where a link between hardware, claims, key and quote is another's.

mod files;
mod forms;
mod links;
mod statuses;

use sealwright_sim::{
    QuoteFormat, Site, Td, TdConfig,
    az_vtpm::{Guest, GuestConfig, Hardware},
    files as boot_files, fixed_clock,
    snp::{self, Platform, Vendor},
};
use sealwright_verify::{
    AnchorKind, AzVtpmClaims, Facts,
    any::{Error, Kind, Request, Root, Supplied},
};
use sealwright_wire::{
    Tee, hcl,
    snp::{Product, SigningKey},
    tcg2::AlgorithmId,
    time::UnixTime,
};
use std::sync::OnceLock;

const NOW: UnixTime = UnixTime(1_795_132_800);
const NONCE: &[u8] = b"challenge";
const HASHES: [AlgorithmId; 3] = [AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SHA512];

/// A machine of its own, with a chip of a vendor whom others share: three RSA keys take seconds. Who withdraws something founds another.
fn platform() -> Platform {
    static SHARED: OnceLock<Vendor> = OnceLock::new();
    Platform::build(SHARED.get_or_init(|| vendor(Product::Milan))).unwrap()
}

fn vendor(product: Product) -> Vendor {
    Vendor::found(fixed_clock(NOW), product).unwrap()
}

fn site() -> Site {
    Site::found(fixed_clock(NOW)).unwrap()
}

fn config() -> GuestConfig {
    GuestConfig::new(boot_files::generate("kernel"))
}

/// An SEV-SNP guest whose paravisor runs at a VMPL.
fn snp_hardware(platform: &Platform, vmpl: u8, version: u32) -> Hardware {
    let config = snp::GuestConfig { vmpl, ..snp::GuestConfig::new([0x4e; 48]) };
    Hardware::Snp { guest: platform.launch(&config).unwrap(), version }
}

fn snp_guest(platform: &Platform) -> Guest {
    Guest::boot(snp_hardware(platform, 0, 3), config()).unwrap()
}

/// A trust domain of a site, by its name.
fn td(site: &Site, name: &str) -> Td {
    site.boot(&TdConfig::new(name, boot_files::generate("paravisor"))).unwrap()
}

fn tdx_guest(site: &Site, name: &str, quote: QuoteFormat) -> Guest {
    Guest::boot(Hardware::Tdx { td: td(site, name), quote }, config()).unwrap()
}

/// What a relying party trusts, and what it has fetched.
#[derive(Clone, Default)]
struct Party {
    roots: Vec<Vec<u8>>,
    supplied: Supplied,
    event_log: Option<Vec<u8>>,
    ima: Option<Vec<u8>>,
}

impl Party {
    fn of_platform(platform: &Platform) -> Self {
        let mut supplied = Supplied::default();
        supplied.add(platform.bundle().unwrap().to_json().unwrap().as_bytes()).unwrap();
        Self { roots: vec![platform.vendor().root_certificate().to_vec()], supplied, ..Self::default() }
    }

    fn of_site(site: &Site) -> Self {
        let mut supplied = Supplied::default();
        supplied.add(site.collateral(Tee::Tdx).unwrap().to_json().unwrap().as_bytes()).unwrap();
        Self { roots: vec![site.root().to_vec()], supplied, ..Self::default() }
    }

    /// The party of whoever made the guest's hardware.
    fn of(guest: &Guest) -> Self {
        match guest.hardware() {
            Hardware::Snp { guest, .. } => Self::of_platform(guest.platform()),
            Hardware::Tdx { td, .. } => Self::of_site(td.site()),
        }
    }

    /// Reads evidence as it travels, and verifies it.
    fn judge_text(&self, text: &str) -> Result<Facts, Error> {
        let root = |bytes| Root { name: "the simulated hardware", bytes };
        let request = Request {
            roots: self.roots.iter().map(Vec::as_slice).map(root).collect(),
            event_log: self.event_log.as_deref(),
            ima: self.ima.as_deref(),
            ..Request::new(&self.supplied, NOW)
        };
        assert_eq!(Kind::of(text.as_bytes()), Some(Kind::AzVtpm));
        request.verify(text.as_bytes())
    }

    fn judge(&self, evidence: &hcl::Evidence) -> Result<Facts, Error> {
        self.judge_text(&evidence.to_json().unwrap())
    }
}

/// The facts of a guest, under its own hardware's root.
fn judged(guest: &Guest) -> Facts {
    Party::of(guest).judge(&guest.evidence(NONCE).unwrap()).unwrap()
}

fn claims(facts: &Facts) -> &AzVtpmClaims {
    facts.claims().az_vtpm().unwrap()
}

/// The stable word of a refusal; anything else than one is no verdict.
fn refusal(result: Result<Facts, Error>) -> &'static str {
    match result {
        Err(Error::Refused { error, .. }) => error.code(),
        other => panic!("no refusal: {other:?}"),
    }
}

#[test]
fn guests_on_either_hardware_are_believed_under_its_root_in_every_layout() {
    let (platform, site) = (platform(), site());
    let td = td(&site, "td");
    let mut hardware: Vec<_> = (2..=5).map(|version| snp_hardware(&platform, 0, version)).collect();
    for quote in [QuoteFormat::V4, QuoteFormat::V5Td10, QuoteFormat::V5Td15] {
        hardware.push(Hardware::Tdx { td: td.clone(), quote });
    }
    for (place, hardware) in hardware.into_iter().enumerate() {
        let hash = HASHES[place % HASHES.len()];
        let version = u32::try_from(1 + place % 2).unwrap();
        let mut guest = Guest::boot(hardware, GuestConfig { hash, version, ..config() }).unwrap();
        guest.write_user_data(&[0xab; 64]).unwrap();
        let (party, evidence) = (Party::of(&guest), guest.evidence(NONCE).unwrap());
        for text in [evidence.to_json().unwrap(), evidence.to_json_v0().unwrap()] {
            check_facts(&party.judge_text(&text).unwrap(), &guest, version);
        }
        let mut unpadded = evidence.clone();
        unpadded.hcl_report.truncate(used(&evidence));
        assert_eq!(party.judge(&unpadded).unwrap().trailing_bytes(), 0);
    }
}

/// Bytes of the report before the zeros at its end.
fn used(evidence: &hcl::Evidence) -> usize {
    let report = hcl::Report::parse(&evidence.hcl_report).unwrap();
    evidence.hcl_report.len() - report.padding
}

fn check_facts(facts: &Facts, guest: &Guest, version: u32) {
    let (of_vtpm, of_hardware, data_at) = match guest.hardware() {
        Hardware::Snp { .. } => (Tee::AzSnpVtpm, Tee::Snp, 0x70),
        Hardware::Tdx { .. } => (Tee::AzTdxVtpm, Tee::Tdx, 0xa0),
    };
    assert_eq!((facts.tee(), facts.report_data()), (of_vtpm, NONCE));
    assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("the simulated hardware", AnchorKind::Simulated));
    assert_eq!(facts.debug(), Some(false));
    let claims = claims(facts);
    assert_eq!((claims.hcl_version, claims.user_data.as_slice()), (version, [0xab; 64].as_slice()));
    assert_eq!(claims.vm_configuration.secure_boot, Some(false));
    assert_eq!(claims.vm_configuration.vm_unique_id.as_ref().map(String::len), Some(36));
    assert_eq!((claims.hardware.tee(), claims.hardware.anchor()), (of_hardware, facts.anchor()));
    assert_eq!(claims.hardware.report_data(), &guest.hcl_report()[data_at..data_at + 64]);
    assert_eq!(facts.tcb(), claims.hardware.tcb());
    assert_eq!(facts.collateral_expires(), claims.hardware.collateral_expires());
    let tpm = facts.claims().tpm().unwrap();
    assert_eq!(tpm.ak_origin, "paravisor");
    let pcrs = guest.vtpm().pcrs().unwrap();
    assert!((0..24).all(|pcr| tpm.pcr(pcr) == pcrs.get(AlgorithmId::SHA256, pcr)));
}

#[test]
fn each_product_and_kind_of_key_of_amd_vouches_for_a_vtpm() {
    for product in Product::ALL {
        let platform = Platform::build(&vendor(product)).unwrap();
        for kind in [SigningKey::Vcek, SigningKey::Vlek] {
            if kind == SigningKey::Vlek {
                platform.load_vlek("CN=cloud.example");
            }
            let facts = judged(&snp_guest(&platform));
            let snp = claims(&facts).hardware.claims().snp().unwrap().clone();
            assert_eq!((snp.product, snp.signing_key), (product.name(), kind.name()));
            assert_eq!(snp.measurement.0, [0x4e; 48]);
        }
    }
}

#[test]
fn no_other_root_vouches_for_a_guest() {
    let (platform, site) = (platform(), site());
    let (snp, tdx) = (snp_guest(&platform), tdx_guest(&site, "td", QuoteFormat::V4));
    let amd = vendor(Product::Milan).root_certificate().to_vec();
    let strangers = [vec![], vec![amd], vec![self::site().root().to_vec()]];
    for (guest, other) in [(&snp, site.root()), (&tdx, platform.vendor().root_certificate())] {
        let (party, evidence) = (Party::of(guest), guest.evidence(NONCE).unwrap());
        party.judge(&evidence).unwrap();
        for roots in strangers.iter().cloned().chain([vec![other.to_vec()]]) {
            let error = Party { roots, ..party.clone() }.judge(&evidence).unwrap_err();
            assert_eq!(error.simulated(), None, "{error}");
            assert_eq!(refusal(Err(error)), "untrusted-root");
        }
    }
}

/// What a paravisor does in a guest's life, and what its evidence says then.
#[test]
fn a_guest_s_life_shows_in_its_evidence() {
    let mut guest = snp_guest(&platform());
    let first = guest.evidence(NONCE).unwrap();
    assert_eq!(claims(&judged(&guest)).user_data, [0; 64]);
    guest.write_user_data(&[7; 64]).unwrap();
    assert_eq!(claims(&judged(&guest)).user_data, [7; 64]);
    // What was said before stays said: only a nonce makes evidence new.
    assert_eq!(claims(&Party::of(&guest).judge(&first).unwrap()).user_data, [0; 64]);

    let before = judged(&guest);
    guest.vtpm_mut().extend(23, b"measured by an application").unwrap();
    let after = judged(&guest);
    let pcr = |facts: &Facts, pcr| facts.claims().tpm().unwrap().pcr(pcr).unwrap().to_vec();
    assert_ne!(pcr(&before, 23), pcr(&after, 23));
    assert_eq!(pcr(&before, 4), pcr(&after, 4));
    guest.vtpm_mut().reboot().unwrap();
    let rebooted = judged(&guest);
    assert_eq!(pcr(&before, 23), pcr(&rebooted, 23));
    let resets = |facts: &Facts| facts.claims().tpm().unwrap().reset_count;
    assert_eq!(resets(&rebooted), resets(&after) + 1);

    let facts = Party::of(&guest).judge(&guest.evidence(b"another nonce").unwrap()).unwrap();
    assert_eq!(facts.report_data(), b"another nonce");
}

#[test]
fn the_vtpm_s_logs_are_held_against_its_registers() {
    let mut guest = tdx_guest(&site(), "td", QuoteFormat::V4);
    guest.vtpm_mut().open("/usr/bin/workload", b"a program").unwrap();
    let evidence = guest.evidence(NONCE).unwrap();
    let logs = (guest.vtpm().event_log().to_vec(), guest.vtpm().ima_list().to_vec());
    let party = Party { event_log: Some(logs.0), ima: Some(logs.1), ..Party::of(&guest) };
    let facts = party.judge(&evidence).unwrap();
    let log = facts.pcr_log().unwrap();
    assert_eq!(log.unexplained().count(), 0);
    let mut changed = party.clone();
    let last = changed.event_log.as_mut().unwrap().len() - 100;
    changed.event_log.as_mut().unwrap()[last] ^= 1;
    changed.judge(&evidence).unwrap_err();
    let mut silent = party;
    silent.ima = None;
    let facts = silent.judge(&evidence).unwrap();
    assert_eq!(facts.pcr_log().unwrap().unexplained().collect::<Vec<_>>(), ["pcr10"]);
}

#[test]
fn a_paravisor_that_a_host_may_read_is_a_debug_guest() {
    let site = site();
    let config = TdConfig { debug: true, ..TdConfig::new("debug", boot_files::generate("paravisor")) };
    let hardware = Hardware::Tdx { td: site.boot(&config).unwrap(), quote: QuoteFormat::V4 };
    assert_eq!(judged(&Guest::boot(hardware, self::config()).unwrap()).debug(), Some(true));
}
