//! Reports of GPUs: real ones under their real chains, and reports of our own making in which exactly one thing is wrong.

#[path = "../../wire/tests/support/mod.rs"]
mod support;

mod pki;

use pki::{Cert, Key, at, chain};
use rcgen::{CustomExtension, KeyUsagePurpose};
use sealwright_verify::nvidia::verify;
use sealwright_verify::{Anchor, AnchorKind, Anchors, Error, Facts, NvidiaError, Part, SIMULATION};
use sealwright_wire::collateral::{encode_pem_chain, pem_chain};
use sealwright_wire::nvidia::{Block, Builder, CompositeDeviceId, Field, FieldKind, Request};
use sealwright_wire::{Digest, Tee, time::UnixTime};
use std::path::Path;
use std::rc::Rc;

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join("nvidia").join(name)).unwrap()
}

fn report(folder: &Path, name: &str) -> Vec<u8> {
    hex::decode(text(folder, name).trim()).unwrap()
}

fn expected(folder: &Path) -> serde_json::Value {
    serde_json::from_str(&text(folder, "expected.json")).unwrap()
}

#[test]
fn real_reports_are_believed_under_their_chains() {
    let Some(folder) = support::vectors() else { return };
    let expected = expected(&folder);
    for (name, answers) in expected["reports"].as_object().unwrap() {
        let bytes = report(&folder, name);
        let chain = text(&folder, answers["cert_chain"].as_str().unwrap());
        let facts = verify(&bytes, chain.as_bytes(), &[], &Anchors::vendor(), at()).unwrap();
        assert_eq!(answers["verdict"], "accept");
        assert_eq!((facts.tee(), facts.anchor().kind), (Tee::Nvidia, AnchorKind::Vendor), "{name}");
        assert_eq!(facts.debug(), None, "{name}");
        assert_eq!(facts.anchor().name, "nvidia-device-identity-root");
        let nonce = answers["nonce_hex"].as_str().or(answers["report_data_hex"].as_str()).unwrap();
        assert_eq!(hex::encode(facts.report_data()), nonce[..64], "{name}");
        assert_eq!(facts.collateral_expires(), UnixTime::parse_rfc3339("9999-12-31T23:59:59Z").unwrap());
        assert_eq!(facts.trailing_bytes(), usize::from(name == "hopper_coco_report1.txt"));
        if let Some(claims) = answers["claims"].as_str() {
            same_claims(&facts, &serde_json::from_str(&text(&folder, claims)).unwrap());
        }
    }
}

/// Our claims are those of another verifier.
fn same_claims(facts: &Facts, claims: &serde_json::Value) {
    let ours = &serde_json::to_value(facts).unwrap()["nvidia"];
    assert_eq!(ours["measurements"], claims["measurements"]);
    for (name, theirs) in claims["config"].as_object().unwrap() {
        let same = match theirs.as_str() {
            Some("U") => ours[name] == "disabled",
            _ => ours[name] == *theirs,
        };
        assert!(same, "{name}: {} and {theirs}", ours[name]);
    }
    assert!(ours["device"].as_str().unwrap().contains("GH100 A01 GSP FMC LF"));
}

#[test]
fn real_chains_that_are_incomplete_are_refused() {
    let Some(folder) = support::vectors() else { return };
    let bytes = report(&folder, "hopperAttestationReport.txt");
    for (name, answer) in expected(&folder)["cert_chains"].as_object().unwrap() {
        let result = verify(&bytes, text(&folder, name).as_bytes(), &[], &Anchors::vendor(), at());
        let code = result.err().map(|error| error.code());
        let wanted = match name.as_str() {
            "hopper_cert_chain_case1.txt" => None,
            "hopper_cert_chain_case2.txt" => Some("chain-length"),
            "hopper_cert_chain_case3.txt" => Some("wrong-issuer"),
            _ => Some("certificate-profile"),
        };
        assert_eq!(code, wanted, "{name}: {answer}");
        assert_eq!(wanted.is_none(), answer == "accept", "{name}");
    }
    // The chain of another device: its certificate is genuine, and did not sign this.
    let other = text(&folder, "hopper_coco_certs1.txt");
    let error = verify(&bytes, other.as_bytes(), &[], &Anchors::vendor(), at()).unwrap_err();
    assert_eq!(error.code(), "nvidia-fwid-mismatch", "{error}");
    let error = verify(&bytes, text(&folder, "hopper_cert_chain_case1.txt").as_bytes(), &[], &Anchors::none(), at());
    assert_eq!(error.unwrap_err().code(), "untrusted-root");
}

