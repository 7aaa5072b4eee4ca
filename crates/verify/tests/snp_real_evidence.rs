//! The answers of `vectors/snp/expected.json`, and what must not change them: real reports, signed by keys of AMD's.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

use sealwright_verify::snp::{Collateral, Revocation, Vek, verify};
use sealwright_verify::{Anchor, AnchorKind, Anchors, Error, Facts};
use sealwright_wire::collateral::{encode_pem_chain, pem_chain};
use sealwright_wire::snp::{Bundle, Product, Report, SigningKey};
use sealwright_wire::time::UnixTime;
use std::path::Path;

fn at() -> UnixTime {
    UnixTime::parse_rfc3339("2024-03-01T12:00:00Z").unwrap()
}

fn read(folder: &Path, file: &str) -> Vec<u8> {
    let bytes = std::fs::read(folder.join("snp").join(file)).unwrap();
    if file.ends_with(".hex") { hex::decode(bytes.trim_ascii()).unwrap() } else { bytes }
}

/// One report of the vectors with its certificates. The vectors have no revocation list.
struct Case {
    report: Vec<u8>,
    vek: Vec<u8>,
    bundle: Bundle,
}

impl Case {
    fn trustee(folder: &Path) -> Self {
        let [ask, ark, _] = trustee_chain(folder, "milan");
        Self {
            report: read(folder, "trustee/test-report.bin"),
            vek: read(folder, "trustee/test-vcek.der"),
            bundle: bundle(&[ask, ark]),
        }
    }

    fn sev(folder: &Path) -> Self {
        let [ask, ark] =
            ["ask", "ark"].map(|name| pem(&read(folder, &format!("sev/roots/milan/{name}.pem"))).remove(0));
        Self {
            report: read(folder, "sev/report_milan.hex"),
            vek: read(folder, "sev/vcek_milan.der"),
            bundle: bundle(&[ask, ark]),
        }
    }

    fn go_sev_guest(folder: &Path) -> Self {
        Self {
            report: read(folder, "go-sev-guest/attestation.bin"),
            vek: read(folder, "go-sev-guest/vcek.testcer"),
            bundle: bundle(&pem(&read(folder, "go-sev-guest/ask_ark_milan.pem"))),
        }
    }

    fn all(folder: &Path) -> [Self; 3] {
        [Self::trustee(folder), Self::sev(folder), Self::go_sev_guest(folder)]
    }

    fn collateral(&self) -> Result<Collateral, Error> {
        Collateral::verify(&self.bundle, &Anchors::vendor(), Revocation::IfPresent, at())
    }

    fn key(&self) -> Result<Vek, Error> {
        self.collateral()?.vek(&self.vek, at())
    }

    fn verify(&self) -> Result<Facts, Error> {
        self.key()?.verify(&Report::parse(&self.report).map_err(Error::malformed_report)?, at())
    }
}

fn pem(text: &[u8]) -> Vec<Vec<u8>> {
    pem_chain("chain", text.trim_ascii_end()).unwrap()
}

fn bundle<T: AsRef<[u8]>>(chain: &[T]) -> Bundle {
    Bundle { cert_chain: encode_pem_chain(chain), crl: None }
}

fn trustee_chain(folder: &Path, product: &str) -> [Vec<u8>; 3] {
    pem(&read(folder, &format!("trustee/{product}_ask_ark_asvk.pem"))).try_into().unwrap()
}

#[test]
fn real_reports_are_genuine() {
    let Some(folder) = support::vectors() else { return };
    for (case, debug, measurement) in [
        (Case::trustee(&folder), false, "a1f39304"),
        (Case::sev(&folder), false, "7a1e5c26"),
        (Case::go_sev_guest(&folder), true, "b07af962"),
    ] {
        let facts = case.verify().unwrap();
        assert_eq!((facts.anchor().name.as_str(), facts.anchor().kind), ("amd-ark-milan", AnchorKind::Vendor));
        assert_eq!(facts.debug(), Some(debug));
        let claims = facts.claims().snp().unwrap();
        assert_eq!(&claims.measurement.to_string()[..8], measurement);
        assert_eq!((claims.product, claims.product_name.as_str()), ("Milan", "Milan-B0"));
        assert_eq!(claims.hwid.unwrap().chip_id(), &claims.chip_id.0);
        assert!(!claims.revocation_checked);
        assert!(claims.reported_tcb.microcode <= claims.current_tcb.microcode);
    }
}

#[test]
fn nothing_is_believed_without_a_revocation_list_unless_it_is_said() {
    let Some(folder) = support::vectors() else { return };
    let case = Case::trustee(&folder);
    let error = Collateral::verify(&case.bundle, &Anchors::vendor(), Revocation::default(), at()).unwrap_err();
    assert_eq!(error.code(), "no-revocation-list");
}

/// The changes that the projects of the vectors try.
#[test]
fn what_others_refuse_is_refused() {
    let Some(folder) = support::vectors() else { return };
    let mut case = Case::trustee(&folder);
    case.report[42] += 1;
    assert_eq!(case.verify().unwrap_err().code(), "report-signature");
    let mut case = Case::trustee(&folder);
    case.vek[42] += 1;
    assert!(case.verify().is_err());
    let mut case = Case::trustee(&folder);
    let [_, ark, asvk] = trustee_chain(&folder, "milan");
    case.bundle = bundle(&[asvk, ark]);
    assert_eq!(case.collateral().unwrap().signing_key(), SigningKey::Vlek);
    assert_eq!(case.verify().unwrap_err().code(), "certificate-profile");
    let mut case = Case::sev(&folder);
    case.report[21] ^= 0x80;
    assert_eq!(case.verify().unwrap_err().code(), "report-signature");
    let mut case = Case::sev(&folder);
    case.vek[40] ^= 0x80;
    assert!(case.verify().is_err());
    for file in ["trustee/test-vcek-invalid-legacy.der", "trustee/test-vcek-invalid-new.der"] {
        let error = Case { vek: read(&folder, file), ..Case::trustee(&folder) }.verify().unwrap_err();
        assert_eq!(error.code(), "vek-signature", "{file}");
    }
}

