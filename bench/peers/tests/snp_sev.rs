//! The crate sev 8.0.0, unmodified, against `sealwright-verify`: the same report, certificate and chain must be accepted or refused by both, on real
//! evidence and on our simulator's. It checks signatures and nothing else; each thing in which the two differ is stated here, once.

#[path = "../../../crates/wire/tests/support/mod.rs"]
mod support;

use sealwright_sim::{
    fixed_clock,
    snp::{Firmware, Guest, GuestConfig, HostConfig, Platform, Vendor},
};
use sealwright_verify::snp::{Collateral, Revocation, Vek};
use sealwright_verify::{Anchor, Anchors};
use sealwright_wire::collateral::{encode_pem_chain, pem_chain};
use sealwright_wire::snp::{Bundle, Product, Report, SigningKey, Tcb};
use sealwright_wire::time::UnixTime;
use sev::certs::snp::{Certificate, Chain, Verifiable, ca};
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const NOW: UnixTime = UnixTime(1_795_132_800);

/// Evidence with all that vouches for it, in DER.
#[derive(Clone)]
struct Case {
    report: Vec<u8>,
    vek: Vec<u8>,
    ca: Vec<u8>,
    ark: Vec<u8>,
    crl: Option<Vec<u8>>,
    at: UnixTime,
}

impl Case {
    fn simulated(guest: &Guest, version: u32) -> Self {
        let platform = guest.platform();
        let bundle = platform.bundle().unwrap();
        let [ca, ark] = pem_chain("chain", bundle.cert_chain.as_bytes()).unwrap().try_into().unwrap();
        let report = guest.report(&[0x5a; 64], version).unwrap();
        Self { report, vek: platform.vek().unwrap(), ca, ark, crl: bundle.crl, at: NOW }
    }

    fn real(vectors: &Path, report: &str, vek: &str, chain: &[&str]) -> Self {
        let read = |file: &str| fs::read(vectors.join("snp").join(file)).unwrap();
        let chain = chain.iter().flat_map(|file| pem_chain("chain", read(file).trim_ascii_end()).unwrap());
        let [ca, ark] = chain.take(2).collect::<Vec<_>>().try_into().unwrap();
        let bytes = read(report);
        let report = if report.ends_with(".hex") { unhex(&bytes) } else { bytes };
        let at = UnixTime::parse_rfc3339("2024-03-01T12:00:00Z").unwrap();
        Self { report, vek: read(vek), ca, ark, crl: None, at }
    }

    fn key(&self) -> Result<Vek, String> {
        let text = |error: sealwright_verify::Error| error.to_string();
        let anchors = Anchors::none().with(Anchor::from_certificate("root", &self.ark).map_err(text)?);
        let bundle = Bundle { cert_chain: encode_pem_chain(&[&self.ca, &self.ark]), crl: self.crl.clone() };
        let collateral = Collateral::verify(&bundle, &anchors, Revocation::IfPresent, self.at).map_err(text)?;
        collateral.vek(&self.vek, self.at).map_err(text)
    }

    fn ours(&self) -> Result<(), String> {
        let report = Report::parse(&self.report).map_err(|error| error.to_string())?;
        self.key()?.verify(&report, self.at).map(|_| ()).map_err(|error| error.to_string())
    }

    fn theirs(&self) -> Result<(), String> {
        let certificate = |der: &[u8]| Certificate::from_der(der).map_err(|error| error.to_string());
        let ca = ca::Chain { ark: certificate(&self.ark)?, ask: certificate(&self.ca)? };
        let chain = Chain { ca, vek: certificate(&self.vek)? };
        let report = AttestationReport::from_bytes(&self.report).map_err(|error| error.to_string())?;
        (&chain, &report).verify().map_err(|error| error.to_string())
    }

    /// Whether both accept it; they must agree.
    fn agreed(&self, name: &str) -> bool {
        let (ours, theirs) = (self.ours(), self.theirs());
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{name}: we say {ours:?}, sev says {theirs:?}");
        ours.is_ok()
    }
}

fn unhex(text: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap();
    let byte = |pair: &[u8]| u8::try_from(digit(&pair[0]) << 4 | digit(&pair[1])).unwrap();
    text.trim_ascii().chunks(2).map(byte).collect()
}

fn guest(product: Product) -> Guest {
    let platform = Platform::build(&Vendor::found(fixed_clock(NOW), product).unwrap()).unwrap();
    platform.launch(&GuestConfig::new([0x4e; 48])).unwrap()
}

#[test]
fn real_evidence_is_accepted_by_both() {
    let Some(vectors) = support::vectors() else { return };
    let trustee = ("trustee/test-report.bin", "trustee/test-vcek.der", &["trustee/milan_ask_ark_asvk.pem"][..]);
    let sev =
        ("sev/report_milan.hex", "sev/vcek_milan.der", &["sev/roots/milan/ask.pem", "sev/roots/milan/ark.pem"][..]);
    for (report, vek, chain) in [trustee, sev] {
        let case = Case::real(&vectors, report, vek, chain);
        assert!(case.agreed(report));
        let mut changed = case.clone();
        changed.report[0x90] ^= 1;
        assert!(!changed.agreed("another measurement"));
        let mut changed = case.clone();
        *changed.vek.last_mut().unwrap() ^= 1;
        assert!(!changed.agreed("another signature of the VCEK"));
    }
}

