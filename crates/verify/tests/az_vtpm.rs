//! Guests of Azure whose hardware evidence goes through the production verifier: a TDX quote of the miniature site, whose report data binds
//! claims that name the vTPM's key.

mod machine;
mod site;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use machine::{Ak, Kind, Machine, digest_of};
use sealwright_verify::az_vtpm::{self, Evidence};
use sealwright_verify::{Claims, Error, Facts};
use sealwright_wire::Tee;
use sealwright_wire::hcl::{self, Header, ReportType};
use sealwright_wire::tcg2::AlgorithmId;
use sealwright_wire::tpm::Signature;
use site::Site;
use zerocopy::FromZeros;

/// A guest: its hardware, its paravisor's claims, its vTPM.
struct Guest {
    site: Site,
    machine: Machine,
    report_type: ReportType,
    hash: AlgorithmId,
    claims: String,
    /// The claims that the hardware binds, where they are others.
    bound: Option<String>,
}

impl Guest {
    fn new() -> Self {
        let machine = Machine::new(Kind::RsaSsa);
        let modulus = URL_SAFE_NO_PAD.encode(machine.ak.public());
        let claims = format!(
            "{{\"keys\":[{{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"{modulus}\"}}],\
             \"vm-configuration\":{{\"secure-boot\":true,\"console-enabled\":false}},\"user-data\":\"{}\"}}",
            "ab".repeat(64)
        );
        let (report_type, hash) = (ReportType::Tdx, AlgorithmId::SHA256);
        Self { site: Site::tdx(), machine, report_type, hash, claims, bound: None }
    }

    fn hcl_report(&self) -> Vec<u8> {
        let mut header = Header::new_zeroed();
        header.version.set(2);
        let report = [0; hcl::HARDWARE_REPORT];
        hcl::encode(&header, &report, self.report_type, self.hash, self.claims.as_bytes()).unwrap()
    }

    /// The verified quote of the hardware.
    fn hardware(&mut self) -> Facts {
        let bound = self.bound.as_ref().unwrap_or(&self.claims);
        let mut data = digest_of(self.hash, bound.as_bytes());
        data.resize(64, 0);
        self.site.td().report_data = data.try_into().unwrap();
        self.site.verify().unwrap()
    }

    fn verify(&mut self) -> Result<Facts, Error> {
        let hardware = self.hardware();
        let (message, signature) = self.machine.quote();
        let evidence = Evidence {
            hcl_report: &self.hcl_report(),
            message: &message,
            signature: Signature::parse(&signature).unwrap(),
            pcrs: &self.machine.pcrs,
            event_log: self.machine.event_log.as_deref(),
            ima: None,
            cel: None,
        };
        az_vtpm::verify(&evidence, hardware)
    }
}

/// A change to the guest.
type Change = fn(&mut Guest);

#[test]
fn hardware_claims_key_and_quote_are_one_chain() {
    for hash in [AlgorithmId::SHA256, AlgorithmId::SHA384, AlgorithmId::SHA512] {
        let mut guest = Guest::new();
        guest.hash = hash;
        let facts = guest.verify().unwrap();
        assert_eq!((facts.tee(), facts.report_data()), (Tee::AzTdxVtpm, b"challenge".as_slice()));
        assert!(matches!(facts.claims(), Claims::AzTdxVtpm(_)));
        let claims = facts.claims().az_vtpm().unwrap();
        assert_eq!(claims.hardware.tee(), Tee::Tdx);
        assert_eq!(claims.user_data, [0xab; 64]);
        assert_eq!(claims.vm_configuration.secure_boot, Some(true));
        assert_eq!(facts.claims().tpm().unwrap().ak_origin, "paravisor");
        // What the hardware's vendor says holds for the whole.
        assert_eq!(facts.tcb(), claims.hardware.tcb());
        assert!(facts.tcb().is_some());
        assert_eq!(facts.anchor(), claims.hardware.anchor());
        assert_eq!(facts.collateral_expires(), claims.hardware.collateral_expires());
        let json = serde_json::to_value(&facts).unwrap();
        assert_eq!(json["az-tdx-vtpm"]["pcr7"], "08".repeat(32));
        assert!(json["az-tdx-vtpm"]["hardware"]["tdx"]["mrtd"].is_string());
    }
}

#[test]
fn a_debug_domain_is_a_debug_guest() {
    let mut guest = Guest::new();
    guest.site.td().td_attributes[0] = 1;
    assert_eq!(guest.verify().unwrap().debug(), Some(true));
}

#[test]
fn one_wrong_link_is_refused() {
    let cases: [(&str, Change, &str); 7] = [
        (
            "claims that the hardware does not bind",
            |g| g.bound = Some(g.claims.replace("true", "false")),
            "hcl-binding",
        ),
        (
            "claims that are none, and not bound",
            |g| (g.bound, g.claims) = (Some(g.claims.clone()), "{".into()),
            "hcl-binding",
        ),
        ("claims that are none", |g| g.claims = "{".into(), "malformed-evidence"),
        ("no key", |g| g.claims = g.claims.replace("HCLAkPub", "HCLEkPub"), "malformed-evidence"),
        ("another type of report", |g| g.report_type = ReportType::Snp, "hcl-other-hardware-report"),
        ("a report without hardware", |g| g.report_type = ReportType::Vbs, "hcl-no-hardware"),
        ("a quote of another key", |g| g.machine = Machine::new(Kind::P256), "quote-signature"),
    ];
    for (name, change, code) in cases {
        let mut guest = Guest::new();
        change(&mut guest);
        let error = guest.verify().unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(!error.claim().is_empty() && !error.remedy().is_empty());
    }
    let mut guest = Guest::new();
    guest.machine.signer = Some(Ak::new(Kind::P256));
    guest.machine.message = |message| message[0] = 0;
    assert_eq!(guest.verify().unwrap_err().code(), "quote-signature");
}

#[test]
fn what_a_tpm_must_not_do_a_vtpm_must_not_either() {
    let mut guest = Guest::new();
    guest.machine.message = |message| message[5] = 0x17;
    assert_eq!(guest.verify().unwrap_err().code(), "malformed-evidence");
    let mut guest = Guest::new();
    guest.machine.pcr_digest = Some(vec![0; 32]);
    assert_eq!(guest.verify().unwrap_err().code(), "pcr-digest-mismatch");
}