#[test]
fn no_byte_of_a_real_report_can_be_changed() {
    let Some(folder) = support::vectors() else { return };
    for case in Case::all(&folder) {
        let vek = case.key().unwrap();
        for place in 0..case.report.len() {
            for mask in [0x01, 0x20, 0xff] {
                let mut changed = case.report.clone();
                changed[place] ^= mask;
                let accepted = Report::parse(&changed).is_ok_and(|report| vek.verify(&report, at()).is_ok());
                assert!(!accepted, "byte {place:#x} with mask {mask:#04x} is not noticed");
            }
            assert!(Report::parse(&case.report[..place]).is_err(), "cut at {place:#x}");
        }
    }
}

#[test]
fn no_byte_of_a_real_certificate_can_be_changed() {
    let Some(folder) = support::vectors() else { return };
    let case = Case::trustee(&folder);
    let collateral = case.collateral().unwrap();
    for place in 0..case.vek.len() {
        let mut changed = case.vek.clone();
        changed[place] ^= 0x01;
        assert!(collateral.vek(&changed, at()).is_err(), "byte {place} is not noticed");
        assert!(collateral.vek(&case.vek[..place], at()).is_err(), "cut at {place}");
    }
    for place in 0..case.bundle.cert_chain.len() {
        let mut changed = case.bundle.cert_chain.clone().into_bytes();
        changed[place] ^= 0x01;
        let bundle = Bundle { cert_chain: String::from_utf8(changed).unwrap(), crl: None };
        let result = Collateral::verify(&bundle, &Anchors::vendor(), Revocation::IfPresent, at());
        assert!(result.is_err(), "byte {place} of the chain is not noticed");
    }
}

#[test]
fn keys_and_reports_of_different_machines_do_not_mix() {
    let Some(folder) = support::vectors() else { return };
    let cases = Case::all(&folder);
    for (one, case) in cases.iter().enumerate() {
        for (other, vek) in cases.iter().enumerate() {
            let report = Report::parse(&case.report).unwrap();
            let result = verify(&report, &vek.vek, &vek.collateral().unwrap(), at()).map(|_| ());
            if one == other {
                result.unwrap();
            } else {
                let error = result.unwrap_err();
                assert_eq!(error.code(), "chip-id-mismatch", "{error}");
            }
        }
    }
}

#[test]
fn a_real_certificate_is_refused_out_of_its_dates() {
    let Some(folder) = support::vectors() else { return };
    let case = Case::trustee(&folder);
    let collateral = case.collateral().unwrap();
    for (time, code) in [
        ("2023-01-24T17:58:25Z", Err("collateral-not-yet-valid")),
        ("2023-01-24T17:58:26Z", Ok(())),
        ("2030-01-24T17:58:26Z", Ok(())),
        ("2030-01-24T17:58:27Z", Err("collateral-expired")),
    ] {
        let result = collateral.vek(&case.vek, UnixTime::parse_rfc3339(time).unwrap());
        assert_eq!(result.map(|_| ()).map_err(|error| error.code()), code, "{time}");
    }
}

/// Every chain of the vectors, by files of three projects: product, kind of key, the chain as it is kept there.
fn chains(folder: &Path) -> Vec<(Product, SigningKey, String)> {
    let mut chains = Vec::new();
    for product in Product::ALL {
        let line = product.name().to_lowercase();
        let [ask, ark, asvk] = trustee_chain(folder, &line);
        chains.push((product, SigningKey::Vcek, encode_pem_chain(&[&ask, &ark])));
        chains.push((product, SigningKey::Vlek, encode_pem_chain(&[&asvk, &ark])));
        let pems = ["ask", "ark"].map(|name| read(folder, &format!("sev/roots/{line}/{name}.pem")));
        chains.push((product, SigningKey::Vcek, String::from_utf8(pems.concat()).unwrap()));
        for (suffix, kind) in [("", SigningKey::Vcek), ("_vlek", SigningKey::Vlek)] {
            let file = folder.join(format!("snp/go-sev-guest/ask_ark_{line}{suffix}.pem"));
            chains.extend(std::fs::read_to_string(file).ok().map(|text| (product, kind, text)));
        }
    }
    chains
}

#[test]
fn every_real_chain_is_verified_under_the_built_in_root_of_its_product_alone() {
    let Some(folder) = support::vectors() else { return };
    let chains = chains(&folder);
    assert_eq!(chains.len(), 14);
    for (product, kind, cert_chain) in chains {
        let ark = &pem(cert_chain.as_bytes())[1];
        let built_in = Anchor::amd(product).unwrap();
        assert_eq!(Anchor::from_certificate(&built_in.id().name, ark).unwrap(), built_in, "key and certificate");
        let bundle = Bundle { cert_chain, crl: None };
        for other in Product::ALL {
            let anchors = Anchors::none().with(Anchor::intel()).with(Anchor::amd(other).unwrap());
            match Collateral::verify(&bundle, &anchors, Revocation::IfPresent, at()) {
                Ok(collateral) => {
                    assert_eq!((collateral.product(), collateral.signing_key()), (product, kind));
                    assert_eq!(other, product);
                }
                Err(error) => assert!(error.code() == "untrusted-root" && other != product, "{error}"),
            }
        }
    }
}
