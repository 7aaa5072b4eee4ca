//! The production verifier on what a simulated AMD and its platforms emit: believed under the vendor's own root, refused under any other, and
//! every fact and refusal that a platform can bring about, by operating it and never by changing bytes.
//!
//! Not here are the refusals that no operator brings about, because the firmware or the vendor would have to lie: `snp-unknown-product`,
//! `snp-product-mismatch`, `tcb-order` and `firmware-order` (the firmware refuses, as is shown). Those have tests of their own in
//! `sealwright-verify`.

mod launch;
mod operations;

use sealwright_sim::{
    Error as SimError, fixed_clock,
    snp::{Guest, GuestConfig, Platform, Vendor},
};
use sealwright_verify::{
    Anchor, AnchorKind, Anchors, Error, Facts,
    snp::{Collateral, Revocation, SnpClaims},
};
use sealwright_wire::{
    snp::{Bundle, Product, Report, SigningKey},
    time::UnixTime,
};
use std::sync::OnceLock;

const NOW: UnixTime = UnixTime(1_795_132_800);
const CLOUD: &str = "CN=cloud.example";

fn vendor(product: Product) -> Vendor {
    Vendor::found(fixed_clock(NOW), product).unwrap()
}

/// A machine of its own, with a chip of a vendor whom others share: three RSA keys take seconds. Who withdraws something founds another.
fn platform() -> Platform {
    static SHARED: OnceLock<Vendor> = OnceLock::new();
    Platform::build(SHARED.get_or_init(|| vendor(Product::Genoa))).unwrap()
}

fn guest(platform: &Platform) -> Guest {
    platform.launch(&GuestConfig::new([0x4e; 48])).unwrap()
}

fn anchors(vendor: &Vendor) -> Anchors {
    Anchors::none().with(Anchor::from_certificate("simulated AMD", vendor.root_certificate()).unwrap())
}

/// What a relying party has fetched for a platform.
#[derive(Clone)]
struct Fetched {
    anchors: Anchors,
    bundle: Bundle,
    vek: Vec<u8>,
}

impl Fetched {
    fn of(platform: &Platform) -> Self {
        let anchors = anchors(platform.vendor());
        Self { anchors, bundle: platform.bundle().unwrap(), vek: platform.vek().unwrap() }
    }

    fn verify_at(&self, report: &[u8], at: UnixTime) -> Result<Facts, Error> {
        let collateral = Collateral::verify(&self.bundle, &self.anchors, Revocation::Required, at)?;
        collateral.vek(&self.vek, at)?.verify(&Report::parse(report).unwrap(), at)
    }

    fn verify(&self, report: &[u8]) -> Result<Facts, Error> {
        self.verify_at(report, NOW)
    }

    fn claims(&self, guest: &Guest) -> SnpClaims {
        let facts = self.verify(&guest.report(&[0; 64], 5).unwrap()).unwrap();
        facts.claims().snp().unwrap().clone()
    }

    fn refusal(&self, guest: &Guest) -> Error {
        self.verify(&guest.report(&[0; 64], 5).unwrap()).unwrap_err()
    }
}

/// What the verifier says of a guest with its platform's present certificate and collateral.
fn claims(guest: &Guest) -> SnpClaims {
    Fetched::of(guest.platform()).claims(guest)
}

/// Which value a simulated firmware or vendor refused.
fn refused_field(error: &SimError) -> &'static str {
    let SimError::Config { field, .. } = error else { panic!("{error}") };
    field
}

#[test]
fn each_product_kind_of_key_and_version_is_believed_under_the_vendors_root_alone() {
    let others = anchors(&vendor(Product::Milan));
    for product in Product::ALL {
        let platform = Platform::build(&vendor(product)).unwrap();
        let guest = guest(&platform);
        for kind in [SigningKey::Vcek, SigningKey::Vlek] {
            if kind == SigningKey::Vlek {
                platform.load_vlek(CLOUD);
            }
            assert_eq!(platform.signing_key(), kind);
            let fetched = Fetched::of(&platform);
            for version in 2..=5 {
                let report = guest.report(&[0x5a; 64], version).unwrap();
                check_facts(&fetched.verify(&report).unwrap(), (product, kind, version));
                for anchors in [Anchors::vendor(), Anchors::none(), others.clone()] {
                    let error = Fetched { anchors, ..fetched.clone() }.verify(&report).unwrap_err();
                    assert!(matches!(error, Error::UntrustedRoot { .. }), "{error}");
                }
            }
        }
        for version in [1, 6] {
            assert!(matches!(guest.report(&[0; 64], version), Err(SimError::File { .. })));
        }
    }
}

fn check_facts(facts: &Facts, (product, kind, version): (Product, SigningKey, u32)) {
    assert_eq!((facts.report_data(), facts.debug()), ([0x5a; 64].as_slice(), Some(false)));
    assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("simulated AMD", AnchorKind::Simulated));
    assert!(facts.tcb().is_none() && facts.trailing_bytes() == 0);
    let claims = facts.claims().snp().unwrap();
    assert_eq!((claims.version, claims.product, claims.signing_key), (version, product.name(), kind.name()));
    assert_eq!((claims.cpuid.is_some(), claims.current_mit_vector.is_some()), (version >= 3, version >= 5));
    let hwid = claims.hwid.map(|hwid| *hwid.chip_id());
    assert_eq!(hwid, (kind == SigningKey::Vcek).then_some(claims.chip_id.0));
    assert_eq!(claims.csp_id.as_deref(), (kind == SigningKey::Vlek).then_some(CLOUD));
    assert!(claims.revocation_checked && !claims.mask_chip_id && !claims.mask_chip_key);
}