#[test]
fn a_changed_byte_of_a_real_report_is_never_believed() {
    let Some(folder) = support::vectors() else { return };
    let bytes = report(&folder, "hopperAttestationReport.txt");
    let chain = text(&folder, "hopper_cert_chain_case1.txt");
    for place in (0..bytes.len()).step_by(11) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert!(verify(&changed, chain.as_bytes(), &[], &Anchors::vendor(), at()).is_err(), "byte {place}");
    }
}

#[test]
fn the_built_in_root_is_the_published_one() {
    let Some(folder) = support::vectors() else { return };
    let der = pem_chain("root", text(&folder, "nvidia_device_root.pem").as_bytes()).unwrap().remove(0);
    let anchor = Anchor::from_certificate("configured", &der).unwrap();
    assert_eq!(anchor.id().kind, AnchorKind::Vendor);
    assert_eq!(anchor.id().sha256, Anchor::nvidia().id().sha256);
    // NVIDIA's driver, too, ends its chains with this certificate.
    let chain = pem_chain("chain", text(&folder, "hopper_coco_certs1.txt").as_bytes()).unwrap();
    assert_eq!(chain.last(), Some(&der));
}

/// A vendor with one GPU.
#[derive(Clone)]
struct Site {
    root: Cert,
    model: Cert,
    boot: Cert,
    device: Cert,
    /// The key that the device's certificate names as its boot firmware's, in place of the issuer's.
    device_id: Option<Rc<Key>>,
    /// FWID of the certificate; `None` leaves the extension out.
    fwid: Option<[u8; 48]>,
    signer: Option<Rc<Key>>,
    fields: Vec<(FieldKind, Vec<u8>)>,
}

impl Site {
    fn new() -> Self {
        Self {
            root: Cert::ca("NVIDIA Device Identity CA", None),
            model: Cert::ca("NVIDIA GH100 Identity", None),
            boot: Cert { usages: vec![KeyUsagePurpose::KeyCertSign], ..Cert::ca("GH100 GSP BROM", None) },
            device: Cert::leaf("GH100 GSP FMC LF"),
            device_id: None,
            fwid: Some([5; 48]),
            signer: None,
            fields: vec![
                (FieldKind::DriverVersion, b"550.1\0".to_vec()),
                (FieldKind::VbiosVersion, vec![0, 0x9f, 0, 0x96, 1, 0, 0, 0]),
                (FieldKind::Fwid, vec![5; 48]),
                (FieldKind::ProtectedPcieStatus, vec![0xaa]),
                (FieldKind::FeatureFlag, vec![2, 0]),
                (FieldKind::Other(300), vec![1, 2]),
            ],
        }
    }

    /// The device's certificate with its extension.
    fn certified(&self) -> Cert {
        let mut device = self.device.clone();
        if let Some(fwid) = self.fwid {
            let point = self.device_id.as_ref().unwrap_or(&self.boot.key).point();
            let device_id = [P384_KEY_INFO, &point].concat();
            let id = CompositeDeviceId { device_id: &device_id, fwid: Digest(fwid) };
            let extension = CustomExtension::from_oid_content(&[2, 23, 133, 5, 4, 1], id.to_der().unwrap());
            device.extensions.push(extension);
        }
        device
    }

    fn chain(&self) -> Vec<u8> {
        encode_pem_chain(&chain(&[&self.certified(), &self.boot, &self.model, &self.root])).into_bytes()
    }

    fn report(&self) -> Vec<u8> {
        let builder = Builder {
            request: Request::new([7; 32]),
            blocks: vec![Block { index: 9, value_type: 1, value: &[3; 48] }],
            nonce: [8; 32],
            fields: self.fields.iter().map(|(kind, data)| Field { kind: *kind, data }).collect(),
        };
        let signer = self.signer.as_ref().unwrap_or(&self.device.key);
        builder.encode(|message| signer.sign(message)).unwrap()
    }

    fn verify(&self) -> Result<Facts, Error> {
        verify(&self.report(), &self.chain(), &[], &self.root.anchors(), at())
    }
}