#[test]
fn simulated_evidence_is_accepted_by_both() {
    for product in Product::ALL {
        let guest = guest(product);
        for kind in [SigningKey::Vcek, SigningKey::Vlek] {
            if kind == SigningKey::Vlek {
                guest.platform().load_vlek("CN=cloud.example");
            }
            for version in 2..=5 {
                let case = Case::simulated(&guest, version);
                assert!(case.agreed(&format!("{product:?}, {kind:?}, version {version}")));
                let theirs = AttestationReport::from_bytes(&case.report).unwrap();
                let ours = Report::parse(&case.report).unwrap().body;
                assert_eq!((theirs.report_data, theirs.measurement), (ours.report_data, ours.measurement));
                let tcb = ours.tcbs(product).unwrap().reported;
                let theirs = theirs.reported_tcb;
                let theirs = (theirs.fmc, theirs.bootloader, theirs.tee, theirs.snp, theirs.microcode);
                assert_eq!(theirs, (tcb.fmc, tcb.boot_loader, tcb.tee, tcb.snp, tcb.microcode));
            }
        }
    }
}

/// Bytes of a report that can be changed without sev noticing, all of them reserved. It drops what the product reserves in a TCB_VERSION, though
/// the firmware signed it, and verifies zeros in its place; and it looks at nothing of the signature but 48 bytes each of R and S.
fn unnoticed(product: Product) -> BTreeSet<usize> {
    let reserved = if product == Product::Turin { 4..7 } else { 2..6 };
    let tcbs = [0x38, 0x180, 0x1e0, 0x1f0].into_iter().flat_map(|tcb| reserved.clone().map(move |byte| tcb + byte));
    tcbs.chain(0x2a0 + 48..0x2e8).chain(0x2e8 + 48..0x4a0).collect()
}

#[test]
fn no_byte_of_a_report_can_be_changed_but_those_that_sev_passes_over() {
    for (product, version) in [(Product::Milan, 2), (Product::Turin, 5)] {
        let case = Case::simulated(&guest(product), version);
        let (key, theirs) = (case.key().unwrap(), Certificate::from_der(&case.vek).unwrap());
        let mut passed_over = BTreeSet::new();
        for place in 0..case.report.len() {
            let mut changed = case.report.clone();
            changed[place] ^= 0x01;
            let ours = Report::parse(&changed).is_ok_and(|report| key.verify(&report, NOW).is_ok());
            assert!(!ours, "{product:?}: we do not notice byte {place:#x}");
            if AttestationReport::from_bytes(&changed).is_ok_and(|report| (&theirs, &report).verify().is_ok()) {
                passed_over.insert(place);
            }
        }
        assert_eq!(passed_over, unnoticed(product), "{product:?}");
    }
}

#[test]
fn a_certificate_of_another_chip_tcb_or_vendor_is_refused_by_both() {
    let guest = guest(Product::Genoa);
    let platform = guest.platform();
    let case = Case::simulated(&guest, 5);
    let other = Platform::build(platform.vendor()).unwrap();
    let first = platform.status().current;
    platform.install(Firmware { tcb: Tcb { snp: first.tcb.snp + 1, ..first.tcb }, ..first }).unwrap();
    platform.commit();
    let newer = Case::simulated(&guest, 5);
    let foreign = Case::simulated(&self::guest(Product::Genoa), 5);
    assert!(newer.agreed("after the update"));
    for (name, vek) in [("chip", other.vek().unwrap()), ("TCB", newer.vek.clone()), ("vendor", foreign.vek.clone())] {
        assert!(!Case { vek, ..case.clone() }.agreed(name));
    }
    assert!(!Case { ca: foreign.ca.clone(), ..case.clone() }.agreed("another ASK"));
    assert!(!Case { ark: foreign.ark, ..case }.agreed("another ARK"));
}

/// Where the two differ on purpose: what a signature does not say.
#[test]
fn what_sev_does_not_look_at_is_refused_by_us() {
    let guest = guest(Product::Milan);
    let platform = guest.platform();
    let case = Case::simulated(&guest, 3);
    let differ = |case: &Case, reason: &str| {
        let ours = case.ours().unwrap_err();
        assert!(ours.contains(reason), "{ours}");
        case.theirs().unwrap();
    };
    differ(&Case { at: NOW.plus(31 * 86_400), ..case.clone() }, "expired");
    differ(&Case { report: guest.host_report(3).unwrap(), ..case.clone() }, "VMPL");
    platform.vendor().withdraw(SigningKey::Vcek).unwrap();
    differ(&Case::simulated(&guest, 3), "revoked");
}

/// A report of version 2 names its product in its chip alone, by which sev chooses how to read the security versions.
#[test]
fn a_masked_chip_in_a_report_of_version_2_is_unreadable_for_sev() {
    let guest = guest(Product::Milan);
    let platform = guest.platform();
    platform.configure(HostConfig { mask_chip_id: true, ..platform.status().host });
    let case = Case::simulated(&guest, 2);
    case.ours().unwrap();
    case.theirs().unwrap_err();
    assert!(Case::simulated(&guest, 3).agreed("version 3"));
}