/// SubjectPublicKeyInfo of a P-384 key up to its point.
const P384_KEY_INFO: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x22, 0x03, 0x62, 0x00,
];

fn refused(change: impl FnOnce(&mut Site)) -> Error {
    let mut site = Site::new();
    change(&mut site);
    site.verify().unwrap_err()
}

#[test]
fn our_own_report_is_believed_and_its_facts_are_those_that_policies_read() {
    let facts = Site::new().verify().unwrap();
    assert_eq!(facts.anchor().kind, AnchorKind::Configured);
    let json = serde_json::to_value(&facts).unwrap();
    assert_eq!(json["tee"], "nvidia");
    assert_eq!(json["report_data"], "07".repeat(32));
    let claims = &json["nvidia"];
    assert_eq!(claims["driver_version"], "550.1");
    assert_eq!(claims["vbios_version"], "96.00.9f.00.01");
    assert_eq!(claims["fwid"], "05".repeat(48));
    assert_eq!(claims["device_nonce"], "08".repeat(32));
    assert_eq!(claims["protected_pcie_status"], "enabled");
    assert_eq!(claims["feature_flag"], "PPCIE");
    assert_eq!(claims["measurements"]["9"], "03".repeat(48));
    assert_eq!(claims["field_300"], "0102");
    assert_eq!(facts.claims().nvidia().unwrap().nvdec0_status, None);
}

#[test]
fn only_the_device_s_key_signs() {
    for signer in [Key::generate(), Site::new().boot.key] {
        let error = refused(|site| site.signer = Some(signer));
        assert_eq!(error, Error::Signature { part: Part::GpuReport, signer: Part::EvidenceLeaf.name() });
        assert_eq!(error.code(), "evidence-signature");
    }
}

#[test]
fn the_firmware_must_be_the_certified_one() {
    assert_eq!(refused(|site| site.fwid = None).code(), "certificate-profile");
    let error = refused(|site| site.fwid = Some([6; 48]));
    assert!(matches!(error, Error::Nvidia(NvidiaError::Fwid { .. })), "{error}");
    assert_eq!((error.expected(), error.actual()), (Some("06".repeat(48)), Some("05".repeat(48))));
    let error = refused(|site| site.device_id = Some(Key::generate()));
    assert_eq!(error.code(), "nvidia-device-id-mismatch", "{error}");
    // Older firmware does not name itself in the report; the certificate still does.
    let mut site = Site::new();
    site.fields.retain(|(kind, _)| *kind != FieldKind::Fwid);
    assert_eq!(site.verify().unwrap().claims().nvidia().unwrap().fwid, Digest([5; 48]));
}

#[test]
fn a_report_without_versions_is_refused() {
    for (kind, name) in [(FieldKind::DriverVersion, "driver_version"), (FieldKind::VbiosVersion, "vbios_version")] {
        for data in [None, Some(vec![]), Some(vec![0xff; 3])] {
            let error = refused(|site| {
                site.fields.retain(|(other, _)| *other != kind);
                site.fields.extend(data.map(|data| (kind, data)));
            });
            assert_eq!((error.code(), error.claim()), ("nvidia-no-version", name), "{error}");
        }
    }
}

#[test]
fn certificates_in_the_wrong_role_or_time_are_refused() {
    let profile = "certificate-profile";
    assert_eq!(refused(|site| site.boot.ca = None).code(), profile);
    assert_eq!(refused(|site| site.device.ca = Some(None)).code(), profile);
    assert_eq!(refused(|site| site.device.usages = vec![KeyUsagePurpose::KeyAgreement]).code(), profile);
    assert_eq!(refused(|site| site.model.ca = Some(Some(0))).code(), profile);
    let site = Site::new();
    let (report, chain) = (site.report(), site.chain());
    let code = |at| verify(&report, &chain, &[], &site.root.anchors(), at).unwrap_err().code();
    assert_eq!(code(at().plus(86_401)), "evidence-expired");
    assert_eq!(code(UnixTime(at().0 - 86_401)), "evidence-not-yet-valid");
}

#[test]
fn chains_of_strangers_and_other_vendors_are_refused() {
    let site = Site::new();
    let error = verify(&site.report(), &site.chain(), &[], &Anchors::vendor(), at()).unwrap_err();
    assert_eq!(error.code(), "untrusted-root");
    // A stranger's boot firmware under the right names.
    let stranger = Site { boot: site.boot.stranger(), ..site.clone() };
    let mut mixed = chain(&[&stranger.certified(), &stranger.boot, &site.model, &site.root]);
    mixed[1] = site.boot.der(&site.model);
    let mixed = encode_pem_chain(&mixed);
    let error = verify(&site.report(), mixed.as_bytes(), &[], &site.root.anchors(), at()).unwrap_err();
    assert_eq!(error.code(), "evidence-chain-signature", "{error}");
    // An anchor of another PKI vouches for no GPU, even with the same key.
    let error = refused(|site| site.root.name = "aws.nitro-enclaves");
    assert_eq!((error.code(), error.expected().as_deref()), ("untrusted-root", Some("none")), "{error}");
}

#[test]
fn a_root_that_is_declared_to_be_of_this_pki_may_have_any_name_but_another_s() {
    let under = |name| {
        let mut site = Site::new();
        site.root.name = name;
        let anchor = Anchor::nvidia_root("mine", &site.root.der(&site.root))?;
        verify(&site.report(), &site.chain(), &[], &Anchors::none().with(anchor), at())
    };
    assert_eq!(under("mine").unwrap().anchor().kind, AnchorKind::Configured);
    under("NVIDIA Device Identity CA").unwrap();
    assert_eq!(under("aws.nitro-enclaves").unwrap_err().code(), "certificate-profile");
}

#[test]
fn revocation_lists_are_asked_where_there_are_any() {
    let mut site = Site::new();
    (site.model.serial, site.boot.serial, site.device.serial) = (2, 3, 4);
    let (report, chain) = (site.report(), site.chain());
    let verify = |lists: &[Vec<u8>]| {
        let lists: Vec<_> = lists.iter().map(Vec::as_slice).collect();
        verify(&report, &chain, &lists, &site.root.anchors(), at())
    };
    let checked = |lists: &[Vec<u8>]| verify(lists).unwrap().claims().nvidia().unwrap().revocation_checked;
    // The boot firmware's certificate may not sign lists: the root's and the model's are all that there are.
    let (root, model) = (site.root.list(&[9], 0), site.model.list(&[9], 0));
    assert!(!checked(&[]) && !checked(std::slice::from_ref(&root)) && !checked(std::slice::from_ref(&model)));
    assert!(checked(&[model.clone(), root.clone()]));
    assert_eq!(verify(&[model.clone(), root.clone()]).unwrap().collateral_expires(), at().plus(43_200));
    for (lists, serial) in
        [([site.root.list(&[9, 2], 0), model.clone()], "7f02"), ([root.clone(), site.model.list(&[3], 0)], "7f03")]
    {
        let error = verify(&lists).unwrap_err();
        assert!(matches!(&error, Error::Revoked { serial: found, .. } if found == serial), "{error}");
        assert_eq!(error.code(), "certificate-revoked");
    }
    // A list of another CA says nothing, whatever it names; nor does one that a stranger signed under the right name.
    assert!(!checked(&[Cert::ca("NVIDIA GH100 Identity 2", None).list(&[2, 3, 4], 0), root.clone()]));
    assert_eq!(verify(&[site.model.stranger().list(&[], 0)]).unwrap_err().code(), "collateral-signature");
    assert_eq!(verify(&[site.model.list(&[], 2)]).unwrap_err().code(), "collateral-not-yet-valid");
    let mut cut = root;
    cut.pop();
    assert_eq!(verify(&[cut]).unwrap_err().code(), "malformed-collateral");
}

#[test]
fn a_simulation_s_root_is_simulated() {
    let mut site = Site::new();
    site.root.organization = SIMULATION;
    assert_eq!(site.verify().unwrap().anchor().kind, AnchorKind::Simulated);
}

#[test]
fn malformed_parts_are_told_apart() {
    let site = Site::new();
    let code = |report: &[u8], chain: &[u8]| verify(report, chain, &[], &site.root.anchors(), at()).unwrap_err().code();
    assert_eq!(code(&site.report()[1..], &site.chain()), "malformed-evidence");
    assert_eq!(code(&site.report(), &site.chain()[1..]), "malformed-evidence-chain");
    assert_eq!(code(&site.report(), b""), "malformed-evidence-chain");
}
